//! The declarative document: what should be there. `maskline apply` sends one; the single commands
//! send small ones.
//!
//! What a document does not say stays as it is; a new thing takes the default. Things that should go
//! are named under `remove`. So a document can be applied any number of times, and two documents can
//! describe different parts of one installation.

mod carrier;
mod pool;
mod trunk;

use serde::{Deserialize, Serialize};

use maskline_domain::account::{AccountStatus, Statement};
use maskline_domain::clock::Timestamp;
use maskline_domain::inventory::{NumberCarrier, NumberClass, NumberKind};
use maskline_domain::{Account, AccountId, City, Number, PhoneNumber, PoolKey, User, UserName};

pub use carrier::{WantedCarrier, is_same_url};
pub use pool::{OwnKeep, WantedPool, WantedTerms};
pub use trunk::WantedTrunk;

/// The most numbers that one entry of a document may stand for.
pub const NUMBERS_PER_ENTRY_MAX: u64 = 1_000_000;

/// What should be there, and what should not.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Document {
    /// Accounts.
    #[serde(rename = "account", skip_serializing_if = "Vec::is_empty")]
    pub accounts: Vec<WantedAccount>,
    /// Users of accounts.
    #[serde(rename = "user", skip_serializing_if = "Vec::is_empty")]
    pub users: Vec<WantedUser>,
    /// AccessKeys.
    #[serde(rename = "key", skip_serializing_if = "Vec::is_empty")]
    pub keys: Vec<WantedKey>,
    /// Carriers.
    #[serde(rename = "carrier", skip_serializing_if = "Vec::is_empty")]
    pub carriers: Vec<WantedCarrier>,
    /// Pools.
    #[serde(rename = "pool", skip_serializing_if = "Vec::is_empty")]
    pub pools: Vec<WantedPool>,
    /// X numbers.
    #[serde(rename = "numbers", skip_serializing_if = "Vec::is_empty")]
    pub numbers: Vec<WantedNumbers>,
    /// Trunks.
    #[serde(rename = "trunk", skip_serializing_if = "Vec::is_empty")]
    pub trunks: Vec<WantedTrunk>,
    /// Numbers that may never be a party, the whole list.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub emergency_numbers: Option<Vec<PhoneNumber>>,
    /// What should not be there.
    #[serde(skip_serializing_if = "Unwanted::is_empty")]
    pub remove: Unwanted,
}

impl Document {
    /// Whether it says who may do what, which is for administrators.
    pub fn needs_administrator(&self) -> bool {
        let says = !(self.accounts.is_empty() && self.users.is_empty() && self.keys.is_empty());
        says || !(self.remove.users.is_empty() && self.remove.keys.is_empty())
    }
}

/// An account that should be there.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WantedAccount {
    /// Its name.
    pub id: String,
    /// Its standing; a new account is active.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<AccountStatus>,
    /// Whether its owner has proved their name; a new account has not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub real_name_verified: Option<bool>,
    /// Whether it has opened communication products; a new account has.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub communications_opened: Option<bool>,
    /// Whether it has opened number protection; a new account has.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub product_opened: Option<bool>,
    /// Requests a second over all its keys; 0 takes the server's setting.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub requests_per_s_max: Option<u32>,
    /// Bindings in force at once, in all its pools; 0 is no quota.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bindings_max: Option<u32>,
}

/// A user that should be there.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WantedUser {
    /// The account.
    pub account: String,
    /// The name within it.
    pub name: String,
    /// What the user may do; a new user may do nothing.
    #[serde(rename = "statement", skip_serializing_if = "Option::is_none")]
    pub statements: Option<Vec<Statement>>,
}

/// An AccessKey that should be there.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WantedKey {
    /// The public half.
    pub id: String,
    /// The account; needed for a new key, and never changes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub account: Option<String>,
    /// The user within the account; never changes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// The secret half of a new key. Without it one is made and shown once. It never changes: a
    /// leaked key is deleted and replaced.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secret: Option<String>,
    /// Switched on or off; a new key is on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub active: Option<bool>,
}

impl std::fmt::Debug for WantedKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("WantedKey")
            .field("id", &self.id)
            .field("account", &self.account)
            .field("active", &self.active)
            .finish_non_exhaustive()
    }
}

/// X numbers that should be there: a list, or a run of them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WantedNumbers {
    /// The pool they are in; without one they are in the stock.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pool: Option<String>,
    /// Home city, with or without 市.
    pub city: String,
    /// Home province; the city where none is given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub province: Option<String>,
    /// Sort; by the digits where none is given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kind: Option<NumberKind>,
    /// Where they come from; China Mobile where none is given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub carrier: Option<NumberCarrier>,
    /// Whether their registration is proved; it is where nothing is said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub certified: Option<bool>,
    /// The numbers, one by one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub list: Vec<PhoneNumber>,
    /// The first of a run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first: Option<PhoneNumber>,
    /// How many numbers the run has.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub count: Option<u64>,
}

/// What should not be there. Naming something that is not there is no mistake.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Unwanted {
    /// AccessKeyIds.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub keys: Vec<String>,
    /// Users, as `account/name`; their keys go with them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub users: Vec<String>,
    /// X numbers, none of them bound.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub numbers: Vec<PhoneNumber>,
    /// Trunks.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub trunks: Vec<String>,
    /// Carriers that no pool names.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub carriers: Vec<String>,
}

impl Unwanted {
    fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

impl WantedAccount {
    /// An account of which nothing but the name is said.
    pub fn named(id: &str) -> Self {
        Self {
            id: id.to_owned(),
            status: None,
            real_name_verified: None,
            communications_opened: None,
            product_opened: None,
            requests_per_s_max: None,
            bindings_max: None,
        }
    }

    /// The account as it should be, given how it is.
    pub fn over(&self, before: Option<&Account>) -> Account {
        let mut account = before.cloned().unwrap_or_else(|| Account {
            id: AccountId::new(&self.id),
            status: AccountStatus::Active,
            real_name_verified: false,
            communications_opened: true,
            product_opened: true,
            requests_per_s_max: None,
            bindings_max: None,
        });
        take(&mut account.status, self.status);
        take(&mut account.real_name_verified, self.real_name_verified);
        take(
            &mut account.communications_opened,
            self.communications_opened,
        );
        take(&mut account.product_opened, self.product_opened);
        if let Some(limit) = self.requests_per_s_max {
            account.requests_per_s_max = (limit > 0).then_some(limit);
        }
        if let Some(quota) = self.bindings_max {
            account.bindings_max = (quota > 0).then_some(quota);
        }
        account
    }
}

impl WantedUser {
    /// The user as it should be, given how it is.
    pub fn over(&self, before: Option<&User>) -> User {
        let mut user = before.cloned().unwrap_or_else(|| User {
            account: AccountId::new(&self.account),
            name: UserName::new(&self.name),
            statements: Vec::new(),
        });
        take(&mut user.statements, self.statements.clone());
        user
    }
}

impl WantedNumbers {
    /// Every number that the entry stands for.
    ///
    /// # Errors
    /// What is wrong with the entry.
    pub fn all(&self) -> Result<Vec<PhoneNumber>, String> {
        let run = match (self.first, self.count) {
            (None, None) => Vec::new(),
            (Some(first), Some(count)) => run_of(first, count)?,
            _ => return Err("first and count belong together".to_owned()),
        };
        if run.len() as u64 + self.list.len() as u64 > NUMBERS_PER_ENTRY_MAX {
            return Err(format!(
                "more than {NUMBERS_PER_ENTRY_MAX} numbers in one entry"
            ));
        }
        Ok(self.list.iter().copied().chain(run).collect())
    }

    /// One of the numbers as it should be. What is not said of a number that is there stays as it is,
    /// and one that stays in its pool keeps the time at which it came there.
    pub fn number(&self, x: PhoneNumber, before: Option<&Number>, now: Timestamp) -> Number {
        let city = City::from_wire(&self.city);
        let known = before.map(|before| &before.class);
        let province = match (&self.province, known) {
            (Some(province), _) => province.trim().into(),
            (None, Some(class)) if class.city == city => class.province.clone(),
            (None, _) => city.as_str().into(),
        };
        let pool = self.pool.as_deref().map(PoolKey::new);
        let purchased_at = before
            .filter(|before| before.class.pool == pool)
            .map_or(now, |before| before.class.purchased_at);
        Number {
            x,
            class: NumberClass {
                pool,
                city,
                province,
                kind: self
                    .kind
                    .or(known.map(|class| class.kind))
                    .unwrap_or_else(|| kind_by_digits(x)),
                carrier: self
                    .carrier
                    .or(known.map(|class| class.carrier))
                    .unwrap_or(NumberCarrier::Mobile),
                certified: self
                    .certified
                    .or(known.map(|class| class.certified))
                    .unwrap_or(true),
                purchased_at,
            },
            locked: false,
            cooling_until: Timestamp(0),
            idle_since: Timestamp(0),
        }
    }
}

/// Numbers in a row, as many digits each as the first one.
fn run_of(first: PhoneNumber, count: u64) -> Result<Vec<PhoneNumber>, String> {
    if !(1..=NUMBERS_PER_ENTRY_MAX).contains(&count) {
        return Err(format!(
            "count is not between 1 and {NUMBERS_PER_ENTRY_MAX}"
        ));
    }
    let last = first.packed().checked_add(count - 1);
    let run = last.map(|last| first.packed()..=last).into_iter().flatten();
    let numbers: Option<Vec<_>> = run
        .map(|packed| PhoneNumber::from_packed(packed).filter(|x| x.len() == first.len()))
        .collect();
    numbers
        .filter(|numbers| !numbers.is_empty())
        .ok_or_else(|| "the run does not fit into the digits of its first number".to_owned())
}

/// 95… is a nationwide number; 16x, 170, 171 belong to virtual operators; the rest to carriers.
fn kind_by_digits(x: PhoneNumber) -> NumberKind {
    let digits = x.reveal();
    if digits.starts_with("95") {
        NumberKind::Service95
    } else if ["170", "171", "162", "165", "167"]
        .iter()
        .any(|p| digits.starts_with(p))
    {
        NumberKind::VirtualOperator
    } else {
        NumberKind::Carrier
    }
}

/// Takes a text that can be absent; an empty one takes it away.
fn take_text(into: &mut Option<Box<str>>, wanted: Option<&str>) {
    if let Some(text) = wanted {
        *into = (!text.is_empty()).then(|| text.into());
    }
}

fn take<T>(into: &mut T, wanted: Option<T>) {
    if let Some(wanted) = wanted {
        *into = wanted;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_said_stays_as_it_is() {
        let before = Account {
            id: AccountId::new("acme"),
            status: AccountStatus::InArrears,
            real_name_verified: true,
            communications_opened: true,
            product_opened: false,
            requests_per_s_max: Some(7),
            bindings_max: Some(9),
        };
        let mut wanted = WantedAccount::named("acme");
        assert_eq!(wanted.over(Some(&before)), before);
        wanted.requests_per_s_max = Some(0);
        wanted.bindings_max = Some(0);
        wanted.status = Some(AccountStatus::Active);
        let after = wanted.over(Some(&before));
        assert_eq!((after.requests_per_s_max, after.bindings_max), (None, None));
        assert_eq!(after.status, AccountStatus::Active);
        assert!(!after.product_opened);
    }

    #[test]
    fn a_new_account_is_not_verified() {
        let account = WantedAccount::named("acme").over(None);
        assert!(!account.real_name_verified && account.product_opened);
    }

    #[test]
    fn runs_keep_their_digits() {
        let number = |text: &str| PhoneNumber::parse(text).expect("digits");
        let run = run_of(number("0998"), 2).expect("two numbers");
        assert_eq!(run, [number("0998"), number("0999")]);
        for (first, count) in [("0998", 0), ("9998", 3), ("999999999999999999", 2)] {
            assert!(run_of(number(first), count).is_err(), "{first} {count}");
        }
        assert!(run_of(number("17000000000"), NUMBERS_PER_ENTRY_MAX + 1).is_err());
    }

    #[test]
    fn a_number_that_stays_keeps_its_date() {
        let entry: WantedNumbers =
            toml::from_str("pool = \"FC1\"\ncity = \"北京市\"\nlist = [\"17000000000\"]").unwrap();
        let x = entry.all().unwrap()[0];
        let first = entry.number(x, None, Timestamp(5));
        assert_eq!(first.class.city.as_str(), "北京");
        assert_eq!(&*first.class.province, "北京");
        assert_eq!(first.class.kind, NumberKind::VirtualOperator);
        assert_eq!(entry.number(x, Some(&first), Timestamp(9)), first);
        let mut moved = first.clone();
        moved.class.pool = None;
        let again = entry.number(x, Some(&moved), Timestamp(9));
        assert_eq!(again.class.purchased_at, Timestamp(9));
    }

    #[test]
    fn documents_refuse_unknown_keys() {
        let error =
            toml::from_str::<Document>("[[pool]]\nkey = \"FC1\"\ncolour = 1\n").unwrap_err();
        assert!(error.message().contains("unknown field `colour`"));
    }
}
