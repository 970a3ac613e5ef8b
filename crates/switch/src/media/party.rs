//! The media of one party: what it has said, what it was told, and what it believes.

use super::call_codec::AnyCodec;
use super::unfit::Unfit;
use crate::MediaEnd;
use crate::codecs::Codecs;
use crate::media_reach::Reach;
use maskline_sip::g711::Law;
use maskline_sip::sdp::{self, Description, Direction, LocalSession, Payloads};
use std::net::IpAddr;
use std::sync::Arc;

/// See the module.
pub(super) struct PartyMedia {
    /// What we say to it.
    pub ours: LocalSession,
    /// What it said last.
    pub theirs: Option<Description>,
    /// What the numbers in its packets mean.
    pub payloads: Option<Payloads>,
    /// Whether it has put the call on hold by itself, not only because the other side has.
    pub holds: bool,
    /// The codec that it believes in.
    pub codec: Option<AnyCodec>,
    /// Whether its last exchange was another than the first of its leg.
    pub is_renewed: bool,
    pub codecs: Codecs,
    pub reach: Reach,
    /// Counts its descriptions, and the answer to its call.
    pub version: u32,
}

impl PartyMedia {
    pub fn new(session: u64, codecs: Codecs, reach: Reach) -> Self {
        Self {
            codecs,
            ours: LocalSession::new(session),
            theirs: None,
            payloads: None,
            holds: false,
            codec: None,
            is_renewed: false,
            reach,
            version: 0,
        }
    }

    /// Reads what this side says of its media, as far as its trunk lets it. `named` is the address that its host
    /// name stands for, if it has one.
    pub fn read(&self, body: &[u8], named: Option<IpAddr>) -> Result<Description, Unfit> {
        let can_speak = |ip| self.reach.can_speak_with(ip);
        let read = sdp::parse_within(body, &self.codecs.passing, named, can_speak);
        let mut read = read.map_err(|_| Unfit::Codec)?;
        if !can_speak(read.audio.address.ip()) {
            return Err(Unfit::Family);
        }
        // An address of IPv4 may be written as one of IPv6.
        let addresses = [Some(&mut read.audio.address), read.audio.rtcp.as_mut()];
        for address in addresses.into_iter().flatten() {
            address.set_ip(address.ip().to_canonical());
        }
        let audio = self.codecs.only(read.audio);
        read.audio = audio.ok_or(Unfit::Codec)?;
        Ok(read)
    }

    /// It has offered this, and it was taken.
    pub fn offer(&mut self, description: Description, payloads: Payloads) {
        self.holds = !description.audio.direction.receives();
        self.say(description, payloads);
    }

    /// It has answered an offer of this direction. Says whether it holds the call now and did not before, or
    /// the other way round. Where nobody sends there is nothing to hold, so that its answer tells nothing.
    pub fn answer(
        &mut self,
        offered: Direction,
        description: Description,
        payloads: Payloads,
    ) -> bool {
        let held = self.holds;
        if offered.sends() {
            self.holds = !description.audio.direction.receives();
        }
        self.say(description, payloads);
        self.holds != held
    }

    fn say(&mut self, description: Description, payloads: Payloads) {
        self.theirs = Some(description);
        self.payloads = Some(payloads);
        self.version += 1;
    }

    /// `takes_noise` says whether both sides have taken comfort noise.
    pub fn end(&self, law: Option<Law>, takes_noise: bool) -> Option<MediaEnd> {
        let audio = &self.theirs.as_ref()?.audio;
        Some(MediaEnd {
            address: audio.address,
            rtcp: audio.rtcp,
            noise: takes_noise,
            networks: Arc::clone(&self.reach.networks),
            sources: Arc::clone(&self.reach.sources),
            unheard: self.reach.unheard(audio.address.ip()),
            payloads: self.payloads?,
            law,
            direction: audio.direction,
            nat: self.reach.nat,
            version: self.version,
        })
    }

    /// What this side has heard last of the other one's direction. None if it has heard nothing.
    pub fn told_direction(&self) -> Option<Direction> {
        self.ours.direction()
    }

    /// Whether this side has heard last that the other one does not want to receive.
    pub fn was_told_of_hold(&self) -> Option<bool> {
        Some(!self.told_direction()?.receives())
    }
}
