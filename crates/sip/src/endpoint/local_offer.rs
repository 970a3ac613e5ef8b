//! Offers of ours within a dialog, and the refreshing of sessions, which uses the same requests
//! (RFC 3261 section 14.1, RFC 3311 section 5.1, RFC 4028 section 7.4).

use super::negotiation::{Exchange, Ours, PendingOffer};
use super::stateless::ALLOW;
use super::{ClientKey, Endpoint, Event, Leg, LegId, State, body_of};
use crate::hop::Hop;
use crate::message::{Message, Method, Name, Writer};
use crate::time::Time;
use std::time::Duration;

/// How often one offer is sent, crossings and other reasons to repeat it counted together.
const TRIES_MAX: u8 = 6;
/// How long a re-INVITE may stay at a provisional response.
pub(super) const PENDING_MAX: Duration = Duration::from_secs(64);
/// Q.850: recovery on timer expiry.
const CAUSE_TIMER: u8 = 102;

impl Leg {
    /// By which request an offer can be made now, if at all.
    fn way_to_offer(&self) -> Option<Method> {
        let by_update = self.negotiation.allows_update.then_some(Method::Update);
        match (&self.negotiation.exchange, &self.state) {
            (Exchange::Idle, State::Talking) => Some(Method::Invite),
            (Exchange::Idle, State::Ringing(_)) => by_update,
            (Exchange::Idle, State::Calling(calling)) if calling.is_wanted() => by_update,
            _ => None,
        }
    }

    /// Our offer or refresh goes on under another key.
    pub(super) fn rekey_offer(&mut self, before: ClientKey, after: ClientKey) {
        if let Exchange::Ours(ours) = &mut self.negotiation.exchange
            && ours.key == before
        {
            ours.key = after;
        }
        if self.session.refreshing == Some(before) {
            self.session.refreshing = Some(after);
        }
    }

    /// When the pending offer can be sent.
    pub(super) fn pending_offer_due(&self) -> Option<Time> {
        let pending_offer = self.negotiation.pending_offer.as_ref()?;
        self.way_to_offer().map(|_| pending_offer.not_before)
    }
}

impl Endpoint {
    /// Whether [`super::Input::Offer`] would go out at once: before the answer an offer may have to wait for it.
    pub fn may_offer(&self, id: LegId) -> bool {
        self.legs.get(&id).is_some_and(|leg| {
            leg.negotiation.pending_offer.is_none() && leg.way_to_offer().is_some()
        })
    }

    pub(super) fn offer(&mut self, id: LegId, sdp: &[u8], now: Time) {
        let Some(leg) = self.legs.get_mut(&id) else {
            return;
        };
        let negotiation = &mut leg.negotiation;
        let waits = negotiation
            .pending_offer
            .as_ref()
            .is_some_and(|pending_offer| pending_offer.offer.is_some());
        match &negotiation.exchange {
            _ if matches!(leg.state, State::Closing) => {}
            Exchange::Theirs(_) => self.event(Event::OfferRefused {
                leg: id,
                status: 491,
            }),
            Exchange::Ours(ours) if !ours.is_refresh => self.event(Event::OfferRefused {
                leg: id,
                status: 491,
            }),
            _ if waits => self.event(Event::OfferRefused {
                leg: id,
                status: 491,
            }),
            _ => {
                negotiation.pending_offer = Some(PendingOffer::to_offer(sdp, now));
                self.send_pending_offer(id, now);
                self.reschedule(id);
            }
        }
    }

    /// Sends what we want to offer, if there is something and its time has come.
    pub(super) fn send_pending_offer(&mut self, id: LegId, now: Time) {
        let Some(leg) = self.legs.get_mut(&id) else {
            return;
        };
        let Some(method) = leg.way_to_offer() else {
            return;
        };
        let due = |pending_offer: &mut PendingOffer| pending_offer.not_before <= now;
        let Some(pending_offer) = leg.negotiation.pending_offer.take_if(due) else {
            return;
        };
        let local = leg.negotiation.local.clone();
        let Some(offer) = pending_offer.offer.clone().or(local) else {
            return;
        };
        let Some((key, writer, to)) = self.request_within(id, method) else {
            return;
        };
        if let Some(leg) = self.legs.get_mut(&id) {
            let with = leg.known_dialog().and_then(|it| it.remote_tag.clone());
            leg.negotiation.exchange = Exchange::Ours(Ours {
                key,
                with,
                offer: offer.clone(),
                is_refresh: pending_offer.offer.is_none(),
                tries: pending_offer.tries,
            });
        }
        let bytes = writer.finish_with_sdp(&offer);
        match method {
            Method::Invite => self.start_invite_within(key, bytes, to, id, now),
            _ => self.start_plain_client(key, bytes, to, Some(id), now),
        }
    }

    /// Begins a request within the dialog of a leg, or within the early one that is known best.
    pub(super) fn request_within(
        &mut self,
        id: LegId,
        method: Method,
    ) -> Option<(ClientKey, Writer, Hop)> {
        let leg = self.legs.get(&id)?;
        let way = leg.way(leg.known_dialog()?);
        let (key, via) = self.fresh_via(way);
        let contact = self.contact(way);
        let leg = self.legs.get_mut(&id)?;
        leg.dialog.local_cseq += 1;
        let dialog = leg.known_dialog()?;
        let mut writer = dialog.numbered(method, leg.dialog.local_cseq, via.as_bytes());
        if matches!(method, Method::Invite | Method::Update) {
            writer
                .line(Name::Contact, &[contact.as_bytes()])
                .line(Name::Allow, &[ALLOW]);
            leg.session.write_request(&mut writer);
        }
        Some((key, writer, way.to))
    }

    /// The end of an offer of ours, or of a refresh: a final response, or none at all (408).
    pub(super) fn on_offer_outcome(
        &mut self,
        id: LegId,
        key: ClientKey,
        status: u16,
        response: Option<&Message>,
        now: Time,
    ) {
        let Some(leg) = self.legs.get_mut(&id) else {
            return;
        };
        if leg.session.refreshing == Some(key) {
            leg.session.refreshing = None;
            self.on_refresh_outcome(id, status, response, now);
            return self.reschedule(id);
        }
        let is_ours = matches!(&leg.negotiation.exchange, Exchange::Ours(ours) if ours.key == key);
        if !is_ours {
            return;
        }
        let Exchange::Ours(ours) = std::mem::replace(&mut leg.negotiation.exchange, Exchange::Idle)
        else {
            return;
        };
        match (status, response) {
            (200..=299, Some(response)) => self.on_offer_accepted(id, ours, response, now),
            _ => self.on_offer_failed(id, ours, status, response, now),
        }
        self.reschedule(id);
    }

    fn on_offer_accepted(&mut self, id: LegId, ours: Ours, response: &Message, now: Time) {
        let Some(leg) = self.legs.get_mut(&id) else {
            return;
        };
        leg.dialog.refresh_target(response);
        leg.negotiation.learn(response);
        leg.session.take_response(response, now);
        let answer = body_of(response);
        let is_new = leg.negotiation.remote.as_deref() != answer.as_deref();
        match answer {
            Some(sdp) => {
                leg.negotiation.local = Some(ours.offer);
                leg.renew(ours.with.as_deref().unwrap_or_default(), &sdp);
                // What waits to be offered brings an answer of its own.
                if !ours.is_refresh || (is_new && leg.negotiation.pending_offer.is_none()) {
                    self.event(Event::OfferAccepted { leg: id, sdp });
                }
            }
            None if ours.is_refresh => {}
            None => self.event(Event::OfferAccepted {
                leg: id,
                sdp: Vec::new(),
            }),
        }
    }

    fn on_offer_failed(
        &mut self,
        id: LegId,
        ours: Ours,
        status: u16,
        response: Option<&Message>,
        now: Time,
    ) {
        let pause = self.pause_after_crossing(id);
        let Some(leg) = self.legs.get_mut(&id) else {
            return;
        };
        let again = ours.tries + 1 < TRIES_MAX
            && match status {
                491 => true,
                422 => response.is_some_and(|response| leg.session.raise(response)),
                // It said that it takes UPDATE, and does not.
                405 | 501 if leg.negotiation.allows_update => {
                    leg.negotiation.allows_update = false;
                    !matches!(leg.state, State::Talking)
                }
                _ => false,
            };
        if again && leg.negotiation.pending_offer.is_none() {
            let pause = if status == 491 { pause } else { Duration::ZERO };
            leg.negotiation.pending_offer = Some(PendingOffer {
                offer: (!ours.is_refresh).then_some(ours.offer),
                not_before: now + pause,
                tries: ours.tries + 1,
            });
            return;
        }
        let is_talking = matches!(leg.state, State::Talking);
        if is_talking && response.is_some() && leg.session.is_over_by(status) {
            return self.end_lost(id, status, now);
        }
        if ours.is_refresh {
            leg.session.try_again(now);
        } else {
            self.event(Event::OfferRefused { leg: id, status });
        }
    }

    /// Who owns the Call-ID waits longer than the other, so that they do not cross again (section 14.1).
    fn pause_after_crossing(&mut self, id: LegId) -> Duration {
        let is_ours = self.legs.get(&id).is_some_and(|leg| leg.we_called);
        let drawn = self.chance.next_u64();
        let hundredths = if is_ours {
            210 + drawn % 191
        } else {
            drawn % 201
        };
        Duration::from_millis(hundredths * 10)
    }

    /// Nobody answered a re-INVITE or UPDATE of ours at all, or only provisionally.
    pub(super) fn on_offer_silence(&mut self, id: LegId, key: ClientKey, heard: bool, now: Time) {
        let Some(leg) = self.legs.get(&id) else {
            return;
        };
        let ours = matches!(&leg.negotiation.exchange, Exchange::Ours(ours) if ours.key == key);
        let is_talking = matches!(leg.state, State::Talking);
        if (ours || leg.session.refreshing == Some(key)) && is_talking && !heard {
            self.end_lost(id, 408, now);
        } else {
            self.on_offer_outcome(id, key, 408, None, now);
        }
    }

    pub(super) fn on_session_timeout(&mut self, id: LegId, now: Time) {
        let Some(leg) = self.legs.get_mut(&id) else {
            return;
        };
        if !matches!(leg.state, State::Talking) {
            return;
        }
        if leg.session.is_over(now) {
            self.end_silent(id, Some(CAUSE_TIMER), now);
        } else if leg.session.take_refresh_due(now) {
            self.refresh(id, now);
        }
    }

    /// By UPDATE without an offer where they take it, since that cannot change anything; else by repeating
    /// what we said last.
    fn refresh(&mut self, id: LegId, now: Time) {
        let Some(leg) = self.legs.get_mut(&id) else {
            return;
        };
        if !leg.negotiation.allows_update {
            if leg.negotiation.pending_offer.is_none() {
                leg.negotiation.pending_offer = Some(PendingOffer::to_refresh(now));
            }
            return;
        }
        if let Some((key, writer, to)) = self.request_within(id, Method::Update) {
            if let Some(leg) = self.legs.get_mut(&id) {
                leg.session.refreshing = Some(key);
            }
            self.start_plain_client(key, writer.finish(), to, Some(id), now);
        }
    }

    fn on_refresh_outcome(
        &mut self,
        id: LegId,
        status: u16,
        response: Option<&Message>,
        now: Time,
    ) {
        let Some(leg) = self.legs.get_mut(&id) else {
            return;
        };
        match (status, response) {
            (200..=299, Some(response)) => {
                leg.dialog.refresh_target(response);
                leg.session.take_response(response, now);
            }
            (422, Some(response)) if leg.session.raise(response) => self.refresh(id, now),
            (405 | 501, Some(_)) => {
                leg.negotiation.allows_update = false;
                self.refresh(id, now);
            }
            (_, Some(_)) if leg.session.is_over_by(status) => self.end_lost(id, status, now),
            _ => leg.session.try_again(now),
        }
    }

    /// The other side does not know the call any more (481), or does not speak (408).
    pub(super) fn end_lost(&mut self, id: LegId, status: u16, now: Time) {
        if status != 481 {
            return self.end_silent(id, None, now);
        }
        self.remove_leg(id, now);
        self.event(Event::Ended {
            leg: id,
            cause: None,
            silent: true,
        });
    }

    /// Hangs up on a side that does not speak any more.
    pub(super) fn end_silent(&mut self, id: LegId, cause: Option<u8>, now: Time) {
        self.send_bye(id, cause, now);
        self.event(Event::Ended {
            leg: id,
            cause,
            silent: true,
        });
    }
}
