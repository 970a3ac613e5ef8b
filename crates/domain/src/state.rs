//! The routing state: one value, changed by events only.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::account::{AccessKey, AccessKeyId, Account, AccountId, User, UserName};
use crate::allocation::ended;
use crate::binding::{Binding, EndCause, SubsId};
use crate::bindings::Bindings;
use crate::clock::Timestamp;
use crate::command::CommandId;
use crate::event::Event;
use crate::inventory::{At, City, Inventory, Number, NumberKind, NumberStatus, Shelving};
use crate::kinds::Slot;
use crate::memory::Memory;
use crate::number::PhoneNumber;
use crate::pool::{Pool, PoolKey};
use crate::slab::NONE;
use crate::trunk::{Trunk, TrunkName};

/// Accounts, keys, pools, numbers, bindings and what else routing and the API
/// rest on.
///
/// Two states are equal in content when their [`State::rows`] are equal. The
/// order of free numbers in memory is not part of the content, since events
/// name the number that was taken.
#[derive(Debug, Clone, Default)]
pub struct State {
    clock: Clock,
    emergency: Vec<PhoneNumber>,
    accounts: BTreeMap<AccountId, Account>,
    users: BTreeMap<(AccountId, UserName), User>,
    keys: BTreeMap<AccessKeyId, AccessKey>,
    pools: BTreeMap<PoolKey, Pool>,
    trunks: BTreeMap<TrunkName, Trunk>,
    imports: BTreeMap<Box<str>, u64>,
    pub(crate) inventory: Inventory,
    pub(crate) bindings: Bindings,
    pub(crate) memory: Memory,
}

/// The newest journalled moment and what else only ever grows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Clock {
    /// The newest journalled moment.
    pub now: Timestamp,
    /// The highest id given to a binding, or skipped.
    pub last_subs_id: u64,
    /// How many restores there have been.
    pub epoch: u32,
}

/// One thing in the state, as snapshots keep it. Their form has no names and no defaults: what is here
/// stays as it is and where it is, and a thing that needs more gets a new variant at the end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Row {
    /// The scalars. The first row of every snapshot.
    Clock(Clock),
    /// Numbers that may never be a party.
    Emergency(Vec<PhoneNumber>),
    /// An account.
    Account(Account),
    /// A user.
    User(User),
    /// A key.
    Key(AccessKey),
    /// A pool.
    Pool(Pool),
    /// A trunk of which no more is said than a name, a peer and a switch.
    Trunk(PlainTrunk),
    /// An X number.
    Number(Number),
    /// A binding.
    Binding(Box<Binding>),
    /// The id of a command that must not come again.
    Command {
        /// The id.
        id: CommandId,
        /// The key that signed it.
        key: AccessKeyId,
        /// When it may be forgotten.
        until: Timestamp,
    },
    /// How far an import that is under way has come.
    Import {
        /// Its name.
        name: Box<str>,
        /// How many of its rows are in.
        rows: u64,
    },
    /// Any other trunk.
    Link(Box<Trunk>),
}

/// The first form of a trunk. What it can hold is kept in it, so that a state has the same digest
/// whichever release wrote it down.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlainTrunk {
    name: TrunkName,
    peer: String,
    enabled: bool,
}

impl From<Trunk> for Row {
    fn from(trunk: Trunk) -> Self {
        if trunk.is_plain() {
            Row::Trunk(PlainTrunk {
                name: trunk.name,
                peer: trunk.peer,
                enabled: trunk.enabled,
            })
        } else {
            Row::Link(Box::new(trunk))
        }
    }
}

impl From<PlainTrunk> for Trunk {
    fn from(plain: PlainTrunk) -> Self {
        Trunk {
            enabled: plain.enabled,
            ..Trunk::new(plain.name, plain.peer)
        }
    }
}

/// What identifies a [`Row`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RowKey {
    /// The scalars.
    Clock,
    /// Numbers that may never be a party.
    Emergency,
    /// An account.
    Account(AccountId),
    /// A user.
    User(AccountId, UserName),
    /// A key.
    Key(AccessKeyId),
    /// A pool.
    Pool(PoolKey),
    /// A trunk.
    Trunk(TrunkName),
    /// An X number.
    Number(PhoneNumber),
    /// A binding.
    Binding(SubsId),
    /// A command id.
    Command(CommandId),
    /// An import that is under way.
    Import(Box<str>),
}

impl Row {
    fn key(&self) -> RowKey {
        match self {
            Row::Clock(_) => RowKey::Clock,
            Row::Emergency(_) => RowKey::Emergency,
            Row::Account(account) => RowKey::Account(account.id.clone()),
            Row::User(user) => RowKey::User(user.account.clone(), user.name.clone()),
            Row::Key(key) => RowKey::Key(key.id.clone()),
            Row::Pool(pool) => RowKey::Pool(pool.key.clone()),
            Row::Trunk(trunk) => RowKey::Trunk(trunk.name.clone()),
            Row::Link(trunk) => RowKey::Trunk(trunk.name.clone()),
            Row::Number(number) => RowKey::Number(number.x),
            Row::Binding(binding) => RowKey::Binding(binding.subs_id),
            Row::Command { id, .. } => RowKey::Command(*id),
            Row::Import { name, .. } => RowKey::Import(name.clone()),
        }
    }
}

/// How things were before events were applied; see [`State::undo`].
#[derive(Debug, Default)]
pub struct Undo(Vec<(RowKey, Option<Row>)>);

impl Undo {
    /// Adds what came after, so that both are undone together.
    pub fn append(&mut self, mut later: Undo) {
        self.0.append(&mut later.0);
    }

    /// Whether there is nothing to undo.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// Content: reading.
impl State {
    /// The newest journalled moment.
    pub fn now(&self) -> Timestamp {
        self.clock.now
    }

    /// How many restores there have been.
    pub fn epoch(&self) -> u32 {
        self.clock.epoch
    }

    /// The id that the next binding gets if it is made at `now`.
    pub fn next_subs_id(&self, now: Timestamp) -> SubsId {
        SubsId(self.clock.last_subs_id + 1).max(SubsId::earliest_at(now))
    }

    /// Numbers that may never be A, B or a member of a group.
    pub fn emergency_numbers(&self) -> &[PhoneNumber] {
        &self.emergency
    }

    /// An account by name.
    pub fn account(&self, id: &AccountId) -> Option<&Account> {
        self.accounts.get(id)
    }

    /// All accounts, by name.
    pub fn accounts(&self) -> impl Iterator<Item = &Account> {
        self.accounts.values()
    }

    /// A user.
    pub fn user(&self, account: &AccountId, name: &UserName) -> Option<&User> {
        self.users.get(&(account.clone(), name.clone()))
    }

    /// All users, by account and name.
    pub fn users(&self) -> impl Iterator<Item = &User> {
        self.users.values()
    }

    /// A key by its id.
    pub fn key(&self, id: &AccessKeyId) -> Option<&AccessKey> {
        self.keys.get(id)
    }

    /// All keys, by id.
    pub fn keys(&self) -> impl Iterator<Item = &AccessKey> {
        self.keys.values()
    }

    /// A pool by its key.
    pub fn pool(&self, key: &PoolKey) -> Option<&Pool> {
        self.pools.get(key)
    }

    /// All pools, by key.
    pub fn pools(&self) -> impl Iterator<Item = &Pool> {
        self.pools.values()
    }

    /// A trunk by name.
    pub fn trunk(&self, name: &TrunkName) -> Option<&Trunk> {
        self.trunks.get(name)
    }

    /// All trunks, by name.
    pub fn trunks(&self) -> impl Iterator<Item = &Trunk> {
        self.trunks.values()
    }

    /// How many rows of an import under way are in.
    pub fn import(&self, name: &str) -> Option<u64> {
        self.imports.get(name).copied()
    }

    /// All imports under way and how far they have come, by name.
    pub fn imports(&self) -> impl Iterator<Item = (&str, u64)> {
        self.imports.iter().map(|(name, rows)| (&**name, *rows))
    }

    /// An X number.
    pub fn number(&self, x: PhoneNumber) -> Option<Number> {
        self.inventory.number(self.inventory.find(x)?)
    }

    /// Whether a number is one of ours.
    pub fn has_number(&self, x: PhoneNumber) -> bool {
        self.inventory.find(x).is_some()
    }

    /// What an X number is doing at `now`. Bindings that are over do not count,
    /// swept or not.
    pub fn number_status(&self, x: PhoneNumber, now: Timestamp) -> Option<NumberStatus> {
        let at = self.inventory.find(x)?;
        let status = self.inventory.status(at, now);
        if status != NumberStatus::Bound {
            return Some(status);
        }
        let pool = self
            .inventory
            .class(at)
            .and_then(|class| class.pool.as_ref())
            .and_then(|key| self.pool(key));
        let mut cools = false;
        for binding in self.places_on(at).filter_map(|b| self.binding_at(b)) {
            if !binding.is_over(now) {
                return Some(NumberStatus::Bound);
            }
            let cause = EndCause::Expired;
            cools |= pool
                .is_some_and(|pool| ended(pool, &binding, cause, binding.expires_at, now).1 > now);
        }
        Some(if cools {
            NumberStatus::Frozen
        } else {
            NumberStatus::Free
        })
    }

    /// How many X numbers there are.
    pub fn numbers_len(&self) -> usize {
        self.inventory.len()
    }

    /// All X numbers, in no particular order.
    pub fn numbers(&self) -> impl Iterator<Item = Number> + '_ {
        self.inventory
            .iter()
            .filter_map(|at| self.inventory.number(at))
    }

    /// How many numbers of a pool (or of the stock) there are in each city,
    /// and how many of them can be given out. Cities in order.
    pub fn stock(&self, pool: Option<&PoolKey>) -> impl Iterator<Item = (&City, u32, u32)> {
        self.inventory
            .shelves_of(pool)
            .map(|(city, shelf)| (city, shelf.total, shelf.free_count() as u32))
    }

    /// How many numbers of the stock are of `kind` and begin with `prefix`, by
    /// city. Reads every number of the stock, but none of any pool.
    pub fn stock_of(&self, kind: NumberKind, prefix: Option<PhoneNumber>) -> BTreeMap<City, u64> {
        let mut counts = BTreeMap::new();
        for (city, shelf) in self.inventory.shelves_of(None) {
            let wanted = shelf.free().filter(|&at| {
                self.inventory
                    .class(at)
                    .is_some_and(|class| class.kind == kind)
                    && prefix.is_none_or(|prefix| self.inventory.x(at).starts_with(prefix))
            });
            let count = wanted.count() as u64;
            if count > 0 {
                counts.insert(city.clone(), count);
            }
        }
        counts
    }

    /// How many bindings there are, live or over but not yet swept.
    pub fn bindings_len(&self) -> usize {
        self.bindings.len()
    }

    /// A binding that has not been swept, over or not.
    pub fn binding(&self, id: SubsId) -> Option<Binding> {
        self.binding_at(self.bindings.find(id)?)
    }

    /// All bindings that have not been swept, in no particular order.
    pub fn bindings(&self) -> impl Iterator<Item = Binding> + '_ {
        self.bindings.iter().filter_map(|at| self.binding_at(at))
    }

    /// The bindings on X that have not been swept, by id.
    pub fn bindings_on(&self, x: PhoneNumber) -> Vec<Binding> {
        let Some(at) = self.inventory.find(x) else {
            return Vec::new();
        };
        let mut found: Vec<Binding> = self
            .places_on(at)
            .filter_map(|b| self.binding_at(b))
            .collect();
        found.sort_by_key(|binding| binding.subs_id);
        found
    }

    /// The binding that holds a slot of X, over or not.
    pub fn slot(&self, x: PhoneNumber, slot: Slot) -> Option<Binding> {
        let at = self.inventory.find(x)?;
        self.binding_at(self.slot_at(at, slot)?)
    }

    /// Whether a command of this id was decided and must not come again.
    pub fn remembers(&self, id: CommandId, now: Timestamp) -> bool {
        self.memory.get(id).is_some_and(|(_, until)| until > now)
    }

    /// How many command ids are remembered.
    pub fn commands_len(&self) -> usize {
        self.memory.len()
    }

    /// How many bindings are over at `now` but not yet swept; stops counting at
    /// `at_most`.
    pub fn overdue(&self, now: Timestamp, at_most: usize) -> usize {
        self.inventory
            .all_shelves()
            .flat_map(|shelf| shelf.expiring.range(..=(now, u32::MAX)))
            .take(at_most)
            .count()
    }

    pub(crate) fn binding_at(&self, at: u32) -> Option<Binding> {
        self.bindings.get(at, |x| self.inventory.x(x))
    }

    pub(crate) fn slot_at(&self, x: At, slot: Slot) -> Option<u32> {
        match slot {
            Slot::Anyone => Some(self.inventory.anyone(x)).filter(|&at| at != NONE),
            Slot::Party(party) => {
                let anyone = self.inventory.anyone(x);
                if self.bindings.is_of(anyone, party) {
                    return Some(anyone);
                }
                // Where somebody holds the slot of anyone, X is theirs alone.
                (anyone == NONE)
                    .then(|| self.bindings.find_party(x, party))
                    .flatten()
            }
        }
    }

    pub(crate) fn places_on(&self, x: At) -> impl Iterator<Item = u32> + '_ {
        let first = Some(self.inventory.first_binding(x)).filter(|&at| at != NONE);
        std::iter::successors(first, |&at| {
            Some(self.bindings.next_on_x(at)).filter(|&next| next != NONE)
        })
    }
}

/// Content: whole.
impl State {
    /// Every row, in an order that depends on the content alone.
    pub fn rows(&self) -> impl Iterator<Item = Row> + '_ {
        let mut numbers: Vec<At> = self.inventory.iter().collect();
        numbers.sort_unstable_by_key(|&at| self.inventory.x(at));
        let mut bindings: Vec<u32> = self.bindings.iter().collect();
        bindings.sort_unstable_by_key(|&at| self.bindings.id(at));
        let mut commands: Vec<_> = self.memory.iter().collect();
        commands.sort_unstable_by_key(|&(id, ..)| id);

        let scalars = [
            Row::Clock(self.clock),
            Row::Emergency(self.emergency.clone()),
        ];
        scalars
            .into_iter()
            .chain(self.accounts.values().cloned().map(Row::Account))
            .chain(self.users.values().cloned().map(Row::User))
            .chain(self.keys.values().cloned().map(Row::Key))
            .chain(self.pools.values().cloned().map(Row::Pool))
            .chain(self.trunks.values().cloned().map(Row::from))
            .chain(
                numbers
                    .into_iter()
                    .filter_map(|at| self.inventory.number(at).map(Row::Number)),
            )
            .chain(
                bindings
                    .into_iter()
                    .filter_map(|at| self.binding_at(at).map(Box::new).map(Row::Binding)),
            )
            .chain(commands.into_iter().map(|(id, key, until)| Row::Command {
                id,
                key: key.clone(),
                until,
            }))
            .chain(self.imports.iter().map(|(name, &rows)| Row::Import {
                name: name.clone(),
                rows,
            }))
    }

    /// Puts one row of a snapshot in. Rows must come in the order of
    /// [`State::rows`].
    pub fn restore(&mut self, row: Row) {
        self.put(row);
    }
}

/// Change.
impl State {
    /// Makes an event part of the state. Total: an event that does not fit
    /// changes nothing.
    pub fn apply(&mut self, event: &Event) {
        self.change(event, &mut Undo::default());
    }

    /// Applies an event and remembers how things were.
    pub fn apply_undoable(&mut self, event: &Event) -> Undo {
        let mut undo = Undo::default();
        self.change(event, &mut undo);
        undo
    }

    /// Notes that the journal has reached `now`; time never goes back.
    pub fn advance(&mut self, now: Timestamp) -> Undo {
        let mut undo = Undo::default();
        if now > self.clock.now {
            let clock = Clock { now, ..self.clock };
            self.set(Row::Clock(clock), &mut undo);
        }
        undo
    }

    /// Puts everything back as it was before.
    pub fn undo(&mut self, undo: Undo) {
        for (key, old) in undo.0.into_iter().rev() {
            match old {
                Some(row) => self.put(row),
                None => self.take(&key),
            };
        }
    }

    fn change(&mut self, event: &Event, undo: &mut Undo) {
        match event {
            Event::CommandAnswered { id, key, until } => self.set(
                Row::Command {
                    id: *id,
                    key: key.clone(),
                    until: *until,
                },
                undo,
            ),
            Event::CommandsForgotten { before } => {
                for id in self.memory.due(*before) {
                    self.unset(RowKey::Command(id), undo);
                }
            }
            Event::AccountSet(account) => self.set(Row::Account(account.clone()), undo),
            Event::KeySet(key) => self.set(Row::Key(key.clone()), undo),
            Event::KeyDeleted { id } => self.unset(RowKey::Key(id.clone()), undo),
            Event::UserSet(user) => self.set(Row::User(user.clone()), undo),
            Event::UserDeleted { account, name } => {
                let keys: Vec<AccessKeyId> = self
                    .keys
                    .values()
                    .filter(|key| key.account == *account && key.user.as_ref() == Some(name))
                    .map(|key| key.id.clone())
                    .collect();
                for key in keys {
                    self.unset(RowKey::Key(key), undo);
                }
                self.unset(RowKey::User(account.clone(), name.clone()), undo);
            }
            Event::PoolSet(pool) => self.set(Row::Pool(pool.clone()), undo),
            Event::TrunkSet(trunk) => self.set(Row::from(Trunk::clone(trunk)), undo),
            Event::TrunkDeleted { name } => self.unset(RowKey::Trunk(name.clone()), undo),
            Event::EmergencyNumbersSet { numbers } => {
                self.set(Row::Emergency(numbers.clone()), undo);
            }
            Event::NumberSet(number) => self.set(Row::Number(number.clone()), undo),
            Event::NumberReleased { x } => self.unset(RowKey::Number(*x), undo),
            Event::NumberLocked { x } => self.change_number(*x, undo, |n| n.locked = true),
            Event::NumberUnlocked { x } => self.change_number(*x, undo, |n| n.locked = false),
            Event::NumberThawed { x } => {
                self.change_number(*x, undo, |n| n.cooling_until = Timestamp(0));
            }
            Event::Bound(binding) => {
                let id = binding.subs_id.0.max(self.clock.last_subs_id);
                let clock = Clock {
                    last_subs_id: id,
                    ..self.clock
                };
                self.set(Row::Clock(clock), undo);
                self.set(Row::Binding(binding.clone()), undo);
            }
            Event::BindingChanged(binding) => self.set(Row::Binding(binding.clone()), undo),
            Event::Ended {
                subs_id,
                x,
                cooling_until,
                idle_since,
                ..
            } => {
                self.unset(RowKey::Binding(*subs_id), undo);
                self.change_number(*x, undo, |number| {
                    number.cooling_until = *cooling_until;
                    number.idle_since = *idle_since;
                });
            }
            Event::ImportAdvanced { name, rows } => {
                let (name, rows) = (name.clone(), *rows);
                self.set(Row::Import { name, rows }, undo);
            }
            Event::ImportEnded { name } => self.unset(RowKey::Import(name.clone()), undo),
            Event::EpochBegun {
                epoch,
                subs_id_floor,
            } => {
                let clock = Clock {
                    epoch: *epoch,
                    last_subs_id: subs_id_floor.0.max(self.clock.last_subs_id),
                    ..self.clock
                };
                self.set(Row::Clock(clock), undo);
            }
            Event::Revealed { .. } | Event::PersonErased { .. } => {}
        }
    }

    fn change_number(&mut self, x: PhoneNumber, undo: &mut Undo, change: impl FnOnce(&mut Number)) {
        if let Some(mut number) = self.number(x) {
            let before = number.clone();
            change(&mut number);
            if number != before {
                self.set(Row::Number(number), undo);
            }
        }
    }

    fn set(&mut self, row: Row, undo: &mut Undo) {
        let key = row.key();
        let old = self.put(row);
        undo.0.push((key, old));
    }

    fn unset(&mut self, key: RowKey, undo: &mut Undo) {
        let old = self.take(&key);
        if old.is_some() {
            undo.0.push((key, old));
        }
    }

    /// Puts a row in and gives back the one that was there.
    fn put(&mut self, row: Row) -> Option<Row> {
        match row {
            Row::Clock(clock) => Some(Row::Clock(std::mem::replace(&mut self.clock, clock))),
            Row::Emergency(numbers) => Some(Row::Emergency(std::mem::replace(
                &mut self.emergency,
                numbers,
            ))),
            Row::Account(account) => self
                .accounts
                .insert(account.id.clone(), account)
                .map(Row::Account),
            Row::User(user) => self
                .users
                .insert((user.account.clone(), user.name.clone()), user)
                .map(Row::User),
            Row::Key(key) => self.keys.insert(key.id.clone(), key).map(Row::Key),
            Row::Pool(pool) => {
                self.inventory.set_shelving(
                    &pool.key,
                    Shelving {
                        pick: pool.pick,
                        bindings_per_x_max: pool.product.bindings_per_x_max(&pool),
                    },
                );
                self.pools.insert(pool.key.clone(), pool).map(Row::Pool)
            }
            Row::Trunk(trunk) => self.put_trunk(trunk.into()),
            Row::Link(trunk) => self.put_trunk(*trunk),
            Row::Number(number) => self.put_number(number).map(Row::Number),
            Row::Binding(binding) => {
                let old = self.take_binding(binding.subs_id);
                self.insert_binding(*binding);
                old.map(Box::new).map(Row::Binding)
            }
            Row::Command { id, key, until } => {
                let old = self.memory.remove(id);
                self.memory.insert(id, key, until);
                old.map(|(key, until)| Row::Command { id, key, until })
            }
            Row::Import { name, rows } => self
                .imports
                .insert(name.clone(), rows)
                .map(|rows| Row::Import { name, rows }),
        }
    }

    /// Takes a row out.
    fn take(&mut self, key: &RowKey) -> Option<Row> {
        match key {
            RowKey::Clock | RowKey::Emergency => None,
            RowKey::Account(id) => self.accounts.remove(id).map(Row::Account),
            RowKey::User(account, name) => self
                .users
                .remove(&(account.clone(), name.clone()))
                .map(Row::User),
            RowKey::Key(id) => self.keys.remove(id).map(Row::Key),
            RowKey::Pool(key) => self.pools.remove(key).map(Row::Pool),
            RowKey::Trunk(name) => self.trunks.remove(name).map(Row::from),
            RowKey::Number(x) => {
                let at = self.inventory.find(*x)?;
                if self.inventory.bindings_count(at) > 0 {
                    return None;
                }
                self.inventory.remove(*x).map(Row::Number)
            }
            RowKey::Binding(id) => self.take_binding(*id).map(Box::new).map(Row::Binding),
            RowKey::Command(id) => self.memory.remove(*id).map(|(key, until)| Row::Command {
                id: *id,
                key,
                until,
            }),
            RowKey::Import(name) => self.imports.remove(name).map(|rows| Row::Import {
                name: name.clone(),
                rows,
            }),
        }
    }

    fn put_trunk(&mut self, trunk: Trunk) -> Option<Row> {
        self.trunks.insert(trunk.name.clone(), trunk).map(Row::from)
    }

    /// Puts a number in. When that moves it to another shelf, the expiries of
    /// its bindings move with it.
    fn put_number(&mut self, number: Number) -> Option<Number> {
        let x = number.x;
        let shelf_before = self
            .inventory
            .find(x)
            .and_then(|at| self.inventory.shelf_of(at));
        let old = self.inventory.put(number);
        let at = self.inventory.find(x)?;
        let shelf_now = self.inventory.shelf_of(at);
        if shelf_before.is_some() && shelf_before != shelf_now {
            let expiries: Vec<(Timestamp, u32)> = self
                .places_on(at)
                .map(|binding| (self.bindings.expires_at(binding), binding))
                .collect();
            for expiry in expiries {
                if let Some(shelf) = shelf_before.and_then(|id| self.inventory.shelf_mut(id)) {
                    shelf.expiring.remove(&expiry);
                }
                if let Some(shelf) = shelf_now.and_then(|id| self.inventory.shelf_mut(id)) {
                    shelf.expiring.insert(expiry);
                }
            }
        }
        old
    }

    fn insert_binding(&mut self, binding: Binding) {
        // No decision binds a number that is not there; a journal that says so is found by `check`.
        let Some(x) = self.inventory.find(binding.x) else {
            return;
        };
        let expires_at = binding.expires_at;
        let holds_anyone = binding.slots().any(|slot| slot == Slot::Anyone);
        let head = self.inventory.first_binding(x);
        let count = self.inventory.bindings_count(x);
        let at = self.bindings.insert(binding, x, head);
        self.inventory.set_bindings(x, at, count + 1);
        if holds_anyone {
            self.inventory.set_anyone(x, at);
        }
        if let Some(shelf) = self
            .inventory
            .shelf_of(x)
            .and_then(|id| self.inventory.shelf_mut(id))
        {
            shelf.expiring.insert((expires_at, at));
        }
    }

    fn take_binding(&mut self, id: SubsId) -> Option<Binding> {
        let at = self.bindings.find(id)?;
        let binding = self.binding_at(at)?;
        let x = self.bindings.x(at)?;
        let head = self.inventory.first_binding(x);
        let count = self.inventory.bindings_count(x);
        let head = self.bindings.remove(at, &binding, head);
        if self.inventory.anyone(x) == at {
            self.inventory.set_anyone(x, NONE);
        }
        self.inventory
            .set_bindings(x, head, count.saturating_sub(1));
        if let Some(shelf) = self
            .inventory
            .shelf_of(x)
            .and_then(|id| self.inventory.shelf_mut(id))
        {
            shelf.expiring.remove(&(binding.expires_at, at));
        }
        Some(binding)
    }
}
