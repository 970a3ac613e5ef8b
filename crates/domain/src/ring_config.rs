//! `RingConfig` of a binding: which scene has which ring tone.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Value};
use thiserror::Error;

use crate::product::Product;
use crate::tone::{RingTones, ToneCode};

/// The longest RingConfig, in bytes.
const BYTES_MAX: usize = 4096;

/// The ring tones of a binding by scene, read once when the customer gives them.
///
/// It is kept, shown and journalled as the text that the customer gave, since its codes may name tones
/// that are not there yet: which codes exist is not checked, and one that does not exist falls back to
/// the pool's tone.
///
/// ```text
/// {"AXNRing_N":"100000001","AXNRing_A":"100000001"}
/// ```
// Boxed, since few bindings have one and each lies in memory.
#[derive(Clone, PartialEq, Eq)]
pub struct RingConfig(Box<Read>);

#[derive(Clone, PartialEq, Eq)]
struct Read {
    text: Box<str>,
    /// By product, each at its place.
    tones: [RingTones; Product::ALL.len()],
}

/// A text that is no RingConfig: longer than 4096 bytes, or no JSON object whose members are all strings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("a RingConfig is a JSON object of strings")]
pub struct NoRingConfig;

impl RingConfig {
    /// Reads what a customer gave.
    ///
    /// # Errors
    /// [`NoRingConfig`].
    pub fn parse(text: &str) -> Result<Self, NoRingConfig> {
        if text.len() > BYTES_MAX {
            return Err(NoRingConfig);
        }
        match members(text) {
            Some(members) if members.values().all(Value::is_string) => {
                Ok(Self::of(text.into(), &members))
            }
            Some(_) | None => Err(NoRingConfig),
        }
    }

    /// What was journalled, whatever it is: what cannot be read names no tone.
    fn journalled(text: Box<str>) -> Self {
        let members = members(&text).unwrap_or_default();
        Self::of(text, &members)
    }

    fn of(text: Box<str>, members: &Map<String, Value>) -> Self {
        let tone = |key: &str| ToneCode::parse(members.get(key)?.as_str()?);
        let tones = Product::ALL.map(|product| {
            let keys = product.ring_keys();
            RingTones {
                a: tone(keys.a),
                a_alone: keys.a_alone.and_then(tone),
                other: tone(keys.other),
            }
        });
        Self(Box::new(Read { text, tones }))
    }

    /// The text as it was given.
    pub fn as_str(&self) -> &str {
        &self.0.text
    }

    /// The tones that it names for a product; none for scenes that it does not name, or names with
    /// something that cannot be a code.
    pub fn tones(&self, product: Product) -> RingTones {
        self.0.tones[product as usize]
    }
}

fn members(text: &str) -> Option<Map<String, Value>> {
    serde_json::from_str(text).ok()
}

impl fmt::Debug for RingConfig {
    /// It is the customer's free text, so it does not show.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RingConfig(***)")
    }
}

impl Serialize for RingConfig {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for RingConfig {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Box::<str>::deserialize(deserializer).map(Self::journalled)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn codes(config: &RingConfig, product: Product) -> [Option<String>; 3] {
        let tones = config.tones(product);
        [tones.a, tones.a_alone, tones.other].map(|tone| tone.map(|code| code.to_string()))
    }

    #[test]
    fn each_scene_of_a_product_has_its_key() {
        let config = RingConfig::parse(
            r#"{"AXNRing_AB":"1","AXNRing_A":"2","AXNRing_N":"3","AXBRing_A":"4","AXBRing_B":"5"}"#,
        )
        .expect("a configuration");
        let some = |text: &str| Some(text.to_owned());
        assert_eq!(
            codes(&config, Product::Axn),
            [some("1"), some("2"), some("3")]
        );
        assert_eq!(codes(&config, Product::Axb), [some("4"), None, some("5")]);
    }

    /// Text, whether a customer may give it, and the tone that AXN's other callers hear by it.
    #[test]
    fn what_is_given_is_kept_as_text_and_read_once() {
        let long = format!(r#"{{"AXNRing_N":"7","note":"{}"}}"#, "x".repeat(BYTES_MAX));
        for (text, is_given, tone) in [
            (r#"{"AXNRing_N":"7"}"#, true, Some("7")),
            (r#" { "AXNRing_N" : "007" } "#, true, Some("007")),
            (r#"{"AXNRing_N":"7","Unknown":"tone"}"#, true, Some("7")),
            (r#"{"AXNRing_N":"1","AXNRing_N":"2"}"#, true, Some("2")),
            ("{}", true, None),
            (r#"{"AXNRing_N":"../busy"}"#, true, None),
            (r#"{"AXNRing_N":""}"#, true, None),
            (r#"{"AXNRing_N":100000001}"#, false, None),
            (r#"{"AXNRing_N":"7","other":1}"#, false, Some("7")),
            (r#"{"AXNRing_N":["7"]}"#, false, None),
            ("[]", false, None),
            ("\"7\"", false, None),
            ("tones", false, None),
            ("", false, None),
            (&long, false, Some("7")),
        ] {
            let parsed = RingConfig::parse(text);
            assert_eq!(parsed.is_ok(), is_given, "{text}");
            // A journal holds the text alone, whoever wrote it; it comes back as it was.
            let journalled = serde_json::to_string(text).expect("a text");
            let read: RingConfig = serde_json::from_str(&journalled).expect("any text");
            assert_eq!(read.as_str(), text);
            assert_eq!(codes(&read, Product::Axn)[2].as_deref(), tone, "{text}");
            assert_eq!(serde_json::to_string(&read).expect("a text"), journalled);
            if let Ok(parsed) = parsed {
                assert_eq!(parsed, read);
            }
            assert_eq!(format!("{read:?}"), "RingConfig(***)");
        }
    }
}
