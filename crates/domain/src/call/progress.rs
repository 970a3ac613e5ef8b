//! What a caller is told, and what it hears, until the callee answers or the call fails.

use super::{Action, CallerMedia, ProgressMedia};
use crate::tone::ToneCode;

/// What the caller has heard so far.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Heard {
    /// Whether it hears the callee's network.
    pub callee: bool,
    /// Whether a ring tone of ours plays to it.
    pub tone_plays: bool,
    /// Whether it was answered for a ring tone of ours, be that over or not. It has its answer then.
    pub opened: bool,
}

impl Heard {
    /// The callee rings or speaks. `tone` is the ring tone of the call, if it has one that is early media.
    pub fn on_progress(
        &mut self,
        status: u16,
        early_media: bool,
        caller: CallerMedia,
        tone: Option<ToneCode>,
    ) -> Vec<Action> {
        self.callee |= early_media;
        // What the callee's network plays comes before ours.
        let stops = early_media && std::mem::take(&mut self.tone_plays);
        // Whether the callee's number is forwarded is the callee's business.
        let status = match status {
            182 | 183 => status,
            _ => 180,
        };
        let tone = tone.filter(|_| status == 180 && !self.callee);
        // A 180 would let its telephone ring over the tone, and over what came after the tone.
        let beside_media = if status == 180 { 183 } else { status };
        let (status, media) = match tone {
            Some(_) if self.tone_plays => (beside_media, ProgressMedia::ToneGoesOn),
            Some(tone) if caller.takes_tone => {
                (self.tone_plays, self.opened) = (true, true);
                (beside_media, ProgressMedia::Tone(tone))
            }
            _ if self.opened => (beside_media, ProgressMedia::Nothing),
            _ if early_media || caller.awaits_answer => (status, ProgressMedia::Callees),
            _ => (status, ProgressMedia::Nothing),
        };
        let stop = stops.then_some(Action::StopRinging);
        stop.into_iter()
            .chain([Action::TellCaller { status, media }])
            .collect()
    }
}
