//! The pipeline with a journal in a vector, whose appends end as one likes.

use maskline_domain::{Envelope, Outcome, Row, State, Timestamp};
use maskline_fixtures::domain::founding;
use maskline_journal::Append;
use maskline_journal::batch::{Batch, Tip};
use maskline_journal::pipeline::{Clocks, Input, Limits, Output, Pipeline, SubmitError};
use maskline_store::UNSEALED;

/// Bounds that no test meets that does not want to.
pub const LIMITS: Limits = Limits::new(8_192, 512);

pub type Answer = Result<Outcome, SubmitError>;

pub struct Machine {
    pub pipeline: Pipeline<u64>,
    pub journal: Vec<Batch>,
    pub answers: Vec<(u64, Answer)>,
    pub settled: Vec<bool>,
    pub probes: u32,
    pub exit: Option<String>,
    pub clocks: Clocks,
    pending: Option<Batch>,
    next_caller: u64,
}

impl Machine {
    pub fn with_limits(limits: Limits) -> Self {
        Self {
            pipeline: Pipeline::new(State::default(), Tip::GENESIS, limits),
            journal: Vec::new(),
            answers: Vec::new(),
            settled: Vec::new(),
            probes: 0,
            exit: None,
            clocks: Clocks {
                wall: Timestamp(1_700_000_000_000),
                monotonic_ms: 5_000,
            },
            pending: None,
            next_caller: 0,
        }
    }

    /// A machine whose world has `numbers` X numbers.
    pub fn founded(numbers: u64) -> Self {
        Self::founded_with(numbers, LIMITS)
    }

    pub fn founded_with(numbers: u64, limits: Limits) -> Self {
        let mut machine = Self::with_limits(limits);
        for envelope in founding(numbers) {
            assert!(machine.done(envelope).is_ok());
        }
        machine.answers.clear();
        machine.settled.clear();
        machine
    }

    pub fn wall(&self) -> Timestamp {
        self.clocks.wall
    }

    pub fn pass(&mut self, ms: i64) {
        self.clocks.wall = self.clocks.wall.plus_millis(ms);
        self.clocks.monotonic_ms += ms as u64;
    }

    /// Hands a command in without looking at what comes of it.
    pub fn submit(&mut self, envelope: Envelope) -> u64 {
        self.submit_until(envelope, None)
    }

    pub fn submit_until(&mut self, envelope: Envelope, deadline_ms: Option<u64>) -> u64 {
        let caller = self.next_caller;
        self.next_caller += 1;
        let mut seed = [0; 32];
        seed[..8].copy_from_slice(&caller.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_le_bytes());
        self.input(Input::Submit {
            caller,
            envelope: Box::new(envelope),
            seed,
            deadline_ms,
        });
        caller
    }

    pub fn input(&mut self, input: Input<u64>) {
        self.pipeline.handle_input(input, self.clocks);
    }

    /// Carries out what the machine asks for, up to the next append.
    pub fn drain(&mut self) {
        while let Some(output) = self.pipeline.poll_output() {
            match output {
                Output::Append(draft) => {
                    assert!(self.pending.is_none(), "one batch in flight");
                    self.pending = Some(draft.seal(&UNSEALED).expect("not sealed"));
                }
                Output::Answer { caller, answer } => self.answers.push((caller, answer)),
                Output::Decided { .. } => {}
                Output::Settled { durable } => self.settled.push(durable),
                Output::Probe => self.probes += 1,
                Output::Exit { reason } => self.exit = Some(reason),
            }
        }
    }

    pub fn in_flight(&self) -> Option<&Batch> {
        self.pending.as_ref()
    }

    /// Ends the append in flight.
    pub fn settle(&mut self, outcome: Append) {
        let batch = self.pending.take().expect("an append is in flight");
        let hash = batch.hash;
        if outcome == Append::Written {
            self.journal.push(batch);
        }
        self.input(Input::Appended { hash, outcome });
        self.drain();
    }

    /// Writes everything that has queued.
    pub fn write_all(&mut self) {
        self.drain();
        while self.pending.is_some() {
            self.settle(Append::Written);
        }
    }

    /// Hands a command in, writes it, and gives its answer.
    pub fn done(&mut self, envelope: Envelope) -> Answer {
        let caller = self.submit(envelope);
        self.write_all();
        self.answer_to(caller).expect("answered")
    }

    pub fn answer_to(&self, caller: u64) -> Option<Answer> {
        let mut answers = self.answers.iter().filter(|(to, _)| *to == caller);
        let (_, answer) = answers.next()?;
        assert!(answers.next().is_none(), "answered twice");
        Some(answer.clone())
    }

    pub fn rows(&self) -> Vec<Row> {
        self.pipeline.state().rows().collect()
    }

    /// The rows of a state made from the journal alone.
    pub fn replayed(&self) -> Vec<Row> {
        let mut state = State::default();
        let mut tip = Tip::GENESIS;
        for batch in &self.journal {
            maskline_journal::replay::follow(&mut state, &mut tip, batch, &UNSEALED)
                .expect("a whole journal");
        }
        assert_eq!(tip, self.pipeline.tip());
        state.rows().collect()
    }
}

pub fn not_written() -> Append {
    Append::NotWritten("disk full".into())
}
