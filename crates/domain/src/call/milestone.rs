//! The milestones of a call, which its customer may be told of while it lasts, and what is owed for one.
//!
//! Each comes at most once, in the order of [`Milestone::ALL`]. It is told together with the write of the record that
//! it belongs to, so that the record and what is owed become durable at once or not at all; whoever sends what is owed
//! reads it from there, and never from here.

use std::fmt;

use crate::clock::Timestamp;
use crate::named_enum::named_enum;

named_enum! {
    /// A moment in a call. What is known then stands in its record, which goes with it.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
    pub enum Milestone {
        /// It has a record: it is known whom it is to reach, or why it reaches nobody. X, the caller, the binding and
        /// the arrival are known, the callee only of a call that is dialled. Written with the open row, or, for a call
        /// that is never dialled, with its only one.
        Started = "started",
        /// The callee rings, or has something to say before it answers: `ringing_at` and the trunk are known. A call
        /// may be answered without.
        Ringing = "ringing",
        /// The callee has answered: `answered_at` is known.
        Answered = "answered",
        /// It is over: everything is known. Written with the row that is closed.
        Ended = "ended",
        /// There is a recording that can be heard, as a file that `recording` names. No call tells it, since it only
        /// asks to be recorded: who writes the row that is closed waits for the file, and tells it then.
        Recorded = "recorded",
    }
}

/// A call has come to a milestone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reached {
    /// Which.
    pub milestone: Milestone,
    /// When, in UTC milliseconds.
    pub at: Timestamp,
}

/// What is owed to somebody for a milestone, such as a message to a customer. Who makes it and who sends it know what
/// it says; everybody between them only keeps it.
#[derive(Clone, PartialEq, Eq)]
pub struct Owed {
    reached: Reached,
    kind: String,
    key: String,
    body: Vec<u8>,
}

/// The longest name of a kind of what is owed, in bytes.
pub const OWED_KIND_BYTES_MAX: usize = 64;
/// The longest key of what is owed, in bytes.
pub const OWED_KEY_BYTES_MAX: usize = 256;
/// The most that what is owed may say, in bytes.
pub const OWED_BODY_BYTES_MAX: usize = 64 * 1024;

/// What is to be owed has no kind, or is larger than it may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OwedError {
    /// Its kind has no name, or a longer one than [`OWED_KIND_BYTES_MAX`].
    Kind,
    /// Its key is longer than [`OWED_KEY_BYTES_MAX`].
    Key,
    /// It says more than [`OWED_BODY_BYTES_MAX`].
    Body,
}

impl fmt::Display for OwedError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Kind => "the name of its kind is empty or too long",
            Self::Key => "its key is too long",
            Self::Body => "it says too much",
        })
    }
}

impl std::error::Error for OwedError {}

impl Owed {
    /// What is owed for `reached`: of which kind it is, in one word; the key that tells it from others of its kind for
    /// the same milestone of the same call, among which no two are alike; and what it says, in which parties may stand.
    ///
    /// # Errors
    /// [`OwedError`].
    pub fn new(
        reached: Reached,
        kind: impl Into<String>,
        key: impl Into<String>,
        body: Vec<u8>,
    ) -> Result<Self, OwedError> {
        let (kind, key) = (kind.into(), key.into());
        if kind.is_empty() || kind.len() > OWED_KIND_BYTES_MAX {
            Err(OwedError::Kind)
        } else if key.len() > OWED_KEY_BYTES_MAX {
            Err(OwedError::Key)
        } else if body.len() > OWED_BODY_BYTES_MAX {
            Err(OwedError::Body)
        } else {
            Ok(Self {
                reached,
                kind,
                key,
                body,
            })
        }
    }

    /// For what.
    pub fn reached(&self) -> Reached {
        self.reached
    }

    /// Of which kind it is.
    pub fn kind(&self) -> &str {
        &self.kind
    }

    /// What tells it from others of its kind.
    pub fn key(&self) -> &str {
        &self.key
    }

    /// What it says.
    pub fn body(&self) -> &[u8] {
        &self.body
    }
}

/// Tells nothing of the body, nor of the key.
impl fmt::Debug for Owed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Owed")
            .field("reached", &self.reached)
            .field("kind", &self.kind)
            .field("bytes", &self.body.len())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const REACHED: Reached = Reached {
        milestone: Milestone::Ringing,
        at: Timestamp(7),
    };

    #[test]
    fn what_is_owed_shows_nothing_of_what_it_says() {
        let owed = Owed::new(REACHED, "receipt", "13800001234", b"13800001234".to_vec());
        let shown = format!("{owed:?}");
        assert!(shown.contains("Ringing") && shown.contains("11"), "{shown}");
        assert!(!shown.contains("1380") && !shown.contains("49"), "{shown}");
    }

    #[test]
    fn what_is_owed_has_its_bounds() {
        const KIND: usize = OWED_KIND_BYTES_MAX;
        const KEY: usize = OWED_KEY_BYTES_MAX;
        const BODY: usize = OWED_BODY_BYTES_MAX;
        for (kind, key, body, expected) in [
            (1, 0, 0, Ok(())),
            (KIND, KEY, BODY, Ok(())),
            (0, 1, 1, Err(OwedError::Kind)),
            (KIND + 1, 0, 0, Err(OwedError::Kind)),
            (1, KEY + 1, 0, Err(OwedError::Key)),
            (1, 0, BODY + 1, Err(OwedError::Body)),
        ] {
            let owed = Owed::new(REACHED, "x".repeat(kind), "x".repeat(key), vec![0; body]);
            assert_eq!(owed.map(drop), expected, "{kind}, {key}, {body}");
        }
    }
}
