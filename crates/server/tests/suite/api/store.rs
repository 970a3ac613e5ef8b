//! A ledger in a directory of its own.

use crate::support;
use maskline_server::ledger::{Ledger, Running};
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions, Connection};
use tempfile::TempDir;

/// An open ledger; its directory goes with it.
pub struct Store {
    ledger: Ledger,
    running: Running,
    _dir: TempDir,
}

impl Store {
    pub async fn open() -> Self {
        let dir = TempDir::new().unwrap();
        let (ledger, running) = support::open(dir.path()).await;
        Self {
            ledger,
            running,
            _dir: dir,
        }
    }

    pub fn ledger(&self) -> Ledger {
        self.ledger.clone()
    }

    /// Changes what stands in the database, behind the ledger's back.
    pub async fn bend(&self, sql: &'static str) {
        let [file] = std::fs::read_dir(self._dir.path())
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .filter(|path| path.extension().is_some_and(|ending| ending == "db"))
            .collect::<Vec<_>>()
            .try_into()
            .expect("one database");
        let options = SqliteConnectOptions::new().filename(file);
        let mut conn = options.connect().await.expect("a second writer");
        sqlx::query(sql).execute(&mut conn).await.expect("SQL");
        conn.close().await.expect("closed");
    }

    pub async fn close(self) {
        self.running.close().await;
    }
}
