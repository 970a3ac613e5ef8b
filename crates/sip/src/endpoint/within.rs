//! Requests within a dialog, whichever side began it (RFC 3261 sections 12.2.2, 14.2 and 15.1.2).

use super::front::{self, Hint};
use super::table::ServerMachine;
use super::{Endpoint, Event, LegId, State};
use crate::hop::Hop;
use crate::message::{self, Message, Method};
use crate::text;
use crate::time::Time;
use crate::transaction::{InviteServer, PlainServer};
use std::sync::Arc;

impl Endpoint {
    pub(super) fn on_request_within(
        &mut self,
        request: &Message,
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
        let found = leg.and_then(|id| self.legs.get_mut(&id).map(|leg| (id, leg)));
        let Some((id, leg)) = found.filter(|(_, leg)| {
            leg.dialog
                .matches(essentials.call_id, essentials.from.tag())
        }) else {
            return self.answer_at_once(request, from, 481, Hint::None);
        };
        let (status, hint) = if !leg.dialog.advance(essentials.cseq.number) {
            (500, Hint::None)
        } else if let Some(refusal) = front::judge(request, essentials.max_forwards) {
            refusal
        } else {
            (judge_within(method, &leg.state), Hint::None)
        };
        let bytes = match (method, status) {
            (Method::Options, 200) => self.write_options(request, from),
            (_, 200) => message::reply(request, from, 200, None).finish(),
            _ => self.write_answer(request, from, status, hint),
        };
        self.respond_within(request, from, key, id, (status, bytes), now);
        if method == Method::Bye && status == 200 {
            self.on_bye(id, request.q850(), now);
        }
    }

    /// Answers by a transaction, so that a copy gets the same answer and not a complaint about its number.
    fn respond_within(
        &mut self,
        request: &Message,
        from: Hop,
        key: Box<[u8]>,
        leg: LegId,
        (status, bytes): (u16, Arc<[u8]>),
        now: Time,
    ) {
        let Some(via) = request.top_via() else { return };
        let to = front::answer_to(&via, from);
        let (timing, reliability) = (self.config.timing, from.transport.reliability());
        let machine = match request.method() {
            Some(Method::Invite) => ServerMachine::Invite(InviteServer::new(timing, reliability)),
            _ => ServerMachine::Plain(PlainServer::new(timing, reliability)),
        };
        let server = self.add_server(machine, key, to, Some(leg));
        self.respond(server, status, bytes, now);
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
                self.remove_leg(id);
                if wanted {
                    self.event(Event::Ended {
                        leg: id,
                        cause,
                        silent: false,
                    });
                }
            }
            State::Talking => {
                self.remove_leg(id);
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

fn judge_within(method: Method, state: &State) -> u16 {
    match (method, state) {
        // The called side must not end an early dialog by BYE.
        (Method::Bye, State::Calling(_)) => 481,
        (Method::Bye | Method::Options, _) => 200,
        // A change of the media is not taken up: what was agreed stays (section 14.2).
        (Method::Invite, State::Talking | State::Answered(_)) => 488,
        (Method::Invite, State::Ringing(_)) => 500,
        (Method::Invite, State::Calling(_)) => 491,
        (Method::Invite, State::Closing) => 481,
        _ => 405,
    }
}
