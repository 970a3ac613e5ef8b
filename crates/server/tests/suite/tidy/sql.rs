//! The seam to the database: one file speaks to the library behind it, and every other statement is of the SQL that all
//! engines share.

use super::{code, sources, workspace};
use std::fs;

/// The engine's file, which alone names the library and may say what SQLite alone understands.
const ENGINE: &str = "store/src/db/sqlite.rs";
/// What is below it.
const ENGINE_FOLDER: &str = "store/src/db/sqlite/";

/// Tests that play another program that writes into our file; and these.
const OUTSIDERS: [&str; 4] = [
    "server/tests/suite/api/store.rs",
    "server/tests/suite/ledger/faults.rs",
    "server/tests/suite/operation/admin/meanwhile.rs",
    "server/tests/suite/tidy/",
];

/// What SQLite understands and PostgreSQL does not, or otherwise.
const SQLITE_ALONE: [&str; 19] = [
    " GLOB ",
    "AUTOINCREMENT",
    "BEGIN IMMEDIATE",
    "EXPLAIN QUERY PLAN",
    "IFNULL(",
    "INSERT OR ",
    "PRAGMA",
    "REPLACE INTO",
    "VACUUM",
    "WITHOUT ROWID",
    "group_concat(",
    "instr(",
    "json_extract(",
    "julianday(",
    "rowid",
    "sqlite_version(",
    "strftime(",
    "unixepoch(",
    "zeroblob(",
];

/// What is wrong with a line, by where it stands below the folder of all crates.
fn wrong(path: &str, line: &str) -> Option<&'static str> {
    let is_engine = path == ENGINE || path.starts_with(ENGINE_FOLDER);
    if is_engine || OUTSIDERS.iter().any(|outsider| path.starts_with(outsider)) {
        return None;
    }
    let is_source = path.contains("/src/");
    let is_store = path.starts_with("store/");
    let has_number = |line: &str| {
        line.split('$')
            .skip(1)
            .any(|rest| rest.starts_with(|first: char| first.is_ascii_digit()))
    };
    // The engine's module is named where its checkpoints and errors are.
    let speaks = |line: &str| line.replace("db::sqlite", "").contains("db::sql");
    if line.contains("sqlx") {
        Some("names the library of an engine")
    } else if is_source && !is_store && (line.contains("sql(\"") || speaks(line)) {
        Some("speaks SQL outside the store")
    } else if is_source && is_store && SQLITE_ALONE.iter().any(|word| line.contains(word)) {
        Some("is understood by SQLite alone")
    } else if is_source && is_store && line.contains("FROM (\"") {
        Some("makes a table of values past the seam")
    } else if is_source
        && is_store
        && !path.starts_with("store/src/db/")
        && path != "store/src/failure.rs"
        && ["ErrorKind::Constraint", "ErrorKind::Duplicate"]
            .iter()
            .any(|kind| line.contains(kind))
    {
        Some("goes on where PostgreSQL has given up the transaction")
    } else if is_source && is_store && has_number(line) {
        Some("numbers a placeholder")
    } else {
        None
    }
}

#[test]
fn every_statement_goes_through_the_seam() {
    let crates = workspace().join("crates");
    let mut seen = 0;
    for (path, text) in sources(&crates) {
        let below = path.strip_prefix(&crates).expect("it lies there");
        let below = below.to_string_lossy();
        seen += usize::from(below == ENGINE);
        for (n, line) in code(&text) {
            let found = wrong(&below, line);
            assert_eq!(found, None, "{below} line {n}: {line}");
        }
    }
    assert_eq!(seen, 1, "the engine is where it is looked for");
    for outsider in OUTSIDERS {
        assert!(crates.join(outsider).exists(), "{outsider}");
    }
}

/// What a migration may not say, in capitals: words of one engine alone, and types that mean another thing to each.
const NOT_IN_TABLES: [&str; 6] = [
    "AUTOINCREMENT",
    "DATETIME",
    "INTEGER",
    "JSONB",
    "ROWID",
    "SERIAL",
];

#[test]
fn no_migration_uses_a_word_of_one_engine_alone() {
    let folder = workspace().join("crates/store/migrations");
    let entries = fs::read_dir(&folder).expect("the migrations");
    let mut seen = 0;
    for entry in entries {
        let path = entry.expect("an entry").path();
        let text = fs::read_to_string(&path).expect("text");
        let lines = text.lines().filter(|line| !line.starts_with("--"));
        let statements = lines.collect::<Vec<_>>().join(" ").to_uppercase();
        let found = NOT_IN_TABLES
            .iter()
            .find(|word| statements.contains(**word));
        assert_eq!(found, None, "{}", path.display());
        seen += 1;
    }
    assert!(seen >= 5, "{seen} migrations");
}

#[test]
fn what_goes_past_the_seam_is_found() {
    let named = Some("names the library of an engine");
    let abroad = Some("speaks SQL outside the store");
    let alone = Some("is understood by SQLite alone");
    let numbered = Some("numbers a placeholder");
    let table = Some("makes a table of values past the seam");
    let goes_on = Some("goes on where PostgreSQL has given up the transaction");
    let (journal, ledger) = ("store/src/journal.rs", "server/src/ledger.rs");
    #[rustfmt::skip]
    let rows = [
        (journal, "use sqlx::sqlite::SqliteConnection;", named),
        (journal, "    Database(#[from] sqlx::Error),", named),
        ("store/src/db.rs", "pub struct Row(sqlx::sqlite::SqliteRow);", named),
        ("store/src/db/statement.rs", "use sqlx::PgConnection;", named),
        (ledger, "readers: sqlx::SqlitePool,", named),
        ("server/benches/writer/main.rs", "sqlx::query(text);", named),
        ("server/tests/suite/ledger/owners.rs", "sqlx::query(text);", named),
        ("store/tests/suite/journal.rs", "use sqlx::query;", named),
        (ledger, "conn.execute(sql(\"DELETE FROM journal\")).await?;", abroad),
        ("server/src/admin/routes/calls.rs", "use maskline_store::db::sql;", abroad),
        (journal, "conn.execute(sql(\"PRAGMA synchronous = OFF\")).await?;", alone),
        ("store/src/records/call.rs", "sql(\"INSERT OR IGNORE INTO call_record\")", alone),
        ("store/src/records/history.rs", "\"SELECT IFNULL(pool, '') FROM binding_history\"", alone),
        ("store/src/backup.rs", "conn.execute(sql(\"VACUUM\")).await?;", alone),
        ("store/src/maintenance.rs", "conn.execute(sql(\"BEGIN IMMEDIATE\")).await?;", alone),
        ("store/src/meta.rs", "sql(\"SELECT value FROM meta WHERE name = $1\")", numbered),
        ("store/src/records/audit.rs", "\"ORDER BY seq DESC LIMIT $12\"", numbered),
        ("store/src/records/history.rs", "         a_key = new.column10, b_key = new.column11 FROM (\",", table),
        ("store/src/record_writes.rs", "Err(error) if error.kind() == ErrorKind::Duplicate => is_alone = true,", goes_on),
        // What is right.
        ("server/src/serve.rs", "use maskline_store::db::sqlite;", None),
        ("store/src/records/history.rs", "         end_cause = new.column6 FROM \",", None),
        ("store/src/records/call.rs", ".push(\" FROM (SELECT * FROM call_record LIMIT ?) AS open_call\")", None),
        ("store/src/failure.rs", "        ErrorKind::Duplicate => {", None),
        (ENGINE, "use sqlx::sqlite::SqliteConnection;", None),
        (ENGINE, "conn.fetch_one(sql(\"PRAGMA journal_mode\")).await?;", None),
        ("server/tests/suite/ledger/faults.rs", "sqlx::SqlitePool::connect(&url)", None),
        ("store/tests/suite/directory.rs", "setting(\"PRAGMA synchronous\").await;", None),
        ("server/tests/suite/ledger/owners.rs", "conn.execute(sql(text)).await", None),
        (journal, "sql(\"SELECT at FROM journal WHERE seq = ?\").bind(seq)", None),
        (journal, "macro_rules! row { ($a:expr) => {} }", None),
    ];
    for (path, line, expected) in rows {
        assert_eq!(wrong(path, line), expected, "{path}: {line}");
    }
}
