//! Which codec the two sides of a call have agreed on.

use super::unfit::Unfit;
use maskline_sip::g711::Law;
use maskline_sip::sdp::{self, Agreement, Audio, Codec, PassThrough, Passing, Payloads};

/// A codec, whatever its number.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum AnyCodec {
    Known(Codec),
    Passed(PassThrough),
}

/// The one codec of a call.
#[derive(Clone)]
pub(super) enum CallCodec {
    Known(Agreement),
    Passed(Passing),
}

impl CallCodec {
    pub fn of(offered: &Audio, answered: &Audio) -> Result<Self, Unfit> {
        sdp::agree(offered, answered)
            .map(Self::Known)
            .or_else(|_| sdp::agree_passing(offered, answered).map(Self::Passed))
            .map_err(|_| Unfit::Codec)
    }

    pub fn offerer(&self) -> Payloads {
        match self {
            Self::Known(agreement) => agreement.offerer,
            Self::Passed(passing) => passing.offerer,
        }
    }

    pub fn answerer(&self) -> Payloads {
        match self {
            Self::Known(agreement) => agreement.answerer,
            Self::Passed(passing) => passing.answerer,
        }
    }

    /// What is left of `audio` with the one codec, under the number that `audio` has for it.
    pub fn only(&self, mut audio: Audio) -> Audio {
        match self {
            Self::Known(agreement) => {
                audio.codecs.retain(|(codec, _)| *codec == agreement.codec);
                audio.pass_through.clear();
            }
            Self::Passed(passing) => {
                audio.codecs.clear();
                let codec = passing.format.codec;
                audio.pass_through.retain(|format| format.codec == codec);
            }
        }
        audio
    }

    pub fn law(&self) -> Option<Law> {
        match self {
            Self::Known(agreement) => Some(agreement.codec.law()),
            Self::Passed(_) => None,
        }
    }

    /// The codec alone.
    pub fn codec(&self) -> AnyCodec {
        match self {
            Self::Known(agreement) => AnyCodec::Known(agreement.codec),
            Self::Passed(passing) => AnyCodec::Passed(passing.format.codec),
        }
    }

    /// The same, had the side that answered made the offer. `offered` is what was offered.
    pub fn flipped(&self, offered: &Audio) -> Self {
        match self {
            Self::Known(agreement) => Self::Known(sdp::Agreement {
                codec: agreement.codec,
                offerer: agreement.answerer,
                answerer: agreement.offerer,
            }),
            Self::Passed(passing) => {
                let codec = passing.format.codec;
                let mut formats = offered.pass_through.iter();
                let format = formats.find(|format| format.codec == codec);
                Self::Passed(sdp::Passing {
                    format: format.unwrap_or(&passing.format).clone(),
                    events_hz: passing.events_hz,
                    offerer: passing.answerer,
                    answerer: passing.offerer,
                })
            }
        }
    }
}

impl sdp::Agreed for CallCodec {
    fn narrow(&self, audio: &Audio) -> Audio {
        match self {
            Self::Known(agreement) => agreement.narrow(audio),
            Self::Passed(passing) => passing.narrow(audio),
        }
    }
}
