//! Comparing what a carrier holds with what is bound, and mending the difference.
//!
//! What it holds though it is none of ours must be missing here before and after it is read there once more: it may
//! just have ended. What it lacks was confirmed before all was read, and still is afterwards.

use std::collections::HashSet;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use maskline_domain::binding::Phase;
use maskline_domain::ops::{NoteReconciled, ReleaseOrphan, RenewProvision};
use maskline_domain::provisioning::{Answer, HeldThere, Operation, Request};
use maskline_domain::{
    Actor, Binding, CarrierName, Envelope, PhoneNumber, State, SubsId, Timestamp, TypedCommand,
};
use maskline_journal::pipeline::{SubmitError, Touch};
use serde::Serialize;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{sleep, timeout};

use super::Carriers;
use super::task::Input;
use crate::carrier_client::{CarrierClient, Page, Seen};
use crate::ledger::{Ledger, ReadError};

/// How many bindings a page of the carrier's has.
const PAGE: u16 = 500;
/// How many bindings one look at the state compares.
const COMPARED_AT_ONCE: usize = 250;
/// How often a page is asked for that does not come, and how long it rests in between.
const TRIES: u32 = 4;
const REST: Duration = Duration::from_secs(1);
/// How many commands are given at once.
const GIVEN_AT_ONCE: usize = 64;
/// How many of each kind of difference are told one by one.
const TOLD_MAX: usize = 100;
/// How long a carrier may take to let go what is none of ours, before it is left to the next reconciliation.
const RELEASED_WITHIN: Duration = Duration::from_secs(60);

/// What a reconciliation found, and did about it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Reconciled {
    /// Whether nothing was done.
    pub dry_run: bool,
    /// Bindings that the carrier holds.
    pub theirs: u64,
    /// Bindings that are confirmed here.
    pub ours: u64,
    /// Those that are confirmed here and that it does not hold, or holds otherwise.
    pub missing: u64,
    /// Those that it holds though they are none of ours.
    pub orphans: u64,
    /// Of these, those that it has let go.
    pub released: u64,
    /// Of the missing ones, some.
    pub missing_bindings: Vec<Difference>,
    /// Of the orphans, some.
    pub orphan_bindings: Vec<Difference>,
}

/// One difference.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// The binding.
    pub subs_id: String,
    /// Its X.
    pub x: String,
}

impl Difference {
    fn new(subs_id: SubsId, x: PhoneNumber) -> Self {
        Self {
            subs_id: subs_id.to_string(),
            x: x.reveal(),
        }
    }
}

/// Why a carrier cannot be compared.
#[derive(Debug, thiserror::Error)]
pub enum ReconcileError {
    /// There is none that is told anything.
    #[error("no carrier of that name is told of bindings")]
    Unknown,
    /// It is being compared already.
    #[error("this carrier is being reconciled already")]
    UnderWay,
    /// It does not say what it holds.
    #[error("the carrier does not say what it holds: {0}")]
    Query(String),
    /// The state cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// What was found cannot be written down.
    #[error(transparent)]
    Submit(#[from] SubmitError),
}

impl Carriers {
    /// Compares what a carrier holds with what is bound. What it lacks it is told again; what is none of ours it is to
    /// let go. With `dry_run` nothing is done.
    ///
    /// # Errors
    /// [`ReconcileError`]. What was done before stays done.
    pub async fn reconcile(
        &self,
        name: &CarrierName,
        dry_run: bool,
        by: Actor,
    ) -> Result<Reconciled, ReconcileError> {
        let (client, inputs, reconciling) = {
            let tasks = self.shared.tasks.read();
            let handle = tasks.get(name).ok_or(ReconcileError::Unknown)?;
            let client = Arc::clone(&handle.client);
            (
                client,
                handle.inputs.clone(),
                Arc::clone(&handle.reconciling),
            )
        };
        let _one_at_a_time = reconciling
            .try_lock()
            .map_err(|_| ReconcileError::UnderWay)?;
        let mut run = Run {
            ledger: &self.shared.ledger,
            by,
            name,
            client: &client,
            inputs,
            found: Reconciled {
                dry_run,
                ..Reconciled::default()
            },
            held: HashSet::new(),
        };
        let (epoch, fence) = (run.ledger)
            .read(Touch::Scan, |state, now| {
                (state.epoch(), state.next_subs_id(now).0)
            })
            .await?;
        run.compare_theirs(fence).await?;
        run.compare_ours(fence).await?;
        if !dry_run {
            let carrier = name.clone();
            let note = NoteReconciled { carrier, epoch };
            run.give(note).await?;
            self.wake(name);
        }
        let found = run.found;
        self.shared.metrics.reconciled(
            name,
            found.orphans,
            found.missing,
            crate::clocks::read().wall.millis() / 1_000,
        );
        tracing::info!(
            carrier = %name, dry_run, theirs = found.theirs, ours = found.ours, missing = found.missing,
            orphans = found.orphans, released = found.released, "a carrier was reconciled"
        );
        Ok(found)
    }
}

struct Run<'a> {
    ledger: &'a Ledger,
    by: Actor,
    name: &'a CarrierName,
    client: &'a CarrierClient,
    inputs: mpsc::Sender<Input>,
    found: Reconciled,
    /// What the carrier holds: the binding, and by which request.
    held: HashSet<(SubsId, u64)>,
}

impl Run<'_> {
    async fn give<C: TypedCommand>(&self, command: C) -> Result<C::Outcome, SubmitError> {
        let (by, id) = (self.by.clone(), None);
        self.ledger.submit(Envelope { by, id, command }).await
    }

    async fn page(&self, after: Option<&str>) -> Result<Page, ReconcileError> {
        let mut tries = 0;
        loop {
            tries += 1;
            match self.client.query(after, PAGE).await {
                Ok(page) => return Ok(page),
                Err((Answer::Unavailable | Answer::NotSent, _)) if tries < TRIES => {
                    sleep(REST).await
                }
                Err((_, seen)) => return Err(query_error(&seen)),
            }
        }
    }

    async fn compare_theirs(&mut self, fence: u64) -> Result<(), ReconcileError> {
        let mut after: Option<String> = None;
        let mut cursors = HashSet::new();
        loop {
            let page = self.page(after.as_deref()).await?;
            self.found.theirs += page.held.len() as u64;
            self.held
                .extend(page.held.iter().map(|held| (held.subs_id, held.fence)));
            let strangers = self.strangers(&page.held).await?;
            if !strangers.is_empty() {
                // They may have ended while the page was on its way: what is still there is looked up once more.
                let again = self.page(after.as_deref()).await?;
                let is_there = |one: &&HeldThere| {
                    again
                        .held
                        .iter()
                        .any(|held| (held.subs_id, held.x) == (one.subs_id, one.x))
                };
                let left: Vec<HeldThere> = strangers.iter().filter(is_there).copied().collect();
                let orphans = self.strangers(&left).await?;
                // What came since the beginning is judged by the next one.
                let orphans = orphans.into_iter().filter(|held| held.fence < fence);
                self.release(orphans.collect()).await?;
            }
            match page.next {
                Some(next) if cursors.insert(next.clone()) => after = Some(next),
                Some(_) => {
                    let why = "its pages go round: a cursor came twice";
                    return Err(ReconcileError::Query(why.to_owned()));
                }
                None => return Ok(()),
            }
        }
    }

    /// Those of what the carrier holds that are none of ours.
    async fn strangers(&self, held: &[HeldThere]) -> Result<Vec<HeldThere>, ReadError> {
        let mut strangers = Vec::new();
        let mut left = held.chunks(COMPARED_AT_ONCE);
        let step = |state: &State, _: Timestamp| {
            let Some(some) = left.next() else {
                return ControlFlow::Break(());
            };
            strangers.extend(some.iter().copied().filter(|held| {
                let ours = state.binding(held.subs_id);
                let is_ours = |binding: &Binding| {
                    let provision = binding.provision.as_deref();
                    binding.x == held.x
                        && provision.is_some_and(|known| known.carrier == *self.name)
                };
                !ours.as_ref().is_some_and(is_ours)
            }));
            ControlFlow::Continue(())
        };
        self.ledger.read_in_steps(Touch::Scan, step).await?;
        Ok(strangers)
    }

    async fn release(&mut self, orphans: Vec<HeldThere>) -> Result<(), ReconcileError> {
        for orphan in orphans {
            let HeldThere {
                x,
                subs_id,
                revision,
                ..
            } = orphan;
            self.found.orphans += 1;
            tracing::warn!(
                carrier = %self.name, binding = %subs_id, x = x.reveal(),
                "an X number is live at a carrier without a binding"
            );
            if self.found.orphan_bindings.len() < TOLD_MAX {
                self.found.orphan_bindings.push(Difference::new(subs_id, x));
            }
            if self.found.dry_run {
                continue;
            }
            let release = ReleaseOrphan {
                carrier: self.name.clone(),
                subs_id,
                x,
            };
            let fence = match self.give(release).await {
                Ok(fence) => fence.0,
                // It is ours after all.
                Err(SubmitError::Refused(_)) => continue,
                Err(error) => return Err(error.into()),
            };
            let request = Request {
                subs_id,
                revision: revision.saturating_add(1),
                fence,
                x,
                operation: Operation::Unbind,
            };
            let (done, answer) = oneshot::channel();
            let told = self.inputs.send(Input::Tell(request, done)).await.is_ok();
            let answer = timeout(RELEASED_WITHIN, answer).await;
            if told && matches!(answer, Ok(Ok(Answer::Done))) {
                self.found.released += 1;
            }
        }
        Ok(())
    }

    /// What is confirmed here, and not held there by the same request. Only what has not changed since the beginning can
    /// be judged.
    async fn compare_ours(&mut self, fence: u64) -> Result<(), ReconcileError> {
        let mut below = SubsId(fence);
        loop {
            let (name, held) = (self.name, &self.held);
            let mut ours = 0;
            let look = |state: &State, _: Timestamp| {
                let mut missing: Vec<(SubsId, u64, PhoneNumber)> = Vec::new();
                let mut last = None;
                for binding in state.bindings_below(below).take(COMPARED_AT_ONCE) {
                    last = Some(binding.subs_id);
                    let provision = binding.provision.as_deref();
                    let Some(provision) = provision.filter(|known| {
                        known.carrier == *name
                            && known.phase == Phase::Confirmed
                            && known.fence < fence
                    }) else {
                        continue;
                    };
                    ours += 1;
                    let by = provision.held.unwrap_or(provision.fence);
                    if !held.contains(&(binding.subs_id, by)) {
                        missing.push((binding.subs_id, provision.fence, binding.x));
                    }
                }
                (missing, last)
            };
            let (missing, last) = self.ledger.read(Touch::Scan, look).await?;
            self.found.ours += ours;
            self.found.missing += missing.len() as u64;
            let untold = TOLD_MAX.saturating_sub(self.found.missing_bindings.len());
            let told = missing.iter().take(untold);
            let told = told.map(|&(subs_id, _, x)| Difference::new(subs_id, x));
            self.found.missing_bindings.extend(told);
            if !self.found.dry_run {
                self.renew(&missing).await?;
            }
            match last {
                Some(last) => below = last,
                None => return Ok(()),
            }
        }
    }

    async fn renew(&self, missing: &[(SubsId, u64, PhoneNumber)]) -> Result<(), ReconcileError> {
        for some in missing.chunks(GIVEN_AT_ONCE) {
            let given = some
                .iter()
                .map(|&(subs_id, fence, _)| self.give(RenewProvision { subs_id, fence }));
            for told in join_all(given).await {
                match told {
                    // It has ended meanwhile.
                    Ok(()) | Err(SubmitError::Refused(_)) => {}
                    Err(error) => return Err(error.into()),
                }
            }
        }
        Ok(())
    }
}

fn query_error(seen: &Seen) -> ReconcileError {
    ReconcileError::Query(seen.to_string())
}
