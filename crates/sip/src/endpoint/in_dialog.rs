//! Requests within a dialog, whichever side began it (RFC 3261 sections 12.2.2, 14.2 and 15.1.2).

use super::stateless::{self, Hint};
use super::table::Ids;
use super::table::ServerMachine;
use super::{Endpoint, Event, LegId, ServerId, State};
use crate::hop::Hop;
use crate::message::{self, Message, Method};
use crate::text;
use crate::time::Time;
use crate::transaction::{InviteServer, PlainServer};
use std::sync::Arc;

impl Endpoint {
    pub(super) fn on_request_within(
        &mut self,
        request: Message,
        from: Hop,
        key: Box<[u8]>,
        now: Time,
    ) {
        // `on_request` has read these before; a message does not change.
        let Ok(essentials) = request.essentials() else {
            return;
        };
        let method = request.method().unwrap_or(Method::Unknown);
        let tag = essentials.to.tag().and_then(text::parse_hex64);
        let leg = tag.and_then(|tag| self.by_tag.get(&tag)).copied();
        let theirs = essentials.from.tag();
        let found = leg.filter(|id| {
            self.legs.get(id).is_some_and(|leg| {
                leg.dialog.matches(essentials.call_id, theirs) && self.may_speak(leg, theirs, from)
            })
        });
        let Some(id) = found else {
            return self.turn_away(&request, from);
        };
        // ACK and CANCEL, which cannot be challenged, do not come here (RFC 3261 section 22.1); all others are,
        // PRACK too (RFC 3262 section 7.1), and before anything of the dialog moves.
        let peer = self.legs.get(&id).and_then(|leg| leg.origin.peer);
        if let Some(peer) = peer
            && self.challenge_request(&request, from, peer, now)
        {
            return self.on_unauthenticated(id, method, now);
        }
        let Some(leg) = self.legs.get_mut(&id) else {
            return;
        };
        let is_calling = matches!(leg.state, State::Calling(_));
        let goes_on = leg.advance(essentials.from.tag(), essentials.cseq.number);
        let refusal = match goes_on {
            false => Some((500, Hint::None)),
            true => stateless::inspect(&request, essentials.max_forwards),
        };
        if let Some((status, hint)) = refusal {
            let bytes = self.write_answer(&request, from, status, hint);
            return self.respond_within(&request, from, key, id, (status, bytes), now);
        }
        // Not before: a late copy from a binding that NAT has given up, or a forged one, has an old number.
        self.follow(id, from);
        match method {
            Method::Invite | Method::Update => self.on_offer(id, request, from, key, now),
            Method::Prack => self.on_prack(id, request, from, key, now),
            Method::Info => self.on_info(id, &request, from, key, now),
            Method::Options => {
                let bytes = self.write_options(&request, from);
                self.respond_within(&request, from, key, id, (200, bytes), now);
            }
            // The called side must not end an early dialog by BYE.
            Method::Bye if is_calling => {
                let bytes = self.write_answer(&request, from, 481, Hint::None);
                self.respond_within(&request, from, key, id, (481, bytes), now);
            }
            Method::Bye => {
                let bytes = message::reply(&request, from, 200, None).finish();
                self.respond_within(&request, from, key, id, (200, bytes), now);
                self.on_bye(id, request.cause(), now);
            }
            // `inspect` has refused all others.
            _ => {}
        }
    }

    /// A request within the call was not authenticated.
    fn on_unauthenticated(&mut self, id: LegId, method: Method, now: Time) {
        if method == Method::Bye
            && let Some(leg) = self.legs.get_mut(&id)
        {
            leg.session.on_unauthenticated_bye(now);
            self.reschedule(id);
        }
    }

    /// Answers by a transaction, so that a copy gets the same answer and not a complaint about its number.
    pub(super) fn respond_within(
        &mut self,
        request: &Message,
        from: Hop,
        key: Box<[u8]>,
        leg: LegId,
        (status, bytes): (u16, Arc<[u8]>),
        now: Time,
    ) {
        if let Some(server) = self.open_server(request, from, key, leg) {
            self.respond(server, status, bytes, now);
        }
    }

    /// Begins the transaction of a request within a dialog.
    pub(super) fn open_server(
        &mut self,
        request: &Message,
        from: Hop,
        key: Box<[u8]>,
        leg: LegId,
    ) -> Option<ServerId> {
        let via = request.top_via()?;
        let to = (
            self.answer_to(&via, from),
            stateless::answer_elsewhere(&via, from),
        );
        let (timing, reliability) = (self.config.timing, from.transport.reliability());
        let machine = match request.method() {
            Some(Method::Invite) => ServerMachine::Invite(InviteServer::new(timing, reliability)),
            _ => ServerMachine::Plain(PlainServer::new(timing, reliability)),
        };
        let essentials = request.essentials().ok();
        let ids = essentials
            .filter(|_| request.method() == Some(Method::Invite))
            .and_then(|found| {
                let tag = found.to.tag().and_then(text::parse_hex64)?;
                Some(Ids::of_invite(&found, tag))
            });
        Some(self.add_server(machine, key, to, ids, Some(leg)))
    }

    fn on_bye(&mut self, id: LegId, cause: Option<u8>, now: Time) {
        let Some(leg) = self.legs.get(&id) else {
            return;
        };
        match &leg.state {
            // The caller may end an early dialog by BYE as well as by CANCEL.
            State::Ringing(_) => self.give_up_ringing(id, cause, now),
            State::Answered(answered) => {
                let wanted = answered.hang_up.is_none();
                self.remove_leg(id, now);
                if wanted {
                    self.event(Event::Ended {
                        leg: id,
                        cause,
                        silent: false,
                    });
                }
            }
            State::Talking => {
                self.remove_leg(id, now);
                self.event(Event::Ended {
                    leg: id,
                    cause,
                    silent: false,
                });
            }
            // Both hung up at once; our own BYE ends the leg.
            State::Closing | State::Calling(_) => {}
        }
    }
}
