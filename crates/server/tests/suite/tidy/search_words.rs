//! Words of the field that somebody searches for, and the files that they lead to.

use super::crates::DIRECTIONS;
use super::{sources, workspace};

/// Whoever searches for a word of RFC 3261 or of telephony finds the file that does it at the first hit: among the
/// names of files, else among the first lines of their descriptions.
#[test]
fn words_of_the_field_lead_to_the_file_that_does_it() {
    let rows = [
        ("UAC", "sip/src/endpoint/uac.rs"),
        ("UAS", "sip/src/endpoint/uas.rs"),
        ("registration", "sip/src/endpoint/registration.rs"),
        ("session timer", "sip/src/endpoint/session_timer.rs"),
        ("PRACK", "sip/src/endpoint/prack.rs"),
        ("call record", "domain/src/call_record.rs"),
        ("hold", "domain/src/call/changes.rs"),
        ("early media", "switch/src/media/early.rs"),
        ("trunk failover", "domain/src/call/dialling.rs"),
        ("digest", "sip/src/digest.rs"),
    ];
    let crates = workspace().join("crates");
    let mut files: Vec<(String, String)> = DIRECTIONS
        .into_iter()
        .flat_map(|(room, _)| sources(&crates.join(room).join("src")))
        .filter(|(path, _)| !path.ends_with("tests.rs") && !path.iter().any(|part| part == "tests"))
        .map(|(path, text)| {
            let name = path.strip_prefix(&crates).expect("it lies there");
            let first = text.lines().next().unwrap_or_default().to_lowercase();
            let words = first.replace(|c: char| !c.is_alphanumeric(), " ");
            (name.display().to_string(), format!(" {words} "))
        })
        .collect();
    files.sort();
    for (word, expected) in rows {
        let word = word.to_lowercase();
        let file_name = format!("/{}.rs", word.replace(' ', "_"));
        let by_name = files.iter().find(|(name, _)| name.ends_with(&file_name));
        let by_subject = files
            .iter()
            .find(|(_, first)| first.contains(&format!(" {word} ")));
        let found = by_name.or(by_subject).map(|(name, _)| name.as_str());
        assert_eq!(found, Some(expected), "{word}");
    }
}
