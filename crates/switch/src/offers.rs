//! Changes of the media of a call, before its answer and after.

use super::ladder::Way;
use super::media::{Across, Unfit};
use super::media_names::Resolved;
use super::{CallKey, Switch};
use maskline_domain::call::{Input as CallInput, Moment, Side};
use maskline_sip::endpoint::{Input as SipInput, LegId, Warning};
use maskline_sip::sdp::Description;
use std::net::IpAddr;

impl Switch {
    /// Reads what a side says of its media. Nothing has changed yet: what cannot be used is found here, before
    /// any of it is taken.
    pub(super) fn read(
        &self,
        key: CallKey,
        side: Side,
        body: &[u8],
        named: Option<IpAddr>,
    ) -> Result<Description, Unfit> {
        let live = self.calls.get(&key).ok_or(Unfit::Codec)?;
        let said = live.media.read(side, body, named)?;
        match self.leads_back(key, said.audio.address) {
            true => Err(Unfit::MediaLoop),
            false => Ok(said),
        }
    }

    /// A side offers other media, or wants to be offered what is. `can_wait`: the other side may be asked though
    /// it need not be.
    pub(super) fn on_offered(
        &mut self,
        leg: LegId,
        sdp: Option<&[u8]>,
        can_wait: bool,
        named: Resolved,
        now: Moment,
    ) {
        let Some((key, side)) = self.legs.get(&leg).copied() else {
            return;
        };
        let Some(live) = self.calls.get_mut(&key) else {
            return;
        };
        let Some(body) = sdp else {
            live.note(now, side, Way::In, "offer", "wants ours");
            return self.give_to_call(key, CallInput::OfferWanted(side), now);
        };
        live.note(
            now,
            side,
            Way::In,
            "offer",
            named.err().map_or("", Unfit::note),
        );
        let offer = match named.and_then(|address| self.read(key, side, body, address)) {
            Ok(offer) => offer,
            Err(unfit) => return self.send_refusal(key, side, 488, unfit.warning(), now),
        };
        let Some(live) = self.calls.get_mut(&key) else {
            return;
        };
        if !live.call.is_talking() {
            return self.on_early_offer(key, side, offer, now);
        }
        // An UPDATE of before the answer may have come after it.
        if !can_wait && let Some(reply) = live.media.take_move(side, &offer) {
            live.reply = Some(reply);
            return self.give_to_call(key, CallInput::OfferFits(side), now);
        }
        match live.media.take_offer(side, offer) {
            Ok(()) => self.give_to_call(key, CallInput::Offered(side), now),
            Err(status) => self.send_refusal(key, side, status, None, now),
        }
    }

    /// The same before the answer. A ring-tone server hands over to the phone in this way (RFC 3311): the other
    /// side is asked only if what is agreed does not stay.
    fn on_early_offer(&mut self, key: CallKey, side: Side, offer: Description, now: Moment) {
        let across = self.across(key, side);
        let Some(live) = self.calls.get_mut(&key) else {
            return;
        };
        let was_heard = live.media.is_callee_heard();
        match live.media.take_early_offer(side, offer, across) {
            Ok(Some(reply)) => {
                live.reply = Some(reply);
                self.give_to_call(key, CallInput::OfferFits(side), now);
            }
            Ok(None) => self.give_to_call(key, CallInput::Offered(side), now),
            Err(status) => self.send_refusal(key, side, status, None, now),
        }
        self.hear_callee(key, was_heard, now);
    }

    /// Whether the other side can be asked, by the call and by where its dialog stands (RFC 3264 section 4).
    fn across(&self, key: CallKey, side: Side) -> Across {
        let Some(live) = self.calls.get(&key) else {
            return Across::Nobody;
        };
        let other = live.leg(side.other());
        match live.call.is_announcing() {
            true => Across::Nobody,
            false if other.is_some_and(|leg| self.endpoint.may_offer(leg)) => Across::Asked,
            false => Across::Unasked,
        }
    }

    /// The callee may mean to send only now.
    fn hear_callee(&mut self, key: CallKey, was_heard: bool, now: Moment) {
        let live = self.calls.get(&key);
        if !was_heard && live.is_some_and(|live| live.media.is_callee_heard()) {
            self.give_to_call(key, CallInput::CalleeHeard, now);
        }
    }

    /// A side does not wait for the answer to its offer any longer.
    pub(super) fn on_offer_withdrawn(&mut self, leg: LegId, now: Moment) {
        let Some((key, side)) = self.legs.get(&leg).copied() else {
            return;
        };
        let Some(live) = self.calls.get_mut(&key) else {
            return;
        };
        live.note(now, side, Way::In, "offer", "is withdrawn");
        live.media.forget_offer(side);
        self.give_to_call(key, CallInput::OfferWithdrawn(side), now);
    }

    pub(super) fn on_offer_accepted(
        &mut self,
        leg: LegId,
        sdp: &[u8],
        named: Resolved,
        now: Moment,
    ) {
        let Some((key, side)) = self.legs.get(&leg).copied() else {
            return;
        };
        let Some(live) = self.calls.get_mut(&key) else {
            return;
        };
        live.note(now, side, Way::In, 200, "takes the offer");
        if side == Side::Caller && live.media.is_late() {
            // It answers the offer in our reliable progress by PRACK (RFC 3262 section 5).
            return self.take_late_answer(key, sdp, named, now);
        }
        let address = named.ok().flatten();
        if !live.media.owes_reply(side) {
            return self.take_answer_to_what_is(key, side, sdp, address, now);
        }
        let was_heard = live.media.is_callee_heard();
        match live.media.take_reply(side, sdp, address) {
            Ok(reply) => {
                live.reply = Some(reply);
                self.give_to_call(key, CallInput::OfferAccepted(side), now);
                self.hear_callee(key, was_heard, now);
            }
            Err(_) => self.give_to_call(key, CallInput::AnswerUnfit(side), now),
        }
    }

    /// A side has answered what it was offered as it is. One that fits nothing changes nothing.
    fn take_answer_to_what_is(
        &mut self,
        key: CallKey,
        side: Side,
        sdp: &[u8],
        named: Option<IpAddr>,
        now: Moment,
    ) {
        let Some(live) = self.calls.get_mut(&key) else {
            return;
        };
        let taken = live.media.take_answer_to_what_is(side, sdp, named);
        if taken.is_ok() {
            self.relay(key);
        }
        self.give_to_call(key, CallInput::OfferAccepted(side), now);
        self.tell_if_codecs_differ(key, side, now);
        if taken == Ok(true) {
            self.give_to_call(key, CallInput::MediaChanged(side), now);
        }
    }

    pub(super) fn on_offer_refused(&mut self, leg: LegId, status: u16, now: Moment) {
        let Some((key, side)) = self.legs.get(&leg).copied() else {
            return;
        };
        let Some(live) = self.calls.get_mut(&key) else {
            return;
        };
        live.note(now, side, Way::In, status, "refuses the offer");
        let refused = CallInput::OfferRefused {
            side,
            status,
            speaks_another: live.media.speaks_another(side),
        };
        self.give_to_call(key, refused, now);
    }

    /// The sides may have been answered with two codecs, of which this one does not take the other's.
    fn tell_if_codecs_differ(&mut self, key: CallKey, side: Side, now: Moment) {
        let live = self.calls.get(&key);
        if live.is_some_and(|live| live.media.speaks_another(side)) {
            self.give_to_call(key, CallInput::CodecsDiffer, now);
        }
    }

    /// Offers one side what the other one has offered.
    pub(super) fn pass_offer_on(&mut self, key: CallKey, side: Side, now: Moment) {
        let offer = self.calls.get_mut(&key);
        let offer = offer.and_then(|live| live.media.offer_to(side));
        self.send_offer(key, side, offer, now);
    }

    /// Offers one side, unasked, what the other one's media is now.
    pub(super) fn tell_change(&mut self, key: CallKey, side: Side, now: Moment) {
        let offer = self.calls.get_mut(&key);
        let offer = offer.and_then(|live| live.media.offer_what_is(side));
        self.send_offer(key, side, offer, now);
    }

    fn send_offer(&mut self, key: CallKey, side: Side, offer: Option<Vec<u8>>, now: Moment) {
        let Some(live) = self.calls.get_mut(&key) else {
            return;
        };
        match (live.leg(side), offer) {
            (Some(leg), Some(offer)) => {
                live.note(now, side, Way::Out, "offer", "");
                self.sip(SipInput::Offer(leg, offer), now);
            }
            _ => self.give_to_call(key, not_offered(side, 488), now),
        }
    }

    /// Offers one side what the other one's media is, since it asked.
    pub(super) fn offer_what_is(&mut self, key: CallKey, side: Side, now: Moment) {
        let Some(live) = self.calls.get_mut(&key) else {
            return;
        };
        match (live.leg(side), live.media.offer_what_is(side)) {
            (Some(leg), Some(offer)) => {
                live.note(now, side, Way::Out, 200, "offers what is");
                self.sip(SipInput::AcceptOffer(leg, offer), now);
            }
            _ => {
                self.send_refusal(key, side, 491, None, now);
                self.give_to_call(key, not_offered(side, 491), now);
            }
        }
    }

    pub(super) fn accept_offer(&mut self, key: CallKey, side: Side, now: Moment) {
        let Some(live) = self.calls.get_mut(&key) else {
            return;
        };
        let Some((leg, reply)) = live.leg(side).zip(live.reply.take()) else {
            return;
        };
        live.note(now, side, Way::Out, 200, "takes the offer");
        let across = self.across(key, side);
        let path = self.calls.get(&key);
        let path = path.and_then(|live| live.media.path_now(across));
        if let Some(path) = path {
            self.relay_by(key, path);
        }
        self.sip(SipInput::AcceptOffer(leg, reply), now);
    }

    pub(super) fn refuse_offer(&mut self, key: CallKey, side: Side, status: u16, now: Moment) {
        if let Some(live) = self.calls.get_mut(&key) {
            live.media.forget_offer(side);
            self.send_refusal(key, side, status, None, now);
        }
    }

    fn send_refusal(
        &mut self,
        key: CallKey,
        side: Side,
        status: u16,
        warning: Option<Warning>,
        now: Moment,
    ) {
        let Some(live) = self.calls.get_mut(&key) else {
            return;
        };
        if let Some(leg) = live.leg(side) {
            live.note(now, side, Way::Out, status, "refuses the offer");
            let refused = match warning {
                Some(warning) => SipInput::RefuseOfferFor(leg, status, warning),
                None => SipInput::RefuseOffer(leg, status),
            };
            self.sip(refused, now);
        }
    }

    /// Media goes by what both sides have said last.
    pub(super) fn relay(&mut self, key: CallKey) {
        let path = self.calls.get(&key).and_then(|live| live.media.path());
        if let Some(path) = path {
            self.relay_by(key, path);
        }
    }
}

/// There is nothing that this side could be offered. It has not been asked for its codec then.
fn not_offered(side: Side, status: u16) -> CallInput {
    CallInput::OfferRefused {
        side,
        status,
        speaks_another: false,
    }
}
