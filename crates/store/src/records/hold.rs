//! Holds: what is kept whatever the retention says, until a time.
//!
//! A hold by the number of a person keeps what names that person: as A or B, as caller or callee. One by an X keeps
//! what was on that X, one by a binding the binding and its calls, one by a call that call.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fmt;

use maskline_domain::{PhoneNumber, SubsId, Timestamp};

use super::party_key::party_key;
use crate::db::{Connection, Error, Readers, Row, sql};
use crate::meta;

/// The most holds that there can be.
pub const HOLDS_MAX: usize = 1_000;
/// The longest reason, in bytes.
pub const REASON_BYTES_MAX: usize = 500;
/// The longest id of a call, in bytes.
pub const CALL_ID_BYTES_MAX: usize = 100;

/// The fact that holds the newest id, so that none is given twice.
const NEWEST: &str = "hold_newest";

/// By what rows are held.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HeldBy {
    /// By the number of a person.
    Number(PhoneNumber),
    /// By an X.
    X(PhoneNumber),
    /// By a binding.
    Binding(SubsId),
    /// By a call.
    Call(String),
}

impl HeldBy {
    /// Its name.
    pub fn name(&self) -> &'static str {
        match self {
            HeldBy::Number(_) => "number",
            HeldBy::X(_) => "x",
            HeldBy::Binding(_) => "binding",
            HeldBy::Call(_) => "call",
        }
    }

    fn value(&self) -> String {
        match self {
            HeldBy::Number(number) | HeldBy::X(number) => number.reveal(),
            HeldBy::Binding(id) => id.0.to_string(),
            HeldBy::Call(id) => id.clone(),
        }
    }

    fn read(name: &str, value: &str) -> Option<Self> {
        let number = || PhoneNumber::parse(value).ok();
        match name {
            "number" => number().map(HeldBy::Number),
            "x" => number().map(HeldBy::X),
            "binding" => value.parse().ok().map(SubsId).map(HeldBy::Binding),
            "call" => Some(HeldBy::Call(value.to_owned())),
            _ => None,
        }
    }
}

/// A hold that is wanted.
#[derive(Clone, PartialEq, Eq)]
pub struct Wanted {
    /// By what.
    pub by: HeldBy,
    /// When it ends by itself.
    pub until: Timestamp,
    /// Why.
    pub reason: String,
    /// When it was added.
    pub added_at: Timestamp,
    /// Who added it.
    pub added_by: String,
}

impl fmt::Debug for Wanted {
    /// Without the reason, which may name persons.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Wanted")
            .field("by", &self.by)
            .field("until", &self.until)
            .finish_non_exhaustive()
    }
}

/// A hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hold {
    /// Its id.
    pub id: u64,
    /// What it holds; none if the row cannot be read, so that nobody knows.
    pub by: Option<HeldBy>,
    /// When it ends by itself.
    pub until: Timestamp,
    /// Why.
    pub reason: String,
    /// When it was added.
    pub added_at: Timestamp,
    /// Who added it.
    pub added_by: String,
}

/// Adds a hold and gives its id, which begins with 1; 0 if there are as many as there can be.
///
/// # Errors
/// Those of the database.
pub async fn add(conn: &mut Connection, hold: &Wanted) -> Result<u64, Error> {
    let count = sql("SELECT COUNT(*) AS holds FROM hold");
    let count: i64 = conn.fetch_one(count).await?.get("holds")?;
    if count >= HOLDS_MAX as i64 {
        return Ok(0);
    }
    let newest = meta::get(conn, NEWEST).await?;
    let newest = newest.map(|id| id.parse::<u64>());
    let newest = newest
        .transpose()
        .map_err(|error| Error::in_column("value", &error))?;
    let id = newest.unwrap_or_default() + 1;
    let insert = sql(
        "INSERT INTO hold (id, held_by, value, held_until, reason, added_at, added_by) \
         VALUES (?, ?, ?, ?, ?, ?, ?)",
    )
    .bind(id as i64)
    .bind(hold.by.name())
    .bind(hold.by.value())
    .bind(hold.until.0)
    .bind(&hold.reason)
    .bind(hold.added_at.0)
    .bind(&hold.added_by);
    conn.execute(insert).await?;
    meta::set(conn, NEWEST, &id.to_string()).await?;
    Ok(id)
}

/// Ends a hold. Says how many that were: one, or none.
///
/// # Errors
/// Those of the database.
pub async fn end(conn: &mut Connection, id: u64) -> Result<u64, Error> {
    let id = i64::try_from(id).unwrap_or(i64::MAX);
    conn.execute(sql("DELETE FROM hold WHERE id = ?").bind(id))
        .await
}

/// All holds, by their ids, those that are over and not yet taken away among them.
///
/// # Errors
/// Those of the database.
pub async fn list(readers: &Readers) -> Result<Vec<Hold>, Error> {
    let select = sql(
        "SELECT id, held_by, value, held_until, reason, added_at, added_by FROM hold \
         ORDER BY id LIMIT ?",
    )
    .bind(HOLDS_MAX as i64);
    let rows = readers.fetch_all(select).await?;
    rows.iter().map(read).collect()
}

fn read(row: &Row) -> Result<Hold, Error> {
    let name: Cow<'_, str> = row.get("held_by")?;
    let value: Cow<'_, str> = row.get("value")?;
    Ok(Hold {
        id: row.get::<i64>("id")? as u64,
        by: HeldBy::read(&name, &value),
        until: Timestamp(row.get("held_until")?),
        reason: row.get("reason")?,
        added_at: Timestamp(row.get("added_at")?),
        added_by: row.get("added_by")?,
    })
}

/// What of a row can be held.
#[derive(Debug, Default)]
pub(super) struct Holdable<'r> {
    pub persons: Vec<Cow<'r, [u8]>>,
    pub x: Option<Cow<'r, str>>,
    pub binding: Option<i64>,
    pub call: Option<Cow<'r, str>>,
}

/// All that is held at one moment.
#[derive(Debug, Default)]
pub struct Holds {
    persons: BTreeSet<Vec<u8>>,
    xs: BTreeSet<String>,
    bindings: BTreeSet<i64>,
    calls: BTreeSet<String>,
    /// Of one that cannot be read nobody knows what it holds, so that it holds everything.
    everything: bool,
}

impl Holds {
    /// By those of these that last at `now`.
    pub fn at(now: Timestamp, holds: &[Hold]) -> Self {
        let mut held = Self::default();
        for hold in holds.iter().filter(|hold| hold.until > now) {
            match &hold.by {
                Some(HeldBy::Number(number)) => held.persons.extend(party_key(*number)),
                Some(HeldBy::X(x)) => drop(held.xs.insert(x.reveal())),
                Some(HeldBy::Binding(id)) => drop(held.bindings.insert(id.0 as i64)),
                Some(HeldBy::Call(id)) => drop(held.calls.insert(id.clone())),
                None => held.everything = true,
            }
        }
        held
    }

    pub(super) fn hold(&self, row: &Holdable<'_>) -> bool {
        self.everything
            || row.persons.iter().any(|key| self.persons.contains(&**key))
            || row.x.as_ref().is_some_and(|x| self.xs.contains(&**x))
            || row.binding.is_some_and(|id| self.bindings.contains(&id))
            || row
                .call
                .as_ref()
                .is_some_and(|id| self.calls.contains(&**id))
    }
}
