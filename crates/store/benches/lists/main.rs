//! How long a page of the records takes, by how many rows there are: of everybody, of a person, of an X, of a pool,
//! the first page and one from the middle, out of a warm cache and from the disk.
//!
//! `cargo bench -p maskline-store --bench lists`. `MASKLINE_BENCH_SIZES=100000,10000000` chooses how many rows, which
//! take up to a kilobyte each on the disk; `MASKLINE_BENCH_DIR` chooses the disk. A page is cold when the system
//! holds nothing of the file and the connection is new; that is asked for by `posix_fadvise`, which keeps pages that
//! others use. `MASKLINE_BENCH_KINDS=calls,bindings,audit` leaves out some.
//!
//! Of the rows of every kind one in a hundred is of the same person, who so has as many as a call centre; all others
//! have twenty.

mod rows;

use std::error::Error;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use maskline_domain::{AccountId, PoolKey};
use maskline_store::db::Readers;
use maskline_store::directory::{self, DataDir};
use maskline_store::records::{audit, call, history};
use rustix::fs::{Advice, fadvise};

use rows::{AUDIT_PER_BATCH, Kind, Stock};

type Outcome<T> = Result<T, Box<dyn Error>>;

/// How often a page is asked for, if that does not take longer than so; thrice at least.
const WARM: usize = 100;
const COLD: usize = 20;
const PATIENCE: Duration = Duration::from_secs(3);
/// Rows of a page.
const PAGES: [u32; 3] = [1, 100, 1_000];

#[tokio::main(flavor = "current_thread")]
async fn main() -> Outcome<()> {
    let sizes = std::env::var("MASKLINE_BENCH_SIZES").unwrap_or_else(|_| "100000,1000000".into());
    let sizes: Vec<usize> = sizes
        .split(',')
        .filter_map(|size| size.trim().parse().ok())
        .collect();
    println!(
        "{:>9} {:34} {:>5} {:>5} {:>25} {:>25}",
        "rows", "list", "page", "given", "warm ms: p50, p99", "cold ms: p50, most"
    );
    let kinds =
        std::env::var("MASKLINE_BENCH_KINDS").unwrap_or_else(|_| "calls,bindings,audit".into());
    let mut first: Vec<(&str, u32, f64)> = Vec::new();
    for (place, size) in sizes.iter().enumerate() {
        for kind in Kind::ALL {
            if !kinds.split(',').any(|name| name.trim() == kind.name()) {
                continue;
            }
            let folder = match std::env::var_os("MASKLINE_BENCH_DIR") {
                Some(dir) => tempfile::tempdir_in(dir)?,
                None => tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR"))?,
            };
            let data = folder.path().join("data");
            let begun = Instant::now();
            let stock = rows::fill(&data, kind, *size).await?;
            eprintln!("{size} {kind:?} in {:.0} s", begun.elapsed().as_secs_f64());
            for (name, list) in lists(kind) {
                for limit in PAGES {
                    let (given, warm, cold) = measure(&data, &stock, list, limit).await?;
                    let ratio = match first
                        .iter()
                        .find(|(known, page, _)| (*known, *page) == (name, limit))
                    {
                        Some((.., before)) => format!("{:.1} times", warm[warm.len() / 2] / before),
                        None => String::new(),
                    };
                    println!(
                        "{size:>9} {name:34} {limit:>5} {given:>5} {:>12.2} {:>12.2} {:>12.2} {:>12.2} {ratio}",
                        warm[warm.len() / 2],
                        warm[warm.len() * 99 / 100],
                        cold[cold.len() / 2],
                        cold[cold.len() - 1],
                    );
                    if place == 0 {
                        first.push((name, limit, warm[warm.len() / 2]));
                    }
                }
            }
        }
    }
    Ok(())
}

/// A list that is measured.
#[derive(Clone, Copy)]
enum List {
    Calls(fn(&Stock, usize) -> call::Filter),
    Bindings(fn(&Stock, usize) -> history::Filter),
    Audit(fn(&Stock, usize) -> Option<(u64, u32)>),
}

/// Each filter gets a number that differs from one time to the next.
fn lists(kind: Kind) -> Vec<(&'static str, List)> {
    use List::{Audit, Bindings, Calls};
    match kind {
        Kind::Calls => vec![
            ("calls", Calls(|_, _| call::Filter::default())),
            (
                "calls, from anywhere",
                Calls(|stock, n| call::Filter {
                    after: Some(stock.call_key(n)),
                    ..call::Filter::default()
                }),
            ),
            (
                "calls of a person",
                Calls(|stock, n| call::Filter {
                    party: Some(stock.person(n)),
                    ..call::Filter::default()
                }),
            ),
            (
                "calls of the busy person",
                Calls(|stock, _| call::Filter {
                    party: Some(stock.busy()),
                    ..call::Filter::default()
                }),
            ),
            (
                "the same, from anywhere",
                Calls(|stock, n| call::Filter {
                    party: Some(stock.busy()),
                    after: Some(stock.call_key(n)),
                    ..call::Filter::default()
                }),
            ),
            (
                "the same, that failed",
                Calls(|stock, n| call::Filter {
                    party: Some(stock.busy()),
                    after: Some(stock.call_key(n)),
                    situation: Some(stock.rare_situation().to_owned()),
                    ..call::Filter::default()
                }),
            ),
            (
                "calls by the busy person",
                Calls(|stock, _| call::Filter {
                    caller: Some(stock.busy()),
                    ..call::Filter::default()
                }),
            ),
            (
                "calls of the busy person on an X",
                Calls(|stock, n| call::Filter {
                    party: Some(stock.busy()),
                    x: Some(stock.x(n)),
                    ..call::Filter::default()
                }),
            ),
            (
                "calls of an X",
                Calls(|stock, n| call::Filter {
                    x: Some(stock.x(n)),
                    ..call::Filter::default()
                }),
            ),
            (
                "calls of a binding",
                Calls(|stock, n| call::Filter {
                    subs_id: Some(stock.subs_id(n)),
                    ..call::Filter::default()
                }),
            ),
            (
                "calls of a pool, from anywhere",
                Calls(|stock, n| call::Filter {
                    pool: Some(stock.pool(n)),
                    after: Some(stock.call_key(n)),
                    ..call::Filter::default()
                }),
            ),
            (
                "calls of the account that failed",
                Calls(|stock, n| call::Filter {
                    account: Some(stock.account().to_owned()),
                    situation: Some(stock.rare_situation().to_owned()),
                    after: Some(stock.call_key(n)),
                    ..call::Filter::default()
                }),
            ),
            (
                "calls of the account on an X",
                Calls(|stock, n| call::Filter {
                    account: Some(stock.account().to_owned()),
                    x: Some(stock.x(n)),
                    ..call::Filter::default()
                }),
            ),
            (
                "calls of the account in a pool",
                Calls(|stock, n| call::Filter {
                    account: Some(stock.account().to_owned()),
                    pool: Some(stock.pool(n)),
                    ..call::Filter::default()
                }),
            ),
            (
                "calls of one of few calls' accounts",
                Calls(|stock, n| call::Filter {
                    account: Some(stock.small_account().to_owned()),
                    pool: Some(stock.pool(n)),
                    ..call::Filter::default()
                }),
            ),
            (
                "calls of a second",
                Calls(|stock, n| {
                    let (at, _) = stock.call_key(n);
                    call::Filter {
                        since: Some(at),
                        before: Some(at.plus_secs(1)),
                        ..call::Filter::default()
                    }
                }),
            ),
            (
                "open calls",
                Calls(|_, _| call::Filter {
                    open: Some(true),
                    ..call::Filter::default()
                }),
            ),
        ],
        Kind::Bindings => vec![
            ("bindings", Bindings(|_, _| history::Filter::default())),
            (
                "bindings, from anywhere",
                Bindings(|stock, n| history::Filter {
                    before: Some(stock.subs_id(n)),
                    ..history::Filter::default()
                }),
            ),
            (
                "bindings of a person",
                Bindings(|stock, n| history::Filter {
                    party: Some(stock.person(n)),
                    ..history::Filter::default()
                }),
            ),
            (
                "bindings of the busy person",
                Bindings(|stock, _| history::Filter {
                    party: Some(stock.busy()),
                    ..history::Filter::default()
                }),
            ),
            (
                "the same, from anywhere",
                Bindings(|stock, n| history::Filter {
                    party: Some(stock.busy()),
                    before: Some(stock.subs_id(n)),
                    ..history::Filter::default()
                }),
            ),
            (
                "the same, on an X",
                Bindings(|stock, n| history::Filter {
                    party: Some(stock.busy()),
                    x: Some(stock.x(n)),
                    ..history::Filter::default()
                }),
            ),
            (
                "the same, in force",
                Bindings(|stock, _| history::Filter {
                    party: Some(stock.busy()),
                    ended: Some(false),
                    ..history::Filter::default()
                }),
            ),
            (
                "bindings of an X",
                Bindings(|stock, n| history::Filter {
                    x: Some(stock.x(n)),
                    ..history::Filter::default()
                }),
            ),
            (
                "bindings of a pool, from anywhere",
                Bindings(|stock, n| history::Filter {
                    pool: Some(PoolKey::new(&stock.pool(n))),
                    before: Some(stock.subs_id(n)),
                    ..history::Filter::default()
                }),
            ),
            (
                "bindings that ended",
                Bindings(|_, _| history::Filter {
                    ended: Some(true),
                    ..history::Filter::default()
                }),
            ),
            (
                "bindings of another account",
                Bindings(|_, _| history::Filter {
                    account: Some(AccountId::new("nobody")),
                    ..history::Filter::default()
                }),
            ),
        ],
        Kind::Audit => vec![
            ("audit", Audit(|_, _| None)),
            (
                "audit, from anywhere",
                Audit(|stock, n| Some(((stock.any(n) / AUDIT_PER_BATCH) as u64 + 1, 0))),
            ),
        ],
    }
}

/// Rows of the last page, and sorted times in milliseconds.
async fn measure(
    data: &Path,
    stock: &Stock,
    list: List,
    limit: u32,
) -> Outcome<(usize, Vec<f64>, Vec<f64>)> {
    let readers = directory::readers(data, 1).await?;
    let (mut given, mut warm, mut cold) = (0, Vec::new(), Vec::new());
    let begun = Instant::now();
    let is_over = |begun: &Instant, done: usize| done >= 3 && begun.elapsed() > PATIENCE;
    for n in 0..WARM {
        page(&readers, stock, list, limit, n).await?;
        let asked = Instant::now();
        given = page(&readers, stock, list, limit, n).await?;
        warm.push(milliseconds(asked.elapsed()));
        if is_over(&begun, warm.len()) {
            break;
        }
    }
    readers.close().await;
    let begun = Instant::now();
    for n in 0..COLD {
        // A new connection has no pages; its statements and the tables' definitions are read beforehand, as those of
        // a program that runs are.
        let readers = directory::readers(data, 1).await?;
        page(&readers, stock, list, 1, WARM + COLD).await?;
        forget(data)?;
        let asked = Instant::now();
        page(&readers, stock, list, limit, WARM + n).await?;
        cold.push(milliseconds(asked.elapsed()));
        readers.close().await;
        if is_over(&begun, cold.len()) {
            break;
        }
    }
    warm.sort_by(f64::total_cmp);
    cold.sort_by(f64::total_cmp);
    Ok((given, warm, cold))
}

fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1_000.0
}

async fn page(
    readers: &Readers,
    stock: &Stock,
    list: List,
    limit: u32,
    n: usize,
) -> Outcome<usize> {
    match list {
        List::Calls(filter) => {
            let filter = call::Filter {
                limit,
                ..filter(stock, n)
            };
            let page = call::list(readers, &filter).await?;
            let unreadable = page.rows.iter().find_map(|row| row.as_ref().err());
            match unreadable {
                Some(unreadable) => Err(unreadable.to_string().into()),
                None => Ok(page.rows.len()),
            }
        }
        List::Bindings(filter) => {
            let filter = history::Filter {
                limit,
                ..filter(stock, n)
            };
            let page = history::list(readers, &filter).await?;
            match page.rows.iter().all(|row| row.binding().is_some()) {
                true => Ok(page.rows.len()),
                false => Err("a binding cannot be read".into()),
            }
        }
        List::Audit(before) => Ok(audit::list(readers, before(stock, n), limit).await?.len()),
    }
}

/// Has the system let go what it holds of the database.
fn forget(data: &Path) -> Outcome<()> {
    let file: PathBuf = data.join(directory::FILE);
    let file = File::open(file)?;
    fadvise(&file, 0, None, Advice::DontNeed)?;
    Ok(())
}
