//! The values of statements and rows: integers, texts, blobs, and nothing.

use std::borrow::Cow;
use std::fmt;

/// A value that is written or was read. Shows only what kind it is and how long, since it may be somebody's number.
#[derive(Clone, PartialEq, Eq)]
pub enum Value<'a> {
    /// Nothing.
    Null,
    /// A whole number of 64 bits.
    Integer(i64),
    /// A text.
    Text(Cow<'a, str>),
    /// Bytes.
    Blob(Cow<'a, [u8]>),
}

impl fmt::Debug for Value<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Value::Text(text) => write!(f, "{} of {} bytes", self.kind(), text.len()),
            Value::Blob(bytes) => write!(f, "{} of {} bytes", self.kind(), bytes.len()),
            Value::Null | Value::Integer(_) => f.write_str(self.kind()),
        }
    }
}

impl Value<'_> {
    fn kind(&self) -> &'static str {
        match self {
            Value::Null => "nothing",
            Value::Integer(_) => "an integer",
            Value::Text(_) => "a text",
            Value::Blob(_) => "a blob",
        }
    }
}

impl From<i64> for Value<'_> {
    fn from(number: i64) -> Self {
        Value::Integer(number)
    }
}

impl From<u32> for Value<'_> {
    fn from(number: u32) -> Self {
        Value::Integer(number.into())
    }
}

impl<'a> From<&'a str> for Value<'a> {
    fn from(text: &'a str) -> Self {
        Value::Text(text.into())
    }
}

impl<'a> From<&'a String> for Value<'a> {
    fn from(text: &'a String) -> Self {
        Value::Text(text.into())
    }
}

impl From<String> for Value<'_> {
    fn from(text: String) -> Self {
        Value::Text(text.into())
    }
}

impl<'a> From<&'a [u8]> for Value<'a> {
    fn from(bytes: &'a [u8]) -> Self {
        Value::Blob(bytes.into())
    }
}

impl<'a> From<&'a Vec<u8>> for Value<'a> {
    fn from(bytes: &'a Vec<u8>) -> Self {
        Value::Blob(bytes.into())
    }
}

impl From<Vec<u8>> for Value<'_> {
    fn from(bytes: Vec<u8>) -> Self {
        Value::Blob(bytes.into())
    }
}

impl<'a, T: Into<Value<'a>>> From<Option<T>> for Value<'a> {
    fn from(value: Option<T>) -> Self {
        value.map_or(Value::Null, T::into)
    }
}

impl<'a> From<&'a Option<String>> for Value<'a> {
    fn from(text: &'a Option<String>) -> Self {
        text.as_ref().into()
    }
}

/// A value of another kind than was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{wanted} was expected, but there is {found}")]
pub struct Mismatch {
    wanted: &'static str,
    found: &'static str,
}

/// What a value of a row can be read as; an option is none where there is nothing.
pub trait FromValue<'r>: Sized {
    /// Reads it.
    ///
    /// # Errors
    /// [`Mismatch`].
    fn from_value(value: Value<'r>) -> Result<Self, Mismatch>;
}

impl<'r, T: FromValue<'r>> FromValue<'r> for Option<T> {
    fn from_value(value: Value<'r>) -> Result<Self, Mismatch> {
        match value {
            Value::Null => Ok(None),
            value => T::from_value(value).map(Some),
        }
    }
}

impl FromValue<'_> for i64 {
    fn from_value(value: Value<'_>) -> Result<Self, Mismatch> {
        match value {
            Value::Integer(number) => Ok(number),
            other => Err(mismatch("an integer", &other)),
        }
    }
}

impl<'r> FromValue<'r> for Cow<'r, str> {
    fn from_value(value: Value<'r>) -> Result<Self, Mismatch> {
        match value {
            Value::Text(text) => Ok(text),
            other => Err(mismatch("a text", &other)),
        }
    }
}

impl<'r> FromValue<'r> for String {
    fn from_value(value: Value<'r>) -> Result<Self, Mismatch> {
        Cow::<str>::from_value(value).map(Cow::into_owned)
    }
}

/// A text is bytes as well: what somebody has put into a journal by hand is to be found out by its hash.
impl<'r> FromValue<'r> for Cow<'r, [u8]> {
    fn from_value(value: Value<'r>) -> Result<Self, Mismatch> {
        match value {
            Value::Blob(bytes) => Ok(bytes),
            Value::Text(Cow::Borrowed(text)) => Ok(text.as_bytes().into()),
            Value::Text(Cow::Owned(text)) => Ok(text.into_bytes().into()),
            other => Err(mismatch("a blob", &other)),
        }
    }
}

impl<'r> FromValue<'r> for Vec<u8> {
    fn from_value(value: Value<'r>) -> Result<Self, Mismatch> {
        Cow::<[u8]>::from_value(value).map(Cow::into_owned)
    }
}

fn mismatch(wanted: &'static str, found: &Value<'_>) -> Mismatch {
    let found = found.kind();
    Mismatch { wanted, found }
}
