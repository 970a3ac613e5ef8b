//! What operators leave behind when they look: who asked for what, and how much they were shown.

use std::fmt::Write as _;

use maskline_domain::{Command, Note, PhoneNumber};

use super::auth::Operator;
use super::{Admin, AdminError};

/// The longest text of what was asked, in bytes.
const ASKED_BYTES_MAX: usize = 500;

/// What an operator asked for, in words. Numbers of people stand in it masked.
#[derive(Clone, Debug)]
pub struct Asked {
    text: String,
    by_person: bool,
}

impl Asked {
    /// For something, such as `bindings`.
    pub fn for_(what: impl Into<String>) -> Self {
        Self {
            text: what.into(),
            by_person: false,
        }
    }

    /// With a filter, if it was given.
    pub fn with(mut self, name: &str, value: Option<&str>) -> Self {
        if let Some(value) = value {
            let _ = write!(self.text, " {name}={value}");
        }
        self
    }

    /// By the number of a person, if one was given: a search that leaves a trace though nothing is
    /// revealed, since who finds something has confirmed the number.
    pub fn by(mut self, name: &str, person: Option<PhoneNumber>) -> Self {
        if let Some(person) = person {
            let _ = write!(self.text, " {name}={person}");
            self.by_person = true;
        }
        self
    }

    fn bounded(mut self) -> String {
        let mut end = self.text.len().min(ASKED_BYTES_MAX);
        while !self.text.is_char_boundary(end) {
            end -= 1;
        }
        self.text.truncate(end);
        self.text
    }
}

/// Writes down what was asked and how many rows the answer shows, before it is given. Whole numbers
/// are given away only when that is durable; what is masked is shown even when the disk takes no
/// writes, so that an operator can look what is wrong.
///
/// # Errors
/// When whole numbers were asked for and it cannot be written down.
pub async fn leave(
    admin: &Admin,
    operator: &Operator,
    asked: Asked,
    reveal: bool,
    rows: usize,
) -> Result<(), AdminError> {
    let (by_person, what, rows) = (asked.by_person, asked.bounded(), rows as u64);
    if reveal {
        let rows = Some(rows);
        let note = operator.envelope(Command::NoteReveal { what, rows });
        admin.ledger.submit(note).await?;
    } else if by_person {
        note(admin, operator, Note::Searched { what, rows }).await;
    }
    Ok(())
}

/// Writes something down that happens all the same.
pub async fn note(admin: &Admin, operator: &Operator, note: Note) {
    let command = operator.envelope(Command::Note(note.clone()));
    if let Err(error) = admin.ledger.submit(command).await {
        tracing::warn!(%error, ?note, "could not be noted in the journal");
    }
}
