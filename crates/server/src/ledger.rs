//! The ledger: every change goes through it, every read looks at it.
//!
//! One thread owns the only connection that writes. It takes what has queued,
//! lets the pipeline of `journal` decide it into a batch, appends that while it
//! has the next one decided, and only then lets the callers know; between
//! appends it writes call records and does a little of the maintenance for the
//! background threads. The rules are the pipeline's; this is the shell around it.

mod background;
mod call_records;
mod checkpointer;
mod erase;
mod erased;
mod feeds;
mod metrics;
mod owners;
mod projector;
mod reads;
mod retention;
mod seeds;
mod snapshotter;
mod writer_thread;

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use maskline_domain::retention::Terms;
use maskline_domain::{AttemptId, Envelope, Outcome, SubsId, TypedCommand};
use maskline_journal::Codec;
use maskline_journal::pipeline::{Counters, Input, Limits, Pipeline};
use maskline_journal::tail::Tail;
use maskline_store::data_key::SealedKey;
use maskline_store::db::{self, ErrorKind, Readers};
use maskline_store::directory::{DataDir, OpenError};
use maskline_store::keyring::{BeginError, Keyring};
use maskline_store::maintenance::Maintenance;
use maskline_store::records::history::{self, Facts, Filter, Page, Past};
use maskline_store::recovery::{Progress, RecoverError, recover};
use parking_lot::RwLock;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::timeout;
use tokio_util::sync::{CancellationToken, DropGuard};

use self::call_records::QueuedWrite;
pub use self::call_records::{CallRecords, LostCallsError, LostRecording, Written};
pub use self::erase::{EraseError, Erased, RestoreError, Restored, restore};
pub use self::feeds::Followed;
pub use self::reads::ReadError;
pub use self::retention::{ByKind, HoldError, Line, Overview, RetentionError, Round};
pub use self::seeds::Seeds;
use crate::clocks;
pub use maskline_journal::pipeline::{SubmitError, Touch};

/// The exit code after an append whose outcome nobody knows. A supervisor
/// starts the process again, and the journal decides.
pub const EXIT_UNKNOWN: i32 = 70;

/// How a ledger is to be run.
#[derive(Debug, Clone)]
pub struct Options {
    /// The data directory.
    pub dir: PathBuf,
    /// The form in which its journal and its snapshots are kept.
    pub codec: Codec,
    /// The keys of that form, whose uses the writer looks after; none where nothing is sealed.
    pub keyring: Option<Arc<Keyring>>,
    /// Bounds of the queue and of a batch.
    pub limits: Limits,
    /// How long a command may take, queueing included.
    pub submit_wait_max: Duration,
    /// How long a read may wait for the batch in flight.
    pub read_wait_max: Duration,
    /// How long the journal is kept behind the snapshots.
    pub retention: Duration,
    /// How long records are kept, where a pool does not say otherwise.
    pub terms: Terms,
    /// A snapshot is made after so many batches,
    pub snapshot_every_batches: u64,
    /// or after so many bytes of journal.
    pub snapshot_every_bytes: u64,
    /// Whether snapshots, projections and pruning run.
    pub background: bool,
    /// What to do when an append's outcome is unknown. Must not return to
    /// business; callers are not answered any more.
    pub on_unknown: fn(reason: &str),
}

impl Options {
    /// The same with the keys of the directory, if it has any.
    #[must_use]
    pub fn with_keys(self, keyring: Option<Arc<Keyring>>) -> Self {
        let Some(keyring) = keyring else { return self };
        Self {
            codec: self.codec.with_keys(keyring.clone()),
            keyring: Some(keyring),
            ..self
        }
    }
}

/// The usual [`Options::read_wait_max`].
pub const READ_WAIT_MAX: Duration = Duration::from_secs(2);

/// The usual [`Options::on_unknown`]: ends the process with [`EXIT_UNKNOWN`].
pub fn exit(reason: &str) {
    tracing::error!(
        reason,
        "the outcome of a write is unknown; stopping, so that the journal decides"
    );
    std::process::exit(EXIT_UNKNOWN);
}

/// Why the ledger cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The data directory or its database.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The state cannot be made from what is stored.
    #[error(transparent)]
    Recover(#[from] RecoverError),
    /// The database said no.
    #[error("cannot read the database: {0}")]
    Database(#[from] db::Error),
    /// Nothing can be sealed.
    #[error(transparent)]
    Keys(#[from] BeginError),
    /// A thread cannot be started.
    #[error("cannot start a thread: {0}")]
    Thread(#[from] std::io::Error),
}

type Caller = oneshot::Sender<Result<Outcome, SubmitError>>;

/// The only way to change the state, and the way to look at it. Clones share
/// the same ledger.
#[derive(Clone)]
pub struct Ledger {
    shared: Arc<Shared>,
}

impl fmt::Debug for Ledger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Ledger").field(&self.status()).finish()
    }
}

/// Handed to whoever runs the ledger, to end it.
#[derive(Debug)]
pub struct Running {
    /// Ends the threads, also when it is dropped.
    closing: DropGuard,
    writer: JoinHandle<()>,
    background: Vec<JoinHandle<()>>,
}

struct Shared {
    core: RwLock<Core>,
    submissions: mpsc::Sender<Input<Caller>>,
    records: mpsc::Sender<QueuedWrite>,
    maintenance: mpsc::Sender<QueuedMaintenance>,
    readers: Readers,
    seeds: Seeds,
    appended: Appended,
    /// The last batch in the projections.
    projected: watch::Sender<u64>,
    /// The newest durable batch.
    tip: watch::Sender<u64>,
    feeds: feeds::Feeds,
    /// Held by whoever replaces snapshots: the state that they are made of,
    /// while it is kept between two.
    keeping: tokio::sync::Mutex<Option<snapshotter::Kept>>,
    /// Held by an erasure from its beginning to its end.
    erasing: tokio::sync::Mutex<()>,
    times: metrics::Times,
    /// Rows of the records that were asked for and could not be read.
    unreadable: AtomicU64,
    /// See [`Ledger::take_visits_max`].
    visits_max: AtomicU64,
    log: checkpointer::Log,
    erased: erased::Erasures,
    retention: retention::Retention,
    options: Options,
}

struct Core {
    pipeline: Pipeline<Caller>,
    /// Of the batches that can be unsettled, the older one and the one after it: each becomes `Some` when its batch is
    /// settled, whether it is durable.
    append_outcomes: [watch::Receiver<Option<bool>>; 2],
}

/// The journal since the last snapshot.
#[derive(Debug, Default)]
struct Appended {
    batches: AtomicU64,
    events: AtomicU64,
    bytes: AtomicU64,
    /// Whether the next snapshot is being made, so that it helps to wait for it.
    is_snapshotting: AtomicBool,
}

#[derive(Debug)]
struct QueuedMaintenance {
    maintenance: Maintenance,
    done: oneshot::Sender<Result<u64, db::Error>>,
}

/// How the ledger is.
#[derive(Debug, Clone, Copy)]
pub struct Status {
    /// Whether commands are taken; if not, the disk takes no writes.
    pub takes_commands: bool,
    /// Whether the clocks disagree, so that no expiry is written.
    pub clocks_disagree: bool,
    /// The newest durable batch.
    pub seq: u64,
    /// The last batch in the binding history and the audit.
    pub projected: u64,
    /// How the binding history and the audit came to what they hold,
    pub projection: Followed,
    /// and the state that snapshots are made of, while it is kept.
    pub snapshots: Followed,
    /// What the pipeline has done since the start.
    pub counters: Counters,
    /// Commands that wait.
    pub queued: usize,
    /// Bindings in the state, swept or not.
    pub bindings: usize,
    /// X numbers in the state.
    pub numbers: usize,
    /// Events of the journal after the newest snapshot, which a start has to replay,
    pub tail_events: u64,
    /// and for how long commands have waited so that they keep to their bound.
    pub slowed: Duration,
}

impl Ledger {
    /// Takes the data directory, brings the state into memory and starts the
    /// writer.
    ///
    /// # Errors
    /// [`StartError`].
    pub async fn open(options: Options) -> Result<(Ledger, Running), StartError> {
        let dir = DataDir::own(&options.dir)?;
        let mut conn = dir.writer().await?;
        if let Some(keyring) = &options.keyring {
            keyring.begin(&mut conn).await?;
        }
        let readers = dir.readers(READERS_MAX).await?;
        erase::tell_unfinished(&options.dir);
        let begun = std::time::Instant::now();
        let recovered = recover(&mut conn, &options.codec, None, told(begun)).await?;
        tracing::info!(
            batch = recovered.tip.seq,
            replayed = recovered.events,
            bindings = recovered.state.bindings_len(),
            numbers = recovered.state.numbers_len(),
            took_ms = begun.elapsed().as_millis() as u64,
            "the state is in memory"
        );
        let projected = maskline_store::records::projection::position(&mut conn).await?;
        let filling = match options.background {
            true => owners::wanted(&mut conn, recovered.tip.seq, projected).await?,
            false => None,
        };

        let retention = retention::Retention::open(&mut conn, recovered.tip.seq == 0).await?;
        let (submissions, submissions_in) = mpsc::channel(options.limits.queue_max.max(1));
        let (records, records_in) = mpsc::channel(RECORDS_QUEUE_MAX);
        let (maintenance, maintenance_in) = mpsc::channel(MAINTENANCE_QUEUE_MAX);
        let closing = CancellationToken::new();
        // Should a thread not start, those before it end.
        let ends = closing.clone().drop_guard();
        let since_snapshot = recovered.tip.seq - recovered.snapshot.map_or(0, |seal| seal.seq);
        let background = options.background;
        let shared = Arc::new(Shared {
            core: RwLock::new(Core {
                pipeline: Pipeline::new(recovered.state, recovered.tip, options.limits),
                append_outcomes: [(); 2].map(|()| watch::channel(None).1),
            }),
            submissions,
            records,
            maintenance,
            readers,
            seeds: Seeds::default(),
            appended: Appended {
                batches: since_snapshot.into(),
                events: recovered.events.into(),
                bytes: recovered.bytes.into(),
                ..Appended::default()
            },
            projected: watch::channel(projected).0,
            tip: watch::channel(recovered.tip.seq).0,
            feeds: feeds::Feeds::default(),
            keeping: tokio::sync::Mutex::new(None),
            erasing: tokio::sync::Mutex::new(()),
            times: metrics::Times::default(),
            unreadable: AtomicU64::new(0),
            visits_max: AtomicU64::new(0),
            log: checkpointer::Log::default(),
            erased: erased::Erasures::default(),
            retention,
            options,
        });
        let writer = writer_thread::start(writer_thread::Parts {
            shared: Arc::clone(&shared),
            dir,
            conn,
            submissions: submissions_in,
            records: records_in,
            maintenance: maintenance_in,
            closing: closing.clone(),
        })?;
        let mut threads = vec![checkpointer::start(Arc::clone(&shared), closing.clone())?];
        if background {
            threads.push(snapshotter::start(Arc::clone(&shared), closing.clone())?);
            threads.push(projector::start(Arc::clone(&shared), filling, closing)?);
        }
        let running = Running {
            closing: ends,
            writer,
            background: threads,
        };
        Ok((Ledger { shared }, running))
    }

    /// Has a command decided, and gives the answer once everything it rests on
    /// is durable.
    ///
    /// # Errors
    /// [`SubmitError`].
    pub async fn submit<C: TypedCommand>(
        &self,
        envelope: Envelope<C>,
    ) -> Result<C::Outcome, SubmitError> {
        let outcome = self.submit_any(envelope.untyped()).await?;
        Ok(C::Outcome::try_from(outcome)
            .unwrap_or_else(|_| unreachable!("the table of commands gives each its own outcome")))
    }

    /// A new try of a command: nobody else's is the same.
    ///
    /// # Errors
    /// [`SubmitError::Busy`] when the system has no randomness to give.
    pub fn attempt(&self) -> Result<AttemptId, SubmitError> {
        self.shared.seeds.number().map(AttemptId).map_err(|error| {
            tracing::error!(%error, "the system has no randomness to give");
            SubmitError::Busy
        })
    }

    async fn submit_any(&self, envelope: Envelope) -> Result<Outcome, SubmitError> {
        let shared = &self.shared;
        let seed = shared.seeds.next().map_err(|error| {
            tracing::error!(%error, "the system has no randomness to give");
            SubmitError::Busy
        })?;
        let wait = shared.options.submit_wait_max;
        let (caller, answer) = oneshot::channel();
        let submission = Input::Submit {
            caller,
            envelope: Box::new(envelope),
            seed,
            deadline_ms: Some(clocks::read().monotonic_ms + wait.as_millis() as u64),
        };
        shared
            .submissions
            .try_send(submission)
            .map_err(|error| match error {
                mpsc::error::TrySendError::Full(_) => SubmitError::Busy,
                mpsc::error::TrySendError::Closed(_) => SubmitError::Closed,
            })?;
        match timeout(wait, answer).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(_)) => Err(SubmitError::Closed),
            Err(_) => Err(SubmitError::Deadline),
        }
    }

    /// Confirms that the wall clock is right, although it leapt.
    ///
    /// # Errors
    /// [`SubmitError::Busy`] and [`SubmitError::Closed`].
    pub fn trust_clock(&self) -> Result<(), SubmitError> {
        self.shared
            .submissions
            .try_send(Input::TrustClock)
            .map_err(|error| match error {
                mpsc::error::TrySendError::Full(_) => SubmitError::Busy,
                mpsc::error::TrySendError::Closed(_) => SubmitError::Closed,
            })
    }

    /// How it is.
    pub fn status(&self) -> Status {
        let core = self.shared.core.read();
        Status {
            takes_commands: core.pipeline.takes_commands(),
            clocks_disagree: core.pipeline.clocks_disagree(),
            seq: core.pipeline.tip().seq,
            projected: *self.shared.projected.borrow(),
            projection: self.shared.feeds.projection.followed(),
            snapshots: self.shared.feeds.snapshots.followed(),
            counters: core.pipeline.counters(),
            queued: core.pipeline.queued() + self.queued_outside(),
            bindings: core.pipeline.state().bindings_len(),
            numbers: core.pipeline.state().numbers_len(),
            tail_events: self.shared.appended.events.load(Ordering::Relaxed),
            slowed: self.shared.times.slowed_in_all(),
        }
    }

    /// The form in which the journal and the snapshots are kept.
    pub fn codec(&self) -> &Codec {
        &self.shared.options.codec
    }

    /// Keeps a data key sealed under another master key.
    ///
    /// # Errors
    /// Those of the database; then it is kept as it was.
    pub async fn reseal_data_key(&self, key: SealedKey) -> Result<(), db::Error> {
        let reseal = Maintenance::ResealDataKey(key);
        self.shared.maintain(reseal).await.map(|_| ())
    }

    /// Connections for queries of the records; they cannot write.
    pub fn readers(&self) -> &Readers {
        &self.shared.readers
    }

    /// What is known of a binding that is no longer in the state. Waits until
    /// the history holds all that was durable when it was asked. A row that
    /// cannot be read is counted and told in the log.
    ///
    /// # Errors
    /// [`ReadError::Deadline`] when the history is too far behind, and
    /// [`ReadError::Closed`] when the database cannot be read.
    pub async fn past(&self, subs_id: SubsId) -> Result<Option<Past>, ReadError> {
        self.history_reached().await?;
        let past = history::get(self.readers(), subs_id).await;
        let past = past.map_err(history_failed)?;
        self.count_unreadable(past.as_slice());
        Ok(past)
    }

    /// A page of bindings out of the history; waits and fails as [`Ledger::past`]. Those that have not
    /// ended are there as they were when they were last changed, which the state may know better.
    ///
    /// # Errors
    /// Those of [`Ledger::past`].
    pub async fn past_bindings(&self, filter: &Filter) -> Result<Page, ReadError> {
        self.history_reached().await?;
        let page = history::list(self.readers(), filter).await;
        let page = page.map_err(history_failed)?;
        self.count_unreadable(&page.rows);
        Ok(page)
    }

    /// Waits until the history holds all that is durable now, but not for ever.
    async fn history_reached(&self) -> Result<(), ReadError> {
        match timeout(self.shared.options.read_wait_max, self.projected()).await {
            Err(_) => Err(ReadError::Deadline),
            Ok(reached) => reached,
        }
    }

    fn count_unreadable(&self, read: &[Past]) {
        let unreadable = read.iter().filter(|past| past.facts == Facts::Unreadable);
        for past in unreadable {
            let id = past.subs_id;
            self.tell_unreadable(&format_args!("the row of binding {id} in the history"));
        }
    }

    /// Counts a row of the records that cannot be read and tells of it in the
    /// log. `what` names it, and says nothing of what stands in it.
    pub fn tell_unreadable(&self, what: &dyn fmt::Display) {
        self.shared.unreadable.fetch_add(1, Ordering::Relaxed);
        tracing::error!(%what, "a record cannot be read");
    }

    /// Waits until the projections hold all that is durable now.
    async fn projected(&self) -> Result<(), ReadError> {
        let tip = *self.shared.tip.borrow();
        let mut projected = self.shared.projected.subscribe();
        let reached = projected.wait_for(|&seq| seq >= tip).await;
        reached.map(|_| ()).map_err(|_| ReadError::Closed)
    }

    fn queued_outside(&self) -> usize {
        let submissions = &self.shared.submissions;
        submissions.max_capacity() - submissions.capacity()
    }
}

fn history_failed(error: db::Error) -> ReadError {
    tracing::error!(%error, "cannot read the binding history");
    ReadError::Closed
}

/// Connections for queries of the records.
const READERS_MAX: u32 = 4;
/// Records that may wait to be written.
const RECORDS_QUEUE_MAX: usize = 4_096;
/// Pieces of maintenance that may wait; the background threads ask for one after the other.
const MAINTENANCE_QUEUE_MAX: usize = 8;

impl Shared {
    /// Has the writer do a piece of maintenance, and waits for it.
    async fn maintain(&self, maintenance: Maintenance) -> Result<u64, db::Error> {
        let (done, result) = oneshot::channel();
        let queued = QueuedMaintenance { maintenance, done };
        let stopped = || db::Error::new(ErrorKind::Unknown, "the writer has stopped");
        let sent = self.maintenance.send(queued).await;
        sent.map_err(|_| stopped())?;
        result.await.unwrap_or_else(|_| Err(stopped()))
    }
}

impl Appended {
    fn add(&self, events: u64, bytes: u64) {
        self.batches.fetch_add(1, Ordering::Relaxed);
        self.events.fetch_add(events, Ordering::Relaxed);
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    fn tail(&self) -> Tail {
        Tail {
            events: self.events.load(Ordering::Relaxed),
            bytes: self.bytes.load(Ordering::Relaxed),
        }
    }

    /// How long a batch of so many events waits, so that the tail keeps to its bound.
    fn pause(&self, events: u64) -> Duration {
        match self.is_snapshotting.load(Ordering::Relaxed) {
            true => self.tail().pause(events),
            false => Duration::ZERO,
        }
    }

    /// Says that a snapshot is being made, until what is given back is dropped.
    fn snapshotting(&self) -> Snapshotting<'_> {
        self.is_snapshotting.store(true, Ordering::Relaxed);
        Snapshotting(&self.is_snapshotting)
    }
}

/// See [`Appended::snapshotting`]. It ends with who makes the snapshot, also if that is given up in the midst.
struct Snapshotting<'a>(&'a AtomicBool);

impl Drop for Snapshotting<'_> {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Relaxed);
    }
}

impl Running {
    /// Answers what has been taken, writes what has queued, and lets the data
    /// directory go.
    pub async fn close(self) {
        self.closing.disarm().cancel();
        let joined = tokio::task::spawn_blocking(move || {
            for thread in self.background {
                let _ = thread.join();
            }
            self.writer.join()
        });
        if !matches!(joined.await, Ok(Ok(()))) {
            tracing::error!("the writer did not end in order");
        }
    }

    /// Whether the writer has ended.
    pub fn has_ended(&self) -> bool {
        self.writer.is_finished()
    }
}

/// Tells of a recovery, now and then.
fn told(begun: std::time::Instant) -> impl FnMut(Progress) {
    const EVERY: Duration = Duration::from_secs(2);
    let mut last = begun;
    move |progress| match progress {
        Progress::SnapshotFailed(error) => {
            tracing::warn!(%error, "a snapshot cannot be used; trying the one before it");
        }
        Progress::SnapshotLoaded { seq, rows } => {
            tracing::info!(batch = seq, rows, "snapshot loaded");
        }
        Progress::Replayed { seq, of, events } if last.elapsed() >= EVERY => {
            last = std::time::Instant::now();
            tracing::info!(batch = seq, of, events, "replaying the journal");
        }
        Progress::Replayed { .. } => {}
    }
}
