//! Where a number is listed: in its partition, among those that cool, and in the counts of the stock.

use std::collections::BTreeMap;
use std::ops::Bound;

use super::note::NOWHERE;
use super::stock_counts::UNCOUNTED_DIGITS;
use super::{At, City, Inventory, NumberKind, Partition, seconds_passed};
use crate::clock::Timestamp;
use crate::number::{DIGITS_MAX, PhoneNumber};
use crate::pool::PoolKey;
use crate::visits::visit;

/// The cap of the stock, and of a pool of which none is known.
const CAP_USUAL: u32 = 1;

impl Inventory {
    /// The partition of one city in a pool.
    pub fn partition_in(&self, pool: &PoolKey, city: &City) -> Option<&Partition> {
        let id = *self.partition_ids.get(&Some(pool.clone()))?.get(city)?;
        self.partitions.get(id as usize)
    }

    /// The partitions of a pool (or of the stock), by city.
    pub fn partitions_of(
        &self,
        pool: Option<&PoolKey>,
    ) -> impl Iterator<Item = (&City, &Partition)> {
        self.partitions_after(pool, None)
    }

    /// The same behind this city, which need not be there.
    pub fn partitions_after(
        &self,
        pool: Option<&PoolKey>,
        city: Option<&City>,
    ) -> impl Iterator<Item = (&City, &Partition)> {
        let begin = city.map_or(Bound::Unbounded, Bound::Excluded);
        // The map is keyed by an owned option; the clone is one short string.
        self.partition_ids
            .get(&pool.cloned())
            .into_iter()
            .flat_map(move |cities| cities.range((begin, Bound::Unbounded)))
            .inspect(|_| visit())
            .filter_map(|(city, &id)| Some((city, self.partitions.get(id as usize)?)))
    }

    /// The `n`th of those of a partition that can be given out and have no known idle time; they are in no order.
    pub fn nth_unordered(&self, partition: &Partition, n: usize, bindings_max: u32) -> Option<At> {
        partition.nth_unordered(n, bindings_max, &self.blocks)
    }

    /// All of a partition that can be given out, those that have not been used first and then the longest idle.
    pub fn longest_idle(
        &self,
        partition: &Partition,
        bindings_max: u32,
    ) -> impl Iterator<Item = At> {
        partition.longest_idle(bindings_max, &self.blocks)
    }

    /// How many numbers of the stock are of that sort and begin so, by city.
    pub fn stock_of(&self, kind: NumberKind, prefix: Option<PhoneNumber>) -> BTreeMap<City, u64> {
        let counted = |partition: &Partition| self.stock_counts.get(partition.id, kind, prefix);
        let mut counts: BTreeMap<City, u64> = self
            .partitions_of(None)
            .map(|(city, partition)| (city.clone(), u64::from(counted(partition))))
            .filter(|(_, count)| *count > 0)
            .collect();
        for at in prefix.into_iter().flat_map(|prefix| self.uncounted(prefix)) {
            if let Some(class) = self.class(at)
                && class.pool.is_none()
                && class.kind == kind
                && self.note(at).is_selectable()
                && self.note(at).bindings_count < CAP_USUAL
            {
                *counts.entry(class.city.clone()).or_default() += 1;
            }
        }
        counts
    }

    /// The numbers that begin so and have so few digits more that they are not counted by it.
    fn uncounted(&self, prefix: PhoneNumber) -> impl Iterator<Item = At> + '_ {
        let lengths = 0..=UNCOUNTED_DIGITS.min(DIGITS_MAX - prefix.len());
        lengths.flat_map(move |open| {
            let scale = 10_u64.pow(open as u32);
            let beyond = (prefix.packed() + 1) * scale;
            PhoneNumber::from_packed(prefix.packed() * scale)
                .into_iter()
                .flat_map(move |lowest| self.iter_from(lowest))
                .take_while(move |&at| self.x(at).packed() < beyond)
        })
    }

    /// Numbers of all partitions that have cooled at `now` and have not been put back.
    pub fn cooled(&self, now: Timestamp) -> impl Iterator<Item = At> + '_ {
        self.cooling.until(seconds_passed(now))
    }

    /// Those of one partition.
    pub fn cooled_in(&self, partition: u32, now: Timestamp) -> impl Iterator<Item = At> + '_ {
        self.cooling.in_partition(partition, seconds_passed(now))
    }

    /// Tells how many bindings a number of a pool may carry at most, whatever is set of the pool: who carries so many
    /// is on no list. A pool keeps its product and with it this cap, so that no number has to be listed anew unless a
    /// journal tells of numbers before their pool.
    pub fn set_cap(&mut self, pool: &PoolKey, cap: u32) {
        let before = self.caps.insert(pool.clone(), cap);
        if before.unwrap_or(CAP_USUAL) == cap {
            return;
        }
        let is_empty = self
            .partitions_of(Some(pool))
            .all(|(_, partition)| partition.total == 0);
        if is_empty {
            return;
        }
        let of_pool = |at: &At| {
            self.class(*at)
                .is_some_and(|class| class.pool.as_ref() == Some(pool))
        };
        let numbers: Vec<At> = self.iter().filter(of_pool).collect();
        for at in numbers {
            self.unshelve(at);
            self.shelve(at);
        }
    }

    /// While many numbers come in, with none before: leaves them off all lists until [`Inventory::list_all`].
    pub fn leave_unlisted(&mut self) {
        self.is_unlisted = true;
    }

    /// Puts all numbers onto their lists.
    pub fn list_all(&mut self) {
        if std::mem::take(&mut self.is_unlisted) {
            let all: Vec<At> = self.iter().collect();
            all.into_iter().for_each(|at| self.shelve(at));
        }
    }

    /// Puts a number where its partition has it: among those that cool, on a list of those that can be given out, or
    /// nowhere.
    pub(super) fn shelve(&mut self, at: At) {
        if self.is_unlisted {
            return;
        }
        let note = self.note(at);
        let Some(class) = self.class_of(at) else {
            return;
        };
        let (id, in_stock) = (class.partition, class.kind_in_stock());
        let cap = (class.class.pool.as_ref())
            .and_then(|pool| self.caps.get(pool))
            .copied()
            .unwrap_or(CAP_USUAL);
        let Some(partition) = self.partitions.get_mut(id as usize) else {
            return;
        };
        partition.total += 1;
        if note.cooling_until_s > 0 {
            self.cooling.insert(id, note.cooling_until_s, at);
        }
        if !note.is_selectable() || note.bindings_count >= cap {
            return;
        }
        if let Some(kind) = in_stock {
            self.stock_counts.add(id, kind, self.blocks.x(at));
        }
        let (count, idle_since_s) = (note.bindings_count, note.idle_since_s);
        if let Some(place) = partition.list(at, count, idle_since_s, &mut self.blocks) {
            self.with_note(at, |note| note.partition_place = place);
        }
    }

    pub(super) fn unshelve(&mut self, at: At) {
        if self.is_unlisted {
            return;
        }
        let note = self.note(at);
        let Some(class) = self.class_of(at) else {
            return;
        };
        let (id, in_stock) = (class.partition, class.kind_in_stock());
        let Some(partition) = self.partitions.get_mut(id as usize) else {
            return;
        };
        partition.total = partition.total.saturating_sub(1);
        if note.cooling_until_s > 0 {
            self.cooling.remove(id, note.cooling_until_s, at);
        }
        let place = Some(note.partition_place).filter(|&place| place != NOWHERE);
        let (count, idle_since_s) = (note.bindings_count, note.idle_since_s);
        let delisted = partition.delist(at, count, idle_since_s, place, &mut self.blocks);
        let Some(delisted) = delisted else {
            return;
        };
        if let Some(kind) = in_stock {
            self.stock_counts.take(id, kind, self.blocks.x(at));
        }
        let Some(place) = place else { return };
        if let Some(moved) = delisted.moved {
            self.with_note(moved, |note| note.partition_place = place);
        }
        self.with_note(at, |note| note.partition_place = NOWHERE);
    }
}
