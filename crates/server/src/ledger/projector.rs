//! Puts the journal into the binding history and the audit: what the writer
//! hands on, and after a start or when it is behind what it reads.

use std::io;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use maskline_journal::batch::Batch;
use maskline_journal::feed::Next;
use maskline_journal::replay::Decoded;
use maskline_store::db::{self, Readers};
use maskline_store::maintenance::Maintenance;
use maskline_store::records::projection::Projection;
use maskline_store::{directory, journal};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::owners::{self, Filling};
use super::{Ledger, Shared, background};

/// Rows after which a projection is written.
const ROWS: usize = 200;
/// Batches taken or read at a time.
const BATCHES: usize = 64;
/// How long to wait after something went wrong.
const PAUSE: Duration = Duration::from_secs(1);

pub(super) fn start(
    shared: Arc<Shared>,
    filling: Option<Filling>,
    closing: CancellationToken,
) -> io::Result<JoinHandle<()>> {
    background::spawn("maskline-projector", move || async move {
        run(&Ledger { shared }, filling, closing).await;
    })
}

async fn run(ledger: &Ledger, mut filling: Option<Filling>, closing: CancellationToken) {
    let shared = &*ledger.shared;
    let mut tip = shared.tip.subscribe();
    let readers = loop {
        match directory::readers(&shared.options.dir, 1).await {
            Ok(readers) => break readers,
            Err(error) => {
                tracing::error!(%error, "the projector cannot read the database");
                if paused(&closing).await {
                    return;
                }
            }
        }
    };
    loop {
        let seq = *shared.projected.borrow();
        let piece = filling.take_if(|filling| seq >= filling.until);
        let is_filling = piece.is_some();
        if let Some(piece) = piece {
            let filled = tokio::select! {
                filled = owners::fill(ledger, &readers, piece) => filled,
                () = closing.cancelled() => return,
            };
            match filled {
                Ok(left) => filling = left,
                // Operators alone read what has no owner, so nothing is given away meanwhile.
                Err(error) => tracing::warn!(
                    %error,
                    "whose older bindings were is not known yet; tried again at the next start"
                ),
            }
        }
        let step = async {
            // Between pieces only what is there is projected, and the next one is not kept waiting.
            if is_filling && *tip.borrow() <= seq {
                return Ok(());
            }
            // What is waited for borrows the value, so it is let go at once.
            if tip.wait_for(|&tip| tip > seq).await.is_err() {
                return Ok(());
            }
            project(shared, &readers, seq).await
        };
        let outcome = tokio::select! {
            outcome = step => outcome,
            () = closing.cancelled() => return,
        };
        if let Err(error) = outcome {
            tracing::warn!(%error, "the journal could not be read into the records; trying again");
            if paused(&closing).await {
                return;
            }
        }
    }
}

/// Waits a little; `true` when closing is asked for.
async fn paused(closing: &CancellationToken) -> bool {
    tokio::select! {
        () = sleep(PAUSE) => false,
        () = closing.cancelled() => true,
    }
}

/// A batch to be projected.
enum Source {
    HandedOn(Arc<Decoded>),
    Read(Batch),
}

/// Takes the next stretch of the journal after `seq`.
///
/// What was handed on and could not be written is read at the next try: the
/// history has not got so far then, and an erasure waits until it has.
async fn project(shared: &Shared, readers: &Readers, seq: u64) -> Result<(), ProjectError> {
    let tip = *shared.tip.borrow();
    let batches: Vec<Source> = match shared.feeds.projection.next(seq, tip, BATCHES) {
        Next::Nothing => return Ok(()),
        Next::Batches(batches) => batches.into_iter().map(Source::HandedOn).collect(),
        Next::Journal { from, upto } => {
            let mut conn = readers.acquire().await?;
            let read = journal::read(&mut conn, from, (upto + 1 - from) as u32).await?;
            read.into_iter().map(Source::Read).collect()
        }
    };
    let mut batches = batches.into_iter().peekable();
    while batches.peek().is_some() {
        let mut next = Projection::default();
        while next.rows() < ROWS
            && let Some(batch) = batches.next()
        {
            match batch {
                Source::HandedOn(batch) => next.take(batch.tip.seq, &batch.opened),
                Source::Read(batch) => next.add(&batch, &shared.options.codec)?,
            }
        }
        let reached = next.seq;
        shared.maintain(Maintenance::Project(next)).await?;
        shared.projected.send_replace(reached);
    }
    Ok(())
}

#[derive(Debug, thiserror::Error)]
enum ProjectError {
    #[error(transparent)]
    Database(#[from] db::Error),
    #[error(transparent)]
    Payload(#[from] maskline_journal::payload::PayloadError),
}

#[cfg(test)]
mod tests;
