//! A store in a directory of its own, and batches to put into it.

use maskline_journal::batch::{Batch, Hash, Tip};
use maskline_store::db::Connection;
use maskline_store::directory::DataDir;
use tempfile::TempDir;

pub struct Store {
    pub owned: DataDir,
    pub conn: Connection,
    pub dir: TempDir,
}

pub async fn store() -> Store {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let owned = DataDir::own(dir.path()).expect("nobody else has it");
    let conn = owned.writer().await.expect("a new database opens");
    Store { owned, conn, dir }
}

/// The batch that follows `tip`, with some payload of its own.
pub fn next(tip: Tip) -> Batch {
    let seq = tip.seq + 1;
    let payload = format!("payload of {seq}").into_bytes();
    Batch {
        seq,
        at: seq as i64 * 1000,
        prev_hash: tip.hash,
        hash: Hash::link(tip.hash, &payload),
        payload,
        personal: format!("personal of {seq}").into_bytes(),
    }
}

/// A run of `count` batches from the beginning.
pub fn run(count: u64) -> Vec<Batch> {
    let mut tip = Tip::GENESIS;
    (0..count)
        .map(|_| {
            let batch = next(tip);
            tip.follow(&batch).expect("made to follow");
            batch
        })
        .collect()
}
