//! Whether the process can serve, and if not, what it waits for.

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::Mutex;

/// What stands in the way of serving. Shared by all parts; ready means that nothing does.
#[derive(Clone, Debug, Default)]
pub struct Readiness(Arc<Mutex<BTreeMap<&'static str, String>>>);

impl Readiness {
    /// A process that is starting and not ready.
    pub fn starting() -> Self {
        let readiness = Self::default();
        readiness.block("start", "starting");
        readiness
    }

    /// Something stands in the way: `part` is a fixed word, `why` a sentence for a person. Said
    /// again, it replaces the reason; a change is logged.
    pub fn block(&self, part: &'static str, why: impl Into<String>) {
        let why = why.into();
        let before = self.0.lock().insert(part, why.clone());
        if before.as_ref() != Some(&why) && part != "start" {
            tracing::warn!(part, why, "not ready");
        }
    }

    /// What stood in the way no longer does.
    pub fn clear(&self, part: &'static str) {
        if self.0.lock().remove(part).is_some() && part != "start" {
            tracing::info!(part, "ready again");
        }
    }

    /// Everything that stands in the way, by part; empty means ready.
    pub fn blocked_by(&self) -> BTreeMap<&'static str, String> {
        self.0.lock().clone()
    }

    /// Whether nothing stands in the way.
    pub fn is_ready(&self) -> bool {
        self.0.lock().is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ready_when_nothing_stands_in_the_way() {
        let readiness = Readiness::starting();
        readiness.block("writer", "disk full");
        readiness.clear("start");
        assert!(!readiness.is_ready());
        assert_eq!(readiness.blocked_by()["writer"], "disk full");
        readiness.clear("writer");
        assert!(readiness.is_ready());
    }
}
