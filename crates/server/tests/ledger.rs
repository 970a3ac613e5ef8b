//! The ledger over a real data directory: what is answered is there after a
//! restart, and what hangs on the journal follows it.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use maskline_domain::access::PoolRef;
use maskline_domain::binding::Extras;
use maskline_domain::inventory::NumberClass;
use maskline_domain::{
    Account, AccountId, AccountStatus, Actor, BindRequest, Binding, Carrier, City, Command,
    Envelope, Event, Note, Number, NumberKind, Outcome, PhoneNumber, Pool, PoolKey, Product,
    Refusal, Restriction, Row, SubsId, Timestamp,
};
use maskline_server::writer::{
    Ledger, Options, ReadError, Running, SubmitError, Touch, clocks, restore,
};
use maskline_store::journal;
use maskline_store::payload::Draft;
use maskline_store::records::call::{self, CallRecord, Filter};
use maskline_store::records::history::Facts;
use maskline_store::sqlite;
use maskline_store::work::RecordError;
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

fn operator(command: Command) -> Envelope {
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
        Command::SetAccount(account),
        Command::SetPool(pool),
        Command::AddNumbers(stock),
    ] {
        ledger.submit(operator(command)).await.expect("founded");
    }
}

fn bind(a: u64) -> Envelope {
    operator(Command::Bind(Box::new(BindRequest {
        pool: PoolRef::Key(pool_key()),
        product: Product::Axn,
        a: party(a),
        b: None,
        x: None,
        city: None,
        expires_at: clocks().wall.plus_secs(3600),
        restriction: Restriction::None,
        record: false,
        speech_recognition: false,
        ring_timeout_s: None,
        extras: Extras::default(),
    })))
}

fn unbind(binding: &Binding) -> Envelope {
    operator(Command::Unbind {
        pool: PoolRef::Key(pool_key()),
        subs_id: binding.subs_id,
        x: binding.x,
    })
}

async fn bound(ledger: &Ledger, a: u64) -> Binding {
    match ledger.submit(bind(a)).await {
        Ok(Outcome::Bound(binding)) => *binding,
        other => panic!("not bound: {other:?}"),
    }
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
            Ok(Outcome::Bound(binding)) => taken.push(binding.x),
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
    let readers = sqlite::readers(dir.path(), 1).await.expect("readable");
    let mut a = 0;
    // Until two snapshots are there and the journal before them is gone.
    loop {
        bound(&ledger, a % 10_000).await;
        let binding = bound(&ledger, (a + 1) % 10_000).await;
        ledger.submit(unbind(&binding)).await.expect("unbound");
        a += 1;
        let (snapshots, first): (i64, i64) = sqlx::query_as(
            "SELECT (SELECT COUNT(DISTINCT seq) FROM snapshot), (SELECT MIN(seq) FROM journal)",
        )
        .fetch_one(&readers)
        .await
        .expect("readable");
        if snapshots == 2 && first > 1 {
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

#[tokio::test(flavor = "multi_thread")]
async fn a_call_is_opened_and_closed_once() {
    let dir = temporary();
    let (ledger, running) = open(dir.path()).await;
    let records = ledger.records();
    let call = CallRecord {
        call_id: "c1".into(),
        node: "n".into(),
        boot: "b1".into(),
        x: Some(x(1)),
        caller: Some(party(2)),
        subs_id: Some(SubsId(7)),
        arrived_at: Timestamp(1000),
        ..CallRecord::default()
    };
    records.open_call(call.clone()).await.expect("opened");
    assert_eq!(
        records.open_call(call.clone()).await,
        Err(RecordError::Conflict)
    );
    let closed = CallRecord {
        released_at: Some(Timestamp(5000)),
        situation: Some("connected".into()),
        q850_cause: Some(16),
        ..call.clone()
    };
    records.close_call(closed.clone()).await.expect("closed");
    let again = CallRecord {
        released_at: Some(Timestamp(9000)),
        ..closed.clone()
    };
    records.close_call(again).await.expect("nothing to do");
    let found = call::get(ledger.readers(), "c1").await.expect("readable");
    assert_eq!(found.expect("kept").expect("whole"), (closed, false));

    let lost = CallRecord {
        call_id: "c2".into(),
        ..call
    };
    records.open_call(lost).await.expect("opened");
    running.close().await;

    let (ledger, running) = open(dir.path()).await;
    let recording_of = |call_id: &str, arrived_at: Timestamp| {
        assert_eq!((call_id, arrived_at), ("c2", Timestamp(1000)));
        Some("day/c2.wav".to_owned())
    };
    let records = ledger.records();
    let closed = records.close_lost_calls("n", "b2", recording_of).await;
    assert_eq!(closed.expect("closed"), 1);
    let again = records.close_lost_calls("n", "b2", recording_of).await;
    assert_eq!(again.expect("nothing to do"), 0);
    let filter = Filter {
        x: Some(x(1)),
        limit: 10,
        ..Filter::default()
    };
    let calls = call::list(ledger.readers(), &filter)
        .await
        .expect("readable");
    let calls: Vec<_> = calls.into_iter().map(|call| call.expect("whole")).collect();
    let situations: Vec<_> = calls
        .iter()
        .map(|(call, open)| {
            let (situation, recording) = (call.situation.as_deref(), call.recording.as_deref());
            (call.call_id.as_str(), situation, recording, *open)
        })
        .collect();
    assert_eq!(
        situations,
        [
            ("c2", Some(call::NODE_LOST), Some("day/c2.wav"), false),
            ("c1", Some("connected"), None, false)
        ]
    );
    running.close().await;
}

/// A small file system in memory, if this process may mount one.
struct SmallDisk(TempDir);

impl SmallDisk {
    fn mount(kilobytes: u32) -> Option<Self> {
        let place = temporary();
        let mounted = std::process::Command::new("mount")
            .args(["-t", "tmpfs", "-o", &format!("size={kilobytes}k"), "tmpfs"])
            .arg(place.path())
            .stderr(std::process::Stdio::null())
            .status();
        mounted
            .is_ok_and(|status| status.success())
            .then_some(Self(place))
    }

    fn path(&self) -> &Path {
        self.0.path()
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = std::process::Command::new("umount")
            .arg(self.path())
            .status();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn on_a_full_disk_nothing_false_is_answered_and_reads_go_on() {
    let Some(disk) = SmallDisk::mount(3_000) else {
        eprintln!("skipped: this process may not mount a file system");
        return;
    };
    let filler = disk.path().join("filler");
    std::fs::write(&filler, vec![1; 1_000_000]).expect("room");
    let data = disk.path().join("data");
    let (ledger, running) = open(&data).await;
    found(&ledger, 4_000).await;
    let mut a = 0;
    let before = loop {
        let before = rows(&ledger).await;
        match ledger.submit(bind(a)).await {
            Ok(_) => a += 1,
            Err(SubmitError::NotDurable) => break before,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(rows(&ledger).await, before, "undone");
    assert!(!ledger.status().takes_commands);
    assert_eq!(ledger.submit(bind(a)).await, Err(SubmitError::NotDurable));

    running.close().await;
    let (ledger, running) = open(&data).await;
    assert_eq!(rows(&ledger).await, before, "a start needs no room");
    assert_eq!(ledger.submit(bind(a)).await, Err(SubmitError::NotDurable));

    std::fs::remove_file(&filler).expect("there");
    let mut tries = 0;
    while let Err(error) = ledger.submit(bind(a)).await {
        assert_eq!(error, SubmitError::NotDurable);
        tries += 1;
        assert!(tries < 100, "never again");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let after = rows(&ledger).await;
    running.close().await;
    let (ledger, running) = open(&data).await;
    assert_eq!(rows(&ledger).await, after);
    running.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_is_erased_and_stays_erased_after_a_restore() {
    let dir = temporary();
    let (ledger, running) = open(dir.path()).await;
    found(&ledger, 10).await;
    let person = party(1);
    let ended = bound(&ledger, 1).await;
    let other = bound(&ledger, 2).await;
    let later = bound(&ledger, 1).await;
    ledger.submit(unbind(&ended)).await.expect("unbound");
    let place = temporary();
    let copy = place.path().join("copy");
    maskline_store::backup::backup(dir.path(), &copy)
        .await
        .expect("copied");
    // Ended after the backup was made.
    ledger.submit(unbind(&later)).await.expect("unbound");

    let by = || Actor::Operator {
        name: "clerk".into(),
    };
    let erased = ledger.erase(by(), person).await.expect("erased");
    assert_eq!((erased.bindings, erased.live), (2, 0));
    let erased = ledger.erase(by(), party(2)).await.expect("erased");
    assert_eq!((erased.bindings, erased.live), (0, 1), "it is in force");
    let past = ledger
        .past(ended.subs_id)
        .await
        .expect("known")
        .expect("there");
    assert_eq!(past.facts, Facts::Erased);
    assert_eq!(
        past.ended.as_ref().map(|ended| ended.cause.as_str()),
        Some("unbound")
    );
    let before = rows(&ledger).await;
    running.close().await;
    assert_is_whole(dir.path()).await;
    assert_holds(dir.path(), &person.reveal(), false);
    assert_holds(dir.path(), &other.a.reveal(), true);
    let (ledger, running) = open(dir.path()).await;
    assert_eq!(rows(&ledger).await, before);
    running.close().await;

    let restored = place.path().join("restored");
    let list = dir.path().join(maskline_store::erasure::LIST);
    restore(&copy, options(&restored), Some(&list))
        .await
        .expect("restored");
    assert_is_whole(&restored).await;
    assert_holds(&restored, &person.reveal(), false);
    let (ledger, running) = open(&restored).await;
    let still = ledger.read(Touch::Number(other.x), |state, _| {
        state.bindings_on(other.x)
    });
    assert_eq!(still.await.expect("readable"), [other]);
    let anew = bound(&ledger, 3).await;
    let hour_ahead = SubsId::earliest_at(clocks().wall.plus_secs(3500));
    assert!(anew.subs_id > hour_ahead, "ids skip ahead");
    running.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_erased_during_calls_is_not_in_their_records_when_they_end() {
    let dir = temporary();
    let (ledger, running) = open(dir.path()).await;
    found(&ledger, 10).await;
    let binding = bound(&ledger, 1).await;
    let (person, stranger) = (binding.a, party(7));
    let records = ledger.records();
    let of_binding = CallRecord {
        a: Some(person),
        callee: Some(person),
        caller: Some(stranger),
        subs_id: Some(binding.subs_id),
        out_id: Some("order-of-the-person".into()),
        ..arrived("bound", clocks().wall)
    };
    records.open_call(of_binding.clone()).await.expect("opened");
    // Its caller hears why it fails: its row is written at the end alone.
    let unopened = CallRecord {
        caller: Some(person),
        ..arrived("unopened", clocks().wall)
    };
    let late = arrived("late", clocks().wall);
    ledger.submit(unbind(&binding)).await.expect("unbound");

    let by = || Actor::Operator {
        name: "clerk".into(),
    };
    ledger.erase(by(), person).await.expect("erased");
    ledger.erase(by(), stranger).await.expect("erased");
    // Its route was known before the binding ended.
    let late = CallRecord {
        a: Some(person),
        out_id: Some("order-of-the-person".into()),
        subs_id: Some(binding.subs_id),
        ..late
    };
    records.open_call(late.clone()).await.expect("opened");
    for call in [of_binding, unopened, late] {
        let closed = CallRecord {
            released_at: Some(clocks().wall),
            situation: Some("hung_up".into()),
            ladder: Some(format!("[\"{person}\"]")),
            ..call
        };
        records.close_call(closed).await.expect("closed");
    }
    for id in ["bound", "unopened", "late"] {
        let found = call::get(ledger.readers(), id).await.expect("readable");
        let (call, open) = found.expect("recorded").expect("whole");
        assert!(!open, "{id}");
        assert_eq!(call.situation.as_deref(), Some("hung_up"), "{id}");
        assert_eq!((call.caller, call.callee), (None, None), "{id}");
        assert_eq!((call.a, call.out_id), (None, None), "{id}");
        assert_eq!(call.ladder, None, "{id}");
    }
    for gone in [person.reveal(), stranger.reveal(), person.to_string()] {
        assert_holds(dir.path(), &gone, false);
    }
    assert_holds(dir.path(), "order-of-the-person", false);

    // Who calls again is recorded again.
    let again = CallRecord {
        caller: Some(person),
        ..arrived("again", clocks().wall.plus_secs(1))
    };
    records.close_call(again).await.expect("closed");
    let found = call::get(ledger.readers(), "again")
        .await
        .expect("readable");
    let (call, _) = found.expect("recorded").expect("whole");
    assert_eq!(call.caller, Some(person));
    running.close().await;
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

async fn assert_is_whole(dir: &Path) {
    let readers = sqlite::readers(dir, 1).await.expect("readable");
    let mut conn = readers.acquire().await.expect("a connection");
    let report = maskline_store::check::check(&mut conn, |_, _| ())
        .await
        .expect("readable");
    assert_eq!(report.problems, Vec::<String>::new());
    assert!(report.batches > 0);
    drop(conn);
    // Its files beside the database are gone when it is closed, not before.
    readers.close().await;
}

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
    let url = format!("sqlite://{}", dir.path().join(sqlite::FILE).display());
    let intruder = sqlx::SqlitePool::connect(&url)
        .await
        .expect("a lock does not hinder it");
    sqlx::query("INSERT INTO journal SELECT partition, seq + 1, at, hash, hash, payload, personal FROM journal ORDER BY seq DESC LIMIT 1")
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
            .records()
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

    let file = dir.path().join(sqlite::FILE);
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(file);
    let mut conn = sqlx::ConnectOptions::connect(&options)
        .await
        .expect("opens");
    for sql in [
        "UPDATE binding_history SET pool = NULL, account = NULL",
        "DELETE FROM meta WHERE name = 'history_owners'",
    ] {
        sqlx::query(sql).execute(&mut conn).await.expect("SQL");
    }
    sqlx::Connection::close(conn).await.expect("closed");

    let (ledger, running) = open(dir.path()).await;
    for binding in [&ended, &live] {
        let owner = loop {
            let past = ledger.past(binding.subs_id).await.expect("readable");
            match past.expect("known").owner {
                Some(owner) => break owner,
                None => tokio::task::yield_now().await,
            }
        };
        assert_eq!((owner.pool, owner.account.as_str()), (pool_key(), "acme"));
    }
    running.close().await;
}

/// Makes a data directory look like one of before the history kept owners, with so many batches more.
async fn age(dir: &Path, batches: u64) {
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(dir.join(sqlite::FILE));
    let mut conn = sqlx::ConnectOptions::connect(&options)
        .await
        .expect("opens");
    let mut tip = journal::tip(&mut conn).await.expect("SQL");
    for sql in [
        "UPDATE binding_history SET pool = NULL, account = NULL",
        "DELETE FROM meta WHERE name = 'history_owners'",
        "BEGIN IMMEDIATE",
    ] {
        sqlx::query(sql).execute(&mut conn).await.expect("SQL");
    }
    let by = bind(0).by;
    for _ in 0..batches {
        let mut draft = Draft::new(tip.seq + 1, clocks().wall, tip.hash, [0; 32]);
        let event = Event::Noted(Note::Drained { calls: 0 });
        draft.push(&by, vec![event], usize::MAX).expect("small");
        let batch = draft.seal();
        journal::append(&mut conn, &batch).await;
        (tip.seq, tip.hash) = (batch.seq, batch.hash);
    }
    sqlx::query("COMMIT").execute(&mut conn).await.expect("SQL");
    sqlx::Connection::close(conn).await.expect("closed");
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
        let done: Option<String> =
            sqlx::query_scalar("SELECT value FROM meta WHERE name = 'history_owners'")
                .fetch_optional(ledger.readers())
                .await
                .expect("SQL");
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
    assert_eq!((owner.pool, owner.account.as_str()), (pool_key(), "acme"));
    running.close().await;
}
