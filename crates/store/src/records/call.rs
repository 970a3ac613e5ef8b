//! Call records: one row a call.
//!
//! The open row is durable before the second leg is dialled, so a call that
//! dies with its node still has a record; closing it is one transaction.

use std::array;
use std::sync::LazyLock;

use maskline_domain::call_record::{CallRecord, NODE_LOST};
use maskline_domain::{PhoneNumber, SubsId, Timestamp};
use sqlx::sqlite::{SqliteArguments, SqliteConnection, SqlitePool, SqliteRow};
use sqlx::{AssertSqlSafe, QueryBuilder, Row as _, Sqlite, query, query_as};

/// The columns after `state`, in the order in which they are bound and read.
const COLUMNS: &str = "call_id, node, boot, account, pool, product, subs_id, x, caller, callee, \
    a, b, extension, out_id, out_order_id, trunk_in, trunk_out, arrived_at, dialled_at, \
    ringing_at, answered_at, released_at, situation, release_by, sip_status, q850_cause, \
    one_way, recording, media, ladder";
/// How many those are.
const COLUMNS_COUNT: usize = 30;

/// Closing writes the whole row anew, so a call that was refused before any
/// row was opened is recorded by the same statement. A closed row stays.
const CLOSED_BEFORE: &str = "ON CONFLICT (call_id) DO UPDATE SET state = 'closed', \
    callee = excluded.callee, extension = excluded.extension, trunk_out = excluded.trunk_out, \
    dialled_at = excluded.dialled_at, ringing_at = excluded.ringing_at, \
    answered_at = excluded.answered_at, released_at = excluded.released_at, \
    situation = excluded.situation, release_by = excluded.release_by, \
    sip_status = excluded.sip_status, q850_cause = excluded.q850_cause, \
    one_way = excluded.one_way, recording = excluded.recording, media = excluded.media, \
    ladder = excluded.ladder \
    WHERE call_record.state = 'open'";

/// The most open calls that are looked through: more than a node can carry.
const OPEN_MAX: u32 = 1_000_000;

/// The most rows in one statement.
const ROWS_MAX: usize = 32;

/// Statements for one row, two, and so on.
static OPENING: LazyLock<[String; ROWS_MAX]> =
    LazyLock::new(|| array::from_fn(|before| statement("open", before + 1, "")));
static CLOSING: LazyLock<[String; ROWS_MAX]> =
    LazyLock::new(|| array::from_fn(|before| statement("closed", before + 1, CLOSED_BEFORE)));

/// Parameters have no numbers: SQLite looks numbered ones up in a list, which
/// for many rows takes longer than all the rest.
fn statement(state: &str, rows: usize, conflict: &str) -> String {
    let row = format!("('{state}'{})", ", ?".repeat(COLUMNS_COUNT));
    let rows = vec![row; rows].join(", ");
    format!("INSERT INTO call_record (state, {COLUMNS}) VALUES {rows} {conflict}")
}

/// What is to happen to the row of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RowChange {
    /// Open it. An id that is taken is a conflict.
    Open,
    /// Close it, opened before or not. Closing twice changes nothing.
    Close,
}

/// Writes as many of the first calls as fit into one statement, all or none of
/// them, and says how many those were.
///
/// # Errors
/// Those of the database.
pub async fn write(
    conn: &mut SqliteConnection,
    change: RowChange,
    calls: &[&CallRecord],
) -> Result<usize, sqlx::Error> {
    let calls = &calls[..calls.len().min(ROWS_MAX)];
    let Some(before) = calls.len().checked_sub(1) else {
        return Ok(0);
    };
    let statement = match change {
        RowChange::Open => &OPENING[before],
        RowChange::Close => &CLOSING[before],
    };
    let bound = (calls.iter()).fold(query(AssertSqlSafe(statement.as_str())), |query, call| {
        bind(query, call)
    });
    bound.execute(conn).await?;
    Ok(calls.len())
}

/// The calls of `node` that an earlier run than `boot` left open: their ids, and
/// when they arrived.
///
/// # Errors
/// Those of the database.
pub async fn lost(
    readers: &SqlitePool,
    node: &str,
    boot: &str,
) -> Result<Vec<(String, Timestamp)>, sqlx::Error> {
    let rows: Vec<(String, i64)> = query_as(
        "SELECT call_id, arrived_at FROM call_record \
         WHERE state = 'open' AND node = $1 AND boot <> $2 ORDER BY call_id",
    )
    .bind(node)
    .bind(boot)
    .fetch_all(readers)
    .await?;
    Ok(rows
        .into_iter()
        .map(|(id, at)| (id, Timestamp(at)))
        .collect())
}

/// Closes the calls of `node` that an earlier run than `boot` left open, and
/// names the recordings of those that have one (call id, file). Says how many
/// calls there were. May run twice.
///
/// # Errors
/// Those of the database.
pub async fn close_lost(
    conn: &mut SqliteConnection,
    node: &str,
    boot: &str,
    at: Timestamp,
    recordings: &[(String, String)],
) -> Result<u64, sqlx::Error> {
    // Before they are closed, since then nothing tells them from others.
    for (call_id, file) in recordings {
        query("UPDATE call_record SET recording = $2 WHERE call_id = $1 AND state = 'open'")
            .bind(call_id)
            .bind(file)
            .execute(&mut *conn)
            .await?;
    }
    let done = query(
        "UPDATE call_record SET state = 'closed', released_at = $3, situation = $4, \
         release_by = 'platform' WHERE state = 'open' AND node = $1 AND boot <> $2",
    )
    .bind(node)
    .bind(boot)
    .bind(at.0)
    .bind(NODE_LOST)
    .execute(conn)
    .await?;
    Ok(done.rows_affected())
}

/// Which calls to list.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// Only those on this X.
    pub x: Option<PhoneNumber>,
    /// Only those of the pool that X was in when they came.
    pub pool: Option<String>,
    /// Only those of the account that this pool is of.
    pub account: Option<String>,
    /// Only those of this binding.
    pub subs_id: Option<SubsId>,
    /// Only those that came at this moment or later.
    pub since: Option<Timestamp>,
    /// Only those that came before this moment; for the next page.
    pub before: Option<Timestamp>,
    /// Only those that are open, or only those that are closed.
    pub open: Option<bool>,
    /// Only those that ended so.
    pub situation: Option<String>,
    /// At most so many.
    pub limit: u32,
}

/// A row that does not hold what was written there: a fault, and no erasure.
#[derive(Debug, thiserror::Error)]
#[error("the record of call {call_id} cannot be read: {source}")]
pub struct Unreadable {
    /// The call.
    pub call_id: String,
    /// What is wrong with the row; it names the column and not its content.
    pub source: sqlx::Error,
}

/// A call with whether it is still open, if its row can be read.
pub type Listed = Result<(CallRecord, bool), Unreadable>;

/// Calls, the newest first.
///
/// # Errors
/// Those of the database.
pub async fn list(readers: &SqlitePool, filter: &Filter) -> Result<Vec<Listed>, sqlx::Error> {
    let rows = select("", filter).build().fetch_all(readers).await?;
    Ok(rows.iter().map(listed).collect())
}

/// The query of a list, behind a word such as `EXPLAIN`. Whatever is given, an
/// index leads to the rows and gives them in their order, so that no list reads
/// the calls of others.
fn select(word: &str, filter: &Filter) -> QueryBuilder<Sqlite> {
    // Open calls are few: they are looked through whatever else is wanted, and never looked for
    // among all that ever were. The limit keeps the two queries apart.
    let of = match filter.open {
        Some(true) => format!("(SELECT * FROM call_record WHERE state = 'open' LIMIT {OPEN_MAX})"),
        Some(false) | None => "call_record".to_owned(),
    };
    let mut select = QueryBuilder::<Sqlite>::new(format!(
        "{word} SELECT state, {COLUMNS} FROM {of} WHERE arrived_at < "
    ));
    select.push_bind(filter.before.map_or(i64::MAX, |at| at.0));
    if let Some(x) = filter.x {
        select.push(" AND x = ").push_bind(x.reveal());
    }
    if let Some(since) = filter.since {
        select.push(" AND arrived_at >= ").push_bind(since.0);
    }
    if let Some(pool) = &filter.pool {
        select.push(" AND pool = ").push_bind(pool.clone());
    }
    if let Some(account) = &filter.account {
        select.push(" AND account = ").push_bind(account.clone());
    }
    if let Some(situation) = &filter.situation {
        select
            .push(" AND situation = ")
            .push_bind(situation.clone());
    }
    if let Some(id) = filter.subs_id {
        select.push(" AND subs_id = ").push_bind(id.0 as i64);
    }
    if filter.open == Some(false) {
        select.push(" AND state = 'closed'");
    }
    select
        .push(" ORDER BY arrived_at DESC, call_id DESC LIMIT ")
        .push_bind(i64::from(filter.limit));
    select
}

/// One call.
///
/// # Errors
/// Those of the database.
pub async fn get(readers: &SqlitePool, call_id: &str) -> Result<Option<Listed>, sqlx::Error> {
    let sql = format!("SELECT state, {COLUMNS} FROM call_record WHERE call_id = $1");
    query(AssertSqlSafe(sql))
        .bind(call_id)
        .fetch_optional(readers)
        .await
        .map(|row| row.as_ref().map(listed))
}

fn listed(row: &SqliteRow) -> Listed {
    read(row).map_err(|source| Unreadable {
        call_id: row.try_get("call_id").unwrap_or_default(),
        source,
    })
}

/// Blanks what tells of a person in the records of calls on one binding, open
/// ones too. Says how many there were. A call that still lasts would fill its
/// row again: what it writes later has to be blanked by
/// [`CallRecord::erase`].
///
/// # Errors
/// Those of the database.
pub async fn erase(conn: &mut SqliteConnection, subs_id: SubsId) -> Result<u64, sqlx::Error> {
    let done = query(
        "UPDATE call_record SET caller = NULL, callee = NULL, a = NULL, b = NULL, \
         out_id = NULL, out_order_id = NULL, ladder = NULL WHERE subs_id = $1",
    )
    .bind(subs_id.0 as i64)
    .execute(conn)
    .await?;
    Ok(done.rows_affected())
}

/// Blanks `number` wherever it is a party of a call. Says in how many records.
/// Of a call that still lasts the same is true as for [`erase`].
///
/// # Errors
/// Those of the database.
pub async fn erase_number(
    conn: &mut SqliteConnection,
    number: PhoneNumber,
) -> Result<u64, sqlx::Error> {
    let done = query(
        "UPDATE call_record SET caller = NULLIF(caller, $1), callee = NULLIF(callee, $1), \
         a = NULLIF(a, $1), b = NULLIF(b, $1), ladder = NULL \
         WHERE caller = $1 OR callee = $1 OR a = $1 OR b = $1",
    )
    .bind(number.reveal())
    .execute(conn)
    .await?;
    Ok(done.rows_affected())
}

type Query<'q> = sqlx::query::Query<'q, Sqlite, SqliteArguments>;

/// As many values as [`COLUMNS_COUNT`] says.
fn bind<'q>(query: Query<'q>, call: &'q CallRecord) -> Query<'q> {
    let digits = |number: Option<PhoneNumber>| number.map(PhoneNumber::reveal);
    let moment = |at: Option<Timestamp>| at.map(|at| at.0);
    query
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
        .bind(&call.ladder)
}

/// A whole number of few digits.
fn small<T: TryFrom<i64>>(number: Option<i64>, column: &str) -> Result<Option<T>, sqlx::Error>
where
    T::Error: std::error::Error + Send + Sync + 'static,
{
    let number = number.map(T::try_from).transpose();
    number.map_err(|error| in_column(column, error))
}

/// What is wrong with a column. None of the errors given here shows its content.
fn in_column(column: &str, error: impl std::error::Error + Send + Sync + 'static) -> sqlx::Error {
    sqlx::Error::ColumnDecode {
        index: column.to_owned(),
        source: Box::new(error),
    }
}

fn read(row: &SqliteRow) -> Result<(CallRecord, bool), sqlx::Error> {
    let text = |column: &str| row.try_get::<Option<String>, _>(column);
    let number = |column: &str| -> Result<Option<PhoneNumber>, sqlx::Error> {
        let digits: Option<&str> = row.try_get(column)?;
        let number = digits.filter(|digits| !digits.is_empty());
        let number = number.map(PhoneNumber::parse).transpose();
        number.map_err(|error| in_column(column, error))
    };
    let integer = |column: &str| row.try_get::<Option<i64>, _>(column);
    let moment = |column: &str| Ok::<_, sqlx::Error>(integer(column)?.map(Timestamp));
    let call = CallRecord {
        call_id: row.try_get("call_id")?,
        node: row.try_get("node")?,
        boot: row.try_get("boot")?,
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
        arrived_at: Timestamp(row.try_get("arrived_at")?),
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
    let state: &str = row.try_get("state")?;
    Ok((call, state == "open"))
}

#[cfg(test)]
mod plans;
