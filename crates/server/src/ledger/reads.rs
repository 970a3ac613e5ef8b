//! Looks at the state, which is held meanwhile, and what they wait for before anybody hears of them.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use maskline_domain::{State, Timestamp, visits};
use maskline_journal::pipeline::Touch;
use tokio::sync::watch;
use tokio::time::timeout;

use super::{Core, Ledger, Shared};
use crate::clocks;

/// Why a read has no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// What it saw could not be made durable.
    #[error("what was read could not be made durable")]
    NotDurable,
    /// The batch that it rests on took too long.
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

    /// Looks at the state as [`Ledger::read`] does, without ever holding up the thread. For who shares a thread with
    /// calls. While somebody has the state, a thread of its own waits for it: the writer lets the state go in the
    /// midst of a batch to those who wait in the lock, and to nobody who only tries.
    ///
    /// # Errors
    /// [`ReadError`].
    pub async fn read_unblocking<R: Send + 'static>(
        &self,
        touch: Touch,
        look: impl FnOnce(&State, Timestamp) -> R + Send + 'static,
    ) -> Result<R, ReadError> {
        let (seen, append_outcome) = match self.shared.look_at_once(touch, look) {
            Ok(seen) => seen?,
            Err(look) => {
                let shared = Arc::clone(&self.shared);
                let waiting = tokio::task::spawn_blocking(move || {
                    let core = shared.core.read();
                    shared.look(&core, touch, look)
                });
                match timeout(self.shared.options.read_wait_max, waiting).await {
                    Err(_) => return Err(ReadError::Deadline),
                    Ok(Err(_)) => return Err(ReadError::Closed),
                    Ok(Ok(seen)) => seen?,
                }
            }
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

    /// Copies things out of the state, in as many steps as it takes. `behind` gives the next ones behind the last that
    /// it gave, or the first where there is none; once it gives none, that is all.
    ///
    /// # Errors
    /// [`ReadError`].
    pub async fn read_all<T>(
        &self,
        touch: Touch,
        behind: impl Fn(&State, Option<&T>) -> Vec<T>,
    ) -> Result<Vec<T>, ReadError> {
        let mut all = Vec::new();
        let step = |state: &State, _: Timestamp| {
            let some = behind(state, all.last());
            if some.is_empty() {
                return ControlFlow::Break(());
            }
            all.extend(some);
            ControlFlow::Continue(())
        };
        self.read_in_steps(touch, step).await?;
        Ok(all)
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
    /// What a look sees if nobody has the state; else the look, for another try.
    fn look_at_once<R, L>(&self, touch: Touch, look: L) -> Result<Result<Seen<R>, ReadError>, L>
    where
        L: FnOnce(&State, Timestamp) -> R,
    {
        match self.core.try_read() {
            Some(core) => Ok(self.look(&core, touch, look)),
            None => Err(look),
        }
    }

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
        let unsettled = pipeline.unsettled(touch);
        Ok((
            seen,
            unsettled.map(|place| core.append_outcomes[place].clone()),
        ))
    }

    /// Notes what this thread has looked at since it had looked at so many things.
    pub(super) fn note_visits(&self, before: u64) {
        if cfg!(debug_assertions) {
            let visits = visits::count() - before;
            self.visits_max.fetch_max(visits, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests;
