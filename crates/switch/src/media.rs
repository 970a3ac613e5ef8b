//! What each side has said of its media, what both agreed on, and the descriptions that each is given. What
//! crosses from one side to the other is an [`Audio`], never a description.
//!
//! [`party`] is one side and [`call_codec`] what both have agreed on. `first_exchange` is the offer of the INVITE and
//! its answer, [`early_media`] holds offers before the answer of the call and `reoffer` those after it; `announcing` and
//! [`ringing`] answer the caller alone, and [`unfit`] says why a description is of no use.
//!
//! [`Audio`]: maskline_sip::sdp::Audio

mod announcing;
mod call_codec;
mod early_media;
mod first_exchange;
mod party;
mod reoffer;
mod ringing;
mod unfit;

use super::codecs::Codecs;
use super::media_reach::Reach;
use super::{Lease, MediaPath, Unheard};
use call_codec::CallCodec;
pub(super) use early_media::Across;
use maskline_domain::call::Side;
use maskline_sip::sdp::Description;
use party::PartyMedia;
use ringing::RingToneAnswer;
use std::net::{IpAddr, SocketAddr};
pub(super) use unfit::Unfit;

/// See the module.
pub(super) struct Media {
    /// Whether the caller's INVITE had no description: then it gets our offer in the answer.
    is_delayed: bool,
    lease: Option<Lease>,
    /// What the callee's side is told where its trunk wants no other address.
    usual: Option<IpAddr>,
    caller: PartyMedia,
    callee: PartyMedia,
    /// What the two sides agreed on last.
    agreed: Option<CallCodec>,
    /// An offer of one side that waits for the other side's answer.
    offered: Option<(Side, Description)>,
    /// Whether the callee is offered only the codec of a ring tone that the caller is to hear.
    is_toned: bool,
    /// The answer that it had for that.
    ring_tone: Option<RingToneAnswer>,
    /// What the caller was told alone, to hear why nobody answers.
    alone: Option<CallCodec>,
    /// Why the caller's INVITE cannot be used.
    unfit: Option<Unfit>,
}

impl Media {
    /// The caller's INVITE had this body, whose host name stands for `named`, and came by a trunk that lets these
    /// codecs be used. `sessions` are numbers for `o=` that tell nothing, one for each side.
    pub fn from_offer(
        body: &[u8],
        named: Option<IpAddr>,
        codecs: Codecs,
        reach: Reach,
        sessions: [u64; 2],
    ) -> Self {
        let callee = PartyMedia::new(sessions[1], codecs.clone(), reach.clone());
        let mut caller = PartyMedia::new(sessions[0], codecs, reach);
        let read = caller.read(body, named);
        let unfit = read.as_ref().err().copied();
        caller.theirs = read.ok();
        let offered = caller.theirs.as_ref();
        caller.holds = offered.is_some_and(|offer| !offer.audio.direction.receives());
        Self {
            is_delayed: body.is_empty(),
            lease: None,
            usual: None,
            caller,
            callee,
            agreed: None,
            offered: None,
            is_toned: false,
            ring_tone: None,
            alone: None,
            unfit,
        }
    }

    /// Reads what a side says, as far as its trunk lets it. Nothing has changed then: whatever is wrong with it
    /// must be found before it is taken.
    ///
    /// # Errors
    /// Why it cannot be used.
    pub fn read(
        &self,
        side: Side,
        body: &[u8],
        named: Option<IpAddr>,
    ) -> Result<Description, Unfit> {
        self.party(side).read(body, named)
    }

    pub fn is_usable(&self) -> bool {
        self.is_delayed || self.caller.theirs.is_some()
    }

    /// Whether the sound is of a kind that we can speak and record.
    pub fn is_understood(&self) -> bool {
        self.agreed
            .as_ref()
            .is_none_or(|agreed| agreed.law().is_some())
    }

    /// Why the caller's INVITE cannot be used.
    pub fn why_unfit(&self) -> Option<Unfit> {
        self.unfit
    }

    /// Notes that the caller's INVITE cannot be used for what it does not show by itself.
    pub fn mark_unfit(&mut self, why: Unfit) {
        self.unfit = Some(why);
    }

    /// Where this side said last that it receives.
    pub fn told(&self, side: Side) -> Option<SocketAddr> {
        let theirs = self.party(side).theirs.as_ref();
        theirs.map(|theirs| theirs.audio.address)
    }

    /// The call is answered: what is behind NAT may be found somewhere else now. Says whether that is news.
    pub fn seek_anew(&mut self) -> bool {
        for party in [&mut self.caller, &mut self.callee] {
            party.version += u32::from(party.reach.nat);
        }
        self.caller.reach.nat || self.callee.reach.nat
    }

    /// The caller's signalling is verified now. What it may be sent before it is heard, if that changes.
    pub fn mark_caller_verified(&mut self) -> Option<Unheard> {
        if !self.caller.reach.mark_verified() {
            return None;
        }
        let theirs = self.caller.theirs.as_ref()?;
        self.caller.reach.unheard(theirs.audio.address.ip())
    }

    /// The ports that it has.
    pub fn leased(&self) -> Option<Lease> {
        self.lease
    }

    pub fn is_leased(&self) -> bool {
        self.lease.is_some()
    }

    pub fn lease(&mut self, lease: Lease) {
        self.usual = Some(lease.callee.ip());
        self.lease = Some(lease);
    }

    /// Whether this side takes keys as RTP events that we write ourselves, which have a clock of 8 kHz.
    pub fn takes_events(&self, side: Side) -> bool {
        let is_at_8khz = match &self.agreed {
            Some(CallCodec::Passed(passing)) => passing.events_hz == 8_000,
            _ => true,
        };
        let payloads = self.party(side).payloads;
        is_at_8khz && payloads.is_some_and(|payloads| payloads.events.is_some())
    }

    /// Whether the callee means to send, by what it said last.
    pub fn is_callee_heard(&self) -> bool {
        let said = self.callee.theirs.as_ref();
        said.is_some_and(|said| said.audio.direction.sends())
    }

    /// Whether the caller wants to hear anything, by what it said last. One who has said nothing may.
    pub fn is_caller_listening(&self) -> bool {
        let said = self.caller.theirs.as_ref();
        said.is_none_or(|said| said.audio.direction.receives())
    }

    /// Whether the sides have agreed, so that an answer without SDP repeats what was agreed.
    pub fn is_agreed(&self) -> bool {
        self.agreed.is_some()
    }

    /// Where media goes, as soon as both sides have said what they want.
    pub fn path(&self) -> Option<MediaPath> {
        let law = self.agreed.as_ref()?.law();
        let knows_noise =
            |party: &PartyMedia| party.theirs.as_ref().is_some_and(|it| it.audio.noise);
        let both_know_noise = knows_noise(&self.caller) && knows_noise(&self.callee);
        Some(MediaPath {
            caller: Some(self.caller.end(law, both_know_noise)?),
            callee: Some(self.callee.end(law, both_know_noise)?),
        })
    }

    fn address(&self, side: Side) -> Option<SocketAddr> {
        let lease = self.lease?;
        Some(match side {
            Side::Caller => lease.caller,
            Side::Callee => lease.callee,
        })
    }

    fn party(&self, side: Side) -> &PartyMedia {
        match side {
            Side::Caller => &self.caller,
            Side::Callee => &self.callee,
        }
    }

    fn party_mut(&mut self, side: Side) -> &mut PartyMedia {
        match side {
            Side::Caller => &mut self.caller,
            Side::Callee => &mut self.callee,
        }
    }
}
