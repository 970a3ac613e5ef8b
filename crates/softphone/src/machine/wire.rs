//! The wire: what comes, what goes, and what our endpoint makes of it.

use super::{Machine, Output, peer};
use crate::event::{EndedBy, EventKind, MessageSummary, Way, number_in};
use maskline_sip::endpoint::{Event as SipEvent, Input as SipInput, LegId, Output as SipOutput};
use maskline_sip::hop::Hop;
use maskline_sip::message::{Message, Method, Name};
use maskline_sip::time::Time;
use std::net::SocketAddr;
use std::sync::Arc;

impl Machine {
    pub(super) fn on_datagram(&mut self, from: SocketAddr, bytes: &[u8], now: Time) {
        if self.settings.peer.is_none() {
            // Whoever sends is the one whose calls are taken.
            self.endpoint.set_peers(vec![peer(from)]);
        }
        if let Ok(message) = Message::parse(bytes) {
            let call = message
                .header(Name::CallId)
                .and_then(|id| self.by_call_id.get(id));
            let call = call.copied();
            self.note_shown(call, &message);
            if self.settings.traces {
                let seen = MessageSummary::new(Way::In, from, &message);
                self.tell(call, EventKind::Message(Arc::new(seen)), now);
            }
        }
        let from = Hop::udp(from);
        self.sip(SipInput::Datagram { from, bytes }, now);
    }

    /// Whom the answer to a call of ours says that we reached.
    pub(super) fn note_shown(&mut self, call: Option<LegId>, message: &Message) {
        let Some(call) = call.and_then(|id| self.calls.get_mut(&id)) else {
            return;
        };
        if call.report.outgoing && message.status().is_some() {
            let shown =
                number_in(message, Name::PAssertedIdentity).or(number_in(message, Name::To));
            call.report.shown = shown.or(call.report.shown);
        }
    }

    pub(super) fn sip(&mut self, input: SipInput<'_>, now: Time) {
        self.sip_for(None, input, now);
    }

    /// `dialled` is the call whose INVITE this input sends.
    pub(super) fn sip_for(&mut self, dialled: Option<LegId>, input: SipInput<'_>, now: Time) {
        self.endpoint.handle_input(input, now);
        while let Some(output) = self.endpoint.poll_output() {
            match output {
                SipOutput::Send { to, bytes } => self.send(dialled, to.address, bytes, now),
                SipOutput::Event(event) => self.on_event(event, now),
            }
        }
    }

    pub(super) fn send(
        &mut self,
        dialled: Option<LegId>,
        to: SocketAddr,
        bytes: Arc<[u8]>,
        now: Time,
    ) {
        if dialled.is_some() || self.settings.traces {
            // What our own endpoint wrote can be read.
            if let Ok(message) = Message::parse(&bytes) {
                if let Some(id) = dialled
                    && message.method() == Some(Method::Invite)
                {
                    self.learn_call_id(&message, id);
                }
                if self.settings.traces {
                    let call = message
                        .header(Name::CallId)
                        .and_then(|id| self.by_call_id.get(id));
                    let call = call.copied();
                    let seen = MessageSummary::new(Way::Out, to, &message);
                    self.tell(call, EventKind::Message(Arc::new(seen)), now);
                }
            }
        }
        self.outputs.push_back(Output::Send { to, bytes });
    }

    pub(super) fn on_event(&mut self, event: SipEvent, now: Time) {
        match event {
            SipEvent::Incoming { leg, invite, .. } => self.on_incoming(leg, &invite, now),
            SipEvent::Progress { leg, status, sdp } => {
                self.on_progress(leg, status, sdp.as_deref(), now);
            }
            SipEvent::Answered { leg, sdp } => self.on_answered(leg, sdp.as_deref(), now),
            SipEvent::Refused {
                leg,
                status,
                cause,
                silent,
            } => {
                let by = if silent {
                    EndedBy::Silence
                } else {
                    EndedBy::Them
                };
                self.over(leg, by, Some(status), cause, now);
            }
            SipEvent::Cancelled { leg, cause } => {
                self.over(leg, EndedBy::Them, Some(487), cause, now)
            }
            SipEvent::Ended { leg, cause, silent } => {
                let by = if silent {
                    EndedBy::Silence
                } else {
                    EndedBy::Them
                };
                self.over(leg, by, None, cause, now);
            }
            // A phone neither registers nor asks whether others are there, and takes calls of anybody it is
            // told of.
            SipEvent::PeerState { .. }
            | SipEvent::SourceVerified { .. }
            | SipEvent::Registered { .. }
            | SipEvent::UnknownSource { .. } => {}
            // It answers offers at once, and that it tries tells nobody anything.
            SipEvent::OfferWithdrawn { .. } | SipEvent::Trying { .. } => {}
            // That the call stands is known already; where its sound goes, perhaps not.
            SipEvent::Confirmed { leg, sdp } => {
                if let Some(sdp) = sdp
                    && !self.take_answer(leg, &sdp, now)
                {
                    self.hang_up(leg, now);
                }
            }
            SipEvent::Offered { leg, sdp, .. } => self.on_offered(leg, sdp.as_deref(), now),
            SipEvent::OfferAccepted { leg, sdp } if sdp.is_empty() => {
                self.tell(Some(leg), EventKind::OfferRefused(488), now);
            }
            SipEvent::OfferAccepted { leg, sdp } => {
                self.take_answer(leg, &sdp, now);
                self.tell(Some(leg), EventKind::OfferAccepted, now);
            }
            SipEvent::OfferRefused { leg, status } => {
                self.tell(Some(leg), EventKind::OfferRefused(status), now);
            }
            SipEvent::Info {
                leg,
                content_type,
                body,
            } => self.on_info(leg, &content_type, &body, now),
        }
    }

    pub(super) fn learn_call_id(&mut self, message: &Message, id: LegId) {
        if let Some(call_id) = message.header(Name::CallId) {
            self.by_call_id.insert(call_id.into(), id);
        }
    }

    pub(super) fn forget_call_id(&mut self, id: LegId) {
        self.by_call_id.retain(|_, known| *known != id);
    }
}
