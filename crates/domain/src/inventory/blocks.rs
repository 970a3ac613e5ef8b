//! The numbers as they lie in memory: in blocks of sixteen that have their class in common.
//!
//! A number costs the eight bytes of its digits and its part of the block's header. What a number does is kept in a
//! link of four bytes, for which there is no room before a number of its chunk does anything.

use super::At;
use crate::number::PhoneNumber;
use crate::visits::visit;

/// So many numbers are in a block.
pub(super) const BLOCK: usize = u16::BITS as usize;
/// So many blocks are in a chunk. Storage grows chunk by chunk, so that growth never copies more than one.
const CHUNK_BLOCKS: usize = 1 << 12;
const CHUNK: usize = CHUNK_BLOCKS * BLOCK;

/// Neither cooling nor locked nor bound, without a known idle time: the link of a number that has no other.
pub(super) const IDLE: u32 = 0;

/// Positions stay valid until the number is taken out.
#[derive(Debug, Clone, Default)]
pub(super) struct Blocks {
    chunks: Vec<Chunk>,
    /// Blocks without a number.
    spare: Vec<u32>,
    len: usize,
}

#[derive(Debug, Clone, Default)]
struct Chunk {
    headers: Vec<Header>,
    digits: Vec<PhoneNumber>,
    /// As many as are needed; what has none is [`IDLE`].
    links: Vec<u32>,
}

/// What the numbers of a block have in common, and which of them there are.
#[derive(Debug, Clone)]
pub(super) struct Header {
    pub class: u32,
    /// Its place among the blocks of its partition that have a free one.
    pub free_place: u32,
    /// Its place among the blocks of its class that have room.
    room_place: u32,
    /// Which positions have a number.
    used: u16,
    /// Which of them are on the list of those that can be given out; see [`super::free_blocks`].
    pub free: u16,
}

fn bit(at: At) -> u16 {
    1 << (at as usize % BLOCK)
}

/// The block that a position is in.
pub(super) fn block_of(at: At) -> u32 {
    at / BLOCK as u32
}

/// The position of a place in a block.
pub(super) fn position(block: u32, place: u32) -> At {
    block * BLOCK as u32 + place
}

impl Blocks {
    pub fn len(&self) -> usize {
        self.len
    }

    pub fn header(&self, block: u32) -> Option<&Header> {
        let block = block as usize;
        let chunk = self.chunks.get(block / CHUNK_BLOCKS)?;
        chunk.headers.get(block % CHUNK_BLOCKS)
    }

    pub fn header_mut(&mut self, block: u32) -> Option<&mut Header> {
        let block = block as usize;
        let chunk = self.chunks.get_mut(block / CHUNK_BLOCKS)?;
        chunk.headers.get_mut(block % CHUNK_BLOCKS)
    }

    /// The class of a number; `None` if there is none.
    pub fn class(&self, at: At) -> Option<u32> {
        visit();
        let header = self.header(block_of(at))?;
        (header.used & bit(at) != 0).then_some(header.class)
    }

    /// Whether a number is on the list of those that can be given out.
    pub fn is_free(&self, at: At) -> bool {
        let header = self.header(block_of(at));
        header.is_some_and(|header| header.free & bit(at) != 0)
    }

    /// Puts a number on that list or takes it from there; gives how many of its block are there then.
    pub fn set_free(&mut self, at: At, is_free: bool) -> u32 {
        let Some(header) = self.header_mut(block_of(at)) else {
            return 0;
        };
        match is_free {
            true => header.free |= bit(at),
            false => header.free &= !bit(at),
        }
        header.free.count_ones()
    }

    /// The digits of a number; those of [`PhoneNumber::ERASED`] if there is none.
    pub fn x(&self, at: At) -> PhoneNumber {
        visit();
        let at = at as usize;
        let chunk = self.chunks.get(at / CHUNK);
        let digits = chunk.and_then(|chunk| chunk.digits.get(at % CHUNK));
        digits.copied().unwrap_or(PhoneNumber::ERASED)
    }

    pub fn link(&self, at: At) -> u32 {
        let at = at as usize;
        let chunk = self.chunks.get(at / CHUNK);
        let link = chunk.and_then(|chunk| chunk.links.get(at % CHUNK));
        link.copied().unwrap_or(IDLE)
    }

    pub fn set_link(&mut self, at: At, link: u32) {
        let at = at as usize;
        let Some(chunk) = self.chunks.get_mut(at / CHUNK) else {
            return;
        };
        let place = at % CHUNK;
        if chunk.links.len() <= place && link != IDLE {
            chunk.links.resize(chunk.digits.len(), IDLE);
        }
        if let Some(kept) = chunk.links.get_mut(place) {
            *kept = link;
        }
    }

    /// Adds a number of a class; `with_room` are the blocks of the class that have room.
    pub fn insert(&mut self, x: PhoneNumber, class: u32, with_room: &mut Vec<u32>) -> At {
        visit();
        let block = match with_room.last() {
            Some(&block) => block,
            None => {
                let block = self.take_spare(class);
                with_room.push(block);
                block
            }
        };
        let header = self.header_mut(block).expect("a block with room exists");
        let place = header.used.trailing_ones();
        header.used |= 1 << place;
        if header.used == u16::MAX {
            with_room.pop();
        }
        let at = position(block, place);
        self.set_digits(at, x);
        self.len += 1;
        at
    }

    /// Takes a number out. It is on no list any more.
    pub fn remove(&mut self, at: At, with_room: &mut Vec<u32>) {
        let block = block_of(at);
        let Some(header) = self.header_mut(block) else {
            return;
        };
        if header.used & bit(at) == 0 {
            return;
        }
        debug_assert!(header.free & bit(at) == 0, "what is listed stays");
        if header.used == u16::MAX {
            header.room_place = with_room.len() as u32;
            with_room.push(block);
        }
        header.used &= !bit(at);
        if header.used == 0 {
            let place = header.room_place;
            with_room.swap_remove(place as usize);
            if let Some(&moved) = with_room.get(place as usize)
                && let Some(moved) = self.header_mut(moved)
            {
                moved.room_place = place;
            }
            self.spare.push(block);
        }
        self.set_link(at, IDLE);
        self.set_digits(at, PhoneNumber::ERASED);
        self.len -= 1;
    }

    /// How many blocks there are, with a number or without.
    #[cfg(test)]
    pub fn blocks_count(&self) -> usize {
        self.chunks.iter().map(|chunk| chunk.headers.len()).sum()
    }

    /// A block without a number, first of those that have room.
    fn take_spare(&mut self, class: u32) -> u32 {
        let block = self.spare.pop().unwrap_or_else(|| self.grow());
        let header = Header {
            class,
            free_place: 0,
            room_place: 0,
            used: 0,
            free: 0,
        };
        if let Some(kept) = self.header_mut(block) {
            *kept = header;
        }
        block
    }

    fn grow(&mut self) -> u32 {
        let is_full = |chunk: &Chunk| chunk.headers.len() == CHUNK_BLOCKS;
        if self.chunks.last().is_none_or(is_full) {
            self.chunks.push(Chunk::default());
        }
        let before = (self.chunks.len() - 1) * CHUNK_BLOCKS;
        let chunk = self.chunks.last_mut().expect("one was just made");
        let block = before + chunk.headers.len();
        assert!(
            block < (u32::MAX as usize) / BLOCK,
            "there are fewer than 2^32 numbers"
        );
        chunk.headers.push(Header {
            class: 0,
            free_place: 0,
            room_place: 0,
            used: 0,
            free: 0,
        });
        let digits = chunk.digits.len() + BLOCK;
        chunk.digits.resize(digits, PhoneNumber::ERASED);
        block as u32
    }

    fn set_digits(&mut self, at: At, x: PhoneNumber) {
        let at = at as usize;
        let chunk = self.chunks.get_mut(at / CHUNK);
        if let Some(digits) = chunk.and_then(|chunk| chunk.digits.get_mut(at % CHUNK)) {
            *digits = x;
        }
    }
}
