//! Legs that we dial (RFC 3261 sections 13.2, 9.1 and 15.1.1).

use super::dialog::{self, Dialog, Head};
use super::proof::proofs_of;
use super::table::{Acknowledged, Client, ClientMachine, FORKS_MAX, Owner};
use super::{ClientKey, Dial, Endpoint, Event, LegId, Output, State, reason, sdp_of};
use crate::hop::{Hop, Transport};
use crate::message::{Message, Method, Name};
use crate::text::hex64;
use crate::time::Time;
use crate::transaction::{InviteClient, PlainClient};
use std::sync::Arc;

pub(super) struct Calling {
    invite: ClientKey,
    cancel: Cancel,
    pub give_up: Time,
}

impl Calling {
    /// Whether the answer to this request decides the call.
    pub fn waits_for(&self, key: ClientKey) -> bool {
        self.invite == key && self.cancel == Cancel::No
    }

    /// The INVITE goes on under another key.
    pub fn rekey(&mut self, before: ClientKey, after: ClientKey) {
        if self.invite == before {
            self.invite = after;
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Cancel {
    No,
    /// To be sent as soon as there is a provisional response (RFC 3261 section 9.1).
    Wanted(Option<u8>),
    Sent,
}

impl Endpoint {
    pub(super) fn dial(&mut self, id: LegId, dial: Dial, now: Time) {
        if self.legs.len() >= self.config.legs_max || self.legs.contains_key(&id) {
            self.counts.overload += 1;
            return self.event(Event::Refused {
                leg: id,
                status: 503,
                cause: Some(42),
                silent: true,
            });
        }
        let tag = self.chance.next_u64();
        let branch = self.chance.next_u128();
        let call_id = format!("{:032x}", self.chance.next_u128());
        let from = format!("{};tag={}", dial.identity.calling_party(), hex64(tag));
        let to = format!("<{}>", dial.target);
        let via = self.via(branch, dial.hop.transport);
        let head = Head {
            method: Method::Invite,
            uri: dial.target.as_bytes(),
            via: via.as_bytes(),
            from: from.as_bytes(),
            to: to.as_bytes(),
            call_id: call_id.as_bytes(),
            cseq: 1,
            max_forwards: dial.max_forwards,
        };
        let mut writer = head.write(std::iter::empty());
        writer
            .line(
                Name::Contact,
                &[self.contact(dial.hop.transport).as_bytes()],
            )
            .line(Name::Allow, &[super::front::ALLOW]);
        dial.identity.write(&mut writer);
        let bytes = writer.finish_with_sdp(&dial.sdp);
        let dialog = Dialog::asking(
            call_id.into(),
            tag,
            from.into(),
            to.into(),
            dial.target.as_bytes(),
        );
        let invite = ClientKey {
            branch,
            is_cancel: false,
        };
        let calling = Calling {
            invite,
            cancel: Cancel::No,
            give_up: now + self.config.ring_max,
        };
        self.insert_leg(id, dialog, dial.hop, State::Calling(calling));
        let reliability = dial.hop.transport.reliability();
        let machine =
            ClientMachine::Invite(InviteClient::new(self.config.timing, reliability, now));
        self.start_client(invite, machine, bytes, dial.hop, Some(id));
    }

    pub(super) fn start_client(
        &mut self,
        key: ClientKey,
        machine: ClientMachine,
        request: Arc<[u8]>,
        to: Hop,
        leg: Option<LegId>,
    ) {
        let request = self.prove_ahead(key, request, to, leg);
        self.outputs.push_back(Output::Send {
            to,
            bytes: request.clone(),
        });
        let mut client = Client {
            machine,
            request,
            to,
            leg,
            acks: Vec::new(),
            proofs: 0,
            scheduled: None,
        };
        let deadline = client.deadline();
        self.timers
            .set(Owner::Client(key), &mut client.scheduled, deadline);
        self.clients.insert(key, client);
    }

    pub(super) fn start_plain_client(
        &mut self,
        key: ClientKey,
        request: Arc<[u8]>,
        to: Hop,
        leg: Option<LegId>,
        now: Time,
    ) {
        let reliability = to.transport.reliability();
        let machine = ClientMachine::Plain(PlainClient::new(self.config.timing, reliability, now));
        self.start_client(key, machine, request, to, leg);
    }

    /// A failure is acknowledged hop by hop, to where the INVITE went (RFC 3261 section 17.1.1.3).
    pub(super) fn acknowledge_failure(&mut self, key: ClientKey, response: &Message) {
        let Some(client) = self.clients.get(&key) else {
            return;
        };
        let to = client.to;
        let Ok(invite) = Message::parse(&client.request) else {
            return;
        };
        if let Some(writer) = dialog::beside_invite(&invite, Method::Ack, Some(response)) {
            self.outputs.push_back(Output::Send {
                to,
                bytes: writer.finish(),
            });
        }
    }

    pub(super) fn on_invite_response(
        &mut self,
        key: ClientKey,
        response: &Message,
        status: u16,
        now: Time,
    ) {
        match status {
            100..=199 => self.on_progress(key, response, status, now),
            200..=299 => self.on_success(key, response, now),
            _ => self.on_failure(key, response, status),
        }
    }

    /// The leg that still waits for the answer to this INVITE.
    fn calling_leg(&mut self, key: ClientKey) -> Option<(LegId, &mut super::Leg)> {
        let id = self.clients.get(&key)?.leg?;
        let leg = self.legs.get_mut(&id)?;
        matches!(&leg.state, State::Calling(calling) if calling.invite == key).then_some((id, leg))
    }

    fn on_progress(&mut self, key: ClientKey, response: &Message, status: u16, now: Time) {
        let Some((id, leg)) = self.calling_leg(key) else {
            return;
        };
        let State::Calling(calling) = &leg.state else {
            return;
        };
        match calling.cancel {
            Cancel::Wanted(cause) => self.send_cancel(id, key, cause, now),
            Cancel::Sent => {}
            Cancel::No if status > 100 => {
                self.event(Event::Progress {
                    leg: id,
                    status,
                    sdp: sdp_of(response),
                });
            }
            Cancel::No => {}
        }
    }

    /// Each success gets its ACK each time it comes. The first one makes the call; another, from a fork or
    /// after our CANCEL, is ended at once (RFC 3261 section 13.2.2.4).
    fn on_success(&mut self, key: ClientKey, response: &Message, now: Time) {
        let tag: Box<[u8]> = response
            .essentials()
            .ok()
            .and_then(|found| found.to.tag())
            .unwrap_or_default()
            .into();
        let Some(client) = self.clients.get(&key) else {
            return;
        };
        if let Some(known) = client.acks.iter().find(|known| known.tag == tag) {
            let (to, bytes) = (known.to, known.ack.clone());
            return self.outputs.push_back(Output::Send { to, bytes });
        }
        if client.acks.len() >= FORKS_MAX {
            return;
        }
        let request = client.request.clone();
        let hop = client.to;
        let Some(mut dialog) = dialog_of(&request) else {
            return;
        };
        dialog.learn(response);
        let to = dialog.next_hop(hop);
        let (_, via) = self.fresh_via(to.transport);
        let mut ack = dialog.request(Method::Ack, via.as_bytes());
        for (name, value) in proofs_of(&request) {
            ack.line(name, &[&value]);
        }
        let ack = ack.finish();
        self.outputs.push_back(Output::Send {
            to,
            bytes: ack.clone(),
        });
        if let Some(client) = self.clients.get_mut(&key) {
            client.acks.push(Acknowledged { tag, ack, to });
        }
        match self.calling_leg(key) {
            Some((id, leg)) => {
                dialog.local_tag = leg.dialog.local_tag;
                leg.dialog = dialog;
                let State::Calling(calling) = &leg.state else {
                    return;
                };
                let wanted = calling.cancel == Cancel::No;
                leg.state = State::Talking;
                self.reschedule(id);
                if wanted {
                    self.event(Event::Answered {
                        leg: id,
                        sdp: sdp_of(response),
                    });
                } else {
                    self.send_bye(id, None, now);
                }
            }
            None => {
                dialog.local_cseq += 1;
                let (bye, via) = self.fresh_via(to.transport);
                let bytes = dialog.request(Method::Bye, via.as_bytes()).finish();
                self.start_plain_client(bye, bytes, to, None, now);
            }
        }
    }

    fn on_failure(&mut self, key: ClientKey, response: &Message, status: u16) {
        let Some((id, leg)) = self.calling_leg(key) else {
            return;
        };
        let State::Calling(calling) = &leg.state else {
            return;
        };
        let wanted = calling.cancel == Cancel::No;
        self.remove_leg(id);
        if wanted {
            self.event(Event::Refused {
                leg: id,
                status,
                cause: response.q850(),
                silent: false,
            });
        }
    }

    /// Nobody answered the INVITE at all.
    pub(super) fn on_invite_silence(&mut self, leg: Option<LegId>, status: u16) {
        let Some(id) = leg else { return };
        let Some(State::Calling(calling)) = self.legs.get(&id).map(|leg| &leg.state) else {
            return;
        };
        let wanted = calling.cancel == Cancel::No;
        self.remove_leg(id);
        if wanted {
            self.event(Event::Refused {
                leg: id,
                status,
                cause: None,
                silent: true,
            });
        }
    }

    pub(super) fn cancel(&mut self, id: LegId, cause: Option<u8>, now: Time) {
        let Some(State::Calling(calling)) = self.legs.get_mut(&id).map(|leg| &mut leg.state) else {
            return;
        };
        if calling.cancel != Cancel::No {
            return;
        }
        calling.cancel = Cancel::Wanted(cause);
        let key = calling.invite;
        if self
            .clients
            .get(&key)
            .and_then(Client::invite)
            .is_some_and(InviteClient::is_proceeding)
        {
            self.send_cancel(id, key, cause, now);
        }
    }

    fn send_cancel(&mut self, id: LegId, key: ClientKey, cause: Option<u8>, now: Time) {
        let give_up = now + self.config.timing.patience();
        if let Some(State::Calling(calling)) = self.legs.get_mut(&id).map(|leg| &mut leg.state) {
            calling.cancel = Cancel::Sent;
            calling.give_up = give_up;
        }
        self.reschedule(id);
        let Some(client) = self.clients.get(&key) else {
            return;
        };
        let to = client.to;
        let Ok(invite) = Message::parse(&client.request) else {
            return;
        };
        let Some(mut writer) = dialog::beside_invite(&invite, Method::Cancel, None) else {
            return;
        };
        if let Some(cause) = cause {
            writer.line(Name::Reason, &[reason(cause).as_bytes()]);
        }
        let cancel = ClientKey {
            is_cancel: true,
            ..key
        };
        self.start_plain_client(cancel, writer.finish(), to, None, now);
    }

    /// It rang too long, or did not end although cancelled.
    pub(super) fn on_calling_timeout(&mut self, id: LegId, now: Time) {
        let Some(State::Calling(calling)) = self.legs.get(&id).map(|leg| &leg.state) else {
            return;
        };
        if now < calling.give_up {
            return;
        }
        let key = calling.invite;
        match calling.cancel {
            Cancel::No => {
                self.cancel(id, Some(19), now);
                // If there never was a response, timer B ends it.
                if let Some(State::Calling(calling)) =
                    self.legs.get_mut(&id).map(|leg| &mut leg.state)
                {
                    calling.give_up = now + self.config.timing.patience();
                }
                self.event(Event::Refused {
                    leg: id,
                    status: 408,
                    cause: None,
                    silent: true,
                });
            }
            Cancel::Wanted(_) | Cancel::Sent => {
                self.remove_leg(id);
                self.forget_client(key);
            }
        }
    }

    pub(super) fn send_bye(&mut self, id: LegId, cause: Option<u8>, now: Time) {
        let Some(to) = self.legs.get(&id).map(|leg| leg.dialog.next_hop(leg.hop)) else {
            return;
        };
        let (key, via) = self.fresh_via(to.transport);
        let Some(leg) = self.legs.get_mut(&id) else {
            return;
        };
        leg.dialog.local_cseq += 1;
        leg.state = State::Closing;
        let mut writer = leg.dialog.request(Method::Bye, via.as_bytes());
        if let Some(cause) = cause {
            writer.line(Name::Reason, &[reason(cause).as_bytes()]);
        }
        self.reschedule(id);
        self.start_plain_client(key, writer.finish(), to, Some(id), now);
    }

    pub(super) fn fresh_via(&mut self, transport: Transport) -> (ClientKey, String) {
        let branch = self.chance.next_u128();
        (
            ClientKey {
                branch,
                is_cancel: false,
            },
            self.via(branch, transport),
        )
    }
}

/// The dialog that an INVITE of ours would begin, read back from what was sent.
fn dialog_of(invite: &[u8]) -> Option<Dialog> {
    let invite = Message::parse(invite).ok()?;
    let essentials = invite.essentials().ok()?;
    let tag = crate::text::parse_hex64(essentials.from.tag()?)?;
    let from = invite.header(Name::From)?.to_vec();
    let to = invite.header(Name::To)?.to_vec();
    let mut dialog = Dialog::asking(
        essentials.call_id.to_vec(),
        tag,
        from,
        to,
        invite.request_uri(),
    );
    dialog.local_cseq = essentials.cseq.number;
    Some(dialog)
}
