//! What the one write connection does besides appending to the journal:
//! records, which callers wait for, and maintenance, which none of them does.
//!
//! Every piece is small and may run twice.

use maskline_domain::{Owner, PhoneNumber, SubsId, Timestamp};
use sqlx::query;
use sqlx::sqlite::SqliteConnection;

use crate::failure::{self, is_constraint};
use crate::records::call::{self, RowChange};
use crate::records::history;
use crate::records::projection::Projection;
use crate::snapshot;
use crate::{journal, meta, sqlite};
use maskline_domain::call_record::CallRecord;
use maskline_journal::Append;
use maskline_journal::snapshot::Seal;

/// A write to the records that somebody waits for.
#[derive(Debug)]
pub enum RecordWrite {
    /// The open row of a call.
    OpenCall(Box<CallRecord>),
    /// The end of a call.
    CloseCall(Box<CallRecord>),
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
    },
}

/// Why a record was not written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    /// A constraint forbids it.
    #[error("the record contradicts another one")]
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

/// A bounded piece of background work.
#[derive(Debug)]
pub enum Maintenance {
    /// One part of a snapshot.
    SnapshotPart {
        /// The snapshot.
        seq: u64,
        /// Which part.
        part: u64,
        /// Its bytes.
        payload: Vec<u8>,
    },
    /// The last row of a snapshot.
    SnapshotSeal(Box<Seal>),
    /// Takes away some parts of a snapshot.
    DropSnapshotParts {
        /// The snapshot.
        seq: u64,
        /// At most so many.
        parts_max: u32,
    },
    /// Takes away some of the oldest batches.
    Prune {
        /// Those below this number.
        below: u64,
        /// At most so many.
        rows_max: u32,
    },
    /// Rows of the projections.
    Project(Projection),
    /// Whose bindings were, where the history does not tell it yet.
    FillOwners(Vec<(SubsId, Owner)>),
    /// Other personal values for one batch.
    BlankPersonal {
        /// The batch.
        seq: u64,
        /// The values.
        personal: Vec<u8>,
    },
    /// Blanks what the records tell of a person.
    EraseRecords {
        /// The person's number, if it is known.
        number: Option<PhoneNumber>,
        /// Ended bindings.
        bindings: Vec<SubsId>,
    },
    /// Sets a fact of this store.
    SetMeta {
        /// The fact.
        name: String,
        /// Its value.
        value: String,
    },
    /// Empties the write-ahead log; does 1 if that went, 0 if readers were in
    /// the way.
    TruncateLog,
}

/// How a slice of work ended.
#[derive(Debug)]
pub enum Done<T> {
    /// It is durable (or certainly is not, if `T` says so).
    Known(T),
    /// Nobody can tell; the process must exit.
    Unknown(String),
}

/// Carries out a slice of record writes in one transaction. A conflict fails
/// one of them; a full disk fails all.
///
/// Calls are opened before any is closed, so that the two writes of one call
/// keep their order.
pub async fn write_records<'a>(
    conn: &mut SqliteConnection,
    writes: impl ExactSizeIterator<Item = &'a RecordWrite>,
) -> Done<Vec<Result<u64, RecordError>>> {
    let mut slice = Slice::new(writes);
    // Each statement costs a turn of the thread that runs SQLite, and that of
    // one call alone is a transaction anyway.
    let is_several = slice.results.len() > 1 || !slice.others.is_empty();
    let outcome = async {
        if is_several {
            query("BEGIN IMMEDIATE").execute(&mut *conn).await?;
        }
        slice.write(conn).await?;
        if is_several {
            query("COMMIT").execute(&mut *conn).await?;
        }
        Ok(())
    };
    match outcome.await {
        Ok(()) => Done::Known(slice.results),
        Err(error) => match give_up(conn, &error).await {
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
    closed: Calls<'a>,
    others: Vec<(usize, &'a RecordWrite)>,
    results: Vec<Result<u64, RecordError>>,
}

/// Calls, and the place of each in the slice.
#[derive(Default)]
struct Calls<'a> {
    records: Vec<&'a CallRecord>,
    places: Vec<usize>,
}

impl<'a> Slice<'a> {
    fn new(writes: impl ExactSizeIterator<Item = &'a RecordWrite>) -> Self {
        let mut slice = Self {
            opened: Calls::default(),
            closed: Calls::default(),
            others: Vec::new(),
            results: vec![Ok(1); writes.len()],
        };
        for (place, write) in writes.enumerate() {
            match write {
                RecordWrite::OpenCall(record) => slice.opened.add(record, place),
                RecordWrite::CloseCall(record) => slice.closed.add(record, place),
                RecordWrite::CloseLostCalls { .. } => slice.others.push((place, write)),
            }
        }
        slice
    }

    async fn write(&mut self, conn: &mut SqliteConnection) -> Result<(), sqlx::Error> {
        self.opened
            .write(conn, RowChange::Open, &mut self.results)
            .await?;
        self.closed
            .write(conn, RowChange::Close, &mut self.results)
            .await?;
        for &(place, write) in &self.others {
            if let RecordWrite::CloseLostCalls {
                node,
                boot,
                at,
                recordings,
            } = write
            {
                let closed = call::close_lost(conn, node, boot, *at, recordings).await?;
                self.results[place] = Ok(closed);
            }
        }
        Ok(())
    }
}

impl<'a> Calls<'a> {
    fn add(&mut self, record: &'a CallRecord, place: usize) {
        self.records.push(record);
        self.places.push(place);
    }

    /// When several rows together meet a constraint, none of them is written,
    /// and then one after the other is tried alone.
    async fn write(
        &self,
        conn: &mut SqliteConnection,
        change: RowChange,
        results: &mut [Result<u64, RecordError>],
    ) -> Result<(), sqlx::Error> {
        let (mut done, mut is_alone) = (0, false);
        while let Some(rest) = self.records.get(done..).filter(|rest| !rest.is_empty()) {
            let rest = if is_alone { &rest[..1] } else { rest };
            match call::write(conn, change, rest).await {
                Ok(rows) => done += rows,
                Err(error) if !is_constraint(&error) => return Err(error),
                Err(_) if rest.len() > 1 => is_alone = true,
                Err(_) => {
                    results[self.places[done]] = Err(RecordError::Conflict);
                    done += 1;
                }
            }
        }
        Ok(())
    }
}

/// Carries out one piece of maintenance in one transaction. Gives how much it did.
pub async fn do_maintenance(
    conn: &mut SqliteConnection,
    maintenance: &Maintenance,
) -> Done<Result<u64, sqlx::Error>> {
    let outcome = async {
        if let Maintenance::TruncateLog = maintenance {
            return sqlite::truncate_log(conn).await.map(u64::from);
        }
        query("BEGIN IMMEDIATE").execute(&mut *conn).await?;
        let did = maintenance.carry_out(conn).await?;
        query("COMMIT").execute(&mut *conn).await?;
        Ok(did)
    };
    match outcome.await {
        Ok(did) => Done::Known(Ok(did)),
        Err(error) => match give_up(conn, &error).await {
            Append::Unknown(reason) => Done::Unknown(reason),
            Append::Written | Append::NotWritten(_) => Done::Known(Err(error)),
        },
    }
}

/// Leaves no transaction open, and tells what the error means.
async fn give_up(conn: &mut SqliteConnection, error: &sqlx::Error) -> Append {
    // After some errors SQLite has rolled back by itself; then this fails, and
    // that is well.
    let _ = query("ROLLBACK").execute(conn).await;
    failure::write(error)
}

impl RecordWrite {
    /// Whether somebody waits for it: a call is dialled only once its open row
    /// is durable.
    pub fn is_urgent(&self) -> bool {
        matches!(
            self,
            RecordWrite::OpenCall(_) | RecordWrite::CloseLostCalls { .. }
        )
    }
}

impl Maintenance {
    async fn carry_out(&self, conn: &mut SqliteConnection) -> Result<u64, sqlx::Error> {
        match self {
            Maintenance::SnapshotPart { seq, part, payload } => {
                snapshot::write_part(conn, *seq, *part, payload).await?;
                Ok(1)
            }
            Maintenance::SnapshotSeal(seal) => snapshot::write_seal(conn, seal).await.map(|()| 1),
            Maintenance::DropSnapshotParts { seq, parts_max } => {
                snapshot::drop_parts(conn, *seq, *parts_max).await
            }
            Maintenance::Prune { below, rows_max } => journal::prune(conn, *below, *rows_max).await,
            Maintenance::Project(projection) => {
                projection.write(conn).await?;
                Ok(projection.rows() as u64)
            }
            Maintenance::FillOwners(owners) => history::own(conn, owners).await,
            Maintenance::BlankPersonal { seq, personal } => {
                journal::replace_personal(conn, *seq, personal).await?;
                Ok(1)
            }
            Maintenance::EraseRecords { number, bindings } => {
                let mut erased = 0;
                for binding in bindings {
                    erased += u64::from(history::erase(conn, *binding).await?);
                    erased += call::erase(conn, *binding).await?;
                }
                if let Some(number) = number {
                    erased += call::erase_number(conn, *number).await?;
                }
                Ok(erased)
            }
            Maintenance::SetMeta { name, value } => meta::set(conn, name, value).await.map(|()| 1),
            Maintenance::TruncateLog => Ok(0),
        }
    }
}
