//! How many numbers of the stock can be bought, by partition, sort and prefix.

use hashbrown::HashTable;

use super::{NumberKind, hash_u64};
use crate::number::PhoneNumber;
use crate::visits::visit;

/// Numbers of a length are counted under their prefixes that are shorter by so many digits at least; under a longer
/// prefix there are at most a hundred of them.
pub(super) const UNCOUNTED_DIGITS: usize = 2;

/// Counts under the empty prefix, and under every prefix of a number that leaves more than [`UNCOUNTED_DIGITS`] of
/// its digits open. Dense stock costs a count for a thousand numbers, and spread stock at most one for each digit.
#[derive(Debug, Clone, Default)]
pub(super) struct StockCounts(HashTable<Counted>);

#[derive(Debug, Clone)]
struct Counted {
    key: Key,
    count: u32,
}

/// Partition, sort, and the packed prefix.
type Key = (u32, NumberKind, u64);

fn hash((partition, kind, prefix): Key) -> u64 {
    hash_u64(prefix ^ (u64::from(partition) << 2 | kind as u64).rotate_left(17))
}

/// The empty prefix, packed.
const EMPTY: u64 = 1;

impl StockCounts {
    /// How many numbers of a partition and a sort begin so, but for those that have at most [`UNCOUNTED_DIGITS`] more
    /// digits; without a prefix all of them.
    pub fn get(&self, partition: u32, kind: NumberKind, prefix: Option<PhoneNumber>) -> u32 {
        visit();
        let key = (partition, kind, prefix.map_or(EMPTY, PhoneNumber::packed));
        let found = self.0.find(hash(key), |counted| counted.key == key);
        found.map_or(0, |counted| counted.count)
    }

    pub fn add(&mut self, partition: u32, kind: NumberKind, x: PhoneNumber) {
        for prefix in prefixes(x) {
            let key = (partition, kind, prefix);
            self.0
                .entry(
                    hash(key),
                    |counted| counted.key == key,
                    |counted| hash(counted.key),
                )
                .or_insert(Counted { key, count: 0 })
                .get_mut()
                .count += 1;
        }
    }

    pub fn take(&mut self, partition: u32, kind: NumberKind, x: PhoneNumber) {
        for prefix in prefixes(x) {
            let key = (partition, kind, prefix);
            if let Ok(mut entry) = self.0.find_entry(hash(key), |counted| counted.key == key) {
                entry.get_mut().count -= 1;
                if entry.get().count == 0 {
                    entry.remove();
                }
            }
        }
    }
}

/// The packed prefixes under which a number is counted.
fn prefixes(x: PhoneNumber) -> impl Iterator<Item = u64> {
    let open = (UNCOUNTED_DIGITS + 1) as u32;
    let counted = (open..x.len() as u32).map(move |digits| x.packed() / 10_u64.pow(digits));
    std::iter::once(EMPTY).chain(counted)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_counts_under_its_prefixes_but_for_the_longest() {
        let prefixes = |digits| {
            let x = PhoneNumber::parse(digits).expect("digits");
            prefixes(x).collect::<Vec<u64>>()
        };
        assert_eq!(prefixes("170012"), [EMPTY, 1_170, 1_17, 1_1]);
        assert_eq!(prefixes("0170"), [EMPTY, 1_0]);
        assert_eq!(prefixes("170"), [EMPTY]);
        assert_eq!(prefixes("1"), [EMPTY]);
    }

    #[test]
    fn what_was_added_can_be_taken_until_nothing_is_left() {
        let mut counts = StockCounts::default();
        let numbers = ["17000000001", "17000000002", "17100000001"];
        let numbers = numbers.map(|digits| PhoneNumber::parse(digits).expect("digits"));
        for x in numbers {
            counts.add(1, NumberKind::Carrier, x);
        }
        let prefix = PhoneNumber::parse("170").ok();
        assert_eq!(counts.get(1, NumberKind::Carrier, prefix), 2);
        assert_eq!(counts.get(1, NumberKind::Carrier, None), 3);
        assert_eq!(counts.get(2, NumberKind::Carrier, None), 0);
        assert_eq!(counts.get(1, NumberKind::Service95, prefix), 0);
        for x in numbers {
            counts.take(1, NumberKind::Carrier, x);
        }
        assert!(counts.0.is_empty());
    }
}
