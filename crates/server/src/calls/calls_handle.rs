//! The handle of the calls for the rest of the program: the live ones, how the trunks are, the ring tones that
//! callers can hear, the test of a trunk, and the wish to take no more calls. Behind it stand the metrics of calls
//! and what tells whether changed trunks are in use.

use super::metrics::CallMetrics;
use super::trunk_freshness::TrunkFreshness;
use super::unknown_sources::UnknownSources;
use maskline_domain::ToneCode;
use maskline_media::Threads;
use maskline_sip::hop::Hop;
use maskline_switch::{LiveCall, TrunkHealth};
use parking_lot::Mutex;
use prometheus_client::registry::Registry;
use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

/// Questions that may wait for the loop; more are refused.
const ASKS_MAX: usize = 16;
/// The longest wait for its answer.
const ANSWER_WAIT_MAX: Duration = Duration::from_secs(5);

/// How long somebody waits for a trunk that is tested: longer than a request lasts without an answer
/// (timer F, RFC 3261 section 17.1.2.2).
const TEST_WAIT_MAX: Duration = Duration::from_secs(40);

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
    freshness: TrunkFreshness,
    trunks: Mutex<Vec<TrunkHealth>>,
    unknown_sources: UnknownSources,
    media: Mutex<Threads>,
    tones: Mutex<Arc<BTreeSet<ToneCode>>>,
    metrics: CallMetrics,
}

impl Default for CallsHandle {
    fn default() -> Self {
        let (asks, asked) = mpsc::channel(ASKS_MAX);
        Self(Arc::new(Shared {
            asks,
            asked: Mutex::new(Some(asked)),
            drain: CancellationToken::new(),
            freshness: TrunkFreshness::default(),
            trunks: Mutex::default(),
            unknown_sources: UnknownSources::default(),
            media: Mutex::default(),
            tones: Mutex::default(),
            metrics: CallMetrics::default(),
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
        if !self.0.freshness.wait(ANSWER_WAIT_MAX).await {
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
    pub fn unknown_sources(&self) -> &UnknownSources {
        &self.0.unknown_sources
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
        self.0.metrics.live()
    }

    /// From now on no new calls are taken; those that stand may last as long as after the wish to stop.
    pub fn drain(&self) {
        self.0.drain.cancel();
    }

    /// Whether no new calls are taken.
    pub fn is_draining(&self) -> bool {
        self.0.drain.is_cancelled()
    }

    /// Registers the metrics.
    pub fn register(&self, registry: &mut Registry) {
        self.0.metrics.register(registry);
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

    /// What is counted.
    pub(super) fn metrics(&self) -> &CallMetrics {
        &self.0.metrics
    }

    /// Whether calls go by the newest trunks.
    pub(super) fn freshness(&self) -> &TrunkFreshness {
        &self.0.freshness
    }

    /// How the enabled trunks are.
    pub fn set_trunks(&self, trunks: Vec<TrunkHealth>) {
        let mut known = self.0.trunks.lock();
        if *known != trunks {
            self.0.metrics.set_trunks(&known, &trunks);
            *known = trunks;
        }
    }

    /// How the threads that carry media are; gives how they were before.
    pub fn set_media(&self, threads: Threads) -> Threads {
        self.0.metrics.set_media(threads);
        std::mem::replace(&mut self.0.media.lock(), threads)
    }

    /// Which ring tones can be played.
    pub fn set_tones(&self, tones: Arc<BTreeSet<ToneCode>>) {
        *self.0.tones.lock() = tones;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_health_of_trunks_and_threads_is_shown() {
        let calls_handle = CallsHandle::default();
        let health = |name: &str, reachable| TrunkHealth {
            name: name.into(),
            hops: Vec::new(),
            reachable: Some(reachable),
            registration: None,
            trouble: None,
        };
        calls_handle.set_trunks(vec![health("gone", true)]);
        calls_handle.set_trunks(vec![health("out", false)]);
        let reachable = |name| calls_handle.trunk(name).and_then(|trunk| trunk.reachable);
        assert_eq!(reachable("out"), Some(false));
        assert_eq!(reachable("gone"), None, "it is asked no more");
        let threads = Threads {
            well: 2,
            late: 0,
            ended: 1,
        };
        assert_eq!(calls_handle.set_media(threads), Threads::default());
        assert_eq!(calls_handle.media(), threads);
    }

    #[tokio::test]
    async fn without_a_loop_nothing_is_known_and_only_one_answers() {
        let calls_handle = CallsHandle::default();
        assert_eq!(calls_handle.live_calls().await, None);
        let mut asks = calls_handle.take_asks().expect("the first");
        assert!(calls_handle.take_asks().is_none());
        let asker = calls_handle.clone();
        let asked = tokio::spawn(async move { asker.live_calls().await });
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
