//! What the shell sees of a phone: settings, inputs and outputs.

use crate::event::Event;
use crate::reply::{Answering, Reply};
use crate::sound::{self, Sound};
use maskline_sip::endpoint::LegId;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

/// How a phone behaves.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where others reach it.
    pub advertised: SocketAddr,
    /// Whose calls are taken, by address whatever the port; none: anybody's.
    pub peer: Option<SocketAddr>,
    /// The most calls at once.
    pub calls_max: usize,
    /// How calls are answered.
    pub answering: Answering,
    /// What it says once a call is answered.
    pub play: Vec<Sound>,
    /// Whether it finds out what it hears.
    pub listens: bool,
    /// Whether it tells of each SIP message.
    pub traces: bool,
    /// Whether it gives away what it hears, to be recorded.
    pub records: bool,
    /// Whether it tells of each packet that comes, for whoever looks for what must not be in it.
    pub captures: bool,
}

impl Settings {
    /// A phone that answers after a second, says a melody, listens and tells everything.
    pub fn new(advertised: SocketAddr) -> Self {
        Self {
            advertised,
            peer: None,
            calls_max: 100,
            answering: Answering::Always(Reply::Answer {
                ring: Duration::from_secs(1),
                hang_up: None,
            }),
            play: sound::melody(),
            listens: true,
            traces: true,
            records: false,
            captures: false,
        }
    }
}

/// A call to be made.
#[derive(Clone, Debug)]
pub struct Order {
    /// Where the INVITE is sent.
    pub server: SocketAddr,
    /// The number that is dialled.
    pub to: String,
    /// The number that this phone says it has.
    pub from: String,
    /// What is said, instead of what the phone usually says.
    pub play: Option<Vec<Sound>>,
    /// Keys to be pressed once it is answered.
    pub keys: String,
    /// When to hang up, after the answer.
    pub hang_up: Option<Duration>,
}

/// What the machine is given.
pub enum Input<'a> {
    /// A SIP datagram came.
    Datagram {
        /// From where.
        from: SocketAddr,
        /// What.
        bytes: &'a [u8],
    },
    /// The answer to [`Output::OpenMedia`]: where this call's sound is received; none if it cannot be.
    MediaOpened(LegId, Option<SocketAddr>),
    /// A packet came on the media address of a call.
    Media {
        /// Which call.
        call: LegId,
        /// From where.
        from: SocketAddr,
        /// Whether it came to the port for RTCP.
        control: bool,
        /// What.
        bytes: &'a [u8],
    },
    /// [`super::Machine::poll_timeout`] has come.
    Timeout,
    /// Call somebody, as the call that [`super::Machine::new_call`] gave.
    Dial(LegId, Order),
    /// Answer a call that rings.
    Answer(LegId),
    /// Refuse a call that rings.
    Refuse(LegId, u16, Option<u8>),
    /// End a call whatever its state.
    HangUp(LegId),
    /// Press keys.
    Press(LegId, String),
    /// Say something else.
    Play(LegId, Vec<Sound>),
    /// Put the other side on hold: it is no longer listened to, and hears what this phone plays.
    Hold(LegId),
    /// Talk again after [`Input::Hold`].
    Resume(LegId),
    /// End all calls.
    HangUpAll,
}

/// What the machine wants done.
pub enum Output {
    /// Send this SIP datagram.
    Send {
        /// To whom.
        to: SocketAddr,
        /// What.
        bytes: Arc<[u8]>,
    },
    /// Find an address for the sound of a call.
    OpenMedia(LegId),
    /// Send this packet from the media address of a call.
    SendMedia {
        /// Which call.
        call: LegId,
        /// To whom.
        to: SocketAddr,
        /// What.
        bytes: Vec<u8>,
    },
    /// This was heard in a call; only if the settings want it.
    Sound(LegId, Vec<i16>),
    /// The call has no more sound.
    CloseMedia(LegId),
    /// Tell this.
    Tell(Event),
}
