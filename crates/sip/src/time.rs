//! The time as the machines see it: milliseconds since an origin that only the shell knows.

use std::ops::{Add, Sub};
use std::time::Duration;

/// A moment, in milliseconds since an arbitrary origin. It never runs backwards; what time of day it is
/// plays no part in SIP.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Time(u64);

impl Time {
    /// The moment `millis` milliseconds after the origin.
    pub const fn from_millis(millis: u64) -> Self {
        Self(millis)
    }

    /// Milliseconds since the origin.
    pub const fn as_millis(self) -> u64 {
        self.0
    }
}

impl Add<Duration> for Time {
    type Output = Self;

    /// Parts of a millisecond are rounded up, so that a deadline is never early.
    fn add(self, later: Duration) -> Self {
        let millis = later.as_nanos().div_ceil(1_000_000);
        Self(
            self.0
                .saturating_add(u64::try_from(millis).unwrap_or(u64::MAX)),
        )
    }
}

impl Sub for Time {
    type Output = Duration;

    /// Zero when `earlier` is in fact later.
    fn sub(self, earlier: Self) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }
}
