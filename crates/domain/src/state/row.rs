//! The state in rows, as snapshots keep it.

mod trunks;

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{Clock, State};
use crate::account::{AccessKey, AccessKeyId, Account, AccountId, AccountStatus, User, UserName};
use crate::binding::{Binding, Extras, Restriction, SubsId};
use crate::clock::Timestamp;
use crate::command::CommandId;
use crate::inventory::Number;
use crate::number::PhoneNumber;
use crate::pool::{CityMatch, Pick, Pool, PoolKey};
use crate::product::Product;
use crate::tone::RingTones;
use crate::trunk::TrunkName;
pub use trunks::{LinkTrunk, PlainTrunk, TrunkDocument};

/// One thing in the state, as snapshots keep it. Their form has no names and no defaults: what is here
/// stays as it is and where it is, and a thing that needs more gets a new variant at the end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Row {
    /// The scalars. The first row of every snapshot.
    Clock(Clock),
    /// Numbers that may never be a party.
    Emergency(Vec<PhoneNumber>),
    /// An account without a quota.
    Account(PlainAccount),
    /// A user.
    User(User),
    /// A key.
    Key(AccessKey),
    /// A pool without ring tones.
    Pool(PlainPool),
    /// A trunk of which no more is said than a name, a peer and a switch.
    Trunk(PlainTrunk),
    /// An X number.
    Number(Number),
    /// A binding.
    Binding(Box<PlainBinding>),
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
    /// A trunk as the second form of trunks could hold it.
    Link(Box<LinkTrunk>),
    /// Any other pool.
    RingingPool(Box<Pool>),
    /// Any other trunk.
    TrunkDocument(TrunkDocument),
    /// Any other account.
    AccountWithQuota(Box<Account>),
}

/// The first form of an account. What it can hold is kept in it, so that a state has the same digest
/// whichever release wrote it down.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlainAccount {
    id: AccountId,
    status: AccountStatus,
    real_name_verified: bool,
    communications_opened: bool,
    product_opened: bool,
    requests_per_s_max: Option<u32>,
}

impl From<Account> for Row {
    fn from(account: Account) -> Self {
        if account.bindings_max.is_some() {
            return Row::AccountWithQuota(Box::new(account));
        }
        Row::Account(PlainAccount {
            id: account.id,
            status: account.status,
            real_name_verified: account.real_name_verified,
            communications_opened: account.communications_opened,
            product_opened: account.product_opened,
            requests_per_s_max: account.requests_per_s_max,
        })
    }
}

impl From<PlainAccount> for Account {
    fn from(plain: PlainAccount) -> Self {
        Account {
            id: plain.id,
            status: plain.status,
            real_name_verified: plain.real_name_verified,
            communications_opened: plain.communications_opened,
            product_opened: plain.product_opened,
            requests_per_s_max: plain.requests_per_s_max,
            bindings_max: None,
        }
    }
}

/// The first form of a pool, kept so that a state has the same digest whichever release wrote it down.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlainPool {
    key: PoolKey,
    account: AccountId,
    product: Product,
    open: bool,
    city_match: CityMatch,
    pick: Pick,
    a_call_back: bool,
    cooling_s: u32,
    pairs_max: u32,
    same_out_order_returns: bool,
    ring_timeout_s: u16,
    legacy_type: Option<String>,
}

impl From<Pool> for Row {
    fn from(pool: Pool) -> Self {
        if pool.ring_tones != RingTones::default() {
            return Row::RingingPool(Box::new(pool));
        }
        Row::Pool(PlainPool {
            key: pool.key,
            account: pool.account,
            product: pool.product,
            open: pool.open,
            city_match: pool.city_match,
            pick: pool.pick,
            a_call_back: pool.a_call_back,
            cooling_s: pool.cooling_s,
            pairs_max: pool.pairs_max,
            same_out_order_returns: pool.same_out_order_returns,
            ring_timeout_s: pool.ring_timeout_s,
            legacy_type: pool.legacy_type,
        })
    }
}

impl From<PlainPool> for Pool {
    fn from(plain: PlainPool) -> Self {
        Pool {
            key: plain.key,
            account: plain.account,
            product: plain.product,
            open: plain.open,
            city_match: plain.city_match,
            pick: plain.pick,
            a_call_back: plain.a_call_back,
            cooling_s: plain.cooling_s,
            pairs_max: plain.pairs_max,
            same_out_order_returns: plain.same_out_order_returns,
            ring_timeout_s: plain.ring_timeout_s,
            legacy_type: plain.legacy_type,
            ring_tones: RingTones::default(),
        }
    }
}

/// A binding without its owner, whom the pool of its X tells.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlainBinding {
    pub(super) subs_id: SubsId,
    product: Product,
    x: PhoneNumber,
    a: PhoneNumber,
    b: Option<PhoneNumber>,
    created_at: Timestamp,
    expires_at: Timestamp,
    restriction: Restriction,
    record: bool,
    speech_recognition: bool,
    ring_timeout_s: Option<u8>,
    extras: Extras,
}

impl fmt::Debug for PlainBinding {
    /// As a [`Binding`] shows itself: masked.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Binding::from(self.clone()).fmt(f)
    }
}

impl From<Binding> for PlainBinding {
    // Taken apart in full: a field that no row kept would be lost with the next snapshot.
    fn from(binding: Binding) -> Self {
        let Binding {
            subs_id,
            product,
            x,
            a,
            b,
            created_at,
            expires_at,
            restriction,
            record,
            speech_recognition,
            ring_timeout_s,
            extras,
            owner: _,
        } = binding;
        PlainBinding {
            subs_id,
            product,
            x,
            a,
            b,
            created_at,
            expires_at,
            restriction,
            record,
            speech_recognition,
            ring_timeout_s,
            extras,
        }
    }
}

impl From<PlainBinding> for Binding {
    fn from(plain: PlainBinding) -> Self {
        let term = plain.created_at..plain.expires_at;
        Binding {
            b: plain.b,
            restriction: plain.restriction,
            record: plain.record,
            speech_recognition: plain.speech_recognition,
            ring_timeout_s: plain.ring_timeout_s,
            extras: plain.extras,
            ..Binding::new(plain.subs_id, plain.product, plain.x, plain.a, term)
        }
    }
}

impl From<Binding> for Row {
    fn from(binding: Binding) -> Self {
        Row::Binding(Box::new(binding.into()))
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
    pub(super) fn key(&self) -> RowKey {
        match self {
            Row::Clock(_) => RowKey::Clock,
            Row::Emergency(_) => RowKey::Emergency,
            Row::Account(account) => RowKey::Account(account.id.clone()),
            Row::AccountWithQuota(account) => RowKey::Account(account.id.clone()),
            Row::User(user) => RowKey::User(user.account.clone(), user.name.clone()),
            Row::Key(key) => RowKey::Key(key.id.clone()),
            Row::Pool(pool) => RowKey::Pool(pool.key.clone()),
            Row::RingingPool(pool) => RowKey::Pool(pool.key.clone()),
            Row::Trunk(trunk) => RowKey::Trunk(trunk.name.clone()),
            Row::Link(trunk) => RowKey::Trunk(trunk.name.clone()),
            Row::TrunkDocument(document) => RowKey::Trunk(document.0.name.clone()),
            Row::Number(number) => RowKey::Number(number.x),
            Row::Binding(binding) => RowKey::Binding(binding.subs_id),
            Row::Command { id, .. } => RowKey::Command(*id),
            Row::Import { name, .. } => RowKey::Import(name.clone()),
        }
    }
}

/// Content: whole.
impl State {
    /// Every row, in an order that depends on the content alone.
    pub fn rows(&self) -> impl Iterator<Item = Row> + '_ {
        let mut commands: Vec<_> = self.memory.iter().collect();
        commands.sort_unstable_by_key(|&(id, ..)| id);

        let scalars = [
            Row::Clock(self.clock),
            Row::Emergency(self.emergency.clone()),
        ];
        scalars
            .into_iter()
            .chain(self.accounts.values().cloned().map(Row::from))
            .chain(self.users.values().cloned().map(Row::User))
            .chain(self.keys.values().cloned().map(Row::Key))
            .chain(self.pools.values().cloned().map(Row::from))
            .chain(self.trunks.values().cloned().map(Row::from))
            .chain(self.numbers().map(Row::Number))
            .chain(self.bindings.iter().filter_map(|at| {
                self.bindings
                    .get(at, |x| self.inventory.x(x))
                    .map(Row::from)
            }))
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
