//! Version 1 of rows: postcard, which has no names and no defaults. Read for ever, written no more.

mod trunks;

use std::fmt;

use serde::Deserialize;

use super::super::Clock;
use super::Row as Newest;
use crate::account::{AccessKey, AccessKeyId, Account, AccountId, AccountStatus, User};
use crate::binding::{Binding, Extras, Restriction, SubsId};
use crate::clock::Timestamp;
use crate::command_id::{CommandId, Remembered};
use crate::inventory::Number;
use crate::number::PhoneNumber;
use crate::pool::{CityMatch, Pick, Pool, PoolKey};
use crate::product::Product;
use crate::retention::PoolTerms;
use crate::tone::RingTones;
pub use trunks::{LinkTrunk, PlainTrunk, TrunkDocument};

/// One thing in the state, as snapshots of before version 2 keep it: what is here stays as it is and where it is.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
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
        /// The first 64 bits of the id.
        id: u64,
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
    RingingPool(Box<RingingPool>),
    /// Any other trunk.
    TrunkDocument(TrunkDocument),
    /// Any other account.
    AccountWithQuota(Box<Account>),
}

/// The first form of an account. What it can hold is kept in it, so that a state has the same digest
/// whichever release wrote it down.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct PlainAccount {
    id: AccountId,
    status: AccountStatus,
    real_name_verified: bool,
    communications_opened: bool,
    product_opened: bool,
    requests_per_s_max: Option<u32>,
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
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
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
            carrier: None,
            retention: PoolTerms::default(),
        }
    }
}

/// The second form of a pool: its values stand one behind the other, so a pool of today, which has more, would not be
/// read.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct RingingPool {
    plain: PlainPool,
    ring_tones: RingTones,
}

impl From<RingingPool> for Pool {
    fn from(ringing: RingingPool) -> Self {
        Pool {
            ring_tones: ringing.ring_tones,
            ..ringing.plain.into()
        }
    }
}

/// A binding without its owner, whom the pool of its X tells.
#[derive(Clone, PartialEq, Eq, Deserialize)]
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

impl From<Row> for Newest {
    fn from(row: Row) -> Self {
        match row {
            Row::Clock(clock) => Newest::Clock(clock),
            Row::Emergency(numbers) => Newest::Emergency(numbers),
            Row::Account(account) => Newest::Account(Box::new(account.into())),
            Row::AccountWithQuota(account) => Newest::Account(account),
            Row::User(user) => Newest::User(user),
            Row::Key(key) => Newest::Key(key),
            Row::Pool(pool) => Newest::Pool(Box::new(pool.into())),
            Row::RingingPool(pool) => Newest::Pool(Box::new((*pool).into())),
            Row::Trunk(trunk) => Newest::Trunk(Box::new(trunk.into())),
            Row::Link(trunk) => Newest::Trunk(Box::new((*trunk).into())),
            Row::TrunkDocument(document) => Newest::Trunk(document.0),
            Row::Number(number) => Newest::Number(number),
            Row::Binding(binding) => Newest::from(Binding::from(*binding)),
            Row::Command { id, key, until } => {
                let remembered = Remembered {
                    key: Some(key),
                    until,
                    attempt: None,
                    answered: None,
                };
                Newest::Command(CommandId::short(id), remembered)
            }
            Row::Import { name, rows } => Newest::Import { name, rows },
        }
    }
}
