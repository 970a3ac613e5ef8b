//! The map in `ARCHITECTURE.md` leads to every file where something is decided.

use std::collections::BTreeSet;
use std::fs;

use super::{sources, workspace};

/// A longer file decides something, so the page names it.
const LINES_MAX: usize = 150;

/// The files that a page does not name, each by its path below `crates`. It names one by its path in code marks, or
/// a family of a file for each thing by capitals in place of the last name: `server/src/cli/COMMAND.rs`.
fn unnamed<'a>(page: &str, files: &[&'a str]) -> Vec<&'a str> {
    let in_marks: BTreeSet<&str> = page
        .lines()
        .flat_map(|line| line.split('`').skip(1).step_by(2))
        .collect();
    let families: BTreeSet<&str> = in_marks
        .iter()
        .filter_map(|path| path.strip_suffix(".rs")?.rsplit_once('/'))
        .filter(|(_, name)| name.chars().all(|c| c.is_ascii_uppercase()))
        .map(|(folder, _)| folder)
        .collect();
    let is_named = |file: &str| {
        let folder = file.rsplit_once('/').map_or("", |(folder, _)| folder);
        in_marks.contains(file) || families.contains(folder)
    };
    let unnamed = files.iter().copied().filter(|file| !is_named(file));
    unnamed.collect()
}

#[test]
fn the_map_names_every_file_that_is_not_short() {
    let crates = workspace().join("crates");
    let mut files = Vec::new();
    for entry in fs::read_dir(&crates).expect("the crates") {
        let folder = entry.expect("they can be listed").path().join("src");
        for (path, text) in sources(&folder) {
            let below = path.strip_prefix(&crates).expect("it lies there");
            // Tests lie beside what they test.
            let is_test = |part| part == "tests" || part == "tests.rs";
            if !below.iter().any(is_test) && text.lines().count() > LINES_MAX {
                files.push(below.display().to_string());
            }
        }
    }
    assert!(files.len() > 100, "{} files are few", files.len());
    let page = fs::read_to_string(workspace().join("ARCHITECTURE.md")).expect("the page");
    let files: Vec<&str> = files.iter().map(String::as_str).collect();
    assert_eq!(unnamed(&page, &files), [""; 0]);
}

#[test]
fn a_file_that_the_map_does_not_name_is_found() {
    let page = "| a thing of the state | `server/src/admin/NOUN.rs`, its line in `server/src/admin.rs` |\n\
                | a job | server/src/jobs.rs, and in marks `x server/src/seal.rs` |\n\
                | DTMF | `sip/src/dtmf.rs` (`KeyReader`); not `switch/src/dtmf.rs` |\n";
    let files = [
        "server/src/admin/view.rs",
        "server/src/admin.rs",
        "sip/src/dtmf.rs",
        "switch/src/dtmf.rs",
    ];
    assert_eq!(unnamed(page, &files), [""; 0]);
    let planted = [
        "server/src/jobs.rs",
        "server/src/seal.rs",
        "server/src/admin/routes/keys.rs",
        "sip/src/wav.rs",
        "src/dtmf.rs",
    ];
    assert_eq!(unnamed(page, &planted), planted);
}
