//! A small world of accounts, pools and numbers, and commands to change it.

use maskline_domain::access::PoolRef;
use maskline_domain::binding::Extras;
use maskline_domain::inventory::NumberClass;
use maskline_domain::ops::{AddNumbers, SetAccount, SetPool, Unbind};
use maskline_domain::{
    Account, AccountId, AccountStatus, Actor, BindRequest, Carrier, City, Command, Envelope,
    Number, NumberKind, PhoneNumber, Pool, PoolKey, Product, Restriction, SubsId, Timestamp,
};

pub const POOL: &str = "FC1";

pub fn number(n: u64) -> PhoneNumber {
    PhoneNumber::parse(&format!("1380000{n:04}")).expect("digits")
}

pub fn x(n: u64) -> PhoneNumber {
    PhoneNumber::parse(&format!("1700000{n:04}")).expect("digits")
}

pub fn pool_ref() -> PoolRef {
    PoolRef::Key(PoolKey::new(POOL))
}

pub fn operator(command: impl Into<Command>) -> Envelope {
    Envelope {
        by: Actor::Operator {
            name: "tester".into(),
        },
        id: None,
        command: command.into(),
    }
}

/// Commands that make an account, an AXN pool and `numbers` X numbers in it.
pub fn founding(numbers: u64) -> Vec<Envelope> {
    let account = Account {
        id: AccountId::new("acme"),
        status: AccountStatus::Active,
        real_name_verified: true,
        communications_opened: true,
        product_opened: true,
        requests_per_s_max: None,
        bindings_max: None,
    };
    let pool = Pool::new(PoolKey::new(POOL), account.id.clone(), Product::Axn);
    let stock = (0..numbers)
        .map(|n| Number {
            x: x(n),
            class: NumberClass {
                pool: Some(pool.key.clone()),
                city: City::new("杭州"),
                province: "浙江".into(),
                kind: NumberKind::VirtualOperator,
                carrier: Carrier::Mobile,
                certified: true,
                purchased_at: Timestamp(0),
            },
            locked: false,
            cooling_until: Timestamp(0),
            idle_since: Timestamp(0),
        })
        .collect();
    [
        Command::SetAccount(SetAccount(account)),
        Command::SetPool(SetPool(pool)),
        Command::AddNumbers(AddNumbers(stock)),
    ]
    .map(operator)
    .into()
}

pub fn bind(a: u64, at: Option<PhoneNumber>, expires_at: Timestamp) -> Envelope {
    operator(Box::new(BindRequest {
        pool: pool_ref(),
        product: Product::Axn,
        a: number(a),
        b: None,
        x: at,
        city: None,
        expires_at,
        restriction: Restriction::None,
        record: false,
        speech_recognition: false,
        ring_timeout_s: None,
        extras: Extras {
            out_id: Some(format!("order of {a}").into()),
            ..Extras::default()
        },
    }))
}

pub fn unbind(subs_id: SubsId, x: PhoneNumber) -> Envelope {
    operator(Unbind {
        pool: pool_ref(),
        subs_id,
        x,
    })
}

/// A command that the rules refuse without any event.
pub fn hopeless() -> Envelope {
    unbind(SubsId(1), x(0))
}
