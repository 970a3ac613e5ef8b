//! Ring tones: what a caller may hear of us while the callee rings.

use std::fmt;
use std::num::NonZeroU64;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// The longest code, in digits.
const DIGITS_MAX: usize = 18;

/// The code of a ring tone: 1 to 18 decimal digits, such as `100000001`, leading zeros kept. Being
/// digits only, it can name a file.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ToneCode(NonZeroU64);

impl ToneCode {
    /// `0`: the ringing tone of the telephone network, which needs no file.
    pub const NETWORK: Self = Self(NonZeroU64::new(10).expect("ten is not zero"));

    /// Reads the digits.
    pub fn parse(text: &str) -> Option<Self> {
        if !(1..=DIGITS_MAX).contains(&text.len()) || !text.bytes().all(|b| b.is_ascii_digit()) {
            return None;
        }
        // A 1 in front keeps the zeros.
        let packed = text
            .bytes()
            .fold(1, |packed, byte| packed * 10 + u64::from(byte - b'0'));
        NonZeroU64::new(packed).map(Self)
    }
}

impl fmt::Display for ToneCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.to_string()[1..])
    }
}

impl fmt::Debug for ToneCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for ToneCode {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for ToneCode {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| de::Error::custom("a ring tone has 1 to 18 digits"))
    }
}

/// Who dials X, as far as ring tones differ by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scene {
    /// A, and there is somebody to connect to.
    A,
    /// A, and there is nobody.
    AAlone,
    /// The other side: B, or whoever it may be.
    Other,
}

/// The ring tones of a binding, or of a pool for bindings that name none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RingTones {
    /// For [`Scene::A`].
    #[serde(default)]
    pub a: Option<ToneCode>,
    /// For [`Scene::AAlone`].
    #[serde(default)]
    pub a_alone: Option<ToneCode>,
    /// For [`Scene::Other`].
    #[serde(default)]
    pub other: Option<ToneCode>,
}

impl RingTones {
    /// The tone for this scene.
    pub fn of(&self, scene: Scene) -> Option<ToneCode> {
        match scene {
            Scene::A => self.a,
            Scene::AAlone => self.a_alone,
            Scene::Other => self.other,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_digits_and_keeps_its_zeros() {
        for text in ["0", "007", "100000001", "123456789012345678"] {
            let code = ToneCode::parse(text).expect("a code");
            assert_eq!(code.to_string(), text);
        }
        for text in ["", "1234567890123456789", "../../x", "１", "+1", "a"] {
            assert_eq!(ToneCode::parse(text), None, "{text}");
        }
        assert_eq!(ToneCode::parse("0"), Some(ToneCode::NETWORK));
    }
}
