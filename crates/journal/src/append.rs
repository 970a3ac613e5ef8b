//! How an append to the journal ends: three answers, and no fourth.
//!
//! The distinction carries the second law: a batch that is *not written* may
//! be undone and its callers refused; one whose outcome is *unknown* may have
//! become durable, so the process must stop and let the journal decide.

/// How an append ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Append {
    /// Durable.
    Written,
    /// Certainly not there: disk full, a constraint, the file busy.
    NotWritten(String),
    /// Perhaps there, perhaps not: an I/O or fsync error, or anything that
    /// was not expected. The process must exit.
    Unknown(String),
}
