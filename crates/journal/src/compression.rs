//! How batches and snapshots are compressed; by whom is passed in.

/// Compresses and decompresses pieces of at most some megabytes.
pub trait Compression: Sync {
    /// Appends the compressed form of `bytes` to `out`.
    fn compress(&self, bytes: &[u8], out: &mut Vec<u8>);

    /// The original of what was compressed; none if it is larger than `bytes_max`, or `packed` is not the
    /// work of [`Self::compress`].
    fn decompress(&self, packed: &[u8], bytes_max: usize) -> Option<Vec<u8>>;
}

/// Nothing is compressed.
#[derive(Clone, Copy, Debug, Default)]
pub struct Uncompressed;

impl Compression for Uncompressed {
    fn compress(&self, bytes: &[u8], out: &mut Vec<u8>) {
        out.extend_from_slice(bytes);
    }

    fn decompress(&self, packed: &[u8], bytes_max: usize) -> Option<Vec<u8>> {
        (packed.len() <= bytes_max).then(|| packed.to_vec())
    }
}
