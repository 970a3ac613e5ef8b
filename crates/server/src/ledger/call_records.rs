//! Call records, written by the one thread that writes.

use std::sync::Arc;

use maskline_domain::Timestamp;
use maskline_domain::call::{Milestone, Owed, Reached};
use maskline_domain::call_record::CallRecord;
use maskline_store::db;
use maskline_store::record_writes::{RecordError, RecordWrite};
use maskline_store::records::call;
use tokio::sync::{mpsc, oneshot};

use super::{Ledger, Shared};
use crate::clocks;

impl Ledger {
    /// Where calls are written down.
    pub fn call_records(&self) -> CallRecords {
        CallRecords {
            shared: Arc::clone(&self.shared),
        }
    }
}

/// Why calls that an earlier run left open stay so.
#[derive(Debug, thiserror::Error)]
pub enum LostCallsError {
    /// They cannot be found.
    #[error("cannot read the records: {0}")]
    Database(#[from] db::Error),
    /// Their ends are not written.
    #[error(transparent)]
    Record(#[from] RecordError),
}

/// The recording of a call that an earlier run left open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LostRecording {
    /// Its file, which the record of the call names.
    pub file: String,
    /// Whether there is any sound in it: otherwise nothing is owed for it.
    pub has_sound: bool,
}

/// Where calls are written down. Each method waits until the row is durable.
#[derive(Clone)]
pub struct CallRecords {
    shared: Arc<Shared>,
}

impl CallRecords {
    /// Writes the open row of a call, before its second leg is dialled.
    ///
    /// # Errors
    /// [`RecordError`].
    pub async fn open_call(&self, call: CallRecord) -> Result<(), RecordError> {
        let write = RecordWrite::OpenCall(Box::new(call), Vec::new());
        self.write(write).await.map(|_| ())
    }

    /// Closes a call, or writes down one that was refused.
    ///
    /// # Errors
    /// [`RecordError`].
    pub async fn close_call(&self, call: CallRecord) -> Result<(), RecordError> {
        let write = RecordWrite::CloseCall(Box::new(call), Vec::new());
        self.write(write).await.map(|_| ())
    }

    /// Closes the calls that earlier runs of this node left open, and says how
    /// many there were. `recording_of` is asked for the recording of each, by
    /// its id and when it arrived; `owes` for what is owed for its end, and for
    /// a recording with sound.
    ///
    /// # Errors
    /// [`LostCallsError`].
    pub async fn close_lost_calls(
        &self,
        node: &str,
        boot: &str,
        recording_of: impl Fn(&str, Timestamp) -> Option<LostRecording>,
        owes: impl Fn(Reached, &CallRecord) -> Vec<Owed>,
    ) -> Result<u64, LostCallsError> {
        let lost = call::lost(&self.shared.readers, node, boot).await?;
        if lost.is_empty() {
            return Ok(0);
        }
        let at = clocks::read().wall;
        let (mut recordings, mut owed) = (Vec::new(), Vec::new());
        for call in lost {
            let recording = recording_of(&call.call_id, call.arrived_at);
            let ended = [Milestone::Ended].into_iter();
            let has_sound = recording.as_ref().is_some_and(|found| found.has_sound);
            let reached = ended.chain(has_sound.then_some(Milestone::Recorded));
            let recording = recording.map(|found| found.file);
            match call.record {
                Ok(mut record) => {
                    record.take_loss(at, recording.clone());
                    let owes =
                        reached.flat_map(|milestone| owes(Reached { milestone, at }, &record));
                    let owes: Vec<Owed> = owes.collect();
                    // With its parties: one of them may be erased before this is written.
                    owed.extend((!owes.is_empty()).then_some((record, owes)));
                }
                // It is closed all the same; nobody can say what would be owed for it.
                Err(error) => tracing::error!(%error, "what is owed for a lost call is not known"),
            }
            recordings.extend(recording.map(|file| (call.call_id, file)));
        }
        let write = RecordWrite::CloseLostCalls {
            node: node.to_owned(),
            boot: boot.to_owned(),
            at,
            recordings,
            owed: owed.into(),
        };
        Ok(self.write(write).await?)
    }

    /// Has a row written and does not wait: `told` gets the write back, with what became of it. It
    /// holds no more than was handed over here.
    pub fn hand_over(&self, write: RecordWrite, told: &mpsc::UnboundedSender<Written>) {
        let reply = Reply::Told(told.clone());
        if let Err((queued, error)) = self.queue(QueuedWrite { write, reply }) {
            queued.reply(Err(error));
        }
    }

    async fn write(&self, write: RecordWrite) -> Result<u64, RecordError> {
        let (done, result) = oneshot::channel();
        let reply = Reply::Once(done);
        self.queue(QueuedWrite { write, reply })
            .map_err(|(_, error)| error)?;
        result.await.unwrap_or(Err(RecordError::Closed))
    }

    fn queue(&self, queued: QueuedWrite) -> Result<(), (QueuedWrite, RecordError)> {
        self.shared
            .records
            .try_send(queued)
            .map_err(|error| match error {
                mpsc::error::TrySendError::Full(queued) => (queued, RecordError::Busy),
                mpsc::error::TrySendError::Closed(queued) => (queued, RecordError::Closed),
            })
    }
}

/// A write and what became of it.
#[derive(Debug)]
pub struct Written {
    /// What was to be written.
    pub write: RecordWrite,
    /// How many rows it touched.
    pub result: Result<u64, RecordError>,
}

/// A write on its way to the thread that writes.
#[derive(Debug)]
pub(super) struct QueuedWrite {
    pub(super) write: RecordWrite,
    reply: Reply,
}

#[derive(Debug)]
enum Reply {
    Once(oneshot::Sender<Result<u64, RecordError>>),
    Told(mpsc::UnboundedSender<Written>),
}

impl QueuedWrite {
    /// Tells whoever waits for it; somebody who has left needs no answer.
    pub(super) fn reply(self, result: Result<u64, RecordError>) {
        let write = self.write;
        match self.reply {
            Reply::Once(done) => drop(done.send(result)),
            Reply::Told(told) => drop(told.send(Written { write, result })),
        }
    }
}
