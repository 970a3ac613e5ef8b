//! What the one write connection does between batches for threads in the background: parts of
//! snapshots, pruning, projections, erasure. No caller waits for it.
//!
//! Every piece is small and may run twice.

use maskline_domain::{Owner, PhoneNumber, SubsId};

use crate::db::{Connection, Error, sqlite};
use crate::erasure::Traces;
use crate::failure::{self, Done};
use crate::records::call;
use crate::records::history;
use crate::records::owed;
use crate::records::projection::Projection;
use crate::snapshot;
use crate::{journal, meta};
use maskline_journal::Append;
use maskline_journal::snapshot::Seal;

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
    /// Blanks what the call records tell of a person. The history follows from
    /// the journal.
    EraseCalls {
        /// The person's number, if it is known.
        number: Option<PhoneNumber>,
        /// Ended bindings, and what of them is the person's.
        bindings: Vec<(SubsId, Traces)>,
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

/// Carries out one piece of maintenance in one transaction. Gives how much it did.
pub async fn do_maintenance(
    conn: &mut Connection,
    maintenance: &Maintenance,
) -> Done<Result<u64, Error>> {
    let outcome = match maintenance {
        Maintenance::TruncateLog => sqlite::truncate_log(conn).await.map(u64::from),
        piece => {
            conn.transaction(async |conn| piece.carry_out(conn).await)
                .await
        }
    };
    match outcome {
        Ok(did) => Done::Known(Ok(did)),
        Err(error) => match failure::write(&error) {
            Append::Unknown(reason) => Done::Unknown(reason),
            Append::Written | Append::NotWritten(_) => Done::Known(Err(error)),
        },
    }
}

impl Maintenance {
    async fn carry_out(&self, conn: &mut Connection) -> Result<u64, Error> {
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
            Maintenance::EraseCalls { number, bindings } => {
                let mut erased = 0;
                for (binding, traces) in bindings {
                    owed::erase(conn, *binding).await?;
                    erased += match *number {
                        Some(number) => call::erase_person(conn, *binding, number).await?,
                        // Who was a party earlier only cannot be told from the others.
                        None if traces.all || !(traces.a || traces.b) => {
                            call::erase(conn, *binding).await?
                        }
                        None => call::erase_parties(conn, *binding, traces.a, traces.b).await?,
                    };
                }
                if let Some(number) = number {
                    owed::erase_number(conn, *number).await?;
                    erased += call::erase_number(conn, *number).await?;
                }
                Ok(erased)
            }
            Maintenance::SetMeta { name, value } => meta::set(conn, name, value).await.map(|()| 1),
            Maintenance::TruncateLog => Ok(0),
        }
    }
}
