//! A state from the rows of a snapshot, many at a time.
//!
//! What follows from numbers and bindings is not kept up with each of them: numbers come onto their lists, and ends of
//! bindings in their order, once all rows are in. Of each part the numbers that carry its bindings are looked up one
//! after the other before anything else is done with them, so that the processor waits for many at once.

use std::collections::BTreeMap;

use super::in_quota::InQuota;
use super::{Row, State};
use crate::account::AccountId;
use crate::binding::Binding;
use crate::clock::Timestamp;
use crate::inventory::At;
use crate::product::Slot;

/// A state that is being made.
#[derive(Debug)]
pub struct Restoring {
    state: State,
    /// When bindings end, by the partition of their numbers, and their places.
    ends: Vec<Vec<(Timestamp, u32)>>,
}

impl State {
    /// Begins a state.
    pub fn restoring() -> Restoring {
        let mut state = State::default();
        state.bindings.leave_unindexed();
        state.inventory.leave_unlisted();
        Restoring {
            state,
            ends: Vec::new(),
        }
    }
}

impl Restoring {
    /// Takes some rows in, which must come in the order of [`State::rows`], each once.
    pub fn put(&mut self, rows: Vec<Row>) {
        let mut bindings = Vec::new();
        for row in rows {
            match row {
                Row::Number(number) => {
                    self.state.inventory.put(number);
                }
                Row::Binding(binding) => bindings.push(binding),
                other => self.state.restore(other),
            }
        }
        let inventory = &self.state.inventory;
        let found: Vec<Option<At>> = bindings
            .iter()
            .map(|binding| inventory.find(binding.x()))
            .collect();
        for (binding, x) in bindings.into_iter().zip(found) {
            // No decision binds a number that is not there; a journal that says so is found by `check`.
            if let Some(x) = x {
                self.put_binding((*binding).into(), x);
            }
        }
    }

    fn put_binding(&mut self, binding: Binding, x: At) {
        let State {
            bindings,
            inventory,
            ..
        } = &mut self.state;
        let holds_anyone = binding.slots().any(|slot| slot == Slot::Anyone);
        let (head, count) = (inventory.first_binding(x), inventory.bindings_count(x));
        let Some(class) = inventory.class_id(x) else {
            return;
        };
        let at = bindings.insert(binding, x, class, head);
        inventory.set_bindings(x, at, count + 1);
        if holds_anyone {
            inventory.set_anyone(x, at);
        }
        if let Some(partition) = inventory.partition_of(x) {
            let partition = partition as usize;
            if self.ends.len() <= partition {
                self.ends.resize_with(partition + 1, Vec::new);
            }
            self.ends[partition].push((bindings.ends_at(at), at));
        }
    }

    /// The state, when all rows are in.
    pub fn finish(self) -> State {
        let Self { mut state, ends } = self;
        state.inventory.list_all();
        state.bindings.index_all();
        let mut by_account: BTreeMap<AccountId, Vec<(Timestamp, u32)>> = BTreeMap::new();
        for (partition, mut ends) in ends.into_iter().enumerate() {
            ends.sort_unstable();
            let x = ends.first().and_then(|&(_, at)| state.bindings.x(at));
            if let Some(pool) = x.and_then(|x| state.pool_at(x)) {
                let of_account = by_account.entry(pool.account.clone()).or_default();
                let leaves = ends
                    .iter()
                    .map(|&(_, at)| (state.bindings.leaves_quota_at(at), at));
                of_account.extend(leaves);
            }
            state.inventory.expiring.fill(partition as u32, ends);
        }
        for (account, mut ends) in by_account {
            // Runs that are in their order already.
            ends.sort();
            state
                .bindings_by_account
                .insert(account, InQuota::filled(ends));
        }
        state
    }
}
