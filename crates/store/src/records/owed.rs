//! What is owed for milestones of calls: written in the transaction that writes the row of the call, so that there are
//! both or neither, and sent after.
//!
//! What it is for is its name: the same kind and key for the same milestone of the same call are owed once, however
//! often they are written before they are [settled](settle). What it says may name parties, so an erasure takes it away.
//! How large one may be is [`Owed`]'s business; how many there may be is that of who sends them.

use std::fmt;

use maskline_domain::Timestamp;
use maskline_domain::call::{Milestone, Owed, OwedError, Reached};

use super::entry::runs;
use crate::db::{Connection, Error, Readers, Row, Statement, sql};

/// Writes what is owed for milestones of these calls (their ids), of which there must be rows. To be called in the
/// transaction that writes these rows.
///
/// # Errors
/// Those of the database.
pub async fn write(conn: &mut Connection, owed: &[(&str, &Owed)]) -> Result<(), Error> {
    for some in runs(owed) {
        let insert = sql("INSERT INTO owed (call_id, milestone, kind, owed_key, at, body) ")
            .push_rows(some, |row, (call_id, owed)| {
                let Reached { milestone, at } = owed.reached();
                row.bind(*call_id)
                    .bind(milestone.name())
                    .bind(owed.kind())
                    .bind(owed.key())
                    .bind(at.0)
                    .bind(owed.body())
            })
            .push(" ON CONFLICT (call_id, milestone, kind, owed_key) DO NOTHING");
        conn.execute(insert).await?;
    }
    Ok(())
}

/// Where something stands among all that is owed; also its name.
#[derive(Clone, PartialEq, Eq)]
pub struct Place {
    at: Timestamp,
    call_id: String,
    /// As it stands there, known or not.
    milestone: String,
    kind: String,
    key: String,
}

/// Tells nothing of the key.
impl fmt::Debug for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Place")
            .field("at", &self.at)
            .field("call_id", &self.call_id)
            .field("milestone", &self.milestone)
            .field("kind", &self.kind)
            .finish_non_exhaustive()
    }
}

impl Place {
    /// The id of the call for which it is owed.
    pub fn call_id(&self) -> &str {
        &self.call_id
    }
}

/// Something that is owed.
#[derive(Debug, PartialEq, Eq)]
pub struct Listed {
    /// Where it stands.
    pub place: Place,
    /// What it is. An error: the row does not hold what this program writes there, which is to be counted and shown,
    /// and must not keep others from being sent.
    pub owed: Result<Owed, Error>,
}

/// What is owed, the oldest first.
#[derive(Debug, PartialEq, Eq)]
pub struct Page {
    /// The rows.
    pub rows: Vec<Listed>,
    /// Behind what the next page begins, if there is one.
    pub next: Option<Place>,
}

/// What is owed, the oldest first: at most so much, and what stands behind `after`.
///
/// # Errors
/// Those of the database.
pub async fn list(readers: &Readers, after: Option<&Place>, limit: u32) -> Result<Page, Error> {
    let rows = readers.fetch_all(select(after, limit)).await?;
    let listed = |row: &Row| -> Result<Listed, Error> {
        let place = place(row)?;
        let owed = read(row, &place);
        Ok(Listed { place, owed })
    };
    let rows: Result<Vec<Listed>, Error> = rows.iter().map(listed).collect();
    let mut rows = rows?;
    let is_more = rows.len() > limit as usize;
    rows.truncate(limit as usize);
    let next = rows.last().filter(|_| is_more);
    Ok(Page {
        next: next.map(|listed| listed.place.clone()),
        rows,
    })
}

fn select<'a>(after: Option<&'a Place>, limit: u32) -> Statement<'a> {
    let mut select = sql("SELECT call_id, milestone, kind, owed_key, at, body FROM owed");
    if let Some(place) = after {
        select = select
            .push(" WHERE (at, call_id, milestone, kind, owed_key) > (?, ?, ?, ?, ?)")
            .bind(place.at.0)
            .bind(&place.call_id)
            .bind(&place.milestone)
            .bind(&place.kind)
            .bind(&place.key);
    }
    select
        .push(" ORDER BY at, call_id, milestone, kind, owed_key LIMIT ?")
        .bind(i64::from(limit) + 1)
}

pub(super) fn place(row: &Row) -> Result<Place, Error> {
    Ok(Place {
        at: Timestamp(row.get("at")?),
        call_id: row.get("call_id")?,
        milestone: row.get("milestone")?,
        kind: row.get("kind")?,
        key: row.get("owed_key")?,
    })
}

fn read(row: &Row, place: &Place) -> Result<Owed, Error> {
    let mut known = Milestone::ALL.into_iter();
    let milestone = known
        .find(|milestone| milestone.name() == place.milestone)
        .ok_or_else(|| Error::in_column("milestone", &"no milestone"))?;
    let at = place.at;
    let (kind, key) = (place.kind.as_str(), place.key.as_str());
    Owed::new(Reached { milestone, at }, kind, key, row.get("body")?)
        .map_err(|error| Error::in_column(column(error), &error))
}

fn column(error: OwedError) -> &'static str {
    match error {
        OwedError::Kind => "kind",
        OwedError::Key => "owed_key",
        OwedError::Body => "body",
    }
}

/// Takes away what is no longer owed, since it was sent or never will be. Says how much of it was there.
///
/// # Errors
/// Those of the database.
pub async fn settle(conn: &mut Connection, places: &[Place]) -> Result<u64, Error> {
    let mut settled = 0;
    for place in places {
        let delete = sql(
            "DELETE FROM owed WHERE call_id = ? AND milestone = ? AND kind = ? AND owed_key = ?",
        )
        .bind(&place.call_id)
        .bind(&place.milestone)
        .bind(&place.kind)
        .bind(&place.key);
        settled += conn.execute(delete).await?;
    }
    Ok(settled)
}

/// Takes away what is owed for these calls. Says how much it was.
///
/// # Errors
/// Those of the database.
pub async fn erase(conn: &mut Connection, calls: &[String]) -> Result<u64, Error> {
    let mut erased = 0;
    for some in runs(calls) {
        let delete = sql("DELETE FROM owed WHERE call_id IN ").push_list(some);
        erased += conn.execute(delete).await?;
    }
    Ok(erased)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::db::sqlite;
    use crate::directory::DataDir;

    #[tokio::test]
    async fn a_page_is_read_in_the_order_of_an_index() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let owned = DataDir::own(dir.path()).expect("nobody else has it");
        let mut conn = owned.writer().await.expect("a new database opens");
        let after = Place {
            at: Timestamp(7),
            call_id: "c7".into(),
            milestone: "ended".into(),
            kind: "receipt".into(),
            key: "a".into(),
        };
        for (statement, expected) in [
            (select(None, 10), "SCAN owed USING INDEX owed_by_time"),
            (
                select(Some(&after), 10),
                "SEARCH owed USING INDEX owed_by_time ((at,call_id,milestone,kind,owed_key)>",
            ),
        ] {
            let shown = format!("{statement:?}");
            let plan = sqlite::plan(&mut conn, statement).await;
            let plan = plan.expect("SQL").join("; ");
            assert!(plan.starts_with(expected), "{shown}: {plan}");
            assert!(!plan.contains("TEMP B-TREE"), "{shown}: {plan}");
        }
    }
}
