//! The form of snapshots: the whole state at one batch, so that a start need not replay
//! from the beginning.
//!
//! A snapshot is a run of parts and one last row that tells how many parts and
//! rows there are and what digest the state must have. Without its last row it
//! does not count, so a crash while writing leaves nothing that looks whole.
//!
//! A part (form 2) is a byte for the form, one for what it is, and compressed
//! CBOR: its rows, one after the other ([`maskline_domain::Stored`]). It ends
//! behind the row with which it has [`PART_BYTES`]. The digest is the SHA-256 of
//! the bytes of all parts before they are compressed, with the rows in the order
//! of [`maskline_domain::State::rows`], so that it is the same on every node. In
//! form 1 rows were postcard ([`maskline_domain::rows_v1`]); it is read for ever.
//!
//! A part of form 3 is one of form 2 whose compressed rows are sealed. The last
//! row stays as it is, but its digest is made under a key, which it names: an
//! unkeyed digest of a small state would tell who guesses it that he is right.

use std::fmt;

use maskline_domain::{Classes, Row, Stored, rows, rows_v1};
use maskline_sealing::{DataKeyId, Exhausted, OpenError, Place};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::batch::Hash;
use crate::cbor;
use crate::codec::Codec;
use crate::personal::SEALED_READER;

/// Rows of a state gathered into one part before it is compressed, in bytes.
/// A part must stay below 1 MiB, since its write holds up the next append. The
/// digest depends on it: another size is another form.
pub const PART_BYTES: usize = 512 * 1024;

/// The largest part that is believed, uncompressed, in bytes.
const PART_BYTES_MAX: usize = 64 * 1024 * 1024;

/// How many whole snapshots are kept.
pub const KEPT: usize = 2;

/// The version of the form of a part and of the rows in it.
const FORM: u8 = 2;
/// The form before, whose rows have no names.
const FORM_1: u8 = 1;
/// That of a sealed part.
const FORM_SEALED: u8 = 3;
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
    /// How many of them are bindings, for which room is made; 0 where it is not told.
    #[serde(default)]
    pub bindings: u64,
    /// The digest of the state, hexadecimal.
    pub digest: String,
    /// The data key under which the digest was made; none where it is the bare one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest_key: Option<u32>,
    /// Which program wrote it.
    pub writer: String,
    /// The oldest reader that overlooks nothing in its rows; in form 1 rows say it for themselves.
    #[serde(default)]
    pub oldest_reader: u32,
}

/// Gathers rows of state into parts.
pub struct Parts {
    codec: Codec,
    seq: u64,
    part: u64,
    open: Open,
    rows: u64,
    bindings: u64,
    digest: Sha256,
}

/// A part that is being written.
#[derive(Debug, Default)]
struct Open {
    bytes: Vec<u8>,
    classes: Classes,
}

impl Open {
    fn push(&mut self, row: Row) {
        let (class, row) = self.classes.stored(row);
        for stored in class.iter().chain([&row]) {
            self.bytes = cbor::append(std::mem::take(&mut self.bytes), stored);
        }
    }

    fn is_full(&self) -> bool {
        self.bytes.len() >= PART_BYTES
    }
}

/// What [`Parts`] took in, for the last row.
#[derive(Debug)]
pub struct Total {
    /// The last part, if any row was left for one.
    pub part: Option<Vec<u8>>,
    /// How many rows there were.
    pub rows: u64,
    /// How many of them were bindings.
    pub bindings: u64,
    /// The digest of the state that they make up.
    pub digest: Hash,
    /// The digest as it is to be kept, and the number of the key that it was made under, if any.
    pub kept_digest: (Hash, Option<DataKeyId>),
    /// The oldest reader that knows the form of the parts.
    pub oldest_reader: u32,
}

impl fmt::Debug for Parts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Parts")
            .field("rows", &self.rows)
            .finish_non_exhaustive()
    }
}

impl Parts {
    /// No rows yet of the snapshot of this batch.
    pub fn new(codec: Codec, seq: u64) -> Self {
        Self {
            codec,
            seq,
            part: 0,
            open: Open::default(),
            rows: 0,
            bindings: 0,
            digest: Sha256::new(),
        }
    }

    /// Takes a row; gives a part when enough have come.
    ///
    /// # Errors
    /// [`Exhausted`], from a codec that seals; then there is no snapshot.
    pub fn push(&mut self, row: Row) -> Result<Option<Vec<u8>>, Exhausted> {
        self.rows += 1;
        self.bindings += u64::from(matches!(row, Row::Binding(_)));
        self.open.push(row);
        self.open.is_full().then(|| self.close()).transpose()
    }

    /// Ends the run of rows.
    ///
    /// # Errors
    /// [`Exhausted`], as of [`Self::push`].
    pub fn finish(mut self) -> Result<Total, Exhausted> {
        let is_rest = !self.open.bytes.is_empty();
        let part = is_rest.then(|| self.close()).transpose()?;
        let digest = Hash(self.digest.finalize().into());
        Ok(Total {
            part,
            rows: self.rows,
            bindings: self.bindings,
            digest,
            kept_digest: self.codec.keyed_digest(digest),
            oldest_reader: if self.codec.seals() { SEALED_READER } else { 1 },
        })
    }

    fn close(&mut self) -> Result<Vec<u8>, Exhausted> {
        let rows = std::mem::take(&mut self.open).bytes;
        self.digest.update(&rows);
        let part = pack(&rows, self.seq, self.part, &self.codec)?;
        self.part += 1;
        Ok(part)
    }
}

/// The form in which a part is kept.
///
/// # Errors
/// [`Exhausted`].
pub fn pack(rows: &[u8], seq: u64, part: u64, codec: &Codec) -> Result<Vec<u8>, Exhausted> {
    if codec.seals() {
        let mut packed = vec![FORM_SEALED, ROWS];
        codec.seal(&place(seq, part), rows, &mut packed)?;
        return Ok(packed);
    }
    let mut packed = vec![FORM, ROWS];
    codec.compress(rows, &mut packed);
    Ok(packed)
}

fn place(seq: u64, part: u64) -> Place {
    Place::column("snapshot.payload").number(seq).number(part)
}

/// The key that a part is sealed under; none if it is not. Its first bytes are enough.
pub fn sealed_under(payload: &[u8]) -> Option<DataKeyId> {
    match payload {
        [FORM_SEALED, ROWS, a, b, c, d, ..] => {
            Some(DataKeyId(u32::from_be_bytes([*a, *b, *c, *d])))
        }
        _ => None,
    }
}

/// Whether this is a part with rows, and no last row.
pub fn has_rows(payload: &[u8]) -> bool {
    matches!(payload, [_, ROWS, ..])
}

/// The digest of a state: SHA-256 of its rows in their order, as snapshots
/// write them. Two states of the same content have the same.
pub fn digest(rows: impl Iterator<Item = Row>) -> Hash {
    let mut digest = Sha256::new();
    let mut open = Open::default();
    for row in rows {
        open.push(row);
        if open.is_full() {
            digest.update(std::mem::take(&mut open).bytes);
        }
    }
    digest.update(&open.bytes);
    Hash(digest.finalize().into())
}

/// Why a part cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PartError {
    /// It is not what was written.
    Broken,
    /// Its form is one of a newer program.
    Form(u8),
    /// It is sealed, and does not open.
    Sealed(OpenError),
}

/// A part that has been unpacked.
#[derive(Debug)]
pub struct Unpacked {
    form: u8,
    /// The bytes of its rows, which the digest of its snapshot is over.
    pub bytes: Vec<u8>,
}

/// Unpacks a part of the snapshot of batch `seq`.
///
/// # Errors
/// [`PartError`].
pub fn unpack(payload: &[u8], seq: u64, part: u64, codec: &Codec) -> Result<Unpacked, PartError> {
    let (form, packed) = match payload {
        [FORM_SEALED, ROWS, sealed @ ..] => {
            let bytes = codec.open(&place(seq, part), sealed, PART_BYTES_MAX);
            let bytes = bytes.map_err(PartError::Sealed)?;
            return Ok(Unpacked { form: FORM, bytes });
        }
        [form @ (FORM | FORM_1), ROWS, packed @ ..] => (*form, packed),
        [FORM | FORM_1 | FORM_SEALED, ..] | [] => return Err(PartError::Broken),
        [form, ..] => return Err(PartError::Form(*form)),
    };
    let bytes = codec
        .decompress(packed, PART_BYTES_MAX)
        .ok_or(PartError::Broken)?;
    Ok(Unpacked { form, bytes })
}

/// The bytes of rows as one part holds them, before they are compressed.
pub fn write_rows(rows: impl Iterator<Item = Row>) -> Vec<u8> {
    let mut open = Open::default();
    rows.for_each(|row| open.push(row));
    open.bytes
}

/// The rows in what [`write_rows`] wrote; none if it did not write all of it.
pub fn read_rows(bytes: &[u8]) -> Option<Vec<Row>> {
    rows(cbor::read_all(bytes)?)
}

/// The rows of a part, as it holds them; none if its bytes are no rows.
pub fn rows_of(part: &Unpacked) -> Option<Vec<Stored>> {
    match part.form {
        FORM_1 => rows_of_form_1(&part.bytes),
        _ => cbor::read_all(&part.bytes),
    }
}

fn rows_of_form_1(mut bytes: &[u8]) -> Option<Vec<Stored>> {
    let mut classes = Classes::default();
    let mut rows = Vec::new();
    while !bytes.is_empty() {
        let (row, rest) = postcard::take_from_bytes::<rows_v1::Row>(bytes).ok()?;
        let (class, row) = classes.stored(row.into());
        rows.extend(class);
        rows.push(row);
        bytes = rest;
    }
    Some(rows)
}

impl Seal {
    /// The hash from which the chain goes on, if it can be read.
    pub fn tip_hash(&self) -> Option<Hash> {
        Hash::parse(&self.hash)
    }

    /// The data key under which the digest was made, if any.
    pub fn key_of_digest(&self) -> Option<DataKeyId> {
        self.digest_key.map(DataKeyId)
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
            [FORM | FORM_1, END, json @ ..] => serde_json::from_slice(json).ok(),
            _ => None,
        }
    }
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

#[cfg(test)]
mod tests;
