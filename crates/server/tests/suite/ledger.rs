//! The ledger over a real data directory: what is answered is there after a
//! restart, and what hangs on the journal follows it.

mod calls;
mod disk;
mod erasing;
mod faults;
mod owners;
mod restarts;

use maskline_domain::call_record::CallRecord;
use maskline_domain::ops::Unbind;
use maskline_domain::{BindRequest, Binding, Envelope, Product, Row, Timestamp};
use maskline_fixtures::domain::{
    self as fixtures, POOL, bind_request, founding, operator, party, x,
};
use maskline_server::clocks;
use maskline_server::ledger::{Ledger, Touch};
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
