//! Which room of `server` may use which, and what one of them does for all.

use super::paths::paths;
use super::{code, covers, sources, workspace};
use std::fs;
use std::path::PathBuf;

/// Each room of `server` and what of the others it may use: a whole room, or one door of it. The order is
/// that of the program: who stands further up may use who stands further down.
const INNER: [(&str, &[&str]); 21] = [
    (
        "cli",
        &[
            "serve",
            "failure",
            "admin",
            "api::actions",
            "config",
            "seal",
            "ledger",
            "mistakes",
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
            "carriers",
            "telemetry",
            "config",
            "http_server",
            "tcp",
            "tls",
            "seal",
            "ledger",
            "clocks",
        ],
    ),
    ("failure", &["config"]),
    ("demo", &["admin", "clocks"]),
    ("jobs", &["config", "ledger"]),
    (
        "admin",
        &[
            "calls",
            "carriers",
            "telemetry",
            "http_server",
            "tls::check_authorities",
            "seal",
            "ledger",
            "permissions",
            "mistakes",
            "suggest",
            "clocks",
        ],
    ),
    (
        "api",
        &[
            "carriers",
            "http_server",
            "tls",
            "seal",
            "ledger",
            "permissions",
        ],
    ),
    (
        "calls",
        &["telemetry", "tcp", "tls", "seal", "ledger", "clocks"],
    ),
    ("carriers", &["carrier_client", "seal", "ledger", "clocks"]),
    ("carrier_client", &["tls", "seal", "clocks"]),
    ("telemetry", &["config", "clocks"]),
    ("config", &["mistakes", "suggest"]),
    ("http_server", &["tcp", "tls"]),
    ("tcp", &[]),
    ("tls", &[]),
    ("seal", &[]),
    ("ledger", &["clocks"]),
    ("permissions", &["suggest"]),
    ("mistakes", &[]),
    ("suggest", &[]),
    ("clocks", &[]),
];

/// What one room of `server` does for all others: words that only its sources hold.
const DONE_ONCE: [(&str, &str); 4] = [
    (".accept().await", "tcp"),
    ("PemObject", "tls"),
    ("http1::Builder", "http_server"),
    ("GracefulShutdown", "http_server"),
];

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
        ("ledger", 1, "use super::telemetry::Metrics;"),
        ("ledger", 2, "use super::super::telemetry::Metrics;"),
        ("telemetry", 2, "use crate::ledger::Ledger;"),
        ("clocks", 1, "use crate::ledger::Ledger;"),
        ("admin", 3, "use crate::api::permissions;"),
        ("suggest", 1, "use crate::{ledger, mistakes};"),
        ("ledger", 1, "use super::{api, telemetry};"),
        (
            "api",
            2,
            "use crate::{\n    ledger::Ledger,\n    admin,\n};",
        ),
        ("seal", 1, "use super::*;"),
    ];
    for (room, depth, line) in planted {
        assert!(
            !forbidden_inside(room, line, depth).is_empty(),
            "{room}: {line}"
        );
        assert_eq!(
            forbidden_inside(room, &format!("// {}", line.replace('\n', "\n//")), depth).len(),
            0
        );
    }
    let fine = [
        ("admin", 3, "use crate::permissions::Permissions;"),
        ("admin", 3, "use super::super::plan::PlanError;"),
        ("admin", 1, "use crate::admin::document::Document;"),
        ("telemetry", 2, "let now = crate::clocks::read();"),
        ("ledger", 2, "use super::call_records::CallRecords;"),
        ("ledger", 1, "    use super::*;"),
        ("calls", 1, "pub(crate) mod thread;"),
        ("api", 2, "use crate::{ledger::Ledger, seal as sealed};"),
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
fn every_inner_room_has_its_line() {
    let root = fs::read_to_string(workspace().join("crates/server/src/lib.rs")).expect("the root");
    let mods = code(&root).filter_map(|(_, line)| line.split("mod ").nth(1));
    let mods: Vec<&str> = mods.map(|name| name.trim_end_matches(';')).collect();
    let mut inner: Vec<&str> = INNER.iter().map(|(room, _)| *room).collect();
    inner.sort_unstable();
    assert_eq!(mods, inner);
}

/// What a source of `server` names of the crate: the line and the path behind `crate::`, or behind as many
/// `super::` as lead out of a file that lies `depth` modules below the crate.
fn paths_of_crate(text: &str, depth: usize) -> Vec<(usize, String)> {
    let lines: Vec<&str> = text.lines().collect();
    let outward = |(n, names): (usize, Vec<String>)| {
        let supers = names.iter().take_while(|name| *name == "super").count();
        let outward = match names[0].as_str() {
            "crate" => &names[1..],
            _ if supers >= depth => &names[supers..],
            _ => return None,
        };
        // In a module of tests within the file, `super::*` is the file itself.
        let is_own = supers == depth && outward.is_empty() && lines[n - 1].starts_with(' ');
        (!is_own).then(|| (n, outward.join("::")))
    };
    let named = paths(text, &["crate::", "super::"]);
    named.into_iter().filter_map(outward).collect()
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
