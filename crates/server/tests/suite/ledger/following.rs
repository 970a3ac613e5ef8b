//! What is decided reaches the binding history and the snapshots by memory.

use std::time::{Duration, Instant};

use maskline_domain::Actor;
use maskline_fixtures::domain::party;
use maskline_server::ledger::{Followed, Ledger, Options, Status};
use maskline_store::records::history::Facts;

use super::{assert_holds, assert_is_whole, bound, found, rows, temporary, unbind};
use crate::support::{open, options};

/// How long anything may take on a busy machine.
const WATCHDOG: Duration = Duration::from_secs(120);

#[tokio::test(flavor = "multi_thread")]
async fn the_history_is_made_of_what_was_handed_on() {
    let dir = temporary();
    let (ledger, running) = open(dir.path()).await;
    found(&ledger, 10).await;
    let mut ended = Vec::new();
    for n in 0..40 {
        let binding = bound(&ledger, n).await;
        ledger.submit(unbind(&binding)).await.expect("unbound");
        ended.push(binding);
    }
    for binding in &ended {
        let past = ledger.past(binding.subs_id).await.expect("readable");
        let past = past.expect("known");
        assert_eq!(past.binding().map(|past| past.a), Some(binding.a));
        assert!(past.ended.is_some());
    }
    let Status {
        seq, projection, ..
    } = ledger.status();
    assert!(projection.handed_on > 0, "{projection:?}");
    // Each came once, by one way or the other.
    assert_eq!(projection.handed_on + projection.read, seq);
    running.close().await;

    // After a start what was there is not read again.
    let (ledger, running) = open(dir.path()).await;
    let past = ledger.past(ended[0].subs_id).await.expect("readable");
    assert!(past.is_some());
    assert_eq!(ledger.status().projection, Followed::default());
    running.close().await;
    assert_is_whole(dir.path()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn snapshots_that_follow_closely_are_made_of_what_was_handed_on_and_of_nobody_who_was_erased()
{
    let dir = temporary();
    let busy = Options {
        snapshot_every_batches: 4,
        ..options(dir.path())
    };
    let (ledger, running) = Ledger::open(busy).await.expect("it opens");
    found(&ledger, 500).await;
    let person = party(1);
    let kept = bound(&ledger, 1).await;
    let mut n = 2;
    // The first two are of the tables; then the state is kept.
    follow(&ledger, &mut n, 40).await;
    ledger.submit(unbind(&kept)).await.expect("unbound");
    let by = Actor::Operator {
        name: "user1".into(),
        remark: None,
    };
    let erased = ledger.erase(by, person).await.expect("erased");
    assert_eq!((erased.bindings, erased.live), (1, 0));
    let past = ledger.past(kept.subs_id).await.expect("readable");
    assert_eq!(past.expect("known").facts, Facts::Erased);
    let before = ledger.status().snapshots.handed_on;
    follow(&ledger, &mut n, before + 20).await;
    let rows_before = rows(&ledger).await;
    running.close().await;
    assert_is_whole(dir.path()).await;
    assert_holds(dir.path(), &person.reveal(), false);
    let (ledger, running) = open(dir.path()).await;
    assert_eq!(rows(&ledger).await, rows_before);
    running.close().await;
}

/// Goes on binding until the state for snapshots got so many batches by memory.
async fn follow(ledger: &Ledger, n: &mut u64, batches: u64) {
    let begun = Instant::now();
    while ledger.status().snapshots.handed_on < batches {
        let binding = bound(ledger, *n).await;
        if !n.is_multiple_of(8) {
            ledger.submit(unbind(&binding)).await.expect("unbound");
        }
        *n += 1;
        assert!(begun.elapsed() < WATCHDOG, "{:?}", ledger.status());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
