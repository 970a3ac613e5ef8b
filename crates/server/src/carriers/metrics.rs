//! What is counted about carriers.

use std::time::Duration;

use maskline_domain::CarrierName;
use maskline_domain::provisioning::{Answer, BreakerState};
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

/// Upper bounds of the time that a request takes, in seconds.
const SECONDS: [f64; 9] = [0.005, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 5.0];

/// What carriers are asked, as `Operation::name` has it.
const OPERATIONS: [&str; 3] = ["bind", "update", "unbind"];

/// The families. Clones share them.
#[derive(Clone, Debug)]
pub(super) struct CarrierMetrics {
    requests: Family<RequestLabels, Counter>,
    seconds: Family<CarrierLabel, Histogram>,
    breaker: Family<CarrierLabel, Gauge>,
    waiting: Family<CarrierLabel, Gauge>,
    owed: Family<CarrierLabel, Gauge>,
    orphans: Family<CarrierLabel, Gauge>,
    missing: Family<CarrierLabel, Gauge>,
    reconciled_at: Family<CarrierLabel, Gauge>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct CarrierLabel {
    carrier: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RequestLabels {
    carrier: String,
    operation: &'static str,
    answer: &'static str,
}

impl Default for CarrierMetrics {
    fn default() -> Self {
        Self {
            requests: Family::default(),
            seconds: Family::new_with_constructor(|| Histogram::new(SECONDS)),
            breaker: Family::default(),
            waiting: Family::default(),
            owed: Family::default(),
            orphans: Family::default(),
            missing: Family::default(),
            reconciled_at: Family::default(),
        }
    }
}

fn label(carrier: &CarrierName) -> CarrierLabel {
    CarrierLabel {
        carrier: carrier.to_string(),
    }
}

impl CarrierMetrics {
    pub fn register(&self, registry: &mut Registry) {
        registry.register(
            "carrier_requests",
            "Requests to carriers, by operation and answer",
            self.requests.clone(),
        );
        registry.register(
            "carrier_request_seconds",
            "How long requests to carriers take",
            self.seconds.clone(),
        );
        registry.register(
            "carrier_breaker_open",
            "Whether a carrier is left alone: 0 no, 1 it is being tried, 2 yes",
            self.breaker.clone(),
        );
        registry.register(
            "carrier_waiting",
            "Requests of customers that wait for a carrier",
            self.waiting.clone(),
        );
        registry.register(
            "carrier_owed",
            "Bindings of which a carrier must still be told",
            self.owed.clone(),
        );
        registry.register(
            "carrier_orphans",
            "X numbers that the last reconciliation found live at a carrier without a binding",
            self.orphans.clone(),
        );
        registry.register(
            "carrier_missing",
            "Bindings that the last reconciliation found missing at a carrier",
            self.missing.clone(),
        );
        registry.register(
            "carrier_reconciled_timestamp_seconds",
            "When a carrier was last reconciled",
            self.reconciled_at.clone(),
        );
    }

    pub fn answered(
        &self,
        carrier: &CarrierName,
        operation: &'static str,
        answer: Answer,
        took: Duration,
    ) {
        let labels = RequestLabels {
            carrier: carrier.to_string(),
            operation,
            answer: answer.name(),
        };
        self.requests.get_or_create(&labels).inc();
        let seconds = self.seconds.get_or_create(&label(carrier));
        seconds.observe(took.as_secs_f64());
    }

    pub fn status(
        &self,
        carrier: &CarrierName,
        breaker: BreakerState,
        waiting: usize,
        owed: usize,
    ) {
        let label = label(carrier);
        let state = match breaker {
            BreakerState::Closed { .. } => 0,
            BreakerState::HalfOpen { .. } => 1,
            BreakerState::Open { .. } => 2,
        };
        self.breaker.get_or_create(&label).set(state);
        self.waiting.get_or_create(&label).set(waiting as i64);
        self.owed.get_or_create(&label).set(owed as i64);
    }

    /// Of a carrier that was not compared yet: it was at 0 seconds, which alerts tell.
    pub fn begin(&self, carrier: &CarrierName) {
        self.compared(carrier, 0, 0);
        self.reconciled(carrier, 0);
    }

    pub fn compared(&self, carrier: &CarrierName, orphans: u64, missing: u64) {
        let label = label(carrier);
        self.orphans.get_or_create(&label).set(orphans as i64);
        self.missing.get_or_create(&label).set(missing as i64);
    }

    pub fn reconciled(&self, carrier: &CarrierName, at_s: i64) {
        self.reconciled_at.get_or_create(&label(carrier)).set(at_s);
    }

    pub fn forget(&self, carrier: &CarrierName) {
        for operation in OPERATIONS {
            for answer in Answer::ALL {
                self.requests.remove(&RequestLabels {
                    carrier: carrier.to_string(),
                    operation,
                    answer: answer.name(),
                });
            }
        }
        let label = label(carrier);
        self.seconds.remove(&label);
        let gauges = [
            &self.breaker,
            &self.waiting,
            &self.owed,
            &self.orphans,
            &self.missing,
            &self.reconciled_at,
        ];
        for gauge in gauges {
            gauge.remove(&label);
        }
    }
}
