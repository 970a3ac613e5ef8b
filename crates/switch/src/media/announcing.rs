//! An answer of our own for the caller alone, who hears why nobody is reached.

use super::Media;
use super::call_codec::CallCodec;
use crate::MediaPath;
use maskline_domain::call::AnnounceBy;
use maskline_sip::sdp::Audio;
use std::net::SocketAddr;

impl Media {
    /// An answer of our own for the caller, so that it hears a prompt: the one that it has, or else what was agreed
    /// with a callee, or else the caller's first choice.
    pub fn answer_alone(&mut self, by: AnnounceBy) -> Option<(Vec<u8>, MediaPath)> {
        if by == AnnounceBy::Opened {
            return self.ring_tone_answer();
        }
        let lease = self.lease?;
        let agreed = match &self.agreed {
            Some(agreed) => agreed.clone(),
            None => {
                let offered = &self.caller.theirs.as_ref()?.audio;
                let agreed = CallCodec::of(offered, &as_callee(offered, lease.caller)).ok()?;
                self.alone = Some(agreed.clone());
                agreed
            }
        };
        let law = Some(agreed.law()?);
        let offered = self.caller.theirs.as_ref()?;
        let answered = match &self.callee.theirs {
            Some(callee) if self.agreed.is_some() => Audio {
                // We speak where the callee did not.
                direction: match self.is_callee_heard() {
                    true => callee.audio.direction,
                    false => offered.audio.direction.reversed(),
                },
                ..callee.audio.clone()
            },
            _ => as_callee(&offered.audio, lease.caller),
        };
        let ours = &mut self.caller.ours;
        let body = ours.answer(offered, &answered, &agreed, lease.caller);
        self.caller.payloads = Some(agreed.offerer());
        let path = MediaPath {
            caller: self.caller.end(law, false),
            callee: None,
        };
        Some((body, path))
    }
}

/// What we would say if we were the callee: the first codec that we understand, and no more than is wanted
/// of us.
pub(super) fn as_callee(theirs: &Audio, ours: SocketAddr) -> Audio {
    Audio {
        address: ours,
        codecs: theirs.codecs.iter().take(1).copied().collect(),
        pass_through: Vec::new(),
        noise: false,
        direction: theirs.direction.reversed(),
        ..theirs.clone()
    }
}
