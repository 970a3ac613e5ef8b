//! What is due at a moment, by partition.

use std::cmp::Ordering;
use std::collections::BTreeSet;

use crate::visits::visit;

/// A position, and the moment at which it is due: ordered by the moment, then by the position. Packed, as there is one
/// for each binding and more: 12 bytes where it would be 16 with a timestamp.
#[derive(Debug, Clone, Copy)]
#[repr(Rust, packed(4))]
pub(crate) struct DueAt<M> {
    moment: M,
    at: u32,
}

impl<M: Copy> DueAt<M> {
    pub fn new(moment: M, at: u32) -> Self {
        Self { moment, at }
    }

    pub fn at(self) -> u32 {
        self.at
    }

    /// Above all that are due at a moment.
    pub fn last_of(moment: M) -> Self {
        Self::new(moment, u32::MAX)
    }
}

impl<M: Ord + Copy> Ord for DueAt<M> {
    fn cmp(&self, other: &Self) -> Ordering {
        let key = |due: &Self| (due.moment, due.at);
        key(self).cmp(&key(other))
    }
}

impl<M: Ord + Copy> PartialOrd for DueAt<M> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<M: Ord + Copy> PartialEq for DueAt<M> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl<M: Ord + Copy> Eq for DueAt<M> {}

/// Positions by the moment at which each is due: those of one partition, and those of all, without a look at
/// partitions in which nothing is due.
#[derive(Debug, Clone)]
pub(crate) struct Due<M: Copy> {
    by_partition: Vec<BTreeSet<DueAt<M>>>,
    /// The earliest moment of each partition that has any.
    first: BTreeSet<DueAt<M>>,
}

impl<M: Copy> Default for Due<M> {
    fn default() -> Self {
        Self {
            by_partition: Vec::new(),
            first: BTreeSet::new(),
        }
    }
}

impl<M: Ord + Copy> Due<M> {
    /// Takes in all that is due in a partition that has nothing yet; in order, it costs a step for each.
    pub fn fill(&mut self, partition: u32, due: Vec<(M, u32)>) {
        let Some(&(first, at)) = due.first() else {
            return;
        };
        // Makes the place of the partition, and notes the earliest.
        self.insert(partition, first, at);
        if let Some(kept) = self.by_partition.get_mut(partition as usize) {
            let packed = due.into_iter().map(|(moment, at)| DueAt::new(moment, at));
            *kept = packed.collect();
        }
    }

    pub fn insert(&mut self, partition: u32, moment: M, at: u32) {
        let place = partition as usize;
        if self.by_partition.len() <= place {
            self.by_partition.resize_with(place + 1, BTreeSet::new);
        }
        self.change(partition, |due| due.insert(DueAt::new(moment, at)));
    }

    pub fn remove(&mut self, partition: u32, moment: M, at: u32) {
        self.change(partition, |due| due.remove(&DueAt::new(moment, at)));
    }

    fn change(&mut self, partition: u32, change: impl FnOnce(&mut BTreeSet<DueAt<M>>) -> bool) {
        let Some(due) = self.by_partition.get_mut(partition as usize) else {
            return;
        };
        let earliest = |due: &BTreeSet<DueAt<M>>| due.first().map(|due| due.moment);
        let before = earliest(due);
        let changed = change(due);
        let now = earliest(due);
        if !changed || before == now {
            return;
        }
        if let Some(before) = before {
            self.first.remove(&DueAt::new(before, partition));
        }
        if let Some(now) = now {
            self.first.insert(DueAt::new(now, partition));
        }
    }

    /// Those of a partition that are due at `now`, the earliest first.
    pub fn in_partition(&self, partition: u32, now: M) -> impl Iterator<Item = u32> + '_ {
        self.by_partition
            .get(partition as usize)
            .into_iter()
            .flat_map(move |due| due.range(..=DueAt::last_of(now)))
            .inspect(|_| visit())
            .map(|due| due.at())
    }

    /// Those of all partitions that are due at `now`: partition by partition, in the order of what is due first.
    pub fn until(&self, now: M) -> impl Iterator<Item = u32> + '_ {
        self.first
            .range(..=DueAt::last_of(now))
            .inspect(|_| visit())
            .flat_map(move |due| self.in_partition(due.at(), now))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_is_due_is_what_a_look_at_everything_finds(
            steps in prop::collection::vec((0..4_u8, 0..5_u32, 0..20_u32, 0..20_u32), 1..200),
            now in 0..22_u32,
        ) {
            let (mut due, mut plain) = (Due::default(), BTreeSet::new());
            for (step, partition, moment, at) in steps {
                match step {
                    0 => {
                        due.remove(partition, moment, at);
                        plain.remove(&(partition, moment, at));
                    }
                    _ => {
                        due.insert(partition, moment, at);
                        plain.insert((partition, moment, at));
                    }
                }
            }
            let mut all = Vec::new();
            for partition in 0..6 {
                let found: Vec<u32> = due.in_partition(partition, now).collect();
                let here = plain.range((partition, 0, 0)..=(partition, now, u32::MAX));
                prop_assert_eq!(&found, &here.map(|&(.., at)| at).collect::<Vec<u32>>());
                all.extend(found);
            }
            let mut found: Vec<u32> = due.until(now).collect();
            found.sort_unstable();
            all.sort_unstable();
            prop_assert_eq!(found, all);
        }
    }
}
