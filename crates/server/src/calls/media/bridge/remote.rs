//! Where one side's media really is, and how much may be sent there.
//!
//! A side without NAT is where it says, and nothing else is taken for it. Behind NAT it is where it speaks
//! from: one of the addresses at which it can be at all, learnt from its first packet, learnt anew with each
//! description and at the answer, and learnt again when it has fallen silent there and speaks from another.
//! The name of its stream decides nothing, since a source may change it whenever it likes (RFC 3550 section 8).
//!
//! What a description says is only a claim. Until something has come from an address, the bound that the
//! description brings with it holds for all that is sent there, or a single datagram that names somebody
//! else's address would turn a prompt on them (RFC 8445 section 19.5.1 calls it the voice hammer).

use crate::calls::ours::Ours;
use crate::calls::switch::{MediaEnd, Unheard};
use ipnet::IpNet;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

/// After so long without a packet a side may be somewhere else, in microseconds.
const SILENT_US: u64 = 1_000_000;
/// The same for one of which next to nothing was heard, or whose stream goes on under its name from another
/// port of the same machine, in microseconds.
const HARDLY_HEARD_US: u64 = 100_000;
/// With so many packets from an address more than next to nothing was heard.
const SETTLED_PACKETS: u32 = 5;
/// So many packets another address must have sent before it is taken for the side's.
const RIVAL_PACKETS: u32 = 3;
/// The headers of IPv4 and UDP, which whoever is sent something gets too, in bytes.
const HEADERS_BYTES: usize = 28;

/// See the module. Times are in microseconds on a clock that never jumps.
#[derive(Debug)]
pub(super) struct Remote {
    ours: Arc<Ours>,
    /// What it says of itself.
    told: Option<Told>,
    /// Where it is, behind NAT.
    latch: Option<Latch>,
    /// What may still be sent before something comes from where it is sent; none if something has.
    bound: Option<Bound>,
    /// Where its reports come from.
    rtcp_from: Option<SocketAddr>,
}

#[derive(Debug)]
struct Told {
    address: SocketAddr,
    rtcp: Option<SocketAddr>,
    is_behind_nat: bool,
    version: u32,
    networks: Arc<[IpNet]>,
}

#[derive(Debug)]
struct Latch {
    address: SocketAddr,
    ssrc: u32,
    heard_us: u64,
    packets: u32,
    /// Whether the next packet from any address at which the side can be moves it there.
    is_open: bool,
    /// Another address from which something came since.
    rival: Option<(SocketAddr, u32)>,
}

#[derive(Debug)]
struct Bound {
    bytes: usize,
    lasts_us: u64,
    /// When the first packet was sent.
    since_us: Option<u64>,
}

impl Remote {
    /// Nothing is known of it. `ours` are the ports at which nobody but we can be.
    pub fn new(ours: Arc<Ours>) -> Self {
        Self {
            ours,
            told: None,
            latch: None,
            bound: None,
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
            let bound = end.and_then(|end| end.unheard).map(Bound::new);
            // Who names one address after the other gets no more than who names one.
            let had_told = self.told.is_some();
            self.bound = match (bound, self.bound.take()) {
                (Some(fresh), Some(left)) if had_told && left.bytes < fresh.bytes => Some(left),
                (bound, _) => bound,
            };
        } else if let Some(latch) = &mut self.latch {
            latch.is_open |= is_new;
        }
        self.told = end.map(|end| Told {
            address: end.address,
            rtcp: end.rtcp,
            is_behind_nat: end.nat,
            version: end.version,
            networks: Arc::clone(&end.networks),
        });
        is_moved
    }

    /// Whether a packet from there may be its.
    pub fn may_be(&self, source: SocketAddr) -> bool {
        match (&self.told, &self.latch) {
            (None, _) => false,
            (Some(told), _) if !told.is_behind_nat => source == told.address,
            (Some(_), Some(latch)) if source == latch.address => true,
            (Some(told), _) => {
                source == told.address
                    || (told.can_be_at(source.ip()) && !self.ours.is_media(source))
            }
        }
    }

    /// Takes note of a sound packet from where it may be. False if it is somewhere else.
    pub fn hear(&mut self, source: SocketAddr, ssrc: u32, now_us: u64) -> bool {
        let is_behind_nat = self.told.as_ref().is_some_and(|told| told.is_behind_nat);
        if is_behind_nat {
            match &mut self.latch {
                None => self.latch = Some(Latch::new(source, ssrc, now_us)),
                Some(latch) if latch.address == source => latch.hear(ssrc, now_us),
                Some(latch) => {
                    if !latch.yields_to(source, ssrc, now_us) {
                        return false;
                    }
                    if latch.address.ip() != source.ip() {
                        self.rtcp_from = None;
                    }
                    self.latch = Some(Latch::new(source, ssrc, now_us));
                }
            }
        }
        // It has come from where it is sent.
        self.bound = None;
        true
    }

    /// Where it is sent RTP.
    pub fn address(&self) -> Option<SocketAddr> {
        let latched = self.latch.as_ref().map(|latch| latch.address);
        let address = latched.or(self.told.as_ref().map(|told| told.address))?;
        is_reachable(address).then_some(address)
    }

    /// Whether a packet of this many bytes may be sent to [`Remote::address`]; it counts as sent then.
    pub fn may_be_sent(&mut self, bytes: usize, now_us: u64) -> bool {
        match &mut self.bound {
            None => true,
            Some(bound) => bound.allows(bytes, now_us),
        }
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
            (true, Some(latch)) => ip == latch.address.ip() || (is_told && told.rtcp.is_some()),
            (true, None) => told.can_be_at(ip) && !self.ours.is_media(source),
        }
    }

    /// Takes note of a report that was its.
    pub fn hear_report(&mut self, source: SocketAddr) {
        self.rtcp_from = Some(source);
        if self
            .address()
            .is_some_and(|address| address.ip() == source.ip())
        {
            self.bound = None;
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

impl Told {
    fn can_be_at(&self, ip: IpAddr) -> bool {
        let mut networks = self.networks.iter();
        ip == self.address.ip() || networks.any(|network| network.contains(&ip))
    }
}

impl Latch {
    fn new(address: SocketAddr, ssrc: u32, now_us: u64) -> Self {
        Self {
            address,
            ssrc,
            heard_us: now_us,
            packets: 1,
            is_open: false,
            rival: None,
        }
    }

    fn hear(&mut self, ssrc: u32, now_us: u64) {
        self.ssrc = ssrc;
        self.heard_us = now_us;
        self.packets = self.packets.saturating_add(1);
        self.is_open = false;
    }

    /// Whether the side is now there instead.
    fn yields_to(&mut self, source: SocketAddr, ssrc: u32, now_us: u64) -> bool {
        let packets = match self.rival {
            Some((rival, packets)) if rival == source => packets.saturating_add(1),
            _ => 1,
        };
        self.rival = Some((source, packets));
        let goes_on = ssrc == self.ssrc && source.ip() == self.address.ip();
        let patience_us = match goes_on || self.packets < SETTLED_PACKETS {
            true => HARDLY_HEARD_US,
            false => SILENT_US,
        };
        let is_silent = now_us.saturating_sub(self.heard_us) >= patience_us;
        self.is_open || (is_silent && packets >= RIVAL_PACKETS)
    }
}

impl Bound {
    fn new(unheard: Unheard) -> Self {
        Self {
            bytes: unheard.bytes as usize,
            lasts_us: u64::from(unheard.ms) * 1_000,
            since_us: None,
        }
    }

    fn allows(&mut self, bytes: usize, now_us: u64) -> bool {
        let since_us = *self.since_us.get_or_insert(now_us);
        let left = self.bytes.checked_sub(bytes + HEADERS_BYTES);
        match left.filter(|_| now_us.saturating_sub(since_us) < self.lasts_us) {
            Some(left) => {
                self.bytes = left;
                true
            }
            None => false,
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
