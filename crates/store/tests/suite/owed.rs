//! What is owed for milestones of calls: with the row of the call or not at all, and once.

use maskline_domain::call::{Milestone, OWED_BODY_BYTES_MAX, Owed, Reached};
use maskline_domain::call_record::{CallRecord, NODE_LOST};
use maskline_domain::{SubsId, Timestamp};
use maskline_store::db::sql;
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
    let reached = Reached {
        milestone,
        at: Timestamp(10 + place.unwrap_or_default() as i64),
    };
    let body = format!("to {receiver}").into_bytes();
    Owed::new(reached, "receipt", receiver, body).expect("small")
}

fn owed(milestones: &[Milestone]) -> Vec<Owed> {
    milestones.iter().map(|one| to("a", *one)).collect()
}

fn lost(owed: Vec<(CallRecord, Vec<Owed>)>) -> RecordWrite {
    RecordWrite::CloseLostCalls {
        node: "n".into(),
        boot: "later".into(),
        at: Timestamp(9),
        recordings: Vec::new(),
        owed: owed.into(),
    }
}

fn of(id: &str, milestones: &[Milestone]) -> Vec<(CallRecord, Vec<Owed>)> {
    vec![(*record(id), owed(milestones))]
}

async fn write(store: &mut Store, writes: &[RecordWrite]) -> Vec<Result<u64, RecordError>> {
    match write_records(&mut store.conn, writes.iter()).await {
        Done::Known(results) => results,
        Done::Unknown(reason) => panic!("{reason}"),
    }
}

async fn owed_now(store: &Store) -> Vec<String> {
    let readers = store.owned.readers(1).await.expect("readable");
    let page = owed::list(&readers, None, 99).await.expect("SQL");
    let shown = page.rows.iter().map(|listed| {
        let (call_id, owed) = (listed.place.call_id(), listed.owed.as_ref().expect("whole"));
        assert_eq!(owed.body(), format!("to {}", owed.key()).as_bytes());
        let milestone = owed.reached().milestone.name();
        format!("{call_id} {milestone} {}", owed.key())
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

/// The statements of a write, each of which may be the one that fails.
const CUTS: [&str; 3] = [
    "INSERT ON owed",
    "INSERT ON call_record",
    "UPDATE ON call_record",
];

/// From here on this statement fails, as on a full disk, and with it all that is to be written together.
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
            assert_eq!(
                results,
                vec![Err(RecordError::NotDurable); writes.len()],
                "{row}, {statement}"
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
    let reached = to("a", Started).reached();
    let large = Owed::new(reached, "receipt", "a", vec![b'x'; OWED_BODY_BYTES_MAX]);
    let writes = [RecordWrite::OpenCall(
        record("c1"),
        vec![large.expect("as large as may be")],
    )];
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

/// A name, what is written together, what comes of each write, and what is owed then.
type Written = (
    &'static str,
    Vec<RecordWrite>,
    Vec<Result<u64, RecordError>>,
    &'static [&'static str],
);

#[tokio::test]
async fn nothing_is_owed_for_a_call_without_a_row() {
    let open = || RecordWrite::OpenCall(record("c1"), Vec::new());
    let update = |id| RecordWrite::UpdateCall(rings(id), owed(&[Ringing]));
    let close = || RecordWrite::CloseCall(closed("c1"), Vec::new());
    let conflict = Err(RecordError::Conflict);
    #[rustfmt::skip]
    let rows: [Written; 6] = [
        ("never opened", vec![update("c1")], vec![conflict.clone()], &[]),
        ("never opened, twice", vec![update("c1"), update("c1")], vec![conflict.clone(), conflict.clone()], &[]),
        ("beside one that is there", vec![open(), update("c1"), update("c2")], vec![Ok(1), Ok(1), conflict],
            &["c1 ringing a"]),
        ("closed", vec![close(), update("c1")], vec![Ok(1), Ok(1)], &["c1 ringing a"]),
        ("lost, as somebody thinks", vec![lost(of("c1", &[Ended]))], vec![Ok(0)], &[]),
        ("lost beside one that is there", vec![open(), lost([of("c1", &[Ended]), of("c2", &[Ended])].concat())],
            vec![Ok(1), Ok(1)], &["c1 ended a"]),
    ];
    for (row, writes, expected, owed) in rows {
        let mut store = store().await;
        assert_eq!(write(&mut store, &writes).await, expected, "{row}");
        assert_eq!(owed_now(&store).await, owed, "{row}");
    }
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
    let of = |calls: &[&str], persons| Maintenance::EraseCalls {
        calls: calls.iter().map(|id| (*id).to_owned()).collect(),
        persons,
    };
    #[rustfmt::skip]
    let rows: [(&str, Maintenance, &[&str]); 7] = [
        ("everybody in one", of(&["c1"], None), &["c2 started a"]),
        ("one person in one", of(&["c1"], Some(vec![party(2)])), &["c2 started a"]),
        ("nobody who is known in both", of(&["c1", "c2"], Some(Vec::new())), &[]),
        ("no call", of(&[], None), &["c1 started a", "c2 started a"]),
        ("the caller of one", Maintenance::EraseNumber(party(2)), &["c2 started a"]),
        ("who is reached by both", Maintenance::EraseNumber(party(3)), &[]),
        ("a stranger", Maintenance::EraseNumber(party(8)), &["c1 started a", "c2 started a"]),
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

/// Everything, in pages of so many rows, each shown as its call and milestone, or as what is wrong with it.
async fn in_pages(store: &Store, limit: u32) -> Vec<String> {
    let readers = store.owned.readers(1).await.expect("readable");
    let (mut all, mut after) = (Vec::new(), None);
    loop {
        let page = owed::list(&readers, after.as_ref(), limit)
            .await
            .expect("SQL");
        assert!(page.rows.len() <= limit as usize);
        all.extend(page.rows.iter().map(|listed| {
            let what = match &listed.owed {
                Ok(owed) => owed.reached().milestone.name().to_owned(),
                Err(error) => error.to_string(),
            };
            format!("{} {what}", listed.place.call_id())
        }));
        match page.next {
            Some(next) => after = Some(next),
            None => return all,
        }
    }
}

#[tokio::test]
async fn a_row_that_cannot_be_read_keeps_no_other_one_from_being_sent() {
    let mut store = store().await;
    for id in ["c1", "c2", "c3"] {
        let open = RecordWrite::OpenCall(record(id), owed(&[Started, Ringing]));
        write(&mut store, &[open]).await;
    }
    for spoil in [
        "UPDATE owed SET milestone = 'of a newer program' WHERE call_id = 'c1' AND milestone = 'started'",
        "UPDATE owed SET body = 7 WHERE call_id = 'c2' AND milestone = 'ringing'",
        "UPDATE owed SET kind = '' WHERE call_id = 'c3' AND milestone = 'ringing'",
    ] {
        assert_eq!(store.conn.execute(sql(spoil)).await, Ok(1));
    }
    let expected = [
        "c1 column milestone cannot be read: no milestone",
        "c2 started",
        "c3 started",
        "c1 ringing",
        "c2 column body cannot be read: a blob was expected, but there is an integer",
        "c3 column kind cannot be read: the name of its kind is empty or too long",
    ];
    for limit in [1, 2, 3, 5, 6, 7] {
        assert_eq!(in_pages(&store, limit).await, expected, "{limit} a page");
    }
}

#[tokio::test]
async fn what_was_sent_is_owed_no_more_and_the_rest_is() {
    let mut store = store().await;
    let writes = ["c1", "c2"].map(|id| {
        let two = vec![to("a", Started), to("b", Started)];
        RecordWrite::OpenCall(record(id), two)
    });
    write(&mut store, &writes).await;
    let readers = store.owned.readers(1).await.expect("readable");
    let page = owed::list(&readers, None, 99).await.expect("SQL");
    let places: Vec<_> = page.rows.into_iter().map(|listed| listed.place).collect();
    for (some, expected) in [(&places[1..3], 2), (&places[1..3], 0), (&[][..], 0)] {
        let settle = Maintenance::SettleOwed(some.to_vec());
        match do_maintenance(&mut store.conn, &settle).await {
            Done::Known(settled) => assert_eq!(settled, Ok(expected)),
            Done::Unknown(reason) => panic!("{reason}"),
        }
        assert_eq!(owed_now(&store).await, ["c1 started a", "c2 started b"]);
    }
    // A key with which to go on may be of a row that is gone.
    let rest = owed::list(&readers, Some(&places[1]), 99)
        .await
        .expect("SQL");
    let rest: Vec<_> = rest.rows.into_iter().map(|listed| listed.place).collect();
    assert_eq!(rest, places[3..]);
}
