//! What happens next.

use maskline_domain::routing::RouteQuery;
use maskline_domain::{AccessKeyId, Binding, Part, PhoneNumber, PoolKey, SubsId, Timestamp};
use maskline_journal::pipeline::Input;

use crate::chance::Chance;
use crate::laws::{Held, Law, broken};
use crate::world::World;
use crate::world::names::{self, KEYS, POOLS};
use crate::world::outage::AppendOutcome;
use crate::world::readers::Read;

/// How many steps a workload lasts.
const WORKLOAD_STEPS: u64 = 1_500;

/// Times further ahead than this are not leapt to, in milliseconds.
const AHEAD_MS_MAX: i64 = 1_200_000;

/// One thing that can happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum WorldStep {
    Customer,
    Again,
    Operator,
    Job,
    Settle,
    Dial,
    Look,
    Moment,
    While,
    Edge,
    Leap,
    Confirm,
    DiskFull,
    Crash,
    Snapshot,
    Erase,
    Compare,
    Probe,
}

/// Every step, and how often it happens in an even workload.
const USUAL: [(WorldStep, u32); 18] = [
    (WorldStep::Customer, 300),
    (WorldStep::Again, 40),
    (WorldStep::Operator, 24),
    (WorldStep::Job, 30),
    (WorldStep::Settle, 260),
    (WorldStep::Dial, 160),
    (WorldStep::Look, 60),
    (WorldStep::Moment, 60),
    (WorldStep::While, 5),
    (WorldStep::Edge, 16),
    (WorldStep::Leap, 3),
    (WorldStep::Confirm, 4),
    (WorldStep::DiskFull, 2),
    (WorldStep::Crash, 2),
    (WorldStep::Snapshot, 50),
    (WorldStep::Erase, 1),
    (WorldStep::Compare, 6),
    (WorldStep::Probe, 20),
];

/// What happens often and what never for a while: one run sees rush hours,
/// jobs that stand still, and nights of nothing but crashes.
#[derive(Debug, Clone)]
pub struct Workload {
    weights: [u32; USUAL.len()],
    burst_max: u64,
    steps_left: u64,
}

impl Workload {
    /// A workload by chance.
    pub fn draw(chance: &mut Chance) -> Self {
        let mut weights = USUAL.map(|(_, weight)| weight);
        let is_even = chance.one_in(4);
        for (at, (step, _)) in USUAL.into_iter().enumerate() {
            let times = if is_even {
                1
            } else {
                match step {
                    // Without these nothing would move.
                    WorldStep::Settle | WorldStep::Customer => chance.one_of([1, 1, 3]),
                    _ => chance.one_of([0, 1, 1, 1, 4]),
                }
            };
            weights[at] *= times;
        }
        Self {
            weights,
            burst_max: chance.one_of([1, 1, 1, 3, 12]),
            steps_left: WORKLOAD_STEPS,
        }
    }
}

impl World {
    /// The first start, and everything that there is at first.
    pub(super) fn found(&mut self) -> Held {
        self.start()?;
        for command in self.initial_commands() {
            let envelope = self.operate(command);
            self.submit(envelope, None)?;
            self.drain()?;
            while self.flight.is_some() {
                self.settle(AppendOutcome::Written)?;
            }
        }
        Ok(())
    }

    /// Takes the next step of the workload.
    pub(super) fn take_step(&mut self) -> Held {
        self.step_of_workload()?;
        if self.carriers.is_none() {
            return Ok(());
        }
        self.happen_to_carriers()?;
        self.work_with_carriers()
    }

    fn step_of_workload(&mut self) -> Held {
        match self.workload.steps_left.checked_sub(1) {
            Some(left) => self.workload.steps_left = left,
            None => self.workload = Workload::draw(&mut self.chance),
        }
        if self.machine.is_none() {
            return self.happen_while_down();
        }
        let (step, _) = USUAL[self.chance.weighed(&self.workload.weights)];
        self.note(|| format!("{step:?}"));
        let is_served = match step {
            WorldStep::Customer
            | WorldStep::Again
            | WorldStep::Operator
            | WorldStep::Job
            | WorldStep::Edge => self.carriers.as_ref().is_none_or(|c| !c.is_starting()),
            _ => true,
        };
        match step {
            _ if !is_served => {}
            WorldStep::Customer => self.rush()?,
            WorldStep::Again => {
                if let Some(envelope) = self.again() {
                    self.submit(envelope, None)?;
                }
            }
            WorldStep::Operator => {
                let envelope = self.operator();
                self.submit(envelope, None)?;
            }
            WorldStep::Job => {
                let envelope = self.job();
                self.submit(envelope, None)?;
            }
            WorldStep::Settle => {
                let outcome = self.outcome();
                self.settle(outcome)?;
            }
            WorldStep::Dial => {
                let query = self.query();
                self.read(Read::Route(query))?;
            }
            WorldStep::Look => {
                let read = self.look_at();
                self.read(read)?;
            }
            WorldStep::Moment => {
                let ms = self.chance.between(0, 400);
                self.pass(ms);
            }
            WorldStep::While => {
                let ms = self.chance.between(400, 40_000);
                self.pass(ms);
            }
            WorldStep::Edge => self.go_to_an_edge()?,
            WorldStep::Leap => self.leap(),
            WorldStep::Confirm => self.confirm()?,
            WorldStep::DiskFull => self.disk.full = self.chance.one_in(2),
            WorldStep::Crash => self.crash_somewhere()?,
            WorldStep::Snapshot => self.write_snapshot()?,
            WorldStep::Erase => self.erase()?,
            WorldStep::Compare => self.compare()?,
            WorldStep::Probe if self.probing => self.probe()?,
            WorldStep::Probe => self.input(Input::Tick)?,
        }
        self.drain()?;
        self.come_back_to_writing()
    }

    fn happen_while_down(&mut self) -> Held {
        match self.chance.below(6) {
            0 => {
                let ms = self.chance.between(0, 60_000);
                self.pass(ms);
                Ok(())
            }
            1 if self.chance.one_in(4) => {
                self.leap();
                Ok(())
            }
            _ => {
                self.clocks.monotonic_ms = self.chance.below(1_000_000);
                self.start()
            }
        }
    }

    /// One customer, or many at once.
    fn rush(&mut self) -> Held {
        let count = 1 + self.chance.below(self.workload.burst_max);
        for _ in 0..count {
            // One that is turned away is enough.
            if self.queue.len() >= self.limits.queue_max && !self.chance.one_in(10) {
                break;
            }
            let envelope = self.customer();
            let deadline_ms = self
                .chance
                .one_in(20)
                .then(|| self.clocks.monotonic_ms + self.chance.one_of([0, 50, 500]));
            self.submit(envelope, deadline_ms)?;
        }
        Ok(())
    }

    fn outcome(&mut self) -> AppendOutcome {
        if self.disk.full {
            return AppendOutcome::NotWritten;
        }
        match self.chance.weighed(&[800, 8, 1, 1, 1, 2]) {
            0 => AppendOutcome::Written,
            1 => AppendOutcome::NotWritten,
            2 => AppendOutcome::UnknownButThere,
            3 => AppendOutcome::UnknownAndGone,
            4 => AppendOutcome::DiedBefore,
            _ => AppendOutcome::DiedAfter,
        }
    }

    /// The process dies now: with a batch in flight, before, during or after
    /// its append; or it must stop by itself.
    fn crash_somewhere(&mut self) -> Held {
        if self.chance.one_in(6) {
            return self.break_connection();
        }
        let outcome = self
            .chance
            .one_of([AppendOutcome::DiedBefore, AppendOutcome::DiedAfter]);
        if self.flight.is_some() && !self.disk.full {
            self.settle(outcome)
        } else {
            self.crash()
        }
    }

    fn query(&mut self) -> RouteQuery {
        let binding = self.known();
        let x = match &binding {
            Some(binding) if !self.chance.one_in(4) => binding.x,
            _ => self.any_x(),
        };
        let parties = names::parties();
        let of_binding = binding.map_or(parties[0], |binding| {
            let parties = [Some(binding.a), binding.b.or(Some(binding.a))];
            self.chance
                .pick(&parties)
                .copied()
                .flatten()
                .unwrap_or(binding.a)
        });
        let party = self.chance.pick(&parties).copied();
        let caller: Option<PhoneNumber> = match self.chance.below(12) {
            0 => None,
            1 => Some(x),
            2..=4 => party,
            _ => Some(of_binding),
        };
        RouteQuery { caller, x }
    }

    fn look_at(&mut self) -> Read {
        match (self.chance.below(8), self.known()) {
            (0, _) => Read::Bindings,
            (1 | 2, _) => {
                let key = self.chance.pick(&KEYS).map_or("", |(id, ..)| id);
                let pool = self.chance.pick(&POOLS).map_or("", |(key, ..)| key);
                Read::Lists(AccessKeyId::new(key), PoolKey::new(pool))
            }
            (3 | 4, _) | (_, None) => Read::Number(self.any_x()),
            (_, Some(binding)) => Read::Binding(binding.subs_id, binding.x),
        }
    }

    /// Goes to just before, at or just after a moment at which something ends,
    /// and mostly does something about it at once.
    fn go_to_an_edge(&mut self) -> Held {
        let now = self.clocks.wall;
        let is_near = |edge: Timestamp| (1..AHEAD_MS_MAX).contains(&(edge.0 - now.0));
        let ends: Vec<Binding> = self.model.bindings.values().cloned().collect();
        let mut edges: Vec<(Timestamp, Option<Binding>)> = ends
            .into_iter()
            .map(|binding| (binding.expires_at, Some(binding)))
            .collect();
        if self.chance.one_in(3) {
            let cooled = self.model.numbers.values().map(|n| n.cooling_until);
            let forgotten = self
                .model
                .commands
                .values()
                .map(|remembered| remembered.until);
            edges = cooled.chain(forgotten).map(|edge| (edge, None)).collect();
        }
        edges.retain(|(edge, _)| is_near(*edge));
        // Rather the next edges than later ones, so that time does not run off.
        let drawn: Vec<_> = (0..3).filter_map(|_| self.chance.pick(&edges)).collect();
        let Some((edge, binding)) = drawn.into_iter().min_by_key(|(edge, _)| *edge).cloned() else {
            return Ok(());
        };
        let beside = self.chance.one_of([-1, 0, 0, 1]);
        self.pass((edge.0 + beside - now.0).max(0));
        let Some(binding) = binding else {
            return Ok(());
        };
        let x = binding.x;
        match self.chance.below(4) {
            0 => {
                let envelope = self.about(binding);
                self.submit(envelope, None)
            }
            1 | 2 => {
                let caller = self.chance.one_of([Some(binding.a), binding.b, None]);
                self.read(Read::Route(RouteQuery { caller, x }))
            }
            _ => Ok(()),
        }
    }

    /// The wall clock is set, rightly or wrongly.
    fn leap(&mut self) {
        let ms = match self.chance.below(6) {
            0 => self.chance.between(-600_000, -6_000),
            1 => self.chance.between(6_000, 600_000),
            2 => self.chance.one_of([-5_001, -5_000, 5_000, 5_001]),
            _ => self.chance.between(-2_000, 2_000),
        };
        self.tally.leaps += 1;
        self.note(|| format!("the wall clock leaps by {ms} ms"));
        self.clocks.wall = self.clocks.wall.plus_millis(ms);
    }

    /// An operator says that the clock is right.
    fn confirm(&mut self) -> Held {
        self.input(Input::TrustClock)
    }

    fn write_snapshot(&mut self) -> Held {
        self.follow()?;
        if self.disk.full {
            return Ok(());
        }
        let Some(snapshot_writer) = &mut self.snapshot_writer else {
            return Ok(());
        };
        match snapshot_writer.work(&mut self.disk, self.fault) {
            Ok(sealed) => {
                self.tally.snapshots += u64::from(sealed);
                Ok(())
            }
            Err(error) => broken(Law::SameRows, error.to_string()),
        }
    }

    /// Parts of an ended binding are erased from the journal, which must replay
    /// as before.
    fn erase(&mut self) -> Held {
        let now = self.about_now();
        let durable = self.durable();
        let gone: Vec<SubsId> = self
            .answer_log
            .ended(now)
            .iter()
            .map(|binding| binding.subs_id)
            .filter(|id| !durable.bindings.contains_key(id))
            .collect();
        let Some(id) = self.chance.pick(&gone).copied() else {
            return Ok(());
        };
        let parts = self.chance.one_of([
            &[Part::A, Part::B, Part::Texts][..],
            &[Part::A, Part::Texts],
            &[Part::B, Part::Texts],
        ]);
        if let Some(carriers) = &mut self.carriers {
            // It is cut out of the same journal.
            carriers.forget_backup();
        }
        match self.disk.erase(id, parts) {
            Ok(events) => {
                self.note(|| format!("binding {id} is erased from {events} events"));
                self.tally.erased += u64::from(events > 0);
                Ok(())
            }
            Err(error) => broken(Law::SameRows, error.to_string()),
        }
    }

    /// A machine that waits for its next probe gets it in time.
    fn come_back_to_writing(&mut self) -> Held {
        let due = self
            .machine
            .as_ref()
            .and_then(|machine| machine.poll_timeout());
        if !self.serving && self.chance.one_in(8) {
            self.disk.full = self.disk.full && !self.chance.one_in(3);
            if self.probing {
                return self.probe();
            }
            if let Some(due) = due {
                let ms = due.saturating_sub(self.clocks.monotonic_ms) as i64;
                self.pass(ms);
                return self.input(Input::Tick);
            }
        }
        Ok(())
    }
}
