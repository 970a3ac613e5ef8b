//! The calls of a process that was killed: their rows are open, and their recordings may lie on the disk.

use super::Config;
use super::owed::{OWES, nothing};
use crate::ledger::{CallRecords, LostRecording};
use maskline_domain::Timestamp;
use maskline_sip::wav::HEADER_BYTES;
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
    let owes = OWES.unwrap_or(nothing);
    match records
        .close_lost_calls(&config.node, &config.boot, recording_of, owes)
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
/// over midnight. It was cut off, as one for which the disk was full, and counts as one does: it has sound if it is
/// more than its header.
fn recording(directory: &Path, call_id: &str, arrived_at: Timestamp) -> Option<LostRecording> {
    [arrived_at, arrived_at.plus_secs(DAY_S)]
        .map(|day| recording_file(day, call_id))
        .into_iter()
        .find_map(|file| {
            let found = std::fs::metadata(directory.join(&file)).ok()?;
            let has_sound = found.len() > HEADER_BYTES as u64;
            found.is_file().then_some(LostRecording { file, has_sound })
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_recording_is_found_on_the_day_of_the_call_and_on_the_next() {
        let directory = tempfile::tempdir().unwrap();
        // 23:59:59 on 30 November in China.
        let late = Timestamp(1_796_054_399_000);
        let day = "2026-11-30";
        for (file, bytes) in [
            ("today.wav", HEADER_BYTES + 160),
            ("header.wav", HEADER_BYTES),
            ("empty.wav", 0),
        ] {
            let path = directory.path().join(day).join(file);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, vec![0; bytes]).unwrap();
        }
        let next = directory.path().join("2026-12-01");
        std::fs::create_dir_all(&next).unwrap();
        std::fs::write(next.join("tomorrow.wav"), [0; HEADER_BYTES + 1]).unwrap();
        let found = |call_id| recording(directory.path(), call_id, late);
        for (call_id, day, has_sound) in [
            ("today", day, true),
            ("header", day, false),
            ("empty", day, false),
            ("tomorrow", "2026-12-01", true),
        ] {
            let file = format!("{day}/{call_id}.wav");
            let expected = LostRecording { file, has_sound };
            assert_eq!(found(call_id), Some(expected), "{call_id}");
        }
        assert_eq!(found("silent"), None);
    }
}
