//! Session descriptions: reading theirs, writing ours (RFC 8866, offer and answer by RFC 3264).
//!
//! Nothing of a description that we read is copied into one that we write for the other side. What
//! crosses is a short list of facts, each of a type that can hold nothing else: which of G.711's two
//! forms, whether keys are sent as events and under what number, comfort noise, the packet time, the
//! direction. Names, addresses, session numbers and unknown attributes stay behind.
//!
//! Other codecs cross only where that is asked for: [`parse_within`] and [`agree_passing`].

mod local;
mod pass_through;
mod read;
mod write;

pub use local::LocalSession;
pub use pass_through::{Format, PassThrough};
pub(crate) use read::origin;
pub use read::{host_name, parse, parse_within};

use crate::g711::Law;
use std::net::SocketAddr;

/// The longest description that we read, in bytes.
pub const SDP_BYTES_MAX: usize = 16_384;
/// The most media lines that we read.
pub const MEDIA_MAX: usize = 32;
/// The most formats in a media line that we look at.
pub const FORMATS_MAX: usize = 64;

/// Why a description cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SdpError {
    /// Longer than [`SDP_BYTES_MAX`] or more than [`MEDIA_MAX`] media.
    #[error("too long")]
    TooLong,
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

    /// What is left of it in an answer to an offer of this direction (RFC 3264 section 6.1).
    #[must_use]
    pub fn answering(self, offered: Self) -> Self {
        match (
            self.sends() && offered.receives(),
            self.receives() && offered.sends(),
        ) {
            (true, true) => Self::SendRecv,
            (true, false) => Self::SendOnly,
            (false, true) => Self::RecvOnly,
            (false, false) => Self::Inactive,
        }
    }

    /// Without receiving: what an address of zeros meant before there were directions (RFC 3264 section 8.4).
    fn held(self) -> Self {
        match self {
            Self::SendRecv | Self::SendOnly => Self::SendOnly,
            Self::RecvOnly | Self::Inactive => Self::Inactive,
        }
    }

    /// As it stands in a description.
    pub fn attribute(self) -> &'static str {
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
    /// Where it wants to receive RTCP, if it says so (RFC 3605); else at the port above.
    pub rtcp: Option<SocketAddr>,
    /// The codecs of ours among its own, most wanted first, each with its payload type.
    pub codecs: Vec<(Codec, u8)>,
    /// The payload type of keys sent as events (RFC 4733).
    pub events: Option<u8>,
    /// The same under the clocks of codecs that have another one than 8 kHz, which keys must share with the
    /// sound (RFC 4733 section 2.1): the clock in Hz, and the payload type.
    pub events_at: Vec<(u32, u8)>,
    /// How much sound it wants in a packet, 10 to 40 ms.
    pub ptime_ms: Option<u8>,
    /// Who sends. A side that holds by an address of zeros does not want to receive.
    pub direction: Direction,
    /// Whether silence may be sent as comfort noise (RFC 3389, payload type 13).
    pub noise: bool,
    /// Codecs that can only be passed on, most wanted first; empty unless they were asked for.
    pub pass_through: Vec<Format>,
}

/// The payload type that we give to keys where nobody else has chosen one.
const EVENTS_PAYLOAD_TYPE: u8 = 101;

impl Audio {
    /// What we offer where nobody has offered anything: both forms of G.711, A-law first, and keys.
    pub fn ours(address: SocketAddr) -> Self {
        Self {
            address,
            rtcp: None,
            codecs: Codec::ALL
                .map(|codec| (codec, codec.usual_payload_type()))
                .to_vec(),
            events: Some(EVENTS_PAYLOAD_TYPE),
            events_at: Vec::new(),
            ptime_ms: Some(20),
            direction: Direction::SendRecv,
            noise: false,
            pass_through: Vec::new(),
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
        for format in &mut renumbered.pass_through {
            let known = before
                .pass_through
                .iter()
                .find(|known| known.codec == format.codec);
            let wanted = known.map_or(format.payload_type, |known| known.payload_type);
            format.payload_type = free(wanted, &taken);
            taken.push(format.payload_type);
        }
        renumbered.events = renumbered
            .events
            .map(|number| free(before.events.unwrap_or(number), &taken));
        taken.extend(renumbered.events);
        for (clock_hz, number) in &mut renumbered.events_at {
            *number = free(before.events_at(*clock_hz).unwrap_or(*number), &taken);
            taken.push(*number);
        }
        renumbered
    }

    /// The payload type of keys under this clock.
    fn events_at(&self, clock_hz: u32) -> Option<u8> {
        let found = self.events_at.iter().find(|(known, _)| *known == clock_hz);
        found.map(|(_, number)| *number)
    }

    /// Without keys of any kind.
    #[must_use]
    pub fn without_events(self) -> Self {
        Self {
            events: None,
            events_at: Vec::new(),
            ..self
        }
    }

    /// Leaves out clocks that no codec has. A number that stands for keys under two clocks is taken for what
    /// goes with the codecs that there are.
    fn settle_events(&mut self) {
        let clocks: Vec<u32> = self
            .pass_through
            .iter()
            .map(|it| it.codec.clock_hz())
            .collect();
        let is_at_8khz = !self.codecs.is_empty() || clocks.contains(&8_000);
        let clashes = |events: Option<u8>, number: u8| events == Some(number);
        if !is_at_8khz
            && self
                .events_at
                .iter()
                .any(|(_, it)| clashes(self.events, *it))
        {
            self.events = None;
        }
        let events = self.events;
        self.events_at
            .retain(|(clock_hz, number)| clocks.contains(clock_hz) && !clashes(events, *number));
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
    /// Its protocol, in the words of the side that offered it, to be repeated to it.
    Carried(String),
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
    /// The clock of keys, in Hz.
    pub events_hz: u32,
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
            pass_through: Vec::new(),
            events: self.offerer.events,
            events_at: Vec::new(),
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
        let events = self.offerer.events;
        let at_8khz = self.events_hz == 8_000;
        let others = events.filter(|_| !at_8khz).map(|it| (self.events_hz, it));
        Audio {
            codecs: Vec::new(),
            pass_through: vec![format],
            events: events.filter(|_| at_8khz),
            events_at: others.into_iter().collect(),
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
    let events = offered.events.zip(answered.events);
    let (offerer, answerer) = payloads(events, offerer, answerer);
    Ok(Agreement {
        codec,
        offerer,
        answerer,
    })
}

/// The same among the codecs that we only pass on. To be asked when [`agree`] finds none.
pub fn agree_passing(offered: &Audio, answered: &Audio) -> Result<Passing, SdpError> {
    let find = |wanted| {
        offered
            .pass_through
            .iter()
            .find(|format| format.codec == wanted)
    };
    let (ours, theirs) = answered
        .pass_through
        .iter()
        .find_map(|theirs| find(theirs.codec).map(|ours| (ours, theirs)))
        .ok_or(SdpError::NoCommonCodec)?;
    let clock_hz = theirs.codec.clock_hz();
    let at_its_clock = offered
        .events_at(clock_hz)
        .zip(answered.events_at(clock_hz));
    let at_8khz = offered.events.zip(answered.events);
    let (offerer, answerer) = payloads(
        at_its_clock.or(at_8khz),
        ours.payload_type,
        theirs.payload_type,
    );
    Ok(Passing {
        format: theirs.clone(),
        events_hz: match at_its_clock {
            Some(_) => clock_hz,
            None => 8_000,
        },
        offerer,
        answerer,
    })
}

fn payloads(events: Option<(u8, u8)>, ours: u8, theirs: u8) -> (Payloads, Payloads) {
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
