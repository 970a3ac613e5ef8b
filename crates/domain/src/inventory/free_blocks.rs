//! Which numbers of a partition lie idle, by the blocks that have one: the way to draw one of them, all alike.

use super::At;
use super::blocks::{BLOCK, Blocks, block_of, position};
use crate::visits::visit;

/// The blocks of a partition that have a free number, those that have most of them first. So one of so many free
/// numbers is found by arithmetic, and a block that has one more or one less changes places with one other.
#[derive(Debug, Clone, Default)]
pub(super) struct FreeBlocks {
    blocks: Vec<u32>,
    /// How many blocks have one free number at least, two at least, and so on.
    at_least: [u32; BLOCK],
    len: usize,
}

impl FreeBlocks {
    /// How many numbers there are.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Adds a number.
    pub fn add(&mut self, at: At, all: &mut Blocks) {
        let block = block_of(at);
        let count = all.set_free(at, true);
        if count == 1 {
            if self.blocks.len() == self.blocks.capacity() {
                // By a quarter, where a vector would grow by as much again.
                self.blocks.reserve_exact(4.max(self.blocks.len() / 4));
            }
            if let Some(header) = all.header_mut(block) {
                header.free_place = self.blocks.len() as u32;
            }
            self.blocks.push(block);
        }
        let Some(at_least) = self.at_least.get_mut((count as usize).wrapping_sub(1)) else {
            return;
        };
        let first_with_less = *at_least;
        *at_least += 1;
        self.len += 1;
        self.exchange(block, first_with_less, all);
    }

    /// Takes a number out.
    pub fn take(&mut self, at: At, all: &mut Blocks) {
        let block = block_of(at);
        let count = all.set_free(at, false);
        let Some(at_least) = self.at_least.get_mut(count as usize) else {
            return;
        };
        *at_least -= 1;
        let last_with_as_many = *at_least;
        self.len -= 1;
        self.exchange(block, last_with_as_many, all);
        if count == 0 {
            self.blocks.pop();
        }
    }

    /// Lets a block and the one at a place change places.
    fn exchange(&mut self, block: u32, place: u32, all: &mut Blocks) {
        let Some(other) = self.blocks.get(place as usize).copied() else {
            return;
        };
        let Some(header) = all.header_mut(block) else {
            return;
        };
        let from = std::mem::replace(&mut header.free_place, place);
        if other != block
            && let Some(header) = all.header_mut(other)
        {
            header.free_place = from;
        }
        self.blocks.swap(from as usize, place as usize);
    }

    /// The `n`th number, in no order that would tell anything.
    pub fn nth(&self, mut n: usize, all: &Blocks) -> Option<At> {
        visit();
        let mut before = 0;
        for (less, &at_least) in self.at_least.iter().enumerate().rev() {
            let (count, blocks) = (less + 1, at_least as usize - before);
            if n < blocks * count {
                let block = *self.blocks.get(before + n / count)?;
                let free = all.header(block)?.free;
                return Some(position(block, nth_bit(free, n % count)));
            }
            n -= blocks * count;
            before = at_least as usize;
        }
        None
    }

    /// All numbers, in that order.
    pub fn iter(&self, all: &Blocks) -> impl Iterator<Item = At> {
        self.blocks.iter().flat_map(|&block| {
            let free = all.header(block).map_or(0, |header| header.free);
            (0..free.count_ones()).map(move |n| position(block, nth_bit(free, n as usize)))
        })
    }
}

/// The place of the `n`th bit that is set.
fn nth_bit(mut bits: u16, n: usize) -> u32 {
    for _ in 0..n {
        bits &= bits.wrapping_sub(1);
    }
    bits.trailing_zeros()
}
