//! One data key.

use std::fmt;

use aes_gcm::aead::{AeadInPlace as _, KeyInit as _};
use aes_gcm::{Aes256Gcm, Nonce, Tag};
use hmac::{Hmac, Mac as _};
use sha2::Sha256;
use zeroize::Zeroizing;

use crate::nonces::NONCE_BYTES;
use crate::{DataKeyId, OpenError, Place};

/// The size of a data key, in bytes.
pub const KEY_BYTES: usize = 32;

const ID_BYTES: usize = 4;
const TAG_BYTES: usize = 16;

/// What a sealed value has beside its ciphertext, in bytes.
pub const OVERHEAD: usize = ID_BYTES + NONCE_BYTES + TAG_BYTES;

/// A data key that is open. It never shows itself.
pub struct DataKey {
    id: DataKeyId,
    cipher: Aes256Gcm,
    /// With its key taken in, to be cloned for each value.
    mac: Hmac<Sha256>,
}

impl fmt::Debug for DataKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("DataKey").field(&self.id).finish()
    }
}

impl DataKey {
    /// The key with this number.
    pub fn new(id: DataKeyId, bytes: &[u8; KEY_BYTES]) -> Self {
        let derived = |name: &[u8]| -> Zeroizing<[u8; KEY_BYTES]> {
            let mut mac = keyed(bytes);
            mac.update(name);
            Zeroizing::new(mac.finalize().into_bytes().into())
        };
        Self {
            id,
            cipher: Aes256Gcm::new((&*derived(b"maskline data key: seal")).into()),
            mac: keyed(&derived(b"maskline data key: mac")),
        }
    }

    /// Its number.
    pub fn id(&self) -> DataKeyId {
        self.id
    }

    /// Appends the sealed form of `plain` to `out`. No nonce may come twice under one key.
    pub fn seal(&self, nonce: [u8; NONCE_BYTES], place: &Place, plain: &[u8], out: &mut Vec<u8>) {
        out.reserve(plain.len() + OVERHEAD);
        out.extend_from_slice(&self.id.0.to_be_bytes());
        out.extend_from_slice(&nonce);
        let begin = out.len();
        out.extend_from_slice(plain);
        let tag = self
            .cipher
            .encrypt_in_place_detached(&Nonce::from(nonce), place.bytes(), &mut out[begin..])
            .expect("AES-GCM takes up to 64 GiB, and a value has some megabytes");
        out.extend_from_slice(&tag);
    }

    /// The key that a sealed value names.
    ///
    /// # Errors
    /// [`OpenError::Cut`].
    pub fn id_of(sealed: &[u8]) -> Result<DataKeyId, OpenError> {
        match sealed.split_first_chunk::<ID_BYTES>() {
            Some((id, rest)) if rest.len() >= NONCE_BYTES + TAG_BYTES => {
                Ok(DataKeyId(u32::from_be_bytes(*id)))
            }
            _ => Err(OpenError::Cut),
        }
    }

    /// What was sealed under this key, for this place.
    ///
    /// # Errors
    /// [`OpenError`].
    pub fn open(&self, place: &Place, sealed: &[u8]) -> Result<Vec<u8>, OpenError> {
        let id = Self::id_of(sealed)?;
        if id != self.id {
            return Err(OpenError::NoKey(id));
        }
        let rest = &sealed[ID_BYTES..];
        let (nonce, rest) = rest
            .split_first_chunk::<NONCE_BYTES>()
            .ok_or(OpenError::Cut)?;
        let (ciphertext, tag) = rest.split_last_chunk::<TAG_BYTES>().ok_or(OpenError::Cut)?;
        let mut plain = ciphertext.to_vec();
        self.cipher
            .decrypt_in_place_detached(
                &Nonce::from(*nonce),
                place.bytes(),
                &mut plain,
                &Tag::from(*tag),
            )
            .map_err(|_| OpenError::NotAuthentic(id))?;
        Ok(plain)
    }

    /// HMAC-SHA-256 of `bytes` in this column or for this purpose, under a key derived from this one.
    pub fn mac(&self, purpose: &Place, bytes: &[u8]) -> [u8; 32] {
        let mut mac = self.mac.clone();
        mac.update(&(purpose.bytes().len() as u64).to_be_bytes());
        mac.update(purpose.bytes());
        mac.update(bytes);
        mac.finalize().into_bytes().into()
    }
}

fn keyed(key: &[u8; KEY_BYTES]) -> Hmac<Sha256> {
    <Hmac<Sha256> as hmac::Mac>::new_from_slice(key).expect("HMAC takes keys of any size")
}
