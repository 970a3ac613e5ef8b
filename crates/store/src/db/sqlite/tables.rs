//! Of which program the tables of a file are, and how they become those of this one.

use std::time::Instant;

use sqlx::migrate::MigrateError;

use super::{FileError, TextOfMigration, migrator};
use crate::db::{Connection, Error, sql};
use crate::schema::MIGRATIONS;

/// Brings the tables up to date, and says so in the log, for what is there may take long. New ones take no time.
pub(super) async fn bring_up_to_date(
    conn: &mut Connection,
    migrations: &[TextOfMigration],
) -> Result<(), FileError> {
    let known = version(conn).await?.unwrap_or(i64::MAX);
    for (before, (version, name, _)) in migrations.iter().enumerate() {
        if *version <= known {
            continue;
        }
        let begin = Instant::now();
        tracing::info!(
            version,
            name,
            "bringing the tables up to date, which may take minutes; if it is interrupted, the next start begins it again"
        );
        let until = migrator(&migrations[..=before]);
        let done = until.run_direct(None, conn.link.raw(), false).await;
        done.map_err(refused)?;
        let seconds = begin.elapsed().as_secs();
        tracing::info!(version, name, seconds, "the tables are one step further");
    }
    // All of a new file; of any other one, whether these are the tables that this program knows.
    let all = migrator(migrations);
    let done = all.run_direct(None, conn.link.raw(), false).await;
    done.map_err(refused)
}

/// What a failed change of the tables is to people.
pub(super) fn refused(error: MigrateError) -> FileError {
    match error {
        MigrateError::VersionMissing(version) => FileError::Newer(version),
        other => FileError::Migrate(other.to_string()),
    }
}

/// Refuses the tables of a newer program to those who only read them.
pub(super) async fn check_tables(conn: &mut Connection) -> Result<(), FileError> {
    match version(conn).await? {
        Some(version) if Some(version) > known() => Err(FileError::Newer(version)),
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

/// Whether there is a table of this name.
///
/// # Errors
/// Those of the database.
pub async fn has_table(conn: &mut Connection, name: &str) -> Result<bool, Error> {
    let select = sql("SELECT name FROM sqlite_master WHERE type = 'table' AND name = ?").bind(name);
    Ok(conn.fetch_optional(select).await?.is_some())
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
