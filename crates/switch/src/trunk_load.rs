//! How many calls each trunk carries, and how many it was sent within the last second.

use maskline_domain::TrunkName;
use maskline_domain::trunk::Load;
use std::collections::{BTreeMap, VecDeque};

/// The stretch over which new calls are counted, in milliseconds.
const SECOND_MS: u64 = 1_000;

/// See the module. Bounded by the calls that live and the trunks that are known.
#[derive(Default)]
pub(super) struct Loads {
    calls: BTreeMap<TrunkName, u32>,
    /// When calls were sent, the oldest first; only for trunks on which they are limited.
    begun: BTreeMap<TrunkName, VecDeque<u64>>,
}

impl Loads {
    /// What a trunk carries at `now_ms`.
    pub fn of(&mut self, trunk: &TrunkName, now_ms: u64) -> Load {
        let begun = self.begun.get_mut(trunk).map_or(0, |begun| {
            while begun
                .front()
                .is_some_and(|at_ms| at_ms + SECOND_MS <= now_ms)
            {
                begun.pop_front();
            }
            begun.len()
        });
        Load {
            calls: self.calls.get(trunk).copied().unwrap_or_default(),
            begun_last_s: u32::try_from(begun).unwrap_or(u32::MAX),
        }
    }

    /// A call came from a trunk.
    pub fn enter(&mut self, trunk: &TrunkName) {
        *self.calls.entry(trunk.clone()).or_default() += 1;
    }

    /// A call is sent to a trunk.
    pub fn dial(&mut self, trunk: &maskline_domain::Trunk, now_ms: u64) {
        self.enter(&trunk.name);
        if trunk.calls_per_s_max.is_some() {
            let begun = self.begun.entry(trunk.name.clone()).or_default();
            begun.push_back(now_ms);
        }
    }

    /// A call is on a trunk no more.
    pub fn leave(&mut self, trunk: &TrunkName) {
        if let Some(calls) = self.calls.get_mut(trunk) {
            *calls -= 1;
            if *calls == 0 {
                self.calls.remove(trunk);
            }
        }
    }

    /// Forgets what was sent to trunks that are none any more.
    pub fn retain(&mut self, is_known: impl Fn(&TrunkName) -> bool) {
        self.begun.retain(|trunk, _| is_known(trunk));
    }

    /// Whether no call is on any trunk.
    pub fn is_empty(&self) -> bool {
        self.calls.is_empty()
    }
}
