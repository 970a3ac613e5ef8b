//! Comparing what a carrier holds with what is bound, and mending the difference.
//!
//! What it holds though it is none of ours must be missing here before and after it is read there once more: it may
//! just have ended. What it holds though it is bound with another carrier is told apart and stays: both may be one
//! system, and what the one lets go the other holds no more. What it lacks was confirmed before anything was read, and
//! still is afterwards. It is written down that a carrier was compared only if it has let go all that is none of ours.

use std::collections::{BTreeMap, HashSet};
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use maskline_domain::binding::Phase;
use maskline_domain::ops::{NoteReconciled, ReleaseOrphan, RenewProvision};
use maskline_domain::provisioning::{Answer, HeldThere, Operation, Request};
use maskline_domain::{
    Actor, CarrierName, Envelope, PhoneNumber, State, SubsId, Timestamp, TypedCommand,
};
use maskline_journal::pipeline::{SubmitError, Touch};
use serde::Serialize;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep, timeout_at};

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
/// How long a carrier may take to let go what of a page is none of ours, all at once, and what of all pages. What is
/// left then is left to the next reconciliation.
const RELEASED_WITHIN: Duration = Duration::from_secs(20);
const ALL_RELEASED_WITHIN: Duration = Duration::from_secs(600);
/// A carrier may tell of twice as many bindings as it must know of, and so many more.
const ROWS_MORE_MAX: u64 = 20_000;
/// As how many bindings an empty page counts.
const EMPTY_PAGE_ROWS: u64 = 20;

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
    /// Those that it holds though they are bound with another carrier. They stay.
    pub elsewhere: u64,
    /// Of the missing ones, some.
    pub missing_bindings: Vec<Difference>,
    /// Of the orphans, some.
    pub orphan_bindings: Vec<Difference>,
    /// Of those that are bound with another carrier, some.
    pub elsewhere_bindings: Vec<Difference>,
}

/// One difference.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// The binding.
    pub subs_id: String,
    /// Its X; masked if it is no number of ours, since it may be a person's then.
    pub x: String,
    /// With which carrier it is bound, where that is another one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub carrier: Option<String>,
}

impl Difference {
    fn new(subs_id: SubsId, x: String) -> Self {
        Self {
            subs_id: subs_id.to_string(),
            x,
            carrier: None,
        }
    }
}

/// What of a page is none of this carrier's.
#[derive(Debug, Default)]
struct Foreign {
    /// What is not bound.
    unknown: Vec<HeldThere>,
    /// What is bound with another carrier, and with which.
    elsewhere: Vec<(HeldThere, CarrierName)>,
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
    /// It tells of more than can be.
    #[error("the carrier tells of more than {0} bindings, more than twice as many as it must hold")]
    TooMany(u64),
    /// It still holds what is none of ours.
    #[error(
        "{left} of {orphans} X numbers without a binding are still live at the carrier; run it again"
    )]
    OrphansLeft {
        /// Those that it has not let go.
        left: u64,
        /// All that were found.
        orphans: u64,
    },
    /// Another address was set, so what was compared is not what the carrier holds now.
    #[error("the carrier was changed or taken away while it was reconciled; run it again")]
    Changed,
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
        let (client, url, inputs, reconciling) = {
            let tasks = self.shared.tasks.read();
            let handle = tasks.get(name).ok_or(ReconcileError::Unknown)?;
            (
                Arc::clone(&handle.client),
                handle.carrier.url.clone(),
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
            releases_until: Instant::now() + ALL_RELEASED_WITHIN,
            rows_max: 0,
            others: BTreeMap::new(),
            held: HashSet::new(),
            pending: HashSet::new(),
        };
        run.catch_up().await?;
        let begun = run.begin().await?;
        run.compare_theirs().await?;
        for (other, count) in &run.others {
            tracing::warn!(
                carrier = %name, %other, count,
                "a carrier holds live bindings of another carrier, which stay: are both one system?"
            );
        }
        run.compare_ours(begun.fence).await?;
        let found = run.found.clone();
        let left = found.orphans - found.released;
        tracing::info!(
            carrier = %name, dry_run, theirs = found.theirs, ours = found.ours, missing = found.missing,
            orphans = found.orphans, released = found.released, elsewhere = found.elsewhere, "a carrier was compared"
        );
        if dry_run {
            return Ok(found);
        }
        self.wake(name);
        if run.url().await? != url {
            return Err(ReconcileError::Changed);
        }
        if left == 0 {
            let (carrier, epoch) = (name.clone(), begun.epoch);
            run.give(NoteReconciled { carrier, epoch }).await?;
        }
        let at = crate::clocks::read().wall;
        if let Some(handle) = self.shared.tasks.write().get_mut(name)
            && Arc::ptr_eq(&handle.reconciling, &reconciling)
        {
            let metrics = &self.shared.metrics;
            metrics.compared(name, found.orphans, found.missing);
            if left == 0 && Arc::ptr_eq(&handle.client, &client) {
                metrics.reconciled(name, at.millis() / 1_000);
                handle.reconciled_at = Some(at);
                handle.schedule.succeeded(Instant::now());
            }
        }
        match left {
            0 => Ok(found),
            _ => Err(ReconcileError::OrphansLeft {
                left,
                orphans: found.orphans,
            }),
        }
    }
}

/// What a reconciliation begins with.
struct Begun {
    epoch: u32,
    /// All that is asked from now on has this fence or a later one.
    fence: u64,
}

struct Run<'a> {
    ledger: &'a Ledger,
    by: Actor,
    name: &'a CarrierName,
    client: &'a CarrierClient,
    inputs: mpsc::Sender<Input>,
    found: Reconciled,
    /// Until when it is to let go what is none of ours.
    releases_until: Instant,
    /// Of how many bindings it may tell.
    rows_max: u64,
    /// With which other carriers it was bound what this one holds, and how much.
    others: BTreeMap<CarrierName, u64>,
    /// What the carrier holds of ours: the binding, its X, and by which request.
    held: HashSet<(SubsId, PhoneNumber, u64)>,
    /// The bindings of which it was still being told at the beginning: pages may have been read before they were there.
    pending: HashSet<SubsId>,
}

impl Run<'_> {
    async fn give<C: TypedCommand>(&self, command: C) -> Result<C::Outcome, SubmitError> {
        let (by, id) = (self.by.clone(), None);
        self.ledger.submit(Envelope { by, id, command }).await
    }

    /// Waits until all is written down that the carrier said where it was before: what is confirmed from now on, it holds
    /// where it is.
    async fn catch_up(&self) -> Result<(), ReconcileError> {
        let (done, caught_up) = oneshot::channel();
        let sent = self.inputs.send(Input::Caught(done)).await;
        let caught_up = timeout_at(Instant::now() + RELEASED_WITHIN, caught_up).await;
        match (sent, caught_up) {
            (Ok(()), Ok(Ok(()))) => Ok(()),
            _ => Err(ReconcileError::Changed),
        }
    }

    /// Looks at what can be judged at all. First the fence: what is confirmed between both looks was so before
    /// anything is read there.
    async fn begin(&mut self) -> Result<Begun, ReconcileError> {
        let name = self.name;
        let look = |state: &State, now: Timestamp| {
            let begun = Begun {
                epoch: state.epoch(),
                fence: state.next_subs_id(now).0,
            };
            (begun, state.provisioned_len(name) as u64)
        };
        let (begun, known) = self.ledger.read(Touch::Scan, look).await?;
        self.rows_max = known.saturating_mul(2).saturating_add(ROWS_MORE_MAX);
        // No more than wait for an answer at once.
        let look = |state: &State, _: Timestamp| -> Vec<SubsId> {
            let asked = state.asked_of(name);
            asked.map(|binding| binding.subs_id).collect()
        };
        self.pending
            .extend(self.ledger.read(Touch::Scan, look).await?);
        let (pending, mut from) = (&mut self.pending, 0);
        let step = |state: &State, _: Timestamp| {
            let mut is_last = true;
            for owed in state.owed_to(name, from).take(COMPARED_AT_ONCE) {
                let Some(provision) = owed.provision.as_deref() else {
                    continue;
                };
                from = provision.fence + 1;
                is_last = from > begun.fence;
                // What is let go is not confirmed any more.
                if provision.phase == Phase::Renewing {
                    pending.insert(owed.subs_id);
                }
            }
            match is_last {
                true => ControlFlow::Break(()),
                false => ControlFlow::Continue(()),
            }
        };
        self.ledger.read_in_steps(Touch::Scan, step).await?;
        Ok(begun)
    }

    /// Where the carrier is asked as the state has it now.
    async fn url(&self) -> Result<Option<Box<str>>, ReadError> {
        let name = self.name;
        let look = |state: &State, _: Timestamp| state.carrier(name)?.url.clone();
        self.ledger.read(Touch::Scan, look).await
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

    async fn compare_theirs(&mut self) -> Result<(), ReconcileError> {
        let mut after: Option<String> = None;
        let mut cursors = HashSet::new();
        let mut rows = 0;
        loop {
            let page = self.page(after.as_deref()).await?;
            self.found.theirs += page.held.len() as u64;
            rows += match page.held.len() {
                0 => EMPTY_PAGE_ROWS,
                count => count as u64,
            };
            if rows > self.rows_max {
                return Err(ReconcileError::TooMany(self.rows_max));
            }
            let Foreign { unknown, elsewhere } = self.foreign(&page.held).await?;
            self.note_elsewhere(&elsewhere);
            let is_unknown: HashSet<(SubsId, PhoneNumber)> =
                unknown.iter().map(|held| (held.subs_id, held.x)).collect();
            let ours = page.held.iter();
            let ours = ours.filter(|held| !is_unknown.contains(&(held.subs_id, held.x)));
            self.held
                .extend(ours.map(|held| (held.subs_id, held.x, held.fence)));
            if !unknown.is_empty() {
                // They may have ended while the page was on its way: what is still there is looked up once more. What
                // is not ours now and still told was never ours, or is held although it was let go: ids never come
                // back, and nothing is asked before it stands in the state.
                let again = self.page(after.as_deref()).await?;
                let again = again.held.into_iter();
                let is_there: HashSet<(SubsId, PhoneNumber)> =
                    again.map(|held| (held.subs_id, held.x)).collect();
                let left = unknown.iter().copied();
                let left: Vec<HeldThere> = left
                    .filter(|held| is_there.contains(&(held.subs_id, held.x)))
                    .collect();
                let foreign = self.foreign(&left).await?;
                self.note_elsewhere(&foreign.elsewhere);
                self.release(&foreign.unknown).await?;
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

    /// What of what the carrier holds is not bound, or with another carrier.
    async fn foreign(&self, held: &[HeldThere]) -> Result<Foreign, ReadError> {
        let mut foreign = Foreign::default();
        let mut left = held.chunks(COMPARED_AT_ONCE);
        let step = |state: &State, _: Timestamp| {
            let Some(some) = left.next() else {
                return ControlFlow::Break(());
            };
            for held in some {
                let binding = state.binding(held.subs_id);
                let provision = binding
                    .filter(|binding| binding.x == held.x)
                    .and_then(|binding| binding.provision);
                match provision {
                    Some(known) if known.carrier == *self.name => {}
                    Some(known) => foreign.elsewhere.push((*held, known.carrier)),
                    None => foreign.unknown.push(*held),
                }
            }
            ControlFlow::Continue(())
        };
        self.ledger.read_in_steps(Touch::Scan, step).await?;
        Ok(foreign)
    }

    fn note_elsewhere(&mut self, elsewhere: &[(HeldThere, CarrierName)]) {
        for (held, carrier) in elsewhere {
            self.found.elsewhere += 1;
            *self.others.entry(carrier.clone()).or_default() += 1;
            if self.found.elsewhere_bindings.len() < TOLD_MAX {
                self.found.elsewhere_bindings.push(Difference {
                    carrier: Some(carrier.to_string()),
                    ..Difference::new(held.subs_id, held.x.reveal())
                });
            }
        }
    }

    /// How the X of each is shown.
    async fn shown(&self, orphans: &[HeldThere]) -> Result<Vec<String>, ReadError> {
        let mut shown = Vec::with_capacity(orphans.len());
        let mut left = orphans.chunks(COMPARED_AT_ONCE);
        let step = |state: &State, _: Timestamp| {
            let Some(some) = left.next() else {
                return ControlFlow::Break(());
            };
            shown.extend(some.iter().map(|held| match state.has_number(held.x) {
                true => held.x.reveal(),
                false => held.x.to_string(),
            }));
            ControlFlow::Continue(())
        };
        self.ledger.read_in_steps(Touch::Scan, step).await?;
        Ok(shown)
    }

    /// Has the carrier let go what is none of ours, all of a page at once.
    async fn release(&mut self, orphans: &[HeldThere]) -> Result<(), ReconcileError> {
        let shown = self.shown(orphans).await?;
        for (orphan, x) in orphans.iter().zip(shown) {
            let subs_id = orphan.subs_id;
            self.found.orphans += 1;
            tracing::warn!(
                carrier = %self.name, binding = %subs_id, x,
                "an X number is live at a carrier without a binding"
            );
            if self.found.orphan_bindings.len() < TOLD_MAX {
                self.found.orphan_bindings.push(Difference::new(subs_id, x));
            }
        }
        let until = self.releases_until.min(Instant::now() + RELEASED_WITHIN);
        if self.found.dry_run || Instant::now() >= until {
            return Ok(());
        }
        let mut requests = Vec::with_capacity(orphans.len());
        for some in orphans.chunks(GIVEN_AT_ONCE) {
            for request in join_all(some.iter().map(|orphan| self.decide(orphan))).await {
                requests.extend(request?);
            }
        }
        let told = requests
            .into_iter()
            .map(|request| timeout_at(until, self.tell(request)));
        let told = join_all(told).await;
        let released = told.iter().filter(|told| matches!(told, Ok(true)));
        self.found.released += released.count() as u64;
        Ok(())
    }

    /// The request by which the carrier lets it go; none if it is ours after all, or the carrier is none any more.
    async fn decide(&self, orphan: &HeldThere) -> Result<Option<Request>, SubmitError> {
        let (subs_id, x) = (orphan.subs_id, orphan.x);
        let carrier = self.name.clone();
        let release = ReleaseOrphan {
            carrier,
            subs_id,
            x,
        };
        match self.give(release).await {
            Ok(fence) => Ok(Some(Request {
                subs_id,
                revision: orphan.revision.saturating_add(1),
                fence: fence.0,
                x,
                operation: Operation::Unbind,
            })),
            Err(SubmitError::Refused(_)) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Whether the carrier has done it.
    async fn tell(&self, request: Request) -> bool {
        let (done, answer) = oneshot::channel();
        let told = self.inputs.send(Input::Tell(request, done)).await;
        told.is_ok() && matches!(answer.await, Ok(Answer::Done))
    }

    /// What is confirmed here, and not held there by the same request. Only what was confirmed at the beginning and has
    /// not changed since can be judged.
    async fn compare_ours(&mut self, fence: u64) -> Result<(), ReconcileError> {
        let mut below = SubsId(fence);
        loop {
            let (name, held, pending) = (self.name, &self.held, &self.pending);
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
                            && !pending.contains(&binding.subs_id)
                    }) else {
                        continue;
                    };
                    ours += 1;
                    let by = provision.held.unwrap_or(provision.fence);
                    if !held.contains(&(binding.subs_id, binding.x, by)) {
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
            let told = told.map(|&(subs_id, _, x)| Difference::new(subs_id, x.reveal()));
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
