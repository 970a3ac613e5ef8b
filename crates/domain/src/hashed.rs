//! Positions by the hash of a key that stands elsewhere.
//!
//! A look-up reads one line of the processor's cache, and what the positions in it lead to. The table grows line by
//! line (linear hashing, Litwin 1980), so that no insertion moves more than one line has, however many there are.

use crate::slab::{NONE, Slab};
use crate::visits::visit;

/// So many entries fit in a line.
const LINE: usize = 10;
/// A line is added when there are so many entries for each.
const FILL: usize = 7;
/// So many lines are in a chunk. Growth never copies more.
const CHUNK: usize = 1 << 12;

/// Entries are any 32 bits that tell where the key stands, as `is_it` and `hash_of` do.
#[derive(Debug, Clone, Default)]
pub(crate) struct Hashed {
    chunks: Vec<Vec<Line>>,
    lines: usize,
    /// What did not fit in its line.
    overflow: Slab<Line>,
    len: usize,
}

#[derive(Debug, Clone)]
#[repr(align(64))]
struct Line {
    /// A part of each hash that the place of the line does not tell; 0 where there is no entry.
    tags: [u16; LINE],
    entries: [u32; LINE],
    /// The position of the next line in the overflow, or [`NONE`].
    more: u32,
}

const EMPTY: Line = Line {
    tags: [0; LINE],
    entries: [0; LINE],
    more: NONE,
};

fn tag(hash: u64) -> u16 {
    ((hash >> 48) as u16).max(1)
}

impl Line {
    /// Where in the line that tag stands, a bit each.
    fn places_of(&self, tag: u16) -> u32 {
        let is_here = |(place, &other): (usize, &u16)| u32::from(other == tag) << place;
        self.tags.iter().enumerate().map(is_here).sum()
    }

    fn find(&self, tag: u16, is_it: &impl Fn(u32) -> bool) -> Option<usize> {
        let mut places = self.places_of(tag);
        while places != 0 {
            let place = places.trailing_zeros() as usize;
            if is_it(*self.entries.get(place)?) {
                return Some(place);
            }
            places &= places - 1;
        }
        None
    }

    /// Puts an entry in if there is room.
    fn put(&mut self, tag: u16, entry: u32) -> bool {
        let Some(place) = self.tags.iter().position(|&other| other == 0) else {
            return false;
        };
        self.tags[place] = tag;
        self.entries[place] = entry;
        true
    }

    fn is_empty(&self) -> bool {
        self.tags == [0; LINE]
    }
}

impl Hashed {
    /// The entry of that hash of which `is_it` holds.
    pub fn find(&self, hash: u64, is_it: impl Fn(u32) -> bool) -> Option<u32> {
        let tag = tag(hash);
        let mut line = self.line(self.home(hash)?)?;
        loop {
            visit();
            if let Some(place) = line.find(tag, &is_it) {
                return line.entries.get(place).copied();
            }
            if line.more == NONE {
                return None;
            }
            line = self.overflow.get(line.more)?;
        }
    }

    /// Adds an entry that is not in here; `hash_of` gives the hash of any that is, and of the new one.
    pub fn insert(&mut self, hash: u64, entry: u32, hash_of: impl Fn(u32) -> u64) {
        if self.len >= FILL * self.lines {
            self.grow(hash_of);
        }
        self.len += 1;
        self.put(hash, entry);
    }

    /// Takes an entry out.
    pub fn remove(&mut self, hash: u64, entry: u32) {
        let Some(home) = self.home(hash) else { return };
        let (tag, mut before) = (tag(hash), NONE);
        let Some(mut line) = self.line_mut(home) else {
            return;
        };
        loop {
            visit();
            let more = line.more;
            if let Some(place) = line.find(tag, &|other| other == entry) {
                line.tags[place] = 0;
                let is_empty = line.is_empty();
                self.len -= 1;
                if is_empty && before != NONE {
                    self.unlink(home, before, more);
                }
                return;
            }
            let Some(next) = self.overflow.get_mut(more) else {
                return;
            };
            (line, before) = (next, more);
        }
    }

    /// Takes the line at `gone` of the overflow, which is of `home` and has no entry left, out of it; `next` follows it.
    fn unlink(&mut self, home: usize, gone: u32, next: u32) {
        self.overflow.remove(gone);
        let Some(mut line) = self.line_mut(home) else {
            return;
        };
        while line.more != gone {
            let more = line.more;
            let Some(following) = self.overflow.get_mut(more) else {
                return;
            };
            line = following;
        }
        line.more = next;
    }

    /// The line to which a hash belongs; `None` if there are none.
    fn home(&self, hash: u64) -> Option<usize> {
        let mask = self.lines.checked_next_power_of_two()? - 1;
        let wide = hash as usize & mask;
        match wide < self.lines {
            true => Some(wide),
            false => (self.lines > 0).then_some(wide & (mask >> 1)),
        }
    }

    fn line(&self, line: usize) -> Option<&Line> {
        self.chunks.get(line / CHUNK)?.get(line % CHUNK)
    }

    fn line_mut(&mut self, line: usize) -> Option<&mut Line> {
        self.chunks.get_mut(line / CHUNK)?.get_mut(line % CHUNK)
    }

    /// Makes lines for so many entries at once, if there are none yet.
    pub fn make_room(&mut self, count: usize) {
        while self.len == 0 && self.lines * FILL < count {
            self.add_line();
        }
    }

    fn add_line(&mut self) {
        let is_full = |chunk: &Vec<Line>| chunk.len() == CHUNK;
        match self.chunks.last_mut() {
            Some(chunk) if !is_full(chunk) => chunk.push(EMPTY),
            // The first grows as it is needed.
            None => self.chunks.push(vec![EMPTY]),
            Some(_) => {
                let mut chunk = Vec::with_capacity(CHUNK);
                chunk.push(EMPTY);
                self.chunks.push(chunk);
            }
        }
        self.lines += 1;
    }

    /// Adds a line, and moves there what belongs to it of the only line that has such entries.
    fn grow(&mut self, hash_of: impl Fn(u32) -> u64) {
        let added = self.lines;
        self.add_line();
        let Some(highest) = added.checked_ilog2() else {
            return;
        };
        let split = added - (1 << highest);
        let Some(line) = self.line_mut(split) else {
            return;
        };
        let mut line = std::mem::replace(line, EMPTY);
        loop {
            for (&tag, &entry) in line.tags.iter().zip(&line.entries) {
                if tag != 0 {
                    self.put(hash_of(entry), entry);
                }
            }
            match self.overflow.remove(line.more) {
                Some(more) => line = more,
                None => return,
            }
        }
    }

    fn put(&mut self, hash: u64, entry: u32) {
        let tag = tag(hash);
        let Some(home) = self.home(hash) else { return };
        let Some(line) = self.line_mut(home) else {
            return;
        };
        if line.put(tag, entry) {
            return;
        }
        let first = line.more;
        let mut more = first;
        while let Some(line) = self.overflow.get_mut(more) {
            if line.put(tag, entry) {
                return;
            }
            more = line.more;
        }
        let mut added = EMPTY;
        added.put(tag, entry);
        added.more = first;
        let added = self.overflow.insert(added);
        if let Some(line) = self.line_mut(home) {
            line.more = added;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inventory::hash_u64;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    fn hash_of(entry: u32) -> u64 {
        hash_u64(u64::from(entry))
    }

    #[test]
    fn a_line_of_entries_is_a_line_of_the_cache() {
        assert_eq!(size_of::<Line>(), 64);
    }

    #[test]
    fn look_ups_read_few_lines_and_entries_cost_few_bytes_at_any_size() {
        let mut hashed = Hashed::default();
        let mut checked_at = 1_000;
        for entry in 0..300_000 {
            hashed.insert(hash_of(entry), entry, hash_of);
            if entry + 1 < checked_at {
                continue;
            }
            checked_at += checked_at / 5;
            let lines = hashed.lines + hashed.overflow.len();
            assert!(lines * 64 <= 12 * hashed.len, "{lines} for {}", hashed.len);
            let is_home = |entry: &u32| {
                let home = hashed
                    .home(hash_of(*entry))
                    .and_then(|home| hashed.line(home));
                home.is_some_and(|line| line.find(tag(hash_of(*entry)), &|e| e == *entry).is_some())
            };
            let home = (0..=entry).filter(is_home).count();
            assert!(home * 100 >= hashed.len * 85, "{home} of {}", hashed.len);
        }
    }

    proptest! {
        #[test]
        fn what_is_found_is_what_was_put_in(
            steps in prop::collection::vec((0..3_u8, 0..400_u32), 1..2_000),
            // How many bits of the hash differ: with few, lines run over.
            bits in prop_oneof![Just(64_u32), Just(6), Just(2), Just(0)],
        ) {
            let hash_of = |entry: u32| match bits {
                64 => hash_of(entry),
                bits => hash_of(entry & ((1 << bits) - 1)),
            };
            let (mut hashed, mut plain) = (Hashed::default(), BTreeSet::new());
            for (step, entry) in steps {
                if step == 0 {
                    hashed.remove(hash_of(entry), entry);
                    plain.remove(&entry);
                } else if plain.insert(entry) {
                    hashed.insert(hash_of(entry), entry, hash_of);
                }
                prop_assert_eq!(hashed.len, plain.len());
            }
            for entry in 0..400 {
                let found = hashed.find(hash_of(entry), |other| other == entry);
                prop_assert_eq!(found.is_some(), plain.contains(&entry));
            }
            for entry in plain {
                hashed.remove(hash_of(entry), entry);
            }
            prop_assert_eq!((hashed.len, hashed.overflow.len()), (0, 0));
        }
    }
}
