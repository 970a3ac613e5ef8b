//! Transactions that are given up, and reading at one moment.

use std::future::pending;
use std::sync::atomic::{AtomicBool, Ordering};

use maskline_domain::{PhoneNumber, SubsId};
use maskline_journal::Append;
use maskline_store::db::{Connection, Error, ErrorKind, sql};
use maskline_store::records::history::{self, Filter};
use maskline_store::{journal, meta};
use tokio::sync::oneshot;

use crate::support::{run, store};

/// Begins a transaction, writes, and is dropped before it ends.
async fn give_up(conn: &mut Connection) {
    let (wrote, has_written) = oneshot::channel();
    let work = conn.transaction(async |conn: &mut Connection| -> Result<(), Error> {
        meta::set(conn, "given up", "yes").await?;
        wrote.send(()).expect("it is waited for");
        pending().await
    });
    tokio::select! {
        _ = work => panic!("it never ends"),
        written = has_written => written.expect("written"),
    }
}

async fn tip_of_others(store: &crate::support::Store) -> u64 {
    let readers = store.owned.readers(1).await.expect("readable");
    let mut reader = readers.acquire().await.expect("one is free");
    let given_up = meta::get(&mut reader, "given up").await.expect("SQL");
    assert_eq!(given_up, None);
    journal::tip(&mut reader).await.expect("SQL").seq
}

#[tokio::test]
async fn what_is_written_after_a_transaction_that_was_given_up_is_no_part_of_it() {
    let mut store = store().await;
    let batches = run(3);
    for (seq, batch) in (1..).zip(&batches) {
        give_up(&mut store.conn).await;
        let appended = journal::append(&mut store.conn, batch).await;
        assert_eq!(appended, Append::Written);
        assert_eq!(tip_of_others(&store).await, seq, "it is durable");
    }
    give_up(&mut store.conn).await;
    meta::probe(&mut store.conn, 5).await.expect("written");
    let readers = store.owned.readers(1).await.expect("readable");
    let mut reader = readers.acquire().await.expect("one is free");
    let probed = meta::get(&mut reader, "probe").await.expect("SQL");
    assert!(probed.is_some_and(|probed| probed.starts_with("5 ")));
    give_up(&mut store.conn).await;
    let kept = store.conn.transaction(async |conn: &mut Connection| {
        meta::set(conn, "kept", "yes").await?;
        Ok(7)
    });
    assert_eq!(kept.await, Ok(7));
    let kept = meta::get(&mut store.conn, "kept").await.expect("SQL");
    assert_eq!(kept.as_deref(), Some("yes"));
    assert_eq!(tip_of_others(&store).await, 3);
}

#[tokio::test]
async fn a_transaction_that_fails_writes_nothing_and_is_over() {
    let mut store = store().await;
    for n in 0..3 {
        let failed = store.conn.transaction(async |conn: &mut Connection| {
            meta::set(conn, "given up", "yes").await?;
            conn.execute(sql("INSERT INTO meta (name) VALUES ('no value')"))
                .await
        });
        let kind = failed.await.map_err(|error| error.kind());
        assert_eq!(kind, Err(ErrorKind::Constraint));
        assert_eq!(tip_of_others(&store).await, n);
        let appended = journal::append(&mut store.conn, &run(n + 1)[n as usize]).await;
        assert_eq!(appended, Append::Written);
    }
}

#[tokio::test]
async fn one_that_only_reads_has_no_transaction_that_writes() {
    let store = store().await;
    let readers = store.owned.readers(1).await.expect("readable");
    let mut reader = readers.acquire().await.expect("one is free");
    let refused = reader.transaction(async |_: &mut Connection| Ok(())).await;
    let kind = refused.map_err(|error| error.kind());
    assert_eq!(kind, Err(ErrorKind::Refused));
}

#[tokio::test]
async fn at_one_moment_nothing_changes_and_afterwards_everything_is_seen() {
    let mut store = store().await;
    let readers = store.owned.readers(1).await.expect("readable");
    let seen = sql("SELECT value FROM meta WHERE name = 'n'");
    for (n, is_ended) in (0_i64..).zip([true, false, true, false, false]) {
        meta::set(&mut store.conn, "n", &n.to_string())
            .await
            .expect("SQL");
        let mut reader = readers.acquire().await.expect("one is free");
        let mut moment = reader.at_one_moment().await.expect("begun");
        for written in ["one", "two"] {
            let row = moment.fetch_optional(seen.clone()).await.expect("SQL");
            let value: String = row.expect("there").get("value").expect("a text");
            assert_eq!(value, n.to_string());
            meta::set(&mut store.conn, "n", written).await.expect("SQL");
        }
        // One that is dropped, as with a request whose client has gone, keeps nobody in the past.
        if is_ended {
            moment.end().await;
        }
    }
}

/// A and B of a binding are exchanged again and again; each of them is one of its parties all the time.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_changes_places_in_a_binding_is_on_every_list_of_it() {
    let mut store = store().await;
    let insert = sql(
        "INSERT INTO binding_history (subs_id, x, bound_at, bound_by, seq, event, a_key, b_key) \
         VALUES (7, '1', 1, 'b', 1, 0, CAST('1391' AS BLOB), CAST('1392' AS BLOB))",
    );
    store.conn.execute(insert).await.expect("SQL");
    let readers = store.owned.readers(1).await.expect("readable");
    let is_over = AtomicBool::new(false);
    let exchange = async {
        while !is_over.load(Ordering::Relaxed) {
            let exchange = sql("UPDATE binding_history SET a_key = b_key, b_key = a_key");
            store.conn.execute(exchange).await.expect("SQL");
        }
    };
    let list = async {
        for n in 0..400 {
            let filter = Filter {
                party: PhoneNumber::parse(["1391", "1392"][n % 2]).ok(),
                limit: 9,
                ..Filter::default()
            };
            let page = history::list(&readers, &filter).await.expect("SQL");
            let ids: Vec<SubsId> = page.rows.iter().map(|past| past.subs_id).collect();
            assert_eq!(ids, [SubsId(7)], "round {n}");
        }
        is_over.store(true, Ordering::Relaxed);
    };
    tokio::join!(exchange, list);
}
