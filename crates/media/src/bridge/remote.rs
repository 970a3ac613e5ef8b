//! Where one side's media really is, and how much may be sent there.
//!
//! A side without NAT is where it says, and nothing else is taken for it. Behind NAT it is where it speaks
//! from: one of the addresses at which it can be at all, learnt from its first packet, learnt anew with each
//! description and at the answer, and learnt again when it has fallen silent there and speaks from another.
//! Where it says that it is, and where its signalling comes from, it is by better right than elsewhere in its
//! trunk's networks; and who was taken for it while it was silent gives way when it speaks again (`latch`).
//! The name of its stream decides nothing, since a source may change it whenever it likes (RFC 3550 section 8).
//!
//! What a description says is only a claim. Until something has come from an address, the bound that the
//! description brings with it holds for all that is sent there, or a single datagram that names somebody
//! else's address would turn a prompt on them (RFC 8445 section 19.5.1 calls it the voice hammer). The bound is
//! one for the whole call, whatever addresses its side names one after the other; beside it stands that of all
//! calls together, for each address ([`UnheardBudget`]).

use super::latch::{Latch, Right};
use crate::unheard::UnheardBudget;
use ipnet::IpNet;
use maskline_sip::relay::LocalMedia;
use maskline_sip::relay::{MediaEnd, Unheard};
use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

/// The headers of IPv4 and UDP, which whoever is sent something gets too, in bytes.
const HEADERS_BYTES: usize = 28;
/// So many addresses from which something has come in this call are remembered; the last ones.
const HEARD_MAX: usize = 4;

/// See the module. Times are in microseconds on a clock that never jumps.
#[derive(Debug)]
pub(super) struct Remote {
    local_media: Arc<LocalMedia>,
    budget: Arc<UnheardBudget>,
    /// What it says of itself.
    told: Option<SignalledEnd>,
    /// Where it is, behind NAT.
    latch: Option<Latch>,
    /// Whether what is sent it has no bound: something has come from there, or its trunk says so.
    is_free: bool,
    /// From where something has come in this call.
    heard: VecDeque<IpAddr>,
    /// What it was sent before that, wherever it said that it is, in bytes.
    spent_bytes: usize,
    /// When the first of it was sent to where it is now.
    since_us: Option<u64>,
    /// Where its reports come from.
    rtcp_from: Option<SocketAddr>,
}

#[derive(Debug)]
struct SignalledEnd {
    address: SocketAddr,
    rtcp: Option<SocketAddr>,
    is_behind_nat: bool,
    version: u32,
    networks: Arc<[IpNet]>,
    sources: Arc<[IpAddr]>,
    unheard: Option<Unheard>,
}

impl Remote {
    /// Nothing is known of it. `local_media` are the places at which nobody but we can be; `budget` is what all calls send.
    pub fn new(local_media: Arc<LocalMedia>, budget: Arc<UnheardBudget>) -> Self {
        Self {
            local_media,
            budget,
            told: None,
            latch: None,
            is_free: false,
            heard: VecDeque::new(),
            spent_bytes: 0,
            since_us: None,
            rtcp_from: None,
        }
    }

    /// It says this of itself, or is gone. Says whether it is somewhere else now.
    pub fn tell(&mut self, end: Option<&MediaEnd>) -> bool {
        let before = self.told.as_ref();
        let is_moved = before.map(|told| told.address) != end.map(|end| end.address);
        let is_new = before.map(|told| told.version) != end.map(|end| end.version);
        if is_moved {
            self.latch = None;
            self.rtcp_from = None;
            self.since_us = None;
        } else if let Some(latch) = &mut self.latch
            && is_new
        {
            latch.open();
        }
        self.told = end.map(|end| SignalledEnd {
            address: end.address,
            rtcp: end.rtcp,
            is_behind_nat: end.nat,
            version: end.version,
            networks: Arc::clone(&end.networks),
            sources: Arc::clone(&end.sources),
            unheard: end.unheard,
        });
        let address = self.address();
        self.is_free = end.is_none_or(|end| end.unheard.is_none())
            || address.is_some_and(|address| self.heard.contains(&address.ip()));
        is_moved
    }

    /// Media of ours has these addresses from now on.
    pub fn set_local_media(&mut self, local_media: &Arc<LocalMedia>) {
        self.local_media = Arc::clone(local_media);
    }

    /// What it may be sent before it has been heard is this now, unless it may be sent anything.
    pub fn allow(&mut self, unheard: Unheard) {
        let told = self.told.as_mut();
        if let Some(bound) = told.and_then(|told| told.unheard.as_mut()) {
            *bound = unheard;
        }
    }

    /// Whether a packet from there may be its.
    pub fn may_be(&self, source: SocketAddr) -> bool {
        match (&self.told, &self.latch) {
            (None, _) => false,
            (Some(told), _) if !told.is_behind_nat => source == told.address,
            (Some(_), Some(latch)) if source == latch.address() => true,
            (Some(told), _) => {
                source == told.address
                    || (told.can_be_at(source.ip()) && !self.local_media.is_media(source))
            }
        }
    }

    /// Takes note of a sound packet from where it may be. False if it is somewhere else.
    pub fn hear(&mut self, source: SocketAddr, ssrc: u32, now_us: u64) -> bool {
        let Some(told) = &self.told else {
            return false;
        };
        if told.is_behind_nat {
            let right = told.right_at(source.ip());
            match &mut self.latch {
                None => self.latch = Some(Latch::new(source, right, ssrc, now_us)),
                Some(latch) => {
                    let before = latch.address().ip();
                    if !latch.hear(source, right, ssrc, now_us) {
                        return false;
                    }
                    if before != source.ip() {
                        self.rtcp_from = None;
                        self.is_free = false;
                    }
                }
            }
        }
        if !self.is_free {
            self.believe(source.ip(), now_us);
        }
        true
    }

    /// Something has come from where it is sent.
    fn believe(&mut self, ip: IpAddr, now_us: u64) {
        self.is_free = true;
        if self.heard.contains(&ip) {
            return;
        }
        if self.heard.len() == HEARD_MAX {
            self.heard.pop_front();
        }
        self.heard.push_back(ip);
        self.budget.hear(ip, now_us);
    }

    /// Where it is sent RTP.
    pub fn address(&self) -> Option<SocketAddr> {
        let latched = self.latch.as_ref().map(Latch::address);
        let address = latched.or(self.told.as_ref().map(|told| told.address))?;
        is_reachable(address).then_some(address)
    }

    /// Whether a packet of this many bytes may be sent there, to [`Remote::address`] or
    /// [`Remote::rtcp_address`]; it counts as sent then.
    pub fn may_be_sent(&mut self, to: SocketAddr, bytes: usize, now_us: u64) -> bool {
        if self.is_free {
            return true;
        }
        let Some(unheard) = self.told.as_ref().and_then(|told| told.unheard) else {
            return false;
        };
        let bytes = bytes + HEADERS_BYTES;
        let since_us = *self.since_us.get_or_insert(now_us);
        let may = self.spent_bytes + bytes <= unheard.bytes as usize
            && now_us.saturating_sub(since_us) < u64::from(unheard.ms) * 1_000
            && (self.budget).take(to.ip(), bytes, unheard.is_source_verified, now_us);
        if may {
            self.spent_bytes += bytes;
        }
        may
    }

    /// Whether a report from there may be its.
    pub fn may_report(&self, source: SocketAddr) -> bool {
        let Some(told) = &self.told else {
            return false;
        };
        let ip = source.ip();
        let is_told = ip == told.address.ip() || told.rtcp.is_some_and(|rtcp| rtcp.ip() == ip);
        match (told.is_behind_nat, &self.latch) {
            (false, _) => is_told,
            (true, Some(latch)) => ip == latch.address().ip() || (is_told && told.rtcp.is_some()),
            (true, None) => told.can_be_at(ip) && !self.local_media.is_media(source),
        }
    }

    /// Takes note of a report that was its.
    pub fn hear_report(&mut self, source: SocketAddr, now_us: u64) {
        self.rtcp_from = Some(source);
        let is_there = |address: SocketAddr| address.ip() == source.ip();
        if !self.is_free && self.address().is_some_and(is_there) {
            self.believe(source.ip(), now_us);
        }
    }

    /// Where it is sent reports: where its own come from; else where it says, or at the port above its sound
    /// (RFC 3550 section 11, RFC 3605). Behind NAT another port than the one it speaks from may be anybody's.
    pub fn rtcp_address(&self) -> Option<SocketAddr> {
        if let Some(from) = self.rtcp_from {
            return is_reachable(from).then_some(from);
        }
        let (told, address) = (self.told.as_ref()?, self.address()?);
        if address != told.address {
            return None;
        }
        match told.rtcp {
            // On another machine only once it has been heard there.
            Some(rtcp) => (rtcp.ip() == address.ip() && is_reachable(rtcp)).then_some(rtcp),
            None => Some(SocketAddr::new(
                address.ip(),
                address.port().checked_add(1)?,
            )),
        }
    }
}

impl SignalledEnd {
    fn can_be_at(&self, ip: IpAddr) -> bool {
        let mut networks = self.networks.iter();
        self.right_at(ip) == Right::Own || networks.any(|network| network.contains(&ip))
    }

    fn right_at(&self, ip: IpAddr) -> Right {
        match ip == self.address.ip() || self.sources.contains(&ip) {
            true => Right::Own,
            false => Right::Network,
        }
    }
}

/// Whether one machine can be sent something there.
fn is_reachable(address: SocketAddr) -> bool {
    let ip = address.ip();
    let is_broadcast = match ip {
        IpAddr::V4(ip) => ip.is_broadcast(),
        IpAddr::V6(_) => false,
    };
    address.port() != 0 && !ip.is_unspecified() && !ip.is_multicast() && !is_broadcast
}
