//! The ids of commands that must not come again.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;

use hashbrown::HashTable;

use crate::account::AccessKeyId;
use crate::binding::SubsId;
use crate::clock::Timestamp;
use crate::command_id::{Answered, AttemptId, CommandId, Remembered};
use crate::inventory::hash_u64;
use crate::number::PhoneNumber;
use crate::slab::Slab;
use crate::visits::visit;

/// The most ids remembered for one key: a quarter of an hour at the published
/// 5,000 requests a second, twice over.
pub(crate) const PER_KEY_MAX: u32 = 10_000_000;

/// A remembered id as it lies in memory. Those of one key count together.
#[derive(Debug, Clone)]
struct Cell {
    /// The two halves of the id, so that it lies at any multiple of 8.
    id: [u64; 2],
    until: Timestamp,
    attempt: u64,
    /// Of a binding that was made, its id and its X; of one that a carrier is asked for, its id and the fence.
    subs_id: u64,
    x: u64,
    key: u32,
    /// A code of a refusal, or one of those below.
    answered: u8,
    has_attempt: bool,
}

const UNKNOWN: u8 = 0;
const ASKED: u8 = 253;
const DONE: u8 = 254;
const BOUND: u8 = 255;

impl Cell {
    fn new(id: CommandId, key: u32, remembered: &Remembered) -> Self {
        let (answered, subs_id, x) = match remembered.answered {
            None => (UNKNOWN, 0, 0),
            Some(Answered::Done) => (DONE, 0, 0),
            Some(Answered::Bound { subs_id, x }) => (BOUND, subs_id.0, x.packed()),
            Some(Answered::Asked { subs_id, fence }) => (ASKED, subs_id.0, fence),
            Some(Answered::Refused(code)) => (code, 0, 0),
        };
        Self {
            id: halves(id),
            until: remembered.until,
            attempt: remembered.attempt.map_or(0, |attempt| attempt.0),
            subs_id,
            x,
            key,
            answered,
            has_attempt: remembered.attempt.is_some(),
        }
    }

    fn id(&self) -> CommandId {
        let [head, tail] = self.id;
        whole(head, tail)
    }

    fn remembered(&self, key: Option<AccessKeyId>) -> Remembered {
        let answered = match self.answered {
            UNKNOWN => None,
            DONE => Some(Answered::Done),
            BOUND => PhoneNumber::from_packed(self.x).map(|x| Answered::Bound {
                subs_id: SubsId(self.subs_id),
                x,
            }),
            ASKED => Some(Answered::Asked {
                subs_id: SubsId(self.subs_id),
                fence: self.x,
            }),
            code => Some(Answered::Refused(code)),
        };
        Remembered {
            key,
            until: self.until,
            attempt: self.has_attempt.then_some(AttemptId(self.attempt)),
            answered,
        }
    }
}

fn halves(id: CommandId) -> [u64; 2] {
    [id.head(), id.0 as u64]
}

fn whole(head: u64, tail: u64) -> CommandId {
    CommandId(u128::from(head) << 64 | u128::from(tail))
}

/// Where an id lies. With its own beginning, so that a table that grows looks at no cell.
#[derive(Debug, Clone, Copy)]
struct Entry {
    head: u32,
    at: u32,
}

impl Entry {
    fn head(id: CommandId) -> u32 {
        id.head() as u32
    }

    fn hash(head: u32) -> u64 {
        hash_u64(u64::from(head))
    }
}

/// Remembers ids until their time, and how many there are of each key.
///
/// An id costs some 130 bytes: its cell, about 14 in the table, and up to 48 in the order of time.
#[derive(Debug, Clone, Default)]
pub(crate) struct Memory {
    cells: Slab<Cell>,
    /// By the beginning of the id, since of one that an older program kept the first half is all that is known.
    seen: HashTable<Entry>,
    /// By time, then by id in its two halves.
    by_time: BTreeSet<(Timestamp, u64, u64)>,
    keys: Vec<(Option<AccessKeyId>, u32)>,
    key_ids: BTreeMap<Option<AccessKeyId>, u32>,
}

impl Memory {
    /// What is remembered at `now` of a command, and the id by which it is kept. Beside one whose time is over the
    /// whole id may lie.
    pub fn get(&self, id: CommandId, now: Timestamp) -> Option<(CommandId, Remembered)> {
        let head = Entry::head(id);
        let is_it = |entry: &Entry| {
            let cell = self.cells.get(entry.at).filter(|_| entry.head == head);
            cell.is_some_and(|cell| cell.until > now && id.is_kept_as(cell.id()))
        };
        let entry = self.seen.find(Entry::hash(head), is_it)?;
        self.at(entry.at)
    }

    fn at(&self, at: u32) -> Option<(CommandId, Remembered)> {
        let cell = self.cells.get(at)?;
        let (key, _) = self.keys.get(cell.key as usize)?;
        Some((cell.id(), cell.remembered(key.clone())))
    }

    /// Whether no more ids of this key may be remembered; of operators' together where there is none.
    pub fn is_full(&self, key: &Option<AccessKeyId>) -> bool {
        self.key_ids
            .get(key)
            .and_then(|&id| self.keys.get(id as usize))
            .is_some_and(|&(_, count)| count >= PER_KEY_MAX)
    }

    pub fn len(&self) -> usize {
        self.cells.len()
    }

    /// Adds an id that is not there.
    pub fn insert(&mut self, id: CommandId, remembered: &Remembered) {
        let keys = &mut self.keys;
        let key = match self.key_ids.get(&remembered.key) {
            Some(&key) => key,
            None => {
                keys.push((remembered.key.clone(), 0));
                let key = (keys.len() - 1) as u32;
                self.key_ids.insert(remembered.key.clone(), key);
                key
            }
        };
        if let Some((_, count)) = self.keys.get_mut(key as usize) {
            *count += 1;
        }
        let [head, tail] = halves(id);
        self.by_time.insert((remembered.until, head, tail));
        let at = self.cells.insert(Cell::new(id, key, remembered));
        let head = Entry::head(id);
        let entry = Entry { head, at };
        (self.seen).insert_unique(Entry::hash(head), entry, |entry| Entry::hash(entry.head));
    }

    /// Takes out exactly this id.
    pub fn remove(&mut self, id: CommandId) -> Option<Remembered> {
        let (head, cells) = (Entry::head(id), &self.cells);
        let is_it = |entry: &Entry| {
            entry.head == head && cells.get(entry.at).is_some_and(|cell| cell.id() == id)
        };
        let entry = self.seen.find_entry(Entry::hash(head), is_it).ok()?;
        let (Entry { at, .. }, _) = entry.remove();
        let cell = self.cells.remove(at)?;
        let [head, tail] = cell.id;
        self.by_time.remove(&(cell.until, head, tail));
        let (key, count) = self.keys.get_mut(cell.key as usize)?;
        *count -= 1;
        Some(cell.remembered(key.clone()))
    }

    /// Ids whose time is before `before`, and of those of that very moment the ones up to `through`.
    pub fn due(&self, before: Timestamp, through: Option<CommandId>) -> Vec<CommandId> {
        let end = match through {
            Some(through) => {
                let [head, tail] = halves(through);
                Bound::Included((before, head, tail))
            }
            None => Bound::Excluded((before, 0, 0)),
        };
        self.by_time
            .range((Bound::Unbounded, end))
            .inspect(|_| visit())
            .map(|&(_, head, tail)| whole(head, tail))
            .collect()
    }

    /// Those whose time is before `now`, by their time and then by themselves.
    pub fn due_at(&self, now: Timestamp) -> impl Iterator<Item = (Timestamp, CommandId)> + '_ {
        self.by_time
            .range(..(now, 0, 0))
            .inspect(|_| visit())
            .map(|&(until, head, tail)| (until, whole(head, tail)))
    }

    pub fn iter(&self) -> impl Iterator<Item = (CommandId, Remembered)> {
        self.seen.iter().filter_map(|entry| {
            visit();
            self.at(entry.at)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_remembered_is_given_back_whole() {
        let x = PhoneNumber::parse("17000000000").expect("digits");
        let subs_id = SubsId(7);
        let answers = [
            None,
            Some(Answered::Done),
            Some(Answered::Bound { subs_id, x }),
            Some(Answered::Refused(1)),
            Some(Answered::Refused(252)),
        ];
        let mut memory = Memory::default();
        let mut all = Vec::new();
        for (n, answered) in answers.into_iter().enumerate() {
            for key in [None, Some(AccessKeyId::new("K1"))] {
                let tail = all.len() as u128 + 1;
                let remembered = Remembered {
                    attempt: (n % 2 == 0).then_some(AttemptId(n as u64)),
                    until: Timestamp(n as i64),
                    key,
                    answered,
                };
                all.push((CommandId((n as u128) << 64 | tail), remembered));
            }
        }
        for (id, remembered) in &all {
            memory.insert(*id, remembered);
        }
        assert_eq!(memory.len(), all.len());
        for (id, remembered) in &all {
            let before = remembered.until.plus_millis(-1);
            let found = memory.get(*id, before);
            assert_eq!(found, Some((*id, remembered.clone())));
            assert_eq!(memory.get(*id, remembered.until), None, "its time is over");
        }
        let mut listed: Vec<_> = memory.iter().collect();
        listed.sort_unstable_by_key(|&(id, _)| id);
        assert_eq!(listed, all);
        for (id, remembered) in all {
            assert_eq!(memory.remove(id), Some(remembered));
            assert_eq!(memory.remove(id), None);
        }
        assert_eq!(memory.len(), 0);
        assert!(memory.by_time.is_empty());
        assert!(memory.keys.iter().all(|(_, count)| *count == 0));
    }

    #[test]
    fn an_id_of_64_bits_whose_time_is_over_does_not_hide_the_whole_one() {
        let whole = CommandId(7 << 64 | 9);
        let kept = |until| Remembered {
            key: None,
            until: Timestamp(until),
            attempt: None,
            answered: None,
        };
        let mut memory = Memory::default();
        memory.insert(CommandId::short(7), &kept(10));
        memory.insert(whole, &kept(20));
        let found = |now| memory.get(whole, Timestamp(now)).map(|(id, _)| id);
        assert!(found(9).is_some());
        assert_eq!(found(10), Some(whole));
        assert_eq!(found(20), None);
    }

    #[test]
    fn those_of_one_moment_are_due_up_to_an_id() {
        let ids = [(1, 5), (2, 1), (2, 2), (2, 3 << 64), (3, 0)];
        let mut memory = Memory::default();
        for (until, id) in ids {
            let remembered = Remembered {
                key: None,
                until: Timestamp(until),
                attempt: None,
                answered: None,
            };
            memory.insert(CommandId(id), &remembered);
        }
        let due = |before, through: Option<u128>| {
            let due = memory.due(Timestamp(before), through.map(CommandId));
            due.into_iter().map(|id| id.0).collect::<Vec<_>>()
        };
        assert_eq!(due(2, None), [5]);
        assert_eq!(due(2, Some(0)), [5]);
        assert_eq!(due(2, Some(2)), [5, 1, 2]);
        assert_eq!(due(2, Some(u128::MAX)), [5, 1, 2, 3 << 64]);
        assert_eq!(due(4, None), [5, 1, 2, 3 << 64, 0]);
    }

    #[test]
    fn an_id_costs_a_place_of_56_bytes() {
        assert_eq!(Slab::<Cell>::PLACE_SIZE, 56);
    }
}
