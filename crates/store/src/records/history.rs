//! Binding history: one row a binding, with its last facts and how it ended.
//!
//! Serves queries for bindings that are no longer in the state.

mod erasing;
mod faults;

use std::borrow::Cow;
use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::fmt;

use maskline_domain::binding::Phase;
use maskline_domain::{
    AccountId, Actor, Binding, EndCause, Event, Owner, Part, PhoneNumber, PoolKey, SubsId,
    Timestamp,
};

pub use self::erasing::{ended_with, erase};
pub use self::faults::unreadable;
use super::entry::{Place, actor, runs};
use super::party_key::party_key;
use crate::db::{Connection, Error, Readers, Row, Statement, Value, sql};

/// The form of the facts in a row: JSON.
const FORM: i64 = 1;

/// What happened to one binding.
#[derive(Debug, Clone)]
pub struct Change {
    place: Place,
    by: String,
    what: HistoryChange,
}

#[derive(Debug, Clone)]
enum HistoryChange {
    Bound(Box<BindingColumns>),
    Changed(Box<BindingColumns>),
    Ended {
        subs_id: SubsId,
        cause: EndCause,
        at: Timestamp,
        owner: Option<Owner>,
    },
    Erased {
        subs_id: SubsId,
        parts: Vec<Part>,
    },
}

/// A binding as its row tells it. Made by who reads the journal, since appends
/// wait while the rows are written.
#[derive(Clone)]
struct BindingColumns {
    subs_id: SubsId,
    x: String,
    a: Option<String>,
    b: Option<String>,
    a_key: Option<Vec<u8>>,
    b_key: Option<Vec<u8>>,
    created_at: Timestamp,
    facts: Option<String>,
    owner: Option<Owner>,
}

impl BindingColumns {
    fn of(binding: &Binding) -> Box<Self> {
        Box::new(Self {
            subs_id: binding.subs_id,
            x: binding.x.reveal(),
            a: party(Some(binding.a)),
            b: party(binding.b),
            a_key: party_key(binding.a),
            b_key: binding.b.and_then(party_key),
            created_at: binding.created_at,
            facts: facts(binding),
            owner: binding.owner.clone(),
        })
    }
}

impl fmt::Debug for BindingColumns {
    /// Without what tells of persons.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BindingColumns")
            .field("subs_id", &self.subs_id)
            .finish_non_exhaustive()
    }
}

impl Change {
    pub(super) fn new(place: Place, by: &Actor, event: &Event) -> Option<Self> {
        let what = match event {
            Event::Bound(binding) => HistoryChange::Bound(BindingColumns::of(binding)),
            Event::BindingChanged(binding) => HistoryChange::Changed(BindingColumns::of(binding)),
            Event::Ended {
                subs_id,
                cause,
                at,
                owner,
                ..
            } => HistoryChange::Ended {
                subs_id: *subs_id,
                cause: *cause,
                at: *at,
                owner: owner.clone(),
            },
            // No call goes by it from then on; that its carrier lets it go changes nothing of that.
            Event::ProvisionChanged {
                subs_id,
                phase: Phase::Releasing { cause, at },
                ..
            } => HistoryChange::Ended {
                subs_id: *subs_id,
                cause: *cause,
                at: *at,
                owner: None,
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
    /// As they were last; a party that was erased is [`PhoneNumber::ERASED`].
    Known(Box<Binding>),
    /// They were erased at the request of everybody whom they named.
    Erased,
    /// They stand there, but not as this program writes them: in a form of a
    /// newer one, or by a fault of the database or of ours. No erasure.
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

    /// Whether anybody was erased from it.
    pub fn is_erased(&self) -> bool {
        match &self.facts {
            Facts::Known(binding) => {
                let parties = [Some(binding.a), binding.b];
                parties.into_iter().flatten().any(PhoneNumber::is_erased)
            }
            Facts::Erased => true,
            Facts::Unreadable => false,
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
    /// How: `unbound`, `expired` or `not_provisioned`.
    pub cause: String,
}

/// One end that is to be written: as the first event tells it that says so. What comes after brings no more than whose
/// the binding was.
struct End<'a> {
    change: &'a Change,
    /// The last event that says so.
    last: &'a Place,
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
pub async fn write(conn: &mut Connection, changes: &[Change]) -> Result<(), Error> {
    // A binding is made before it is changed, changed before it ends, and ends
    // before a person is erased from it, so these may be written one after the
    // other; of several changes only the last one counts.
    let mut made = Vec::new();
    let mut changed = BTreeMap::new();
    let mut ended: BTreeMap<SubsId, End<'_>> = BTreeMap::new();
    let mut erased = Vec::new();
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
            } => {
                let end = ended.entry(*subs_id).or_insert(End {
                    change,
                    last: &change.place,
                    subs_id: *subs_id,
                    cause: *cause,
                    at: *at,
                    owner: None,
                });
                end.last = &change.place;
                end.owner = end.owner.or(owner.as_ref());
            }
            HistoryChange::Erased { subs_id, parts } => erased.push((*subs_id, parts)),
        }
    }
    for some in runs(&made) {
        write_made(conn, some).await?;
    }
    for some in runs(&changed.into_values().collect::<Vec<_>>()) {
        write_changed(conn, some).await?;
    }
    for some in runs(&ended.into_values().collect::<Vec<_>>()) {
        write_ended(conn, some).await?;
    }
    for (subs_id, parts) in erased {
        erase(conn, subs_id, parts).await?;
    }
    Ok(())
}

async fn write_made(
    conn: &mut Connection,
    made: &[(&Change, &BindingColumns)],
) -> Result<(), Error> {
    let insert = sql(
        "INSERT INTO binding_history (subs_id, x, a, b, bound_at, bound_by, facts, seq, event, \
         pool, account, a_key, b_key, form) ",
    )
    .push_rows(made, |row, (change, binding)| {
        row.bind(binding.subs_id.0 as i64)
            .bind(&binding.x)
            .bind(&binding.a)
            .bind(&binding.b)
            .bind(binding.created_at.0)
            .bind(&change.by)
            .bind(&binding.facts)
            .bind(change.place.seq as i64)
            .bind(change.place.event)
            .bind(binding.owner.as_ref().map(pool))
            .bind(binding.owner.as_ref().map(account))
            .bind(binding.a_key.as_deref())
            .bind(binding.b_key.as_deref())
            .bind(FORM)
    })
    .push(" ON CONFLICT (subs_id) DO NOTHING");
    conn.execute(insert).await?;
    Ok(())
}

/// A key in a table of values, in the place of one that there is not.
const NO_KEY: &[u8] = &[];

/// Only what comes later in the journal than what is there.
const IF_LATER: &str = " AS new WHERE binding_history.subs_id = new.column1 \
    AND (binding_history.seq < new.column2 \
    OR (binding_history.seq = new.column2 AND binding_history.event < new.column3))";

async fn write_changed(
    conn: &mut Connection,
    changed: &[(&Change, &BindingColumns)],
) -> Result<(), Error> {
    let update = sql(
        "UPDATE binding_history SET seq = new.column2, event = new.column3, \
         facts = new.column4, changed_by = new.column5, a = new.column6, b = new.column7, \
         pool = COALESCE(binding_history.pool, new.column8), \
         account = COALESCE(binding_history.account, new.column9), \
         a_key = NULLIF(new.column10, ?), b_key = NULLIF(new.column11, ?), \
         form = new.column12 FROM ",
    )
    .bind(NO_KEY)
    .bind(NO_KEY)
    .push_table(changed, |row, (change, binding)| {
        row.bind(binding.subs_id.0 as i64)
            .bind(change.place.seq as i64)
            .bind(change.place.event)
            .bind(&binding.facts)
            .bind(&change.by)
            .bind(&binding.a)
            .bind(&binding.b)
            .bind(binding.owner.as_ref().map(pool))
            .bind(binding.owner.as_ref().map(account))
            .bind(binding.a_key.as_deref().unwrap_or(NO_KEY))
            .bind(binding.b_key.as_deref().unwrap_or(NO_KEY))
            .bind(FORM)
    })
    .push(IF_LATER);
    conn.execute(update).await?;
    Ok(())
}

async fn write_ended(conn: &mut Connection, ended: &[End<'_>]) -> Result<(), Error> {
    let update = sql(
        "UPDATE binding_history SET seq = new.column2, event = new.column3, \
         ended_at = COALESCE(binding_history.ended_at, new.column4), \
         ended_by = COALESCE(binding_history.ended_by, new.column5), \
         end_cause = COALESCE(binding_history.end_cause, new.column6), \
         pool = COALESCE(binding_history.pool, new.column7), \
         account = COALESCE(binding_history.account, new.column8) FROM ",
    )
    .push_table(ended, |row, end| {
        row.bind(end.subs_id.0 as i64)
            .bind(end.last.seq as i64)
            .bind(end.last.event)
            .bind(end.at.0)
            .bind(&end.change.by)
            .bind(cause_name(end.cause))
            .bind(end.owner.map(pool))
            .bind(end.owner.map(account))
    })
    .push(IF_LATER);
    conn.execute(update).await?;
    Ok(())
}

/// Writes down whose bindings were, where the rows do not tell it yet. Says how
/// many rows that were.
///
/// # Errors
/// Those of the database.
pub async fn own(conn: &mut Connection, owners: &[(SubsId, Owner)]) -> Result<u64, Error> {
    let mut filled = 0;
    for (subs_id, owner) in owners {
        let update = sql("UPDATE binding_history SET pool = ?, account = ? \
             WHERE subs_id = ? AND pool IS NULL")
        .bind(pool(owner))
        .bind(account(owner))
        .bind(subs_id.0 as i64);
        filled += conn.execute(update).await?;
    }
    Ok(filled)
}

/// Whether there is a row that does not tell whose its binding was.
///
/// # Errors
/// Those of the database.
pub async fn any_unowned(conn: &mut Connection) -> Result<bool, Error> {
    let select = sql("SELECT subs_id FROM binding_history WHERE pool IS NULL LIMIT 1");
    Ok(conn.fetch_optional(select).await?.is_some())
}

fn pool(owner: &Owner) -> &str {
    owner.pool.as_str()
}

fn account(owner: &Owner) -> &str {
    owner.account.as_str()
}

/// A binding from which everybody was erased has no facts. Its owner stands beside them.
fn facts(binding: &Binding) -> Option<String> {
    (!binding.is_erased()).then(|| {
        let bare = Binding {
            owner: None,
            provision: None,
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
        EndCause::NotProvisioned => "not_provisioned",
    }
}

/// What [`past`] reads.
const COLUMNS: &str = "subs_id, x, bound_by, changed_by, ended_at, ended_by, end_cause, facts, \
    pool, account, form";

/// What is known of one binding.
///
/// # Errors
/// Those of the database.
pub async fn get(readers: &Readers, subs_id: SubsId) -> Result<Option<Past>, Error> {
    let select = sql("SELECT ")
        .push(COLUMNS)
        .push(" FROM binding_history WHERE subs_id = ?")
        .bind(subs_id.0 as i64);
    let row = readers.fetch_optional(select).await?;
    row.as_ref().map(past).transpose()
}

/// Which bindings to list.
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
    /// Only those that have ended, or only those that have not.
    pub ended: Option<bool>,
    /// At most so many.
    pub limit: u32,
}

/// A page of bindings, the newest ids first.
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
pub const VISITED_MAX: u32 = 5_000;

/// Bindings that were projected.
///
/// # Errors
/// Those of the database.
pub async fn list(readers: &Readers, filter: &Filter) -> Result<Page, Error> {
    let mut conn = readers.acquire().await?;
    // A and B are read one after the other: at one moment, or a change that exchanges the two would hide its row.
    let mut moment = conn.at_one_moment().await?;
    let mut rows: Vec<Past> = Vec::new();
    let mut floor = None;
    for lead in leads(filter) {
        let lowest = moment.fetch_optional(lowest(filter, &lead)).await?;
        let lowest = lowest.as_ref().map(subs_id).transpose()?;
        for row in moment.fetch_all(select(filter, &lead, lowest)).await? {
            rows.push(past(&row)?);
        }
        floor = floor.max(lowest);
    }
    moment.end().await;
    // Those found by A and by B come one after the other, down to different ids.
    rows.sort_by_key(|past| Reverse(past.subs_id));
    rows.dedup_by_key(|past| past.subs_id);
    rows.retain(|past| floor.is_none_or(|floor| past.subs_id >= floor));
    let limit = filter.limit as usize;
    let is_more = rows.len() > limit;
    rows.truncate(limit);
    let last = rows.last().map(|past| past.subs_id).filter(|_| is_more);
    Ok(Page {
        next: last.or(floor),
        rows,
    })
}

/// What leads to the rows: a column that stands before the id in an index, and its value.
#[derive(Debug)]
struct Lead {
    column: Option<&'static str>,
    value: Value<'static>,
}

/// A person is looked for as A and as B, by a query each, so that an index gives the rows in their
/// order.
fn leads(filter: &Filter) -> Vec<Lead> {
    let by = |column, value| Lead {
        column: Some(column),
        value,
    };
    let pool = |pool: &PoolKey| pool.as_str().to_owned().into();
    match (filter.party, filter.x, &filter.pool) {
        (Some(party), ..) => ["a_key", "b_key"]
            .map(|column| by(column, party_key(party).into()))
            .into(),
        (None, Some(x), _) => vec![by("x", x.reveal().into())],
        (None, None, Some(key)) => vec![by("pool", pool(key))],
        (None, None, None) => vec![Lead {
            column: None,
            value: Value::Null,
        }],
    }
}

/// From the newest id that is asked for downwards.
fn among<'a>(select: Statement<'a>, filter: &Filter, lead: &Lead) -> Statement<'a> {
    let before = filter.before.and_then(|id| i64::try_from(id.0).ok());
    let select = select
        .push(" FROM binding_history WHERE subs_id < ?")
        .bind(before.unwrap_or(i64::MAX));
    match lead.column {
        Some(column) => select
            .push(" AND ")
            .push(column)
            .push(" = ?")
            .bind(lead.value.clone()),
        None => select,
    }
}

/// The query for the lowest id that is looked at, if not all are.
fn lowest<'a>(filter: &Filter, lead: &Lead) -> Statement<'a> {
    among(sql("SELECT subs_id"), filter, lead)
        .push(" ORDER BY subs_id DESC LIMIT 1 OFFSET ?")
        .bind(VISITED_MAX - 1)
}

/// The query for rows down to that id.
fn select<'a>(filter: &'a Filter, lead: &Lead, lowest: Option<SubsId>) -> Statement<'a> {
    let mut select = among(sql("SELECT ").push(COLUMNS), filter, lead);
    if let Some(lowest) = lowest {
        select = select.push(" AND subs_id >= ?").bind(lowest.0 as i64);
    }
    select = match filter.ended {
        Some(true) => select.push(" AND ended_at IS NOT NULL"),
        Some(false) => select.push(" AND ended_at IS NULL"),
        None => select,
    };
    let pool = filter.pool.as_ref().map(PoolKey::as_str);
    let account = filter.account.as_ref().map(AccountId::as_str);
    let equals: [(&str, &'static str, Value<'a>); 3] = [
        (
            "x",
            " AND COALESCE(x, '') = ?",
            filter.x.map(PhoneNumber::reveal).into(),
        ),
        ("pool", " AND COALESCE(pool, '') = ?", pool.into()),
        ("account", " AND COALESCE(account, '') = ?", account.into()),
    ];
    for (column, text, value) in equals {
        // No other index is to lead than the one whose rows are counted.
        if value != Value::Null && lead.column != Some(column) {
            select = select.push(text).bind(value);
        }
    }
    select
        .push(" ORDER BY subs_id DESC LIMIT ?")
        .bind(i64::from(filter.limit) + 1)
}

fn subs_id(row: &Row) -> Result<SubsId, Error> {
    Ok(SubsId(row.get::<i64>("subs_id")? as u64))
}

fn past(row: &Row) -> Result<Past, Error> {
    let text = |column: &str| row.get::<Option<Cow<'_, str>>>(column);
    let owner = text("pool")?.zip(text("account")?);
    let owner = owner.map(|(pool, account)| Owner {
        pool: PoolKey::new(&pool),
        account: AccountId::new(&account),
    });
    let x = PhoneNumber::parse(&row.get::<Cow<'_, str>>("x")?).ok();
    let is_known = row.get::<i64>("form")? == FORM;
    let facts = match text("facts")? {
        _ if !is_known || x.is_none() => Facts::Unreadable,
        None => Facts::Erased,
        Some(facts) => match serde_json::from_str::<Binding>(&facts) {
            Ok(binding) if x == Some(binding.x) => Facts::Known(Box::new(Binding {
                owner: owner.clone(),
                ..binding
            })),
            Ok(_) | Err(_) => Facts::Unreadable,
        },
    };
    let ended_at: Option<i64> = row.get("ended_at")?;
    let ended = ended_at.map(|at| {
        Ok::<_, Error>(Ended {
            at: Timestamp(at),
            by: row.get::<Option<_>>("ended_by")?.unwrap_or_default(),
            cause: row.get::<Option<_>>("end_cause")?.unwrap_or_default(),
        })
    });
    Ok(Past {
        facts,
        owner,
        subs_id: subs_id(row)?,
        x: x.unwrap_or(PhoneNumber::ERASED),
        bound_by: row.get("bound_by")?,
        changed_by: row.get("changed_by")?,
        ended: ended.transpose()?,
    })
}

#[cfg(test)]
mod plans;
