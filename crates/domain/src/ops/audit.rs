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

/// Write down that a person's data were erased.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NoteErasure {
    /// From how many bindings.
    pub bindings: u32,
}

pub(super) fn note_reveal(_: &Circumstances<'_>, asked: &NoteReveal) -> Decided<()> {
    let NoteReveal { what, rows } = asked.clone();
    Ok((vec![Event::Revealed { what, rows }], ()))
}

pub(super) fn note(_: &Circumstances<'_>, note: &Note) -> Decided<()> {
    Ok((vec![Event::Noted(note.clone())], ()))
}

pub(super) fn note_erasure(_: &Circumstances<'_>, asked: &NoteErasure) -> Decided<()> {
    let NoteErasure { bindings } = *asked;
    Ok((vec![Event::PersonErased { bindings }], ()))
}
