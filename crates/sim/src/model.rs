//! The slow, obvious model: accounts, pools, numbers and bindings in sorted
//! maps, everything found by looking at all of it.
//!
//! It shares no rule with `domain`; only plain data types. [`rules`] says what
//! a command must lead to, [`carriers`] what comes of asking carriers, by
//! [`phases`]; [`verify`] compares that with what was journalled
//! and makes it part of the model, [`reach`] routes calls, [`product`] says what
//! products differ in, [`model_clock`] tells the time.

pub mod carriers;
pub mod model_clock;
pub mod operators;
pub mod phases;
pub mod product;
pub mod reach;
pub mod rules;
pub mod verify;

use std::collections::BTreeMap;

use maskline_domain::pool::Pick;
use maskline_domain::state::Clock;
use maskline_domain::{
    AccessKey, AccessKeyId, Account, AccountId, Binding, Carrier, CarrierName, CommandId, Number,
    NumberStatus, Operator, OperatorName, Owner, PhoneNumber, Pool, PoolKey, Remembered, Row,
    SubsId, Timestamp, Trunk, TrunkName, User, UserName,
};

/// All there is, as the journal tells it.
#[derive(Debug, Clone, Default)]
pub struct Model {
    /// The newest journalled moment.
    pub now: Timestamp,
    /// The highest id of a binding so far.
    pub last_subs_id: u64,
    /// Restores so far.
    pub epoch: u32,
    /// Numbers that may never be a party, sorted.
    pub emergency: Vec<PhoneNumber>,
    /// Accounts.
    pub accounts: BTreeMap<AccountId, Account>,
    /// Users.
    pub users: BTreeMap<(AccountId, UserName), User>,
    /// Keys.
    pub keys: BTreeMap<AccessKeyId, AccessKey>,
    /// Pools.
    pub pools: BTreeMap<PoolKey, Pool>,
    /// Trunks.
    pub trunks: BTreeMap<TrunkName, Trunk>,
    /// Carriers.
    pub carriers: BTreeMap<CarrierName, Carrier>,
    /// X numbers.
    pub numbers: BTreeMap<PhoneNumber, Number>,
    /// Bindings whose end is not recorded, over or not.
    pub bindings: BTreeMap<SubsId, Binding>,
    /// Ids of commands that are remembered, and what is of each.
    pub commands: BTreeMap<CommandId, Remembered>,
    /// Imports under way, and how many of their rows are in.
    pub imports: BTreeMap<Box<str>, u64>,
    /// Operators.
    pub operators: BTreeMap<OperatorName, Operator>,
    /// Whether the first token is retired.
    pub is_first_token_retired: bool,
    /// The newest bindings that were made, ended or not.
    pub made: BTreeMap<SubsId, Made>,
}

/// How many bindings that were made are kept in mind.
const MADE_MAX: usize = 200;

/// What a binding was when it was made, for reads of it after its end.
#[derive(Debug, Clone)]
pub struct Made {
    /// Its X.
    pub x: PhoneNumber,
    /// Whose it is by what the journal tells: this is what the history keeps.
    pub told: Option<Owner>,
    /// Whose it is by the pool that X was in.
    pub owner: Option<Owner>,
}

impl Model {
    /// What a state of this content gives as rows.
    pub fn rows(&self) -> Vec<Row> {
        let clock = Clock {
            now: self.now,
            last_subs_id: self.last_subs_id,
            epoch: self.epoch,
        };
        let mut rows = vec![Row::Clock(clock), Row::Emergency(self.emergency.clone())];
        rows.extend(self.accounts.values().cloned().map(Row::from));
        rows.extend(self.users.values().cloned().map(Row::User));
        rows.extend(self.keys.values().cloned().map(Row::Key));
        rows.extend(self.pools.values().cloned().map(Row::from));
        rows.extend(self.trunks.values().cloned().map(Row::from));
        rows.extend(self.carriers.values().cloned().map(Row::from));
        rows.extend(self.numbers.values().cloned().map(Row::Number));
        rows.extend(self.bindings.values().cloned().map(Row::from));
        let commands = self.commands.iter();
        rows.extend(commands.map(|(id, remembered)| Row::Command(*id, remembered.clone())));
        rows.extend(self.imports.iter().map(|(name, &rows)| Row::Import {
            name: name.clone(),
            rows,
        }));
        rows.extend(self.operators.values().cloned().map(Row::from));
        rows.extend((self.is_first_token_retired).then_some(Row::FirstTokenRetired));
        rows
    }

    /// The pool that X is in.
    pub fn pool_of(&self, x: PhoneNumber) -> Option<&Pool> {
        self.pools.get(self.numbers.get(&x)?.class.pool.as_ref()?)
    }

    /// Whose a binding on X is.
    pub fn owner_of(&self, x: PhoneNumber) -> Option<Owner> {
        let pool = self.pool_of(x)?;
        Some(Owner {
            pool: pool.key.clone(),
            account: pool.account.clone(),
        })
    }

    /// Keeps in mind what a new binding is.
    fn keep(&mut self, binding: &Binding) {
        let made = Made {
            x: binding.x,
            told: binding.owner.clone(),
            owner: self.owner_of(binding.x),
        };
        self.made.insert(binding.subs_id, made);
        if self.made.len() > MADE_MAX {
            self.made.pop_first();
        }
    }

    /// The bindings on X, over or not.
    pub fn on(&self, x: PhoneNumber) -> impl Iterator<Item = &Binding> {
        self.bindings.values().filter(move |binding| binding.x == x)
    }

    /// The bindings on X by which calls go at `now`.
    pub fn live_on(&self, x: PhoneNumber, now: Timestamp) -> impl Iterator<Item = &Binding> {
        self.on(x)
            .filter(move |binding| binding.expires_at > now && phases::carries_calls(binding))
    }

    /// The bindings on X that keep others out at `now`.
    pub fn holding_on(&self, x: PhoneNumber, now: Timestamp) -> impl Iterator<Item = &Binding> {
        self.on(x)
            .filter(move |binding| phases::keeps_others_out(binding, now))
    }

    /// Until when X rests when a binding on it ended at `ended_at`; 0 if it
    /// need not, or need not any more.
    pub fn rest(&self, binding: &Binding, ended_at: Timestamp, now: Timestamp) -> Timestamp {
        let cooling_s = self.pool_of(binding.x).map_or(0, |pool| pool.cooling_s);
        if !product::rests(binding.product) || cooling_s == 0 {
            return Timestamp(0);
        }
        let until_ms = ended_at.0 + i64::from(cooling_s) * 1000;
        let until = full_second(until_ms);
        if until.0 <= now.0 {
            Timestamp(0)
        } else {
            until
        }
    }

    /// Since when X is idle after a binding on it ended at `ended_at`, where
    /// its pool keeps that.
    pub fn idle(&self, x: PhoneNumber, ended_at: Timestamp) -> Timestamp {
        match self.pool_of(x).map(|pool| pool.pick) {
            Some(Pick::LongestIdle) => full_second(ended_at.0),
            Some(Pick::Random) | None => Timestamp(0),
        }
    }

    /// Whether X rests at `now`: by what is recorded, or by bindings that are
    /// over but whose end is not.
    pub fn rests(&self, x: PhoneNumber, now: Timestamp) -> bool {
        let recorded = self
            .numbers
            .get(&x)
            .is_some_and(|number| number.cooling_until > now);
        let by_ended = self
            .on(x)
            .filter(|binding| !phases::keeps_others_out(binding, now))
            .any(|binding| self.rest(binding, binding.expires_at, now) > now);
        recorded || by_ended
    }

    /// What X does at `now`. A binding that is over counts for nothing, but its
    /// number may have to rest.
    pub fn status(&self, x: PhoneNumber, now: Timestamp) -> Option<NumberStatus> {
        let number = self.numbers.get(&x)?;
        Some(if number.locked {
            NumberStatus::Locked
        } else if self.holding_on(x, now).next().is_some() {
            NumberStatus::Bound
        } else if self.rests(x, now) {
            NumberStatus::Frozen
        } else {
            NumberStatus::Free
        })
    }

    /// Whether a number lies ready by what is recorded: not locked, not
    /// cooling or cooled but not put back, and with room left.
    pub fn is_available(&self, number: &Number) -> bool {
        let room = self.pool_of(number.x).map_or(1, product::room_on);
        !number.locked && number.cooling_until == Timestamp(0) && self.on(number.x).count() < room
    }
}

/// The next full second.
pub(crate) fn full_second(ms: i64) -> Timestamp {
    let over = ms.rem_euclid(1000);
    Timestamp(if over == 0 { ms } else { ms - over + 1000 })
}
