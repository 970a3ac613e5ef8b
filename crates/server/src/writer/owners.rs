//! Filling in whose bindings were, in a history of before that was kept. Done
//! once for a data directory, in the background.

use maskline_domain::{Owner, SubsId};
use maskline_store::records::history;
use maskline_store::records::owners::Owners;
use maskline_store::recovery::Recovered;
use maskline_store::work::Chore;
use maskline_store::{journal, meta};
use sqlx::SqlitePool;
use sqlx::sqlite::SqliteConnection;

use super::Shared;

/// The fact of the store that says it was done.
const DONE: &str = "history_owners";
/// Batches read at a time.
const BATCHES: u32 = 64;
/// Rows filled in one chore.
const ROWS: usize = 200;

/// What is to be filled in, once the history holds batch `until`.
pub(super) struct Filling {
    owners: Owners,
    /// The last batch that may tell of a binding without its owner.
    pub until: u64,
}

#[derive(Debug, thiserror::Error)]
pub(super) enum FillError {
    #[error(transparent)]
    Database(#[from] sqlx::Error),
    #[error(transparent)]
    Payload(#[from] maskline_store::payload::PayloadError),
    /// Batches were pruned that had not been read yet.
    #[error("the journal was cut while it was read")]
    Cut,
}

/// What there is to be filled in, given what was recovered and the last batch
/// in the history.
pub(super) async fn wanted(
    conn: &mut SqliteConnection,
    recovered: &Recovered,
    projected: u64,
) -> Result<Option<Filling>, sqlx::Error> {
    if meta::get(conn, DONE).await?.is_some() {
        return Ok(None);
    }
    let until = recovered.tip.seq;
    if projected < until || history::any_unowned(conn).await? {
        let owners = Owners::new(&recovered.state);
        return Ok(Some(Filling { owners, until }));
    }
    meta::set(conn, DONE, "yes").await?;
    Ok(None)
}

/// Fills it in. Rows of which the journal does not tell enough stay as they
/// are; operators alone read those.
pub(super) async fn fill(
    shared: &Shared,
    readers: &SqlitePool,
    filling: Filling,
) -> Result<(), FillError> {
    let Filling { mut owners, until } = filling;
    let first = {
        let mut conn = readers.acquire().await?;
        journal::first(&mut conn).await?.unwrap_or(1)
    };
    let is_whole = first == 1;
    if !is_whole {
        let mut next = first;
        while next <= until {
            let batches = batches(readers, next, until).await?;
            for batch in &batches {
                owners.look_ahead(batch)?;
            }
            next += batches.len() as u64;
        }
    }
    owners.begin(is_whole);
    let (mut next, mut filled) = (first, 0);
    let mut found: Vec<(SubsId, Owner)> = Vec::new();
    while next <= until {
        let batches = batches(readers, next, until).await?;
        for batch in &batches {
            found.extend(owners.follow(batch)?);
        }
        next += batches.len() as u64;
        while found.len() >= ROWS || (next > until && !found.is_empty()) {
            let some = found.split_off(found.len().saturating_sub(ROWS));
            filled += shared.chore(Chore::FillOwners(some)).await?;
        }
    }
    let (name, value) = (DONE.to_owned(), "yes".to_owned());
    shared.chore(Chore::SetMeta { name, value }).await?;
    if filled > 0 {
        tracing::info!(
            bindings = filled,
            "the history knows now whose bindings were"
        );
    }
    Ok(())
}

/// The batches from `next` on, without a gap, at least one.
async fn batches(
    readers: &SqlitePool,
    next: u64,
    until: u64,
) -> Result<Vec<journal::Batch>, FillError> {
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
