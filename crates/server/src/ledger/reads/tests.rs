use std::time::Instant;

use maskline_journal::pipeline::Limits;
use parking_lot::RwLockWriteGuard;

use super::*;
use crate::ledger::Options;

/// How long anything may take on a busy machine.
const WATCHDOG: std::time::Duration = std::time::Duration::from_secs(120);

#[tokio::test(flavor = "multi_thread")]
async fn a_call_looks_between_two_commands_of_one_batch() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let (ledger, running) = Ledger::open(Options {
        dir: dir.path().to_owned(),
        codec: maskline_store::UNSEALED.clone(),
        keyring: None,
        limits: Limits::new(1_000, 64),
        submit_wait_max: WATCHDOG,
        read_wait_max: WATCHDOG,
        retention: WATCHDOG,
        terms: maskline_domain::retention::Terms::FOREVER,
        snapshot_every_batches: 1_000_000,
        snapshot_every_bytes: 1 << 30,
        background: false,
        on_unknown: |reason| panic!("unknown outcome: {reason}"),
    })
    .await
    .expect("it opens");
    let shared = Arc::clone(&ledger.shared);
    let (held, is_held) = tokio::sync::oneshot::channel();
    // Somebody who decides one long batch.
    let deciding = tokio::task::spawn_blocking(move || {
        let mut core = shared.core.write();
        held.send(()).expect("somebody waits for it");
        let begun = Instant::now();
        while shared.visits_max.load(Ordering::Relaxed) != LOOKED && begun.elapsed() < WATCHDOG {
            std::thread::yield_now();
            RwLockWriteGuard::bump(&mut core);
        }
        begun.elapsed()
    });
    is_held.await.expect("it is held");
    let shared = Arc::clone(&ledger.shared);
    let look = move |_: &State, _| shared.visits_max.store(LOOKED, Ordering::Relaxed);
    let seen = ledger.read_unblocking(Touch::Lists, look).await;
    seen.expect("it is seen");
    let held_for = deciding.await.expect("it ended");
    assert!(
        held_for < WATCHDOG,
        "it was seen while the batch was decided"
    );
    running.close().await;
}

/// Tells the thread that decides that the state was seen.
const LOOKED: u64 = u64::MAX;
