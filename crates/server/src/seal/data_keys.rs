//! Data keys, sealed under the master key: made, opened, and sealed anew after a rotation.

use std::sync::Arc;

use maskline_sealing::{DataKey, DataKeyId, KEY_BYTES, Kind};
use maskline_store::data_key::SealedKey;
use maskline_store::keyring::{Keyring, MakesKeys, OpenKey};
use thiserror::Error;
use zeroize::Zeroizing;

use super::{HEADER_BYTES, OpenError, Sealer};

/// Why the data cannot be opened.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("data key {id}, under which values are sealed, does not open: {source}")]
pub struct DataKeyError {
    /// Which of them.
    pub id: DataKeyId,
    /// Why not.
    pub source: OpenError,
}

/// What is authenticated with a data key. No AccessKeyId can be it, for the colon.
fn owner(kind: Kind, id: DataKeyId) -> String {
    format!("data-key:{}:{id}", kind.name())
}

impl Sealer {
    /// A new data key by chance, open and as it is to be kept; `at` is now.
    ///
    /// # Errors
    /// When the system gives no random bytes.
    pub fn new_data_key(
        &self,
        id: DataKeyId,
        kind: Kind,
        at: i64,
    ) -> Result<(DataKey, SealedKey), getrandom::Error> {
        let mut bytes = Zeroizing::new([0; KEY_BYTES]);
        getrandom::fill(bytes.as_mut_slice())?;
        let sealed = self.seal_for(&owner(kind, id), bytes.as_slice())?;
        let kept = SealedKey {
            id,
            kind,
            made_at: at,
            master: master_of(&sealed),
            sealed,
            promised: 0,
        };
        Ok((DataKey::new(id, &bytes), kept))
    }

    /// Opens data keys, all of them or none.
    ///
    /// # Errors
    /// [`DataKeyError`] of the first that does not open.
    pub fn open_data_keys(&self, kept: &[SealedKey]) -> Result<Vec<OpenKey>, DataKeyError> {
        let open = |kept: &SealedKey| {
            let bytes = self.data_key(kept)?;
            Ok(OpenKey {
                kind: kept.kind,
                key: DataKey::new(kept.id, &bytes),
                promised: kept.promised,
            })
        };
        kept.iter().map(open).collect()
    }

    /// A data key sealed under the master key of now; none if it is already.
    ///
    /// # Errors
    /// [`DataKeyError`]; and when the system gives no random bytes.
    pub fn reseal_data_key(&self, kept: &SealedKey) -> Result<Option<SealedKey>, ResealError> {
        if self.is_current(&kept.sealed) {
            return Ok(None);
        }
        let bytes = self.data_key(kept)?;
        let sealed = self
            .seal_for(&owner(kept.kind, kept.id), bytes.as_slice())
            .map_err(ResealError::Random)?;
        Ok(Some(SealedKey {
            master: master_of(&sealed),
            sealed,
            ..kept.clone()
        }))
    }

    fn data_key(&self, kept: &SealedKey) -> Result<Zeroizing<[u8; KEY_BYTES]>, DataKeyError> {
        let id = kept.id;
        let failed = |source| DataKeyError { id, source };
        let opened = self
            .open_for(&owner(kept.kind, id), &kept.sealed)
            .map_err(failed)?;
        let bytes: [u8; KEY_BYTES] = opened
            .expose()
            .try_into()
            .map_err(|_| failed(OpenError::Malformed))?;
        Ok(Zeroizing::new(bytes))
    }
}

/// Why a data key was not sealed anew.
#[derive(Debug, Error)]
pub enum ResealError {
    /// It does not open.
    #[error(transparent)]
    Open(#[from] DataKeyError),
    /// The system gives no random bytes.
    #[error("no random bytes: {0}")]
    Random(getrandom::Error),
}

/// The id of the master key in a sealed value.
fn master_of(sealed: &[u8]) -> String {
    hex::encode(sealed.get(1..HEADER_BYTES).unwrap_or_default())
}

/// The keys of a directory for who seals, with a seed for nonces from the system; `clock` tells when a key is made.
///
/// # Errors
/// [`ResealError`].
pub fn keyring(
    sealer: &Arc<Sealer>,
    kept: &[SealedKey],
    clock: fn() -> i64,
) -> Result<Keyring, ResealError> {
    let keys = sealer.open_data_keys(kept)?;
    let mut seed = Zeroizing::new([0; 32]);
    getrandom::fill(seed.as_mut_slice()).map_err(ResealError::Random)?;
    let maker = Maker {
        sealer: Arc::clone(sealer),
        clock,
    };
    Ok(Keyring::sealing(keys, &seed, Arc::new(maker)))
}

#[derive(Debug)]
struct Maker {
    sealer: Arc<Sealer>,
    clock: fn() -> i64,
}

impl MakesKeys for Maker {
    fn make(&self, id: DataKeyId, kind: Kind) -> Result<(DataKey, SealedKey), String> {
        self.sealer
            .new_data_key(id, kind, (self.clock)())
            .map_err(|error| error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use std::slice::from_ref;

    use super::*;
    use crate::seal::MasterKeys;

    fn sealer(keys: &[u8]) -> Sealer {
        let text: Vec<String> = keys.iter().map(|byte| hex::encode([*byte; 32])).collect();
        Sealer::new(&MasterKeys::parse(&text.join("\n")).expect("well formed"))
    }

    #[test]
    fn a_data_key_opens_under_its_master_key_alone() {
        let (_, kept) = sealer(&[1])
            .new_data_key(DataKeyId(1), Kind::Values, 5)
            .expect("made");
        assert!(sealer(&[1]).open_data_keys(from_ref(&kept)).is_ok());
        let wrong = sealer(&[2]).open_data_keys(from_ref(&kept));
        assert!(matches!(
            wrong.expect_err("another key").source,
            OpenError::OtherKey(_)
        ));
        // Nor as a key of another number or for another purpose.
        for moved in [
            SealedKey {
                id: DataKeyId(2),
                ..kept.clone()
            },
            SealedKey {
                kind: Kind::Index,
                ..kept
            },
        ] {
            let error = sealer(&[1])
                .open_data_keys(from_ref(&moved))
                .expect_err("moved");
            assert_eq!(error.source, OpenError::NotAuthentic);
        }
    }

    #[test]
    fn after_a_rotation_the_old_master_key_is_no_longer_needed() {
        let (_, kept) = sealer(&[1])
            .new_data_key(DataKeyId(1), Kind::Values, 5)
            .expect("made");
        let both = sealer(&[2, 1]);
        let resealed = both
            .reseal_data_key(&kept)
            .expect("it opens")
            .expect("it was old");
        assert_ne!(resealed.master, kept.master);
        assert!(sealer(&[2]).open_data_keys(from_ref(&resealed)).is_ok());
        assert!(matches!(both.reseal_data_key(&resealed), Ok(None)));
    }
}
