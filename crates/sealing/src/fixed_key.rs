//! A key for tests and for the simulator.

use sha2::{Digest as _, Sha256};

use crate::nonces::NONCE_BYTES;
use crate::{DataKey, DataKeyId, Exhausted, OpenError, Place, Sealing};

/// One key that everybody knows. The same value in the same place becomes the same bytes, so that runs can be played
/// again; nothing that is to be secret may be sealed by it.
#[derive(Debug)]
pub struct FixedKey(DataKey);

impl Default for FixedKey {
    fn default() -> Self {
        Self(DataKey::new(DataKeyId(7), &[7; 32]))
    }
}

impl Sealing for FixedKey {
    fn seals(&self) -> bool {
        true
    }

    fn seal(&self, place: &Place, plain: &[u8], out: &mut Vec<u8>) -> Result<(), Exhausted> {
        let drawn = Sha256::new()
            .chain_update(place.bytes())
            .chain_update(plain)
            .finalize();
        let mut nonce = [0; NONCE_BYTES];
        nonce.copy_from_slice(&drawn[..NONCE_BYTES]);
        self.0.seal(nonce, place, plain, out);
        Ok(())
    }

    fn open(&self, place: &Place, sealed: &[u8]) -> Result<Vec<u8>, OpenError> {
        self.0.open(place, sealed)
    }

    fn digest_key(&self) -> Option<DataKeyId> {
        Some(self.0.id())
    }

    fn digest(&self, key: DataKeyId, bytes: &[u8]) -> Result<[u8; 32], OpenError> {
        match key == self.0.id() {
            true => Ok(self.0.mac(&Place::column("digest"), bytes)),
            false => Err(OpenError::NoKey(key)),
        }
    }
}
