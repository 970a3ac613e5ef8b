//! What is written down for the audit alone.

use crate::command::Note;
use crate::event::Event;
use crate::ops::{Circumstances, Decided};

/// Write down that an operator looked at whole numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NoteReveal {
    /// What was looked at.
    pub what: String,
    /// How many rows were shown, where that is known.
    pub rows: Option<u64>,
}

pub(super) fn note_reveal(_: &Circumstances<'_>, asked: &NoteReveal) -> Decided<()> {
    let NoteReveal { what, rows } = asked.clone();
    Ok((vec![Event::Revealed { what, rows }], ()))
}

pub(super) fn note(_: &Circumstances<'_>, note: &Note) -> Decided<()> {
    Ok((vec![Event::Noted(note.clone())], ()))
}
