//! From which of the addresses at which it can be a side behind NAT really speaks.
//!
//! One packet is enough for the first, and for the next after a new description or the answer. Later it takes
//! several packets from elsewhere: of a side that is silent where it was; of one that speaks from where it is
//! by better right; or of the one that was left for being silent and speaks again. So a stranger within the
//! trunk's networks who is heard in a pause has the call no longer than that.

use std::net::SocketAddr;

/// After so long without a packet a side may be somewhere else, in microseconds.
const SILENT_US: u64 = 1_000_000;
/// The same for one of which next to nothing was heard, or whose stream goes on under its name from another
/// port of the same machine, in microseconds.
const HARDLY_HEARD_US: u64 = 100_000;
/// With so many packets from an address more than next to nothing was heard. So many it takes to oust one that
/// still speaks: more than are under way when a source is changed on purpose.
const SETTLED_PACKETS: u32 = 5;
/// So many packets another address must have sent before it is taken for that of a silent side.
const RIVAL_PACKETS: u32 = 3;

/// By what right a side is at an address, the better one last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Right {
    /// Its trunk has it in one of its networks for media.
    Network,
    /// It says that it is there, or its signalling comes from there.
    Own,
}

/// See the module. Times are in microseconds on a clock that never jumps.
#[derive(Debug)]
pub(super) struct Latch {
    holder: Place,
    ssrc: u32,
    /// Whether the next packet from any address at which the side can be moves it there.
    is_open: bool,
    /// Another address from which something came since.
    rival: Option<Place>,
    /// Who was left for being silent, and may come back.
    left: Option<Place>,
}

#[derive(Clone, Copy, Debug)]
struct Place {
    address: SocketAddr,
    right: Right,
    heard_us: u64,
    packets: u32,
}

impl Latch {
    /// The first packet came from there.
    pub fn new(address: SocketAddr, right: Right, ssrc: u32, now_us: u64) -> Self {
        Self {
            holder: Place::new(address, right, now_us),
            ssrc,
            is_open: false,
            rival: None,
            left: None,
        }
    }

    /// Where the side is.
    pub fn address(&self) -> SocketAddr {
        self.holder.address
    }

    /// There is a new description, or the answer.
    pub fn open(&mut self) {
        self.is_open = true;
    }

    /// A packet came from where the side can be. False if it is somewhere else.
    pub fn hear(&mut self, source: SocketAddr, right: Right, ssrc: u32, now_us: u64) -> bool {
        if source == self.holder.address {
            self.holder.right = right;
            self.holder.hear(now_us);
            self.ssrc = ssrc;
            self.is_open = false;
            return true;
        }
        let rival = self.rival_at(source, right, now_us);
        let is_silent = self.is_silent_for(&rival, ssrc, now_us);
        if !self.is_open && !is_silent && !self.must_yield_to(&rival) {
            return false;
        }
        // Who was left first keeps its right to come back. Who moved on purpose has none.
        let is_left = is_silent && !self.is_open;
        let left = self.left.unwrap_or(self.holder);
        let left = (is_left && left.address.ip() != source.ip()).then_some(left);
        *self = Self {
            left,
            ..Self::new(source, right, ssrc, now_us)
        };
        true
    }

    /// Counts a packet from elsewhere. One of less right does not put back the count of a better one.
    fn rival_at(&mut self, source: SocketAddr, right: Right, now_us: u64) -> Place {
        let known = self
            .rival
            .filter(|rival| now_us.saturating_sub(rival.heard_us) < SILENT_US);
        match known {
            Some(mut rival) if rival.address == source => {
                rival.hear(now_us);
                self.rival = Some(rival);
                rival
            }
            Some(rival) if self.rank(&rival) > self.rank(&Place::new(source, right, now_us)) => {
                Place::new(source, right, now_us)
            }
            _ => {
                let fresh = Place::new(source, right, now_us);
                self.rival = Some(fresh);
                fresh
            }
        }
    }

    fn rank(&self, place: &Place) -> (Right, bool) {
        let was_left = |left: Place| left.address.ip() == place.address.ip();
        (place.right, self.left.is_some_and(was_left))
    }

    /// Whether nothing has come for so long that the side may well be there instead.
    fn is_silent_for(&self, rival: &Place, ssrc: u32, now_us: u64) -> bool {
        let goes_on = ssrc == self.ssrc && rival.address.ip() == self.holder.address.ip();
        let silence_min_us = match goes_on || self.holder.packets < SETTLED_PACKETS {
            true => HARDLY_HEARD_US,
            false => SILENT_US,
        };
        now_us.saturating_sub(self.holder.heard_us) >= silence_min_us
            && rival.packets >= RIVAL_PACKETS
    }

    /// Whether the side is there although something still comes from where it was taken to be.
    fn must_yield_to(&self, rival: &Place) -> bool {
        rival.packets >= SETTLED_PACKETS && self.rank(rival) > (self.holder.right, false)
    }
}

impl Place {
    fn new(address: SocketAddr, right: Right, now_us: u64) -> Self {
        Self {
            address,
            right,
            heard_us: now_us,
            packets: 1,
        }
    }

    fn hear(&mut self, now_us: u64) {
        self.heard_us = now_us;
        self.packets = self.packets.saturating_add(1);
    }
}
