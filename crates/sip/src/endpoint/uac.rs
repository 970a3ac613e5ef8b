//! Legs that we dial, as their UAC (RFC 3261 sections 13.2, 9.1 and 15.1.1).

use super::addresses::Way;
use super::auth::authorizations_of;
use super::dialog::{self, Dialog, Head};
use super::early_dialog::EarlyDialogs;
use super::leg_state::{Calling, Cancel, Words};
use super::negotiation::{Exchange, Negotiation, kept};
use super::session_timer::Session;
use super::stateless::{ALLOW, SUPPORTED};
use super::table::{Acknowledged, ClientMachine, FORKS_MAX};
use super::{ClientKey, Dial, Endpoint, Event, LegId, Output, State, reason, sdp_of};
use crate::hop::Hop;
use crate::message::{self, Message, Method, Name};
use crate::text::hex64;
use crate::time::Time;
use crate::transaction::InviteClient;

/// What a phone is told that answered too late.
const ANSWERED_ELSEWHERE: &[u8] = b"SIP;cause=200;text=\"Call completed elsewhere\"";

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
        let via = self.via(branch, dial.hop.into());
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
            .line(Name::Contact, &[self.contact(dial.hop.into()).as_bytes()])
            .line(Name::Allow, &[ALLOW])
            .line(Name::Supported, &[SUPPORTED]);
        let session = Session::new(&self.config);
        for (name, value) in session.lines_of_invite() {
            writer.line(name, &[&value]);
        }
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
            words: Words::new(now),
            is_tried: false,
            give_up: now + self.config.ring_max,
            early: EarlyDialogs::default(),
        };
        let negotiation = Negotiation::new(Some(&dial.sdp), None);
        let state = State::Calling(calling);
        self.insert_leg(id, dialog, (dial.hop, None), state, negotiation);
        let reliability = dial.hop.transport.reliability();
        let machine =
            ClientMachine::Invite(InviteClient::new(self.config.timing, reliability, now));
        self.start_client(invite, machine, bytes, dial.hop, Some(id));
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
        (status, from): (u16, Hop),
        now: Time,
    ) {
        match status {
            100..=199 => self.on_progress(key, response, status, now),
            200..=299 => self.on_success(key, response, from, now),
            _ => self.on_failure(key, response, status, now),
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
        let State::Calling(calling) = &mut leg.state else {
            return;
        };
        let is_new = status != 100 || !std::mem::replace(&mut calling.is_tried, true);
        let wanted = match calling.cancel {
            Cancel::Wanted(cause) => {
                self.send_cancel(id, key, cause, now);
                false
            }
            Cancel::Sent => false,
            Cancel::No => true,
        };
        if status == 100 {
            if wanted && is_new {
                self.event(Event::Trying { leg: id });
            }
            return;
        }
        let tag = tag_of(response);
        let Some((_, leg)) = self.calling_leg(key) else {
            return;
        };
        if let State::Calling(calling) = &mut leg.state
            && !calling.words.take(now)
        {
            return;
        }
        let mut sdp = sdp_of(response);
        if let (Some(tag), State::Calling(calling)) = (&tag, &mut leg.state) {
            // 199: one of several phones is out of it; the others go on (RFC 6228).
            if status == 199 {
                return calling.early.forget(tag);
            }
            sdp = sdp.filter(|_| !calling.early.is_agreed(tag));
            calling.early.learn(tag, &leg.dialog, response);
            leg.negotiation.learn(response);
            if !self.acknowledge_progress(id, tag, response, now) {
                return;
            }
            self.reschedule(id);
        }
        if wanted && status != 199 {
            self.event(Event::Progress {
                leg: id,
                status,
                sdp,
            });
        }
    }

    /// Each success gets its ACK each time it comes. The first one makes the call; another, from a fork or
    /// after our CANCEL, is ended at once (RFC 3261 section 13.2.2.4).
    fn on_success(&mut self, key: ClientKey, response: &Message, from: Hop, now: Time) {
        let tag = tag_of(response).unwrap_or_default();
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
        let (hop, leg) = (client.to, client.leg);
        let Ok(invite) = Message::parse(&client.request) else {
            return;
        };
        let Some(mut dialog) = Dialog::of_request(&invite) else {
            return;
        };
        let cseq = dialog.local_cseq;
        let is_within = dialog.remote_tag.is_some();
        if is_within {
            if let Some(leg) = leg.and_then(|id| self.legs.get(&id)) {
                dialog = leg.dialog.clone();
            }
            dialog.refresh_target(response);
        } else {
            dialog.learn(response);
        }
        let way = self.way_to_answerer(leg, &dialog, (hop, from));
        let to = way.to;
        let (_, via) = self.fresh_via(way);
        let mut ack = dialog.numbered(Method::Ack, cseq, via.as_bytes());
        for (name, value) in authorizations_of(invite.bytes()) {
            ack.line(name, &[&value]);
        }
        let ack = ack.finish();
        self.outputs.push_back(Output::Send {
            to,
            bytes: ack.clone(),
        });
        if let Some(client) = self.clients.get_mut(&key) {
            let tag = tag.clone();
            client.acks.push(Acknowledged { tag, ack, to });
        }
        if is_within {
            if let Some(id) = leg {
                self.on_offer_outcome(id, key, 200, Some(response), now);
            }
            return;
        }
        match self.calling_leg(key) {
            Some((id, _)) => self.begin_talking(id, dialog, &tag, response, now),
            None => {
                // Where this phone was sent PRACKs the numbers went on; gaps are allowed.
                let used = leg.and_then(|id| self.legs.get(&id));
                dialog.local_cseq = used.map_or(cseq + 1_000, |leg| leg.dialog.local_cseq) + 1;
                let (bye, via) = self.fresh_via(way);
                let mut writer = dialog.request(Method::Bye, via.as_bytes());
                writer.line(Name::Reason, &[ANSWERED_ELSEWHERE]);
                let bytes = writer.finish();
                let is_heard = [hop, from]
                    .iter()
                    .any(|at| at.address.ip() == to.address.ip());
                self.start_bye_to_fork(bye, bytes, (to, is_heard), now);
            }
        }
    }

    /// Where the ACK of a success goes, and the BYE to a phone that nobody wants: behind NAT to where the success
    /// came from. `asked` is where the INVITE was sent.
    fn way_to_answerer(
        &self,
        leg: Option<LegId>,
        dialog: &Dialog,
        (asked, answered): (Hop, Hop),
    ) -> Way {
        let leg = leg.and_then(|id| self.legs.get(&id));
        let is_behind_nat = leg.map_or_else(|| self.is_nat(asked), |leg| leg.origin.nat);
        Way {
            to: match is_behind_nat && !dialog.has_route() {
                true => answered,
                false => dialog.next_hop(asked),
            },
            peer: leg.map_or(asked, |leg| leg.hop),
        }
    }

    /// The first phone that answers is the one.
    fn begin_talking(
        &mut self,
        id: LegId,
        mut dialog: Dialog,
        tag: &[u8],
        response: &Message,
        now: Time,
    ) {
        self.end_exchange_with_others(id, tag, now);
        let Some(leg) = self.legs.get_mut(&id) else {
            return;
        };
        let State::Calling(calling) = &mut leg.state else {
            return;
        };
        let wanted = calling.is_wanted();
        let before = calling.early.find(tag);
        let is_agreed = before.as_ref().is_some_and(|early| early.is_agreed);
        dialog.local_cseq = leg.dialog.local_cseq;
        dialog.remote_cseq = before.as_ref().and_then(|early| early.dialog.remote_cseq);
        let early_sdp = before.and_then(|early| early.sdp.take());
        let sdp = match is_agreed {
            // Only an offer of its own changes that (RFC 3261 section 13.2.1).
            true => early_sdp,
            false => sdp_of(response).or(early_sdp),
        };
        leg.dialog = dialog;
        leg.state = State::Talking;
        leg.negotiation.learn(response);
        if leg.negotiation.is_first() {
            leg.negotiation.exchange = Exchange::Idle;
        }
        leg.negotiation.remote = sdp.as_deref().and_then(kept);
        leg.session.take_response(response, now);
        self.reschedule(id);
        if wanted {
            self.event(Event::Answered { leg: id, sdp });
        } else {
            self.send_bye(id, None, now);
        }
    }

    fn on_failure(&mut self, key: ClientKey, response: &Message, status: u16, now: Time) {
        let Some((id, leg)) = self.calling_leg(key) else {
            // Of a re-INVITE, if any leg is left that wants to hear it.
            if let Some(id) = self.clients.get(&key).and_then(|client| client.leg) {
                self.on_offer_outcome(id, key, status, Some(response), now);
            }
            return;
        };
        let State::Calling(calling) = &leg.state else {
            return;
        };
        let wanted = calling.is_wanted();
        if wanted && status == 422 && leg.session.raise(response) {
            return self.dial_again(id, key, now);
        }
        self.remove_leg(id, now);
        if wanted {
            self.event(Event::Refused {
                leg: id,
                status,
                cause: response.cause(),
                silent: false,
            });
        }
    }

    /// The same INVITE with the longer interval that was asked for (RFC 4028 section 7.3).
    fn dial_again(&mut self, id: LegId, key: ClientKey, now: Time) {
        let Some(client) = self.clients.get(&key) else {
            return;
        };
        let (to, before) = (client.to, client.request.clone());
        let Ok(before) = Message::parse(&before) else {
            return;
        };
        let (fresh, via) = self.fresh_via(to.into());
        let Some(leg) = self.legs.get_mut(&id) else {
            return;
        };
        leg.dialog.local_cseq += 1;
        let lines = leg.session.lines_of_invite();
        let lines: Vec<(Name, &[u8])> = lines
            .iter()
            .map(|(name, value)| (*name, value.as_slice()))
            .collect();
        let bytes = message::again(&before, via.as_bytes(), leg.dialog.local_cseq, &lines);
        if let State::Calling(calling) = &mut leg.state {
            calling.invite = fresh;
            calling.early = EarlyDialogs::default();
        }
        let reliability = to.transport.reliability();
        let machine = InviteClient::new(self.config.timing, reliability, now);
        self.start_client(fresh, ClientMachine::Invite(machine), bytes, to, Some(id));
    }

    /// Nobody answered the INVITE at all.
    pub(super) fn on_invite_silence(
        &mut self,
        key: ClientKey,
        heard: bool,
        status: u16,
        now: Time,
    ) {
        let Some(id) = self.clients.get(&key).and_then(|client| client.leg) else {
            return;
        };
        let Some((_, leg)) = self.calling_leg(key) else {
            return self.on_offer_silence(id, key, heard, now);
        };
        let State::Calling(calling) = &leg.state else {
            return;
        };
        let wanted = calling.is_wanted();
        self.remove_leg(id, now);
        if wanted {
            self.event(Event::Refused {
                leg: id,
                status,
                cause: None,
                silent: true,
            });
        }
    }

    pub(super) fn send_bye(&mut self, id: LegId, cause: Option<u8>, now: Time) {
        self.close_exchange(id, now);
        let Some(way) = self.legs.get(&id).map(|leg| leg.way(&leg.dialog)) else {
            return;
        };
        let (key, via) = self.fresh_via(way);
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
        self.start_plain_client(key, writer.finish(), way.to, Some(id), now);
    }
}

fn tag_of(response: &Message) -> Option<Box<[u8]>> {
    let to = response
        .header(Name::To)
        .and_then(message::NameAddr::parse)?;
    to.tag().map(Into::into)
}
