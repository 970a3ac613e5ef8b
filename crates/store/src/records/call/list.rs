//! Lists of calls, page by page: which rows lead to which, and how many are looked at.

use maskline_domain::{PhoneNumber, SubsId, Timestamp};

use super::super::party_key::party_key;
use super::{COLUMNS, KEYS, Listed, listed};
use crate::db::{Error, Readers, Row, Statement, Value, sql};

/// The most open calls that are looked through: more than a node can carry.
const OPEN_MAX: u32 = 1_000_000;

/// Which calls to list.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// Only those on this X.
    pub x: Option<PhoneNumber>,
    /// Only those of the pool that X was in when they came.
    pub pool: Option<String>,
    /// Only those of the account that this pool is of.
    pub account: Option<String>,
    /// Only those of this binding.
    pub subs_id: Option<SubsId>,
    /// Only those in which this is the caller, the callee, A or B.
    pub party: Option<PhoneNumber>,
    /// Only those in which this is the caller.
    pub caller: Option<PhoneNumber>,
    /// Only those that came at this moment or later.
    pub since: Option<Timestamp>,
    /// Only those that came before this moment.
    pub before: Option<Timestamp>,
    /// Only those that follow this one in the list; for the next page.
    pub after: Option<CallKey>,
    /// Only those that are open, or only those that are closed.
    pub open: Option<bool>,
    /// Only those that ended so.
    pub situation: Option<String>,
    /// At most so many.
    pub limit: u32,
}

/// Where a call stands in a list: when it came, and its id.
pub type CallKey = (Timestamp, String);

/// A page of calls, the newest first; of one moment, those with the highest ids.
#[derive(Debug)]
pub struct Page {
    /// The calls.
    pub rows: Vec<Listed>,
    /// Where the next page begins ([`Filter::after`]), if there may be one. A page may be short and
    /// still have a next one: no more than [`VISITED_MAX`] rows of a lead are looked at for one.
    pub next: Option<CallKey>,
}

/// How many rows are looked at for one page, of each column that leads to them. A row lies anywhere
/// in the file, so a page that finds little costs as many reads.
pub const VISITED_MAX: u32 = 2_000;

/// Calls.
///
/// # Errors
/// Those of the database.
pub async fn list(readers: &Readers, filter: &Filter) -> Result<Page, Error> {
    let mut rows: Vec<(CallKey, Row)> = Vec::new();
    let mut reached: Option<CallKey> = None;
    for (lead, floor) in leads(readers, filter).await? {
        for row in readers
            .fetch_all(select(filter, &lead, floor.as_ref()))
            .await?
        {
            rows.push((key(&row)?, row));
        }
        reached = reached.max(floor);
    }
    // Those found by several columns come one column after the other, down to different keys, and a
    // call that was closed meanwhile perhaps by two of them.
    rows.sort_by(|(one, _), (other, _)| other.cmp(one));
    rows.dedup_by(|(one, _), (other, _)| one == other);
    rows.retain(|(key, _)| reached.as_ref().is_none_or(|reached| key >= reached));
    let limit = filter.limit as usize;
    let is_more = rows.len() > limit;
    rows.truncate(limit);
    let last = rows.last().map(|(key, _)| key.clone());
    Ok(Page {
        rows: rows.iter().map(|(_, row)| listed(row)).collect(),
        next: last.filter(|_| is_more).or(reached),
    })
}

fn key(row: &Row) -> Result<CallKey, Error> {
    Ok((Timestamp(row.get("arrived_at")?), row.get("call_id")?))
}

/// What leads to the rows: a column that stands before the key in an index, and its value.
#[derive(Debug)]
struct Lead {
    column: Option<&'static str>,
    value: Value<'static>,
}

impl Lead {
    fn by(column: &'static str, value: impl Into<Value<'static>>) -> Self {
        Self {
            column: Some(column),
            value: value.into(),
        }
    }

    const ALL: Self = Self {
        column: None,
        value: Value::Null,
    };
}

/// The leads to all rows that are wanted, and for each the lowest key down to which its rows are
/// looked at, if those are not all.
async fn leads(readers: &Readers, filter: &Filter) -> Result<Vec<(Lead, Option<CallKey>)>, Error> {
    let (persons, others) = (persons(filter), others(filter));
    let terms = [filter.caller, filter.party].iter().flatten().count() + others.len();
    // What does not lead is looked for among the rows that are found; one term alone leads.
    let is_narrowed = terms > 1 || filter.open == Some(false);
    let is_unbounded = !is_narrowed || filter.open == Some(true);
    // Any of these leads to all rows that are wanted, but all of the persons' do together.
    let any = match (persons.is_empty(), filter.open) {
        (false, _) => Vec::new(),
        (true, Some(true)) => vec![Lead::ALL],
        (true, _) if others.is_empty() => vec![Lead::ALL],
        (true, _) => others,
    };
    if is_unbounded {
        let leads = persons.into_iter().chain(any);
        return Ok(leads.map(|lead| (lead, None)).collect());
    }
    let mut leads = Vec::new();
    for lead in persons {
        let floor = lowest_key(readers, filter, &lead).await?;
        leads.push((lead, floor));
    }
    let mut sparsest: Option<(Lead, Option<CallKey>)> = None;
    for lead in any {
        let floor = lowest_key(readers, filter, &lead).await?;
        // As many rows of it reach further back.
        if sparsest.as_ref().is_none_or(|(_, known)| floor < *known) {
            sparsest = Some((lead, floor));
        }
        if sparsest.as_ref().is_some_and(|(_, floor)| floor.is_none()) {
            break;
        }
    }
    leads.extend(sparsest);
    Ok(leads)
}

/// Each column in which a person may stand is a lead of its own: an index gives the rows of one in
/// their order. A person stands in one of these columns only; the end of a call may move one forward,
/// so the last column is read first.
fn persons(filter: &Filter) -> Vec<Lead> {
    match (filter.caller, filter.party) {
        (Some(caller), _) => vec![Lead::by("caller_key", party_key(caller))],
        (None, Some(party)) => {
            let keys = KEYS.into_iter().rev();
            keys.map(|key| Lead::by(key, party_key(party))).collect()
        }
        (None, None) => Vec::new(),
    }
}

/// What else may lead, that with the fewest rows first as far as can be said beforehand.
fn others(filter: &Filter) -> Vec<Lead> {
    let columns: [(&str, Value<'static>); 5] = [
        ("subs_id", filter.subs_id.map(|id| id.0 as i64).into()),
        ("x", filter.x.map(PhoneNumber::reveal).into()),
        ("situation", filter.situation.clone().into()),
        ("pool", filter.pool.clone().into()),
        ("account", filter.account.clone().into()),
    ];
    let given = columns
        .into_iter()
        .filter(|(_, value)| *value != Value::Null);
    given
        .map(|(column, value)| Lead::by(column, value))
        .collect()
}

/// The calls that `lead` leads to, from the newest that is asked for downwards. Without columns of
/// the rows it reads an index alone.
fn among<'a>(select: Statement<'a>, filter: &'a Filter, lead: &Lead) -> Statement<'a> {
    // One upper bound, the lower of the two.
    let before = filter.before.unwrap_or(Timestamp(i64::MAX));
    let mut select = match &filter.after {
        Some((at, id)) if *at < before => {
            let select = select.push(" WHERE (arrived_at, call_id) < (?, ?)");
            select.bind(at.0).bind(id)
        }
        _ => select.push(" WHERE arrived_at < ?").bind(before.0),
    };
    if let Some(column) = lead.column {
        select = select.push(" AND ").push(column).push(" = ?");
        select = select.bind(lead.value.clone());
    }
    select
}

/// The lowest key that is looked at, if not all are.
async fn lowest_key(
    readers: &Readers,
    filter: &Filter,
    lead: &Lead,
) -> Result<Option<CallKey>, Error> {
    let row = readers.fetch_optional(lowest(filter, lead)).await?;
    row.as_ref().map(key).transpose()
}

fn lowest<'a>(filter: &'a Filter, lead: &Lead) -> Statement<'a> {
    let select = sql("SELECT arrived_at, call_id FROM call_record");
    let mut select = among(select, filter, lead);
    if let Some(since) = filter.since {
        select = select.push(" AND arrived_at >= ?").bind(since.0);
    }
    select
        .push(" ORDER BY arrived_at DESC, call_id DESC LIMIT 1 OFFSET ?")
        .bind(VISITED_MAX - 1)
}

/// The query for rows down to that key. Whatever is given, an index leads to the rows and gives
/// them in their order, so that no list reads the calls of others.
fn select<'a>(filter: &'a Filter, lead: &Lead, floor: Option<&CallKey>) -> Statement<'a> {
    // Open calls are few: they are looked through whatever else is wanted, and never looked for
    // among all that ever were. The limit keeps the two queries apart.
    let select = sql("SELECT state, ").push(COLUMNS);
    let select = match filter.open {
        Some(true) => select
            .push(" FROM (SELECT * FROM call_record WHERE state = 'open' LIMIT ?) AS open_call")
            .bind(OPEN_MAX),
        Some(false) | None => select.push(" FROM call_record"),
    };
    let mut select = among(select, filter, lead);
    // Of one moment a few are read that the page leaves to the next one.
    let since = filter.since.max(floor.map(|(at, _)| *at));
    if let Some(since) = since {
        select = select.push(" AND arrived_at >= ?").bind(since.0);
    }
    let subs_id = filter.subs_id.map(|id| id.0 as i64);
    let equals: [(&str, &'static str, Value<'a>); 5] = [
        (
            "x",
            " AND COALESCE(x, '') = ?",
            filter.x.map(PhoneNumber::reveal).into(),
        ),
        (
            "pool",
            " AND COALESCE(pool, '') = ?",
            filter.pool.as_ref().into(),
        ),
        (
            "account",
            " AND COALESCE(account, '') = ?",
            filter.account.as_ref().into(),
        ),
        (
            "situation",
            " AND COALESCE(situation, '') = ?",
            filter.situation.as_ref().into(),
        ),
        ("subs_id", " AND COALESCE(subs_id, 0) = ?", subs_id.into()),
    ];
    for (column, text, value) in equals {
        // No other index is to lead than the one whose rows are counted.
        if value != Value::Null && lead.column != Some(column) {
            select = select.push(text).bind(value);
        }
    }
    if let (Some(_), Some(party)) = (filter.caller, filter.party) {
        select = select.push(" AND ? IN (caller_key, callee_key, a_key, b_key)");
        select = select.bind(party_key(party));
    }
    if filter.open == Some(false) {
        select = select.push(" AND state = 'closed'");
    }
    select
        .push(" ORDER BY arrived_at DESC, call_id DESC LIMIT ?")
        .bind(i64::from(filter.limit) + 1)
}

#[cfg(test)]
mod plans;
