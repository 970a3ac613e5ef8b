//! What operators leave behind when they look: who asked for what, and how much they were shown.

use std::fmt::Write as _;

use maskline_domain::ops::NoteReveal;
use maskline_domain::{Note, PhoneNumber, Role, State};
use maskline_journal::pipeline::Touch;

use super::AdminError;
use super::auth::Operator;
use crate::ledger::Ledger;

/// The longest text of what was asked, in bytes.
const ASKED_BYTES_MAX: usize = 500;
/// The fewest digits that are taken for a person's number in a free text: those of a landline
/// without its area code.
const PERSON_DIGITS_MIN: usize = 7;

/// What an operator asked for, in words. Numbers of people stand in it masked: what stands in the
/// journal is hashed and can never be erased.
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

    /// With a filter, if it was given. The value is one that was found to be known or well formed,
    /// and no telephone number; it is quoted if it could be taken for another filter.
    pub fn with(mut self, name: &str, value: Option<&str>) -> Self {
        if let Some(value) = value {
            let is_plain = |c: char| c.is_alphanumeric() || "-_.,:*".contains(c);
            let _ = match !value.is_empty() && value.chars().all(is_plain) {
                true => write!(self.text, " {name}={value}"),
                false => write!(self.text, " {name}={value:?}"),
            };
        }
        self
    }

    /// On an X, if one was given: whole where it is a number of ours. Anything else may be the
    /// number of a person, given by mistake.
    ///
    /// # Errors
    /// When the state cannot be read.
    pub async fn on(mut self, ledger: &Ledger, x: Option<PhoneNumber>) -> Result<Self, AdminError> {
        let Some(x) = x else { return Ok(self) };
        let ours = move |state: &State, _| state.has_number(x);
        let _ = match ledger.read(Touch::Number(x), ours).await? {
            true => write!(self.text, " x={}", x.reveal()),
            false => write!(self.text, " x={x}"),
        };
        Ok(self)
    }

    /// A later page of a list. Where it begins is left out: an id that was made up may be the number
    /// of a person.
    pub fn later(self, is_later: bool) -> Self {
        self.with("page", is_later.then_some("later"))
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

/// A free text in which each run of digits that could be a person's number is masked.
pub fn masked(text: &str) -> String {
    let mut masked = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(begin) = rest.find(|c: char| c.is_ascii_digit()) {
        let (before, from) = rest.split_at(begin);
        let end = from.find(|c: char| !c.is_ascii_digit());
        let (digits, after) = from.split_at(end.unwrap_or(from.len()));
        masked.push_str(before);
        match PhoneNumber::parse(digits) {
            _ if digits.len() < PERSON_DIGITS_MIN => masked.push_str(digits),
            Ok(number) => masked.push_str(&number.to_string()),
            Err(_) => masked.push_str("***"),
        }
        rest = after;
    }
    masked + rest
}

/// Writes down what was asked and how many rows the answer shows, before it is given. Whole numbers
/// are given away only when that is durable; what is masked is shown even when the disk takes no
/// writes, so that an operator can look what is wrong.
///
/// # Errors
/// When whole numbers were asked for and it cannot be written down.
pub async fn leave(
    ledger: &Ledger,
    operator: &Operator,
    asked: Asked,
    reveal: bool,
    rows: usize,
) -> Result<(), AdminError> {
    if reveal {
        operator.must_be(Role::Operator)?;
    }
    let (by_person, what, rows) = (asked.by_person, asked.bounded(), rows as u64);
    if reveal {
        let rows = Some(rows);
        let note = operator.envelope(NoteReveal { what, rows });
        ledger.submit(note).await?;
    } else if by_person {
        note(ledger, operator, Note::Searched { what, rows }).await;
    }
    Ok(())
}

/// Writes something down that happens all the same.
pub async fn note(ledger: &Ledger, operator: &Operator, note: Note) {
    let command = operator.envelope(note.clone());
    if let Err(error) = ledger.submit(command).await {
        tracing::warn!(%error, ?note, "could not be noted in the journal");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_cannot_be_taken_for_another_filter() {
        for (value, expected) in [
            ("acme", "account=acme"),
            ("华东", "account=华东"),
            ("live,over", "account=live,over"),
            ("a-b_c.d", "account=a-b_c.d"),
            ("", "account=\"\""),
            ("a b", "account=\"a b\""),
            ("a=b", "account=\"a=b\""),
            ("a rows=0 party=nobody", "account=\"a rows=0 party=nobody\""),
            ("a\" rows=0 \"", "account=\"a\\\" rows=0 \\\"\""),
            ("a\nb", "account=\"a\\nb\""),
            ("a\u{202e}b", "account=\"a\\u{202e}b\""),
        ] {
            let asked = Asked::for_("calls").with("account", Some(value));
            assert_eq!(asked.bounded(), format!("calls {expected}"));
        }
    }

    #[test]
    fn free_texts_do_not_show_numbers_of_people() {
        for (text, expected) in [
            ("the journal limit=20", "the journal limit=20"),
            (
                "the journal limit=20 at=\"2026-09-05 12:00:00\"",
                "the journal limit=20 at=\"2026-09-05 12:00:00\"",
            ),
            ("13812345678", "138******78"),
            ("of 13812345678, why", "of 138******78, why"),
            ("+8613812345678", "+861********78"),
            ("1381234567813812345678", "***"),
            ("华东13812345678号", "华东138******78号"),
            ("", ""),
        ] {
            assert_eq!(masked(text), expected);
        }
    }
}
