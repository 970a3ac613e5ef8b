//! Compression by Zstandard, with contexts that are made once a thread: making one costs
//! more than compressing a batch.

use std::cell::RefCell;

use maskline_journal::{Codec, Compression};
use zstd::bulk::{Compressor, Decompressor};

/// The fastest ordinary level; the disk is not the limit here.
const LEVEL: i32 = 1;

thread_local! {
    static COMPRESSOR: RefCell<Option<Compressor<'static>>> = const { RefCell::new(None) };
    static DECOMPRESSOR: RefCell<Option<Decompressor<'static>>> = const { RefCell::new(None) };
}

/// Zstandard (RFC 8878).
#[derive(Clone, Copy, Debug, Default)]
pub struct Zstd;

/// By Zstandard, and nothing is sealed.
pub static UNSEALED: Codec = Codec::unsealed(&Zstd);

impl Compression for Zstd {
    fn compress(&self, bytes: &[u8], out: &mut Vec<u8>) {
        const INTO_MEMORY: &str = "compressing into memory cannot fail";
        let packed = COMPRESSOR.with_borrow_mut(|slot| {
            let compressor = match slot {
                Some(compressor) => compressor,
                None => slot.insert(Compressor::new(LEVEL).expect(INTO_MEMORY)),
            };
            compressor.compress(bytes).expect(INTO_MEMORY)
        });
        out.extend_from_slice(&packed);
    }

    fn decompress(&self, packed: &[u8], bytes_max: usize) -> Option<Vec<u8>> {
        // What the frame says of its size spares a buffer of the largest one.
        let said = zstd::zstd_safe::get_frame_content_size(packed)
            .ok()
            .flatten()
            .and_then(|size| usize::try_from(size).ok());
        let capacity = said.map_or(bytes_max, |size| size.min(bytes_max));
        DECOMPRESSOR.with_borrow_mut(|slot| {
            let decompressor = match slot {
                Some(decompressor) => decompressor,
                None => slot.insert(Decompressor::new().ok()?),
            };
            decompressor.decompress(packed, capacity).ok()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_come_back_and_bounds_hold() {
        for bytes in [Vec::new(), b"abc".to_vec(), vec![7; 100_000]] {
            let mut packed = Vec::new();
            Zstd.compress(&bytes, &mut packed);
            assert_eq!(Zstd.decompress(&packed, 100_000).expect("whole"), bytes);
            if bytes.len() > 10 {
                assert!(Zstd.decompress(&packed, bytes.len() - 1).is_none());
                packed.truncate(packed.len() / 2);
                assert!(Zstd.decompress(&packed, 100_000).is_none());
            }
        }
        assert!(Zstd.decompress(b"no zstd", 100).is_none());
    }
}
