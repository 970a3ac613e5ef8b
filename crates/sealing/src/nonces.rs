//! Nonces of sealed values.

use std::fmt;

use aes_gcm::aes::Aes256;
use aes_gcm::aes::cipher::{BlockEncrypt as _, KeyInit as _};

/// The size of a nonce, in bytes: 96 bits, as AES-GCM wants it.
pub const NONCE_BYTES: usize = 12;

/// Makes nonces of a seed that the system gave at the start of the process.
///
/// Each is 96 bits of AES-256 over a counter, under the seed as its key. That is what a generator of random numbers
/// does (NIST SP 800-90A, CTR_DRBG), so they cannot be told from numbers drawn by chance, and the bound for those
/// holds (SP 800-38D, section 8.3). A process that starts anew, or another one that seals under the same key, has a
/// seed of its own. To ask the system for each would cost more than to seal.
pub struct Nonces {
    cipher: Aes256,
    next: u128,
}

impl fmt::Debug for Nonces {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Nonces").finish_non_exhaustive()
    }
}

impl Nonces {
    /// Those of a seed, which must be secret and never be used twice.
    pub fn new(seed: &[u8; 32]) -> Self {
        Self {
            cipher: Aes256::new(seed.into()),
            next: 0,
        }
    }

    /// The next one.
    pub fn draw(&mut self) -> [u8; NONCE_BYTES] {
        let mut block = self.next.to_be_bytes().into();
        self.next += 1;
        self.cipher.encrypt_block(&mut block);
        let mut nonce = [0; NONCE_BYTES];
        nonce.copy_from_slice(&block[..NONCE_BYTES]);
        nonce
    }
}
