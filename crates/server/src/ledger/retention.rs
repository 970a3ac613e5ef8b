//! Deleting what is older than it may be, but for what is held.
//!
//! A round goes through every kind and pool, and deletes a few rows at a time between appends. It can be broken off
//! anywhere, also by a crash: the next one begins anew and finds what is left. Rows that it deletes of the history of
//! bindings do not come back, since the history never reads again what it has read of the journal.

mod holds;
mod metrics;
mod overview;
mod recordings;

use std::ops::{Index, IndexMut};
use std::time::Duration;

use maskline_domain::command::Note;
use maskline_domain::retention::{Keep, PoolTerms, Terms};
use maskline_domain::{Actor, PoolKey, Timestamp};
use maskline_journal::pipeline::{SubmitError, Touch};
use maskline_store::db::{self, Connection};
use maskline_store::maintenance::Maintenance;
use maskline_store::meta;
use maskline_store::records::hold::Holds;
use maskline_store::records::retention::{self, DELETED_AT_ONCE, Due, Kind, Looked, Scope};
use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::time::sleep;

pub use self::holds::HoldError;
pub use self::overview::{Line, Overview};
use super::{Ledger, ReadError};
use crate::clocks;

/// How soon after a start the first round is made,
const FIRST_AFTER: Duration = Duration::from_secs(5);
/// and how long after one the next.
const ROUND_EVERY: Duration = Duration::from_secs(600);

/// The fact that says since when the retention is on.
const SINCE: &str = "retention_since";

/// What the ledger keeps of it.
#[derive(Debug)]
pub(super) struct Retention {
    /// Since when it is on.
    since: Mutex<Option<Timestamp>>,
    /// A round is wanted at once.
    wanted: Notify,
    /// Held by a round.
    round: tokio::sync::Mutex<()>,
    /// What is held, as it was read for a round of that time. Locked for each step, and by who changes it: then what is
    /// held is not deleted.
    holding: tokio::sync::Mutex<Option<(Timestamp, Holds)>>,
    metrics: metrics::RetentionMetrics,
}

impl Retention {
    /// In a directory that has a batch, or none.
    pub async fn open(conn: &mut Connection, is_new: bool) -> Result<Self, db::Error> {
        let mut since = meta::get(conn, SINCE).await?;
        if since.is_none() && is_new {
            let now = clocks::read().wall.0.to_string();
            meta::set(conn, SINCE, &now).await?;
            since = Some(now);
        }
        let since = since.map(|at| at.parse().map(Timestamp));
        let since = since.transpose();
        Ok(Self {
            since: Mutex::new(since.map_err(|error| db::Error::in_column("value", &error))?),
            wanted: Notify::new(),
            round: tokio::sync::Mutex::new(()),
            holding: tokio::sync::Mutex::new(None),
            metrics: metrics::RetentionMetrics::default(),
        })
    }

    pub fn register(&self, registry: &mut prometheus_client::registry::Registry) {
        self.metrics.register(registry);
    }
}

/// Something of each kind.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ByKind<T>([T; Kind::ALL.len()]);

impl<T> Index<Kind> for ByKind<T> {
    type Output = T;

    fn index(&self, kind: Kind) -> &T {
        &self.0[kind as usize]
    }
}

impl<T> IndexMut<Kind> for ByKind<T> {
    fn index_mut(&mut self, kind: Kind) -> &mut T {
        &mut self.0[kind as usize]
    }
}

/// What a round did.
#[derive(Debug, Clone, Default)]
pub struct Round {
    /// How many rows are gone; of recordings, how many files.
    pub deleted: ByKind<u64>,
    /// How many would be gone and are held.
    pub held: ByKind<u64>,
    /// When the oldest one was over that is left; of calls and recordings, when it arrived.
    pub oldest: ByKind<Option<Timestamp>>,
    /// Recordings whose files cannot be deleted; they are tried again.
    pub failed: u64,
    /// How many steps it took,
    pub steps: u64,
    /// and the most rows that one looked at.
    pub visited_max: u32,
}

/// Why a round was broken off; what it has deleted stays so.
#[derive(Debug, thiserror::Error)]
pub enum RetentionError {
    /// The database said no.
    #[error("the records: {0}")]
    Database(#[from] db::Error),
    /// The state cannot be looked at.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// It cannot be noted in the journal.
    #[error(transparent)]
    Submit(#[from] SubmitError),
}

impl Ledger {
    /// Since when what is older than it may be is deleted; none if it is not.
    pub fn retention_since(&self) -> Option<Timestamp> {
        *self.shared.retention.since.lock()
    }

    /// Has it deleted from now on. `rows` are to go then, as somebody was told. Says whether it was off.
    ///
    /// # Errors
    /// [`RetentionError`]; then it stays off.
    pub async fn start_retention(&self, by: Actor, rows: u64) -> Result<bool, RetentionError> {
        let retention = &self.shared.retention;
        if self.retention_since().is_some() {
            return Ok(false);
        }
        let now = clocks::read().wall;
        self.note(by, Note::RetentionStarted { rows }).await?;
        let (name, value) = (SINCE.to_owned(), now.0.to_string());
        self.shared
            .maintain(Maintenance::SetMeta { name, value })
            .await?;
        *retention.since.lock() = Some(now);
        retention.wanted.notify_one();
        Ok(true)
    }

    /// For how long the history of bindings is kept, where a pool says this or there is none.
    pub fn keeps_bindings(&self, own: Option<&PoolTerms>) -> Keep {
        let own = own.copied().unwrap_or_default();
        own.over(&self.shared.options.terms).bindings
    }

    async fn note(&self, by: Actor, note: Note) -> Result<(), SubmitError> {
        let id = None;
        let command = note;
        self.submit(maskline_domain::Envelope { by, id, command })
            .await
    }

    /// Makes rounds one after the other, for ever. None is made before the retention is on, and while the clocks
    /// disagree: what is too old is not known then.
    pub async fn keep_retention(&self) {
        let retention = &self.shared.retention;
        let mut rest = FIRST_AFTER;
        loop {
            tokio::select! {
                () = sleep(rest) => {}
                () = retention.wanted.notified() => {}
            }
            rest = ROUND_EVERY;
            if self.retention_since().is_none() {
                continue;
            }
            if self.status().clocks_disagree {
                retention.metrics.round("clock_in_doubt");
                continue;
            }
            match self.retain(clocks::read().wall).await {
                Ok(round) => {
                    retention.metrics.round("done");
                    let deleted: u64 = round.deleted.0.iter().sum();
                    if deleted > 0 {
                        let held: u64 = round.held.0.iter().sum();
                        tracing::info!(deleted, held, "deleted what is older than it may be");
                    }
                }
                Err(error) => {
                    retention.metrics.round("failed");
                    tracing::warn!(%error, "what is older than it may be is not deleted; trying again later");
                }
            }
        }
    }

    /// Makes one round at a time that may be of another clock: deletes what is too old at `now`, whether the retention
    /// is on or not.
    ///
    /// # Errors
    /// [`RetentionError`].
    pub async fn retain(&self, now: Timestamp) -> Result<Round, RetentionError> {
        let shared = &*self.shared;
        let _alone = shared.retention.round.lock().await;
        self.end_holds(now).await?;
        let mut round = Round::default();
        for kind in Kind::ALL {
            let mut next = Some(Scope::first(kind));
            while let Some(scope) = next {
                self.retain_scope(&scope, now, &mut round).await?;
                next = retention::next_scope(self.readers(), &scope).await?;
            }
        }
        shared.retention.metrics.rest(now, &round);
        Ok(round)
    }

    async fn retain_scope(
        &self,
        scope: &Scope,
        now: Timestamp,
        round: &mut Round,
    ) -> Result<(), RetentionError> {
        let kind = scope.kind;
        let keep = kind.keep(&self.terms_of(scope).await?);
        if let Some(until) = keep.until(now) {
            let mut cursor = None;
            loop {
                let Looked {
                    visited,
                    held,
                    next,
                    ..
                } = self
                    .retain_some(scope, now, until, cursor.as_ref(), round)
                    .await?;
                round.steps += 1;
                round.visited_max = round.visited_max.max(visited);
                round.held[kind] += u64::from(held);
                cursor = next;
                if cursor.is_none() {
                    break;
                }
            }
        }
        let oldest = retention::oldest(self.readers(), scope, None).await?;
        let so_far = &mut round.oldest[kind];
        *so_far = [*so_far, oldest].into_iter().flatten().min();
        Ok(())
    }

    /// One step: looks at a few rows, and deletes those that may go.
    async fn retain_some(
        &self,
        scope: &Scope,
        now: Timestamp,
        until: Timestamp,
        cursor: Option<&retention::Cursor>,
        round: &mut Round,
    ) -> Result<Looked, RetentionError> {
        let shared = &*self.shared;
        let mut holding = shared.retention.holding.lock().await;
        let holds = self.holds_at(now, &mut holding).await?;
        let mut looked =
            retention::look(self.readers(), scope, until, cursor, holds, DELETED_AT_ONCE).await?;
        let due = std::mem::take(&mut looked.due);
        // Files go first: a row whose file is gone is found again, a file without a row is not.
        let (rows, failed) = self.without_files(due, now).await;
        round.failed += failed;
        if !rows.is_empty() {
            let rows = rows.into_iter().map(|due| due.row).collect();
            let deleted = shared.maintain(Maintenance::Delete { rows, now }).await?;
            round.deleted[scope.kind] += deleted;
            shared.retention.metrics.deleted(scope.kind, deleted);
        }
        Ok(looked)
    }

    /// Deletes the files of these rows. Gives those rows that have none any more, and how many have one still.
    async fn without_files(&self, due: Vec<Due>, now: Timestamp) -> (Vec<Due>, u64) {
        if due.iter().all(|due| due.row.recording().is_none()) {
            return (due, 0);
        }
        let directory = self.shared.options.dir.join(recordings::DIRECTORY);
        let deleting = move || recordings::delete(&directory, due, now);
        tokio::task::spawn_blocking(deleting)
            .await
            .unwrap_or_default()
    }

    /// For how long rows of a scope are kept.
    async fn terms_of(&self, scope: &Scope) -> Result<Terms, ReadError> {
        let own = match &scope.pool {
            None => PoolTerms::default(),
            Some(pool) => {
                let key = PoolKey::new(pool);
                let own =
                    |state: &maskline_domain::State, _| state.pool(&key).map(|pool| pool.retention);
                self.read(Touch::Lists, own).await?.unwrap_or_default()
            }
        };
        Ok(own.over(&self.shared.options.terms))
    }
}
