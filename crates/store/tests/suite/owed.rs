//! What is owed for milestones of calls: with the row of the call or not at all, and once.

use maskline_domain::call::{Milestone, Owed, Reached};
use maskline_domain::call_record::{CallRecord, NODE_LOST};
use maskline_domain::{SubsId, Timestamp};
use maskline_store::db::sql;
use maskline_store::erasure::Traces;
use maskline_store::failure::Done;
use maskline_store::maintenance::{Maintenance, do_maintenance};
use maskline_store::record_writes::{RecordError, RecordWrite, write_records};
use maskline_store::records::call::{self, Filter};
use maskline_store::records::owed;

use crate::support::{Store, store};
use maskline_fixtures::domain::{party, x};

use Milestone::{Answered, Ended, Recorded, Ringing, Started};

fn record(id: &str) -> Box<CallRecord> {
    Box::new(CallRecord {
        call_id: id.into(),
        node: "n".into(),
        boot: "b".into(),
        subs_id: Some(SubsId(7)),
        x: Some(x(1)),
        caller: Some(party(2)),
        callee: Some(party(3)),
        a: Some(party(3)),
        arrived_at: Timestamp(1),
        ..CallRecord::default()
    })
}

fn rings(id: &str) -> Box<CallRecord> {
    Box::new(CallRecord {
        trunk_out: Some("out".into()),
        ringing_at: Some(Timestamp(5)),
        ..*record(id)
    })
}

fn closed(id: &str) -> Box<CallRecord> {
    Box::new(CallRecord {
        released_at: Some(Timestamp(9)),
        situation: Some("hung_up".into()),
        ..*record(id)
    })
}

/// For this milestone, to a receiver of this name.
fn to(receiver: &str, milestone: Milestone) -> Owed {
    let place = Milestone::ALL.iter().position(|one| *one == milestone);
    Owed {
        reached: Reached {
            milestone,
            at: Timestamp(10 + place.unwrap_or_default() as i64),
        },
        kind: "receipt".into(),
        key: receiver.into(),
        body: format!("to {receiver}").into_bytes(),
    }
}

fn owed(milestones: &[Milestone]) -> Vec<Owed> {
    milestones.iter().map(|one| to("a", *one)).collect()
}

fn lost(owed: Vec<(String, Owed)>) -> RecordWrite {
    RecordWrite::CloseLostCalls {
        node: "n".into(),
        boot: "later".into(),
        at: Timestamp(9),
        recordings: Vec::new(),
        owed: owed.into(),
    }
}

fn of(id: &str, milestones: &[Milestone]) -> Vec<(String, Owed)> {
    let owed = owed(milestones);
    owed.into_iter().map(|owed| (id.to_owned(), owed)).collect()
}

async fn write(store: &mut Store, writes: &[RecordWrite]) -> Vec<Result<u64, RecordError>> {
    match write_records(&mut store.conn, writes.iter()).await {
        Done::Known(results) => results,
        Done::Unknown(reason) => panic!("{reason}"),
    }
}

async fn owed_now(store: &Store) -> Vec<String> {
    let readers = store.owned.readers(1).await.expect("readable");
    let owed = owed::list(&readers, 99).await.expect("whole");
    let shown = owed.iter().map(|(call_id, owed)| {
        assert_eq!(owed.body, format!("to {}", owed.key).into_bytes());
        format!("{call_id} {} {}", owed.reached.milestone.name(), owed.key)
    });
    shown.collect()
}

async fn rows_now(store: &Store) -> Vec<(CallRecord, bool)> {
    let readers = store.owned.readers(1).await.expect("readable");
    let filter = Filter {
        limit: 99,
        ..Filter::default()
    };
    let page = call::list(&readers, &filter).await.expect("SQL");
    page.rows
        .into_iter()
        .map(|row| row.expect("whole"))
        .collect()
}

/// The statements of a write, each of which may be the one before which the process dies.
const CUTS: [&str; 3] = [
    "INSERT ON owed",
    "INSERT ON call_record",
    "UPDATE ON call_record",
];

/// From here on this statement fails, as if the process died right before it.
async fn cut(store: &mut Store, statement: &str) {
    let trigger = [
        "CREATE TRIGGER cut BEFORE ",
        statement,
        " BEGIN SELECT RAISE(ABORT, 'cut'); END",
    ];
    let trigger = sql(trigger.concat().leak());
    store.conn.execute(trigger).await.expect("SQL");
}

async fn mend(store: &mut Store) {
    let drop = sql("DROP TRIGGER cut");
    store.conn.execute(drop).await.expect("SQL");
}

/// Whether a write to a call that is there, or is not, has this statement of a row.
fn meets(statement: &str, write: &RecordWrite) -> bool {
    match write {
        // Closing inserts, and updates what it finds.
        RecordWrite::OpenCall(..) | RecordWrite::CloseCall(..) => statement.starts_with("INSERT"),
        RecordWrite::UpdateCall(..) | RecordWrite::CloseLostCalls { .. } => {
            statement.starts_with("UPDATE")
        }
    }
}

#[tokio::test]
async fn a_row_and_what_is_owed_with_it_are_written_together_or_not_at_all() {
    let open = |id, owed| RecordWrite::OpenCall(record(id), owed);
    let update = |id, owed| RecordWrite::UpdateCall(rings(id), owed);
    let close = |id, owed| RecordWrite::CloseCall(closed(id), owed);
    let two = || vec![to("a", Started), to("b", Started)];
    // There is a call c0, which is open.
    #[rustfmt::skip]
    let rows: Vec<(&str, Vec<RecordWrite>, &[&str])> = vec![
        ("open", vec![open("c1", owed(&[Started]))], &["c1 started a"]),
        ("open, to two", vec![open("c1", two())], &["c1 started a", "c1 started b"]),
        ("open beside one that owes nothing", vec![open("c1", owed(&[Started])), open("c2", Vec::new())],
            &["c1 started a"]),
        ("ringing", vec![update("c0", owed(&[Ringing]))], &["c0 ringing a"]),
        ("answered", vec![update("c0", owed(&[Answered]))], &["c0 answered a"]),
        ("both at once", vec![update("c0", owed(&[Ringing])), update("c0", owed(&[Answered]))],
            &["c0 ringing a", "c0 answered a"]),
        ("ended", vec![close("c0", owed(&[Ended]))], &["c0 ended a"]),
        ("ended and recorded", vec![close("c0", owed(&[Ended, Recorded]))], &["c0 ended a", "c0 recorded a"]),
        ("never opened", vec![close("c1", owed(&[Started, Ended]))], &["c1 started a", "c1 ended a"]),
        ("a whole call in one slice",
            vec![close("c1", owed(&[Ended])), open("c1", owed(&[Started])), update("c1", owed(&[Ringing]))],
            &["c1 started a", "c1 ringing a", "c1 ended a"]),
        ("lost", vec![lost(of("c0", &[Ended]))], &["c0 ended a"]),
        ("lost and recorded", vec![lost(of("c0", &[Ended, Recorded]))], &["c0 ended a", "c0 recorded a"]),
    ];
    for (row, writes, expected) in rows {
        let mut store = store().await;
        write(&mut store, &[open("c0", Vec::new())]).await;
        let before = rows_now(&store).await;

        for statement in CUTS {
            // Not every write has every statement.
            let is_met =
                statement.contains("owed") || writes.iter().all(|write| meets(statement, write));
            if !is_met {
                continue;
            }
            cut(&mut store, statement).await;
            let results = write(&mut store, &writes).await;
            assert!(
                results.iter().all(Result::is_err),
                "{row}, {statement}: {results:?}"
            );
            mend(&mut store).await;
            assert_eq!(
                rows_now(&store).await,
                before,
                "{row}, {statement}: no row alone"
            );
            assert_eq!(
                owed_now(&store).await,
                [""; 0],
                "{row}, {statement}: nothing owed alone"
            );
        }

        let results = write(&mut store, &writes).await;
        assert!(
            results.iter().all(Result::is_ok),
            "{row}: the connection is in no transaction: {results:?}"
        );
        assert_ne!(rows_now(&store).await, before, "{row}");
        assert_eq!(owed_now(&store).await, expected, "{row}");
    }
}

#[tokio::test]
async fn a_full_disk_takes_neither_the_row_nor_what_is_owed() {
    let mut store = store().await;
    let full = sql("PRAGMA max_page_count = 1");
    store.conn.execute(full).await.expect("SQL");
    let mut large = to("a", Started);
    large.body = vec![b'x'; 1 << 20];
    let writes = [RecordWrite::OpenCall(record("c1"), vec![large])];
    let results = write(&mut store, &writes).await;
    assert_eq!(results, [Err(RecordError::NotDurable)]);
    assert_eq!(rows_now(&store).await, []);

    // The row alone has room.
    let alone = [RecordWrite::OpenCall(record("c1"), Vec::new())];
    assert_eq!(write(&mut store, &alone).await, [Ok(1)]);
}

#[tokio::test]
async fn what_is_owed_is_owed_once_however_often_it_is_written() {
    let mut store = store().await;
    let open = RecordWrite::OpenCall(record("c1"), owed(&[Started]));
    let update = RecordWrite::UpdateCall(rings("c1"), owed(&[Ringing]));
    let close = RecordWrite::CloseCall(closed("c1"), owed(&[Started, Ended]));
    write(&mut store, &[open]).await;
    for _ in 0..2 {
        write(&mut store, std::slice::from_ref(&update)).await;
        write(&mut store, std::slice::from_ref(&close)).await;
        write(&mut store, &[lost(of("c1", &[Ended]))]).await;
    }
    let expected = ["c1 started a", "c1 ringing a", "c1 ended a"];
    assert_eq!(owed_now(&store).await, expected);
}

#[tokio::test]
async fn a_write_that_conflicts_owes_nothing() {
    let mut store = store().await;
    let open = |receiver| RecordWrite::OpenCall(record("c1"), vec![to(receiver, Started)]);
    let results = write(&mut store, &[open("a"), open("b")]).await;
    assert_eq!(results, [Ok(1), Err(RecordError::Conflict)]);
    assert_eq!(owed_now(&store).await, ["c1 started a"]);
}

#[tokio::test]
async fn an_open_row_tells_how_far_its_call_is_and_a_closed_one_stays() {
    let mut store = store().await;
    let open = RecordWrite::OpenCall(record("c1"), Vec::new());
    let update = RecordWrite::UpdateCall(rings("c1"), owed(&[Ringing]));
    write(&mut store, &[open]).await;
    write(&mut store, std::slice::from_ref(&update)).await;
    assert_eq!(rows_now(&store).await, [(*rings("c1"), true)]);

    let close = RecordWrite::CloseCall(closed("c1"), Vec::new());
    write(&mut store, &[close]).await;
    // One that was held up by a full disk.
    write(&mut store, &[update]).await;
    let (row, is_open) = &rows_now(&store).await[0];
    assert_eq!((row.ringing_at, *is_open), (None, false));
}

#[tokio::test]
async fn a_lost_call_owes_its_end_once_beside_what_it_owed_before() {
    let mut store = store().await;
    let open = RecordWrite::OpenCall(record("c1"), owed(&[Started]));
    let update = RecordWrite::UpdateCall(rings("c1"), owed(&[Ringing]));
    write(&mut store, &[open]).await;
    write(&mut store, &[update]).await;
    let readers = store.owned.readers(1).await.expect("readable");
    let found = call::lost(&readers, "n", "later").await.expect("SQL");
    let known = found.first().and_then(|lost| lost.record.as_ref().ok());
    assert_eq!(known, Some(&*rings("c1")), "as far as it came");

    for expected in [Ok(1), Ok(0)] {
        let results = write(&mut store, &[lost(of("c1", &[Ended]))]).await;
        assert_eq!(results, [expected]);
    }
    let expected = ["c1 started a", "c1 ringing a", "c1 ended a"];
    assert_eq!(owed_now(&store).await, expected);
    let (row, _) = &rows_now(&store).await[0];
    assert_eq!(row.situation.as_deref(), Some(NODE_LOST));
}

#[tokio::test]
async fn an_erasure_takes_what_is_owed_for_calls_of_the_person() {
    let erase = |number, bindings: Vec<SubsId>| {
        let all = bindings.into_iter().map(|id| (id, Traces::ALL));
        let bindings = all.collect();
        Maintenance::EraseCalls { number, bindings }
    };
    #[rustfmt::skip]
    let rows: [(&str, Maintenance, &[&str]); 5] = [
        ("the binding", erase(None, vec![SubsId(7)]), &["c2 started a"]),
        ("another binding", erase(None, vec![SubsId(9)]), &["c1 started a", "c2 started a"]),
        ("the caller of one", erase(Some(party(2)), Vec::new()), &["c2 started a"]),
        ("who is reached by both", erase(Some(party(3)), Vec::new()), &[]),
        ("a stranger", erase(Some(party(8)), Vec::new()), &["c1 started a", "c2 started a"]),
    ];
    for (row, maintenance, expected) in rows {
        let mut store = store().await;
        let other = Box::new(CallRecord {
            subs_id: Some(SubsId(8)),
            caller: Some(party(5)),
            ..*record("c2")
        });
        let writes = [
            RecordWrite::OpenCall(record("c1"), owed(&[Started])),
            RecordWrite::OpenCall(other, owed(&[Started])),
        ];
        write(&mut store, &writes).await;
        match do_maintenance(&mut store.conn, &maintenance).await {
            Done::Known(done) => drop(done.expect("erased")),
            Done::Unknown(reason) => panic!("{reason}"),
        }
        assert_eq!(owed_now(&store).await, expected, "{row}");
    }
}
