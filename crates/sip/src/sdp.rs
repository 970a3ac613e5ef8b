//! Session descriptions: reading theirs, writing ours (RFC 8866, offer and answer by RFC 3264).
//!
//! Nothing of a description that we read is copied into one that we write for the other side. What
//! crosses is a short list of facts, each of a type that can hold nothing else: which of G.711's two
//! forms, whether keys are sent as events and under what number, the packet time, the direction. Names,
//! addresses, session numbers and unknown attributes stay behind.

mod read;
mod write;

pub use read::parse;
pub use write::{answer, offer};

use crate::g711::Law;
use std::net::SocketAddr;

/// The longest description that we read, in bytes.
pub const SDP_BYTES_MAX: usize = 8_192;
/// The most media lines that we read.
pub const MEDIA_MAX: usize = 8;
/// The most formats in a media line that we look at.
pub const FORMATS_MAX: usize = 32;

/// Why a description cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SdpError {
    /// Longer than [`SDP_BYTES_MAX`] or more than [`MEDIA_MAX`] media.
    #[error("too long")]
    TooLong,
    /// A line that is not `letter=value`, or a number that is none.
    #[error("not a session description")]
    Malformed,
    /// No audio by plain RTP with an address and a codec of ours.
    #[error("no audio that we can carry")]
    NoAudio,
    /// The answer took none of the offered codecs.
    #[error("no codec in common")]
    NoCommonCodec,
}

/// The audio codecs that we carry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Codec {
    /// G.711 A-law.
    Pcma,
    /// G.711 µ-law.
    Pcmu,
}

impl Codec {
    const ALL: [Self; 2] = [Self::Pcma, Self::Pcmu];

    /// As it stands in `rtpmap`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Pcma => "PCMA",
            Self::Pcmu => "PCMU",
        }
    }

    /// The form of its samples.
    pub fn law(self) -> Law {
        match self {
            Self::Pcma => Law::A,
            Self::Pcmu => Law::Mu,
        }
    }

    /// The number it has without being told (RFC 3551 table 4).
    pub fn usual_payload_type(self) -> u8 {
        match self {
            Self::Pcma => 8,
            Self::Pcmu => 0,
        }
    }
}

/// Who sends audio, seen from the writer of the description.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(
    missing_docs,
    reason = "each variant is the attribute it is named after"
)]
pub enum Direction {
    #[default]
    SendRecv,
    SendOnly,
    RecvOnly,
    Inactive,
}

impl Direction {
    /// Whether its writer sends.
    pub fn sends(self) -> bool {
        matches!(self, Self::SendRecv | Self::SendOnly)
    }

    /// Whether its writer wants to receive.
    pub fn receives(self) -> bool {
        matches!(self, Self::SendRecv | Self::RecvOnly)
    }

    const ALL: [Self; 4] = [
        Self::SendRecv,
        Self::SendOnly,
        Self::RecvOnly,
        Self::Inactive,
    ];

    fn attribute(self) -> &'static str {
        match self {
            Self::SendRecv => "sendrecv",
            Self::SendOnly => "sendonly",
            Self::RecvOnly => "recvonly",
            Self::Inactive => "inactive",
        }
    }
}

/// One side's audio.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Audio {
    /// Where that side wants to receive RTP.
    pub address: SocketAddr,
    /// The codecs of ours among its own, most wanted first, each with its payload type.
    pub codecs: Vec<(Codec, u8)>,
    /// The payload type of keys sent as events (RFC 4733).
    pub events: Option<u8>,
    /// How much sound it wants in a packet, 10 to 60 ms.
    pub ptime_ms: Option<u8>,
    /// Who sends.
    pub direction: Direction,
}

/// A description as far as it concerns us.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Description {
    /// The first audio that can be carried.
    pub audio: Audio,
    /// Every media line in order, since an answer must have as many; one of them is `audio`'s.
    media: Vec<MediaLine>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum MediaLine {
    Carried,
    /// Its kind, protocol and first format, to be repeated with port 0 to the side that offered it.
    Refused(String, String, String),
}

/// What the numbers in the packets of one side mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Payloads {
    /// The payload type of the sound.
    pub codec: u8,
    /// The payload type of keys, if both sides know them.
    pub events: Option<u8>,
}

/// What offer and answer agreed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Agreement {
    /// The one codec.
    pub codec: Codec,
    /// What the side that offered uses.
    pub offerer: Payloads,
    /// What the side that answered uses.
    pub answerer: Payloads,
}

/// Finds the one codec, the answerer's first choice among the offered ones.
pub fn agree(offered: &Audio, answered: &Audio) -> Result<Agreement, SdpError> {
    let find = |wanted| offered.codecs.iter().find(|(codec, _)| *codec == wanted);
    let (codec, answerer, offerer) = answered
        .codecs
        .iter()
        .find_map(|(codec, theirs)| find(*codec).map(|(codec, ours)| (*codec, *theirs, *ours)))
        .ok_or(SdpError::NoCommonCodec)?;
    let events = offered.events.zip(answered.events);
    Ok(Agreement {
        codec,
        offerer: Payloads {
            codec: offerer,
            events: events.map(|(offerer, _)| offerer),
        },
        answerer: Payloads {
            codec: answerer,
            events: events.map(|(_, answerer)| answerer),
        },
    })
}

#[cfg(test)]
mod tests;
