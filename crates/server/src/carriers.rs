//! Telling carriers of bindings, and waiting for their answers.
//!
//! Each carrier has a task of its own, which asks as the `Provisioner` of `domain` says: however slow one is, nobody
//! waits for it but who binds in its pools. Only what is durable is told, and what comes of it is settled by a command.
//! Changes of carriers are followed within a second.

mod answers;
mod forgetting;
mod metrics;
mod reconciliation;
mod schedule;
mod settling;
mod task;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use maskline_domain::ops::AbandonAsked;
use maskline_domain::provisioning::{NotDone, Request};
use maskline_domain::{
    Actor, Binding, Carrier, CarrierName, Envelope, Refusal, SubsId, Timestamp, TypedCommand,
};
use maskline_journal::pipeline::{SubmitError, Touch};
use parking_lot::RwLock;
use prometheus_client::registry::Registry;
use tokio::sync::{Mutex, mpsc, oneshot, watch};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

pub use self::answers::LastAnswer;
use self::answers::LastAnswers;
pub use self::forgetting::{ForgetError, Forgotten};
use self::metrics::CarrierMetrics;
pub use self::reconciliation::{ReconcileError, Reconciled};
use self::schedule::Schedule;
use self::task::{Ask, Input, Status, Task};
use crate::carrier_client::CarrierClient;
use crate::ledger::{Ledger, ReadError};
use crate::seal::Sealer;

/// How often carriers are compared with those that are asked.
const FOLLOWED_EVERY: Duration = Duration::from_secs(1);
/// The most requests that wait until a carrier's task takes them.
const QUEUE_MAX: usize = 1_024;
/// How many requests for which nobody waits any more one command gives up.
const ABANDONED_AT_ONCE: u32 = maskline_domain::ops::AT_ONCE;
/// By whom commands are given.
const JOB: &str = "carriers";

/// The carriers that are asked. Clones share them.
#[derive(Clone)]
pub struct Carriers {
    shared: Arc<Shared>,
}

struct Shared {
    ledger: Ledger,
    sealer: Arc<Sealer>,
    metrics: CarrierMetrics,
    answers: parking_lot::Mutex<LastAnswers>,
    /// What moments are told by.
    begun: Instant,
    tasks: RwLock<BTreeMap<CarrierName, Handle>>,
    /// Held by whoever starts and ends tasks.
    following: Mutex<()>,
    closing: CancellationToken,
}

struct Handle {
    carrier: Arc<Carrier>,
    client: Arc<CarrierClient>,
    inputs: mpsc::Sender<Input>,
    /// Ends the task.
    ending: CancellationToken,
    status: watch::Receiver<Status>,
    /// Held by a reconciliation from its beginning to its end.
    reconciling: Arc<Mutex<()>>,
    /// Whether the state was restored, and the carrier has not been compared since.
    is_unreconciled: bool,
    /// When it was last compared and held nothing that is none of ours, as far as this process knows.
    reconciled_at: Option<Timestamp>,
    /// When it is compared by itself.
    schedule: Schedule,
    task: JoinHandle<()>,
}

/// Whether a process has just begun: what a carrier was asked before, nobody waits for.
struct AtStart(bool);

/// How a carrier is asked at the moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Health {
    /// Whether it is asked at all: `closed`, `half_open` or `open`.
    pub breaker: &'static str,
    /// Requests for whose answers customers wait.
    pub waiting: usize,
    /// Bindings of which it must still be told.
    pub owed: usize,
    /// Requests under way.
    pub under_way: usize,
}

/// How far a carrier was compared with what is bound.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Compared {
    /// When that last succeeded; none if not since the start.
    pub at: Option<Timestamp>,
    /// Whether it has succeeded since the data were restored, if they were. Until then binds are refused.
    pub is_since_restore: bool,
}

/// Why a customer's request that needs a carrier was not carried out.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Failed {
    /// For a reason that the carrier gave, or for want of one.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// What came of it cannot be written down.
    #[error(transparent)]
    NotSettled(#[from] SubmitError),
}

impl From<NotDone<SubmitError>> for Failed {
    fn from(why: NotDone<SubmitError>) -> Self {
        match why {
            NotDone::Refused(refusal) => refusal.into(),
            NotDone::NotSettled(error) => error.into(),
        }
    }
}

impl fmt::Debug for Carriers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tasks = self.shared.tasks.read();
        f.debug_tuple("Carriers").field(&tasks.keys()).finish()
    }
}

impl Carriers {
    /// Begins to ask the carriers of the state, and to follow their changes. What was asked before a start is given
    /// up: nobody waits for it.
    ///
    /// # Errors
    /// The state cannot be read.
    pub async fn start(ledger: Ledger, sealer: Arc<Sealer>) -> Result<Self, ReadError> {
        let shared = Arc::new(Shared {
            ledger,
            sealer,
            metrics: CarrierMetrics::default(),
            answers: parking_lot::Mutex::default(),
            begun: Instant::now(),
            tasks: RwLock::default(),
            following: Mutex::default(),
            closing: CancellationToken::new(),
        });
        let carriers = Self { shared };
        carriers.follow(AtStart(true)).await?;
        let following = carriers.clone();
        tokio::spawn(async move { following.keep_following().await });
        Ok(carriers)
    }

    /// Registers what is counted.
    pub fn register(&self, registry: &mut Registry) {
        self.shared.metrics.register(registry);
    }

    /// Ends all tasks. Who still waits is told that there is no answer.
    pub async fn close(&self) {
        self.shared.closing.cancel();
        let _following = self.shared.following.lock().await;
        let tasks = std::mem::take(&mut *self.shared.tasks.write());
        for (name, handle) in tasks {
            if handle.task.await.is_err() {
                tracing::error!(carrier = %name, "the task of a carrier did not end in order");
            }
        }
    }

    /// The carriers that take no request for which somebody would wait.
    pub fn down(&self) -> Vec<CarrierName> {
        let tasks = self.shared.tasks.read();
        let down = tasks
            .iter()
            .filter(|(_, handle)| handle.status.borrow().is_down);
        down.map(|(name, _)| name.clone()).collect()
    }

    /// How a carrier is asked; none for one that is told nothing.
    pub fn health(&self, name: &CarrierName) -> Option<Health> {
        let tasks = self.shared.tasks.read();
        let status = *tasks.get(name)?.status.borrow();
        Some(status.health)
    }

    /// How far a carrier was compared with what is bound; none for one that is told nothing.
    pub fn compared(&self, name: &CarrierName) -> Option<Compared> {
        let tasks = self.shared.tasks.read();
        let handle = tasks.get(name)?;
        Some(Compared {
            at: handle.reconciled_at,
            is_since_restore: !handle.is_unreconciled,
        })
    }

    /// What a carrier last answered about a binding, if it did not do what it was asked and that is not long ago.
    pub fn last_answer(&self, binding: SubsId) -> Option<LastAnswer> {
        self.shared.answers.lock().get(binding).cloned()
    }

    /// Whether any carrier is told of bindings.
    pub fn has_any(&self) -> bool {
        !self.shared.tasks.read().is_empty()
    }

    /// Has the carrier of a binding told what it is owed, without a wait for the next look.
    pub async fn wake_of(&self, binding: SubsId) {
        if !self.has_any() {
            return;
        }
        let carrier = self.shared.ledger.read(Touch::None, move |state, _| {
            state.provision(binding).map(|known| known.carrier)
        });
        if let Ok(Some(carrier)) = carrier.await {
            self.wake(&carrier);
        }
    }

    fn wake(&self, carrier: &CarrierName) {
        if let Some(handle) = self.shared.tasks.read().get(carrier) {
            // One that has much to do looks anyway.
            let _ = handle.inputs.try_send(Input::Wake);
        }
    }

    /// Waits until the carrier of a binding has answered what it is asked, no longer than from `arrived` on it may take,
    /// and until that is durable. The binding is as a command gave it; one of which no carrier is asked is there at
    /// once.
    ///
    /// # Errors
    /// [`Failed`]. From then on all that is done leads to a binding that is released, or is as it was.
    pub async fn settled(&self, binding: &Binding, arrived: Instant) -> Result<(), Failed> {
        let Some(provision) = binding.provision.as_deref() else {
            return Ok(());
        };
        if !provision.phase.is_asked() {
            return Ok(());
        }
        let Some(request) = Request::of(binding) else {
            return Ok(());
        };
        let (done, answer) = oneshot::channel();
        let is_asked = match self.task_of(&provision.carrier).await {
            Some((inputs, deadline)) => {
                let ask = Ask {
                    request,
                    deadline: self.shared.moment(arrived + deadline),
                    done,
                };
                inputs.try_send(Input::Ask(Box::new(ask))).is_ok()
            }
            None => false,
        };
        // What is reserved and not asked for is given up by a look of the carrier's task; what its task leaves open when
        // it ends, by the next start.
        match is_asked {
            true => answer
                .await
                .unwrap_or_else(|_| Err(SubmitError::Closed.into())),
            false => Err(Refusal::CarrierUnavailable.into()),
        }
    }

    async fn task_of(&self, name: &CarrierName) -> Option<(mpsc::Sender<Input>, Duration)> {
        if let Some(found) = self.known_task_of(name) {
            return Some(found);
        }
        // It may have been declared a moment ago.
        self.refresh().await;
        self.known_task_of(name)
    }

    fn known_task_of(&self, name: &CarrierName) -> Option<(mpsc::Sender<Input>, Duration)> {
        let tasks = self.shared.tasks.read();
        let handle = tasks.get(name)?;
        let deadline = Duration::from_millis(handle.carrier.deadline_ms.into());
        Some((handle.inputs.clone(), deadline))
    }

    async fn keep_following(&self) {
        let shared = &self.shared;
        loop {
            tokio::select! {
                () = shared.closing.cancelled() => return,
                () = tokio::time::sleep(FOLLOWED_EVERY) => {}
            }
            self.refresh().await;
            self.reconcile_due();
        }
    }

    /// Follows changes of carriers now.
    pub async fn refresh(&self) {
        if let Err(error) = self.follow(AtStart(false)).await {
            tracing::warn!(%error, "the carriers cannot be read");
        }
    }

    /// Compares carriers whose time has come, and at once those that have not been since a restore: until that is done,
    /// nothing is bound in their pools. Each in a task of its own.
    fn reconcile_due(&self) {
        let now = tokio::time::Instant::now();
        let mut due = Vec::new();
        for (name, handle) in self.shared.tasks.write().iter_mut() {
            let every = Duration::from_secs(handle.carrier.reconcile_every_s.into());
            if handle.schedule.is_due(every, handle.is_unreconciled, now) {
                handle.schedule.tried(now);
                due.push(name.clone());
            }
        }
        for name in due {
            let carriers = self.clone();
            tokio::spawn(async move {
                let by = Actor::Job { name: JOB.into() };
                match carriers.reconcile(&name, false, by).await {
                    Ok(_) | Err(ReconcileError::Unknown) => {}
                    // What somebody began before may be of no use: it is looked at again in a second.
                    Err(ReconcileError::UnderWay) => {
                        if let Some(handle) = carriers.shared.tasks.write().get_mut(&name) {
                            handle.schedule.not_tried();
                        }
                    }
                    Err(error) => {
                        tracing::warn!(carrier = %name, %error, "a carrier is not reconciled");
                        if let Some(handle) = carriers.shared.tasks.write().get_mut(&name) {
                            handle.schedule.tried(tokio::time::Instant::now());
                        }
                    }
                }
            });
        }
    }

    /// Starts tasks of carriers that are new, ends those of carriers that are gone, and has others take changes.
    async fn follow(&self, at_start: AtStart) -> Result<(), ReadError> {
        let shared = &self.shared;
        let _following = shared.following.lock().await;
        if shared.closing.is_cancelled() {
            return Ok(());
        }
        // Few, and made by operators alone; their certificates are not copied.
        let (wanted, epoch): (Vec<Arc<Carrier>>, u32) = (shared.ledger)
            .read(Touch::Lists, |state, _| {
                let told = state.carriers_now().filter(|carrier| carrier.provisions());
                (told.cloned().collect(), state.epoch())
            })
            .await?;
        let is_wanted = |name: &CarrierName| wanted.iter().any(|carrier| carrier.name == *name);
        let gone: Vec<Handle> = {
            let mut tasks = shared.tasks.write();
            let gone: Vec<CarrierName> = (tasks.keys().filter(|name| !is_wanted(name)))
                .cloned()
                .collect();
            gone.iter().filter_map(|name| tasks.remove(name)).collect()
        };
        // Before one of the same name begins: it may be declared again at any time.
        for handle in gone {
            handle.ending.cancel();
            if handle.task.await.is_err() {
                tracing::error!(carrier = %handle.carrier.name, "the task of a carrier did not end in order");
            }
        }
        for carrier in wanted {
            let known = shared
                .tasks
                .read()
                .get(&carrier.name)
                .map(|handle| Arc::clone(&handle.carrier));
            let (name, is_unreconciled) = (carrier.name.clone(), carrier.reconciled_epoch < epoch);
            let is_known = known
                .as_ref()
                .is_some_and(|known| Arc::ptr_eq(known, &carrier));
            if !is_known {
                self.start_task(carrier, known, &at_start).await;
            }
            if let Some(handle) = shared.tasks.write().get_mut(&name) {
                handle.is_unreconciled = is_unreconciled;
            }
        }
        Ok(())
    }

    async fn start_task(
        &self,
        carrier: Arc<Carrier>,
        before: Option<Arc<Carrier>>,
        at_start: &AtStart,
    ) {
        let shared = &self.shared;
        let is_same = |before: &Carrier| {
            Carrier {
                reconciled_epoch: carrier.reconciled_epoch,
                ..before.clone()
            } == *carrier
        };
        if before.is_some_and(|before| is_same(&before)) {
            if let Some(handle) = shared.tasks.write().get_mut(&carrier.name) {
                handle.carrier = carrier;
            }
            return;
        }
        let (opened, sealer) = (Arc::clone(&carrier), Arc::clone(&shared.sealer));
        let client = tokio::task::spawn_blocking(move || CarrierClient::new(&opened, &sealer));
        let Ok(Some(client)) = client.await else {
            return;
        };
        let client = Arc::new(client);
        let name = carrier.name.clone();
        if let Some(handle) = shared.tasks.write().get_mut(&name) {
            let changed = Input::Set(Arc::clone(&carrier), Arc::clone(&client));
            // A task that takes nothing now is told in a second.
            if handle.inputs.try_send(changed).is_ok() {
                if handle.carrier.url != carrier.url {
                    handle.schedule.moved();
                }
                (handle.carrier, handle.client) = (carrier, client);
            }
            return;
        }
        let (inputs, inputs_in) = mpsc::channel(QUEUE_MAX);
        let mut is_fresh = true;
        if at_start.0
            && let Err(error) = self.abandon(&name).await
        {
            tracing::warn!(carrier = %name, %error, "what was asked before the start cannot be given up yet");
            is_fresh = false;
        }
        let (task, status) = Task::new(
            self.clone(),
            &carrier,
            Arc::clone(&client),
            inputs_in,
            is_fresh,
        );
        let ending = CancellationToken::new();
        let task = tokio::spawn(task.run(ending.clone()));
        let handle = Handle {
            carrier,
            client,
            inputs,
            ending,
            status,
            reconciling: Arc::default(),
            is_unreconciled: false,
            reconciled_at: None,
            schedule: Schedule::new(tokio::time::Instant::now()),
            task,
        };
        shared.metrics.begin(&name);
        shared.tasks.write().insert(name, handle);
    }

    /// Gives up what a carrier was asked before this process was there. Until that is done it is not asked.
    async fn abandon(&self, carrier: &CarrierName) -> Result<(), SubmitError> {
        loop {
            let abandoned = AbandonAsked {
                carrier: carrier.clone(),
                at_most: ABANDONED_AT_ONCE,
            };
            let work = self.shared.ledger.submit(by_job(abandoned)).await?;
            if work.count > 0 {
                tracing::info!(%carrier, requests = work.count, "what was asked before the start is given up");
            }
            if !work.more {
                return Ok(());
            }
        }
    }
}

impl Shared {
    fn moment(&self, at: Instant) -> maskline_domain::Timestamp {
        let since = at.saturating_duration_since(self.begun);
        maskline_domain::Timestamp(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
    }
}

fn by_job<C: TypedCommand>(command: C) -> Envelope<C> {
    Envelope {
        by: Actor::Job { name: JOB.into() },
        id: None,
        command,
    }
}
