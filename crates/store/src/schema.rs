//! The tables, as migrations of one text for every engine.
//!
//! The engines' words for one type differ: what SQLite calls BLOB is BYTEA to PostgreSQL. They are written in SQLite's,
//! and nothing is translated yet; another engine has to translate that word, in casts too, and no other.

/// Version, name and text of every migration, in order. A released one never
/// changes: its checksum is kept in the database.
pub(crate) const MIGRATIONS: [(i64, &str, &str); 11] = [
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
    (
        6,
        "party keys",
        include_str!("../migrations/0006_party_keys.sql"),
    ),
    (
        7,
        "one journal",
        include_str!("../migrations/0007_one_journal.sql"),
    ),
    (8, "owed", include_str!("../migrations/0008_owed.sql")),
    (
        9,
        "history form",
        include_str!("../migrations/0009_history_form.sql"),
    ),
    (
        10,
        "data key",
        include_str!("../migrations/0010_data_key.sql"),
    ),
    (
        11,
        "retention",
        include_str!("../migrations/0011_retention.sql"),
    ),
];
