//! Who and what there is: few of each, so that they meet often.

use maskline_domain::inventory::NumberClass;
use maskline_domain::pool::{CityMatch, Pick};
use maskline_domain::{
    AccessKey, AccessKeyId, Account, AccountId, AccountStatus, City, Number, NumberCarrier,
    NumberKind, Party, PhoneNumber, Pool, PoolKey, Product, Timestamp, User, UserName,
    account::{Effect, Statement},
};

/// Accounts.
pub const ACCOUNTS: [&str; 2] = ["acme", "birch"];
/// Users of the first account.
pub const USERS: [&str; 2] = ["user1", "user2"];
/// Keys with their account and user.
pub const KEYS: [(&str, usize, Option<usize>); 6] = [
    ("AK-acme-1", 0, None),
    ("AK-acme-2", 0, None),
    ("AK-user1", 0, Some(0)),
    ("AK-user2", 0, Some(1)),
    ("AK-birch-1", 1, None),
    ("AK-birch-2", 1, None),
];
/// Pools with their account and product.
pub const POOLS: [(&str, usize, Product); 5] = [
    ("FC1001", 0, Product::Axn),
    ("FC1002", 0, Product::Axb),
    ("FC1003", 0, Product::Axn),
    ("FC2001", 1, Product::Axb),
    ("FC2002", 1, Product::Axn),
];
/// Cities.
pub const CITIES: [&str; 3] = ["北京", "上海", "杭州"];
/// X numbers of each pool.
const NUMBERS_OF_A_POOL: usize = 7;
/// All X numbers there can be: the pools' and some that come later.
pub const NUMBERS: usize = POOLS.len() * NUMBERS_OF_A_POOL + 5;

/// A number from digits that are written here.
fn parsed(digits: &str) -> PhoneNumber {
    PhoneNumber::parse(digits).expect("digits written in this file")
}

/// The `n`th X number.
pub fn x(n: usize) -> PhoneNumber {
    parsed(&format!("170000000{n:02}"))
}

/// A number that may be a party.
pub fn party(number: PhoneNumber) -> Party {
    Party::of(number).expect("all numbers of this world may be parties")
}

/// All that may be a party.
pub fn parties() -> Vec<PhoneNumber> {
    let mobiles = (10..20).map(|n| parsed(&format!("138000000{n}")));
    let others = ["01088880021", "057188880022", "95023", "4008880024"];
    mobiles.chain(others.map(parsed)).collect()
}

/// An account in good standing.
pub fn account(n: usize) -> Account {
    Account {
        id: AccountId::new(ACCOUNTS[n]),
        status: AccountStatus::Active,
        real_name_verified: true,
        communications_opened: true,
        product_opened: true,
        requests_per_s_max: None,
        bindings_max: None,
    }
}

/// An active key.
pub fn key(n: usize) -> AccessKey {
    let (id, account, user) = KEYS[n];
    AccessKey {
        id: AccessKeyId::new(id),
        account: AccountId::new(ACCOUNTS[account]),
        user: user.map(|user| UserName::new(USERS[user])),
        sealed_secret: [n as u8 + 1; 4].into(),
        active: true,
        created_at: Timestamp(0),
    }
}

/// A user with one of a few policies.
pub fn user(n: usize, policy: u64) -> User {
    let statement = |effect, action: &str, pool: &str| Statement {
        effect,
        actions: vec![action.to_owned()],
        pools: vec![pool.to_owned()],
    };
    let all = statement(Effect::Allow, "dypls:*", "*");
    let statements = match policy {
        0 => vec![all],
        1 => vec![statement(Effect::Allow, "dypls:*", "FC1001")],
        2 => vec![all, statement(Effect::Deny, "dypls:Bind", "*")],
        3 => vec![all, statement(Effect::Deny, "*", "FC1002")],
        4 => vec![statement(Effect::Allow, "dypls:Un*", "FC10*")],
        _ => Vec::new(),
    };
    User {
        account: AccountId::new(ACCOUNTS[0]),
        name: UserName::new(USERS[n]),
        statements,
    }
}

/// A pool as it is at first: each with ways of its own.
pub fn pool(n: usize) -> Pool {
    let (key, account, product) = POOLS[n];
    let mut pool = Pool::new(
        PoolKey::new(key),
        AccountId::new(ACCOUNTS[account]),
        product,
    );
    match n {
        0 => {
            pool.legacy_type = Some("AXN_170".to_owned());
            pool.same_out_order_returns = true;
        }
        1 => pool.pairs_max = 2,
        2 => {
            pool.city_match = CityMatch::Strict;
            pool.pick = Pick::LongestIdle;
            pool.cooling_s = 90;
            pool.same_out_order_returns = true;
        }
        3 => {
            pool.pick = Pick::LongestIdle;
            pool.pairs_max = 3;
            pool.same_out_order_returns = true;
        }
        _ => {
            pool.cooling_s = 7;
            pool.same_out_order_returns = true;
            pool.a_call_back = false;
        }
    }
    pool
}

/// The `n`th X number, in a pool (or the stock) and a city.
pub fn number(n: usize, pool: Option<usize>, city: usize) -> Number {
    Number {
        x: x(n),
        class: NumberClass {
            pool: pool.map(|pool| PoolKey::new(POOLS[pool].0)),
            city: City::new(CITIES[city]),
            province: "".into(),
            kind: NumberKind::VirtualOperator,
            carrier: NumberCarrier::Mobile,
            certified: n.is_multiple_of(2),
            purchased_at: Timestamp(0),
        },
        locked: false,
        cooling_until: Timestamp(0),
        idle_since: Timestamp(0),
    }
}

/// The numbers that a pool has at first.
pub fn stock_of(pool: usize) -> Vec<Number> {
    (0..NUMBERS_OF_A_POOL)
        .map(|n| number(pool * NUMBERS_OF_A_POOL + n, Some(pool), n % CITIES.len()))
        .collect()
}
