//! What went wrong, and what that means for what was to be written.

use std::fmt::Display;

/// Why a statement was not carried out, or its rows cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text}")]
pub struct Error {
    kind: ErrorKind,
    text: String,
}

/// What an error means for what was to be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorKind {
    /// Nothing was written: there is a row with that key already.
    Duplicate,
    /// Nothing was written: another constraint forbids it.
    Constraint,
    /// Nothing was written: the disk is full, another has the right to write, or it is too large.
    Refused,
    /// The database did as it was told; what it gave was not understood.
    Unreadable,
    /// Nobody can tell whether it was written.
    Unknown,
}

impl Error {
    /// `text` must tell nothing of the values of a statement or a row.
    pub fn new(kind: ErrorKind, text: impl Into<String>) -> Self {
        Self {
            kind,
            text: text.into(),
        }
    }

    /// A column does not hold what was written there; `why` must not show what it holds.
    pub fn in_column(column: &str, why: &dyn Display) -> Self {
        let text = format!("error occurred while decoding column {column}: {why}");
        Self::new(ErrorKind::Unreadable, text)
    }

    /// What it means for what was to be written.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// Whether a statement was refused by a constraint, which leaves the rest of its transaction as it was.
    pub fn is_constraint(&self) -> bool {
        matches!(self.kind, ErrorKind::Duplicate | ErrorKind::Constraint)
    }
}
