//! Hands inputs to the pipeline while the state is held, and does what can be done at once.

use std::sync::Arc;
use std::time::{Duration, Instant};

use maskline_domain::{Outcome, visits};
use maskline_journal::payload::Draft;
use maskline_journal::pipeline::{Input, Output, SubmitError};
use parking_lot::RwLockWriteGuard;
use tokio::sync::{mpsc, watch};

use super::super::{Caller, Shared};
use super::Unknown;
use crate::clocks;

/// While it decides a batch, the state is let go after so many commands and events: to hand it over costs as much as
/// some commands, and so many look at fewer than a thousand things, with the last of them one that does
/// [`AT_ONCE`](maskline_domain::ops::AT_ONCE) things.
const HELD_WORK: u64 = 12;
/// And in any case after so long: a refusal without events may have looked at much.
const HELD_FOR: Duration = Duration::from_micros(100);
/// Commands taken out of the channel at a time.
const TAKEN_AT_A_TIME: usize = 512;

/// What the pipeline wants done next.
pub(super) enum Wanted {
    Append(Draft),
    Probe,
    Nothing,
}

/// The commands that come, and what becomes of them.
pub(super) struct Turns {
    shared: Arc<Shared>,
    submissions: mpsc::Receiver<Input<Caller>>,
    taken: Vec<Input<Caller>>,
    /// Tell waiting reads of the batches that can be unsettled: the older one, and the one after it.
    append_outcomes: [watch::Sender<Option<bool>>; 2],
    answers: Vec<(Caller, Result<Outcome, SubmitError>)>,
    was_serving: bool,
}

impl Turns {
    pub fn new(shared: Arc<Shared>, submissions: mpsc::Receiver<Input<Caller>>) -> Self {
        let append_outcomes = [(); 2].map(|()| watch::channel(None).0);
        shared.core.write().append_outcomes =
            append_outcomes.each_ref().map(|sender| sender.subscribe());
        Self {
            shared,
            submissions,
            taken: Vec::with_capacity(TAKEN_AT_A_TIME),
            append_outcomes,
            answers: Vec::new(),
            was_serving: true,
        }
    }

    /// Whether commands are waiting to be decided.
    pub fn is_pressed(&self) -> bool {
        !self.taken.is_empty() || !self.submissions.is_empty()
    }

    /// Waits for a command, to be taken in with the next turn; `false` when none will come.
    pub async fn submitted(&mut self) -> bool {
        match self.submissions.recv().await {
            Some(input) => {
                self.taken.push(input);
                true
            }
            None => false,
        }
    }

    /// Takes no more than have been sent.
    pub fn close(&mut self) {
        self.submissions.close();
    }

    /// Hands the commands that wait to the pipeline.
    pub fn take_in(&mut self) -> Result<Wanted, Unknown> {
        let mut taken = std::mem::take(&mut self.taken);
        while taken.len() < TAKEN_AT_A_TIME {
            match self.submissions.try_recv() {
                Ok(input) => taken.push(input),
                Err(_) => break,
            }
        }
        let wanted = self.turn_all(taken.drain(..));
        self.taken = taken;
        wanted
    }

    /// Hands one input to the pipeline.
    pub fn turn(&mut self, input: Input<Caller>) -> Result<Wanted, Unknown> {
        self.turn_all(std::iter::once(input))
    }

    /// Hands inputs to the pipeline and does what can be done at once.
    fn turn_all(&mut self, inputs: impl Iterator<Item = Input<Caller>>) -> Result<Wanted, Unknown> {
        let now = clocks::read();
        let mut wanted = Wanted::Nothing;
        let mut core = self.shared.core.write();
        let (mut work, mut held_since, mut visited) = (0, Instant::now(), visits::count());
        core.pipeline.handle_input(Input::Tick, now);
        for input in inputs {
            core.pipeline.handle_input(input, now);
        }
        while let Some(output) = core.pipeline.poll_output() {
            match output {
                Output::Answer { caller, answer } => self.answers.push((caller, answer)),
                // A large batch takes longer to decide than a call or a request should wait.
                Output::Decided { events } => {
                    work += 1 + events;
                    if work >= HELD_WORK || held_since.elapsed() >= HELD_FOR {
                        self.shared.note_visits(visited);
                        RwLockWriteGuard::bump(&mut core);
                        (work, held_since, visited) = (0, Instant::now(), visits::count());
                    }
                }
                Output::Settled { durable } => {
                    // Who is woken may go on to the history, up to the batch that is told here.
                    let tip = core.pipeline.tip().seq;
                    self.shared.tip.send_if_modified(|known| {
                        let is_news = *known != tip;
                        *known = tip;
                        is_news
                    });
                    let [settled, next] = &mut self.append_outcomes;
                    settled.send_replace(Some(durable));
                    *settled = std::mem::replace(next, watch::channel(None).0);
                    core.append_outcomes = [settled.subscribe(), next.subscribe()];
                }
                // What has queued beyond it is decided while it is appended.
                Output::Append(draft) => {
                    wanted = Wanted::Append(draft);
                    break;
                }
                Output::Probe => wanted = Wanted::Probe,
                Output::Exit { reason } => return Err(Unknown(reason)),
            }
        }
        self.shared.note_visits(visited);
        let serving = core.pipeline.takes_commands();
        drop(core);
        if serving != self.was_serving {
            self.was_serving = serving;
            if serving {
                tracing::info!("the disk takes writes again");
            }
        }
        // A caller who has left is answered by nobody's loss.
        for (caller, answer) in self.answers.drain(..) {
            let _ = caller.send(answer);
        }
        Ok(wanted)
    }
}
