//! Pools: a customer's stock of X numbers, and how it is used.

use serde::{Deserialize, Serialize};

use crate::account::{AccountId, name_type};
use crate::carrier::CarrierName;
use crate::product::{PAIRS_MAX, Product};
use crate::retention::PoolTerms;
use crate::tone::RingTones;
use std::fmt;

name_type!(
    /// The key of a pool: `FC` and hexadecimal digits, of which the vendor's keys have letters too.
    PoolKey
);

impl PoolKey {
    /// Whether the text has the form `FC` + 1 to 30 hexadecimal digits, in either case. Keys that differ
    /// in case are different keys.
    pub fn is_well_formed(&self) -> bool {
        self.as_str().strip_prefix("FC").is_some_and(|digits| {
            (1..=30).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_hexdigit())
        })
    }
}

/// A stock of X numbers of one product, owned by one account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pool {
    /// Its key, unique in the whole installation.
    pub key: PoolKey,
    /// The account that owns it.
    pub account: AccountId,
    /// The one product that its bindings have.
    pub product: Product,
    /// A closed pool serves no request; calls on its bindings go on.
    pub open: bool,
    /// What happens when no number of the wanted city is free.
    pub city_match: CityMatch,
    /// Which of the free numbers is taken.
    pub pick: Pick,
    /// Whether A dialling X reaches the default B (A号码回拨模式).
    pub a_call_back: bool,
    /// Seconds that an X rests after its last binding ended, before it is
    /// given out again.
    pub cooling_s: u32,
    /// How many bindings one X may carry at once, where the product shares
    /// numbers.
    pub pairs_max: u32,
    /// Whether a bind that repeats the OutOrderId and the parameters of a
    /// live binding returns that binding. The vendor promises nothing, so the
    /// default is off.
    pub same_out_order_returns: bool,
    /// Ring time in seconds where a binding names none.
    pub ring_timeout_s: u16,
    /// The name by which accounts without PoolKeys call it (NoType and
    /// ProductType, such as `AXN_170`).
    pub legacy_type: Option<String>,
    /// What a caller hears of us while it rings, where a binding names no tone that is there.
    #[serde(default)]
    pub ring_tones: RingTones,
    /// Whose its numbers are: a carrier that is told of their bindings, and whose trunks may show them. None: nobody
    /// is told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub carrier: Option<CarrierName>,
    /// For how long what is kept of its bindings and calls is kept, where that differs from the settings.
    #[serde(default, skip_serializing_if = "PoolTerms::is_usual")]
    pub retention: PoolTerms,
}

impl Pool {
    /// An open pool with the defaults of a new one.
    pub fn new(key: PoolKey, account: AccountId, product: Product) -> Self {
        Self {
            key,
            account,
            product,
            open: true,
            city_match: CityMatch::Loose,
            pick: Pick::Random,
            a_call_back: true,
            cooling_s: 0,
            pairs_max: PAIRS_MAX,
            same_out_order_returns: false,
            ring_timeout_s: 60,
            legacy_type: None,
            ring_tones: RingTones::default(),
            carrier: None,
            retention: PoolTerms::default(),
        }
    }

    /// The oldest reader of a journal that does not overlook what is said of it.
    pub fn oldest_reader(&self) -> u32 {
        match self.carrier {
            // Who overlooks it deletes too early, or too late.
            _ if !self.retention.is_usual() => 8,
            Some(_) => 5,
            None => 1,
        }
    }
}

/// What a pool does when no number of the wanted city is free (vendor's pool
/// setting "Number X Assignment Mode").
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CityMatch {
    /// Takes a number of any other city.
    #[default]
    Loose,
    /// Refuses.
    Strict,
}

/// Which of the free numbers a pool gives out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Pick {
    /// Any, at random, as the vendor says it does.
    #[default]
    Random,
    /// The one that has been idle longest.
    LongestIdle,
}

/// How a request names its pool.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PoolRef {
    /// By its key.
    Key(PoolKey),
    /// By the account's number type (NoType, ProductType), such as `AXN_170`.
    LegacyType(Box<str>),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_fc_and_hexadecimal_digits() {
        let longest = format!("FC{}", "0".repeat(30));
        for text in [
            "FC1",
            "FC12345",
            "FC2a57ee",
            "FCABCDEF",
            "FC100000038a5F",
            &longest,
        ] {
            assert!(PoolKey::new(text).is_well_formed(), "{text}");
        }
        let too_long = format!("FC{}", "0".repeat(31));
        for text in [
            "", "FC", "12345", "fc12345", "FC12g", "FC 1", "FC-1", "FC１", &too_long,
        ] {
            assert!(!PoolKey::new(text).is_well_formed(), "{text}");
        }
    }
}
