//! The rooms keep their distance: who may use whom, and what pure rooms may
//! not touch. Read from the manifests and the source, so that a wrong turn
//! fails here and not in a review.

use std::fs;
use std::path::{Path, PathBuf};

/// Each room of ours and the rooms it may use.
const DIRECTIONS: [(&str, &[&str]); 10] = [
    ("host", &[]),
    ("domain", &["host"]),
    ("sip", &["host"]),
    ("journal", &["domain"]),
    ("switch", &["domain", "sip"]),
    ("media", &["domain", "sip"]),
    ("softphone", &["domain", "sip"]),
    ("store", &["domain", "journal"]),
    (
        "server",
        &[
            "domain",
            "host",
            "journal",
            "media",
            "sip",
            "softphone",
            "store",
            "switch",
        ],
    ),
    ("sim", &["domain", "journal", "sip", "switch"]),
];

/// The rooms that decide and do nothing else.
const PURE: [&str; 6] = [
    "domain/src",
    "host/src",
    "journal/src",
    "media/src/bridge",
    "sip/src",
    "switch/src",
];

/// Clocks, chance, I/O, threads, async and logs, none of which a pure room may name.
const IMPURE: [&str; 14] = [
    "SystemTime",
    "Instant::now",
    "now_utc",
    "rand::",
    "getrandom",
    "RandomState",
    "HashMap<",
    "tokio",
    "sqlx",
    "std::fs",
    "std::thread",
    "UdpSocket",
    "async fn",
    "tracing::",
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

/// The rooms that a manifest names although `room` may not use them. What only its tests use, it may.
fn forbidden_dependencies(room: &str, manifest: &str) -> Vec<String> {
    let used = manifest
        .split("[dev-dependencies]")
        .next()
        .unwrap_or_default();
    forbidden(room)
        .filter(|other| used.contains(&format!("maskline-{other}")))
        .map(|other| format!("{room} must not depend on {other}"))
        .collect()
}

/// The lines of a source of `room` that use a room which it may not.
fn forbidden_uses(room: &str, text: &str) -> Vec<String> {
    let mut found = Vec::new();
    for (n, line) in code(text) {
        for other in forbidden(room) {
            if line.contains(&format!("maskline_{other}")) {
                found.push(format!("line {n} uses {other}"));
            }
        }
    }
    found
}

fn forbidden(room: &str) -> impl Iterator<Item = &'static str> {
    let (_, may_use) = DIRECTIONS
        .into_iter()
        .find(|(name, _)| *name == room)
        .expect("every room has its line");
    let others = DIRECTIONS.into_iter().map(|(other, _)| other);
    let room = room.to_owned();
    others.filter(move |other| *other != room && !may_use.contains(other))
}

/// The lines of a source that touch what a pure room may not.
fn impure_lines(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    for (n, line) in code(text) {
        for word in IMPURE {
            if line.contains(word) {
                found.push(format!("line {n} names {word}"));
            }
        }
    }
    found
}

#[test]
fn rooms_use_only_what_lies_inward() {
    for (room, _) in DIRECTIONS {
        let folder = workspace().join("crates").join(room);
        let manifest = fs::read_to_string(folder.join("Cargo.toml")).expect("every room has one");
        assert_eq!(forbidden_dependencies(room, &manifest), [""; 0]);
        for (path, text) in sources(&folder.join("src")) {
            assert_eq!(forbidden_uses(room, &text), [""; 0], "{}", path.display());
        }
    }
}

#[test]
fn every_room_has_its_line() {
    let crates = fs::read_dir(workspace().join("crates")).expect("the folder can be read");
    for room in crates {
        let room = room.expect("so can its entries").file_name();
        assert!(
            DIRECTIONS.iter().any(|(known, _)| room == *known),
            "{room:?}"
        );
    }
}

#[test]
fn pure_rooms_read_no_clock_and_draw_no_lots() {
    for room in PURE {
        for (path, text) in sources(&workspace().join("crates").join(room)) {
            assert_eq!(impure_lines(&text), [""; 0], "{}", path.display());
        }
    }
}

#[test]
fn what_crosses_a_wall_is_found() {
    let uses = [
        ("domain", "use maskline_sip::uri::Uri;"),
        ("sip", "let x = maskline_domain::PhoneNumber::parse(text);"),
        ("switch", "use maskline_store::records::call;"),
        ("switch", "use maskline_media::MediaPlane;"),
        ("media", "use maskline_switch::Switch;"),
        ("journal", "use maskline_store::sqlite::DataDir;"),
        ("sim", "use maskline_server::api;"),
        ("softphone", "use maskline_switch::peers;"),
    ];
    for (room, planted) in uses {
        assert_eq!(forbidden_uses(room, planted).len(), 1, "{room}: {planted}");
        assert_eq!(forbidden_uses(room, &format!("// {planted}")).len(), 0);
        assert_eq!(
            forbidden_uses("server", "use maskline_sim::World;").len(),
            1
        );
    }
    let manifest = "[dependencies]\nmaskline-store.workspace = true\n[dev-dependencies]\n";
    assert_eq!(forbidden_dependencies("switch", manifest).len(), 1);
    let of_tests = "[dependencies]\n[dev-dependencies]\nmaskline-store.workspace = true\n";
    assert_eq!(forbidden_dependencies("sim", of_tests).len(), 0);
    let impure = [
        "let now = std::time::Instant::now();",
        "let wall = SystemTime::now();",
        "tokio::spawn(work);",
        "let query = sqlx::query(text);",
        "let bytes = std::fs::read(path)?;",
        "tracing::warn!(\"late\");",
        "let seed = getrandom::u64()?;",
        "pub async fn run() {}",
    ];
    for planted in impure {
        assert!(!impure_lines(planted).is_empty(), "{planted}");
    }
    assert_eq!(impure_lines("let timeout = clock.now();"), [""; 0]);
}

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
