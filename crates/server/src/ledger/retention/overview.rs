//! What would go, counted without deleting anything.

use maskline_domain::Timestamp;
use maskline_domain::retention::Keep;
use maskline_store::records::hold::{self, Holds};
use maskline_store::records::retention::{self, Kind, Scope};

use super::super::Ledger;
use super::RetentionError;

/// Rows looked at at a time,
const VIEWED_AT_ONCE: u32 = 1_000;
/// and of each line at most.
const VIEWED_MAX: u64 = 50_000;

/// What would go at a moment.
#[derive(Debug, Clone)]
pub struct Overview {
    /// Since when it goes by itself; none if it does not.
    pub since: Option<Timestamp>,
    /// How many holds there are.
    pub holds: usize,
    /// For how many days the journal is kept.
    pub journal_days: u64,
    /// By kind, and by pool where that is kept for another time.
    pub lines: Vec<Line>,
}

/// What would go of one kind.
#[derive(Debug, Clone)]
pub struct Line {
    /// The kind.
    pub kind: Kind,
    /// The pool that says something else; none for all others.
    pub pool: Option<String>,
    /// For how long it is kept.
    pub keep: Keep,
    /// How many rows may go now,
    pub due: u64,
    /// how many would go and are held,
    pub held: u64,
    /// and how many wait: calls for which something is owed.
    pub waiting: u64,
    /// Whether not all were counted, since there are very many.
    pub at_least: bool,
    /// When the oldest and the newest one were over that may go now.
    pub span: Option<(Timestamp, Timestamp)>,
    /// When the next one may go after these.
    pub next_at: Option<Timestamp>,
    visited: u64,
}

impl Overview {
    /// How many rows may go now, as far as they were counted.
    pub fn due(&self) -> u64 {
        self.lines.iter().map(|line| line.due).sum()
    }
}

impl Ledger {
    /// What would go at `now`.
    ///
    /// # Errors
    /// [`RetentionError`].
    pub async fn retention_overview(&self, now: Timestamp) -> Result<Overview, RetentionError> {
        let options = &self.shared.options;
        let held = hold::list(self.readers()).await?;
        let holds = Holds::at(now, &held);
        let mut lines: Vec<Line> = Vec::new();
        for kind in Kind::ALL {
            let usual =
                kind.keep(&maskline_domain::retention::PoolTerms::default().over(&options.terms));
            lines.push(Line::new(kind, None, usual));
            let place = lines.len() - 1;
            let mut next = Some(Scope::first(kind));
            while let Some(scope) = next {
                let keep = kind.keep(&self.terms_of(&scope).await?);
                let line = match keep == usual {
                    true => &mut lines[place],
                    false => {
                        lines.push(Line::new(kind, scope.pool.clone(), keep));
                        lines.last_mut().expect("it was just added")
                    }
                };
                self.count(&scope, now, &holds, line).await?;
                next = retention::next_scope(self.readers(), &scope).await?;
            }
        }
        Ok(Overview {
            since: self.retention_since(),
            holds: held.iter().filter(|hold| hold.until > now).count(),
            journal_days: options.retention.as_secs() / 86_400,
            lines,
        })
    }

    async fn count(
        &self,
        scope: &Scope,
        now: Timestamp,
        holds: &Holds,
        line: &mut Line,
    ) -> Result<(), RetentionError> {
        let Some(until) = line.keep.until(now) else {
            return Ok(());
        };
        let mut cursor = None;
        loop {
            if line.visited >= VIEWED_MAX {
                line.at_least = true;
                return Ok(());
            }
            let readers = self.readers();
            let cursor_now = cursor.as_ref();
            let looked =
                retention::look(readers, scope, until, cursor_now, holds, VIEWED_AT_ONCE).await?;
            line.visited += u64::from(looked.visited);
            line.due += looked.due.len() as u64;
            line.held += u64::from(looked.held);
            line.waiting += u64::from(looked.waiting);
            for due in &looked.due {
                let (oldest, newest) = line.span.unwrap_or((due.at, due.at));
                line.span = Some((oldest.min(due.at), newest.max(due.at)));
            }
            cursor = looked.next;
            if cursor.is_none() {
                break;
            }
        }
        let later = retention::oldest(self.readers(), scope, Some(until)).await?;
        let kept = now.0 - until.0;
        let next_at = later.map(|at| at.plus_millis(kept).max(now));
        line.next_at = [line.next_at, next_at].into_iter().flatten().min();
        Ok(())
    }
}

impl Line {
    fn new(kind: Kind, pool: Option<String>, keep: Keep) -> Self {
        Self {
            kind,
            pool,
            keep,
            due: 0,
            held: 0,
            waiting: 0,
            at_least: false,
            span: None,
            next_at: None,
            visited: 0,
        }
    }
}
