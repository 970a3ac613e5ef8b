//! Slices of record writes, and the records they leave.

use maskline_domain::call_record::CallRecord;
use maskline_domain::{SubsId, Timestamp};
use maskline_store::db::sql;
use maskline_store::failure::Done;
use maskline_store::record_writes::{RecordError, RecordWrite, write_records};
use maskline_store::records::call::{self, Filter};

use crate::support::{Store, store};
use maskline_fixtures::domain::{party, x};

fn record(id: &str, arrived_at: i64) -> CallRecord {
    CallRecord {
        call_id: id.into(),
        node: "n".into(),
        boot: "b".into(),
        subs_id: Some(SubsId(7)),
        x: Some(x(1)),
        caller: Some(party(2)),
        callee: Some(party(3)),
        a: Some(party(3)),
        out_id: Some("order".into()),
        arrived_at: Timestamp(arrived_at),
        ..CallRecord::default()
    }
}

fn open(id: &str) -> RecordWrite {
    RecordWrite::OpenCall(Box::new(record(id, 1)), Vec::new())
}

async fn slice(store: &mut Store, writes: &[RecordWrite]) -> Vec<Result<u64, RecordError>> {
    match write_records(&mut store.conn, writes.iter()).await {
        Done::Known(results) => results,
        Done::Unknown(reason) => panic!("{reason}"),
    }
}

async fn listed(store: &Store, filter: Filter) -> Vec<String> {
    let readers = store.owned.readers(1).await.expect("readable");
    let calls = call::list(&readers, &filter).await.expect("SQL");
    let ids = calls
        .rows
        .into_iter()
        .map(|listed| listed.expect("readable").0.call_id);
    ids.collect()
}

#[tokio::test]
async fn a_conflict_fails_one_write_of_a_slice() {
    let mut store = store().await;
    let results = slice(&mut store, &[open("c1"), open("c1"), open("c2")]).await;
    assert_eq!(results, [Ok(1), Err(RecordError::Conflict), Ok(1)]);
    let filter = Filter {
        limit: 9,
        ..Filter::default()
    };
    assert_eq!(listed(&store, filter).await, ["c2", "c1"]);
}

#[tokio::test]
async fn a_large_slice_opens_and_closes_each_call_once() {
    let mut store = store().await;
    let ids: Vec<_> = (10..87).map(|n| format!("c{n}")).collect();
    slice(&mut store, &[open("c50")]).await;
    let mut writes: Vec<_> = ids.iter().map(|id| open(id)).collect();
    // The end of a call may come in the slice that opens it, and before it in the queue.
    let closed = |id: &String| {
        let record = CallRecord {
            released_at: Some(Timestamp(9)),
            ..record(id, 1)
        };
        RecordWrite::CloseCall(Box::new(record), Vec::new())
    };
    writes.splice(0..0, ids.iter().skip(1).map(closed));
    let results = slice(&mut store, &writes).await;
    let failed: Vec<_> = (0..writes.len()).filter(|&n| results[n].is_err()).collect();
    assert_eq!(failed, [76 + 40], "only the open row that was there");
    let filter = |open| Filter {
        open: Some(open),
        limit: 99,
        ..Filter::default()
    };
    assert_eq!(listed(&store, filter(true)).await, ["c10"]);
    let mut there = listed(&store, filter(false)).await;
    there.reverse();
    assert_eq!(there, ids[1..]);
}

#[tokio::test]
async fn a_full_disk_fails_a_whole_slice_and_leaves_no_transaction() {
    let mut store = store().await;
    slice(&mut store, &[open("c0")]).await;
    store
        .conn
        .execute(sql("PRAGMA max_page_count = 1"))
        .await
        .expect("SQL");
    let mut large = record("c2", 2);
    large.ladder = Some("x".repeat(1 << 20));
    let writes = [
        open("c1"),
        RecordWrite::OpenCall(Box::new(large), Vec::new()),
    ];
    let results = slice(&mut store, &writes).await;
    assert_eq!(results, vec![Err(RecordError::NotDurable); 2]);

    store
        .conn
        .execute(sql("PRAGMA max_page_count = 1000000"))
        .await
        .expect("SQL");
    assert_eq!(slice(&mut store, &writes).await, [Ok(1), Ok(1)]);
}

#[tokio::test]
async fn a_refused_call_is_recorded_by_closing_it() {
    let mut store = store().await;
    let refused = CallRecord {
        released_at: Some(Timestamp(9)),
        situation: Some("no_binding".into()),
        sip_status: Some(404),
        one_way: Some(false),
        ..record("c1", 5)
    };
    let write = RecordWrite::CloseCall(Box::new(refused.clone()), Vec::new());
    assert_eq!(slice(&mut store, &[write]).await, [Ok(1)]);
    let readers = store.owned.readers(1).await.expect("readable");
    let found = call::get(&readers, "c1").await.expect("SQL");
    assert_eq!(found.expect("kept").expect("readable"), (refused, false));
}

#[tokio::test]
async fn calls_are_found_by_what_they_have() {
    let mut store = store().await;
    for (id, at) in [("c1", 10), ("c2", 20), ("c3", 30)] {
        let write = RecordWrite::OpenCall(Box::new(record(id, at)), Vec::new());
        slice(&mut store, &[write]).await;
    }
    let close = RecordWrite::CloseCall(Box::new(record("c2", 20)), Vec::new());
    slice(&mut store, &[close]).await;
    let all = Filter {
        limit: 9,
        ..Filter::default()
    };
    for (filter, expected) in [
        (all.clone(), &["c3", "c2", "c1"][..]),
        (
            Filter {
                limit: 1,
                ..all.clone()
            },
            &["c3"],
        ),
        (
            Filter {
                before: Some(Timestamp(30)),
                ..all.clone()
            },
            &["c2", "c1"],
        ),
        (
            Filter {
                open: Some(true),
                ..all.clone()
            },
            &["c3", "c1"],
        ),
        (
            Filter {
                open: Some(false),
                ..all.clone()
            },
            &["c2"],
        ),
        (
            Filter {
                x: Some(x(1)),
                subs_id: Some(SubsId(7)),
                ..all.clone()
            },
            &["c3", "c2", "c1"],
        ),
        (
            Filter {
                x: Some(x(2)),
                ..all.clone()
            },
            &[],
        ),
        (
            Filter {
                subs_id: Some(SubsId(8)),
                ..all
            },
            &[],
        ),
    ] {
        assert_eq!(listed(&store, filter.clone()).await, expected, "{filter:?}");
    }
}

#[tokio::test]
async fn thousands_of_calls_of_one_moment_are_each_on_one_page() {
    let mut store = store().await;
    let record = |n: usize| CallRecord {
        caller: Some(party(n as u64 % 2)),
        callee: Some(party(9)),
        pool: n.is_multiple_of(3).then(|| "FC1".to_owned()),
        ..record(&format!("c{n}"), 5)
    };
    let writes: Vec<_> = (0..3_000)
        .map(|n| RecordWrite::CloseCall(Box::new(record(n)), Vec::new()))
        .collect();
    slice(&mut store, &writes).await;
    let readers = store.owned.readers(1).await.expect("readable");
    let all = Filter::default;
    for (filter, count) in [
        (all(), 3_000),
        (
            Filter {
                pool: Some("FC1".into()),
                ..all()
            },
            1_000,
        ),
        (
            Filter {
                x: Some(x(1)),
                ..all()
            },
            3_000,
        ),
        (
            Filter {
                subs_id: Some(SubsId(7)),
                ..all()
            },
            3_000,
        ),
        (
            Filter {
                party: Some(party(9)),
                ..all()
            },
            3_000,
        ),
        (
            Filter {
                party: Some(party(1)),
                ..all()
            },
            1_500,
        ),
        (
            Filter {
                caller: Some(party(1)),
                ..all()
            },
            1_500,
        ),
        (
            Filter {
                caller: Some(party(0)),
                pool: Some("FC1".into()),
                ..all()
            },
            500,
        ),
        (
            Filter {
                party: Some(party(3)),
                ..all()
            },
            3_000,
        ),
        (
            Filter {
                party: Some(party(4)),
                ..all()
            },
            0,
        ),
    ] {
        for limit in [97, 999, 1_000, 1_500, 2_999, 3_000, 3_001] {
            let (mut found, mut after) = (Vec::new(), None);
            loop {
                let filter = Filter {
                    after,
                    limit,
                    ..filter.clone()
                };
                let page = call::list(&readers, &filter).await.expect("SQL");
                assert!(page.rows.len() <= limit as usize);
                found.extend(
                    page.rows
                        .into_iter()
                        .map(|row| row.expect("whole").0.call_id),
                );
                after = page.next;
                if after.is_none() {
                    break;
                }
            }
            assert!(found.is_sorted_by(|one, next| one > next), "{filter:?}");
            assert_eq!(found.len(), count, "{filter:?}, {limit} a page");
        }
    }
}

#[tokio::test]
async fn a_person_is_erased_from_many_calls_piece_by_piece() {
    let mut store = store().await;
    let most = u64::from(call::ERASED_AT_ONCE);
    let writes: Vec<_> = (0..most + 10).map(|n| open(&format!("c{n}"))).collect();
    slice(&mut store, &writes).await;
    for erased in [most, 10, 0] {
        let done = call::erase_number(&mut store.conn, party(3)).await;
        assert_eq!(done.expect("SQL"), erased);
    }
    let of = |person| Filter {
        party: Some(person),
        limit: 1_000,
        ..Filter::default()
    };
    assert_eq!(listed(&store, of(party(3))).await, [""; 0]);
    let others = listed(&store, of(party(2))).await;
    assert_eq!(
        others.len() as u64,
        most + 10,
        "the other party is found as before"
    );
}

#[tokio::test]
async fn the_calls_on_a_binding_are_found_piece_by_piece() {
    let mut store = store().await;
    let most = call::ERASED_AT_ONCE as usize;
    // Several came at one moment, and one on another binding.
    let writes: Vec<_> = (0..2 * most + 10)
        .map(|n| record(&format!("c{n:03}"), n as i64 / 3))
        .chain([CallRecord {
            subs_id: Some(SubsId(8)),
            ..record("other", 5)
        }])
        .map(|call| RecordWrite::OpenCall(Box::new(call), Vec::new()))
        .collect();
    slice(&mut store, &writes).await;
    let readers = store.owned.readers(1).await.expect("readable");
    let (mut found, mut sizes, mut after) = (Vec::new(), Vec::new(), None);
    loop {
        let some = call::on_binding(&readers, SubsId(7), after.as_ref()).await;
        let some = some.expect("SQL");
        sizes.push(some.len());
        after = some.last().cloned();
        found.extend(some.into_iter().map(|(_, call_id)| call_id));
        if after.is_none() {
            break;
        }
    }
    assert_eq!(sizes, [most, most, 10, 0]);
    let expected: Vec<_> = (0..2 * most + 10).map(|n| format!("c{n:03}")).collect();
    assert_eq!(found, expected);
}

#[tokio::test]
async fn erasing_blanks_the_parties_and_keeps_the_call() {
    let mut store = store().await;
    slice(&mut store, &[open("c1")]).await;
    let erased = call::erase_number(&mut store.conn, party(2)).await;
    assert_eq!(erased.expect("SQL"), 1, "though it goes on");
    let mut closed = record("c1", 1);
    closed.erase_number(party(2));
    slice(
        &mut store,
        &[RecordWrite::CloseCall(Box::new(closed), Vec::new())],
    )
    .await;
    let readers = store.owned.readers(1).await.expect("readable");
    let found = call::get(&readers, "c1").await.expect("SQL").expect("kept");
    let (found, _) = found.expect("readable");
    assert_eq!(
        (found.caller, found.callee, found.x),
        (None, Some(party(3)), Some(x(1)))
    );

    let erased = call::erase(&mut store.conn, &["c1".to_owned()]).await;
    assert_eq!(erased.expect("SQL"), 1);
    let found = call::get(&readers, "c1").await.expect("SQL").expect("kept");
    let (found, _) = found.expect("readable");
    assert_eq!((found.callee, found.a), (None, None));
    assert_eq!(found.out_id.as_deref(), None);

    let mut same = record("c1", 1);
    same.erase_number(party(2));
    same.erase();
    assert_eq!(
        found, same,
        "the row and the record in memory lose the same"
    );
}

#[tokio::test]
async fn who_talked_to_an_erased_person_stays_in_the_record() {
    let (caller, callee) = (party(2), party(3));
    // The caller is A of the binding, the callee B.
    for (a, b, left) in [
        (true, false, (None, Some(callee))),
        (false, true, (Some(caller), None)),
        (true, true, (None, None)),
    ] {
        let mut store = store().await;
        let of_binding = CallRecord {
            a: Some(caller),
            b: Some(callee),
            ..record("c1", 1)
        };
        let open = RecordWrite::OpenCall(Box::new(of_binding), Vec::new());
        slice(&mut store, &[open]).await;
        let readers = store.owned.readers(1).await.expect("readable");
        let persons = call::parties_on(&readers, SubsId(7), a, b)
            .await
            .expect("SQL");
        let calls = ["c1".to_owned()];
        let erased = call::erase_persons(&mut store.conn, &calls, &persons).await;
        assert!(erased.expect("SQL") > 0);
        let found = call::get(&readers, "c1").await.expect("SQL").expect("kept");
        let (found, _) = found.expect("readable");
        assert_eq!((found.caller, found.callee), left);
        assert_eq!((found.a, found.b), left);
        assert_eq!((found.out_id, found.ladder), (None, None));
        for (person, is_found) in [(caller, left.0), (callee, left.1)] {
            let of = Filter {
                party: Some(person),
                limit: 9,
                ..Filter::default()
            };
            let count = listed(&store, of).await.len();
            assert_eq!(count, usize::from(is_found.is_some()), "{person}");
        }
    }
}

#[tokio::test]
async fn an_unreadable_record_is_told_and_not_taken_for_an_erased_one() {
    for damage in [
        "caller = '13x'",
        "callee = '1390000111122223333444'",
        "a = 'erased'",
        "b = ' '",
        "x = 'none'",
        "sip_status = 70000",
        "q850_cause = -1",
    ] {
        let mut store = store().await;
        slice(&mut store, &[open("c1"), open("c2")]).await;
        let update = format!("UPDATE call_record SET {damage} WHERE call_id = 'c1'");
        store.conn.execute(sql(update.leak())).await.expect("SQL");
        let readers = store.owned.readers(1).await.expect("readable");
        let found = call::get(&readers, "c1")
            .await
            .expect("SQL")
            .expect("there");
        let told = found.expect_err(damage).to_string();
        assert!(told.contains("call c1"), "{told}");
        assert!(!told.contains("13x") && !told.contains("139000"), "{told}");
        let filter = Filter {
            limit: 9,
            ..Filter::default()
        };
        let listed = call::list(&readers, &filter).await.expect("SQL").rows;
        let readable = listed.iter().filter(|listed| listed.is_ok()).count();
        assert_eq!(
            (listed.len(), readable),
            (2, 1),
            "the other is listed all the same"
        );
    }
}
