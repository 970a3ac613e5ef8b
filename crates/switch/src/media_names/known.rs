//! What is known of host names, for as long as it holds.

use crate::media::Unfit;
use maskline_domain::TrunkName;
use std::collections::BTreeMap;
use std::net::IpAddr;

/// The most names that are remembered.
const NAMES_MAX: usize = 512;
/// The most addresses of a name that are looked at.
const ADDRESSES_MAX: usize = 8;
/// How long addresses are believed at least and at most, whatever their records say, in milliseconds. At least
/// for long enough that the offers and answers of one call, and calls that come together, share a look-up. At
/// most for some minutes, less than the names of trunks (`trunk_names` of the server): no other address is tried
/// when media does not arrive, and to ask once in five minutes costs one call a little time.
const HOLDS_MIN_MS: u64 = 5_000;
const HOLDS_MAX_MS: u64 = 300_000;
/// How long it is believed that there are none, in milliseconds.
const NOTHING_MS: u64 = 5_000;

/// See the module.
#[derive(Default)]
pub struct KnownNames {
    names: BTreeMap<Box<str>, KnownName>,
    learnt: u64,
}

struct KnownName {
    /// None are there if there are none.
    addresses: Vec<IpAddr>,
    until_ms: u64,
    /// For whom it was looked up, and as the how manyth of all.
    trunk: TrunkName,
    order: u64,
}

impl KnownNames {
    /// The addresses of a name, or that it has none; none if that is not known now.
    pub fn get(&self, name: &str, now_ms: u64) -> Option<Result<Vec<IpAddr>, Unfit>> {
        let known = self
            .names
            .get(name)
            .filter(|known| now_ms < known.until_ms)?;
        Some(match known.addresses.is_empty() {
            true => Err(Unfit::NoSuchHost),
            false => Ok(known.addresses.clone()),
        })
    }

    /// A name has these addresses for so long; with none, there are none.
    pub fn learn(
        &mut self,
        name: &str,
        mut addresses: Vec<IpAddr>,
        holds_ms: u64,
        trunk: TrunkName,
        now_ms: u64,
    ) {
        addresses.truncate(ADDRESSES_MAX);
        let lasts = match addresses.is_empty() {
            true => NOTHING_MS,
            false => holds_ms.clamp(HOLDS_MIN_MS, HOLDS_MAX_MS),
        };
        if self.names.len() >= NAMES_MAX && !self.names.contains_key(name) {
            self.names.retain(|_, known| now_ms < known.until_ms);
        }
        if self.names.len() >= NAMES_MAX && !self.names.contains_key(name) {
            self.forget_one();
        }
        self.learnt += 1;
        let known = KnownName {
            addresses,
            until_ms: now_ms.saturating_add(lasts),
            trunk,
            order: self.learnt,
        };
        self.names.insert(name.into(), known);
    }

    /// Forgets the oldest name of the trunk that has most, so that nobody's many names cost others theirs.
    fn forget_one(&mut self) {
        let mut counts = BTreeMap::<&TrunkName, usize>::new();
        for known in self.names.values() {
            *counts.entry(&known.trunk).or_default() += 1;
        }
        let most = counts.into_iter().max_by_key(|(_, count)| *count);
        let of_most = |known: &KnownName| most.is_some_and(|(trunk, _)| known.trunk == *trunk);
        let names = self.names.iter().filter(|(_, known)| of_most(known));
        let oldest = names.min_by_key(|(_, known)| known.order);
        if let Some(name) = oldest.map(|(name, _)| name.clone()) {
            self.names.remove(&name);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addresses(n: u8) -> Vec<IpAddr> {
        (0..n).map(|n| IpAddr::from([192, 0, 2, n])).collect()
    }

    #[test]
    fn what_is_known_holds_as_its_records_say_within_bounds() {
        // What was found, for how long its records hold, and for how long it is believed.
        let rows = [
            (1, 0, HOLDS_MIN_MS),
            (1, 1_000, HOLDS_MIN_MS),
            (1, 5_000, 5_000),
            (1, 60_000, 60_000),
            (2, 300_000, 300_000),
            (1, 300_001, HOLDS_MAX_MS),
            (1, u64::MAX, HOLDS_MAX_MS),
            (0, 0, NOTHING_MS),
            (0, 60_000, NOTHING_MS),
            (40, 60_000, 60_000),
        ];
        for (found, holds_ms, lasts) in rows {
            let mut known = KnownNames::default();
            let trunk = TrunkName::new("a");
            known.learn("m.example", addresses(found), holds_ms, trunk, 7);
            let expected = match found {
                0 => Err(Unfit::NoSuchHost),
                _ => Ok(addresses(found.min(8))),
            };
            assert_eq!(known.get("m.example", 7), Some(expected.clone()));
            assert_eq!(known.get("m.example", 6 + lasts), Some(expected));
            assert_eq!(known.get("m.example", 7 + lasts), None, "{holds_ms}");
            assert_eq!(known.get("other.example", 7), None);
        }
    }

    #[test]
    fn many_names_of_one_trunk_cost_others_nothing() {
        let mut known = KnownNames::default();
        let (few, many) = (TrunkName::new("few"), TrunkName::new("many"));
        for n in 0..3 {
            known.learn(&format!("few{n}"), addresses(1), 300_000, few.clone(), n);
        }
        for n in 0..2_000 {
            known.learn(&format!("many{n}"), addresses(1), 300_000, many.clone(), n);
            assert!(known.names.len() <= NAMES_MAX);
        }
        for n in 0..3 {
            assert!(known.get(&format!("few{n}"), 2_000).is_some(), "{n}");
        }
        // The oldest of its own are gone.
        assert!(known.get("many1999", 2_000).is_some() && known.get("many0", 2_000).is_none());
        let least = 2_000 - (NAMES_MAX - 3);
        assert!(known.get(&format!("many{least}"), 2_000).is_some());
        assert!(known.get(&format!("many{}", least - 1), 2_000).is_none());
        // What holds no longer goes first.
        known.learn("few3", addresses(1), 300_000, few.clone(), 400_000);
        assert_eq!(known.names.len(), 1);
    }
}
