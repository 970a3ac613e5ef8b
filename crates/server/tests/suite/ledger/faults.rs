//! What the journal cannot tell, and who may write it.

use std::sync::atomic::{AtomicBool, Ordering};

use maskline_domain::call_record::CallRecord;
use maskline_server::ledger::{Ledger, Options, ReadError, SubmitError, Touch};
use maskline_store::directory;

use super::{bind, found, temporary};
use crate::support::{open, options};

#[tokio::test(flavor = "multi_thread")]
async fn after_an_unknown_outcome_nobody_is_answered_and_nothing_is_read() {
    static STOPPED: AtomicBool = AtomicBool::new(false);
    let dir = temporary();
    let watched = Options {
        on_unknown: |_| STOPPED.store(true, Ordering::SeqCst),
        ..options(dir.path())
    };
    let (ledger, running) = Ledger::open(watched).await.expect("it opens");
    found(&ledger, 5).await;
    // Somebody writes the next batch behind our back.
    let url = format!("sqlite://{}", dir.path().join(directory::FILE).display());
    let intruder = sqlx::SqlitePool::connect(&url)
        .await
        .expect("a lock does not hinder it");
    sqlx::query("INSERT INTO journal SELECT seq + 1, at, hash, hash, payload, personal FROM journal ORDER BY seq DESC LIMIT 1")
        .execute(&intruder)
        .await
        .expect("SQL");

    assert_eq!(ledger.submit(bind(1)).await, Err(SubmitError::Closed));
    let seen = ledger
        .read(Touch::None, |state, _| state.bindings_len())
        .await;
    assert_eq!(seen, Err(ReadError::Closed));
    assert!(
        ledger
            .call_records()
            .open_call(CallRecord::default())
            .await
            .is_err()
    );
    running.close().await;
    assert!(STOPPED.load(Ordering::SeqCst));
}

#[tokio::test(flavor = "multi_thread")]
async fn two_ledgers_cannot_share_a_directory() {
    let dir = temporary();
    let (_ledger, running) = open(dir.path()).await;
    assert!(Ledger::open(options(dir.path())).await.is_err());
    running.close().await;
}
