//! Crates of others: which each pure crate and the simulator may name, and what must not come in behind those.
//!
//! What comes in is read from `Cargo.lock`, which holds every target and every feature that somebody in the workspace
//! wants, so at least what is built.

use super::crates::{DIRECTIONS, manifest, named};
use super::workspace;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;

/// Each pure crate, the simulator, and which crates of others its manifest names for what is no test.
const NAMED: [(&str, &[&str]); 7] = [
    ("host", &[]),
    (
        "domain",
        &[
            "foldhash",
            "hashbrown",
            "ipnet",
            "serde",
            "serde_json",
            "sha2",
            "thiserror",
            "time",
        ],
    ),
    ("sip", &["hex", "ipnet", "md-5", "sha2", "thiserror"]),
    (
        "journal",
        &[
            "cbor4ii",
            "hex",
            "postcard",
            "serde",
            "serde_json",
            "sha2",
            "thiserror",
        ],
    ),
    (
        "sealing",
        &["aes-gcm", "hmac", "sha2", "thiserror", "zeroize"],
    ),
    ("switch", &["ipnet", "serde", "serde_json", "sha2"]),
    ("sim", &["clap", "rand", "rand_chacha", "thiserror"]),
];

/// What builds C, or looks for libraries that are C.
const C: [&str; 5] = ["bindgen", "cc", "cmake", "pkg-config", "vcpkg"];

/// Bindings whose name ends as those of C libraries do, though they only write down what the kernel takes.
const NOT_C: [&str; 2] = ["linux-raw-sys", "windows-sys"];

/// SQL, HTTP, TLS, compression and async, by the beginnings of names.
const MACHINERY: [&str; 10] = [
    "async-std",
    "aws-lc",
    "axum",
    "hyper",
    "mio",
    "ring",
    "rustls",
    "sqlx",
    "tokio",
    "zstd",
];

/// Each package of the workspace's lock file and those that it is built with, by name; those of several versions in
/// one.
type Lock = BTreeMap<String, BTreeSet<String>>;

fn lock(text: &str) -> Lock {
    let mut found = Lock::new();
    for package in text.split("[[package]]").skip(1) {
        let quoted = |line: &str| line.split('"').nth(1).map(str::to_owned);
        let name = package
            .lines()
            .find_map(|line| quoted(line.strip_prefix("name = ")?));
        let listed = package.split("dependencies = [").nth(1).unwrap_or_default();
        let listed = listed.split(']').next().unwrap_or_default();
        // With several versions of one, its name is followed by that which is meant.
        let used = listed
            .lines()
            .filter_map(quoted)
            .filter_map(|used| used.split(' ').next().map(str::to_owned));
        found
            .entry(name.expect("each has a name"))
            .or_default()
            .extend(used);
    }
    found
}

/// What comes into a build with these names, without the tests of ours.
fn behind(
    names: BTreeSet<String>,
    lock: &Lock,
    manifest: impl Fn(&str) -> String,
) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut left: Vec<String> = names.into_iter().collect();
    while let Some(name) = left.pop() {
        match name.strip_prefix("maskline-") {
            Some(room) => left.extend(named(&manifest(room))),
            None if !found.contains(&name) => {
                left.extend(lock.get(&name).into_iter().flatten().cloned());
            }
            None => {}
        }
        found.insert(name);
    }
    found
}

/// Those names that neither a pure crate nor the simulator may have behind it.
fn unwanted(names: &BTreeSet<String>) -> Vec<&str> {
    let is_c = |name: &str| C.contains(&name) || (name.ends_with("-sys") && !NOT_C.contains(&name));
    let is_machinery = |name: &str| {
        let begins = |word: &&str| {
            name.strip_prefix(*word)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
        };
        MACHINERY.iter().any(begins)
    };
    let names = names.iter().map(String::as_str);
    names
        .filter(|name| is_c(name) || is_machinery(name))
        .collect()
}

fn lock_file() -> Lock {
    lock(&fs::read_to_string(workspace().join("Cargo.lock")).expect("the lock file"))
}

#[test]
fn pure_crates_and_the_simulator_name_only_what_is_allowed_of_others() {
    for (room, allowed) in NAMED {
        let names = named(&manifest(room));
        let of_others = names.iter().filter(|name| !name.starts_with("maskline-"));
        let of_others: Vec<&str> = of_others.map(String::as_str).collect();
        assert_eq!(of_others, allowed, "{room}");
    }
}

#[test]
fn pure_crates_and_the_simulator_build_without_c_sql_http_and_tls() {
    let lock = lock_file();
    for (room, _) in NAMED {
        let names = behind(named(&manifest(room)), &lock, manifest);
        assert_eq!(unwanted(&names), [""; 0], "{room}");
    }
}

#[test]
fn what_must_not_come_in_is_found() {
    let lock = lock_file();
    let planted = [
        ("[dependencies]\nzstd.workspace = true\n", "zstd"),
        (
            "[dependencies]\nmaskline-store.workspace = true\n",
            "libsqlite3-sys",
        ),
        ("[dependencies]\nmaskline-store.workspace = true\n", "cc"),
        (
            "[dependencies]\nmaskline-journal.workspace = true\nsqlx = { workspace = true }\n",
            "sqlx-core",
        ),
        ("[dependencies]\naxum = \"0.8\"\n", "hyper"),
        (
            "[dependencies]\n[dependencies.rustls]\nversion = \"0\"\n",
            "ring",
        ),
        (
            "[target.'cfg(unix)'.dependencies.tokio]\nworkspace = true\n",
            "mio",
        ),
        (
            "[target.'cfg(unix)'.dependencies]\ntokio.workspace = true\n",
            "mio",
        ),
        ("[build-dependencies]\ncc = \"1\"\n", "cc"),
        ("[dependencies]\nmaskline-media.workspace = true\n", "tokio"),
        (
            "[dependencies]\nmaskline-fixtures.workspace = true\n",
            "ring",
        ),
    ];
    for (text, expected) in planted {
        let names = behind(named(text), &lock, manifest);
        assert!(unwanted(&names).contains(&expected), "{text}: {expected}");
    }
    let of_tests = "[dependencies]\nserde.workspace = true\n[dev-dependencies]\nzstd.workspace = true\n\
                    [dev-dependencies.tokio]\nworkspace = true\n";
    assert_eq!(unwanted(&behind(named(of_tests), &lock, manifest)), [""; 0]);
    // A crate that is no room would have no line.
    assert!(
        NAMED
            .iter()
            .all(|(room, _)| DIRECTIONS.iter().any(|(known, _)| known == room))
    );
}
