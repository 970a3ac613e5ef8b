//! Who may hold how many connections, and a log that does not repeat itself.

use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Between two lines of the log about the same.
const TOLD_EVERY: Duration = Duration::from_secs(60);

/// Connections that peers have opened, by trunk.
///
/// A trunk takes another one only while it holds fewer than are free (the dynamic threshold by which switches
/// share their buffers). So a single trunk gets half of all, `k` greedy ones leave `1/(k+1)` of all free, and
/// none needs a share of its own that others could not use.
pub(super) struct Shares {
    most: usize,
    held: Mutex<Held>,
}

#[derive(Default)]
struct Held {
    total: usize,
    by_trunk: BTreeMap<Arc<str>, usize>,
}

/// One connection of a trunk; it is given back when this goes.
pub(super) struct Slot {
    shares: Arc<Shares>,
    trunk: Arc<str>,
}

impl Shares {
    /// At most `most` connections at once.
    pub fn new(most: usize) -> Self {
        Self {
            most,
            held: Mutex::default(),
        }
    }

    /// A place for one more connection of this trunk; none if it holds its share.
    pub fn take(self: &Arc<Self>, trunk: &Arc<str>) -> Option<Slot> {
        let mut held = self.held.lock();
        let own = held.by_trunk.get(trunk).copied().unwrap_or_default();
        if own >= self.most.saturating_sub(held.total) {
            return None;
        }
        held.total += 1;
        held.by_trunk.insert(trunk.clone(), own + 1);
        Some(Slot {
            shares: self.clone(),
            trunk: trunk.clone(),
        })
    }

    /// Connections at present.
    pub fn taken(&self) -> u64 {
        u64::try_from(self.held.lock().total).unwrap_or(u64::MAX)
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let mut held = self.shares.held.lock();
        held.total = held.total.saturating_sub(1);
        if let Some(own) = held.by_trunk.get_mut(&self.trunk) {
            *own = own.saturating_sub(1);
            if *own == 0 {
                held.by_trunk.remove(&self.trunk);
            }
        }
    }
}

/// Says the same thing once in a while, with the number of times that it was not said.
#[derive(Default)]
pub(super) struct Rarely(Mutex<(Option<Instant>, u64)>);

impl Rarely {
    /// It happened once more. If it is to be said now: how often it was not said since the last time.
    pub fn say(&self) -> Option<u64> {
        let mut told = self.0.lock();
        if told.0.is_some_and(|last| last.elapsed() < TOLD_EVERY) {
            told.1 += 1;
            return None;
        }
        told.0 = Some(Instant::now());
        Some(std::mem::take(&mut told.1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fill(shares: &Arc<Shares>, trunk: &str) -> Vec<Slot> {
        let trunk = Arc::from(trunk);
        std::iter::from_fn(|| shares.take(&trunk)).collect()
    }

    #[test]
    fn a_greedy_trunk_leaves_room_for_every_other() {
        let shares = Arc::new(Shares::new(1_024));
        let first = fill(&shares, "first");
        assert_eq!(first.len(), 512);
        let second = fill(&shares, "second");
        assert_eq!(second.len(), 256);
        let others: Vec<_> = ["c", "d", "e", "f", "g", "h"]
            .map(|trunk| fill(&shares, trunk))
            .into();
        assert!(others.iter().all(|slots| !slots.is_empty()));
        assert!(shares.taken() < 1_024);
        drop((first, second, others));
        assert_eq!(shares.taken(), 0);
        assert_eq!(fill(&shares, "again").len(), 512);
    }

    #[test]
    fn even_one_place_can_be_taken() {
        let shares = Arc::new(Shares::new(1));
        let one = fill(&shares, "a");
        assert_eq!(one.len(), 1);
        assert!(fill(&shares, "b").is_empty());
        drop(one);
        assert_eq!(fill(&shares, "b").len(), 1);
    }

    #[test]
    fn the_same_is_said_once_and_then_counted() {
        let rarely = Rarely::default();
        assert_eq!(rarely.say(), Some(0));
        for _ in 0..5_000 {
            assert_eq!(rarely.say(), None);
        }
        let long_ago = Instant::now().checked_sub(TOLD_EVERY);
        rarely.0.lock().0 = long_ago;
        if long_ago.is_some() {
            assert_eq!(rarely.say(), Some(5_000));
        }
    }
}
