//! Of which program the tables of a file are.

use sqlx::migrate::MigrateError;

use super::OpenError;
use crate::db::{Connection, Error, sql};
use crate::schema::MIGRATIONS;

/// What a failed change of the tables is to people.
pub(super) fn refused(error: MigrateError) -> OpenError {
    match error {
        MigrateError::VersionMissing(version) => OpenError::Newer(version),
        other => OpenError::Migrate(other.to_string()),
    }
}

/// Refuses the tables of a newer program to those who only read them.
pub(super) async fn check_tables(conn: &mut Connection) -> Result<(), OpenError> {
    match version(conn).await? {
        Some(version) if Some(version) > known() => Err(OpenError::Newer(version)),
        _ => Ok(()),
    }
}

/// Whether the tables are those that this program makes; it reads the journal and the snapshots of older ones too.
///
/// # Errors
/// Those of the database.
pub async fn tables_are_of_today(conn: &mut Connection) -> Result<bool, Error> {
    Ok(version(conn).await? == known())
}

/// The newest change of the tables that this program knows.
fn known() -> Option<i64> {
    MIGRATIONS.iter().map(|&(version, ..)| version).max()
}

/// The newest change that was made; none in a file without tables.
async fn version(conn: &mut Connection) -> Result<Option<i64>, Error> {
    let has_any = sql("SELECT name FROM sqlite_master WHERE name = '_sqlx_migrations'");
    if conn.fetch_optional(has_any).await?.is_none() {
        return Ok(None);
    }
    let newest = sql("SELECT MAX(version) AS newest FROM _sqlx_migrations");
    conn.fetch_one(newest).await?.get("newest")
}
