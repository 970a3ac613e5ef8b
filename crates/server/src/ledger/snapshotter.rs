//! Keeps the journal short: writes snapshots, and drops what they and the
//! retention have made superfluous.
//!
//! A snapshot is made from a state of the snapshotter's own, brought up from the
//! tables as a start would do it, so it is also a rehearsal of the next start;
//! while none is being made, that state takes no memory.

use maskline_store::Zstd;
use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use maskline_journal::payload::WRITER;
use maskline_journal::snapshot::{Parts, Seal};
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
/// How often the retention is looked at.
const PRUNE_EVERY: Duration = Duration::from_secs(600);
/// After so many events a snapshot is made whatever the options say, since
/// they are what a start has to replay;
const EVENTS_MAX: u64 = 1_000_000;
/// but for that reason not more often than this.
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
}

pub(super) fn start(shared: Arc<Shared>, closing: CancellationToken) -> io::Result<JoinHandle<()>> {
    background::spawn("maskline-snapshotter", move || async move {
        run(&shared, closing).await;
    })
}

async fn run(shared: &Shared, closing: CancellationToken) {
    let mut pruned_at: Option<Instant> = None;
    let mut taken_at: Option<Instant> = None;
    loop {
        let work = async {
            sleep(LOOK_EVERY).await;
            if is_due(shared, taken_at) {
                let _alone = shared.keeping.lock().await;
                take_snapshot(shared).await?;
                taken_at = Some(Instant::now());
                pruned_at = None;
            }
            if pruned_at.is_none_or(|at| at.elapsed() >= PRUNE_EVERY) {
                let _alone = shared.keeping.lock().await;
                tidy(shared).await?;
                pruned_at = Some(Instant::now());
            }
            Ok::<(), SnapshotterError>(())
        };
        let outcome = tokio::select! {
            outcome = work => outcome,
            () = closing.cancelled() => return,
        };
        if let Err(error) = outcome {
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
    let many = shared.appended.events.load(Ordering::Relaxed) >= EVENTS_MAX
        && taken_at.is_none_or(|at| at.elapsed() >= APART);
    many || shared.appended.batches.load(Ordering::Relaxed) >= options.snapshot_every_batches
        || shared.appended.bytes.load(Ordering::Relaxed) >= options.snapshot_every_bytes
}

/// Writes a snapshot of the newest durable batch. Says which one that was. The
/// caller holds `keeping`, here and in [`tidy`].
pub(super) async fn take_snapshot(shared: &Shared) -> Result<u64, SnapshotterError> {
    let begun = Instant::now();
    let readers = directory::readers(&shared.options.dir, 1).await?;
    let upto = *shared.tip.borrow();
    let batches = shared.appended.batches.load(Ordering::Relaxed);
    let events = shared.appended.events.load(Ordering::Relaxed);
    let bytes = shared.appended.bytes.load(Ordering::Relaxed);
    drop_unsealed(shared, &readers).await?;
    let recovered = {
        let mut conn = readers.acquire().await?;
        recover(&mut conn, Some(upto), |_| ()).await?
    };
    let seq = recovered.tip.seq;
    if seq == 0 || recovered.snapshot.is_some_and(|seal| seal.seq == seq) {
        return Ok(seq);
    }
    let mut parts = Parts::new(&Zstd);
    let mut part = 0;
    for row in recovered.state.rows() {
        if let Some(payload) = parts.push(&row) {
            shared
                .maintain(Maintenance::SnapshotPart { seq, part, payload })
                .await?;
            part += 1;
        }
    }
    let total = parts.finish();
    if let Some(payload) = total.part {
        shared
            .maintain(Maintenance::SnapshotPart { seq, part, payload })
            .await?;
        part += 1;
    }
    let seal = Seal {
        seq,
        at: recovered.state.now().0,
        hash: recovered.tip.hash.to_string(),
        parts: part,
        rows: total.rows,
        digest: total.digest.to_string(),
        writer: WRITER.to_owned(),
    };
    shared
        .maintain(Maintenance::SnapshotSeal(Box::new(seal)))
        .await?;
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
        took_ms = begun.elapsed().as_millis() as u64,
        "snapshot written"
    );
    Ok(seq)
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
            digest: String::new(),
            writer: String::new(),
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
