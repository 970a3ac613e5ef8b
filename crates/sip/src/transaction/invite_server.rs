//! INVITE, the answering side (RFC 3261 section 17.2.1, RFC 6026 section 8.7).

use super::{Reliability, Repeat, Step, Timing};
use crate::time::Time;

#[derive(Clone, Copy, Debug)]
enum State {
    /// Not answered yet.
    Proceeding,
    /// A failure was sent. Timers G (again) and H (give up waiting for ACK).
    Completed(Repeat),
    /// The failure was acknowledged; late copies of the ACK are absorbed. Timer I.
    Confirmed(Time),
    /// A success was sent; repeating it is the dialog's work, copies of the INVITE are absorbed. Timer L.
    Accepted(Time),
    Ended,
}

/// The server side of an INVITE.
#[derive(Clone, Copy, Debug)]
pub struct InviteServer {
    state: State,
    timing: Timing,
    reliability: Reliability,
}

impl InviteServer {
    /// The request has just come.
    pub fn new(timing: Timing, reliability: Reliability) -> Self {
        Self {
            state: State::Proceeding,
            timing,
            reliability,
        }
    }

    /// The user answers. True if the response is to be sent; false if an earlier final one stands.
    pub fn respond(&mut self, status: u16, now: Time) -> bool {
        if !matches!(self.state, State::Proceeding) {
            return false;
        }
        match status {
            100..=199 => {}
            200..=299 => self.state = State::Accepted(now + self.timing.timeout_64_t1()),
            _ => {
                let repeat = Repeat::new(
                    self.timing.t1,
                    self.timing.timeout_64_t1(),
                    self.reliability,
                    now,
                );
                self.state = State::Completed(repeat);
            }
        }
        true
    }

    /// The INVITE came once more.
    pub fn on_request(&mut self) -> Step {
        match self.state {
            State::Proceeding | State::Completed(_) => Step::SEND,
            State::Confirmed(_) | State::Accepted(_) | State::Ended => Step::NOTHING,
        }
    }

    /// An ACK came that belongs to this INVITE. It is delivered only when it acknowledges a success.
    pub fn on_ack(&mut self, now: Time) -> Step {
        match (self.state, self.reliability) {
            (State::Completed(_), Reliability::Unreliable) => {
                self.state = State::Confirmed(now + self.timing.t4);
                Step::NOTHING
            }
            (State::Completed(_), Reliability::Reliable) => {
                self.state = State::Ended;
                Step::DONE
            }
            (State::Accepted(_), _) => Step::DELIVER,
            _ => Step::NOTHING,
        }
    }

    /// Time has passed.
    pub fn on_timeout(&mut self, now: Time) -> Step {
        let step = match &mut self.state {
            State::Completed(repeat) => repeat.on_timeout(now, self.timing.t2),
            State::Confirmed(until) | State::Accepted(until) if now >= *until => Step::DONE,
            _ => Step::NOTHING,
        };
        if step.end.is_some() {
            self.state = State::Ended;
        }
        step
    }

    /// When time matters next.
    pub fn deadline(&self) -> Option<Time> {
        match self.state {
            State::Completed(repeat) => Some(repeat.deadline()),
            State::Confirmed(until) | State::Accepted(until) => Some(until),
            State::Proceeding | State::Ended => None,
        }
    }

    /// Whether a failure was sent whose ACK has not come.
    pub fn is_unconfirmed(&self) -> bool {
        matches!(self.state, State::Completed(_))
    }

    /// Whether no final response was given yet.
    pub fn is_proceeding(&self) -> bool {
        matches!(self.state, State::Proceeding)
    }
}
