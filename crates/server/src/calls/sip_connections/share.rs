//! Who may hold how many connections.

use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::sync::Arc;

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
}
