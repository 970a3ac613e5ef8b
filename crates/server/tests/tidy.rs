//! The rooms keep their distance: who may use whom, and what pure rooms may
//! not touch. Read from the manifests and the source, so that a wrong turn
//! fails here and not in a review.

use std::fs;
use std::path::{Path, PathBuf};

/// Each room of ours and the rooms it may use.
const DIRECTIONS: [(&str, &[&str]); 6] = [
    ("host", &[]),
    ("domain", &["host"]),
    ("sip", &["host"]),
    ("store", &["domain"]),
    ("server", &["host", "domain", "sip", "store"]),
    ("sim", &["domain", "sip", "store", "server"]),
];

/// Clocks, chance, I/O, threads and async, none of which a pure room may name.
const IMPURE: [&str; 12] = [
    "SystemTime",
    "Instant::now",
    "now_utc",
    "rand::",
    "getrandom",
    "RandomState",
    "HashMap<",
    "tokio",
    "std::fs",
    "std::thread",
    "UdpSocket",
    "async fn",
];

fn workspace() -> PathBuf {
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

#[test]
fn rooms_use_only_what_lies_inward() {
    for (room, may_use) in DIRECTIONS {
        let folder = workspace().join("crates").join(room);
        let manifest = fs::read_to_string(folder.join("Cargo.toml")).expect("every room has one");
        for (other, _) in DIRECTIONS {
            if other == room || may_use.contains(&other) {
                continue;
            }
            assert!(
                !manifest.contains(&format!("maskline-{other}")),
                "{room} must not depend on {other}"
            );
            for (path, text) in sources(&folder.join("src")) {
                for (n, line) in code(&text) {
                    assert!(
                        !line.contains(&format!("maskline_{other}")),
                        "{}:{n} uses {other}",
                        path.display()
                    );
                }
            }
        }
    }
}

#[test]
fn pure_rooms_read_no_clock_and_draw_no_lots() {
    for room in ["host", "domain", "sip"] {
        for (path, text) in sources(&workspace().join("crates").join(room).join("src")) {
            for (n, line) in code(&text) {
                for word in IMPURE {
                    assert!(!line.contains(word), "{}:{n} names {word}", path.display());
                }
            }
        }
    }
}

/// The vendor's spelling of parameters and codes lives in `api/` alone.
#[test]
fn the_vendors_spelling_stays_at_the_door() {
    let words = ["\"PhoneNoA\"", "\"isv.", "\"isp.", "\"SecretNo\""];
    for room in ["domain", "sip", "store", "server"] {
        let folder = workspace().join("crates").join(room).join("src");
        for (path, text) in sources(&folder) {
            if path.starts_with(folder.join("api")) || path.ends_with("api.rs") {
                continue;
            }
            for (n, line) in code(&text) {
                for word in words {
                    assert!(!line.contains(word), "{}:{n} spells {word}", path.display());
                }
            }
        }
    }
}

/// Every file of an action has its line in the table.
#[test]
fn each_action_is_one_file_and_one_line() {
    let api = workspace().join("crates/server/src/api");
    let table = fs::read_to_string(api.join("actions.rs")).expect("the table");
    for (path, _) in sources(&api.join("actions")) {
        let name = path
            .file_stem()
            .and_then(|stem| stem.to_str())
            .expect("plain file names");
        assert!(
            table.contains(&format!("mod {name};")),
            "{name} is missing from the table of actions"
        );
    }
}
