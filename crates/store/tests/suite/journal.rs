//! The chain of batches, and what each kind of failed append says.

use maskline_journal::Append;
use maskline_journal::batch::{ChainError, Hash, Tip};
use maskline_store::db::sql;
use maskline_store::journal;
use maskline_store::meta;

use crate::support::{Store, next, run, store};

async fn filled(count: u64) -> Store {
    let mut store = store().await;
    for batch in run(count) {
        assert_eq!(
            journal::append(&mut store.conn, &batch).await,
            Append::Written
        );
    }
    store
}

async fn follow_all(store: &mut Store) -> Result<Tip, ChainError> {
    let mut tip = Tip::GENESIS;
    for batch in journal::read(&mut store.conn, 1, 1000)
        .await
        .expect("readable")
    {
        tip.follow(&batch)?;
    }
    Ok(tip)
}

#[tokio::test]
async fn what_was_appended_is_read_back_in_order() {
    let mut store = filled(5).await;
    let read = journal::read(&mut store.conn, 1, 1000)
        .await
        .expect("readable");
    assert_eq!(read, run(5));
    let part = journal::read(&mut store.conn, 3, 2)
        .await
        .expect("readable");
    assert_eq!(part, run(5)[2..4]);
    let tip = journal::tip(&mut store.conn).await.expect("readable");
    assert_eq!(Ok(tip), follow_all(&mut store).await);
}

#[tokio::test]
async fn an_empty_journal_begins_at_genesis() {
    let mut store = store().await;
    assert_eq!(
        journal::tip(&mut store.conn).await.expect("readable"),
        Tip::GENESIS
    );
    assert_eq!(
        journal::first(&mut store.conn).await.expect("readable"),
        None
    );
    assert_eq!(
        journal::first_at(&mut store.conn, 0)
            .await
            .expect("readable"),
        None
    );
}

#[tokio::test]
async fn an_append_needs_the_batch_it_was_decided_on() {
    let mut store = filled(3).await;
    let run = run(4);
    // On top of a batch that is not there.
    let mut orphan = run[3].clone();
    orphan.seq = 9;
    // On top of a batch with another hash.
    let forked = next(Tip {
        seq: 3,
        hash: Hash([7; 32]),
    });
    // In the place of a batch that is there.
    let doubled = run[2].clone();
    for batch in [orphan, forked, doubled] {
        let answer = journal::append(&mut store.conn, &batch).await;
        assert!(
            matches!(answer, Append::Unknown(_)),
            "{batch:?}: {answer:?}"
        );
    }
    assert_eq!(
        journal::append(&mut store.conn, &run[3]).await,
        Append::Written
    );
}

#[tokio::test]
async fn tampering_shows() {
    for (change, expected) in [
        (
            "UPDATE journal SET payload = 'other' WHERE seq = 2",
            ChainError::Hash { seq: 2 },
        ),
        (
            "UPDATE journal SET hash = zeroblob(32) WHERE seq = 2",
            ChainError::Hash { seq: 2 },
        ),
        (
            "UPDATE journal SET prev_hash = zeroblob(32) WHERE seq = 2",
            ChainError::Link { seq: 2 },
        ),
        (
            "DELETE FROM journal WHERE seq = 2",
            ChainError::Gap {
                expected: 2,
                found: 3,
            },
        ),
    ] {
        let mut store = filled(3).await;
        store.conn.execute(sql(change)).await.expect("SQL");
        assert_eq!(follow_all(&mut store).await, Err(expected), "{change}");
    }
}

#[tokio::test]
async fn blanking_personal_values_leaves_the_chain_whole() {
    let mut store = filled(3).await;
    journal::replace_personal(&mut store.conn, 2, b"blank")
        .await
        .expect("SQL");
    assert_eq!(follow_all(&mut store).await.expect("whole").seq, 3);
    let batch = journal::get(&mut store.conn, 2)
        .await
        .expect("SQL")
        .expect("there");
    assert_eq!(batch.personal, b"blank");
}

#[tokio::test]
async fn pruning_takes_the_oldest_and_never_the_newest() {
    let mut store = filled(10).await;
    assert_eq!(journal::prune(&mut store.conn, 5, 2).await.expect("SQL"), 2);
    assert_eq!(
        journal::prune(&mut store.conn, 5, 100).await.expect("SQL"),
        2
    );
    assert_eq!(journal::first(&mut store.conn).await.expect("SQL"), Some(5));
    assert_eq!(
        journal::prune(&mut store.conn, u64::MAX, 100)
            .await
            .expect("SQL"),
        5
    );
    assert_eq!(
        journal::first(&mut store.conn).await.expect("SQL"),
        Some(10)
    );
    let tip = journal::tip(&mut store.conn).await.expect("SQL");
    assert_eq!(
        journal::append(&mut store.conn, &next(tip)).await,
        Append::Written
    );
}

#[tokio::test]
async fn a_moment_is_found_in_a_pruned_journal() {
    let mut store = filled(10).await;
    journal::prune(&mut store.conn, 4, 100).await.expect("SQL");
    for (at, expected) in [
        (0, Some(4)),
        (4000, Some(4)),
        (4001, Some(5)),
        (10_000, Some(10)),
        (10_001, None),
    ] {
        let found = journal::first_at(&mut store.conn, at).await.expect("SQL");
        assert_eq!(found, expected, "at {at}");
    }
}

#[tokio::test]
async fn a_full_database_is_not_written_to_and_recovers() {
    let mut store = filled(3).await;
    let tip = journal::tip(&mut store.conn).await.expect("SQL");
    store
        .conn
        .execute(sql("PRAGMA max_page_count = 1"))
        .await
        .expect("SQL");
    let mut large = next(tip);
    large.payload = vec![1; 1 << 20];
    large.hash = Hash::link(large.prev_hash, &large.payload);

    let answer = journal::append(&mut store.conn, &large).await;
    assert!(matches!(answer, Append::NotWritten(_)), "{answer:?}");
    assert!(meta::probe(&mut store.conn, 0).await.is_err(), "still full");
    assert_eq!(journal::tip(&mut store.conn).await.expect("SQL"), tip);

    store
        .conn
        .execute(sql("PRAGMA max_page_count = 1000000"))
        .await
        .expect("SQL");
    meta::probe(&mut store.conn, 0).await.expect("room again");
    assert_eq!(
        journal::append(&mut store.conn, &large).await,
        Append::Written
    );
}
