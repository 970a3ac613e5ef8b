//! The table of snapshots. A start takes the newest that holds, and falls back to the one before it.

use maskline_domain::event::READER;
use maskline_domain::{Row, rows};
use maskline_journal::Codec;
use maskline_journal::batch::Hash;
use maskline_journal::snapshot::{PartError, Seal, rows_of, unpack};
use maskline_sealing::OpenError;
use sha2::{Digest as _, Sha256};

use crate::db::{Connection, Error, sql};
use crate::read_ahead::Ahead;

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
    /// A part is sealed and does not open.
    #[error("part {part} of snapshot {seq}: {why}")]
    Sealed {
        /// Which snapshot.
        seq: u64,
        /// Which of its parts.
        part: u64,
        /// Why not.
        why: OpenError,
    },
    /// Its digest was made under a key that is not here.
    #[error("the digest of snapshot {seq}: {why}")]
    NoDigest {
        /// Which snapshot.
        seq: u64,
        /// Why it is not compared.
        why: OpenError,
    },
    /// Written by a newer program.
    #[error("snapshot {seq} has form {form}, which this program does not know")]
    Form {
        /// Which snapshot.
        seq: u64,
        /// The unknown form.
        form: u8,
    },
    /// Its rows are of a newer program.
    #[error("snapshot {seq} was written by Maskline {writer}; this program is too old to read it")]
    TooNew {
        /// Which snapshot.
        seq: u64,
        /// The version that wrote it.
        writer: String,
    },
    /// No thread can be started to read it.
    #[error("cannot start a thread: {0}")]
    Thread(std::io::Error),
    /// The database said no.
    #[error("cannot read a snapshot: {0}")]
    Database(#[from] Error),
}

/// Writes one part of snapshot `seq`, in a transaction of its own.
///
/// # Errors
/// Those of the database.
pub async fn write_part(
    conn: &mut Connection,
    seq: u64,
    part: u64,
    payload: &[u8],
) -> Result<(), Error> {
    let insert = sql("INSERT INTO snapshot (seq, part, payload) VALUES (?, ?, ?)")
        .bind(seq as i64)
        .bind(part as i64)
        .bind(payload);
    conn.execute(insert).await?;
    Ok(())
}

/// Writes the last row, which makes the snapshot count.
///
/// # Errors
/// Those of the database.
pub async fn write_seal(conn: &mut Connection, seal: &Seal) -> Result<(), Error> {
    write_part(conn, seal.seq, seal.parts, &seal.write()).await
}

/// The numbers of everything that looks like a snapshot, newest first, each
/// with its last row if it has one.
///
/// # Errors
/// Those of the database.
pub async fn list(conn: &mut Connection) -> Result<Vec<(u64, Option<Seal>)>, Error> {
    let lasts = sql("SELECT seq, MAX(part) AS part FROM snapshot GROUP BY seq ORDER BY seq DESC");
    let lasts = conn.fetch_all(lasts).await?;
    let mut found = Vec::with_capacity(lasts.len());
    for last in lasts {
        let (seq, part): (i64, i64) = (last.get("seq")?, last.get("part")?);
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
    conn: &mut Connection,
    seq: u64,
    part: u64,
) -> Result<Option<Vec<u8>>, Error> {
    let select = sql("SELECT payload FROM snapshot WHERE seq = ? AND part = ?")
        .bind(seq as i64)
        .bind(part as i64);
    let row = conn.fetch_optional(select).await?;
    row.map(|row| row.get("payload")).transpose()
}

/// Hands the rows of a sealed snapshot to `take`, in order and as many at a time as a part has.
///
/// # Errors
/// [`SnapshotError`]; then some rows may have been handed over already.
pub async fn load(
    conn: &mut Connection,
    codec: &Codec,
    seal: &Seal,
    mut take: impl FnMut(Vec<Row>),
) -> Result<(), SnapshotError> {
    let seq = seal.seq;
    if seal.oldest_reader > READER {
        let writer = seal.writer.clone();
        return Err(SnapshotError::TooNew { seq, writer });
    }
    let parts = seal.parts;
    let mut digest = Sha256::new();
    let opener = codec.clone();
    // All that takes long is done on the thread that reads ahead; here the state is filled.
    let mut decoder = Ahead::start(move |(part, payload): (u64, Vec<u8>)| {
        let unpacked = unpack(&payload, seq, part, &opener).map_err(|error| match error {
            PartError::Broken => SnapshotError::Broken { seq, part },
            PartError::Form(form) => SnapshotError::Form { seq, form },
            PartError::Sealed(why) => SnapshotError::Sealed { seq, part, why },
        })?;
        digest.update(&unpacked.bytes);
        let rows = rows_of(&unpacked)
            .and_then(rows)
            .ok_or(SnapshotError::Broken { seq, part })?;
        let of_all = (part + 1 == parts).then(|| Hash(digest.clone().finalize().into()));
        Ok::<(Option<Hash>, Vec<Row>), SnapshotError>((of_all, rows))
    })
    .map_err(SnapshotError::Thread)?;
    let mut rows = 0;
    let mut digest = (parts == 0).then(|| Hash(Sha256::new().finalize().into()));
    for part in 0..=parts {
        if part < parts {
            let payload = part_payload(conn, seq, part)
                .await?
                .ok_or(SnapshotError::Missing { seq, part })?;
            decoder.send((part, payload));
        }
        let left = if part < parts { 2 } else { 0 };
        while let Some(decoded) = decoder.take(left) {
            let (of_all, some) = decoded?;
            digest = of_all.or(digest);
            rows += some.len() as u64;
            take(some);
        }
    }
    let digest = digest.ok_or(SnapshotError::Digest { seq })?;
    let digest = codec
        .digest_under(seal.key_of_digest(), digest)
        .map_err(|why| SnapshotError::NoDigest { seq, why })?;
    if rows != seal.rows || digest.to_string() != seal.digest {
        return Err(SnapshotError::Digest { seq });
    }
    Ok(())
}

/// Drops at most `parts_max` of the last parts of snapshot `seq`; the last row
/// goes first, so that it stops counting at once. Says how many went.
///
/// # Errors
/// Those of the database.
pub async fn drop_parts(conn: &mut Connection, seq: u64, parts_max: u32) -> Result<u64, Error> {
    let delete = sql("DELETE FROM snapshot WHERE seq = ? AND part IN \
         (SELECT part FROM snapshot WHERE seq = ? ORDER BY part DESC LIMIT ?)")
    .bind(seq as i64)
    .bind(seq as i64)
    .bind(parts_max);
    conn.execute(delete).await
}
