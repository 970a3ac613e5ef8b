//! What the ledger shows of itself in the metrics.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

use super::Ledger;

/// Durations of each kind of work on the write connection.
#[derive(Debug)]
pub(super) struct Times {
    append: Histogram,
    records: Histogram,
    maintenance: Histogram,
    checkpoint: Histogram,
    checkpoint_end: Histogram,
    slowed_us: AtomicU64,
}

/// Upper bounds in seconds.
const BOUNDS: [f64; 11] = [
    0.0001, 0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.2, 1.0,
];

impl Default for Times {
    fn default() -> Self {
        let histogram = || Histogram::new(BOUNDS);
        Self {
            append: histogram(),
            records: histogram(),
            maintenance: histogram(),
            checkpoint: histogram(),
            checkpoint_end: histogram(),
            slowed_us: AtomicU64::new(0),
        }
    }
}

impl Times {
    pub fn appended(&self, took: Duration) {
        self.append.observe(took.as_secs_f64());
    }

    pub fn recorded(&self, took: Duration) {
        self.records.observe(took.as_secs_f64());
    }

    pub fn chored(&self, took: Duration) {
        self.maintenance.observe(took.as_secs_f64());
    }

    pub fn checkpointed(&self, took: Duration) {
        self.checkpoint.observe(took.as_secs_f64());
    }

    pub fn finished(&self, took: Duration) {
        self.checkpoint_end.observe(took.as_secs_f64());
    }

    /// A batch has waited for a snapshot.
    pub fn slowed(&self, pause: Duration) {
        let micros = u64::try_from(pause.as_micros()).unwrap_or(u64::MAX);
        self.slowed_us.fetch_add(micros, Ordering::Relaxed);
    }

    /// How long all of them have waited.
    pub fn slowed_in_all(&self) -> Duration {
        Duration::from_micros(self.slowed_us.load(Ordering::Relaxed))
    }

    fn register(&self, registry: &mut Registry) {
        for (name, help, histogram) in [
            (
                "journal_append",
                "Durable appends to the journal",
                &self.append,
            ),
            (
                "records_write",
                "Durable slices of call records",
                &self.records,
            ),
            (
                "chore",
                "Pieces of background work on the database",
                &self.maintenance,
            ),
            (
                "checkpoint",
                "Checkpoints of the write-ahead log",
                &self.checkpoint,
            ),
        ] {
            registry.register_with_unit(name, help, Unit::Seconds, histogram.clone());
        }
    }
}

impl Ledger {
    /// Registers the ledger's families.
    pub fn register_metrics(&self, registry: &mut Registry) {
        self.shared.times.register(registry);
        self.shared.retention.register(registry);
        registry.register_collector(Box::new(LedgerCollector(self.clone())));
    }
}

/// Shows what the pipeline has counted at the moment it is asked.
#[derive(Debug)]
struct LedgerCollector(Ledger);

impl Collector for LedgerCollector {
    fn encode(&self, mut encoder: DescriptorEncoder) -> Result<(), fmt::Error> {
        let status = self.0.status();
        let counters = status.counters;
        let keyring = self.0.shared.options.keyring.as_deref();
        for (name, help, value) in [
            (
                "commands",
                "Commands given to the writer",
                counters.commands,
            ),
            (
                "commands_done",
                "Commands with a good answer",
                counters.done,
            ),
            (
                "commands_refused",
                "Commands refused by the rules",
                counters.refused,
            ),
            (
                "commands_not_durable",
                "Commands refused because the disk takes no writes",
                counters.not_durable,
            ),
            (
                "commands_busy",
                "Commands turned away by a full queue",
                counters.busy,
            ),
            (
                "commands_late",
                "Commands whose caller had left",
                counters.late,
            ),
            (
                "commands_held_back",
                "Commands too large, or that would end bindings while the clocks disagree",
                counters.held_back,
            ),
            ("journal_batches", "Batches made durable", counters.batches),
            ("journal_events", "Events made durable", counters.events),
            (
                "journal_batches_undone",
                "Batches undone, the disk being full",
                counters.undone,
            ),
            (
                "journal_batches_handed_on",
                "Batches that the binding history and the state for snapshots got by memory",
                status.projection.handed_on + status.snapshots.handed_on,
            ),
            (
                "journal_batches_read_again",
                "Batches that they read from the journal, being behind",
                status.projection.read + status.snapshots.read,
            ),
            (
                "records_unreadable",
                "Rows of the binding history and of call records that could not be read",
                self.0.shared.unreadable.load(Ordering::Relaxed),
            ),
            (
                "sealed_unopened",
                "Sealed values that did not open",
                keyring.map_or(0, |keyring| keyring.unopened()),
            ),
        ] {
            let metric = ConstCounter::new(value);
            let place = encoder.encode_descriptor(name, help, None, metric.metric_type())?;
            metric.encode(place)?;
        }
        let slowed = ConstCounter::new(status.slowed.as_secs_f64());
        let help = "How long commands have waited for a snapshot";
        let (unit, kind) = (Some(&Unit::Seconds), slowed.metric_type());
        slowed.encode(encoder.encode_descriptor("journal_slowed", help, unit, kind)?)?;
        for (name, help, value) in [
            (
                "commands_queued",
                "Commands that wait to be decided",
                status.queued as i64,
            ),
            ("journal_seq", "The newest durable batch", status.seq as i64),
            (
                "journal_tail_events",
                "Events after the newest snapshot, which a start replays",
                i64::try_from(status.tail_events).unwrap_or(i64::MAX),
            ),
            (
                "projection_lag_batches",
                "Batches not yet in the binding history and the audit",
                status.seq.saturating_sub(status.projected) as i64,
            ),
            (
                "writer_takes_commands",
                "1 unless the disk takes no writes",
                i64::from(status.takes_commands),
            ),
            (
                "clocks_disagree",
                "1 while the wall and the monotonic clock have come apart",
                i64::from(status.clocks_disagree),
            ),
            ("bindings", "Bindings in the state", status.bindings as i64),
            ("numbers", "X numbers in the state", status.numbers as i64),
        ] {
            let metric = ConstGauge::new(value);
            let place = encoder.encode_descriptor(name, help, None, metric.metric_type())?;
            metric.encode(place)?;
        }
        Ok(())
    }
}
