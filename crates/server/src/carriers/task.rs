//! The task of one carrier: drives its [`Provisioner`].

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use maskline_domain::ops::Settlement;
use maskline_domain::provisioning::{
    Answer, BreakerState, Output, Provisioner, Request, Rounds, Settings, Settled, Settling, Wait,
    Written,
};
use maskline_domain::{Carrier, CarrierName, Refusal, SubsId, Timestamp};
use maskline_journal::pipeline::{SubmitError, Touch};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{Instant as Tick, sleep_until};
use tokio_util::sync::CancellationToken;

use super::answers::LastAnswer;
use super::settling;
use super::{Carriers, Failed, Health};
use crate::carrier_client::CarrierClient;
use crate::clocks;

/// How often it looks what is owed though nobody told it to.
const LOOKED_EVERY: Duration = Duration::from_secs(1);
/// How often it begins with what is owed longest: what was told in vain rests meanwhile.
const ROUND_EVERY: Duration = Duration::from_secs(60);
/// How many that are owed one look at the state gives.
const OWED_AT_ONCE: usize = 256;
/// How many that are asked, to find those for which nobody waits.
const ASKED_AT_ONCE: usize = 256;
/// How long after its deadline something that was reserved is given up for which nobody asked.
const STRAYS_AFTER: Duration = Duration::from_secs(10);
/// How many inputs it takes before it looks at its outputs.
const INPUTS_AT_ONCE: usize = 64;

/// What a task is told.
pub(super) enum Input {
    /// Somebody waits for an answer.
    Ask(Box<Ask>),
    /// The carrier is to be told of something that is none of ours.
    Tell(Request, oneshot::Sender<Answer>),
    /// Something is owed.
    Wake,
    /// Its bindings were detached from the carrier: nothing that it was told matters any more.
    Withdraw,
    /// The carrier was changed.
    Set(Arc<Carrier>, Arc<CarrierClient>),
    /// To be answered when all is written down that the carrier said at addresses before this one.
    Caught(oneshot::Sender<()>),
}

/// A request for whose answer somebody waits.
pub(super) struct Ask {
    pub request: Request,
    pub deadline: Timestamp,
    pub done: oneshot::Sender<Result<(), Failed>>,
}

/// How the carrier is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Status {
    pub is_down: bool,
    pub health: Health,
}

/// Something that was begun has come to its end.
enum Happened {
    /// A carrier answered, or did not.
    Answered {
        fence: u64,
        answer: Answer,
        /// At which of the carrier's addresses it was asked, counted from 0.
        address: u64,
    },
    /// A settlement was written down, or was not.
    Written {
        fence: u64,
        written: Written<SubmitError>,
    },
    /// What is owed was looked at; nothing where the state could not be read.
    Looked(Option<Looked>),
}

/// What one look at the state gave.
struct Looked {
    /// What is owed from the cursor on, and how much in all.
    owed: Vec<Request>,
    owed_len: usize,
    /// The first requests for whose answers somebody waits, or should.
    asked: Vec<(SubsId, u64)>,
    /// Whether what was asked before the start is given up.
    is_fresh: bool,
}

pub(super) struct Task {
    carriers: Carriers,
    name: CarrierName,
    client: Arc<CarrierClient>,
    url: Option<Box<str>>,
    /// How often the address was changed.
    address: u64,
    /// What it said at the addresses before and is not written down, by fence.
    said_before: BTreeSet<u64>,
    /// Who is told when that is written down.
    catching: Vec<oneshot::Sender<()>>,
    provisioner: Provisioner,
    inputs: mpsc::Receiver<Input>,
    happenings: mpsc::UnboundedSender<Happened>,
    happenings_in: mpsc::UnboundedReceiver<Happened>,
    settling: Settling<oneshot::Sender<Result<(), Failed>>>,
    told: BTreeMap<u64, oneshot::Sender<Answer>>,
    deadline: Duration,
    is_looking: bool,
    /// Whether the look that is under way may see what does not matter any more.
    is_look_void: bool,
    status: watch::Sender<Status>,
    /// How far the carrier was told what it is owed.
    rounds: Rounds,
    /// Whether what was asked before the start is given up.
    is_fresh: bool,
    owed: usize,
}

impl Task {
    pub fn new(
        carriers: Carriers,
        carrier: &Carrier,
        client: Arc<CarrierClient>,
        inputs: mpsc::Receiver<Input>,
        is_fresh: bool,
    ) -> (Self, watch::Receiver<Status>) {
        let health = Health {
            breaker: BreakerState::Closed { failures: 0 }.name(),
            waiting: 0,
            owed: 0,
            under_way: 0,
        };
        let is_down = !is_fresh;
        let (status, seen) = watch::channel(Status { is_down, health });
        // One for each request under way, each settlement, and one look.
        let (happenings, happenings_in) = mpsc::unbounded_channel();
        let task = Self {
            carriers,
            name: carrier.name.clone(),
            client,
            url: carrier.url.clone(),
            address: 0,
            said_before: BTreeSet::new(),
            catching: Vec::new(),
            provisioner: Provisioner::new(Settings::of(carrier)),
            inputs,
            happenings,
            happenings_in,
            settling: Settling::default(),
            told: BTreeMap::new(),
            deadline: Duration::from_millis(carrier.deadline_ms.into()),
            is_looking: false,
            is_look_void: false,
            status,
            rounds: Rounds::default(),
            is_fresh,
            owed: 0,
        };
        (task, seen)
    }

    pub async fn run(mut self, ending: CancellationToken) {
        let closing = self.carriers.shared.closing.clone();
        let mut look_at = Tick::now();
        let mut round_at = Tick::now() + ROUND_EVERY;
        let mut received = Vec::new();
        // One to which nothing has happened yet has its figures, too.
        let metrics = &self.carriers.shared.metrics;
        metrics.status(&self.name, self.provisioner.breaker(), 0, 0);
        loop {
            let tick = Tick::now();
            if look_at <= tick {
                look_at = tick + LOOKED_EVERY;
                if round_at <= tick && !self.is_looking && self.rounds.begin_again() {
                    round_at = tick + ROUND_EVERY;
                }
                self.look();
            }
            self.write_again();
            self.provisioner.advance(self.now());
            self.carry_out();
            self.tell_status();
            let wakes_at = self.wakes_at(look_at);
            tokio::select! {
                () = closing.cancelled() => return,
                // The carrier is gone from the state, and so is all that it was owed.
                () = ending.cancelled() => {
                    self.carriers.shared.metrics.forget(&self.name);
                    return;
                }
                Some(happened) = self.happenings_in.recv() => {
                    if self.happened(happened) {
                        look_at = Tick::now();
                    }
                }
                count = self.inputs.recv_many(&mut received, INPUTS_AT_ONCE) => {
                    if count == 0 {
                        return;
                    }
                    for input in received.drain(..) {
                        if matches!(input, Input::Wake) {
                            look_at = Tick::now();
                        } else {
                            self.take(input);
                        }
                    }
                }
                () = sleep_until(wakes_at) => {}
            }
        }
    }

    /// When time matters next.
    fn wakes_at(&self, look_at: Tick) -> Tick {
        let next = [self.provisioner.next_at(), self.settling.next_at()];
        let next = next.into_iter().flatten().map(|at| {
            let since = Duration::from_millis(at.0.max(0) as u64);
            Tick::from_std(self.carriers.shared.begun + since)
        });
        next.fold(look_at, Tick::min)
    }

    /// Takes in what came to its end; says whether something may be owed now.
    fn happened(&mut self, happened: Happened) -> bool {
        match happened {
            // Whoever is asked now has not done what was asked elsewhere.
            Happened::Answered { address, .. } if address != self.address => false,
            Happened::Answered { fence, answer, .. } => {
                self.provisioner.answered(fence, answer, self.now());
                false
            }
            Happened::Written { fence, written } => {
                let may_owe = self.written(fence, written);
                self.tell_caught();
                may_owe
            }
            Happened::Looked(looked) => {
                self.is_looking = false;
                if std::mem::take(&mut self.is_look_void) {
                    return true;
                }
                looked.is_some_and(|looked| self.looked(looked))
            }
        }
    }

    fn now(&self) -> Timestamp {
        self.carriers.shared.moment(Instant::now())
    }

    fn take(&mut self, input: Input) {
        let now = self.now();
        match input {
            Input::Wake => {}
            Input::Withdraw => {
                self.provisioner.withdraw();
                self.owed = 0;
                self.is_look_void = self.is_looking;
            }
            Input::Set(carrier, client) => {
                self.client = client;
                self.deadline = Duration::from_millis(carrier.deadline_ms.into());
                self.provisioner.set(Settings::of(&carrier));
                if self.url != carrier.url {
                    self.url.clone_from(&carrier.url);
                    self.address += 1;
                    self.provisioner.moved(now);
                    self.said_before.extend(self.settling.unsettled());
                }
            }
            Input::Caught(done) => {
                self.catching.push(done);
                self.tell_caught();
            }
            Input::Tell(request, done) => {
                let fence = request.fence;
                if self.provisioner.tell(request, now).is_ok() {
                    self.told.insert(fence, done);
                }
            }
            Input::Ask(ask) => {
                let Ask {
                    request,
                    deadline,
                    done,
                } = *ask;
                let (subs_id, fence) = (request.subs_id, request.fence);
                match self.settling.wait(fence, done) {
                    Wait::Ask => {}
                    Wait::Joined => return,
                    Wait::Failed(done) => {
                        let _ = done.send(Err(Refusal::CarrierUnavailable.into()));
                        return;
                    }
                }
                let is_taken =
                    self.is_fresh && self.provisioner.ask(request, deadline, now).is_ok();
                if !is_taken {
                    // Before it is fresh, an earlier process may have asked for the same.
                    let settlement = match self.is_fresh {
                        true => Settlement::NotDone,
                        false => Settlement::Unsure,
                    };
                    self.settle(Settled {
                        subs_id,
                        fence,
                        settlement,
                        answer: Answer::NotSent,
                    });
                }
            }
        }
    }

    /// Begins to look at what is owed, and whether somebody should have asked and did not. At first what nobody waits
    /// for any more is given up.
    fn look(&mut self) {
        if self.is_looking {
            return;
        }
        self.is_looking = true;
        let (carriers, happenings) = (self.carriers.clone(), self.happenings.clone());
        let (name, cursor, is_fresh) = (self.name.clone(), self.rounds.next_fence(), self.is_fresh);
        tokio::spawn(async move {
            let looked = look(&carriers, &name, cursor, is_fresh).await;
            let looked = looked.map_err(|error| {
                tracing::warn!(carrier = %name, error, "what a carrier is asked and owed cannot be read yet");
            });
            let _ = happenings.send(Happened::Looked(looked.ok()));
        });
    }

    /// Takes in what was seen; says whether there may be more.
    fn looked(&mut self, looked: Looked) -> bool {
        self.is_fresh |= looked.is_fresh;
        self.owed = looked.owed_len;
        self.give_up_strays(&looked.asked);
        // A release that made room for others is not told any more, and nobody waits for it.
        self.told.retain(|_, done| !done.is_closed());
        let (now, settling) = (self.now(), &self.settling);
        let provisioner = &mut self.provisioner;
        self.rounds.tell(looked.owed, OWED_AT_ONCE, |request| {
            match settling.is_settling(request.fence) {
                true => Ok(()),
                false => provisioner.tell(request, now),
            }
        })
    }

    fn give_up_strays(&mut self, asked: &[(SubsId, u64)]) {
        let after = self.deadline + STRAYS_AFTER;
        let after_ms = i64::try_from(after.as_millis()).unwrap_or(i64::MAX);
        for stray in self.settling.strays(asked, after_ms, self.now()) {
            tracing::warn!(
                carrier = %self.name, binding = %stray.subs_id, "nobody waits for what a carrier was to be asked"
            );
            self.settle(stray);
        }
    }

    fn carry_out(&mut self) {
        while let Some(output) = self.provisioner.poll() {
            match output {
                Output::Send(request) => self.send(request),
                Output::Settle(settled) => self.settle(settled),
            }
        }
    }

    fn send(&self, request: Request) {
        let (client, happenings) = (Arc::clone(&self.client), self.happenings.clone());
        let (name, shared) = (self.name.clone(), Arc::clone(&self.carriers.shared));
        let address = self.address;
        // What is none of ours may be a person's number, which the carrier took for an X.
        let x = match self.told.contains_key(&request.fence) {
            true => request.x.to_string(),
            false => request.x.reveal(),
        };
        tokio::spawn(async move {
            let begun = Instant::now();
            let (answer, seen) = client.ask(&request).await;
            let took = begun.elapsed();
            let operation = request.operation.name();
            shared.metrics.answered(&name, operation, answer, took);
            let binding = request.subs_id;
            let (fence, answer_name) = (request.fence, answer.name());
            let took_ms = took.as_millis() as u64;
            match answer {
                Answer::Done => tracing::debug!(
                    carrier = %name, operation, %binding, x, fence, took_ms, "a carrier has done it"
                ),
                _ => {
                    tracing::warn!(
                        carrier = %name, operation, %binding, x, fence, took_ms,
                        answer = answer_name, %seen, "a carrier has not done it"
                    );
                    let at = clocks::read().wall;
                    let last = LastAnswer {
                        operation,
                        answer,
                        seen,
                        at,
                    };
                    shared.answers.lock().put(binding, last);
                }
            }
            let _ = happenings.send(Happened::Answered {
                fence,
                answer,
                address,
            });
        });
    }

    /// Writes down what came of a request, unless that is done already.
    fn settle(&mut self, settled: Settled) {
        let fence = settled.fence;
        if let Some(done) = self.told.remove(&fence) {
            let _ = done.send(settled.answer);
            return;
        }
        if self.settling.settle(settled) {
            self.write(settled);
        }
    }

    fn write(&self, settled: Settled) {
        let (ledger, happenings) = (self.carriers.shared.ledger.clone(), self.happenings.clone());
        tokio::spawn(async move {
            let written = settling::write(&ledger, settled).await;
            let fence = settled.fence;
            let _ = happenings.send(Happened::Written { fence, written });
        });
    }

    fn write_again(&mut self) {
        let now = self.now();
        for settled in self.settling.due(now) {
            self.write(settled);
        }
    }

    /// Tells those who waited; says whether something may be owed now.
    fn written(&mut self, fence: u64, written: Written<SubmitError>) -> bool {
        let Some(told) = self.settling.written(fence, written, self.now()) else {
            return false;
        };
        let answer = told.answer.map_err(Failed::from);
        for done in told.waiting {
            // Whoever asked may be gone.
            let _ = done.send(answer.clone());
        }
        told.may_owe
    }

    fn tell_caught(&mut self) {
        let settling = &self.settling;
        self.said_before
            .retain(|&fence| settling.is_settling(fence));
        if self.said_before.is_empty() {
            for done in self.catching.drain(..) {
                let _ = done.send(());
            }
        }
    }

    fn tell_status(&mut self) {
        let breaker = self.provisioner.breaker();
        let before = self.status.borrow().health.breaker;
        if before != breaker.name() {
            self.tell_breaker(breaker);
        }
        let status = Status {
            is_down: !self.is_fresh || self.provisioner.is_down(self.now()),
            health: Health {
                breaker: breaker.name(),
                waiting: self.provisioner.asked_len(),
                owed: self.owed.max(self.provisioner.owed_len()),
                under_way: self.provisioner.under_way(),
            },
        };
        let was_changed = self.status.send_if_modified(|known| {
            let is_other = *known != status;
            *known = status;
            is_other
        });
        if was_changed {
            let health = status.health;
            let metrics = &self.carriers.shared.metrics;
            metrics.status(&self.name, breaker, health.waiting, health.owed);
        }
    }
}

impl Task {
    /// A carrier that is down changes it twice in the time for which it is left alone.
    fn tell_breaker(&self, breaker: BreakerState) {
        let (carrier, state) = (&self.name, breaker.name());
        match breaker {
            BreakerState::Open { .. } => tracing::warn!(
                %carrier, state, "a carrier has failed too often and is left alone; binds are refused at once"
            ),
            BreakerState::HalfOpen { .. } => {
                tracing::info!(%carrier, state, "a carrier that was left alone is tried");
            }
            BreakerState::Closed { .. } => {
                tracing::info!(%carrier, state, "a carrier answers again")
            }
        }
    }
}

async fn look(
    carriers: &Carriers,
    name: &CarrierName,
    cursor: u64,
    is_fresh: bool,
) -> Result<Looked, String> {
    if !is_fresh {
        let abandoned = carriers.abandon(name).await;
        abandoned.map_err(|error| error.to_string())?;
    }
    let ledger = &carriers.shared.ledger;
    let looked = ledger.read(Touch::Scan, |state, _| {
        let owed = state.owed_to(name, cursor).take(OWED_AT_ONCE);
        let asked = state.asked_of(name).take(ASKED_AT_ONCE);
        Looked {
            owed: owed.filter_map(|binding| Request::of(&binding)).collect(),
            owed_len: state.owed_len(name),
            asked: asked
                .filter_map(|binding| Some((binding.subs_id, binding.provision?.fence)))
                .collect(),
            is_fresh: true,
        }
    });
    looked.await.map_err(|error| error.to_string())
}
