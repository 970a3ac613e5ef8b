//! Tags, branches and Call-IDs: unguessable to a stranger, the same again for the same seed.

use sha2::{Digest, Sha256};

/// A stream of bytes made by hashing a secret seed with a counter.
pub(crate) struct Chance {
    seed: [u8; 32],
    drawn: u64,
}

impl Chance {
    pub(crate) fn new(seed: [u8; 32]) -> Self {
        Self { seed, drawn: 0 }
    }

    pub(crate) fn next_u128(&mut self) -> u128 {
        self.drawn += 1;
        self.keyed(b"draw", &[&self.drawn.to_be_bytes()])
    }

    pub(crate) fn next_u64(&mut self) -> u64 {
        (self.next_u128() >> 64) as u64
    }

    /// The same value for the same parts, unguessable without the seed: what an answer that keeps no
    /// memory uses as its tag.
    pub(crate) fn keyed(&self, purpose: &[u8], parts: &[&[u8]]) -> u128 {
        let mut hash = Sha256::new();
        hash.update(self.seed);
        hash.update(purpose);
        for part in parts {
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part);
        }
        let digest = hash.finalize();
        let mut first = [0u8; 16];
        first.copy_from_slice(&digest[..16]);
        u128::from_be_bytes(first)
    }
}
