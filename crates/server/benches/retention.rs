//! What the retention costs those who bind beside it: the time of a durable bind, each at a steady rate, alone and while
//! call records that are too old are deleted, in rounds that take turns.
//!
//! `cargo bench -p maskline-server --bench retention`. `MASKLINE_BENCH_CALLS` (records to delete),
//! `MASKLINE_BENCH_ROUNDS` and `MASKLINE_BENCH_SECONDS` (of each round) change the size. The load runs in the same
//! process, and each time is taken from when the bind was due.

use std::error::Error;
use std::path::Path;
use std::time::Duration;

use hdrhistogram::Histogram;
use maskline_domain::call_record::CallRecord;
use maskline_domain::ops::AddNumbers;
use maskline_domain::{Product, Timestamp};
use maskline_fixtures::domain::{POOL, bind_request, founding, idle_number, number, operator};
use maskline_server::clocks;
use maskline_server::config::Settings;
use maskline_server::ledger::Ledger;
use maskline_server::serve::ledger_options;
use maskline_store::db::sql;
use maskline_store::directory::DataDir;
use maskline_store::record_writes::{RecordWrite, write_records};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

/// A bind each so often.
const BIND_EVERY: Duration = Duration::from_millis(4);
/// Records written in one transaction while they are made.
const TOGETHER: usize = 64;

type Outcome<T> = Result<T, Box<dyn Error>>;

fn setting(name: &str, default: u64) -> u64 {
    let text = std::env::var(name).ok();
    text.and_then(|text| text.parse().ok()).unwrap_or(default)
}

#[tokio::main]
async fn main() -> Outcome<()> {
    let calls = setting("MASKLINE_BENCH_CALLS", 300_000);
    let rounds = setting("MASKLINE_BENCH_ROUNDS", 6);
    let lasts = Duration::from_secs(setting("MASKLINE_BENCH_SECONDS", 5));
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR"))?;
    plant(folder.path(), calls).await?;
    let options = ledger_options(&Settings::default(), folder.path());
    let (ledger, running) = Ledger::open(options).await?;
    let each = (lasts.as_millis() / BIND_EVERY.as_millis()) as u64;
    let mut binds = Binds { next: 0 };
    found(&ledger, each * (2 * rounds + 1)).await?;
    println!(
        "{calls} records that are too old; a bind every {BIND_EVERY:?}, {lasts:?} a round; times in ms"
    );
    println!(
        "{:>5}  {:>8} {:>8}  {:>8} {:>8}  {:>6} {:>9}",
        "round", "alone", "p99", "beside", "p99", "ratio", "deleted/s"
    );
    // Before the first round, caches are warmed.
    binds.run(&ledger, each).await?;
    let mut all = [histogram()?, histogram()?];
    for round in 1..=rounds {
        let alone = binds.run(&ledger, each).await?;
        let (before, begun) = (left(&ledger).await?, Instant::now());
        let deleting = tokio::spawn({
            let ledger = ledger.clone();
            async move { ledger.retain(clocks::read().wall).await }
        });
        let beside = binds.run(&ledger, each).await?;
        let was_long_enough = !deleting.is_finished();
        deleting.abort();
        let deleted = (before - left(&ledger).await?) as u128 * 1_000 / begun.elapsed().as_millis();
        let p99 = |times: &Histogram<u64>| times.value_at_quantile(0.99) as f64;
        println!(
            "{round:>5}  {:>8} {:>8}  {:>8} {:>8}  {:>6.2} {deleted:>9}{}",
            ms(&alone, 0.5),
            ms(&alone, 0.99),
            ms(&beside, 0.5),
            ms(&beside, 0.99),
            p99(&beside) / p99(&alone),
            if was_long_enough {
                ""
            } else {
                "  (nothing was left to delete)"
            },
        );
        all[0].add(&alone)?;
        all[1].add(&beside)?;
    }
    let ratio = all[1].value_at_quantile(0.99) as f64 / all[0].value_at_quantile(0.99) as f64;
    println!(
        "all: p99 {} alone, {} beside, ratio {ratio:.2}; goal: at most 1.2",
        ms(&all[0], 0.99),
        ms(&all[1], 0.99)
    );
    running.close().await;
    Ok(())
}

fn histogram() -> Outcome<Histogram<u64>> {
    Ok(Histogram::new_with_bounds(1, 60_000_000, 3)?)
}

fn ms(times: &Histogram<u64>, quantile: f64) -> String {
    format!("{:.2}", times.value_at_quantile(quantile) as f64 / 1_000.0)
}

/// How many call records there are.
async fn left(ledger: &Ledger) -> Outcome<i64> {
    let count = sql("SELECT COUNT(*) AS records FROM call_record");
    let row = ledger.readers().fetch_optional(count).await?;
    Ok(row
        .map(|row| row.get("records"))
        .transpose()?
        .unwrap_or_default())
}

/// Calls that ended a year ago.
async fn plant(dir: &Path, calls: u64) -> Outcome<()> {
    let owned = DataDir::own(dir)?;
    let mut conn = owned.writer().await?;
    let old = clocks::read().wall.plus_secs(-366 * 86_400);
    let all: Vec<u64> = (0..calls).collect();
    for some in all.chunks(TOGETHER) {
        let closed = |n: &u64| {
            let at = Timestamp(old.0 + *n as i64);
            RecordWrite::CloseCall(
                Box::new(CallRecord {
                    call_id: format!("{:016x}", n.wrapping_mul(0x9e37_79b9_7f4a_7c15)),
                    node: "n".into(),
                    boot: "b".into(),
                    account: Some("acme".into()),
                    pool: Some(POOL.into()),
                    x: Some(number(&format!("170{:08}", n % 10_000))),
                    caller: Some(number(&format!("139{n:08}"))),
                    callee: Some(number(&format!("138{n:08}"))),
                    situation: Some("answered".into()),
                    arrived_at: at,
                    released_at: Some(at),
                    ladder: Some("x".repeat(600)),
                    ..CallRecord::default()
                }),
                Vec::new(),
            )
        };
        let writes: Vec<RecordWrite> = some.iter().map(closed).collect();
        write_records(&mut conn, writes.iter()).await;
    }
    conn.close().await?;
    Ok(())
}

async fn found(ledger: &Ledger, numbers: u64) -> Outcome<()> {
    for command in founding(1) {
        ledger.submit(command).await?;
    }
    let all: Vec<u64> = (0..numbers).collect();
    for some in all.chunks(500) {
        let numbers = some
            .iter()
            .map(|n| idle_number(number(&format!("171{n:08}")), POOL, "杭州"));
        ledger
            .submit(operator(AddNumbers(numbers.collect())))
            .await?;
    }
    Ok(())
}

/// Binds, each of another A.
struct Binds {
    next: u64,
}

impl Binds {
    /// Gives so many, each when it is due, whether or not those before are answered.
    async fn run(&mut self, ledger: &Ledger, count: u64) -> Outcome<Histogram<u64>> {
        let (begun, mut under_way) = (Instant::now(), JoinSet::new());
        for n in 0..count {
            let due = begun + BIND_EVERY * n as u32;
            sleep_until(due).await;
            let a = number(&format!("137{:08}", self.next));
            self.next += 1;
            let mut request = bind_request(POOL, Product::Axn, a, None);
            request.expires_at = clocks::read().wall.plus_secs(86_400);
            let ledger = ledger.clone();
            under_way.spawn(async move {
                let done = ledger.submit(operator(Box::new(request))).await;
                done.map(|_| due.elapsed())
            });
        }
        let mut times = histogram()?;
        while let Some(done) = under_way.join_next().await {
            times.record((done??.as_micros() as u64).max(1))?;
        }
        Ok(times)
    }
}
