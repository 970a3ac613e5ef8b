//! What is owed for milestones of calls and was never sent. It is held as its call is.

use maskline_domain::Timestamp;

use super::super::owed;
use super::{Due, DueRow, Found, Holdable, behind, persons};
use crate::db::{Error, Row, Statement, Value, sql};

pub(super) fn select<'a>(until: Timestamp, cursor: Option<&'a [Value<'a>]>) -> Statement<'a> {
    let select = sql(
        "SELECT owed.at, owed.call_id, milestone, kind, owed_key, x, subs_id, caller_key, \
         callee_key, a_key, b_key FROM owed \
         LEFT JOIN call_record ON call_record.call_id = owed.call_id WHERE owed.at <= ?",
    )
    .bind(until.0);
    behind(
        select,
        " AND (owed.at, owed.call_id, milestone, kind, owed_key) > ",
        cursor,
    )
    .push(" ORDER BY owed.at, owed.call_id, milestone, kind, owed_key")
}

pub(super) fn found(row: &Row) -> Result<Found<'_>, Error> {
    Ok(Found {
        due: Due {
            at: Timestamp(row.get("at")?),
            row: DueRow::Receipt(owed::place(row)?),
        },
        holdable: Holdable {
            persons: persons(row)?,
            x: row.get("x")?,
            binding: row.get("subs_id")?,
            call: Some(row.get("call_id")?),
        },
        waits: false,
    })
}

pub(super) fn cursor(row: &Row) -> Result<Vec<Value<'static>>, Error> {
    let mut values = vec![row.get::<i64>("at")?.into()];
    for column in ["call_id", "milestone", "kind", "owed_key"] {
        values.push(row.get::<String>(column)?.into());
    }
    Ok(values)
}

pub(super) fn oldest<'a>(after: i64) -> Statement<'a> {
    sql("SELECT at FROM owed WHERE at > ? ORDER BY at, call_id, milestone, kind, owed_key LIMIT 1")
        .bind(after)
}
