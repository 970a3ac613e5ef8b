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
    /// The request that tries it, by its fence.
    probe: Option<u64>,
    /// Until then only a request for which somebody waits may try it.
    spared_until: Option<Timestamp>,
}

/// Which try an answer is to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Attempt {
    /// The first of a request for which somebody waited.
    First,
    /// A later one of such a request.
    Again,
    /// One of a request for which nobody waits.
    Owed,
}

/// Which requests may be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Through {
    /// All.
    All,
    /// One; rather one for which nobody waits.
    One,
    /// One, for which somebody waits.
    OneAwaited,
    /// None.
    Nobody,
}

/// What a breaker lets through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BreakerState {
    /// Every request; so many in a row had no answer at their first try.
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
            probe: None,
            spared_until: None,
        }
    }

    /// Other numbers from now on.
    pub fn set(&mut self, failures_max: u32, open_ms: i64) {
        (self.failures_max, self.open_ms) = (failures_max, open_ms);
    }

    /// It is closed, and nothing is known.
    pub fn reset(&mut self) {
        *self = Self::new(self.failures_max, self.open_ms);
    }

    /// What it lets through.
    pub fn state(&self) -> BreakerState {
        self.state
    }

    /// Which requests may be sent.
    pub fn lets_through(&self) -> Through {
        match (self.state, self.spared_until) {
            (BreakerState::Closed { .. }, _) => Through::All,
            (BreakerState::HalfOpen { probing: false }, None) => Through::One,
            (BreakerState::HalfOpen { probing: false }, Some(_)) => Through::OneAwaited,
            (BreakerState::Open { .. } | BreakerState::HalfOpen { probing: true }, _) => {
                Through::Nobody
            }
        }
    }

    /// When it will let more through than now; none if that is up to an answer.
    pub fn next_at(&self) -> Option<Timestamp> {
        match self.state {
            BreakerState::Closed { .. } => None,
            BreakerState::Open { until } => Some(until),
            BreakerState::HalfOpen { .. } => self.spared_until,
        }
    }

    /// Time has come to `now`.
    pub fn advance(&mut self, now: Timestamp) {
        if let BreakerState::Open { until } = self.state
            && until <= now
        {
            self.state = BreakerState::HalfOpen { probing: false };
        }
        self.spared_until = self.spared_until.filter(|&until| until > now);
    }

    /// A request was sent.
    pub fn sent(&mut self, fence: u64) {
        if let BreakerState::HalfOpen { probing } = &mut self.state {
            *probing = true;
            self.probe = Some(fence);
        }
    }

    /// What came of one. Any answer shows that somebody is there, also one that is not understood.
    ///
    /// Only first tries count as failures: a request that is sent again says nothing of others, and one alone would
    /// otherwise open it.
    ///
    /// That a request has no answer for which nobody waits opens nothing that is closed: it may be the request that the
    /// carrier cannot bear, and is told again and again, while all others would do. For the same reason it is the turn
    /// of one for which somebody waits when such a request has tried in vain; only when none comes for as long as the
    /// carrier is left alone, one that is owed tries again. So a dead carrier is tried once in that time at most, however
    /// much it is owed, and one request keeps nobody out for longer than twice that time.
    pub fn answered(&mut self, fence: u64, answer: Answer, attempt: Attempt, now: Timestamp) {
        let is_failure = matches!(answer, Answer::Unavailable | Answer::NotSent);
        let is_probe = self.probe == Some(fence);
        let until = now.plus_millis(self.open_ms);
        match (self.state, is_failure) {
            // What was sent before it opened says nothing new.
            (BreakerState::Open { .. }, _) => {}
            (BreakerState::HalfOpen { .. }, true) if !is_probe => {}
            (BreakerState::HalfOpen { .. }, true) => {
                self.state = BreakerState::Open { until };
                let is_owed = attempt == Attempt::Owed;
                self.spared_until = is_owed.then(|| until.plus_millis(self.open_ms));
            }
            (BreakerState::Closed { .. }, true) if attempt != Attempt::First => {}
            (BreakerState::Closed { failures }, true) => {
                let failures = failures.saturating_add(1);
                self.state = match failures >= self.failures_max {
                    true => BreakerState::Open { until },
                    false => BreakerState::Closed { failures },
                };
            }
            (_, false) => {
                self.state = BreakerState::Closed { failures: 0 };
                self.spared_until = None;
            }
        }
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
            breaker.answered(1, answer, Attempt::First, at(0));
            assert_eq!(breaker.lets_through(), Through::All);
        }
        breaker.answered(2, Answer::Unavailable, Attempt::Owed, at(5));
        let through = breaker.lets_through();
        assert_eq!(through, Through::All, "nobody waits for that one");
        breaker.answered(2, Answer::NotSent, Attempt::Again, at(6));
        let through = breaker.lets_through();
        assert_eq!(through, Through::All, "that request has failed before");
        breaker.answered(3, Answer::Unavailable, Attempt::First, at(10));
        assert_eq!(breaker.next_at(), Some(at(1_010)));
        breaker.answered(4, Answer::Done, Attempt::First, at(500));
        breaker.advance(at(1_009));
        let through = breaker.lets_through();
        assert_eq!(through, Through::Nobody, "an old answer does not close it");
        breaker.advance(at(1_010));
        assert_eq!(breaker.lets_through(), Through::One);
        breaker.sent(5);
        let through = breaker.lets_through();
        assert_eq!(through, Through::Nobody, "one at a time tries it");
        breaker.answered(4, Answer::Unavailable, Attempt::First, at(1_012));
        let probing = BreakerState::HalfOpen { probing: true };
        assert_eq!(breaker.state(), probing, "that one does not try it");
        breaker.answered(5, Answer::Unavailable, Attempt::Owed, at(1_015));
        assert_eq!(breaker.next_at(), Some(at(2_015)));
        breaker.advance(at(2_015));
        assert_eq!(breaker.lets_through(), Through::OneAwaited);
        assert_eq!(breaker.next_at(), Some(at(3_015)));
        breaker.sent(6);
        breaker.answered(6, Answer::Unavailable, Attempt::Again, at(2_020));
        breaker.advance(at(3_020));
        assert_eq!(breaker.lets_through(), Through::One);
        breaker.sent(7);
        breaker.answered(7, Answer::Unavailable, Attempt::Owed, at(3_030));
        breaker.advance(at(5_029));
        assert_eq!(breaker.lets_through(), Through::OneAwaited);
        breaker.advance(at(5_030));
        let through = breaker.lets_through();
        assert_eq!(through, Through::One, "nobody came");
        breaker.sent(8);
        breaker.answered(8, Answer::Unclear, Attempt::Owed, at(5_040));
        assert_eq!(breaker.state(), BreakerState::Closed { failures: 0 });
        assert_eq!(breaker.next_at(), None);
    }
}
