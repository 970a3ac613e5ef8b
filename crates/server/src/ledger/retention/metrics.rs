//! What is counted of the retention.

use std::sync::atomic::AtomicU64;

use maskline_domain::Timestamp;
use maskline_store::records::retention::Kind;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::{Registry, Unit};

use super::Round;

#[derive(Debug, Default)]
pub(super) struct RetentionMetrics {
    deleted: Family<KindLabel, Counter>,
    held: Family<KindLabel, Gauge>,
    oldest: Family<KindLabel, Gauge<f64, AtomicU64>>,
    rounds: Family<ResultLabel, Counter>,
    holds: Gauge,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct KindLabel {
    kind: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ResultLabel {
    result: &'static str,
}

fn of(kind: Kind) -> KindLabel {
    KindLabel { kind: kind.name() }
}

impl RetentionMetrics {
    pub fn register(&self, registry: &mut Registry) {
        // Nothing is a figure too.
        for kind in Kind::ALL {
            self.deleted.get_or_create(&of(kind)).inc_by(0);
        }
        registry.register(
            "retention_deleted",
            "Rows deleted since they were older than they may be, by kind",
            self.deleted.clone(),
        );
        registry.register(
            "retention_held_rows",
            "Rows that the last round would have deleted and that are held, by kind",
            self.held.clone(),
        );
        registry.register_with_unit(
            "retention_oldest",
            "Age of the oldest row that the last round left, by kind",
            Unit::Seconds,
            self.oldest.clone(),
        );
        registry.register(
            "retention_rounds",
            "Rounds of the retention, by result",
            self.rounds.clone(),
        );
        registry.register("holds", "Holds that last", self.holds.clone());
    }

    pub fn deleted(&self, kind: Kind, rows: u64) {
        self.deleted.get_or_create(&of(kind)).inc_by(rows);
    }

    pub fn round(&self, result: &'static str) {
        self.rounds.get_or_create(&ResultLabel { result }).inc();
    }

    pub fn holds(&self, count: usize) {
        self.holds.set(count as i64);
    }

    /// What a round that came to its end has left.
    pub fn rest(&self, now: Timestamp, round: &Round) {
        for kind in Kind::ALL {
            let held = i64::try_from(round.held[kind]).unwrap_or(i64::MAX);
            self.held.get_or_create(&of(kind)).set(held);
            let age = round.oldest[kind].map_or(0, |at| (now.0 - at.0).max(0));
            self.oldest
                .get_or_create(&of(kind))
                .set(age as f64 / 1_000.0);
        }
    }
}
