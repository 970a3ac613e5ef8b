//! One leg: what it is, when it must be looked at, and how it ends.

use super::addresses::Way;
use super::dialog::Dialog;
use super::leg_state::{Origin, State};
use super::negotiation::{Exchange, Negotiation};
use super::session_timer::Session;
use super::table::Owner;
use super::{Endpoint, LegId, Refusal};
use crate::hop::Hop;
use crate::message::{Message, Name, NameAddr};
use crate::time::Time;
use std::collections::VecDeque;
use std::net::IpAddr;
use std::sync::Arc;

pub(super) struct Leg {
    pub dialog: Dialog,
    /// Where requests go when the dialog names no address, or none that we can reach (NAT).
    pub hop: Hop,
    /// Where that is when the connection is gone by which the INVITE came; none for datagrams, for calls of
    /// ours, and once it was tried.
    pub elsewhere: Option<Hop>,
    pub origin: Origin,
    /// From where messages came that only who gets ours can write; the last few.
    pub heard: VecDeque<IpAddr>,
    /// Whether the peer itself has shown that it gets what we send: it knows our tag, a password, or a
    /// connection. Anybody can write its address on a datagram.
    pub is_source_verified: bool,
    pub state: State,
    pub negotiation: Negotiation,
    pub session: Session,
    /// Whether we dialled, so that the Call-ID is ours.
    pub we_called: bool,
    /// INFO requests of ours without an answer.
    pub infos: u8,
    /// A reliable response without SDP whose PRACK had not come when we answered (RFC 3262 section 3).
    pub late_rseq: Option<u32>,
    pub scheduled: Option<Time>,
    /// The hops at which it is found when a connection breaks.
    pub noted: [Option<Hop>; 2],
}

/// So many addresses from which something came are remembered on a leg.
const HEARD_MAX: usize = 4;

impl Leg {
    /// Whether whoever is there gets our messages, or is who the settings say. What a message names, such as a
    /// Contact, may be anybody, and so may the sender of a datagram.
    pub fn is_trusted(&self, hop: Hop) -> bool {
        let ip = hop.address.ip();
        let is_peer = self.hop.address.ip() == ip || self.origin.addresses.contains(&ip);
        self.heard.contains(&ip) || (self.is_source_verified && is_peer)
    }

    /// A message with our tag, or our branch, came from there. Says whether that proves the peer.
    pub fn hear(&mut self, hop: Hop) -> bool {
        let ip = hop.address.ip();
        if !self.heard.contains(&ip) {
            if self.heard.len() == HEARD_MAX {
                self.heard.pop_front();
            }
            self.heard.push_back(ip);
        }
        let is_peer = self.hop.address.ip() == ip || self.origin.addresses.contains(&ip);
        is_peer && !std::mem::replace(&mut self.is_source_verified, true)
    }

    pub fn deadline(&self) -> Option<Time> {
        let own = match &self.state {
            State::Calling(calling) => Some(calling.give_up),
            State::Ringing(ringing) => Some(ringing.deadline()),
            State::Answered(answered) => Some(answered.repeat.deadline()),
            State::Talking => self.session.deadline(),
            State::Closing => return None,
        };
        let others = [self.negotiation.deadline(), self.pending_offer_due()];
        others.into_iter().flatten().chain(own).min()
    }

    /// Where a request within this dialog of the leg goes.
    pub fn way(&self, dialog: &Dialog) -> Way {
        let to = match self.origin.nat && !dialog.has_route() {
            true => self.hop,
            false => dialog.next_hop(self.hop),
        };
        Way { to, peer: self.hop }
    }

    /// The dialog, early or not, in which they have this tag.
    pub fn dialog_with(&self, tag: Option<&[u8]>) -> &Dialog {
        match &self.state {
            State::Calling(calling) => {
                let early = calling.early.get(tag.unwrap_or_default());
                early.map_or(&self.dialog, |early| &early.dialog)
            }
            _ => &self.dialog,
        }
    }

    /// Whether something is, or would be, answered at this hop.
    pub fn is_answered_at(&self, hop: Hop) -> bool {
        self.hops().contains(&Some(hop))
    }

    /// Where something is, or would be, answered.
    pub fn hops(&self) -> [Option<Hop>; 2] {
        [Some(self.hop), self.ack_from()]
    }

    /// Whether a success of ours was sent to this hop and has no ACK yet.
    pub fn waits_for_ack_from(&self, hop: Hop) -> bool {
        self.ack_from() == Some(hop)
    }

    /// Where a success of ours was sent that has no ACK yet.
    fn ack_from(&self) -> Option<Hop> {
        match &self.state {
            State::Answered(answered) => Some(answered.to),
            _ => self.negotiation.confirms_at(),
        }
    }

    /// What went to one hop goes to another from now on. Gives the success that is to be sent there at once.
    pub fn redirect(&mut self, before: Hop, after: Hop) -> Option<Arc<[u8]>> {
        if self.hop == before {
            self.hop = after;
        }
        match &mut self.state {
            State::Ringing(ringing) => ringing.reliable.redirect(before, after),
            State::Answered(answered) if answered.to == before => {
                answered.to = after;
                return Some(answered.ok.clone());
            }
            _ => {}
        }
        self.negotiation.redirect(before, after)
    }

    /// The dialog in which we can say something: of several early ones the best; none before any.
    pub fn known_dialog(&self) -> Option<&Dialog> {
        match &self.state {
            State::Calling(calling) => calling.early.best(),
            _ => Some(&self.dialog),
        }
    }

    /// The dialog, early or not, in which a request of theirs came.
    pub fn dialog_of(&mut self, request: &Message) -> &mut Dialog {
        let from = request.header(Name::From).and_then(NameAddr::parse);
        let tag = from.and_then(|from| from.tag()).unwrap_or_default();
        match &mut self.state {
            State::Calling(calling) => match calling.early.find(tag) {
                Some(early) => &mut early.dialog,
                None => &mut self.dialog,
            },
            _ => &mut self.dialog,
        }
    }

    /// Takes the number of a request of theirs. Each early dialog has its own count.
    pub fn advance(&mut self, tag: Option<&[u8]>, number: u32) -> bool {
        match &mut self.state {
            State::Calling(calling) => calling
                .early
                .find(tag.unwrap_or_default())
                .is_none_or(|early| early.dialog.advance(number)),
            _ => self.dialog.advance(number),
        }
    }
}

impl Endpoint {
    pub(super) fn on_leg_timeout(&mut self, id: LegId, now: Time) {
        let Some(leg) = self.legs.get_mut(&id) else {
            return;
        };
        leg.scheduled = None;
        match &leg.state {
            State::Calling(_) => self.on_calling_timeout(id, now),
            State::Ringing(_) => self.on_ringing_timeout(id, now),
            State::Answered(_) => self.on_answered_timeout(id, now),
            State::Talking => self.on_session_timeout(id, now),
            State::Closing => {}
        }
        self.on_exchange_timeout(id, now);
        self.send_pending_offer(id, now);
        self.reschedule(id);
    }

    pub(super) fn hang_up(&mut self, id: LegId, cause: Option<u8>, now: Time) {
        let Some(leg) = self.legs.get_mut(&id) else {
            return;
        };
        match &mut leg.state {
            State::Calling(_) => self.cancel(id, cause, now),
            State::Ringing(_) => self.refuse(id, Refusal { status: 480, cause }, now),
            // BYE must wait for the ACK (RFC 3261 section 15).
            State::Answered(answered) => {
                answered.hang_up = Some(cause);
                self.close_exchange(id, now);
            }
            State::Talking => self.send_bye(id, cause, now),
            State::Closing => {}
        }
    }

    /// The leg has changed: when it must be looked at again, and over which hops it goes, is noted.
    pub(super) fn reschedule(&mut self, id: LegId) {
        self.note_hops(id);
        if let Some(leg) = self.legs.get_mut(&id) {
            let deadline = leg.deadline();
            self.timers
                .set(Owner::Leg(id), &mut leg.scheduled, deadline);
        }
    }

    pub(super) fn insert_leg(
        &mut self,
        id: LegId,
        dialog: Dialog,
        (hop, elsewhere): (Hop, Option<Hop>),
        state: State,
        negotiation: Negotiation,
    ) {
        let origin = self.origin_at(hop);
        let we_called = matches!(state, State::Calling(_));
        self.by_tag.insert(dialog.local_tag, id);
        self.legs.insert(
            id,
            Box::new(Leg {
                dialog,
                hop,
                elsewhere,
                heard: VecDeque::new(),
                is_source_verified: we_called || hop.transport.is_stream() || origin.is_challenged,
                origin,
                we_called,
                state,
                negotiation,
                session: Session::new(&self.config),
                infos: 0,
                late_rseq: None,
                scheduled: None,
                noted: [None; 2],
            }),
        );
        self.reschedule(id);
    }

    pub(super) fn remove_leg(&mut self, id: LegId, now: Time) -> Option<Box<Leg>> {
        self.close_exchange(id, now);
        let mut leg = self.legs.remove(&id)?;
        self.timers.set(Owner::Leg(id), &mut leg.scheduled, None);
        self.by_tag.remove(&leg.dialog.local_tag);
        for hop in leg.noted.into_iter().flatten() {
            self.legs_by_hop.remove(hop, id);
        }
        if let State::Ringing(ringing) = &leg.state {
            self.unanswered.remove(&ringing.merge_key);
        }
        Some(leg)
    }

    /// The leg ends: an offer of theirs that waits is answered now, and nothing more is offered.
    pub(super) fn close_exchange(&mut self, id: LegId, now: Time) {
        self.refuse_offer(id, 487, None, now);
        if let Some(leg) = self.legs.get_mut(&id) {
            leg.negotiation.pending_offer = None;
            leg.negotiation.exchange = Exchange::Idle;
        }
    }

    /// The leg whose BYE has come to an end.
    pub(super) fn forget_closing(&mut self, id: LegId, now: Time) {
        if self
            .legs
            .get(&id)
            .is_some_and(|leg| matches!(leg.state, State::Closing))
        {
            self.remove_leg(id, now);
        }
    }
}
