//! Session descriptions: reading theirs, writing ours (RFC 8866, offer and answer by RFC 3264).
//!
//! Nothing of a description that we read is copied into one that we write for the other side. What
//! crosses is a short list of facts, each of a type that can hold nothing else: which of G.711's two
//! forms, whether keys are sent as events and under what number, comfort noise, the packet time, the
//! direction. Names, addresses, session numbers and unknown attributes stay behind.
//!
//! Other codecs cross only where that is asked for: [`parse_passing`] and [`agree_passing`].

mod foreign;
mod ours;
mod read;
mod write;

pub use foreign::{Foreign, Format};
pub use ours::{OurSide, reoffer};
pub(crate) use read::origin;
use read::parse_media;
pub use read::{parse, parse_passing};
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
    /// No audio by plain RTP with an address and a codec that may cross; a fax (T.38) alone, for example.
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

    /// The same seen from the other side: the widest answer to it (RFC 3264 section 6.1).
    pub fn reversed(self) -> Self {
        match self {
            Self::SendOnly => Self::RecvOnly,
            Self::RecvOnly => Self::SendOnly,
            both => both,
        }
    }

    /// Without receiving: what an address of zeros meant before there were directions (RFC 3264 section 8.4).
    fn held(self) -> Self {
        match self {
            Self::SendRecv | Self::SendOnly => Self::SendOnly,
            Self::RecvOnly | Self::Inactive => Self::Inactive,
        }
    }

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
    /// How much sound it wants in a packet, 10 to 40 ms.
    pub ptime_ms: Option<u8>,
    /// Who sends. A side that holds by an address of zeros does not want to receive.
    pub direction: Direction,
    /// Whether silence may be sent as comfort noise (RFC 3389, payload type 13).
    pub noise: bool,
    /// Codecs that can only be passed on, most wanted first; empty unless they were asked for.
    pub foreign: Vec<Format>,
}

/// The payload type that we give to keys where nobody else has chosen one.
const EVENTS_PAYLOAD_TYPE: u8 = 101;

impl Audio {
    /// What we offer where nobody has offered anything: both forms of G.711, A-law first, and keys.
    pub fn ours(address: SocketAddr) -> Self {
        Self {
            address,
            codecs: Codec::ALL
                .map(|codec| (codec, codec.usual_payload_type()))
                .to_vec(),
            events: Some(EVENTS_PAYLOAD_TYPE),
            ptime_ms: Some(20),
            direction: Direction::SendRecv,
            noise: false,
            foreign: Vec::new(),
        }
    }

    /// Whether the side is on hold: it does not want to receive.
    pub fn is_on_hold(&self) -> bool {
        matches!(self.direction, Direction::SendOnly | Direction::Inactive)
    }

    /// The same with the payload types that `before` used for the same things, since a number must not
    /// change its meaning within a session (RFC 3264 section 8.3.2).
    pub fn renumbered(&self, before: &Self) -> Self {
        let mut renumbered = self.clone();
        let mut taken = Vec::new();
        for (codec, number) in &mut renumbered.codecs {
            let known = before.codecs.iter().find(|(known, _)| known == codec);
            *number = free(known.map_or(*number, |(_, known)| *known), &taken);
            taken.push(*number);
        }
        for format in &mut renumbered.foreign {
            let known = before
                .foreign
                .iter()
                .find(|known| known.codec == format.codec);
            let wanted = known.map_or(format.payload_type, |known| known.payload_type);
            format.payload_type = free(wanted, &taken);
            taken.push(format.payload_type);
        }
        renumbered.events = renumbered
            .events
            .map(|number| free(before.events.unwrap_or(number), &taken));
        renumbered
    }
}

/// The wanted payload type, or one of the dynamic ones that nobody uses.
fn free(wanted: u8, taken: &[u8]) -> u8 {
    let others = (96..128).filter(|number| *number != EVENTS_PAYLOAD_TYPE);
    std::iter::once(wanted)
        .chain(others)
        .find(|number| !taken.contains(number))
        .unwrap_or(wanted)
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

/// What offer and answer agreed on, if it is a codec that we only pass on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Passing {
    /// The one codec, as the side that answered describes it.
    pub format: Format,
    /// What the side that offered uses.
    pub offerer: Payloads,
    /// What the side that answered uses.
    pub answerer: Payloads,
}

/// What an answer of ours may be written from.
pub trait Agreed {
    /// `audio` with the one codec and the numbers of the side that offered.
    fn narrow(&self, audio: &Audio) -> Audio;
}

impl Agreed for Agreement {
    fn narrow(&self, audio: &Audio) -> Audio {
        Audio {
            codecs: vec![(self.codec, self.offerer.codec)],
            foreign: Vec::new(),
            events: self.offerer.events,
            ..audio.clone()
        }
    }
}

impl Agreed for Passing {
    fn narrow(&self, audio: &Audio) -> Audio {
        let format = Format {
            payload_type: self.offerer.codec,
            ..self.format.clone()
        };
        Audio {
            codecs: Vec::new(),
            foreign: vec![format],
            events: self.offerer.events,
            ..audio.clone()
        }
    }
}

/// Finds the one codec, the answerer's first choice among the offered ones.
pub fn agree(offered: &Audio, answered: &Audio) -> Result<Agreement, SdpError> {
    let find = |wanted| offered.codecs.iter().find(|(codec, _)| *codec == wanted);
    let (codec, answerer, offerer) = answered
        .codecs
        .iter()
        .find_map(|(codec, theirs)| find(*codec).map(|(codec, ours)| (*codec, *theirs, *ours)))
        .ok_or(SdpError::NoCommonCodec)?;
    let (offerer, answerer) = payloads(offered, answered, offerer, answerer);
    Ok(Agreement {
        codec,
        offerer,
        answerer,
    })
}

/// The same among the codecs that we only pass on. To be asked when [`agree`] finds none.
pub fn agree_passing(offered: &Audio, answered: &Audio) -> Result<Passing, SdpError> {
    let find = |wanted| offered.foreign.iter().find(|format| format.codec == wanted);
    let (ours, theirs) = answered
        .foreign
        .iter()
        .find_map(|theirs| find(theirs.codec).map(|ours| (ours, theirs)))
        .ok_or(SdpError::NoCommonCodec)?;
    let (offerer, answerer) = payloads(offered, answered, ours.payload_type, theirs.payload_type);
    Ok(Passing {
        format: theirs.clone(),
        offerer,
        answerer,
    })
}

fn payloads(offered: &Audio, answered: &Audio, ours: u8, theirs: u8) -> (Payloads, Payloads) {
    let events = offered.events.zip(answered.events);
    let offerer = Payloads {
        codec: ours,
        events: events.map(|(offerer, _)| offerer),
    };
    let answerer = Payloads {
        codec: theirs,
        events: events.map(|(_, answerer)| answerer),
    };
    (offerer, answerer)
}

#[cfg(test)]
mod tests;
