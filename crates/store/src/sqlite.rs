//! One machine: a data directory with one SQLite file, and the rules of
//! opening it.
//!
//! One process owns a directory (an operating-system lock), and in it one
//! connection writes. Others read: they are `query_only` and short.

use std::fs::{File, OpenOptions, TryLockError};
use std::path::{Path, PathBuf};
use std::time::Duration;

use sqlx::pool::PoolOptions;
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqlitePool, SqliteSynchronous,
};
use sqlx::{ConnectOptions as _, query, query_scalar};

use crate::directory::make_private;
pub use crate::directory::{FILE, OpenError};
use crate::schema::{Engine, migrator};

/// The lock within the data directory.
const LOCK: &str = "lock";
/// Where a restore works within the data directory until it has come to its end.
pub const RESTORING: &str = "restoring";

/// Older versions can corrupt a WAL file that two connections use (the
/// WAL-reset bug, release notes of SQLite 3.51.3).
const VERSION_MIN: [u32; 3] = [3, 51, 3];

/// A data directory that this process owns until the value is dropped.
#[derive(Debug)]
pub struct DataDir {
    path: PathBuf,
    // The lock is released when the file is closed.
    _lock: File,
}

impl DataDir {
    /// Makes the directory if need be, readable by its owner alone, and takes
    /// its lock. One that is there is narrowed, if it is ours.
    ///
    /// # Errors
    /// [`OpenError::Locked`] when another process has it;
    /// [`OpenError::Exposed`] when others can look into one that is not ours;
    /// [`OpenError::Restoring`] when what is to lie there is not whole yet.
    pub fn own(path: &Path) -> Result<Self, OpenError> {
        let failed = |path: &Path| {
            let path = path.to_owned();
            move |source| OpenError::Directory { path, source }
        };
        if path.join(RESTORING).exists() {
            return Err(OpenError::Restoring(path.to_owned()));
        }
        make_private(path)?;
        let lock_path = path.join(LOCK);
        let lock = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&lock_path)
            .map_err(failed(&lock_path))?;
        match lock.try_lock() {
            Ok(()) => Ok(Self {
                path: path.to_owned(),
                _lock: lock,
            }),
            Err(TryLockError::WouldBlock) => Err(OpenError::Locked(path.to_owned())),
            Err(TryLockError::Error(source)) => Err(failed(&lock_path)(source)),
        }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Opens the write connection, of which there must be one, and brings the
    /// tables up to date.
    ///
    /// # Errors
    /// [`OpenError`]; among others for a SQLite that is too old.
    pub async fn writer(&self) -> Result<SqliteConnection, OpenError> {
        let mut conn = options(&self.path.join(FILE))
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            // Checkpoints are made between appends, never inside one.
            .pragma("wal_autocheckpoint", "0")
            .pragma("journal_size_limit", "67108864")
            // What is erased or pruned is overwritten with zeros.
            .pragma("secure_delete", "ON")
            .pragma("cache_size", "-32768")
            // What a statement over many rows needs to be undone; else it is a file each time.
            .pragma("temp_store", "MEMORY")
            .connect()
            .await?;
        check_version(&mut conn).await?;
        check_settings(&mut conn).await?;
        migrator(Engine::Sqlite)
            .run_direct(None, &mut conn, false)
            .await?;
        Ok(conn)
    }

    /// Connections that can only read, at most `connections_max` of them.
    ///
    /// # Errors
    /// [`OpenError`].
    pub async fn readers(&self, connections_max: u32) -> Result<SqlitePool, OpenError> {
        readers(&self.path, connections_max).await
    }
}

/// Connections that can only read, for a directory that another process may
/// own.
///
/// # Errors
/// [`OpenError::Missing`] when there is no database.
pub async fn readers(dir: &Path, connections_max: u32) -> Result<SqlitePool, OpenError> {
    let file = dir.join(FILE);
    if !file.exists() {
        return Err(OpenError::Missing(dir.to_owned()));
    }
    let pool = PoolOptions::new()
        .max_connections(connections_max)
        .test_before_acquire(false)
        .acquire_timeout(Duration::from_secs(10))
        .connect_with(options(&file).pragma("query_only", "ON"))
        .await?;
    check_version(&mut *pool.acquire().await?).await?;
    Ok(pool)
}

/// A connection to a copy that nobody else uses and that is not to be changed,
/// not even by making files beside it.
///
/// # Errors
/// [`OpenError::Missing`] when there is no database.
pub async fn copy(dir: &Path) -> Result<SqliteConnection, OpenError> {
    let file = dir.join(FILE);
    if !file.exists() {
        return Err(OpenError::Missing(dir.to_owned()));
    }
    Ok(options(&file)
        .read_only(true)
        .immutable(true)
        .connect()
        .await?)
}

/// Copies what the write-ahead log holds into the database file, as far as
/// readers allow, without stopping anyone. Says how many pages the log had and
/// how many of them are copied.
///
/// # Errors
/// Those of the database.
pub async fn checkpoint(conn: &mut SqliteConnection) -> Result<(i64, i64), sqlx::Error> {
    let (_busy, log, copied): (i64, i64, i64) = sqlx::query_as("PRAGMA wal_checkpoint(PASSIVE)")
        .fetch_one(conn)
        .await?;
    Ok((log, copied))
}

/// Copies the whole write-ahead log and empties its file, so that nothing of
/// what was erased stays in it. Gives `false` when readers were in the way; it
/// does not wait for them long, since appends wait meanwhile.
///
/// # Errors
/// Those of the database.
pub async fn truncate_log(conn: &mut SqliteConnection) -> Result<bool, sqlx::Error> {
    query("PRAGMA busy_timeout = 100")
        .execute(&mut *conn)
        .await?;
    let done: Result<(i64, i64, i64), sqlx::Error> =
        sqlx::query_as("PRAGMA wal_checkpoint(TRUNCATE)")
            .fetch_one(&mut *conn)
            .await;
    query("PRAGMA busy_timeout = 5000").execute(conn).await?;
    done.map(|(busy, ..)| busy == 0)
}

fn options(file: &Path) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(file)
        .busy_timeout(Duration::from_secs(5))
        .statement_cache_capacity(128)
        .disable_statement_logging()
}

async fn check_version(conn: &mut SqliteConnection) -> Result<(), OpenError> {
    let version: String = query_scalar("SELECT sqlite_version()")
        .fetch_one(conn)
        .await?;
    if is_safe(&version) {
        Ok(())
    } else {
        Err(OpenError::Version(version))
    }
}

fn is_safe(version: &str) -> bool {
    let parts: Option<Vec<u32>> = version.split('.').map(|part| part.parse().ok()).collect();
    parts.is_some_and(|parts| parts.as_slice() >= VERSION_MIN.as_slice())
}

async fn check_settings(conn: &mut SqliteConnection) -> Result<(), OpenError> {
    let mode: String = query_scalar("PRAGMA journal_mode")
        .fetch_one(&mut *conn)
        .await?;
    if mode != "wal" {
        return Err(OpenError::Setting("journal_mode=WAL"));
    }
    let synchronous: i64 = query_scalar("PRAGMA synchronous")
        .fetch_one(&mut *conn)
        .await?;
    if synchronous < 2 {
        return Err(OpenError::Setting("synchronous=FULL"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_with_the_wal_reset_bug_are_refused() {
        for (version, safe) in [
            ("3.51.3", true),
            ("3.51.10", true),
            ("3.53.0", true),
            ("4.0.0", true),
            ("3.51.2", false),
            ("3.7.0", false),
            ("3.40.1", false),
            ("unheard of", false),
            ("", false),
        ] {
            assert_eq!(is_safe(version), safe, "{version}");
        }
    }
}
