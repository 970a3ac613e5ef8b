//! The batches just made durable, in memory, for one who follows the journal.
//!
//! A pure machine, one for each follower. The writer hands on each batch once
//! it is durable, and never waits: what finds no room is left out, and is read
//! from the journal. A follower says what it has and how far the journal goes;
//! [`Feed::next`] tells it where the batches after that are: here, or in the
//! journal up to where what is here begins. Numbers alone decide it, so that no
//! batch is missed and none comes twice, whatever was left out.
//!
//! The shell is `server::ledger::feeds`; `sim` drives the same machine.

use std::collections::VecDeque;
use std::mem;
use std::sync::Arc;

use crate::replay::Decoded;

/// How much may wait for one follower.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// Batches.
    pub batches: usize,
    /// Bytes in memory, as [`crate::payload::Draft::memory`] counts them.
    pub bytes: usize,
}

/// Where the batches that a follower lacks are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Next {
    /// It has them all.
    Nothing,
    /// These are the next, in order and without a gap; at least one.
    Batches(Vec<Arc<Decoded>>),
    /// In the journal alone.
    Journal {
        /// The next one.
        from: u64,
        /// The last one to be read, at least `from`; then ask again.
        upto: u64,
    },
}

/// What waits for one follower.
#[derive(Debug)]
pub struct Feed {
    bounds: Bounds,
    /// In the order of their numbers; some may be left out between them.
    waiting: VecDeque<Waiting>,
    bytes: usize,
    /// Whether batches are kept for the follower: not while it is so far
    /// behind that they would only fill the memory.
    is_followed: bool,
}

#[derive(Debug)]
struct Waiting {
    batch: Arc<Decoded>,
    bytes: usize,
}

impl Waiting {
    fn seq(&self) -> u64 {
        self.batch.tip.seq
    }
}

impl Feed {
    /// For a follower that has not asked yet; until it does, nothing is kept.
    pub fn new(bounds: Bounds) -> Self {
        Self {
            bounds,
            waiting: VecDeque::new(),
            bytes: 0,
            is_followed: false,
        }
    }

    /// Hands on a batch that is durable, before anybody is told that the
    /// journal goes so far. `bytes` is what it takes in memory.
    ///
    /// When there is no room the follower has fallen behind: nothing is kept
    /// any more until it has read so much of the journal that it is near.
    pub fn push(&mut self, batch: &Arc<Decoded>, bytes: usize) {
        let has_room = self.waiting.len() < self.bounds.batches
            && self.bytes.saturating_add(bytes) <= self.bounds.bytes;
        self.is_followed &= has_room;
        if self.is_followed {
            self.bytes += bytes;
            self.waiting.push_back(Waiting {
                batch: Arc::clone(batch),
                bytes,
            });
        }
    }

    /// Where the batches after `has` are, when the journal was seen to go up
    /// to `tip`; at most `batches_max` of them. What it gives is not here any
    /// more: a follower that could not use it asks again from where it stands.
    pub fn next(&mut self, has: u64, tip: u64, batches_max: usize) -> Next {
        while self.waiting.front().is_some_and(|next| next.seq() <= has) {
            self.take_first();
        }
        let from = has + 1;
        let read_max = has.saturating_add(batches_max as u64);
        match self.waiting.front().map(Waiting::seq) {
            Some(seq) if seq == from => {
                let mut batches = Vec::new();
                while batches.len() < batches_max.max(1)
                    && let Some(next) = self.waiting.front()
                    && next.seq() == from + batches.len() as u64
                {
                    batches.extend(self.take_first());
                }
                Next::Batches(batches)
            }
            Some(seq) => Next::Journal {
                from,
                upto: (seq - 1).min(read_max).max(from),
            },
            None => {
                // What is appended while the last stretch is read waits here.
                self.is_followed = tip <= read_max;
                if has >= tip {
                    Next::Nothing
                } else {
                    let upto = tip.min(read_max).max(from);
                    Next::Journal { from, upto }
                }
            }
        }
    }

    /// The follower will not ask for a while. Gives what was kept for it.
    pub fn leave(&mut self) -> Vec<Arc<Decoded>> {
        self.is_followed = false;
        self.bytes = 0;
        let waiting = mem::take(&mut self.waiting);
        waiting.into_iter().map(|waiting| waiting.batch).collect()
    }

    /// How many batches wait, and how many bytes they take.
    pub fn waiting(&self) -> (usize, usize) {
        (self.waiting.len(), self.bytes)
    }

    fn take_first(&mut self) -> Option<Arc<Decoded>> {
        let first = self.waiting.pop_front()?;
        self.bytes -= first.bytes;
        Some(first.batch)
    }
}

#[cfg(test)]
mod tests;
