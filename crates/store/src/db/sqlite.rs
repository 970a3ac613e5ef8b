//! The engine of one machine: SQLite, and what it alone can do. No other file names the library that speaks to it.

mod tables;

use std::borrow::Cow;
use std::fmt;
use std::path::Path;
use std::time::Duration;

use sqlx::migrate::{Migration, MigrationType, Migrator};
use sqlx::pool::{PoolConnection, PoolOptions};
use sqlx::sqlite::{
    SqliteArguments, SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqlitePool,
    SqliteRow, SqliteSynchronous,
};
use sqlx::{
    Arguments, AssertSqlSafe, ConnectOptions as _, Connection as _, Decode, Row as _,
    SqlSafeStr as _, Sqlite, TypeInfo as _, ValueRef as _, query_with,
};

use self::tables::{bring_up_to_date, check_tables};
pub use self::tables::{has_table, tables_are_of_today};
use super::error::{Error, ErrorKind};
use super::statement::{Statement, sql};
use super::value::Value;
use super::{Connection, Readers};
use crate::schema::MIGRATIONS;

/// Older versions can corrupt a WAL file that two connections use (the
/// WAL-reset bug, release notes of SQLite 3.51.3).
const VERSION_MIN: [u32; 3] = [3, 51, 3];

/// Version, name and text.
type TextOfMigration = (i64, &'static str, &'static str);

/// Takes the right to write at once, rather than with the first statement that does.
pub(super) const BEGIN: &str = "BEGIN IMMEDIATE";

/// Why a database file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// The linked SQLite is too old to be safe.
    #[error("SQLite {0} can corrupt a database in WAL mode; 3.51.3 or newer is needed")]
    Version(String),
    /// A setting did not hold.
    #[error("the database refuses to set {0}")]
    Setting(&'static str),
    /// The tables are of a newer program.
    #[error("the tables are those of a newer Maskline (version {0}; this one knows {known}); a newer Maskline is needed", known = MIGRATIONS.len())]
    Newer(i64),
    /// The tables are not those that this program knows.
    #[error("cannot bring the tables up to date: {0}")]
    Migrate(String),
    /// The database said no.
    #[error("cannot open the database: {0}")]
    Database(#[from] Error),
}

/// Opens the write connection to a file, of which there must be one, and brings the tables up to date.
///
/// # Errors
/// [`FileError`]; among others for a SQLite that is too old.
pub(crate) async fn writer(file: &Path) -> Result<Connection, FileError> {
    writer_with(file, &MIGRATIONS).await
}

async fn writer_with(file: &Path, migrations: &[TextOfMigration]) -> Result<Connection, FileError> {
    let conn = options(file)
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        // Checkpoints are made between appends, never inside one.
        .pragma("wal_autocheckpoint", "0")
        .pragma("journal_size_limit", "67108864")
        // What is erased or pruned is overwritten with zeros.
        .pragma("secure_delete", "ON")
        .pragma("cache_size", "-32768")
        // For what makes the tables anew: an index of a large table is sorted in files, and not all of it in memory.
        .pragma("temp_store", "FILE")
        .connect()
        .await
        .map_err(told)?;
    let mut conn = Connection::new(Link::Own(conn));
    check_version(&mut conn).await?;
    check_settings(&mut conn).await?;
    bring_up_to_date(&mut conn, migrations).await?;
    // What a statement over many rows needs to be undone; else it is a file each time.
    conn.execute(sql("PRAGMA temp_store = MEMORY")).await?;
    Ok(conn)
}

/// Opens connections to a file that can only read, at most `connections_max` of them.
///
/// # Errors
/// [`FileError`]; among others for a SQLite that is too old.
pub(crate) async fn readers(file: &Path, connections_max: u32) -> Result<Readers, FileError> {
    let pool = PoolOptions::new()
        .max_connections(connections_max)
        .test_before_acquire(false)
        .acquire_timeout(Duration::from_secs(10))
        .connect_with(options(file).pragma("query_only", "ON"))
        .await
        .map_err(told)?;
    let readers = Readers(Pool(pool));
    let mut conn = readers.acquire().await?;
    check_version(&mut conn).await?;
    check_tables(&mut conn).await?;
    drop(conn);
    Ok(readers)
}

/// Opens a connection to a file that nobody else uses and that is not to be changed, not even by making files beside it.
///
/// # Errors
/// [`FileError`].
pub(crate) async fn copy(file: &Path) -> Result<Connection, FileError> {
    let options = options(file).read_only(true).immutable(true);
    let conn = options.connect().await.map_err(told)?;
    Ok(Connection::new(Link::Own(conn)))
}

/// Copies what the write-ahead log holds into the database file, as far as
/// readers allow, without stopping anyone. Says how many pages the log had and
/// how many of them are copied.
///
/// # Errors
/// Those of the database.
pub async fn checkpoint(conn: &mut Connection) -> Result<(i64, i64), Error> {
    let done = conn
        .fetch_one(sql("PRAGMA wal_checkpoint(PASSIVE)"))
        .await?;
    Ok((done.get("log")?, done.get("checkpointed")?))
}

/// Copies the whole write-ahead log and empties its file, so that nothing of
/// what was erased stays in it. Gives `false` when readers were in the way; it
/// does not wait for them long, since appends wait meanwhile.
///
/// # Errors
/// Those of the database.
pub async fn truncate_log(conn: &mut Connection) -> Result<bool, Error> {
    conn.execute(sql("PRAGMA busy_timeout = 100")).await?;
    let done = conn.fetch_one(sql("PRAGMA wal_checkpoint(TRUNCATE)")).await;
    conn.execute(sql("PRAGMA busy_timeout = 5000")).await?;
    Ok(done?.get::<i64>("busy")? == 0)
}

/// Copies the whole database, as it is at one moment, into a new file. A connection that could only read can write from
/// then on.
///
/// # Errors
/// Those of the database.
pub(crate) async fn vacuum_into(conn: &mut Connection, file: &str) -> Result<(), Error> {
    conn.execute(sql("PRAGMA query_only = OFF")).await?;
    conn.execute(sql("VACUUM INTO ?").bind(file)).await?;
    Ok(())
}

/// What is wrong with the structure of the file, the contents of indexes left out.
///
/// # Errors
/// Those of the database.
pub(crate) async fn quick_check(conn: &mut Connection) -> Result<Vec<String>, Error> {
    problems(conn, sql("PRAGMA quick_check"), "quick_check").await
}

/// What is wrong with the structure of the file and with its indexes: at most 20 findings.
///
/// # Errors
/// Those of the database.
pub(crate) async fn integrity_check(conn: &mut Connection) -> Result<Vec<String>, Error> {
    problems(conn, sql("PRAGMA integrity_check(20)"), "integrity_check").await
}

/// How the rows of a query would be found, a step a line.
#[cfg(test)]
pub(crate) async fn plan(
    conn: &mut Connection,
    query: Statement<'_>,
) -> Result<Vec<String>, Error> {
    let rows = conn.fetch_all(query.behind("EXPLAIN QUERY PLAN ")).await?;
    rows.iter().map(|row| row.get("detail")).collect()
}

async fn problems(
    conn: &mut Connection,
    check: Statement<'_>,
    column: &str,
) -> Result<Vec<String>, Error> {
    let rows = conn.fetch_all(check).await?;
    let mut found = Vec::new();
    for row in rows {
        let told: String = row.get(column)?;
        if told != "ok" {
            found.push(told);
        }
    }
    Ok(found)
}

/// A connection of SQLite.
#[derive(Debug)]
pub(super) enum Link {
    /// One of its own.
    Own(SqliteConnection),
    /// One that goes back to its pool.
    Pooled(PoolConnection<Sqlite>),
}

impl Link {
    pub async fn execute(&mut self, statement: Statement<'_>) -> Result<u64, Error> {
        let (text, arguments) = prepared(statement)?;
        let done = query_with(text, arguments).execute(self.raw()).await;
        done.map(|done| done.rows_affected()).map_err(told)
    }

    pub async fn fetch_all(&mut self, query: Statement<'_>) -> Result<Vec<Columns>, Error> {
        let (text, arguments) = prepared(query)?;
        let rows = query_with(text, arguments).fetch_all(self.raw()).await;
        let rows = rows.map_err(told)?;
        Ok(rows.into_iter().map(Columns).collect())
    }

    pub async fn fetch_optional(&mut self, query: Statement<'_>) -> Result<Option<Columns>, Error> {
        let (text, arguments) = prepared(query)?;
        let row = query_with(text, arguments).fetch_optional(self.raw()).await;
        row.map(|row| row.map(Columns)).map_err(told)
    }

    pub async fn close(self) -> Result<(), Error> {
        match self {
            Link::Own(conn) => conn.close().await.map_err(told),
            Link::Pooled(conn) => conn.close().await.map_err(told),
        }
    }

    /// Whether it is one of those that only read.
    pub fn is_readers(&self) -> bool {
        matches!(self, Link::Pooled(_))
    }

    /// It does not go back to its pool.
    pub fn keep_from_others(&mut self) {
        match self {
            // Its owner knows.
            Link::Own(_) => {}
            Link::Pooled(conn) => conn.close_on_drop(),
        }
    }

    fn raw(&mut self) -> &mut SqliteConnection {
        match self {
            Link::Own(conn) => conn,
            Link::Pooled(conn) => conn,
        }
    }
}

/// Connections of SQLite that can only read.
#[derive(Debug, Clone)]
pub(super) struct Pool(SqlitePool);

impl Pool {
    pub async fn acquire(&self) -> Result<Link, Error> {
        self.0.acquire().await.map(Link::Pooled).map_err(told)
    }

    pub async fn close(&self) {
        self.0.close().await;
    }
}

/// The columns of one row.
pub(super) struct Columns(SqliteRow);

/// Shows nothing of what they hold.
impl fmt::Debug for Columns {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Columns").finish_non_exhaustive()
    }
}

impl Columns {
    /// What a column holds. A text that is no UTF-8 is a blob.
    pub fn value(&self, column: &str) -> Result<Value<'_>, Error> {
        let raw = self.0.try_get_raw(column).map_err(told)?;
        if raw.is_null() {
            return Ok(Value::Null);
        }
        let kind = raw.type_info().into_owned();
        let bytes = <&[u8] as Decode<Sqlite>>::decode;
        let value = match kind.name() {
            "INTEGER" => <i64 as Decode<Sqlite>>::decode(raw).map(Value::Integer),
            "TEXT" => bytes(raw).map(|bytes| match str::from_utf8(bytes) {
                Ok(text) => Value::Text(text.into()),
                Err(_) => Value::Blob(bytes.into()),
            }),
            "BLOB" => bytes(raw).map(|bytes| Value::Blob(bytes.into())),
            _ => return Err(Error::in_column(column, &"a value of no kind that is kept")),
        };
        value.map_err(|error| Error::in_column(column, &error))
    }
}

fn prepared(
    statement: Statement<'_>,
) -> Result<(AssertSqlSafe<Cow<'static, str>>, SqliteArguments), Error> {
    let (text, values) = statement.into_parts();
    let mut arguments = SqliteArguments::default();
    Arguments::reserve(&mut arguments, values.len(), 0);
    for value in values {
        let added = match value {
            Value::Null => Arguments::add(&mut arguments, None::<i64>),
            Value::Integer(number) => Arguments::add(&mut arguments, number),
            Value::Text(text) => Arguments::add(&mut arguments, text),
            Value::Blob(bytes) => Arguments::add(&mut arguments, bytes),
        };
        added.map_err(|error| told(sqlx::Error::Encode(error)))?;
    }
    // A statement is made of pieces that stand in the program.
    Ok((AssertSqlSafe(text), arguments))
}

/// What an error of the library means. Its text is about the statement, not about values.
fn told(error: sqlx::Error) -> Error {
    let kind = match &error {
        sqlx::Error::Database(refusal) => {
            let code = refusal.code().and_then(|code| code.parse().ok());
            code.map_or(ErrorKind::Unknown, kind_of)
        }
        sqlx::Error::RowNotFound
        | sqlx::Error::ColumnNotFound(_)
        | sqlx::Error::ColumnIndexOutOfBounds { .. }
        | sqlx::Error::ColumnDecode { .. }
        | sqlx::Error::Decode(_)
        | sqlx::Error::Encode(_) => ErrorKind::Unreadable,
        sqlx::Error::PoolTimedOut | sqlx::Error::PoolClosed => ErrorKind::Unavailable,
        _ => ErrorKind::Unknown,
    };
    Error::new(kind, error.to_string()).because(error)
}

/// What an extended result code of SQLite means (<https://www.sqlite.org/rescode.html>).
pub(crate) fn kind_of(code: i32) -> ErrorKind {
    // Extended codes that tell that somebody else has written this row.
    const PRIMARY_KEY: i32 = 1555;
    const UNIQUE: i32 = 2067;
    const ROWID: i32 = 2579;
    // Primary codes after which the statement is certainly rolled back and the file sound.
    const BUSY: i32 = 5; // the write lock was never had
    const LOCKED: i32 = 6; // likewise, within the process
    const FULL: i32 = 13; // a page could not be written; the commit frame is last
    const TOO_BIG: i32 = 18; // refused before any page was touched
    const CONSTRAINT: i32 = 19;
    match (code, code & 0xff) {
        (PRIMARY_KEY | UNIQUE | ROWID, _) => ErrorKind::Duplicate,
        (_, CONSTRAINT) => ErrorKind::Constraint,
        (_, BUSY | LOCKED | FULL | TOO_BIG) => ErrorKind::Refused,
        _ => ErrorKind::Unknown,
    }
}

fn options(file: &Path) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(file)
        .busy_timeout(Duration::from_secs(5))
        .statement_cache_capacity(128)
        .disable_statement_logging()
}

/// With some of the migrations: all but in tests.
fn migrator(migrations: &[TextOfMigration]) -> Migrator {
    let migrations = migrations.iter().map(|&(version, name, text)| {
        let text = text.into_sql_str();
        Migration::new(version, name.into(), MigrationType::Simple, text, false)
    });
    Migrator::with_migrations(migrations.collect())
}

async fn check_version(conn: &mut Connection) -> Result<(), FileError> {
    let row = conn
        .fetch_one(sql("SELECT sqlite_version() AS version"))
        .await?;
    let version: String = row.get("version")?;
    if is_safe(&version) {
        Ok(())
    } else {
        Err(FileError::Version(version))
    }
}

fn is_safe(version: &str) -> bool {
    let parts: Option<Vec<u32>> = version.split('.').map(|part| part.parse().ok()).collect();
    parts.is_some_and(|parts| parts.as_slice() >= VERSION_MIN.as_slice())
}

async fn check_settings(conn: &mut Connection) -> Result<(), FileError> {
    let mode = conn.fetch_one(sql("PRAGMA journal_mode")).await?;
    if mode.get::<String>("journal_mode")? != "wal" {
        return Err(FileError::Setting("journal_mode=WAL"));
    }
    let synchronous = conn.fetch_one(sql("PRAGMA synchronous")).await?;
    if synchronous.get::<i64>("synchronous")? < 2 {
        return Err(FileError::Setting("synchronous=FULL"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::tables::refused;
    use super::*;
    use crate::records::party_key::{party_key, party_keys};
    use maskline_domain::PhoneNumber;

    #[test]
    fn versions_with_the_wal_reset_bug_are_refused() {
        for (version, safe) in [
            ("3.51.3", true),
            ("3.51.10", true),
            ("3.53.0", true),
            ("4.0.0", true),
            ("3.51.2", false),
            ("3.7.0", false),
            ("3.40.1", false),
            ("unheard of", false),
            ("", false),
        ] {
            assert_eq!(is_safe(version), safe, "{version}");
        }
    }

    /// A file with the tables of the first `count` migrations.
    async fn aged(file: &Path, count: usize) -> Connection {
        let options = options(file).create_if_missing(true);
        let conn = options.connect().await.expect("a new file opens");
        let mut conn = Connection::new(Link::Own(conn));
        let older = migrator(&MIGRATIONS[..count]);
        let done = older.run_direct(None, conn.link.raw(), false).await;
        done.expect("the older tables");
        conn
    }

    #[tokio::test]
    async fn tables_of_before_lose_their_partition_and_keep_every_row() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let file = dir.path().join("aged.db");
        let mut conn = aged(&file, 5).await;
        for seq in 1..=40_i64 {
            let batch = sql(
                "INSERT INTO journal (partition, seq, at, prev_hash, hash, payload, personal) \
                 VALUES (0, ?, ?, ?, ?, ?, ?)",
            );
            let batch = batch.bind(seq).bind(seq * 1000);
            let bytes = |first: u8| vec![first, seq as u8];
            let batch = (0..4).fold(batch, |batch, first| batch.bind(bytes(first)));
            conn.execute(batch).await.expect("SQL");
            let part =
                sql("INSERT INTO snapshot (partition, seq, part, payload) VALUES (0, 7, ?, ?)");
            let part = part.bind(seq - 1).bind(bytes(9));
            conn.execute(part).await.expect("SQL");
        }
        conn.close().await.expect("closed");

        let mut conn = writer(&file).await.expect("brought up to date");
        let rows = conn
            .fetch_all(sql("SELECT * FROM journal ORDER BY seq"))
            .await;
        let rows = rows.expect("SQL");
        for (row, seq) in rows.iter().zip(1_i64..) {
            let number = |column: &str| row.get::<i64>(column).expect("a number");
            assert_eq!((number("seq"), number("at")), (seq, seq * 1000));
            for (first, column) in (0_u8..).zip(["prev_hash", "hash", "payload", "personal"]) {
                let bytes: Vec<u8> = row.get(column).expect("bytes");
                assert_eq!(bytes, [first, seq as u8], "{column}");
            }
            assert!(row.get::<i64>("partition").is_err(), "it is gone");
        }
        let parts = conn
            .fetch_all(sql("SELECT * FROM snapshot ORDER BY part"))
            .await;
        let parts = parts.expect("SQL");
        for (part, n) in parts.iter().zip(0_i64..) {
            assert_eq!(part.get::<i64>("part"), Ok(n));
            assert_eq!(part.get::<i64>("seq"), Ok(7));
            let bytes: Vec<u8> = part.get("payload").expect("bytes");
            assert_eq!(bytes, [9, n as u8 + 1]);
            assert!(part.get::<i64>("partition").is_err(), "it is gone");
        }
        assert_eq!((rows.len(), parts.len()), (40, 40));
        let key = plan(
            &mut conn,
            sql("SELECT at FROM journal WHERE seq = ?").bind(7_i64),
        )
        .await;
        assert!(key.expect("SQL")[0].contains("INDEX"), "the key is kept");
    }

    #[tokio::test]
    async fn what_makes_the_tables_anew_needs_files_and_not_memory() {
        const TOLD: TextOfMigration = (
            99,
            "told",
            "CREATE TABLE told AS SELECT temp_store FROM pragma_temp_store",
        );
        let dir = tempfile::tempdir().expect("a temporary directory");
        for known in [0, 5, MIGRATIONS.len()] {
            let file = dir.path().join(format!("{known}.db"));
            if known > 0 {
                drop(aged(&file, known).await);
            }
            let migrations = [&MIGRATIONS[..], &[TOLD]].concat();
            let conn = writer_with(&file, &migrations).await;
            let mut conn = conn.expect("brought up to date");
            let mut store = async |select| {
                let row = conn.fetch_one(sql(select)).await.expect("SQL");
                row.get::<i64>("temp_store")
            };
            let (files, memory) = (Ok(1), Ok(2));
            assert_eq!(store("SELECT temp_store FROM told").await, files, "{known}");
            assert_eq!(store("PRAGMA temp_store").await, memory, "{known}");
        }
    }

    /// What migration 6 fills in is what this program writes.
    #[tokio::test]
    async fn rows_of_before_get_the_keys_that_new_ones_have() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let file = dir.path().join("aged.db");
        let mut conn = aged(&file, 5).await;
        let (a, b, n) = (
            Some("13900000001"),
            Some("13900000002"),
            Some("13900000003"),
        );
        let rows = [
            [n, a, a, None],
            [a, b, a, b],
            [b, a, a, b],
            [a, None, a, b],
            [None, a, a, None],
            [None, None, a, b],
            [None, None, None, None],
            [n, None, None, None],
            [a, a, a, a],
            [Some("010"), a, b, n],
            [n, a, Some("010"), a],
            [b, None, None, b],
        ];
        for (place, [caller, callee, a, b]) in (0_i64..).zip(rows) {
            let call = sql(
                "INSERT INTO call_record (call_id, node, boot, state, x, arrived_at, caller, callee, a, b) \
                 VALUES (?, 'n', 'b', 'closed', '1', 1, ?, ?, ?, ?)",
            );
            let call = call.bind(format!("{place:02}")).bind(caller).bind(callee);
            conn.execute(call.bind(a).bind(b)).await.expect("SQL");
            let binding = sql(
                "INSERT INTO binding_history (subs_id, x, bound_at, bound_by, seq, event, a, b) \
                 VALUES (?, '1', 1, 'b', 1, 0, ?, ?)",
            );
            let binding = binding.bind(place).bind(a).bind(b);
            conn.execute(binding).await.expect("SQL");
        }
        conn.close().await.expect("closed");

        let mut conn = writer(&file).await.expect("brought up to date");
        let calls = conn
            .fetch_all(sql("SELECT * FROM call_record ORDER BY call_id"))
            .await;
        let bindings = conn
            .fetch_all(sql("SELECT * FROM binding_history ORDER BY subs_id"))
            .await;
        let (calls, bindings) = (calls.expect("SQL"), bindings.expect("SQL"));
        assert_eq!((calls.len(), bindings.len()), (rows.len(), rows.len()));
        let number =
            |text: Option<&str>| text.map(|text| PhoneNumber::parse(text).expect("digits"));
        let key = |row: &crate::db::Row, column: &str| -> Option<Vec<u8>> {
            row.get(column).expect("a key or none")
        };
        for ((call, binding), numbers) in calls.iter().zip(&bindings).zip(rows) {
            let numbers = numbers.map(number);
            let columns = ["caller_key", "callee_key", "a_key", "b_key"];
            let keys = columns.map(|column| key(call, column));
            assert_eq!(keys, party_keys(numbers), "{numbers:?}");
            let keys = ["a_key", "b_key"].map(|column| key(binding, column));
            let [.., a, b] = numbers.map(|number| number.and_then(party_key));
            assert_eq!(keys, [a, b], "{numbers:?}");
        }
    }

    #[tokio::test]
    async fn an_older_program_refuses_newer_tables() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let file = dir.path().join("newer.db");
        let mut conn = aged(&file, MIGRATIONS.len()).await;
        let older = migrator(&MIGRATIONS[..MIGRATIONS.len() - 1]);
        let error = older.run_direct(None, conn.link.raw(), false).await;
        let told = refused(error.expect_err("it does not know the last one")).to_string();
        let (last, ..) = MIGRATIONS[MIGRATIONS.len() - 1];
        assert!(told.contains(&format!("(version {last};")), "{told}");
        assert!(told.contains("a newer Maskline is needed"), "{told}");

        // Who only reads is told the same.
        assert!(readers(&file, 1).await.is_ok());
        let plant = sql("UPDATE _sqlx_migrations SET version = 999 WHERE version = ?");
        conn.execute(plant.bind(last)).await.expect("SQL");
        conn.close().await.expect("closed");
        for told in [
            readers(&file, 1)
                .await
                .expect_err("it is newer")
                .to_string(),
            writer(&file).await.expect_err("it is newer").to_string(),
        ] {
            assert!(told.contains("(version 999;"), "{told}");
            assert!(told.contains("a newer Maskline is needed"), "{told}");
        }
    }

    #[test]
    fn what_is_no_answer_of_the_database_is_unknown() {
        for error in [
            sqlx::Error::WorkerCrashed,
            sqlx::Error::Protocol("odd".to_owned()),
        ] {
            let text = error.to_string();
            assert_eq!(told(error).kind(), ErrorKind::Unknown, "{text}");
        }
    }

    #[test]
    fn without_a_connection_nothing_is_written() {
        for error in [sqlx::Error::PoolTimedOut, sqlx::Error::PoolClosed] {
            let text = error.to_string();
            assert_eq!(told(error).kind(), ErrorKind::Unavailable, "{text}");
        }
    }

    #[test]
    fn an_error_keeps_its_cause() {
        let error = told(sqlx::Error::PoolClosed);
        let cause = std::error::Error::source(&error).expect("what the library said");
        assert!(cause.is::<sqlx::Error>(), "{cause:?}");
        assert_eq!(error, told(sqlx::Error::PoolClosed));
    }

    #[test]
    fn what_is_not_understood_of_an_answer_is_no_failed_write() {
        for error in [
            sqlx::Error::RowNotFound,
            sqlx::Error::ColumnNotFound("x".to_owned()),
            sqlx::Error::Decode("odd".into()),
            sqlx::Error::Encode("odd".into()),
        ] {
            let text = error.to_string();
            assert_eq!(told(error).kind(), ErrorKind::Unreadable, "{text}");
        }
    }
}
