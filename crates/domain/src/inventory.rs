//! X numbers and the partitions they are in.
//!
//! An idle number costs its digits and its part of a block's header, nine bytes, one entry of six bytes in the order
//! of the digits, and a sixteenth of its block's place among those that have a free one. Only where a number of a
//! chunk is bound, locked, cooling or has a known idle time do its numbers have links; see `blocks`.

mod blocks;
mod by_digits;
mod free_blocks;
mod listing;
mod note;
mod partition;
mod stock_counts;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use hashbrown::HashTable;
use serde::{Deserialize, Serialize};

use self::blocks::Blocks;
use self::by_digits::ByDigits;
use self::note::{KIND, NOTED, Note, SOLE};
pub(crate) use self::partition::Partition;
use self::stock_counts::StockCounts;
use crate::account::name_type;
use crate::clock::Timestamp;
use crate::due::Due;
use crate::named_enum::named_enum;
use crate::number::PhoneNumber;
use crate::pool::PoolKey;
use crate::slab::Slab;

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
pub enum NumberCarrier {
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
    pub carrier: NumberCarrier,
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

/// What a class has beside what its numbers have in common.
#[derive(Debug, Clone)]
struct Class {
    class: NumberClass,
    partition: u32,
    /// Its blocks that have room for one more.
    with_room: Vec<u32>,
}

impl Class {
    /// The sort of its numbers, by which the stock is counted; `None` in a pool.
    fn kind_in_stock(&self) -> Option<NumberKind> {
        self.class.pool.is_none().then_some(self.class.kind)
    }
}

/// All X numbers.
#[derive(Debug, Clone, Default)]
pub(crate) struct Inventory {
    blocks: Blocks,
    notes: Slab<Note>,
    by_digits: ByDigits,
    classes: Vec<Class>,
    class_ids: HashTable<u32>,
    partitions: Vec<Partition>,
    partition_ids: BTreeMap<Option<PoolKey>, BTreeMap<City, u32>>,
    /// How many bindings a number of each pool may carry at most, whatever is set.
    caps: BTreeMap<PoolKey, u32>,
    /// Those that cool, by the second at which they are ready.
    cooling: Due<u32>,
    /// The bindings, by expiry.
    pub expiring: Due<Timestamp>,
    stock_counts: StockCounts,
    /// Whether numbers are left off all lists for now; see [`Inventory::list_all`].
    is_unlisted: bool,
}

/// The hash of anything, in every process alike.
pub(crate) fn hash_of(value: &impl std::hash::Hash) -> u64 {
    use std::hash::BuildHasher;
    foldhash::fast::FixedState::with_seed(0).hash_one(value)
}

/// The hash of the tables: spreads any integer over 64 bits, in every process alike.
pub(crate) fn hash_u64(value: u64) -> u64 {
    hash_of(&value)
}

impl Inventory {
    pub fn len(&self) -> usize {
        self.blocks.len()
    }

    pub fn find(&self, x: PhoneNumber) -> Option<At> {
        self.by_digits.find(x.packed(), |at| self.x(at).packed())
    }

    pub fn x(&self, at: At) -> PhoneNumber {
        self.blocks.x(at)
    }

    /// By which a class is found again.
    pub fn class_id(&self, at: At) -> Option<u32> {
        self.blocks.class(at)
    }

    pub fn class_by_id(&self, id: u32) -> Option<&NumberClass> {
        self.classes.get(id as usize).map(|class| &class.class)
    }

    pub fn class(&self, at: At) -> Option<&NumberClass> {
        self.class_of(at).map(|class| &class.class)
    }

    pub fn partition_of(&self, at: At) -> Option<u32> {
        self.class_of(at).map(|class| class.partition)
    }

    fn class_of(&self, at: At) -> Option<&Class> {
        self.classes.get(self.blocks.class(at)? as usize)
    }

    pub fn number(&self, at: At) -> Option<Number> {
        let class = self.class(at)?.clone();
        let note = self.note(at);
        Some(Number {
            x: self.x(at),
            class,
            locked: note.locked,
            cooling_until: Timestamp::from_secs(i64::from(note.cooling_until_s)),
            idle_since: Timestamp::from_secs(i64::from(note.idle_since_s)),
        })
    }

    /// Adds or changes a number; what stood there before is given back.
    /// Bindings on it stay. A number whose class changes has another position then.
    pub fn put(&mut self, number: Number) -> Option<Number> {
        let class = self.intern(&number.class);
        let found = self.find(number.x);
        let old = found.and_then(|at| self.number(at));
        let at = match found {
            Some(at) => {
                self.unshelve(at);
                self.move_to_class(at, number.x, class)
            }
            None => {
                let at = self.insert_block(number.x, class);
                let Self {
                    by_digits, blocks, ..
                } = self;
                by_digits.insert(number.x.packed(), at, |at| blocks.x(at).packed());
                at
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
        let link = self.blocks.link(at);
        if link & KIND == NOTED {
            self.notes.remove(link & !KIND);
        }
        let blocks = &self.blocks;
        self.by_digits
            .remove(x.packed(), |at| blocks.x(at).packed());
        self.remove_from_block(at);
        old
    }

    /// Moves a number that is on no list to a block of its class, with all that is known of it; gives its position.
    fn move_to_class(&mut self, at: At, x: PhoneNumber, class: u32) -> At {
        if self.blocks.class(at) == Some(class) {
            return at;
        }
        let moved = self.insert_block(x, class);
        self.blocks.set_link(moved, self.blocks.link(at));
        let blocks = &self.blocks;
        self.by_digits
            .replace(x.packed(), moved, |at| blocks.x(at).packed());
        self.remove_from_block(at);
        moved
    }

    fn insert_block(&mut self, x: PhoneNumber, class: u32) -> At {
        let kept = &mut self.classes[class as usize];
        self.blocks.insert(x, class, &mut kept.with_room)
    }

    fn remove_from_block(&mut self, at: At) {
        let class = self.blocks.class(at);
        if let Some(class) = class.and_then(|class| self.classes.get_mut(class as usize)) {
            self.blocks.remove(at, &mut class.with_room);
        }
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

    /// All positions, by their digits' number and then by the digits.
    pub fn iter(&self) -> impl Iterator<Item = At> + '_ {
        self.by_digits.iter()
    }

    /// The same from this number on, which need not be there.
    pub fn iter_from(&self, x: PhoneNumber) -> impl Iterator<Item = At> + '_ {
        self.by_digits.from(x.packed(), |at| self.x(at).packed())
    }

    fn intern(&mut self, class: &NumberClass) -> u32 {
        let hash = hash_of(class);
        let classes = &mut self.classes;
        let known = |&id: &u32| classes.get(id as usize).is_some_and(|c| c.class == *class);
        if let Some(&id) = self.class_ids.find(hash, known) {
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
        let id = classes.len() as u32;
        classes.push(Class {
            class: class.clone(),
            partition,
            with_room: Vec::new(),
        });
        self.class_ids.insert_unique(hash, id, |&id| {
            let class = classes.get(id as usize);
            class.map_or(0, |class| hash_of(&class.class))
        });
        id
    }

    fn note(&self, at: At) -> Note {
        let link = self.blocks.link(at);
        match link & KIND {
            NOTED => {
                let note = self.notes.get(link & !KIND);
                note.copied().unwrap_or(Note::IDLE)
            }
            SOLE => Note::sole(link & !KIND),
            _ => Note::IDLE,
        }
    }

    /// Changes what is known of a number, keeping it in the link where it
    /// fits there.
    fn with_note(&mut self, at: At, change: impl FnOnce(&mut Note)) {
        let mut note = self.note(at);
        change(&mut note);
        let link = self.blocks.link(at);
        let kept = (link & KIND == NOTED).then_some(link & !KIND);
        match (kept, note.as_link()) {
            (Some(id), Some(link)) => {
                self.notes.remove(id);
                self.blocks.set_link(at, link);
            }
            (Some(id), None) => {
                if let Some(place) = self.notes.get_mut(id) {
                    *place = note;
                }
            }
            (None, Some(link)) => self.blocks.set_link(at, link),
            (None, None) => {
                let id = self.notes.insert(note);
                self.blocks.set_link(at, NOTED | id);
            }
        }
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
