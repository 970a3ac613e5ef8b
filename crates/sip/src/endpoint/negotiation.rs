//! Where offer and answer stand on one leg (RFC 3264): what either side said last, whose offer is under way and which
//! waits. `remote_offer` and `local_offer` carry them on.

use super::{ClientKey, ServerId};
use crate::hop::Hop;
use crate::message::{Message, Name};
use crate::sdp;
use crate::time::Time;
use crate::transaction::Repeat;
use std::sync::Arc;

/// Where offer and answer stand on one leg.
pub(super) struct Negotiation {
    /// What we said last, as far as it holds.
    pub local: Option<Arc<[u8]>>,
    /// What they said last, as far as it holds.
    pub remote: Option<Arc<[u8]>>,
    pub exchange: Exchange,
    /// What we want to offer as soon as that can be.
    pub pending_offer: Option<PendingOffer>,
    /// Whether they take UPDATE.
    pub allows_update: bool,
    /// Whether, before our answer to their INVITE, another exchange has followed the first.
    pub is_renewed: bool,
}

pub(super) enum Exchange {
    /// That of the first INVITE is not finished.
    First,
    /// All is agreed.
    Idle,
    /// The call above thinks about their offer.
    Theirs(Theirs),
    /// Our success to their re-INVITE waits for its ACK.
    Confirming(Confirming),
    /// They think about our offer.
    Ours(Ours),
}

pub(super) struct Theirs {
    pub server: ServerId,
    pub request: Arc<Message>,
    pub source: Hop,
    pub until: Time,
}

pub(super) struct Confirming {
    pub ok: Arc<[u8]>,
    pub to: Hop,
    pub repeat: Repeat,
    pub cseq: u32,
    /// Our success made the offer, so the ACK has the answer.
    pub wants_answer: bool,
}

impl Negotiation {
    pub fn new(local: Option<&[u8]>, remote: Option<&[u8]>) -> Self {
        Self {
            local: local.and_then(kept),
            remote: remote.and_then(kept),
            exchange: Exchange::First,
            pending_offer: None,
            allows_update: false,
            is_renewed: false,
        }
    }

    pub fn deadline(&self) -> Option<Time> {
        match &self.exchange {
            Exchange::Theirs(theirs) => Some(theirs.until),
            Exchange::Confirming(confirming) => Some(confirming.repeat.deadline()),
            Exchange::First | Exchange::Idle | Exchange::Ours(_) => None,
        }
    }

    /// Where a success of ours to a re-INVITE went that has no ACK yet.
    pub fn confirms_at(&self) -> Option<Hop> {
        match &self.exchange {
            Exchange::Confirming(sent) => Some(sent.to),
            _ => None,
        }
    }

    /// That success goes to another hop from now on; it, if it is to be sent there.
    pub fn redirect(&mut self, before: Hop, after: Hop) -> Option<Arc<[u8]>> {
        match &mut self.exchange {
            Exchange::Confirming(sent) if sent.to == before => {
                sent.to = after;
                Some(sent.ok.clone())
            }
            _ => None,
        }
    }

    pub fn is_first(&self) -> bool {
        matches!(self.exchange, Exchange::First)
    }

    /// Notes what a message of theirs says that they allow, if it says something.
    pub fn learn(&mut self, message: &Message) {
        if message.header(Name::Allow).is_some() {
            self.allows_update = message.lists(Name::Allow, "UPDATE");
        }
    }

    /// Gives up an offer that has not been sent yet; whether there was one.
    pub fn forgets_offer(&mut self) -> bool {
        self.pending_offer
            .take_if(|pending_offer| pending_offer.is_offer())
            .is_some()
    }

    /// Whether an offer says only what they said before. Its number ought to tell; some change the media
    /// under the same one.
    pub fn is_repeated(&self, offer: &[u8]) -> bool {
        self.remote.as_deref().is_some_and(|before| {
            sdp::origin(before) == sdp::origin(offer) && sdp::parse(before) == sdp::parse(offer)
        })
    }
}

/// What is longer than we read is not kept either.
pub(super) fn kept(sdp: &[u8]) -> Option<Arc<[u8]>> {
    (sdp.len() <= sdp::SDP_BYTES_MAX).then(|| sdp.into())
}

/// An offer that waits for its time.
pub(super) struct PendingOffer {
    /// None: what we said last, to refresh the session.
    pub offer: Option<Arc<[u8]>>,
    pub not_before: Time,
    pub tries: u8,
}

impl PendingOffer {
    pub fn to_offer(sdp: &[u8], now: Time) -> Self {
        Self {
            offer: Some(sdp.into()),
            not_before: now,
            tries: 0,
        }
    }

    pub fn is_offer(&self) -> bool {
        self.offer.is_some()
    }

    pub fn to_refresh(now: Time) -> Self {
        Self {
            offer: None,
            not_before: now,
            tries: 0,
        }
    }
}

/// An offer that is under way.
pub(super) struct Ours {
    pub key: ClientKey,
    /// With whom: before the answer there may be several.
    pub with: Option<Box<[u8]>>,
    pub offer: Arc<[u8]>,
    pub is_refresh: bool,
    pub tries: u8,
}

impl Ours {
    pub fn is_with_another(&self, tag: &[u8]) -> bool {
        self.with.as_deref().is_some_and(|with| with != tag)
    }
}
