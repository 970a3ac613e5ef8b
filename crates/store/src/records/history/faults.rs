//! Rows of the history that cannot be read.

use maskline_domain::SubsId;

use super::{COLUMNS, Facts, past, subs_id};
use crate::db::{Connection, Error, sql};

/// Of the next rows behind `after`, by id: those that cannot be read, and where
/// to go on; `None` at the end.
///
/// # Errors
/// Those of the database.
pub async fn unreadable(
    conn: &mut Connection,
    after: Option<SubsId>,
    rows_max: u32,
) -> Result<(Vec<SubsId>, Option<SubsId>), Error> {
    let select = sql("SELECT ")
        .push(COLUMNS)
        .push(" FROM binding_history WHERE subs_id > ? ORDER BY subs_id LIMIT ?")
        .bind(after.map_or(-1, |id| id.0 as i64))
        .bind(rows_max);
    let (mut unreadable, mut last) = (Vec::new(), None);
    for row in conn.fetch_all(select).await? {
        let id = subs_id(&row)?;
        last = Some(id);
        if past(&row).map_or(true, |past| past.facts == Facts::Unreadable) {
            unreadable.push(id);
        }
    }
    Ok((unreadable, last))
}
