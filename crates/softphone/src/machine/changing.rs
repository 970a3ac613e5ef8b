//! What happens while a call stands: other media, and keys.

use super::{Machine, PhoneCall, Stage};
use crate::event::EventKind;
use maskline_sip::dtmf;
use maskline_sip::endpoint::{Input as SipInput, LegId};
use maskline_sip::sdp::{self, Direction};
use maskline_sip::time::Time;

impl Machine {
    pub(super) fn offer(&mut self, id: LegId, direction: Direction, now: Time) {
        let talking = |call: &&mut PhoneCall| matches!(call.stage, Stage::Talking);
        let call = self.calls.get_mut(&id).filter(talking);
        if let Some(offer) = call.and_then(|call| call.offer(direction)) {
            self.sip(SipInput::Offer(id, offer), now);
        }
    }

    /// The other side wants the media to change: as on hold, and back.
    pub(super) fn on_offered(&mut self, id: LegId, offer: Option<&[u8]>, now: Time) {
        let Some(offer) = offer else {
            let own = self
                .calls
                .get_mut(&id)
                .and_then(|call| call.offer(Direction::SendRecv));
            return match own {
                Some(own) => self.sip(SipInput::AcceptOffer(id, own), now),
                None => self.sip(SipInput::RefuseOffer(id, 488), now),
            };
        };
        let description = sdp::parse(offer).ok();
        let answer = description
            .as_ref()
            .and_then(|offer| self.accept(id, offer, now));
        let (Some(description), Some(answer)) = (description, answer) else {
            return self.sip(SipInput::RefuseOffer(id, 488), now);
        };
        self.sip(SipInput::AcceptOffer(id, answer), now);
        let Some(call) = self.calls.get_mut(&id) else {
            return;
        };
        let held = description.audio.is_on_hold();
        if held != call.held {
            call.held = held;
            let kind = if held {
                EventKind::Held
            } else {
                EventKind::Resumed
            };
            self.tell(Some(id), kind, now);
        }
    }

    /// A key that came within the signalling.
    pub(super) fn on_info(&mut self, id: LegId, content_type: &[u8], body: &[u8], now: Time) {
        let key = dtmf::read_info(content_type, body).map(|(key, _)| key);
        if let (Some(call), Some(key)) = (self.calls.get_mut(&id), key) {
            call.report.keys.push(key);
            self.tell(Some(id), EventKind::Key(key), now);
        }
    }

    pub(super) fn press(&mut self, id: LegId, keys: &str, now: Time) {
        let Some(call) = self.calls.get_mut(&id) else {
            return;
        };
        if !call.voice.press(keys) {
            self.tell(Some(id), EventKind::NoKeys, now);
        }
    }
}
