//! Form 1 of the column: one entry for each event, all of its values together. Read for ever, and written only
//! where such a column is blanked.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{PersonalError, commitment};
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

/// The column for one batch.
pub fn write(kept: &[Kept]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(kept.len() * 160);
    bytes.push(FORM);
    postcard::to_extend(&kept, bytes).expect("plain values always serialise")
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
