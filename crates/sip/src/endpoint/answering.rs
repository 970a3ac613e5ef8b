//! Legs on which we are called (RFC 3261 sections 13.3 and 9.2).

use super::dialog::Dialog;
use super::front::{ALLOW, Hint};
use super::table::ServerMachine;
use super::{Endpoint, Event, LegId, Output, PeerId, Refusal, ServerId, State, reason};
use crate::hop::Hop;
use crate::message::{self, Message, Name, Writer};
use crate::text::{self, hex64};
use crate::time::Time;
use crate::transaction::{InviteServer, Repeat};
use std::sync::Arc;
use std::time::Duration;

/// A provisional response is sent again so often, lest a proxy gives up (RFC 3261 section 13.3.1.1).
const REFRESH: Duration = Duration::from_secs(60);

pub(super) struct Ringing {
    server: ServerId,
    invite: Arc<Message>,
    source: Hop,
    pub merge_key: Box<[u8]>,
    refresh: Time,
    give_up: Time,
}

impl Ringing {
    pub fn deadline(&self) -> Time {
        self.refresh.min(self.give_up)
    }
}

pub(super) struct Answered {
    ok: Arc<[u8]>,
    to: Hop,
    pub repeat: Repeat,
    /// Hang up as soon as the ACK is here, with this cause.
    pub hang_up: Option<Option<u8>>,
}

impl Endpoint {
    pub(super) fn on_invite(
        &mut self,
        invite: Message,
        from: Hop,
        peer: PeerId,
        key: Box<[u8]>,
        now: Time,
    ) {
        let full = self.legs.len() >= self.config.legs_max
            || self.servers.len() >= self.config.transactions_max;
        if full {
            self.counts.overload += 1;
            return self.answer_at_once(
                &invite,
                from,
                503,
                Hint::RetryAfter(self.config.retry_after_s),
            );
        }
        // `on_request` has read these before; a message does not change.
        let Ok(essentials) = invite.essentials() else {
            return;
        };
        let cseq = essentials.cseq.number.to_be_bytes();
        let merge_key: Box<[u8]> = [
            essentials.call_id,
            essentials.from.tag().unwrap_or_default(),
            &cseq,
        ]
        .join(&0)
        .into();
        if self.unanswered.contains(&merge_key) {
            return self.answer_at_once(&invite, from, 482, Hint::None);
        }
        let max_forwards = essentials.max_forwards;
        let to = super::front::answer_to(&essentials.via, from);
        let Some(dialog) = Dialog::answering(&invite, self.chance.next_u64()) else {
            return self.answer_at_once(&invite, from, 400, Hint::None);
        };
        let id = self.new_leg();
        let reliability = from.transport.reliability();
        let machine = ServerMachine::Invite(InviteServer::new(self.config.timing, reliability));
        let server = self.add_server(machine, key, to, Some(id));
        // 100 has no tag: it makes no dialog (section 8.2.6.2).
        let trying = message::reply(&invite, from, 100, None).finish();
        self.respond(server, 100, trying, now);
        let invite = Arc::new(invite);
        self.unanswered.insert(merge_key.clone());
        let ringing = Ringing {
            server,
            invite: invite.clone(),
            source: from,
            merge_key,
            refresh: now + REFRESH,
            give_up: now + self.config.ring_max,
        };
        self.insert_leg(id, dialog, from, State::Ringing(ringing));
        self.event(Event::Incoming {
            leg: id,
            peer,
            invite,
            max_forwards,
        });
    }

    /// Begins a response to the INVITE of a leg that has no answer yet.
    fn reply_to_invite(&self, id: LegId, status: u16) -> Option<(Writer, ServerId)> {
        let leg = self.legs.get(&id)?;
        let State::Ringing(ringing) = &leg.state else {
            return None;
        };
        let tag = hex64(leg.dialog.local_tag);
        let mut writer = message::reply(
            &ringing.invite,
            ringing.source,
            status,
            Some(tag.as_bytes()),
        );
        if status < 300 {
            for route in ringing.invite.headers(Name::RecordRoute) {
                writer.line(Name::RecordRoute, &[route]);
            }
            writer.line(
                Name::Contact,
                &[self.contact(ringing.source.transport).as_bytes()],
            );
        }
        Some((writer, ringing.server))
    }

    pub(super) fn progress(&mut self, id: LegId, status: u16, sdp: Option<&[u8]>, now: Time) {
        let status = if (101..200).contains(&status) {
            status
        } else {
            183
        };
        let Some((writer, server)) = self.reply_to_invite(id, status) else {
            return;
        };
        let bytes = match sdp {
            Some(sdp) => writer.finish_with_sdp(sdp),
            None => writer.finish(),
        };
        self.respond(server, status, bytes, now);
    }

    pub(super) fn answer(&mut self, id: LegId, sdp: &[u8], now: Time) {
        let Some((mut writer, server)) = self.reply_to_invite(id, 200) else {
            return;
        };
        writer.line(Name::Allow, &[ALLOW]);
        let ok = writer.finish_with_sdp(sdp);
        self.respond(server, 200, ok.clone(), now);
        let Some(to) = self.servers.get_mut(server).map(|server| server.to) else {
            return;
        };
        let timing = self.config.timing;
        let repeat = Repeat::new(
            timing.t1,
            timing.patience(),
            to.transport.reliability(),
            now,
        );
        let Some(leg) = self.legs.get_mut(&id) else {
            return;
        };
        let answered = State::Answered(Answered {
            ok,
            to,
            repeat,
            hang_up: None,
        });
        if let State::Ringing(ringing) = std::mem::replace(&mut leg.state, answered) {
            self.unanswered.remove(&ringing.merge_key);
        }
        self.reschedule(id);
    }

    pub(super) fn refuse(&mut self, id: LegId, refusal: Refusal, now: Time) {
        let status = if (300..700).contains(&refusal.status) {
            refusal.status
        } else {
            500
        };
        let Some((mut writer, server)) = self.reply_to_invite(id, status) else {
            return;
        };
        if let Some(cause) = refusal.cause {
            writer.line(Name::Reason, &[reason(cause).as_bytes()]);
        }
        if status == 503 {
            writer.line(
                Name::RetryAfter,
                &[self.config.retry_after_s.to_string().as_bytes()],
            );
        }
        self.respond(server, status, writer.finish(), now);
        self.remove_leg(id);
    }

    /// CANCEL is answered for itself, and ends the INVITE if that has no final answer yet.
    pub(super) fn on_cancel(
        &mut self,
        cancel: &Message,
        from: Hop,
        invite: Option<ServerId>,
        now: Time,
    ) {
        let Some(server) = invite.and_then(|id| self.servers.get_mut(id)) else {
            return self.answer_at_once(cancel, from, 481, Hint::None);
        };
        let leg = server.leg;
        // The tag is that of the INVITE's answers, as long as they can still be looked up.
        let tag = leg
            .and_then(|id| self.legs.get(&id))
            .map(|leg| hex64(leg.dialog.local_tag));
        match tag {
            Some(tag) => {
                let bytes = message::reply(cancel, from, 200, Some(tag.as_bytes())).finish();
                self.send_answer(cancel, from, bytes);
            }
            None => self.answer_at_once(cancel, from, 200, Hint::None),
        }
        if let Some(id) = leg {
            self.give_up_ringing(id, cancel.q850(), now);
        }
    }

    /// The caller no longer waits: 487 to the INVITE, and the leg is over.
    pub(super) fn give_up_ringing(&mut self, id: LegId, cause: Option<u8>, now: Time) {
        let ringing = self
            .legs
            .get(&id)
            .is_some_and(|leg| matches!(leg.state, State::Ringing(_)));
        if ringing {
            self.refuse(
                id,
                Refusal {
                    status: 487,
                    cause: None,
                },
                now,
            );
            self.event(Event::Cancelled { leg: id, cause });
        }
    }

    pub(super) fn on_ack(&mut self, ack: &Message, invite: Option<ServerId>, now: Time) {
        if let Some(id) = invite
            && let Some(server) = self.servers.get_mut(id)
            && let ServerMachine::Invite(machine) = &mut server.machine
        {
            let step = machine.on_ack(now);
            let deadline = server.deadline();
            self.timers
                .set(super::Owner::Server(id), &mut server.scheduled, deadline);
            if step.end.is_some() {
                self.servers.remove(id);
            }
            if !step.deliver {
                return;
            }
        }
        let Ok(essentials) = ack.essentials() else {
            return;
        };
        let tag = essentials.to.tag().and_then(text::parse_hex64);
        let Some(id) = tag.and_then(|tag| self.by_tag.get(&tag)).copied() else {
            return;
        };
        let Some(leg) = self.legs.get_mut(&id) else {
            return;
        };
        if !leg
            .dialog
            .matches(essentials.call_id, essentials.from.tag())
        {
            return;
        }
        let State::Answered(answered) = &leg.state else {
            return;
        };
        let hang_up = answered.hang_up;
        leg.state = State::Talking;
        self.reschedule(id);
        match hang_up {
            Some(cause) => self.send_bye(id, cause, now),
            None => self.event(Event::Confirmed { leg: id }),
        }
    }

    pub(super) fn on_ringing_timeout(&mut self, id: LegId, now: Time) {
        let Some(leg) = self.legs.get_mut(&id) else {
            return;
        };
        let State::Ringing(ringing) = &mut leg.state else {
            return;
        };
        if now >= ringing.give_up {
            self.refuse(
                id,
                Refusal {
                    status: 480,
                    cause: Some(19),
                },
                now,
            );
            return self.event(Event::Cancelled {
                leg: id,
                cause: None,
            });
        }
        if now >= ringing.refresh {
            ringing.refresh = now + REFRESH;
            let server = ringing.server;
            self.on_copy(server);
        }
    }

    /// The answer is repeated until its ACK comes; if none comes the call is ended (section 13.3.1.4).
    pub(super) fn on_answered_timeout(&mut self, id: LegId, now: Time) {
        let Some(leg) = self.legs.get_mut(&id) else {
            return;
        };
        let State::Answered(answered) = &mut leg.state else {
            return;
        };
        if now >= answered.repeat.until {
            let wanted = answered.hang_up.is_none();
            let cause = answered.hang_up.unwrap_or_default();
            self.send_bye(id, cause, now);
            if wanted {
                self.event(Event::Ended {
                    leg: id,
                    cause: None,
                    silent: true,
                });
            }
        } else if answered.repeat.is_due(now, self.config.timing.t2) {
            self.outputs.push_back(Output::Send {
                to: answered.to,
                bytes: answered.ok.clone(),
            });
        }
    }
}
