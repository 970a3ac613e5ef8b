//! What was answered holds: against each other at once, after an end, and after a restart.

use std::time::Duration;

use maskline_domain::{Binding, Refusal, Row, SubsId};
use maskline_server::ledger::{Ledger, Options, SubmitError, Touch};
use maskline_store::db::sql;
use maskline_store::directory;

use super::{bind, bound, found, rows, temporary, unbind};
use crate::support::{open, options};

#[tokio::test(flavor = "multi_thread")]
async fn what_was_answered_is_there_after_a_restart() {
    let dir = temporary();
    let (ledger, running) = open(dir.path()).await;
    found(&ledger, 100).await;
    let many = (0..50).map(|a| {
        let ledger = ledger.clone();
        tokio::spawn(async move { bound(&ledger, a).await })
    });
    let mut bindings = Vec::new();
    for task in many.collect::<Vec<_>>() {
        bindings.push(task.await.expect("bound"));
    }
    let before = rows(&ledger).await;
    running.close().await;
    assert_eq!(ledger.submit(bind(60)).await, Err(SubmitError::Closed));

    let (ledger, running) = open(dir.path()).await;
    assert_eq!(rows(&ledger).await, before);
    for binding in bindings {
        let id = binding.subs_id;
        let found = ledger.read(Touch::Number(binding.x), move |state, _| state.binding(id));
        assert_eq!(found.await.expect("readable"), Some(binding));
    }
    running.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn racing_callers_never_share_a_number() {
    let dir = temporary();
    let (ledger, running) = open(dir.path()).await;
    found(&ledger, 20).await;
    let tasks: Vec<_> = (0..60)
        .map(|a| {
            let ledger = ledger.clone();
            tokio::spawn(async move { ledger.submit(bind(a)).await })
        })
        .collect();
    let (mut taken, mut refused) = (Vec::new(), 0);
    for task in tasks {
        match task.await.expect("no panic") {
            Ok(binding) => taken.push(binding.x),
            Err(SubmitError::Refused(Refusal::NoNumberLeft)) => refused += 1,
            other => panic!("{other:?}"),
        }
    }
    taken.sort_unstable();
    taken.dedup();
    assert_eq!((taken.len(), refused), (20, 40));
    running.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_ended_binding_is_still_known() {
    let dir = temporary();
    let (ledger, running) = open(dir.path()).await;
    found(&ledger, 5).await;
    let binding = bound(&ledger, 1).await;
    assert!(
        ledger
            .past(binding.subs_id)
            .await
            .expect("known")
            .expect("there")
            .ended
            .is_none()
    );
    ledger.submit(unbind(&binding)).await.expect("unbound");
    let past = ledger
        .past(binding.subs_id)
        .await
        .expect("known")
        .expect("there");
    assert_eq!(
        past.ended.as_ref().map(|ended| ended.cause.as_str()),
        Some("unbound")
    );
    assert_eq!(past.bound_by, "operator:tester");
    assert_eq!(past.binding(), Some(&binding));
    assert_eq!(ledger.past(SubsId(1)).await.expect("answered"), None);
    running.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_goes_on_from_a_snapshot() {
    let dir = temporary();
    let eager = Options {
        snapshot_every_batches: 5,
        retention: Duration::ZERO,
        ..options(dir.path())
    };
    let (ledger, running) = Ledger::open(eager).await.expect("it opens");
    found(&ledger, 50).await;
    let readers = directory::readers(dir.path(), 1).await.expect("readable");
    let mut a = 0;
    // Until two snapshots are there and the journal before them is gone.
    loop {
        bound(&ledger, a % 10_000).await;
        let binding = bound(&ledger, (a + 1) % 10_000).await;
        ledger.submit(unbind(&binding)).await.expect("unbound");
        a += 1;
        let counts = sql(
            "SELECT (SELECT COUNT(DISTINCT seq) FROM snapshot) AS snapshots, \
             (SELECT MIN(seq) FROM journal) AS first",
        );
        let row = readers.fetch_optional(counts).await.expect("readable");
        let row = row.expect("counts always come");
        let count = |column| row.get::<i64>(column).expect("a count");
        if count("snapshots") == 2 && count("first") > 1 {
            break;
        }
        let oldest = rows(&ledger).await.into_iter().find_map(|row| match row {
            Row::Binding(binding) => Some(Binding::from(*binding)),
            _ => None,
        });
        ledger
            .submit(unbind(&oldest.expect("bound")))
            .await
            .expect("unbound");
        tokio::time::sleep(Duration::from_millis(100)).await;
        assert!(a < 400, "no snapshots");
    }
    let before = rows(&ledger).await;
    running.close().await;
    let (ledger, running) = open(dir.path()).await;
    assert_eq!(rows(&ledger).await, before);
    running.close().await;
}
