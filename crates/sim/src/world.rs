//! A world from a seed: customers, operators, jobs, clocks, a disk and crashes,
//! around the real commit pipeline and the real rules.
//!
//! One step is one thing that happens. After each, the pipeline's outputs are
//! drained and judged; a run ends with the first law that is broken. The same
//! seed plays the same run, whatever the number of steps.

mod answers;
mod carriers;
mod customers;
pub mod disk;
mod machine;
mod names;
mod operators;
mod outage;
mod readers;
mod steps;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use maskline_domain::chance::mix;
use maskline_domain::{Envelope, Row, State, Timestamp};
use maskline_journal::batch::{Batch, Tip};
use maskline_journal::feed::Bounds;
use maskline_journal::pipeline::{Clocks, Limits};
use maskline_journal::replay::Decoded;
use maskline_journal::{Codec, PLAIN};

use self::answers::Round;
use self::carriers::Carriers;
use self::disk::{Disk, SnapshotWriter};
use self::machine::Machine;
use self::readers::Read;
use self::steps::Workload;
use crate::chance::Chance;
use crate::faults::Fault;
use crate::laws::answer_log::AnswerLog;
use crate::laws::{Broken, Held};
use crate::model::Model;
use crate::model::model_clock::ModelClock;
use crate::model::verify::Answer;

/// So many of the first batches of a world may be written in form 1.
const FORM_1_BATCHES_MAX: u64 = 200;

/// Whom to answer.
pub type Caller = u64;

/// What a run did, for reports and to see that a run was not empty.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Tally {
    /// Steps played.
    pub steps: u64,
    /// Commands handed in.
    pub commands: u64,
    /// Good answers.
    pub done: u64,
    /// Refusals by the rules.
    pub refused: u64,
    /// Other answers: not durable, busy, late, in doubt.
    pub turned_away: u64,
    /// Bindings acknowledged.
    pub bound: u64,
    /// Batches that became durable.
    pub batches: u64,
    /// Batches that the writer of snapshots got by memory.
    pub handed_on: u64,
    /// Batches that were undone.
    pub undone: u64,
    /// Crashes of the process.
    pub crashes: u64,
    /// Starts, each from every beginning there was.
    pub starts: u64,
    /// Snapshots finished.
    pub snapshots: u64,
    /// Routes compared with the model's.
    pub routes: u64,
    /// Routes that connected.
    pub connected: u64,
    /// Other reads compared.
    pub reads: u64,
    /// Reads that had to wait for a batch.
    pub waited: u64,
    /// Commands whose id had been seen before.
    pub repeated: u64,
    /// Leaps of the wall clock.
    pub leaps: u64,
    /// Whole states compared with the model.
    pub compared: u64,
    /// Persons erased from the journal.
    pub erased: u64,
    /// Binds and changes that a carrier has done.
    pub provisioned: u64,
    /// Binds and changes of which a customer heard that a carrier did not do them.
    pub not_provisioned: u64,
    /// Comparisons of what a carrier holds that came to an end.
    pub reconciled: u64,
    /// Carriers that came back with less than they had.
    pub carrier_losses: u64,
    /// Bindings that were detached from a carrier that is gone for good.
    pub detached: u64,
    /// Backups that were restored.
    pub restored: u64,
    /// Times at which nothing was left to be done about carriers, and all was compared.
    pub quiescences: u64,
}

impl Tally {
    /// Each count with its name; those about carriers where there are any.
    pub fn lines(&self) -> Vec<(&'static str, u64)> {
        let of_carriers = [
            ("provisioned by carriers", self.provisioned),
            ("not provisioned", self.not_provisioned),
            ("reconciliations", self.reconciled),
            ("losses of carriers", self.carrier_losses),
            ("bindings detached from carriers", self.detached),
            ("restores", self.restored),
            ("quiescences", self.quiescences),
        ];
        let has_carriers = of_carriers.iter().any(|&(_, count)| count > 0);
        let of_carriers = of_carriers.into_iter().filter(|_| has_carriers);
        let lines = [
            ("steps", self.steps),
            ("commands", self.commands),
            ("done", self.done),
            ("refused by the rules", self.refused),
            ("turned away", self.turned_away),
            ("bindings acknowledged", self.bound),
            ("batches durable", self.batches),
            ("batches handed on", self.handed_on),
            ("batches undone", self.undone),
            ("crashes", self.crashes),
            ("starts", self.starts),
            ("snapshots", self.snapshots),
            ("routes compared", self.routes),
            ("of them connected", self.connected),
            ("other reads compared", self.reads),
            ("reads that waited", self.waited),
            ("repeated commands refused", self.repeated),
            ("leaps of the wall clock", self.leaps),
            ("states compared", self.compared),
            ("persons erased", self.erased),
        ];
        lines.into_iter().chain(of_carriers).collect()
    }

    /// Adds the counts of another run.
    pub fn add(&mut self, other: &Tally) {
        let Tally {
            steps,
            commands,
            done,
            refused,
            turned_away,
            bound,
            batches,
            handed_on,
            undone,
            crashes,
            starts,
            snapshots,
            routes,
            connected,
            reads,
            waited,
            repeated,
            leaps,
            compared,
            erased,
            provisioned,
            not_provisioned,
            reconciled,
            carrier_losses,
            detached,
            restored,
            quiescences,
        } = self;
        *steps += other.steps;
        *commands += other.commands;
        *done += other.done;
        *refused += other.refused;
        *turned_away += other.turned_away;
        *bound += other.bound;
        *batches += other.batches;
        *handed_on += other.handed_on;
        *undone += other.undone;
        *crashes += other.crashes;
        *starts += other.starts;
        *snapshots += other.snapshots;
        *routes += other.routes;
        *connected += other.connected;
        *reads += other.reads;
        *waited += other.waited;
        *repeated += other.repeated;
        *leaps += other.leaps;
        *compared += other.compared;
        *erased += other.erased;
        *provisioned += other.provisioned;
        *not_provisioned += other.not_provisioned;
        *reconciled += other.reconciled;
        *carrier_losses += other.carrier_losses;
        *detached += other.detached;
        *restored += other.restored;
        *quiescences += other.quiescences;
    }
}

/// A command that waits to be decided.
#[derive(Debug, Clone)]
struct Waiting {
    caller: Caller,
    envelope: Envelope,
    deadline_ms: Option<u64>,
}

/// What a caller may be told.
#[derive(Debug, Clone)]
struct Expected {
    envelope: Envelope,
    allowed: Vec<Answer>,
    /// The newest batch that the answer rests on.
    rests_on: u64,
    decided_at: Timestamp,
}

/// The whole world of one run.
pub struct World {
    chance: Chance,
    fault: Option<Fault>,
    /// The reference pipeline is under test instead of the real one.
    uses_reference: bool,
    /// Batches up to this one are written in form 1, as by a program before an update.
    form_1_upto: u64,
    workload: Workload,
    limits: Limits,
    clocks: Clocks,
    model_clock: ModelClock,
    disk: Disk,
    snapshot_writer: Option<SnapshotWriter>,
    /// What may wait for it, and chance of its own.
    feed_bounds: Bounds,
    feed_chance: Chance,
    machine: Option<Machine>,
    /// The outputs of the machine ended in an exit.
    exited: bool,
    /// The disk takes commands again as far as the machine knows.
    serving: bool,
    probing: bool,
    /// The world by the journal and the batch in flight.
    model: Model,
    /// The world without the batch in flight, while there is one.
    durable: Option<Model>,
    flight: Option<Batch>,
    /// What it says and takes in memory, to be handed on when it is durable.
    decided: Option<(Arc<Decoded>, usize)>,
    tip: Tip,
    /// Commands decided, perhaps on top of the batch in flight, that are in no batch yet.
    gathering: Option<Round>,
    queue: VecDeque<Waiting>,
    expected: BTreeMap<Caller, Expected>,
    /// The newest batch that an answer told rests on.
    told: u64,
    answer_log: AnswerLog,
    reads: Vec<Read>,
    recent: VecDeque<Envelope>,
    next_caller: Caller,
    tally: Tally,
    step_log: Option<Vec<String>>,
    /// In worlds whose pools name some.
    carriers: Option<Box<Carriers>>,
}

impl World {
    /// The world of a seed, with a fault planted or none.
    pub fn new(seed: u64, fault: Option<Fault>) -> Self {
        Self::with_codec(seed, fault, PLAIN.clone())
    }

    /// The same, whose batches are kept in this form.
    pub fn with_codec(seed: u64, fault: Option<Fault>, codec: Codec) -> Self {
        let mut chance = Chance::new(seed);
        let queue_max = chance.between(4, 64) as usize;
        let batch_commands_max = chance.between(1, 24) as usize;
        let limits = Limits {
            command_events_max: chance.one_of([24, 64, 4096]),
            batch_bytes: chance.one_of([1 << 20, 2_000]),
            ..Limits::new(queue_max, batch_commands_max)
        };
        let clocks = Clocks {
            wall: Timestamp(1_772_424_000_000 + chance.between(0, 86_400_000)),
            monotonic_ms: chance.below(1_000_000),
        };
        let workload = Workload::draw(&mut chance);
        // Apart, so that a seed plays what it played before there were feeds.
        let mut feed_chance = Chance::new(!seed);
        Self {
            chance,
            fault,
            uses_reference: fault.is_some_and(Fault::is_inner),
            // Not drawn: the seeds of today play the runs that they have always played.
            form_1_upto: if seed.is_multiple_of(2) && fault != Some(Fault::FirstFormLosesB) {
                0
            } else {
                mix(seed) % FORM_1_BATCHES_MAX
            },
            workload,
            limits,
            clocks,
            model_clock: ModelClock::new(),
            disk: Disk::new(codec),
            snapshot_writer: None,
            feed_bounds: Bounds {
                batches: feed_chance.one_of([1, 2, 6, 40]),
                bytes: feed_chance.one_of([4_000, 40_000, 1 << 20]),
            },
            feed_chance,
            machine: None,
            exited: false,
            serving: true,
            probing: false,
            model: Model::default(),
            durable: None,
            flight: None,
            decided: None,
            tip: Tip::GENESIS,
            gathering: None,
            queue: VecDeque::new(),
            expected: BTreeMap::new(),
            told: 0,
            answer_log: AnswerLog::default(),
            reads: Vec::new(),
            recent: VecDeque::new(),
            next_caller: 0,
            tally: Tally::default(),
            step_log: None,
            carriers: None,
        }
        .perhaps_with_carriers(seed, fault.is_some_and(Fault::needs_carriers))
    }

    /// The same, in which some pools name carriers, with all that can go wrong with these.
    pub fn with_carriers(seed: u64, fault: Option<Fault>) -> Self {
        Self::new(seed, fault).perhaps_with_carriers(seed, true)
    }

    fn perhaps_with_carriers(self, seed: u64, has_carriers: bool) -> Self {
        match has_carriers {
            true => Self {
                // No program that wrote form 1 knew any.
                form_1_upto: 0,
                carriers: Some(Box::new(Carriers::new(seed))),
                ..self
            },
            false => self,
        }
    }

    /// The same world around the plain pipeline in which inner faults are
    /// planted, see `reference_pipeline.rs`.
    pub fn with_reference_pipeline(seed: u64) -> Self {
        Self {
            uses_reference: true,
            ..Self::new(seed, None)
        }
    }

    /// Plays one step.
    ///
    /// # Errors
    /// The law that was broken.
    pub fn step(&mut self) -> Held {
        self.tally.steps += 1;
        if self.tally.steps == 1 {
            self.found()?;
        }
        self.take_step()
    }

    /// What the run did so far.
    pub fn tally(&self) -> Tally {
        let writer = self.snapshot_writer.as_ref();
        let handed_on = writer.map_or(0, |writer| writer.handed_on);
        Tally {
            handed_on: self.tally.handed_on + handed_on,
            ..self.tally
        }
    }

    /// Begins to write down what happens, for a look at a failing run.
    pub fn keep_step_log(&mut self) {
        self.step_log.get_or_insert_default();
    }

    /// What was written down.
    pub fn step_log(&self) -> &[String] {
        self.step_log.as_deref().unwrap_or_default()
    }

    /// The disk as it is.
    pub fn disk(&self) -> &Disk {
        &self.disk
    }

    /// The rows of the durable state, by the model.
    pub fn durable_rows(&self) -> Vec<Row> {
        self.durable().rows()
    }

    fn note(&mut self, line: impl FnOnce() -> String) {
        if let Some(step_log) = &mut self.step_log {
            step_log.push(format!("{:>7} {}", self.tally.steps, line()));
        }
    }

    /// What no crash can undo.
    fn durable(&self) -> &Model {
        self.durable.as_ref().unwrap_or(&self.model)
    }

    fn plants(&self, fault: Fault) -> bool {
        self.fault == Some(fault)
    }

    fn pass(&mut self, ms: i64) {
        self.clocks.wall = self.clocks.wall.plus_millis(ms);
        self.clocks.monotonic_ms += ms.unsigned_abs();
        if let Some(carriers) = &mut self.carriers {
            carriers.ms += ms;
        }
    }
}

/// The rows of a state.
fn rows(state: &State) -> Vec<Row> {
    state.rows().collect()
}

/// A run that broke a law.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("step {step}: {broken}")]
pub struct Failure {
    /// The step, counted from 1.
    pub step: u64,
    /// The law.
    pub broken: Broken,
}

/// Plays a run of `steps` steps; `progress` is told each step.
///
/// # Errors
/// The first law that is broken, and where.
pub fn run(
    mut world: World,
    steps: u64,
    mut progress: impl FnMut(&World),
) -> Result<World, Box<(World, Failure)>> {
    for _ in 0..steps {
        if let Err(broken) = world.step() {
            let step = world.tally.steps;
            return Err(Box::new((world, Failure { step, broken })));
        }
        progress(&world);
    }
    Ok(world)
}
