//! The form of snapshots: the whole state at one batch, so that a start need not replay
//! from the beginning.
//!
//! A snapshot is a run of parts and one last row that tells how many parts and
//! rows there are and what digest the state must have. Without its last row it
//! does not count, so a crash while writing leaves nothing that looks whole.

use std::fmt;

use serde::{Deserialize, Serialize, de::DeserializeOwned};
use sha2::{Digest as _, Sha256};

use crate::batch::Hash;
use crate::compression::Compression;

/// Rows of a state gathered into one part before it is compressed, in bytes.
/// A part must stay below 1 MiB, since its write holds up the next append.
pub const PART_BYTES: usize = 512 * 1024;

/// The largest part that is believed, uncompressed, in bytes.
const PART_BYTES_MAX: usize = 64 * 1024 * 1024;

/// How many whole snapshots are kept.
pub const KEPT: usize = 2;

/// The version of the form of a part and of the rows in it.
const FORM: u8 = 1;
/// Marks a part with rows, and the last row of a snapshot.
const ROWS: u8 = b'R';
const END: u8 = b'E';

/// The last row of a snapshot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seal {
    /// The batch after which the state was taken.
    pub seq: u64,
    /// When that batch was decided, UTC milliseconds.
    pub at: i64,
    /// That batch's hash, hexadecimal; the chain goes on from it.
    pub hash: String,
    /// How many parts come before this row.
    pub parts: u64,
    /// How many rows of state they hold.
    pub rows: u64,
    /// The digest of the state, hexadecimal.
    pub digest: String,
    /// Which program wrote it.
    pub writer: String,
}

/// Gathers rows of state into parts.
pub struct Parts {
    compression: &'static dyn Compression,
    open: Vec<u8>,
    rows: u64,
    digest: Sha256,
}

/// What [`Parts`] took in, for the last row.
#[derive(Debug)]
pub struct Total {
    /// The last part, if any row was left for one.
    pub part: Option<Vec<u8>>,
    /// How many rows there were.
    pub rows: u64,
    /// The digest of the state that they make up.
    pub digest: Hash,
}

impl fmt::Debug for Parts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Parts")
            .field("rows", &self.rows)
            .finish_non_exhaustive()
    }
}

impl Parts {
    /// No rows yet.
    pub fn new(compression: &'static dyn Compression) -> Self {
        Self {
            compression,
            open: Vec::new(),
            rows: 0,
            digest: Sha256::new(),
        }
    }

    /// Takes a row; gives a part when enough have come.
    pub fn push<R: Serialize>(&mut self, row: &R) -> Option<Vec<u8>> {
        let open = std::mem::take(&mut self.open);
        self.open = postcard::to_extend(row, open).expect("rows of state always serialise");
        self.rows += 1;
        (self.open.len() >= PART_BYTES).then(|| self.close())
    }

    /// Ends the run of rows.
    pub fn finish(mut self) -> Total {
        Total {
            part: (!self.open.is_empty()).then(|| self.close()),
            rows: self.rows,
            digest: Hash(self.digest.finalize().into()),
        }
    }

    fn close(&mut self) -> Vec<u8> {
        self.digest.update(&self.open);
        let mut part = vec![FORM, ROWS];
        self.compression.compress(&self.open, &mut part);
        self.open.clear();
        part
    }
}

/// The digest of a state: SHA-256 of its rows in their order, as snapshots
/// write them. Two states of the same content have the same.
pub fn digest<R: Serialize>(rows: impl Iterator<Item = R>) -> Hash {
    let mut digest = Sha256::new();
    let mut bytes = Vec::new();
    for row in rows {
        bytes = postcard::to_extend(&row, bytes).expect("rows of state always serialise");
        if bytes.len() >= PART_BYTES {
            digest.update(&bytes);
            bytes.clear();
        }
    }
    digest.update(&bytes);
    Hash(digest.finalize().into())
}

/// Why a part cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PartError {
    /// It is not what was written.
    Broken,
    /// Its form is one of a newer program.
    Form(u8),
}

/// The bytes of the rows in a part.
///
/// # Errors
/// [`PartError`].
pub fn unpack(payload: &[u8], compression: &dyn Compression) -> Result<Vec<u8>, PartError> {
    let packed = match payload {
        [FORM, ROWS, packed @ ..] => packed,
        [FORM, ..] | [] => return Err(PartError::Broken),
        [form, ..] => return Err(PartError::Form(*form)),
    };
    compression
        .decompress(packed, PART_BYTES_MAX)
        .ok_or(PartError::Broken)
}

impl Seal {
    /// The hash from which the chain goes on, if it can be read.
    pub fn tip_hash(&self) -> Option<Hash> {
        Hash::parse(&self.hash)
    }

    /// The payload of its row.
    pub fn write(&self) -> Vec<u8> {
        let mut payload = vec![FORM, END];
        payload.extend(serde_json::to_vec(self).expect("plain values always serialise"));
        payload
    }

    /// Reads the payload of such a row; none if it is another.
    pub fn read(payload: &[u8]) -> Option<Self> {
        match payload {
            [FORM, END, json @ ..] => serde_json::from_slice(json).ok(),
            _ => None,
        }
    }
}

/// The rows in the bytes of a part; none if they are no rows.
pub fn rows_of<R: DeserializeOwned>(mut bytes: &[u8]) -> Option<Vec<R>> {
    let mut rows = Vec::new();
    while !bytes.is_empty() {
        let (row, rest) = postcard::take_from_bytes(bytes).ok()?;
        rows.push(row);
        bytes = rest;
    }
    Some(rows)
}

/// Which snapshots go: the unsealed and those beyond the newest [`KEPT`]
/// sealed ones, except `writing`, which is being written.
pub fn superfluous(found: &[(u64, Option<Seal>)], writing: Option<u64>) -> Vec<u64> {
    let mut kept = 0;
    found
        .iter()
        .filter(|(seq, seal)| {
            if seal.is_some() && kept < KEPT {
                kept += 1;
                return false;
            }
            Some(*seq) != writing
        })
        .map(|(seq, _)| *seq)
        .collect()
}
