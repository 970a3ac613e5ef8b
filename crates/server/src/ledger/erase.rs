//! Erasing what is kept of a person, and restoring a backup without what was
//! erased since.

mod list;

use std::io;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::time::Duration;

use maskline_domain::PoolRef;
use maskline_domain::binding::Phase;
use maskline_domain::command::Note;
use maskline_domain::ops::{
    AT_ONCE, BeginEpoch, ERASED_MAX, ErasePerson, ExpireDue, SettleProvision, Settlement, Unbind,
};
use maskline_domain::{
    Actor, Binding, Envelope, ErasedParts, PhoneNumber, PoolKey, State, Subject, SubsId, Timestamp,
    TypedCommand,
};
use maskline_store::backup::{self, BackupError, Manifest};
use maskline_store::db::{self, sqlite};
use maskline_store::directory::{self, DataDir, OpenError};
use maskline_store::erasure::{self, EraseError as SearchError, Found, Traces};
use maskline_store::maintenance::Maintenance;
use maskline_store::records::{call, history};
use maskline_store::staging::Staging;

use super::snapshotter::{self, SnapshotterError};
use super::{Ledger, Options, ReadError, StartError, SubmitError, Touch};
use crate::clocks;

/// How often the write-ahead log is tried to be emptied, and how long apart.
const TRUNCATE_TRIES: u32 = 20;
const TRUNCATE_PAUSE: Duration = Duration::from_millis(250);

/// How many bindings are looked up while the state is held.
const LOOKED_UP_AT_ONCE: usize = 50;

/// What an erasure did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Erased {
    /// Ended bindings whose personal values are gone, those of an erasure that
    /// had failed before among them.
    pub bindings: usize,
    /// The rows that tell of them: one of the history for each of the bindings,
    /// and the records of calls that were on them or were the person's.
    pub records: u64,
    /// Bindings of this person that are in force and were left as they are.
    pub live: usize,
}

/// Why an erasure did not come to its end. It may be run again.
#[derive(Debug, thiserror::Error)]
pub enum EraseError {
    /// The journal cannot be searched.
    #[error(transparent)]
    Search(#[from] SearchError),
    /// The database said no.
    #[error("cannot erase: {0}")]
    Database(#[from] db::Error),
    /// The database cannot be opened for reading.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The state cannot be looked at.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// It cannot be noted in the journal.
    #[error(transparent)]
    Submit(#[from] SubmitError),
    /// No snapshot without the erased values could be made.
    #[error("cannot replace the snapshots: {0}")]
    Snapshot(String),
    /// The list of erasures cannot be written or read.
    #[error("{}: {source}", path.display())]
    List {
        /// The list.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Readers kept the write-ahead log from being emptied.
    #[error("the write-ahead log still holds what was erased; erase again later")]
    LogInUse,
}

/// Why a backup was not restored.
#[derive(Debug, thiserror::Error)]
pub enum RestoreError {
    /// The copy cannot be put in its place.
    #[error(transparent)]
    Backup(#[from] BackupError),
    /// What was put there does not start.
    #[error(transparent)]
    Start(#[from] StartError),
    /// The new epoch cannot be begun.
    #[error(transparent)]
    Submit(#[from] SubmitError),
    /// The erasures cannot be done again.
    #[error(transparent)]
    Erase(#[from] EraseError),
}

impl From<SnapshotterError> for EraseError {
    fn from(error: SnapshotterError) -> Self {
        EraseError::Snapshot(error.to_string())
    }
}

/// Tells of an erasure that failed in this directory, until one has finished it.
pub(super) fn tell_unfinished(dir: &Path) {
    match list::unfinished(dir) {
        Ok(left) if left.is_empty() => {}
        Ok(left) => tracing::warn!(
            bindings = left.len(),
            "an erasure was not finished; erase that person again"
        ),
        Err(error) => tracing::error!(%error, "whether an erasure was finished is not known"),
    }
}

impl Ledger {
    /// Erases what is kept of the person with this number in ended bindings,
    /// the history and the call records: their number, and the texts of their
    /// bindings, which may name them. `by` is who asked for it.
    ///
    /// Where an erasure had failed before, this one finishes it, whosever it
    /// was; but for the number of somebody else in call records, by which they
    /// are found when they are erased again.
    ///
    /// # Errors
    /// [`EraseError`]; whatever was done stays done, and the rest is done when
    /// it is run again.
    pub async fn erase(&self, by: Actor, number: PhoneNumber) -> Result<Erased, EraseError> {
        let shared = &*self.shared;
        // One after the other, so that what is not finished is of one that failed.
        let _alone = shared.erasing.lock().await;
        let mut found = {
            let readers = directory::readers(&shared.options.dir, 1).await?;
            let mut conn = readers.acquire().await?;
            erasure::find(&mut conn, &shared.options.codec, number).await?
        };
        // Of what the journal no longer holds the history knows; of the rest the
        // journal knows better.
        for (id, traces) in history::ended_with(self.readers(), number).await? {
            found.entry(id).or_insert(traces);
        }
        // Both may have been blanked before it failed.
        for (id, traces) in list::unfinished(&shared.options.dir)? {
            found.entry(id).or_default().merge(traces);
        }
        self.erase_found(by, found, Some(number)).await
    }

    /// Erases what was found of a person, or of several.
    ///
    /// It is noted first, and noted as finished last: until then each step is
    /// taken again by the next erasure.
    async fn erase_found(
        &self,
        by: Actor,
        found: Found,
        number: Option<PhoneNumber>,
    ) -> Result<Erased, EraseError> {
        let shared = &*self.shared;
        let dir = &shared.options.dir;
        // A state that was kept for snapshots goes, and with it what was handed
        // on to it.
        snapshotter::let_go(shared, &mut *shared.keeping.lock().await);
        let (ended, live) = self.ended(found).await?;
        list::begin(dir, &ended)?;
        let bindings = ended.keys().copied();
        (shared.erased).note(clocks::read().wall, number, bindings);
        self.blank_journal(&ended).await?;
        // From here on every node forgets them, and the history follows.
        self.tell_erased(&by, &ended).await?;
        self.projected().await?;
        let mut records = ended.len() as u64;
        for (&id, traces) in &ended {
            records += self.erase_calls_on(id, traces, number).await?;
        }
        if let Some(number) = number {
            records += self.erase_calls_of(number).await?;
        }
        let bindings = ended.len();
        self.replace_snapshots(&by, bindings as u64, records)
            .await?;
        self.truncate_log().await?;
        list::finish(dir)?;
        Ok(Erased {
            bindings,
            records,
            live,
        })
    }

    /// Makes two snapshots of states in which nobody is who was erased; then the
    /// older ones go. Only for that long the snapshotter has to wait.
    async fn replace_snapshots(
        &self,
        by: &Actor,
        bindings: u64,
        records: u64,
    ) -> Result<(), EraseError> {
        let shared = &*self.shared;
        let mut keeping = shared.keeping.lock().await;
        // They are made of what the tables hold.
        snapshotter::let_go(shared, &mut keeping);
        snapshotter::take_snapshot(shared, None).await?;
        self.give(by, Note::ErasureFinished { bindings, records })
            .await?;
        snapshotter::take_snapshot(shared, None).await?;
        Ok(snapshotter::tidy(shared).await?)
    }

    /// Has it journalled who is erased, in as many commands as it takes.
    async fn tell_erased(&self, by: &Actor, ended: &Found) -> Result<(), EraseError> {
        let subjects: Vec<Subject> = erasure::subjects(ended).collect();
        let last: Vec<ErasedParts> = erasure::last(ended).collect();
        let mut subjects = subjects.chunks(ERASED_MAX);
        let mut last = last.chunks(ERASED_MAX);
        loop {
            let some = (subjects.next(), last.next());
            if some == (None, None) {
                return Ok(());
            }
            let command = ErasePerson {
                subjects: some.0.unwrap_or_default().to_vec(),
                last: some.1.unwrap_or_default().to_vec(),
            };
            self.give(by, command).await?;
        }
    }

    async fn give<C: TypedCommand>(
        &self,
        by: &Actor,
        command: C,
    ) -> Result<C::Outcome, SubmitError> {
        let by = by.clone();
        self.submit(Envelope {
            by,
            id: None,
            command,
        })
        .await
    }

    /// Blanks a person, and the texts, in the records of calls on an ended
    /// binding, piece by piece.
    async fn erase_calls_on(
        &self,
        id: SubsId,
        traces: &Traces,
        number: Option<PhoneNumber>,
    ) -> Result<u64, EraseError> {
        let persons = match number {
            Some(number) => Some(vec![number]),
            // Who was a party earlier only cannot be told from the others.
            None if traces.all || !(traces.a || traces.b) => None,
            None => Some(call::parties_on(self.readers(), id, traces.a, traces.b).await?),
        };
        let (mut records, mut after) = (0, None);
        loop {
            let some = call::on_binding(self.readers(), id, after.as_ref()).await?;
            let Some(last) = some.last() else {
                return Ok(records);
            };
            after = Some(last.clone());
            let maintenance = Maintenance::EraseCalls {
                calls: some.into_iter().map(|(_, call_id)| call_id).collect(),
                persons: persons.clone(),
            };
            records += self.shared.maintain(maintenance).await?;
        }
    }

    /// Blanks a person in the call records, piece by piece.
    async fn erase_calls_of(&self, number: PhoneNumber) -> Result<u64, EraseError> {
        let mut records = 0;
        loop {
            let some = self
                .shared
                .maintain(Maintenance::EraseNumber(number))
                .await?;
            records += some;
            if some < u64::from(call::ERASED_AT_ONCE) {
                return Ok(records);
            }
        }
    }

    /// Leaves out the bindings that are still in the state, and says how many
    /// they are.
    async fn ended(&self, mut found: Found) -> Result<(Found, usize), ReadError> {
        let standing = look_up(self, &found, |state, id| {
            state.binding(id).map(|binding| binding.subs_id)
        });
        let standing = standing.await?;
        for id in &standing {
            found.remove(id);
        }
        Ok((found, standing.len()))
    }

    async fn blank_journal(&self, found: &Found) -> Result<(), EraseError> {
        if found.is_empty() {
            return Ok(());
        }
        let readers = directory::readers(&self.shared.options.dir, 1).await?;
        let mut from = Some(1);
        while let Some(seq) = from {
            let (changes, next) = {
                let mut conn = readers.acquire().await?;
                erasure::blanked(&mut conn, &self.shared.options.codec, seq, found).await?
            };
            for (seq, personal) in changes {
                self.shared
                    .maintain(Maintenance::BlankPersonal { seq, personal })
                    .await?;
            }
            from = next;
        }
        Ok(())
    }

    async fn truncate_log(&self) -> Result<(), EraseError> {
        for _ in 0..TRUNCATE_TRIES {
            if self.shared.maintain(Maintenance::TruncateLog).await? == 1 {
                return Ok(());
            }
            tokio::time::sleep(TRUNCATE_PAUSE).await;
        }
        Err(EraseError::LogInUse)
    }
}

/// A restore that came to its end.
#[derive(Debug)]
pub struct Restored {
    /// What the backup said of itself.
    pub manifest: Manifest,
    /// User and group that the files belong to, where they are not those of this process.
    pub owner: Option<(u32, u32)>,
}

/// Puts a backup into a new data directory, begins a new epoch, and does again
/// the erasures of `list`, which is the newest list there is. Run by root,
/// everything belongs to the owner of the directory above.
///
/// Until all of it is done the data directory holds no database, so nothing that
/// is half restored can be served.
///
/// # Errors
/// [`RestoreError`]; then the directory is as it was.
pub async fn restore(
    backup: &Path,
    options: Options,
    list: Option<&Path>,
) -> Result<Restored, RestoreError> {
    // A list that cannot be read must not be noticed after the data are there.
    let erased = list.map(list::read).transpose()?.unwrap_or_default();
    let take_owner = rustix::process::geteuid().is_root();
    let staging = Staging::begin(&options.dir, take_owner)?;
    let options = Options {
        dir: staging.path().to_owned(),
        ..options
    };
    match put_back(backup, options, erased).await {
        Ok(manifest) => Ok(Restored {
            manifest,
            owner: staging.finish()?,
        }),
        Err(error) => {
            staging.abandon();
            Err(error)
        }
    }
}

async fn put_back(
    backup: &Path,
    options: Options,
    erased: Found,
) -> Result<Manifest, RestoreError> {
    let manifest = backup::unpack(backup, &options.dir)?;
    let (ledger, running) = Ledger::open(options).await?;
    let dir = ledger.shared.options.dir.clone();
    let done = begin_again(&ledger, erased).await;
    running.close().await;
    done?;
    empty_log(&dir).await?;
    Ok(manifest)
}

/// Brings everything into the database file, which alone is put in its place.
async fn empty_log(dir: &Path) -> Result<(), RestoreError> {
    let owned = DataDir::own(dir).map_err(StartError::from)?;
    let mut conn = owned.writer().await.map_err(StartError::from)?;
    for _ in 0..TRUNCATE_TRIES {
        let is_empty = sqlite::truncate_log(&mut conn)
            .await
            .map_err(EraseError::from)?;
        if is_empty {
            return Ok(());
        }
        tokio::time::sleep(TRUNCATE_PAUSE).await;
    }
    Err(EraseError::LogInUse.into())
}

async fn begin_again(ledger: &Ledger, found: Found) -> Result<(), RestoreError> {
    let by = || Actor::Operator {
        name: "restore".into(),
        remark: None,
    };
    ledger
        .submit(Envelope {
            by: by(),
            id: None,
            command: BeginEpoch,
        })
        .await?;
    if found.is_empty() {
        return Ok(());
    }
    // Since the backup they have ended; otherwise they could not have been
    // erased.
    while give(ledger, by(), ExpireDue { at_most: AT_ONCE })
        .await?
        .more
    {}
    for (pool, binding) in still_bound(ledger, &found)
        .await
        .map_err(EraseError::from)?
    {
        end(ledger, by(), pool, &binding).await?;
    }
    ledger.erase_found(by(), found, None).await?;
    Ok(())
}

/// Ends a binding that is known to have ended since the backup, and of which its carrier has been told.
async fn end(
    ledger: &Ledger,
    by: Actor,
    pool: PoolKey,
    binding: &Binding,
) -> Result<(), RestoreError> {
    let phase = binding
        .provision
        .as_deref()
        .map(|provision| provision.phase);
    if phase.is_none_or(Phase::routes) {
        let command = Unbind {
            pool: PoolRef::Key(pool),
            subs_id: binding.subs_id,
            x: binding.x,
        };
        give(ledger, by.clone(), command).await?;
    }
    let subs_id = binding.subs_id;
    let left = ledger
        .read(Touch::Scan, move |state, _| state.provision(subs_id))
        .await
        .map_err(EraseError::from)?;
    let Some(left) = left else { return Ok(()) };
    let settlement = match left.phase {
        Phase::Reserved => Settlement::NotDone,
        _ => Settlement::Done,
    };
    let command = SettleProvision {
        subs_id,
        fence: left.fence,
        settlement,
    };
    give(ledger, by, command).await?;
    Ok(())
}

async fn give<C: TypedCommand>(
    ledger: &Ledger,
    by: Actor,
    command: C,
) -> Result<C::Outcome, SubmitError> {
    let id = None;
    ledger.submit(Envelope { by, id, command }).await
}

async fn still_bound(ledger: &Ledger, found: &Found) -> Result<Vec<(PoolKey, Binding)>, ReadError> {
    look_up(ledger, found, |state, id| {
        let binding = state.binding(id)?;
        let pool = state.number(binding.x)?.class.pool?;
        Some((pool, binding))
    })
    .await
}

/// What the state has of bindings that were found, which may be many: some at once.
async fn look_up<T>(
    ledger: &Ledger,
    found: &Found,
    look: impl Fn(&State, SubsId) -> Option<T>,
) -> Result<Vec<T>, ReadError> {
    let mut ids = found.keys();
    let mut known = Vec::new();
    let step = |state: &State, _: Timestamp| {
        let left = ids.len();
        known.extend(
            ids.by_ref()
                .take(LOOKED_UP_AT_ONCE)
                .filter_map(|&id| look(state, id)),
        );
        match left <= LOOKED_UP_AT_ONCE {
            true => ControlFlow::Break(()),
            false => ControlFlow::Continue(()),
        }
    };
    ledger.read_in_steps(Touch::Scan, step).await?;
    Ok(known)
}
