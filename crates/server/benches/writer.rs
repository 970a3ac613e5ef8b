//! The writer over SQLite: binds a second and their latency with 1, 64 and 512
//! callers, beside the rate of bare append + fdatasync on the same disk in the
//! same minute, and what part of the processors each thread took with 64; then
//! the time from opening the data to being ready.
//!
//! `cargo bench -p maskline-server --bench writer`. Sixty commands in a hundred
//! bind, thirty unbind, ten change an expiry; every command carries a nonce to
//! be remembered. `MASKLINE_BENCH_NUMBERS`, `MASKLINE_BENCH_BOUND` and
//! `MASKLINE_BENCH_SECONDS` change the size, `MASKLINE_BENCH_DIR` the disk.

use std::collections::BTreeMap;
use std::error::Error;
use std::fs::{self, File};
use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use hdrhistogram::Histogram;
use maskline_domain::binding::Extras;
use maskline_domain::ops::{AddNumbers, CreateKey, SetAccount, SetPool, Unbind, UpdateBinding};
use maskline_domain::*;
use maskline_fixtures::domain::{
    ACCOUNT, KEY, POOL, access_key, account, bind_request, idle_number, number, pool, pool_ref,
};
use maskline_server::config::Settings;
use maskline_server::ledger::Ledger;
use maskline_server::serve::ledger_options;
use maskline_store::directory;
use maskline_store::recovery::{Progress, recover};

type Outcome<T> = Result<T, Box<dyn Error + Send + Sync>>;

/// As the program's: what is measured is how the program would run.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const CITIES: usize = 300;
const BLOCK: usize = 4096;

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> Outcome<()> {
    let numbers = setting("MASKLINE_BENCH_NUMBERS", 1_500_000);
    let bound = setting("MASKLINE_BENCH_BOUND", 500_000);
    let seconds = setting("MASKLINE_BENCH_SECONDS", 5) as u64;
    let folder = match std::env::var_os("MASKLINE_BENCH_DIR") {
        Some(dir) => tempfile::tempdir_in(dir)?,
        None => tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR"))?,
    };
    let data = folder.path().join("data");
    let (ledger, running) = Ledger::open(ledger_options(&Settings::default(), &data)).await?;
    println!("{numbers} numbers in {CITIES} cities, {bound} bound beforehand");
    stock(&ledger, numbers).await?;
    let begun = Instant::now();
    let load = Load {
        bind_only: true,
        ..Load::mixed(512, Until::Binds(bound))
    };
    run(&ledger, load).await?;
    println!(
        "bound beforehand at {:.0} binds/s",
        bound as f64 / begun.elapsed().as_secs_f64()
    );

    println!(
        "{:>8} {:>12} {:>10} {:>9} {:>9} {:>9} {:>12} {:>7}",
        "callers", "commands/s", "binds/s", "p50 ms", "p99 ms", "p99.9 ms", "raw syncs/s", "ratio"
    );
    for callers in [1, 64, 512] {
        let mut rounds = Vec::new();
        let before = Processors::read();
        for _ in 0..3 {
            let raw_before = raw_syncs_per_s(folder.path())?;
            let duration = Duration::from_secs(seconds);
            let done = run(&ledger, Load::mixed(callers, Until::Time(duration))).await?;
            let raw = (raw_before + raw_syncs_per_s(folder.path())?) / 2.0;
            rounds.push((done, raw));
        }
        let took = Processors::read().since(&before);
        rounds.sort_by(|(one, _), (other, _)| one.binds_per_s.total_cmp(&other.binds_per_s));
        let (done, raw) = &rounds[rounds.len() / 2];
        let ms = |quantile| done.latency.value_at_quantile(quantile) as f64 / 1000.0;
        println!(
            "{callers:>8} {:>12.0} {:>10.0} {:>9.2} {:>9.2} {:>9.2} {raw:>12.0} {:>7.1}",
            done.commands_per_s,
            done.binds_per_s,
            ms(0.5),
            ms(0.99),
            ms(0.999),
            done.binds_per_s / raw,
        );
        if callers == 64 {
            took.print();
        }
    }
    println!("goals with 64 callers: ratio 8, p99 5 ms, p99.9 20 ms");

    let live = ledger
        .read(maskline_server::ledger::Touch::None, |state, _| {
            state.bindings_len()
        })
        .await?;
    drop(ledger);
    running.close().await;
    let begun = Instant::now();
    let (ledger, running) = Ledger::open(ledger_options(&Settings::default(), &data)).await?;
    println!(
        "ready again with {live} bindings and {numbers} numbers after {:.2} s",
        begun.elapsed().as_secs_f64()
    );
    tell_recovery(&data).await?;
    drop(ledger);
    running.close().await;
    Ok(())
}

/// Where the time of a start goes: the snapshot, and the journal after it.
async fn tell_recovery(data: &Path) -> Outcome<()> {
    let readers = directory::readers(data, 1).await?;
    let begun = Instant::now();
    let mut loaded = (0, Duration::ZERO);
    let recovered = recover(&mut readers.acquire().await?, None, |progress| {
        if let Progress::SnapshotLoaded { rows, .. } = progress {
            loaded = (rows, begun.elapsed());
        }
    })
    .await?;
    let (rows, loading) = loaded;
    println!(
        "of which {rows} rows of a snapshot in {:.2} s and {} events after it in {:.2} s",
        loading.as_secs_f64(),
        recovered.events,
        (begun.elapsed() - loading).as_secs_f64()
    );
    Ok(())
}

fn setting(name: &str, default: usize) -> usize {
    std::env::var(name)
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(default)
}

/// One thread appending 4 KiB and syncing, for a second.
fn raw_syncs_per_s(folder: &Path) -> Outcome<f64> {
    let path = folder.join("raw");
    let mut file = File::create(&path)?;
    let block = [7_u8; BLOCK];
    let begun = Instant::now();
    let mut count = 0;
    while begun.elapsed() < Duration::from_secs(1) {
        file.write_all(&block)?;
        file.sync_data()?;
        count += 1;
    }
    let rate = f64::from(count) / begun.elapsed().as_secs_f64();
    fs::remove_file(path)?;
    Ok(rate)
}

/// Time of the processors by name of the thread, in ticks of the system
/// (proc_pid_stat(5)); empty where there is no such file.
#[derive(Default)]
struct Processors(BTreeMap<String, u64>);

/// What threads took that have ended since, such as those that read for a snapshot.
const ENDED: &str = "(ended)";

impl Processors {
    fn read() -> Self {
        let mut ticks = BTreeMap::new();
        let mut running = 0;
        for task in fs::read_dir("/proc/self/task")
            .into_iter()
            .flatten()
            .flatten()
        {
            if let Some((name, took)) = Self::of(&task.path()) {
                *ticks.entry(name).or_default() += took;
                running += took;
            }
        }
        if let Some((_, all)) = Self::of(Path::new("/proc/self")) {
            ticks.insert(ENDED.to_owned(), all.saturating_sub(running));
        }
        Self(ticks)
    }

    fn of(task: &Path) -> Option<(String, u64)> {
        let stat = fs::read_to_string(task.join("stat")).ok()?;
        let (name, fields) = stat.split_once('(')?.1.rsplit_once(')')?;
        let mut times = fields.split_whitespace().skip(11);
        let user: u64 = times.next()?.parse().ok()?;
        let system: u64 = times.next()?.parse().ok()?;
        Some((name.to_owned(), user + system))
    }

    fn since(self, before: &Self) -> Self {
        let took = self.0.into_iter().map(|(name, ticks)| {
            let earlier = before.0.get(&name).copied().unwrap_or_default();
            (name, ticks.saturating_sub(earlier))
        });
        Self(took.collect())
    }

    fn print(&self) {
        let all: u64 = self.0.values().sum::<u64>().max(1);
        let mut parts: Vec<(u64, &String)> = self.0.iter().map(|(name, n)| (*n, name)).collect();
        parts.sort_unstable_by(|one, other| other.cmp(one));
        let parts: Vec<String> = parts
            .into_iter()
            .map(|(ticks, name)| (ticks * 100 / all, name))
            .filter(|(share, _)| *share > 0)
            .map(|(share, name)| format!("{name} {share} %"))
            .collect();
        println!("of the time of the processors: {}", parts.join(", "));
    }
}

fn now() -> Timestamp {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    Timestamp(since.as_millis() as i64)
}

async fn operate(ledger: &Ledger, command: impl TypedCommand) -> Outcome<()> {
    let by = Actor::Operator {
        name: "bench".into(),
    };
    ledger
        .submit(Envelope {
            by,
            id: None,
            command,
        })
        .await?;
    Ok(())
}

async fn stock(ledger: &Ledger, numbers: usize) -> Outcome<()> {
    operate(ledger, SetAccount(account(ACCOUNT))).await?;
    operate(ledger, CreateKey(access_key(KEY, ACCOUNT))).await?;
    operate(ledger, SetPool(pool(POOL, Product::Axn))).await?;
    let all: Vec<usize> = (0..numbers).collect();
    for block in all.chunks(BLOCK) {
        let list = block
            .iter()
            .map(|n| idle_number(x(*n), POOL, &city(*n)))
            .collect();
        operate(ledger, AddNumbers(list)).await?;
    }
    Ok(())
}

fn x(n: usize) -> PhoneNumber {
    number(&format!("17{n:09}"))
}

fn city(n: usize) -> String {
    format!("city-{}", n % CITIES)
}

#[derive(Clone, Copy)]
enum Until {
    Time(Duration),
    Binds(usize),
}

#[derive(Clone, Copy)]
struct Load {
    callers: usize,
    until: Until,
    bind_only: bool,
}

impl Load {
    fn mixed(callers: usize, until: Until) -> Self {
        Self {
            callers,
            until,
            bind_only: false,
        }
    }
}

struct Done {
    commands_per_s: f64,
    binds_per_s: f64,
    latency: Histogram<u64>,
}

async fn run(ledger: &Ledger, load: Load) -> Outcome<Done> {
    let begun = Instant::now();
    let mut callers = Vec::new();
    for caller in 0..load.callers {
        let ledger = ledger.clone();
        callers.push(tokio::spawn(call(ledger, caller, load, begun)));
    }
    let mut latency = Histogram::new(3)?;
    let (mut commands, mut binds) = (0, 0);
    for caller in callers {
        let (of_one, commands_of_one, binds_of_one) = caller.await??;
        latency.add(of_one)?;
        commands += commands_of_one;
        binds += binds_of_one;
    }
    let seconds = begun.elapsed().as_secs_f64();
    Ok(Done {
        commands_per_s: commands as f64 / seconds,
        binds_per_s: binds as f64 / seconds,
        latency,
    })
}

/// One caller: waits for each durable answer before the next command. The
/// latency is that of binds.
async fn call(
    ledger: Ledger,
    caller: usize,
    load: Load,
    begun: Instant,
) -> Outcome<(Histogram<u64>, usize, usize)> {
    let key = AccessKeyId::new(KEY);
    let permission: Arc<str> = "dypls:BindAxn".into();
    let mut latency = Histogram::new(3)?;
    let mut mine: Vec<(SubsId, PhoneNumber)> = Vec::new();
    let (mut commands, mut binds) = (0, 0);
    let started = now().millis() as u64;
    loop {
        let over = match load.until {
            Until::Time(duration) => begun.elapsed() >= duration,
            Until::Binds(total) => binds >= total / load.callers,
        };
        if over {
            return Ok((latency, commands, binds));
        }
        let turn = commands % 10;
        let pool = pool_ref(POOL);
        let (command, is_bind) = match mine.last().copied() {
            Some((subs_id, x)) if !load.bind_only && turn >= 7 => {
                mine.pop();
                (Command::Unbind(Unbind { pool, subs_id, x }), false)
            }
            Some((subs_id, x)) if !load.bind_only && turn == 6 => {
                let updates = vec![Update::ExpiresAt(now().plus_secs(172_800))];
                (
                    Command::Update(UpdateBinding {
                        pool,
                        subs_id,
                        x,
                        updates,
                    }),
                    false,
                )
            }
            _ => (bind(caller, commands), true),
        };
        let nonce = (started << 20) ^ ((caller as u64) << 44) ^ commands as u64;
        let envelope = Envelope {
            by: Actor::Customer {
                key: key.clone(),
                permission: (*permission).into(),
            },
            id: Some((
                CommandId(nonce.wrapping_mul(0x9e37_79b9_7f4a_7c15)),
                now().plus_secs(900),
            )),
            command,
        };
        let sent = Instant::now();
        let answer = ledger.submit(envelope).await?;
        if let (true, maskline_domain::Outcome::Bound(binding)) = (is_bind, answer) {
            latency.record(sent.elapsed().as_micros() as u64)?;
            mine.push((binding.subs_id, binding.x));
            binds += 1;
        }
        commands += 1;
    }
}

fn bind(caller: usize, n: usize) -> Command {
    let a = number(&format!("15{:03}{:06}", caller, n % 1_000_000));
    Command::Bind(Box::new(BindRequest {
        city: (!n.is_multiple_of(4)).then(|| City::new(&city(caller + n))),
        expires_at: now().plus_secs(86_400),
        extras: Extras {
            out_id: Some(format!("order-{n:08}").into()),
            ..Extras::default()
        },
        ..bind_request(POOL, Product::Axn, a, None)
    }))
}
