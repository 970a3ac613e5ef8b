//! The map in `ARCHITECTURE.md` leads to every file where something is decided, and each module that the page names is
//! there.

use std::collections::BTreeSet;
use std::fs;

use super::crates::DIRECTIONS;
use super::{covers, sources, workspace};

/// A longer file decides something, so the page names it.
const LINES_MAX: usize = 150;

/// The files that a page does not name, each by its path below `crates`. It names one by its path in code marks, or
/// a family of a file for each thing by capitals in place of the last name: `server/src/cli/COMMAND.rs`.
fn unnamed<'a>(page: &str, files: &[&'a str]) -> Vec<&'a str> {
    let in_marks: BTreeSet<&str> = page.lines().flat_map(in_marks).collect();
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

fn in_marks(line: &str) -> impl Iterator<Item = &str> {
    line.split('`').skip(1).step_by(2)
}

/// The modules that a page names by their path, such as `room::a::b`, and that have neither a file nor a folder. A last
/// name with a capital is an item of one. In the last cell of a row of the glossary, a path that begins with no room
/// lies beside the one before it.
fn missing(page: &str) -> Vec<String> {
    let is_room = |path: &str| DIRECTIONS.iter().any(|(room, _)| covers(room, path));
    let glossary = page
        .split("\n## ")
        .find(|part| part.starts_with("Glossary"));
    let rows: BTreeSet<&str> = glossary.unwrap_or_default().lines().collect();
    let mut found = Vec::new();
    for line in page.lines() {
        let is_row = rows.contains(line);
        let cell = line.trim_end_matches('|').rsplit('|').next();
        let told = cell.filter(|_| is_row).unwrap_or(line);
        let mut above = None;
        for path in in_marks(told) {
            let path = match &above {
                _ if is_room(path) => path.to_owned(),
                Some(above) if is_row && !path.contains('/') => format!("{above}::{path}"),
                _ => continue,
            };
            above = path.rsplit_once("::").map(|(above, _)| above.to_owned());
            if !is_module(&path) {
                found.push(path);
            }
        }
    }
    found
}

fn is_module(path: &str) -> bool {
    let (room, path) = path.split_once("::").unwrap_or((path, ""));
    let names = path.split("::");
    let names = names.filter(|name| !name.starts_with(|c: char| c.is_ascii_uppercase()));
    let source = workspace().join("crates").join(room).join("src");
    let module = names.fold(source, |folder, name| folder.join(name));
    module.is_dir() || module.with_extension("rs").is_file()
}

#[test]
fn every_module_that_the_page_names_is_there() {
    let page = fs::read_to_string(workspace().join("ARCHITECTURE.md")).expect("the page");
    assert_eq!(missing(&page), [""; 0]);
}

#[test]
fn a_module_that_is_not_there_is_found() {
    let page = "# Architecture\n\n## Glossary\n\
                | dialog | what `Dialog` and `early` are | `sip::endpoint::dialog`; several early ones `early` |\n\
                | early media | sound | `domain::call::progress`; agreed `switch::media::early`, `media::bridge` |\n\
                | hold | no sound | `domain::call::hold`; in SDP `sip::sdp::read`, `local`, `sip/src/sdp.rs` |\n\
                ## Rooms\n\
                `media::bridge::latch` and `media::bridges` know no clock, `local` is no path, nor is `State::apply`.\n\
                `domain::binding::Owner`; `domain::bindings::Owner`; `domain::no_binding::Owner`; `sip`\n";
    let planted = [
        "sip::endpoint::early",
        "switch::media::early",
        "media::bridges",
        "domain::no_binding::Owner",
    ];
    assert_eq!(missing(page), planted);
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
