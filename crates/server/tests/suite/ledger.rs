//! The ledger over a real data directory: what is answered is there after a
//! restart, and what hangs on the journal follows it.

mod calls;
mod disk;
mod erasing;
mod erasing_again;
mod faults;
mod following;
mod owners;
mod restarts;
mod retention;
mod sealed;

use maskline_domain::call_record::CallRecord;
use maskline_domain::ops::Unbind;
use maskline_domain::{BindRequest, Binding, Envelope, Product, Row, Timestamp};
use maskline_fixtures::domain::{
    self as fixtures, POOL, bind_request, founding, operator, party, x,
};
use maskline_server::clocks;
use maskline_server::ledger::{Ledger, Touch};
use maskline_store::directory;
use std::path::Path;
use tempfile::TempDir;

async fn found(ledger: &Ledger, numbers: u64) {
    for command in founding(numbers) {
        ledger.submit(command).await.expect("founded");
    }
}

fn bind(a: u64) -> Envelope<Box<BindRequest>> {
    operator(Box::new(BindRequest {
        expires_at: clocks::read().wall.plus_secs(3600),
        ..bind_request(POOL, Product::Axn, party(a), None)
    }))
}

fn unbind(binding: &Binding) -> Envelope<Unbind> {
    operator(fixtures::unbind(binding.subs_id, binding.x))
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

/// The journal replays to what its snapshots hold, and nothing else is wrong with it.
async fn assert_is_whole(dir: &Path) {
    let readers = directory::readers(dir, 1).await.expect("readable");
    let mut conn = readers.acquire().await.expect("a connection");
    let report = maskline_store::check::check(&mut conn, &maskline_store::UNSEALED, |_, _| ())
        .await
        .expect("readable");
    assert_eq!(report.problems, Vec::<String>::new());
    assert!(report.batches > 0);
    drop(conn);
    // Its files beside the database are gone when it is closed, not before.
    readers.close().await;
}

/// Whether any file of the directory holds this text.
fn assert_holds(dir: &Path, text: &str, expected: bool) {
    let files: Vec<_> = std::fs::read_dir(dir).expect("listable").collect();
    let holds = files.into_iter().any(|file| {
        let bytes = std::fs::read(file.expect("entry").path()).expect("readable");
        bytes
            .windows(text.len())
            .any(|part| part == text.as_bytes())
    });
    assert_eq!(holds, expected);
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
