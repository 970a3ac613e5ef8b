//! Batches of the journal, each chained to the one before by its hash.

use std::fmt;

use sha2::{Digest, Sha256};

/// A SHA-256.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Hash(pub [u8; 32]);

impl Hash {
    /// What stands before the first batch.
    pub const GENESIS: Hash = Hash([0; 32]);

    /// The hash of a batch: SHA-256 of the hash before it and its payload.
    pub fn link(prev: Hash, payload: &[u8]) -> Self {
        let mut hasher = Sha256::new();
        hasher.update(prev.0);
        hasher.update(payload);
        Self(hasher.finalize().into())
    }

    /// Reads 64 hexadecimal digits.
    pub fn parse(text: &str) -> Option<Self> {
        let mut bytes = [0; 32];
        hex::decode_to_slice(text, &mut bytes).ok()?;
        Some(Self(bytes))
    }
}

impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(&self.0[..6]))
    }
}

/// One row of the journal.
#[derive(Clone, PartialEq, Eq)]
pub struct Batch {
    /// Its number: 1 for the first, then without a gap.
    pub seq: u64,
    /// When it was decided, UTC milliseconds.
    pub at: i64,
    /// The hash of the batch before it.
    pub prev_hash: Hash,
    /// Its own.
    pub hash: Hash,
    /// What happened, without personal values; covered by the hash.
    pub payload: Vec<u8>,
    /// The personal values, each committed to by the payload; may be blanked.
    pub personal: Vec<u8>,
}

impl fmt::Debug for Batch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Batch")
            .field("seq", &self.seq)
            .field("at", &self.at)
            .field("hash", &self.hash)
            .field("payload", &self.payload.len())
            .field("personal", &self.personal.len())
            .finish()
    }
}

/// Where the journal ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tip {
    /// The newest batch; 0 when there is none.
    pub seq: u64,
    /// Its hash.
    pub hash: Hash,
}

impl Tip {
    /// The end of an empty journal.
    pub const GENESIS: Tip = Tip {
        seq: 0,
        hash: Hash::GENESIS,
    };
}

/// Why a row does not continue the chain.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ChainError {
    /// A row is missing.
    #[error("batch {expected} is missing, the next one is {found}")]
    Gap {
        /// The number that should have come.
        expected: u64,
        /// The one that came.
        found: u64,
    },
    /// The row was made for another predecessor.
    #[error("batch {seq} does not continue the one before it")]
    Link {
        /// Its number.
        seq: u64,
    },
    /// The payload is not what was hashed.
    #[error("batch {seq} was changed after it was written")]
    Hash {
        /// Its number.
        seq: u64,
    },
}

impl Tip {
    /// Moves to `batch`, if it is the next of the chain.
    ///
    /// # Errors
    /// [`ChainError`] tells in which way it is not.
    pub fn follow(&mut self, batch: &Batch) -> Result<(), ChainError> {
        let seq = batch.seq;
        if seq != self.seq + 1 {
            return Err(ChainError::Gap {
                expected: self.seq + 1,
                found: seq,
            });
        }
        if batch.prev_hash != self.hash {
            return Err(ChainError::Link { seq });
        }
        if Hash::link(batch.prev_hash, &batch.payload) != batch.hash {
            return Err(ChainError::Hash { seq });
        }
        *self = Tip {
            seq,
            hash: batch.hash,
        };
        Ok(())
    }
}
