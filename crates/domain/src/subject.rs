//! Whom personal values tell of, without telling who that is.

use serde::{Deserialize, Serialize};

/// What of an event tells of one subject: each part is kept for itself and can be erased without the others.
///
/// A reader must know every part that a batch names, so the events that have a new one tell a new
/// [`READER`](crate::event::READER) by [`Event::oldest_reader`](crate::Event::oldest_reader).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Part {
    /// A's number.
    A,
    /// B's number.
    B,
    /// The customer's texts, all of which may name anybody.
    Texts,
}

impl Part {
    /// Its name, as it is written.
    pub fn name(self) -> &'static str {
        match self {
            Part::A => "a",
            Part::B => "b",
            Part::Texts => "texts",
        }
    }
}

/// Whom values tell of: one person, or one set of texts, in one object. Says nothing of who that is, so it may stand
/// where it cannot be erased.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Subject {
    /// The object: the id of a binding. Another kind of object, such as a member of a group, gets a field with a
    /// default that tells the kind, and parts of its own.
    pub of: u64,
    /// Drawn; never made from what the values say. Each event draws its own: who stays in a binding that changes has
    /// another one afterwards, and the state need not keep any. In the first form of the journal, which kept all
    /// values of an event together, always 0.
    pub n: u32,
}

/// Which parts of an object were an erased person's when it was changed last.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ErasedParts {
    /// The object, as in a [`Subject`].
    pub of: u64,
    /// Its parts: texts always, for they may name anybody.
    pub parts: Vec<Part>,
}
