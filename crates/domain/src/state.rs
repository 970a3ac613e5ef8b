//! The routing state: one value, changed by events only.
//!
//! Here is what can be asked of it, in `ordered_from` what lists ask; `row` writes it down, `change` applies events.

mod change;
mod in_quota;
mod ordered_from;
mod restoring;
mod row;

pub use change::Undo;
pub use restoring::Restoring;
pub use row::{BindingRow, Classes, NumberRow, Row, RowKey, Stored, read as rows, v1 as rows_v1};

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use self::in_quota::InQuota;

use crate::account::{AccessKey, AccessKeyId, Account, AccountId, User, UserName};
use crate::binding::{Binding, EndCause, Owner, Provision, SubsId};
use crate::bindings::Bindings;
use crate::carrier::{Carrier, CarrierName};
use crate::clock::Timestamp;
use crate::command_id::{CommandId, Remembered};
use crate::inventory::{At, City, Inventory, Number, NumberKind, NumberStatus};
use crate::memory::Memory;
use crate::number::PhoneNumber;
use crate::operator::{Operator, OperatorName, TokenHash};
use crate::overdue::ended;
use crate::pool::{Pool, PoolKey};
use crate::product::Slot;
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
    trunks: Arc<Trunks>,
    carriers: BTreeMap<CarrierName, Arc<Carrier>>,
    imports: BTreeMap<Box<str>, u64>,
    operators: BTreeMap<OperatorName, Operator>,
    is_first_token_retired: bool,
    /// Of each account that has bindings, those in its quota. Follows from the bindings.
    bindings_by_account: BTreeMap<AccountId, InQuota>,
    pub(crate) inventory: Inventory,
    pub(crate) bindings: Bindings,
    pub(crate) memory: Memory,
}

/// Trunks by name.
pub type Trunks = BTreeMap<TrunkName, Trunk>;

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

/// An X number as a look-up found it.
pub(crate) struct Dialled<'a> {
    /// Its pool, if it is in one.
    pub pool: Option<&'a Pool>,
    held: Held,
}

#[derive(Clone, Copy)]
enum Held {
    /// By the binding that holds the slot of anyone, and no other.
    ByOne(u32),
    /// By whoever has the slot of each caller on the number that stands here.
    BySlots(At),
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

    /// How many accounts there are.
    pub fn accounts_len(&self) -> usize {
        self.accounts.len()
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

    /// How many keys there are.
    pub fn keys_len(&self) -> usize {
        self.keys.len()
    }

    /// A pool by its key.
    pub fn pool(&self, key: &PoolKey) -> Option<&Pool> {
        self.pools.get(key)
    }

    /// All pools, by key.
    pub fn pools(&self) -> impl Iterator<Item = &Pool> {
        self.pools.values()
    }

    /// The pools whose new bindings this carrier must know of, by key.
    pub fn pools_naming<'a>(&'a self, carrier: &'a CarrierName) -> impl Iterator<Item = &'a Pool> {
        let names = |pool: &&Pool| pool.carrier.as_ref() == Some(carrier);
        self.pools().filter(names)
    }

    /// How many pools there are.
    pub fn pools_len(&self) -> usize {
        self.pools.len()
    }

    /// A trunk by name.
    pub fn trunk(&self, name: &TrunkName) -> Option<&Trunk> {
        self.trunks.get(name)
    }

    /// All trunks, by name.
    pub fn trunks(&self) -> impl Iterator<Item = &Trunk> {
        self.trunks.values()
    }

    /// All trunks as they are now, to be kept: as long as they are kept, a state gives the same ones again
    /// ([`Arc::ptr_eq`]) only where none has changed.
    pub fn trunks_now(&self) -> Arc<Trunks> {
        Arc::clone(&self.trunks)
    }

    /// A carrier by name.
    pub fn carrier(&self, name: &CarrierName) -> Option<&Carrier> {
        self.carriers.get(name).map(Arc::as_ref)
    }

    /// All carriers, by name.
    pub fn carriers(&self) -> impl Iterator<Item = &Carrier> {
        self.carriers.values().map(Arc::as_ref)
    }

    /// All carriers as they are now, by name, to be kept: one that has not changed is given again ([`Arc::ptr_eq`]).
    pub fn carriers_now(&self) -> impl Iterator<Item = &Arc<Carrier>> {
        self.carriers.values()
    }

    /// How many carriers there are.
    pub fn carriers_len(&self) -> usize {
        self.carriers.len()
    }

    /// An operator by name.
    pub fn operator(&self, name: &OperatorName) -> Option<&Operator> {
        self.operators.get(name)
    }

    /// Whose token this is.
    pub fn operator_of(&self, token: &TokenHash) -> Option<&Operator> {
        let mut operators = self.operators.values();
        operators.find(|operator| operator.token_hash == *token)
    }

    /// All operators, by name.
    pub fn operators(&self) -> impl Iterator<Item = &Operator> {
        self.operators.values()
    }

    /// How many operators there are.
    pub fn operators_len(&self) -> usize {
        self.operators.len()
    }

    /// Whether the first token of the admin interface is worth nothing any more.
    pub fn is_first_token_retired(&self) -> bool {
        self.is_first_token_retired
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
        let is_live = |place| self.bindings.holds_slots(place, now);
        if self.places_on(at).any(is_live) {
            return Some(NumberStatus::Bound);
        }
        // What other bindings share does not cool.
        let cooling = pool.filter(|pool| pool.product.cools());
        let cools = cooling.is_some_and(|pool| {
            let over = self.places_on(at).filter_map(|b| self.binding_at(b));
            let mut until =
                over.map(|over| ended(pool, &over, EndCause::Expired, over.expires_at, now).1);
            until.any(|until| until > now)
        });
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

    /// All X numbers, the shorter first, those of one length by their digits.
    pub fn numbers(&self) -> impl Iterator<Item = Number> + '_ {
        self.inventory
            .iter()
            .filter_map(|at| self.inventory.number(at))
    }

    /// The X numbers from `x` on, in the order of [`State::numbers`]; `x` need not be one of them. Where they begin
    /// is found without a look at those before.
    pub fn numbers_from(&self, x: PhoneNumber) -> impl Iterator<Item = Number> + '_ {
        self.inventory
            .iter_from(x)
            .filter_map(|at| self.inventory.number(at))
    }

    /// How many numbers of a pool (or of the stock) there are in each city,
    /// and how many of them can be given out. Cities in order.
    pub fn stock(&self, pool: Option<&PoolKey>) -> impl Iterator<Item = (&City, u32, u32)> {
        let bindings_max = pool
            .and_then(|key| self.pool(key))
            .map_or(1, |pool| pool.product.bindings_per_x_max(pool.pairs_max));
        self.inventory
            .partitions_of(pool)
            .map(move |(city, partition)| {
                let free = partition.free_count(bindings_max) as u32;
                (city, partition.total, free)
            })
    }

    /// How many numbers of the stock are of `kind` and begin with `prefix`, by
    /// city. They are counted as they come and go: a look reads the counts and, below a prefix,
    /// at most 111 numbers.
    pub fn stock_of(&self, kind: NumberKind, prefix: Option<PhoneNumber>) -> BTreeMap<City, u64> {
        self.inventory.stock_of(kind, prefix)
    }

    /// How many bindings there are, live or over but not yet swept.
    pub fn bindings_len(&self) -> usize {
        self.bindings.len()
    }

    /// A binding that has not been swept, over or not.
    pub fn binding(&self, id: SubsId) -> Option<Binding> {
        self.binding_at(self.bindings.find(id)?)
    }

    /// How far a carrier knows of a binding; none where none must.
    pub fn provision(&self, id: SubsId) -> Option<Provision> {
        self.bindings.provision(self.bindings.find(id)?)
    }

    /// How many bindings a carrier must know of.
    pub fn provisioned_len(&self, carrier: &CarrierName) -> usize {
        self.bindings.count_of(carrier)
    }

    /// The bindings for whose answer from this carrier somebody waits, by the fence of the request.
    pub fn asked_of(&self, carrier: &CarrierName) -> impl Iterator<Item = Binding> + '_ {
        let asked = self.bindings.asked_of(carrier, 0);
        asked.filter_map(|at| self.binding_at(at))
    }

    /// The bindings of which this carrier must be told, by the fence of the request, from this one on.
    pub fn owed_to(&self, carrier: &CarrierName, fence: u64) -> impl Iterator<Item = Binding> + '_ {
        let owed = self.bindings.owed_to(carrier, fence);
        owed.filter_map(|at| self.binding_at(at))
    }

    /// How many these are.
    pub fn owed_len(&self, carrier: &CarrierName) -> usize {
        self.bindings.owed_len(carrier)
    }

    /// All bindings that have not been swept, by id.
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

    /// Some of the bindings on X that have not been swept, at most so many, in no order.
    pub fn some_bindings_on(&self, x: PhoneNumber, at_most: usize) -> Vec<Binding> {
        let at = self.inventory.find(x).into_iter();
        at.flat_map(|at| self.places_on(at))
            .take(at_most)
            .filter_map(|b| self.binding_at(b))
            .collect()
    }

    /// How many bindings on X have not been swept.
    pub fn bindings_count_on(&self, x: PhoneNumber) -> u32 {
        let at = self.inventory.find(x);
        at.map_or(0, |at| self.inventory.bindings_count(at))
    }

    /// The binding that holds a slot of X, over or not.
    pub fn slot(&self, x: PhoneNumber, slot: Slot) -> Option<Binding> {
        self.binding_at(self.slot_of(&self.dialled(x)?, slot)?)
    }

    /// Whether a command of this id was decided and must not come again.
    pub fn remembers(&self, id: CommandId, now: Timestamp) -> bool {
        self.remembered(id, now).is_some()
    }

    /// What is remembered of a command that must not come again.
    pub fn remembered(&self, id: CommandId, now: Timestamp) -> Option<Remembered> {
        let (_, remembered) = self.memory.get(id, now)?;
        Some(remembered)
    }

    /// How many command ids are remembered.
    pub fn commands_len(&self) -> usize {
        self.memory.len()
    }

    /// How many bindings are over at `now` but not yet swept; stops counting at
    /// `at_most`.
    pub fn overdue(&self, now: Timestamp, at_most: usize) -> usize {
        self.inventory.expiring.until(now).take(at_most).count()
    }

    /// How many bindings an account has in all its pools, those that are over but not yet swept too.
    pub fn bindings_of_account(&self, account: &AccountId) -> u32 {
        let count = self
            .bindings_by_account
            .get(account)
            .map_or(0, InQuota::len);
        u32::try_from(count).unwrap_or(u32::MAX)
    }

    /// The bindings of an account that are over at `now` and not yet swept, the earliest first.
    pub(crate) fn over_of_account(
        &self,
        account: &AccountId,
        now: Timestamp,
    ) -> impl Iterator<Item = u32> {
        self.bindings_by_account
            .get(account)
            .into_iter()
            .flat_map(move |in_quota| in_quota.over(now))
    }

    /// The pool that X is in, if it is in one.
    pub fn pool_of(&self, x: PhoneNumber) -> Option<&Pool> {
        self.pool_at(self.inventory.find(x)?)
    }

    pub(crate) fn binding_at(&self, at: u32) -> Option<Binding> {
        let class = self.bindings.class(at)?;
        let mut binding = self.bindings.get(at)?;
        binding.owner = self.pool_of_class(class).map(Owner::of);
        Some(binding)
    }

    /// The same where its pool is known, without how far a carrier knows of it.
    pub(crate) fn unprovisioned_binding(&self, at: u32, pool: Option<&Pool>) -> Option<Binding> {
        let mut binding = self.bindings.get_unprovisioned(at)?;
        binding.owner = pool.map(Owner::of);
        Some(binding)
    }

    fn pool_at(&self, x: At) -> Option<&Pool> {
        self.pool_of_class(self.inventory.class_id(x)?)
    }

    fn pool_of_class(&self, class: u32) -> Option<&Pool> {
        self.pool(self.inventory.class_by_id(class)?.pool.as_ref()?)
    }

    /// What was dialled, if it is a number of ours.
    pub(crate) fn dialled(&self, x: PhoneNumber) -> Option<Dialled<'_>> {
        // Where somebody holds the slot of anyone, their binding tells all, and the number is not read.
        let anyone = self.bindings.holder_of_anyone(x);
        if let Some(anyone) = anyone
            && let Some(class) = self.bindings.class(anyone)
        {
            return Some(Dialled {
                pool: self.pool_of_class(class),
                held: Held::ByOne(anyone),
            });
        }
        let at = self.inventory.find(x)?;
        Some(Dialled {
            pool: self.pool_at(at),
            held: Held::BySlots(at),
        })
    }

    /// The binding that holds a slot of what was dialled.
    pub(crate) fn slot_of(&self, dialled: &Dialled<'_>, slot: Slot) -> Option<u32> {
        match (dialled.held, slot) {
            (Held::ByOne(at), Slot::Anyone) => Some(at),
            // X is theirs alone.
            (Held::ByOne(at), Slot::Party(_)) => Some(at).filter(|_| self.bindings.holds(at, slot)),
            (Held::BySlots(_), Slot::Anyone) => None,
            (Held::BySlots(at), Slot::Party(_)) => self.bindings.holder(at, slot),
        }
    }

    /// The same of the number that stands at `x`.
    pub(crate) fn slot_at(&self, x: At, slot: Slot) -> Option<u32> {
        let anyone = Some(self.inventory.anyone(x)).filter(|&at| at != NONE);
        let held = anyone.map_or(Held::BySlots(x), Held::ByOne);
        self.slot_of(&Dialled { pool: None, held }, slot)
    }

    pub(crate) fn places_on(&self, x: At) -> impl Iterator<Item = u32> + '_ {
        let first = Some(self.inventory.first_binding(x)).filter(|&at| at != NONE);
        std::iter::successors(first, |&at| {
            Some(self.bindings.next_on_x(at)).filter(|&next| next != NONE)
        })
    }
}
