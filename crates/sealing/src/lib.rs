//! Values at rest that nobody reads without a key: sealed by AES-256-GCM under data keys, and found again by HMAC.
//!
//! A data key is 256 bits by chance and has a small number, its [`DataKeyId`]. It is kept sealed itself, under a
//! master key that is no business of this room. Keys for the two ways in which it is used are derived from it by
//! HMAC-SHA-256, so that no key serves two algorithms.
//!
//! A sealed value is `key id (4 bytes) ‖ nonce (12) ‖ ciphertext ‖ tag (16)`; who keeps it puts the byte of its form
//! before that. What is authenticated beside it is its [`Place`], table, column and row: moved to another one it
//! does not open. It has no constant bytes but these five, so that two values of one person share nothing.
//!
//! Everything here is calculation: chance comes in as a seed ([`Nonces`]), and who shares a key counts its uses
//! ([`Uses`]) and writes down how many are promised.

mod data_key;
mod fixed_key;
mod nonces;
mod place;
mod uses;

use std::fmt;

pub use data_key::{DataKey, KEY_BYTES, OVERHEAD};
pub use fixed_key::FixedKey;
pub use nonces::{NONCE_BYTES, Nonces};
pub use place::Place;
pub use uses::{BLOCK, USES_MAX, Uses};

/// The number of a data key: from 1 on, and never given twice in one directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DataKeyId(pub u32);

impl fmt::Display for DataKeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What a data key is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// It seals values.
    Values,
    /// It makes search keys of values, by which they are found without being opened.
    Index,
}

impl Kind {
    /// Both of them.
    pub const ALL: [Kind; 2] = [Kind::Values, Kind::Index];

    /// Its name where it is written down.
    pub fn name(self) -> &'static str {
        match self {
            Self::Values => "values",
            Self::Index => "index",
        }
    }

    /// The kind with this name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }
}

/// Why a sealed value does not open. Never tells what stands in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// It is too short to be one.
    #[error("the sealed value is cut")]
    Cut,
    /// Its key is not here.
    #[error("sealed under data key {0}, which is not here")]
    NoKey(DataKeyId),
    /// It was changed, or sealed for another place.
    #[error("changed or moved since it was sealed under data key {0}")]
    NotAuthentic(DataKeyId),
}

/// No value is sealed, because all uses of the key that were promised are over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the data key that seals has no uses left that are written down")]
pub struct Exhausted;

/// Seals and opens for who does not look after keys.
pub trait Sealing: fmt::Debug + Send + Sync {
    /// Whether new values are sealed; if not, they are only opened.
    fn seals(&self) -> bool;

    /// Appends the sealed form of `plain` to `out`.
    ///
    /// # Errors
    /// [`Exhausted`]; then `out` is as it was.
    fn seal(&self, place: &Place, plain: &[u8], out: &mut Vec<u8>) -> Result<(), Exhausted>;

    /// What was sealed for this place.
    ///
    /// # Errors
    /// [`OpenError`].
    fn open(&self, place: &Place, sealed: &[u8]) -> Result<Vec<u8>, OpenError>;

    /// The key that digests are made under now; none where nothing is sealed.
    fn digest_key(&self) -> Option<DataKeyId>;

    /// A digest that says nothing to who does not have the key.
    ///
    /// # Errors
    /// [`OpenError::NoKey`].
    fn digest(&self, key: DataKeyId, bytes: &[u8]) -> Result<[u8; 32], OpenError>;
}
