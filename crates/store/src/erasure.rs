//! Erasing what is kept of a person: where it stands, and blanking it.
//!
//! Only bindings that have ended are erased; a live one must be ended first.
//! The chain of hashes stays whole, because it covers commitments to personal
//! values, not the values.

use crate::zstd::Zstd;
use std::collections::BTreeSet;

use maskline_domain::{Event, PhoneNumber, SubsId};
use serde::{Deserialize, Serialize};

use crate::db::{Connection, Error};
use crate::journal;
use maskline_journal::payload::{self, PayloadError};
use maskline_journal::personal::Subject;

/// The list of erasures within the data directory. It is no part of a backup:
/// a restore needs the newest one, to erase again what the backup still holds.
pub const LIST: &str = "erasures.jsonl";

/// Batches read at a time.
const BATCHES: u32 = 256;

/// One line of the list of erasures. Tells of nobody.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Erasure {
    /// When it was done, UTC milliseconds.
    pub at: i64,
    /// The bindings whose personal values were erased.
    pub bindings: Vec<SubsId>,
}

/// Why the journal cannot be searched.
#[derive(Debug, thiserror::Error)]
pub enum EraseError {
    /// A batch cannot be read.
    #[error(transparent)]
    Payload(#[from] PayloadError),
    /// The database said no.
    #[error("cannot read the journal: {0}")]
    Database(#[from] Error),
}

/// The bindings in whose events `number` is, or ever was, A or B.
///
/// # Errors
/// [`EraseError`].
pub async fn find(
    conn: &mut Connection,
    number: PhoneNumber,
) -> Result<BTreeSet<SubsId>, EraseError> {
    let mut found = BTreeSet::new();
    let mut from = 1;
    loop {
        let batches = journal::read(conn, from, BATCHES).await?;
        let Some(last) = batches.last() else {
            return Ok(found);
        };
        from = last.seq + 1;
        for batch in &batches {
            for entry in payload::open(batch, &Zstd)?.entries {
                for event in entry.events {
                    if let Event::Bound(binding) | Event::BindingChanged(binding) = event
                        && (binding.a == number || binding.b == Some(number))
                    {
                        found.insert(binding.subs_id);
                    }
                }
            }
        }
    }
}

/// The next batches from `from` on that hold personal values of `ids`, each
/// with what its personal column is to become; and where to go on, or `None`
/// at the end.
///
/// # Errors
/// [`EraseError`].
pub async fn blanked(
    conn: &mut Connection,
    from: u64,
    ids: &BTreeSet<SubsId>,
) -> Result<(Vec<(u64, Vec<u8>)>, Option<u64>), EraseError> {
    let batches = journal::read(conn, from, BATCHES).await?;
    let mut changes = Vec::new();
    for batch in &batches {
        let is_meant = |subject: Subject| ids.contains(&SubsId(subject.of));
        if let Some(blanked) = payload::blank(batch, &Zstd, is_meant)? {
            changes.push((batch.seq, blanked.personal));
        }
    }
    Ok((changes, batches.last().map(|last| last.seq + 1)))
}
