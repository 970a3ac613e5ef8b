//! Personal values, kept apart from what the hash chain covers.
//!
//! An event's phone numbers and the like are not in the journal's payload.
//! The payload holds a commitment to them, H(salt ‖ values); salt and values
//! stand in a column of their own. So they can be blanked, and the chain
//! stays whole; and without the salt nobody can find the numbers by trying
//! them all against the commitment.

use std::fmt;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::batch::Hash;

/// The version of the column's form.
const FORM: u8 = 1;

/// What is kept of one event's personal values.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Kept {
    /// The event has none.
    Nothing,
    /// As they were written.
    Values {
        /// Makes the commitment hold its secret.
        salt: [u8; 16],
        /// The values, as JSON.
        values: Vec<u8>,
    },
    /// They were blanked at a person's request.
    Erased,
}

impl fmt::Debug for Kept {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Kept::Nothing => "Nothing",
            Kept::Values { .. } => "Values",
            Kept::Erased => "Erased",
        })
    }
}

/// Why a row's personal values cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PersonalError {
    /// Written by a program newer than this one.
    #[error("personal values in form {0}, which this program does not know")]
    Form(u8),
    /// Not what this form looks like.
    #[error("personal values cannot be read")]
    Broken,
    /// Values that the payload did not commit to.
    #[error("the personal values of event {0} are not those that were written")]
    Commitment(usize),
}

impl Kept {
    /// What the payload says of these values: `None` where there are none.
    /// An erased value has a commitment, but no longer the means to make it.
    pub fn commitment(&self) -> Option<Hash> {
        match self {
            Kept::Nothing | Kept::Erased => None,
            Kept::Values { salt, values } => Some(commitment(salt, values)),
        }
    }

    /// Whether these are the values that were committed to.
    pub fn matches(&self, commitment: Option<Hash>) -> bool {
        match self {
            Kept::Erased => commitment.is_some(),
            Kept::Nothing | Kept::Values { .. } => self.commitment() == commitment,
        }
    }
}

fn commitment(salt: &[u8; 16], values: &[u8]) -> Hash {
    let mut hasher = Sha256::new();
    hasher.update(salt);
    hasher.update(values);
    Hash(hasher.finalize().into())
}

/// [`Kept`] with values that are borrowed; written in the same form.
#[derive(Serialize)]
enum KeptOut<'a> {
    Nothing,
    Values { salt: [u8; 16], values: &'a [u8] },
}

/// The column of one batch in the making, event by event.
pub(crate) struct Column(Vec<u8>);

impl Column {
    pub fn new(events: usize, bytes: usize) -> Self {
        let mut column = Vec::with_capacity(16 + events * 24 + bytes);
        column.push(FORM);
        // A list begins with its length.
        Self(append(column, &events))
    }

    pub fn push_nothing(&mut self) {
        self.push(&KeptOut::Nothing);
    }

    /// Gives the commitment to the values.
    pub fn push_values(&mut self, salt: [u8; 16], values: &[u8]) -> Hash {
        self.push(&KeptOut::Values { salt, values });
        commitment(&salt, values)
    }

    pub fn finish(self) -> Vec<u8> {
        self.0
    }

    fn push(&mut self, kept: &KeptOut<'_>) {
        self.0 = append(std::mem::take(&mut self.0), kept);
    }
}

fn append(bytes: Vec<u8>, value: &impl Serialize) -> Vec<u8> {
    postcard::to_extend(value, bytes).expect("plain values always serialise")
}

/// The column for one batch.
pub fn write(kept: &[Kept]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(kept.len() * 160);
    bytes.push(FORM);
    append(bytes, &kept)
}

/// The values of one batch, by event.
///
/// # Errors
/// [`PersonalError::Form`] and [`PersonalError::Broken`].
pub fn read(bytes: &[u8]) -> Result<Vec<Kept>, PersonalError> {
    match bytes.split_first() {
        Some((&FORM, rest)) => postcard::from_bytes(rest).map_err(|_| PersonalError::Broken),
        Some((&form, _)) => Err(PersonalError::Form(form)),
        None => Err(PersonalError::Broken),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(salt: u8, text: &str) -> Kept {
        Kept::Values {
            salt: [salt; 16],
            values: text.as_bytes().to_vec(),
        }
    }

    #[test]
    fn a_batch_reads_as_it_was_written() {
        let kept = vec![Kept::Nothing, values(7, "abc"), Kept::Erased];
        assert_eq!(read(&write(&kept)), Ok(kept));
    }

    #[test]
    fn a_column_made_event_by_event_is_the_same() {
        let kept = [values(7, "abc"), Kept::Nothing, values(8, "")];
        let mut column = Column::new(3, 3);
        assert_eq!(
            Some(column.push_values([7; 16], b"abc")),
            kept[0].commitment()
        );
        column.push_nothing();
        column.push_values([8; 16], b"");
        assert_eq!(column.finish(), write(&kept));
    }

    #[test]
    fn only_the_written_values_match_their_commitment() {
        let commitment = values(7, "abc").commitment();
        assert!(values(7, "abc").matches(commitment));
        assert!(!values(7, "abd").matches(commitment));
        assert!(!values(8, "abc").matches(commitment));
        assert!(!Kept::Nothing.matches(commitment));
        assert!(Kept::Erased.matches(commitment));
        assert!(!Kept::Erased.matches(None), "nothing was there to erase");
    }

    #[test]
    fn unknown_and_broken_forms_are_told_apart() {
        assert_eq!(read(&[9, 1, 2]), Err(PersonalError::Form(9)));
        assert_eq!(read(&[]), Err(PersonalError::Broken));
        assert_eq!(read(&[FORM, 200, 200]), Err(PersonalError::Broken));
    }
}
