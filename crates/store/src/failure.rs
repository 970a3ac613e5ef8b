//! Which errors of SQLite mean that a write is *not written*, and which leave that *unknown*.

use maskline_journal::Append;
use sqlx::error::DatabaseError;
use sqlx::query;
use sqlx::sqlite::SqliteConnection;

/// How a slice of work ended.
#[derive(Debug)]
pub enum Done<T> {
    /// It is durable (or certainly is not, if `T` says so).
    Known(T),
    /// Nobody can tell; the process must exit.
    Unknown(String),
}

/// Primary result codes of SQLite (<https://www.sqlite.org/rescode.html>)
/// after which the statement is certainly rolled back and the file sound.
const NOT_WRITTEN: [i32; 5] = [
    5,  // SQLITE_BUSY: the write lock was never had
    6,  // SQLITE_LOCKED: likewise, within the process
    13, // SQLITE_FULL: a page could not be written; the commit frame is last
    18, // SQLITE_TOOBIG: refused before any page was touched
    19, // SQLITE_CONSTRAINT
];

/// Extended codes that look harmless by their primary one, but tell that
/// somebody else has written this row: `SQLITE_CONSTRAINT_PRIMARYKEY`,
/// `SQLITE_CONSTRAINT_UNIQUE`, `SQLITE_CONSTRAINT_ROWID`.
const FENCED: [i32; 3] = [1555, 2067, 2579];

/// Sorts an error of an append into *not written* and *unknown*.
pub fn append(error: &sqlx::Error) -> Append {
    let code = error.as_database_error().and_then(sqlite_code);
    if code.is_some_and(|code| FENCED.contains(&code)) {
        Append::Unknown(format!("another writer owns the journal: {error}"))
    } else {
        write(error)
    }
}

/// Sorts an error of any other write on the connection that appends. An
/// unknown outcome is as bad there: what one failed fsync leaves behind
/// concerns every later write to the file.
pub fn write(error: &sqlx::Error) -> Append {
    let definite = match error {
        sqlx::Error::Database(error) => {
            sqlite_code(error.as_ref()).is_some_and(|code| NOT_WRITTEN.contains(&(code & 0xff)))
        }
        // The database did as it was told; what it gave was not understood.
        sqlx::Error::RowNotFound
        | sqlx::Error::ColumnNotFound(_)
        | sqlx::Error::ColumnIndexOutOfBounds { .. }
        | sqlx::Error::ColumnDecode { .. }
        | sqlx::Error::Decode(_)
        | sqlx::Error::Encode(_) => true,
        _ => false,
    };
    if definite {
        Append::NotWritten(error.to_string())
    } else {
        Append::Unknown(error.to_string())
    }
}

/// Leaves no transaction open, and tells what the error means.
pub(crate) async fn give_up(conn: &mut SqliteConnection, error: &sqlx::Error) -> Append {
    // After some errors SQLite has rolled back by itself; then this fails, and
    // that is well.
    let _ = query("ROLLBACK").execute(conn).await;
    write(error)
}

/// Whether a statement was refused by a constraint, which leaves the rest of
/// its transaction as it was.
pub fn is_constraint(error: &sqlx::Error) -> bool {
    const CONSTRAINT: i32 = 19;
    error
        .as_database_error()
        .and_then(sqlite_code)
        .is_some_and(|code| code & 0xff == CONSTRAINT)
}

/// The extended result code of SQLite.
fn sqlite_code(error: &dyn DatabaseError) -> Option<i32> {
    error.code()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::borrow::Cow;
    use std::error::Error as StdError;
    use std::fmt;

    #[derive(Debug)]
    struct Coded(i32);

    impl fmt::Display for Coded {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            write!(f, "code {}", self.0)
        }
    }

    impl StdError for Coded {}

    impl DatabaseError for Coded {
        fn message(&self) -> &str {
            "made up"
        }
        fn code(&self) -> Option<Cow<'_, str>> {
            Some(self.0.to_string().into())
        }
        fn as_error(&self) -> &(dyn StdError + Send + Sync + 'static) {
            self
        }
        fn as_error_mut(&mut self) -> &mut (dyn StdError + Send + Sync + 'static) {
            self
        }
        fn into_error(self: Box<Self>) -> Box<dyn StdError + Send + Sync + 'static> {
            self
        }
        fn kind(&self) -> sqlx::error::ErrorKind {
            sqlx::error::ErrorKind::Other
        }
    }

    fn class(code: i32) -> &'static str {
        match append(&sqlx::Error::Database(Box::new(Coded(code)))) {
            Append::Written => "written",
            Append::NotWritten(_) => "not written",
            Append::Unknown(_) => "unknown",
        }
    }

    #[test]
    fn every_code_has_its_class() {
        for (code, name, expected) in [
            (5, "BUSY", "not written"),
            (261, "BUSY_RECOVERY", "not written"),
            (517, "BUSY_SNAPSHOT", "not written"),
            (6, "LOCKED", "not written"),
            (13, "FULL", "not written"),
            (18, "TOOBIG", "not written"),
            (19, "CONSTRAINT", "not written"),
            (1299, "CONSTRAINT_NOTNULL", "not written"),
            (1555, "CONSTRAINT_PRIMARYKEY", "unknown"),
            (2067, "CONSTRAINT_UNIQUE", "unknown"),
            (10, "IOERR", "unknown"),
            (778, "IOERR_WRITE", "unknown"),
            (1034, "IOERR_FSYNC", "unknown"),
            (4874, "IOERR_SHMSIZE", "unknown"),
            (11, "CORRUPT", "unknown"),
            (8, "READONLY", "unknown"),
            (1032, "READONLY_DBMOVED", "unknown"),
            (7, "NOMEM", "unknown"),
            (1, "ERROR", "unknown"),
            (21, "MISUSE", "unknown"),
            (26, "NOTADB", "unknown"),
        ] {
            assert_eq!(class(code), expected, "SQLITE_{name}");
        }
    }

    #[test]
    fn what_is_no_answer_of_the_database_is_unknown() {
        assert!(matches!(
            append(&sqlx::Error::WorkerCrashed),
            Append::Unknown(_)
        ));
    }
}
