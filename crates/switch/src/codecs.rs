//! Which codecs may be used on a trunk.

use maskline_domain::trunk::WithoutG711;
use maskline_sip::sdp::{Audio, Codec, PassThrough};

/// See the module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Codecs {
    /// Of those that we understand, the best first; none where any may be used, in the order of the peer.
    known: Option<Vec<Codec>>,
    /// Codecs that may cross although we can neither speak nor record them.
    pub passing: Vec<PassThrough>,
}

impl Codecs {
    /// What a trunk allows.
    pub fn of(trunk: &maskline_domain::Trunk) -> Self {
        let place = |codec: &str| {
            let mut names = trunk.codecs.iter();
            names.position(|name| name.eq_ignore_ascii_case(codec))
        };
        let known = (!trunk.codecs.is_empty()).then(|| {
            let mut known = vec![Codec::Pcma, Codec::Pcmu];
            known.retain(|codec| place(codec.name()).is_some());
            known.sort_by_key(|codec| place(codec.name()));
            known
        });
        let is_allowed =
            |codec: &PassThrough| trunk.codecs.is_empty() || place(codec.name()).is_some();
        let passing = match trunk.without_g711 {
            WithoutG711::Refuse => Vec::new(),
            WithoutG711::Relay => PassThrough::ALL.into_iter().filter(is_allowed).collect(),
        };
        Self { known, passing }
    }

    /// What is left of a description; none if there is no codec in it that may be used.
    pub fn only(&self, mut audio: Audio) -> Option<Audio> {
        if let Some(known) = &self.known {
            let place = |codec: &Codec| known.iter().position(|known| known == codec);
            audio.codecs.retain(|(codec, _)| place(codec).is_some());
            audio.codecs.sort_by_key(|(codec, _)| place(codec));
        }
        audio
            .pass_through
            .retain(|format| self.passing.contains(&format.codec));
        (!audio.codecs.is_empty() || !audio.pass_through.is_empty()).then_some(audio)
    }
}
