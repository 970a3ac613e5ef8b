//! The bindings in the quota of one account.

use std::collections::BTreeSet;

use crate::clock::Timestamp;
use crate::due::DueAt;
use crate::visits::visit;

/// Bindings by their places: over but not yet swept ones too.
#[derive(Debug, Clone, Default)]
pub(super) struct InQuota {
    /// Those that leave it by time, by when.
    leaving: BTreeSet<DueAt<Timestamp>>,
    /// How many never do so, as a carrier must let them go first: which, nobody asks.
    staying: usize,
}

impl InQuota {
    /// In the order of time.
    pub fn filled(places: Vec<(Timestamp, u32)>) -> Self {
        let leaving = places.partition_point(|&(moment, _)| moment < Timestamp::NEVER);
        let staying = places.len() - leaving;
        let leaving = places.into_iter().take(leaving);
        Self {
            leaving: leaving.map(|(moment, at)| DueAt::new(moment, at)).collect(),
            staying,
        }
    }

    pub fn insert(&mut self, leaves_at: Timestamp, at: u32) {
        match leaves_at {
            Timestamp::NEVER => self.staying += 1,
            moment => {
                self.leaving.insert(DueAt::new(moment, at));
            }
        }
    }

    /// Takes one out that was put in with this moment.
    pub fn remove(&mut self, leaves_at: Timestamp, at: u32) {
        match leaves_at {
            Timestamp::NEVER => self.staying = self.staying.saturating_sub(1),
            moment => {
                self.leaving.remove(&DueAt::new(moment, at));
            }
        }
    }

    pub fn len(&self) -> usize {
        self.leaving.len() + self.staying
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Those that are over at `now`, the earliest first.
    pub fn over(&self, now: Timestamp) -> impl Iterator<Item = u32> + use<'_> {
        self.leaving
            .range(..=DueAt::last_of(now))
            .inspect(|_| visit())
            .map(|due| due.at())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn leaves_at() -> impl Strategy<Value = Timestamp> {
        prop_oneof![(0..20_i64).prop_map(Timestamp), Just(Timestamp::NEVER)]
    }

    proptest! {
        #[test]
        fn it_is_as_a_sorted_set_is(
            steps in prop::collection::vec((any::<bool>(), 0..20_u32, leaves_at()), 1..200),
            now in 0..22_i64,
        ) {
            let (mut in_quota, mut plain) = (InQuota::default(), BTreeSet::new());
            for (adds, at, moment) in steps {
                if adds && plain.insert((moment, at)) {
                    in_quota.insert(moment, at);
                } else if !adds && plain.remove(&(moment, at)) {
                    in_quota.remove(moment, at);
                }
            }
            let filled = InQuota::filled(plain.iter().copied().collect());
            let over = plain.range(..=(Timestamp(now), u32::MAX)).map(|&(_, at)| at);
            let over: Vec<u32> = over.collect();
            for in_quota in [in_quota, filled] {
                prop_assert_eq!(in_quota.len(), plain.len());
                prop_assert_eq!(in_quota.over(Timestamp(now)).collect::<Vec<u32>>(), over.clone());
            }
        }
    }
}
