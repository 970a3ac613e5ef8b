//! Calls that we make.

use super::{Due, Machine, Order, Stage, TICK};
use crate::event::{EndedBy, EventKind, Report, number};
use crate::voice::Path;
use maskline_sip::endpoint::{Dial, Input as SipInput, LegId};
use maskline_sip::hop::Hop;
use maskline_sip::sdp::{self, Audio, Direction};
use maskline_sip::time::Time;
use maskline_sip::uri::sip_uri;

/// The hops that a call of ours may take.
const MAX_FORWARDS: u8 = 70;

impl Machine {
    pub(super) fn dial(&mut self, id: LegId, order: Order, now: Time) {
        let report = Report::new(true, number(&order.to), now.as_millis());
        let play = order.play.clone();
        self.insert(id, report, Stage::Dialling(Box::new(order)), play);
    }

    /// Its sound has an address, which the INVITE tells.
    pub(super) fn send_invite(&mut self, id: LegId, now: Time) {
        let Some(call) = self.calls.get_mut(&id) else {
            return;
        };
        let offer = call.offer(Direction::SendRecv);
        let (Stage::Dialling(order), Some(sdp)) = (&mut call.stage, offer) else {
            return;
        };
        let dial = Dial {
            hop: Hop::udp(order.server),
            target: sip_uri(&order.to, order.server),
            identity: sip_uri(&order.from, self.settings.advertised).into(),
            max_forwards: MAX_FORWARDS,
            sdp,
        };
        call.stage = Stage::Calling {
            keys: std::mem::take(&mut order.keys),
            hang_up: order.hang_up,
        };
        self.sip_for(Some(id), SipInput::Dial(id, dial), now);
    }

    pub(super) fn on_progress(&mut self, id: LegId, status: u16, sdp: Option<&[u8]>, now: Time) {
        let early_media = sdp.is_some_and(|sdp| self.take_answer(id, sdp, now));
        let Some(call) = self.calls.get_mut(&id) else {
            return;
        };
        call.report.ringing_ms.get_or_insert(now.as_millis());
        call.report.early_media |= early_media;
        let kind = EventKind::Progress {
            status,
            early_media,
        };
        self.tell(Some(id), kind, now);
    }

    pub(super) fn on_answered(&mut self, id: LegId, sdp: Option<&[u8]>, now: Time) {
        if !self.take_answer(id, sdp.unwrap_or_default(), now) {
            // Answered with what we never offered: nobody could talk.
            self.sip(SipInput::HangUp(id, Some(65)), now);
            return self.over(id, EndedBy::Us, None, Some(65), now);
        }
        let Some(call) = self.calls.get_mut(&id) else {
            return;
        };
        let stage = std::mem::replace(&mut call.stage, Stage::Talking);
        self.talk(id, now);
        if let Stage::Calling { keys, hang_up } = stage {
            if !keys.is_empty() {
                self.press(id, &keys, now);
            }
            self.set_due(id, hang_up.map(|after| (now + after, Due::HangUp)));
        }
    }

    /// The other side's answer to our offer; false if we cannot talk so.
    pub(super) fn take_answer(&mut self, id: LegId, sdp: &[u8], now: Time) -> bool {
        let Some(call) = self.calls.get_mut(&id) else {
            return false;
        };
        let path = call.media.and_then(|own| {
            let answer = sdp::parse(sdp).ok()?;
            Path::of_answer(&answer.audio, &Audio::ours(own)).ok()
        });
        let Some(path) = path else {
            return false;
        };
        call.report.codec = Some(path.codec);
        call.voice.set_path(path);
        self.tick.get_or_insert(now + TICK);
        true
    }
}
