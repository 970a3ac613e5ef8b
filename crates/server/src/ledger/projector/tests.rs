use maskline_domain::{Actor, BindRequest, Envelope};
use maskline_fixtures::domain::{axn, founding, operator, party, unbind};
use maskline_journal::pipeline::Limits;
use maskline_store::erasure;
use maskline_store::records::history::Facts;
use tokio::time::timeout;

use super::*;
use crate::clocks;
use crate::ledger::{Options, Running};

/// How long anything may take on a busy machine.
const WATCHDOG: Duration = Duration::from_secs(120);

/// A ledger whose projector does not run.
async fn stalled(dir: &std::path::Path) -> (Ledger, Running) {
    Ledger::open(Options {
        dir: dir.to_owned(),
        codec: maskline_store::UNSEALED.clone(),
        keyring: None,
        limits: Limits::new(1_000, 64),
        submit_wait_max: WATCHDOG,
        read_wait_max: WATCHDOG,
        retention: Duration::from_secs(86_400),
        terms: maskline_domain::retention::Terms::FOREVER,
        snapshot_every_batches: 1_000_000,
        snapshot_every_bytes: 1 << 30,
        background: false,
        on_unknown: |reason| panic!("unknown outcome: {reason}"),
    })
    .await
    .expect("it opens")
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_handed_on_before_a_person_was_erased_is_not_written_after() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let (ledger, running) = stalled(dir.path()).await;
    let shared = Arc::clone(&ledger.shared);
    assert_eq!(shared.feeds.projection.next(0, 0, BATCHES), Next::Nothing);
    for command in founding(10) {
        ledger.submit(command).await.expect("founded");
    }
    let person = party(1);
    let bind: Envelope<Box<BindRequest>> = operator(Box::new(BindRequest {
        expires_at: clocks::read().wall.plus_secs(3_600),
        ..axn(&person.reveal())
    }));
    let binding = *ledger.submit(bind).await.expect("bound");
    let end = operator(unbind(binding.subs_id, binding.x));
    ledger.submit(end).await.expect("unbound");

    let by = Actor::Operator {
        name: "op".into(),
        remark: None,
    };
    let erasing = tokio::spawn({
        let ledger = ledger.clone();
        async move { ledger.erase(by, person).await }
    });
    let readers = directory::readers(dir.path(), 1).await.expect("readable");
    let blanked = async {
        loop {
            let mut conn = readers.acquire().await.expect("a connection");
            let found = erasure::find(&mut conn, ledger.codec(), person)
                .await
                .expect("readable");
            if found.is_empty() {
                break;
            }
            drop(conn);
            sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(WATCHDOG, blanked).await.expect("blanked");
    readers.close().await;
    assert_eq!(*shared.projected.borrow(), 0, "nothing is written yet");
    // However long that takes, snapshots are made meanwhile.
    let keeping = timeout(WATCHDOG, shared.keeping.lock()).await;
    drop(keeping.expect("nobody holds it"));

    // Only now does the projector go on, with the person in its memory.
    let closing = CancellationToken::new();
    let projecting = start(Arc::clone(&shared), None, closing.clone()).expect("a thread");
    let erased = timeout(WATCHDOG, erasing).await.expect("in time");
    let erased = erased.expect("no panic").expect("erased");
    assert_eq!((erased.bindings, erased.records), (1, 1));
    let followed = shared.feeds.projection.followed();
    assert!(followed.handed_on > 0 && followed.read == 0, "{followed:?}");
    let past = ledger.past(binding.subs_id).await.expect("readable");
    assert_eq!(past.expect("known").facts, Facts::Erased);
    closing.cancel();
    projecting.join().expect("no panic");
    running.close().await;
    for file in std::fs::read_dir(dir.path()).expect("listable") {
        let path = file.expect("entry").path();
        let bytes = std::fs::read(&path).expect("readable");
        let digits = person.reveal();
        let holds = bytes
            .windows(digits.len())
            .any(|part| part == digits.as_bytes());
        assert!(!holds, "{path:?}");
    }
}
