//! The numbers in the order of their digits: where one stands, and from which one a list begins.
//!
//! An entry costs six bytes and what its leaf leaves unused: nothing where numbers come in their order, as they do
//! from a snapshot or with an import of a range, and at most as much again where they come in any.

use super::At;

/// The most entries of a leaf. Who changes one moves at most so many, 768 bytes.
const LEAF_MAX: usize = 128;
/// The most leaves of a group. Who adds or removes one moves at most so many places, 8 kB, and as many groups.
const GROUP_MAX: usize = 512;
/// So many entries are compared at once.
const LANES: usize = 16;

/// Positions in leaves, leaves in groups, each by the lowest key that it may hold. None is empty; every key of one
/// lies below the one under which the next stands. Keys are packed digits and are unique; `key_of` gives the key of a
/// position that is in here.
#[derive(Debug, Clone, Default)]
pub(super) struct ByDigits {
    lowest: Vec<u64>,
    groups: Vec<Group>,
}

#[derive(Debug, Clone, Default)]
struct Group {
    lowest: Vec<u64>,
    #[expect(
        clippy::vec_box,
        reason = "who adds a leaf moves the places of others, not the leaves"
    )]
    leaves: Vec<Box<Leaf>>,
}

/// Entries in the order of their keys. Of each key the leaf has the low 16 bits; where all keys are near, these tell
/// the whole key, so that nothing is read beside the leaf.
#[derive(Debug, Clone)]
struct Leaf {
    /// The lowest key that it may hold.
    base: u64,
    len: u8,
    /// Whether it may have a key that is 2^16 or more above its base.
    is_wide: bool,
    lows: [u16; LEAF_MAX],
    places: [At; LEAF_MAX],
}

impl ByDigits {
    pub fn find(&self, key: u64, key_of: impl Fn(At) -> u64) -> Option<At> {
        let (g, l) = self.locate(key)?;
        let group = &self.groups[g];
        let (leaf, base) = (&group.leaves[l], group.lowest[l]);
        // Numbers are handed out in ranges: mostly all from the base on are there. Where that would be is told without
        // a look at the leaf, so that all of it is read at once.
        let dense = (key - base) as usize;
        if dense < LEAF_MAX {
            let (low, at) = (leaf.lows[dense], leaf.places[dense]);
            if low == self::low(key) && dense < leaf.len() && !leaf.is_wide {
                return Some(at);
            }
        }
        Some(leaf.places[leaf.find(key, key_of)?])
    }

    /// Adds a key that is not in here.
    pub fn insert(&mut self, key: u64, at: At, key_of: impl Fn(At) -> u64) {
        let Some((g, l)) = self.locate(key) else {
            return self.insert_below_all(key, at, key_of);
        };
        let leaf = &mut self.groups[g].leaves[l];
        let place = leaf.position(key, &key_of);
        if leaf.len() < LEAF_MAX {
            leaf.insert(place, key, at);
        } else if place == LEAF_MAX {
            // A full leaf stays so: what comes in order leaves no room unused.
            self.insert_leaf(g, l + 1, Leaf::of(key, at));
        } else {
            let mut upper = leaf.split(&key_of);
            match place.checked_sub(leaf.len()) {
                Some(place) if place > 0 => upper.insert(place, key, at),
                _ => leaf.insert(place, key, at),
            }
            self.insert_leaf(g, l + 1, upper);
        }
    }

    /// Takes a key out.
    pub fn remove(&mut self, key: u64, key_of: impl Fn(At) -> u64) {
        let Some((g, l)) = self.locate(key) else {
            return;
        };
        let group = &mut self.groups[g];
        let leaf = &mut group.leaves[l];
        let Some(place) = leaf.find(key, &key_of) else {
            return;
        };
        leaf.remove(place);
        let few = leaf.len();
        if few > LEAF_MAX / 4 {
            return;
        }
        let (before, from) = group.leaves.split_at_mut(l);
        match before.last_mut() {
            _ if few == 0 => {}
            Some(before) if before.len() + few <= LEAF_MAX / 2 => before.append(&from[0], &key_of),
            _ => return,
        }
        group.lowest.remove(l);
        group.leaves.remove(l);
        self.tidy_group(g);
    }

    /// Notes that the number of this key has moved.
    pub fn replace(&mut self, key: u64, at: At, key_of: impl Fn(At) -> u64) {
        let Some((group, leaf)) = self.locate(key) else {
            return;
        };
        let leaf = &mut self.groups[group].leaves[leaf];
        if let Some(place) = leaf.find(key, key_of) {
            leaf.places[place] = at;
        }
    }

    /// All positions, in the order of their keys.
    pub fn iter(&self) -> impl Iterator<Item = At> + '_ {
        let leaves = self.groups.iter().flat_map(|group| &group.leaves);
        leaves.flat_map(|leaf| leaf.places()).copied()
    }

    /// The positions from this key on, in the order of their keys; it need not be in here.
    pub fn from(&self, key: u64, key_of: impl Fn(At) -> u64) -> impl Iterator<Item = At> + '_ {
        let found = self.locate(key);
        let (g, l) = found.unwrap_or((0, 0));
        let (groups_before, leaves_before) = (found.map_or(0, |_| g + 1), l + 1);
        let leaves = found.map_or(&[][..], |_| &self.groups[g].leaves[..]);
        let first = leaves.get(l).map_or(&[][..], |leaf| {
            leaf.places()
                .get(leaf.position(key, key_of)..)
                .unwrap_or_default()
        });
        let others = self.groups[groups_before..]
            .iter()
            .flat_map(|group| &group.leaves);
        let others = leaves.iter().skip(leaves_before).chain(others);
        first
            .iter()
            .chain(others.flat_map(|leaf| leaf.places()))
            .copied()
    }

    /// The group and the leaf that a key belongs to; `None` if it lies below all.
    fn locate(&self, key: u64) -> Option<(usize, usize)> {
        let group = locate(&self.lowest, key, LEAF_MAX * GROUP_MAX)?;
        let leaf = locate(&self.groups[group].lowest, key, LEAF_MAX)?;
        Some((group, leaf))
    }

    fn insert_below_all(&mut self, key: u64, at: At, key_of: impl Fn(At) -> u64) {
        let Some(group) = self.groups.first_mut() else {
            self.lowest.push(key);
            self.groups.push(Group::of(Leaf::of(key, at)));
            return;
        };
        let leaf = &mut group.leaves[0];
        if leaf.len() < LEAF_MAX {
            leaf.insert_lowest(key, at, key_of);
            group.lowest[0] = key;
        } else {
            self.insert_leaf(0, 0, Leaf::of(key, at));
        }
        self.lowest[0] = key;
    }

    fn insert_leaf(&mut self, g: usize, l: usize, leaf: Leaf) {
        let group = &mut self.groups[g];
        let is_last = l == group.leaves.len();
        let is_full = group.leaves.len() == GROUP_MAX;
        if is_full && is_last {
            // As with leaves: a full group stays so.
            self.lowest.insert(g + 1, leaf.base);
            self.groups.insert(g + 1, Group::of(leaf));
            return;
        }
        group.lowest.insert(l, leaf.base);
        group.leaves.insert(l, Box::new(leaf));
        if is_full {
            let upper = Group {
                lowest: group.lowest.split_off(GROUP_MAX / 2),
                leaves: group.leaves.split_off(GROUP_MAX / 2),
            };
            self.lowest.insert(g + 1, upper.lowest[0]);
            self.groups.insert(g + 1, upper);
        }
    }

    /// A leaf of this group is gone.
    fn tidy_group(&mut self, g: usize) {
        let group = &mut self.groups[g];
        let few = group.leaves.len();
        if let Some(&lowest) = group.lowest.first() {
            self.lowest[g] = lowest;
        }
        if few > GROUP_MAX / 4 {
            return;
        }
        let (before, from) = self.groups.split_at_mut(g);
        match before.last_mut() {
            _ if few == 0 => {}
            Some(before) if before.leaves.len() + few <= GROUP_MAX / 2 => {
                before.lowest.append(&mut from[0].lowest);
                before.leaves.append(&mut from[0].leaves);
            }
            _ => return,
        }
        self.lowest.remove(g);
        self.groups.remove(g);
    }
}

impl Group {
    fn of(leaf: Leaf) -> Self {
        Self {
            lowest: vec![leaf.base],
            leaves: vec![Box::new(leaf)],
        }
    }
}

impl Leaf {
    fn of(key: u64, at: At) -> Self {
        let mut leaf = Self {
            base: key,
            len: 0,
            is_wide: false,
            lows: [0; LEAF_MAX],
            places: [0; LEAF_MAX],
        };
        leaf.insert(0, key, at);
        leaf
    }

    fn len(&self) -> usize {
        self.len.into()
    }

    fn places(&self) -> &[At] {
        &self.places[..self.len()]
    }

    /// The key of an entry.
    fn key(&self, place: usize, key_of: impl Fn(At) -> u64) -> u64 {
        match self.is_wide {
            true => key_of(self.places[place]),
            false => self.base + u64::from(self.lows[place].wrapping_sub(low(self.base))),
        }
    }

    fn is_near(&self, key: u64) -> bool {
        key.wrapping_sub(self.base) <= u16::MAX.into()
    }

    /// Where a key that is in here stands.
    fn find(&self, key: u64, key_of: impl Fn(At) -> u64) -> Option<usize> {
        if !self.is_wide && !self.is_near(key) {
            return None;
        }
        let sought = low(key);
        let is_it = |&place: &usize| self.lows[place] == sought && self.key(place, &key_of) == key;
        // All are compared, and without a branch, so that many are at once and none is guessed wrong.
        let lanes = self.lows.chunks_exact(LANES).enumerate();
        let has_it = |lows: &[u16]| lows.iter().fold(false, |any, &low| any | (low == sought));
        let chunks = lanes.fold(0_u32, |all, (n, lows)| all | u32::from(has_it(lows)) << n);
        if chunks == 0 {
            return None;
        }
        let first = chunks.trailing_zeros() as usize * LANES;
        let lows = self.lows.get(first..first + LANES)?.iter().enumerate();
        let matches = lows.fold(0_u32, |all, (n, &low)| all | u32::from(low == sought) << n);
        let place = first + matches.trailing_zeros() as usize;
        if place < self.len() && is_it(&place) {
            return Some(place);
        }
        // Several have these low bits.
        (0..self.len()).find(is_it)
    }

    /// How many keys lie below this one.
    fn position(&self, key: u64, key_of: impl Fn(At) -> u64) -> usize {
        let len = self.len();
        // Most keys come in their order.
        if len == 0 || self.key(len - 1, &key_of) < key {
            return len;
        }
        let (mut from, mut to) = (0, len - 1);
        while from < to {
            let middle = from.midpoint(to);
            match self.key(middle, &key_of) < key {
                true => from = middle + 1,
                false => to = middle,
            }
        }
        from
    }

    fn insert(&mut self, place: usize, key: u64, at: At) {
        let len = self.len();
        self.lows.copy_within(place..len, place + 1);
        self.places.copy_within(place..len, place + 1);
        self.lows[place] = low(key);
        self.places[place] = at;
        self.is_wide |= !self.is_near(key);
        self.len += 1;
    }

    /// Adds a key that lies below the base.
    fn insert_lowest(&mut self, key: u64, at: At, key_of: impl Fn(At) -> u64) {
        let highest = self.key(self.len() - 1, key_of);
        self.base = key;
        self.is_wide |= !self.is_near(highest);
        self.insert(0, key, at);
    }

    fn remove(&mut self, place: usize) {
        let len = self.len();
        self.lows.copy_within(place + 1..len, place);
        self.places.copy_within(place + 1..len, place);
        self.len -= 1;
    }

    /// Gives its upper half away.
    fn split(&mut self, key_of: impl Fn(At) -> u64) -> Leaf {
        let len = self.len();
        let half = len / 2;
        let mut upper = Leaf::of(self.key(half, &key_of), self.places[half]);
        for place in half + 1..len {
            upper.insert(place - half, self.key(place, &key_of), self.places[place]);
        }
        let highest = self.key(half - 1, &key_of);
        self.len = half as u8;
        self.is_wide = !self.is_near(highest);
        upper
    }

    /// Adds all of a leaf whose keys lie above its own.
    fn append(&mut self, other: &Leaf, key_of: impl Fn(At) -> u64) {
        for place in 0..other.len() {
            let key = other.key(place, &key_of);
            self.insert(self.len(), key, other.places[place]);
        }
    }
}

/// The last that is not above a key; `dense` is how far they are from each other where all numbers are there.
fn locate(lowest: &[u64], key: u64, dense: usize) -> Option<usize> {
    let guessed = (key.checked_sub(*lowest.first()?)? / dense as u64) as usize;
    if let Some(&[at, next]) = lowest.get(guessed..guessed.saturating_add(2))
        && (at..next).contains(&key)
    {
        return Some(guessed);
    }
    lowest
        .partition_point(|&lowest| lowest <= key)
        .checked_sub(1)
}

fn low(key: u64) -> u16 {
    key as u16
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    /// The key of a position: any rule will do that does not follow the positions' own order, and takes them
    /// `distance` apart.
    fn key_of(distance: u64) -> impl Fn(At) -> u64 + Copy {
        move |at| 1_000_000 + u64::from(at.reverse_bits()) * distance
    }

    fn filled(places: impl IntoIterator<Item = At>) -> ByDigits {
        let mut numbers = ByDigits::default();
        for at in places {
            numbers.insert(key_of(1)(at), at, key_of(1));
        }
        numbers
    }

    fn leaves(numbers: &ByDigits) -> impl Iterator<Item = &Leaf> {
        let leaves = numbers.groups.iter().flat_map(|group| &group.leaves);
        leaves.map(|leaf| &**leaf)
    }

    /// Every leaf stands under its base and every group under its first, none is empty, and what is not wide is near.
    fn check(numbers: &ByDigits, key_of: impl Fn(At) -> u64) {
        assert!(numbers.lowest.is_sorted());
        let firsts: Vec<u64> = numbers.groups.iter().map(|group| group.lowest[0]).collect();
        assert_eq!(numbers.lowest, firsts);
        let bases: Vec<u64> = leaves(numbers).map(|leaf| leaf.base).collect();
        assert!(bases.is_sorted());
        let lowest = numbers.groups.iter().flat_map(|group| group.lowest.clone());
        assert_eq!(lowest.collect::<Vec<u64>>(), bases);
        for leaf in leaves(numbers) {
            assert!(!leaf.places().is_empty());
            for (place, &at) in leaf.places().iter().enumerate() {
                assert_eq!(leaf.key(place, &key_of), key_of(at));
                assert_eq!(leaf.lows[place], low(key_of(at)));
                assert!(leaf.is_wide || leaf.is_near(key_of(at)));
            }
        }
    }

    #[test]
    fn keys_that_come_in_order_leave_no_room_unused() {
        let many = (LEAF_MAX * GROUP_MAX * 3) as u32;
        let numbers = filled((0..many).map(u32::reverse_bits));
        assert_eq!(leaves(&numbers).count(), many as usize / LEAF_MAX);
        assert_eq!(numbers.groups.len(), 3);
        check(&numbers, key_of(1));
        let numbers = filled((0..10_000).rev().map(u32::reverse_bits));
        assert_eq!(leaves(&numbers).count(), 10_000_usize.div_ceil(LEAF_MAX));
    }

    #[test]
    fn keys_that_come_in_any_order_leave_at_most_as_much_again() {
        // 7,919 is prime to a million.
        let places = (0..1_000_000_u64).map(|n| ((n * 7_919 % 1_000_000) as u32).reverse_bits());
        let numbers = filled(places);
        let most = 2 * 1_000_000 / LEAF_MAX;
        assert!(leaves(&numbers).count() <= most);
        assert!(numbers.groups.len() <= 2 * most / GROUP_MAX + 1);
        check(&numbers, key_of(1));
    }

    #[test]
    fn keys_that_go_leave_no_crowd_of_small_leaves() {
        let many = (LEAF_MAX * GROUP_MAX * 3) as u32;
        let mut numbers = filled((0..many).map(u32::reverse_bits));
        for n in (0..many).filter(|n| n % 500 != 0) {
            numbers.remove(key_of(1)(n.reverse_bits()), key_of(1));
        }
        let left = numbers.iter().count();
        assert_eq!(left, many.div_ceil(500) as usize);
        assert!(leaves(&numbers).count() <= 5 * left / LEAF_MAX);
        assert_eq!(numbers.groups.len(), 1);
        check(&numbers, key_of(1));
        for n in 0..many {
            numbers.remove(key_of(1)(n.reverse_bits()), key_of(1));
        }
        assert!(numbers.groups.is_empty() && numbers.lowest.is_empty());
    }

    proptest! {
        #[test]
        fn it_is_as_a_sorted_map_is(
            steps in prop::collection::vec((0..4_u8, 0..2_000_u32), 1..3_000),
            up in any::<bool>(),
            distance in prop_oneof![Just(1_u64), Just(3), Just(1_000), Just(65_536), Just(99_991)],
            from in 0..2_100_u32,
        ) {
            let key_of = key_of(distance);
            let place = |n: u32| if up { n.reverse_bits() } else { (4_000 - n).reverse_bits() };
            let (mut numbers, mut plain) = (ByDigits::default(), BTreeMap::new());
            for (step, n) in steps {
                let at = place(n);
                let key = key_of(at);
                if step == 0 {
                    numbers.remove(key, key_of);
                    plain.remove(&key);
                } else if plain.insert(key, at).is_none() {
                    numbers.insert(key, at, key_of);
                }
            }
            check(&numbers, key_of);
            let all: Vec<At> = plain.values().copied().collect();
            prop_assert_eq!(numbers.iter().collect::<Vec<At>>(), all);
            for n in (from % 7..2_000).step_by(7) {
                for key in [key_of(place(n)), key_of(place(n)) + 1, key_of(place(n)) + 65_536] {
                    prop_assert_eq!(numbers.find(key, key_of), plain.get(&key).copied());
                }
            }
            let key = key_of(place(from)) + 1;
            for key in [1, key - 1, key, u64::MAX] {
                let rest: Vec<At> = plain.range(key..).map(|(_, &at)| at).collect();
                prop_assert_eq!(numbers.from(key, key_of).collect::<Vec<At>>(), rest);
                prop_assert_eq!(numbers.find(key, key_of), plain.get(&key).copied());
            }
        }
    }
}
