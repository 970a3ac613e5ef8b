//! A pool in a document, and how it becomes one of the state.

use std::fmt;
use std::str::FromStr;

use serde::de::Visitor;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use maskline_domain::pool::{CityMatch, Pick};
use maskline_domain::retention::Keep;
use maskline_domain::{AccountId, CarrierName, Pool, PoolKey, Product, ToneCode};

use super::take;

/// A pool that should be there.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WantedPool {
    /// Its key.
    pub key: String,
    /// The account; needed for a new pool, and never changes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub account: Option<String>,
    /// The product; needed for a new pool, and never changes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub product: Option<Product>,
    /// Whether it serves requests; a new pool does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub open: Option<bool>,
    /// What happens when no number of the wanted city is free; a new pool is loose.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub city_match: Option<CityMatch>,
    /// Which free number is taken; a new pool takes any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pick: Option<Pick>,
    /// Whether A dialling X reaches the default B; in a new pool it does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub a_call_back: Option<bool>,
    /// How long an X rests after a binding, in seconds; 0 in a new pool.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cooling_s: Option<u32>,
    /// How many bindings one X may carry, where the product shares numbers; 200 in a new pool.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pairs_max: Option<u32>,
    /// Whether a repeated bind with the same OutOrderId returns the same binding; not in a new pool.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub same_out_order_returns: Option<bool>,
    /// Ring time where a binding names none, in seconds; 60 in a new pool.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ring_timeout_s: Option<u16>,
    /// The name by which programs without PoolKeys call it; an empty text takes it away.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub legacy_type: Option<String>,
    /// The ring tone for A who dials X, where a binding names none; an empty text takes it away.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ring_tone_a: Option<String>,
    /// The same where there is nobody to connect A to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ring_tone_a_alone: Option<String>,
    /// The same for the other side: B, or whoever dials X.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ring_tone_other: Option<String>,
    /// The carrier whose its numbers are; an empty text takes it away.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub carrier: Option<String>,
    /// For how long what is kept of its bindings and calls is kept, where that differs from the settings.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retention: Option<WantedTerms>,
}

/// What a pool says of its own about how long records are kept. What is not said stays as it is.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WantedTerms {
    /// The history of bindings, once they have ended; an empty text leaves it to the settings.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bindings: Option<OwnKeep>,
    /// The same of call records.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub calls: Option<OwnKeep>,
    /// The same of recordings.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub recordings: Option<OwnKeep>,
}

/// A time of a pool's own; none, written as an empty text, takes it away.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct OwnKeep(pub Option<Keep>);

impl FromStr for OwnKeep {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "" => Ok(Self(None)),
            text => text.parse().map(|keep| Self(Some(keep))),
        }
    }
}

impl Serialize for OwnKeep {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            None => serializer.serialize_str(""),
            Some(keep) => keep.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for OwnKeep {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(OwnKeepVisitor)
    }
}

struct OwnKeepVisitor;

impl Visitor<'_> for OwnKeepVisitor {
    type Value = OwnKeep;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a time such as \"200d\", \"3y\", \"forever\" or \"none\"")
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<OwnKeep, E> {
        text.parse().map_err(E::custom)
    }

    /// A bare number is refused in the words of every other one.
    fn visit_i64<E: serde::de::Error>(self, number: i64) -> Result<OwnKeep, E> {
        self.visit_str(&number.to_string())
    }

    fn visit_u64<E: serde::de::Error>(self, number: u64) -> Result<OwnKeep, E> {
        self.visit_str(&number.to_string())
    }
}

impl WantedPool {
    /// A pool of which nothing but the key is said.
    pub fn keyed(key: &str) -> Self {
        Self {
            key: key.to_owned(),
            account: None,
            product: None,
            open: None,
            city_match: None,
            pick: None,
            a_call_back: None,
            cooling_s: None,
            pairs_max: None,
            same_out_order_returns: None,
            ring_timeout_s: None,
            legacy_type: None,
            ring_tone_a: None,
            ring_tone_a_alone: None,
            ring_tone_other: None,
            carrier: None,
            retention: None,
        }
    }

    /// The pool as it should be, given how it is.
    ///
    /// # Errors
    /// What a new pool lacks, or what cannot be a ring tone.
    pub fn over(&self, before: Option<&Pool>) -> Result<Pool, &'static str> {
        let mut pool = match (before, &self.account, self.product) {
            (Some(pool), ..) => pool.clone(),
            (None, Some(account), Some(product)) => {
                Pool::new(PoolKey::new(&self.key), AccountId::new(account), product)
            }
            (None, None, _) => return Err("it is not there, and a new pool needs an account"),
            (None, _, None) => return Err("it is not there, and a new pool needs a product"),
        };
        if let Some(account) = &self.account {
            pool.account = AccountId::new(account);
        }
        take(&mut pool.product, self.product);
        take(&mut pool.open, self.open);
        take(&mut pool.city_match, self.city_match);
        take(&mut pool.pick, self.pick);
        take(&mut pool.a_call_back, self.a_call_back);
        take(&mut pool.cooling_s, self.cooling_s);
        take(&mut pool.pairs_max, self.pairs_max);
        take(
            &mut pool.same_out_order_returns,
            self.same_out_order_returns,
        );
        take(&mut pool.ring_timeout_s, self.ring_timeout_s);
        if let Some(name) = &self.legacy_type {
            pool.legacy_type = (!name.is_empty()).then(|| name.clone());
        }
        take_tone(&mut pool.ring_tones.a, self.ring_tone_a.as_deref())?;
        take_tone(
            &mut pool.ring_tones.a_alone,
            self.ring_tone_a_alone.as_deref(),
        )?;
        take_tone(&mut pool.ring_tones.other, self.ring_tone_other.as_deref())?;
        if let Some(carrier) = &self.carrier {
            pool.carrier = (!carrier.is_empty()).then(|| CarrierName::new(carrier));
        }
        if let Some(retention) = &self.retention {
            let own = |wanted: Option<OwnKeep>| wanted.map(|own| own.0);
            take(&mut pool.retention.bindings, own(retention.bindings));
            take(&mut pool.retention.calls, own(retention.calls));
            take(&mut pool.retention.recordings, own(retention.recordings));
        }
        Ok(pool)
    }
}

fn take_tone(tone: &mut Option<ToneCode>, wanted: Option<&str>) -> Result<(), &'static str> {
    *tone = match wanted {
        None => *tone,
        Some("") => None,
        Some(code) => Some(ToneCode::parse(code).ok_or("a ring tone has 1 to 18 digits")?),
    };
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use maskline_domain::RingTones;

    #[test]
    fn a_new_pool_needs_an_account_and_a_product() {
        let mut wanted = WantedPool::keyed("FC1");
        assert!(wanted.over(None).unwrap_err().contains("account"));
        wanted.account = Some("acme".into());
        assert!(wanted.over(None).unwrap_err().contains("product"));
        wanted.product = Some(Product::Axn);
        wanted.legacy_type = Some("AXN_170".into());
        let pool = wanted.over(None).unwrap();
        assert_eq!(pool.legacy_type.as_deref(), Some("AXN_170"));
        wanted.legacy_type = Some(String::new());
        assert_eq!(wanted.over(Some(&pool)).unwrap().legacy_type, None);
    }

    #[test]
    fn a_carrier_stays_and_is_taken_away_by_an_empty_text() {
        let mut wanted = WantedPool::keyed("FC1");
        (wanted.account, wanted.product) = (Some("acme".into()), Some(Product::Axn));
        wanted.carrier = Some("unicom".into());
        let named = wanted.over(None).unwrap();
        assert_eq!(named.carrier, Some(CarrierName::new("unicom")));
        wanted.carrier = None;
        assert_eq!(wanted.over(Some(&named)).unwrap(), named);
        wanted.carrier = Some(String::new());
        assert_eq!(wanted.over(Some(&named)).unwrap().carrier, None);
    }

    #[test]
    fn a_time_to_keep_records_stays_and_is_left_to_the_settings_by_an_empty_text() {
        let mut wanted = WantedPool::keyed("FC1");
        (wanted.account, wanted.product) = (Some("acme".into()), Some(Product::Axn));
        let said = |text: &str| serde_json::from_str::<WantedTerms>(text);
        wanted.retention = said(r#"{"calls": "90d", "bindings": "none"}"#).ok();
        let pool = wanted.over(None).unwrap();
        assert_eq!(pool.retention.calls, Some(Keep::Days(90)));
        assert_eq!(pool.retention.bindings, Some(Keep::None));
        wanted.retention = said(r#"{"calls": ""}"#).ok();
        let pool = wanted.over(Some(&pool)).unwrap();
        assert_eq!(pool.retention.calls, None);
        assert_eq!(pool.retention.bindings, Some(Keep::None));
        for text in [r#"{"calls": 90}"#, r#"{"calls": "90"}"#] {
            let told = said(text).expect_err(text).to_string();
            assert!(told.contains("a bare number"), "{told}");
        }
    }

    #[test]
    fn a_ring_tone_is_a_code_stays_and_is_taken_away_by_an_empty_text() {
        let mut wanted = WantedPool::keyed("FC1");
        (wanted.account, wanted.product) = (Some("acme".into()), Some(Product::Axn));
        wanted.ring_tone_other = Some("100000001".into());
        let pool = wanted.over(None).unwrap();
        assert_eq!(pool.ring_tones.other, ToneCode::parse("100000001"));
        wanted.ring_tone_other = None;
        let pool = wanted.over(Some(&pool)).unwrap();
        assert_eq!(pool.ring_tones.other, ToneCode::parse("100000001"));
        wanted.ring_tone_other = Some(String::new());
        let pool = wanted.over(Some(&pool)).unwrap();
        assert_eq!(pool.ring_tones, RingTones::default());
        wanted.ring_tone_other = Some("a waltz".into());
        assert!(wanted.over(Some(&pool)).is_err());
    }
}
