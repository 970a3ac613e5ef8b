//! Which time it is, told once more from both clocks.
//!
//! The wall clock is believed while it keeps pace with the monotonic one since
//! both were last known to be right, and is not far behind the journal.

use maskline_domain::Timestamp;
use maskline_journal::pipeline::{Clocks, DIVERGENCE_MS_MAX};

/// What the clocks have shown since the start of a process.
#[derive(Debug, Clone)]
pub struct ModelClock {
    right_at: Option<Clocks>,
    shown: Clocks,
    known_to_be_behind: bool,
    clocks_disagree: bool,
}

impl ModelClock {
    /// Nothing shown yet.
    pub fn new() -> Self {
        Self {
            right_at: None,
            shown: Clocks::default(),
            known_to_be_behind: false,
            clocks_disagree: false,
        }
    }

    /// The clocks show this, and the journal has come to `journalled`.
    pub fn show(&mut self, clocks: Clocks, journalled: Timestamp) {
        self.shown = clocks;
        let right_at = *self.right_at.get_or_insert(clocks);
        let is_behind = journalled.0 - clocks.wall.0 > DIVERGENCE_MS_MAX;
        if !is_behind {
            self.known_to_be_behind = false;
        }
        let by_monotonic = carried_on(right_at, clocks);
        let leapt = (clocks.wall.0 - by_monotonic.0).abs() > DIVERGENCE_MS_MAX;
        self.clocks_disagree = leapt || (is_behind && !self.known_to_be_behind);
    }

    /// An operator says that the wall clock is right.
    pub fn believe(&mut self) {
        self.right_at = Some(self.shown);
        self.known_to_be_behind = true;
        self.clocks_disagree = false;
    }

    /// Whether nothing may be ended by time now.
    pub fn clocks_disagree(&self) -> bool {
        self.clocks_disagree
    }

    /// The time for a decision.
    pub fn to_decide(&self, journalled: Timestamp) -> Timestamp {
        let by_clocks = match self.right_at {
            Some(right_at) if self.clocks_disagree => carried_on(right_at, self.shown),
            _ => self.shown.wall,
        };
        by_clocks.max(journalled)
    }

    /// The time for a read: the later of both clocks if they are apart.
    pub fn to_read(&self, clocks: Clocks, journalled: Timestamp) -> Timestamp {
        let mut time = clocks.wall;
        if let Some(right_at) = self.right_at {
            let by_monotonic = carried_on(right_at, clocks);
            if (clocks.wall.0 - by_monotonic.0).abs() > DIVERGENCE_MS_MAX {
                time = time.max(by_monotonic);
            }
        }
        time.max(journalled)
    }
}

impl Default for ModelClock {
    fn default() -> Self {
        Self::new()
    }
}

fn carried_on(right_at: Clocks, now: Clocks) -> Timestamp {
    Timestamp(right_at.wall.0 + (now.monotonic_ms - right_at.monotonic_ms) as i64)
}
