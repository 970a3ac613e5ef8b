//! The real tables give the state that the model has: what a run left on its
//! disk is put into SQLite and recovered from there.

use maskline_domain::Row;
use maskline_journal::Append;
use maskline_journal::snapshot::{Parts, Seal};
use maskline_sim::World;
use maskline_store::db::sql;
use maskline_store::directory::DataDir;
use maskline_store::{UNSEALED, journal, recovery, snapshot};

#[tokio::test]
async fn sqlite_recovers_what_the_model_has() {
    for seed in [11, 12] {
        let mut world = World::with_codec(seed, None, UNSEALED.clone());
        for _ in 0..2_500 {
            world.step().unwrap_or_else(|broken| panic!("{broken}"));
        }
        let dir = tempfile::tempdir().expect("a temporary directory");
        let owned = DataDir::own(dir.path()).expect("nobody else has it");
        let mut conn = owned.writer().await.expect("a new database opens");
        let (batches, snapshots) = world.disk().contents();
        assert!(!batches.is_empty(), "the newest batch is never pruned");

        // A pruned journal begins at the batch of its oldest snapshot; the
        // first row cannot be appended to nothing, so it is put in by hand.
        let first = batches.first().expect("some batches");
        if first.seq > 1 {
            let insert = sql(
                "INSERT INTO journal (seq, at, prev_hash, hash, payload, personal) \
                 VALUES (?, ?, ?, ?, ?, ?)",
            )
            .bind(first.seq as i64)
            .bind(first.at)
            .bind(&first.prev_hash.0[..])
            .bind(&first.hash.0[..])
            .bind(&first.payload)
            .bind(&first.personal);
            conn.execute(insert).await.expect("an empty table takes it");
        }
        for batch in batches
            .iter()
            .filter(|batch| batch.seq > 1.max(first.seq) || first.seq == 1)
        {
            assert_eq!(journal::append(&mut conn, batch).await, Append::Written);
        }
        for (seal, rows) in &snapshots {
            let mut parts = Parts::new(UNSEALED.clone(), seal.seq);
            for row in rows {
                assert_eq!(
                    parts.push(row.clone()),
                    Ok(None),
                    "a small world is one part"
                );
            }
            let total = parts.finish().expect("not sealed");
            assert_eq!(total.digest.to_string(), seal.digest);
            let part = total.part.expect("some rows");
            snapshot::write_part(&mut conn, seal.seq, 0, &part)
                .await
                .expect("written");
            let seal = Seal {
                parts: 1,
                ..(*seal).clone()
            };
            snapshot::write_seal(&mut conn, &seal)
                .await
                .expect("written");
        }

        let recovered = recovery::recover(&mut conn, &UNSEALED, None, |_| ())
            .await
            .expect("all is there");
        let rows: Vec<Row> = recovered.state.rows().collect();
        assert_eq!(rows, world.durable_rows(), "seed {seed}");
        assert_eq!(recovered.snapshot.is_some(), !snapshots.is_empty());
    }
}
