//! Keeps the journal short: writes snapshots, and drops what they and the
//! retention have made superfluous.
//!
//! A snapshot is made from a state of the snapshotter's own, brought up from the
//! tables as a start would do it, so it is also a rehearsal of the next start;
//! while none is being made, that state takes no memory. Only when one follows
//! closely upon another is it kept in between, and takes in what the writer hands
//! on: then no batch is read again, and the next snapshot begins at once.

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use maskline_domain::State;
use maskline_journal::batch::{ChainError, Tip};
use maskline_journal::feed::Next;
use maskline_journal::payload::WRITER;
use maskline_journal::replay::{self, ReplayError};
use maskline_journal::snapshot::{Parts, Seal};
use maskline_sealing::Exhausted;
use maskline_store::db::{self, Readers};
use maskline_store::directory::{self, OpenError};
use maskline_store::journal;
use maskline_store::maintenance::Maintenance;
use maskline_store::records::projection;
use maskline_store::recovery::{RecoverError, recover};
use maskline_store::snapshot;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::Shared;
use super::background;
use crate::clocks;

/// How often the snapshotter looks whether there is anything to do.
const LOOK_EVERY: Duration = Duration::from_secs(2);
/// How often a state that is kept takes in what was handed on: more often than
/// a feed fills.
const FOLLOW_EVERY: Duration = Duration::from_millis(50);
/// A state is kept after a snapshot if the one before it was made no longer ago
/// than this, and let go if no other is due for as long.
const KEPT_MAX: Duration = Duration::from_secs(600);
/// A state that has been kept for so long is let go after a snapshot: once in a
/// while each is to be a rehearsal of the next start.
const REHEARSED_EVERY: Duration = Duration::from_secs(3_600);
/// Batches that a kept state takes in at a time.
const BATCHES: usize = 64;
/// How often the retention is looked at.
const PRUNE_EVERY: Duration = Duration::from_secs(600);
/// Because of what a start would have to replay ([`tail`](maskline_journal::tail)) a snapshot is made whatever the
/// options say, but not more often than this, unless it presses.
const APART: Duration = Duration::from_secs(20);
/// How long to wait after something went wrong.
const PAUSE: Duration = Duration::from_secs(30);
/// Batches dropped at a time.
const PRUNED_AT_A_TIME: u32 = 64;
/// Parts of a snapshot dropped at a time.
const PARTS_AT_A_TIME: u32 = 1;

/// Why a snapshot was not made.
#[derive(Debug, thiserror::Error)]
pub(super) enum SnapshotterError {
    #[error(transparent)]
    Database(#[from] db::Error),
    #[error(transparent)]
    Open(#[from] OpenError),
    #[error(transparent)]
    Recover(#[from] RecoverError),
    #[error(transparent)]
    Replay(#[from] ReplayError),
    #[error(transparent)]
    Chain(#[from] ChainError),
    #[error(transparent)]
    Exhausted(#[from] Exhausted),
}

/// The state that snapshots are made of.
pub(super) struct Kept {
    state: State,
    tip: Tip,
    /// The newest batch of which there is a snapshot; 0 without any.
    snapshot: u64,
    /// When it was brought up from the tables.
    since: Instant,
}

pub(super) fn start(shared: Arc<Shared>, closing: CancellationToken) -> io::Result<JoinHandle<()>> {
    background::spawn("maskline-snapshotter", move || async move {
        run(&shared, closing).await;
    })
}

async fn run(shared: &Shared, closing: CancellationToken) {
    let mut pruned_at: Option<Instant> = None;
    let mut taken_at: Option<Instant> = None;
    let mut is_kept = false;
    loop {
        let work = async {
            sleep(if is_kept { FOLLOW_EVERY } else { LOOK_EVERY }).await;
            let mut keeping = shared.keeping.lock().await;
            if taken_at.is_none_or(|at| at.elapsed() >= KEPT_MAX) {
                let_go(shared, &mut keeping);
            }
            if let Some(kept) = follow_up(shared, keeping.take()).await? {
                *keeping = Some(kept);
            }
            if is_due(shared, taken_at) {
                let again_soon = taken_at.is_some_and(|at| at.elapsed() < KEPT_MAX);
                let kept = take_snapshot(shared, keeping.take()).await?;
                if again_soon && kept.since.elapsed() < REHEARSED_EVERY {
                    *keeping = Some(kept);
                } else {
                    shared.feeds.snapshots.leave();
                }
                taken_at = Some(Instant::now());
                pruned_at = None;
            }
            if pruned_at.is_none_or(|at| at.elapsed() >= PRUNE_EVERY) {
                tidy(shared).await?;
                pruned_at = Some(Instant::now());
            }
            is_kept = keeping.is_some();
            Ok::<(), SnapshotterError>(())
        };
        let outcome = tokio::select! {
            outcome = work => outcome,
            () = closing.cancelled() => return,
        };
        if let Err(error) = outcome {
            shared.feeds.snapshots.leave();
            tracing::warn!(%error, "no snapshot could be made; trying again later");
            tokio::select! {
                () = sleep(PAUSE) => {}
                () = closing.cancelled() => return,
            }
        }
    }
}

fn is_due(shared: &Shared, taken_at: Option<Instant>) -> bool {
    let options = &shared.options;
    let tail = shared.appended.tail();
    let many = tail.wants_snapshot() && taken_at.is_none_or(|at| at.elapsed() >= APART);
    many || tail.is_pressing()
        || shared.appended.batches.load(Ordering::Relaxed) >= options.snapshot_every_batches
        || shared.appended.bytes.load(Ordering::Relaxed) >= options.snapshot_every_bytes
}

/// Lets a kept state go, and what waits for it.
pub(super) fn let_go(shared: &Shared, keeping: &mut Option<Kept>) {
    if keeping.take().is_some() {
        shared.feeds.snapshots.leave();
    }
}

/// Brings a state that is kept up to the newest durable batch.
async fn follow_up(shared: &Shared, kept: Option<Kept>) -> Result<Option<Kept>, SnapshotterError> {
    let Some(mut kept) = kept else {
        return Ok(None);
    };
    let upto = *shared.tip.borrow();
    follow(shared, &mut kept, upto).await?;
    Ok(Some(kept))
}

/// Brings a state up to batch `upto` or a little further: by what the writer
/// has handed on, or from the journal where it is behind that. After an error
/// it must not be used any more.
async fn follow(shared: &Shared, kept: &mut Kept, upto: u64) -> Result<(), SnapshotterError> {
    let mut readers = None;
    while kept.tip.seq < upto {
        match shared.feeds.snapshots.next(kept.tip.seq, upto, BATCHES) {
            Next::Nothing => return Ok(()),
            Next::Batches(batches) => {
                for batch in batches {
                    replay::take_in(&mut kept.state, &mut kept.tip, &batch)?;
                }
            }
            Next::Journal { from, upto } => {
                let readers = match &readers {
                    Some(readers) => readers,
                    None => readers.insert(directory::readers(&shared.options.dir, 1).await?),
                };
                let batches = {
                    let mut conn = readers.acquire().await?;
                    journal::read(&mut conn, from, (upto + 1 - from) as u32).await?
                };
                if batches.is_empty() {
                    let (expected, found) = (from, upto + 1);
                    return Err(ChainError::Gap { expected, found }.into());
                }
                for batch in &batches {
                    let codec = &shared.options.codec;
                    replay::follow(&mut kept.state, &mut kept.tip, batch, codec)?;
                }
            }
        }
    }
    Ok(())
}

/// Writes a snapshot of a batch that is not older than the newest durable one
/// of this moment, from a state that was kept, or else from the tables. Gives
/// the state that it was made of. The caller holds `keeping`, here and in
/// [`tidy`].
pub(super) async fn take_snapshot(
    shared: &Shared,
    kept: Option<Kept>,
) -> Result<Kept, SnapshotterError> {
    let begun = Instant::now();
    let _snapshotting = shared.appended.snapshotting();
    let readers = directory::readers(&shared.options.dir, 1).await?;
    let upto = *shared.tip.borrow();
    let batches = shared.appended.batches.load(Ordering::Relaxed);
    let events = shared.appended.events.load(Ordering::Relaxed);
    let bytes = shared.appended.bytes.load(Ordering::Relaxed);
    drop_unsealed(shared, &readers).await?;
    let was_kept = kept.is_some();
    let mut kept = match kept {
        Some(kept) => kept,
        None => read(shared, &readers, upto).await?,
    };
    follow(shared, &mut kept, upto).await?;
    let seq = kept.tip.seq;
    if seq == kept.snapshot {
        return Ok(kept);
    }
    let mut parts = Parts::new(shared.options.codec.clone(), seq);
    let mut part = 0;
    let mut oldest_reader = 1;
    for row in kept.state.rows() {
        oldest_reader = oldest_reader.max(row.oldest_reader());
        if let Some(payload) = parts.push(row)? {
            shared
                .maintain(Maintenance::SnapshotPart { seq, part, payload })
                .await?;
            part += 1;
        }
    }
    let total = parts.finish()?;
    if let Some(payload) = total.part {
        shared
            .maintain(Maintenance::SnapshotPart { seq, part, payload })
            .await?;
        part += 1;
    }
    let seal = Seal {
        seq,
        at: kept.state.now().0,
        hash: kept.tip.hash.to_string(),
        parts: part,
        rows: total.rows,
        bindings: total.bindings,
        digest: total.kept_digest.0.to_string(),
        digest_key: total.kept_digest.1.map(|id| id.0),
        writer: WRITER.to_owned(),
        oldest_reader: oldest_reader.max(total.oldest_reader),
    };
    shared
        .maintain(Maintenance::SnapshotSeal(Box::new(seal)))
        .await?;
    kept.snapshot = seq;
    shared
        .appended
        .batches
        .fetch_sub(batches, Ordering::Relaxed);
    shared.appended.events.fetch_sub(events, Ordering::Relaxed);
    shared.appended.bytes.fetch_sub(bytes, Ordering::Relaxed);
    tracing::info!(
        batch = seq,
        rows = total.rows,
        parts = part,
        from_memory = was_kept,
        took_ms = begun.elapsed().as_millis() as u64,
        "snapshot written"
    );
    Ok(kept)
}

/// The state after batch `upto`, from the tables.
async fn read(shared: &Shared, readers: &Readers, upto: u64) -> Result<Kept, SnapshotterError> {
    let mut conn = readers.acquire().await?;
    let recovered = recover(&mut conn, &shared.options.codec, Some(upto), |_| ()).await?;
    Ok(Kept {
        state: recovered.state,
        tip: recovered.tip,
        snapshot: recovered.snapshot.map_or(0, |seal| seal.seq),
        since: Instant::now(),
    })
}

/// Takes away what a crash left of a snapshot.
async fn drop_unsealed(shared: &Shared, readers: &Readers) -> Result<(), SnapshotterError> {
    let found = snapshot::list(&mut readers.acquire().await?).await?;
    for (seq, seal) in found {
        if seal.is_none() {
            drop_snapshot(shared, seq).await?;
        }
    }
    Ok(())
}

async fn drop_snapshot(shared: &Shared, seq: u64) -> Result<(), SnapshotterError> {
    let drop_some = || Maintenance::DropSnapshotParts {
        seq,
        parts_max: PARTS_AT_A_TIME,
    };
    while shared.maintain(drop_some()).await? > 0 {}
    Ok(())
}

/// Drops superfluous snapshots and batches.
pub(super) async fn tidy(shared: &Shared) -> Result<(), SnapshotterError> {
    let readers = directory::readers(&shared.options.dir, 1).await?;
    let found = snapshot::list(&mut readers.acquire().await?).await?;
    for seq in maskline_journal::snapshot::superfluous(&found, None) {
        drop_snapshot(shared, seq).await?;
    }
    let below = {
        let mut conn = readers.acquire().await?;
        let keep_from = clocks::read().wall.0 - shared.options.retention.as_millis() as i64;
        let kept = journal::first_at(&mut conn, keep_from).await?;
        let projected = projection::position(&mut conn).await?;
        prunable(&found, projected, kept)
    };
    let prune = || Maintenance::Prune {
        below,
        rows_max: PRUNED_AT_A_TIME,
    };
    while shared.maintain(prune()).await? > 0 {}
    Ok(())
}

/// The number below which batches may go: what the older of two snapshots
/// holds, what every projection has read, and what is older than the
/// retention (`kept` is the first batch that is not; `None` if all are older).
fn prunable(found: &[(u64, Option<Seal>)], projected: u64, kept: Option<u64>) -> u64 {
    let mut sealed = found.iter().filter(|(_, seal)| seal.is_some());
    match (sealed.next(), sealed.next()) {
        (Some(_), Some((older, _))) => (older + 1).min(projected + 1).min(kept.unwrap_or(u64::MAX)),
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sealed(seq: u64) -> (u64, Option<Seal>) {
        let seal = Seal {
            seq,
            at: 0,
            hash: String::new(),
            parts: 0,
            rows: 0,
            bindings: 0,
            digest: String::new(),
            digest_key: None,
            writer: String::new(),
            oldest_reader: 1,
        };
        (seq, Some(seal))
    }

    #[test]
    fn pruning_stops_at_the_older_snapshot_the_projection_and_the_retention() {
        let two = [sealed(90), sealed(60), sealed(30)];
        for (found, projected, kept, below) in [
            (&two[..], 1000, None, 61),
            (&two[..], 1000, Some(20), 20),
            (&two[..], 10, None, 11),
            (&two[..1], 1000, None, 0),
            (&[(95, None), sealed(90)][..], 1000, None, 0),
            (&[(95, None), sealed(90), sealed(60)][..], 1000, None, 61),
            (&[][..], 1000, None, 0),
        ] {
            assert_eq!(prunable(found, projected, kept), below);
        }
    }
}
