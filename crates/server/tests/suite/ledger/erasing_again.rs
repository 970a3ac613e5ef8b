//! An erasure of which one step fails: the next one finishes it.

use maskline_domain::binding::Extras;
use maskline_domain::call_record::CallRecord;
use maskline_domain::ops::UpdateBinding;
use maskline_domain::{
    Actor, BindRequest, Binding, Event, Party, PhoneNumber, Subject, command::Update,
};
use maskline_journal::payload;
use maskline_server::clocks;
use maskline_server::ledger::{EraseError, Erased, Ledger};
use maskline_store::db::{Connection, sql};
use maskline_store::directory::{self, DataDir};
use maskline_store::records::call;
use maskline_store::{UNSEALED, erasure, journal};
use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;
use tokio::time::sleep;

use super::{arrived, assert_holds, assert_is_whole, found, rows, temporary, unbind};
use crate::support::open;
use maskline_fixtures::domain::{operator, party, pool_ref};

/// More calls than are blanked in one transaction.
const CALLS: usize = 300;
const TEXT: &str = "order-of-the-person";

/// What fails at first, and in which statement. `{tip}` is the newest batch
/// before, which tells of the person as those before it do.
const STEPS: [(&str, &str); 10] = [
    ("the journal", "UPDATE ON journal"),
    (
        "its last batch",
        "UPDATE ON journal WHEN OLD.seq > {tip} - 3",
    ),
    ("the event", "INSERT ON journal"),
    ("the history", "UPDATE ON binding_history"),
    ("all calls", "UPDATE ON call_record"),
    (
        "a call in the midst",
        "UPDATE ON call_record WHEN OLD.call_id = 'call-280'",
    ),
    (
        "a call that is the person's alone",
        "UPDATE ON call_record WHEN OLD.call_id = 'unbound'",
    ),
    ("a snapshot", "INSERT ON snapshot"),
    (
        "the second snapshot",
        "INSERT ON snapshot WHEN NEW.seq > {tip} + 1",
    ),
    ("its end", "INSERT ON journal WHEN NEW.seq > {tip} + 1"),
];

#[tokio::test(flavor = "multi_thread")]
async fn an_erasure_that_failed_at_any_step_is_finished_by_the_next() {
    let made = temporary();
    let (person, others) = (party(1), [party(2), party(3), party(9)]);
    let tip = make_what_tells_of(made.path(), person, others).await;
    let told = subjects_of(made.path(), person).await;
    assert!(told.len() >= 2, "{told:?}");
    for (step, statement) in STEPS {
        let place = temporary();
        let dir = place.path();
        for file in std::fs::read_dir(made.path()).expect("listable") {
            let file = file.expect("entry");
            std::fs::copy(file.path(), dir.join(file.file_name())).expect("copied");
        }
        let statement = statement.replace("{tip}", &tip.to_string());
        let cut =
            format!("CREATE TRIGGER cut BEFORE {statement} BEGIN SELECT RAISE(ABORT, 'cut'); END");
        execute(dir, cut).await;
        let (ledger, running) = open(dir).await;
        assert!(!succeeds(&ledger, person, tip).await, "{step}");
        running.close().await;

        execute(dir, "DROP TRIGGER cut".to_owned()).await;
        let (ledger, running) = open(dir).await;
        let erased = erase(&ledger, person).await.expect(step);
        assert_eq!((erased.bindings, erased.live), (2, 0), "{step}");
        for id in (0..CALLS).map(|n| format!("call-{n}")) {
            let call = call::get(ledger.readers(), &id).await.expect("readable");
            let (call, _) = call.expect("recorded").expect("whole");
            let left = (call.a, call.callee, call.out_id, call.caller);
            assert_eq!(left, (None, None, None, Some(others[2])), "{step}: {id}");
        }
        let nothing = erase(&ledger, person).await.expect(step);
        assert_eq!((nothing.bindings, nothing.records), (0, 0), "{step}");
        let before = rows(&ledger).await;
        running.close().await;
        assert_eq!(subjects_erased(dir).await, told, "{step}");
        assert_is_whole(dir).await;
        for gone in [person.reveal(), TEXT.to_owned()] {
            assert_holds(dir, &gone, false);
        }
        for other in others {
            assert_holds(dir, &other.reveal(), true);
        }
        let (ledger, running) = open(dir).await;
        assert_eq!(rows(&ledger).await, before, "{step}");
        running.close().await;
    }
}

/// Bindings that ended of which the person was a party at last, or earlier
/// only, calls on them, and one on none. Says which batch is the last.
async fn make_what_tells_of(dir: &Path, person: PhoneNumber, others: [PhoneNumber; 3]) -> u64 {
    let (ledger, running) = open(dir).await;
    found(&ledger, 10).await;
    let mut bindings: Vec<Binding> = Vec::new();
    for _ in 0..2 {
        let request = BindRequest {
            b: Party::parse(&others[0].reveal()),
            extras: Extras {
                out_id: Some(TEXT.into()),
                ..Extras::default()
            },
            ..*super::bind(1).command
        };
        let bound = ledger.submit(operator(Box::new(request))).await;
        bindings.push(*bound.expect("bound"));
    }
    let records = ledger.call_records();
    for n in 0..CALLS {
        let call = CallRecord {
            caller: Some(others[2]),
            callee: Some(person),
            a: Some(person),
            subs_id: Some(bindings[n % 17 / 16].subs_id),
            out_id: Some(TEXT.into()),
            ..arrived(&format!("call-{n}"), clocks::read().wall)
        };
        records.close_call(call).await.expect("closed");
    }
    let unbound = CallRecord {
        caller: Some(person),
        ..arrived("unbound", clocks::read().wall)
    };
    records.close_call(unbound).await.expect("closed");
    let handed_on = UpdateBinding {
        carriers_down: Vec::new(),
        pool: pool_ref(maskline_fixtures::domain::POOL),
        subs_id: bindings[1].subs_id,
        x: bindings[1].x,
        updates: vec![Update::A(
            Party::parse(&others[1].reveal()).expect("digits"),
        )],
    };
    ledger.submit(operator(handed_on)).await.expect("changed");
    for binding in &bindings {
        ledger.submit(unbind(binding)).await.expect("unbound");
    }
    let past = ledger.past(bindings[1].subs_id).await.expect("readable");
    assert!(past.is_some_and(|past| past.ended.is_some()));
    let tip = ledger.status().seq;
    running.close().await;
    // Who closes last takes files away, and these are about to be copied.
    ledger.readers().close().await;
    tip
}

async fn erase(ledger: &Ledger, person: PhoneNumber) -> Result<Erased, EraseError> {
    let by = Actor::Operator {
        name: "op".into(),
        remark: None,
    };
    ledger.erase(by, person).await
}

/// Runs an erasure that cannot end: it fails, or waits for what fails again and
/// again and is given up.
async fn succeeds(ledger: &Ledger, person: PhoneNumber, tip: u64) -> bool {
    let is_stuck = async {
        loop {
            let status = ledger.status();
            if status.seq > tip && status.projected <= tip {
                sleep(Duration::from_secs(2)).await;
                let later = ledger.status();
                if later.projected <= tip {
                    return;
                }
            }
            sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::select! {
        erased = erase(ledger, person) => erased.is_ok(),
        () = is_stuck => false,
    }
}

async fn execute(dir: &Path, statement: String) {
    let owned = DataDir::own(dir).expect("nobody else has it");
    let mut conn = owned.writer().await.expect("it opens");
    conn.execute(sql(statement.leak())).await.expect("SQL");
    conn.close().await.expect("closed");
}

/// The subjects by which the journal tells of a person.
async fn subjects_of(dir: &Path, person: PhoneNumber) -> BTreeSet<(u64, u32)> {
    let readers = directory::readers(dir, 1).await.expect("readable");
    let mut conn: Connection = readers.acquire().await.expect("a connection");
    let found = erasure::find(&mut conn, &UNSEALED, person)
        .await
        .expect("readable");
    drop(conn);
    readers.close().await;
    erasure::subjects(&found)
        .map(|Subject { of, n }| (of, n))
        .collect()
}

/// The subjects that the journal says were erased.
async fn subjects_erased(dir: &Path) -> BTreeSet<(u64, u32)> {
    let readers = directory::readers(dir, 1).await.expect("readable");
    let mut conn = readers.acquire().await.expect("a connection");
    let batches = journal::read(&mut conn, 1, 10_000).await.expect("readable");
    let mut erased = BTreeSet::new();
    for batch in &batches {
        let opened = payload::open(batch, &UNSEALED).expect("readable");
        for event in opened.entries.iter().flat_map(|entry| &entry.events) {
            if let Event::PersonErased { subjects, .. } = event {
                erased.extend(subjects.iter().map(|&Subject { of, n }| (of, n)));
            }
        }
    }
    erased
}
