//! How far the two sides have agreed on media, and the descriptions that each is given. What crosses is an
//! [`Audio`], never a description.

use super::{Lease, MediaEnd, MediaPath};
use crate::calls::Trunk;
use maskline_domain::call::Reason;
use maskline_sip::sdp::{self, Agreement, Audio, Description, Direction, Payloads};
use std::net::SocketAddr;

/// See the module.
pub(super) struct Media {
    /// The caller's offer; none if it holds nothing that we carry.
    offer: Option<Description>,
    /// The callee's answer to it, and what came of both.
    answer: Option<(Audio, Agreement)>,
    lease: Option<Lease>,
    session: u64,
    caller_nat: bool,
    callee_nat: bool,
    /// How often the callee has described itself.
    answers: u32,
}

impl Media {
    /// `session` is a number for `o=` that tells nothing.
    pub fn from_offer(sdp: &[u8], caller: &Trunk, session: u64) -> Self {
        Self {
            offer: sdp::parse(sdp).ok(),
            answer: None,
            lease: None,
            session,
            caller_nat: caller.nat,
            callee_nat: false,
            answers: 0,
        }
    }

    pub fn is_usable(&self) -> bool {
        self.offer.is_some()
    }

    pub fn is_leased(&self) -> bool {
        self.lease.is_some()
    }

    pub fn lease(&mut self, lease: Lease) {
        self.lease = Some(lease);
    }

    /// The offer for the callee, who is dialled by this trunk.
    pub fn offer_by(&mut self, trunk: &Trunk) -> Option<Vec<u8>> {
        let (offer, lease) = (self.offer.as_ref()?, self.lease.as_mut()?);
        if let Some(told) = trunk.rtp_advertised {
            lease.callee.set_ip(told);
        }
        self.answer = None;
        self.callee_nat = trunk.nat;
        Some(sdp::offer(&offer.audio, lease.callee, self.session))
    }

    /// Takes the callee's SDP. An answer without one repeats what was agreed before it. Gives the path of
    /// the media if that is new.
    pub fn take_answer(&mut self, sdp: &[u8]) -> Result<Option<MediaPath>, Reason> {
        if sdp.is_empty() && self.answer.is_some() {
            return Ok(None);
        }
        let answer = sdp::parse(sdp).map_err(|_| Reason::NoCommonCodec)?.audio;
        let offer = self.offer.as_ref().ok_or(Reason::NoCommonCodec)?;
        let agreement = sdp::agree(&offer.audio, &answer).map_err(|_| Reason::NoCommonCodec)?;
        let path = MediaPath {
            caller: Some(end(&offer.audio, agreement.offerer, self.caller_nat, 0)),
            callee: Some(end(
                &answer,
                agreement.answerer,
                self.callee_nat,
                self.answers,
            )),
        };
        self.answer = Some((answer, agreement));
        self.answers += 1;
        Ok(Some(path))
    }

    /// The answer for the caller, once the callee has given one.
    pub fn answer(&self) -> Option<Vec<u8>> {
        let (answer, agreement) = self.answer.as_ref()?;
        self.write_answer(answer, agreement)
    }

    /// An answer of our own for the caller, so that it hears a prompt: what was agreed with a callee, or
    /// else the caller's first choice. With it the path that media takes from now on.
    pub fn answer_alone(&mut self) -> Option<(Vec<u8>, MediaPath)> {
        let (offer, lease) = (self.offer.as_ref()?, self.lease?);
        let (answer, agreement) = match self.answer.take() {
            Some(agreed) => agreed,
            None => {
                let ours = alone(&offer.audio, lease.caller);
                let agreement = sdp::agree(&offer.audio, &ours).ok()?;
                (ours, agreement)
            }
        };
        let path = MediaPath {
            caller: Some(end(&offer.audio, agreement.offerer, self.caller_nat, 0)),
            callee: None,
        };
        let sdp = self.write_answer(&answer, &agreement)?;
        self.answer = Some((answer, agreement));
        Some((sdp, path))
    }

    fn write_answer(&self, answer: &Audio, agreement: &Agreement) -> Option<Vec<u8>> {
        let (offer, lease) = (self.offer.as_ref()?, self.lease?);
        Some(sdp::answer(
            offer,
            answer,
            agreement,
            lease.caller,
            self.session,
        ))
    }
}

fn end(audio: &Audio, payloads: Payloads, nat: bool, version: u32) -> MediaEnd {
    // An address of zeros is how hold was once said (RFC 3264 section 8.4).
    let is_held = audio.address.ip().is_unspecified();
    MediaEnd {
        address: audio.address,
        payloads,
        direction: match (is_held, audio.direction) {
            (true, Direction::SendRecv) => Direction::SendOnly,
            (true, Direction::RecvOnly) => Direction::Inactive,
            (_, direction) => direction,
        },
        nat,
        version,
    }
}

/// What we would say if we were the callee: the first codec, and no more than is wanted of us.
fn alone(theirs: &Audio, ours: SocketAddr) -> Audio {
    Audio {
        address: ours,
        codecs: theirs.codecs.iter().take(1).copied().collect(),
        events: theirs.events,
        ptime_ms: theirs.ptime_ms,
        direction: match theirs.direction {
            Direction::SendRecv => Direction::SendRecv,
            Direction::RecvOnly => Direction::SendOnly,
            Direction::SendOnly => Direction::RecvOnly,
            Direction::Inactive => Direction::Inactive,
        },
    }
}
