//! Snapshots: the whole state at one batch, so that a start need not replay
//! from the beginning.
//!
//! A snapshot is a run of parts and one last row that tells how many parts and
//! rows there are and what digest the state must have. Without its last row it
//! does not count, so a crash while writing leaves nothing that looks whole.
//! A start takes the newest that holds, and falls back to the one before it.

use serde::{Deserialize, Serialize, de::DeserializeOwned};
use sha2::{Digest as _, Sha256};
use sqlx::sqlite::SqliteConnection;
use sqlx::{query, query_as, query_scalar};

use crate::ahead::Ahead;
use crate::journal::{Hash, PARTITION};
use crate::squeeze;

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

/// Why a snapshot cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SnapshotError {
    /// A part is missing.
    #[error("part {part} of snapshot {seq} is missing")]
    Missing {
        /// Which snapshot.
        seq: u64,
        /// Which of its parts.
        part: u64,
    },
    /// The rows are not those that were written.
    #[error("the rows of snapshot {seq} are not those that were written")]
    Digest {
        /// Which snapshot.
        seq: u64,
    },
    /// A part cannot be read.
    #[error("part {part} of snapshot {seq} cannot be read")]
    Broken {
        /// Which snapshot.
        seq: u64,
        /// Which of its parts.
        part: u64,
    },
    /// Written by a newer program.
    #[error("snapshot {seq} has form {form}, which this program does not know")]
    Form {
        /// Which snapshot.
        seq: u64,
        /// The unknown form.
        form: u8,
    },
    /// No thread can be started to read it.
    #[error("cannot start a thread: {0}")]
    Thread(std::io::Error),
    /// The database said no.
    #[error("cannot read a snapshot: {0}")]
    Database(#[from] sqlx::Error),
}

/// Gathers rows of state into parts.
#[derive(Debug, Default)]
pub struct Parts {
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

impl Parts {
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
        squeeze::compress(&self.open, &mut part);
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

fn unpack(seq: u64, part: u64, payload: &[u8]) -> Result<Vec<u8>, SnapshotError> {
    let broken = || SnapshotError::Broken { seq, part };
    let packed = match payload {
        [FORM, ROWS, packed @ ..] => packed,
        [FORM, ..] | [] => return Err(broken()),
        [form, ..] => return Err(SnapshotError::Form { seq, form: *form }),
    };
    squeeze::decompress(packed, PART_BYTES_MAX).map_err(|_| broken())
}

impl Seal {
    /// The hash from which the chain goes on, if it can be read.
    pub fn tip_hash(&self) -> Option<Hash> {
        Hash::parse(&self.hash)
    }

    fn write(&self) -> Vec<u8> {
        let mut payload = vec![FORM, END];
        payload.extend(serde_json::to_vec(self).expect("plain values always serialise"));
        payload
    }

    fn read(payload: &[u8]) -> Option<Self> {
        match payload {
            [FORM, END, json @ ..] => serde_json::from_slice(json).ok(),
            _ => None,
        }
    }
}

/// Writes one part of snapshot `seq`, in a transaction of its own.
///
/// # Errors
/// Those of the database.
pub async fn write_part(
    conn: &mut SqliteConnection,
    seq: u64,
    part: u64,
    payload: &[u8],
) -> Result<(), sqlx::Error> {
    query("INSERT INTO snapshot (partition, seq, part, payload) VALUES ($1, $2, $3, $4)")
        .bind(PARTITION)
        .bind(seq as i64)
        .bind(part as i64)
        .bind(payload)
        .execute(conn)
        .await?;
    Ok(())
}

/// Writes the last row, which makes the snapshot count.
///
/// # Errors
/// Those of the database.
pub async fn write_seal(conn: &mut SqliteConnection, seal: &Seal) -> Result<(), sqlx::Error> {
    write_part(conn, seal.seq, seal.parts, &seal.write()).await
}

/// The numbers of everything that looks like a snapshot, newest first, each
/// with its last row if it has one.
///
/// # Errors
/// Those of the database.
pub async fn list(conn: &mut SqliteConnection) -> Result<Vec<(u64, Option<Seal>)>, sqlx::Error> {
    let lasts: Vec<(i64, i64)> = query_as(
        "SELECT seq, MAX(part) FROM snapshot WHERE partition = $1 GROUP BY seq ORDER BY seq DESC",
    )
    .bind(PARTITION)
    .fetch_all(&mut *conn)
    .await?;
    let mut found = Vec::with_capacity(lasts.len());
    for (seq, part) in lasts {
        let payload = part_payload(conn, seq as u64, part as u64).await?;
        let seal = payload
            .and_then(|payload| Seal::read(&payload))
            .filter(|seal| seal.seq == seq as u64 && seal.parts == part as u64);
        found.push((seq as u64, seal));
    }
    Ok(found)
}

/// The bytes of one part.
///
/// # Errors
/// Those of the database.
pub async fn part_payload(
    conn: &mut SqliteConnection,
    seq: u64,
    part: u64,
) -> Result<Option<Vec<u8>>, sqlx::Error> {
    query_scalar("SELECT payload FROM snapshot WHERE partition = $1 AND seq = $2 AND part = $3")
        .bind(PARTITION)
        .bind(seq as i64)
        .bind(part as i64)
        .fetch_optional(conn)
        .await
}

/// Hands every row of a sealed snapshot to `take`, in order.
///
/// # Errors
/// [`SnapshotError`]; then some rows may have been handed over already.
pub async fn load<R: DeserializeOwned + Send + 'static>(
    conn: &mut SqliteConnection,
    seal: &Seal,
    mut take: impl FnMut(R),
) -> Result<(), SnapshotError> {
    let seq = seal.seq;
    let mut decoder = Ahead::start(move |(part, payload): (u64, Vec<u8>)| {
        let bytes = unpack(seq, part, &payload)?;
        let rows = rows_of(&bytes).ok_or(SnapshotError::Broken { seq, part })?;
        Ok::<(Vec<u8>, Vec<R>), SnapshotError>((bytes, rows))
    })
    .map_err(SnapshotError::Thread)?;
    let mut rows = 0;
    let mut digest = Sha256::new();
    for part in 0..=seal.parts {
        if part < seal.parts {
            let payload = part_payload(conn, seq, part)
                .await?
                .ok_or(SnapshotError::Missing { seq, part })?;
            decoder.send((part, payload));
        }
        let left = if part < seal.parts { 2 } else { 0 };
        while let Some(decoded) = decoder.take(left) {
            let (bytes, some) = decoded?;
            digest.update(&bytes);
            rows += some.len() as u64;
            some.into_iter().for_each(&mut take);
        }
    }
    let digest = Hash(digest.finalize().into());
    if rows != seal.rows || digest.to_string() != seal.digest {
        return Err(SnapshotError::Digest { seq });
    }
    Ok(())
}

fn rows_of<R: DeserializeOwned>(mut bytes: &[u8]) -> Option<Vec<R>> {
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

/// Drops at most `parts_max` of the last parts of snapshot `seq`; the last row
/// goes first, so that it stops counting at once. Says how many went.
///
/// # Errors
/// Those of the database.
pub async fn drop_parts(
    conn: &mut SqliteConnection,
    seq: u64,
    parts_max: u32,
) -> Result<u64, sqlx::Error> {
    let done = query(
        "DELETE FROM snapshot WHERE partition = $1 AND seq = $2 AND part IN \
         (SELECT part FROM snapshot WHERE partition = $1 AND seq = $2 ORDER BY part DESC LIMIT $3)",
    )
    .bind(PARTITION)
    .bind(seq as i64)
    .bind(i64::from(parts_max))
    .execute(conn)
    .await?;
    Ok(done.rows_affected())
}
