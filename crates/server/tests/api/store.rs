//! A ledger in a directory of its own.

use maskline_server::writer::{Ledger, Options, Running};
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

    pub async fn close(self) {
        self.running.close().await;
    }
}
