//! Which trunks a call may try, and in which order.

use std::cmp::Reverse;

use super::Trunk;
use super::fit::Outbound;
use super::weights::Weights;
use crate::chance::mix;

/// The most trunks that are tried for one call.
pub const TRUNKS_TRIED_MAX: usize = 4;

/// Those of the trunks, which come by name, by which this call may leave ([`Trunk::fit`]), in the order in which
/// it tries them: first those with the longest route to its callee; among these by priority, and within a priority
/// at random by weight, as RFC 2782 orders servers; then those without weight, by name. A call may so fall back from
/// a longer route to a shorter one, but to no trunk that may not show its X. Chance is in `seed` alone. Limits are
/// for [`Trunk::admits`] and health for [`to_try`], since neither is in the state.
pub fn candidates<'a>(
    trunks: impl Iterator<Item = &'a Trunk>,
    call: &Outbound<'_>,
    seed: u64,
) -> Vec<&'a Trunk> {
    let mut trunks: Vec<(usize, &Trunk)> = trunks
        .filter_map(|trunk| Some((trunk.fit(call).ok()?, trunk)))
        .collect();
    let rank = |(digits, trunk): &(usize, &Trunk)| (Reverse(*digits), trunk.priority);
    trunks.sort_by_key(rank);
    let mut ordered = Vec::with_capacity(trunks.len());
    let mut chance = seed;
    for peers in trunks.chunk_by(|one, other| rank(one) == rank(other)) {
        let weights = peers.iter().map(|(_, trunk)| u64::from(trunk.weight));
        let mut weights = Weights::new(weights);
        // Each has as many numbers below the total as it has weight.
        while weights.total() > 0 {
            chance = mix(chance);
            ordered.push(peers[weights.draw(chance % weights.total())].1);
        }
        let without = peers.iter().filter(|(_, trunk)| trunk.weight == 0);
        for (_, without) in without {
            chance = mix(chance);
            ordered.push(without);
        }
    }
    ordered
}

/// What is known of a candidate at the moment of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Candidate {
    /// Whether its codecs fit what the caller offers.
    pub fits: bool,
    /// Whether it takes one more call: [`Trunk::admits`].
    pub has_room: bool,
    /// Whether it answered when last asked; true where it is never asked.
    pub answers: bool,
}

/// Which of the candidates a call tries, in order; the first [`TRUNKS_TRIED_MAX`] of them. Those without room
/// are left out, and those that do not answer are tried when nobody else is left. One whose codecs do not fit
/// is passed over; where none fits all are tried, so that this is why the call fails.
pub fn to_try<T>(candidates: Vec<(T, Candidate)>) -> Vec<T> {
    let (fitting, others): (Vec<_>, Vec<_>) = candidates.into_iter().partition(|(_, it)| it.fits);
    let mut left = if fitting.is_empty() { others } else { fitting };
    left.retain(|(_, candidate)| candidate.has_room);
    left.sort_by_key(|(_, candidate)| !candidate.answers);
    left.truncate(TRUNKS_TRIED_MAX);
    left.into_iter().map(|(candidate, _)| candidate).collect()
}

/// What a trunk carries at this moment, counted by whoever carries calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Load {
    /// Calls on it, both directions.
    pub calls: u32,
    /// Calls sent to it within the last second.
    pub begun_last_s: u32,
}

impl Trunk {
    /// Whether one more call is taken from it. How many it is sent in a second says nothing of those that it
    /// sends.
    pub fn admits_from(&self, load: Load) -> bool {
        self.admits(Load {
            begun_last_s: 0,
            ..load
        })
    }

    /// Whether one more call may be sent to it: whether that keeps to the most at once, and to the most in a second.
    pub fn admits(&self, load: Load) -> bool {
        let is_below = |limit: Option<u32>, count| limit.is_none_or(|limit| count < limit);
        is_below(self.calls_max, load.calls) && is_below(self.calls_per_s_max, load.begun_last_s)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Event;
    use crate::number::PhoneNumber;
    use crate::pool::PoolKey;
    use crate::state::State;
    use crate::trunk::TrunkName;

    fn state(trunks: &[(&str, u16, u16, bool)]) -> State {
        let mut state = State::default();
        for &(name, priority, weight, enabled) in trunks {
            state.apply(&Event::TrunkSet(Box::new(Trunk {
                priority,
                weight,
                enabled,
                ..Trunk::new(TrunkName::new(name), "192.0.2.1:5060")
            })));
        }
        state
    }

    fn call(pool: &PoolKey) -> Outbound<'_> {
        Outbound {
            pool,
            carrier: None,
            callee: PhoneNumber::parse("13900000000").expect("digits"),
        }
    }

    fn names(state: &State, seed: u64) -> Vec<&str> {
        let pool = PoolKey::new("FC1");
        candidates(state.trunks(), &call(&pool), seed)
            .into_iter()
            .map(|trunk| trunk.name.as_str())
            .collect()
    }

    #[test]
    fn lower_priorities_come_first_and_disabled_trunks_not_at_all() {
        let state = state(&[
            ("backup", 10, 1, true),
            ("closed", 0, 1, false),
            ("main", 0, 1, true),
        ]);
        for seed in 0..100 {
            assert_eq!(names(&state, seed), ["main", "backup"]);
        }
    }

    #[test]
    fn a_trunk_that_only_brings_calls_is_never_called() {
        let mut state = state(&[("carrier", 0, 1, true)]);
        state.apply(&Event::TrunkSet(Box::new(Trunk {
            outgoing: false,
            ..Trunk::new(TrunkName::new("callers"), "192.0.2.2:5060")
        })));
        for seed in 0..100 {
            assert_eq!(names(&state, seed), ["carrier"]);
        }
    }

    #[test]
    fn weights_share_the_calls_out_and_everyone_is_a_candidate() {
        let state = state(&[
            ("large", 0, 3, true),
            ("small", 0, 1, true),
            ("spare", 0, 0, true),
        ]);
        let mut first = [0; 2];
        for seed in 0..10_000 {
            let order = names(&state, seed);
            assert_eq!(order.len(), 3);
            assert_eq!(
                order[2], "spare",
                "without weight, only when the others cannot"
            );
            first[usize::from(order[0] == "small")] += 1;
        }
        assert!((7_200..7_800).contains(&first[0]), "{first:?}");
        assert_eq!(names(&state, 7), names(&state, 7));
    }

    /// As the order is meant: a walk along all that are left, for each of them.
    fn walked<'a>(trunks: impl Iterator<Item = &'a Trunk>, seed: u64) -> Vec<&'a str> {
        let mut left: Vec<&Trunk> = trunks.filter(|trunk| trunk.enabled).collect();
        left.sort_by_key(|trunk| trunk.priority);
        let (mut ordered, mut chance) = (Vec::new(), seed);
        while let Some(first) = left.first() {
            let peers = left
                .iter()
                .take_while(|trunk| trunk.priority == first.priority);
            let total: u64 = peers.clone().map(|trunk| u64::from(trunk.weight)).sum();
            chance = mix(chance);
            let mut draw = chance.checked_rem(total);
            let drawn = peers.enumerate().find_map(|(place, trunk)| {
                draw = draw?.checked_sub(u64::from(trunk.weight));
                draw.is_none().then_some(place)
            });
            ordered.push(left.remove(drawn.unwrap_or(0)).name.as_str());
        }
        ordered
    }

    #[test]
    fn many_trunks_come_in_the_order_of_a_walk_along_all() {
        let names_of: Vec<String> = (0..60).map(|n| format!("trunk-{n:02}")).collect();
        for seed in 0..200 {
            let drawn = |n: usize, below: u64| (mix(mix(seed) ^ n as u64) % below) as u16;
            let trunks: Vec<_> = (names_of.iter().enumerate())
                .map(|(n, name)| (name.as_str(), drawn(n, 3), drawn(n + 99, 5), n % 9 != 0))
                .collect();
            let state = state(&trunks);
            assert_eq!(names(&state, seed), walked(state.trunks(), seed));
        }
    }

    #[test]
    fn without_weight_the_name_decides() {
        let state = state(&[("one", 0, 0, true), ("other", 0, 0, true)]);
        for seed in 0..100 {
            assert_eq!(names(&state, seed), ["one", "other"]);
        }
        assert!(names(&State::default(), 3).is_empty());
    }

    #[test]
    fn trunks_are_tried_that_fit_and_have_room_and_silent_ones_last() {
        // Each candidate: `c` where its codecs fit, `r` where it has room, `a` where it answers.
        let rows: [(&[&str], &[usize]); 14] = [
            (&[], &[]),
            (&["cra"], &[0]),
            (&["cra", "cra"], &[0, 1]),
            // One that does not answer is tried after the others, and alone.
            (&["cr", "cra"], &[1, 0]),
            (&["cr", "cra", "cr", "cra"], &[1, 3, 0, 2]),
            (&["cr"], &[0]),
            // A full one is not tried.
            (&["ca", "cra"], &[1]),
            (&["ca", "c"], &[]),
            // One that does not fit is passed over, even for one that does not answer.
            (&["ra", "cra"], &[1]),
            (&["ra", "cr"], &[1]),
            // Where those that fit are full, no other is tried.
            (&["ra", "ca"], &[]),
            // Where none fits they all are.
            (&["ra", "r", "a"], &[0, 1]),
            (&["cra"; 6], &[0, 1, 2, 3]),
            (&["cr", "cra", "cra", "cra", "cra"], &[1, 2, 3, 4]),
        ];
        for (candidates, expected) in rows {
            let candidate = |said: &&str| Candidate {
                fits: said.contains('c'),
                has_room: said.contains('r'),
                answers: said.contains('a'),
            };
            let known = candidates.iter().map(candidate);
            let tried = to_try(known.enumerate().collect());
            assert_eq!(tried, expected, "{candidates:?}");
        }
    }

    #[test]
    fn calls_that_a_trunk_sends_are_not_counted_by_the_second() {
        let trunk = Trunk {
            calls_max: Some(2),
            calls_per_s_max: Some(1),
            ..Trunk::new(TrunkName::new("t"), "192.0.2.1:5060")
        };
        let load = |calls| Load {
            calls,
            begun_last_s: 9,
        };
        assert!(trunk.admits_from(load(1)));
        assert!(!trunk.admits_from(load(2)));
    }

    #[test]
    fn limits_hold_at_their_number() {
        let trunk = Trunk {
            calls_max: Some(2),
            calls_per_s_max: Some(1),
            ..Trunk::new(TrunkName::new("t"), "192.0.2.1:5060")
        };
        let load = |calls, begun_last_s| Load {
            calls,
            begun_last_s,
        };
        assert!(trunk.admits(load(1, 0)));
        assert!(!trunk.admits(load(2, 0)), "calls at once");
        assert!(!trunk.admits(load(0, 1)), "calls in a second");
    }
}
