//! How often a data key may still seal.
//!
//! A key seals at most [`USES_MAX`] values. How many it has sealed is not written down for each: uses are promised in
//! blocks ahead of them, and a process that starts goes on behind all that was promised before.

/// A key seals no more values than this: with nonces of 96 bits by chance, two are the same once in 2^35 keys.
pub const USES_MAX: u64 = 1 << 31;

/// So many uses are promised at a time.
pub const BLOCK: u64 = 1 << 26;

/// The uses of one key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Uses {
    next: u64,
    promised: u64,
}

impl Uses {
    /// Those of a key of which so many had been promised; none of them is used again.
    pub fn behind(promised: u64) -> Self {
        Self {
            next: promised,
            promised,
        }
    }

    /// Takes one; false if all that were promised are over.
    pub fn take(&mut self) -> bool {
        let is_left = self.next < self.promised;
        self.next += u64::from(is_left);
        is_left
    }

    /// How many are to be promised in all from now on, if that is due: less than half a block is left.
    pub fn wanted(&self) -> Option<u64> {
        let is_short = self.promised - self.next < BLOCK / 2;
        let more = (self.promised + BLOCK).min(USES_MAX);
        (is_short && more > self.promised).then_some(more)
    }

    /// Whether another key is to seal soon: this one has less than half a block left of all its uses.
    pub fn is_ending(&self) -> bool {
        USES_MAX - self.next < BLOCK / 2
    }

    /// That so many are promised in all.
    pub fn promise(&mut self, promised: u64) {
        self.promised = self.promised.max(promised.min(USES_MAX));
    }

    /// How many were promised.
    pub fn promised(&self) -> u64 {
        self.promised
    }
}
