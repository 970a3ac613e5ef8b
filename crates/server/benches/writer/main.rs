//! The writer over SQLite: binds a second and their latency with 1, 64 and 512
//! callers, beside the rate of bare append + fdatasync on the same disk in the
//! same minute, and what part of the processors each thread took with 64; with 64
//! callers Redis and PostgreSQL as well, turn by turn with ours; then the time
//! from opening the data to being ready.
//!
//! `cargo bench -p maskline-server --bench writer`. Sixty commands in a hundred
//! bind, thirty unbind, ten change an expiry; every command carries a nonce to
//! be remembered. `MASKLINE_BENCH_NUMBERS`, `MASKLINE_BENCH_BOUND` and
//! `MASKLINE_BENCH_SECONDS` change the size, `MASKLINE_BENCH_DIR` the disk. The data are
//! sealed, as the program's are, unless `MASKLINE_BENCH_UNSEALED` is set.

mod compared;
mod load;
mod processors;

use std::error::Error;
use std::fs::{self, File};
use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use compared::Comparison;
use load::{Caller, Done, Load, Until, call, names_city};
use maskline_domain::binding::Extras;
use maskline_domain::ops::{AddNumbers, CreateKey, SetAccount, SetPool, Unbind, UpdateBinding};
use maskline_domain::*;
use maskline_fixtures::domain::{
    ACCOUNT, KEY, POOL, access_key, account, bind_request, idle_number, number, pool, pool_ref,
};
use maskline_journal::Codec;
use maskline_sealing::{DataKeyId, Kind};
use maskline_server::config::Settings;
use maskline_server::ledger::{Ledger, Options};
use maskline_server::seal::{MasterKeys, Sealer};
use maskline_server::serve::{self, ledger_options};
use maskline_store::data_key;
use maskline_store::directory::{self, DataDir};
use maskline_store::recovery::{Progress, recover};
use processors::{Processors, of_this_process};

type Outcome<T> = Result<T, Box<dyn Error + Send + Sync>>;

/// As the program's: what is measured is how the program would run.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Spreads numbers over 128 bits.
const SPREAD: u128 = 0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835;
const CITIES: usize = 300;
const BLOCK: usize = 4096;
const ROUNDS: usize = 3;

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
    let (ledger, running) = Ledger::open(options(&data).await?).await?;
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

    let mut stores = compared::start(folder.path(), numbers, bound)?;
    let duration = Duration::from_secs(seconds);
    println!(
        "{:>8} {:>12} {:>10} {:>9} {:>9} {:>9} {:>12} {:>7}",
        "callers", "commands/s", "binds/s", "p50 ms", "p99 ms", "p99.9 ms", "raw syncs/s", "ratio"
    );
    for callers in [1, 64, 512] {
        let mut rounds = Vec::new();
        let mut took = Processors::default();
        let mut comparison = Comparison::default();
        for _ in 0..ROUNDS {
            if callers == 64 {
                compared::settle(&mut stores)?;
            }
            let raw_before = raw_syncs_per_s(folder.path())?;
            let (before, spent) = (Processors::read(), of_this_process());
            let done = run(&ledger, Load::mixed(callers, Until::Time(duration))).await?;
            took.add(Processors::read().since(&before));
            let spent = of_this_process().0 - spent.0;
            let raw = (raw_before + raw_syncs_per_s(folder.path())?) / 2.0;
            if callers == 64 && !stores.is_empty() {
                comparison.ours(&done, spent / duration.as_secs_f64());
                comparison.others(&mut stores, callers, duration)?;
            }
            rounds.push((done, raw));
        }
        rounds.sort_by(|(one, _), (other, _)| one.binds_per_s.total_cmp(&other.binds_per_s));
        let (done, raw) = &rounds[rounds.len() / 2];
        println!(
            "{callers:>8} {:>12.0} {:>10.0} {:>9.2} {:>9.2} {:>9.2} {raw:>12.0} {:>7.1}",
            done.commands_per_s,
            done.binds_per_s,
            done.ms(0.5),
            done.ms(0.99),
            done.ms(0.999),
            done.binds_per_s / raw,
        );
        if callers == 64 {
            took.print();
            comparison.print();
        }
    }
    drop(stores);
    println!(
        "goals with 64 callers: ratio 8, p99 5 ms, p99.9 20 ms; 2 times Redis, 8 times PostgreSQL"
    );

    let live = ledger
        .read(maskline_server::ledger::Touch::None, |state, _| {
            state.bindings_len()
        })
        .await?;
    drop(ledger);
    running.close().await;
    let bytes = fs::metadata(data.join(directory::FILE))?.len();
    println!("{} MiB on disk", bytes >> 20);
    let begun = Instant::now();
    let (ledger, running) = Ledger::open(options(&data).await?).await?;
    println!(
        "ready again with {live} bindings and {numbers} numbers after {:.2} s",
        begun.elapsed().as_secs_f64()
    );
    tell_recovery(&data, ledger.codec()).await?;
    drop(ledger);
    running.close().await;
    Ok(())
}

/// As the program would run it.
async fn options(data: &Path) -> Outcome<Options> {
    let options = ledger_options(&Settings::default(), data);
    if std::env::var_os("MASKLINE_BENCH_UNSEALED").is_some() {
        return Ok(options);
    }
    let sealer = Arc::new(Sealer::new(&MasterKeys::parse(&"07".repeat(32))?));
    let owned = DataDir::own(data)?;
    let mut conn = owned.writer().await?;
    let mut kept = data_key::list(&mut conn).await?;
    if kept.is_empty() {
        for (id, kind) in (1..).map(DataKeyId).zip(Kind::ALL) {
            let (_, made) = sealer
                .new_data_key(id, kind, 0)
                .map_err(|error| error.to_string())?;
            data_key::insert(&mut conn, &made).await?;
            kept.push(made);
        }
    }
    conn.close().await?;
    Ok(options.with_keys(Some(Arc::new(serve::keyring(&sealer, &kept)?))))
}

/// Where the time of a start goes: the snapshot, and the journal after it.
async fn tell_recovery(data: &Path, codec: &Codec) -> Outcome<()> {
    let readers = directory::readers(data, 1).await?;
    let begun = Instant::now();
    let mut loaded = (0, Duration::ZERO);
    let recovered = recover(&mut readers.acquire().await?, codec, None, |progress| {
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

fn now() -> Timestamp {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    Timestamp(since.as_millis() as i64)
}

async fn operate(ledger: &Ledger, command: impl TypedCommand) -> Outcome<()> {
    let by = Actor::Operator {
        name: "bench".into(),
        remark: None,
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

async fn run(ledger: &Ledger, load: Load) -> Outcome<Done> {
    let begun = Instant::now();
    let callers: Vec<_> = (0..load.callers)
        .map(|place| {
            let caller = OfLedger {
                ledger: ledger.clone(),
                place,
                key: AccessKeyId::new(KEY),
            };
            tokio::spawn(call(caller, place, load, begun))
        })
        .collect();
    let mut counts = Vec::new();
    for caller in callers {
        counts.push(caller.await??);
    }
    Done::of(begun, counts)
}

/// A caller of our writer.
struct OfLedger {
    ledger: Ledger,
    place: usize,
    key: AccessKeyId,
}

impl OfLedger {
    async fn submit(&self, nonce: u64, command: Command) -> Outcome<maskline_domain::Outcome> {
        let envelope = Envelope {
            by: Actor::Customer {
                key: self.key.clone(),
                permission: "dypls:BindAxn".into(),
            },
            id: Some(CommandKey {
                id: CommandId(u128::from(nonce).wrapping_mul(SPREAD)),
                attempt: AttemptId(nonce),
                until: now().plus_secs(900),
            }),
            command,
        };
        Ok(self.ledger.submit(envelope).await?)
    }
}

impl Caller for OfLedger {
    type Binding = (SubsId, PhoneNumber);

    async fn bind(&mut self, nonce: u64, n: usize) -> Outcome<Self::Binding> {
        let a = number(&format!("15{:03}{:06}", self.place, n % 1_000_000));
        let command = Command::Bind(Box::new(BindRequest {
            city: names_city(n).then(|| City::new(&city(self.place + n))),
            expires_at: now().plus_secs(86_400),
            extras: Extras {
                out_id: Some(format!("order-{n:08}").into()),
                ..Extras::default()
            },
            ..bind_request(POOL, Product::Axn, a, None)
        }));
        match self.submit(nonce, command).await? {
            maskline_domain::Outcome::Bound(binding) => Ok((binding.subs_id, binding.x)),
            other => Err(format!("a bind was answered {other:?}").into()),
        }
    }

    async fn update(&mut self, nonce: u64, binding: &Self::Binding) -> Outcome<()> {
        let (subs_id, x) = *binding;
        let command = Command::Update(UpdateBinding {
            carriers_down: Vec::new(),
            pool: pool_ref(POOL),
            subs_id,
            x,
            updates: vec![Update::ExpiresAt(now().plus_secs(172_800))],
        });
        self.submit(nonce, command).await.map(drop)
    }

    async fn unbind(&mut self, nonce: u64, (subs_id, x): Self::Binding) -> Outcome<()> {
        let pool = pool_ref(POOL);
        let command = Command::Unbind(Unbind { pool, subs_id, x });
        self.submit(nonce, command).await.map(drop)
    }
}
