//! From the tables back to a state: the newest snapshot that holds, and the
//! journal after it.

use maskline_domain::State;
use maskline_journal::Codec;
use maskline_journal::batch::{Batch, Tip};
use maskline_journal::replay::{Decoded, ReplayError, apply, count, decode};
use maskline_journal::snapshot::Seal;

use crate::db::{Connection, Error};
use crate::journal;
use crate::read_ahead::Ahead;
use crate::snapshot::{self, SnapshotError};

/// Batches read from the journal at a time.
const ROWS_AT_A_TIME: u32 = 256;

/// Why no state can be made.
#[derive(Debug, thiserror::Error)]
pub enum RecoverError {
    /// The journal does not begin where the snapshots end.
    #[error("the journal begins at batch {first} and no snapshot of an earlier batch can be read")]
    NoBeginning {
        /// Its oldest batch.
        first: u64,
    },
    /// The chain is broken, or a batch cannot be read.
    #[error(transparent)]
    Replay(#[from] ReplayError),
    /// A snapshot is of a later batch than the newest one.
    #[error("there is a snapshot of batch {seq}, but the journal ends at {tip}")]
    Ahead {
        /// The snapshot's batch.
        seq: u64,
        /// The newest batch.
        tip: u64,
    },
    /// No thread can be started to read it.
    #[error("cannot start a thread: {0}")]
    Thread(std::io::Error),
    /// The database said no.
    #[error("cannot read the journal: {0}")]
    Database(#[from] Error),
}

/// How far a recovery has come; told now and then.
#[derive(Debug)]
pub enum Progress {
    /// A snapshot cannot be used; the one before it is tried.
    SnapshotFailed(SnapshotError),
    /// The state of a snapshot is in memory.
    SnapshotLoaded {
        /// The snapshot's batch.
        seq: u64,
        /// How many rows it had.
        rows: u64,
    },
    /// The journal is replayed up to here.
    Replayed {
        /// The batch reached.
        seq: u64,
        /// The last one.
        of: u64,
        /// Events applied so far.
        events: u64,
    },
}

/// A state and what it was made of.
#[derive(Debug)]
pub struct Recovered {
    /// Holds everything up to `tip`.
    pub state: State,
    /// The newest batch.
    pub tip: Tip,
    /// The snapshot that it began with, if any.
    pub snapshot: Option<Seal>,
    /// Events replayed after it.
    pub events: u64,
    /// Bytes of the journal replayed after it.
    pub bytes: u64,
}

/// Makes the newest state, or with `upto` the state after that batch (which is
/// not before the newest snapshot).
///
/// # Errors
/// [`RecoverError`]; nothing was changed.
pub async fn recover(
    conn: &mut Connection,
    codec: &Codec,
    upto: Option<u64>,
    mut progress: impl FnMut(Progress),
) -> Result<Recovered, RecoverError> {
    let (mut state, mut tip, snapshot) = begin(conn, codec, &mut progress).await?;
    let newest = journal::tip(conn).await?;
    if tip.seq > newest.seq {
        return Err(RecoverError::Ahead {
            seq: tip.seq,
            tip: newest.seq,
        });
    }
    let mut decoder = Ahead::start({
        let mut tip = tip;
        let codec = codec.clone();
        move |batches: Vec<Batch>| -> Result<Vec<Decoded>, ReplayError> {
            batches
                .iter()
                .map(|batch| decode(&mut tip, batch, &codec))
                .collect()
        }
    })
    .map_err(RecoverError::Thread)?;
    let upto = upto.unwrap_or(u64::MAX).min(newest.seq);
    let (mut events, mut bytes) = (0, 0);
    let mut read = tip.seq;
    loop {
        let rows_max = u64::from(ROWS_AT_A_TIME).min(upto.saturating_sub(read)) as u32;
        let batches = journal::read(conn, read + 1, rows_max).await?;
        let is_end = batches.is_empty();
        if let Some(last) = batches.last() {
            read = last.seq;
            decoder.send(batches);
        }
        while let Some(decoded) = decoder.take(if is_end { 0 } else { 2 }) {
            for batch in decoded? {
                apply(&mut state, &batch.opened);
                tip = batch.tip;
                events += count(&batch.opened);
                bytes += batch.bytes;
            }
            progress(Progress::Replayed {
                seq: tip.seq,
                of: newest.seq,
                events,
            });
        }
        if is_end {
            break;
        }
    }
    Ok(Recovered {
        state,
        tip,
        snapshot,
        events,
        bytes,
    })
}

/// The state of the newest snapshot that holds, or an empty one if the journal
/// is whole.
async fn begin(
    conn: &mut Connection,
    codec: &Codec,
    progress: &mut impl FnMut(Progress),
) -> Result<(State, Tip, Option<Seal>), RecoverError> {
    for (_, seal) in snapshot::list(conn).await? {
        let Some(seal) = seal else { continue };
        let Some(hash) = seal.tip_hash() else {
            continue;
        };
        match load(conn, codec, &seal).await {
            Ok(state) => {
                let tip = Tip {
                    seq: seal.seq,
                    hash,
                };
                progress(Progress::SnapshotLoaded {
                    seq: seal.seq,
                    rows: seal.rows,
                });
                return Ok((state, tip, Some(seal)));
            }
            Err(SnapshotError::Database(error)) => return Err(error.into()),
            Err(error) => progress(Progress::SnapshotFailed(error)),
        }
    }
    match journal::first(conn).await? {
        None | Some(1) => Ok((State::default(), Tip::GENESIS, None)),
        Some(first) => Err(RecoverError::NoBeginning { first }),
    }
}

/// The state of one snapshot.
///
/// # Errors
/// [`SnapshotError`].
pub async fn load(
    conn: &mut Connection,
    codec: &Codec,
    seal: &Seal,
) -> Result<State, SnapshotError> {
    let mut restoring = State::restoring();
    snapshot::load(conn, codec, seal, |rows| restoring.put(rows)).await?;
    Ok(restoring.finish())
}
