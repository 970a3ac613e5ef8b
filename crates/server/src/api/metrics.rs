//! What the gateway counts. Labels come from closed lists: names of actions, and codes without the
//! parameter names that a caller could choose.

use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

/// The gateway's families. Clones share them.
#[derive(Debug, Clone)]
pub struct ApiMetrics {
    requests: Family<Labels, Counter>,
    seconds: Family<ActionLabel, Histogram, fn() -> Histogram>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Labels {
    action: &'static str,
    code: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ActionLabel {
    action: &'static str,
}

impl Default for ApiMetrics {
    fn default() -> Self {
        Self {
            requests: Family::default(),
            seconds: Family::new_with_constructor(histogram),
        }
    }
}

/// From a quarter of a millisecond to eight seconds, when a request is given up.
fn histogram() -> Histogram {
    Histogram::new([
        0.000_25, 0.000_5, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 4.0,
        8.0,
    ])
}

impl ApiMetrics {
    /// Registers the families; the caller's registry puts the common prefix in front.
    pub fn register(&self, registry: &mut Registry) {
        registry.register(
            "api_requests",
            "Requests answered, by action and code",
            self.requests.clone(),
        );
        registry.register_with_unit(
            "api_request",
            "Time from the end of a request to its answer",
            Unit::Seconds,
            self.seconds.clone(),
        );
    }

    /// Counts one answer. `action` is the name in the table, or nothing when none was found.
    pub(super) fn count(&self, action: Option<&'static str>, code: &'static str, took: Duration) {
        let action = action.unwrap_or("none");
        self.requests.get_or_create(&Labels { action, code }).inc();
        self.seconds
            .get_or_create(&ActionLabel { action })
            .observe(took.as_secs_f64());
    }
}
