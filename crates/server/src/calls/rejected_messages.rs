//! SIP messages that became no call: why, and a line of the log for all of them once in a while, since a scanner
//! sends thousands.

use crate::telemetry::LogLimit;
use maskline_switch::TurnedAway;
use std::time::Duration;

/// How many reasons there are.
const REASONS: usize = 10;

/// What the log said of them last.
#[derive(Debug, Default)]
pub(super) struct RejectedMessages {
    logged: TurnedAway,
    limit: LogLimit,
}

impl RejectedMessages {
    /// Logs how many came since the last time, by reason, if any did and it is time.
    pub fn log(&mut self, counts: TurnedAway, now_ms: u64) {
        let Some(fresh) = self.since_last(counts, now_ms) else {
            return;
        };
        let [
            not_sip,
            malformed,
            strangers,
            astray,
            unknown_x,
            unproven,
            stray_responses,
            overload,
            trunk_full,
            forwarded,
        ] = fresh.map(|(_, count)| count);
        tracing::info!(
            not_sip,
            malformed,
            strangers,
            astray,
            unknown_x,
            unproven,
            stray_responses,
            overload,
            trunk_full,
            forwarded,
            "turned SIP away; the next such line comes in a minute at the earliest"
        );
    }

    /// How many came since the last line of the log, by reason, if there is to be another.
    fn since_last(
        &mut self,
        counts: TurnedAway,
        now_ms: u64,
    ) -> Option<[(&'static str, u64); REASONS]> {
        self.limit.count((counts != self.logged).into());
        self.limit.take(Duration::from_millis(now_ms))?;
        let mut fresh = reasons(counts);
        for ((_, count), (_, before)) in fresh.iter_mut().zip(reasons(self.logged)) {
            *count = count.saturating_sub(before);
        }
        self.logged = counts;
        Some(fresh)
    }
}

/// The counts with their names.
pub(super) fn reasons(turned_away: TurnedAway) -> [(&'static str, u64); REASONS] {
    let counts = turned_away.sip;
    [
        ("not_sip", counts.not_sip),
        ("malformed", counts.malformed),
        ("stranger", counts.unknown_sources),
        ("astray", counts.astray),
        ("unknown_x", counts.screened),
        ("unproven", counts.unauthenticated),
        ("stray_response", counts.stray_responses),
        ("overload", counts.overload),
        ("trunk_full", turned_away.trunk_full),
        ("forwarded", turned_away.forwarded),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use maskline_sip::endpoint::Counts;

    #[test]
    fn rejected_messages_are_logged_at_once_and_then_once_a_minute() {
        let mut rejected = RejectedMessages::default();
        let counts = |unknown_sources| TurnedAway {
            sip: Counts {
                unknown_sources,
                ..Counts::default()
            },
            ..TurnedAway::default()
        };
        assert_eq!(rejected.since_last(counts(0), 0), None);
        let unknown =
            |logged: Option<[(&'static str, u64); REASONS]>| logged.map(move |logged| logged[2]);
        let logged = rejected.since_last(counts(3), 1_000);
        assert_eq!(unknown(logged), Some(("stranger", 3)));
        assert_eq!(rejected.since_last(counts(5_000), 60_999), None);
        let logged = rejected.since_last(counts(9_000), 61_000);
        assert_eq!(unknown(logged), Some(("stranger", 8_997)));
        assert_eq!(rejected.since_last(counts(9_000), 200_000), None);
    }
}
