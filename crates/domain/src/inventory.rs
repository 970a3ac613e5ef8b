//! X numbers and the partitions they are in.
//!
//! An idle number costs one cell of 16 bytes, one place in the look-up by
//! digits and one place on its partition. Only numbers that are bound, locked,
//! cooling or in a partition ordered by idle time have a note beside the cell.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use hashbrown::HashTable;
use serde::{Deserialize, Serialize};

use crate::account::name_type;
use crate::clock::Timestamp;
use crate::named_enum::named_enum;
use crate::number::PhoneNumber;
use crate::ordered::Ordered;
use crate::pool::{Pick, PoolKey};
use crate::slab::{NONE, Slab};

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

const NOTED: u32 = 0b10 << 30;
const SOLE: u32 = 0b01 << 30;
const KIND: u32 = 0b11 << 30;
/// Not in a partition.
const NOWHERE: u32 = SOLE - 1;

/// What there is to know of a number's doings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Note {
    /// First of the bindings on this X.
    bindings: u32,
    bindings_count: u32,
    /// The binding that holds the slot of anyone.
    anyone: u32,
    partition_place: u32,
    cooling_until_s: u32,
    idle_since_s: u32,
    locked: bool,
}

impl Note {
    fn idle(partition_place: u32) -> Self {
        Self {
            bindings: NONE,
            bindings_count: 0,
            anyone: NONE,
            partition_place,
            cooling_until_s: 0,
            idle_since_s: 0,
            locked: false,
        }
    }

    fn sole(binding: u32) -> Self {
        Self {
            bindings: binding,
            bindings_count: 1,
            anyone: binding,
            ..Self::idle(NOWHERE)
        }
    }

    /// The note as a link, if it is one of the two plain cases.
    fn as_link(&self) -> Option<u32> {
        if *self == Self::idle(self.partition_place) {
            Some(self.partition_place)
        } else if self.bindings < SOLE && *self == Self::sole(self.bindings) {
            Some(SOLE | self.bindings)
        } else {
            None
        }
    }
}

/// The numbers of one city in one pool.
#[derive(Debug, Clone, Default)]
pub(crate) struct Partition {
    /// Those that can be given out, in no order.
    free: Vec<At>,
    /// The same by idle time, where the pool wants that order.
    by_idle: BTreeSet<(u32, At)>,
    /// Those that cool, by the second at which they are ready.
    pub cooling: BTreeSet<(u32, At)>,
    /// The bindings on these numbers, by expiry.
    pub expiring: BTreeSet<(Timestamp, u32)>,
    pub total: u32,
}

impl Partition {
    pub fn free_count(&self) -> usize {
        self.free.len() + self.by_idle.len()
    }

    /// The `n`th number that can be given out, in the order of preference
    /// where there is one.
    pub fn nth_free(&self, n: usize) -> Option<At> {
        match self.free.get(n) {
            Some(&at) => Some(at),
            None => self.by_idle.iter().nth(n).map(|&(_, at)| at),
        }
    }

    /// All that can be given out.
    pub fn free(&self) -> impl Iterator<Item = At> {
        self.free.iter().copied().chain(self.longest_idle())
    }

    pub fn longest_idle(&self) -> impl Iterator<Item = At> {
        self.by_idle.iter().map(|&(_, at)| at)
    }
}

/// How numbers of a pool are partitioned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct PickRules {
    pub pick: Pick,
    pub bindings_per_x_max: u32,
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
    pick_rules: BTreeMap<PoolKey, PickRules>,
}

fn hash(number: PhoneNumber) -> u64 {
    hash_u64(number.packed())
}

/// The hash of the tables: spreads any integer over 64 bits, in every process alike.
pub(crate) fn hash_u64(value: u64) -> u64 {
    use std::hash::BuildHasher;
    foldhash::fast::FixedState::with_seed(0).hash_one(value)
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

    /// The first of the bindings on X, or [`NONE`].
    pub fn first_binding(&self, at: At) -> u32 {
        self.note(at).bindings
    }

    /// The binding that holds the slot of anyone, or [`NONE`].
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

    pub fn partition_mut(&mut self, id: u32) -> Option<&mut Partition> {
        self.partitions.get_mut(id as usize)
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
            .filter_map(|(city, &id)| Some((city, self.partitions.get(id as usize)?)))
    }

    pub fn all_partitions(&self) -> impl Iterator<Item = &Partition> {
        self.partitions.iter()
    }

    /// Tells how the numbers of a pool are to be partitioned, and does it over if
    /// that changed.
    pub fn set_pick_rules(&mut self, pool: &PoolKey, rules: PickRules) {
        if self.pick_rules.insert(pool.clone(), rules) == Some(rules) {
            return;
        }
        let numbers: Vec<At> = self
            .cells
            .iter()
            .map(|(at, _)| at)
            .filter(|&at| {
                self.class(at)
                    .is_some_and(|class| class.pool.as_ref() == Some(pool))
            })
            .collect();
        for partition in self
            .partition_ids
            .get(&Some(pool.clone()))
            .into_iter()
            .flatten()
        {
            if let Some(partition) = self.partitions.get_mut(*partition.1 as usize) {
                partition.free.clear();
                partition.by_idle.clear();
                partition.cooling.clear();
                partition.total = 0;
            }
        }
        for at in numbers {
            self.with_note(at, |note| note.partition_place = NOWHERE);
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
                partitions.push(Partition::default());
                (partitions.len() - 1) as u32
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

    fn shelve(&mut self, at: At) {
        let Some(class) = self.cells.get(at).map(|cell| cell.class as usize) else {
            return;
        };
        let (Some(&partition_id), Some(class)) =
            (self.class_partitions.get(class), self.classes.get(class))
        else {
            return;
        };
        let rules = class
            .pool
            .as_ref()
            .and_then(|pool| self.pick_rules.get(pool))
            .copied()
            .unwrap_or(PickRules {
                pick: Pick::Random,
                bindings_per_x_max: 1,
            });
        let Note {
            bindings_count: count,
            locked,
            cooling_until_s,
            idle_since_s,
            ..
        } = self.note(at);
        let Some(partition) = self.partitions.get_mut(partition_id as usize) else {
            return;
        };
        partition.total += 1;
        if cooling_until_s > 0 {
            partition.cooling.insert((cooling_until_s, at));
            return;
        }
        if locked || count >= rules.bindings_per_x_max {
            return;
        }
        match rules.pick {
            Pick::Random => {
                partition.free.push(at);
                let place = (partition.free.len() - 1) as u32;
                self.with_note(at, |note| note.partition_place = place);
            }
            Pick::LongestIdle => {
                partition.by_idle.insert((idle_since_s, at));
            }
        }
    }

    fn unshelve(&mut self, at: At) {
        let Some(partition_id) = self.partition_of(at) else {
            return;
        };
        let note = self.note(at);
        let place = note.partition_place;
        let Some(partition) = self.partitions.get_mut(partition_id as usize) else {
            return;
        };
        partition.total = partition.total.saturating_sub(1);
        partition.cooling.remove(&(note.cooling_until_s, at));
        partition.by_idle.remove(&(note.idle_since_s, at));
        if place == NOWHERE {
            return;
        }
        partition.free.swap_remove(place as usize);
        let moved = partition.free.get(place as usize).copied();
        if let Some(moved) = moved {
            self.with_note(moved, |note| note.partition_place = place);
        }
        self.with_note(at, |note| note.partition_place = NOWHERE);
    }
}

/// Whole seconds since 1970, as far as 32 bits reach (the year 2106).
fn seconds(moment: Timestamp) -> u32 {
    u32::try_from(moment.ceil_secs().millis() / 1000).unwrap_or(if moment.millis() < 0 {
        0
    } else {
        u32::MAX
    })
}
