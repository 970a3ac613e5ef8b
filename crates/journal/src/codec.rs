//! How batches and snapshots become bytes at rest, and come back from them.
//!
//! What they say is compressed; what of it is personal is sealed too, where the directory has keys for that. Forms
//! with and without sealing stand beside each other, told apart by their first byte.

use std::fmt;
use std::sync::Arc;

use maskline_sealing::{DataKeyId, Exhausted, OpenError, Place, Sealing};

use crate::batch::Hash;
use crate::compression::{Compression, Uncompressed};

/// What every reader and writer of batches and snapshots needs; clones are cheap.
#[derive(Clone)]
pub struct Codec {
    compression: &'static dyn Compression,
    sealing: Option<Arc<dyn Sealing>>,
}

/// Neither compresses nor seals.
pub static PLAIN: Codec = Codec::unsealed(&Uncompressed);

impl fmt::Debug for Codec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Codec")
            .field("sealing", &self.sealing)
            .finish_non_exhaustive()
    }
}

impl Codec {
    /// Compresses, seals nothing, and opens nothing that is sealed.
    pub const fn unsealed(compression: &'static dyn Compression) -> Self {
        Self {
            compression,
            sealing: None,
        }
    }

    /// The same with keys.
    pub fn with_keys(&self, sealing: Arc<dyn Sealing>) -> Self {
        Self {
            compression: self.compression,
            sealing: Some(sealing),
        }
    }

    /// By what it compresses.
    pub fn compression(&self) -> &'static dyn Compression {
        self.compression
    }

    /// Whether there are keys, so that what is sealed can be opened.
    pub fn opens(&self) -> bool {
        self.sealing.is_some()
    }

    /// Whether what is written now is sealed.
    pub fn seals(&self) -> bool {
        self.sealing.as_ref().is_some_and(|keys| keys.seals())
    }

    /// Appends the compressed form of `bytes` to `out`.
    pub(crate) fn compress(&self, bytes: &[u8], out: &mut Vec<u8>) {
        self.compression.compress(bytes, out);
    }

    /// See [`Compression::decompress`].
    pub(crate) fn decompress(&self, packed: &[u8], bytes_max: usize) -> Option<Vec<u8>> {
        self.compression.decompress(packed, bytes_max)
    }

    /// Appends the sealed form of `bytes`, compressed before, to `out`.
    pub(crate) fn seal(
        &self,
        place: &Place,
        bytes: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<(), Exhausted> {
        let keys = self.sealing.as_ref().ok_or(Exhausted)?;
        let mut packed = Vec::with_capacity(bytes.len() / 2 + 64);
        self.compress(bytes, &mut packed);
        keys.seal(place, &packed, out)
    }

    /// What [`Self::seal`] sealed for this place.
    pub(crate) fn open(
        &self,
        place: &Place,
        sealed: &[u8],
        bytes_max: usize,
    ) -> Result<Vec<u8>, OpenError> {
        let id = maskline_sealing::DataKey::id_of(sealed)?;
        let keys = self.sealing.as_ref().ok_or(OpenError::NoKey(id))?;
        let packed = keys.open(place, sealed)?;
        // Whoever has the key sealed something that is no work of ours.
        self.decompress(&packed, bytes_max)
            .ok_or(OpenError::NotAuthentic(id))
    }

    /// The digest of a state as it is kept: under a key where there is one, with the number of that key.
    pub fn keyed_digest(&self, digest: Hash) -> (Hash, Option<DataKeyId>) {
        let keyed = self.sealing.as_ref().and_then(|keys| {
            let key = keys.digest_key()?;
            Some((keys.digest(key, &digest.0).ok()?, key))
        });
        match keyed {
            Some((keyed, key)) => (Hash(keyed), Some(key)),
            None => (digest, None),
        }
    }

    /// The digest of a state as it was kept under this key, or without one.
    ///
    /// # Errors
    /// [`OpenError::NoKey`].
    pub fn digest_under(&self, key: Option<DataKeyId>, digest: Hash) -> Result<Hash, OpenError> {
        let Some(key) = key else { return Ok(digest) };
        let keys = self.sealing.as_ref().ok_or(OpenError::NoKey(key))?;
        keys.digest(key, &digest.0).map(Hash)
    }
}
