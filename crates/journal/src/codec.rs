//! How batches and snapshots become bytes at rest, and come back from them.

use std::fmt;

use crate::compression::{Compression, Uncompressed};

/// What every reader and writer of batches and snapshots needs; clones are cheap.
#[derive(Clone)]
pub struct Codec {
    compression: &'static dyn Compression,
}

/// Neither compresses nor seals.
pub static PLAIN: Codec = Codec::unsealed(&Uncompressed);

impl fmt::Debug for Codec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Codec").finish_non_exhaustive()
    }
}

impl Codec {
    /// Compresses, and seals nothing.
    pub const fn unsealed(compression: &'static dyn Compression) -> Self {
        Self { compression }
    }

    /// By what it compresses.
    pub fn compression(&self) -> &'static dyn Compression {
        self.compression
    }

    /// Appends the compressed form of `bytes` to `out`.
    pub(crate) fn compress(&self, bytes: &[u8], out: &mut Vec<u8>) {
        self.compression.compress(bytes, out);
    }

    /// See [`Compression::decompress`].
    pub(crate) fn decompress(&self, packed: &[u8], bytes_max: usize) -> Option<Vec<u8>> {
        self.compression.decompress(packed, bytes_max)
    }
}
