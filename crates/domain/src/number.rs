//! Telephone numbers, parsed once at the door and masked ever after.

use std::fmt;
use std::num::NonZeroU64;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// The longest number we accept, in digits.
///
/// The vendor lets number prefixes of up to 18 digits through ("up to 18
/// digits allowed in prefix searches", BuySecretNo).
pub const DIGITS_MAX: usize = 18;

/// A telephone number of 1 to 18 decimal digits, leading zeros kept.
///
/// Stored as a decimal integer with a `1` put in front, which keeps leading
/// zeros and leaves `Option<PhoneNumber>` at eight bytes. `Display` and
/// `Debug` are masked, so a number cannot reach a log by accident; the digits
/// are only to be had through [`PhoneNumber::reveal`].
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PhoneNumber(NonZeroU64);

/// Why a text is not a telephone number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NumberError {
    /// No digits at all, or more than [`DIGITS_MAX`].
    #[error("a number has 1 to 18 digits")]
    Length,
    /// A character other than `0`-`9`: spaces, hyphens and `+` included.
    #[error("a number consists of digits only")]
    NotADigit,
}

/// What sort of number it is, by its digits (Chinese numbering plan).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// Eleven digits, `1` and then `3`-`9`.
    Mobile,
    /// Area code with its leading 0, then 7 or 8 digits.
    Landline,
    /// A nationwide service number: `95…` (5 to 8 digits), `400…` or `800…`.
    Service,
    /// Anything else: emergency numbers, short codes, foreign numbers.
    Other,
}

impl PhoneNumber {
    /// Stands where a person's number was before it was erased.
    ///
    /// It has no digits, matches no caller and holds no slot.
    pub const ERASED: PhoneNumber = PhoneNumber(NonZeroU64::MIN);

    /// Reads 1 to 18 ASCII digits.
    ///
    /// # Errors
    /// [`NumberError`] when the text is empty, too long, or not digits only.
    pub fn parse(text: &str) -> Result<Self, NumberError> {
        if text.is_empty() || text.len() > DIGITS_MAX {
            return Err(NumberError::Length);
        }
        let mut packed: u64 = 1;
        for byte in text.bytes() {
            if !byte.is_ascii_digit() {
                return Err(NumberError::NotADigit);
            }
            packed = packed * 10 + u64::from(byte - b'0');
        }
        Ok(Self(
            NonZeroU64::new(packed).expect("starts from 1 and only grows"),
        ))
    }

    /// The digits in clear. Only for the wire, for routing and for `--reveal`.
    pub fn reveal(self) -> String {
        self.0.get().to_string().split_off(1)
    }

    /// Whether this is the placeholder of an erased number.
    pub fn is_erased(self) -> bool {
        self == Self::ERASED
    }

    /// The number as one integer, for hashing and packed storage.
    pub fn packed(self) -> u64 {
        self.0.get()
    }

    /// The inverse of [`PhoneNumber::packed`]; `None` if no number packs so.
    pub fn from_packed(packed: u64) -> Option<Self> {
        let digits = packed.checked_ilog10()?;
        let leads_with_one = packed / 10u64.pow(digits) == 1;
        (leads_with_one && digits as usize <= DIGITS_MAX)
            .then(|| NonZeroU64::new(packed).map(Self))
            .flatten()
    }

    /// How many digits it has.
    pub fn len(self) -> usize {
        self.0.get().ilog10() as usize
    }

    /// Whether it has no digits, which only an erased number has.
    pub fn is_empty(self) -> bool {
        self.is_erased()
    }

    /// Whether its digits begin with those of `prefix`.
    pub fn starts_with(self, prefix: PhoneNumber) -> bool {
        let (own, other) = (self.len(), prefix.len());
        own >= other && self.0.get() / 10u64.pow((own - other) as u32) == prefix.0.get()
    }

    /// What sort of number it is.
    pub fn form(self) -> Form {
        let digits = self.reveal();
        let bytes = digits.as_bytes();
        match bytes {
            [b'1', b'3'..=b'9', ..] if bytes.len() == 11 => Form::Mobile,
            [b'0', b'1', b'0', ..] | [b'0', b'2', ..] if matches!(bytes.len(), 10 | 11) => {
                Form::Landline
            }
            [b'0', b'3'..=b'9', ..] if matches!(bytes.len(), 11 | 12) => Form::Landline,
            [b'9', b'5', ..] if (5..=8).contains(&bytes.len()) => Form::Service,
            [b'4' | b'8', b'0', b'0', ..] if bytes.len() == 10 => Form::Service,
            _ => Form::Other,
        }
    }

    /// Whether it may stand as A, as B or in a group: a mobile, a landline
    /// with its area code, or a service number. Emergency numbers are none of
    /// these.
    pub fn is_party(self) -> bool {
        self.form() != Form::Other
    }
}

/// A number that may stand as A, as B or in a group, by its form: read at the door, so that inside
/// nothing else can be given as a party. Whether it is on the list of emergency numbers is for the
/// rules to say when they decide.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Party(PhoneNumber);

impl Party {
    /// Reads the digits of a number that may be a party; `None` for any other text.
    pub fn parse(text: &str) -> Option<Self> {
        PhoneNumber::parse(text).ok().and_then(Self::of)
    }

    /// The number, if it may be a party.
    pub fn of(number: PhoneNumber) -> Option<Self> {
        number.is_party().then_some(Self(number))
    }

    /// The number.
    pub fn number(self) -> PhoneNumber {
        self.0
    }
}

impl From<Party> for PhoneNumber {
    fn from(party: Party) -> Self {
        party.0
    }
}

impl fmt::Debug for Party {
    /// Masked, as the number shows itself.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl fmt::Display for PhoneNumber {
    /// The first three and the last two digits, stars between; short numbers
    /// show only their length.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_erased() {
            return f.write_str("erased");
        }
        let digits = self.reveal();
        if digits.len() < 8 {
            return f.write_str(&"*".repeat(digits.len()));
        }
        let (head, tail) = (&digits[..3], &digits[digits.len() - 2..]);
        write!(f, "{head}{}{tail}", "*".repeat(digits.len() - 5))
    }
}

impl fmt::Debug for PhoneNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for PhoneNumber {
    /// Digits as text in readable formats, the packed integer in compact ones.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            serializer.serialize_str(&self.reveal())
        } else {
            serializer.serialize_u64(self.packed())
        }
    }
}

impl<'de> Deserialize<'de> for PhoneNumber {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if deserializer.is_human_readable() {
            let text = String::deserialize(deserializer)?;
            if text.is_empty() {
                return Ok(Self::ERASED);
            }
            Self::parse(&text).map_err(de::Error::custom)
        } else {
            let packed = u64::deserialize(deserializer)?;
            Self::from_packed(packed).ok_or_else(|| de::Error::custom("not a packed number"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_follow_the_numbering_plan() {
        for (text, form) in [
            ("15000000000", Form::Mobile),
            ("17000000000", Form::Mobile),
            ("057188888888", Form::Landline),
            ("01088888888", Form::Landline),
            ("0107777777", Form::Landline),
            ("07917777777", Form::Landline),
            ("95001", Form::Service),
            ("4001234567", Form::Service),
            ("110", Form::Other),
            ("119", Form::Other),
            ("12000000000", Form::Other),
            ("57188888888", Form::Other),
            ("8615000000000", Form::Other),
        ] {
            let number = PhoneNumber::parse(text).expect("digits");
            assert_eq!(number.form(), form, "{text}");
            let party = Party::parse(text).map(Party::number);
            assert_eq!(party, (form != Form::Other).then_some(number), "{text}");
            assert_eq!(number.reveal(), text);
            assert_eq!(PhoneNumber::from_packed(number.packed()), Some(number));
        }
    }

    #[test]
    fn only_digits_are_numbers() {
        for text in ["", "0571-88888888", "+8615000000000", "1500 000", "１５０"] {
            assert!(PhoneNumber::parse(text).is_err(), "{text}");
        }
        assert_eq!(
            PhoneNumber::parse("1234567890123456789"),
            Err(NumberError::Length)
        );
    }

    #[test]
    fn numbers_show_themselves_masked() {
        let number = PhoneNumber::parse("15012345678").expect("digits");
        assert_eq!(number.to_string(), "150******78");
        assert_eq!(format!("{number:?}"), "150******78");
        assert_eq!(
            PhoneNumber::parse("110").expect("digits").to_string(),
            "***"
        );
        assert_eq!(PhoneNumber::ERASED.to_string(), "erased");
    }

    #[test]
    fn prefixes_match_by_digits() {
        let number = PhoneNumber::parse("01088888888").expect("digits");
        let prefix = |text| PhoneNumber::parse(text).expect("digits");
        assert!(number.starts_with(prefix("010")));
        assert!(number.starts_with(prefix("0")));
        assert!(!number.starts_with(prefix("10")));
        assert!(!prefix("01").starts_with(prefix("010")));
    }

    #[test]
    fn what_is_no_packed_number_is_refused() {
        for packed in [0, 2, 20, 99] {
            assert_eq!(PhoneNumber::from_packed(packed), None, "{packed}");
        }
        assert_eq!(PhoneNumber::from_packed(1), Some(PhoneNumber::ERASED));
    }
}
