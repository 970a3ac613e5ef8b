//! What others see of the calls while they last: the live ones, what is counted, the ring tones that callers
//! can hear, and the one thing that may be asked of the loop that carries them, to take no more.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::health::Strangers;
use super::sip_connections::Counts as StreamCounts;
use crate::telemetry::LogLimit;
use maskline_domain::ToneCode;
use maskline_domain::call_record::CallRecord;
use maskline_media::Threads;
use maskline_sip::hop::Hop;
use maskline_switch::{LiveCall, Registration, TrunkHealth, TurnedAway};
use parking_lot::Mutex;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

/// Questions that may wait for the loop; more are refused.
const ASKS_MAX: usize = 16;
/// The longest wait for its answer.
const ANSWER_WAIT_MAX: Duration = Duration::from_secs(5);
/// What stands in the counts for a call that leaves no record, such as one to somebody else's number.
const UNRECORDED: &str = "unrecorded";

/// How long somebody waits for a trunk that is tested: longer than a request lasts without an answer
/// (timer F, RFC 3261 section 17.1.2.2).
const TEST_WAIT_MAX: Duration = Duration::from_secs(40);

/// How many reasons there are.
const REASONS: usize = 10;

/// A question to the loop, with where the answer goes.
#[derive(Debug)]
pub enum Ask {
    /// For the live calls.
    Live(oneshot::Sender<Vec<LiveCall>>),
    /// What a trunk of this name says to OPTIONS; none if there is no such enabled trunk.
    Test(String, oneshot::Sender<Option<TrunkAnswer>>),
}

/// What came of asking a trunk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrunkAnswer {
    /// Where it was asked.
    pub at: Hop,
    /// The status of its answer; none if there was none.
    pub status: Option<u16>,
    /// How long that took, in milliseconds.
    pub took_ms: u64,
    /// Why it cannot be reached, in words for a person.
    pub trouble: Option<String>,
}

/// See the module. Cheap to clone; all clones show the same calls.
#[derive(Clone)]
pub struct CallsHandle(Arc<Shared>);

struct Shared {
    asks: mpsc::Sender<Ask>,
    /// Until a loop takes it.
    asked: Mutex<Option<mpsc::Receiver<Ask>>>,
    drain: CancellationToken,
    freshness: Freshness,
    trunks: Mutex<Vec<TrunkHealth>>,
    strangers: Strangers,
    media: Mutex<Threads>,
    tones: Mutex<Arc<BTreeSet<ToneCode>>>,
    metrics: Metrics,
}

/// How far the trunks that calls go by are behind those of the state, as numbers that only grow.
#[derive(Default)]
struct Freshness {
    /// Looks at the state that were wished for.
    wanted: watch::Sender<u64>,
    /// The newest wish that calls have caught up with.
    reached: watch::Sender<u64>,
    /// Lists of trunks that the loop has taken.
    taken: watch::Sender<u64>,
}

#[derive(Default)]
struct Metrics {
    ended: Family<SituationLabel, Counter>,
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

impl Default for CallsHandle {
    fn default() -> Self {
        let (asks, asked) = mpsc::channel(ASKS_MAX);
        Self(Arc::new(Shared {
            asks,
            asked: Mutex::new(Some(asked)),
            drain: CancellationToken::new(),
            freshness: Freshness::default(),
            trunks: Mutex::default(),
            strangers: Strangers::default(),
            media: Mutex::default(),
            tones: Mutex::default(),
            metrics: Metrics::default(),
        }))
    }
}

impl fmt::Debug for CallsHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CallsHandle")
            .field("live", &self.live())
            .field("draining", &self.is_draining())
            .finish_non_exhaustive()
    }
}

/// For those who look.
impl CallsHandle {
    /// The live calls, the oldest first. None when no loop serves calls, or it does not answer in time.
    pub async fn live_calls(&self) -> Option<Vec<LiveCall>> {
        if self.0.asked.lock().is_some() {
            return None;
        }
        let (answer, answered) = oneshot::channel();
        self.0.asks.try_send(Ask::Live(answer)).ok()?;
        timeout(ANSWER_WAIT_MAX, answered).await.ok()?.ok()
    }

    /// Waits until calls go by the trunks that the state has now, so that a change that was answered holds
    /// from the next call on. Returns at once when no loop serves calls, and after five seconds when it does
    /// not keep up.
    pub async fn trunks_are_current(&self) {
        if self.0.asked.lock().is_some() {
            return;
        }
        let freshness = &self.0.freshness;
        let mut reached = freshness.reached.subscribe();
        let mut wish = 0;
        freshness.wanted.send_modify(|wanted| {
            *wanted += 1;
            wish = *wanted;
        });
        let caught_up = reached.wait_for(|reached| *reached >= wish);
        if timeout(ANSWER_WAIT_MAX, caught_up).await.is_err() {
            tracing::warn!("the calls do not take the trunks as they are now");
        }
    }

    /// Asks an enabled trunk by OPTIONS and waits for what comes back; none if there is no such trunk, it
    /// is being asked so already, or no loop serves calls.
    pub async fn test_trunk(&self, name: &str) -> Option<TrunkAnswer> {
        if self.0.asked.lock().is_some() {
            return None;
        }
        let (answer, answered) = oneshot::channel();
        self.0
            .asks
            .try_send(Ask::Test(name.to_owned(), answer))
            .ok()?;
        timeout(TEST_WAIT_MAX, answered).await.ok()?.ok()?
    }

    /// How a trunk is; none for one that is not enabled, or that cannot be used.
    pub fn trunk(&self, name: &str) -> Option<TrunkHealth> {
        let known = self.0.trunks.lock();
        known.iter().find(|trunk| trunk.name == name).cloned()
    }

    /// How all enabled trunks are.
    pub fn trunks(&self) -> Vec<TrunkHealth> {
        self.0.trunks.lock().clone()
    }

    /// Who spoke SIP to us without being a trunk.
    pub fn strangers(&self) -> &Strangers {
        &self.0.strangers
    }

    /// How the threads that carry media were when last looked at.
    pub fn media(&self) -> Threads {
        *self.0.media.lock()
    }

    /// The ring tones that can be played; none before calls are served.
    pub fn tones(&self) -> Arc<BTreeSet<ToneCode>> {
        Arc::clone(&self.0.tones.lock())
    }

    /// How many calls are live.
    pub fn live(&self) -> u64 {
        u64::try_from(self.0.metrics.live.get()).unwrap_or(0)
    }

    /// From now on no new calls are taken; those that stand may last as long as after the wish to stop.
    pub fn drain(&self) {
        self.0.drain.cancel();
    }

    /// Whether no new calls are taken.
    pub fn is_draining(&self) -> bool {
        self.0.drain.is_cancelled()
    }

    /// Registers what is counted.
    pub fn register(&self, registry: &mut Registry) {
        let metrics = &self.0.metrics;
        registry.register(
            "calls",
            "Calls that ended, by situation",
            metrics.ended.clone(),
        );
        registry.register("calls_live", "Calls that last", metrics.live.clone());
        registry.register("call_legs_live", "Legs that last", metrics.legs.clone());
        registry.register(
            "rtp_ports_lent",
            "Media ports in use by calls",
            metrics.ports.clone(),
        );
        registry.register(
            "sip_turned_away",
            "SIP messages that became no call, by reason",
            metrics.turned_away.clone(),
        );
        registry.register(
            "trunk_reachable",
            "Whether a trunk answered when last asked, and took our registration: 1 or 0; only of those \
             that are asked",
            metrics.trunk_reachable.clone(),
        );
        registry.register(
            "sip_connections",
            "SIP connections over TCP and TLS that peers opened and that stand",
            metrics.streams.clone(),
        );
        registry.register(
            "sip_connections_refused",
            "SIP connections of peers that were closed by us, by reason: stranger, share, late, tls",
            metrics.streams_refused.clone(),
        );
        registry.register(
            "trunk_registered",
            "Whether the registration with a trunk holds: 1 or 0; only where there is to be one",
            metrics.trunk_registered.clone(),
        );
        registry.register(
            "trunk_registration_expires_timestamp_seconds",
            "When the registration with a trunk ends, as seconds since 1970; 0 where none holds",
            metrics.trunk_registration_expires.clone(),
        );
        registry.register(
            "media_threads",
            "Threads that carry and record media: well, late (no new calls) or ended",
            metrics.media_threads.clone(),
        );
    }
}

/// For the loop.
impl CallsHandle {
    /// The questions, for the one loop that answers them.
    pub fn take_asks(&self) -> Option<mpsc::Receiver<Ask>> {
        self.0.asked.lock().take()
    }

    /// Cancelled when no new calls are to be taken.
    pub fn draining(&self) -> CancellationToken {
        self.0.drain.clone()
    }

    /// A call has ended, with its record if it leaves one.
    pub fn ended(&self, record: Option<&CallRecord>) {
        let situation = record.and_then(|record| record.situation.as_deref());
        let situation = situation.unwrap_or(UNRECORDED).to_owned();
        let label = SituationLabel { situation };
        self.0.metrics.ended.get_or_create(&label).inc();
    }

    /// How many calls are live now.
    pub fn set_live(&self, calls: usize) {
        self.0.metrics.live.set(as_gauge(calls));
    }

    /// Looks at the trunks that are wished for; see [`Self::trunks_are_current`].
    pub fn wanted_looks(&self) -> watch::Receiver<u64> {
        self.0.freshness.wanted.subscribe()
    }

    /// The loop goes by a newer list of trunks.
    pub fn trunks_taken(&self) {
        self.0.freshness.taken.send_modify(|taken| *taken += 1);
    }

    /// Waits until the loop has taken so many lists of trunks, then tells those who wished for this look.
    pub async fn caught_up(&self, lists: u64, wish: u64) {
        let mut taken = self.0.freshness.taken.subscribe();
        if taken.wait_for(|taken| *taken >= lists).await.is_ok() {
            self.0.freshness.reached.send_replace(wish);
        }
    }

    /// How the enabled trunks are.
    pub fn set_trunks(&self, trunks: Vec<TrunkHealth>) {
        let mut known = self.0.trunks.lock();
        if *known == trunks {
            return;
        }
        let metrics = &self.0.metrics;
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
        let names = known.iter().chain(&trunks).map(|trunk| &trunk.name);
        for name in names.collect::<BTreeSet<_>>() {
            let gauges = [
                &metrics.trunk_reachable,
                &metrics.trunk_registered,
                &metrics.trunk_registration_expires,
            ];
            for (gauges, value) in gauges.into_iter().zip(of(&trunks, name)) {
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
        *known = trunks;
    }

    /// What the connections of SIP peers count.
    pub fn set_streams(&self, counts: StreamCounts) {
        let metrics = &self.0.metrics;
        let incoming = i64::try_from(counts.incoming).unwrap_or(i64::MAX);
        metrics.streams.set(incoming);
        let refused = [
            ("stranger", counts.strangers),
            ("share", counts.over_share),
            ("late", counts.late),
            ("tls", counts.tls),
        ];
        for (why, count) in refused {
            let counter = metrics.streams_refused.get_or_create(&WhyLabel { why });
            counter
                .inner()
                .store(count, std::sync::atomic::Ordering::Relaxed);
        }
    }

    /// How the threads that carry media are; gives how they were before.
    pub fn set_media(&self, threads: Threads) -> Threads {
        let states = [
            ("well", threads.well),
            ("late", threads.late),
            ("ended", threads.ended),
        ];
        for (state, count) in states {
            let gauge = (self.0.metrics.media_threads).get_or_create(&StateLabel { state });
            gauge.set(as_gauge(count));
        }
        std::mem::replace(&mut self.0.media.lock(), threads)
    }

    /// Which ring tones can be played.
    pub fn set_tones(&self, tones: Arc<BTreeSet<ToneCode>>) {
        *self.0.tones.lock() = tones;
    }

    /// What is counted elsewhere.
    pub fn set_counts(&self, legs: usize, ports: usize, counts: TurnedAway) {
        let metrics = &self.0.metrics;
        metrics.legs.set(as_gauge(legs));
        metrics.ports.set(as_gauge(ports));
        for (why, count) in reasons(counts) {
            let counter = metrics.turned_away.get_or_create(&WhyLabel { why });
            counter
                .inner()
                .store(count, std::sync::atomic::Ordering::Relaxed);
        }
    }
}

fn as_gauge(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// The counts with their names.
fn reasons(turned_away: TurnedAway) -> [(&'static str, u64); REASONS] {
    let counts = turned_away.sip;
    [
        ("not_sip", counts.not_sip),
        ("malformed", counts.malformed),
        ("stranger", counts.strangers),
        ("astray", counts.astray),
        ("unknown_x", counts.screened),
        ("unproven", counts.unproven),
        ("stray_response", counts.stray_responses),
        ("overload", counts.overload),
        ("trunk_full", turned_away.trunk_full),
        ("forwarded", turned_away.forwarded),
    ]
}

/// Tells of messages that became no call, once in a while for all of them: a scanner sends thousands.
#[derive(Debug, Default)]
pub struct Noise {
    told: TurnedAway,
    limit: LogLimit,
}

impl Noise {
    /// What is to be told now: how much came since the last time, by reason, if anything did.
    pub fn look(
        &mut self,
        counts: TurnedAway,
        now_ms: u64,
    ) -> Option<[(&'static str, u64); REASONS]> {
        self.limit.count((counts != self.told).into());
        self.limit.take(Duration::from_millis(now_ms))?;
        let mut fresh = reasons(counts);
        for ((_, count), (_, before)) in fresh.iter_mut().zip(reasons(self.told)) {
            *count = count.saturating_sub(before);
        }
        self.told = counts;
        Some(fresh)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use maskline_domain::Timestamp;
    use maskline_sip::endpoint::Counts;

    #[test]
    fn noise_is_told_at_once_and_then_once_a_minute() {
        let mut noise = Noise::default();
        let counts = |strangers| TurnedAway {
            sip: Counts {
                strangers,
                ..Counts::default()
            },
            ..TurnedAway::default()
        };
        assert_eq!(noise.look(counts(0), 0), None);
        let strangers =
            |told: Option<[(&'static str, u64); REASONS]>| told.map(move |told| told[2]);
        let told = noise.look(counts(3), 1_000);
        assert_eq!(strangers(told), Some(("stranger", 3)));
        assert_eq!(noise.look(counts(5_000), 60_999), None);
        let told = noise.look(counts(9_000), 61_000);
        assert_eq!(strangers(told), Some(("stranger", 8_997)));
        assert_eq!(noise.look(counts(9_000), 200_000), None);
    }

    #[test]
    fn what_is_counted_shows_in_the_metrics() {
        let calls_handle = CallsHandle::default();
        let metrics = crate::telemetry::Metrics::new();
        metrics.register(|registry| calls_handle.register(registry));
        let record = CallRecord {
            situation: Some("busy".into()),
            ..CallRecord::default()
        };
        calls_handle.ended(Some(&record));
        calls_handle.ended(None);
        calls_handle.set_live(7);
        let counts = TurnedAway {
            sip: Counts {
                strangers: 11,
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
        calls_handle.set_trunks(vec![health("gone", true)]);
        let registered = TrunkHealth {
            registration: Some(Registration {
                state: "registered",
                expires_at: Some(Timestamp(1_900_000_000_000)),
                error: None,
            }),
            ..health("in", true)
        };
        calls_handle.set_trunks(vec![health("out", false), registered]);
        let reachable = |name| calls_handle.trunk(name).and_then(|trunk| trunk.reachable);
        assert_eq!(reachable("out"), Some(false));
        assert_eq!(reachable("gone"), None, "it is asked no more");
        calls_handle.set_counts(13, 14, counts);
        calls_handle.set_streams(StreamCounts {
            incoming: 15,
            over_share: 16,
            ..StreamCounts::default()
        });
        let threads = Threads {
            well: 2,
            late: 0,
            ended: 1,
        };
        assert_eq!(calls_handle.set_media(threads), Threads::default());
        assert_eq!(calls_handle.media(), threads);
        let text = metrics.encode().expect("text");
        for line in [
            "maskline_calls_total{situation=\"busy\"} 1",
            "maskline_calls_total{situation=\"unrecorded\"} 1",
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

    #[tokio::test]
    async fn without_a_loop_nothing_is_known_and_only_one_answers() {
        let calls_handle = CallsHandle::default();
        assert_eq!(calls_handle.live_calls().await, None);
        let mut asks = calls_handle.take_asks().expect("the first");
        assert!(calls_handle.take_asks().is_none());
        let looker = calls_handle.clone();
        let asked = tokio::spawn(async move { looker.live_calls().await });
        let Ask::Live(ask) = asks.recv().await.expect("a question") else {
            panic!("another question");
        };
        ask.send(Vec::new()).expect("somebody waits");
        assert_eq!(asked.await.expect("no panic"), Some(Vec::new()));
        assert!(!calls_handle.is_draining());
        calls_handle.drain();
        assert!(calls_handle.draining().is_cancelled());
    }
}
