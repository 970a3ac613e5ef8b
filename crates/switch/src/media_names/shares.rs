//! Which host name is looked up next. Look-ups are few, and whoever has slow names would take them all: each trunk
//! has a share, and those that have none under way come in turn.

use maskline_domain::TrunkName;
use std::collections::{BTreeMap, VecDeque};
use std::ops::Bound;

/// The most look-ups at once.
pub const AT_ONCE_MAX: usize = 8;
/// And of them for one trunk.
pub const SHARE_MAX: usize = 2;
/// The most names of one trunk that wait for their turn.
pub const QUEUED_MAX: usize = 32;
/// The longest that one look-up may take, in milliseconds. Whoever carries look-ups out waits no longer.
pub const LOOKUP_MS: u64 = 2_000;

/// Too many names of the trunk wait already.
#[derive(Debug, PartialEq, Eq)]
pub struct TooMany;

/// See the module. A name is looked up once, whoever asked for it.
#[derive(Default)]
pub struct Shares {
    /// The names of each trunk that wait, the oldest first. No queue is empty.
    queued: BTreeMap<TrunkName, VecDeque<Box<str>>>,
    /// What is looked up: for whom, and until when.
    running: BTreeMap<Box<str>, (TrunkName, u64)>,
    /// Whose turn was last.
    last: Option<TrunkName>,
}

impl Shares {
    /// A trunk needs this name. It waits for its turn, unless the name is looked up already; a name that
    /// another trunk waits for stands in both queues, so that nobody waits for another one's turn.
    ///
    /// # Errors
    /// When too many names of this trunk wait.
    pub fn ask(&mut self, trunk: &TrunkName, name: &str) -> Result<(), TooMany> {
        if self.running.contains_key(name) {
            return Ok(());
        }
        let Some(queue) = self.queued.get_mut(trunk) else {
            self.queued.insert(trunk.clone(), [name.into()].into());
            return Ok(());
        };
        let is_there = queue.iter().any(|queued| **queued == *name);
        if !is_there && queue.len() >= QUEUED_MAX {
            return Err(TooMany);
        }
        if !is_there {
            queue.push_back(name.into());
        }
        Ok(())
    }

    /// Begins the next look-up, if there is one and room for it.
    pub fn begin(&mut self, now_ms: u64) -> Option<Box<str>> {
        if self.running.len() >= AT_ONCE_MAX {
            return None;
        }
        let trunk = self.whose_turn()?.clone();
        let name = self.queued.get(&trunk)?.front()?.clone();
        self.retain(|_, queued| queued != &*name);
        let until_ms = now_ms.saturating_add(LOOKUP_MS);
        self.running.insert(name.clone(), (trunk.clone(), until_ms));
        self.last = Some(trunk);
        Some(name)
    }

    /// The next trunk after the last one that waits and has not used up its share.
    fn whose_turn(&self) -> Option<&TrunkName> {
        let last = self.last.as_ref();
        let after = last.map_or(Bound::Unbounded, Bound::Excluded);
        let up_to = last.map_or(Bound::Unbounded, Bound::Included);
        let later = self.queued.range::<TrunkName, _>((after, Bound::Unbounded));
        let mut waiting = later.chain(self.queued.range::<TrunkName, _>((Bound::Unbounded, up_to)));
        let has_room = |trunk: &TrunkName| {
            let running = self.running.values();
            running.filter(|(whose, _)| whose == trunk).count() < SHARE_MAX
        };
        waiting
            .find(|(trunk, _)| has_room(trunk))
            .map(|(trunk, _)| trunk)
    }

    /// A look-up has come to its end; for whom it was, none if it was not under way.
    pub fn end(&mut self, name: &str) -> Option<TrunkName> {
        self.running.remove(name).map(|(trunk, _)| trunk)
    }

    /// When the first look-up has lasted too long.
    pub fn deadline(&self) -> Option<u64> {
        self.running.values().map(|(_, until_ms)| *until_ms).min()
    }

    /// What has been looked up for too long.
    pub fn overdue(&self, now_ms: u64) -> Vec<Box<str>> {
        let running = self.running.iter();
        running
            .filter(|(_, (_, until_ms))| *until_ms <= now_ms)
            .map(|(name, _)| name.clone())
            .collect()
    }

    /// Keeps of what waits for its turn only what is wanted.
    pub fn retain(&mut self, is_wanted: impl Fn(&TrunkName, &str) -> bool) {
        self.queued.retain(|trunk, queue| {
            queue.retain(|name| is_wanted(trunk, name));
            !queue.is_empty()
        });
    }

    /// Whether nothing waits and nothing is looked up.
    pub fn is_idle(&self) -> bool {
        self.queued.is_empty() && self.running.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trunk(name: &str) -> TrunkName {
        TrunkName::new(name)
    }

    /// Begins all that can begin.
    fn begin_all(shares: &mut Shares, now_ms: u64) -> Vec<String> {
        std::iter::from_fn(|| shares.begin(now_ms))
            .map(String::from)
            .collect()
    }

    #[test]
    fn look_ups_are_shared_among_trunks() {
        // Who asks for how many names, in this order; what begins at once; what begins when all that has
        // begun has ended.
        type Row<'a> = (&'a [(&'a str, usize)], &'a [&'a str], &'a [&'a str]);
        let rows: [Row<'_>; 11] = [
            (&[], &[], &[]),
            (&[("a", 1)], &["a0"], &[]),
            (&[("a", 2)], &["a0", "a1"], &[]),
            (&[("a", 5)], &["a0", "a1"], &["a2", "a3"]),
            (&[("a", 40)], &["a0", "a1"], &["a2", "a3"]),
            (&[("a", 40), ("b", 1)], &["a0", "b0", "a1"], &["a2", "a3"]),
            (
                &[("b", 3), ("a", 3)],
                &["a0", "b0", "a1", "b1"],
                &["a2", "b2"],
            ),
            (
                &[("a", 3), ("b", 3), ("c", 3)],
                &["a0", "b0", "c0", "a1", "b1", "c1"],
                &["a2", "b2", "c2"],
            ),
            (
                &[("a", 40), ("b", 40), ("c", 40), ("d", 40)],
                &["a0", "b0", "c0", "d0", "a1", "b1", "c1", "d1"],
                &["a2", "b2", "c2", "d2", "a3", "b3", "c3", "d3"],
            ),
            (
                &[("a", 40), ("b", 40), ("c", 40), ("d", 40), ("e", 1)],
                &["a0", "b0", "c0", "d0", "e0", "a1", "b1", "c1"],
                &["d1", "a2", "b2", "c2", "d2", "a3", "b3", "c3"],
            ),
            (
                &[
                    ("a", 1),
                    ("b", 1),
                    ("c", 1),
                    ("d", 1),
                    ("e", 1),
                    ("f", 1),
                    ("g", 1),
                    ("h", 1),
                    ("i", 1),
                ],
                &["a0", "b0", "c0", "d0", "e0", "f0", "g0", "h0"],
                &["i0"],
            ),
        ];
        for (asked, first, second) in rows {
            let mut shares = Shares::default();
            for (who, names) in asked {
                for n in 0..*names {
                    let taken = shares.ask(&trunk(who), &format!("{who}{n}"));
                    assert_eq!(taken.is_ok(), n < QUEUED_MAX, "{asked:?}");
                }
            }
            let begun = begin_all(&mut shares, 0);
            assert_eq!(begun, first, "{asked:?}");
            for name in begun {
                assert!(shares.end(&name).is_some());
            }
            assert_eq!(begin_all(&mut shares, 0), second, "{asked:?}");
        }
    }

    #[test]
    fn one_more_trunk_is_next_while_all_look_ups_are_under_way() {
        let mut shares = Shares::default();
        for who in ["a", "b", "c", "d"] {
            for n in 0..10 {
                assert_eq!(shares.ask(&trunk(who), &format!("{who}{n}")), Ok(()));
            }
        }
        assert_eq!(begin_all(&mut shares, 0).len(), AT_ONCE_MAX);
        assert_eq!(shares.ask(&trunk("late"), "late0"), Ok(()));
        assert_eq!(shares.begin(10), None);
        // Whichever ends first.
        assert_eq!(shares.end("b1"), Some(trunk("b")));
        assert_eq!(shares.begin(20).as_deref(), Some("late0"));
        assert_eq!(shares.end("late1"), None);
    }

    #[test]
    fn a_name_is_looked_up_once_whoever_asked() {
        let mut shares = Shares::default();
        // Behind many of one trunk, and the first of another.
        for n in 0..20 {
            assert_eq!(shares.ask(&trunk("a"), &format!("a{n}")), Ok(()));
        }
        assert_eq!(shares.ask(&trunk("a"), "both"), Ok(()));
        assert_eq!(shares.ask(&trunk("b"), "both"), Ok(()));
        assert_eq!(begin_all(&mut shares, 0), ["a0", "both", "a1"]);
        // While it is looked up it needs no place, even in a queue that is full.
        for n in 20..40 {
            let _ = shares.ask(&trunk("a"), &format!("a{n}"));
        }
        assert_eq!(shares.ask(&trunk("a"), "one more"), Err(TooMany));
        assert_eq!(shares.ask(&trunk("a"), "both"), Ok(()));
        // One that waits is not there twice.
        assert_eq!(shares.ask(&trunk("a"), "a5"), Ok(()));
        assert_eq!(shares.end("both"), Some(trunk("b")));
        assert_eq!(shares.begin(0), None);
        assert_eq!(shares.end("a0").zip(shares.end("a1")).map(|_| ()), Some(()));
        let mut seen = Vec::new();
        while let Some(name) = shares.begin(0) {
            assert!(!seen.contains(&name), "{name} again");
            shares.end(&name);
            seen.push(name);
        }
        assert_eq!(seen.len(), QUEUED_MAX);
        assert!(shares.is_idle());
    }

    #[test]
    fn a_look_up_that_nobody_answers_frees_its_place() {
        let mut shares = Shares::default();
        for n in 0..4 {
            assert_eq!(shares.ask(&trunk("a"), &format!("a{n}")), Ok(()));
        }
        assert_eq!(shares.begin(100).as_deref(), Some("a0"));
        assert_eq!(shares.begin(300).as_deref(), Some("a1"));
        assert_eq!(shares.begin(400), None);
        assert_eq!(shares.deadline(), Some(100 + LOOKUP_MS));
        assert!(shares.overdue(99 + LOOKUP_MS).is_empty());
        assert_eq!(shares.overdue(100 + LOOKUP_MS), ["a0".into()]);
        shares.end("a0");
        // What nobody wants any more has no turn.
        shares.retain(|_, name| name != "a2");
        assert_eq!(shares.begin(100 + LOOKUP_MS).as_deref(), Some("a3"));
        assert_eq!(shares.begin(100 + LOOKUP_MS), None);
    }

    /// Whatever is asked and answered in whatever order, the bounds hold and every name has its turn.
    #[test]
    fn bounds_hold_and_every_name_has_its_turn() {
        for seed in 1..200_u64 {
            let mut state = seed;
            let mut chance = |below: u64| {
                state = state
                    .wrapping_mul(6_364_136_223_846_793_005)
                    .wrapping_add(1);
                (state >> 33) % below
            };
            let mut shares = Shares::default();
            let (mut under_way, mut asked) = (Vec::<Box<str>>::new(), 0_usize);
            for now_ms in 0..300 {
                match chance(3) {
                    0 => {
                        let who = trunk(&chance(5).to_string());
                        asked += usize::from(shares.ask(&who, &format!("n{}", chance(60))).is_ok());
                    }
                    1 if !under_way.is_empty() => {
                        let place = chance(under_way.len() as u64) as usize;
                        assert!(shares.end(&under_way.swap_remove(place)).is_some());
                    }
                    _ => under_way.extend(shares.begin(now_ms)),
                }
                let distinct: std::collections::BTreeSet<_> = under_way.iter().collect();
                assert_eq!(distinct.len(), under_way.len());
                assert!(under_way.len() <= AT_ONCE_MAX);
                for who in 0..5 {
                    let whose = trunk(&who.to_string());
                    let running = shares.running.values().filter(|(who, _)| *who == whose);
                    assert!(running.count() <= SHARE_MAX);
                }
            }
            assert!(asked > 0);
            for _ in 0..400 {
                under_way.extend(shares.begin(300));
                under_way.drain(..).for_each(|name| {
                    shares.end(&name);
                });
            }
            assert!(shares.is_idle());
        }
    }
}
