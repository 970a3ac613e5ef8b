//! Which time it is, and whether the clocks can be believed.

use maskline_domain::Timestamp;

/// Both clocks, read together at the edge.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Clocks {
    /// What the wall clock says.
    pub wall: Timestamp,
    /// Milliseconds on a clock that is never set, from any beginning.
    pub monotonic_ms: u64,
}

/// How far the clocks may come apart before neither is believed, in
/// milliseconds.
pub const DIVERGENCE_MS_MAX: i64 = 5_000;

/// Compares the wall clock with the monotonic one since both were last known
/// to be right: at the start, or when an operator said so.
#[derive(Debug, Default)]
pub(crate) struct Watch {
    trusted: Option<Clocks>,
    latest: Clocks,
    diverged: bool,
    /// An operator knows that the wall clock is behind the journal.
    may_be_behind: bool,
}

impl Watch {
    /// Takes a reading. `journalled` is the newest time in the journal.
    pub fn observe(&mut self, clocks: Clocks, journalled: Timestamp) {
        self.latest = clocks;
        let trusted = *self.trusted.get_or_insert(clocks);
        let behind = journalled > clocks.wall.plus_millis(DIVERGENCE_MS_MAX);
        self.may_be_behind &= behind;
        self.diverged =
            apart(clocks.wall, elapsed(trusted, clocks)) || (behind && !self.may_be_behind);
    }

    /// Takes the latest reading as right.
    pub fn trust(&mut self) {
        self.trusted = Some(self.latest);
        self.may_be_behind = true;
        self.diverged = false;
    }

    /// Whether the clocks disagree.
    pub fn diverged(&self) -> bool {
        self.diverged
    }

    /// The time for decisions: while the clocks disagree, the one that the
    /// monotonic clock gives, so that a wall clock gone wild cannot carry the
    /// journal's time, which never goes back, into the future.
    pub fn for_decisions(&self) -> Timestamp {
        match self.trusted {
            Some(trusted) if self.diverged => elapsed(trusted, self.latest),
            _ => self.latest.wall,
        }
    }

    /// The time for routing and queries: while the clocks disagree, the later
    /// of both, so that no call reaches a party whose binding is over by
    /// either.
    pub fn for_reads(&self, clocks: Clocks) -> Timestamp {
        match self.trusted.map(|trusted| elapsed(trusted, clocks)) {
            Some(estimate) if apart(clocks.wall, estimate) => estimate.max(clocks.wall),
            _ => clocks.wall,
        }
    }

    /// The latest reading.
    pub fn latest(&self) -> Clocks {
        self.latest
    }
}

fn elapsed(trusted: Clocks, now: Clocks) -> Timestamp {
    let ms = now.monotonic_ms.saturating_sub(trusted.monotonic_ms);
    trusted
        .wall
        .plus_millis(i64::try_from(ms).unwrap_or(i64::MAX))
}

fn apart(wall: Timestamp, estimate: Timestamp) -> bool {
    wall.0.abs_diff(estimate.0) > DIVERGENCE_MS_MAX.unsigned_abs()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn clocks(wall: i64, monotonic_ms: u64) -> Clocks {
        Clocks {
            wall: Timestamp(wall),
            monotonic_ms,
        }
    }

    #[test]
    fn clocks_that_run_together_are_believed() {
        let mut watch = Watch::default();
        for (wall, monotonic_ms) in [(1_000_000, 50), (1_010_000, 10_050), (1_024_999, 20_050)] {
            watch.observe(clocks(wall, monotonic_ms), Timestamp(0));
            assert!(!watch.diverged());
            assert_eq!(watch.for_decisions(), Timestamp(wall));
        }
    }

    #[test]
    fn a_leap_is_not_followed_until_it_is_taken_back_or_confirmed() {
        for leap in [900_000, -900_000] {
            let mut watch = Watch::default();
            let journalled = Timestamp(1_000_000);
            watch.observe(clocks(1_000_000, 0), journalled);
            watch.observe(clocks(1_001_000 + leap, 1_000), journalled);
            assert!(watch.diverged());
            assert_eq!(watch.for_decisions(), Timestamp(1_001_000));

            watch.observe(clocks(1_002_000, 2_000), journalled);
            assert!(!watch.diverged(), "taken back");

            watch.observe(clocks(1_003_000 + leap, 3_000), journalled);
            watch.trust();
            assert!(!watch.diverged(), "confirmed");
            watch.observe(clocks(1_004_000 + leap, 4_000), journalled);
            assert!(!watch.diverged(), "still confirmed");
            assert_eq!(watch.for_decisions(), Timestamp(1_004_000 + leap));
        }
    }

    #[test]
    fn reads_go_by_the_later_clock_when_they_disagree() {
        let mut watch = Watch::default();
        watch.observe(clocks(1_000_000, 0), Timestamp(0));
        assert_eq!(
            watch.for_reads(clocks(500_000, 1_000)),
            Timestamp(1_001_000)
        );
        assert_eq!(
            watch.for_reads(clocks(2_000_000, 1_000)),
            Timestamp(2_000_000)
        );
        assert_eq!(watch.for_reads(clocks(998_000, 1_000)), Timestamp(998_000));
    }

    #[test]
    fn a_wall_clock_far_behind_the_journal_is_not_believed() {
        let mut watch = Watch::default();
        watch.observe(clocks(1_000, 0), Timestamp(10_000_000));
        assert!(watch.diverged());
    }
}
