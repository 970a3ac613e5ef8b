//! Rows of the history of bindings, by their ends.

use maskline_domain::{SubsId, Timestamp};

use super::super::entry::runs;
use super::{Due, DueRow, Found, Holdable, behind, of_pool};
use crate::db::{Connection, Error, Row, Statement, Value, sql};

pub(super) fn select<'a>(
    pool: Option<&'a str>,
    until: Timestamp,
    cursor: Option<&'a [Value<'a>]>,
) -> Statement<'a> {
    let select = sql(
        "SELECT subs_id, ended_at, x, a_key, b_key FROM binding_history \
         WHERE ended_at <= ?",
    )
    .bind(until.0);
    behind(of_pool(select, pool), " AND (ended_at, subs_id) > ", cursor)
        .push(" ORDER BY ended_at, subs_id")
}

pub(super) fn found(row: &Row) -> Result<Found<'_>, Error> {
    let id: i64 = row.get("subs_id")?;
    let keys = [row.get::<Option<_>>("a_key")?, row.get("b_key")?];
    Ok(Found {
        due: Due {
            at: Timestamp(row.get("ended_at")?),
            row: DueRow::Binding(SubsId(id as u64)),
        },
        holdable: Holdable {
            persons: keys.into_iter().flatten().collect(),
            x: Some(row.get("x")?),
            binding: Some(id),
            call: None,
        },
        waits: false,
    })
}

pub(super) fn cursor(row: &Row) -> Result<Vec<Value<'static>>, Error> {
    let ended_at: i64 = row.get("ended_at")?;
    let subs_id: i64 = row.get("subs_id")?;
    Ok(vec![ended_at.into(), subs_id.into()])
}

pub(super) fn oldest(pool: Option<&str>, after: i64) -> Statement<'_> {
    let select = sql("SELECT ended_at AS at FROM binding_history WHERE ended_at > ?").bind(after);
    of_pool(select, pool).push(" ORDER BY ended_at, subs_id LIMIT 1")
}

pub(super) async fn delete(conn: &mut Connection, ids: &[i64]) -> Result<u64, Error> {
    let mut deleted = 0;
    for some in runs(ids) {
        let delete = sql("DELETE FROM binding_history WHERE ended_at IS NOT NULL AND subs_id IN ")
            .push_list(some.iter().copied());
        deleted += conn.execute(delete).await?;
    }
    Ok(deleted)
}
