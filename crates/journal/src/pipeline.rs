//! The commit pipeline: how a command becomes a durable fact and an answer.
//!
//! A pure machine. Commands queue and are decided on the newest state into a
//! batch, which the shell appends to the journal; the outcome of the append
//! comes back as an input, and only then are the callers answered. One batch is
//! in flight; what is decided meanwhile is gathered into the next one, on top
//! of it. The state already holds what both did, so their changes are kept
//! undoable until they are durable, and reads that they touch wait.
//!
//! The rules, each of which closes a hole:
//!
//! - Every answer that rests on the state, a refusal or a no-op too, is
//!   released only when the batch decided before it is durable.
//! - A batch that is certainly *not written* is undone, with the one gathered
//!   on top of it, and their callers are refused; from then on only reads are
//!   served, until a probe write goes through.
//! - A batch whose outcome is *unknown* ends the process: the journal decides.
//! - Time in the journal never goes back, and while the clocks disagree no
//!   expiry is written.
//!
//! After each input, drain [`Pipeline::poll_output`]. The shell is
//! `server::ledger`; `sim` drives the same machine with faults.

mod clock;
mod touch;

use std::collections::VecDeque;

use maskline_domain::binding::Phase;
use maskline_domain::{
    Actor, EndCause, Envelope, Event, Outcome, Refusal, State, Timestamp, Undo, command, decide,
};

use self::clock::Watch;
pub use self::clock::{Clocks, DIVERGENCE_MS_MAX};
pub use self::touch::Touch;
use self::touch::Touched;
use crate::batch::{Hash, Tip};
use crate::payload::Draft;

/// How long after a failed write the next probe is made, in milliseconds.
pub const PROBE_EVERY_MS: u64 = 1_000;

/// How much may queue, and how much goes into one batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Commands that may wait; more are turned away as [`SubmitError::Busy`].
    pub queue_max: usize,
    /// Commands decided for one batch.
    pub batch_commands_max: usize,
    /// Bytes of entries after which a batch takes no further command.
    pub batch_bytes: usize,
    /// Bytes that one command's entry may have.
    pub command_bytes_max: usize,
    /// Events that one command may emit.
    pub command_events_max: usize,
}

impl Limits {
    /// These, and the usual bounds of what one command brings: 1 MiB, and the events that a command may have.
    pub const fn new(queue_max: usize, batch_commands_max: usize) -> Self {
        Self {
            queue_max,
            batch_commands_max,
            batch_bytes: 1 << 20,
            command_bytes_max: 1 << 20,
            command_events_max: command::EVENTS_MAX,
        }
    }
}

/// Fresh random bytes for one command: chance in the decision, and salts.
pub type Seed = [u8; 32];

/// How an append to the journal ended: three answers, and no fourth.
///
/// The distinction carries the second law: a batch that is *not written* may be undone and its callers refused;
/// one whose outcome is *unknown* may have become durable, so the process must stop and let the journal decide.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Append {
    /// Durable.
    Written,
    /// Certainly not there: disk full, a constraint, the file busy.
    NotWritten(String),
    /// Perhaps there, perhaps not: an I/O or fsync error, or anything that
    /// was not expected. The process must exit.
    Unknown(String),
}

/// What comes in. `C` stands for a caller: whatever the shell needs to answer
/// one.
#[derive(Debug)]
pub enum Input<C> {
    /// A command. Answered exactly once, unless the machine stops.
    Submit {
        /// Whom to answer.
        caller: C,
        /// The command.
        envelope: Box<Envelope>,
        /// Chance.
        seed: Seed,
        /// When the caller stops waiting, on the monotonic clock; a command
        /// that is still queued then is not decided.
        deadline_ms: Option<u64>,
    },
    /// How the append of the batch in flight ended.
    Appended {
        /// The hash that the sealed batch had.
        hash: Hash,
        /// How it ended.
        outcome: Append,
    },
    /// How a probe write ended.
    Probed(Append),
    /// An operator confirms that the wall clock is right.
    TrustClock,
    /// Another write on the same connection ended in a way that nobody knows;
    /// what it leaves behind concerns the journal too.
    Broken {
        /// What went wrong.
        reason: String,
    },
    /// Time has passed.
    Tick,
}

/// What the shell is to do.
#[derive(Debug)]
pub enum Output<C> {
    /// Seal the batch, append it, and tell how that ended.
    Append(Draft),
    /// Answer a caller. The answer is final and rests on durable facts only.
    Answer {
        /// Whom.
        caller: C,
        /// With what.
        answer: Result<Outcome, SubmitError>,
    },
    /// One command is decided. Nothing is to be done; whoever guards the machine with a lock may let others look at it
    /// before the next output is asked for.
    Decided {
        /// How much the command has changed.
        events: u64,
    },
    /// The oldest batch that was not settled is: reads that waited for it may go on
    /// (`durable`), or fail. Where one gathered on top of a batch fails with it, there are two of these.
    Settled {
        /// Whether it is durable.
        durable: bool,
    },
    /// Write something small and tell how that ended.
    Probe,
    /// Stop the process at once, answering nobody.
    Exit {
        /// What went wrong.
        reason: String,
    },
}

/// Why a command has no good answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SubmitError {
    /// The rules say no. Durable like a success.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The disk takes no writes; nothing was changed.
    #[error("the change could not be made durable")]
    NotDurable,
    /// Too many commands wait; this one was not looked at.
    #[error("too many commands are waiting")]
    Busy,
    /// The caller's time was over. The command may or may not take effect.
    #[error("the deadline passed")]
    Deadline,
    /// It would end bindings while the clocks disagree; nothing was changed.
    #[error("the clocks disagree, so no binding is ended by time")]
    ClocksDisagree,
    /// It does more than one command may; nothing was changed.
    #[error("the command is too large")]
    TooLarge,
    /// The writer has stopped. The command may or may not take effect.
    #[error("the writer has stopped")]
    Closed,
}

/// What the machine has done since it was made; for metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counters {
    /// Commands that came in.
    pub commands: u64,
    /// Good answers given.
    pub done: u64,
    /// Refusals by the rules given.
    pub refused: u64,
    /// Answers that the disk takes no writes.
    pub not_durable: u64,
    /// Commands turned away because too many waited.
    pub busy: u64,
    /// Commands whose caller's time was over before they were decided.
    pub late: u64,
    /// Commands that were too large or would have ended bindings while the
    /// clocks disagreed.
    pub held_back: u64,
    /// Batches that became durable.
    pub batches: u64,
    /// Events in them.
    pub events: u64,
    /// Batches that were undone.
    pub undone: u64,
}

/// The machine. It owns the [`State`]. `C` is a caller, see [`Input`].
#[derive(Debug)]
pub struct Pipeline<C> {
    state: State,
    tip: Tip,
    queue: VecDeque<Waiting<C>>,
    /// The batch that takes further commands.
    gathered: Gathered<C>,
    flight: Option<Flight<C>>,
    mode: Mode,
    outputs: VecDeque<Output<C>>,
    watch: Watch,
    limits: Limits,
    counters: Counters,
}

#[derive(Debug)]
struct Waiting<C> {
    caller: C,
    envelope: Box<Envelope>,
    seed: Seed,
    deadline_ms: Option<u64>,
}

/// A batch while commands are decided into it, one by one.
#[derive(Debug)]
struct Gathered<C> {
    /// Commands looked at.
    commands: usize,
    /// What was decided, and what hangs on it; `None` before the first event.
    batch: Option<(Draft, Flight<C>)>,
}

impl<C> Default for Gathered<C> {
    fn default() -> Self {
        Self {
            commands: 0,
            batch: None,
        }
    }
}

impl<C> Gathered<C> {
    fn is_full(&self, limits: &Limits) -> bool {
        let bytes = (self.batch.as_ref()).map_or(0, |(draft, _)| draft.bytes());
        self.commands >= limits.batch_commands_max || bytes >= limits.batch_bytes
    }
}

/// The batch that is being appended, and what hangs on it.
#[derive(Debug)]
struct Flight<C> {
    seq: u64,
    events: u64,
    undo: Undo,
    touched: Touched,
    answers: Vec<(C, Result<Outcome, SubmitError>)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    Serving,
    /// The disk took no write; the next probe is due at this time.
    ReadOnly {
        probe_at_ms: u64,
    },
    /// A probe is on its way.
    Probing,
    Stopped,
}

impl<C> Pipeline<C> {
    /// A machine over a state that holds everything up to `tip`.
    pub fn new(state: State, tip: Tip, limits: Limits) -> Self {
        Self {
            state,
            tip,
            queue: VecDeque::new(),
            gathered: Gathered::default(),
            flight: None,
            mode: Mode::Serving,
            outputs: VecDeque::new(),
            watch: Watch::default(),
            limits,
            counters: Counters::default(),
        }
    }

    /// Takes one input. `clocks` are read by the caller just before.
    pub fn handle_input(&mut self, input: Input<C>, clocks: Clocks) {
        self.watch.observe(clocks, self.state.now());
        if self.mode == Mode::Stopped {
            return;
        }
        match input {
            Input::Submit {
                caller,
                envelope,
                seed,
                deadline_ms,
            } => self.submit(Waiting {
                caller,
                envelope,
                seed,
                deadline_ms,
            }),
            Input::Appended { hash, outcome } => self.appended(hash, outcome),
            Input::Probed(outcome) => self.probed(outcome),
            Input::TrustClock => self.watch.trust(),
            Input::Broken { reason } => self.stop(reason),
            Input::Tick => {}
        }
    }

    /// The next thing to do, or `None` until the next input.
    pub fn poll_output(&mut self) -> Option<Output<C>> {
        if self.outputs.is_empty() {
            match self.mode {
                Mode::Serving => self.decide_next(),
                Mode::ReadOnly { probe_at_ms }
                    if self.watch.latest().monotonic_ms >= probe_at_ms =>
                {
                    self.mode = Mode::Probing;
                    return Some(Output::Probe);
                }
                Mode::ReadOnly { .. } | Mode::Probing | Mode::Stopped => {}
            }
        }
        self.outputs.pop_front()
    }

    /// When [`Input::Tick`] is wanted next, on the monotonic clock.
    pub fn poll_timeout(&self) -> Option<u64> {
        match self.mode {
            Mode::ReadOnly { probe_at_ms } => Some(probe_at_ms),
            Mode::Serving | Mode::Probing | Mode::Stopped => None,
        }
    }

    /// The state, with the changes of the batch in flight; see
    /// [`Pipeline::must_wait`].
    pub fn state(&self) -> &State {
        &self.state
    }

    /// The time for a read: not before the newest time in the journal.
    pub fn now(&self, clocks: Clocks) -> Timestamp {
        self.watch.for_reads(clocks).max(self.state.now())
    }

    /// Whether a read that looks at `touch` now may only be answered after a
    /// batch in flight, or being gathered, is settled, and not at all if that fails.
    pub fn must_wait(&self, touch: Touch) -> bool {
        self.unsettled(touch).is_some()
    }

    /// The newest batch that touches what a read looks at now and is not settled, by its place among those that are not:
    /// 0, and the read may be answered after the next [`Output::Settled`]; 1, and after the one behind that.
    pub fn unsettled(&self, touch: Touch) -> Option<usize> {
        let concerned = |batch: &Flight<C>| batch.touched.concerns(touch);
        match &self.gathered.batch {
            Some((_, gathered)) if concerned(gathered) => Some(usize::from(self.flight.is_some())),
            _ => self.flight.as_ref().is_some_and(concerned).then_some(0),
        }
    }

    /// The newest durable batch.
    pub fn tip(&self) -> Tip {
        self.tip
    }

    /// Whether commands are taken: the disk is written to and nothing has
    /// stopped the machine.
    pub fn takes_commands(&self) -> bool {
        self.mode == Mode::Serving
    }

    /// Whether an unknown outcome has stopped it. Its state must not be looked
    /// at any more.
    pub fn is_stopped(&self) -> bool {
        self.mode == Mode::Stopped
    }

    /// Whether the clocks disagree, so that no expiry is written.
    pub fn clocks_disagree(&self) -> bool {
        self.watch.diverged()
    }

    /// How many commands wait.
    pub fn queued(&self) -> usize {
        self.queue.len()
    }

    /// Whether every command taken has been answered.
    pub fn is_idle(&self) -> bool {
        self.queue.is_empty()
            && self.gathered.batch.is_none()
            && self.flight.is_none()
            && self.outputs.is_empty()
    }

    /// What has been done so far.
    pub fn counters(&self) -> Counters {
        self.counters
    }

    fn submit(&mut self, waiting: Waiting<C>) {
        self.counters.commands += 1;
        if self.mode != Mode::Serving {
            self.answer(waiting.caller, Err(SubmitError::NotDurable));
        } else if self.queue.len() >= self.limits.queue_max {
            self.answer(waiting.caller, Err(SubmitError::Busy));
        } else {
            self.queue.push_back(waiting);
        }
    }

    /// Decides the next of what has queued, on the newest state. Once that is all, or the batch takes no more, and the
    /// batch before it is settled, lets it go to the journal.
    fn decide_next(&mut self) {
        if self.queue.is_empty() || self.gathered.is_full(&self.limits) {
            if self.flight.is_some() {
                return;
            }
            // Where nothing came of those that were gathered, the next ones make a batch of their own.
            if let Some((mut draft, flight)) = std::mem::take(&mut self.gathered).batch {
                draft.follow(self.tip.hash);
                self.flight = Some(flight);
                self.outputs.push_back(Output::Append(draft));
                return;
            }
        }
        let Some(waiting) = self.queue.pop_front() else {
            return;
        };
        let mut batch = self.gathered.batch.take();
        let events_of = |batch: &Option<(Draft, Flight<C>)>| {
            batch.as_ref().map_or(0, |(_, flight)| flight.events)
        };
        let before = events_of(&batch);
        self.decide_one(waiting, &mut batch);
        let events = events_of(&batch) - before;
        self.gathered.batch = batch;
        self.gathered.commands += 1;
        self.outputs.push_back(Output::Decided { events });
    }

    fn decide_one(&mut self, waiting: Waiting<C>, batch: &mut Option<(Draft, Flight<C>)>) {
        let Waiting {
            caller,
            envelope,
            seed,
            deadline_ms,
        } = waiting;
        if deadline_ms.is_some_and(|deadline| deadline <= self.watch.latest().monotonic_ms) {
            self.answer(caller, Err(SubmitError::Deadline));
            return;
        }
        let now = self.watch.for_decisions().max(self.state.now());
        let decision = decide(&self.state, &envelope, now, first_word(&seed));
        let mut answer = decision.answer.map_err(SubmitError::Refused);
        if !decision.events.is_empty()
            && let Err(error) = self.take_in(batch, envelope.by, decision.events, now, seed)
        {
            answer = Err(error);
        }
        let newest = batch.as_mut().map(|(_, flight)| flight);
        match newest.or(self.flight.as_mut()) {
            // The answer rests on what is not yet durable.
            Some(flight) => flight.answers.push((caller, answer)),
            // Everything it rests on is durable.
            None => self.answer(caller, answer),
        }
    }

    /// Makes events part of the batch and of the state, or changes nothing.
    fn take_in(
        &mut self,
        batch: &mut Option<(Draft, Flight<C>)>,
        by: Actor,
        events: Vec<Event>,
        now: Timestamp,
        seed: Seed,
    ) -> Result<(), SubmitError> {
        if events.len() > self.limits.command_events_max {
            return Err(SubmitError::TooLarge);
        }
        let ends_now = |event: &Event| ends_by_time(event) && !self.has_ended(event);
        if self.watch.diverged() && events.iter().any(ends_now) {
            return Err(SubmitError::ClocksDisagree);
        }
        let (mut draft, mut flight) = batch.take().unwrap_or_else(|| {
            let before = (self.flight.as_ref()).map_or(self.tip.seq, |flight| flight.seq);
            let seq = before + 1;
            let flight = Flight {
                seq,
                events: 0,
                undo: Undo::default(),
                touched: Touched::default(),
                answers: Vec::new(),
            };
            (Draft::new(seq, now, self.tip.hash, seed), flight)
        });
        let mut undo = self.state.advance(now);
        for event in &events {
            undo.append(self.state.apply_undoable(event));
            flight.touched.add(event);
        }
        let count = events.len() as u64;
        let taken = draft.push(by, events, self.limits.command_bytes_max);
        let result = if taken.is_some() {
            draft.decided_at(now);
            flight.events += count;
            flight.undo.append(undo);
            Ok(())
        } else {
            self.state.undo(undo);
            Err(SubmitError::TooLarge)
        };
        if draft.events() > 0 {
            *batch = Some((draft, flight));
        }
        result
    }

    fn appended(&mut self, hash: Hash, outcome: Append) {
        let Some(flight) = self.flight.take() else {
            self.stop("an append was reported that nobody asked for".to_owned());
            return;
        };
        match outcome {
            Append::Written => {
                self.tip = Tip {
                    seq: flight.seq,
                    hash,
                };
                self.counters.batches += 1;
                self.counters.events += flight.events;
                self.outputs.push_back(Output::Settled { durable: true });
                for (caller, answer) in flight.answers {
                    self.answer(caller, answer);
                }
            }
            Append::NotWritten(_) => {
                self.mode = self.read_only();
                // What was decided on top of it goes with it, and first.
                let gathered = std::mem::take(&mut self.gathered).batch;
                let undone = [gathered.map(|(_, flight)| flight), Some(flight)];
                for flight in undone.into_iter().flatten() {
                    self.state.undo(flight.undo);
                    self.counters.undone += 1;
                    self.outputs.push_back(Output::Settled { durable: false });
                    for (caller, _) in flight.answers {
                        self.answer(caller, Err(SubmitError::NotDurable));
                    }
                }
                // Those that have not been decided fare alike: waiting for a
                // disk to be emptied helps nobody.
                for waiting in std::mem::take(&mut self.queue) {
                    self.answer(waiting.caller, Err(SubmitError::NotDurable));
                }
            }
            Append::Unknown(reason) => self.stop(reason),
        }
    }

    fn probed(&mut self, outcome: Append) {
        if self.mode != Mode::Probing {
            return;
        }
        match outcome {
            Append::Written => self.mode = Mode::Serving,
            Append::NotWritten(_) => self.mode = self.read_only(),
            Append::Unknown(reason) => self.stop(reason),
        }
    }

    fn read_only(&self) -> Mode {
        Mode::ReadOnly {
            probe_at_ms: self.watch.latest().monotonic_ms + PROBE_EVERY_MS,
        }
    }

    /// Nobody is answered any more: what is in flight may be durable or not.
    fn stop(&mut self, reason: String) {
        self.mode = Mode::Stopped;
        self.queue.clear();
        self.gathered = Gathered::default();
        self.flight = None;
        self.outputs.push_back(Output::Exit { reason });
    }

    /// Whether a binding has ended already, and its carrier has let it go: that is no matter of time any more.
    fn has_ended(&self, event: &Event) -> bool {
        let Event::Ended { subs_id, .. } = event else {
            return false;
        };
        let provision = self.state.provision(*subs_id);
        provision.is_some_and(|known| known.phase.is_releasing())
    }

    fn answer(&mut self, caller: C, answer: Result<Outcome, SubmitError>) {
        let counter = match &answer {
            Ok(_) => &mut self.counters.done,
            Err(SubmitError::Refused(_)) => &mut self.counters.refused,
            Err(SubmitError::NotDurable) => &mut self.counters.not_durable,
            Err(SubmitError::Busy | SubmitError::Closed) => &mut self.counters.busy,
            Err(SubmitError::Deadline) => &mut self.counters.late,
            Err(SubmitError::ClocksDisagree | SubmitError::TooLarge) => {
                &mut self.counters.held_back
            }
        };
        *counter += 1;
        self.outputs.push_back(Output::Answer { caller, answer });
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

fn first_word(seed: &Seed) -> u64 {
    let mut word = [0; 8];
    word.copy_from_slice(&seed[..8]);
    u64::from_le_bytes(word)
}
