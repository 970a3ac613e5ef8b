//! What all calls together send to addresses from which nothing has come.
//!
//! The bound of one call does not help somebody whom a hundred calls name, so what calls send unheard counts
//! for its destination too: an address of IPv4, or the /64 of one of IPv6, since whoever has one address there
//! has all. It is a bucket that holds half of the sum and drains in a minute: within any minute no more than
//! the sum is sent. An empty bucket is no different from none, so it is forgotten, a minute after its last use
//! at the latest.
//!
//! The buckets are bounded in number. Where all are in use a further destination gets nothing until one has
//! drained: giving up one that is in use would let its sum begin anew for whoever names enough others. Calls
//! whose signalling proves who asks have buckets of their own, which calls that anybody can forge do not use
//! up. A verified call is not counted where media was heard lately: that is a gateway which speaks with us, and
//! the bound of each call is enough.
//!
//! A side that has been heard in its call does not come here, nor does one that is where its trunk lists media.

use parking_lot::Mutex;
use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::net::IpAddr;

/// In which a bucket drains, in microseconds.
const DRAINS_US: u64 = 60_000_000;
/// For so long it counts that an address was heard, in microseconds.
const HEARD_US: u64 = 600_000_000;
/// Each part has a lock of its own.
const PARTS: usize = 16;
/// Destinations of each kind that a part holds at most.
const ENTRIES_MAX: usize = 4_096;
/// A part that is full is searched for what can be forgotten no more often than this, in microseconds.
const SEARCH_EVERY_US: u64 = 1_000_000;

/// How much is sent to one destination within any minute, packets with their headers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// By calls that anybody could have begun, in bytes.
    pub unverified_bytes: u32,
    /// By all others, in bytes.
    pub verified_bytes: u32,
}

/// So many calls that anybody could have begun send as much as each may.
const CALLS: u32 = 16;
/// All others, in bytes.
const VERIFIED_BYTES: u32 = 2 * 1_024 * 1_024;

impl Limits {
    /// The usual ones where a call that anybody could have begun sends so much.
    pub fn for_calls(unverified_bytes: u32) -> Self {
        Self {
            unverified_bytes: unverified_bytes.saturating_mul(CALLS),
            verified_bytes: VERIFIED_BYTES,
        }
    }
}

/// See the module. All media threads share it. Times are in microseconds on a clock that never jumps.
#[derive(Debug)]
pub struct UnheardBudget {
    limits: Limits,
    entries_max: usize,
    chance: RandomState,
    parts: [Mutex<Part>; PARTS],
}

/// An address of IPv4 as one of IPv6, or the upper half of one.
type Destination = u128;

#[derive(Debug, Default)]
struct Part {
    unverified: Entries,
    verified: Entries,
    heard: Entries,
}

/// Until when each destination counts.
#[derive(Debug, Default)]
struct Entries {
    until_us: HashMap<Destination, u64>,
    searched_us: Option<u64>,
}

impl UnheardBudget {
    /// Nothing has been sent yet.
    pub fn new(limits: Limits) -> Self {
        Self::with_entries(limits, ENTRIES_MAX)
    }

    fn with_entries(limits: Limits, entries_max: usize) -> Self {
        Self {
            limits,
            entries_max,
            chance: RandomState::new(),
            parts: Default::default(),
        }
    }

    /// Whether so many bytes may be sent there by a call of which nothing has been heard from there; they count
    /// as sent then. `is_source_verified` says whether the signalling of the call proves who wants that.
    pub fn take(&self, to: IpAddr, bytes: usize, is_source_verified: bool, now_us: u64) -> bool {
        let destination = destination(to);
        let mut part = self.part(destination).lock();
        let limit = match is_source_verified {
            true => self.limits.verified_bytes,
            false => self.limits.unverified_bytes,
        };
        if is_source_verified && part.heard.get(destination, now_us).is_some() {
            return true;
        }
        let buckets = match is_source_verified {
            true => &mut part.verified,
            false => &mut part.unverified,
        };
        let drained_us = buckets.get(destination, now_us).unwrap_or(now_us);
        let drained_us = drained_us + drain_us(bytes, limit / 2);
        drained_us <= now_us + DRAINS_US
            && buckets.set(destination, drained_us, now_us, self.entries_max)
    }

    /// Media came from there, in whichever call.
    pub fn hear(&self, from: IpAddr, now_us: u64) {
        let destination = destination(from);
        let mut part = self.part(destination).lock();
        // Where there is no room the sum holds as for others.
        part.heard
            .set(destination, now_us + HEARD_US, now_us, self.entries_max);
    }

    fn part(&self, destination: Destination) -> &Mutex<Part> {
        let at = self.chance.hash_one(destination) % PARTS as u64;
        &self.parts[at as usize]
    }

    #[cfg(test)]
    fn len(&self) -> usize {
        let lengths = self.parts.iter().map(|part| {
            let part = part.lock();
            [&part.unverified, &part.verified, &part.heard].map(|entries| entries.until_us.len())
        });
        lengths.flatten().sum()
    }
}

impl Entries {
    fn get(&self, destination: Destination, now_us: u64) -> Option<u64> {
        let until_us = self.until_us.get(&destination).copied();
        until_us.filter(|until_us| *until_us > now_us)
    }

    /// False if there is no room.
    fn set(
        &mut self,
        destination: Destination,
        until_us: u64,
        now_us: u64,
        entries_max: usize,
    ) -> bool {
        if let Some(known) = self.until_us.get_mut(&destination) {
            *known = until_us;
            return true;
        }
        let may_search = |at: u64| now_us.saturating_sub(at) >= SEARCH_EVERY_US;
        if self.until_us.len() >= entries_max && self.searched_us.is_none_or(may_search) {
            self.until_us.retain(|_, until_us| *until_us > now_us);
            self.searched_us = Some(now_us);
        }
        let has_room = self.until_us.len() < entries_max;
        if has_room {
            self.until_us.insert(destination, until_us);
        }
        has_room
    }
}

fn destination(ip: IpAddr) -> Destination {
    match ip.to_canonical() {
        IpAddr::V4(ip) => ip.to_ipv6_mapped().to_bits(),
        IpAddr::V6(ip) => ip.to_bits() >> 64 << 64,
    }
}

/// How long a bucket that holds so many bytes takes to drain these, rounded up.
fn drain_us(bytes: usize, holds: u32) -> u64 {
    let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
    bytes
        .saturating_mul(DRAINS_US)
        .div_ceil(u64::from(holds).max(1))
}

#[cfg(test)]
mod tests;
