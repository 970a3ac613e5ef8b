//! The tables, as migrations of one text for every engine.

use sqlx::SqlSafeStr;
use sqlx::migrate::{Migration, MigrationType, Migrator};

/// The database engines the SQL is written for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Engine {
    /// One machine: a file.
    Sqlite,
    /// Many nodes: PostgreSQL and what speaks its protocol.
    Postgres,
}

/// Version, name and text of every migration, in order. A released one never
/// changes: its checksum is kept in the database.
const MIGRATIONS: [(i64, &str, &str); 5] = [
    (1, "journal", include_str!("../migrations/0001_journal.sql")),
    (2, "records", include_str!("../migrations/0002_records.sql")),
    (
        3,
        "open calls",
        include_str!("../migrations/0003_open_calls.sql"),
    ),
    (4, "owners", include_str!("../migrations/0004_owners.sql")),
    (
        5,
        "call filters",
        include_str!("../migrations/0005_call_filters.sql"),
    ),
];

/// All migrations in the dialect of `engine`.
pub fn migrator(engine: Engine) -> Migrator {
    let migrations = MIGRATIONS
        .iter()
        .map(|&(version, name, text)| {
            let text = sqlx::AssertSqlSafe(dialect(engine, text)).into_sql_str();
            Migration::new(version, name.into(), MigrationType::Simple, text, false)
        })
        .collect();
    Migrator::with_migrations(migrations)
}

/// The one place where the engines' words for a type differ.
fn dialect(engine: Engine, text: &str) -> String {
    match engine {
        Engine::Sqlite => text.to_owned(),
        Engine::Postgres => text.replace("BLOB", "BYTEA"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_migration_uses_a_word_of_one_engine_alone() {
        for (version, _, text) in MIGRATIONS {
            let sql: String = text
                .lines()
                .filter(|line| !line.starts_with("--"))
                .map(|line| format!("{} ", line.to_uppercase()))
                .collect();
            for word in [
                "AUTOINCREMENT",
                "ROWID",
                "SERIAL",
                "JSONB",
                "DATETIME",
                "INTEGER",
            ] {
                assert!(!sql.contains(word), "migration {version} says {word}");
            }
            let postgres = dialect(Engine::Postgres, &sql);
            assert!(!postgres.contains("BLOB"));
        }
    }
}
