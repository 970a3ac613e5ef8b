//! Lines of the audit, by their place in the journal, which is in the order of time. Nothing holds them.

use maskline_domain::Timestamp;

use super::{Due, DueRow, Found, Holdable, behind};
use crate::db::{Connection, Error, Row, Statement, Value, sql};

pub(super) fn select<'a>(cursor: Option<&'a [Value<'a>]>) -> Statement<'a> {
    let seq = cursor.and_then(|cursor| cursor.first()).cloned();
    let select = sql("SELECT seq, event, at FROM audit WHERE seq >= ?");
    let select = select.bind(seq.unwrap_or(Value::Integer(0)));
    behind(select, " AND (seq, event) > ", cursor).push(" ORDER BY seq, event")
}

pub(super) fn found(row: &Row) -> Result<Found<'_>, Error> {
    Ok(Found {
        due: Due {
            at: Timestamp(row.get("at")?),
            row: DueRow::Audit(row.get("seq")?, row.get("event")?),
        },
        holdable: Holdable::default(),
        waits: false,
    })
}

pub(super) fn cursor(row: &Row) -> Result<Vec<Value<'static>>, Error> {
    let seq: i64 = row.get("seq")?;
    let event: i64 = row.get("event")?;
    Ok(vec![seq.into(), event.into()])
}

pub(super) fn oldest<'a>() -> Statement<'a> {
    sql("SELECT at FROM audit ORDER BY seq, event LIMIT 1")
}

pub(super) async fn delete(conn: &mut Connection, lines: &[(i64, i64)]) -> Result<u64, Error> {
    let mut deleted = 0;
    for &(seq, event) in lines {
        let delete = sql("DELETE FROM audit WHERE seq = ? AND event = ?");
        deleted += conn.execute(delete.bind(seq).bind(event)).await?;
    }
    Ok(deleted)
}
