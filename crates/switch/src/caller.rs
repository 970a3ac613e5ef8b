//! What becomes of a call is told its caller: progress, an answer, a refusal, or by voice why it fails.

use super::active_call::WaitsForPorts;
use super::ladder::Way;
use super::media::Unfit;
use super::{CallKey, Output, Repeat, Switch};
use maskline_domain::ToneCode;
use maskline_domain::call::{
    AnnounceBy, Ending, Input as CallInput, MediaFault, Moment, ProgressMedia, Side, Sound,
};
use maskline_sip::endpoint::{Input as SipInput, LegId, Refusal};

impl Switch {
    pub(super) fn tell_caller(
        &mut self,
        key: CallKey,
        status: u16,
        media: ProgressMedia,
        now: Moment,
    ) {
        let Some(live) = self.calls.get_mut(&key) else {
            return;
        };
        let leg = live.caller_leg;
        let (sdp, note) = match media {
            ProgressMedia::Tone(tone) => return self.ring(key, status, tone, now),
            ProgressMedia::ToneGoesOn => (None, "still rings"),
            ProgressMedia::Nothing => (None, ""),
            ProgressMedia::Callees => {
                let sdp = live.media.answer();
                if sdp.is_some() {
                    live.media.tell_caller();
                }
                let note = early(sdp.is_some());
                (sdp, note)
            }
        };
        live.note(now, Side::Caller, Way::Out, status, note);
        self.sip(SipInput::Progress(leg, status, sdp), now);
    }

    /// The caller hears a tone from now on, by an answer that we make ourselves.
    fn ring(&mut self, key: CallKey, status: u16, tone: ToneCode, now: Moment) {
        let Some(live) = self.calls.get_mut(&key) else {
            return;
        };
        let leg = live.caller_leg;
        let sound = Sound::Tone(tone);
        let (sdp, path) = live.media.ring().unzip();
        live.note(
            now,
            Side::Caller,
            Way::Out,
            status,
            format!("plays {sound}"),
        );
        if let Some(path) = path {
            self.relay_by(key, path);
        }
        self.sip(SipInput::Progress(leg, status, sdp), now);
        let play = Output::Play(key, Side::Caller, sound, Repeat::Forever);
        self.outputs.push_back(play);
    }

    pub(super) fn answer_caller(&mut self, key: CallKey, now: Moment) {
        let Some(live) = self.calls.get_mut(&key) else {
            return;
        };
        if let Some(sdp) = live.media.answer() {
            live.media.tell_caller();
            let note = match live.media.is_understood() {
                true => "",
                false => "relayed without prompts or recording",
            };
            live.note(now, Side::Caller, Way::Out, 200, note);
            let leg = live.caller_leg;
            self.sip(SipInput::Answer(leg, sdp), now);
        }
    }

    /// Refuses the call, and says what is wrong with its media if that is why.
    pub(super) fn refuse_caller(&mut self, key: CallKey, ending: Ending, now: Moment) {
        let Some(live) = self.calls.get_mut(&key) else {
            return;
        };
        let unfit = live.media.why_unfit();
        let unfit = unfit.filter(|_| ending.reason.blames_media());
        let mut note = format!("cause {}, {}", ending.q850, ending.reason.name());
        if let Some(why) = unfit.map(Unfit::note).filter(|why| !why.is_empty()) {
            note = format!("{note}: {why}");
        }
        live.note(now, Side::Caller, Way::Out, ending.status, note);
        let leg = live.caller_leg;
        match unfit.and_then(Unfit::warning) {
            None => self.refuse_leg(leg, ending, now),
            Some(warning) => {
                self.legs.remove(&leg);
                self.sip(SipInput::RefuseFor(leg, refusal(ending), warning), now);
            }
        }
    }

    pub(super) fn refuse_leg(&mut self, leg: LegId, ending: Ending, now: Moment) {
        self.legs.remove(&leg);
        self.sip(SipInput::Refuse(leg, refusal(ending)), now);
    }

    /// Has the caller hear why the call fails, as soon as there are ports for it.
    pub(super) fn announce(&mut self, key: CallKey, sound: Sound, by: AnnounceBy, now: Moment) {
        let Some(live) = self.calls.get_mut(&key) else {
            return;
        };
        if live.media.is_usable() && !live.media.is_leased() {
            return self.ask_for_ports(key, WaitsForPorts::Announcement(sound, by));
        }
        let Some((sdp, path)) = live.media.answer_alone(by) else {
            let refused = CallInput::MediaRefused(MediaFault::Unfit);
            return self.give_to_call(key, refused, now);
        };
        let leg = live.caller_leg;
        let said = match by {
            AnnounceBy::Answer => Some((200, SipInput::Answer(leg, sdp))),
            AnnounceBy::EarlyMedia => Some((183, SipInput::Progress(leg, 183, Some(sdp)))),
            AnnounceBy::Opened => None,
        };
        if let Some((status, _)) = &said {
            let note = format!("plays {sound}");
            live.note(now, Side::Caller, Way::Out, status, note);
        }
        self.relay_by(key, path);
        if let Some((_, said)) = said {
            self.sip(said, now);
        }
        self.play(key, Side::Caller, sound);
    }

    pub(super) fn play(&mut self, key: CallKey, side: Side, sound: Sound) {
        self.outputs
            .push_back(Output::Play(key, side, sound, Repeat::Once));
    }
}

fn refusal(ending: Ending) -> Refusal {
    Refusal {
        status: ending.status,
        cause: Some(ending.q850),
    }
}

pub(super) fn early(with_media: bool) -> &'static str {
    if with_media { "with media" } else { "" }
}
