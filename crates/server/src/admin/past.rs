//! The state as it was at a moment in the past, made from the journal; or, for one number, from the history of bindings.

mod by_history;

use std::path::Path;

use maskline_domain::{State, Timestamp};
use maskline_journal::Codec;
use maskline_journal::batch::Tip;
use maskline_store::db::Connection;
use maskline_store::recovery::{self, RecoverError};
use maskline_store::snapshot::{self, SnapshotError};
use maskline_store::{directory, journal};

pub use self::by_history::state_of;
use super::AdminError;

/// Batches read at a time.
const BATCHES: u32 = 256;

/// The state after everything that was decided up to `at`; none if the journal does not reach back so far. Takes the
/// memory and the time of a start, so callers do one at a time.
///
/// # Errors
/// When the journal cannot be read.
pub async fn state_at(
    data: &Path,
    codec: &Codec,
    at: Timestamp,
) -> Result<Option<State>, AdminError> {
    let fault = |error: &dyn std::fmt::Display| AdminError::Internal(format!("the past: {error}"));
    let readers = directory::readers(data, 1)
        .await
        .map_err(|error| fault(&error))?;
    let mut conn = readers.acquire().await.map_err(|error| fault(&error))?;
    let after = journal::first_at(&mut conn, at.plus_millis(1).0).await;
    let last = match after.map_err(|error| fault(&error))? {
        Some(first_after) => first_after - 1,
        None => {
            journal::tip(&mut conn)
                .await
                .map_err(|error| fault(&error))?
                .seq
        }
    };
    let begin = beginning(&mut conn, codec, last, at).await;
    let Some((mut state, mut tip)) = begin.map_err(|error| fault(&error))? else {
        return Ok(None);
    };
    while tip.seq < last {
        let wanted = (last - tip.seq).min(BATCHES.into()) as u32;
        let batches = journal::read(&mut conn, tip.seq + 1, wanted)
            .await
            .map_err(|error| fault(&error))?;
        if batches.is_empty() {
            return Ok(None);
        }
        for batch in &batches {
            maskline_journal::replay::follow(&mut state, &mut tip, batch, codec)
                .map_err(|error| fault(&error))?;
        }
    }
    Ok(Some(state))
}

/// The newest snapshot that is neither after batch `last` nor of a later moment than `at`, or an empty state if the
/// journal is whole.
async fn beginning(
    conn: &mut Connection,
    codec: &Codec,
    last: u64,
    at: Timestamp,
) -> Result<Option<(State, Tip)>, RecoverError> {
    for (seq, seal) in snapshot::list(conn).await? {
        // Where the batches before it are gone, the first one after `at` may stand right behind a snapshot of later.
        let Some(seal) = seal.filter(|seal| seq <= last && seal.at <= at.0) else {
            continue;
        };
        let Some(hash) = seal.tip_hash() else {
            continue;
        };
        match recovery::load(conn, codec, &seal).await {
            Ok(state) => return Ok(Some((state, Tip { seq, hash }))),
            Err(SnapshotError::Database(error)) => return Err(error.into()),
            // One that cannot be used is like none.
            Err(_) => {}
        }
    }
    let whole = matches!(journal::first(conn).await?, None | Some(1));
    Ok(whole.then(|| (State::default(), Tip::GENESIS)))
}
