//! Files that comments, scripts and pages name are there, under these names.

use maskline_domain::call::Prompt;
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use crate::tidy::workspace;

/// The folders whose files are read, and whose names begin a path.
const FOLDERS: [&str; 6] = [
    "crates",
    "docs",
    "examples",
    "packaging",
    "scripts",
    "tests",
];

/// Folders of what is built or fetched.
const NOT_OURS: [&str; 3] = ["__pycache__", "node_modules", "target"];

/// What a campaign found, messages of others, and the paths that lead nowhere below.
const NOT_READ: [&str; 3] = ["/docs/campaigns/", "/corpus/", "/named_files.rs"];

/// The endings of texts that name files of ours; scripts have none.
const TEXTS: [&str; 8] = ["", "java", "js", "md", "py", "rs", "sh", "toml"];

/// The endings by which a word with a stroke in it is taken for a file, wherever the path begins.
const FILES: [&str; 3] = [".md", ".py", ".rs"];

/// Files, each by its path below the workspace with a stroke before it, and folders, with one behind them too.
fn everything() -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut folders = vec![String::new()];
    while let Some(folder) = folders.pop() {
        let path = workspace().join(folder.trim_start_matches('/'));
        for entry in fs::read_dir(path).expect("the folder can be read") {
            let entry = entry.expect("so can its entries");
            let name = entry.file_name().into_string().expect("plain file names");
            let is_ours = !folder.is_empty() || FOLDERS.contains(&name.as_str());
            let path = format!("{folder}/{name}");
            // Links lead to what was fetched.
            let kind = entry.file_type().expect("the system tells");
            if kind.is_dir() && is_ours && !name.starts_with('.') {
                if !NOT_OURS.contains(&name.as_str()) {
                    found.insert(format!("{path}/"));
                    folders.push(path);
                }
            } else if kind.is_file() {
                found.insert(path);
            }
        }
    }
    found
}

/// A word of a path, and what stands right behind it.
fn words(line: &str) -> impl Iterator<Item = (&str, Option<char>)> {
    let is_of_path = |c: char| c.is_ascii_alphanumeric() || "_-./".contains(c);
    let mut rest = line;
    std::iter::from_fn(move || {
        let begin = rest.find(is_of_path)?;
        let word = &rest[begin..];
        let end = word.find(|c| !is_of_path(c)).unwrap_or(word.len());
        rest = &word[end..];
        Some((&word[..end], rest.chars().next()))
    })
}

/// The paths on a line that lead nowhere. `home` is the crate that the line is of, with strokes around it.
fn dead<'a>(line: &'a str, home: &str, there: &BTreeSet<String>) -> Vec<&'a str> {
    // A path may be named from its crate on.
    let is_there = |path: &str| {
        [
            format!("/{path}"),
            format!("/{path}/"),
            format!("{home}{path}"),
            format!("{home}{path}/"),
        ]
        .iter()
        .any(|path| there.contains(path))
    };
    let begins = |path: &str| there.iter().any(|known| known[1..].starts_with(path));
    let is_an_ending = |path: &str| {
        let path = format!("/{path}");
        there.iter().any(|known| known.ends_with(&path))
    };
    let mut found = Vec::new();
    for (word, next) in words(line) {
        let path = word.trim_end_matches(['.', '/']);
        let Some((first, below)) = path.split_once('/') else {
            continue;
        };
        // Capitals stand for what differs, `foo` for any name.
        let parts: Vec<&str> = path.split('/').collect();
        let is_pattern = parts.iter().any(|part| {
            let is_capital = |c: char| c.is_ascii_uppercase() || "-_".contains(c);
            let stem = part.split('.').next().unwrap_or_default();
            stem == "foo" || (!stem.is_empty() && stem.chars().all(is_capital))
        });
        if is_pattern || parts.contains(&"node_modules") {
            continue;
        }
        let fits = if FOLDERS.contains(&first) && !below.is_empty() {
            match next {
                Some('$' | '{' | '*') => begins(word),
                _ => is_there(path),
            }
        } else if FILES.iter().any(|ending| path.ends_with(ending)) && !path.starts_with(['.', '/'])
        {
            is_an_ending(path)
        } else {
            true
        };
        if !fits {
            found.push(word);
        }
    }
    found
}

#[test]
fn files_that_comments_scripts_and_pages_name_are_there() {
    let there = everything();
    let mut wrong = Vec::new();
    for path in there.iter().filter(|path| !path.ends_with('/')) {
        let file = Path::new(path);
        let ending = file
            .extension()
            .map_or("", |ending| ending.to_str().expect("plain file names"));
        let is_read = TEXTS.contains(&ending)
            && !path.starts_with("/.")
            && !NOT_READ.iter().any(|part| path.contains(part));
        if !is_read {
            continue;
        }
        let Ok(text) = fs::read_to_string(workspace().join(&path[1..])) else {
            continue;
        };
        let parts: Vec<&str> = path.split('/').collect();
        let home = match parts[..] {
            ["", "crates", room, _, ..] => format!("/crates/{room}/"),
            _ => "/".to_owned(),
        };
        for (n, line) in text.lines().enumerate() {
            for word in dead(line, &home, &there) {
                wrong.push(format!("{}:{}: {word}", &path[1..], n + 1));
            }
        }
    }
    assert_eq!(wrong, [""; 0]);
}

#[test]
fn a_path_that_leads_nowhere_is_found() {
    let there = everything();
    let home = "/crates/sip/";
    for line in [
        "# in crates/server/src/calls/media/prompts.rs.",
        "//! See `crates/sip/src/nowhere`.",
        "(docs/no-such-page.md#anchor)",
        "`domain/src/no_such_rule.rs`",
        "local pins=tests/no-such-pins-$1.txt",
        "tests/nowhere/",
        "the other half stands in endpoint/no_such_half.rs, below",
        "scripts/make-promts",
        "packaging/Dockerfiles",
        "cat crates/media/assets/promts/*.al",
    ] {
        assert_eq!(dead(line, home, &there).len(), 1, "{line}");
    }
    for line in [
        "# in crates/media/src/prompts.rs.",
        "tests/corpus beside us",
        "`crates/CRATE/tests/suite`, docs/campaigns/DATE-COMMIT.txt",
        "`foo.rs`, `foo/tests.rs`",
        "`domain/src/call/ending.rs`",
        "local pins=tests/requirements-$1.txt",
        "crates/media/assets/prompts/{zh,en}",
        "tests/clients/pop_core/node_modules/.installed",
        "either/or, application/json, and ../tests",
        "scripts/make-prompts.",
    ] {
        assert_eq!(dead(line, home, &there), [""; 0], "{line}");
    }
}

/// The script speaks every prompt in every language, under the names by which the program looks for them.
#[test]
fn the_script_makes_the_files_of_all_prompts() {
    let script = fs::read_to_string(workspace().join("scripts/make-prompts")).expect("the script");
    // The ringing tone is computed.
    let spoken: BTreeSet<&str> = Prompt::ALL
        .into_iter()
        .filter(|prompt| *prompt != Prompt::Ringback)
        .map(Prompt::name)
        .collect();
    for language in ["zh", "en"] {
        let made: BTreeSet<&str> = script
            .lines()
            .filter_map(|line| line.strip_prefix(language)?.strip_prefix(' '))
            .filter_map(|line| line.split_once(" \""))
            .map(|(name, _)| name)
            .collect();
        assert_eq!(made, spoken, "{language}: what the script makes");
        let folder = workspace()
            .join("crates/media/assets/prompts")
            .join(language);
        let files: BTreeSet<String> = fs::read_dir(folder)
            .expect("the prompts of a language")
            .map(|file| file.expect("it can be listed").file_name())
            .map(|name| name.into_string().expect("plain file names"))
            .collect();
        let expected: BTreeSet<String> = spoken.iter().map(|name| format!("{name}.al")).collect();
        assert_eq!(files, expected, "{language}: what is built in");
    }
}
