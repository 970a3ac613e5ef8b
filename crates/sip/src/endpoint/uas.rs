//! Legs on which we are called, as their UAS (RFC 3261 sections 13.3 and 9.2).

use super::dialog::Dialog;
use super::leg_state::{Answered, Reliable, Ringing};
use super::negotiation::{Exchange, Negotiation, PendingOffer, kept};
use super::stateless::{ALLOW, Hint};
use super::table::Ids;
use super::table::ServerMachine;
use super::{
    Endpoint, Event, LegId, Output, PeerId, Refusal, ServerId, State, Warning, body_of, reason,
    sdp_of, session_timer,
};
use crate::hop::Hop;
use crate::message::{self, Message, Method, Name, Writer};
use crate::text::{self, hex64};
use crate::time::Time;
use crate::transaction::{InviteServer, Reliability, Repeat};
use crate::uri::host_text;
use std::sync::Arc;
use std::time::Duration;

/// A provisional response is sent again so often, lest a proxy gives up (RFC 3261 section 13.3.1.1).
const REFRESH: Duration = Duration::from_secs(60);

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
        if let Some(min_s) = session_timer::too_short(&invite, &self.config) {
            return self.answer_at_once(&invite, from, 422, Hint::MinSe(min_s));
        }
        let merge_key = super::table::key(&essentials);
        if self.unanswered.contains(&merge_key) {
            return self.answer_at_once(&invite, from, 482, Hint::None);
        }
        let max_forwards = essentials.max_forwards;
        let to = self.answer_to(&essentials.via, from);
        let elsewhere = super::stateless::answer_elsewhere(&essentials.via, from);
        let tag = self.chance.next_u64();
        let ids = Ids::of_invite(&essentials, tag);
        let Some(dialog) = Dialog::answering(&invite, tag) else {
            return self.answer_at_once(&invite, from, 400, Hint::None);
        };
        let id = self.new_leg();
        let reliability = from.transport.reliability();
        let machine = ServerMachine::Invite(InviteServer::new(self.config.timing, reliability));
        let server = self.add_server(machine, key, (to, elsewhere), Some(ids), Some(id));
        // 100 has no tag: it makes no dialog (section 8.2.6.2).
        let trying = message::reply(&invite, from, 100, None).finish();
        self.respond(server, 100, trying, now);
        let mut negotiation = Negotiation::new(None, sdp_of(&invite).as_deref());
        negotiation.learn(&invite);
        let reliable = Reliable::new(&invite, self.chance.next_u64());
        // What cannot be read does not bind (section 20.19 names no other use here).
        let lasts_s = invite.header(Name::Expires).and_then(text::number::<u32>);
        let expires = lasts_s.map(|seconds| now + Duration::from_secs(seconds.into()));
        let invite = Arc::new(invite);
        self.unanswered.insert(merge_key.clone());
        let ringing = Ringing {
            server,
            invite: invite.clone(),
            source: from,
            merge_key,
            reliable,
            refresh: now + REFRESH,
            give_up: now + self.config.ring_max,
            expires,
        };
        let state = State::Ringing(Box::new(ringing));
        self.insert_leg(id, dialog, (from, elsewhere), state, negotiation);
        let is_source_verified = self.legs.get(&id).is_some_and(|leg| leg.is_source_verified);
        self.event(Event::Incoming {
            leg: id,
            peer,
            invite,
            max_forwards,
        });
        if is_source_verified {
            self.event(Event::SourceVerified { leg: id });
        }
    }

    /// Begins a response to the INVITE of a leg that has no answer yet.
    pub(super) fn reply_to_invite(&self, id: LegId, status: u16) -> Option<(Writer, ServerId)> {
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
            writer
                .line(
                    Name::Contact,
                    &[self.contact(ringing.source.into()).as_bytes()],
                )
                .line(Name::Allow, &[ALLOW]);
        }
        Some((writer, ringing.server))
    }

    pub(super) fn answer(&mut self, id: LegId, sdp: &[u8], now: Time) {
        if self.keep_answer(id, sdp) {
            return;
        }
        let Some((mut writer, server)) = self.reply_to_invite(id, 200) else {
            return;
        };
        let Some(leg) = self.legs.get_mut(&id) else {
            return;
        };
        let State::Ringing(ringing) = &leg.state else {
            return;
        };
        leg.late_rseq = ringing.reliable.awaited();
        leg.session.accept(&ringing.invite, &mut writer, now);
        let negotiation = &mut leg.negotiation;
        let (is_first, is_delayed) = (negotiation.is_first(), ringing.is_delayed());
        if is_first && !is_delayed {
            // What it was told first is the answer to its offer, be it ever so unreliable, and it ignores
            // any other that comes later (RFC 3261 section 13.2.1).
            let said = ringing.reliable.said().unwrap_or(sdp);
            negotiation.local = Some(said.into());
            negotiation.exchange = Exchange::Idle;
        } else if is_first {
            negotiation.local = Some(sdp.into());
        }
        let is_settled = !is_first || !is_delayed;
        let is_idle = matches!(negotiation.exchange, Exchange::Idle);
        if is_settled && is_idle && !negotiation.is_renewed {
            // It was agreed before; another SDP now is an offer of its own. Where there were further
            // exchanges, or one is under way, the call knows what is left to be told.
            let is_other = negotiation.local.as_deref() != Some(sdp);
            negotiation.pending_offer = is_other.then(|| PendingOffer::to_offer(sdp, now));
        }
        // After an answer of theirs ours must not look like a new offer (RFC 3261 section 13.2.1), and after
        // another exchange it would look like a step back.
        let body = negotiation
            .local
            .clone()
            .filter(|_| (is_first || !is_delayed) && !negotiation.is_renewed);
        let cseq = ringing.invite.essentials().map(|found| found.cseq.number);
        let ok = match &body {
            Some(body) => writer.finish_with_sdp(body),
            None => writer.finish(),
        };
        self.respond(server, 200, ok.clone(), now);
        let Some(to) = self.servers.get_mut(server).map(|server| server.to) else {
            return;
        };
        let timing = self.config.timing;
        // Over any transport, since a proxy on the way may use another (section 13.3.1.4).
        let unreliable = Reliability::Unreliable;
        let repeat = Repeat::new(timing.t1, timing.timeout_64_t1(), unreliable, now);
        let Some(leg) = self.legs.get_mut(&id) else {
            return;
        };
        let answered = State::Answered(Answered {
            ok,
            to,
            repeat,
            cseq: cseq.unwrap_or_default(),
            wants_answer: is_first && is_delayed,
            hang_up: None,
        });
        if let State::Ringing(ringing) = std::mem::replace(&mut leg.state, answered) {
            self.unanswered.remove(&ringing.merge_key);
        }
        self.reschedule(id);
    }

    pub(super) fn refuse(&mut self, id: LegId, refusal: Refusal, now: Time) {
        self.refuse_with(id, refusal, None, now);
    }

    /// Refuses a caller and says what is wrong with its media.
    pub(super) fn refuse_for(&mut self, id: LegId, refusal: Refusal, warning: Warning, now: Time) {
        let warning = warning.value(&host_text(self.config.advertised));
        self.refuse_with(id, refusal, Some(&warning), now);
    }

    fn refuse_with(&mut self, id: LegId, refusal: Refusal, warning: Option<&str>, now: Time) {
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
        if let Some(warning) = warning {
            writer.line(Name::Warning, &[warning.as_bytes()]);
        }
        if status == 503 {
            writer.line(
                Name::RetryAfter,
                &[self.config.retry_after_s.to_string().as_bytes()],
            );
        }
        self.respond(server, status, writer.finish(), now);
        self.remove_leg(id, now);
    }

    /// CANCEL is answered for itself, and ends the INVITE if that has no final answer yet.
    pub(super) fn on_cancel(
        &mut self,
        cancel: &Message,
        from: Hop,
        invite: Option<ServerId>,
        now: Time,
    ) {
        // `on_request` has read these before; a message does not change.
        let Ok(essentials) = cancel.essentials() else {
            return;
        };
        let invite = invite.and_then(|id| self.invite_for(id, &essentials, Method::Cancel, from));
        let found = invite.and_then(|id| self.servers.get(id).map(|server| (id, server.leg)));
        let Some((server, leg)) = found else {
            return self.turn_away(cancel, from);
        };
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
            self.withdraw_offer(id, server, now);
            // A CANCEL of a re-INVITE that comes late must not end the call.
            let is_first = self.legs.get(&id).is_some_and(
                |leg| matches!(&leg.state, State::Ringing(ringing) if ringing.server == server),
            );
            if is_first {
                self.give_up_ringing(id, cancel.cause(), now);
            }
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

    pub(super) fn on_ack(&mut self, ack: &Message, from: Hop, invite: Option<ServerId>, now: Time) {
        // `on_request` has read these before; a message does not change.
        let Ok(essentials) = ack.essentials() else {
            return;
        };
        if let Some(id) = invite {
            let Some(id) = self.invite_for(id, &essentials, Method::Ack, from) else {
                return self.turn_away(ack, from);
            };
            if let Some(server) = self.servers.get_mut(id)
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
        }
        let tag = essentials.to.tag().and_then(text::parse_hex64);
        let Some(id) = tag.and_then(|tag| self.by_tag.get(&tag)).copied() else {
            return;
        };
        let theirs = essentials.from.tag();
        let is_believed = self.legs.get(&id).is_some_and(|leg| {
            leg.dialog.matches(essentials.call_id, theirs) && self.may_speak(leg, theirs, from)
        });
        if !is_believed {
            return self.turn_away(ack, from);
        }
        let cseq = essentials.cseq.number;
        match self.legs.get(&id).map(|leg| &leg.state) {
            Some(State::Answered(answered)) if answered.cseq == cseq => self.follow(id, from),
            Some(State::Answered(_)) | None => return,
            Some(_) => return self.on_ack_within(id, ack, cseq),
        }
        let Some(leg) = self.legs.get_mut(&id) else {
            return;
        };
        let State::Answered(answered) = &leg.state else {
            return;
        };
        let (hang_up, wants_answer) = (answered.hang_up, answered.wants_answer);
        leg.state = State::Talking;
        let sdp = body_of(ack).filter(|_| wants_answer);
        if wants_answer {
            leg.negotiation.remote = sdp.as_deref().and_then(kept);
            leg.negotiation.exchange = Exchange::Idle;
        }
        self.reschedule(id);
        match hang_up {
            Some(cause) => self.send_bye(id, cause, now),
            None => self.event(Event::Confirmed { leg: id, sdp }),
        }
    }

    pub(super) fn on_ringing_timeout(&mut self, id: LegId, now: Time) {
        let Some(leg) = self.legs.get_mut(&id) else {
            return;
        };
        let State::Ringing(ringing) = &mut leg.state else {
            return;
        };
        let has_expired = ringing.expires.is_some_and(|expires| now >= expires);
        let given_up = has_expired.then_some((487, 102));
        let given_up = given_up.or_else(|| (now >= ringing.give_up).then_some((480, 19)));
        // RFC 3262 section 3: who cannot hear us cannot be called. Q.850: recovery on timer expiry.
        let given_up = given_up.or_else(|| (!self.repeat_progress(id, now)).then_some((504, 102)));
        if let Some((status, cause)) = given_up {
            self.refuse(
                id,
                Refusal {
                    status,
                    cause: Some(cause),
                },
                now,
            );
            return self.event(Event::Cancelled {
                leg: id,
                cause: None,
            });
        }
        let Some(State::Ringing(ringing)) = self.legs.get_mut(&id).map(|leg| &mut leg.state) else {
            return;
        };
        if now >= ringing.refresh {
            ringing.refresh = now + REFRESH;
            let server = ringing.server;
            self.repeat_answer(server);
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
            match answered.hang_up {
                Some(cause) => self.send_bye(id, cause, now),
                None => self.end_silent(id, None, now),
            }
        } else if answered.repeat.take_due(now, self.config.timing.t2) {
            self.outputs.push_back(Output::Send {
                to: answered.to,
                bytes: answered.ok.clone(),
            });
        }
    }
}
