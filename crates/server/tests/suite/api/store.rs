//! A ledger in a directory of its own.

use maskline_server::writer::{Ledger, Options, Running};
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
        // A test that does not close its store takes the directory away under
        // the writer, which must not end the process that runs all the others.
        let options = Options {
            on_unknown: |reason| panic!("unknown outcome: {reason}"),
            ..Options::new(dir.path())
        };
        let (ledger, running) = Ledger::open(options).await.unwrap();
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
