//! Which errors of a database mean that a write is *not written*, and which leave that *unknown*.

use maskline_journal::Append;

use crate::db::{Error, ErrorKind};

/// How a slice of work ended.
#[derive(Debug)]
pub enum Done<T> {
    /// It is durable (or certainly is not, if `T` says so).
    Known(T),
    /// Nobody can tell; the process must exit.
    Unknown(String),
}

/// Sorts an error of an append into *not written* and *unknown*.
pub fn append(error: &Error) -> Append {
    match error.kind() {
        // Harmless to any other write, but here somebody else has written this row.
        ErrorKind::Duplicate => {
            Append::Unknown(format!("another writer owns the journal: {error}"))
        }
        _ => write(error),
    }
}

/// Sorts an error of any other write on the connection that appends. An
/// unknown outcome is as bad there: what one failed fsync leaves behind
/// concerns every later write to the file.
pub fn write(error: &Error) -> Append {
    match error.kind() {
        ErrorKind::Duplicate
        | ErrorKind::Constraint
        | ErrorKind::Refused
        | ErrorKind::Unavailable
        | ErrorKind::Unreadable => Append::NotWritten(error.to_string()),
        ErrorKind::Unknown => Append::Unknown(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::db::sqlite;

    fn class(outcome: Append) -> &'static str {
        match outcome {
            Append::Written => "written",
            Append::NotWritten(_) => "not written",
            Append::Unknown(_) => "unknown",
        }
    }

    #[test]
    fn every_code_of_sqlite_has_its_class() {
        for (code, name, of_append, of_others) in [
            (5, "BUSY", "not written", "not written"),
            (261, "BUSY_RECOVERY", "not written", "not written"),
            (517, "BUSY_SNAPSHOT", "not written", "not written"),
            (6, "LOCKED", "not written", "not written"),
            (13, "FULL", "not written", "not written"),
            (18, "TOOBIG", "not written", "not written"),
            (19, "CONSTRAINT", "not written", "not written"),
            (1299, "CONSTRAINT_NOTNULL", "not written", "not written"),
            (1555, "CONSTRAINT_PRIMARYKEY", "unknown", "not written"),
            (2067, "CONSTRAINT_UNIQUE", "unknown", "not written"),
            (2579, "CONSTRAINT_ROWID", "unknown", "not written"),
            (10, "IOERR", "unknown", "unknown"),
            (778, "IOERR_WRITE", "unknown", "unknown"),
            (1034, "IOERR_FSYNC", "unknown", "unknown"),
            (4874, "IOERR_SHMSIZE", "unknown", "unknown"),
            (11, "CORRUPT", "unknown", "unknown"),
            (8, "READONLY", "unknown", "unknown"),
            (1032, "READONLY_DBMOVED", "unknown", "unknown"),
            (7, "NOMEM", "unknown", "unknown"),
            (1, "ERROR", "unknown", "unknown"),
            (21, "MISUSE", "unknown", "unknown"),
            (26, "NOTADB", "unknown", "unknown"),
        ] {
            let error = Error::new(sqlite::kind_of(code), "made up");
            assert_eq!(class(append(&error)), of_append, "SQLITE_{name}");
            assert_eq!(class(write(&error)), of_others, "SQLITE_{name}");
        }
    }

    #[test]
    fn what_was_not_understood_or_never_asked_is_not_written() {
        for kind in [ErrorKind::Unreadable, ErrorKind::Unavailable] {
            let error = Error::new(kind, "made up");
            assert_eq!(class(append(&error)), "not written");
            assert_eq!(class(write(&error)), "not written");
        }
    }
}
