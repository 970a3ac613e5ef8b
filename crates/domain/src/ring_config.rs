//! `RingConfig` of a binding, as far as calls need it: which scene has which ring tone.
//!
//! The text is kept as the customer gave it, since its codes may name tones that are not there yet.

use crate::{Product, RingTones, ToneCode};
use serde_json::{Map, Value};

/// The tones that a RingConfig names for a product; none for scenes that it does not name, or names
/// with something that cannot be a code, which falls back to the pool's tone.
///
/// ```text
/// {"AXNRing_N":"100000001","AXNRing_A":"100000001"}
/// ```
pub fn ring_tones(product: Product, config: &str) -> RingTones {
    let members = serde_json::from_str::<Map<String, Value>>(config).unwrap_or_default();
    let tone = |key: &str| ToneCode::parse(members.get(key)?.as_str()?);
    match product {
        Product::Axn => RingTones {
            a: tone("AXNRing_AB"),
            a_alone: tone("AXNRing_A"),
            other: tone("AXNRing_N"),
        },
        Product::Axb => RingTones {
            a: tone("AXBRing_A"),
            a_alone: None,
            other: tone("AXBRing_B"),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_scene_of_a_product_has_its_key() {
        let config =
            r#"{"AXNRing_AB":"1","AXNRing_A":"2","AXNRing_N":"3","AXBRing_A":"4","AXBRing_B":"5"}"#;
        let codes = |tones: RingTones| {
            [tones.a, tones.a_alone, tones.other].map(|tone| tone.map(|code| code.to_string()))
        };
        let some = |text: &str| Some(text.to_owned());
        assert_eq!(
            codes(ring_tones(Product::Axn, config)),
            [some("1"), some("2"), some("3")]
        );
        assert_eq!(
            codes(ring_tones(Product::Axb, config)),
            [some("4"), None, some("5")]
        );
    }

    #[test]
    fn what_is_no_code_names_no_tone() {
        for config in [
            "",
            "[]",
            r#"{"AXNRing_N":"../busy"}"#,
            r#"{"AXNRing_N":100000001}"#,
            r#"{"AXNRing_N":""}"#,
        ] {
            assert_eq!(ring_tones(Product::Axn, config), RingTones::default());
        }
    }
}
