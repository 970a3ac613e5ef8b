//! Anything but INVITE, the answering side (RFC 3261 section 17.2.2).

use super::{Reliability, Step, Timing};
use crate::time::Time;

#[derive(Clone, Copy, Debug)]
enum State {
    /// Not answered; copies of the request are dropped.
    Trying,
    /// Answered provisionally; a copy gets the same again.
    Proceeding,
    /// Answered; a copy gets the same again. Timer J.
    Completed(Time),
    Ended,
}

/// The server side of a request other than INVITE.
#[derive(Clone, Copy, Debug)]
pub struct PlainServer {
    state: State,
    timing: Timing,
    reliability: Reliability,
}

impl PlainServer {
    /// The request has just come.
    pub fn new(timing: Timing, reliability: Reliability) -> Self {
        Self {
            state: State::Trying,
            timing,
            reliability,
        }
    }

    /// The user answers. True if the response is to be sent; false if an earlier final one stands.
    pub fn respond(&mut self, status: u16, now: Time) -> bool {
        if !matches!(self.state, State::Trying | State::Proceeding) {
            return false;
        }
        self.state = match (status, self.reliability) {
            (100..=199, _) => State::Proceeding,
            (_, Reliability::Unreliable) => State::Completed(now + self.timing.timeout_64_t1()),
            (_, Reliability::Reliable) => State::Completed(now),
        };
        true
    }

    /// The request came once more.
    pub fn on_request(&mut self) -> Step {
        match self.state {
            State::Proceeding | State::Completed(_) => Step::SEND,
            State::Trying | State::Ended => Step::NOTHING,
        }
    }

    /// Time has passed.
    pub fn on_timeout(&mut self, now: Time) -> Step {
        match self.state {
            State::Completed(until) if now >= until => {
                self.state = State::Ended;
                Step::DONE
            }
            _ => Step::NOTHING,
        }
    }

    /// Whether a final response was given.
    pub fn is_final(&self) -> bool {
        matches!(self.state, State::Completed(_))
    }

    /// When time matters next.
    pub fn deadline(&self) -> Option<Time> {
        match self.state {
            State::Completed(until) => Some(until),
            State::Trying | State::Proceeding | State::Ended => None,
        }
    }
}
