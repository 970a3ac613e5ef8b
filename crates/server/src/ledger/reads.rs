//! Looks at the state, which is held meanwhile, and what they wait for before anybody hears of them.

use std::ops::ControlFlow;
use std::sync::atomic::Ordering;
use std::time::Duration;

use maskline_domain::{State, Timestamp, visits};
use maskline_journal::pipeline::Touch;
use tokio::sync::watch;
use tokio::time::timeout;

use super::{Core, Ledger, Shared};
use crate::clocks;

/// How long [`Ledger::read_unblocking`] leaves the state to who holds it, before it tries again.
const HELD_PAUSE: Duration = Duration::from_millis(1);

/// Why a read has no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// What it saw could not be made durable.
    #[error("what was read could not be made durable")]
    NotDurable,
    /// The batch in flight took too long.
    #[error("the deadline passed")]
    Deadline,
    /// The writer has stopped.
    #[error("the writer has stopped")]
    Closed,
}

/// What was seen, and what tells how the append ends that it rests on, if there is one.
type Seen<R> = (R, Option<watch::Receiver<Option<bool>>>);

impl Ledger {
    /// Looks at the state, with the time at which to judge it. `look` is run
    /// at once and must be short; what it gives is handed out only when
    /// nothing that it could have seen can be undone any more.
    ///
    /// # Errors
    /// [`ReadError`].
    pub async fn read<R>(
        &self,
        touch: Touch,
        look: impl FnOnce(&State, Timestamp) -> R,
    ) -> Result<R, ReadError> {
        let (seen, append_outcome) = {
            let core = self.shared.core.read();
            self.shared.look(&core, touch, look)?
        };
        self.settled(append_outcome).await?;
        Ok(seen)
    }

    /// Looks at the state as [`Ledger::read`] does, without ever holding up the thread: while the writer has the
    /// state, others go on, and it is tried again a moment later. For who shares a thread with calls.
    ///
    /// # Errors
    /// [`ReadError`].
    pub async fn read_unblocking<R>(
        &self,
        touch: Touch,
        look: impl FnOnce(&State, Timestamp) -> R,
    ) -> Result<R, ReadError> {
        let begun = tokio::time::Instant::now();
        let (seen, append_outcome) = loop {
            if let Some(core) = self.shared.core.try_read() {
                break self.shared.look(&core, touch, look)?;
            }
            if begun.elapsed() > self.shared.options.read_wait_max {
                return Err(ReadError::Deadline);
            }
            tokio::time::sleep(HELD_PAUSE).await;
        };
        self.settled(append_outcome).await?;
        Ok(seen)
    }

    /// Looks at the state step by step and lets it go in between, until `look` breaks off with what it has found. Each
    /// step must be short, and may see what others have changed since the one before; nothing is handed out before
    /// all that any step could have seen can be undone no more.
    ///
    /// # Errors
    /// [`ReadError`].
    pub async fn read_in_steps<R>(
        &self,
        touch: Touch,
        mut look: impl FnMut(&State, Timestamp) -> ControlFlow<R>,
    ) -> Result<R, ReadError> {
        let mut unsettled: Vec<watch::Receiver<Option<bool>>> = Vec::new();
        let found = loop {
            let (step, append_outcome) = {
                let core = self.shared.core.read();
                self.shared.look(&core, touch, &mut look)?
            };
            let is_known = |outcome: &watch::Receiver<_>| {
                (unsettled.last()).is_some_and(|last| last.same_channel(outcome))
            };
            if let Some(append_outcome) = append_outcome.filter(|outcome| !is_known(outcome)) {
                unsettled.retain(|earlier| *earlier.borrow() != Some(true));
                unsettled.push(append_outcome);
            }
            if let ControlFlow::Break(found) = step {
                break found;
            }
            tokio::task::yield_now().await;
        };
        for append_outcome in unsettled {
            self.settled(Some(append_outcome)).await?;
        }
        Ok(found)
    }

    /// Waits until what was seen can be undone no more.
    async fn settled(
        &self,
        append_outcome: Option<watch::Receiver<Option<bool>>>,
    ) -> Result<(), ReadError> {
        let Some(mut append_outcome) = append_outcome else {
            return Ok(());
        };
        let settled = timeout(
            self.shared.options.read_wait_max,
            append_outcome.wait_for(Option::is_some),
        )
        .await;
        match settled {
            Err(_) => Err(ReadError::Deadline),
            Ok(Err(_)) => Err(ReadError::Closed),
            Ok(Ok(durable)) if *durable == Some(true) => Ok(()),
            Ok(Ok(_)) => Err(ReadError::NotDurable),
        }
    }

    /// Looks at the state if that need not wait; `None` if [`Ledger::read`]
    /// must do it.
    pub fn try_read<R>(
        &self,
        touch: Touch,
        look: impl FnOnce(&State, Timestamp) -> R,
    ) -> Option<R> {
        let core = self.shared.core.try_read()?;
        if core.pipeline.is_stopped() || core.pipeline.must_wait(touch) {
            return None;
        }
        let (seen, _) = self.shared.look(&core, touch, look).ok()?;
        Some(seen)
    }

    /// The most things of the state that were looked at in one go, by a read or by the writer, since this was last
    /// asked. Counted in debug builds alone, for tests.
    pub fn take_visits_max(&self) -> u64 {
        self.shared.visits_max.swap(0, Ordering::Relaxed)
    }
}

impl Shared {
    /// What a look sees, and whose end it must wait for.
    fn look<R>(
        &self,
        core: &Core,
        touch: Touch,
        look: impl FnOnce(&State, Timestamp) -> R,
    ) -> Result<Seen<R>, ReadError> {
        let pipeline = &core.pipeline;
        if pipeline.is_stopped() {
            return Err(ReadError::Closed);
        }
        let before = visits::count();
        let seen = look(pipeline.state(), pipeline.now(clocks::read()));
        self.note_visits(before);
        let waits = pipeline.must_wait(touch);
        Ok((seen, waits.then(|| core.append_outcome.clone())))
    }

    /// Notes what this thread has looked at since it had looked at so many things.
    pub(super) fn note_visits(&self, before: u64) {
        if cfg!(debug_assertions) {
            let visits = visits::count() - before;
            self.visits_max.fetch_max(visits, Ordering::Relaxed);
        }
    }
}
