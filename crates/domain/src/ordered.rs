//! Positions in the order of a key that stands elsewhere.
//!
//! An entry costs 4 bytes and what its block leaves unused: nothing where keys come in their order, as they do from
//! a snapshot, and at most as much again where they come in any.

use std::collections::BTreeMap;

/// The most positions in a block. Who changes a block moves at most so many, 512 bytes.
const BLOCK_MAX: usize = 128;

/// Positions in blocks, by the lowest key that each may hold. Blocks are never empty; every key of one lies below the
/// one under which the next stands. `key_of` gives the key of a position that is in here, and keys are unique.
#[derive(Debug, Clone)]
pub(crate) struct Ordered<K> {
    blocks: BTreeMap<K, Vec<u32>>,
}

impl<K> Default for Ordered<K> {
    fn default() -> Self {
        Self {
            blocks: BTreeMap::new(),
        }
    }
}

impl<K: Ord + Copy> Ordered<K> {
    pub fn insert(&mut self, key: K, at: u32, key_of: impl Fn(u32) -> K) {
        let Some((_, block)) = self.blocks.range_mut(..=key).next_back() else {
            return self.insert_below_all(key, at);
        };
        // Most keys come in their order.
        let is_last = block.last().is_none_or(|&last| key_of(last) < key);
        let place = match is_last {
            true => block.len(),
            false => block.partition_point(|&other| key_of(other) < key),
        };
        if block.len() < BLOCK_MAX {
            block.insert(place, at);
        } else if is_last {
            // A full block stays so: what comes in order leaves no room unused.
            self.blocks.insert(key, vec![at]);
        } else {
            let half = BLOCK_MAX / 2;
            let mut upper = block.split_off(half);
            let lowest = key_of(upper[0]);
            match place.checked_sub(half) {
                Some(place) if place > 0 => upper.insert(place, at),
                _ => block.insert(place, at),
            }
            self.blocks.insert(lowest, upper);
        }
    }

    fn insert_below_all(&mut self, key: K, at: u32) {
        let lowest = self.blocks.first_entry();
        let has_room = lowest.filter(|entry| entry.get().len() < BLOCK_MAX);
        let mut block = has_room.map_or_else(Vec::new, |entry| entry.remove());
        block.insert(0, at);
        self.blocks.insert(key, block);
    }

    /// Takes a position out; `key` is its own.
    pub fn remove(&mut self, key: K, at: u32) {
        let Some((&lowest, block)) = self.blocks.range_mut(..=key).next_back() else {
            return;
        };
        let Some(place) = block.iter().position(|&other| other == at) else {
            return;
        };
        block.remove(place);
        if block.len() > BLOCK_MAX / 4 {
            return;
        }
        let few = self.blocks.remove(&lowest).unwrap_or_default();
        if few.is_empty() {
            return;
        }
        match self.blocks.range_mut(..lowest).next_back() {
            Some((_, before)) if before.len() + few.len() <= BLOCK_MAX / 2 => before.extend(few),
            _ => {
                self.blocks.insert(lowest, few);
            }
        }
    }

    /// All positions, in the order of their keys.
    pub fn iter(&self) -> impl Iterator<Item = u32> + '_ {
        self.blocks.values().flatten().copied()
    }

    /// The positions below this key, that of the highest first.
    pub fn below<'a>(
        &'a self,
        key: K,
        key_of: impl Fn(u32) -> K + 'a,
    ) -> impl Iterator<Item = u32> + 'a
    where
        K: 'a,
    {
        let mut blocks = self.blocks.range(..key).rev().map(|(_, block)| block);
        let first = blocks.next().map_or(&[][..], |block| {
            let place = block.partition_point(|&at| key_of(at) < key);
            block.get(..place).unwrap_or_default()
        });
        let others = blocks.flat_map(|block| block.iter().rev());
        first.iter().rev().chain(others).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    fn filled(keys: impl IntoIterator<Item = u32>) -> Ordered<u64> {
        let mut ordered = Ordered::default();
        for at in keys {
            ordered.insert(key_of(at), at, key_of);
        }
        ordered
    }

    /// The key of a position: any rule will do that does not follow the positions' own order.
    fn key_of(at: u32) -> u64 {
        u64::from(at.reverse_bits()) << 1
    }

    fn upwards(n: u32) -> u32 {
        n.reverse_bits()
    }

    #[test]
    fn keys_that_come_in_order_leave_no_room_unused() {
        let ordered = filled((0..10_000).map(upwards));
        assert_eq!(ordered.blocks.len(), 10_000_usize.div_ceil(BLOCK_MAX));
        assert!(
            ordered
                .blocks
                .values()
                .all(|block| block.capacity() <= BLOCK_MAX)
        );
    }

    #[test]
    fn keys_that_go_leave_no_crowd_of_small_blocks() {
        let mut ordered = filled((0..10_000).map(upwards));
        for n in (0..10_000).filter(|n| n % 50 != 0) {
            ordered.remove(key_of(upwards(n)), upwards(n));
        }
        assert_eq!(ordered.iter().count(), 200);
        assert!(ordered.blocks.len() <= 20, "{}", ordered.blocks.len());
    }

    proptest! {
        #[test]
        fn it_is_as_a_sorted_set_is(
            steps in prop::collection::vec((any::<bool>(), 0..2_000_u32), 1..3_000),
            up in any::<bool>(),
            from in 0..2_100_u32,
        ) {
            let place = |n: u32| if up { upwards(n) } else { upwards(4_000 - n) };
            let (mut ordered, mut plain) = (Ordered::default(), BTreeSet::new());
            for (adds, n) in steps {
                let at = place(n);
                if !adds {
                    ordered.remove(key_of(at), at);
                    plain.remove(&(key_of(at), at));
                } else if plain.insert((key_of(at), at)) {
                    ordered.insert(key_of(at), at, key_of);
                }
            }
            let all: Vec<u32> = plain.iter().map(|&(_, at)| at).collect();
            prop_assert_eq!(ordered.iter().collect::<Vec<u32>>(), all);
            let key = key_of(place(from)) + 1;
            for key in [0, key - 1, key, u64::MAX] {
                let below: Vec<u32> = plain.range(..(key, 0)).rev().map(|&(_, at)| at).collect();
                prop_assert_eq!(ordered.below(key, key_of).collect::<Vec<u32>>(), below);
            }
            prop_assert!(ordered.blocks.values().all(|block| !block.is_empty()));
        }
    }
}
