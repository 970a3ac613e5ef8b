//! What pure rooms may not touch: clocks, chance, I/O.

use super::{code, sources, workspace};

/// The rooms that decide and do nothing else.
const PURE: [&str; 10] = [
    "domain/src",
    "host/src",
    "journal/src",
    "media/src/bridge",
    "media/src/bridge.rs",
    "media/src/player.rs",
    "media/src/statistics.rs",
    "sealing/src",
    "sip/src",
    "switch/src",
];

/// What a pure room may not name, by what it would do. A comparison of words: the map and the set of the standard
/// library are named, too, since their order differs from run to run; those of `hashbrown` with a hash of ours do not.
const IMPURE: [(&str, &[&str]); 9] = [
    (
        "read a clock",
        &[
            "SystemTime",
            "Instant::now",
            "UtcDateTime::now",
            "now_utc",
            "now_local",
        ],
    ),
    (
        "draw by chance",
        &["rand::", "rand_chacha", "getrandom", "fastrand", "uuid::"],
    ),
    (
        "go through things in an order of chance",
        &["RandomState", "HashMap", "HashSet"],
    ),
    (
        "read or write files",
        &["std::fs", "fs::", "{fs", "File::open", "OpenOptions"],
    ),
    (
        "read or print what belongs to the process",
        &[
            "std::env",
            "env::",
            "std::process",
            "Command::new",
            "stdin(",
            "stdout(",
            "stderr(",
            "print!(",
            "println!(",
            "dbg!(",
        ],
    ),
    (
        "use the network",
        &[
            "UdpSocket",
            "TcpStream",
            "TcpListener",
            "UnixStream",
            "UnixDatagram",
            "ToSocketAddrs",
            "socket2",
            "rustix",
            "libc::",
        ],
    ),
    (
        "share with threads",
        &[
            "std::thread",
            "thread::",
            "thread_local!",
            "mpsc",
            "Condvar",
            "RwLock",
            "Mutex",
            "OnceLock",
            "LazyLock",
            "atomic::",
            "static mut",
        ],
    ),
    (
        "wait",
        &[
            "tokio",
            "futures",
            "async fn",
            "async move",
            "async {",
            ".await;",
            ".await?",
            "sqlx",
        ],
    ),
    ("log", &["tracing", "use log", " log::"]),
];

/// Where a thread counts what it looks at, for tests, and what it needs for it. No rule reads the count.
const COUNTER: (&str, &str) = ("domain/src/visits.rs", "thread_local!");

#[test]
fn pure_rooms_read_no_clock_and_draw_no_lots() {
    for room in PURE {
        for (path, text) in sources(&workspace().join("crates").join(room)) {
            let mut found = impure_lines(&text);
            if path.ends_with(COUNTER.0) {
                found.retain(|line| !line.contains(COUNTER.1));
            }
            assert_eq!(found, [""; 0], "{}", path.display());
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
        "use std::collections::HashMap;",
        "let seen = HashSet::new();",
        "let stream = TcpStream::connect(address)?;",
        "let socket = std::net::UdpSocket::bind(address)?;",
        "println!(\"{call}\");",
        "eprintln!(\"{call}\");",
        "let home = std::env::var(\"HOME\");",
        "use rand::Rng;",
        "std::thread::sleep(pause);",
        "let (from, to) = std::sync::mpsc::channel();",
        "static NAMES: LazyLock<Names> = LazyLock::new(names);",
        "let route = look_up(x).await;",
        "let now = time::UtcDateTime::now();",
        "use std::{fs, io};",
        "let text = { fs::read_to_string(path)? };",
        "for name in env::args() {",
        "let home = Path::new(&env::var_os(name)?);",
        "thread::Builder::new().spawn(work)?;",
        "(thread::sleep)(pause);",
        "let later = async { 1 };",
        "let child = Command::new(program).spawn();",
    ];
    for planted in impure {
        assert!(!impure_lines(planted).is_empty(), "{planted}");
    }
    let fine = [
        "let timeout = clock.now();",
        "let at = std::net::SocketAddr::new(ip, port);",
        "write!(text, \"{call}\")?;",
        "use hashbrown::HashTable;",
        "let dialog = self.dialogs.get(&id);",
        "let operand = left;",
        "// println!(\"a comment\")",
    ];
    for line in fine {
        assert_eq!(impure_lines(line), [""; 0], "{line}");
    }
}

/// The lines of a source that touch what a pure room may not.
fn impure_lines(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    for (n, line) in code(text) {
        for (doing, words) in IMPURE {
            if let Some(word) = words.iter().find(|word| line.contains(**word)) {
                found.push(format!("line {n} would {doing}: {word}"));
            }
        }
    }
    found
}
