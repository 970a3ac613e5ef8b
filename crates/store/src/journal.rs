//! The journal: one row a batch, each chained to the one before by its hash.
//!
//! This file knows rows and bytes; what the bytes say is [`maskline_journal::payload`]'s
//! business, and who may append is [`maskline_journal::pipeline`]'s.

use std::borrow::Cow;

use maskline_journal::Append;
use maskline_journal::batch::{Batch, Hash, Tip};

use crate::db::{Connection, Error, Row, sql};
use crate::failure;

/// Appends, if the batch it was decided on top of is the newest: the row
/// before it must be there with that very hash.
const APPEND: &str = "\
    INSERT INTO journal (seq, at, prev_hash, hash, payload, personal) \
    SELECT ?, ?, ?, ?, ?, ? \
    WHERE ? = 1 OR EXISTS (SELECT 1 FROM journal WHERE seq = ? - 1 AND hash = ?)";

/// Makes `batch` durable, in a transaction of its own.
///
/// Never fails otherwise than by its answer, which the caller must obey.
pub async fn append(conn: &mut Connection, batch: &Batch) -> Append {
    let insert = sql(APPEND)
        .bind(batch.seq as i64)
        .bind(batch.at)
        .bind(&batch.prev_hash.0[..])
        .bind(&batch.hash.0[..])
        .bind(&batch.payload)
        .bind(&batch.personal)
        .bind(batch.seq as i64)
        .bind(batch.seq as i64)
        .bind(&batch.prev_hash.0[..]);
    let done = match conn.outside().await {
        Ok(conn) => conn.execute(insert).await,
        Err(error) => Err(error),
    };
    match done {
        Ok(1) => Append::Written,
        Ok(_) => Append::Unknown("another writer owns the journal".to_owned()),
        Err(error) => failure::append(&error),
    }
}

/// The newest row's number and hash.
///
/// # Errors
/// Those of the database.
pub async fn tip(conn: &mut Connection) -> Result<Tip, Error> {
    let newest = sql("SELECT seq, hash FROM journal ORDER BY seq DESC LIMIT 1");
    let row = conn.fetch_optional(newest).await?;
    row.map_or(Ok(Tip::GENESIS), |row| {
        Ok(Tip {
            seq: row.get::<i64>("seq")? as u64,
            hash: hash_at(&row, "hash")?,
        })
    })
}

/// The oldest row's number, if there is any.
///
/// # Errors
/// Those of the database.
pub async fn first(conn: &mut Connection) -> Result<Option<u64>, Error> {
    let oldest = sql("SELECT MIN(seq) AS seq FROM journal");
    let seq: Option<i64> = conn.fetch_one(oldest).await?.get("seq")?;
    Ok(seq.map(|seq| seq as u64))
}

/// At most `rows_max` rows from number `from` on, in order.
///
/// # Errors
/// Those of the database.
pub async fn read(conn: &mut Connection, from: u64, rows_max: u32) -> Result<Vec<Batch>, Error> {
    let select = sql(
        "SELECT seq, at, prev_hash, hash, payload, personal FROM journal \
         WHERE seq >= ? ORDER BY seq LIMIT ?",
    )
    .bind(from as i64)
    .bind(rows_max);
    let rows = conn.fetch_all(select).await?;
    rows.iter().map(batch).collect()
}

/// The row with number `seq`.
///
/// # Errors
/// Those of the database.
pub async fn get(conn: &mut Connection, seq: u64) -> Result<Option<Batch>, Error> {
    Ok(read(conn, seq, 1)
        .await?
        .into_iter()
        .find(|batch| batch.seq == seq))
}

/// The first row decided at or after `at`; `None` if all are older.
///
/// # Errors
/// Those of the database.
pub async fn first_at(conn: &mut Connection, at: i64) -> Result<Option<u64>, Error> {
    // Times never go back along the journal, so halving finds it by the
    // primary key alone.
    let (Some(mut low), mut high) = (first(conn).await?, tip(conn).await?.seq + 1) else {
        return Ok(None);
    };
    let end = high;
    while low < high {
        let middle = low + (high - low) / 2;
        let select = sql("SELECT at FROM journal WHERE seq = ?").bind(middle as i64);
        let row = conn.fetch_optional(select).await?;
        let found: Option<i64> = row.map(|row| row.get("at")).transpose()?;
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
pub async fn prune(conn: &mut Connection, below: u64, rows_max: u32) -> Result<u64, Error> {
    let Some(first) = first(conn).await? else {
        return Ok(0);
    };
    let below = below
        .min(tip(conn).await?.seq)
        .min(first.saturating_add(u64::from(rows_max)));
    let delete = sql("DELETE FROM journal WHERE seq < ?").bind(below as i64);
    conn.execute(delete).await
}

/// Puts other personal values in the place of those of row `seq`.
///
/// # Errors
/// Those of the database.
pub async fn replace_personal(
    conn: &mut Connection,
    seq: u64,
    personal: &[u8],
) -> Result<(), Error> {
    let update = sql("UPDATE journal SET personal = ? WHERE seq = ?")
        .bind(personal)
        .bind(seq as i64);
    conn.execute(update).await?;
    Ok(())
}

fn batch(row: &Row) -> Result<Batch, Error> {
    Ok(Batch {
        seq: row.get::<i64>("seq")? as u64,
        at: row.get("at")?,
        prev_hash: hash_at(row, "prev_hash")?,
        hash: hash_at(row, "hash")?,
        payload: row.get("payload")?,
        personal: row.get("personal")?,
    })
}

fn hash_at(row: &Row, column: &str) -> Result<Hash, Error> {
    let bytes: Cow<'_, [u8]> = row.get(column)?;
    let bytes = <[u8; 32]>::try_from(&*bytes);
    bytes
        .map(Hash)
        .map_err(|_| Error::in_column(column, &"a hash has 32 bytes"))
}
