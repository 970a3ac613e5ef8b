//! The ledger over a real data directory: what is answered is there after a
//! restart, and what hangs on the journal follows it.

mod calls;
mod disk;
mod erasing;
mod faults;
mod owners;
mod restarts;

use std::path::Path;

use maskline_domain::access::PoolRef;
use maskline_domain::binding::Extras;
use maskline_domain::call_record::CallRecord;
use maskline_domain::inventory::NumberClass;
use maskline_domain::ops::{AddNumbers, SetAccount, SetPool, Unbind};
use maskline_domain::{
    Account, AccountId, AccountStatus, Actor, BindRequest, Binding, Carrier, City, Command,
    Envelope, Number, NumberKind, PhoneNumber, Pool, PoolKey, Product, Restriction, Row, Timestamp,
};
use maskline_server::clocks;
use maskline_server::writer::{Ledger, Options, Running, Touch};
use tempfile::TempDir;

fn options(dir: &Path) -> Options {
    Options {
        on_unknown: |reason| panic!("unknown outcome: {reason}"),
        ..Options::new(dir)
    }
}

async fn open(dir: &Path) -> (Ledger, Running) {
    Ledger::open(options(dir)).await.expect("it opens")
}

fn operator<C>(command: C) -> Envelope<C> {
    Envelope {
        by: Actor::Operator {
            name: "tester".into(),
        },
        id: None,
        command,
    }
}

fn pool_key() -> PoolKey {
    PoolKey::new("FC1")
}

fn x(n: u64) -> PhoneNumber {
    PhoneNumber::parse(&format!("1700000{n:04}")).expect("digits")
}

fn party(n: u64) -> PhoneNumber {
    PhoneNumber::parse(&format!("1380000{n:04}")).expect("digits")
}

async fn found(ledger: &Ledger, numbers: u64) {
    let account = Account {
        id: AccountId::new("acme"),
        status: AccountStatus::Active,
        real_name_verified: true,
        communications_opened: true,
        product_opened: true,
        requests_per_s_max: None,
        bindings_max: None,
    };
    let pool = Pool::new(pool_key(), account.id.clone(), Product::Axn);
    let stock = (0..numbers)
        .map(|n| Number {
            x: x(n),
            class: NumberClass {
                pool: Some(pool_key()),
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
    for command in [
        Command::SetAccount(SetAccount(account)),
        Command::SetPool(SetPool(pool)),
        Command::AddNumbers(AddNumbers(stock)),
    ] {
        ledger.submit(operator(command)).await.expect("founded");
    }
}

fn bind(a: u64) -> Envelope<Box<BindRequest>> {
    operator(Box::new(BindRequest {
        pool: PoolRef::Key(pool_key()),
        product: Product::Axn,
        a: party(a),
        b: None,
        x: None,
        city: None,
        expires_at: clocks::read().wall.plus_secs(3600),
        restriction: Restriction::None,
        record: false,
        speech_recognition: false,
        ring_timeout_s: None,
        extras: Extras::default(),
    }))
}

fn unbind(binding: &Binding) -> Envelope<Unbind> {
    operator(Unbind {
        pool: PoolRef::Key(pool_key()),
        subs_id: binding.subs_id,
        x: binding.x,
    })
}

async fn bound(ledger: &Ledger, a: u64) -> Binding {
    *ledger.submit(bind(a)).await.expect("bound")
}

async fn rows(ledger: &Ledger) -> Vec<Row> {
    ledger
        .read(Touch::Scan, |state, _| state.rows().collect())
        .await
        .expect("readable")
}

fn temporary() -> TempDir {
    tempfile::tempdir().expect("a temporary directory")
}

fn arrived(call_id: &str, arrived_at: Timestamp) -> CallRecord {
    CallRecord {
        call_id: call_id.into(),
        node: "n".into(),
        boot: "b".into(),
        x: Some(x(1)),
        arrived_at,
        ..CallRecord::default()
    }
}
