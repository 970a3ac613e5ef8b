//! What went wrong, and what that means for what was to be written.

use std::fmt::{self, Display};
use std::sync::Arc;

/// Why a statement was not carried out, or its rows cannot be read. Equal are those of one kind with one text.
#[derive(Debug, Clone)]
pub struct Error {
    kind: ErrorKind,
    text: String,
    cause: Option<Arc<dyn std::error::Error + Send + Sync>>,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.cause.as_deref().map(|cause| cause as _)
    }
}

impl PartialEq for Error {
    fn eq(&self, other: &Self) -> bool {
        (self.kind, &self.text) == (other.kind, &other.text)
    }
}

impl Eq for Error {}

/// What an error means for what was to be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorKind {
    /// Nothing was written: there is a row with that key already.
    Duplicate,
    /// Nothing was written: another constraint forbids it.
    Constraint,
    /// Nothing was written: the disk is full, another has the right to write, or it is too large.
    Refused,
    /// Nothing was written or read: no connection became free in time, or there is none any more.
    Unavailable,
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
            cause: None,
        }
    }

    /// With what the engine's library said, of which the same holds as of the text.
    pub(super) fn because(self, cause: impl std::error::Error + Send + Sync + 'static) -> Self {
        Self {
            cause: Some(Arc::new(cause)),
            ..self
        }
    }

    /// A column does not hold what was written there; `why` must not show what it holds.
    pub fn in_column(column: &str, why: &dyn Display) -> Self {
        let text = format!("column {column} cannot be read: {why}");
        Self::new(ErrorKind::Unreadable, text)
    }

    /// What it means for what was to be written.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }
}
