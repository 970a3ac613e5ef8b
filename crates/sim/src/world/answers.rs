//! What comes out of the machine: batches, answers, and what they must be.

use maskline_journal::Codec;
use std::collections::VecDeque;
use std::sync::Arc;

use maskline_domain::{Actor, Entry, Envelope, Event, Outcome, Refusal, Timestamp};
use maskline_journal::batch::Batch;
use maskline_journal::payload::v1::writer;
use maskline_journal::payload::{self, Draft, Opened};
use maskline_journal::pipeline::{Input, Output, SubmitError};
use maskline_journal::replay;

use crate::faults::Fault;
use crate::laws::{Broken, Held, Law, broken, hold};
use crate::model::verify::{Answer, Circumstances, is_allowed};
use crate::world::{Caller, Expected, Waiting, World};

/// Commands decided together, until it is known whether they made a batch.
#[derive(Debug, Default)]
pub(super) struct Round {
    decided: Vec<Decided>,
    /// Answers that came before the batch.
    answers: Vec<(Caller, Answer)>,
    /// It was begun while another batch was in flight, on which its answers rest before it makes one of its own.
    rests_on_flight: bool,
}

/// A command that has been decided.
#[derive(Debug)]
struct Decided {
    waiting: Waiting,
    at: Timestamp,
    clocks_disagree: bool,
}

impl Round {
    /// Whom it has to answer.
    pub fn into_callers(self) -> impl Iterator<Item = (Caller, Envelope)> {
        let waiting = self.decided.into_iter().map(|decided| decided.waiting);
        waiting.map(|waiting| (waiting.caller, waiting.envelope))
    }
}

impl World {
    /// Hands a command in.
    pub(super) fn submit(&mut self, mut envelope: Envelope, deadline_ms: Option<u64>) -> Held {
        let seed = self.chance.bytes();
        let clocks = self.clocks;
        let Some(machine) = &mut self.machine else {
            return Ok(());
        };
        let caller = self.next_caller;
        self.next_caller += 1;
        self.tally.commands += 1;
        if let Some(carriers) = &mut self.carriers {
            carriers.came(caller, &mut envelope);
        }
        let is_full = machine.queued() >= self.limits.queue_max;
        machine.handle_input(
            Input::Submit {
                caller,
                envelope: Box::new(envelope.clone()),
                seed,
                deadline_ms,
            },
            clocks,
        );
        self.model_clock.show(clocks, self.newest());
        self.note(|| format!("caller {caller}: {envelope:?}, until {deadline_ms:?}"));
        self.answer_log.asked(&envelope);
        let at_once = if !self.serving {
            Some(SubmitError::NotDurable)
        } else if is_full {
            Some(SubmitError::Busy)
        } else {
            None
        };
        match at_once {
            Some(error) => self.expect(caller, envelope, vec![Err(error)], 0),
            None => self.queue.push_back(Waiting {
                caller,
                envelope,
                deadline_ms,
            }),
        }
        Ok(())
    }

    pub(super) fn expect(
        &mut self,
        caller: Caller,
        envelope: Envelope,
        allowed: Vec<Answer>,
        rests_on: u64,
    ) {
        let expected = Expected {
            envelope,
            allowed,
            rests_on,
            decided_at: self.model.now,
        };
        self.expected.insert(caller, expected);
    }

    /// The newest time that the machine has decided at: what it gathers is in no model yet.
    pub(super) fn newest(&self) -> Timestamp {
        match (&self.machine, &self.gathering) {
            (Some(machine), Some(_)) => machine.state().now(),
            _ => self.model.now,
        }
    }

    /// Carries out all that the machine wants, except to finish an append.
    pub(super) fn drain(&mut self) -> Held {
        let mut gathers = false;
        let mut released: Vec<(Caller, Answer)> = Vec::new();
        loop {
            let at = self.model_clock.to_decide(self.newest());
            let Some(machine) = &mut self.machine else {
                return Ok(());
            };
            let queued = machine.queued();
            let output = machine.poll_output();
            let decided = queued.saturating_sub(machine.queued());
            if decided > 0 {
                let is_next = |round: &mut Round| !gathers && !round.rests_on_flight;
                if let Some(round) = self.gathering.take_if(is_next) {
                    self.close(round, None)?;
                }
                gathers = false;
                self.gather(decided, at)?;
            }
            match output {
                None => break,
                Some(Output::Append(draft)) => {
                    let round = self.gathering.take().unwrap_or_default();
                    self.append(draft, round)?;
                }
                Some(Output::Answer { caller, answer }) => {
                    if let Some(early) = self.release(caller, answer)? {
                        released.push(early);
                    }
                }
                Some(Output::Decided { .. }) => {
                    gathers = true;
                    self.read_meanwhile()?;
                }
                Some(Output::Settled { durable }) => self.settle_reads(durable)?,
                Some(Output::Probe) => self.probing = true,
                Some(Output::Exit { reason }) => {
                    self.note(|| format!("exit: {reason}"));
                    self.exited = true;
                    self.gathering = None;
                }
            }
        }
        if self.flight.is_none()
            && let Some(round) = self.gathering.take()
        {
            self.close(round, None)?;
        }
        self.deliver(released)?;
        let idle = self.queue.is_empty() && self.flight.is_none() && !self.exited;
        hold(!idle || self.expected.is_empty(), Law::RightAnswer, || {
            format!("nobody answers {:?}", self.expected.keys())
        })
    }

    /// So many of those that wait were decided at this time.
    fn gather(&mut self, decided: usize, at: Timestamp) -> Held {
        let known = self.queue.len();
        hold(decided <= known, Law::RightAnswer, || {
            format!("{decided} commands were decided, but only {known} wait")
        })?;
        let clocks_disagree = self.model_clock.clocks_disagree();
        let mut round = self.gathering.take().unwrap_or_else(|| Round {
            rests_on_flight: self.flight.is_some(),
            ..Round::default()
        });
        for waiting in self.queue.drain(..decided).collect::<Vec<_>>() {
            if (waiting.deadline_ms).is_some_and(|d| d <= self.clocks.monotonic_ms) {
                let late = vec![Err(SubmitError::Deadline)];
                self.expect(waiting.caller, waiting.envelope, late, 0);
                continue;
            }
            round.decided.push(Decided {
                waiting,
                at,
                clocks_disagree,
            });
        }
        let now = (self.machine.as_ref()).map_or(self.model.now, |machine| machine.state().now());
        let is_theirs = now == self.model.now || round.decided.iter().any(|d| d.at == now);
        self.gathering = Some(round);
        hold(is_theirs, Law::Time, || {
            format!("the state is of {}, when nothing was decided", now.0)
        })
    }

    /// An answer that comes out of the machine. Gives it back if it may be told now; else it is told, and judged, with
    /// the batch.
    fn release(
        &mut self,
        caller: Caller,
        answer: Answer,
    ) -> Result<Option<(Caller, Answer)>, Broken> {
        let Some(round) = &mut self.gathering else {
            return Ok(Some((caller, answer)));
        };
        if self.expected.contains_key(&caller) {
            return Ok(Some((caller, answer)));
        }
        if let Some(batch) = &self.flight {
            // It is told while that may yet be lost on which it rests, whatever becomes of its own.
            self.told = self.told.max(batch.seq);
        }
        if !round.rests_on_flight || self.flight.is_some() {
            round.answers.push((caller, answer));
            return Ok(None);
        }
        // Whoever was decided up to this one has changed nothing, or there would be a batch to wait for.
        let is_theirs = |decided: &Decided| decided.waiting.caller == caller;
        if let Some(place) = round.decided.iter().position(is_theirs) {
            let decided = round.decided.drain(..=place).collect();
            let before = Round {
                decided,
                ..Round::default()
            };
            self.close(before, None)?;
        }
        Ok(Some((caller, answer)))
    }

    /// Brings answers to their callers, rightly or not.
    fn deliver(&mut self, mut answers: Vec<(Caller, Answer)>) -> Held {
        if self.plants(Fault::AnswersExchanged) && answers.len() > 1 && self.chance.one_in(20) {
            let (one, other) = (answers[0].0, answers[1].0);
            answers[0].0 = other;
            answers[1].0 = one;
        }
        for (caller, answer) in answers {
            if self.plants(Fault::AnswerForgotten) && self.chance.one_in(500) {
                continue;
            }
            if self.plants(Fault::AnswerGivenTwice) && self.chance.one_in(500) {
                self.answered(caller, answer.clone())?;
            }
            self.answered(caller, answer)?;
        }
        Ok(())
    }

    fn append(&mut self, draft: Draft, round: Round) -> Held {
        let codec = &self.disk.codec.clone();
        let memory = draft.memory();
        let (mut batch, mut decided) = replay::seal(draft, codec).expect("no bound");
        if batch.seq <= self.form_1_upto {
            batch = in_form_1(batch, codec);
            decided.tip.hash = batch.hash;
            decided.bytes = (batch.payload.len() + batch.personal.len()) as u64;
        }
        self.decided = match self.fault {
            // What is written wrongly is handed on as wrongly.
            Some(fault) => {
                batch = spoil(batch, fault, codec);
                replay::decode(&mut self.tip.clone(), &batch, codec).ok()
            }
            None => Some(decided),
        }
        .map(|decided| (Arc::new(decided), memory));
        self.close(round, Some(&batch))?;
        self.flight = Some(batch);
        Ok(())
    }

    /// Judges the commands of a round by the batch that they made.
    fn close(&mut self, round: Round, batch: Option<&Batch>) -> Held {
        let mut entries = VecDeque::new();
        let mut rests_on = self.tip.seq;
        let before = self.model.now;
        if let Some(batch) = batch {
            let follows = (batch.seq, batch.prev_hash) == (self.tip.seq + 1, self.tip.hash);
            hold(follows, Law::SameRows, || {
                format!("batch {} does not follow {:?}", batch.seq, self.tip)
            })?;
            let is_of_a_decision = round.decided.iter().any(|decided| decided.at.0 == batch.at);
            hold(is_of_a_decision && batch.at >= before.0, Law::Time, || {
                format!(
                    "batch {} is of {}, when nothing was decided, the journal of {}",
                    batch.seq, batch.at, before.0
                )
            })?;
            match payload::open(batch, &self.disk.codec) {
                Ok(opened) => {
                    let decided = self.decided.as_ref().map(|(decided, _)| &decided.opened);
                    hold(decided.is_none_or(|d| *d == opened), Law::SameRows, || {
                        format!("batch {} is handed on other than it is written", batch.seq)
                    })?;
                    entries.extend(opened.entries);
                }
                Err(error) => return broken(Law::SameRows, error.to_string()),
            }
            self.durable = Some(self.model.clone());
            self.model.now = Timestamp(batch.at);
        }
        let mut newest = before;
        for decided in round.decided {
            let Decided {
                waiting: Waiting {
                    caller, envelope, ..
                },
                at,
                clocks_disagree,
            } = decided;
            let entry = entries.pop_front_if(|entry| is_of(entry, &envelope));
            if let (Some(_), Some(batch)) = (&entry, batch) {
                rests_on = batch.seq;
                newest = at;
            }
            let events = entry.as_ref().map(|entry| entry.events.as_slice());
            let circumstances = Circumstances {
                now: at,
                clocks_disagree,
                events_max: self.limits.command_events_max,
            };
            let allowed = self.model.verify(&envelope, events, circumstances)?;
            let expected = Expected {
                envelope,
                allowed,
                rests_on,
                decided_at: at,
            };
            self.expected.insert(caller, expected);
        }
        hold(entries.is_empty(), Law::RightAnswer, || {
            format!("nobody asked for {entries:?}")
        })?;
        if let Some(batch) = batch {
            hold(batch.at == newest.0, Law::Time, || {
                format!(
                    "batch {} is of {}, its last command of {}",
                    batch.seq, batch.at, newest.0
                )
            })?;
        }
        self.deliver(round.answers)
    }

    fn answered(&mut self, caller: Caller, answer: Answer) -> Held {
        let Some(expected) = self.expected.remove(&caller) else {
            return broken(
                Law::RightAnswer,
                format!("caller {caller} waits for no answer, but gets {answer:?}"),
            );
        };
        self.note(|| format!("caller {caller} is told {answer:?}"));
        let Expected {
            envelope,
            allowed,
            rests_on,
            decided_at,
        } = expected;
        let law = match allowed.as_slice() {
            [Err(SubmitError::Refused(Refusal::CommandRepeated))] => Law::OnceOnly,
            _ => Law::RightAnswer,
        };
        hold(is_allowed(&answer, &allowed), law, || {
            format!("{envelope:?} is told {answer:?}, not {allowed:?}")
        })?;
        self.tally_answer(&answer);
        let rests = rests_on_state(&answer);
        let told = self.carriers_answered(caller, &envelope, answer, decided_at)?;
        if let Some(answer) = told {
            self.answer_log.told(&envelope, &answer, decided_at)?;
        }
        if rests {
            self.told = self.told.max(rests_on);
        }
        Ok(())
    }

    fn tally_answer(&mut self, answer: &Answer) {
        let tally = &mut self.tally;
        match answer {
            Ok(outcome) => {
                tally.done += 1;
                tally.bound += u64::from(matches!(outcome, Outcome::Bound(_)));
            }
            Err(SubmitError::Refused(refusal)) => {
                tally.refused += 1;
                tally.repeated += u64::from(*refusal == Refusal::CommandRepeated);
            }
            Err(_) => tally.turned_away += 1,
        }
    }

    /// The present time by both clocks, for those who ask for an end.
    pub(super) fn about_now(&self) -> Timestamp {
        self.clocks.wall.max(self.model.now)
    }
}

/// Whether an answer says something about the state.
fn rests_on_state(answer: &Answer) -> bool {
    match answer {
        Err(
            SubmitError::NotDurable
            | SubmitError::Busy
            | SubmitError::Deadline
            | SubmitError::Closed,
        ) => false,
        Ok(_)
        | Err(SubmitError::Refused(_) | SubmitError::ClocksDisagree | SubmitError::TooLarge) => {
            true
        }
    }
}

/// Whether an entry is what this command did. Operators and jobs give each
/// command under a name of its own; customers' commands have ids.
fn is_of(entry: &Entry, envelope: &Envelope) -> bool {
    let id_is_its = match (&envelope.by, entry.events.first()) {
        (Actor::Customer { .. }, Some(Event::CommandAnswered { id, .. })) => {
            envelope.id.is_some_and(|given| given.id == *id)
        }
        // The mark is missing; the model will say so.
        (Actor::Customer { .. }, _) | (Actor::Operator { .. } | Actor::Job { .. }, _) => true,
    };
    entry.by == envelope.by && id_is_its
}

/// The same batch as a program before form 2 would have written it.
fn in_form_1(batch: Batch, codec: &Codec) -> Batch {
    match payload::open(&batch, codec) {
        Ok(Opened { at, entries, .. }) => {
            let place = (batch.seq, at);
            writer::write(place, batch.prev_hash, [9; 32], entries, codec)
        }
        // Whoever judges it will say so.
        Err(_) => batch,
    }
}

/// Writes a batch anew as a fault would have it.
fn spoil(batch: Batch, fault: Fault, codec: &Codec) -> Batch {
    let faults = [
        Fault::NonceNotJournalled,
        Fault::EntriesReversed,
        Fault::PersonalValuesLost,
    ];
    let Some(opened) = faults
        .contains(&fault)
        .then(|| payload::open(&batch, codec).ok())
        .flatten()
    else {
        return batch;
    };
    let mut entries = opened.entries;
    if fault == Fault::EntriesReversed {
        entries.reverse();
    }
    let mut draft = Draft::new(batch.seq, opened.at, batch.prev_hash, [7; 32]);
    for Entry { by, mut events } in entries {
        if fault == Fault::NonceNotJournalled {
            events.retain(|event| !matches!(event, Event::CommandAnswered { .. }));
        }
        if fault == Fault::PersonalValuesLost {
            events = events.into_iter().map(|event| event.split().0).collect();
        }
        draft.push(by, events, usize::MAX);
    }
    draft.seal(codec).expect("no bound")
}
