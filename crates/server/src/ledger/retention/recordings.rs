//! The files of recordings.

use std::io;
use std::path::{Component, Path};

use maskline_domain::Timestamp;
use maskline_store::records::retention::Due;

/// Where they lie in the data directory.
pub(super) const DIRECTORY: &str = "recordings";

/// The folder of a day is left alone for so long: somebody may be about to write into it.
const FOLDER_REST_S: i64 = 3 * 86_400;

/// Deletes the files of rows, and the folders of days that are empty then. Gives those rows that have none any more,
/// and how many have one still.
pub(super) fn delete(directory: &Path, due: Vec<Due>, now: Timestamp) -> (Vec<Due>, u64) {
    let count = due.len();
    let gone: Vec<Due> = due
        .into_iter()
        .filter(|due| {
            let Some(file) = due.row.recording() else {
                return true;
            };
            match delete_file(directory, file) {
                Ok(()) => {
                    if due.at.plus_secs(FOLDER_REST_S) < now {
                        delete_folder(directory, file);
                    }
                    true
                }
                Err(error) => {
                    tracing::error!(%error, file, "a recording that is too old cannot be deleted");
                    false
                }
            }
        })
        .collect();
    let failed = (count - gone.len()) as u64;
    (gone, failed)
}

/// One that is not there is deleted.
fn delete_file(directory: &Path, file: &str) -> io::Result<()> {
    let is_within = |part: Component<'_>| matches!(part, Component::Normal(_));
    if file.is_empty() || !Path::new(file).components().all(is_within) {
        return Err(io::Error::other("it is not the name of a recording"));
    }
    match std::fs::remove_file(directory.join(file)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        outcome => outcome,
    }
}

fn delete_folder(directory: &Path, file: &str) {
    let folder = Path::new(file).parent();
    if let Some(folder) = folder.filter(|folder| !folder.as_os_str().is_empty()) {
        // One that still holds something is refused.
        let _ = std::fs::remove_dir(directory.join(folder));
    }
}
