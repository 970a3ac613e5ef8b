//! Rooms that use of another one a few words and nothing else.

use super::paths::paths;
use super::{covers, sources, workspace};

/// The room, the other one, and the words. What the other one decides is none of its business.
const WORDS: [(&str, &str, &[&str]); 2] = [
    (
        "media",
        "domain",
        &[
            "ToneCode",
            "call::CallKey",
            "call::Prompt",
            "call::Side",
            "call::Sound",
        ],
    ),
    ("softphone", "domain", &["PhoneNumber"]),
];

/// The lines of a source of `room` that use more of another room than the words which it may.
fn forbidden_words(room: &str, text: &str) -> Vec<String> {
    let mut found = Vec::new();
    for (_, other, words) in WORDS.into_iter().filter(|(name, ..)| *name == room) {
        let root = format!("maskline_{other}::");
        for (n, names) in paths(text, &[&root]) {
            let name = names[1..].join("::");
            if !words.iter().any(|word| covers(word, &name)) {
                found.push(format!("line {n} uses {name} of {other}"));
            }
        }
    }
    found
}

#[test]
fn a_few_words_are_all_that_is_used_of_another_room() {
    for (room, ..) in WORDS {
        let folder = workspace().join("crates").join(room).join("src");
        for (path, text) in sources(&folder) {
            assert_eq!(forbidden_words(room, &text), [""; 0], "{}", path.display());
        }
    }
}

#[test]
fn any_other_word_is_found() {
    let words = [
        ("media", "use maskline_domain::call::{Call, Side};", 1),
        ("media", "use maskline_domain::State;", 1),
        ("media", "use maskline_domain::call;", 1),
        (
            "media",
            "use maskline_domain::call::{\n    Call,\n    Side,\n};",
            1,
        ),
        ("media", "use maskline_domain::call::*;", 1),
        ("media", "let at = maskline_domain::call::Side::BOTH;", 0),
        (
            "media",
            "use maskline_domain::call::{CallKey, Side, Sound};",
            0,
        ),
        ("media", "// use maskline_domain::State;", 0),
        ("softphone", "use maskline_domain::TrunkName;", 1),
        ("softphone", "fn of(x: maskline_domain::PhoneNumber) {}", 0),
        ("switch", "use maskline_domain::TrunkName;", 0),
    ];
    for (room, line, count) in words {
        assert_eq!(forbidden_words(room, line).len(), count, "{room}: {line}");
    }
}
