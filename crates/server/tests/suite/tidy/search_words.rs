//! Words of the field that somebody searches for, and the files that they lead to.

use super::crates::DIRECTIONS;
use super::{sources, workspace};

/// Whoever searches the names of files for a word of RFC 3261 or of telephony (`git ls-files | grep -i`) finds the
/// file that does it at the first hit.
#[test]
fn words_of_the_field_lead_to_the_file_that_does_it() {
    let rows = [
        ("UAC", "sip/src/endpoint/uac.rs"),
        ("UAS", "sip/src/endpoint/uas.rs"),
        ("registration", "sip/src/endpoint/registration.rs"),
        ("session timer", "sip/src/endpoint/session_timer.rs"),
        ("PRACK", "sip/src/endpoint/prack.rs"),
        ("early dialog", "sip/src/endpoint/early_dialog.rs"),
        ("milestone", "domain/src/call/milestone.rs"),
        ("call record", "domain/src/call_record.rs"),
        ("hold", "domain/src/call/hold.rs"),
        ("early media", "switch/src/media/early_media.rs"),
        ("trunk failover", "domain/src/call/trunk_failover.rs"),
        ("digest", "sip/src/digest.rs"),
    ];
    let crates = workspace().join("crates");
    let mut files: Vec<String> = DIRECTIONS
        .into_iter()
        .flat_map(|(room, _)| sources(&crates.join(room)))
        .map(|(path, _)| {
            let name = path.strip_prefix(&crates).expect("it lies there");
            name.display().to_string()
        })
        .collect();
    files.sort();
    for (word, expected) in rows {
        let searched = word.to_lowercase();
        let found = files.iter().find(|name| {
            name.to_lowercase()
                .replace(['_', '-'], " ")
                .contains(&searched)
        });
        assert_eq!(found.map(String::as_str), Some(expected), "{word}");
    }
}
