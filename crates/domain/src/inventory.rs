//! X numbers and the partitions they are in.
//!
//! An idle number costs one cell of 16 bytes, one place in the look-up by
//! digits and one place on its partition. Only numbers that are bound, locked,
//! cooling or have a known idle time have a note beside the cell.

mod note;
mod partition;
mod stock_counts;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use hashbrown::HashTable;
use serde::{Deserialize, Serialize};

use self::note::{KIND, NOTED, NOWHERE, Note, SOLE};
pub(crate) use self::partition::Partition;
use self::stock_counts::{StockCounts, UNCOUNTED_DIGITS};
use crate::account::name_type;
use crate::clock::Timestamp;
use crate::due::Due;
use crate::named_enum::named_enum;
use crate::number::{DIGITS_MAX, PhoneNumber};
use crate::ordered::Ordered;
use crate::pool::PoolKey;
use crate::slab::Slab;
use crate::visits::visit;

name_type!(
    /// The name of a city, without the ending 市.
    City
);

impl City {
    /// The city of that name, with 市 and surrounding blanks taken off.
    pub fn from_wire(text: &str) -> Self {
        let text = text.trim();
        Self::new(
            text.strip_suffix('市')
                .filter(|t| !t.is_empty())
                .unwrap_or(text),
        )
    }
}

/// The sort of an X number (SpecId of the vendor's stock actions).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NumberKind {
    /// A virtual operator's number (170, 171).
    VirtualOperator,
    /// A carrier's own number.
    Carrier,
    /// A number starting with 95; it has no home city.
    Service95,
}

/// The carrier an X number comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Carrier {
    /// China Mobile.
    Mobile,
    /// China Unicom.
    Unicom,
    /// China Telecom.
    Telecom,
}

/// An X number.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Number {
    /// The digits.
    pub x: PhoneNumber,
    /// What it has in common with others.
    pub class: NumberClass,
    /// Taken out of selection by the customer.
    pub locked: bool,
    /// The first moment at which it may be given out again; in whole seconds,
    /// 0 when it has not been cooling since it was added or thawed.
    pub cooling_until: Timestamp,
    /// When its last binding ended, in whole seconds; kept only in pools that
    /// give out the longest idle number.
    pub idle_since: Timestamp,
}

/// What numbers have in common; kept once for all that share it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct NumberClass {
    /// The pool it is in; `None` is the operator's stock that can be bought.
    pub pool: Option<PoolKey>,
    /// Home city.
    pub city: City,
    /// Home province.
    pub province: Arc<str>,
    /// Sort.
    pub kind: NumberKind,
    /// Where it comes from.
    pub carrier: Carrier,
    /// Whether its registration is proved (CertifyStatus).
    pub certified: bool,
    /// When it came into its pool or the stock.
    pub purchased_at: Timestamp,
}

named_enum! {
    /// What an X number is doing (SecretStatus of the vendor).
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
    #[serde(rename_all = "snake_case")]
    pub enum NumberStatus {
        /// Can be given out.
        Free = "free",
        /// Carries a live binding.
        Bound = "bound",
        /// Taken out of selection.
        Locked = "locked",
        /// Cooling after its last binding.
        Frozen = "frozen",
    }
}

/// A position in the inventory.
pub(crate) type At = u32;

#[derive(Debug, Clone)]
struct Cell {
    x: PhoneNumber,
    class: u32,
    /// What the number is doing, by its two highest bits: lying idle, with its
    /// place in the partition; carrying one binding that holds the slot of anyone,
    /// and nothing else; or anything else, with the position of a [`Note`].
    link: u32,
}

/// All X numbers.
#[derive(Debug, Clone, Default)]
pub(crate) struct Inventory {
    cells: Slab<Cell>,
    notes: Slab<Note>,
    by_digits: HashTable<At>,
    /// All of them, by length and then by digits.
    in_order: Ordered<PhoneNumber>,
    classes: Vec<NumberClass>,
    class_ids: BTreeMap<NumberClass, u32>,
    class_partitions: Vec<u32>,
    partitions: Vec<Partition>,
    partition_ids: BTreeMap<Option<PoolKey>, BTreeMap<City, u32>>,
    /// How many bindings a number of each pool may carry at most, whatever is set.
    caps: BTreeMap<PoolKey, u32>,
    /// Those that cool, by the second at which they are ready.
    cooling: Due<u32>,
    /// The bindings, by expiry.
    pub expiring: Due<Timestamp>,
    stock_counts: StockCounts,
}

/// The cap of the stock, and of a pool of which none is known.
const CAP_USUAL: u32 = 1;

/// The hash of anything, in every process alike.
pub(crate) fn hash_of(value: &impl std::hash::Hash) -> u64 {
    use std::hash::BuildHasher;
    foldhash::fast::FixedState::with_seed(0).hash_one(value)
}

fn hash(number: PhoneNumber) -> u64 {
    hash_u64(number.packed())
}

/// The hash of the tables: spreads any integer over 64 bits, in every process alike.
pub(crate) fn hash_u64(value: u64) -> u64 {
    hash_of(&value)
}

impl Inventory {
    pub fn len(&self) -> usize {
        self.cells.len()
    }

    pub fn find(&self, x: PhoneNumber) -> Option<At> {
        self.by_digits
            .find(hash(x), |&at| {
                self.cells.get(at).is_some_and(|cell| cell.x == x)
            })
            .copied()
    }

    pub fn x(&self, at: At) -> PhoneNumber {
        self.cells
            .get(at)
            .map_or(PhoneNumber::ERASED, |cell| cell.x)
    }

    pub fn class(&self, at: At) -> Option<&NumberClass> {
        self.classes.get(self.cells.get(at)?.class as usize)
    }

    pub fn number(&self, at: At) -> Option<Number> {
        let cell = self.cells.get(at)?;
        let note = self.note(at);
        Some(Number {
            x: cell.x,
            class: self.classes.get(cell.class as usize)?.clone(),
            locked: note.locked,
            cooling_until: Timestamp::from_secs(i64::from(note.cooling_until_s)),
            idle_since: Timestamp::from_secs(i64::from(note.idle_since_s)),
        })
    }

    /// Adds or changes a number; what stood there before is given back.
    /// Bindings on it stay.
    pub fn put(&mut self, number: Number) -> Option<Number> {
        let class = self.intern(&number.class);
        let (at, old) = match self.find(number.x) {
            Some(at) => {
                let old = self.number(at);
                self.unshelve(at);
                if let Some(cell) = self.cells.get_mut(at) {
                    cell.class = class;
                }
                (at, old)
            }
            None => {
                let at = self.cells.insert(Cell {
                    x: number.x,
                    class,
                    link: NOWHERE,
                });
                let Self {
                    by_digits,
                    in_order,
                    cells,
                    ..
                } = self;
                let x = |at| cells.get(at).map_or(PhoneNumber::ERASED, |cell| cell.x);
                by_digits.insert_unique(hash(number.x), at, |&at| hash(x(at)));
                in_order.insert(number.x, at, x);
                (at, None)
            }
        };
        let cooling_until_s = seconds(number.cooling_until);
        let idle_since_s = seconds(number.idle_since);
        self.with_note(at, |note| {
            note.locked = number.locked;
            note.cooling_until_s = cooling_until_s;
            note.idle_since_s = idle_since_s;
        });
        self.shelve(at);
        old
    }

    /// Takes a number away. Only called when nothing is bound to it.
    pub fn remove(&mut self, x: PhoneNumber) -> Option<Number> {
        let at = self.find(x)?;
        let old = self.number(at);
        self.unshelve(at);
        let cell = self.cells.remove(at)?;
        if cell.link & KIND == NOTED {
            self.notes.remove(cell.link & !KIND);
        }
        let found = self.by_digits.find_entry(hash(x), |&other| other == at);
        if let Ok(entry) = found {
            entry.remove();
        }
        self.in_order.remove(x, at);
        old
    }

    pub fn status(&self, at: At, now: Timestamp) -> NumberStatus {
        let note = self.note(at);
        if note.locked {
            NumberStatus::Locked
        } else if note.bindings_count > 0 {
            NumberStatus::Bound
        } else if Timestamp::from_secs(i64::from(note.cooling_until_s)) > now {
            NumberStatus::Frozen
        } else {
            NumberStatus::Free
        }
    }

    pub fn is_locked(&self, at: At) -> bool {
        self.note(at).locked
    }

    pub fn bindings_count(&self, at: At) -> u32 {
        self.note(at).bindings_count
    }

    /// The first of the bindings on X, or [`NONE`](crate::slab::NONE).
    pub fn first_binding(&self, at: At) -> u32 {
        self.note(at).bindings
    }

    /// The binding that holds the slot of anyone, or [`NONE`](crate::slab::NONE).
    pub fn anyone(&self, at: At) -> u32 {
        self.note(at).anyone
    }

    pub fn set_anyone(&mut self, at: At, binding: u32) {
        self.with_note(at, |note| note.anyone = binding);
    }

    /// Notes that the list of bindings on X now begins with `first` and has
    /// `count` members.
    pub fn set_bindings(&mut self, at: At, first: u32, count: u32) {
        self.unshelve(at);
        self.with_note(at, |note| {
            note.bindings = first;
            note.bindings_count = count;
        });
        self.shelve(at);
    }

    pub fn partition_of(&self, at: At) -> Option<u32> {
        let class = self.cells.get(at)?.class;
        self.class_partitions.get(class as usize).copied()
    }

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
        // The map is keyed by an owned option; the clone is one short string.
        self.partition_ids
            .get(&pool.cloned())
            .into_iter()
            .flatten()
            .inspect(|_| visit())
            .filter_map(|(city, &id)| Some((city, self.partitions.get(id as usize)?)))
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

    /// All positions, by their digits' number and then by the digits.
    pub fn iter(&self) -> impl Iterator<Item = At> + '_ {
        self.in_order.iter()
    }

    /// The same from this number on, which need not be there.
    pub fn iter_from(&self, x: PhoneNumber) -> impl Iterator<Item = At> + '_ {
        self.in_order.from(x, |at| self.x(at))
    }

    fn intern(&mut self, class: &NumberClass) -> u32 {
        if let Some(&id) = self.class_ids.get(class) {
            return id;
        }
        let partitions = &mut self.partitions;
        let partition = *self
            .partition_ids
            .entry(class.pool.clone())
            .or_default()
            .entry(class.city.clone())
            .or_insert_with(|| {
                let id = partitions.len() as u32;
                partitions.push(Partition::new(id));
                id
            });
        let id = self.classes.len() as u32;
        self.classes.push(class.clone());
        self.class_partitions.push(partition);
        self.class_ids.insert(class.clone(), id);
        id
    }

    fn note(&self, at: At) -> Note {
        let Some(cell) = self.cells.get(at) else {
            return Note::idle(NOWHERE);
        };
        match cell.link & KIND {
            NOTED => self
                .notes
                .get(cell.link & !KIND)
                .copied()
                .unwrap_or(Note::idle(NOWHERE)),
            SOLE => Note::sole(cell.link & !KIND),
            _ => Note::idle(cell.link),
        }
    }

    /// Changes what is known of a number, keeping it in the cell where it
    /// fits there.
    fn with_note(&mut self, at: At, change: impl FnOnce(&mut Note)) {
        let mut note = self.note(at);
        change(&mut note);
        let Some(cell) = self.cells.get_mut(at) else {
            return;
        };
        let kept = (cell.link & KIND == NOTED).then_some(cell.link & !KIND);
        match (kept, note.as_link()) {
            (Some(id), Some(link)) => {
                self.notes.remove(id);
                cell.link = link;
            }
            (Some(id), None) => {
                if let Some(place) = self.notes.get_mut(id) {
                    *place = note;
                }
            }
            (None, Some(link)) => cell.link = link,
            (None, None) => cell.link = NOTED | self.notes.insert(note),
        }
    }

    /// Puts a number where its partition has it: among those that cool, on a list of those that can be given out, or
    /// nowhere.
    fn shelve(&mut self, at: At) {
        let note = self.note(at);
        let Some(cell) = self.cells.get(at) else {
            return;
        };
        let (x, class_id) = (cell.x, cell.class as usize);
        let (Some(&partition_id), Some(class)) = (
            self.class_partitions.get(class_id),
            self.classes.get(class_id),
        ) else {
            return;
        };
        let Some(partition) = self.partitions.get_mut(partition_id as usize) else {
            return;
        };
        partition.total += 1;
        if note.cooling_until_s > 0 {
            self.cooling.insert(partition_id, note.cooling_until_s, at);
        }
        let cap = (class.pool.as_ref())
            .and_then(|pool| self.caps.get(pool))
            .copied()
            .unwrap_or(CAP_USUAL);
        if !note.is_selectable() || note.bindings_count >= cap {
            return;
        }
        if class.pool.is_none() {
            self.stock_counts.add(partition_id, class.kind, x);
        }
        if let Some(place) = partition.list(at, note.bindings_count, note.idle_since_s) {
            self.with_note(at, |note| note.partition_place = place);
        }
    }

    fn unshelve(&mut self, at: At) {
        let note = self.note(at);
        let Some(cell) = self.cells.get(at) else {
            return;
        };
        let (x, class_id) = (cell.x, cell.class as usize);
        let (Some(&partition_id), Some(class)) = (
            self.class_partitions.get(class_id),
            self.classes.get(class_id),
        ) else {
            return;
        };
        let Some(partition) = self.partitions.get_mut(partition_id as usize) else {
            return;
        };
        partition.total = partition.total.saturating_sub(1);
        if note.cooling_until_s > 0 {
            self.cooling.remove(partition_id, note.cooling_until_s, at);
        }
        let place = Some(note.partition_place).filter(|&place| place != NOWHERE);
        let Some(delisted) = partition.delist(at, note.bindings_count, note.idle_since_s, place)
        else {
            return;
        };
        if class.pool.is_none() {
            self.stock_counts.take(partition_id, class.kind, x);
        }
        let Some(place) = place else { return };
        if let Some(moved) = delisted.moved {
            self.with_note(moved, |note| note.partition_place = place);
        }
        self.with_note(at, |note| note.partition_place = NOWHERE);
    }
}

/// The whole seconds since 1970 that have passed, as far as 32 bits reach.
fn seconds_passed(now: Timestamp) -> u32 {
    u32::try_from(now.millis().max(0) / 1000).unwrap_or(u32::MAX)
}

/// Whole seconds since 1970, as far as 32 bits reach (the year 2106).
fn seconds(moment: Timestamp) -> u32 {
    u32::try_from(moment.ceil_secs().millis() / 1000).unwrap_or(if moment.millis() < 0 {
        0
    } else {
        u32::MAX
    })
}
