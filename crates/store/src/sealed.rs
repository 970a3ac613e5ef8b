//! What is sealed under which key, by a look at the first bytes of what is kept: no key is needed for it.

use std::collections::BTreeMap;

use maskline_journal::personal;
use maskline_journal::snapshot;
use maskline_sealing::DataKeyId;

use crate::db::{Connection, Error, Row, sql};
use crate::journal;

/// Batches that are looked at in one statement, so that no reader holds up the log for long.
const BATCHES: u64 = 10_000;

/// As many of the first bytes as tell form and key.
const HEAD_BYTES: i64 = 8;

/// How values of persons are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Form {
    /// There are none.
    Empty,
    /// As they are.
    Clear,
    /// Sealed under this key.
    Sealed(DataKeyId),
}

/// Some rows of one form.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rows {
    /// How many.
    pub count: u64,
    /// The first batch that they are of,
    pub first: u64,
    /// and the last.
    pub last: u64,
}

/// The rows of each form.
pub type Found = BTreeMap<Form, Rows>;

fn add(found: &mut Found, form: Form, count: u64, first: u64, last: u64) {
    let rows = found.entry(form).or_insert(Rows {
        count: 0,
        first,
        last,
    });
    rows.count += count;
    rows.first = rows.first.min(first);
    rows.last = rows.last.max(last);
}

/// The batches of the journal by the form of their personal values, in short reads.
///
/// # Errors
/// Those of the database.
pub async fn in_journal(conn: &mut Connection) -> Result<Found, Error> {
    let mut found = Found::new();
    let Some(mut next) = journal::first(conn).await? else {
        return Ok(found);
    };
    let tip = journal::tip(conn).await?.seq;
    while next <= tip {
        let select = sql(
            "SELECT substr(personal, 1, ?) AS head, COUNT(*) AS many, MIN(seq) AS first, \
             MAX(seq) AS last FROM journal WHERE seq >= ? AND seq < ? GROUP BY head",
        )
        .bind(HEAD_BYTES)
        .bind(next as i64)
        .bind((next + BATCHES) as i64);
        for row in conn.fetch_all(select).await? {
            let head: Vec<u8> = row.get("head")?;
            let form = match personal::sealed_under(&head) {
                Some(id) => Form::Sealed(id),
                None if personal::is_empty(&head) => Form::Empty,
                None => Form::Clear,
            };
            take(&mut found, form, &row)?;
        }
        next += BATCHES;
    }
    Ok(found)
}

/// The parts of snapshots by their form; their last rows tell of nobody and are not counted.
///
/// # Errors
/// Those of the database.
pub async fn in_snapshots(conn: &mut Connection) -> Result<Found, Error> {
    let select = sql(
        "SELECT substr(payload, 1, ?) AS head, COUNT(*) AS many, MIN(seq) AS first, \
         MAX(seq) AS last FROM snapshot GROUP BY head",
    )
    .bind(HEAD_BYTES);
    let mut found = Found::new();
    for row in conn.fetch_all(select).await? {
        let head: Vec<u8> = row.get("head")?;
        let form = match snapshot::sealed_under(&head) {
            Some(id) => Form::Sealed(id),
            None if snapshot::has_rows(&head) => Form::Clear,
            None => continue,
        };
        take(&mut found, form, &row)?;
    }
    Ok(found)
}

fn take(found: &mut Found, form: Form, row: &Row) -> Result<(), Error> {
    let number = |name: &str| Ok::<u64, Error>(row.get::<i64>(name)? as u64);
    add(
        found,
        form,
        number("many")?,
        number("first")?,
        number("last")?,
    );
    Ok(())
}
