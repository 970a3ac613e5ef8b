//! The rooms keep their distance: who may use whom, and what pure rooms may
//! not touch. Read from the manifests and the source, so that a wrong turn
//! fails here and not in a review. Each subject has a module.

mod circles;
mod crates;
mod map;
mod outside;
mod purity;
mod search_words;
mod server_rooms;
mod test_binaries;
mod vendor;
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

fn sources(folder: &Path) -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).expect("the folder can be read") {
        let path = entry.expect("so can its entries").path();
        if path.is_dir() {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            let text = fs::read_to_string(&path).expect("sources are UTF-8");
            found.push((path, text));
        }
    }
    found
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
