//! Detaching bindings from a carrier that is gone for good.
//!
//! The rules say what becomes of each ([`ForgetCarrier`]); here that is counted before, written down for the audit, and
//! done in as many commands as it takes. It may be begun again at any time.

use std::ops::ControlFlow;

use futures_util::future::join_all;
use maskline_domain::binding::Phase;
use maskline_domain::ops::{AT_ONCE, ForgetCarrier};
use maskline_domain::{
    Actor, AdminRefusal, CarrierName, Envelope, Note, Refusal, State, SubsId, Timestamp,
    TypedCommand,
};
use maskline_journal::pipeline::{SubmitError, Touch};
use serde::Serialize;

use super::Carriers;
use super::task::Input;
use crate::ledger::ReadError;

/// How many bindings one look at the state sees.
const LOOKED_AT_ONCE: usize = 250;
/// How many are detached at once, by commands that can share a batch.
const DETACHED_AT_ONCE: usize = 16 * AT_ONCE as usize;

/// What a carrier that is gone for good leaves behind.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Forgotten {
    /// Whether it was done; otherwise nothing was.
    pub forced: bool,
    /// The pools that name the carrier: while there is one, it is not done.
    pub named_by: Vec<String>,
    /// Bindings for which it was asked first, which never were.
    pub reserved: u64,
    /// Bindings that it holds, which stay.
    pub confirmed: u64,
    /// Bindings for a change of which it was asked, which stay on the old terms.
    pub changing: u64,
    /// Bindings that it was to be told once more, which stay.
    pub renewing: u64,
    /// Bindings that it was to let go, which are gone.
    pub releasing: u64,
}

impl Forgotten {
    fn bindings(&self) -> u64 {
        self.reserved + self.confirmed + self.changing + self.renewing + self.releasing
    }
}

/// Why a carrier is not forgotten.
#[derive(Debug, thiserror::Error)]
pub enum ForgetError {
    /// The rules say no, or it cannot be written down.
    #[error(transparent)]
    Submit(#[from] SubmitError),
    /// The state cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
}

impl From<AdminRefusal> for ForgetError {
    fn from(refusal: AdminRefusal) -> Self {
        SubmitError::Refused(Refusal::from(refusal)).into()
    }
}

impl Carriers {
    /// Detaches all bindings from a carrier that is gone for good. Tells how many there were; unless it is `forced`, that is
    /// all.
    ///
    /// # Errors
    /// [`ForgetError`]. What was done before stays done.
    pub async fn forget(
        &self,
        name: &CarrierName,
        forced: bool,
        by: Actor,
    ) -> Result<Forgotten, ForgetError> {
        let mut found = self.left_by(name).await?;
        if !forced {
            return Ok(found);
        }
        if let Some(pool) = found.named_by.first() {
            return Err(AdminRefusal::CarrierNamed {
                carrier: name.as_str().into(),
                pool: pool.as_str().into(),
            }
            .into());
        }
        let carrier = name.clone();
        let bindings = found.bindings();
        tracing::warn!(%carrier, bindings, "a carrier is forgotten");
        self.give(&by, Note::CarrierForgotten { carrier, bindings })
            .await?;
        self.detach_all(name, &by).await?;
        found.forced = true;
        let task = self.known_task_of(name);
        if let Some((inputs, _)) = task {
            // A task that ends asks nothing any more.
            let _ = inputs.send(Input::Withdraw).await;
        }
        Ok(found)
    }

    /// What would be forgotten now.
    async fn left_by(&self, name: &CarrierName) -> Result<Forgotten, ForgetError> {
        let ledger = &self.shared.ledger;
        let look = |state: &State, _: Timestamp| {
            state.carrier(name)?;
            let mut found = Forgotten {
                confirmed: (state.provisioned_len(name) - state.owed_len(name)) as u64,
                ..Forgotten::default()
            };
            let pools = state.pools_naming(name);
            found.named_by = pools.map(|pool| pool.key.to_string()).collect();
            // No more than wait for an answer at once.
            for asked in state.asked_of(name) {
                found.confirmed -= 1;
                match asked.provision.map(|its| its.phase) {
                    Some(Phase::Changing) => found.changing += 1,
                    _ => found.reserved += 1,
                }
            }
            Some(found)
        };
        let found = ledger.read(Touch::Scan, look).await?;
        let mut found = found.ok_or(AdminRefusal::NotFound { what: "carrier" })?;
        let mut from = 0;
        let step = |state: &State, _: Timestamp| {
            let begun = from;
            for owed in state.owed_to(name, from).take(LOOKED_AT_ONCE) {
                let Some(provision) = owed.provision else {
                    continue;
                };
                from = provision.fence + 1;
                match provision.phase {
                    Phase::Renewing => found.renewing += 1,
                    _ => found.releasing += 1,
                }
            }
            match from == begun {
                true => ControlFlow::Break(()),
                false => ControlFlow::Continue(()),
            }
        };
        ledger.read_in_steps(Touch::Scan, step).await?;
        Ok(found)
    }

    /// Goes through all bindings, again if some came behind it: a change of one may have been asked for meanwhile.
    async fn detach_all(&self, carrier: &CarrierName, by: &Actor) -> Result<(), ForgetError> {
        loop {
            let (mut below, mut detached, mut is_more) = (SubsId(u64::MAX), 0, false);
            while let Some((found, last)) = self.some_below(carrier, below).await? {
                below = last;
                let pieces = found.chunks(AT_ONCE as usize).map(|some| {
                    let forget = ForgetCarrier {
                        carrier: carrier.clone(),
                        bindings: some.iter().copied().collect(),
                    };
                    self.give(by, forget)
                });
                for work in join_all(pieces).await {
                    let work = work?;
                    detached += work.count;
                    is_more = work.more;
                }
            }
            if !is_more || detached == 0 {
                return Ok(());
            }
        }
    }

    /// The bindings of which a carrier must know among some below an id, and the last that was looked at.
    async fn some_below(
        &self,
        carrier: &CarrierName,
        below: SubsId,
    ) -> Result<Option<(Vec<SubsId>, SubsId)>, ReadError> {
        let (mut found, mut last) = (Vec::new(), below);
        let step = |state: &State, _: Timestamp| {
            let mut is_end = true;
            for binding in state.bindings_below(last).take(LOOKED_AT_ONCE) {
                is_end = false;
                last = binding.subs_id;
                let provision = binding.provision.as_deref();
                if provision.is_some_and(|known| known.carrier == *carrier) {
                    found.push(binding.subs_id);
                }
            }
            match is_end || found.len() >= DETACHED_AT_ONCE {
                true => ControlFlow::Break(()),
                false => ControlFlow::Continue(()),
            }
        };
        self.shared.ledger.read_in_steps(Touch::Scan, step).await?;
        Ok((!found.is_empty()).then_some((found, last)))
    }

    async fn give<C: TypedCommand>(
        &self,
        by: &Actor,
        command: C,
    ) -> Result<C::Outcome, SubmitError> {
        let (by, id) = (by.clone(), None);
        self.shared
            .ledger
            .submit(Envelope { by, id, command })
            .await
    }
}
