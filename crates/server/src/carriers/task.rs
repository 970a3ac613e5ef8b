//! The task of one carrier: drives its [`Provisioner`].

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use maskline_domain::ops::SettleProvision;
use maskline_domain::provisioning::{
    Answer, BreakerState, Output, Provisioner, Request, Settings, Settled,
};
use maskline_domain::{Carrier, CarrierName, Timestamp};
use maskline_journal::pipeline::Touch;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{Instant as Tick, sleep_until};

use super::answers::LastAnswer;
use super::{Carriers, Failed, Health, settling};
use crate::carrier_client::CarrierClient;
use crate::clocks;

/// How often it looks what is owed though nobody told it to.
const LOOKED_EVERY: Duration = Duration::from_secs(1);
/// How often it begins with what is owed longest: what was told in vain rests meanwhile.
const ROUND_EVERY: Duration = Duration::from_secs(60);
/// How many that are owed one look at the state gives.
const OWED_AT_ONCE: usize = 256;
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
    /// The carrier was changed.
    Set(Box<Carrier>, Arc<CarrierClient>),
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

/// Something came back.
struct Answered {
    fence: u64,
    answer: Answer,
}

pub(super) struct Task {
    carriers: Carriers,
    name: CarrierName,
    client: Arc<CarrierClient>,
    provisioner: Provisioner,
    inputs: mpsc::Receiver<Input>,
    answers: mpsc::UnboundedSender<Answered>,
    answers_in: mpsc::UnboundedReceiver<Answered>,
    /// Who waits for a request, by its fence: several where one order is bound twice.
    waiting: BTreeMap<u64, Vec<oneshot::Sender<Result<(), Failed>>>>,
    told: BTreeMap<u64, oneshot::Sender<Answer>>,
    status: watch::Sender<Status>,
    /// The fence from which what is owed has not been looked at.
    cursor: u64,
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
        // As many as are under way at most.
        let (answers, answers_in) = mpsc::unbounded_channel();
        let task = Self {
            carriers,
            name: carrier.name.clone(),
            client,
            provisioner: Provisioner::new(Settings::of(carrier)),
            inputs,
            answers,
            answers_in,
            waiting: BTreeMap::new(),
            told: BTreeMap::new(),
            status,
            cursor: 0,
            is_fresh,
            owed: 0,
        };
        (task, seen)
    }

    pub async fn run(mut self) {
        let closing = self.carriers.shared.closing.clone();
        let mut look_at = Tick::now();
        let mut round_at = Tick::now() + ROUND_EVERY;
        let mut received = Vec::new();
        // One to which nothing has happened yet has its figures, too.
        let metrics = &self.carriers.shared.metrics;
        metrics.status(&self.name, self.provisioner.breaker(), 0, 0);
        loop {
            if look_at <= Tick::now() {
                look_at = Tick::now() + LOOKED_EVERY;
                if round_at <= Tick::now() {
                    round_at = Tick::now() + ROUND_EVERY;
                    self.cursor = 0;
                }
                self.look().await;
            }
            self.provisioner.advance(self.now());
            self.carry_out();
            self.tell_status();
            let wakes_at = self.provisioner.next_at().map_or(look_at, |at| {
                let since = Duration::from_millis(at.0.max(0) as u64);
                look_at.min(Tick::from_std(self.carriers.shared.begun + since))
            });
            tokio::select! {
                () = closing.cancelled() => return,
                Some(Answered { fence, answer }) = self.answers_in.recv() => {
                    self.provisioner.answered(fence, answer, self.now());
                }
                count = self.inputs.recv_many(&mut received, INPUTS_AT_ONCE) => {
                    // The carrier is gone from the state, and so is all that it was owed.
                    if count == 0 {
                        self.carriers.shared.metrics.forget(&self.name);
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

    fn now(&self) -> Timestamp {
        self.carriers.shared.moment(Instant::now())
    }

    fn take(&mut self, input: Input) {
        let now = self.now();
        match input {
            Input::Wake => {}
            Input::Set(carrier, client) => {
                self.client = client;
                self.provisioner.set(Settings::of(&carrier));
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
                let waiting = self.waiting.entry(fence).or_default();
                waiting.push(done);
                if waiting.len() > 1 {
                    return;
                }
                let is_taken =
                    self.is_fresh && self.provisioner.ask(request, deadline, now).is_ok();
                if !is_taken {
                    self.settle(Settled {
                        subs_id,
                        fence,
                        settlement: maskline_domain::ops::Settlement::NotDone,
                        answer: Answer::NotSent,
                    });
                }
            }
        }
    }

    /// Looks at what is owed. At first what nobody waits for any more is given up.
    async fn look(&mut self) {
        if !self.is_fresh {
            match self.carriers.abandon(&self.name).await {
                Ok(()) => self.is_fresh = true,
                Err(error) => {
                    tracing::warn!(carrier = %self.name, %error, "what was asked before the start cannot be given up yet");
                    return;
                }
            }
        }
        loop {
            let (name, cursor) = (self.name.clone(), self.cursor);
            let look = move |state: &maskline_domain::State, _| {
                let owed = state.owed_to(&name, cursor).take(OWED_AT_ONCE);
                let requests: Vec<Request> =
                    owed.filter_map(|binding| Request::of(&binding)).collect();
                (requests, state.owed_len(&name))
            };
            let (requests, owed) = match self.carriers.shared.ledger.read(Touch::Scan, look).await {
                Ok(found) => found,
                Err(error) => {
                    tracing::warn!(carrier = %self.name, %error, "what a carrier is owed cannot be read");
                    return;
                }
            };
            self.owed = owed;
            let (now, count) = (self.now(), requests.len());
            for request in requests {
                let fence = request.fence;
                if self.provisioner.tell(request, now).is_err() {
                    return;
                }
                self.cursor = fence + 1;
            }
            if count < OWED_AT_ONCE {
                return;
            }
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
        let (client, answers) = (Arc::clone(&self.client), self.answers.clone());
        let (name, shared) = (self.name.clone(), Arc::clone(&self.carriers.shared));
        tokio::spawn(async move {
            let begun = Instant::now();
            let (answer, seen) = client.ask(&request).await;
            let took = begun.elapsed();
            let operation = request.operation.name();
            shared.metrics.answered(&name, operation, answer, took);
            let (binding, x) = (request.subs_id, request.x);
            let (fence, answer_name) = (request.fence, answer.name());
            let took_ms = took.as_millis() as u64;
            match answer {
                Answer::Done => tracing::debug!(
                    carrier = %name, operation, %binding, x = x.reveal(), fence, took_ms, "a carrier has done it"
                ),
                _ => {
                    tracing::warn!(
                        carrier = %name, operation, %binding, x = x.reveal(), fence, took_ms,
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
            let _ = answers.send(Answered { fence, answer });
        });
    }

    fn settle(&mut self, settled: Settled) {
        let Settled {
            subs_id,
            fence,
            settlement,
            answer,
        } = settled;
        if let Some(done) = self.told.remove(&fence) {
            let _ = done.send(answer);
            return;
        }
        let waiting = self.waiting.remove(&fence).unwrap_or_default();
        let carriers = self.carriers.clone();
        tokio::spawn(async move {
            let settlement = SettleProvision {
                subs_id,
                fence,
                settlement,
            };
            let told = settling::settle(&carriers.shared.ledger, settlement, answer).await;
            if told.is_err() {
                // What was given up is owed now.
                carriers.wake();
            }
            for done in waiting {
                // Whoever asked may be gone.
                let _ = done.send(told.clone());
            }
        });
    }

    fn tell_status(&mut self) {
        let breaker = self.provisioner.breaker();
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
