//! The journal: one row a batch, each chained to the one before by its hash.
//!
//! This file knows rows and bytes; what the bytes say is [`maskline_journal::payload`]'s
//! business, and who may append is [`maskline_journal::pipeline`]'s.

use sqlx::sqlite::{SqliteConnection, SqliteRow};
use sqlx::{Row as _, query, query_scalar};

use maskline_journal::Append;
use maskline_journal::batch::{Batch, Hash, Tip};

use crate::failure;

/// The only partition there is for now; others are for sharding by pool.
pub const PARTITION: i64 = 0;

/// Appends, if the batch it was decided on top of is the newest: the row
/// before it must be there with that very hash.
const APPEND: &str = "\
    INSERT INTO journal (partition, seq, at, prev_hash, hash, payload, personal) \
    SELECT $1, $2, $3, $4, $5, $6, $7 \
    WHERE $2 = 1 OR EXISTS (SELECT 1 FROM journal WHERE partition = $1 AND seq = $2 - 1 AND hash = $4)";

/// Makes `batch` durable, in a transaction of its own.
///
/// Never fails otherwise than by its answer, which the caller must obey.
pub async fn append(conn: &mut SqliteConnection, batch: &Batch) -> Append {
    let done = query(APPEND)
        .bind(PARTITION)
        .bind(batch.seq as i64)
        .bind(batch.at)
        .bind(&batch.prev_hash.0[..])
        .bind(&batch.hash.0[..])
        .bind(&batch.payload)
        .bind(&batch.personal)
        .execute(conn)
        .await;
    match done {
        Ok(done) if done.rows_affected() == 1 => Append::Written,
        Ok(_) => Append::Unknown("another writer owns the journal".to_owned()),
        Err(error) => failure::append(&error),
    }
}

/// The newest row's number and hash.
///
/// # Errors
/// Those of the database.
pub async fn tip(conn: &mut SqliteConnection) -> Result<Tip, sqlx::Error> {
    let row = query("SELECT seq, hash FROM journal WHERE partition = $1 ORDER BY seq DESC LIMIT 1")
        .bind(PARTITION)
        .fetch_optional(conn)
        .await?;
    row.map_or(Ok(Tip::GENESIS), |row| {
        Ok(Tip {
            seq: row.try_get::<i64, _>("seq")? as u64,
            hash: hash_at(&row, "hash")?,
        })
    })
}

/// The oldest row's number, if there is any.
///
/// # Errors
/// Those of the database.
pub async fn first(conn: &mut SqliteConnection) -> Result<Option<u64>, sqlx::Error> {
    let seq: Option<i64> = query_scalar("SELECT MIN(seq) FROM journal WHERE partition = $1")
        .bind(PARTITION)
        .fetch_one(conn)
        .await?;
    Ok(seq.map(|seq| seq as u64))
}

/// At most `rows_max` rows from number `from` on, in order.
///
/// # Errors
/// Those of the database.
pub async fn read(
    conn: &mut SqliteConnection,
    from: u64,
    rows_max: u32,
) -> Result<Vec<Batch>, sqlx::Error> {
    query(
        "SELECT seq, at, prev_hash, hash, payload, personal FROM journal \
         WHERE partition = $1 AND seq >= $2 ORDER BY seq LIMIT $3",
    )
    .bind(PARTITION)
    .bind(from as i64)
    .bind(i64::from(rows_max))
    .fetch_all(conn)
    .await?
    .iter()
    .map(batch)
    .collect()
}

/// The row with number `seq`.
///
/// # Errors
/// Those of the database.
pub async fn get(conn: &mut SqliteConnection, seq: u64) -> Result<Option<Batch>, sqlx::Error> {
    Ok(read(conn, seq, 1)
        .await?
        .into_iter()
        .find(|batch| batch.seq == seq))
}

/// The first row decided at or after `at`; `None` if all are older.
///
/// # Errors
/// Those of the database.
pub async fn first_at(conn: &mut SqliteConnection, at: i64) -> Result<Option<u64>, sqlx::Error> {
    // Times never go back along the journal, so halving finds it by the
    // primary key alone.
    let (Some(mut low), mut high) = (first(conn).await?, tip(conn).await?.seq + 1) else {
        return Ok(None);
    };
    let end = high;
    while low < high {
        let middle = low + (high - low) / 2;
        let found: Option<i64> =
            query_scalar("SELECT at FROM journal WHERE partition = $1 AND seq = $2")
                .bind(PARTITION)
                .bind(middle as i64)
                .fetch_optional(&mut *conn)
                .await?;
        if found.is_some_and(|found| found >= at) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    Ok((low < end).then_some(low))
}

/// Drops at most `rows_max` of the oldest rows below number `below`, but never
/// the newest row. Says how many went.
///
/// # Errors
/// Those of the database.
pub async fn prune(
    conn: &mut SqliteConnection,
    below: u64,
    rows_max: u32,
) -> Result<u64, sqlx::Error> {
    let Some(first) = first(conn).await? else {
        return Ok(0);
    };
    let below = below
        .min(tip(conn).await?.seq)
        .min(first.saturating_add(u64::from(rows_max)));
    let done = query("DELETE FROM journal WHERE partition = $1 AND seq < $2")
        .bind(PARTITION)
        .bind(below as i64)
        .execute(conn)
        .await?;
    Ok(done.rows_affected())
}

/// Puts other personal values in the place of those of row `seq`.
///
/// # Errors
/// Those of the database.
pub async fn replace_personal(
    conn: &mut SqliteConnection,
    seq: u64,
    personal: &[u8],
) -> Result<(), sqlx::Error> {
    query("UPDATE journal SET personal = $3 WHERE partition = $1 AND seq = $2")
        .bind(PARTITION)
        .bind(seq as i64)
        .bind(personal)
        .execute(conn)
        .await?;
    Ok(())
}

fn batch(row: &SqliteRow) -> Result<Batch, sqlx::Error> {
    Ok(Batch {
        seq: row.try_get::<i64, _>("seq")? as u64,
        at: row.try_get("at")?,
        prev_hash: hash_at(row, "prev_hash")?,
        hash: hash_at(row, "hash")?,
        payload: row.try_get("payload")?,
        personal: row.try_get("personal")?,
    })
}

fn hash_at(row: &SqliteRow, column: &str) -> Result<Hash, sqlx::Error> {
    let bytes: &[u8] = row.try_get(column)?;
    let bytes = bytes
        .try_into()
        .map_err(|_| sqlx::Error::Decode("a hash has 32 bytes".into()))?;
    Ok(Hash(bytes))
}
