//! Filling in whose bindings were, in a history of before that was kept. Done
//! once for a data directory, in the background.

use maskline_domain::{Owner, SubsId};
use maskline_journal::batch::Batch;
use maskline_journal::pipeline::Touch;
use maskline_store::db::{self, Connection, Readers};
use maskline_store::maintenance::Maintenance;
use maskline_store::records::history;
use maskline_store::records::owners::Owners;
use maskline_store::{journal, meta};

use super::{Ledger, ReadError};

/// The fact of the store that says it was done.
const DONE: &str = "history_owners";
/// Batches read in a piece.
const BATCHES: u32 = 64;
/// Rows filled in one piece of maintenance.
const ROWS: usize = 200;

/// What is to be filled in, once the history holds batch `until`, and how far
/// that is.
pub(super) struct Filling {
    /// The last batch that may tell of a binding without its owner.
    pub until: u64,
    stage: Stage,
}

enum Stage {
    /// Nothing was read yet.
    Waiting,
    /// The journal has lost its beginning, so it is read twice. Where numbers
    /// are was copied before batch `to` was followed by another.
    Ahead {
        owners: Owners,
        first: u64,
        next: u64,
        to: u64,
    },
    /// Batches before `next` were followed.
    Following {
        owners: Owners,
        next: u64,
        filled: u64,
    },
}

#[derive(Debug, thiserror::Error)]
pub(super) enum FillError {
    #[error(transparent)]
    Database(#[from] db::Error),
    #[error(transparent)]
    Payload(#[from] maskline_journal::payload::PayloadError),
    #[error(transparent)]
    State(#[from] ReadError),
    /// Batches were pruned that had not been read yet.
    #[error("the journal was cut while it was read")]
    Cut,
}

/// What there is to be filled in, given the newest batch and the last one in
/// the history.
pub(super) async fn wanted(
    conn: &mut Connection,
    tip: u64,
    projected: u64,
) -> Result<Option<Filling>, db::Error> {
    if meta::get(conn, DONE).await?.is_some() {
        return Ok(None);
    }
    if projected < tip || history::any_unowned(conn).await? {
        let (until, stage) = (tip, Stage::Waiting);
        return Ok(Some(Filling { until, stage }));
    }
    meta::set(conn, DONE, "yes").await?;
    Ok(None)
}

/// Fills in a piece: what one read of the journal tells. Gives what is left,
/// `None` if all was done. Rows of which the journal does not tell enough stay
/// as they are; operators alone read those.
pub(super) async fn fill(
    ledger: &Ledger,
    readers: &Readers,
    filling: Filling,
) -> Result<Option<Filling>, FillError> {
    let until = filling.until;
    let codec = &ledger.shared.options.codec;
    let stage = match filling.stage {
        Stage::Waiting => begin(ledger, readers).await?,
        Stage::Ahead {
            mut owners,
            first,
            next,
            to,
        } if next <= to => {
            let batches = batches(readers, next, to).await?;
            for batch in &batches {
                owners.look_ahead(batch, codec)?;
            }
            let next = next + batches.len() as u64;
            Stage::Ahead {
                owners,
                first,
                next,
                to,
            }
        }
        Stage::Ahead {
            mut owners, first, ..
        } => {
            owners.begin(false);
            let (next, filled) = (first, 0);
            Stage::Following {
                owners,
                next,
                filled,
            }
        }
        Stage::Following {
            mut owners,
            next,
            mut filled,
        } if next <= until => {
            let batches = batches(readers, next, until).await?;
            let mut found: Vec<(SubsId, Owner)> = Vec::new();
            for batch in &batches {
                found.extend(owners.follow(batch, codec)?);
            }
            while !found.is_empty() {
                let some = found.split_off(found.len().saturating_sub(ROWS));
                filled += ledger
                    .shared
                    .maintain(Maintenance::FillOwners(some))
                    .await?;
            }
            let next = next + batches.len() as u64;
            Stage::Following {
                owners,
                next,
                filled,
            }
        }
        Stage::Following { filled, .. } => {
            let (name, value) = (DONE.to_owned(), "yes".to_owned());
            ledger
                .shared
                .maintain(Maintenance::SetMeta { name, value })
                .await?;
            if filled > 0 {
                tracing::info!(
                    bindings = filled,
                    "the history knows now whose bindings were"
                );
            }
            return Ok(None);
        }
    };
    Ok(Some(Filling { until, stage }))
}

async fn begin(ledger: &Ledger, readers: &Readers) -> Result<Stage, FillError> {
    let first = {
        let mut conn = readers.acquire().await?;
        journal::first(&mut conn).await?.unwrap_or(1)
    };
    if first == 1 {
        let pools = |state: &_, _| Owners::of_whole(state);
        let mut owners = ledger.read(Touch::Lists, pools).await?;
        owners.begin(true);
        let (next, filled) = (first, 0);
        return Ok(Stage::Following {
            owners,
            next,
            filled,
        });
    }
    let places = |state: &_, _| Owners::new(state);
    let owners = ledger.read(Touch::Scan, places).await?;
    // What was read is durable by now, so no batch after this one was in it. A
    // number that moved since is told of, and so is not taken to have been there.
    let to = ledger.status().seq;
    let next = first;
    Ok(Stage::Ahead {
        owners,
        first,
        next,
        to,
    })
}

/// The batches from `next` on, without a gap, at least one.
async fn batches(readers: &Readers, next: u64, until: u64) -> Result<Vec<Batch>, FillError> {
    let wanted = (until + 1 - next).min(BATCHES.into()) as u32;
    let mut conn = readers.acquire().await?;
    let batches = journal::read(&mut conn, next, wanted).await?;
    let is_next = batches.first().is_some_and(|batch| batch.seq == next);
    if is_next {
        Ok(batches)
    } else {
        Err(FillError::Cut)
    }
}
