//! A few named facts about a store: its epoch, its check values.

use sqlx::sqlite::SqliteConnection;
use sqlx::{query, query_scalar};

/// Overwritten to find out whether the disk takes writes again.
const PROBE: &str = "probe";

/// The size of a probe, so that it needs about as much room as a batch.
const PROBE_BYTES: usize = 64 * 1024;

/// The fact called `name`.
///
/// # Errors
/// Those of the database.
pub async fn get(conn: &mut SqliteConnection, name: &str) -> Result<Option<String>, sqlx::Error> {
    query_scalar("SELECT value FROM meta WHERE name = $1")
        .bind(name)
        .fetch_optional(conn)
        .await
}

/// Makes `value` the fact called `name`.
///
/// # Errors
/// Those of the database.
pub async fn set(conn: &mut SqliteConnection, name: &str, value: &str) -> Result<(), sqlx::Error> {
    query(
        "INSERT INTO meta (name, value) VALUES ($1, $2) \
         ON CONFLICT (name) DO UPDATE SET value = excluded.value",
    )
    .bind(name)
    .bind(value)
    .execute(conn)
    .await?;
    Ok(())
}

/// Writes something of no meaning, durably.
///
/// # Errors
/// Those of the database: the disk is still not to be written to.
pub async fn probe(conn: &mut SqliteConnection, at: i64) -> Result<(), sqlx::Error> {
    let value = format!("{at} {}", "x".repeat(PROBE_BYTES));
    set(conn, PROBE, &value).await
}
