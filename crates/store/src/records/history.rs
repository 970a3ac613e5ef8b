//! Binding history: one row a binding, with its last facts and how it ended.
//!
//! Serves queries for bindings that are no longer in the state.

use std::collections::BTreeMap;

use maskline_domain::{Actor, Binding, EndCause, Event, PhoneNumber, SubsId, Timestamp};
use sqlx::sqlite::{SqliteConnection, SqlitePool};
use sqlx::{QueryBuilder, Sqlite, query, query_as, query_scalar};

use super::projection::{Place, actor, runs};

/// What happened to one binding.
#[derive(Debug, Clone)]
pub struct Change {
    place: Place,
    by: String,
    what: What,
}

#[derive(Debug, Clone)]
enum What {
    Bound(Box<Binding>),
    Changed(Box<Binding>),
    Ended {
        subs_id: SubsId,
        cause: EndCause,
        at: Timestamp,
    },
}

impl Change {
    pub(super) fn new(place: Place, by: &Actor, event: Event) -> Option<Self> {
        let what = match event {
            Event::Bound(binding) => What::Bound(binding),
            Event::BindingChanged(binding) => What::Changed(binding),
            Event::Ended {
                subs_id, cause, at, ..
            } => What::Ended { subs_id, cause, at },
            _ => return None,
        };
        Some(Self {
            place,
            by: actor(by),
            what,
        })
    }
}

/// What is known of a binding.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Past {
    /// Its last facts; `None` when they were erased.
    pub binding: Option<Binding>,
    /// Its id.
    pub subs_id: SubsId,
    /// Its X.
    pub x: PhoneNumber,
    /// Who made it.
    pub bound_by: String,
    /// Who changed it last.
    pub changed_by: Option<String>,
    /// When, by whom and how it ended; `None` while it is in force.
    pub ended: Option<Ended>,
}

/// The end of a binding.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ended {
    /// When.
    pub at: Timestamp,
    /// Who ended it.
    pub by: String,
    /// How: `unbound` or `expired`.
    pub cause: String,
}

/// Writes what happened in a stretch of the journal. A change that is there
/// already, or is older than what is there, does nothing.
///
/// # Errors
/// Those of the database.
pub async fn write(conn: &mut SqliteConnection, changes: &[Change]) -> Result<(), sqlx::Error> {
    // A binding is made before it is changed, and changed before it ends, so
    // the three may be written one after the other; of several changes only
    // the last one counts.
    let mut made = Vec::new();
    let mut changed = BTreeMap::new();
    let mut ended = Vec::new();
    for change in changes {
        match &change.what {
            What::Bound(binding) => made.push((change, &**binding)),
            What::Changed(binding) => {
                changed.insert(binding.subs_id, (change, &**binding));
            }
            What::Ended { subs_id, cause, at } => ended.push((change, *subs_id, *cause, *at)),
        }
    }
    for some in runs(&made) {
        write_made(conn, some).await?;
    }
    for some in runs(&changed.into_values().collect::<Vec<_>>()) {
        write_changed(conn, some).await?;
    }
    for some in runs(&ended) {
        write_ended(conn, some).await?;
    }
    Ok(())
}

async fn write_made(
    conn: &mut SqliteConnection,
    made: &[(&Change, &Binding)],
) -> Result<(), sqlx::Error> {
    let mut insert = QueryBuilder::<Sqlite>::new(
        "INSERT INTO binding_history (subs_id, x, a, b, bound_at, bound_by, facts, seq, event) ",
    );
    insert.push_values(made, |mut row, (change, binding)| {
        row.push_bind(binding.subs_id.0 as i64)
            .push_bind(binding.x.reveal())
            .push_bind(party(Some(binding.a)))
            .push_bind(party(binding.b))
            .push_bind(binding.created_at.0)
            .push_bind(&change.by)
            .push_bind(facts(binding))
            .push_bind(change.place.seq as i64)
            .push_bind(i64::from(change.place.event));
    });
    insert.push(" ON CONFLICT (subs_id) DO NOTHING");
    insert.build().execute(conn).await?;
    Ok(())
}

/// Only what comes later in the journal than what is there.
const IF_LATER: &str = ") AS new WHERE binding_history.subs_id = new.column1 \
    AND (binding_history.seq < new.column2 \
    OR (binding_history.seq = new.column2 AND binding_history.event < new.column3))";

async fn write_changed(
    conn: &mut SqliteConnection,
    changed: &[(&Change, &Binding)],
) -> Result<(), sqlx::Error> {
    let mut update = QueryBuilder::<Sqlite>::new(
        "UPDATE binding_history SET seq = new.column2, event = new.column3, \
         facts = new.column4, changed_by = new.column5, a = new.column6, b = new.column7 FROM (",
    );
    update.push_values(changed, |mut row, (change, binding)| {
        row.push_bind(binding.subs_id.0 as i64)
            .push_bind(change.place.seq as i64)
            .push_bind(i64::from(change.place.event))
            .push_bind(facts(binding))
            .push_bind(&change.by)
            .push_bind(party(Some(binding.a)))
            .push_bind(party(binding.b));
    });
    update.push(IF_LATER);
    update.build().execute(conn).await?;
    Ok(())
}

async fn write_ended(
    conn: &mut SqliteConnection,
    ended: &[(&Change, SubsId, EndCause, Timestamp)],
) -> Result<(), sqlx::Error> {
    let mut update = QueryBuilder::<Sqlite>::new(
        "UPDATE binding_history SET seq = new.column2, event = new.column3, \
         ended_at = new.column4, ended_by = new.column5, end_cause = new.column6 FROM (",
    );
    update.push_values(ended, |mut row, (change, subs_id, cause, at)| {
        row.push_bind(subs_id.0 as i64)
            .push_bind(change.place.seq as i64)
            .push_bind(i64::from(change.place.event))
            .push_bind(at.0)
            .push_bind(&change.by)
            .push_bind(cause_name(*cause));
    });
    update.push(IF_LATER);
    update.build().execute(conn).await?;
    Ok(())
}

/// A binding whose person was erased has no facts.
fn facts(binding: &Binding) -> Option<String> {
    (!binding.a.is_erased())
        .then(|| serde_json::to_string(binding).expect("plain values always serialise"))
}

/// The digits of a party, unless it was erased.
fn party(number: Option<PhoneNumber>) -> Option<String> {
    number
        .filter(|number| !number.is_erased())
        .map(PhoneNumber::reveal)
}

fn cause_name(cause: EndCause) -> &'static str {
    match cause {
        EndCause::Unbound => "unbound",
        EndCause::Expired => "expired",
    }
}

type Columns = (
    i64,
    String,
    String,
    Option<String>,
    Option<i64>,
    Option<String>,
    Option<String>,
    Option<String>,
);

/// What is known of one binding.
///
/// # Errors
/// Those of the database.
pub async fn get(readers: &SqlitePool, subs_id: SubsId) -> Result<Option<Past>, sqlx::Error> {
    let row: Option<Columns> = query_as(
        "SELECT subs_id, x, bound_by, changed_by, ended_at, ended_by, end_cause, facts \
         FROM binding_history WHERE subs_id = $1",
    )
    .bind(subs_id.0 as i64)
    .fetch_optional(readers)
    .await?;
    Ok(row.and_then(past))
}

/// The bindings on X that were in force at some moment from `from` to `to`,
/// the newest first; at most `limit`.
///
/// # Errors
/// Those of the database.
pub async fn on_x(
    readers: &SqlitePool,
    x: PhoneNumber,
    from: Timestamp,
    to: Timestamp,
    limit: u32,
) -> Result<Vec<Past>, sqlx::Error> {
    let rows: Vec<Columns> = query_as(
        "SELECT subs_id, x, bound_by, changed_by, ended_at, ended_by, end_cause, facts \
         FROM binding_history WHERE x = $1 AND bound_at <= $3 \
         AND (ended_at IS NULL OR ended_at > $2) ORDER BY bound_at DESC LIMIT $4",
    )
    .bind(x.reveal())
    .bind(from.0)
    .bind(to.0)
    .bind(i64::from(limit))
    .fetch_all(readers)
    .await?;
    Ok(rows.into_iter().filter_map(past).collect())
}

/// The ended bindings in whose last facts `number` is A or B.
///
/// # Errors
/// Those of the database.
pub async fn ended_with(
    readers: &SqlitePool,
    number: PhoneNumber,
) -> Result<Vec<SubsId>, sqlx::Error> {
    let ids: Vec<i64> = query_scalar(
        "SELECT subs_id FROM binding_history \
         WHERE ended_at IS NOT NULL AND (a = $1 OR b = $1) ORDER BY subs_id",
    )
    .bind(number.reveal())
    .fetch_all(readers)
    .await?;
    Ok(ids.into_iter().map(|id| SubsId(id as u64)).collect())
}

/// Blanks what tells of a person in one ended binding. Says whether there was
/// anything.
///
/// # Errors
/// Those of the database.
pub async fn erase(conn: &mut SqliteConnection, subs_id: SubsId) -> Result<bool, sqlx::Error> {
    let done = query(
        "UPDATE binding_history SET facts = NULL, a = NULL, b = NULL \
         WHERE subs_id = $1 AND ended_at IS NOT NULL AND facts IS NOT NULL",
    )
    .bind(subs_id.0 as i64)
    .execute(conn)
    .await?;
    Ok(done.rows_affected() > 0)
}

fn past(row: Columns) -> Option<Past> {
    let (subs_id, x, bound_by, changed_by, ended_at, ended_by, end_cause, facts) = row;
    Some(Past {
        binding: facts.and_then(|facts| serde_json::from_str(&facts).ok()),
        subs_id: SubsId(subs_id as u64),
        x: PhoneNumber::parse(&x).ok()?,
        bound_by,
        changed_by,
        ended: ended_at.map(|at| Ended {
            at: Timestamp(at),
            by: ended_by.unwrap_or_default(),
            cause: end_cause.unwrap_or_default(),
        }),
    })
}
