//! Which crate may use which: read from the manifests, and from the sources.

use super::{code, sources, workspace};
use std::collections::BTreeSet;
use std::fs;

/// Each room of ours and the rooms it may use.
pub(super) const DIRECTIONS: [(&str, &[&str]); 12] = [
    ("host", &[]),
    ("domain", &["host"]),
    ("sip", &["host"]),
    ("sealing", &[]),
    ("journal", &["domain", "sealing"]),
    ("switch", &["domain", "sip"]),
    ("media", &["domain", "sip"]),
    ("softphone", &["domain", "sip"]),
    ("store", &["domain", "journal", "sealing"]),
    (
        "server",
        &[
            "domain",
            "host",
            "journal",
            "media",
            "sealing",
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

#[test]
fn rooms_use_only_what_lies_inward() {
    for (room, _) in DIRECTIONS {
        assert_eq!(forbidden_dependencies(room, &manifest(room)), [""; 0]);
        let folder = workspace().join("crates").join(room).join("src");
        for (path, text) in sources(&folder) {
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
fn what_crosses_a_wall_is_found() {
    let uses = [
        ("domain", "use maskline_sip::uri::Uri;"),
        ("sip", "let x = maskline_domain::PhoneNumber::parse(text);"),
        ("switch", "use maskline_store::records::call;"),
        ("switch", "use maskline_media::MediaPlane;"),
        ("media", "use maskline_switch::Switch;"),
        ("journal", "use maskline_store::directory::DataDir;"),
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
    let table = "[dev-dependencies]\n[dependencies.maskline-store]\nworkspace = true\n";
    assert_eq!(forbidden_dependencies("switch", table).len(), 1);
    let of_tests = "[dependencies]\n[dev-dependencies]\nmaskline-store.workspace = true\n";
    assert_eq!(forbidden_dependencies("sim", of_tests).len(), 0);
}

/// The manifest of a room.
pub(super) fn manifest(room: &str) -> String {
    let path = workspace().join("crates").join(room).join("Cargo.toml");
    fs::read_to_string(path).expect("every room has one")
}

/// What a manifest names for what is no test, for whatever target.
pub(super) fn named(manifest: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut is_listed = false;
    for line in manifest.lines().map(str::trim) {
        if let Some(section) = line.strip_prefix('[') {
            let section = section.trim_end_matches(']');
            let is_of_tests = section.contains("dev-dependencies");
            is_listed = section.ends_with("dependencies") && !is_of_tests;
            // One may have a table of its own.
            let table = section
                .rsplit_once("dependencies.")
                .filter(|_| !is_of_tests);
            found.extend(table.map(|(_, name)| name.to_owned()));
        } else if is_listed && !line.starts_with('#') && line.contains('=') {
            let name = line.split(['.', ' ', '=']).next().unwrap_or_default();
            found.insert(name.to_owned());
        }
    }
    found
}

/// The rooms that a manifest names although `room` may not use them. What only its tests use, it may.
fn forbidden_dependencies(room: &str, manifest: &str) -> Vec<String> {
    let used = named(manifest);
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
