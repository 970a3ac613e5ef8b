//! The vendor: where its spelling stands, and its actions.

use super::crates::DIRECTIONS;
use super::{code, sources, workspace};
use std::fs;

/// The vendor's spelling of parameters and codes lives in `api/` alone.
#[test]
fn the_vendors_spelling_stays_at_the_door() {
    let words = ["\"PhoneNoA\"", "\"isv.", "\"isp.", "\"SecretNo\""];
    for (room, _) in DIRECTIONS {
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
