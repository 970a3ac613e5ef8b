//! Anything but INVITE, the asking side (RFC 3261 section 17.1.2).

use super::{End, Reliability, Repeat, Step, Timing};
use crate::time::Time;

#[derive(Clone, Copy, Debug)]
enum State {
    /// Timers E (again) and F (give up).
    Trying(Repeat),
    /// A provisional response came: E goes on at T2, and F too.
    Proceeding(Repeat),
    /// The final response came; late copies are absorbed. Timer K.
    Completed(Time),
    Ended,
}

/// The client side of a request other than INVITE.
#[derive(Clone, Copy, Debug)]
pub struct PlainClient {
    state: State,
    timing: Timing,
    reliability: Reliability,
}

impl PlainClient {
    /// The request has just been sent.
    pub fn new(timing: Timing, reliability: Reliability, now: Time) -> Self {
        let repeat = Repeat::new(timing.t1, timing.timeout_64_t1(), reliability, now);
        Self {
            state: State::Trying(repeat),
            timing,
            reliability,
        }
    }

    /// Sends the request no more than so many times in all while nothing comes back.
    #[must_use]
    pub fn with_sends(mut self, sends: u8) -> Self {
        if let State::Trying(repeat) = &mut self.state {
            repeat.limit(sends);
        }
        self
    }

    /// A response came.
    pub fn on_response(&mut self, status: u16, now: Time) -> Step {
        match self.state {
            State::Trying(mut repeat) if status < 200 => {
                repeat.slow_down(self.timing.t2, now);
                self.state = State::Proceeding(repeat);
                Step::DELIVER
            }
            State::Proceeding(_) if status < 200 => Step::DELIVER,
            State::Trying(_) | State::Proceeding(_) => match self.reliability {
                Reliability::Unreliable => {
                    self.state = State::Completed(now + self.timing.t4);
                    Step::DELIVER
                }
                Reliability::Reliable => {
                    self.state = State::Ended;
                    Step {
                        end: Some(End::Done),
                        ..Step::DELIVER
                    }
                }
            },
            State::Completed(_) | State::Ended => Step::NOTHING,
        }
    }

    /// Time has passed.
    pub fn on_timeout(&mut self, now: Time) -> Step {
        let step = match &mut self.state {
            State::Trying(repeat) | State::Proceeding(repeat) => {
                repeat.on_timeout(now, self.timing.t2)
            }
            State::Completed(until) if now >= *until => Step::DONE,
            _ => Step::NOTHING,
        };
        if step.end.is_some() {
            self.state = State::Ended;
        }
        step
    }

    /// Whether no response has come yet.
    pub fn is_trying(&self) -> bool {
        matches!(self.state, State::Trying(_))
    }

    /// When time matters next.
    pub fn deadline(&self) -> Option<Time> {
        match self.state {
            State::Trying(repeat) | State::Proceeding(repeat) => Some(repeat.deadline()),
            State::Completed(until) => Some(until),
            State::Ended => None,
        }
    }
}
