//! The thread that owns the write connection.
//!
//! Appends come first. Between two of them it writes a slice of call records
//! or does a piece of maintenance, each at most so often while commands are waiting.

mod turns;

use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use maskline_journal::Append;
use maskline_journal::batch::Hash;
use maskline_journal::payload::Draft;
use maskline_journal::pipeline::Input;
use maskline_journal::replay;
use maskline_store::db::{Connection, sqlite};
use maskline_store::directory::DataDir;
use maskline_store::failure::{self, Done};
use maskline_store::maintenance::do_maintenance;
use maskline_store::record_writes::write_records;
use maskline_store::{journal, meta};
use tokio::sync::mpsc;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use self::turns::{Turns, Wanted};
use super::call_records::QueuedWrite;
use super::{Caller, QueuedMaintenance, Shared};
use crate::clocks;

/// Records that somebody waits for are written at most this often, so that
/// those of one moment share a transaction;
const RECORDS_EVERY: Duration = Duration::from_millis(1);
/// under load less often: so much for each one after the first that the last
/// transaction had,
const RECORDS_LOADED: Duration = Duration::from_millis(4);
/// which nobody will notice who waits for a telephone to ring;
const RECORDS_LOADED_MAX: Duration = Duration::from_millis(20);
/// the others wait so long for company;
const RECORDS_GATHER: Duration = Duration::from_millis(20);
/// while commands wait, each transaction is at least so far from the last,
const RECORDS_EVERY_PRESSED: Duration = Duration::from_millis(4);
/// and they take no larger a part of the time than one in so many.
const RECORDS_SHARE: u32 = 4;
/// but never longer apart than this: somebody waits.
const RECORDS_HELD_MAX: Duration = Duration::from_millis(100);
/// Records written in one transaction at most.
const RECORDS_AT_A_TIME: usize = 64;
/// While commands wait, maintenance is done at most this often,
const MAINTENANCE_EVERY: Duration = Duration::from_millis(20);
/// and for no larger a part of the time than one in so many;
const MAINTENANCE_SHARE: u32 = 12;
/// a larger one when a snapshot presses.
const MAINTENANCE_SHARE_PRESSING: u32 = 2;
/// What a commit adds to the log besides the batch itself, in bytes: pages of
/// indexes, filling of pages.
const COMMIT_OVERHEAD: u64 = 16 << 10;
/// Between pieces of maintenance while commands are slowed.
const SLOWED_STEP: Duration = Duration::from_millis(5);
/// What one piece of maintenance is taken to add to the log, in bytes.
const MAINTENANCE_BYTES: u64 = 512 << 10;

/// What the thread is made of.
pub(super) struct Parts {
    pub shared: Arc<Shared>,
    pub dir: DataDir,
    pub conn: Connection,
    pub submissions: mpsc::Receiver<Input<Caller>>,
    pub records: mpsc::Receiver<QueuedWrite>,
    pub maintenance: mpsc::Receiver<QueuedMaintenance>,
    pub closing: CancellationToken,
}

/// Starts the thread. It ends when closing is asked for and all is written, or
/// when an outcome is unknown.
pub(super) fn start(parts: Parts) -> io::Result<JoinHandle<()>> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()?;
    let shared = Arc::clone(&parts.shared);
    let thread = Thread::new(parts);
    std::thread::Builder::new()
        .name("maskline-writer".to_owned())
        .spawn(move || {
            if let Err(Unknown(reason)) = runtime.block_on(thread.run()) {
                (shared.options.on_unknown)(&reason);
            }
        })
}

/// An outcome that nobody knows.
struct Unknown(String);

struct Thread {
    shared: Arc<Shared>,
    conn: Connection,
    dir: DataDir,
    records: mpsc::Receiver<QueuedWrite>,
    maintenance: mpsc::Receiver<QueuedMaintenance>,
    closing: CancellationToken,
    turns: Turns,
    records_taken: Vec<QueuedWrite>,
    /// When the first of them was taken.
    records_since: Instant,
    /// Whether somebody waits for one of them.
    records_awaited: bool,
    maintenance_taken: Option<QueuedMaintenance>,
    records_written: Instant,
    records_took: Duration,
    /// How many of them somebody waited for.
    records_urgent: u32,
    maintenance_after: Instant,
    was_slowed: bool,
    /// Events that were appended since commands could last be slowed for them.
    unpaused: u64,
}

impl Thread {
    fn new(parts: Parts) -> Self {
        let now = Instant::now();
        let Parts {
            shared,
            dir,
            conn,
            submissions,
            records,
            maintenance,
            closing,
        } = parts;
        Self {
            turns: Turns::new(Arc::clone(&shared), submissions),
            shared,
            conn,
            dir,
            records,
            maintenance,
            closing,
            records_taken: Vec::with_capacity(RECORDS_AT_A_TIME),
            records_since: now,
            records_awaited: false,
            maintenance_taken: None,
            records_written: now,
            records_took: Duration::ZERO,
            records_urgent: 0,
            maintenance_after: now,
            was_slowed: false,
            unpaused: 0,
        }
    }

    async fn run(mut self) -> Result<(), Unknown> {
        let mut wanted = Wanted::Nothing;
        loop {
            if matches!(wanted, Wanted::Nothing) {
                // Nothing is decided and not yet durable.
                if self.closing.is_cancelled() {
                    break;
                }
                self.keep_tail_short().await?;
                wanted = self.turns.take_in()?;
            }
            let was_idle = matches!(wanted, Wanted::Nothing);
            wanted = self.carry_out(wanted).await?;
            let is_pressed = self.turns.is_pressed() || !matches!(wanted, Wanted::Nothing);
            self.other_work(is_pressed).await?;
            if was_idle && !self.wait().await {
                break;
            }
        }
        self.finish().await
    }

    /// Does what the pipeline wants, and gives what it wants then.
    async fn carry_out(&mut self, wanted: Wanted) -> Result<Wanted, Unknown> {
        match wanted {
            Wanted::Append(draft) => self.append(draft).await,
            Wanted::Probe => self.probe().await,
            Wanted::Nothing => Ok(Wanted::Nothing),
        }
    }

    /// Appends a batch. Commands that come meanwhile are decided into the next one, which is what is wanted then.
    async fn append(&mut self, draft: Draft) -> Result<Wanted, Unknown> {
        let shared = Arc::clone(&self.shared);
        let (events, memory) = (draft.events() as u64, draft.memory());
        self.look_after_keys().await?;
        let (batch, decided) = match replay::seal(draft, &shared.options.codec) {
            Ok(sealed) => sealed,
            Err(exhausted) => {
                tracing::error!(%exhausted, "nothing can be sealed; serving reads only");
                // It never had one.
                let hash = Hash::GENESIS;
                let outcome = Append::NotWritten(exhausted.to_string());
                return self.turns.turn(Input::Appended { hash, outcome });
            }
        };
        let bytes = decided.bytes;
        let is_slowed = !shared.appended.pause(1).is_zero();
        // A writer that is to pause, to do something else or to end comes to a point at which nothing is decided that
        // readers would have to wait for.
        let gathers = !is_slowed && !self.closing.is_cancelled() && !self.has_other_work();
        let mut has_queued = gathers;
        let begun = Instant::now();
        let outcome = {
            let mut appending = pin!(journal::append(&mut self.conn, &batch));
            loop {
                tokio::select! {
                    biased;
                    outcome = &mut appending => break outcome,
                    () = std::future::ready(()), if has_queued => {
                        has_queued = false;
                        self.turns.take_in()?;
                    }
                    submitted = self.turns.submitted(), if gathers => {
                        if submitted {
                            self.turns.take_in()?;
                        } else {
                            break appending.await;
                        }
                    }
                }
            }
        };
        shared.times.appended(begun.elapsed());
        match &outcome {
            Append::Written => {
                // Those before it went unslowed.
                self.unpaused = events + if is_slowed { self.unpaused } else { 0 };
                shared.appended.add(events, bytes);
                shared.feeds.push(decided, memory);
                shared.log.grew(bytes + COMMIT_OVERHEAD);
            }
            Append::NotWritten(reason) => {
                tracing::error!(reason, "the disk takes no writes; serving reads only");
            }
            Append::Unknown(_) => {}
        }
        let hash = batch.hash;
        self.turns.turn(Input::Appended { hash, outcome })
    }

    /// Writes down what a data key needs to go on sealing, ahead of when it is needed.
    async fn look_after_keys(&mut self) -> Result<(), Unknown> {
        let Some(keyring) = self.shared.options.keyring.clone() else {
            return Ok(());
        };
        let due = match keyring.due() {
            Ok(None) => return Ok(()),
            Ok(Some(due)) => due,
            Err(reason) => {
                tracing::error!(reason, "no new data key can be made");
                return Ok(());
            }
        };
        match do_maintenance(&mut self.conn, &due.maintenance()).await {
            Done::Known(Ok(_)) => keyring.took(due),
            // Tried again with the next batch; there is half a block left.
            Done::Known(Err(error)) => {
                tracing::warn!(%error, "the uses of a data key cannot be written down");
            }
            Done::Unknown(reason) => return Err(self.stop(reason)),
        }
        Ok(())
    }

    /// Lets the snapshot that is being written come nearer to its end before the journal grows further. Nothing is
    /// decided and not yet durable meanwhile, so that nobody who reads waits for this.
    async fn keep_tail_short(&mut self) -> Result<(), Unknown> {
        let shared = Arc::clone(&self.shared);
        let pause = shared.appended.pause(std::mem::take(&mut self.unpaused));
        let is_slowed = !pause.is_zero();
        if is_slowed && !self.was_slowed {
            tracing::warn!(
                events = shared.appended.tail().events,
                "commands are slowed until a snapshot is written, so that the next start does not take too long"
            );
        }
        self.was_slowed = is_slowed;
        let begun = Instant::now();
        while begun.elapsed() < pause && !self.closing.is_cancelled() {
            self.other_work(self.turns.is_pressed()).await?;
            self.do_maintenance().await?;
            sleep(SLOWED_STEP.min(pause.saturating_sub(begun.elapsed()))).await;
        }
        if is_slowed {
            shared.times.slowed(begun.elapsed());
        }
        Ok(())
    }

    async fn probe(&mut self) -> Result<Wanted, Unknown> {
        let outcome = match meta::probe(&mut self.conn, clocks::read().wall.0).await {
            Ok(()) => Append::Written,
            Err(error) => failure::write(&error),
        };
        self.turns.turn(Input::Probed(outcome))
    }

    /// Waits for anything to do; `false` when the ledger is to be closed.
    async fn wait(&mut self) -> bool {
        if self.maintenance_taken.is_some() {
            return true;
        }
        let mut until = self.next_timeout();
        if let Some(due) = self.records_due(false) {
            until = until.min(due.saturating_duration_since(Instant::now()));
        }
        let mut record = None;
        // With one that somebody waits for, it is known when they are written; the rest comes then.
        let takes_records = !self.records_awaited && self.records_taken.len() < RECORDS_AT_A_TIME;
        tokio::select! {
            biased;
            submitted = self.turns.submitted() => if !submitted { return false },
            Some(queued) = self.records.recv(), if takes_records => record = Some(queued),
            Some(queued) = self.maintenance.recv() => self.maintenance_taken = Some(queued),
            () = self.closing.cancelled() => return false,
            () = sleep(until) => {}
        }
        if let Some(queued) = record {
            self.take_record(queued);
        }
        true
    }

    fn next_timeout(&self) -> Duration {
        let probe = self.shared.core.read().pipeline.poll_timeout();
        match probe {
            Some(at_ms) => {
                Duration::from_millis(at_ms.saturating_sub(clocks::read().monotonic_ms).max(1))
            }
            None => Duration::from_secs(60),
        }
    }

    /// Whether something else than commands is due.
    fn has_other_work(&self) -> bool {
        let now = Instant::now();
        let has_maintenance = self.maintenance_taken.is_some() || !self.maintenance.is_empty();
        self.records_due(true).is_some_and(|due| now >= due)
            || (has_maintenance && now >= self.maintenance_after)
            || self.shared.log.is_to_be_finished()
    }

    /// What is done between appends.
    async fn other_work(&mut self, is_pressed: bool) -> Result<(), Unknown> {
        while self.records_taken.len() < RECORDS_AT_A_TIME
            && let Ok(queued) = self.records.try_recv()
        {
            self.take_record(queued);
        }
        let due = self.records_due(is_pressed);
        if due.is_some_and(|due| Instant::now() >= due) {
            self.write_records().await?;
        }
        if !is_pressed || Instant::now() >= self.maintenance_after {
            self.do_maintenance().await?;
        }
        if self.shared.log.is_to_be_finished() {
            self.checkpoint().await?;
        }
        Ok(())
    }

    fn take_record(&mut self, queued: QueuedWrite) {
        if self.records_taken.is_empty() {
            self.records_since = Instant::now();
        }
        self.records_awaited |= queued.write.is_urgent();
        self.records_taken.push(queued);
    }

    /// When the records that were taken are to be written; none without any.
    fn records_due(&self, is_pressed: bool) -> Option<Instant> {
        let is_urgent = self.records_awaited || self.records_taken.len() >= RECORDS_AT_A_TIME;
        let earliest = match is_pressed {
            true => {
                RECORDS_EVERY_PRESSED.max((self.records_took * RECORDS_SHARE).min(RECORDS_HELD_MAX))
            }
            false => {
                let gathering = RECORDS_LOADED * self.records_urgent.saturating_sub(1);
                gathering.clamp(RECORDS_EVERY, RECORDS_LOADED_MAX)
            }
        };
        let wanted = match is_urgent {
            true => self.records_since,
            false => self.records_since + RECORDS_GATHER,
        };
        (!self.records_taken.is_empty()).then(|| wanted.max(self.records_written + earliest))
    }

    async fn write_records(&mut self) -> Result<(), Unknown> {
        let mut taken = std::mem::take(&mut self.records_taken);
        self.records_awaited = false;
        if taken.is_empty() {
            return Ok(());
        }
        self.records_urgent = taken
            .iter()
            .map(|queued| u32::from(queued.write.is_urgent()))
            .sum();
        let writes = taken.iter_mut().map(|queued| &mut queued.write);
        self.shared.erased.apply(writes);
        let begun = Instant::now();
        let done = write_records(&mut self.conn, taken.iter().map(|queued| &queued.write)).await;
        let took = begun.elapsed();
        self.shared.times.recorded(took);
        self.shared.log.grew(COMMIT_OVERHEAD);
        (self.records_written, self.records_took) = (Instant::now(), took);
        match done {
            Done::Known(results) => {
                for (queued, result) in taken.into_iter().zip(results) {
                    queued.reply(result);
                }
                Ok(())
            }
            Done::Unknown(reason) => Err(self.stop(reason)),
        }
    }

    async fn do_maintenance(&mut self) -> Result<(), Unknown> {
        let Some(queued) = self
            .maintenance_taken
            .take()
            .or_else(|| self.maintenance.try_recv().ok())
        else {
            return Ok(());
        };
        let begun = Instant::now();
        let done = do_maintenance(&mut self.conn, &queued.maintenance).await;
        let took = begun.elapsed();
        self.shared.times.chored(took);
        self.shared.log.grew(MAINTENANCE_BYTES);
        let apart = match self.shared.appended.tail().is_pressing() {
            true => took * MAINTENANCE_SHARE_PRESSING,
            false => MAINTENANCE_EVERY.max(took * MAINTENANCE_SHARE),
        };
        self.maintenance_after = Instant::now() + apart;
        match done {
            Done::Known(result) => {
                let _ = queued.done.send(result);
                Ok(())
            }
            Done::Unknown(reason) => Err(self.stop(reason)),
        }
    }

    /// Ends what the checkpointer has begun.
    async fn checkpoint(&mut self) -> Result<(), Unknown> {
        let begun = Instant::now();
        let done = sqlite::checkpoint(&mut self.conn).await;
        self.shared.times.finished(begun.elapsed());
        match done {
            Ok(_) => Ok(()),
            Err(error) => match failure::write(&error) {
                // A full disk: the log keeps what it has.
                Append::Written | Append::NotWritten(_) => Ok(()),
                Append::Unknown(reason) => Err(self.stop(reason)),
            },
        }
    }

    /// Stops the pipeline, so that nobody reads what may not be durable.
    fn stop(&mut self, reason: String) -> Unknown {
        let stop = Input::Broken {
            reason: reason.clone(),
        };
        match self.turns.turn(stop) {
            Err(unknown) => unknown,
            Ok(_) => Unknown(reason),
        }
    }

    /// Writes what has been taken, and ends.
    async fn finish(mut self) -> Result<(), Unknown> {
        self.turns.close();
        self.records.close();
        self.maintenance.close();
        loop {
            let mut wanted = self.turns.take_in()?;
            if matches!(wanted, Wanted::Nothing) && !self.turns.is_pressed() {
                break;
            }
            while !matches!(wanted, Wanted::Nothing) {
                wanted = self.carry_out(wanted).await?;
            }
        }
        while let Ok(queued) = self.records.try_recv() {
            self.take_record(queued);
            if self.records_taken.len() >= RECORDS_AT_A_TIME {
                self.write_records().await?;
            }
        }
        self.write_records().await?;
        while self.maintenance_taken.is_some() || !self.maintenance.is_empty() {
            self.do_maintenance().await?;
        }
        self.checkpoint().await?;
        if let Err(error) = self.conn.close().await {
            tracing::warn!(%error, "the database did not close in order");
        }
        drop(self.dir);
        Ok(())
    }
}
