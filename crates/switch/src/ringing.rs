//! A caller hears a ring tone of ours while the callee rings.

use super::ladder::Way;
use super::{CallKey, Output, Repeat, Switch};
use maskline_domain::ToneCode;
use maskline_domain::call::{Moment, Side, Sound};
use maskline_sip::endpoint::{Input as SipInput, LegId};

impl Switch {
    /// The callee rings: the caller hears a tone as early media. A caller who cannot is told what it would
    /// be told without one.
    pub(super) fn ring(&mut self, key: CallKey, tone: ToneCode, now: Moment) {
        let Some(live) = self.calls.get_mut(&key) else {
            return;
        };
        let leg = live.caller_leg;
        if live.media.has_rung() {
            // A 180 would let its telephone ring over the tone.
            live.note(now, Side::Caller, Way::Out, 183, "still rings");
            return self.sip(SipInput::Progress(leg, 183, None), now);
        }
        let Some((sdp, path)) = live.media.ring() else {
            live.note(now, Side::Caller, Way::Out, 180, "");
            return self.sip(SipInput::Progress(leg, 180, None), now);
        };
        let sound = Sound::Tone(tone);
        live.note(now, Side::Caller, Way::Out, 183, format!("plays {sound}"));
        self.relay_by(key, path);
        self.sip(SipInput::Progress(leg, 183, Some(sdp)), now);
        let play = Output::Play(key, Side::Caller, sound, Repeat::Forever);
        self.outputs.push_back(play);
    }

    /// A callee does not speak the one codec that was left for a tone: it is dialled once more by the same
    /// trunk and offered all that there are, and nobody hears a tone. False where that makes no difference,
    /// or where it has rung already.
    pub(super) fn dial_without_tone(&mut self, leg: LegId, now: Moment) -> bool {
        let Some((key, Side::Callee)) = self.legs.get(&leg).copied() else {
            return false;
        };
        let Some(live) = self.calls.get_mut(&key) else {
            return false;
        };
        if live.call.milestones().ringing.is_some() || !live.media.give_up_tone() {
            return false;
        }
        self.legs.remove(&leg);
        self.leave_trunk_out(key);
        self.send_invite(key, now);
        true
    }
}
