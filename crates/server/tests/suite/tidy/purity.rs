//! What pure rooms may not touch: clocks, chance, I/O.

use super::{code, sources, workspace};
use std::fs;

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
fn what_a_pure_room_may_not_touch_is_found() {
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
