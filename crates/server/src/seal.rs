//! Secrets at rest: those of AccessKeys and carriers and the passwords of trunks are sealed under a master key
//! that never enters the database, the journal or a backup.
//!
//! A sealed value is `version (1 byte) ‖ key id (8 bytes) ‖ nonce (12 bytes) ‖ AES-256-GCM ciphertext
//! and tag`. The name of its owner is authenticated beside it, so a sealed secret moved to another
//! AccessKey does not open. Replay treats sealed values as opaque; they are opened when used.
//!
//! Data keys, under which values at rest are sealed (`maskline_sealing`), are such secrets too.
//!
//! Nonces are random, 96 bits. NIST SP 800-38D section 8.3 allows 2^32 of them under one key, far
//! more than there will be AccessKeys.

mod data_keys;
mod master_key;

use std::fmt;

use aes_gcm::aead::{Aead, KeyInit, Payload};
use aes_gcm::{Aes256Gcm, Nonce};
use thiserror::Error;
use zeroize::Zeroizing;

use maskline_domain::{AccessKeyId, CarrierName, TrunkName};

pub use data_keys::{DataKeyError, ResealError, keyring};
pub use master_key::{KeyError, KeyOrigin, MasterKeyPlace, MasterKeys, beside, find, obtain};

const VERSION: u8 = 1;
const KEY_ID_BYTES: usize = 8;
const NONCE_BYTES: usize = 12;
const HEADER_BYTES: usize = 1 + KEY_ID_BYTES;

/// What stands for an owner in the check value; no AccessKeyId can be it, for the colon.
const CHECK_OWNER: &str = "maskline:master-key-check";
const CHECK_TEXT: &[u8] = b"maskline";

/// A secret in the clear. It never shows itself, and is wiped from memory when dropped.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Zeroizing<Vec<u8>>);

impl Secret {
    /// Takes over bytes that are a secret.
    pub fn new(bytes: Vec<u8>) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// The secret itself. Not to be logged, formatted or kept.
    pub fn expose(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// Why a sealed value does not open.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum OpenError {
    /// It is not in our form.
    #[error("the sealed value is damaged")]
    Malformed,
    /// It was sealed under a key that we do not have.
    #[error("the sealed value needs master key {}, which is not here", hex::encode(.0))]
    OtherKey([u8; KEY_ID_BYTES]),
    /// It was changed, or belongs to another owner.
    #[error("the sealed value was changed or belongs to another owner")]
    NotAuthentic,
}

/// What a trunk's password is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TrunkSecret {
    /// We answer the peer with it.
    Auth,
    /// The peer must answer us with it.
    Challenge,
}

impl TrunkSecret {
    /// As settings spell it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Auth => "auth",
            Self::Challenge => "challenge",
        }
    }

    /// No AccessKeyId can be this, for the colon.
    fn owner(self, trunk: &TrunkName) -> String {
        format!("trunk:{trunk}:{}", self.name())
    }
}

/// No AccessKeyId can be this, for the colon.
fn carrier_owner(carrier: &CarrierName) -> String {
    format!("carrier:{carrier}:secret")
}

/// Seals and opens secrets.
pub struct Sealer {
    /// The first seals; all of them open.
    keys: Vec<SealingKey>,
}

impl fmt::Debug for Sealer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sealer").finish_non_exhaustive()
    }
}

struct SealingKey {
    id: [u8; KEY_ID_BYTES],
    cipher: Aes256Gcm,
}

impl Sealer {
    /// Seals under the first of the keys and opens under any of them.
    pub fn new(keys: &MasterKeys) -> Self {
        let keys = keys
            .iter()
            .map(|key| SealingKey {
                id: key.id(),
                cipher: Aes256Gcm::new(key.bytes().into()),
            })
            .collect();
        Self { keys }
    }

    /// Seals the secret of an AccessKey.
    ///
    /// # Errors
    /// When the system gives no random bytes.
    pub fn seal(&self, owner: &AccessKeyId, secret: &Secret) -> Result<Vec<u8>, getrandom::Error> {
        self.seal_for(owner.as_str(), secret.expose())
    }

    /// Opens what [`Sealer::seal`] sealed for the same AccessKey.
    ///
    /// # Errors
    /// When the value is damaged, not this owner's, or under a key that is not here.
    pub fn open(&self, owner: &AccessKeyId, sealed: &[u8]) -> Result<Secret, OpenError> {
        self.open_for(owner.as_str(), sealed)
    }

    /// Seals a password of a trunk.
    ///
    /// # Errors
    /// When the system gives no random bytes.
    pub fn seal_for_trunk(
        &self,
        trunk: &TrunkName,
        purpose: TrunkSecret,
        secret: &Secret,
    ) -> Result<Vec<u8>, getrandom::Error> {
        self.seal_for(&purpose.owner(trunk), secret.expose())
    }

    /// Opens what [`Sealer::seal_for_trunk`] sealed for the same trunk and purpose.
    ///
    /// # Errors
    /// When the value is damaged, not this trunk's, or under a key that is not here.
    pub fn open_for_trunk(
        &self,
        trunk: &TrunkName,
        purpose: TrunkSecret,
        sealed: &[u8],
    ) -> Result<Secret, OpenError> {
        self.open_for(&purpose.owner(trunk), sealed)
    }

    /// Seals the key that signs what a carrier is told.
    ///
    /// # Errors
    /// When the system gives no random bytes.
    pub fn seal_for_carrier(
        &self,
        carrier: &CarrierName,
        secret: &Secret,
    ) -> Result<Vec<u8>, getrandom::Error> {
        self.seal_for(&carrier_owner(carrier), secret.expose())
    }

    /// Opens what [`Sealer::seal_for_carrier`] sealed for the same carrier.
    ///
    /// # Errors
    /// When the value is damaged, not this carrier's, or under a key that is not here.
    pub fn open_for_carrier(
        &self,
        carrier: &CarrierName,
        sealed: &[u8],
    ) -> Result<Secret, OpenError> {
        self.open_for(&carrier_owner(carrier), sealed)
    }

    /// Whether a value is sealed under the key that seals now; if not, it waits to be sealed anew.
    pub fn is_current(&self, sealed: &[u8]) -> bool {
        sealed.get(1..HEADER_BYTES) == Some(&self.sealing_key().id)
    }

    /// A value to keep with the data, by which a later start can tell that it has the right key.
    ///
    /// # Errors
    /// When the system gives no random bytes.
    pub fn check_value(&self) -> Result<Vec<u8>, getrandom::Error> {
        self.seal_for(CHECK_OWNER, CHECK_TEXT)
    }

    /// Whether a check value was made under one of our keys.
    ///
    /// # Errors
    /// The key is not the one that the data were sealed under, or the check value is damaged.
    pub fn verify(&self, check_value: &[u8]) -> Result<(), OpenError> {
        match self.open_for(CHECK_OWNER, check_value)?.expose() {
            CHECK_TEXT => Ok(()),
            _ => Err(OpenError::Malformed),
        }
    }

    fn sealing_key(&self) -> &SealingKey {
        &self.keys[0]
    }

    fn seal_for(&self, owner: &str, secret: &[u8]) -> Result<Vec<u8>, getrandom::Error> {
        let key = self.sealing_key();
        let mut nonce = [0; NONCE_BYTES];
        getrandom::fill(&mut nonce)?;
        let payload = Payload {
            msg: secret,
            aad: owner.as_bytes(),
        };
        let ciphertext = key
            .cipher
            .encrypt(&Nonce::from(nonce), payload)
            .expect("AES-GCM takes up to 64 GiB, and a secret is a few bytes");
        let mut sealed = Vec::with_capacity(HEADER_BYTES + NONCE_BYTES + ciphertext.len());
        sealed.push(VERSION);
        sealed.extend_from_slice(&key.id);
        sealed.extend_from_slice(&nonce);
        sealed.extend_from_slice(&ciphertext);
        Ok(sealed)
    }

    fn open_for(&self, owner: &str, sealed: &[u8]) -> Result<Secret, OpenError> {
        let (version, rest) = sealed.split_first().ok_or(OpenError::Malformed)?;
        if *version != VERSION {
            return Err(OpenError::Malformed);
        }
        let (key_id, rest) = rest
            .split_first_chunk::<KEY_ID_BYTES>()
            .ok_or(OpenError::Malformed)?;
        let (nonce, ciphertext) = rest
            .split_first_chunk::<NONCE_BYTES>()
            .ok_or(OpenError::Malformed)?;
        let key = self
            .keys
            .iter()
            .find(|key| key.id == *key_id)
            .ok_or(OpenError::OtherKey(*key_id))?;
        let payload = Payload {
            msg: ciphertext,
            aad: owner.as_bytes(),
        };
        key.cipher
            .decrypt(&Nonce::from(*nonce), payload)
            .map(Secret::new)
            .map_err(|_| OpenError::NotAuthentic)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sealed_secret_opens_for_its_owner_alone() {
        let sealer = sealer(&[7]);
        let owner = AccessKeyId::new("LTAI1");
        let secret = Secret::new(b"s3cret".to_vec());
        let sealed = sealer.seal(&owner, &secret).unwrap();
        assert_eq!(sealer.open(&owner, &sealed), Ok(secret));
        assert_eq!(
            sealer.open(&AccessKeyId::new("LTAI2"), &sealed),
            Err(OpenError::NotAuthentic)
        );
        assert!(!sealed.windows(6).any(|part| part == b"s3cret"));
    }

    #[test]
    fn every_changed_byte_is_noticed() {
        let sealer = sealer(&[7]);
        let owner = AccessKeyId::new("LTAI1");
        let sealed = sealer
            .seal(&owner, &Secret::new(b"s3cret".to_vec()))
            .unwrap();
        for at in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[at] ^= 1;
            assert!(sealer.open(&owner, &changed).is_err(), "byte {at}");
            assert!(sealer.open(&owner, &sealed[..at]).is_err(), "cut at {at}");
        }
    }

    #[test]
    fn sealing_twice_gives_different_values() {
        let sealer = sealer(&[7]);
        assert_ne!(sealer.check_value().unwrap(), sealer.check_value().unwrap());
    }

    #[test]
    fn a_wrong_key_is_refused_by_the_check_value() {
        let check = sealer(&[7]).check_value().unwrap();
        assert_eq!(sealer(&[7]).verify(&check), Ok(()));
        assert!(matches!(
            sealer(&[8]).verify(&check),
            Err(OpenError::OtherKey(_))
        ));
        assert_eq!(sealer(&[7]).verify(b""), Err(OpenError::Malformed));
    }

    #[test]
    fn an_older_key_still_opens_and_the_newer_one_seals() {
        let owner = AccessKeyId::new("LTAI1");
        let secret = Secret::new(b"s3cret".to_vec());
        let old = sealer(&[7]).seal(&owner, &secret).unwrap();
        let both = sealer(&[8, 7]);
        assert_eq!(both.open(&owner, &old), Ok(secret.clone()));
        assert!(!both.is_current(&old));
        let new = both.seal(&owner, &secret).unwrap();
        assert!(both.is_current(&new));
        assert_eq!(sealer(&[8]).open(&owner, &new), Ok(secret));
    }

    #[test]
    fn a_secret_does_not_show_itself() {
        let secret = Secret::new(b"s3cret".to_vec());
        assert_eq!(format!("{secret:?}"), "Secret(…)");
    }

    fn sealer(keys: &[u8]) -> Sealer {
        let text: Vec<String> = keys.iter().map(|byte| hex::encode([*byte; 32])).collect();
        Sealer::new(&MasterKeys::parse(&text.join("\n")).expect("well formed"))
    }
}
