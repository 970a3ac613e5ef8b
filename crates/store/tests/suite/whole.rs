//! A store filled by the pipeline: recovery, checking, showing, copying.

use maskline_domain::{Outcome, Row, SubsId};
use maskline_journal::Append;
use maskline_journal::batch::Tip;
use maskline_journal::replay::ReplayError;
use maskline_journal::snapshot::{Parts, Seal};
use maskline_journal::{personal, show};
use maskline_store::UNSEALED;
use maskline_store::db::{sql, sqlite};
use maskline_store::journal;
use maskline_store::records::history;
use maskline_store::records::projection::{self, Projection};
use maskline_store::recovery::{Progress, RecoverError, recover};
use maskline_store::snapshot;
use maskline_store::{backup, check, directory, erasure};

use crate::machine::Machine;
use crate::support::{Store, store};
use crate::world::{bind, unbind};
use maskline_fixtures::domain::{party, x};

const HOUR_MS: i64 = 3_600_000;

/// A machine that has made six bindings and ended two, and a store that has
/// its journal.
async fn filled() -> (Machine, Store, Vec<SubsId>) {
    let mut machine = Machine::founded(10);
    let mut ids = Vec::new();
    for a in 0..6 {
        machine.pass(1000);
        let expires_at = machine.wall().plus_millis(HOUR_MS);
        let Ok(Outcome::Bound(binding)) = machine.done(bind(a, Some(x(a)), expires_at)) else {
            panic!("not bound");
        };
        ids.push(binding.subs_id);
    }
    for which in [0, 1] {
        machine.pass(1000);
        machine
            .done(unbind(ids[which], x(which as u64)))
            .expect("unbound");
    }
    let mut store = store().await;
    append_all(&machine, &mut store).await;
    (machine, store, ids)
}

async fn append_all(machine: &Machine, store: &mut Store) {
    let tip = journal::tip(&mut store.conn).await.expect("readable");
    for batch in &machine.journal[tip.seq as usize..] {
        assert_eq!(
            journal::append(&mut store.conn, batch).await,
            Append::Written
        );
    }
}

async fn take_snapshot(store: &mut Store, upto: u64) {
    let recovered = recover(&mut store.conn, &UNSEALED, Some(upto), |_| ())
        .await
        .expect("whole");
    assert_eq!(recovered.tip.seq, upto);
    let mut parts = Parts::new(UNSEALED.clone(), upto);
    for row in recovered.state.rows() {
        assert!(
            parts.push(row).expect("not sealed").is_none(),
            "a small state"
        );
    }
    let total = parts.finish().expect("not sealed");
    let payload = total.part.expect("not empty");
    snapshot::write_part(&mut store.conn, upto, 0, &payload)
        .await
        .expect("SQL");
    let seal = Seal {
        seq: upto,
        at: 0,
        hash: recovered.tip.hash.to_string(),
        parts: 1,
        rows: total.rows,
        bindings: total.bindings,
        digest: total.kept_digest.0.to_string(),
        digest_key: total.kept_digest.1.map(|id| id.0),
        writer: "test".into(),
        oldest_reader: 1,
    };
    snapshot::write_seal(&mut store.conn, &seal)
        .await
        .expect("SQL");
}

async fn recovered_rows(store: &mut Store) -> Vec<Row> {
    let recovered = recover(&mut store.conn, &UNSEALED, None, |_| ())
        .await
        .expect("whole");
    recovered.state.rows().collect()
}

async fn project_all(store: &mut Store) {
    let mut projection = Projection::default();
    for batch in journal::read(&mut store.conn, 1, 1000).await.expect("SQL") {
        projection.add(&batch, &UNSEALED).expect("readable");
    }
    projection.write(&mut store.conn).await.expect("SQL");
}

async fn problems(store: &mut Store) -> Vec<String> {
    check::check(&mut store.conn, &UNSEALED, |_, _| ())
        .await
        .expect("readable")
        .problems
}

#[tokio::test]
async fn the_state_comes_back_from_the_journal_alone() {
    let (machine, mut store, _) = filled().await;
    assert_eq!(recovered_rows(&mut store).await, machine.rows());
}

#[tokio::test]
async fn a_snapshot_shortens_the_way() {
    let (machine, mut store, _) = filled().await;
    take_snapshot(&mut store, 7).await;
    let recovered = recover(&mut store.conn, &UNSEALED, None, |_| ())
        .await
        .expect("whole");
    assert_eq!(recovered.snapshot.map(|seal| seal.seq), Some(7));
    assert_eq!(recovered.tip, machine.pipeline.tip());
    assert!(recovered.state.rows().eq(machine.rows()));
}

#[tokio::test]
async fn a_broken_snapshot_falls_back_to_the_one_before() {
    let (machine, mut store, _) = filled().await;
    take_snapshot(&mut store, 5).await;
    take_snapshot(&mut store, 8).await;
    journal::prune(&mut store.conn, 6, 100).await.expect("SQL");
    store
        .conn
        .execute(sql(
            "UPDATE snapshot SET payload = substr(payload, 1, 40) WHERE seq = 8 AND part = 0",
        ))
        .await
        .expect("SQL");

    let mut told = Vec::new();
    let recovered = recover(&mut store.conn, &UNSEALED, None, |progress| {
        if let Progress::SnapshotFailed(error) = progress {
            told.push(error.to_string());
        }
    })
    .await
    .expect("the older one holds");
    assert_eq!(told.len(), 1);
    assert_eq!(recovered.snapshot.map(|seal| seal.seq), Some(5));
    assert!(recovered.state.rows().eq(machine.rows()));
}

#[tokio::test]
async fn without_a_beginning_there_is_no_state() {
    let (_, mut store, _) = filled().await;
    take_snapshot(&mut store, 5).await;
    journal::prune(&mut store.conn, 7, 100).await.expect("SQL");
    let gap = recover(&mut store.conn, &UNSEALED, None, |_| ()).await;
    assert!(
        matches!(gap, Err(RecoverError::Replay(ReplayError::Chain(_)))),
        "{gap:?}"
    );

    store
        .conn
        .execute(sql("DELETE FROM snapshot"))
        .await
        .expect("SQL");
    let nothing = recover(&mut store.conn, &UNSEALED, None, |_| ()).await;
    assert!(
        matches!(nothing, Err(RecoverError::NoBeginning { first: 7 })),
        "{nothing:?}"
    );
}

#[tokio::test]
async fn a_whole_store_has_no_problems() {
    let (_, mut store, _) = filled().await;
    project_all(&mut store).await;
    take_snapshot(&mut store, 5).await;
    take_snapshot(&mut store, 11).await;
    assert_whole(&mut store, (11, 2, 4)).await;
    journal::prune(&mut store.conn, 6, 100).await.expect("SQL");
    assert_whole(&mut store, (6, 2, 4)).await;
}

/// No problems, and so many batches, snapshots and bindings.
async fn assert_whole(store: &mut Store, counts: (u64, u64, usize)) {
    let report = check::check(&mut store.conn, &UNSEALED, |_, _| ())
        .await
        .expect("readable");
    assert_eq!(report.problems, Vec::<String>::new());
    assert_eq!((report.batches, report.snapshots, report.bindings), counts);
}

#[tokio::test]
async fn every_kind_of_damage_is_a_problem() {
    for (damage, expected) in [
        (
            "UPDATE journal SET payload = x'01' WHERE seq = 6",
            "was changed",
        ),
        (
            "UPDATE journal SET personal = x'01' WHERE seq = 6",
            "personal values",
        ),
        (
            "UPDATE journal SET personal = (SELECT personal FROM journal WHERE seq = 7) WHERE seq = 6",
            "not those",
        ),
        ("UPDATE journal SET at = at + 1 WHERE seq = 6", "time"),
        ("DELETE FROM journal WHERE seq = 6", "missing"),
        ("DELETE FROM snapshot WHERE part = 0", "missing"),
        (
            "UPDATE snapshot SET payload = replace(payload, 'a', 'b') WHERE part = 0",
            "snapshot",
        ),
        ("UPDATE snapshot SET seq = 10 WHERE seq = 8", "snapshot"),
        ("UPDATE projection SET seq = 99", "claim"),
        (
            "DELETE FROM binding_history WHERE ended_at IS NULL",
            "history",
        ),
    ] {
        let (_, mut store, _) = filled().await;
        project_all(&mut store).await;
        take_snapshot(&mut store, 8).await;
        store.conn.execute(sql(damage)).await.expect("SQL");
        let problems = problems(&mut store).await;
        // A snapshot under another number is no longer sealed, so it does not
        // count and does no harm.
        if damage.contains("seq = 10") {
            assert_eq!(problems, Vec::<String>::new());
            continue;
        }
        assert!(
            problems.iter().any(|problem| problem.contains(expected)),
            "{damage}: {problems:?}"
        );
        assert!(!problems.concat().contains("1380000"), "{problems:?}");
    }
}

#[tokio::test]
async fn a_doubled_slot_is_a_problem() {
    use maskline_domain::Event;
    use maskline_journal::payload::{self, Draft};
    let (machine, mut store, ids) = filled().await;
    let tip = machine.pipeline.tip();
    let mut stolen = machine.pipeline.state().binding(ids[4]).expect("live");
    stolen.subs_id = SubsId(stolen.subs_id.0 + 1_000_000);
    stolen.a = party(77);
    let mut draft = Draft::new(tip.seq + 1, machine.wall(), tip.hash, [0; 32]);
    let by = payload::open(&machine.journal[0], &UNSEALED)
        .expect("readable")
        .entries[0]
        .by
        .clone();
    draft
        .push(by, vec![Event::Bound(Box::new(stolen))], usize::MAX)
        .expect("small");
    journal::append(&mut store.conn, &draft.seal(&UNSEALED).expect("not sealed")).await;
    let problems = problems(&mut store).await;
    assert!(
        problems.iter().any(|p| p.contains("takes a slot")),
        "{problems:?}"
    );
    assert!(
        problems.iter().any(|p| p.contains("hold the same slot")),
        "{problems:?}"
    );
}

#[tokio::test]
async fn the_history_tells_of_every_binding() {
    let (_, mut store, ids) = filled().await;
    project_all(&mut store).await;
    // A second time changes nothing.
    project_all(&mut store).await;
    let readers = store.owned.readers(1).await.expect("readable");
    for (n, &id) in ids.iter().enumerate() {
        let past = history::get(&readers, id)
            .await
            .expect("SQL")
            .expect("known");
        assert_eq!(past.binding().expect("kept").a, party(n as u64));
        assert_eq!(past.ended.is_some(), n < 2);
        assert_eq!(past.bound_by, "operator:tester");
    }
    let on_x = history::Filter {
        x: Some(x(0)),
        limit: 10,
        ..history::Filter::default()
    };
    let on_x = history::list(&readers, &on_x).await.expect("SQL");
    assert_eq!(on_x.rows.len(), 1);
    let position = projection::position(&mut store.conn).await.expect("SQL");
    assert_eq!(position, 11);
}

#[tokio::test]
async fn the_journal_shows_itself_masked() {
    let (machine, _, _) = filled().await;
    let text: String = machine
        .journal
        .iter()
        .map(|batch| show::batch(batch, &UNSEALED, false).expect("readable"))
        .collect();
    assert!(
        text.contains("bound") && text.contains("138******05"),
        "{text}"
    );
    assert!(
        !text.contains("1380000") && !text.contains("order of"),
        "{text}"
    );
    let revealed =
        show::batch(machine.journal.last().expect("some"), &UNSEALED, true).expect("readable");
    assert!(revealed.contains("17000000001"), "{revealed}");
}

#[tokio::test]
async fn erasing_keeps_the_chain_whole_and_leaves_no_trace() {
    let (_, mut store, ids) = filled().await;
    project_all(&mut store).await;
    let found = erasure::find(&mut store.conn, &UNSEALED, party(0))
        .await
        .expect("readable");
    assert_eq!(found.keys().copied().collect::<Vec<_>>(), [ids[0]]);
    let (changes, next) = erasure::blanked(&mut store.conn, &UNSEALED, 1, &found)
        .await
        .expect("readable");
    assert_eq!((changes.len(), next), (1, Some(12)));
    for (seq, personal) in changes {
        journal::replace_personal(&mut store.conn, seq, &personal)
            .await
            .expect("SQL");
    }
    let parts = found[&ids[0]].parts();
    for (id, expected) in [(ids[0], true), (ids[0], false), (ids[4], false)] {
        let erased = history::erase(&mut store.conn, id, &parts).await;
        assert_eq!(
            erased.expect("SQL"),
            expected,
            "{id}, which may be in force"
        );
    }
    assert!(sqlite::truncate_log(&mut store.conn).await.expect("SQL"));

    let report = check::check(&mut store.conn, &UNSEALED, |_, _| ())
        .await
        .expect("readable");
    assert_eq!(report.problems, Vec::<String>::new());
    assert_eq!(report.erased, 1);
    assert!(
        erasure::find(&mut store.conn, &UNSEALED, party(0))
            .await
            .expect("readable")
            .is_empty()
    );
    for batch in journal::read(&mut store.conn, 1, 100).await.expect("SQL") {
        let text = show::batch(&batch, &UNSEALED, true).expect("readable");
        for told in [&party(0).reveal(), "order of 0", "more of 0"] {
            assert!(!text.contains(told), "{text}");
        }
    }
    for file in std::fs::read_dir(store.dir.path()).expect("listable") {
        let bytes = std::fs::read(file.expect("entry").path()).expect("readable");
        let holds = |text: &str| {
            bytes
                .windows(text.len())
                .any(|part| part == text.as_bytes())
        };
        assert!(!holds(&party(0).reveal()) && !holds("order of 0"));
    }
}

#[tokio::test]
async fn the_personal_column_can_be_read_without_the_payload() {
    let (machine, _, _) = filled().await;
    let kept = personal::read(&machine.journal[3].personal).expect("readable");
    assert!(
        kept.iter()
            .any(|kept| matches!(kept, personal::Kept::Values { .. }))
    );
}

#[tokio::test]
async fn a_backup_made_in_use_is_the_whole_store() {
    let (machine, mut store, _) = filled().await;
    project_all(&mut store).await;
    let recordings = store.dir.path().join(backup::RECORDINGS);
    std::fs::create_dir_all(recordings.join("2030")).expect("made");
    std::fs::write(recordings.join("2030/c1.wav"), b"RIFF").expect("written");
    let place = tempfile::tempdir().expect("a temporary directory");
    let copy = place.path().join("copy");

    let manifest = backup::backup(store.dir.path(), &copy)
        .await
        .expect("copied");
    assert_eq!(manifest.seq, machine.pipeline.tip().seq);
    assert_eq!(manifest.recordings[0].path, "2030/c1.wav");
    assert!(
        backup::backup(store.dir.path(), &copy).await.is_err(),
        "not empty"
    );

    let restored = place.path().join("restored");
    assert_eq!(
        backup::unpack(&copy, &restored).expect("unpacked"),
        manifest
    );
    let owned = directory::DataDir::own(&restored).expect("free");
    let mut conn = owned.writer().await.expect("it opens");
    let recovered = recover(&mut conn, &UNSEALED, None, |_| ())
        .await
        .expect("whole");
    assert!(recovered.state.rows().eq(machine.rows()));
    assert_eq!(recovered.tip, machine.pipeline.tip());

    let file = copy.join(directory::FILE);
    let mut bytes = std::fs::read(&file).expect("readable");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&file, bytes).expect("written");
    assert!(
        backup::unpack(&copy, &place.path().join("other")).is_err(),
        "changed"
    );
}

#[tokio::test]
async fn recovery_stops_where_it_is_told_to() {
    let (machine, mut store, _) = filled().await;
    let recovered = recover(&mut store.conn, &UNSEALED, Some(4), |_| ())
        .await
        .expect("whole");
    assert_eq!(recovered.tip.seq, 4);
    assert_ne!(recovered.tip, machine.pipeline.tip());
    let nothing = recover(&mut store.conn, &UNSEALED, Some(0), |_| ())
        .await
        .expect("whole");
    assert_eq!(nothing.tip, Tip::GENESIS);
}

#[tokio::test]
async fn rows_that_cannot_be_read_are_told_of_and_are_no_erasure() {
    let (_, mut store, ids) = filled().await;
    project_all(&mut store).await;
    let report = check::check(&mut store.conn, &UNSEALED, |_, _| ()).await;
    assert_eq!(report.expect("readable").problems, Vec::<String>::new());
    let damage = sql("UPDATE binding_history SET form = 7 WHERE subs_id = ?");
    let damage = damage.bind(ids[1].0 as i64);
    store.conn.execute(damage).await.expect("SQL");
    let report = check::check(&mut store.conn, &UNSEALED, |_, _| ()).await;
    let expected = format!("the row of binding {} cannot be read", ids[1]);
    assert_eq!(report.expect("readable").problems, [expected]);
    // Of many the first are named.
    for n in 0..25_i64 {
        let insert = sql(
            "INSERT INTO binding_history (subs_id, x, bound_at, bound_by, seq, event, ended_at) \
             VALUES (?, 'none', 0, 'nobody', 0, 0, 0)",
        );
        let inserted = store.conn.execute(insert.bind(n)).await;
        inserted.expect("SQL");
    }
    let report = check::check(&mut store.conn, &UNSEALED, |_, _| ()).await;
    let problems = report.expect("readable").problems;
    assert_eq!(problems.len(), 21);
    assert_eq!(problems[20], "6 more rows of the history cannot be read");
}
