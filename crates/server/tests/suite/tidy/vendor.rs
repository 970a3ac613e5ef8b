//! The vendor: where its spelling stands, and its actions.

use super::crates::DIRECTIONS;
use super::{code, sources, workspace};
use std::fs;

/// How the vendor spells parameters and codes, each from its quote on.
const SPELLINGS: [&str; 12] = [
    "\"CallRestrict",
    "\"Expiration",
    "\"OutId\"",
    "\"PhoneNo",
    "\"PoolKey",
    "\"SecretBind",
    "\"SecretNo",
    "\"SecretRemain",
    "\"SecretStatus",
    "\"SubsId",
    "\"isp.",
    "\"isv.",
];

/// The lines of a source that spell as the vendor does.
fn spelt(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    for (n, line) in code(text) {
        let spelt = SPELLINGS.iter().filter(|word| line.contains(**word));
        found.extend(spelt.map(|word| format!("line {n} spells {word}")));
    }
    found
}

/// The vendor's spelling of parameters and codes lives in `api/` alone.
#[test]
fn the_vendors_spelling_stays_at_the_door() {
    for (room, _) in DIRECTIONS {
        let folder = workspace().join("crates").join(room).join("src");
        for (path, text) in sources(&folder) {
            if !path.starts_with(folder.join("api")) && !path.ends_with("api.rs") {
                assert_eq!(spelt(&text), [""; 0], "{}", path.display());
            }
        }
    }
}

#[test]
fn the_vendors_spelling_is_found() {
    for planted in [
        "let a = params.get(\"PhoneNoA\");",
        "\"PhoneNoX\" => x,",
        "json!({ \"SecretNo\": x })",
        "const ANSWER: &str = \"SecretBindDTO\";",
        "[\"SubsId\", \"OutId\"];",
        "let pool = required(\"PoolKey\")?;",
        "let until = time(\"Expiration\")?;",
        "(\"CallRestrict\", restrict)",
        "code: \"isv.NO_AVAILABLE_NUMBER\",",
        "code: \"isp.UNKNOWN\",",
    ] {
        assert!(!spelt(planted).is_empty(), "{planted}");
    }
    for fine in [
        "// answered as \"isv.FLOW_LIMIT\"",
        "pub enum CallRestrict {",
        "/// `SubsId` on the vendor's wire.",
        "f.write_str(\"Secret(***)\")",
        "f.write_str(\"OutId(***)\")",
    ] {
        assert_eq!(spelt(fine), [""; 0], "{fine}");
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
