//! Moments, and how the vendor writes them.

use std::fmt;

use serde::{Deserialize, Serialize};
use time::format_description::BorrowedFormatItem;
use time::macros::{format_description, offset};
use time::{OffsetDateTime, PrimitiveDateTime, UtcOffset};

/// China time has had no other offset since 1991.
const CHINA: UtcOffset = offset!(+8);
/// `yyyy-MM-dd HH:mm:ss`, the text form of every time in the API.
const WIRE: &[BorrowedFormatItem<'static>] =
    format_description!("[year]-[month]-[day] [hour]:[minute]:[second]");

/// A moment, in UTC milliseconds since 1970.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Timestamp(pub i64);

impl Timestamp {
    /// Later than any that is.
    pub const NEVER: Self = Self(i64::MAX);

    /// The moment from whole seconds since 1970.
    pub const fn from_secs(secs: i64) -> Self {
        Self(secs * 1000)
    }

    /// Milliseconds since 1970.
    pub const fn millis(self) -> i64 {
        self.0
    }

    /// This moment moved by `millis`, staying within the range of `i64`.
    pub const fn plus_millis(self, millis: i64) -> Self {
        Self(self.0.saturating_add(millis))
    }

    /// This moment moved by `secs`.
    pub const fn plus_secs(self, secs: i64) -> Self {
        self.plus_millis(secs.saturating_mul(1000))
    }

    /// The next full second, or this moment if it is one.
    pub const fn ceil_secs(self) -> Self {
        Self(self.0.saturating_add(999).div_euclid(1000) * 1000)
    }

    /// Reads `yyyy-MM-dd HH:mm:ss` as China time; `None` if the text has any
    /// other shape or names no real day.
    pub fn parse_china(text: &str) -> Option<Self> {
        if text.len() != 19 {
            return None;
        }
        let local = PrimitiveDateTime::parse(text, WIRE).ok()?;
        Some(Self::from_secs(local.assume_offset(CHINA).unix_timestamp()))
    }

    /// Writes `yyyy-MM-dd HH:mm:ss` in China time; parts of a second are cut.
    ///
    /// Moments outside the years 0 to 9999 give the nearest end of that range.
    pub fn format_china(self) -> String {
        const EARLIEST_S: i64 = -62_167_248_000;
        const LATEST_S: i64 = 253_402_271_999;
        let secs = self.0.div_euclid(1000).clamp(EARLIEST_S, LATEST_S);
        OffsetDateTime::from_unix_timestamp(secs)
            .map(|moment| moment.to_offset(CHINA))
            .ok()
            .and_then(|moment| moment.format(WIRE).ok())
            .unwrap_or_default()
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.format_china())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wire_times_are_china_time() {
        let moment = Timestamp::parse_china("2017-09-05 12:00:00").expect("valid");
        assert_eq!(moment, Timestamp::from_secs(1_504_584_000));
        assert_eq!(moment.format_china(), "2017-09-05 12:00:00");
    }

    #[test]
    fn other_shapes_are_refused() {
        for text in [
            "2017-09-05T12:00:00",
            "2017-09-05 12:00",
            "2017-02-30 12:00:00",
            "2017-09-05 24:00:00",
            "20170905120000",
            " 2017-09-05 12:00:00",
            "2017-09-05 12:00:00 ",
            "",
        ] {
            assert_eq!(Timestamp::parse_china(text), None, "{text}");
        }
    }

    #[test]
    fn extreme_moments_still_print() {
        assert_eq!(Timestamp(i64::MAX).format_china(), "9999-12-31 23:59:59");
        assert_eq!(Timestamp(i64::MIN).format_china(), "0000-01-01 00:00:00");
    }

    #[test]
    fn seconds_round_up() {
        assert_eq!(Timestamp(1).ceil_secs(), Timestamp(1000));
        assert_eq!(Timestamp(2000).ceil_secs(), Timestamp(2000));
    }
}
