//! How many descriptors the process may open, and what each part may take of them.
//!
//! Calls come first: their sockets are opened in the middle of a call, when it is too late to find that
//! connections of customers or of SIP peers have taken everything. So the connections of both have a bound
//! that leaves room for the calls, worked out once from `RLIMIT_NOFILE`.

use rustix::process::{Resource, getrlimit, setrlimit};

use crate::config::Settings;

/// Descriptors of one call: RTP and RTCP of two legs, and its recording.
const PER_CALL: u64 = 5;
/// What the process itself needs: database, listeners, log, threads' wake-ups.
const OWN: u64 = 128;
/// Connections of the admin interface at once that are wanted, and the fewest that must do: health is asked
/// for there.
const ADMIN: u64 = 256;
const ADMIN_MIN: u64 = 8;
/// Streams of SIP at once that are wanted in each direction.
const SIP_STREAMS: u64 = 1_024;

/// What each part may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Budget {
    /// The limit of the process; none where there is none.
    pub limit: Option<u64>,
    /// Calls at once for which descriptors are kept free.
    pub calls: usize,
    /// Connections of the customers' interface at once.
    pub api: usize,
    /// Connections of the admin interface at once.
    pub admin: usize,
    /// Connections that SIP peers opened at once, and as many that we opened.
    pub sip_streams: usize,
}

impl Budget {
    /// Raises the limit as far as the system allows and divides it by these settings. Says so in the log
    /// where it is too low for them.
    pub fn of_process(settings: &Settings) -> Self {
        let limit = raise();
        let (calls, api) = (settings.calls.calls_max, settings.api.connections_max);
        let budget = Self::divide(limit, calls.into(), api.into());
        let is_enough = budget.calls >= calls as usize && budget.api >= api as usize;
        if !is_enough {
            tracing::warn!(
                limit = budget.limit,
                calls_max = budget.calls,
                api_connections_max = budget.api,
                sip_streams_max = budget.sip_streams,
                "the limit of open files (LimitNOFILE, ulimit -n) is too low for the settings; \
                 descriptors are kept for so many calls, and connections have these bounds"
            );
        }
        budget
    }

    /// Divides `limit`: first the process itself, then calls, of which at least half of the rest is theirs,
    /// then connections, half of them for SIP streams where both want more.
    pub fn divide(limit: Option<u64>, calls: u64, api: u64) -> Self {
        let Some(total) = limit else {
            return Self::new(limit, calls, api, SIP_STREAMS, ADMIN);
        };
        let for_admin = (total / 16).clamp(ADMIN_MIN, ADMIN);
        let rest = total - (OWN + for_admin).min(total / 2);
        let wanted_by_streams = api + 2 * SIP_STREAMS;
        let for_calls =
            (calls * PER_CALL).min((rest / 2).max(rest.saturating_sub(wanted_by_streams)));
        let connections = rest - for_calls;
        let for_streams =
            (2 * SIP_STREAMS).min((connections / 2).max(connections.saturating_sub(api)));
        let for_api = api.min(connections - for_streams);
        Self::new(
            limit,
            (for_calls / PER_CALL).min(calls),
            for_api.max(1),
            (for_streams / 2).max(1),
            for_admin,
        )
    }

    fn new(limit: Option<u64>, calls: u64, api: u64, sip_streams: u64, admin: u64) -> Self {
        let count = |value| usize::try_from(value).unwrap_or(usize::MAX);
        Self {
            limit,
            calls: count(calls),
            api: count(api),
            sip_streams: count(sip_streams),
            admin: count(admin),
        }
    }
}

/// Raises the limit to the highest that the system allows, and gives it; none where there is none.
fn raise() -> Option<u64> {
    let mut limit = getrlimit(Resource::Nofile);
    if limit.current != limit.maximum {
        let before = limit.current;
        limit.current = limit.maximum;
        if let Err(error) = setrlimit(Resource::Nofile, limit) {
            tracing::warn!(%error, "the limit of open files stays as it is");
            limit.current = before;
        }
    }
    limit.current
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Calls, connections of the API, SIP streams each way.
    fn divided(limit: u64, calls: u64, api: u64) -> (usize, usize, usize) {
        let budget = Budget::divide(Some(limit), calls, api);
        let connections = budget.api + budget.admin + 2 * budget.sip_streams;
        let taken = budget.calls as u64 * PER_CALL + connections as u64;
        assert!(taken <= limit, "{budget:?} takes {taken}");
        (budget.calls, budget.api, budget.sip_streams)
    }

    #[test]
    fn calls_keep_their_share_of_few_descriptors() {
        // With plenty everybody gets what is wanted.
        assert_eq!(divided(524_288, 2_000, 10_000), (2_000, 10_000, 1_024));
        assert_eq!(divided(22_432, 2_000, 10_000), (2_000, 10_000, 1_024));
        // With less the connections give way, down to half of it.
        assert_eq!(divided(20_192, 2_000, 10_000), (1_980, 7_856, 1_024));
        assert_eq!(divided(1_024, 2_000, 10_000), (83, 208, 104));
        assert_eq!(divided(256, 2_000, 10_000), (12, 32, 16));
        assert_eq!(divided(256, 4, 10_000), (4, 54, 27));
        assert_eq!(divided(256, 2_000, 8), (12, 8, 28));
        assert_eq!(
            Budget::divide(None, 2_000, 10_000),
            Budget::new(None, 2_000, 10_000, SIP_STREAMS, ADMIN)
        );
        assert_eq!(Budget::divide(Some(256), 2_000, 10_000).admin, 16);
    }
}
