//! The ids of commands that must not come again.

use std::collections::{BTreeMap, BTreeSet};

use hashbrown::HashTable;

use crate::account::AccessKeyId;
use crate::clock::Timestamp;
use crate::command::CommandId;
use crate::inventory::hash_u64;
use crate::visits::visit;

/// The most ids remembered for one key: a quarter of an hour at the published
/// 5,000 requests a second, twice over.
pub(crate) const PER_KEY_MAX: u32 = 10_000_000;

#[derive(Debug, Clone)]
struct RememberedId {
    id: CommandId,
    until: Timestamp,
    key: u32,
}

/// Remembers ids until their time, and how many there are of each key.
#[derive(Debug, Clone, Default)]
pub(crate) struct Memory {
    seen: HashTable<RememberedId>,
    by_time: BTreeMap<Timestamp, BTreeSet<CommandId>>,
    keys: Vec<(AccessKeyId, u32)>,
    key_ids: BTreeMap<AccessKeyId, u32>,
}

impl Memory {
    pub fn get(&self, id: CommandId) -> Option<(AccessKeyId, Timestamp)> {
        let seen = self.seen.find(hash_u64(id.0), |seen| seen.id == id)?;
        let (key, _) = self.keys.get(seen.key as usize)?;
        Some((key.clone(), seen.until))
    }

    pub fn is_full(&self, key: &AccessKeyId) -> bool {
        self.key_ids
            .get(key)
            .and_then(|&id| self.keys.get(id as usize))
            .is_some_and(|&(_, count)| count >= PER_KEY_MAX)
    }

    pub fn len(&self) -> usize {
        self.seen.len()
    }

    pub fn insert(&mut self, id: CommandId, key: AccessKeyId, until: Timestamp) {
        let keys = &mut self.keys;
        let key = *self.key_ids.entry(key).or_insert_with_key(|key| {
            keys.push((key.clone(), 0));
            (keys.len() - 1) as u32
        });
        if let Some((_, count)) = self.keys.get_mut(key as usize) {
            *count += 1;
        }
        self.by_time.entry(until).or_default().insert(id);
        self.seen
            .insert_unique(hash_u64(id.0), RememberedId { id, until, key }, |seen| {
                hash_u64(seen.id.0)
            });
    }

    pub fn remove(&mut self, id: CommandId) -> Option<(AccessKeyId, Timestamp)> {
        let entry = self
            .seen
            .find_entry(hash_u64(id.0), |seen| seen.id == id)
            .ok()?;
        let (seen, _) = entry.remove();
        if let Some(ids) = self.by_time.get_mut(&seen.until) {
            ids.remove(&id);
            if ids.is_empty() {
                self.by_time.remove(&seen.until);
            }
        }
        let (key, count) = self.keys.get_mut(seen.key as usize)?;
        *count -= 1;
        Some((key.clone(), seen.until))
    }

    /// Ids whose time is before `before`, and of those of that very moment the ones up to `through`.
    pub fn due(&self, before: Timestamp, through: Option<CommandId>) -> Vec<CommandId> {
        let earlier = self.by_time.range(..before).flat_map(|(_, ids)| ids);
        let of_moment = through
            .and_then(|through| Some(self.by_time.get(&before)?.range(..=through)))
            .into_iter()
            .flatten();
        earlier
            .chain(of_moment)
            .copied()
            .inspect(|_| visit())
            .collect()
    }

    /// Those whose time is before `now`, by their time and then by themselves.
    pub fn due_at(&self, now: Timestamp) -> impl Iterator<Item = (Timestamp, CommandId)> + '_ {
        self.by_time
            .range(..now)
            .flat_map(|(&until, ids)| ids.iter().map(move |&id| (until, id)))
            .inspect(|_| visit())
    }

    pub fn iter(&self) -> impl Iterator<Item = (CommandId, &AccessKeyId, Timestamp)> {
        self.seen.iter().filter_map(|seen| {
            visit();
            let (key, _) = self.keys.get(seen.key as usize)?;
            Some((seen.id, key, seen.until))
        })
    }
}
