//! A start after a kill: a snapshot of so many numbers and as many bindings, and the longest tail of the journal that
//! the policy of snapshots allows, until the state is in memory.
//!
//! `cargo bench -p maskline-store --bench start`. Each size is opened by a process of its own, whose largest size in
//! memory and time of the processors are told with it. `MASKLINE_BENCH_SIZES` changes the sizes (1000000), such as
//! `1000000,10000000`; `MASKLINE_BENCH_TAIL` the events of the tail, `MASKLINE_BENCH_ROUNDS` how often each is opened
//! (3), `MASKLINE_BENCH_DIR` the disk. It is sealed, as the program's data are, unless `MASKLINE_BENCH_UNSEALED` is set.

use std::error::Error;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use maskline_domain::binding::{EndCause, Extras, Owner};
use maskline_domain::{
    AccessKeyId, Actor, Answered, AttemptId, Binding, CommandId, Event, Number, PhoneNumber, Pool,
    Product, Row, State, SubsId, Timestamp,
};
use maskline_fixtures::domain::{
    ACCOUNT, KEY, NOON, PAIR_POOL, POOL, access_key, account, idle_number, number, pool,
};
use maskline_journal::Codec;
use maskline_journal::batch::{Batch, Tip};
use maskline_journal::payload::Draft;
use maskline_journal::snapshot::{Parts, Seal};
use maskline_sealing::FixedKey;
use maskline_store::db::{Connection, sql};
use maskline_store::directory::{self, DataDir};
use maskline_store::recovery::{Progress, recover};
use maskline_store::{UNSEALED, journal, snapshot};

type Outcome<T> = Result<T, Box<dyn Error + Send + Sync>>;

/// As the program's.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const CITIES: u64 = 300;
const HOUR_MS: i64 = 3_600_000;
/// Commands in a batch, as with 64 callers.
const COMMANDS: u64 = 64;
/// Batches written in a transaction: nobody waits for them here.
const TOGETHER: usize = 256;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Outcome<()> {
    let arguments: Vec<String> = std::env::args().collect();
    if let Some(at) = arguments.iter().position(|argument| argument == "--open") {
        return open(Path::new(&arguments[at + 1])).await;
    }
    let sizes = std::env::var("MASKLINE_BENCH_SIZES").unwrap_or_else(|_| "1000000".to_owned());
    for size in sizes.split(',') {
        let size = size.trim().parse()?;
        let folder = match std::env::var_os("MASKLINE_BENCH_DIR") {
            Some(dir) => tempfile::tempdir_in(dir)?,
            None => tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR"))?,
        };
        let tail = setting("MASKLINE_BENCH_TAIL", 4_000_000);
        make(folder.path(), size, tail).await?;
        for _ in 0..setting("MASKLINE_BENCH_ROUNDS", 3) {
            let mut again = Command::new(std::env::current_exe()?);
            let status = again.arg("--open").arg(folder.path()).status()?;
            if !status.success() {
                return Err("the start failed".into());
            }
        }
    }
    Ok(())
}

fn codec() -> Codec {
    match std::env::var_os("MASKLINE_BENCH_UNSEALED") {
        Some(_) => UNSEALED.clone(),
        None => UNSEALED.with_keys(Arc::new(FixedKey::default())),
    }
}

fn setting(name: &str, default: u64) -> u64 {
    let given = std::env::var(name).ok();
    given.and_then(|text| text.parse().ok()).unwrap_or(default)
}

/// What a start does, and how long each part of it takes.
async fn open(dir: &Path) -> Outcome<()> {
    let begun = Instant::now();
    let readers = directory::readers(dir, 1).await?;
    let mut loaded = (0, Duration::ZERO, Duration::ZERO);
    let recovered = recover(&mut readers.acquire().await?, &codec(), None, |progress| {
        if let Progress::SnapshotLoaded { rows, .. } = progress {
            loaded = (rows, begun.elapsed(), processors());
        }
    })
    .await?;
    let (all, processors) = (begun.elapsed(), processors());
    let (rows, loading, loading_processors) = loaded;
    println!(
        "{:.2} s (processors {:.2} s): {rows} rows of a snapshot in {:.2} s ({:.2} s), {} events after it in {:.2} s \
         ({:.2} s); {} MiB at most",
        all.as_secs_f64(),
        processors.as_secs_f64(),
        loading.as_secs_f64(),
        loading_processors.as_secs_f64(),
        recovered.events,
        (all - loading).as_secs_f64(),
        processors.saturating_sub(loading_processors).as_secs_f64(),
        largest_kib() / 1024,
    );
    std::mem::forget(recovered);
    Ok(())
}

/// Time of the processors that this process took, user and system (proc_pid_stat(5)).
fn processors() -> Duration {
    let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
    let ticks = fields.split_whitespace().skip(11).take(2);
    let ticks: u64 = ticks.filter_map(|field| field.parse::<u64>().ok()).sum();
    // A hundred a second on every Linux.
    Duration::from_millis(ticks * 10)
}

fn largest_kib() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
    kib.unwrap_or(0)
}

async fn make(dir: &Path, size: u64, tail: u64) -> Outcome<()> {
    let begun = Instant::now();
    let owned = DataDir::own(dir)?;
    let mut conn = owned.writer().await?;
    let mut tip = Tip::GENESIS;
    let founding = vec![Event::ImportEnded { name: "old".into() }];
    let batch = batch(&mut tip, [(operator(), founding)])?;
    journal::append(&mut conn, &batch).await;
    let parts = write_snapshot(&mut conn, tip, size).await?;
    let snapshot_took = begun.elapsed();
    let commands = tail / 2;
    let mut waiting = Vec::new();
    for first in (0..commands).step_by(COMMANDS as usize) {
        let some = (first..commands.min(first + COMMANDS)).map(|n| command(n, size));
        waiting.push(self::batch(&mut tip, some)?);
        if waiting.len() == TOGETHER {
            append(&mut conn, &mut waiting).await?;
        }
    }
    append(&mut conn, &mut waiting).await?;
    println!(
        "{size} numbers and as many bindings, a tail of {tail} events: {parts} parts made in {:.1} s, the tail in \
         {:.1} s",
        snapshot_took.as_secs_f64(),
        (begun.elapsed() - snapshot_took).as_secs_f64()
    );
    Ok(())
}

async fn append(conn: &mut Connection, waiting: &mut Vec<Batch>) -> Outcome<()> {
    conn.execute(sql("BEGIN")).await?;
    for batch in waiting.drain(..) {
        journal::append(conn, &batch).await;
    }
    conn.execute(sql("COMMIT")).await?;
    Ok(())
}

async fn write_snapshot(conn: &mut Connection, tip: Tip, size: u64) -> Outcome<u64> {
    let mut parts = Parts::new(codec(), tip.seq);
    let mut count = 0;
    let mut founded = State::default();
    founded.restore(Row::from(account(ACCOUNT)));
    founded.restore(Row::Key(access_key(KEY, ACCOUNT)));
    founded.restore(Row::from(pool(POOL, Product::Axn)));
    founded.restore(Row::from(pool(PAIR_POOL, Product::Axb)));
    let founded: Vec<Row> = founded.rows().collect();
    let numbers = (0..size).map(|n| Row::Number(stock(n, size)));
    let bindings = (0..size).map(|n| Row::from(bound(n, n, size)));
    conn.execute(sql("BEGIN")).await?;
    for row in founded.into_iter().chain(numbers).chain(bindings) {
        if let Some(part) = parts.push(row).expect("not sealed") {
            snapshot::write_part(conn, tip.seq, count, &part).await?;
            count += 1;
        }
    }
    let total = parts.finish().expect("not sealed");
    if let Some(part) = &total.part {
        snapshot::write_part(conn, tip.seq, count, part).await?;
        count += 1;
    }
    let seal = Seal {
        seq: tip.seq,
        at: NOON.millis(),
        hash: tip.hash.to_string(),
        parts: count,
        rows: total.rows,
        bindings: total.bindings,
        digest: total.kept_digest.0.to_string(),
        digest_key: total.kept_digest.1.map(|id| id.0),
        writer: "bench".to_owned(),
        oldest_reader: 1,
    };
    snapshot::write_seal(conn, &seal).await?;
    conn.execute(sql("COMMIT")).await?;
    Ok(count)
}

fn operator() -> Actor {
    Actor::Operator {
        name: "bench".into(),
        remark: None,
    }
}

fn batch(tip: &mut Tip, commands: impl IntoIterator<Item = (Actor, Vec<Event>)>) -> Outcome<Batch> {
    let at = NOON.plus_millis(tip.seq as i64);
    let mut draft = Draft::new(tip.seq + 1, at, tip.hash, [7; 32]);
    for (by, events) in commands {
        draft
            .push(by, events, usize::MAX)
            .ok_or("no command is too large")?;
    }
    let batch = draft.seal(&codec()).expect("not sealed");
    tip.follow(&batch)?;
    Ok(batch)
}

/// One of the first half of the numbers stands for anyone, one of the second for a pair.
fn product(place: u64, size: u64) -> Product {
    if place < size / 2 {
        Product::Axn
    } else {
        Product::Axb
    }
}

fn pool_of(place: u64, size: u64) -> Pool {
    let product = product(place, size);
    let key = if product.needs_b() { PAIR_POOL } else { POOL };
    pool(key, product)
}

fn x(place: u64) -> PhoneNumber {
    number(&format!("17{place:09}"))
}

fn stock(place: u64, size: u64) -> Number {
    let city = format!("city-{}", place % CITIES);
    idle_number(x(place), pool_of(place, size).key.as_str(), &city)
}

/// The places of numbers without an order, each once: the step has no divisor in common with a size of this kind.
fn place(nth: u64, size: u64) -> u64 {
    nth.wrapping_mul(7_368_787) % size
}

/// The binding with this id, on the nth of the numbers in no order.
fn bound(id: u64, nth: u64, size: u64) -> Binding {
    let place = place(nth, size);
    let product = product(place, size);
    let made = NOON.plus_millis(id as i64 - 10_000_000);
    // Hours, days or weeks, as customers ask for.
    let hours = [2, 24, 24 * 7, 24 * 30][(id % 4) as usize];
    let until = made.plus_millis((hours + (id % 11) as i64) * HOUR_MS);
    let party = |first: u64| number(&(first + id.wrapping_mul(7_919) % 90_000_000).to_string());
    Binding {
        b: product.needs_b().then(|| party(15_100_000_000)),
        extras: Extras {
            out_id: Some(format!("order-{id:08}").into()),
            ..Extras::default()
        },
        ..Binding::new(
            SubsId(1_772_000_000_000_000 + id),
            product,
            x(place),
            party(13_800_000_000),
            made..until,
        )
    }
}

/// The nth command of the tail: ends the oldest binding, or makes one in its place.
fn command(n: u64, size: u64) -> (Actor, Vec<Event>) {
    let key = AccessKeyId::new(KEY);
    let nth = (n / 2) % size;
    // As often as the tail has gone round all numbers, so many ids further.
    let old = bound(n / 2, nth, size);
    let owner = Some(Owner::of(&pool_of(place(nth, size), size)));
    let answered = Event::CommandAnswered {
        id: CommandId(u128::from(n).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835)),
        key: Some(key.clone()),
        until: NOON.plus_millis(HOUR_MS / 4),
        attempt: Some(AttemptId(n)),
        answered: Some(Answered::Done),
    };
    let what = if n.is_multiple_of(2) {
        Event::Ended {
            subs_id: old.subs_id,
            x: old.x,
            cause: EndCause::Unbound,
            at: NOON,
            cooling_until: Timestamp(0),
            idle_since: Timestamp(0),
            owner,
        }
    } else {
        let again = bound(n / 2 + size, nth, size);
        Event::Bound(Box::new(Binding { owner, ..again }))
    };
    let permission = "dypls:BindAxn".into();
    (Actor::Customer { key, permission }, vec![answered, what])
}
