//! What the one write connection does between batches for threads in the background: parts of
//! snapshots, pruning, projections, erasure. No caller waits for it.
//!
//! Every piece is small and may run twice.

use maskline_domain::{Owner, PhoneNumber, SubsId, Timestamp};

use crate::data_key::{self, SealedKey};
use crate::db::{Connection, Error, sqlite};
use crate::failure::{self, Done};
use crate::records::call;
use crate::records::history;
use crate::records::hold;
use crate::records::owed;
use crate::records::projection::Projection;
use crate::records::retention::{self, DueRow};
use crate::snapshot;
use crate::{journal, meta};
use maskline_journal::Append;
use maskline_journal::snapshot::Seal;
use maskline_sealing::DataKeyId;

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
    /// Takes away what is no longer owed for milestones of calls.
    SettleOwed(Vec<owed::Place>),
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
    /// Blanks what the records of some calls tell of persons, and their texts.
    /// The history follows from the journal.
    EraseCalls {
        /// Their ids, at most [`call::ERASED_AT_ONCE`].
        calls: Vec<String>,
        /// The persons; everybody, where it is not known who is meant.
        persons: Option<Vec<PhoneNumber>>,
    },
    /// Blanks this number in at most [`call::ERASED_AT_ONCE`] records of calls
    /// in which it is a party.
    EraseNumber(PhoneNumber),
    /// Promises uses of a data key.
    PromiseUses {
        /// The key.
        id: DataKeyId,
        /// So many in all.
        promised: u64,
    },
    /// Adds a data key.
    AddDataKey(SealedKey),
    /// Puts a data key sealed under another master key in the place of what is there.
    ResealDataKey(SealedKey),
    /// Deletes rows that are older than they may be; the files that they name are gone.
    Delete {
        /// The rows, all of one kind, at most [`retention::DELETED_AT_ONCE`].
        rows: Vec<DueRow>,
        /// The time at which that is done.
        now: Timestamp,
    },
    /// Adds a hold; does its id, or 0 if there are as many as there can be.
    AddHold(Box<hold::Wanted>),
    /// Ends a hold; does 1 if there was one.
    EndHold(u64),
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
            Maintenance::SettleOwed(places) => owed::settle(conn, places).await,
            Maintenance::Project(projection) => {
                projection.write(conn).await?;
                Ok(projection.rows() as u64)
            }
            Maintenance::FillOwners(owners) => history::own(conn, owners).await,
            Maintenance::BlankPersonal { seq, personal } => {
                journal::replace_personal(conn, *seq, personal).await?;
                Ok(1)
            }
            Maintenance::EraseCalls { calls, persons } => match persons {
                Some(persons) => call::erase_persons(conn, calls, persons).await,
                None => call::erase(conn, calls).await,
            },
            Maintenance::EraseNumber(number) => call::erase_number(conn, *number).await,
            Maintenance::PromiseUses { id, promised } => {
                data_key::promise(conn, *id, *promised).await
            }
            Maintenance::AddDataKey(key) => data_key::insert(conn, key).await.map(|()| 1),
            Maintenance::ResealDataKey(key) => data_key::reseal(conn, key).await,
            Maintenance::Delete { rows, now } => retention::delete(conn, rows, *now).await,
            Maintenance::AddHold(wanted) => hold::add(conn, wanted).await,
            Maintenance::EndHold(id) => hold::end(conn, *id).await,
            Maintenance::SetMeta { name, value } => meta::set(conn, name, value).await.map(|()| 1),
            Maintenance::TruncateLog => Ok(0),
        }
    }
}
