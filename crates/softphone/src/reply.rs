//! How a phone takes a call that comes.

use super::sound::Sound;
use std::time::Duration;

/// What is done with a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// Rings and then answers.
    Answer {
        /// How long it rings.
        ring: Duration,
        /// When it hangs up by itself, after the answer.
        hang_up: Option<Duration>,
    },
    /// Rings until somebody answers or refuses by hand, or the caller gives up.
    Ring,
    /// Refuses at once.
    Refuse {
        /// 300 to 699.
        status: u16,
        /// The Q.850 cause that goes with it.
        cause: Option<u8>,
    },
    /// Says something before any answer (early media), and then refuses.
    Announce {
        /// What is said.
        sound: Vec<Sound>,
        /// For how long.
        length: Duration,
        /// Then this status.
        status: u16,
        /// And this Q.850 cause.
        cause: Option<u8>,
    },
}

impl Reply {
    /// Somebody is talking already.
    pub const BUSY: Self = Self::Refuse {
        status: 486,
        cause: Some(17),
    };
    /// The call is not wanted.
    pub const DECLINED: Self = Self::Refuse {
        status: 603,
        cause: Some(21),
    };
    /// There is nobody of this number.
    pub const UNKNOWN: Self = Self::Refuse {
        status: 404,
        cause: Some(1),
    };
    /// The way to the phone is broken.
    pub const UNREACHABLE: Self = Self::Refuse {
        status: 503,
        cause: Some(27),
    };
}

/// Which reply a call gets.
#[derive(Clone, Debug)]
pub enum Answering {
    /// Always the same.
    Always(Reply),
    /// Only calls to this number get the reply; others are told that there is nobody.
    Number(String, Reply),
    /// What this says for the number that was dialled; it is empty if there was none.
    ByNumber(fn(&str) -> Reply),
}

impl Answering {
    pub(super) fn reply(&self, dialled: &str) -> Reply {
        match self {
            Self::Always(reply) => reply.clone(),
            Self::Number(number, reply) if number == dialled => reply.clone(),
            Self::Number(..) => Reply::UNKNOWN,
            Self::ByNumber(reply_to) => reply_to(dialled),
        }
    }
}
