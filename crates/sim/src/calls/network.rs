//! What becomes of a packet on its way.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

use super::rewriting::Change;
use crate::chance::Chance;

/// The faults of one world.
#[derive(Debug, Clone, Copy)]
pub(super) struct NetworkFaults {
    loss_percent: u64,
    copies_percent: u64,
    delay_max_ms: u64,
}

impl NetworkFaults {
    /// From calm to rough.
    pub fn new(chance: &mut Chance) -> Self {
        Self {
            loss_percent: chance.below(16),
            copies_percent: chance.below(11),
            delay_max_ms: 5 + chance.below(400),
        }
    }
}

/// What phones of one world do in ways of their own.
#[derive(Debug, Clone, Copy)]
pub(super) struct PhoneOptions {
    delayed_percent: u64,
    update_percent: u64,
    ask_percent: u64,
    multipart_percent: u64,
    named_percent: u64,
    pracks_percent: u64,
    elsewhere_percent: u64,
}

impl PhoneOptions {
    /// From plain to odd.
    pub fn new(chance: &mut Chance) -> Self {
        Self {
            delayed_percent: chance.below(80),
            update_percent: chance.below(50),
            ask_percent: chance.below(50),
            multipart_percent: chance.below(40),
            named_percent: chance.below(30),
            pracks_percent: chance.below(60),
            elsewhere_percent: chance.below(60),
        }
    }

    /// Whether a caller makes no offer.
    pub fn is_delayed(&self, chance: &mut Chance) -> bool {
        chance.below(100) < self.delayed_percent
    }

    /// Whether an exchange sends its descriptions in a multipart body.
    pub fn is_multipart(&self, chance: &mut Chance) -> bool {
        chance.below(100) < self.multipart_percent
    }

    /// Whether a phone says a host name in the place of its address.
    pub fn is_named(&self, chance: &mut Chance) -> bool {
        chance.below(100) < self.named_percent
    }

    /// Whether a phone offers anew in a PRACK.
    pub fn offers_by_prack(&self, chance: &mut Chance) -> bool {
        chance.below(100) < self.pracks_percent
    }

    /// Whether a phone answers otherwise than it did early, where that was not acknowledged.
    pub fn answers_elsewhere(&self, chance: &mut Chance) -> bool {
        chance.below(100) < self.elsewhere_percent
    }

    /// How a phone asks for other media.
    pub fn change(&self, chance: &mut Chance) -> Change {
        let at = chance.below(100);
        match at < self.update_percent {
            true => Change::Update,
            false if at < self.update_percent + self.ask_percent => Change::Ask,
            false => Change::Offer,
        }
    }
}

/// The network: a packet arrives never, once or twice, each time after a delay of its own.
#[derive(Debug)]
pub(super) struct Network {
    faults: NetworkFaults,
    /// Until when nothing comes from or goes to a carrier.
    outages: BTreeMap<IpAddr, u64>,
    /// When the last message on each stream arrives.
    streams: BTreeMap<(SocketAddr, SocketAddr), u64>,
}

impl Network {
    pub fn new(faults: NetworkFaults) -> Self {
        Self {
            faults,
            outages: BTreeMap::new(),
            streams: BTreeMap::new(),
        }
    }

    /// The carrier is cut off until then.
    pub fn cut(&mut self, carrier: IpAddr, until_ms: u64) {
        self.outages.insert(carrier, until_ms);
    }

    pub fn is_cut(&self, peer: SocketAddr, now_ms: u64) -> bool {
        self.outages
            .get(&peer.ip())
            .is_some_and(|until| now_ms < *until)
    }

    /// After how many milliseconds a message arrives on a stream, which keeps the order.
    pub fn stream_delay(
        &mut self,
        way: (SocketAddr, SocketAddr),
        now_ms: u64,
        chance: &mut Chance,
    ) -> u64 {
        let arrives = now_ms + 1 + chance.below(self.faults.delay_max_ms);
        let last = self.streams.entry(way).or_default();
        *last = arrives.max(*last);
        *last - now_ms
    }

    /// After how many milliseconds each copy arrives.
    pub fn delays(&self, chance: &mut Chance) -> Vec<u64> {
        let mut delays = Vec::new();
        let copies = 1 + u64::from(chance.below(100) < self.faults.copies_percent);
        for _ in 0..copies {
            if chance.below(100) >= self.faults.loss_percent {
                delays.push(1 + chance.below(self.faults.delay_max_ms));
            }
        }
        delays
    }
}
