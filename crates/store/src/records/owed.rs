//! What is owed for milestones of calls: written in the transaction that writes the row of the call, so that there are
//! both or neither, and sent after.
//!
//! What it is for is its name: the same kind and key for the same milestone of the same call are owed once, however
//! often they are written. What it says may name parties, so an erasure takes it away.

use maskline_domain::call::{Milestone, Owed, Reached};
use maskline_domain::{PhoneNumber, SubsId, Timestamp};

use super::party_key::party_key;
use crate::db::{Connection, Error, Readers, Row, sql};

/// The most rows in one statement.
const ROWS_MAX: usize = 32;

/// Writes what is owed for milestones of these calls (their ids). To be called in the transaction that writes their
/// rows.
///
/// # Errors
/// Those of the database.
pub async fn write(conn: &mut Connection, owed: &[(&str, &Owed)]) -> Result<(), Error> {
    for some in owed.chunks(ROWS_MAX) {
        let insert = sql("INSERT INTO owed (call_id, milestone, kind, owed_key, at, body) ")
            .push_rows(some, |row, (call_id, owed)| {
                row.bind(*call_id)
                    .bind(owed.reached.milestone.name())
                    .bind(&owed.kind)
                    .bind(&owed.key)
                    .bind(owed.reached.at.0)
                    .bind(owed.body.as_slice())
            })
            .push(" ON CONFLICT (call_id, milestone, kind, owed_key) DO NOTHING");
        conn.execute(insert).await?;
    }
    Ok(())
}

/// What is owed, each with the id of its call: the oldest first, at most so much.
///
/// # Errors
/// Those of the database, and for a row that does not hold what was written there.
pub async fn list(readers: &Readers, limit: u32) -> Result<Vec<(String, Owed)>, Error> {
    let select = sql(
        "SELECT call_id, milestone, kind, owed_key, at, body FROM owed \
         ORDER BY at, call_id, milestone, kind, owed_key LIMIT ?",
    )
    .bind(limit);
    let rows = readers.fetch_all(select).await?;
    rows.iter().map(read).collect()
}

fn read(row: &Row) -> Result<(String, Owed), Error> {
    let word: String = row.get("milestone")?;
    let known = Milestone::ALL.into_iter();
    let milestone = known
        .into_iter()
        .find(|milestone| milestone.name() == word)
        .ok_or_else(|| Error::in_column("milestone", &"no milestone"))?;
    let owed = Owed {
        reached: Reached {
            milestone,
            at: Timestamp(row.get("at")?),
        },
        kind: row.get("kind")?,
        key: row.get("owed_key")?,
        body: row.get("body")?,
    };
    Ok((row.get("call_id")?, owed))
}

/// Takes away what is owed for calls on one binding. To be called before the records are blanked, which tell whose
/// calls they are. Says how much it was.
///
/// # Errors
/// Those of the database.
pub async fn erase(conn: &mut Connection, subs_id: SubsId) -> Result<u64, Error> {
    let delete = sql("DELETE FROM owed WHERE EXISTS (SELECT 1 FROM call_record \
         WHERE call_record.call_id = owed.call_id AND call_record.subs_id = ?)")
    .bind(subs_id.0 as i64);
    conn.execute(delete).await
}

/// Takes away what is owed for calls of which `number` is a party. The same is true as for [`erase`].
///
/// # Errors
/// Those of the database.
pub async fn erase_number(conn: &mut Connection, number: PhoneNumber) -> Result<u64, Error> {
    let delete = sql("DELETE FROM owed WHERE EXISTS (SELECT 1 FROM call_record \
         WHERE call_record.call_id = owed.call_id \
         AND (caller_key = ? OR callee_key = ? OR a_key = ? OR b_key = ?))");
    let key = party_key(number);
    let delete = (0..4).fold(delete, |delete, _| delete.bind(key.clone()));
    conn.execute(delete).await
}
