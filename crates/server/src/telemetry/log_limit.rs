//! A log that does not repeat itself.

use std::time::Duration;

use parking_lot::Mutex;

use crate::clocks;

/// Lets a line through once in a while, and counts what happened meanwhile. Times are since any one moment;
/// where a clock is set back behind the last line, the next one may come at once.
#[derive(Debug, Clone)]
pub struct LogLimit {
    every: Duration,
    told_at: Option<Duration>,
    untold: u64,
}

impl Default for LogLimit {
    /// A line a minute.
    fn default() -> Self {
        Self::new(Duration::from_secs(60))
    }
}

impl LogLimit {
    /// Between two lines there is this time at least.
    pub const fn new(every: Duration) -> Self {
        Self {
            every,
            told_at: None,
            untold: 0,
        }
    }

    /// It happened so many times more.
    pub fn count(&mut self, times: u64) {
        self.untold = self.untold.saturating_add(times);
    }

    /// If it happened since the last line, and a line may be written now: how often it happened.
    pub fn take(&mut self, now: Duration) -> Option<u64> {
        let is_early = |told_at| now >= told_at && now - told_at < self.every;
        if self.untold == 0 || self.told_at.is_some_and(is_early) {
            return None;
        }
        self.told_at = Some(now);
        Some(std::mem::take(&mut self.untold))
    }
}

/// The same for things that many tasks see happen.
#[derive(Debug, Default)]
pub struct SharedLogLimit(Mutex<LogLimit>);

impl SharedLogLimit {
    /// It happened once more. If a line is to be written now: how often it happened before without one.
    pub fn say(&self) -> Option<u64> {
        let now = Duration::from_millis(clocks::read().monotonic_ms);
        let mut limit = self.0.lock();
        limit.count(1);
        limit.take(now).map(|times| times - 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn the_same_is_said_once_and_then_counted() {
        let mut limit = LogLimit::default();
        assert_eq!(limit.take(Duration::ZERO), None, "nothing happened");
        limit.count(1);
        assert_eq!(limit.take(Duration::ZERO), Some(1));
        for n in 0..60_000 {
            limit.count(2);
            assert_eq!(limit.take(MS * n), None);
        }
        assert_eq!(limit.take(MS * 60_000), Some(120_000));
        assert_eq!(limit.take(MS * 200_000), None);
        limit.count(1);
        assert_eq!(limit.take(MS * 300_000), Some(1));
        limit.count(1);
        assert_eq!(limit.take(MS * 200_000), Some(1), "the clock was set back");
    }

    #[test]
    fn what_many_see_is_said_once() {
        let shared = SharedLogLimit::default();
        assert_eq!(shared.say(), Some(0));
        assert!((0..5_000).all(|_| shared.say().is_none()));
        assert_eq!(shared.0.lock().untold, 5_000);
    }
}
