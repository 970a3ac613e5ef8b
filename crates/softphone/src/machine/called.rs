//! Calls that come.

use super::{Due, Machine, PhoneCall, Stage, TICK};
use crate::event::{EndedBy, EventKind, Report, number, number_in};
use crate::reply::Reply;
use crate::voice::{Path, answering_audio};
use maskline_sip::endpoint::{Input as SipInput, LegId, Refusal};
use maskline_sip::message::{Message, Name};
use maskline_sip::sdp::{self, Description, Direction};
use maskline_sip::time::Time;
use maskline_sip::uri::Uri;

impl Machine {
    pub(super) fn on_incoming(&mut self, id: LegId, invite: &Message, now: Time) {
        let dialled = Uri::parse(invite.request_uri()).and_then(|uri| uri.number());
        let dialled = dialled.unwrap_or_default();
        let shown = number_in(invite, Name::PAssertedIdentity).or(number_in(invite, Name::From));
        let mut report = Report::new(false, number(&dialled), now.as_millis());
        report.shown = shown;
        self.learn_call_id(invite, id);
        let kind = EventKind::Incoming {
            shown,
            dialled: number(&dialled),
        };
        self.tell(Some(id), kind, now);
        let reply = self.settings.answering.reply(&dialled);
        // The report must have its call, even if that is over at once.
        let wanted = match (&reply, invite.sdp().unwrap_or_default()) {
            (Reply::Refuse { status, cause }, _) => Err((*status, *cause)),
            (_, []) => Ok(None),
            (_, body) => sdp::parse(body)
                .map(|offer| Some(Box::new(offer)))
                .map_err(|_| (488, Some(65))),
        };
        match wanted {
            Err((status, cause)) => {
                self.sip(SipInput::Refuse(id, Refusal { status, cause }), now);
                report.status = Some(status);
                report.cause = cause;
                self.forget_call_id(id);
                self.tell(Some(id), EventKind::Over(Box::new(report)), now);
            }
            Ok(offer) => {
                let play = match &reply {
                    Reply::Announce { sound, .. } => Some(sound.clone()),
                    _ => None,
                };
                self.insert(id, report, Stage::Ringing { offer, reply }, play);
            }
        }
    }

    pub(super) fn ring(&mut self, id: LegId, now: Time) {
        let Some(call) = self.calls.get_mut(&id) else {
            return;
        };
        let Stage::Ringing { reply, .. } = &call.stage else {
            return;
        };
        call.report.ringing_ms = Some(now.as_millis());
        let (due, announces) = match reply {
            Reply::Answer { ring, .. } => (Some((now + *ring, Due::Answer)), false),
            Reply::Ring => (None, false),
            Reply::Refuse { status, cause } => (Some((now, Due::Refuse(*status, *cause))), false),
            Reply::Announce {
                length,
                status,
                cause,
                ..
            } => (Some((now + *length, Due::Refuse(*status, *cause))), true),
        };
        self.set_due(id, due);
        if !announces {
            return self.sip(SipInput::Progress(id, 180, None), now);
        }
        if let Some(answer) = self.accept_first(id, now) {
            if let Some(call) = self.calls.get_mut(&id) {
                call.report.early_media = true;
                call.voice.speak();
            }
            self.sip(SipInput::Progress(id, 183, Some(answer)), now);
        }
    }

    pub(super) fn answer(&mut self, id: LegId, now: Time) {
        let Some(call) = self.calls.get(&id) else {
            return;
        };
        let Stage::Ringing { reply, .. } = &call.stage else {
            return;
        };
        let hang_up = match reply {
            Reply::Answer { hang_up, .. } => *hang_up,
            _ => None,
        };
        let Some(answer) = self.accept_first(id, now) else {
            return self.refuse(id, 488, Some(65), now);
        };
        if let Some(call) = self.calls.get_mut(&id) {
            call.stage = Stage::Talking;
        }
        self.sip(SipInput::Answer(id, answer), now);
        self.talk(id, now);
        self.set_due(id, hang_up.map(|after| (now + after, Due::HangUp)));
    }

    /// Our answer to the caller's offer; our own offer if it made none.
    pub(super) fn accept_first(&mut self, id: LegId, now: Time) -> Option<Vec<u8>> {
        let call = self.calls.get_mut(&id)?;
        let Stage::Ringing { offer, .. } = &mut call.stage else {
            return None;
        };
        match offer.take() {
            Some(offer) => {
                let answer = self.accept(id, &offer, now);
                // It may be answered again: after an announcement, or early media.
                if let Some(call) = self.calls.get_mut(&id)
                    && let Stage::Ringing { offer: place, .. } = &mut call.stage
                {
                    *place = Some(offer);
                }
                answer
            }
            None => call.offer(Direction::SendRecv),
        }
    }

    /// The voice goes where the other side's offer says; gives our answer to it.
    pub(super) fn accept(&mut self, id: LegId, offer: &Description, now: Time) -> Option<Vec<u8>> {
        let call = self.calls.get_mut(&id)?;
        let own = call.media?;
        let (audio, agreement) = answering_audio(offer, own).ok()?;
        let answer = call.session.answer(offer, &audio, &agreement, own);
        call.report.codec = Some(agreement.codec);
        call.voice.set_path(Path::of_offer(&offer.audio, agreement));
        self.tick.get_or_insert(now + TICK);
        Some(answer)
    }

    pub(super) fn refuse(&mut self, id: LegId, status: u16, cause: Option<u8>, now: Time) {
        let rings = |call: &PhoneCall| matches!(call.stage, Stage::Ringing { .. });
        if self.calls.get(&id).is_some_and(rings) {
            self.sip(SipInput::Refuse(id, Refusal { status, cause }), now);
            self.over(id, EndedBy::Us, Some(status), cause, now);
        }
    }
}
