//! Whose bindings of before were.

use maskline_store::UNSEALED;
use std::path::Path;
use std::time::Duration;

use maskline_domain::{Event, Note};
use maskline_journal::payload::Draft;
use maskline_server::clocks;
use maskline_server::ledger::{Ledger, Options};
use maskline_store::db::sql;
use maskline_store::directory::DataDir;
use maskline_store::journal;
use tempfile::TempDir;

use super::{bind, bound, found, temporary, unbind};
use crate::support::{open, options};
use maskline_fixtures::domain::{ACCOUNT, POOL};

/// A directory as an earlier program left it: its history does not tell whose bindings were.
#[tokio::test]
async fn an_older_history_learns_whose_bindings_were_at_the_first_start() {
    let dir = TempDir::new().expect("a temporary directory");
    let (ledger, running) = open(dir.path()).await;
    found(&ledger, 2).await;
    let ended = bound(&ledger, 1).await;
    ledger.submit(unbind(&ended)).await.expect("unbound");
    let live = bound(&ledger, 2).await;
    ledger.past(live.subs_id).await.expect("readable");
    running.close().await;

    let owned = DataDir::own(dir.path()).expect("nobody has it");
    let mut conn = owned.writer().await.expect("opens");
    for text in [
        "UPDATE binding_history SET pool = NULL, account = NULL",
        "DELETE FROM meta WHERE name = 'history_owners'",
    ] {
        conn.execute(sql(text)).await.expect("SQL");
    }
    conn.close().await.expect("closed");
    drop(owned);

    let (ledger, running) = open(dir.path()).await;
    for binding in [&ended, &live] {
        let owner = loop {
            let past = ledger.past(binding.subs_id).await.expect("readable");
            match past.expect("known").owner {
                Some(owner) => break owner,
                None => tokio::task::yield_now().await,
            }
        };
        assert_eq!(
            (owner.pool.as_str(), owner.account.as_str()),
            (POOL, ACCOUNT)
        );
    }
    running.close().await;
}

/// Makes a data directory look like one of before the history kept owners, with so many batches more.
async fn age(dir: &Path, batches: u64) {
    let owned = DataDir::own(dir).expect("nobody has it");
    let mut conn = owned.writer().await.expect("opens");
    let mut tip = journal::tip(&mut conn).await.expect("SQL");
    for text in [
        "UPDATE binding_history SET pool = NULL, account = NULL",
        "DELETE FROM meta WHERE name = 'history_owners'",
        "BEGIN IMMEDIATE",
    ] {
        conn.execute(sql(text)).await.expect("SQL");
    }
    let by = bind(0).by;
    for _ in 0..batches {
        let mut draft = Draft::new(tip.seq + 1, clocks::read().wall, tip.hash, [0; 32]);
        let event = Event::Noted(Note::Drained { calls: 0 });
        draft
            .push(by.clone(), vec![event], usize::MAX)
            .expect("small");
        let batch = draft.seal(&UNSEALED).expect("not sealed");
        journal::append(&mut conn, &batch).await;
        (tip.seq, tip.hash) = (batch.seq, batch.hash);
    }
    conn.execute(sql("COMMIT")).await.expect("SQL");
    conn.close().await.expect("closed");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_history_is_read_while_owners_of_before_are_filled_in() {
    let dir = temporary();
    let (ledger, running) = open(dir.path()).await;
    found(&ledger, 2).await;
    let older = bound(&ledger, 0).await;
    running.close().await;
    age(dir.path(), 4000).await;

    let (ledger, running) = Ledger::open(Options {
        read_wait_max: Duration::from_secs(60),
        ..options(dir.path())
    })
    .await
    .expect("it opens");
    let is_filled = async || {
        let select = sql("SELECT value FROM meta WHERE name = 'history_owners'");
        let done = ledger.readers().fetch_optional(select).await.expect("SQL");
        done.is_some()
    };
    // The owners are filled in from when the history holds what was there at the start.
    ledger.past(older.subs_id).await.expect("readable");
    let newer = bound(&ledger, 1).await;
    let past = ledger.past(newer.subs_id).await.expect("readable");
    assert!(past.is_some());
    assert!(!is_filled().await, "it was waited for the filling");
    while !is_filled().await {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let past = ledger.past(older.subs_id).await.expect("readable");
    let owner = past.expect("known").owner.expect("filled in");
    assert_eq!(
        (owner.pool.as_str(), owner.account.as_str()),
        (POOL, ACCOUNT)
    );
    running.close().await;
}
