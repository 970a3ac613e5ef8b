//! What the one write connection writes of calls besides the journal: their records, which callers
//! wait for, each with what is owed for the milestones that it tells, in one transaction.
//!
//! Every piece is small and may run twice.

use maskline_domain::Timestamp;

use crate::db::{Connection, Error};
use crate::failure::{self, Done};
use crate::records::call;
use crate::records::owed;
use maskline_domain::call::Owed;
use maskline_domain::call_record::CallRecord;
use maskline_journal::Append;

/// A write to the records that somebody waits for.
#[derive(Debug)]
pub enum RecordWrite {
    /// The open row of a call, and what is owed for its beginning.
    OpenCall(Box<CallRecord>, Vec<Owed>),
    /// How far a call is that lasts, and what is owed for that. Not worth a write if nothing is.
    UpdateCall(Box<CallRecord>, Vec<Owed>),
    /// The end of a call, and what is owed for it.
    CloseCall(Box<CallRecord>, Vec<Owed>),
    /// Closes what earlier runs of a node left open.
    CloseLostCalls {
        /// The node.
        node: String,
        /// Its present run.
        boot: String,
        /// The time they are closed at.
        at: Timestamp,
        /// Those of them that have a recording, each with its file.
        recordings: Vec<(String, String)>,
        /// What is owed for the ends of them, each with the record of its call as it is closed.
        owed: Box<[(CallRecord, Vec<Owed>)]>,
    },
}

/// Why a record was not written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    /// There is a row already, or there is none.
    #[error("the record contradicts what is there")]
    Conflict,
    /// The disk takes no writes; nothing was changed.
    #[error("the record could not be made durable")]
    NotDurable,
    /// Too many records wait.
    #[error("too many records are waiting")]
    Busy,
    /// The writer has stopped.
    #[error("the writer has stopped")]
    Closed,
}

impl RecordWrite {
    /// Whether somebody waits for it: a call is dialled only once its open row
    /// is durable.
    pub fn is_urgent(&self) -> bool {
        matches!(
            self,
            RecordWrite::OpenCall(..) | RecordWrite::CloseLostCalls { .. }
        )
    }
}

/// Carries out a slice of record writes in one transaction. A conflict, which
/// is an open row whose id is taken or an update of a row that is not there,
/// fails one of them; anything else fails all.
///
/// Calls are opened before any is updated or closed, so that the writes of one
/// call keep their order. What is owed with a write that fails is not written:
/// without a row nobody could tell whose it is, and no erasure would find it.
pub async fn write_records<'a>(
    conn: &mut Connection,
    writes: impl ExactSizeIterator<Item = &'a RecordWrite>,
) -> Done<Vec<Result<u64, RecordError>>> {
    let mut slice = Slice::new(writes);
    // Each statement costs a turn of the thread that runs SQLite, and that of
    // one call alone that owes nothing is a transaction anyway.
    let is_several = slice.results.len() > 1 || !slice.others.is_empty() || slice.owes();
    let outcome = if is_several {
        conn.transaction(async |conn| slice.write(conn).await).await
    } else {
        match conn.outside().await {
            Ok(conn) => slice.write(conn).await,
            Err(error) => Err(error),
        }
    };
    match outcome {
        Ok(()) => Done::Known(slice.results),
        Err(error) => match failure::write(&error) {
            Append::Unknown(reason) => Done::Unknown(reason),
            Append::Written | Append::NotWritten(_) => {
                let failed = slice.results.iter().map(|_| Err(RecordError::NotDurable));
                Done::Known(failed.collect())
            }
        },
    }
}

/// Record writes, sorted by what they need, and what became of each.
struct Slice<'a> {
    opened: Calls<'a>,
    updated: Calls<'a>,
    closed: Calls<'a>,
    others: Vec<(usize, &'a RecordWrite)>,
    results: Vec<Result<u64, RecordError>>,
}

/// Calls, and the place of each in the slice.
#[derive(Default)]
struct Calls<'a> {
    records: Vec<&'a CallRecord>,
    places: Vec<usize>,
    /// What is owed with each.
    owed: Vec<&'a [Owed]>,
}

impl<'a> Slice<'a> {
    fn new(writes: impl ExactSizeIterator<Item = &'a RecordWrite>) -> Self {
        let mut slice = Self {
            opened: Calls::default(),
            updated: Calls::default(),
            closed: Calls::default(),
            others: Vec::new(),
            results: vec![Ok(1); writes.len()],
        };
        for (place, write) in writes.enumerate() {
            match write {
                RecordWrite::OpenCall(record, owed) => slice.opened.add(record, owed, place),
                RecordWrite::UpdateCall(record, owed) => slice.updated.add(record, owed, place),
                RecordWrite::CloseCall(record, owed) => slice.closed.add(record, owed, place),
                RecordWrite::CloseLostCalls { .. } => slice.others.push((place, write)),
            }
        }
        slice
    }

    /// Whether anything is owed with any of them.
    fn owes(&self) -> bool {
        let all = [&self.opened, &self.updated, &self.closed];
        all.into_iter()
            .any(|calls| calls.owed.iter().any(|owed| !owed.is_empty()))
    }

    async fn write(&mut self, conn: &mut Connection) -> Result<(), Error> {
        let is_new = call::open(conn, &self.opened.records).await?;
        for (&place, is_new) in self.opened.places.iter().zip(is_new) {
            if !is_new {
                self.results[place] = Err(RecordError::Conflict);
            }
        }
        let mut missing = Vec::new();
        for (record, &place) in self.updated.records.iter().zip(&self.updated.places) {
            if !call::update(conn, record).await? {
                missing.push((record.call_id.as_str(), place));
            }
        }
        call::close(conn, &self.closed.records).await?;
        // A call that was never opened may be closed in this slice.
        for (call_id, place) in missing {
            if !call::is_there(conn, call_id).await? {
                self.results[place] = Err(RecordError::Conflict);
            }
        }
        for calls in [&self.opened, &self.updated, &self.closed] {
            owed::write(conn, &calls.owed_with(&self.results)).await?;
        }
        for &(place, write) in &self.others {
            if let RecordWrite::CloseLostCalls {
                node,
                boot,
                at,
                recordings,
                owed,
            } = write
            {
                let mut of_rows = Vec::with_capacity(owed.len());
                for (record, owed) in owed.iter().filter(|(_, owed)| !owed.is_empty()) {
                    let call_id = record.call_id.as_str();
                    if call::is_there(conn, call_id).await? {
                        of_rows.extend(owed.iter().map(|owed| (call_id, owed)));
                    }
                }
                owed::write(conn, &of_rows).await?;
                let closed = call::close_lost(conn, node, boot, *at, recordings).await?;
                self.results[place] = Ok(closed);
            }
        }
        Ok(())
    }
}

impl<'a> Calls<'a> {
    fn add(&mut self, record: &'a CallRecord, owed: &'a [Owed], place: usize) {
        self.records.push(record);
        self.places.push(place);
        self.owed.push(owed);
    }

    /// What is owed with those of them that were written, each with its call.
    fn owed_with(&self, results: &[Result<u64, RecordError>]) -> Vec<(&'a str, &'a Owed)> {
        let each = self.records.iter().zip(&self.places).zip(&self.owed);
        each.filter(|((_, place), _)| results[**place].is_ok())
            .flat_map(|((record, _), owed)| owed.iter().map(|owed| (record.call_id.as_str(), owed)))
            .collect()
    }
}
