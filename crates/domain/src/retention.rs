//! How long what is kept of bindings and calls is kept once it is over.

use std::fmt;
use std::str::FromStr;

use serde::de::Visitor;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::clock::Timestamp;

const DAY_MS: i64 = 24 * 3_600 * 1_000;
/// The days of a year, so that no year that a law asks for is cut short.
const YEAR_DAYS: u32 = 366;
/// The longest time that is counted: a hundred years.
const DAYS_MAX: u32 = 36_500;
const YEARS_MAX: u32 = 100;

/// For how long something is kept once it is over: `200d`, `3y`, `forever`, or `none`, which is not at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keep {
    /// Not at all.
    None,
    /// So many days of 24 hours.
    Days(u32),
    /// So many years of 366 days.
    Years(u32),
    /// For good.
    Forever,
}

impl Keep {
    /// The last moment of which nothing is kept any more: what was over then, or before, may go. None: nothing goes.
    pub fn until(self, now: Timestamp) -> Option<Timestamp> {
        let days = match self {
            Keep::Forever => return None,
            Keep::None => 0,
            Keep::Days(days) => days,
            Keep::Years(years) => years * YEAR_DAYS,
        };
        Some(now.plus_millis(-i64::from(days) * DAY_MS))
    }

    /// The shorter one of two.
    #[must_use]
    pub fn min(self, other: Self) -> Self {
        let zero = Timestamp(0);
        match (self.until(zero), other.until(zero)) {
            (None, _) => other,
            (_, None) => self,
            (Some(one), Some(another)) if another > one => other,
            _ => self,
        }
    }
}

impl FromStr for Keep {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let number = |digits: &str, most: u32, unit: &str| match digits.parse::<u32>() {
            Ok(0) => Err(format!("`{text}` is nothing; say \"none\"")),
            Ok(number) if number <= most => Ok(number),
            Ok(_) => Err(format!(
                "`{text}` is longer than {most} {unit}; say \"forever\""
            )),
            Err(_) => Err(no_time(text)),
        };
        match text {
            "forever" => return Ok(Keep::Forever),
            "none" => return Ok(Keep::None),
            _ => {}
        }
        if !text.is_ascii() || !text.starts_with(|c: char| c.is_ascii_digit()) {
            return Err(no_time(text));
        }
        match text.split_at(text.len() - 1) {
            (digits, "d") => number(digits, DAYS_MAX, "days").map(Keep::Days),
            (digits, "y") => number(digits, YEARS_MAX, "years").map(Keep::Years),
            _ if text.bytes().all(|b| b.is_ascii_digit()) => Err(bare(text)),
            _ => Err(no_time(text)),
        }
    }
}

fn no_time(text: &str) -> String {
    format!(
        "`{text}` is no time to keep something: \"200d\" (days), \"3y\" (years), \"forever\" or \"none\""
    )
}

/// 200 could be days or years, and one of them may be against the law.
fn bare(text: &str) -> String {
    format!(
        "`{text}` is a bare number; say its unit, as in \"{text}d\" for days or \"3y\" for years"
    )
}

impl fmt::Display for Keep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Keep::None => f.write_str("none"),
            Keep::Days(days) => write!(f, "{days}d"),
            Keep::Years(years) => write!(f, "{years}y"),
            Keep::Forever => f.write_str("forever"),
        }
    }
}

impl Serialize for Keep {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Keep {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(KeepVisitor)
    }
}

struct KeepVisitor;

impl Visitor<'_> for KeepVisitor {
    type Value = Keep;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a time such as \"200d\", \"3y\", \"forever\" or \"none\"")
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Keep, E> {
        text.parse().map_err(E::custom)
    }

    fn visit_i64<E: serde::de::Error>(self, number: i64) -> Result<Keep, E> {
        Err(E::custom(bare(&number.to_string())))
    }

    fn visit_u64<E: serde::de::Error>(self, number: u64) -> Result<Keep, E> {
        Err(E::custom(bare(&number.to_string())))
    }
}

/// For how long each kind of record is kept, where a pool does not say otherwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Terms {
    /// The history of bindings, once they have ended.
    pub bindings: Keep,
    /// The records of calls, once they have ended; with their ladders.
    pub calls: Keep,
    /// Recordings, once their calls have ended; never longer than the records of the calls.
    pub recordings: Keep,
    /// What is owed for milestones of calls and was never sent.
    pub receipts_dead: Keep,
    /// The audit.
    pub audit: Keep,
}

impl Terms {
    /// Nothing ever goes.
    pub const FOREVER: Self = Self {
        bindings: Keep::Forever,
        calls: Keep::Forever,
        recordings: Keep::Forever,
        receipts_dead: Keep::Forever,
        audit: Keep::Forever,
    };
}

/// What a pool says otherwise for its bindings and calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct PoolTerms {
    /// See [`Terms::bindings`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bindings: Option<Keep>,
    /// See [`Terms::calls`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub calls: Option<Keep>,
    /// See [`Terms::recordings`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recordings: Option<Keep>,
}

impl PoolTerms {
    /// Whether it says nothing.
    pub fn is_usual(&self) -> bool {
        *self == Self::default()
    }

    /// What holds for its bindings and calls.
    pub fn over(&self, usual: &Terms) -> Terms {
        let calls = self.calls.unwrap_or(usual.calls);
        Terms {
            bindings: self.bindings.unwrap_or(usual.bindings),
            calls,
            recordings: self.recordings.unwrap_or(usual.recordings).min(calls),
            ..*usual
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_has_a_unit() {
        for (text, expected) in [
            ("200d", Keep::Days(200)),
            ("1d", Keep::Days(1)),
            ("36500d", Keep::Days(36_500)),
            ("3y", Keep::Years(3)),
            ("forever", Keep::Forever),
            ("none", Keep::None),
        ] {
            assert_eq!(text.parse(), Ok(expected));
            assert_eq!(expected.to_string(), text);
        }
        for (text, told) in [
            ("200", "a bare number; say its unit, as in \"200d\""),
            ("0d", "say \"none\""),
            ("36501d", "say \"forever\""),
            ("101y", "say \"forever\""),
            ("4294967296d", "is no time"),
            ("", "is no time"),
            ("d", "is no time"),
            ("-3d", "is no time"),
            ("+3d", "is no time"),
            ("3 d", "is no time"),
            ("3h", "is no time"),
            ("3年", "is no time"),
            ("Forever", "is no time"),
            ("off", "is no time"),
        ] {
            let error = text.parse::<Keep>().expect_err(text);
            assert!(error.contains(told), "{text}: {error}");
        }
        let error = serde_json::from_str::<Keep>("200").expect_err("a bare number");
        assert!(error.to_string().contains("a bare number"), "{error}");
        assert_eq!(
            serde_json::from_str::<Keep>("\"3y\"").ok(),
            Some(Keep::Years(3))
        );
    }

    #[test]
    fn what_was_over_so_long_ago_goes() {
        let now = Timestamp(1_000 * DAY_MS);
        for (keep, expected) in [
            (Keep::None, Some(1_000)),
            (Keep::Days(200), Some(800)),
            (Keep::Years(2), Some(268)),
            (Keep::Forever, None),
        ] {
            assert_eq!(keep.until(now), expected.map(|day| Timestamp(day * DAY_MS)));
        }
    }

    #[test]
    fn a_recording_goes_with_its_call_at_the_latest() {
        let usual = Terms {
            bindings: Keep::Days(200),
            calls: Keep::Days(200),
            recordings: Keep::Days(30),
            receipts_dead: Keep::Days(90),
            audit: Keep::Years(3),
        };
        let of = |calls, recordings| {
            let terms = PoolTerms {
                calls,
                recordings,
                ..PoolTerms::default()
            };
            let terms = terms.over(&usual);
            (terms.calls, terms.recordings)
        };
        for (calls, recordings, expected) in [
            (None, None, (Keep::Days(200), Keep::Days(30))),
            (Some(Keep::Days(7)), None, (Keep::Days(7), Keep::Days(7))),
            (
                Some(Keep::None),
                Some(Keep::Forever),
                (Keep::None, Keep::None),
            ),
            (
                Some(Keep::Forever),
                Some(Keep::Forever),
                (Keep::Forever, Keep::Forever),
            ),
            (Some(Keep::Forever), None, (Keep::Forever, Keep::Days(30))),
            (
                None,
                Some(Keep::Years(1)),
                (Keep::Days(200), Keep::Days(200)),
            ),
        ] {
            assert_eq!(of(calls, recordings), expected);
        }
    }
}
