//! The milestones of a call, which its customer may be told of while it lasts, and what is owed for one.
//!
//! Each comes at most once, in the order of [`Milestone::ALL`]. It is told together with the write of the record that
//! it belongs to, so that the record and what is owed become durable at once or not at all; whoever sends what is owed
//! reads it from there, and never from here.

use crate::clock::Timestamp;
use crate::named_enum::named_enum;
use std::fmt;

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
        /// Its recording is whole, as a file that `recording` names. Written with the row that is closed, which waits
        /// for the file.
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
    /// For what.
    pub reached: Reached,
    /// Of which kind it is, in one word.
    pub kind: String,
    /// What tells it from others of its kind for the same milestone of the same call; among those no two are alike.
    pub key: String,
    /// What it says. Parties may stand in it.
    pub body: Vec<u8>,
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

    #[test]
    fn what_is_owed_shows_nothing_of_what_it_says() {
        let owed = Owed {
            reached: Reached {
                milestone: Milestone::Ringing,
                at: Timestamp(7),
            },
            kind: "receipt".into(),
            key: "13800001234".into(),
            body: b"13800001234".to_vec(),
        };
        let shown = format!("{owed:?}");
        assert!(shown.contains("Ringing") && shown.contains("11"), "{shown}");
        assert!(!shown.contains("1380") && !shown.contains("49"), "{shown}");
    }
}
