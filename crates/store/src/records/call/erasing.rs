//! Erasing persons from the records of calls, piece by piece: appends wait meanwhile. What is owed for these calls goes
//! with them, since what it says may name the same persons.
//!
//! A call that still lasts would fill its row again: what it writes later has to be blanked by
//! [`CallRecord::erase`](maskline_domain::call_record::CallRecord::erase) and its like.

use std::borrow::Cow;

use maskline_domain::{PhoneNumber, SubsId, Timestamp};

use super::super::entry::runs;
use super::super::owed;
use super::super::party_key::party_key;
use super::CallKey;
use crate::db::{Connection, Error, Readers, Row, Statement, sql};

/// How many records are blanked at once.
pub const ERASED_AT_ONCE: u32 = 256;

/// The calls on one binding, the oldest first: those behind one of them, at most [`ERASED_AT_ONCE`].
///
/// # Errors
/// Those of the database.
pub async fn on_binding(
    readers: &Readers,
    subs_id: SubsId,
    after: Option<&CallKey>,
) -> Result<Vec<CallKey>, Error> {
    let rows = readers.fetch_all(select_on(subs_id, after)).await?;
    let place = |row: &Row| Ok((Timestamp(row.get("arrived_at")?), row.get("call_id")?));
    rows.iter().map(place).collect()
}

fn select_on(subs_id: SubsId, after: Option<&CallKey>) -> Statement<'_> {
    let select = sql("SELECT arrived_at, call_id FROM call_record WHERE subs_id = ?");
    let mut select = select.bind(subs_id.0 as i64);
    if let Some((at, id)) = after {
        select = select.push(" AND (arrived_at, call_id) > (?, ?)");
        select = select.bind(at.0).bind(id);
    }
    select
        .push(" ORDER BY arrived_at, call_id LIMIT ?")
        .bind(ERASED_AT_ONCE)
}

/// Who was A, or B, of a binding, as its calls copied them.
///
/// # Errors
/// Those of the database.
pub async fn parties_on(
    readers: &Readers,
    subs_id: SubsId,
    a: bool,
    b: bool,
) -> Result<Vec<PhoneNumber>, Error> {
    let select = sql("SELECT DISTINCT a, b FROM call_record WHERE subs_id = ?");
    let rows = readers.fetch_all(select.bind(subs_id.0 as i64)).await?;
    let mut parties = Vec::new();
    for row in rows {
        for (column, is_meant) in [("a", a), ("b", b)] {
            let digits = row.get::<Option<Cow<'_, str>>>(column)?;
            let number = digits.and_then(|digits| PhoneNumber::parse(&digits).ok());
            parties.extend(number.filter(|number| is_meant && !parties.contains(number)));
        }
    }
    Ok(parties)
}

/// Blanks whatever tells of a person in the records of these calls, open ones too. Says how many there were.
///
/// # Errors
/// Those of the database.
pub async fn erase(conn: &mut Connection, calls: &[String]) -> Result<u64, Error> {
    owed::erase(conn, calls).await?;
    let update = || {
        sql(
            "UPDATE call_record SET caller = NULL, callee = NULL, a = NULL, b = NULL, \
             caller_key = NULL, callee_key = NULL, a_key = NULL, b_key = NULL, \
             out_id = NULL, out_order_id = NULL, ladder = NULL",
        )
    };
    of_calls(conn, calls, update).await
}

/// Blanks some persons, and the texts, in the records of these calls, open ones too. Says how many records that were.
///
/// # Errors
/// Those of the database.
pub async fn erase_persons(
    conn: &mut Connection,
    calls: &[String],
    persons: &[PhoneNumber],
) -> Result<u64, Error> {
    owed::erase(conn, calls).await?;
    for &person in persons {
        of_calls(conn, calls, || without(person)).await?;
    }
    let texts = || sql("UPDATE call_record SET out_id = NULL, out_order_id = NULL, ladder = NULL");
    of_calls(conn, calls, texts).await
}

/// Blanks `number` wherever it is a party of a call, in at most [`ERASED_AT_ONCE`] records. Says in how many; if in as
/// many, there may be more.
///
/// # Errors
/// Those of the database.
pub async fn erase_number(conn: &mut Connection, number: PhoneNumber) -> Result<u64, Error> {
    let rows = conn.fetch_all(select_of(number)).await?;
    let calls: Result<Vec<String>, Error> = rows.iter().map(|row| row.get("call_id")).collect();
    let calls = calls?;
    owed::erase(conn, &calls).await?;
    of_calls(conn, &calls, || without(number)).await
}

fn select_of<'a>(number: PhoneNumber) -> Statement<'a> {
    let select = sql("SELECT call_id FROM call_record \
         WHERE caller_key = ? OR callee_key = ? OR a_key = ? OR b_key = ? LIMIT ?");
    let key = party_key(number);
    let select = (0..4).fold(select, |select, _| select.bind(key.clone()));
    select.bind(ERASED_AT_ONCE)
}

/// Carries out the statement for each of the calls.
async fn of_calls<'a>(
    conn: &mut Connection,
    calls: &[String],
    statement: impl Fn() -> Statement<'a>,
) -> Result<u64, Error> {
    let mut done = 0;
    for some in runs(calls) {
        let some = some.iter().cloned();
        let statement = statement().push(" WHERE call_id IN ").push_list(some);
        done += conn.execute(statement).await?;
    }
    Ok(done)
}

/// The beginning of an update that takes one person out of every column. A person stands in one column of keys and may
/// stand in several others of the row.
fn without<'a>(number: PhoneNumber) -> Statement<'a> {
    let (digits, key) = (number.reveal(), party_key(number));
    let update = sql(
        "UPDATE call_record SET caller = NULLIF(caller, ?), callee = NULLIF(callee, ?), \
         a = NULLIF(a, ?), b = NULLIF(b, ?), ladder = NULL, \
         caller_key = NULLIF(caller_key, ?), callee_key = NULLIF(callee_key, ?), \
         a_key = NULLIF(a_key, ?), b_key = NULLIF(b_key, ?)",
    );
    let update = (0..4).fold(update, |update, _| update.bind(digits.clone()));
    (0..4).fold(update, |update, _| update.bind(key.clone()))
}

#[cfg(test)]
mod tests {
    use super::super::KEYS;
    use super::*;
    use crate::db::sqlite;
    use crate::directory::DataDir;

    #[tokio::test]
    async fn nobody_is_erased_by_a_look_at_the_calls_of_others() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let owned = DataDir::own(dir.path()).expect("nobody else has it");
        let mut conn = owned.writer().await.expect("a new database opens");
        let person = PhoneNumber::parse("13900000001").expect("digits");
        let ids = || ["c1", "c2"].map(str::to_owned);
        let in_ids = |statement: Statement<'static>| {
            let statement = statement.push(" WHERE call_id IN ");
            statement.push_list(ids())
        };
        let keys = KEYS.map(|column| format!("({column}=?)"));
        let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
        let after = (Timestamp(7), "c7".to_owned());
        for (statement, expected) in [
            (select_of(person), &keys[..]),
            (select_on(SubsId(7), None), &["(subs_id=?)"]),
            (
                select_on(SubsId(7), Some(&after)),
                &["(subs_id=? AND (arrived_at,call_id)>"],
            ),
            (in_ids(without(person)), &["(call_id=?)"]),
            (in_ids(sql("DELETE FROM owed")), &["(call_id=?)"]),
        ] {
            let shown = format!("{statement:?}");
            let plan = sqlite::plan(&mut conn, statement).await;
            let plan = plan.expect("SQL").join("; ");
            assert!(!plan.contains("SCAN"), "{shown}: {plan}");
            for expected in expected {
                assert!(plan.contains(expected), "{shown}: {plan}");
            }
        }
    }
}
