//! The rooms keep their distance: who may use whom, and what pure rooms may
//! not touch. Read from the manifests and the source, so that a wrong turn
//! fails here and not in a review. Each subject has a module.

mod circles;
mod crates;
mod map;
mod outside;
mod paths;
mod products;
mod purity;
mod search_words;
mod server_rooms;
mod sql;
mod test_binaries;
mod vendor;
mod whole_bindings;
mod words;

use std::fs;
use std::path::{Path, PathBuf};

pub(crate) fn workspace() -> PathBuf {
    let server = Path::new(env!("CARGO_MANIFEST_DIR"));
    server
        .ancestors()
        .nth(2)
        .expect("crates/server lies two folders deep")
        .to_path_buf()
}

/// The sources of a folder and of those below it, or the one that a path names.
fn sources(path: &Path) -> Vec<(PathBuf, String)> {
    if path.is_dir() {
        let entries = fs::read_dir(path).expect("the folder can be read");
        let entries = entries.map(|entry| entry.expect("so can its entries").path());
        return entries.flat_map(|path| sources(&path)).collect();
    }
    if path.extension().is_none_or(|ending| ending != "rs") {
        return Vec::new();
    }
    let text = fs::read_to_string(path).expect("sources are there, and UTF-8");
    vec![(path.to_path_buf(), text)]
}

/// Lines of code, without comments.
fn code(text: &str) -> impl Iterator<Item = (usize, &str)> {
    text.lines()
        .enumerate()
        .map(|(n, line)| (n + 1, line.trim()))
        .filter(|(_, line)| !line.starts_with("//"))
}

/// Whether what may be used, a room or a door of it, covers a path.
fn covers(allowed: &str, path: &str) -> bool {
    path.strip_prefix(allowed)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
}
