//! A few named facts about a store: its epoch, its check values.

use crate::db::{Connection, Error, sql};

/// Overwritten to find out whether the disk takes writes again.
const PROBE: &str = "probe";

/// The size of a probe, so that it needs about as much room as a batch.
const PROBE_BYTES: usize = 64 * 1024;

/// The fact called `name`.
///
/// # Errors
/// Those of the database.
pub async fn get(conn: &mut Connection, name: &str) -> Result<Option<String>, Error> {
    let select = sql("SELECT value FROM meta WHERE name = ?").bind(name);
    let row = conn.fetch_optional(select).await?;
    row.map(|row| row.get("value")).transpose()
}

/// Makes `value` the fact called `name`.
///
/// # Errors
/// Those of the database.
pub async fn set(conn: &mut Connection, name: &str, value: &str) -> Result<(), Error> {
    let upsert = sql("INSERT INTO meta (name, value) VALUES (?, ?) \
         ON CONFLICT (name) DO UPDATE SET value = excluded.value")
    .bind(name)
    .bind(value);
    conn.execute(upsert).await?;
    Ok(())
}

/// Writes something of no meaning, durably, in a transaction of its own.
///
/// # Errors
/// Those of the database: the disk is still not to be written to.
pub async fn probe(conn: &mut Connection, at: i64) -> Result<(), Error> {
    let value = format!("{at} {}", "x".repeat(PROBE_BYTES));
    set(conn.outside().await?, PROBE, &value).await
}
