//! What `/metrics` answered last, kept for a moment. Whoever reaches the admin port may ask, without a
//! token, so asking often must not cost what writing all metrics costs.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::sync::Mutex;

use super::Metrics;
use super::exposition::Exposition;

/// For how long an answer is given again. Scrapers ask every few seconds at most.
const KEPT: Duration = Duration::from_secs(1);

/// The metrics in both formats, at most [`KEPT`] old. They are written by one request at a time, for which
/// the others wait.
pub(super) struct Kept {
    metrics: Arc<Metrics>,
    last: Mutex<Option<Written>>,
}

struct Written {
    at: Instant,
    open_metrics: Bytes,
    text: Bytes,
}

impl Kept {
    /// Nothing is written yet.
    pub(super) fn new(metrics: Arc<Metrics>) -> Self {
        Self {
            metrics,
            last: Mutex::new(None),
        }
    }

    /// The metrics in this format; `now` is when they were asked for.
    ///
    /// # Errors
    /// When a collector fails to write itself.
    pub(super) async fn text(&self, format: Exposition, now: Instant) -> Result<Bytes, fmt::Error> {
        let mut last = self.last.lock().await;
        let is_new = |written: &&Written| now.saturating_duration_since(written.at) < KEPT;
        let written = match last.as_ref().filter(is_new) {
            Some(written) => written,
            None => last.insert(Written::of(&self.metrics, now)?),
        };
        Ok(match format {
            Exposition::OpenMetrics => written.open_metrics.clone(),
            Exposition::Text => written.text.clone(),
        })
    }
}

impl Written {
    fn of(metrics: &Metrics, at: Instant) -> Result<Self, fmt::Error> {
        let open_metrics = metrics.encode()?;
        Ok(Self {
            at,
            text: Exposition::Text.write(open_metrics.clone()).into(),
            open_metrics: open_metrics.into(),
        })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use prometheus_client::collector::Collector;
    use prometheus_client::encoding::DescriptorEncoder;
    use tokio::task::JoinSet;

    use super::*;

    /// Counts how often the metrics were written.
    #[derive(Debug, Default, Clone)]
    struct Writings(Arc<AtomicU64>);

    impl Writings {
        fn count(&self) -> u64 {
            self.0.load(Ordering::Relaxed)
        }
    }

    impl Collector for Writings {
        fn encode(&self, _: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
            self.0.fetch_add(1, Ordering::Relaxed);
            Ok(())
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_flood_of_scrapes_is_answered_by_one_writing_a_second() {
        let (metrics, writings) = (Metrics::new(), Writings::default());
        metrics.register(|registry| registry.register_collector(Box::new(writings.clone())));
        let kept = Arc::new(Kept::new(Arc::new(metrics)));
        let start = Instant::now();
        for (after_ms, expected) in [(0, 1), (999, 1), (1_000, 2), (1_999, 2), (60_000, 3)] {
            let now = start + Duration::from_millis(after_ms);
            for format in [Exposition::Text, Exposition::OpenMetrics] {
                let mut flood = JoinSet::new();
                for _ in 0..200 {
                    let kept = kept.clone();
                    flood.spawn(async move { kept.text(format, now).await.expect("written") });
                }
                let told = flood.join_all().await;
                assert!(told.iter().all(|text| *text == told[0]));
                assert_eq!(writings.count(), expected, "after {after_ms} ms");
            }
        }
    }

    #[tokio::test]
    async fn who_waited_for_another_takes_what_that_one_wrote() {
        let (metrics, writings) = (Metrics::new(), Writings::default());
        metrics.register(|registry| registry.register_collector(Box::new(writings.clone())));
        let kept = Kept::new(Arc::new(metrics));
        let asked = Instant::now();
        let later = asked + Duration::from_secs(5);
        kept.text(Exposition::Text, later).await.expect("written");
        kept.text(Exposition::Text, asked).await.expect("written");
        assert_eq!(writings.count(), 1);
    }
}
