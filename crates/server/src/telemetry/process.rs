//! The metrics Prometheus expects of every process, read from `/proc/self` when asked. On a system
//! without it they are simply absent.

use std::fmt;
use std::time::{SystemTime, UNIX_EPOCH};

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;

/// Linux shows times of a process in 1/100 s to user space on every architecture we build for
/// (proc(5), `sysconf(_SC_CLK_TCK)`).
const TICKS_PER_S: f64 = 100.0;

/// Size of a page where the kernel does not say otherwise; `statm` counts in pages.
const PAGE_BYTES: i64 = 4096;

#[derive(Debug)]
pub(super) struct ProcessCollector {
    started_s: f64,
}

impl ProcessCollector {
    /// Made at the start of the process: the time of making is shown as its start.
    pub(super) fn new() -> Self {
        let started_s = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(0.0, |since| since.as_secs_f64());
        Self { started_s }
    }
}

impl Collector for ProcessCollector {
    fn encode(&self, mut encoder: DescriptorEncoder) -> Result<(), fmt::Error> {
        let mut show = |name, help, metric: &dyn ShownMetric| metric.show(&mut encoder, name, help);
        show(
            "process_start_time_seconds",
            "When the process started, as Unix time",
            &ConstGauge::new(self.started_s),
        )?;
        if let Some(seconds) = cpu_seconds() {
            let metric = ConstCounter::new(seconds);
            show("process_cpu_seconds", "Processor time used", &metric)?;
        }
        if let Some(bytes) = resident_bytes() {
            let metric = ConstGauge::new(bytes);
            show("process_resident_memory_bytes", "Memory held", &metric)?;
        }
        if let Some(count) = open_files() {
            let metric = ConstGauge::new(count);
            show("process_open_fds", "Open file descriptors", &metric)?;
        }
        Ok(())
    }
}

/// A metric that can be written through a reference.
trait ShownMetric {
    fn show(&self, encoder: &mut DescriptorEncoder, name: &str, help: &str) -> fmt::Result;
}

impl<M: EncodeMetric> ShownMetric for M {
    fn show(&self, encoder: &mut DescriptorEncoder, name: &str, help: &str) -> fmt::Result {
        let place = encoder.encode_descriptor(name, help, None, self.metric_type())?;
        self.encode(place)
    }
}

/// User and system time; fields 14 and 15 of `stat`, counted after the name in parentheses.
fn cpu_seconds() -> Option<f64> {
    let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
    let (_, after_name) = stat.rsplit_once(')')?;
    let mut fields = after_name.split_ascii_whitespace().skip(11);
    let user: u64 = fields.next()?.parse().ok()?;
    let system: u64 = fields.next()?.parse().ok()?;
    Some((user + system) as f64 / TICKS_PER_S)
}

fn resident_bytes() -> Option<i64> {
    let statm = std::fs::read_to_string("/proc/self/statm").ok()?;
    let pages: i64 = statm.split_ascii_whitespace().nth(1)?.parse().ok()?;
    Some(pages * PAGE_BYTES)
}

fn open_files() -> Option<i64> {
    i64::try_from(std::fs::read_dir("/proc/self/fd").ok()?.count()).ok()
}
