//! What is kept of a leg by its state, and whose leg it is. What is done with it stands in `uac`, `uas`, `cancelling`,
//! `prack` and `origin`.

use super::early_dialog::EarlyDialogs;
use super::{ClientKey, PeerId, ServerId};
use crate::hop::Hop;
use crate::message::{Message, Name};
use crate::time::Time;
use crate::transaction::Repeat;
use std::collections::VecDeque;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

/// Where a leg stands.
pub(super) enum State {
    /// We called; no final answer yet.
    Calling(Calling),
    /// They called; no final answer yet.
    Ringing(Box<Ringing>),
    /// They called and we answered; waiting for their ACK.
    Answered(Answered),
    /// The call stands.
    Talking,
    /// We sent BYE and wait for its answer.
    Closing,
}

/// Whose leg it is, as it was when the leg began: a peer may be dropped while calls with it go on.
pub(super) struct Origin {
    pub peer: Option<PeerId>,
    pub addresses: Box<[IpAddr]>,
    /// Whether it must authenticate its calls by a password.
    pub is_challenged: bool,
    /// Whether its messages tell addresses that only its own network knows.
    pub nat: bool,
}

/// We called.
pub(super) struct Calling {
    pub invite: ClientKey,
    pub cancel: Cancel,
    pub words: Words,
    /// Whether 100 has come.
    pub is_tried: bool,
    pub give_up: Time,
    pub early: EarlyDialogs,
}

impl Calling {
    /// Whether we still want the answer.
    pub fn is_wanted(&self) -> bool {
        self.cancel == Cancel::No
    }

    /// Whether a request of ours is worth another try: the INVITE only while we want its answer.
    pub fn waits_for(&self, key: ClientKey) -> bool {
        self.invite != key || self.is_wanted()
    }

    /// The INVITE goes on under another key.
    pub fn rekey(&mut self, before: ClientKey, after: ClientKey) {
        if self.invite == before {
            self.invite = after;
        }
    }
}

/// Whether the call is still wanted.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Cancel {
    No,
    /// To be sent as soon as there is a provisional response (RFC 3261 section 9.1).
    Wanted(Option<u8>),
    Sent,
}

/// How often phones may say something before one answers: so often at once, and then once a second. Each
/// word is told to the other side, and one that must be acknowledged costs a PRACK. RFC 3261 section
/// 13.3.1.1 asks for one a minute.
const WORDS_AT_ONCE: u64 = 32;

/// How many words are still listened to.
pub(super) struct Words {
    left: u64,
    since: Time,
}

impl Words {
    /// Nothing has been said by `now`.
    pub fn new(now: Time) -> Self {
        Self {
            left: WORDS_AT_ONCE,
            since: now,
        }
    }

    /// Whether one more is listened to.
    pub fn take(&mut self, now: Time) -> bool {
        let seconds = (now - self.since).as_secs();
        self.since = self.since + Duration::from_secs(seconds);
        self.left = self.left.saturating_add(seconds).min(WORDS_AT_ONCE);
        let is_heard = self.left > 0;
        self.left -= u64::from(is_heard);
        is_heard
    }
}

/// They called.
pub(super) struct Ringing {
    pub server: ServerId,
    pub invite: Arc<Message>,
    pub source: Hop,
    pub merge_key: Box<[u8]>,
    pub reliable: Reliable,
    pub refresh: Time,
    pub give_up: Time,
    /// Until when the caller wants an answer, if it says (RFC 3261 section 13.3.1).
    pub expires: Option<Time>,
}

impl Ringing {
    pub fn deadline(&self) -> Time {
        let repeat = self.reliable.deadline();
        let own = self.refresh.min(self.give_up);
        [repeat, self.expires]
            .into_iter()
            .flatten()
            .fold(own, Time::min)
    }

    /// Whether an offer of ours to it is open, which went reliably.
    pub fn has_offered(&self) -> bool {
        self.is_delayed() && self.reliable.awaited().is_some()
    }

    /// Whether the INVITE had no offer, so that we make it.
    pub fn is_delayed(&self) -> bool {
        self.invite.sdp().is_none()
    }
}

/// They called and we answered.
pub(super) struct Answered {
    pub ok: Arc<[u8]>,
    pub to: Hop,
    pub repeat: Repeat,
    pub cseq: u32,
    /// Our answer made the offer, so the ACK has theirs.
    pub wants_answer: bool,
    /// Hang up as soon as the ACK is here, with this cause.
    pub hang_up: Option<Option<u8>>,
}

/// What the caller said of 100rel.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Wanted {
    /// It does not know it.
    Never,
    /// It can: we use it where there is SDP, which must not be lost.
    WithSdp,
    /// It insists.
    Always,
}

/// The provisional responses to one INVITE of theirs.
pub(super) struct Reliable {
    pub wanted: Wanted,
    pub last: u32,
    pub unacknowledged: Option<Unacknowledged>,
    pub waiting: VecDeque<(u16, Option<Vec<u8>>)>,
    /// The answer, which must wait until they know the SDP before it (RFC 3262 section 3).
    pub answer: Option<Vec<u8>>,
    /// The answer to their offer that was told unreliably; the first one, which all later ones repeat.
    pub said: Option<Vec<u8>>,
}

/// The one that waits for its PRACK.
pub(super) struct Unacknowledged {
    pub rseq: u32,
    pub bytes: Arc<[u8]>,
    pub to: Hop,
    pub repeat: Repeat,
    pub sdp: Option<Vec<u8>>,
}

impl Reliable {
    pub fn new(invite: &Message, drawn: u64) -> Self {
        let wanted = if invite.lists(Name::Require, "100rel") {
            Wanted::Always
        } else if invite.lists(Name::Supported, "100rel") {
            Wanted::WithSdp
        } else {
            Wanted::Never
        };
        Self {
            wanted,
            // RFC 3262 section 3: anywhere below 2^31, with room to count.
            last: (drawn & 0x3fff_ffff) as u32,
            unacknowledged: None,
            waiting: VecDeque::new(),
            answer: None,
            said: None,
        }
    }

    /// The answer to their offer that was told unreliably, if one was.
    pub fn said(&self) -> Option<&[u8]> {
        self.said.as_deref()
    }

    /// The number that a PRACK is still awaited for.
    pub fn awaited(&self) -> Option<u32> {
        self.unacknowledged.as_ref().map(|sent| sent.rseq)
    }

    /// What went to one hop goes to another from now on.
    pub fn redirect(&mut self, before: Hop, after: Hop) {
        if let Some(sent) = self
            .unacknowledged
            .as_mut()
            .filter(|sent| sent.to == before)
        {
            sent.to = after;
        }
    }

    pub fn deadline(&self) -> Option<Time> {
        self.unacknowledged
            .as_ref()
            .map(|sent| sent.repeat.deadline())
    }
}
