//! INVITE, the asking side (RFC 3261 section 17.1.1, RFC 6026 section 8.4).

use super::{End, Reliability, Repeat, Step, Timing};
use crate::time::Time;
use std::time::Duration;

#[derive(Clone, Copy, Debug)]
enum State {
    /// Nothing heard yet. Timers A (again) and B (give up).
    Calling(Repeat),
    /// A provisional response came. How long the telephone may ring is decided above, unless there is a limit.
    Proceeding(Option<Time>),
    /// A failure came and was acknowledged. Timer D.
    Completed(Time),
    /// A success came; further ones are passed on. Timer M.
    Accepted(Time),
    Ended,
}

/// The client side of an INVITE.
#[derive(Clone, Copy, Debug)]
pub struct InviteClient {
    state: State,
    timing: Timing,
    reliability: Reliability,
    limit: Option<Duration>,
}

impl InviteClient {
    /// The request has just been sent.
    pub fn new(timing: Timing, reliability: Reliability, now: Time) -> Self {
        let repeat = Repeat::new(timing.t1, timing.timeout_64_t1(), reliability, now);
        Self {
            state: State::Calling(repeat),
            timing,
            reliability,
            limit: None,
        }
    }

    /// Gives up this long after a provisional response. An INVITE within a dialog rings nobody's telephone.
    pub fn with_limit(self, limit: Duration) -> Self {
        Self {
            limit: Some(limit),
            ..self
        }
    }

    /// Sends the request no more than so many times in all while nothing comes back.
    #[must_use]
    pub fn with_sends(mut self, sends: u8) -> Self {
        if let State::Calling(repeat) = &mut self.state {
            repeat.limit(sends);
        }
        self
    }

    /// A response came.
    pub fn on_response(&mut self, status: u16, now: Time) -> Step {
        match (self.state, status) {
            (State::Calling(_), 100..=199) => {
                self.state = State::Proceeding(self.limit.map(|limit| now + limit));
                Step::DELIVER
            }
            (State::Proceeding(_), 100..=199) => Step::DELIVER,
            (State::Calling(_) | State::Proceeding(_), 200..=299) => {
                self.state = State::Accepted(now + self.timing.timeout_64_t1());
                Step::DELIVER
            }
            (State::Calling(_) | State::Proceeding(_), _) => {
                let end = match self.reliability {
                    Reliability::Unreliable => {
                        self.state = State::Completed(now + self.timing.timeout_64_t1());
                        None
                    }
                    Reliability::Reliable => {
                        self.state = State::Ended;
                        Some(End::Done)
                    }
                };
                Step {
                    ack: true,
                    deliver: true,
                    end,
                    ..Step::NOTHING
                }
            }
            (State::Completed(_), 300..) => Step {
                ack: true,
                ..Step::NOTHING
            },
            (State::Accepted(_), 200..=299) => Step::DELIVER,
            _ => Step::NOTHING,
        }
    }

    /// Time has passed.
    pub fn on_timeout(&mut self, now: Time) -> Step {
        let step = match &mut self.state {
            // Timer A doubles without a limit; only timer B stops it.
            State::Calling(repeat) => repeat.on_timeout(now, Duration::MAX),
            State::Proceeding(Some(until)) if now >= *until => Step::TIMED_OUT,
            State::Completed(until) | State::Accepted(until) if now >= *until => Step::DONE,
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
            State::Calling(repeat) => Some(repeat.deadline()),
            State::Completed(until) | State::Accepted(until) => Some(until),
            State::Proceeding(until) => until,
            State::Ended => None,
        }
    }

    /// Whether a provisional response came, so that a CANCEL may be sent (RFC 3261 section 9.1).
    pub fn is_proceeding(&self) -> bool {
        matches!(self.state, State::Proceeding(_))
    }

    /// Whether a final response came.
    pub fn is_final(&self) -> bool {
        matches!(
            self.state,
            State::Completed(_) | State::Accepted(_) | State::Ended
        )
    }
}
