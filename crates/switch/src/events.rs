//! What happens on a leg becomes what happens to its call.

use super::caller::early;
use super::ladder::Way;
use super::media::Unfit;
use super::media_names::Resolved;
use super::{CallKey, Output, Switch};
use maskline_domain::call::{CallerMedia, Input as CallInput, MediaAccess, Moment, Side};
use maskline_sip::endpoint::{Event, LegId};

impl Switch {
    /// `named` is what the host name in its description stands for.
    pub(super) fn take_event(&mut self, event: Event, named: Resolved, now: Moment) {
        match event {
            Event::Incoming {
                leg,
                peer,
                invite,
                max_forwards,
            } => self.on_incoming(leg, peer, &invite, max_forwards, named, now),
            Event::SourceVerified { leg } => self.on_source_verified(leg),
            Event::Trying { leg } => {
                if let Some(key) = self.hear(leg, 100, "", now) {
                    self.give_to_call(key, CallInput::TrunkTrying, now);
                }
            }
            Event::Progress { leg, status, sdp } => {
                let Some(key) = self.hear(leg, status, early(sdp.is_some()), now) else {
                    return;
                };
                // Early media that we cannot carry is no reason to end a call that is only ringing.
                let is_taken = sdp.is_some_and(|sdp| self.take_answer(key, &sdp, named).is_ok());
                // One who only says where it will listen has nothing to be heard.
                let Some(media) = self.calls.get(&key).map(|live| &live.media) else {
                    return;
                };
                let progress = CallInput::CalleeProgress {
                    status,
                    early_media: is_taken && media.is_callee_heard(),
                    caller: CallerMedia {
                        takes_tone: media.takes_tone(),
                        awaits_answer: !media.is_caller_listening(),
                    },
                };
                self.give_to_call(key, progress, now);
            }
            Event::Answered { leg, sdp } => {
                let note = named.err().map_or("", Unfit::note);
                let Some(key) = self.hear(leg, 200, note, now) else {
                    return;
                };
                let taken = self.take_answer(key, &sdp.unwrap_or_default(), named);
                self.seek_anew(key);
                let input = match taken {
                    Ok(()) => CallInput::CalleeAnswered(self.access(key)),
                    Err(unfit) => CallInput::MediaRefused(unfit.into()),
                };
                self.give_to_call(key, input, now);
                self.tell_those_behind(key, now);
            }
            Event::Refused {
                leg,
                status,
                cause,
                silent,
            } => {
                let note = match (self.dialled_by(leg), silent) {
                    (Some(trunk), true) => format!("{trunk} did not answer"),
                    (Some(trunk), false) => match cause {
                        Some(cause) => format!("{trunk} said no, cause {cause}"),
                        None => format!("{trunk} said no"),
                    },
                    (None, true) => "nobody answered".to_owned(),
                    (None, false) => told(cause),
                };
                self.hear(leg, status, note, now);
                let refused = CallInput::CalleeRefused {
                    status,
                    cause,
                    silent,
                    narrowed: self.is_narrowed(leg),
                };
                self.leg_ended(leg, |_| refused, now);
            }
            Event::PeerState {
                peer,
                reachable,
                at,
            } => self.on_peer_state(peer, reachable, at),
            Event::UnknownSource { from, method } => {
                self.outputs.push_back(Output::UnknownSource(from, method));
            }
            Event::Registered { peer, status } => self.on_registered(peer, status),
            Event::Confirmed { leg, sdp } => self.on_confirmed(leg, sdp.as_deref(), named, now),
            Event::Offered { leg, sdp, can_wait } => {
                self.on_offered(leg, sdp.as_deref(), can_wait, named, now)
            }
            Event::OfferWithdrawn { leg } => self.on_offer_withdrawn(leg, now),
            Event::OfferAccepted { leg, sdp } => self.on_offer_accepted(leg, &sdp, named, now),
            Event::OfferRefused { leg, status } => self.on_offer_refused(leg, status, now),
            Event::Info {
                leg,
                content_type,
                body,
            } => self.on_info(leg, &content_type, &body, now),
            Event::Cancelled { leg, cause } => {
                self.hear(leg, "CANCEL", told(cause), now);
                self.leg_ended(leg, |side| CallInput::Gone(side, cause), now);
            }
            Event::Ended { leg, cause, silent } => {
                let note = match silent {
                    true => "it spoke to us no longer".to_owned(),
                    false => told(cause),
                };
                self.hear(leg, "BYE", note, now);
                self.leg_ended(leg, |side| CallInput::Gone(side, cause), now);
            }
        }
    }

    /// Whether what both sides have agreed on can be played into and recorded.
    fn access(&self, key: CallKey) -> MediaAccess {
        match self.calls.get(&key).map(|live| &live.media) {
            Some(media) if !media.is_understood() => MediaAccess::PassedThrough,
            Some(media) if media.is_late() => MediaAccess::Awaited,
            _ => MediaAccess::Ready,
        }
    }

    /// Whether the callee on this leg was offered less than there is, for the sake of a ring tone.
    fn is_narrowed(&self, leg: LegId) -> bool {
        let key = self.legs.get(&leg).map(|(key, _)| key);
        let live = key.and_then(|key| self.calls.get(key));
        live.is_some_and(|live| live.media.is_narrowed_for_tone())
    }

    /// The trunk by which this leg was dialled.
    fn dialled_by(&self, leg: LegId) -> Option<String> {
        let (key, side) = self.legs.get(&leg)?;
        let live = self.calls.get(key).filter(|_| *side == Side::Callee)?;
        Some(live.trunks.get(live.trunk)?.definition.name.to_string())
    }

    /// Notes what a party said; none if its call is over.
    fn hear(
        &mut self,
        leg: LegId,
        what: impl ToString,
        note: impl ToString,
        now: Moment,
    ) -> Option<CallKey> {
        let (key, side) = self.legs.get(&leg).copied()?;
        let live = self.calls.get_mut(&key)?;
        live.note(now, side, Way::In, what, note);
        Some(key)
    }

    /// The caller gets what we send it, so that nobody else has asked for its call: what it may be sent before it
    /// is heard is as much as another who is verified.
    fn on_source_verified(&mut self, leg: LegId) {
        let found = self.legs.get(&leg).copied();
        let Some((key, Side::Caller)) = found else {
            return;
        };
        let live = self.calls.get_mut(&key);
        if let Some(unheard) = live.and_then(|live| live.media.mark_caller_verified()) {
            self.outputs
                .push_back(Output::Unheard(key, Side::Caller, unheard));
        }
    }

    /// The caller has our answer. If that was our offer, here is what it says to it.
    fn on_confirmed(&mut self, leg: LegId, sdp: Option<&[u8]>, named: Resolved, now: Moment) {
        let Some(key) = self.hear(leg, "ACK", "", now) else {
            return;
        };
        let Some(live) = self.calls.get_mut(&key) else {
            return;
        };
        if live.media.is_late() {
            self.take_late_answer(key, sdp.unwrap_or_default(), named, now);
        }
    }

    /// The caller's answer to our offer: media flows.
    pub(super) fn take_late_answer(
        &mut self,
        key: CallKey,
        sdp: &[u8],
        named: Resolved,
        now: Moment,
    ) {
        let Some(live) = self.calls.get_mut(&key) else {
            return;
        };
        match named.and_then(|address| live.media.take_late_answer(sdp, address)) {
            Ok(holds) => {
                self.relay(key);
                self.give_to_call(key, CallInput::CallerAnswered, now);
                if holds {
                    self.give_to_call(key, CallInput::MediaChanged(Side::Caller), now);
                }
            }
            Err(unfit) => self.give_to_call(key, CallInput::MediaRefused(unfit.into()), now),
        }
    }

    /// The callee has answered: a side that has not heard how the other one's media is hears it now, if the call
    /// stands. Who has not is known from what each was offered and answered (RFC 3264), so that it is found here.
    fn tell_those_behind(&mut self, key: CallKey, now: Moment) {
        for side in Side::BOTH {
            let live = self.calls.get(&key);
            if live.is_some_and(|live| live.media.is_behind(side)) {
                self.give_to_call(key, CallInput::MediaChanged(side.other()), now);
            }
        }
    }

    fn leg_ended(&mut self, leg: LegId, input: impl FnOnce(Side) -> CallInput, now: Moment) {
        if let Some((key, side)) = self.legs.remove(&leg) {
            if side == Side::Callee {
                self.leave_trunk_out(key);
            }
            self.give_to_call(key, input(side), now);
        }
    }

    /// The callee's SDP: what was agreed, and where the relay sends.
    fn take_answer(&mut self, key: CallKey, sdp: &[u8], named: Resolved) -> Result<(), Unfit> {
        let live = self.calls.get(&key).ok_or(Unfit::Codec)?;
        if sdp.is_empty() && live.media.is_agreed() {
            return Ok(());
        }
        let answer = named.and_then(|address| self.read(key, Side::Callee, sdp, address))?;
        let live = self.calls.get_mut(&key).ok_or(Unfit::Codec)?;
        if live.media.take_answer(answer)? {
            self.relay(key);
        }
        Ok(())
    }

    /// What was taken for a side behind NAT before the answer need not be it.
    fn seek_anew(&mut self, key: CallKey) {
        let live = self.calls.get_mut(&key);
        if live.is_some_and(|live| live.media.seek_anew()) {
            self.relay(key);
        }
    }
}

fn told(cause: Option<u8>) -> String {
    cause.map_or_else(String::new, |cause| format!("cause {cause}"))
}
