//! The state in rows. What snapshots keep of them is [`Stored`].

mod binding;
mod kind;
mod number;
mod stored;
pub mod v1;

use super::{Clock, State};
use crate::account::{AccessKey, AccessKeyId, Account, AccountId, User, UserName};
use crate::binding::{Binding, SubsId};
use crate::carrier::{Carrier, CarrierName};
use crate::command_id::{Answered, CommandId, Remembered};
use crate::event::Event;
use crate::inventory::Number;
use crate::number::PhoneNumber;
use crate::operator::{Operator, OperatorName};
use crate::pool::{Pool, PoolKey};
use crate::trunk::{Trunk, TrunkName};
pub use binding::BindingRow;
pub use number::NumberRow;
pub use stored::{Classes, Stored, read};

/// One thing in the state. A field that is added has a default, and raises [`Row::oldest_reader`] where an older
/// program must not overlook it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Row {
    /// The scalars. The first row of every snapshot.
    Clock(Clock),
    /// Numbers that may never be a party.
    Emergency(Vec<PhoneNumber>),
    /// An account.
    Account(Box<Account>),
    /// A user.
    User(User),
    /// A key.
    Key(AccessKey),
    /// A pool.
    Pool(Box<Pool>),
    /// A trunk.
    Trunk(Box<Trunk>),
    /// A carrier.
    Carrier(Box<Carrier>),
    /// An X number.
    Number(Number),
    /// A binding.
    Binding(Box<BindingRow>),
    /// The id of a command that must not come again.
    Command(CommandId, Remembered),
    /// How far an import that is under way has come.
    Import {
        /// Its name.
        name: Box<str>,
        /// How many of its rows are in.
        rows: u64,
    },
    /// An operator.
    Operator(Box<Operator>),
    /// The first token of the admin interface is worth nothing any more.
    FirstTokenRetired,
}

impl From<Account> for Row {
    fn from(account: Account) -> Self {
        Row::Account(Box::new(account))
    }
}

impl From<Pool> for Row {
    fn from(pool: Pool) -> Self {
        Row::Pool(Box::new(pool))
    }
}

impl From<Trunk> for Row {
    fn from(trunk: Trunk) -> Self {
        Row::Trunk(Box::new(trunk))
    }
}

impl From<Carrier> for Row {
    fn from(carrier: Carrier) -> Self {
        Row::Carrier(Box::new(carrier))
    }
}

impl From<Operator> for Row {
    fn from(operator: Operator) -> Self {
        Row::Operator(Box::new(operator))
    }
}

impl From<Binding> for Row {
    fn from(binding: Binding) -> Self {
        Row::Binding(Box::new(binding.into()))
    }
}

impl Row {
    /// The oldest reader of [`crate::event::READER`] that overlooks nothing in it: that of the event which says the
    /// same.
    pub fn oldest_reader(&self) -> u32 {
        match self {
            Row::Account(account) => Event::AccountSet(Account::clone(account)).oldest_reader(),
            Row::Trunk(trunk) => trunk.oldest_reader(),
            Row::Carrier(_) => 5,
            Row::Pool(pool) => pool.oldest_reader(),
            Row::Import { .. } => 2,
            Row::Operator(_) | Row::FirstTokenRetired => 9,
            // A program that knows but half of an id would let it come again.
            Row::Command(_, remembered) => remembered.answered.map_or(4, Answered::oldest_reader),
            Row::Clock(_) | Row::Emergency(_) | Row::User(_) | Row::Key(_) | Row::Number(_) => 1,
            Row::Binding(binding) => binding.oldest_reader(),
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
    /// A carrier.
    Carrier(CarrierName),
    /// An X number.
    Number(PhoneNumber),
    /// A binding.
    Binding(SubsId),
    /// A command id.
    Command(CommandId),
    /// An import that is under way.
    Import(Box<str>),
    /// An operator.
    Operator(OperatorName),
    /// That the first token is retired.
    FirstTokenRetired,
}

impl Row {
    pub(super) fn key(&self) -> RowKey {
        match self {
            Row::Clock(_) => RowKey::Clock,
            Row::Emergency(_) => RowKey::Emergency,
            Row::Account(account) => RowKey::Account(account.id.clone()),
            Row::User(user) => RowKey::User(user.account.clone(), user.name.clone()),
            Row::Key(key) => RowKey::Key(key.id.clone()),
            Row::Pool(pool) => RowKey::Pool(pool.key.clone()),
            Row::Trunk(trunk) => RowKey::Trunk(trunk.name.clone()),
            Row::Carrier(carrier) => RowKey::Carrier(carrier.name.clone()),
            Row::Number(number) => RowKey::Number(number.x),
            Row::Binding(binding) => RowKey::Binding(binding.subs_id()),
            Row::Command(id, _) => RowKey::Command(*id),
            Row::Import { name, .. } => RowKey::Import(name.clone()),
            Row::Operator(operator) => RowKey::Operator(operator.name.clone()),
            Row::FirstTokenRetired => RowKey::FirstTokenRetired,
        }
    }
}

/// Content: whole.
impl State {
    /// Every row, in an order that depends on the content alone.
    pub fn rows(&self) -> impl Iterator<Item = Row> + '_ {
        let mut commands: Vec<_> = self.memory.iter().collect();
        commands.sort_unstable_by_key(|&(id, _)| id);

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
            .chain(self.carriers().cloned().map(Row::from))
            .chain(self.numbers().map(Row::Number))
            .chain(
                self.bindings
                    .iter()
                    .filter_map(|at| self.bindings.get(at).map(Row::from)),
            )
            .chain((commands.into_iter()).map(|(id, remembered)| Row::Command(id, remembered)))
            .chain(self.imports.iter().map(|(name, &rows)| Row::Import {
                name: name.clone(),
                rows,
            }))
            .chain(self.operators.values().cloned().map(Row::from))
            .chain((self.is_first_token_retired).then_some(Row::FirstTokenRetired))
    }

    /// Puts one row of a snapshot in. Rows must come in the order of
    /// [`State::rows`].
    pub fn restore(&mut self, row: Row) {
        self.put(row);
    }
}
