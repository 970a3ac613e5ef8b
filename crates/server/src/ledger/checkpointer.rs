//! Moves the write-ahead log into the database file, beside the appends.
//!
//! A checkpoint of some megabytes takes ten milliseconds and more, far longer
//! than an append, so it is not made between two of them. It needs no write
//! transaction; this connection is `query_only`. Only the end is left to the
//! writer: the log starts over when a write finds all of it copied, and under
//! steady load only the writer can bring that about, by copying the few pages
//! that came while this thread copied the many.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use maskline_journal::Append;
use maskline_journal::pipeline::Input;
use maskline_store::db::{self, Readers, sqlite};
use maskline_store::{directory, failure};
use tokio::sync::Notify;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::Shared;
use super::background;
use crate::clocks;

/// The log is checkpointed when it has grown by so many bytes,
const GROWN_BYTES: u64 = 4 << 20;
/// or after this long if it has grown at all.
const AT_LEAST_EVERY: Duration = Duration::from_secs(2);
/// The log is made to start over when it has so many pages.
const PAGES_MAX: i64 = 16_384;
/// The writer is not asked to end a checkpoint more often than this.
const FINISH_EVERY: Duration = Duration::from_millis(250);
/// How long to wait after something went wrong.
const PAUSE: Duration = Duration::from_secs(1);

/// What the writer and the checkpointer tell each other.
#[derive(Debug, Default)]
pub(super) struct Log {
    grown: AtomicU64,
    wake: Notify,
    finish: AtomicBool,
}

impl Log {
    /// The log has grown by about so many bytes.
    pub fn grew(&self, bytes: u64) {
        let before = self.grown.fetch_add(bytes, Ordering::Relaxed);
        if before < GROWN_BYTES && before + bytes >= GROWN_BYTES {
            self.wake.notify_one();
        }
    }

    /// Whether the writer is to end a checkpoint; asks only once.
    pub fn is_to_be_finished(&self) -> bool {
        self.finish.load(Ordering::Relaxed) && self.finish.swap(false, Ordering::Relaxed)
    }
}

pub(super) fn start(shared: Arc<Shared>, closing: CancellationToken) -> io::Result<JoinHandle<()>> {
    background::spawn("maskline-checkpointer", move || async move {
        run(&shared, closing).await;
    })
}

async fn run(shared: &Shared, closing: CancellationToken) {
    let log = &shared.log;
    let mut asked_at = Instant::now();
    let Ok(readers) = directory::readers(&shared.options.dir, 1).await else {
        // It could be opened a moment ago.
        stop(
            shared,
            "the checkpointer cannot open the database".to_owned(),
        );
        return;
    };
    loop {
        tokio::select! {
            () = log.wake.notified() => {}
            () = sleep(AT_LEAST_EVERY) => {}
            () = closing.cancelled() => return,
        }
        if log.grown.swap(0, Ordering::Relaxed) == 0 {
            continue;
        }
        let mut done = checkpoint(shared, &readers).await;
        let is_long = matches!(done, Ok(pages) if pages >= PAGES_MAX);
        if is_long && asked_at.elapsed() >= FINISH_EVERY {
            // Once more for what came meanwhile, so that little is left.
            done = checkpoint(shared, &readers).await;
            asked_at = Instant::now();
            log.finish.store(true, Ordering::Relaxed);
        }
        match done {
            Ok(_) => {}
            Err(error) => match failure::write(&error) {
                // A full disk, most likely; the log keeps what it has.
                Append::Written | Append::NotWritten(_) => {
                    tracing::warn!(%error, "the write-ahead log could not be checkpointed");
                    sleep(PAUSE).await;
                    log.grown.fetch_add(1, Ordering::Relaxed);
                }
                Append::Unknown(reason) => {
                    stop(shared, reason);
                    return;
                }
            },
        }
    }
}

/// An I/O error concerns the whole file, whichever connection it hits.
fn stop(shared: &Shared, reason: String) {
    let broken = Input::Broken {
        reason: reason.clone(),
    };
    shared
        .core
        .write()
        .pipeline
        .handle_input(broken, clocks::read());
    (shared.options.on_unknown)(&reason);
}

/// Copies what can be copied. Gives how many pages the log has.
async fn checkpoint(shared: &Shared, readers: &Readers) -> Result<i64, db::Error> {
    let begun = Instant::now();
    let mut conn = readers.acquire().await?;
    let (pages, _) = sqlite::checkpoint(&mut conn).await?;
    shared.times.checkpointed(begun.elapsed());
    Ok(pages)
}
