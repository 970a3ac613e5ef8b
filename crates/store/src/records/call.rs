//! Call records: one row a call.
//!
//! The open row is durable before the second leg is dialled, so a call that
//! dies with its node still has a record; closing it is one transaction.

mod erasing;
mod list;

use std::array;
use std::borrow::Cow;
use std::collections::BTreeSet;
use std::sync::LazyLock;

use maskline_domain::call_record::{CallRecord, NODE_LOST};
use maskline_domain::{PhoneNumber, SubsId, Timestamp};

pub use self::erasing::{
    ERASED_AT_ONCE, erase, erase_number, erase_persons, on_binding, parties_on,
};
pub use self::list::{CallKey, Filter, Page, VISITED_MAX, list};
use super::party_key::party_keys;
use crate::db::{Connection, Error, Readers, Row, Statement, sql};

/// The columns after `state`, in the order in which they are bound and read.
const COLUMNS: &str = "call_id, node, boot, account, pool, product, subs_id, x, caller, callee, \
    a, b, extension, out_id, out_order_id, trunk_in, trunk_out, arrived_at, dialled_at, \
    ringing_at, answered_at, released_at, situation, release_by, sip_status, q850_cause, \
    one_way, recording, media, ladder";
/// The columns that are written and never read: the keys of [`parties`], in their order.
const KEYS: [&str; 4] = ["caller_key", "callee_key", "a_key", "b_key"];
/// How many those of both are.
const COLUMNS_COUNT: usize = 34;

/// A row that is there already is no error, after which an engine may give up the whole transaction.
const TAKEN_BEFORE: &str = "ON CONFLICT (call_id) DO NOTHING RETURNING call_id";

/// Closing writes the whole row anew, so a call that was refused before any
/// row was opened is recorded by the same statement. A closed row stays.
const CLOSED_BEFORE: &str = "ON CONFLICT (call_id) DO UPDATE SET state = 'closed', \
    callee = excluded.callee, extension = excluded.extension, trunk_out = excluded.trunk_out, \
    dialled_at = excluded.dialled_at, ringing_at = excluded.ringing_at, \
    answered_at = excluded.answered_at, released_at = excluded.released_at, \
    situation = excluded.situation, release_by = excluded.release_by, \
    sip_status = excluded.sip_status, q850_cause = excluded.q850_cause, \
    one_way = excluded.one_way, recording = excluded.recording, media = excluded.media, \
    ladder = excluded.ladder, caller_key = excluded.caller_key, \
    callee_key = excluded.callee_key, a_key = excluded.a_key, b_key = excluded.b_key \
    WHERE call_record.state = 'open'";

/// The most rows in one statement.
const ROWS_MAX: usize = 32;

/// Statements for one row, two, and so on.
static OPENING: LazyLock<[String; ROWS_MAX]> =
    LazyLock::new(|| array::from_fn(|before| text("open", before + 1, TAKEN_BEFORE)));
static CLOSING: LazyLock<[String; ROWS_MAX]> =
    LazyLock::new(|| array::from_fn(|before| text("closed", before + 1, CLOSED_BEFORE)));

fn text(state: &str, rows: usize, conflict: &str) -> String {
    let row = format!("('{state}'{})", ", ?".repeat(COLUMNS_COUNT));
    let rows = vec![row; rows].join(", ");
    let keys = KEYS.join(", ");
    format!("INSERT INTO call_record (state, {COLUMNS}, {keys}) VALUES {rows} {conflict}")
}

/// Opens rows of calls. Says of each whether it is new: of those with one id the
/// first one is, unless there was one before.
///
/// # Errors
/// Those of the database.
pub async fn open(conn: &mut Connection, calls: &[&CallRecord]) -> Result<Vec<bool>, Error> {
    let mut is_new = Vec::with_capacity(calls.len());
    for some in calls.chunks(ROWS_MAX) {
        let rows = conn.fetch_all(statement(&OPENING, some)).await?;
        let ids = rows.iter().map(|row| row.get::<String>("call_id"));
        let mut ids: BTreeSet<String> = ids.collect::<Result<_, Error>>()?;
        is_new.extend(some.iter().map(|call| ids.remove(&call.call_id)));
    }
    Ok(is_new)
}

/// Closes rows of calls, opened before or not. Closing twice changes nothing.
///
/// # Errors
/// Those of the database.
pub async fn close(conn: &mut Connection, calls: &[&CallRecord]) -> Result<(), Error> {
    // In one statement PostgreSQL writes a row once.
    let mut seen = BTreeSet::new();
    let calls = calls.iter().copied();
    let calls: Vec<&CallRecord> = calls
        .filter(|call| seen.insert(call.call_id.as_str()))
        .collect();
    for some in calls.chunks(ROWS_MAX) {
        conn.execute(statement(&CLOSING, some)).await?;
    }
    Ok(())
}

/// Of 1 to [`ROWS_MAX`] calls.
fn statement<'a>(texts: &'static [String; ROWS_MAX], calls: &[&'a CallRecord]) -> Statement<'a> {
    let statement = sql(&texts[calls.len() - 1]).with_room(calls.len() * COLUMNS_COUNT);
    calls.iter().fold(statement, |rows, call| bind(rows, call))
}

/// Writes into the open row of a call how far it is, so that the row tells it even if its node dies. A closed row
/// stays. Says whether there is a row.
///
/// # Errors
/// Those of the database.
pub async fn update(conn: &mut Connection, call: &CallRecord) -> Result<bool, Error> {
    let update = sql(
        "UPDATE call_record SET trunk_out = ?, ringing_at = ?, answered_at = ? \
         WHERE call_id = ? AND state = 'open'",
    )
    .bind(&call.trunk_out)
    .bind(call.ringing_at.map(|at| at.0))
    .bind(call.answered_at.map(|at| at.0))
    .bind(&call.call_id);
    Ok(conn.execute(update).await? > 0 || is_there(conn, &call.call_id).await?)
}

/// Whether there is a row of a call, open or closed.
///
/// # Errors
/// Those of the database.
pub async fn is_there(conn: &mut Connection, call_id: &str) -> Result<bool, Error> {
    let select = sql("SELECT call_id FROM call_record WHERE call_id = ?").bind(call_id);
    Ok(conn.fetch_optional(select).await?.is_some())
}

/// A call that an earlier run left open.
#[derive(Debug)]
pub struct LostCall {
    /// Its id.
    pub call_id: String,
    /// When it arrived.
    pub arrived_at: Timestamp,
    /// What is known of it, if its row can be read.
    pub record: Result<CallRecord, Unreadable>,
}

/// The calls of `node` that an earlier run than `boot` left open. There are no more than a node carries at once.
///
/// # Errors
/// Those of the database.
pub async fn lost(readers: &Readers, node: &str, boot: &str) -> Result<Vec<LostCall>, Error> {
    let select = sql("SELECT state, ")
        .push(COLUMNS)
        .push(" FROM call_record WHERE state = 'open' AND node = ? AND boot <> ? ORDER BY call_id")
        .bind(node)
        .bind(boot);
    let rows = readers.fetch_all(select).await?;
    let call = |row: &Row| -> Result<LostCall, Error> {
        Ok(LostCall {
            call_id: row.get("call_id")?,
            arrived_at: Timestamp(row.get("arrived_at")?),
            record: listed(row).map(|(record, _)| record),
        })
    };
    rows.iter().map(call).collect()
}

/// Closes the calls of `node` that an earlier run than `boot` left open, and
/// names the recordings of those that have one (call id, file). Says how many
/// calls there were. May run twice.
///
/// # Errors
/// Those of the database.
pub async fn close_lost(
    conn: &mut Connection,
    node: &str,
    boot: &str,
    at: Timestamp,
    recordings: &[(String, String)],
) -> Result<u64, Error> {
    // Before they are closed, since then nothing tells them from others.
    for (call_id, file) in recordings {
        let update =
            sql("UPDATE call_record SET recording = ? WHERE call_id = ? AND state = 'open'")
                .bind(file)
                .bind(call_id);
        conn.execute(update).await?;
    }
    let update = sql(
        "UPDATE call_record SET state = 'closed', released_at = ?, situation = ?, \
         release_by = 'platform' WHERE state = 'open' AND node = ? AND boot <> ?",
    )
    .bind(at.0)
    .bind(NODE_LOST)
    .bind(node)
    .bind(boot);
    conn.execute(update).await
}

/// A row that does not hold what was written there: a fault, and no erasure.
#[derive(Debug, thiserror::Error)]
#[error("the record of call {call_id} cannot be read: {source}")]
pub struct Unreadable {
    /// The call.
    pub call_id: String,
    /// What is wrong with the row; it names the column and not its content.
    pub source: Error,
}

/// A call with whether it is still open, if its row can be read.
pub type Listed = Result<(CallRecord, bool), Unreadable>;

/// One call.
///
/// # Errors
/// Those of the database.
pub async fn get(readers: &Readers, call_id: &str) -> Result<Option<Listed>, Error> {
    let select = sql("SELECT state, ")
        .push(COLUMNS)
        .push(" FROM call_record WHERE call_id = ?")
        .bind(call_id);
    let row = readers.fetch_optional(select).await?;
    Ok(row.as_ref().map(listed))
}

/// Of the next records behind `after`, by id: those that cannot be read, and
/// where to go on; `None` at the end.
///
/// # Errors
/// Those of the database.
pub async fn unreadable(
    conn: &mut Connection,
    after: &str,
    rows_max: u32,
) -> Result<(Vec<Unreadable>, Option<String>), Error> {
    let select = sql("SELECT state, ")
        .push(COLUMNS)
        .push(" FROM call_record WHERE call_id > ? ORDER BY call_id LIMIT ?")
        .bind(after)
        .bind(rows_max);
    let rows = conn.fetch_all(select).await?;
    let last = rows.last().map(|row| row.get("call_id")).transpose()?;
    let unreadable = rows.iter().filter_map(|row| listed(row).err()).collect();
    Ok((unreadable, last))
}

fn listed(row: &Row) -> Listed {
    read(row).map_err(|source| Unreadable {
        call_id: row.get("call_id").unwrap_or_default(),
        source,
    })
}

/// As many values as [`COLUMNS_COUNT`] says.
fn bind<'a>(row: Statement<'a>, call: &'a CallRecord) -> Statement<'a> {
    let digits = |number: Option<PhoneNumber>| number.map(PhoneNumber::reveal);
    let moment = |at: Option<Timestamp>| at.map(|at| at.0);
    let row = row
        .bind(&call.call_id)
        .bind(&call.node)
        .bind(&call.boot)
        .bind(&call.account)
        .bind(&call.pool)
        .bind(&call.product)
        .bind(call.subs_id.map(|id| id.0 as i64))
        .bind(digits(call.x).unwrap_or_default())
        .bind(digits(call.caller))
        .bind(digits(call.callee))
        .bind(digits(call.a))
        .bind(digits(call.b))
        .bind(&call.extension)
        .bind(&call.out_id)
        .bind(&call.out_order_id)
        .bind(&call.trunk_in)
        .bind(&call.trunk_out)
        .bind(call.arrived_at.0)
        .bind(moment(call.dialled_at))
        .bind(moment(call.ringing_at))
        .bind(moment(call.answered_at))
        .bind(moment(call.released_at))
        .bind(&call.situation)
        .bind(&call.release_by)
        .bind(call.sip_status.map(i64::from))
        .bind(call.q850_cause.map(i64::from))
        .bind(call.one_way.map(i64::from))
        .bind(&call.recording)
        .bind(&call.media)
        .bind(&call.ladder);
    let keys = party_keys(parties(call)).into_iter();
    keys.fold(row, Statement::bind)
}

/// The parties of a call, in the order of [`KEYS`].
fn parties(call: &CallRecord) -> [Option<PhoneNumber>; 4] {
    [call.caller, call.callee, call.a, call.b]
}

/// A whole number of few digits.
fn small<T: TryFrom<i64>>(number: Option<i64>, column: &str) -> Result<Option<T>, Error>
where
    T::Error: std::fmt::Display,
{
    let number = number.map(T::try_from).transpose();
    number.map_err(|error| Error::in_column(column, &error))
}

/// What an error tells names the column and nothing of its content.
fn read(row: &Row) -> Result<(CallRecord, bool), Error> {
    let text = |column: &str| row.get::<Option<String>>(column);
    let number = |column: &str| -> Result<Option<PhoneNumber>, Error> {
        let digits: Option<Cow<'_, str>> = row.get(column)?;
        let number = digits.filter(|digits| !digits.is_empty());
        let number = number.map(|digits| PhoneNumber::parse(&digits)).transpose();
        number.map_err(|error| Error::in_column(column, &error))
    };
    let integer = |column: &str| row.get::<Option<i64>>(column);
    let moment = |column: &str| Ok::<_, Error>(integer(column)?.map(Timestamp));
    let call = CallRecord {
        call_id: row.get("call_id")?,
        node: row.get("node")?,
        boot: row.get("boot")?,
        account: text("account")?,
        pool: text("pool")?,
        product: text("product")?,
        subs_id: integer("subs_id")?.map(|id| SubsId(id as u64)),
        x: number("x")?,
        caller: number("caller")?,
        callee: number("callee")?,
        a: number("a")?,
        b: number("b")?,
        extension: text("extension")?,
        out_id: text("out_id")?,
        out_order_id: text("out_order_id")?,
        trunk_in: text("trunk_in")?,
        trunk_out: text("trunk_out")?,
        arrived_at: Timestamp(row.get("arrived_at")?),
        dialled_at: moment("dialled_at")?,
        ringing_at: moment("ringing_at")?,
        answered_at: moment("answered_at")?,
        released_at: moment("released_at")?,
        situation: text("situation")?,
        release_by: text("release_by")?,
        sip_status: small(integer("sip_status")?, "sip_status")?,
        q850_cause: small(integer("q850_cause")?, "q850_cause")?,
        one_way: integer("one_way")?.map(|n| n != 0),
        recording: text("recording")?,
        media: text("media")?,
        ladder: text("ladder")?,
    };
    let state: Cow<'_, str> = row.get("state")?;
    Ok((call, state == "open"))
}
