//! The calls of a process that was killed: their rows are open, and their recordings may lie on the disk.

use super::Config;
use super::owed::OWES;
use crate::ledger::CallRecords;
use maskline_domain::Timestamp;
use maskline_switch::recording_file;
use std::path::Path;

const DAY_S: i64 = 86_400;

/// Closes the calls that an earlier run of this node left open, and names the recordings of those that
/// have one. What cannot be done now is done by the next start.
pub(super) async fn close(config: &Config, records: &CallRecords) {
    let directory = config.media.recordings.as_ref();
    let recording_of = |call_id: &str, arrived_at| {
        directory.and_then(|config| recording(&config.directory, call_id, arrived_at))
    };
    match records
        .close_lost_calls(&config.node, &config.boot, recording_of, OWES)
        .await
    {
        Ok(0) => {}
        Ok(lost) => tracing::warn!(lost, "closed calls that an earlier run left open"),
        Err(error) => {
            tracing::error!(%error, "cannot close the calls that an earlier run left open")
        }
    }
}

/// The recording of a call, if there is one: of the day on which it arrived, or of the next one if it rang
/// over midnight.
fn recording(directory: &Path, call_id: &str, arrived_at: Timestamp) -> Option<String> {
    [arrived_at, arrived_at.plus_secs(DAY_S)]
        .map(|day| recording_file(day, call_id))
        .into_iter()
        .find(|file| directory.join(file).is_file())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_recording_is_found_on_the_day_of_the_call_and_on_the_next() {
        let directory = tempfile::tempdir().unwrap();
        // 23:59:59 on 30 November in China.
        let late = Timestamp(1_796_054_399_000);
        for file in ["2026-11-30/today.wav", "2026-12-01/tomorrow.wav"] {
            let path = directory.path().join(file);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "").unwrap();
        }
        let found = |call_id| recording(directory.path(), call_id, late);
        assert_eq!(found("today").as_deref(), Some("2026-11-30/today.wav"));
        assert_eq!(
            found("tomorrow").as_deref(),
            Some("2026-12-01/tomorrow.wav")
        );
        assert_eq!(found("silent"), None);
    }
}
