//! The metrics of calls, of trunks and of what carries them.

use super::rejected_messages::reasons;
use super::sip_connections::Counts as StreamCounts;
use maskline_domain::call_record::CallRecord;
use maskline_domain::trunk::Misfit;
use maskline_media::Threads;
use maskline_switch::{Registration, TrunkHealth, TurnedAway};
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;
use std::collections::BTreeSet;
use std::sync::atomic::Ordering;

/// What stands in the counts for a call that leaves no record, such as one to somebody else's number.
const UNRECORDED: &str = "unrecorded";

/// See the module.
#[derive(Default)]
pub(super) struct CallMetrics {
    ended: Family<SituationLabel, Counter>,
    without_trunk: Family<WhyLabel, Counter>,
    live: Gauge,
    legs: Gauge,
    ports: Gauge,
    turned_away: Family<WhyLabel, Counter>,
    trunk_reachable: Family<TrunkLabel, Gauge>,
    streams: Gauge,
    streams_refused: Family<WhyLabel, Counter>,
    trunk_registered: Family<TrunkLabel, Gauge>,
    trunk_registration_expires: Family<TrunkLabel, Gauge>,
    media_threads: Family<StateLabel, Gauge>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct StateLabel {
    state: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct TrunkLabel {
    trunk: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct SituationLabel {
    situation: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct WhyLabel {
    why: &'static str,
}

impl CallMetrics {
    /// Registers what is counted.
    pub fn register(&self, registry: &mut Registry) {
        registry.register(
            "calls",
            "Calls that ended, by situation",
            self.ended.clone(),
        );
        registry.register(
            "calls_without_trunk",
            "Calls by no trunk, by what they lack: x (none that may show their X), callee (none of those takes \
             their callee), trunk (none that is enabled and sent calls)",
            self.without_trunk.clone(),
        );
        // Alerts want a 0 before the first.
        for why in ["x", "callee", "trunk"] {
            drop(self.without_trunk.get_or_create(&WhyLabel { why }));
        }
        registry.register("calls_live", "Calls that last", self.live.clone());
        registry.register("call_legs_live", "Legs that last", self.legs.clone());
        registry.register(
            "rtp_ports_lent",
            "Media ports in use by calls",
            self.ports.clone(),
        );
        registry.register(
            "sip_turned_away",
            "SIP messages that became no call, by reason",
            self.turned_away.clone(),
        );
        registry.register(
            "trunk_reachable",
            "Whether a trunk answered when last asked, and took our registration: 1 or 0; only of those \
             that are asked",
            self.trunk_reachable.clone(),
        );
        registry.register(
            "sip_connections",
            "SIP connections over TCP and TLS that peers opened and that stand",
            self.streams.clone(),
        );
        registry.register(
            "sip_connections_refused",
            "SIP connections of peers that were closed by us, by reason: stranger, share, late, tls",
            self.streams_refused.clone(),
        );
        registry.register(
            "trunk_registered",
            "Whether the registration with a trunk holds: 1 or 0; only where there is to be one",
            self.trunk_registered.clone(),
        );
        registry.register(
            "trunk_registration_expires_timestamp_seconds",
            "When the registration with a trunk ends, as seconds since 1970; 0 where none holds",
            self.trunk_registration_expires.clone(),
        );
        registry.register(
            "media_threads",
            "Threads that carry and record media: well, late (no new calls) or ended",
            self.media_threads.clone(),
        );
    }

    /// A call has ended, with its record if it leaves one.
    pub fn ended(&self, record: Option<&CallRecord>) {
        let situation = record.and_then(|record| record.situation.as_deref());
        let situation = situation.unwrap_or(UNRECORDED).to_owned();
        let label = SituationLabel { situation };
        self.ended.get_or_create(&label).inc();
    }

    /// A call has somebody to reach, and no trunk by which it may leave; `nearest` says how near one came.
    pub fn without_trunk(&self, nearest: Option<Misfit>) {
        let why = match nearest {
            Some(Misfit::OtherCallee) => "callee",
            Some(Misfit::OtherX) => "x",
            Some(Misfit::BringsOnly | Misfit::Disabled) | None => "trunk",
        };
        self.without_trunk.get_or_create(&WhyLabel { why }).inc();
    }

    /// How many calls are live.
    pub fn live(&self) -> u64 {
        u64::try_from(self.live.get()).unwrap_or(0)
    }

    /// How many calls are live now.
    pub fn set_live(&self, calls: usize) {
        self.live.set(as_gauge(calls));
    }

    /// How the enabled trunks are, and how they were before.
    pub fn set_trunks(&self, before: &[TrunkHealth], trunks: &[TrunkHealth]) {
        let expires_s = |registration: &Registration| {
            registration
                .expires_at
                .map_or(0, |at| at.millis().div_euclid(1_000))
        };
        let of = |trunks: &[TrunkHealth], name: &str| {
            let trunk = trunks.iter().find(|trunk| trunk.name == name);
            let registration = trunk.and_then(|trunk| trunk.registration.as_ref());
            [
                trunk.and_then(|trunk| trunk.reachable).map(i64::from),
                registration.map(|r| i64::from(r.expires_at.is_some())),
                registration.map(expires_s),
            ]
        };
        let names = before.iter().chain(trunks).map(|trunk| &trunk.name);
        for name in names.collect::<BTreeSet<_>>() {
            let gauges = [
                &self.trunk_reachable,
                &self.trunk_registered,
                &self.trunk_registration_expires,
            ];
            for (gauges, value) in gauges.into_iter().zip(of(trunks, name)) {
                let label = TrunkLabel {
                    trunk: name.clone(),
                };
                match value {
                    Some(value) => drop(gauges.get_or_create(&label).set(value)),
                    // Nothing is said of one that is not asked any more.
                    None => drop(gauges.remove(&label)),
                }
            }
        }
    }

    /// How the threads that carry media are.
    pub fn set_media(&self, threads: Threads) {
        let states = [
            ("well", threads.well),
            ("late", threads.late),
            ("ended", threads.ended),
        ];
        for (state, count) in states {
            let gauge = self.media_threads.get_or_create(&StateLabel { state });
            gauge.set(as_gauge(count));
        }
    }

    /// What the connections of SIP peers count.
    pub fn set_streams(&self, counts: StreamCounts) {
        let incoming = i64::try_from(counts.incoming).unwrap_or(i64::MAX);
        self.streams.set(incoming);
        let refused = [
            ("stranger", counts.unknown_sources),
            ("share", counts.over_share),
            ("late", counts.late),
            ("tls", counts.tls),
        ];
        for (why, count) in refused {
            let counter = self.streams_refused.get_or_create(&WhyLabel { why });
            counter.inner().store(count, Ordering::Relaxed);
        }
    }

    /// What is counted elsewhere.
    pub fn set_counts(&self, legs: usize, ports: usize, counts: TurnedAway) {
        self.legs.set(as_gauge(legs));
        self.ports.set(as_gauge(ports));
        for (why, count) in reasons(counts) {
            let counter = self.turned_away.get_or_create(&WhyLabel { why });
            counter.inner().store(count, Ordering::Relaxed);
        }
    }
}

fn as_gauge(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::Metrics;
    use maskline_domain::Timestamp;
    use maskline_sip::endpoint::Counts;

    #[test]
    fn what_is_counted_shows_in_the_metrics() {
        let calls = CallMetrics::default();
        let metrics = Metrics::new();
        metrics.register(|registry| calls.register(registry));
        let record = CallRecord {
            situation: Some("busy".into()),
            ..CallRecord::default()
        };
        calls.ended(Some(&record));
        calls.ended(None);
        calls.without_trunk(Some(Misfit::OtherX));
        calls.without_trunk(None);
        calls.set_live(7);
        let counts = TurnedAway {
            sip: Counts {
                unknown_sources: 11,
                ..Counts::default()
            },
            trunk_full: 12,
            ..TurnedAway::default()
        };
        let health = |name: &str, reachable| TrunkHealth {
            name: name.into(),
            hops: Vec::new(),
            reachable: Some(reachable),
            registration: None,
            trouble: None,
        };
        let gone = [health("gone", true)];
        calls.set_trunks(&[], &gone);
        let registered = TrunkHealth {
            registration: Some(Registration {
                state: "registered",
                expires_at: Some(Timestamp(1_900_000_000_000)),
                error: None,
            }),
            ..health("in", true)
        };
        calls.set_trunks(&gone, &[health("out", false), registered]);
        calls.set_counts(13, 14, counts);
        calls.set_streams(StreamCounts {
            incoming: 15,
            over_share: 16,
            ..StreamCounts::default()
        });
        calls.set_media(Threads {
            well: 2,
            late: 0,
            ended: 1,
        });
        let text = metrics.encode().expect("text");
        for line in [
            "maskline_calls_total{situation=\"busy\"} 1",
            "maskline_calls_total{situation=\"unrecorded\"} 1",
            "maskline_calls_without_trunk_total{why=\"x\"} 1",
            "maskline_calls_without_trunk_total{why=\"callee\"} 0",
            "maskline_calls_without_trunk_total{why=\"trunk\"} 1",
            "maskline_calls_live 7",
            "maskline_call_legs_live 13",
            "maskline_rtp_ports_lent 14",
            "maskline_sip_turned_away_total{why=\"stranger\"} 11",
            "maskline_sip_turned_away_total{why=\"trunk_full\"} 12",
            "maskline_sip_connections 15",
            "maskline_sip_connections_refused_total{why=\"share\"} 16",
            "maskline_sip_connections_refused_total{why=\"late\"} 0",
            "maskline_trunk_reachable{trunk=\"out\"} 0",
            "maskline_trunk_registered{trunk=\"in\"} 1",
            "maskline_trunk_registration_expires_timestamp_seconds{trunk=\"in\"} 1900000000",
            "maskline_media_threads{state=\"well\"} 2",
            "maskline_media_threads{state=\"ended\"} 1",
        ] {
            assert!(text.contains(&format!("\n{line}\n")), "{line} in {text}");
        }
        assert!(!text.contains("gone"), "{text}");
    }
}
