//! Holds: added, ended, and over by themselves.

use maskline_domain::command::Note;
use maskline_domain::{Actor, Timestamp};
use maskline_store::db;
use maskline_store::maintenance::Maintenance;
use maskline_store::records::hold::{self, HOLDS_MAX, HeldBy, Hold, Holds, Wanted};

use super::super::Ledger;
use super::RetentionError;
use crate::clocks;

/// Why a hold was not added.
#[derive(Debug, thiserror::Error)]
pub enum HoldError {
    /// It would be over at once.
    #[error("a hold ends at a moment to come")]
    Over,
    /// There are as many as there can be.
    #[error("there are {HOLDS_MAX} holds already; end one first")]
    TooMany,
    /// It was not written, or not noted.
    #[error(transparent)]
    Failed(#[from] RetentionError),
}

impl From<db::Error> for HoldError {
    fn from(error: db::Error) -> Self {
        Self::Failed(error.into())
    }
}

impl Ledger {
    /// Keeps what is held whatever the retention says, and gives the id of the hold. From then on nothing of it is
    /// deleted.
    ///
    /// # Errors
    /// [`HoldError`].
    pub async fn add_hold(
        &self,
        actor: Actor,
        by: HeldBy,
        until: Timestamp,
        reason: String,
    ) -> Result<u64, HoldError> {
        let now = clocks::read().wall;
        if until <= now {
            return Err(HoldError::Over);
        }
        let note = |id| Note::HoldAdded {
            id,
            by: by.name().into(),
            what: shown(&by).into(),
            until,
        };
        let wanted = Wanted {
            by: by.clone(),
            until,
            reason,
            added_at: now,
            added_by: name(&actor),
        };
        let mut holding = self.shared.retention.holding.lock().await;
        let add = Maintenance::AddHold(Box::new(wanted));
        let id = self.shared.maintain(add).await?;
        *holding = None;
        if id == 0 {
            return Err(HoldError::TooMany);
        }
        // There is none of which the audit does not tell.
        if let Err(error) = self.note(actor, note(id)).await {
            self.shared.maintain(Maintenance::EndHold(id)).await?;
            return Err(HoldError::Failed(error.into()));
        }
        Ok(id)
    }

    /// Ends a hold. Says whether there was one.
    ///
    /// # Errors
    /// [`RetentionError`]; then it lasts.
    pub async fn end_hold(&self, actor: Actor, id: u64) -> Result<bool, RetentionError> {
        let mut holding = self.shared.retention.holding.lock().await;
        let holds = hold::list(self.readers()).await?;
        if holds.iter().all(|hold| hold.id != id) {
            return Ok(false);
        }
        self.note(actor, Note::HoldEnded { id }).await?;
        self.shared.maintain(Maintenance::EndHold(id)).await?;
        *holding = None;
        self.shared.retention.wanted.notify_one();
        Ok(true)
    }

    /// All holds that last.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn holds(&self) -> Result<Vec<Hold>, db::Error> {
        let now = clocks::read().wall;
        let mut holds = hold::list(self.readers()).await?;
        holds.retain(|hold| hold.until > now);
        Ok(holds)
    }

    /// Takes away those that are over at `now`.
    pub(super) async fn end_holds(&self, now: Timestamp) -> Result<(), RetentionError> {
        let holds = hold::list(self.readers()).await?;
        let mut lasting = holds.len();
        for over in holds.iter().filter(|hold| hold.until <= now) {
            let job = Actor::Job {
                name: "retention".into(),
            };
            self.note(job, Note::HoldEnded { id: over.id }).await?;
            self.shared.maintain(Maintenance::EndHold(over.id)).await?;
            lasting -= 1;
        }
        self.shared.retention.metrics.holds(lasting);
        Ok(())
    }

    /// What is held at `now`, read again only where something changed.
    pub(super) async fn holds_at<'h>(
        &self,
        now: Timestamp,
        holding: &'h mut Option<(Timestamp, Holds)>,
    ) -> Result<&'h Holds, db::Error> {
        if holding.as_ref().is_none_or(|(at, _)| *at != now) {
            let holds = hold::list(self.readers()).await?;
            *holding = Some((now, Holds::at(now, &holds)));
        }
        Ok(&holding.as_ref().expect("it was just read").1)
    }
}

/// What a hold is by, without the number of a person.
fn shown(by: &HeldBy) -> String {
    match by {
        HeldBy::Number(number) | HeldBy::X(number) => number.to_string(),
        HeldBy::Binding(id) => id.to_string(),
        HeldBy::Call(id) => id.clone(),
    }
}

fn name(actor: &Actor) -> String {
    match actor {
        Actor::Operator { name, .. } | Actor::Job { name } => name.to_string(),
        Actor::Customer { key, .. } => key.to_string(),
    }
}
