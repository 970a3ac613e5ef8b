//! What is older than it may be: found piece by piece, and deleted.
//!
//! Finding reads, so it may be done on any connection; only deleting writes. Neither looks at more rows at once than it
//! is told to, and rows that stay are not looked at again and again: what may go is found by an index that has it in
//! the order in which it was over.

mod audit;
mod bindings;
mod calls;
mod receipts;

use std::borrow::Cow;

use maskline_domain::retention::{Keep, Terms};
use maskline_domain::{SubsId, Timestamp};

use super::hold::{Holdable, Holds};
use super::owed;
use crate::db::{Connection, Error, Readers, Row, Statement, Value, sql};

/// How many rows are deleted in one transaction, which appends wait for.
pub const DELETED_AT_ONCE: u32 = 32;

/// What is kept for a time, each kind for its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// Rows of the history of bindings.
    Bindings,
    /// Recordings: files, which the records of their calls name.
    Recordings,
    /// What is owed for milestones of calls.
    Receipts,
    /// Call records.
    Calls,
    /// Lines of the audit.
    Audit,
}

impl Kind {
    /// All of them, in an order in which they can go: a call for which something is owed stays.
    pub const ALL: [Kind; 5] = [
        Kind::Bindings,
        Kind::Recordings,
        Kind::Receipts,
        Kind::Calls,
        Kind::Audit,
    ];

    /// Its name, as settings have it.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Bindings => "bindings",
            Kind::Recordings => "recordings",
            Kind::Receipts => "receipts_dead",
            Kind::Calls => "calls",
            Kind::Audit => "audit",
        }
    }

    /// Whether pools may say for how long it is kept.
    pub fn is_by_pool(self) -> bool {
        match self {
            Kind::Bindings | Kind::Recordings | Kind::Calls => true,
            Kind::Receipts | Kind::Audit => false,
        }
    }

    /// For how long it is kept.
    pub fn keep(self, terms: &Terms) -> Keep {
        match self {
            Kind::Bindings => terms.bindings,
            Kind::Recordings => terms.recordings,
            Kind::Receipts => terms.receipts_dead,
            Kind::Calls => terms.calls,
            Kind::Audit => terms.audit,
        }
    }
}

/// Rows that are kept for the same time: those of a kind, and of one pool where pools may say for how long.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scope {
    /// The kind.
    pub kind: Kind,
    /// The pool. None: rows of no pool, and of kinds of which pools say nothing all rows.
    pub pool: Option<String>,
}

impl Scope {
    /// The first one of a kind.
    pub fn first(kind: Kind) -> Self {
        Self { kind, pool: None }
    }
}

/// The scope after this one, of the same kind.
///
/// # Errors
/// Those of the database.
pub async fn next_scope(readers: &Readers, scope: &Scope) -> Result<Option<Scope>, Error> {
    if !scope.kind.is_by_pool() {
        return Ok(None);
    }
    let select = match scope.kind {
        Kind::Bindings => sql("SELECT pool FROM binding_history WHERE pool > ?"),
        _ => sql("SELECT pool FROM call_record WHERE pool > ?"),
    };
    let select = select
        .bind(scope.pool.as_deref().unwrap_or_default())
        .push(" ORDER BY pool LIMIT 1");
    let row = readers.fetch_optional(select).await?;
    let pool = row.map(|row| row.get("pool")).transpose()?;
    Ok(pool.map(|pool| Scope {
        kind: scope.kind,
        pool: Some(pool),
    }))
}

/// Where a look ended, for the next one to go on behind.
#[derive(Debug, Clone)]
pub struct Cursor(Vec<Value<'static>>);

/// A row that may go, and when it was over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Due {
    /// When it was over.
    pub at: Timestamp,
    /// Which one.
    pub row: DueRow,
}

/// Which row may go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DueRow {
    /// One of the history of bindings.
    Binding(SubsId),
    /// A call record. The file of its recording, where there is one, is to be deleted before.
    Call {
        /// Its id.
        call_id: String,
        /// The file of its recording.
        recording: Option<String>,
    },
    /// The name of a recording, in a call record that stays. The file is to be deleted before.
    Recording {
        /// The id of the call.
        call_id: String,
        /// The file.
        recording: String,
    },
    /// What is owed for a milestone of a call.
    Receipt(owed::Place),
    /// A line of the audit: its batch, and which of its events.
    Audit(i64, i64),
}

impl DueRow {
    /// The file that is to be deleted before it goes.
    pub fn recording(&self) -> Option<&str> {
        match self {
            DueRow::Call { recording, .. } => recording.as_deref(),
            DueRow::Recording { recording, .. } => Some(recording),
            DueRow::Binding(_) | DueRow::Receipt(_) | DueRow::Audit(..) => None,
        }
    }
}

/// What a look found.
#[derive(Debug, Default)]
pub struct Looked {
    /// What may go.
    pub due: Vec<Due>,
    /// How many rows were looked at.
    pub visited: u32,
    /// How many of them would go, and are held,
    pub held: u32,
    /// or wait: calls that ended later than others that arrived then, and those for which something is owed.
    pub waiting: u32,
    /// Where to go on, if there may be more.
    pub next: Option<Cursor>,
}

/// Looks at the next rows of a scope that were over at `until` or before: at most so many, behind `after`.
///
/// # Errors
/// Those of the database.
pub async fn look(
    readers: &Readers,
    scope: &Scope,
    until: Timestamp,
    after: Option<&Cursor>,
    holds: &Holds,
    rows_max: u32,
) -> Result<Looked, Error> {
    let select = select(scope, until, after, rows_max);
    let rows = readers.fetch_all(select).await?;
    let mut looked = Looked {
        visited: rows.len() as u32,
        ..Looked::default()
    };
    let is_full = looked.visited >= rows_max;
    for row in &rows {
        let found = match scope.kind {
            Kind::Bindings => bindings::found(row)?,
            Kind::Recordings => calls::found_recording(row)?,
            Kind::Receipts => receipts::found(row)?,
            Kind::Calls => calls::found(row)?,
            Kind::Audit => audit::found(row)?,
        };
        if found.due.at > until && scope.kind == Kind::Audit {
            // They stand in the order of time.
            return Ok(looked);
        }
        if found.due.at > until {
            looked.waiting += 1;
        } else if holds.hold(&found.holdable) {
            looked.held += 1;
        } else if found.waits {
            looked.waiting += 1;
        } else {
            looked.due.push(found.due);
        }
    }
    if let Some(last) = rows.last().filter(|_| is_full) {
        looked.next = Some(cursor(scope.kind, last)?);
    }
    Ok(looked)
}

/// A row that was looked at.
struct Found<'r> {
    due: Due,
    holdable: Holdable<'r>,
    /// Whether it stays for now though it is old enough.
    waits: bool,
}

fn select<'a>(
    scope: &'a Scope,
    until: Timestamp,
    after: Option<&'a Cursor>,
    rows_max: u32,
) -> Statement<'a> {
    let pool = scope.pool.as_deref();
    let cursor = after.map(|cursor| &cursor.0[..]);
    let select = match scope.kind {
        Kind::Bindings => bindings::select(pool, until, cursor),
        Kind::Recordings => calls::select_recordings(pool, until, cursor),
        Kind::Receipts => receipts::select(until, cursor),
        Kind::Calls => calls::select(pool, until, cursor),
        Kind::Audit => audit::select(cursor),
    };
    select.push(" LIMIT ?").bind(rows_max)
}

fn cursor(kind: Kind, row: &Row) -> Result<Cursor, Error> {
    let values = match kind {
        Kind::Bindings => bindings::cursor(row),
        Kind::Recordings | Kind::Calls => calls::cursor(row),
        Kind::Receipts => receipts::cursor(row),
        Kind::Audit => audit::cursor(row),
    };
    values.map(Cursor)
}

/// Adds that rows are of this pool, or of none.
fn of_pool<'a>(select: Statement<'a>, pool: Option<&'a str>) -> Statement<'a> {
    match pool {
        Some(pool) => select.push(" AND pool = ?").bind(pool),
        None => select.push(" AND pool IS NULL"),
    }
}

/// The search keys of the persons that a call record names.
fn persons(row: &Row) -> Result<Vec<Cow<'_, [u8]>>, Error> {
    let keys = ["caller_key", "callee_key", "a_key", "b_key"].map(|column| row.get(column));
    let keys = keys
        .into_iter()
        .collect::<Result<Vec<Option<_>>, Error>>()?;
    Ok(keys.into_iter().flatten().collect())
}

/// Adds ` AND (columns) > (values)` for who goes on behind a cursor.
fn behind<'a>(
    select: Statement<'a>,
    columns: &'static str,
    cursor: Option<&'a [Value<'a>]>,
) -> Statement<'a> {
    match cursor {
        None => select,
        Some(values) => select.push(columns).push_list(values.iter().cloned()),
    }
}

/// When the oldest row of a scope was over that was over after `after`; of calls and recordings, when they arrived; of
/// the audit, whatever `after` says.
///
/// # Errors
/// Those of the database.
pub async fn oldest(
    readers: &Readers,
    scope: &Scope,
    after: Option<Timestamp>,
) -> Result<Option<Timestamp>, Error> {
    let row = readers.fetch_optional(select_oldest(scope, after)).await?;
    let at = row.map(|row| row.get("at")).transpose()?;
    Ok(at.map(Timestamp))
}

fn select_oldest(scope: &Scope, after: Option<Timestamp>) -> Statement<'_> {
    let after = after.map_or(i64::MIN, |at| at.0);
    let pool = scope.pool.as_deref();
    match scope.kind {
        Kind::Bindings => bindings::oldest(pool, after),
        Kind::Recordings => calls::oldest_recording(pool, after),
        Kind::Receipts => receipts::oldest(after),
        Kind::Calls => calls::oldest(pool, after),
        // It stands in the order of its place, so that only the first one is found at once.
        Kind::Audit => audit::oldest(),
    }
}

/// Deletes rows of one kind that were [found](look); takes the names of recordings out of their call records. To be
/// called in a transaction, with few of them. Says how many there were.
///
/// # Errors
/// Those of the database.
pub async fn delete(conn: &mut Connection, rows: &[DueRow], now: Timestamp) -> Result<u64, Error> {
    let (mut bindings, mut calls, mut recordings) = (Vec::new(), Vec::new(), Vec::new());
    let (mut receipts, mut audit) = (Vec::new(), Vec::new());
    for row in rows {
        match row {
            DueRow::Binding(id) => bindings.push(id.0 as i64),
            DueRow::Call { call_id, .. } => calls.push(call_id.as_str()),
            DueRow::Recording { call_id, .. } => recordings.push(call_id.as_str()),
            DueRow::Receipt(place) => receipts.push(place.clone()),
            DueRow::Audit(seq, event) => audit.push((*seq, *event)),
        }
    }
    Ok(bindings::delete(conn, &bindings).await?
        + calls::delete(conn, &calls).await?
        + calls::forget_recordings(conn, &recordings, now).await?
        + owed::settle(conn, &receipts).await?
        + audit::delete(conn, &audit).await?)
}

/// When the recording of a call was deleted, if it was.
///
/// # Errors
/// Those of the database.
pub async fn recording_deleted_at(
    readers: &Readers,
    call_id: &str,
) -> Result<Option<Timestamp>, Error> {
    let select = sql("SELECT recording_deleted_at FROM call_record WHERE call_id = ?");
    let row = readers.fetch_optional(select.bind(call_id)).await?;
    let at = row.map(|row| row.get::<Option<i64>>("recording_deleted_at"));
    Ok(at.transpose()?.flatten().map(Timestamp))
}

#[cfg(test)]
mod plans;
