//! The registry of metrics. Each area makes its own families, keeps the handles, and registers them
//! here once; this file knows only how they are shown.

use parking_lot::RwLock;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::Registry;

use super::process::ProcessCollector;

/// All metrics of the process. Names begin with `maskline_`; what Prometheus expects of every
/// process (`process_…`) is there too.
pub struct Metrics(RwLock<Registry>);

impl Metrics {
    /// A registry with the facts of the process and of the build.
    pub fn new() -> Self {
        let mut registry = Registry::default();
        registry.register_collector(Box::new(ProcessCollector::new()));
        registry.register(
            "maskline_build",
            "The program that is running",
            Info::new([("version", env!("CARGO_PKG_VERSION"))]),
        );
        Self(RwLock::new(registry))
    }

    /// Lets an area register its families; every name gets `maskline_` in front.
    pub fn register(&self, add: impl FnOnce(&mut Registry)) {
        add(self.0.write().sub_registry_with_prefix("maskline"));
    }

    /// All metrics in the OpenMetrics text format.
    ///
    /// # Errors
    /// When a collector fails to write itself.
    pub fn encode(&self) -> Result<String, std::fmt::Error> {
        let mut text = String::new();
        encode(&mut text, &self.0.read())?;
        Ok(text)
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use prometheus_client::metrics::counter::Counter;

    use super::*;

    #[test]
    fn families_of_an_area_appear_under_our_name() {
        let metrics = Metrics::new();
        let sheep = Counter::<u64>::default();
        metrics.register(|registry| registry.register("sheep", "Counted", sheep.clone()));
        sheep.inc_by(3);
        let text = metrics.encode().unwrap();
        assert!(text.contains("\nmaskline_sheep_total 3\n"), "{text}");
        assert!(text.contains("maskline_build_info{version=\""), "{text}");
        assert!(text.ends_with("# EOF\n"));
    }

    #[test]
    fn the_process_shows_its_own_use_of_the_machine() {
        let text = Metrics::new().encode().unwrap();
        let value = |name: &str| -> f64 {
            let line = text
                .lines()
                .find(|line| line.starts_with(name))
                .unwrap_or_else(|| panic!("{name} is missing in {text}"));
            line.rsplit(' ').next().unwrap().parse().unwrap()
        };
        assert!(value("process_resident_memory_bytes ") > 100_000.0);
        assert!(value("process_open_fds ") >= 3.0);
        assert!(value("process_start_time_seconds ") > 1_700_000_000.0);
        assert!(value("process_cpu_seconds_total ") >= 0.0);
    }
}
