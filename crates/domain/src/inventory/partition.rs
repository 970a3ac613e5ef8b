//! The numbers of one city in one pool that can be given out.

use std::collections::{BTreeMap, BTreeSet};

use super::At;
use super::blocks::Blocks;
use super::free_blocks::FreeBlocks;
use crate::visits::visit;

/// The numbers of one city in one pool.
///
/// What is set of a pool, which may change, is no part of this: the numbers stand by what they are, and whoever asks
/// says how many bindings are too many. So a change of a pool moves none of them.
#[derive(Debug, Clone, Default)]
pub(crate) struct Partition {
    pub id: u32,
    pub total: u32,
    /// Those that carry no binding, are neither locked nor cooling and of which no idle time is known.
    idle: FreeBlocks,
    /// The others that are neither locked nor cooling, by how many bindings they carry; see
    /// [`super::Inventory::set_cap`].
    by_bindings: BTreeMap<u32, Listed>,
}

/// Numbers of a partition that carry equally many bindings.
#[derive(Debug, Clone, Default)]
struct Listed {
    /// Those of which no idle time is known, in no order.
    unordered: Vec<At>,
    /// The others, by the second since which they lie idle.
    by_idle: BTreeSet<(u32, At)>,
}

/// What came of taking a number off its list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Delisted {
    /// The number that now stands in its place.
    pub moved: Option<At>,
}

impl Partition {
    pub fn new(id: u32) -> Self {
        Self {
            id,
            ..Self::default()
        }
    }

    /// How many numbers carry fewer bindings than that, and can be given out.
    pub fn free_count(&self, bindings_max: u32) -> usize {
        let in_use = self
            .below(bindings_max)
            .map(|listed| listed.unordered.len() + listed.by_idle.len());
        self.idle(bindings_max).map_or(0, FreeBlocks::len) + in_use.sum::<usize>()
    }

    /// How many of them have no known idle time.
    pub fn unordered_count(&self, bindings_max: u32) -> usize {
        let in_use = self
            .below(bindings_max)
            .map(|listed| listed.unordered.len());
        self.idle(bindings_max).map_or(0, FreeBlocks::len) + in_use.sum::<usize>()
    }

    /// The `n`th of those that have no known idle time.
    pub(super) fn nth_unordered(
        &self,
        mut n: usize,
        bindings_max: u32,
        blocks: &Blocks,
    ) -> Option<At> {
        let idle = self.idle(bindings_max)?;
        if n < idle.len() {
            return idle.nth(n, blocks);
        }
        n -= idle.len();
        for listed in self.below(bindings_max) {
            if let Some(&at) = listed.unordered.get(n) {
                return Some(at);
            }
            n -= listed.unordered.len();
        }
        None
    }

    /// Those that have a known idle time, the longest idle first.
    pub fn by_idle(&self, bindings_max: u32) -> impl Iterator<Item = At> {
        let lists = self.below(bindings_max);
        let mut lists: Vec<_> = lists
            .map(|listed| listed.by_idle.iter().peekable())
            .collect();
        std::iter::from_fn(move || {
            let heads = lists.iter_mut().enumerate();
            let (_, place) = heads
                .filter_map(|(place, list)| Some((*list.peek()?, place)))
                .min()?;
            visit();
            lists.get_mut(place)?.next().map(|&(_, at)| at)
        })
    }

    /// All that can be given out, those that have not been used first and then the longest idle.
    pub(super) fn longest_idle(
        &self,
        bindings_max: u32,
        blocks: &Blocks,
    ) -> impl Iterator<Item = At> {
        let in_use = self.below(bindings_max);
        self.idle(bindings_max)
            .into_iter()
            .flat_map(|idle| idle.iter(blocks))
            .chain(in_use.flat_map(|listed| listed.unordered.iter().copied()))
            .inspect(|_| visit())
            .chain(self.by_idle(bindings_max))
    }

    fn idle(&self, bindings_max: u32) -> Option<&FreeBlocks> {
        (bindings_max > 0).then_some(&self.idle)
    }

    fn below(&self, bindings_max: u32) -> impl Iterator<Item = &Listed> {
        self.by_bindings
            .range(..bindings_max)
            .inspect(|_| visit())
            .map(|(_, listed)| listed)
    }

    /// Puts a number on its list, and says its place there if it has one.
    pub(super) fn list(
        &mut self,
        at: At,
        bindings: u32,
        idle_since_s: u32,
        blocks: &mut Blocks,
    ) -> Option<u32> {
        if bindings == 0 && idle_since_s == 0 {
            self.idle.add(at, blocks);
            return None;
        }
        let listed = self.by_bindings.entry(bindings).or_default();
        if idle_since_s > 0 {
            listed.by_idle.insert((idle_since_s, at));
            return None;
        }
        listed.unordered.push(at);
        Some((listed.unordered.len() - 1) as u32)
    }

    /// Takes a number off its list, given what it was listed by. `None` if it was on none.
    pub(super) fn delist(
        &mut self,
        at: At,
        bindings: u32,
        idle_since_s: u32,
        place: Option<u32>,
        blocks: &mut Blocks,
    ) -> Option<Delisted> {
        if bindings == 0 && idle_since_s == 0 {
            if !blocks.is_free(at) {
                return None;
            }
            self.idle.take(at, blocks);
            return Some(Delisted { moved: None });
        }
        let listed = self.by_bindings.get_mut(&bindings)?;
        let moved = match place {
            Some(place) => {
                let place = place as usize;
                listed.unordered.get(place).filter(|&&other| other == at)?;
                listed.unordered.swap_remove(place);
                listed.unordered.get(place).copied()
            }
            None if listed.by_idle.remove(&(idle_since_s, at)) => None,
            None => return None,
        };
        // Lists come and go.
        if listed.unordered.is_empty() && listed.by_idle.is_empty() {
            self.by_bindings.remove(&bindings);
        }
        Some(Delisted { moved })
    }
}
