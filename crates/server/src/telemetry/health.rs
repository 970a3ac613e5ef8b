//! Whether the process can serve, and if not, what it waits for.

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::Mutex;

/// What stands in the way of serving, and what else people should know. Shared by all parts; ready means
/// that nothing stands in the way.
#[derive(Clone, Debug, Default)]
pub struct Readiness {
    blocked_by: Arc<Mutex<Said>>,
    notes: Arc<Mutex<Said>>,
}

/// A sentence for each part.
type Said = BTreeMap<&'static str, String>;

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
        let before = self.blocked_by.lock().insert(part, why.clone());
        if before.as_ref() != Some(&why) && part != "start" {
            tracing::warn!(part, why, "not ready");
        }
    }

    /// What stood in the way no longer does.
    pub fn clear(&self, part: &'static str) {
        if self.blocked_by.lock().remove(part).is_some() && part != "start" {
            tracing::info!(part, "ready again");
        }
    }

    /// Everything that stands in the way, by part; empty means ready.
    pub fn blocked_by(&self) -> BTreeMap<&'static str, String> {
        self.blocked_by.lock().clone()
    }

    /// Says something that does not stand in the way of serving, or that there is nothing to say any more.
    pub fn note(&self, part: &'static str, note: Option<String>) {
        let mut notes = self.notes.lock();
        match note {
            Some(note) => notes.insert(part, note),
            None => notes.remove(part),
        };
    }

    /// Everything that was noted, by part.
    pub fn notes(&self) -> BTreeMap<&'static str, String> {
        self.notes.lock().clone()
    }

    /// Whether nothing stands in the way.
    pub fn is_ready(&self) -> bool {
        self.blocked_by.lock().is_empty()
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
        readiness.note("connections", Some("many".to_owned()));
        assert!(readiness.is_ready());
        assert_eq!(readiness.notes()["connections"], "many");
        readiness.note("connections", None);
        assert!(readiness.notes().is_empty());
    }
}
