//! Personal values, kept apart from what the hash chain covers.
//!
//! An event's phone numbers and texts are not in the journal's payload.
//! The payload holds a commitment to them, H(salt ‖ values); salt and values
//! stand in a column of their own. So they can be blanked, and the chain
//! stays whole; and without the salt nobody can find the numbers by trying
//! them all against the commitment.
//!
//! The column (form 2) is a byte for the form and a CBOR array with one entry
//! for each subject of each event, in the order in which the payload names
//! them. An entry is a map: the subject; the salt and the values, which are a
//! CBOR map within a byte string, or nothing more once they were blanked.
//! Form 1 is [`v1`]. Form 3 is a column of form 2, compressed and sealed as a
//! whole, salts and all: a byte for the form and the sealed value. One that
//! tells of nobody is never sealed.

pub mod v1;

use std::borrow::Cow;
use std::fmt;

use maskline_domain::Subject;
use maskline_sealing::{DataKeyId, Exhausted, OpenError, Place};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::batch::Hash;
use crate::cbor;
use crate::codec::Codec;

/// The version of the column's form.
const FORM: u8 = 2;
/// That of a sealed column.
const FORM_SEALED: u8 = 3;

/// The oldest reader that knows sealed columns.
pub const SEALED_READER: u32 = 7;

/// A column is never believed to be larger than this, in bytes.
const BYTES_MAX: usize = 64 * 1024 * 1024;

/// What is kept of one subject's values in one event.
#[derive(Clone, PartialEq, Eq)]
pub enum Kept {
    /// As they were written.
    Values {
        /// Whose they are.
        subject: Subject,
        /// Makes the commitment hold its secret.
        salt: [u8; 16],
        /// The values, as CBOR.
        values: Vec<u8>,
    },
    /// They were blanked at a person's request.
    Erased {
        /// Whose they were.
        subject: Subject,
    },
}

impl fmt::Debug for Kept {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Kept::Values { .. } => "Values",
            Kept::Erased { .. } => "Erased",
        })
    }
}

/// Why a row's personal values cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PersonalError {
    /// Not of the form that belongs to such a payload; if it is a higher one, perhaps of a newer program.
    #[error("personal values in form {0}, which does not belong to such a payload")]
    Form(u8),
    /// Not what this form looks like.
    #[error("personal values cannot be read")]
    Broken,
    /// Sealed, and they do not open.
    #[error("personal values {0}")]
    Sealed(OpenError),
    /// Values that the payload did not commit to.
    #[error("the personal values of event {0} are not those that were written")]
    Commitment(usize),
}

impl Kept {
    /// Whose they are, or were.
    pub fn subject(&self) -> Subject {
        match self {
            Kept::Values { subject, .. } | Kept::Erased { subject } => *subject,
        }
    }

    /// Whether these are the values of this subject that were committed to, or
    /// their place after they were blanked.
    pub fn matches(&self, subject: Subject, committed: Hash) -> bool {
        self.subject() == subject
            && match self {
                Kept::Erased { .. } => true,
                Kept::Values { salt, values, .. } => commitment(salt, values) == committed,
            }
    }
}

/// What the payload says of values: H(salt ‖ values).
pub(crate) fn commitment(salt: &[u8; 16], values: &[u8]) -> Hash {
    let mut hasher = Sha256::new();
    hasher.update(salt);
    hasher.update(values);
    Hash(hasher.finalize().into())
}

/// An entry as it is written.
#[derive(Serialize, Deserialize)]
struct Written<'a> {
    subject: Subject,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[serde(borrow)]
    salt: Option<Bytes<'a>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[serde(borrow)]
    values: Option<Bytes<'a>>,
}

/// A byte string, which serde otherwise writes as a list of numbers.
pub(crate) struct Bytes<'a>(pub Cow<'a, [u8]>);

impl Serialize for Bytes<'_> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(&self.0)
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Bytes<'a> {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl<'de> serde::de::Visitor<'de> for Visitor {
            type Value = Bytes<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a byte string")
            }

            fn visit_borrowed_bytes<E>(self, bytes: &'de [u8]) -> Result<Self::Value, E> {
                Ok(Bytes(Cow::Borrowed(bytes)))
            }

            fn visit_byte_buf<E>(self, bytes: Vec<u8>) -> Result<Self::Value, E> {
                Ok(Bytes(Cow::Owned(bytes)))
            }
        }
        deserializer.deserialize_bytes(Visitor)
    }
}

/// The column of one batch in the making, entry by entry.
pub(crate) struct Column(Vec<u8>);

impl Column {
    /// A column that will have so many entries, and so many bytes of values.
    pub fn new(entries: usize, bytes: usize) -> Self {
        let mut column = Vec::with_capacity(16 + entries * 64 + bytes);
        column.push(FORM);
        Self(cbor::begin_array(column, entries))
    }

    /// Adds values, and gives the commitment to them.
    pub fn push_values(&mut self, subject: Subject, salt: [u8; 16], values: &[u8]) -> Hash {
        self.push(&Written {
            subject,
            salt: Some(Bytes(Cow::Borrowed(&salt))),
            values: Some(Bytes(Cow::Borrowed(values))),
        });
        commitment(&salt, values)
    }

    pub fn finish(self) -> Vec<u8> {
        self.0
    }

    fn push(&mut self, entry: &Written<'_>) {
        self.0 = cbor::append(std::mem::take(&mut self.0), entry);
    }
}

/// The column for one batch.
pub fn write(kept: &[Kept]) -> Vec<u8> {
    let mut column = Column::new(kept.len(), kept.len() * 32);
    for kept in kept {
        match kept {
            Kept::Values {
                subject,
                salt,
                values,
            } => {
                column.push_values(*subject, *salt, values);
            }
            Kept::Erased { subject } => column.push(&Written {
                subject: *subject,
                salt: None,
                values: None,
            }),
        }
    }
    column.finish()
}

/// The values of one batch, in order.
///
/// # Errors
/// [`PersonalError::Form`] for another form than this, also for form 1;
/// [`PersonalError::Broken`]. A sealed column is opened first.
pub fn read(bytes: &[u8]) -> Result<Vec<Kept>, PersonalError> {
    let written: Vec<Written<'_>> = match bytes.split_first() {
        Some((&FORM, rest)) => cbor::read(rest).ok_or(PersonalError::Broken)?,
        Some((&form, _)) => return Err(PersonalError::Form(form)),
        None => return Err(PersonalError::Broken),
    };
    let kept = |entry: Written<'_>| match entry {
        Written {
            subject,
            salt: Some(salt),
            values: Some(values),
        } => Some(Kept::Values {
            subject,
            salt: (*salt.0).try_into().ok()?,
            values: values.0.into_owned(),
        }),
        Written {
            subject,
            salt: None,
            values: None,
        } => Some(Kept::Erased { subject }),
        Written { .. } => None,
    };
    let all: Option<Vec<Kept>> = written.into_iter().map(kept).collect();
    all.ok_or(PersonalError::Broken)
}

fn place(seq: u64) -> Place {
    Place::column("journal.personal").number(seq)
}

/// The column of batch `seq` as it is kept: sealed, if the codec seals and it tells of anybody.
///
/// # Errors
/// [`Exhausted`].
pub(crate) fn seal(column: Vec<u8>, seq: u64, codec: &Codec) -> Result<Vec<u8>, Exhausted> {
    if !codec.seals() || is_empty(&column) {
        return Ok(column);
    }
    let mut sealed = Vec::with_capacity(column.len());
    sealed.push(FORM_SEALED);
    codec.seal(&place(seq), &column, &mut sealed)?;
    Ok(sealed)
}

/// The column of batch `seq` as it was before it was sealed, if it was.
///
/// # Errors
/// [`PersonalError::Sealed`].
pub(crate) fn open<'c>(
    column: &'c [u8],
    seq: u64,
    codec: &Codec,
) -> Result<Cow<'c, [u8]>, PersonalError> {
    match column.split_first() {
        Some((&FORM_SEALED, sealed)) => codec
            .open(&place(seq), sealed, BYTES_MAX)
            .map(Cow::Owned)
            .map_err(PersonalError::Sealed),
        _ => Ok(Cow::Borrowed(column)),
    }
}

/// The key that a column is sealed under; none if it is not sealed. Its first bytes are enough.
pub fn sealed_under(column: &[u8]) -> Option<DataKeyId> {
    match column {
        [FORM_SEALED, a, b, c, d, ..] => Some(DataKeyId(u32::from_be_bytes([*a, *b, *c, *d]))),
        _ => None,
    }
}

/// Whether a column that is not sealed tells of nobody.
pub fn is_empty(column: &[u8]) -> bool {
    *column == *Column::new(0, 0).0
}

#[cfg(test)]
mod tests {
    use super::*;

    const SUBJECT: Subject = Subject {
        of: 1_700_000_000_000_000,
        n: 0xdead_beef,
    };

    fn values(salt: u8, text: &str) -> Kept {
        Kept::Values {
            subject: SUBJECT,
            salt: [salt; 16],
            values: text.as_bytes().to_vec(),
        }
    }

    #[test]
    fn a_batch_reads_as_it_was_written() {
        let erased = Kept::Erased {
            subject: Subject { of: 1, n: 2 },
        };
        for kept in [vec![], vec![values(7, "abc"), erased, values(8, "")]] {
            assert_eq!(read(&write(&kept)), Ok(kept));
        }
    }

    #[test]
    fn only_the_written_values_of_the_subject_match_their_commitment() {
        let committed = commitment(&[7; 16], b"abc");
        let other = Subject { n: 1, ..SUBJECT };
        let erased = Kept::Erased { subject: SUBJECT };
        assert!(values(7, "abc").matches(SUBJECT, committed));
        assert!(!values(7, "abd").matches(SUBJECT, committed));
        assert!(!values(8, "abc").matches(SUBJECT, committed));
        assert!(!values(7, "abc").matches(other, committed));
        assert!(erased.matches(SUBJECT, committed));
        assert!(!erased.matches(other, committed));
    }

    #[test]
    fn unknown_and_broken_forms_are_told_apart() {
        assert_eq!(read(&[9, 1, 2]), Err(PersonalError::Form(9)));
        assert_eq!(read(&v1::write(&[])), Err(PersonalError::Form(1)));
        assert_eq!(read(&[]), Err(PersonalError::Broken));
        assert_eq!(read(&[FORM, 200, 200]), Err(PersonalError::Broken));
        let mut long = write(&[values(7, "abc")]);
        long.push(0);
        assert_eq!(read(&long), Err(PersonalError::Broken));
    }

    #[test]
    fn values_without_their_salt_are_not_taken_for_erased() {
        let entry = |salt| Written {
            subject: SUBJECT,
            salt,
            values: Some(Bytes(Cow::Borrowed(b"abc"))),
        };
        let salt = || Some(Bytes(Cow::Borrowed(&[7; 16][..])));
        for (salt, expected) in [
            (salt(), Ok(vec![values(7, "abc")])),
            (None, Err(PersonalError::Broken)),
            (
                Some(Bytes(Cow::Borrowed(&[7; 15][..]))),
                Err(PersonalError::Broken),
            ),
        ] {
            let mut column = Column::new(1, 3);
            column.push(&entry(salt));
            assert_eq!(read(&column.finish()), expected);
        }
    }
}
