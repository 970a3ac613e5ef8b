//! What comes out of the machine: batches, answers, and what they must be.

use maskline_journal::Compression;
use std::collections::VecDeque;
use std::sync::Arc;

use maskline_domain::{Actor, Entry, Envelope, Event, Outcome, Refusal, Timestamp};
use maskline_journal::batch::Batch;
use maskline_journal::payload::v1::writer;
use maskline_journal::payload::{self, Draft, Opened};
use maskline_journal::pipeline::{Input, Output, SubmitError};
use maskline_journal::replay;

use crate::faults::Fault;
use crate::laws::{Held, Law, broken, hold};
use crate::model::verify::{Answer, Circumstances, is_allowed};
use crate::world::{Caller, Expected, Waiting, World};

/// Commands decided together, until it is known whether they made a batch.
#[derive(Default)]
struct Round {
    decided: Vec<Waiting>,
    /// Answers that came before the batch.
    answers: Vec<(Caller, Answer)>,
}

impl World {
    /// Hands a command in.
    pub(super) fn submit(&mut self, envelope: Envelope, deadline_ms: Option<u64>) -> Held {
        let seed = self.chance.bytes();
        let clocks = self.clocks;
        let Some(machine) = &mut self.machine else {
            return Ok(());
        };
        let caller = self.next_caller;
        self.next_caller += 1;
        self.tally.commands += 1;
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
        self.model_clock.show(clocks, self.model.now);
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

    /// Carries out all that the machine wants, except to finish an append.
    pub(super) fn drain(&mut self) -> Held {
        let mut round = None;
        let mut gathers = false;
        let mut released: Vec<(Caller, Answer)> = Vec::new();
        loop {
            let Some(machine) = &mut self.machine else {
                return Ok(());
            };
            let queued = machine.queued();
            let output = machine.poll_output();
            let decided = queued.saturating_sub(machine.queued());
            if decided > 0 {
                if let Some(round) = round.take_if(|_| !gathers) {
                    self.close(round, None)?;
                }
                gathers = false;
                let known = self.queue.len();
                hold(decided <= known, Law::RightAnswer, || {
                    format!("{decided} commands were decided, but only {known} wait")
                })?;
                let round: &mut Round = round.get_or_insert_default();
                round.decided.extend(self.queue.drain(..decided));
            }
            match output {
                None => break,
                Some(Output::Append(draft)) => {
                    let round = round.take().unwrap_or_default();
                    self.append(draft, round)?;
                }
                Some(Output::Answer { caller, answer }) => match &mut round {
                    Some(round) => round.answers.push((caller, answer)),
                    None => released.push((caller, answer)),
                },
                Some(Output::Decided { .. }) => {
                    gathers = true;
                    self.read_meanwhile()?;
                }
                Some(Output::Settled { durable }) => self.settle_reads(durable)?,
                Some(Output::Probe) => self.probing = true,
                Some(Output::Exit { reason }) => {
                    self.note(|| format!("exit: {reason}"));
                    self.exited = true;
                }
            }
        }
        if let Some(round) = round.take() {
            self.close(round, None)?;
        }
        self.deliver(released)?;
        let idle = self.queue.is_empty() && self.flight.is_none() && !self.exited;
        hold(!idle || self.expected.is_empty(), Law::RightAnswer, || {
            format!("nobody answers {:?}", self.expected.keys())
        })
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
        let compression = self.disk.compression;
        let memory = draft.memory();
        let (mut batch, mut decided) = replay::seal(draft, compression);
        if batch.seq <= self.form_1_upto {
            batch = in_form_1(batch, compression);
            decided.tip.hash = batch.hash;
            decided.bytes = (batch.payload.len() + batch.personal.len()) as u64;
        }
        self.decided = match self.fault {
            // What is written wrongly is handed on as wrongly.
            Some(fault) => {
                batch = spoil(batch, fault, compression);
                replay::decode(&mut self.tip.clone(), &batch, compression).ok()
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
        let now = self.model_clock.to_decide(self.model.now);
        let mut entries = VecDeque::new();
        let mut rests_on = self.tip.seq;
        if let Some(batch) = batch {
            let follows = (batch.seq, batch.prev_hash) == (self.tip.seq + 1, self.tip.hash);
            hold(follows, Law::SameRows, || {
                format!("batch {} does not follow {:?}", batch.seq, self.tip)
            })?;
            hold(
                batch.at == now.0 && now >= self.model.now,
                Law::Time,
                || {
                    format!(
                        "batch {} is of {}, the clocks give {}, the journal {}",
                        batch.seq, batch.at, now.0, self.model.now.0
                    )
                },
            )?;
            match payload::open(batch, self.disk.compression) {
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
            self.model.now = now;
        }
        let circumstances = Circumstances {
            now,
            clocks_disagree: self.model_clock.clocks_disagree(),
            events_max: self.limits.command_events_max,
        };
        for waiting in round.decided {
            let Waiting {
                caller,
                envelope,
                deadline_ms,
            } = waiting;
            let allowed = if deadline_ms.is_some_and(|d| d <= self.clocks.monotonic_ms) {
                vec![Err(SubmitError::Deadline)]
            } else {
                let entry = entries.pop_front_if(|entry| is_of(entry, &envelope));
                if let (Some(_), Some(batch)) = (&entry, batch) {
                    rests_on = batch.seq;
                }
                let events = entry.as_ref().map(|entry| entry.events.as_slice());
                self.model.verify(&envelope, events, circumstances)?
            };
            let expected = Expected {
                envelope,
                allowed,
                rests_on,
                decided_at: now,
            };
            self.expected.insert(caller, expected);
        }
        hold(entries.is_empty(), Law::RightAnswer, || {
            format!("nobody asked for {entries:?}")
        })?;
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
        self.answer_log.told(&envelope, &answer, decided_at)?;
        self.tally_answer(&answer);
        match answer {
            // These say nothing about the state.
            Err(
                SubmitError::NotDurable
                | SubmitError::Busy
                | SubmitError::Deadline
                | SubmitError::Closed,
            ) => {}
            Ok(_)
            | Err(SubmitError::Refused(_) | SubmitError::ClocksDisagree | SubmitError::TooLarge) => {
                self.told = self.told.max(rests_on);
            }
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
fn in_form_1(batch: Batch, compression: &dyn Compression) -> Batch {
    match payload::open(&batch, compression) {
        Ok(Opened { at, entries, .. }) => {
            let place = (batch.seq, at);
            writer::write(place, batch.prev_hash, [9; 32], entries, compression)
        }
        // Whoever judges it will say so.
        Err(_) => batch,
    }
}

/// Writes a batch anew as a fault would have it.
fn spoil(batch: Batch, fault: Fault, compression: &dyn Compression) -> Batch {
    let faults = [
        Fault::NonceNotJournalled,
        Fault::EntriesReversed,
        Fault::PersonalValuesLost,
    ];
    let Some(opened) = faults
        .contains(&fault)
        .then(|| payload::open(&batch, compression).ok())
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
    draft.seal(compression)
}
