//! Binding history: one row a binding, with its last facts and how it ended.
//!
//! Serves queries for bindings that are no longer in the state.

use std::collections::BTreeMap;

use maskline_domain::{
    AccountId, Actor, Binding, EndCause, Event, Owner, PhoneNumber, PoolKey, SubsId, Timestamp,
};
use sqlx::sqlite::{SqliteConnection, SqlitePool};
use sqlx::{AssertSqlSafe, QueryBuilder, Sqlite, query, query_as, query_scalar};

use super::entry::{Place, actor, runs};

/// What happened to one binding.
#[derive(Debug, Clone)]
pub struct Change {
    place: Place,
    by: String,
    what: HistoryChange,
}

#[derive(Debug, Clone)]
enum HistoryChange {
    Bound(Box<Binding>),
    Changed(Box<Binding>),
    Ended {
        subs_id: SubsId,
        cause: EndCause,
        at: Timestamp,
        owner: Option<Owner>,
    },
}

impl Change {
    pub(super) fn new(place: Place, by: &Actor, event: Event) -> Option<Self> {
        let what = match event {
            Event::Bound(binding) => HistoryChange::Bound(binding),
            Event::BindingChanged(binding) => HistoryChange::Changed(binding),
            Event::Ended {
                subs_id,
                cause,
                at,
                owner,
                ..
            } => HistoryChange::Ended {
                subs_id,
                cause,
                at,
                owner,
            },
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
    /// Its last facts.
    pub facts: Facts,
    /// Whose it was when it was made; `None` for one of before that was kept.
    pub owner: Option<Owner>,
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

/// What is still known of the terms of a binding.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Facts {
    /// As they were last.
    Known(Box<Binding>),
    /// They were erased at a person's request.
    Erased,
    /// They stand there, but not as this program writes them: a fault of the
    /// database or of ours, and no erasure.
    Unreadable,
}

impl Past {
    /// The facts, where they are known.
    pub fn binding(&self) -> Option<&Binding> {
        match &self.facts {
            Facts::Known(binding) => Some(binding),
            Facts::Erased | Facts::Unreadable => None,
        }
    }

    /// Whether a customer who names this pool of theirs may read it: whose it
    /// was then counts, not whose X is now.
    pub fn was_of(&self, account: &AccountId, pool: &PoolKey) -> bool {
        self.owner
            .as_ref()
            .is_some_and(|owner| owner.is(account, pool))
    }
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

/// One end that is to be written.
struct End<'a> {
    change: &'a Change,
    subs_id: SubsId,
    cause: EndCause,
    at: Timestamp,
    owner: Option<&'a Owner>,
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
            HistoryChange::Bound(binding) => made.push((change, &**binding)),
            HistoryChange::Changed(binding) => {
                changed.insert(binding.subs_id, (change, &**binding));
            }
            HistoryChange::Ended {
                subs_id,
                cause,
                at,
                owner,
            } => ended.push(End {
                change,
                subs_id: *subs_id,
                cause: *cause,
                at: *at,
                owner: owner.as_ref(),
            }),
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
        "INSERT INTO binding_history (subs_id, x, a, b, bound_at, bound_by, facts, seq, event, \
         pool, account) ",
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
            .push_bind(i64::from(change.place.event))
            .push_bind(binding.owner.as_ref().map(pool))
            .push_bind(binding.owner.as_ref().map(account));
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
         facts = new.column4, changed_by = new.column5, a = new.column6, b = new.column7, \
         pool = COALESCE(binding_history.pool, new.column8), \
         account = COALESCE(binding_history.account, new.column9) FROM (",
    );
    update.push_values(changed, |mut row, (change, binding)| {
        row.push_bind(binding.subs_id.0 as i64)
            .push_bind(change.place.seq as i64)
            .push_bind(i64::from(change.place.event))
            .push_bind(facts(binding))
            .push_bind(&change.by)
            .push_bind(party(Some(binding.a)))
            .push_bind(party(binding.b))
            .push_bind(binding.owner.as_ref().map(pool))
            .push_bind(binding.owner.as_ref().map(account));
    });
    update.push(IF_LATER);
    update.build().execute(conn).await?;
    Ok(())
}

async fn write_ended(conn: &mut SqliteConnection, ended: &[End<'_>]) -> Result<(), sqlx::Error> {
    let mut update = QueryBuilder::<Sqlite>::new(
        "UPDATE binding_history SET seq = new.column2, event = new.column3, \
         ended_at = new.column4, ended_by = new.column5, end_cause = new.column6, \
         pool = COALESCE(binding_history.pool, new.column7), \
         account = COALESCE(binding_history.account, new.column8) FROM (",
    );
    update.push_values(ended, |mut row, end| {
        row.push_bind(end.subs_id.0 as i64)
            .push_bind(end.change.place.seq as i64)
            .push_bind(i64::from(end.change.place.event))
            .push_bind(end.at.0)
            .push_bind(&end.change.by)
            .push_bind(cause_name(end.cause))
            .push_bind(end.owner.map(pool))
            .push_bind(end.owner.map(account));
    });
    update.push(IF_LATER);
    update.build().execute(conn).await?;
    Ok(())
}

/// Writes down whose bindings were, where the rows do not tell it yet. Says how
/// many rows that were.
///
/// # Errors
/// Those of the database.
pub async fn own(
    conn: &mut SqliteConnection,
    owners: &[(SubsId, Owner)],
) -> Result<u64, sqlx::Error> {
    let mut filled = 0;
    for (subs_id, owner) in owners {
        let done = query(
            "UPDATE binding_history SET pool = $2, account = $3 \
             WHERE subs_id = $1 AND pool IS NULL",
        )
        .bind(subs_id.0 as i64)
        .bind(pool(owner))
        .bind(account(owner))
        .execute(&mut *conn)
        .await?;
        filled += done.rows_affected();
    }
    Ok(filled)
}

/// Whether there is a row that does not tell whose its binding was.
///
/// # Errors
/// Those of the database.
pub async fn any_unowned(conn: &mut SqliteConnection) -> Result<bool, sqlx::Error> {
    let found: Option<i64> =
        query_scalar("SELECT subs_id FROM binding_history WHERE pool IS NULL LIMIT 1")
            .fetch_optional(conn)
            .await?;
    Ok(found.is_some())
}

fn pool(owner: &Owner) -> String {
    owner.pool.as_str().to_owned()
}

fn account(owner: &Owner) -> String {
    owner.account.as_str().to_owned()
}

/// A binding whose person was erased has no facts. Its owner stands beside them.
fn facts(binding: &Binding) -> Option<String> {
    (!binding.a.is_erased()).then(|| {
        let bare = Binding {
            owner: None,
            ..binding.clone()
        };
        serde_json::to_string(&bare).expect("plain values always serialise")
    })
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

/// What [`past`] reads, in its order.
const COLUMNS: &str = "subs_id, x, bound_by, changed_by, ended_at, ended_by, end_cause, facts, \
    pool, account";

type Columns = (
    i64,
    String,
    String,
    Option<String>,
    Option<i64>,
    Option<String>,
    Option<String>,
    Option<String>,
    Option<String>,
    Option<String>,
);

/// What is known of one binding.
///
/// # Errors
/// Those of the database.
pub async fn get(readers: &SqlitePool, subs_id: SubsId) -> Result<Option<Past>, sqlx::Error> {
    let sql = format!("SELECT {COLUMNS} FROM binding_history WHERE subs_id = $1");
    let row: Option<Columns> = query_as(AssertSqlSafe(sql))
        .bind(subs_id.0 as i64)
        .fetch_optional(readers)
        .await?;
    Ok(row.map(past))
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
    let sql = format!(
        "SELECT {COLUMNS} FROM binding_history WHERE x = $1 AND bound_at <= $3 \
         AND (ended_at IS NULL OR ended_at > $2) ORDER BY bound_at DESC LIMIT $4"
    );
    let rows: Vec<Columns> = query_as(AssertSqlSafe(sql))
        .bind(x.reveal())
        .bind(from.0)
        .bind(to.0)
        .bind(i64::from(limit))
        .fetch_all(readers)
        .await?;
    Ok(rows.into_iter().map(past).collect())
}

/// Which ended bindings to list.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// Only those on this X.
    pub x: Option<PhoneNumber>,
    /// Only those in whose last facts this is A or B.
    pub party: Option<PhoneNumber>,
    /// Only those that were in this pool.
    pub pool: Option<PoolKey>,
    /// Only those that were this account's.
    pub account: Option<AccountId>,
    /// Only those with a lower id; for the next page.
    pub before: Option<SubsId>,
    /// At most so many.
    pub limit: u32,
}

/// A page of ended bindings, the newest ids first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// The bindings.
    pub rows: Vec<Past>,
    /// Where the next page begins ([`Filter::before`]), if there may be one. A
    /// page may be short and still have a next one: no more than
    /// [`VISITED_MAX`] rows are looked at for one.
    pub next: Option<SubsId>,
}

/// How many rows are looked at for one page.
pub const VISITED_MAX: u32 = 200_000;

/// Ended bindings.
///
/// # Errors
/// Those of the database.
pub async fn ended(readers: &SqlitePool, filter: &Filter) -> Result<Page, sqlx::Error> {
    let before = filter
        .before
        .and_then(|id| i64::try_from(id.0).ok())
        .unwrap_or(i64::MAX);
    // Pool and X have an index; what has none is looked for among a bounded number of rows.
    let among = |select: &mut QueryBuilder<Sqlite>| {
        select
            .push(" FROM binding_history WHERE subs_id < ")
            .push_bind(before);
        if let Some(x) = filter.x {
            select.push(" AND x = ").push_bind(x.reveal());
        }
        if let Some(pool) = &filter.pool {
            select
                .push(" AND pool = ")
                .push_bind(pool.as_str().to_owned());
        }
        select.push(" ORDER BY subs_id DESC LIMIT ");
    };
    let mut select = QueryBuilder::<Sqlite>::new(format!("SELECT {COLUMNS} FROM (SELECT * "));
    among(&mut select);
    select
        .push_bind(i64::from(VISITED_MAX))
        .push(") WHERE ended_at IS NOT NULL");
    if let Some(account) = &filter.account {
        select
            .push(" AND account = ")
            .push_bind(account.as_str().to_owned());
    }
    if let Some(party) = filter.party {
        let digits = party.reveal();
        select.push(" AND (a = ").push_bind(digits.clone());
        select.push(" OR b = ").push_bind(digits).push(")");
    }
    select
        .push(" ORDER BY subs_id DESC LIMIT ")
        .push_bind(i64::from(filter.limit) + 1);
    let rows: Vec<Columns> = select.build_query_as().fetch_all(readers).await?;
    let mut rows: Vec<Past> = rows.into_iter().map(past).collect();
    if rows.len() > filter.limit as usize {
        rows.truncate(filter.limit as usize);
        let next = rows.last().map(|last| last.subs_id);
        return Ok(Page { rows, next });
    }
    // The last row that was looked at, if there were as many as are looked at.
    let mut last = QueryBuilder::<Sqlite>::new("SELECT subs_id ");
    among(&mut last);
    last.push("1 OFFSET ").push_bind(i64::from(VISITED_MAX) - 1);
    let next: Option<(i64,)> = last.build_query_as().fetch_optional(readers).await?;
    let next = next.map(|(id,)| SubsId(id as u64));
    Ok(Page { rows, next })
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

fn past(row: Columns) -> Past {
    let (subs_id, x, bound_by, changed_by, ended_at, ended_by, end_cause, facts, pool, account) =
        row;
    let owner = pool.zip(account).map(|(pool, account)| Owner {
        pool: PoolKey::new(&pool),
        account: AccountId::new(&account),
    });
    let x = PhoneNumber::parse(&x).ok();
    let facts = match facts.as_deref().map(serde_json::from_str::<Binding>) {
        None if x.is_some() => Facts::Erased,
        Some(Ok(binding)) if x == Some(binding.x) => Facts::Known(Box::new(Binding {
            owner: owner.clone(),
            ..binding
        })),
        None | Some(_) => Facts::Unreadable,
    };
    Past {
        facts,
        owner,
        subs_id: SubsId(subs_id as u64),
        x: x.unwrap_or(PhoneNumber::ERASED),
        bound_by,
        changed_by,
        ended: ended_at.map(|at| Ended {
            at: Timestamp(at),
            by: ended_by.unwrap_or_default(),
            cause: end_cause.unwrap_or_default(),
        }),
    }
}
