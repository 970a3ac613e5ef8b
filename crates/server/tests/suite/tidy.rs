//! The rooms keep their distance: who may use whom, and what pure rooms may
//! not touch. Read from the manifests and the source, so that a wrong turn
//! fails here and not in a review.

mod words;

use std::fs;
use std::path::{Path, PathBuf};

/// Each room of ours and the rooms it may use.
const DIRECTIONS: [(&str, &[&str]); 11] = [
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
    (FIXTURES, &["domain", "sip"]),
];

/// What tests of several rooms stand on. No room may use it, so it stands in no list above; but tests do,
/// those in the middle of sources too, and what only tests use is in a place of its own in the manifest.
const FIXTURES: &str = "fixtures";

/// Each room of `server` and what of the others it may use: a whole room, or one door of it. The order is
/// that of the program: who stands further up may use who stands further down.
const INNER: [(&str, &[&str]); 19] = [
    (
        "cli",
        &[
            "serve",
            "failure",
            "admin",
            "api::actions",
            "config",
            "seal",
            "writer",
            "suggest",
        ],
    ),
    (
        "serve",
        &[
            "failure",
            "demo",
            "jobs",
            "admin",
            "api",
            "calls",
            "telemetry",
            "config",
            "http_server",
            "tcp",
            "tls",
            "seal",
            "writer",
            "clocks",
        ],
    ),
    ("failure", &["config"]),
    ("demo", &["admin", "clocks"]),
    ("jobs", &["config", "writer"]),
    (
        "admin",
        &[
            "calls",
            "telemetry",
            "http_server",
            "seal",
            "writer",
            "permissions",
            "mistakes",
            "suggest",
            "clocks",
        ],
    ),
    (
        "api",
        &["http_server", "tls", "seal", "writer", "permissions"],
    ),
    (
        "calls",
        &["telemetry", "tcp", "tls", "seal", "writer", "clocks"],
    ),
    ("telemetry", &["config", "clocks"]),
    ("config", &["mistakes", "suggest"]),
    ("http_server", &["tcp", "tls"]),
    ("tcp", &[]),
    ("tls", &[]),
    ("seal", &[]),
    ("writer", &["clocks"]),
    ("permissions", &["suggest"]),
    ("mistakes", &[]),
    ("suggest", &[]),
    ("clocks", &[]),
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

/// Clocks, chance, I/O, threads and what they share, async and logs, none of which a pure room may name.
const IMPURE: [&str; 17] = [
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
    "RwLock",
    "Mutex",
    "atomic::",
    "UdpSocket",
    "async fn",
    "tracing::",
];

pub(crate) fn workspace() -> PathBuf {
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
        for other in forbidden(room).filter(|other| *other != FIXTURES) {
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

/// What a source of `server` names of the crate: the line and the path behind `crate::`, or behind as many
/// `super::` as lead out of a file that lies `depth` modules below the crate. A path is cut where it stops
/// being names, so a list in braces is told by an empty last name.
fn paths_of_crate(text: &str, depth: usize) -> Vec<(usize, String)> {
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let mut found = Vec::new();
    let raw: Vec<&str> = text.lines().collect();
    for (n, line) in code(text) {
        let is_indented = raw[n - 1].starts_with(' ');
        let mut rest = line;
        while let Some(at) = [rest.find("crate::"), rest.find("super::")]
            .into_iter()
            .flatten()
            .min()
        {
            let is_whole = !rest[..at].ends_with(|c| is_name(c) || c == ':');
            let path = &rest[at..];
            let end = path.find(|c| !is_name(c) && c != ':');
            let path = &path[..end.unwrap_or(path.len())];
            rest = &rest[at + path.len()..];
            let names: Vec<&str> = path.split("::").collect();
            let supers = names.iter().take_while(|name| **name == "super").count();
            let outward = match names[0] {
                "crate" => &names[1..],
                _ if supers >= depth => &names[supers..],
                _ => continue,
            };
            // In a module of tests within the file, one `super` leads to the file itself.
            let is_of_tests = names[0] == "super" && supers == depth && is_indented;
            if is_whole && !(is_of_tests && outward == [""]) {
                found.push((n, outward.join("::")));
            }
        }
    }
    found
}

/// Whether what may be used, a room or a door of it, covers a path.
fn covers(allowed: &str, path: &str) -> bool {
    path.strip_prefix(allowed)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
}

/// The lines of a source of a room of `server` that use a room which it may not.
fn forbidden_inside(room: &str, text: &str, depth: usize) -> Vec<String> {
    let (_, may_use) = INNER
        .into_iter()
        .find(|(name, _)| *name == room)
        .unwrap_or_else(|| panic!("{room} has its line in the table of inner rooms"));
    let is_room = |path: &str| INNER.iter().any(|(name, _)| covers(name, path));
    paths_of_crate(text, depth)
        .into_iter()
        // What is named behind `super::` in a module of tests may be the room's own.
        .filter(|(_, path)| path.is_empty() || is_room(path))
        .filter(|(_, path)| !covers(room, path))
        .filter(|(_, path)| !may_use.iter().any(|allowed| covers(allowed, path)))
        .map(|(n, path)| format!("line {n} uses {path}"))
        .collect()
}

/// A room from which a way leads back to it, with that way; none if the table has no circle.
fn circle(table: &[(&'static str, &[&'static str])]) -> Option<Vec<&'static str>> {
    let room_of = |door: &&'static str| door.split("::").next().unwrap_or_default();
    let mut ways: Vec<Vec<&str>> = table.iter().map(|(room, _)| vec![*room]).collect();
    while let Some(way) = ways.pop() {
        let (first, last) = (way[0], way[way.len() - 1]);
        let uses = table.iter().find(|(room, _)| *room == last)?.1;
        for next in uses.iter().map(room_of) {
            let further = [&way[..], &[next]].concat();
            if next == first {
                return Some(further);
            }
            if !way.contains(&next) {
                ways.push(further);
            }
        }
    }
    None
}

/// The sources of `server` below its root: the room, how many modules deep, path and text.
fn inner_sources() -> Vec<(String, usize, PathBuf, String)> {
    let root = workspace().join("crates/server/src");
    let mut found = Vec::new();
    for (path, text) in sources(&root) {
        let below = path.strip_prefix(&root).expect("it lies there");
        let names: Vec<_> = below
            .with_extension("")
            .iter()
            .map(|n| n.to_owned())
            .collect();
        let room = names[0].to_str().expect("plain file names").to_owned();
        if !["lib", "main"].contains(&room.as_str()) {
            found.push((room, names.len(), path, text));
        }
    }
    found
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
fn inner_rooms_use_only_what_lies_below_them() {
    for (room, depth, path, text) in inner_sources() {
        let forbidden = forbidden_inside(&room, &text, depth);
        assert_eq!(forbidden, [""; 0], "{}", path.display());
    }
}

#[test]
fn inner_rooms_stand_in_order_so_that_no_circle_is_left() {
    assert_eq!(circle(&INNER), None);
}

/// A direction that nobody takes any more is taken back, so that nobody takes it again by chance.
#[test]
fn every_direction_between_inner_rooms_is_taken() {
    let sources = inner_sources();
    for (room, may_use) in INNER {
        for allowed in may_use {
            let is_used = sources
                .iter()
                .filter(|(of, ..)| of == room)
                .flat_map(|(_, depth, _, text)| paths_of_crate(text, *depth))
                .any(|(_, path)| covers(allowed, &path));
            assert!(is_used, "{room} does not use {allowed} any more");
        }
    }
}

/// The page for people says the same as the table here.
#[test]
fn the_table_of_inner_rooms_in_the_architecture_is_this_one() {
    let page = fs::read_to_string(workspace().join("ARCHITECTURE.md")).expect("the page");
    let section = page
        .split("### Rooms of `server`")
        .nth(1)
        .and_then(|rest| rest.split("\n#").next())
        .expect("the section");
    let quoted = |cell: &str| -> Vec<String> {
        let names = cell.split('`').skip(1).step_by(2);
        names.map(str::to_owned).collect()
    };
    let told: Vec<(Vec<String>, Vec<String>)> = section
        .lines()
        .filter(|line| line.starts_with("| `"))
        .map(|line| {
            let cells: Vec<&str> = line.split('|').collect();
            (quoted(cells[1]), quoted(cells[3]))
        })
        .collect();
    let held: Vec<(Vec<String>, Vec<String>)> = INNER
        .into_iter()
        .map(|(room, may_use)| {
            let may_use = may_use.iter().map(|name| (*name).to_owned()).collect();
            (vec![room.to_owned()], may_use)
        })
        .collect();
    assert_eq!(told, held);
}

/// What one room of `server` does for all others: words that only its sources hold.
const DONE_ONCE: [(&str, &str); 4] = [
    (".accept().await", "tcp"),
    ("PemObject", "tls"),
    ("http1::Builder", "http_server"),
    ("GracefulShutdown", "http_server"),
];

/// The lines of a source of a room that do what another room does for all.
fn done_again(room: &str, text: &str) -> Vec<String> {
    let mut found = Vec::new();
    for (n, line) in code(text) {
        for (word, doer) in DONE_ONCE {
            if line.contains(word) && room != doer {
                found.push(format!(
                    "line {n} has {word}, which is the matter of {doer}"
                ));
            }
        }
    }
    found
}

#[test]
fn connections_are_accepted_and_certificates_read_in_one_room() {
    for (word, doer) in DONE_ONCE {
        let planted = format!("let done = {word};");
        assert_eq!(done_again("admin", &planted).len(), 1, "{word}");
        assert_eq!(done_again(doer, &planted), [""; 0], "{word}");
    }
    for (room, _, path, text) in inner_sources() {
        // Tests are peers, too.
        if !path.ends_with("tests.rs") {
            assert_eq!(done_again(&room, &text), [""; 0], "{}", path.display());
        }
    }
}

#[test]
fn what_crosses_an_inner_wall_is_found() {
    let planted = [
        ("config", 2, "use crate::api::actions::ACTIONS;"),
        ("serve", 2, "use crate::cli::Failure;"),
        ("jobs", 1, "use crate::serve::Stop;"),
        ("seal", 2, "use crate::config::MasterKeySettings;"),
        ("admin", 2, "use crate::api::server::Bounds;"),
        ("admin", 2, "use crate::api;"),
        ("api", 3, "    let at = crate::admin::past::now();"),
        (
            "calls",
            2,
            "pub(crate) fn of(call: &crate::api::Gateway) {}",
        ),
        ("admin", 2, "use crate::tls::Tls;"),
        ("calls", 2, "use crate::http_server::TrustedProxies;"),
        ("writer", 1, "use super::telemetry::Metrics;"),
        ("writer", 2, "use super::super::telemetry::Metrics;"),
        ("telemetry", 2, "use crate::writer::Ledger;"),
        ("clocks", 1, "use crate::writer::Ledger;"),
        ("admin", 3, "use crate::api::permissions;"),
        ("suggest", 1, "use crate::{mistakes, writer};"),
        ("writer", 1, "use super::{api, telemetry};"),
    ];
    for (room, depth, line) in planted {
        assert_eq!(
            forbidden_inside(room, line, depth).len(),
            1,
            "{room}: {line}"
        );
        assert_eq!(
            forbidden_inside(room, &format!("// {line}"), depth).len(),
            0
        );
    }
    let fine = [
        ("admin", 3, "use crate::permissions::Permissions;"),
        ("admin", 3, "use super::super::plan::PlanError;"),
        ("admin", 1, "use crate::admin::document::Document;"),
        ("telemetry", 2, "let now = crate::clocks::read();"),
        ("writer", 2, "use super::records::Records;"),
        ("writer", 1, "    use super::*;"),
        ("calls", 1, "pub(crate) mod thread;"),
    ];
    for (room, depth, line) in fine {
        assert_eq!(
            forbidden_inside(room, line, depth),
            [""; 0],
            "{room}: {line}"
        );
    }
    let planted: [(&str, &[&str]); 3] = [("a", &["b"]), ("b", &["c"]), ("c", &["a::door"])];
    assert!(circle(&planted).is_some());
    assert_eq!(
        circle(&[("a", &["b", "c"]), ("b", &["c"]), ("c", &[])]),
        None
    );
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
    let root = fs::read_to_string(workspace().join("crates/server/src/lib.rs")).expect("the root");
    let mods = code(&root).filter_map(|(_, line)| line.split("mod ").nth(1));
    let mods: Vec<&str> = mods.map(|name| name.trim_end_matches(';')).collect();
    let mut inner: Vec<&str> = INNER.iter().map(|(room, _)| *room).collect();
    inner.sort_unstable();
    assert_eq!(mods, inner);
}

#[test]
fn pure_rooms_read_no_clock_and_draw_no_lots() {
    for room in PURE {
        let folder = workspace().join("crates").join(room);
        // A room that is a module has a file beside its folder.
        let file = folder.with_extension("rs");
        let own = fs::read_to_string(&file).map(|text| (file, text)).ok();
        for (path, text) in sources(&folder).into_iter().chain(own) {
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
        "use parking_lot::RwLock;",
        "lock: std::sync::Mutex<u8>,",
        "use std::sync::atomic::AtomicU64;",
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

/// A binary is linked for each file below `tests` and each folder there with a `main.rs`, so a crate has
/// one, with a module for each subject.
#[test]
fn each_crate_has_one_test_binary() {
    for (room, _) in DIRECTIONS {
        let Ok(entries) = fs::read_dir(workspace().join("crates").join(room).join("tests")) else {
            continue;
        };
        let binaries: Vec<_> = entries
            .map(|entry| entry.expect("it can be listed").path())
            .filter(|path| {
                path.extension().is_some_and(|ending| ending == "rs")
                    || path.join("main.rs").exists()
            })
            .filter_map(|path| Some(path.file_name()?.to_owned()))
            .collect();
        assert_eq!(binaries, ["suite"], "{room}");
    }
}

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
