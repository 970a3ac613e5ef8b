//! A plain pipeline of our own, in which faults of the inner half are planted.
//!
//! It speaks like [`maskline_journal::pipeline::Pipeline`] and keeps the same
//! rules: one batch in flight and one gathered on top of it, answers when they
//! are durable, undo when they are not. Without a fault it breaks no law either, which a test shows; so what a
//! law catches here, it would catch there.

use std::collections::VecDeque;

use maskline_domain::binding::Phase;
use maskline_domain::ops::{ForgetCommands, UpdateBinding};
use maskline_domain::pool::{CityMatch, Pick};
use maskline_domain::{
    Binding, Command, Decision, EndCause, Envelope, Event, Outcome, State, SubsId, Timestamp, Undo,
    decide,
};
use maskline_journal::Append;
use maskline_journal::batch::Tip;
use maskline_journal::payload::Draft;
use maskline_journal::pipeline::{
    Clocks, Input, Limits, Output, PROBE_EVERY_MS, Seed, SubmitError, Touch,
};

use crate::faults::Fault;
use crate::model::model_clock::ModelClock;
use crate::model::verify::Answer;

/// Whom to answer.
pub type Caller = u64;

/// The plain pipeline.
#[derive(Debug)]
pub struct ReferencePipeline {
    fault: Option<Fault>,
    state: State,
    tip: Tip,
    limits: Limits,
    model_clock: ModelClock,
    clocks: Clocks,
    queue: VecDeque<(Caller, Envelope, Seed, Option<u64>)>,
    flight: Option<Flight>,
    gathered: Gathered,
    outputs: VecDeque<Output<Caller>>,
    mode: Mode,
}

/// The batch that is to follow the one in flight.
#[derive(Debug, Default)]
struct Gathered {
    commands: usize,
    draft: Option<Draft>,
    flight: Option<Flight>,
}

#[derive(Debug)]
struct Flight {
    seq: u64,
    undo: Vec<Undo>,
    events: Vec<Event>,
    answers: Vec<(Caller, Answer)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    Serving,
    ReadOnly { probe_at_ms: u64 },
    Probing,
    Stopped,
}

impl ReferencePipeline {
    /// Like [`maskline_journal::pipeline::Pipeline::new`], with a fault.
    pub fn new(state: State, tip: Tip, limits: Limits, fault: Option<Fault>) -> Self {
        Self {
            fault,
            state,
            tip,
            limits,
            model_clock: ModelClock::new(),
            clocks: Clocks::default(),
            queue: VecDeque::new(),
            flight: None,
            gathered: Gathered::default(),
            outputs: VecDeque::new(),
            mode: Mode::Serving,
        }
    }

    /// The state with what is in flight.
    pub fn state(&self) -> &State {
        &self.state
    }

    /// The newest durable batch.
    pub fn tip(&self) -> Tip {
        self.tip
    }

    /// How many commands wait.
    pub fn queued(&self) -> usize {
        self.queue.len()
    }

    /// The time for a read.
    pub fn now(&self, clocks: Clocks) -> Timestamp {
        self.model_clock.to_read(clocks, self.state.now())
    }

    /// When a tick is wanted.
    pub fn poll_timeout(&self) -> Option<u64> {
        match self.mode {
            Mode::ReadOnly { probe_at_ms } => Some(probe_at_ms),
            _ => None,
        }
    }

    /// Whether a read must wait: this one waits for everything in flight.
    pub fn must_wait(&self, touch: Touch) -> bool {
        touch != Touch::None && (self.flight.is_some() || self.gathered.flight.is_some())
    }

    fn plants(&self, fault: Fault) -> bool {
        self.fault == Some(fault)
    }

    /// Takes one input.
    pub fn handle_input(&mut self, input: Input<Caller>, clocks: Clocks) {
        self.model_clock.show(clocks, self.state.now());
        self.clocks = clocks;
        if self.mode == Mode::Stopped {
            return;
        }
        match input {
            Input::Submit {
                caller,
                envelope,
                seed,
                deadline_ms,
            } => {
                if self.mode != Mode::Serving {
                    self.answer(caller, Err(SubmitError::NotDurable));
                } else if self.queue.len() >= self.limits.queue_max {
                    self.answer(caller, Err(SubmitError::Busy));
                } else {
                    self.queue.push_back((caller, *envelope, seed, deadline_ms));
                }
            }
            Input::Appended { hash, outcome } => {
                let Some(flight) = self.flight.take() else {
                    return;
                };
                match outcome {
                    Append::Written => {
                        self.tip = Tip {
                            seq: flight.seq,
                            hash,
                        };
                        self.outputs.push_back(Output::Settled { durable: true });
                        for (caller, answer) in flight.answers {
                            self.answer(caller, answer);
                        }
                    }
                    Append::NotWritten(_) => self.give_up(flight),
                    Append::Unknown(reason) => self.stop(reason),
                }
            }
            Input::Probed(outcome) => match outcome {
                Append::Written => self.mode = Mode::Serving,
                Append::NotWritten(_) => self.mode = self.read_only(),
                Append::Unknown(reason) => self.stop(reason),
            },
            Input::TrustClock => self.model_clock.believe(),
            Input::Broken { reason } => self.stop(reason),
            Input::Tick => {}
        }
    }

    /// The next thing to do.
    pub fn poll_output(&mut self) -> Option<Output<Caller>> {
        if self.outputs.is_empty() {
            match self.mode {
                Mode::Serving => self.decide_batch(),
                Mode::ReadOnly { probe_at_ms } if self.clocks.monotonic_ms >= probe_at_ms => {
                    self.mode = Mode::Probing;
                    self.outputs.push_back(Output::Probe);
                }
                _ => {}
            }
        }
        self.outputs.pop_front()
    }

    fn read_only(&self) -> Mode {
        Mode::ReadOnly {
            probe_at_ms: self.clocks.monotonic_ms + PROBE_EVERY_MS,
        }
    }

    fn stop(&mut self, reason: String) {
        self.mode = Mode::Stopped;
        self.queue.clear();
        self.gathered = Gathered::default();
        self.outputs.push_back(Output::Exit { reason });
    }

    fn give_up(&mut self, mut flight: Flight) {
        let gathered = std::mem::take(&mut self.gathered).flight;
        if self.plants(Fault::UndoForgetsAnEvent) && flight.undo.len() > 1 {
            flight.undo.remove(1);
        }
        let stays = self.plants(Fault::GatheredNotUndone);
        let gathered = gathered.map(|flight| (flight, !stays));
        let mut failed: Vec<(Flight, bool)> =
            gathered.into_iter().chain([(flight, true)]).collect();
        if self.plants(Fault::UndoneInWrongOrder) {
            failed.reverse();
        }
        self.mode = self.read_only();
        let mut refused = Vec::new();
        for (flight, is_undone) in failed {
            for undo in flight.undo.into_iter().rev().filter(|_| is_undone) {
                self.state.undo(undo);
            }
            self.outputs.push_back(Output::Settled { durable: false });
            refused.extend(flight.answers.into_iter().map(|(caller, _)| caller));
        }
        refused.extend(self.queue.drain(..).map(|(caller, ..)| caller));
        for caller in refused {
            self.answer(caller, Err(SubmitError::NotDurable));
        }
    }

    fn answer(&mut self, caller: Caller, answer: Answer) {
        self.outputs.push_back(Output::Answer { caller, answer });
    }

    fn decide_batch(&mut self) {
        let mut now = self.model_clock.to_decide(self.state.now());
        if self.plants(Fault::TimeGoesBack) {
            now = self.clocks.wall;
        }
        while self.gathered.commands < self.limits.batch_commands_max {
            let Some((caller, envelope, seed, deadline_ms)) = self.queue.pop_front() else {
                break;
            };
            self.gathered.commands += 1;
            if deadline_ms.is_some_and(|deadline| deadline <= self.clocks.monotonic_ms) {
                self.answer(caller, Err(SubmitError::Deadline));
                continue;
            }
            let decision = self.decide(&envelope, now, &seed);
            let answer = self.take_in(&envelope, decision, now, seed);
            let early = self.plants(Fault::AnswerBeforeDurable)
                || (self.plants(Fault::RefusalBeforeDurable) && answer.is_err());
            let in_flight = match self.plants(Fault::RefusalForgetsFlight) {
                true => None,
                false => self.flight.as_mut(),
            };
            match self.gathered.flight.as_mut().or(in_flight) {
                Some(flight) if !early => flight.answers.push((caller, answer)),
                _ => self.answer(caller, answer),
            }
        }
        if self.flight.is_some() {
            return;
        }
        let Gathered { draft, flight, .. } = std::mem::take(&mut self.gathered);
        if let Some(mut draft) = draft {
            draft.follow(self.tip.hash);
            self.flight = flight;
            self.outputs.push_back(Output::Append(draft));
        }
    }

    fn take_in(
        &mut self,
        envelope: &Envelope,
        decision: Decision,
        now: Timestamp,
        seed: Seed,
    ) -> Answer {
        let Decision { events, answer } = decision;
        if events.len() > self.limits.command_events_max {
            return Err(SubmitError::TooLarge);
        }
        let clocks_disagree =
            self.model_clock.clocks_disagree() && !self.plants(Fault::EndedWhileClocksDisagree);
        if clocks_disagree && events.iter().any(ends_by_time) {
            return Err(SubmitError::ClocksDisagree);
        }
        if !events.is_empty() {
            let seq = 1 + (self.flight.as_ref()).map_or(self.tip.seq, |flight| flight.seq);
            let hash = self.tip.hash;
            let gathered = &mut self.gathered;
            let draft = (gathered.draft).get_or_insert_with(|| Draft::new(seq, now, hash, seed));
            let state = &mut self.state;
            let flight = gathered.flight.get_or_insert_with(|| Flight {
                seq,
                undo: Vec::new(),
                events: Vec::new(),
                answers: Vec::new(),
            });
            flight.undo.push(state.advance(now));
            draft.decided_at(now);
            for event in &events {
                let left = self.fault == Some(Fault::UnbindLeavesSlot)
                    && matches!(
                        event,
                        Event::Ended {
                            cause: EndCause::Unbound,
                            ..
                        }
                    );
                if !left {
                    flight.undo.push(state.apply_undoable(event));
                }
            }
            flight.events.extend(events.iter().cloned());
            draft.push(envelope.by.clone(), events, usize::MAX);
        }
        answer.map_err(SubmitError::Refused)
    }

    /// Decides, rightly or by way of the fault: mostly on a state in which
    /// what the fault overlooks is not so.
    fn decide(&self, envelope: &Envelope, now: Timestamp, seed: &Seed) -> Decision {
        let word = u64::from_le_bytes(seed.first_chunk().copied().unwrap_or_default());
        let Some(fault) = self.fault else {
            return decide(&self.state, envelope, now, word);
        };
        let mut envelope = envelope.clone();
        let mut state = self.state.clone();
        let mut at = now;
        let binds = matches!(envelope.command, Command::Bind(_));
        match fault {
            Fault::LockIgnored if binds => {
                for number in self.state.numbers().filter(|number| number.locked) {
                    state.apply(&Event::NumberUnlocked { x: number.x });
                }
            }
            Fault::CoolingIgnored if binds => {
                for number in self.state.numbers() {
                    state.apply(&Event::NumberThawed { x: number.x });
                }
            }
            Fault::StrictFallsBack if binds => change_pools(&mut state, |pool| {
                pool.city_match = CityMatch::Loose;
            }),
            Fault::IdleOrderIgnored if binds => change_pools(&mut state, |pool| {
                pool.pick = Pick::Random;
            }),
            Fault::PairsCapIgnored if binds => change_pools(&mut state, |pool| {
                pool.pairs_max = 4000;
            }),
            Fault::CityIgnored => {
                if let Command::Bind(request) = &mut envelope.command {
                    request.city = None;
                }
            }
            // Only those that end at this very moment are treated otherwise.
            Fault::DecisionEndsLate => change_bindings(&mut state, |binding| {
                let ends_now = binding.expires_at == now;
                binding.expires_at = now.plus_millis(1);
                ends_now
            }),
            Fault::EndedStillConflicts if binds => change_bindings(&mut state, |binding| {
                let over = binding.expires_at <= now;
                binding.expires_at = Timestamp(i64::MAX);
                over
            }),
            Fault::SlotOfBNotClaimed if binds => {
                change_bindings(&mut state, |binding| binding.b.take().is_some());
            }
            Fault::UpdateSkipsConflicts => {
                if let Command::Update(UpdateBinding { subs_id, x, .. }) = &envelope.command {
                    for other in state.bindings_on(*x) {
                        if other.subs_id != *subs_id {
                            state.apply(&end(&other));
                        }
                    }
                }
            }
            Fault::NonceForgottenEarly
                if matches!(
                    envelope.command,
                    Command::ForgetCommands(ForgetCommands { .. })
                ) =>
            {
                at = now.plus_millis(600_000);
            }
            _ => {}
        }
        let mut decision = decide(&state, &envelope, at, word);
        match fault {
            Fault::IdsFromTheClockAlone => {
                let id = SubsId::earliest_at(now);
                for event in &mut decision.events {
                    if let Event::Bound(binding) = event {
                        binding.subs_id = id;
                        decision.answer = Ok(Outcome::Bound(binding.clone()));
                    }
                }
            }
            Fault::ExpiryForgetsCooling => {
                for event in &mut decision.events {
                    if let Event::Ended {
                        cause: EndCause::Expired,
                        cooling_until,
                        ..
                    } = event
                    {
                        *cooling_until = Timestamp(0);
                    }
                }
            }
            _ => {}
        }
        decision
    }
}

fn ends_by_time(event: &Event) -> bool {
    let cause = match event {
        Event::Ended { cause, .. }
        | Event::ProvisionChanged {
            phase: Phase::Releasing { cause, .. },
            ..
        } => *cause,
        _ => return false,
    };
    cause == EndCause::Expired
}

fn change_pools(state: &mut State, change: impl Fn(&mut maskline_domain::Pool)) {
    let mut pools: Vec<maskline_domain::Pool> = state.pools().cloned().collect();
    for pool in &mut pools {
        change(pool);
        state.apply(&Event::PoolSet(pool.clone()));
    }
}

/// Changes those bindings for which `change` says so.
fn change_bindings(state: &mut State, change: impl Fn(&mut Binding) -> bool) {
    let mut bindings: Vec<Binding> = state.bindings().collect();
    bindings.sort_by_key(|binding| binding.subs_id);
    for binding in &mut bindings {
        if change(binding) {
            state.apply(&Event::BindingChanged(Box::new(binding.clone())));
        }
    }
}

fn end(binding: &Binding) -> Event {
    Event::Ended {
        subs_id: binding.subs_id,
        x: binding.x,
        cause: EndCause::Unbound,
        at: Timestamp(0),
        cooling_until: Timestamp(0),
        idle_since: Timestamp(0),
        owner: binding.owner.clone(),
    }
}
