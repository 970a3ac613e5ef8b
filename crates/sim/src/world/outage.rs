//! How appends end, how the process dies, and how it comes back.

use std::sync::Arc;

use maskline_domain::State;
use maskline_journal::Append;
use maskline_journal::batch::{Batch, Tip};
use maskline_journal::pipeline::{Input, SubmitError};
use maskline_journal::replay::Decoded;

use crate::faults::Fault;
use crate::laws::{Held, Law, broken, counts, hold, one_owner, same_rows};
use crate::model::model_clock::ModelClock;
use crate::world::answers::Round;
use crate::world::disk::SnapshotWriter;
use crate::world::machine::Machine;
use crate::world::{World, rows};

/// What becomes of the append in flight.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AppendOutcome {
    /// It is written and reported.
    Written,
    /// It is certainly not written.
    NotWritten,
    /// Nobody knows; it is there.
    UnknownButThere,
    /// Nobody knows; it is not there.
    UnknownAndGone,
    /// The process dies before anything reaches the disk.
    DiedBefore,
    /// The process dies when it is written, before it is reported.
    DiedAfter,
}

impl World {
    /// Ends the append in flight, if there is one.
    pub(super) fn settle(&mut self, append: AppendOutcome) -> Held {
        let Some(batch) = self.flight.take() else {
            return Ok(());
        };
        let decided = self.decided.take();
        self.note(|| format!("batch {}: {append:?}", batch.seq));
        let reason = || "made up".to_owned();
        match append {
            AppendOutcome::Written => self.written(batch, decided),
            AppendOutcome::NotWritten if self.plants(Fault::NotWrittenTakenForWritten) => {
                self.durable = None;
                self.tip = tip_of(&batch);
                self.report(&batch, Append::Written)
            }
            AppendOutcome::NotWritten => self.not_written(&batch),
            AppendOutcome::UnknownButThere | AppendOutcome::UnknownAndGone
                if self.plants(Fault::UnknownTakenForNotWritten) =>
            {
                let outcome = Append::NotWritten(reason());
                if append == AppendOutcome::UnknownButThere {
                    self.disk.append(batch.clone());
                }
                self.undone();
                self.report(&batch, outcome)
            }
            AppendOutcome::UnknownButThere => {
                self.disk.append(batch.clone());
                self.report(&batch, Append::Unknown(reason()))?;
                self.must_have_exited()
            }
            AppendOutcome::UnknownAndGone => {
                self.report(&batch, Append::Unknown(reason()))?;
                self.must_have_exited()
            }
            AppendOutcome::DiedBefore => self.crash(),
            AppendOutcome::DiedAfter => {
                self.disk.append(batch);
                self.crash()
            }
        }
    }

    fn written(&mut self, batch: Batch, decided: Option<(Arc<Decoded>, usize)>) -> Held {
        if self.plants(Fault::AppendNotSynced) {
            self.disk.append_unsynced(batch.clone());
        } else {
            self.disk.append(batch.clone());
        }
        self.tally.batches += 1;
        self.hand_on(decided)?;
        self.durable = None;
        self.tip = tip_of(&batch);
        self.report(&batch, Append::Written)?;
        let told = self.machine.as_ref().map(Machine::tip);
        hold(told == Some(self.tip), Law::SameRows, || {
            format!(
                "the machine takes {told:?} for the newest batch, not {:?}",
                self.tip
            )
        })
    }

    /// Hands on what is durable, mostly: the writer does not wait for a follower.
    fn hand_on(&mut self, decided: Option<(Arc<Decoded>, usize)>) -> Held {
        let Some(snapshot_writer) = &mut self.snapshot_writer else {
            return Ok(());
        };
        if let Some((batch, bytes)) = decided
            && !self.feed_chance.one_in(12)
        {
            snapshot_writer.hand_on(&batch, bytes);
        }
        self.follow()
    }

    /// The writer of snapshots takes something in, if it has the processor.
    pub(super) fn follow(&mut self) -> Held {
        let Some(snapshot_writer) = &mut self.snapshot_writer else {
            return Ok(());
        };
        if !self.feed_chance.one_in(2) {
            return Ok(());
        }
        let batches_max = self.feed_chance.one_of([1, 2, 5]);
        match snapshot_writer.follow(&self.disk, batches_max) {
            Ok(_) => Ok(()),
            Err(error) => broken(Law::SameRows, error.to_string()),
        }
    }

    fn not_written(&mut self, batch: &Batch) -> Held {
        let told = self.told;
        hold(told < batch.seq, Law::NothingLost, || {
            format!(
                "an answer rests on batch {}, which was not written",
                batch.seq
            )
        })?;
        self.undone();
        self.report(batch, Append::NotWritten("disk full".to_owned()))?;
        self.undo_is_reload()
    }

    /// The batch in flight is forgotten: its callers and those that wait are
    /// turned away.
    fn undone(&mut self) {
        self.tally.undone += 1;
        self.serving = false;
        for expected in self.expected.values_mut() {
            expected.allowed = vec![Err(SubmitError::NotDurable)];
        }
        let gathered = self
            .gathering
            .take()
            .into_iter()
            .flat_map(Round::into_callers);
        let waiting = std::mem::take(&mut self.queue).into_iter();
        let waiting = waiting.map(|waiting| (waiting.caller, waiting.envelope));
        for (caller, envelope) in gathered.chain(waiting).collect::<Vec<_>>() {
            let refused = vec![Err(SubmitError::NotDurable)];
            self.expect(caller, envelope, refused, 0);
        }
    }

    fn report(&mut self, batch: &Batch, outcome: Append) -> Held {
        let not_written = matches!(outcome, Append::NotWritten(_));
        let clocks = self.clocks;
        if let Some(machine) = &mut self.machine {
            let hash = batch.hash;
            machine.handle_input(Input::Appended { hash, outcome }, clocks);
        }
        self.model_clock.show(clocks, self.newest());
        if not_written && let Some(durable) = self.durable.take() {
            self.model = durable;
        }
        self.drain()
    }

    /// Another write on the same connection ended in a way that nobody knows.
    pub(super) fn break_connection(&mut self) -> Held {
        self.input(Input::Broken {
            reason: "made up".to_owned(),
        })?;
        self.must_have_exited()
    }

    fn must_have_exited(&mut self) -> Held {
        hold(self.exited, Law::NothingLost, || {
            "the process goes on though nobody knows what was written".to_owned()
        })?;
        self.crash()
    }

    fn undo_is_reload(&mut self) -> Held {
        let (Some(snapshot_writer), Some(machine)) = (&mut self.snapshot_writer, &self.machine)
        else {
            return Ok(());
        };
        let replayed = match snapshot_writer.rows(&self.disk) {
            Ok(replayed) => replayed,
            Err(error) => return broken(Law::SameRows, error.to_string()),
        };
        let undone = rows(machine.state());
        same_rows(
            Law::UndoIsReload,
            ("undo", &undone),
            ("a reload", &replayed),
        )
    }

    /// The disk is asked again whether it takes writes.
    pub(super) fn probe(&mut self) -> Held {
        self.probing = false;
        let written = !self.disk.full;
        self.note(|| format!("probe: {written}"));
        let outcome = if written {
            Append::Written
        } else {
            Append::NotWritten("still full".to_owned())
        };
        self.serving = written;
        self.input(Input::Probed(outcome))
    }

    /// Gives the machine an input that is no command.
    pub(super) fn input(&mut self, input: Input<u64>) -> Held {
        let clocks = self.clocks;
        if let Some(machine) = &mut self.machine {
            let believes = matches!(input, Input::TrustClock);
            machine.handle_input(input, clocks);
            self.model_clock.show(clocks, self.newest());
            if believes {
                self.model_clock.believe();
            }
        }
        self.drain()
    }

    /// The process dies, and with it all that was in memory.
    pub(super) fn crash(&mut self) -> Held {
        self.note(|| "crash".to_owned());
        self.tally.crashes += 1;
        self.machine = None;
        if let Some(carriers) = &mut self.carriers {
            carriers.crashed();
        }
        if let Some(snapshot_writer) = self.snapshot_writer.take() {
            self.tally.handed_on += snapshot_writer.handed_on;
        }
        self.decided = None;
        self.exited = false;
        self.serving = true;
        self.probing = false;
        self.flight = None;
        self.gathering = None;
        self.queue.clear();
        self.expected.clear();
        self.reads.clear();
        self.disk.cut_power();
        // Which of the two is so, the journal says.
        let newest = self.disk.newest();
        if let Some(durable) = self.durable.take()
            && newest <= self.tip.seq
        {
            self.model = durable;
        }
        self.tip.seq = newest;
        Ok(())
    }

    /// The process starts, from every beginning that the disk offers.
    pub(super) fn start(&mut self) -> Held {
        self.tally.starts += 1;
        let told = self.told;
        hold(told <= self.disk.newest(), Law::NothingLost, || {
            format!(
                "an answer rests on batch {told}, but the journal ends at {}",
                self.disk.newest()
            )
        })?;
        let mut first: Option<(String, Vec<maskline_domain::Row>)> = None;
        let mut started: Option<(State, Tip)> = None;
        for beginning in self.disk.beginnings(self.fault) {
            let name = match beginning {
                None => "a replay from the first batch".to_owned(),
                Some(seq) => format!("a replay from the snapshot of batch {seq}"),
            };
            let (state, tip) = match self.disk.start(beginning, self.fault) {
                Ok(started) => started,
                Err(error) => return broken(Law::SameRows, format!("{name}: {error}")),
            };
            let made = rows(&state);
            if let Some((other, others)) = &first {
                same_rows(Law::SameRows, (other.as_str(), others), (&name, &made))?;
            } else {
                first = Some((name, made));
            }
            started = Some((state, tip));
        }
        let (Some((state, tip)), Some((name, made))) = (started, first) else {
            return broken(Law::NothingLost, "nothing on the disk to begin with");
        };
        self.note(|| format!("start at batch {}", tip.seq));
        self.answer_log.look_for_all(&state, self.model.now)?;
        same_rows(
            Law::SameRows,
            (&name, &made),
            ("the model", &self.model.rows()),
        )?;
        self.tip = tip;
        self.snapshot_writer = Some(SnapshotWriter::new(state.clone(), tip, self.feed_bounds));
        self.model_clock = ModelClock::new();
        if let Some(carriers) = &mut self.carriers {
            carriers.started(self.fault);
        }
        self.machine = Some(if self.uses_reference {
            Machine::reference(state, tip, self.limits, self.fault)
        } else {
            Machine::real(state, tip, self.limits)
        });
        self.input(Input::Tick)
    }

    /// Compares the whole state with the model.
    pub(super) fn compare(&mut self) -> Held {
        let Some(machine) = &self.machine else {
            return Ok(());
        };
        if self.gathering.is_some() {
            return Ok(());
        }
        self.tally.compared += 1;
        let now = machine.now(self.clocks);
        let state = machine.state();
        same_rows(
            Law::SameRows,
            ("the state", &rows(state)),
            ("the model", &self.model.rows()),
        )?;
        one_owner(state, now)?;
        counts(state, &self.model, now)?;
        self.carriers_agree()
    }
}

fn tip_of(batch: &Batch) -> Tip {
    Tip {
        seq: batch.seq,
        hash: batch.hash,
    }
}
