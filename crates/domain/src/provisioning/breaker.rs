//! A circuit breaker: a carrier that does not answer is left alone for a while.

use crate::clock::Timestamp;
use crate::provisioning::Answer;

/// Whether a carrier is asked at all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Breaker {
    state: BreakerState,
    /// After how many failures in a row it opens.
    failures_max: u32,
    /// For how long.
    open_ms: i64,
}

/// What a breaker lets through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BreakerState {
    /// Every request; so many in a row had no answer.
    Closed {
        /// How many.
        failures: u32,
    },
    /// None.
    Open {
        /// Until then.
        until: Timestamp,
    },
    /// One, to find out.
    HalfOpen {
        /// Whether that one is under way.
        probing: bool,
    },
}

impl BreakerState {
    /// Its name, as operators see it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Closed { .. } => "closed",
            Self::Open { .. } => "open",
            Self::HalfOpen { .. } => "half_open",
        }
    }
}

impl Breaker {
    /// A closed one.
    pub fn new(failures_max: u32, open_ms: i64) -> Self {
        Self {
            state: BreakerState::Closed { failures: 0 },
            failures_max,
            open_ms,
        }
    }

    /// Other numbers from now on.
    pub fn set(&mut self, failures_max: u32, open_ms: i64) {
        (self.failures_max, self.open_ms) = (failures_max, open_ms);
    }

    /// What it lets through.
    pub fn state(&self) -> BreakerState {
        self.state
    }

    /// Whether a request may be sent.
    pub fn lets_through(&self) -> bool {
        match self.state {
            BreakerState::Closed { .. } => true,
            BreakerState::Open { .. } => false,
            BreakerState::HalfOpen { probing } => !probing,
        }
    }

    /// When it will let a request through again; none if it does, or waits for an answer.
    pub fn opens_until(&self) -> Option<Timestamp> {
        match self.state {
            BreakerState::Open { until } => Some(until),
            _ => None,
        }
    }

    /// Time has come to `now`.
    pub fn advance(&mut self, now: Timestamp) {
        if self.opens_until().is_some_and(|until| until <= now) {
            self.state = BreakerState::HalfOpen { probing: false };
        }
    }

    /// A request was sent.
    pub fn sent(&mut self) {
        if let BreakerState::HalfOpen { probing } = &mut self.state {
            *probing = true;
        }
    }

    /// What came of one. Any answer shows that somebody is there, also one that is not understood. That a request has no
    /// answer for which nobody waits opens nothing: it may be the request that the carrier cannot bear, and is told again
    /// and again, while all others would do.
    pub fn answered(&mut self, answer: Answer, is_awaited: bool, now: Timestamp) {
        let open = BreakerState::Open {
            until: now.plus_millis(self.open_ms),
        };
        self.state = match (self.state, answer) {
            // What was sent before it opened says nothing new.
            (open @ BreakerState::Open { .. }, _) => open,
            (BreakerState::HalfOpen { .. }, Answer::Unavailable | Answer::NotSent) => {
                match is_awaited {
                    true => open,
                    false => BreakerState::HalfOpen { probing: false },
                }
            }
            (closed, Answer::Unavailable | Answer::NotSent) if !is_awaited => closed,
            (BreakerState::Closed { failures }, Answer::Unavailable | Answer::NotSent) => {
                match failures.saturating_add(1) {
                    failures if failures >= self.failures_max => open,
                    failures => BreakerState::Closed { failures },
                }
            }
            (_, _) => BreakerState::Closed { failures: 0 },
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_opens_after_failures_in_a_row_and_closes_by_one_answer() {
        let mut breaker = Breaker::new(3, 1_000);
        let at = Timestamp;
        for answer in [
            Answer::Unavailable,
            Answer::Unavailable,
            Answer::Refused,
            Answer::Unavailable,
            Answer::Unavailable,
        ] {
            breaker.answered(answer, true, at(0));
            assert!(breaker.lets_through());
        }
        breaker.answered(Answer::Unavailable, false, at(5));
        assert!(breaker.lets_through(), "nobody waits for that one");
        breaker.answered(Answer::Unavailable, true, at(10));
        assert_eq!(breaker.opens_until(), Some(at(1_010)));
        breaker.answered(Answer::Done, true, at(500));
        breaker.advance(at(1_009));
        assert!(!breaker.lets_through(), "an old answer does not close it");
        breaker.advance(at(1_010));
        assert!(breaker.lets_through());
        breaker.sent();
        assert!(!breaker.lets_through(), "one at a time tries it");
        breaker.answered(Answer::Unavailable, false, at(1_015));
        assert!(breaker.lets_through(), "another one may try it");
        breaker.sent();
        breaker.answered(Answer::Unavailable, true, at(1_020));
        assert_eq!(breaker.opens_until(), Some(at(2_020)));
        breaker.advance(at(2_020));
        breaker.sent();
        breaker.answered(Answer::Unclear, false, at(2_030));
        assert_eq!(breaker.state(), BreakerState::Closed { failures: 0 });
    }
}
