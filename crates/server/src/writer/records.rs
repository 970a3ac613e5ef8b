//! Call records, written by the one thread that writes.

use std::sync::Arc;

use maskline_domain::Timestamp;
use maskline_store::records::call::{self, CallRecord};
use maskline_store::work::{RecordError, RecordWrite};
use tokio::sync::{mpsc, oneshot};

use super::{Ledger, RecordJob, Shared, clocks};

impl Ledger {
    /// Where calls are written down.
    pub fn records(&self) -> Records {
        Records {
            shared: Arc::clone(&self.shared),
        }
    }
}

/// Why calls that an earlier run left open stay so.
#[derive(Debug, thiserror::Error)]
pub enum LostCallsError {
    /// They cannot be found.
    #[error("cannot read the records: {0}")]
    Database(#[from] sqlx::Error),
    /// Their ends are not written.
    #[error(transparent)]
    Record(#[from] RecordError),
}

/// Where calls are written down. Each method waits until the row is durable.
#[derive(Clone)]
pub struct Records {
    shared: Arc<Shared>,
}

impl Records {
    /// Writes the open row of a call, before its second leg is dialled.
    ///
    /// # Errors
    /// [`RecordError`].
    pub async fn open_call(&self, call: CallRecord) -> Result<(), RecordError> {
        let write = RecordWrite::OpenCall(Box::new(call));
        self.write(write).await.map(|_| ())
    }

    /// Closes a call, or writes down one that was refused.
    ///
    /// # Errors
    /// [`RecordError`].
    pub async fn close_call(&self, call: CallRecord) -> Result<(), RecordError> {
        let write = RecordWrite::CloseCall(Box::new(call));
        self.write(write).await.map(|_| ())
    }

    /// Closes the calls that earlier runs of this node left open, and says how
    /// many there were. `recording_of` is asked for the recording of each, by
    /// its id and when it arrived.
    ///
    /// # Errors
    /// [`LostCallsError`].
    pub async fn close_lost_calls(
        &self,
        node: &str,
        boot: &str,
        recording_of: impl Fn(&str, Timestamp) -> Option<String>,
    ) -> Result<u64, LostCallsError> {
        let lost = call::lost(&self.shared.readers, node, boot).await?;
        if lost.is_empty() {
            return Ok(0);
        }
        let recordings = lost.into_iter().filter_map(|(call_id, arrived_at)| {
            let file = recording_of(&call_id, arrived_at)?;
            Some((call_id, file))
        });
        let write = RecordWrite::CloseLostCalls {
            node: node.to_owned(),
            boot: boot.to_owned(),
            at: clocks().wall,
            recordings: recordings.collect(),
        };
        Ok(self.write(write).await?)
    }

    async fn write(&self, write: RecordWrite) -> Result<u64, RecordError> {
        let (done, result) = oneshot::channel();
        let job = RecordJob { write, done };
        self.shared
            .records
            .try_send(job)
            .map_err(|error| match error {
                mpsc::error::TrySendError::Full(_) => RecordError::Busy,
                mpsc::error::TrySendError::Closed(_) => RecordError::Closed,
            })?;
        result.await.unwrap_or(Err(RecordError::Closed))
    }
}
