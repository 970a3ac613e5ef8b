//! Rooms that use of another one a few words and nothing else.

use super::{code, covers, sources, workspace};

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
        for (n, line) in code(text) {
            let used = line.split(&root).skip(1).flat_map(names_behind);
            let is_forbidden = |name: &String| !words.iter().any(|word| covers(word, name));
            found.extend(
                used.filter(is_forbidden)
                    .map(|name| format!("line {n} uses {name} of {other}")),
            );
        }
    }
    found
}

/// The paths that a text begins with: one, or those of a list in braces. A list that goes on in the next line ends in
/// a path without a name.
fn names_behind(text: &str) -> Vec<String> {
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == ':';
    let end = text.find(|c| !is_name(c)).unwrap_or(text.len());
    let (begin, rest) = text.split_at(end);
    match rest.strip_prefix('{') {
        Some(list) => {
            let list = list.split('}').next().unwrap_or_default();
            let names = list.split(',').map(str::trim);
            names.map(|name| format!("{begin}{name}")).collect()
        }
        None => vec![begin.to_owned()],
    }
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
        ("media", "use maskline_domain::call::{", 1),
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
