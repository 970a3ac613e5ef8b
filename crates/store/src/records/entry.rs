//! What rows that are read from the journal have in common: their place, who did it, and how many are written at once.

use maskline_domain::{Actor, Timestamp};

/// Where an event stands in the journal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// The batch.
    pub seq: u64,
    /// Which of its events.
    pub event: u32,
    /// When the batch was decided.
    pub at: Timestamp,
}

/// Who did it, in one word that people understand.
pub(super) fn actor(by: &Actor) -> String {
    match by {
        Actor::Customer { key, .. } => format!("key:{key}"),
        Actor::Operator { name, .. } => format!("operator:{name}"),
        Actor::Job { name } => format!("job:{name}"),
    }
}

/// Cuts rows into runs of 64, 16, 4 and 1, so that a handful of statements
/// serves any number of rows and each is prepared once.
pub(super) fn runs<T>(mut rows: &[T]) -> impl Iterator<Item = &[T]> {
    std::iter::from_fn(move || {
        let size = [64, 16, 4, 1]
            .into_iter()
            .find(|&size| rows.len() >= size)?;
        let (run, rest) = rows.split_at(size);
        rows = rest;
        Some(run)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_hold_every_row_once_and_in_order() {
        for count in [0_usize, 1, 3, 4, 63, 64, 65, 149, 200] {
            let rows: Vec<usize> = (0..count).collect();
            let runs: Vec<&[usize]> = runs(&rows).collect();
            assert_eq!(runs.concat(), rows);
            assert!(runs.iter().all(|run| [1, 4, 16, 64].contains(&run.len())));
        }
    }
}
