//! Offers of theirs within a dialog: re-INVITE (RFC 3261 section 14.2) and UPDATE (RFC 3311 section 5.2).

use super::addresses::Way;
use super::negotiation::{Confirming, Exchange, Theirs, kept};
use super::stateless::{ALLOW, Hint};
use super::{
    Endpoint, Event, Leg, LegId, Output, ServerId, State, Warning, body_of, sdp_of, session_timer,
};
use crate::hop::Hop;
use crate::message::{self, Message, Method, Name, NameAddr};
use crate::time::Time;
use crate::transaction::{Reliability, Repeat};
use std::sync::Arc;
use std::time::Duration;

/// How long the call above may think about an offer; the sender of an UPDATE gives up after 32 s.
pub(super) const THINKING: Duration = Duration::from_secs(20);

impl Endpoint {
    pub(super) fn on_offer(
        &mut self,
        id: LegId,
        request: Message,
        from: Hop,
        key: Box<[u8]>,
        now: Time,
    ) {
        let is_invite = request.method() == Some(Method::Invite);
        let offer = sdp_of(&request);
        let too_short = session_timer::too_short(&request, &self.config);
        let soon = Hint::RetrySoon(self.soon());
        let Some(leg) = self.legs.get_mut(&id) else {
            return;
        };
        let refusal = match too_short {
            Some(min_s) => Some((422, Hint::MinSe(min_s))),
            None => offer_refusal(leg, &request, offer.is_some()).map(|status| match status {
                500 => (status, soon),
                _ => (status, Hint::None),
            }),
        };
        if let Some((status, hint)) = refusal {
            let bytes = self.write_answer(&request, from, status, hint);
            return self.respond_within(&request, from, key, id, (status, bytes), now);
        }
        leg.dialog_of(&request).refresh_target(&request);
        leg.negotiation.learn(&request);
        let says_nothing_new = match &offer {
            None => !is_invite,
            Some(offer) => leg.negotiation.is_repeated(offer),
        };
        let local = leg.negotiation.local.clone();
        let Some(server) = self.open_server(&request, from, key, id) else {
            return;
        };
        let theirs = Theirs {
            server,
            request: Arc::new(request),
            source: from,
            until: now + THINKING,
        };
        if says_nothing_new {
            let answer = offer.and(local);
            return self.accept(id, &theirs, answer, now);
        }
        if is_invite {
            let trying = message::reply(&theirs.request, from, 100, None).finish();
            self.respond(server, 100, trying, now);
        }
        self.ask_the_call(id, theirs);
    }

    pub(super) fn ask_the_call(&mut self, id: LegId, theirs: Theirs) {
        let sdp = body_of(&theirs.request);
        let can_wait = theirs.request.method() == Some(Method::Invite);
        if let Some(leg) = self.legs.get_mut(&id) {
            leg.negotiation.exchange = Exchange::Theirs(theirs);
            self.event(Event::Offered {
                leg: id,
                sdp,
                can_wait,
            });
            self.reschedule(id);
        }
    }

    /// Seconds after which it makes sense to ask again, 0 to 10 (section 14.2).
    pub(super) fn soon(&mut self) -> u16 {
        (self.chance.next_u64() % 11) as u16
    }

    pub(super) fn accept_offer(&mut self, id: LegId, sdp: &[u8], now: Time) {
        if let Some(theirs) = self.take_theirs(id) {
            self.accept(id, &theirs, Some(sdp.into()), now);
        }
    }

    pub(super) fn refuse_offer(
        &mut self,
        id: LegId,
        status: u16,
        warning: Option<Warning>,
        now: Time,
    ) {
        let Some(theirs) = self.take_theirs(id) else {
            return;
        };
        let is_invite = theirs.request.method() == Some(Method::Invite);
        let status = match status {
            // 491 is for those whose offer meets one of ours, which is not so (RFC 3311 section 5.2).
            491 if !is_invite => 500,
            400..700 => status,
            _ => 488,
        };
        let hint = match status {
            500 | 503 => Hint::RetrySoon(self.soon()),
            _ => warning.map_or(Hint::None, Hint::Warning),
        };
        let bytes = self.write_answer(&theirs.request, theirs.source, status, hint);
        self.respond(theirs.server, status, bytes, now);
        self.reschedule(id);
    }

    fn take_theirs(&mut self, id: LegId) -> Option<Theirs> {
        let negotiation = &mut self.legs.get_mut(&id)?.negotiation;
        match std::mem::replace(&mut negotiation.exchange, Exchange::Idle) {
            Exchange::Theirs(theirs) => Some(theirs),
            other => {
                negotiation.exchange = other;
                None
            }
        }
    }

    /// Says 200 to a re-INVITE, an UPDATE or a PRACK.
    fn accept(&mut self, id: LegId, theirs: &Theirs, sdp: Option<Arc<[u8]>>, now: Time) {
        let request = &theirs.request;
        let Some(hop) = self.legs.get(&id).map(|leg| leg.hop) else {
            return;
        };
        let contact = self.contact(Way {
            to: theirs.source,
            peer: hop,
        });
        let Some(leg) = self.legs.get_mut(&id) else {
            return;
        };
        let mut writer = message::reply(request, theirs.source, 200, None);
        if request.method() != Some(Method::Prack) {
            writer
                .line(Name::Contact, &[contact.as_bytes()])
                .line(Name::Allow, &[ALLOW]);
            leg.session.accept(request, &mut writer, now);
        }
        // What an answer of ours left to be told is in this one.
        let is_answering = matches!(leg.state, State::Ringing(_) | State::Answered(_));
        let is_told = is_answering && sdp.is_some() && leg.negotiation.forgets_offer();
        if let Some(sdp) = &sdp {
            leg.negotiation.local = Some(sdp.clone());
            if let Some(offer) = sdp_of(request) {
                leg.renew(tag_of(request), &offer);
            }
        }
        let ok = match &sdp {
            Some(sdp) => writer.finish_with_sdp(sdp),
            None => writer.finish(),
        };
        self.respond(theirs.server, 200, ok.clone(), now);
        if is_told {
            self.event(Event::OfferRefused {
                leg: id,
                status: 491,
            });
        }
        if request.method() == Some(Method::Invite) {
            self.await_ack(id, theirs, ok, now);
        }
        self.reschedule(id);
    }

    fn await_ack(&mut self, id: LegId, theirs: &Theirs, ok: Arc<[u8]>, now: Time) {
        let Some(to) = self.servers.get_mut(theirs.server).map(|server| server.to) else {
            return;
        };
        let timing = self.config.timing;
        // Over any transport, as the first answer of a call.
        let unreliable = Reliability::Unreliable;
        let repeat = Repeat::new(timing.t1, timing.timeout_64_t1(), unreliable, now);
        let cseq = theirs.request.essentials().map(|found| found.cseq.number);
        if let Some(leg) = self.legs.get_mut(&id) {
            leg.negotiation.exchange = Exchange::Confirming(Confirming {
                ok,
                to,
                repeat,
                cseq: cseq.unwrap_or_default(),
                wants_answer: theirs.request.sdp().is_none(),
            });
        }
    }

    /// An ACK within a dialog that stands.
    pub(super) fn on_ack_within(&mut self, id: LegId, ack: &Message, cseq: u32) {
        let Some(leg) = self.legs.get_mut(&id) else {
            return;
        };
        let Exchange::Confirming(confirming) = &leg.negotiation.exchange else {
            return;
        };
        if confirming.cseq != cseq {
            return;
        }
        let wants_answer = confirming.wants_answer;
        leg.negotiation.exchange = Exchange::Idle;
        if wants_answer {
            let sdp = body_of(ack);
            leg.negotiation.remote = sdp.as_deref().and_then(kept);
            self.event(match sdp {
                Some(sdp) => Event::OfferAccepted { leg: id, sdp },
                None => Event::OfferRefused {
                    leg: id,
                    status: 488,
                },
            });
        }
        self.reschedule(id);
    }

    pub(super) fn on_exchange_timeout(&mut self, id: LegId, now: Time) {
        let Some(leg) = self.legs.get_mut(&id) else {
            return;
        };
        match &mut leg.negotiation.exchange {
            Exchange::Theirs(theirs) if now >= theirs.until => {
                self.refuse_offer(id, 500, None, now);
                self.event(Event::OfferWithdrawn { leg: id });
            }
            Exchange::Confirming(sent) if now >= sent.repeat.until => {
                self.end_silent(id, None, now);
            }
            Exchange::Confirming(sent) => {
                let due = sent.repeat.take_due(now, self.config.timing.t2);
                let again = due.then(|| Output::Send {
                    to: sent.to,
                    bytes: sent.ok.clone(),
                });
                self.outputs.extend(again);
            }
            _ => {}
        }
    }

    /// One of several phones has answered: what was under way with another comes to nothing.
    pub(super) fn end_exchange_with_others(&mut self, id: LegId, tag: &[u8], now: Time) {
        let Some(leg) = self.legs.get_mut(&id) else {
            return;
        };
        match &leg.negotiation.exchange {
            Exchange::Theirs(theirs) if tag_of(&theirs.request) != tag => {
                self.refuse_offer(id, 487, None, now);
                self.event(Event::OfferWithdrawn { leg: id });
            }
            Exchange::Ours(ours) if ours.is_with_another(tag) => {
                leg.negotiation.exchange = Exchange::Idle;
                self.event(Event::OfferRefused {
                    leg: id,
                    status: 487,
                });
            }
            _ => {}
        }
    }

    /// A CANCEL came for a re-INVITE that nobody has answered yet.
    pub(super) fn withdraw_offer(&mut self, id: LegId, server: ServerId, now: Time) {
        let is_theirs = self.legs.get(&id).is_some_and(|leg| {
            matches!(&leg.negotiation.exchange, Exchange::Theirs(theirs) if theirs.server == server)
        });
        if is_theirs {
            self.refuse_offer(id, 487, None, now);
            self.event(Event::OfferWithdrawn { leg: id });
        }
    }
}

impl Leg {
    /// The side with this tag says this of its media from now on.
    pub(super) fn renew(&mut self, tag: &[u8], sdp: &[u8]) {
        self.negotiation.remote = kept(sdp);
        match &mut self.state {
            State::Calling(calling) => calling.early.renew(tag, sdp),
            State::Ringing(_) => self.negotiation.is_renewed = true,
            _ => {}
        }
    }
}

/// The tag of the sender of a request.
fn tag_of(request: &Message) -> &[u8] {
    let from = request.header(Name::From).and_then(NameAddr::parse);
    from.and_then(|from| from.tag()).unwrap_or_default()
}

/// Whether an offer may be taken up now. None: yes; else the status that says why not.
fn offer_refusal(leg: &Leg, request: &Message, offers: bool) -> Option<u16> {
    let is_invite = request.method() == Some(Method::Invite);
    let asks = is_invite || offers;
    match (&leg.state, is_invite) {
        (State::Closing, _) => return Some(481),
        // We have hung up, and only wait for an ACK or for the end of our INVITE to say so.
        (State::Answered(answered), _) if asks && answered.hang_up.is_some() => return Some(481),
        (State::Calling(calling), _) if asks && !calling.is_wanted() => return Some(481),
        (State::Ringing(_), true) => return Some(500),
        (State::Calling(_) | State::Answered(_), true) => return Some(491),
        // Each phone that rings answers our offer for itself.
        (State::Calling(calling), false) if offers && !calling.early.is_agreed(tag_of(request)) => {
            return Some(491);
        }
        _ => {}
    }
    match &leg.negotiation.exchange {
        Exchange::Idle => None,
        // No UPDATE before the last one is answered, whatever it says.
        Exchange::Theirs(theirs) if theirs.request.method() != Some(Method::Invite) => Some(500),
        _ if !asks => None,
        Exchange::Theirs(_) => Some(500),
        // No offer of ours is open, and the INVITE is not over.
        Exchange::Confirming(sent) if !is_invite && !sent.wants_answer => Some(500),
        Exchange::Confirming(_) | Exchange::Ours(_) => Some(491),
        // Whose offer still wants its answer?
        Exchange::First => match &leg.state {
            State::Ringing(ringing) if !ringing.has_offered() => Some(500),
            _ => Some(491),
        },
    }
}
