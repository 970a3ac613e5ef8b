//! Call records, and the recordings that they name.
//!
//! They are found by their arrival, and go by their end: what lasted past the moment that is asked for waits, and
//! there is no more of it than there are calls at once.

use maskline_domain::Timestamp;

use super::super::entry::runs;
use super::{Due, DueRow, Found, Holdable, behind, of_pool, persons};
use crate::db::{Connection, Error, Row, Statement, Value, sql};

const COLUMNS: &str = "call_id, state, arrived_at, released_at, recording, x, subs_id, \
    caller_key, callee_key, a_key, b_key";
const BEHIND: &str = " AND (arrived_at, call_id) > ";
const ORDER: &str = " ORDER BY arrived_at, call_id";

pub(super) fn select<'a>(
    pool: Option<&'a str>,
    until: Timestamp,
    cursor: Option<&'a [Value<'a>]>,
) -> Statement<'a> {
    let select = sql("SELECT ")
        .push(COLUMNS)
        .push(
            ", CASE WHEN EXISTS (SELECT 1 FROM owed WHERE owed.call_id = call_record.call_id) \
             THEN 1 ELSE 0 END AS owes FROM call_record WHERE arrived_at <= ?",
        )
        .bind(until.0);
    behind(of_pool(select, pool), BEHIND, cursor).push(ORDER)
}

pub(super) fn select_recordings<'a>(
    pool: Option<&'a str>,
    until: Timestamp,
    cursor: Option<&'a [Value<'a>]>,
) -> Statement<'a> {
    let select = sql("SELECT ")
        .push(COLUMNS)
        .push(
            " FROM call_record WHERE recording IS NOT NULL AND COALESCE(pool, '') = ? \
             AND arrived_at <= ?",
        )
        .bind(pool.unwrap_or_default())
        .bind(until.0);
    behind(select, BEHIND, cursor).push(ORDER)
}

pub(super) fn found(row: &Row) -> Result<Found<'_>, Error> {
    let found = found_with(row, |call_id, recording| DueRow::Call {
        call_id,
        recording,
    })?;
    Ok(Found {
        waits: found.waits || row.get::<i64>("owes")? != 0,
        ..found
    })
}

pub(super) fn found_recording(row: &Row) -> Result<Found<'_>, Error> {
    found_with(row, |call_id, recording| DueRow::Recording {
        call_id,
        recording: recording.unwrap_or_default(),
    })
}

fn found_with(
    row: &Row,
    due: impl FnOnce(String, Option<String>) -> DueRow,
) -> Result<Found<'_>, Error> {
    let arrived_at: i64 = row.get("arrived_at")?;
    let released_at: Option<i64> = row.get("released_at")?;
    Ok(Found {
        due: Due {
            at: Timestamp(released_at.unwrap_or(arrived_at)),
            row: due(row.get("call_id")?, row.get("recording")?),
        },
        holdable: Holdable {
            persons: persons(row)?,
            x: Some(row.get("x")?),
            binding: row.get("subs_id")?,
            call: Some(row.get("call_id")?),
        },
        waits: row.get::<String>("state")? == "open",
    })
}

pub(super) fn cursor(row: &Row) -> Result<Vec<Value<'static>>, Error> {
    let arrived_at: i64 = row.get("arrived_at")?;
    let call_id: String = row.get("call_id")?;
    Ok(vec![arrived_at.into(), call_id.into()])
}

pub(super) fn oldest(pool: Option<&str>, after: i64) -> Statement<'_> {
    let select = sql("SELECT arrived_at AS at FROM call_record WHERE arrived_at > ?").bind(after);
    of_pool(select, pool).push(ORDER).push(" LIMIT 1")
}

pub(super) fn oldest_recording(pool: Option<&str>, after: i64) -> Statement<'_> {
    sql("SELECT arrived_at AS at FROM call_record \
         WHERE recording IS NOT NULL AND COALESCE(pool, '') = ? AND arrived_at > ?")
    .bind(pool.unwrap_or_default())
    .bind(after)
    .push(ORDER)
    .push(" LIMIT 1")
}

pub(super) async fn delete(conn: &mut Connection, ids: &[&str]) -> Result<u64, Error> {
    let mut deleted = 0;
    for some in runs(ids) {
        let delete = sql("DELETE FROM call_record WHERE state = 'closed' AND call_id IN ")
            .push_list(some.iter().copied());
        deleted += conn.execute(delete).await?;
    }
    Ok(deleted)
}

/// Notes of calls that their recordings are gone.
pub(super) async fn forget_recordings(
    conn: &mut Connection,
    ids: &[&str],
    now: Timestamp,
) -> Result<u64, Error> {
    let mut forgotten = 0;
    for some in runs(ids) {
        let update = sql("UPDATE call_record SET recording = NULL, recording_deleted_at = ?")
            .bind(now.0)
            .push(" WHERE recording IS NOT NULL AND call_id IN ")
            .push_list(some.iter().copied());
        forgotten += conn.execute(update).await?;
    }
    Ok(forgotten)
}
