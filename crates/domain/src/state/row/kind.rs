//! How a row of version 2 begins and ends; see [`super::stored`].

use serde::de::{Error, IgnoredAny, SeqAccess};
use serde::{Deserialize, Serialize, Serializer};

/// What a row is, as its first value tells it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Kind {
    Clock = 0,
    Emergency = 1,
    Account = 2,
    User = 3,
    Key = 4,
    Pool = 5,
    Trunk = 6,
    Class = 7,
    Number = 8,
    Binding = 9,
    Command = 10,
    Import = 11,
    Carrier = 12,
    Operator = 13,
    FirstTokenRetired = 14,
}

impl Serialize for Kind {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u8(*self as u8)
    }
}

/// The next value of a row, which it must have.
pub(super) fn next<'de, T: Deserialize<'de>, S: SeqAccess<'de>>(
    values: &mut S,
) -> Result<T, S::Error> {
    let value = values.next_element()?;
    value.ok_or_else(|| S::Error::custom("a row lacks a value"))
}

/// Skips what a newer program has added at the end of a row.
pub(super) fn rest_of<'de, S: SeqAccess<'de>>(values: &mut S) -> Result<(), S::Error> {
    while values.next_element::<IgnoredAny>()?.is_some() {}
    Ok(())
}
