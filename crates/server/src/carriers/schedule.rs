//! When a carrier is reconciled by itself.

use std::time::Duration;

use tokio::time::Instant;

/// How long after its task began it is first compared: what it is owed since the last process comes before.
const FIRST_AFTER: Duration = Duration::from_secs(180);
/// How long a reconciliation that failed rests.
const RETRIED_AFTER: Duration = Duration::from_secs(60);
/// The same while nothing is bound in the carrier's pools until one has succeeded.
const URGENT_AFTER: Duration = Duration::from_secs(10);

/// When a carrier was compared, as far as this process knows.
#[derive(Debug)]
pub(super) struct Schedule {
    begun_at: Instant,
    succeeded_at: Option<Instant>,
    /// When it was last tried in vain, or is being tried.
    tried_at: Option<Instant>,
    /// Whether it is asked elsewhere since it was last compared.
    is_moved: bool,
}

impl Schedule {
    /// Of a carrier that is asked from now on.
    pub fn new(now: Instant) -> Self {
        Self {
            begun_at: now,
            succeeded_at: None,
            tried_at: None,
            is_moved: false,
        }
    }

    /// It is asked elsewhere from now on.
    pub fn moved(&mut self) {
        (self.is_moved, self.tried_at) = (true, None);
    }

    /// It is being compared, or could not be.
    pub fn tried(&mut self, now: Instant) {
        self.tried_at = Some(now);
    }

    /// It was not compared, for it was being compared already.
    pub fn not_tried(&mut self) {
        self.tried_at = None;
    }

    /// It was compared, and holds nothing that is none of ours.
    pub fn succeeded(&mut self, now: Instant) {
        (self.succeeded_at, self.tried_at) = (Some(now), None);
        self.is_moved = false;
    }

    /// Whether it is to be compared now: every so often (never if zero), and in any case where nothing is bound until
    /// that is done, or it is asked elsewhere.
    pub fn is_due(&self, every: Duration, is_urgent: bool, now: Instant) -> bool {
        let rest = match is_urgent {
            true => URGENT_AFTER,
            false => RETRIED_AFTER,
        };
        if self.tried_at.is_some_and(|at| now < at + rest) {
            return false;
        }
        let next = match self.succeeded_at {
            Some(at) => at + every,
            None => self.begun_at + FIRST_AFTER.min(every),
        };
        is_urgent || self.is_moved || (!every.is_zero() && now >= next)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Clone, Copy)]
    enum Happens {
        Tried,
        Succeeded,
        Moved,
    }
    use Happens::{Moved, Succeeded, Tried};

    /// What happened when, how often it is to be compared, whether nothing is bound until then, and the first second
    /// at which it is due.
    type Row = (&'static [(u64, Happens)], u64, bool, Option<u64>);

    #[test]
    fn a_carrier_is_compared_soon_after_a_start_then_by_its_times_and_again_soon_after_a_failure() {
        const DAY: u64 = 86_400;
        let rows: [Row; 16] = [
            (&[], DAY, false, Some(180)),
            (&[], 60, false, Some(60)),
            (&[], 0, false, None),
            (&[], 0, true, Some(0)),
            (&[], DAY, true, Some(0)),
            (&[(180, Tried)], DAY, false, Some(240)),
            (&[(180, Tried), (200, Tried)], DAY, false, Some(260)),
            (&[(0, Tried)], DAY, true, Some(10)),
            (
                &[(180, Tried), (190, Succeeded)],
                DAY,
                false,
                Some(190 + DAY),
            ),
            (&[(50, Succeeded)], 600, false, Some(650)),
            (&[(50, Succeeded), (650, Tried)], 600, false, Some(710)),
            (&[(50, Succeeded)], 0, false, None),
            (&[(50, Succeeded), (60, Moved)], DAY, false, Some(60)),
            (&[(50, Succeeded), (60, Moved)], 0, false, Some(60)),
            (
                &[(50, Succeeded), (60, Moved), (60, Tried)],
                0,
                false,
                Some(120),
            ),
            (&[(50, Tried), (60, Moved), (70, Succeeded)], 0, false, None),
        ];
        let begun = Instant::now();
        let at = |s| begun + Duration::from_secs(s);
        for (happened, every, is_urgent, due) in rows {
            let mut schedule = Schedule::new(begun);
            for &(s, what) in happened {
                match what {
                    Tried => schedule.tried(at(s)),
                    Succeeded => schedule.succeeded(at(s)),
                    Moved => schedule.moved(),
                }
            }
            let last = happened.last().map_or(0, |&(s, _)| s);
            let every = Duration::from_secs(every);
            let first = (last..3 * DAY).find(|&s| schedule.is_due(every, is_urgent, at(s)));
            assert_eq!(first, due, "{happened:?} every {every:?}");
        }
    }
}
