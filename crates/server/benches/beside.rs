//! What lists and queries cost those beside them: the time of a durable PATCH of the admin API and of a SIP OPTIONS, each
//! sent at a steady rate to the real program with 10^6 numbers and 10^6 bindings, alone and while one client asks
//! for one list or query without a pause.
//!
//! `cargo bench -p maskline-server --bench beside`. The release binary must have been built; `MASKLINE_BIN` names
//! another one. `MASKLINE_BENCH_NUMBERS` and `MASKLINE_BENCH_SECONDS` (of each row) change the size,
//! `MASKLINE_BENCH_ONLY` names what the rows must have in them. The load runs on the same machine, and each time is
//! taken from when the request was due.

use std::fs;
use std::io::Write;
use std::net::{TcpStream, UdpSocket};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use hdrhistogram::Histogram;
use maskline_domain::ops::AddNumbers;
use maskline_domain::{PhoneNumber, PoolKey, PoolRef, Product, Timestamp, TypedCommand};
use maskline_fixtures::domain::{bind_request, idle_number, number, operator};
use maskline_server::config::Settings;
use maskline_server::ledger::Ledger;
use maskline_server::serve::ledger_options;

use self::support::{Outcome, Program, read_answer, setting, signed, text};

mod support;

/// A PATCH each so often: seldom enough that one which took long does not make those after it late,
const PATCH_EVERY: Duration = Duration::from_millis(25);
/// and an OPTIONS.
const OPTIONS_EVERY: Duration = Duration::from_millis(5);
const CITIES: usize = 300;
/// Commands given together, and numbers in one.
const TOGETHER: usize = 512;

/// What is asked without a pause: of the admin API a path, of the customers' an action and its parameters.
enum Asked {
    Nothing,
    Path(&'static str),
    Action(&'static str, Vec<(&'static str, String)>),
}

impl Asked {
    fn name(&self) -> String {
        match self {
            Asked::Nothing => "alone".to_owned(),
            Asked::Path(path) => (*path).to_owned(),
            Asked::Action(action, parameters) => {
                let values = parameters
                    .iter()
                    .map(|(name, value)| format!("{name}={value}"));
                format!("{action} {}", values.collect::<Vec<_>>().join(" "))
            }
        }
    }
}

fn every_list(pool: &str, x: &str, subs_id: &str) -> Vec<Asked> {
    let paths = [
        "/v1/status",
        "/v1/audit",
        "/v1/accounts",
        "/v1/users",
        "/v1/keys",
        "/v1/pools",
        "/v1/trunks",
        "/v1/imports",
        "/v1/numbers",
        "/v1/numbers?limit=10000",
        "/v1/numbers?status=frozen",
        "/v1/numbers?status=bound&limit=10000",
        "/v1/numbers?city=none",
        "/v1/numbers/17100000002",
        "/v1/bindings",
        "/v1/bindings?limit=10000",
        "/v1/bindings?x=17100000002",
        "/v1/bindings?party=13900000002",
        "/v1/bindings?state=over",
        "/v1/bindings?state=live&limit=10000",
        "/v1/calls",
        "/v1/explain?caller=13800000000&x=17100000002",
    ];
    let of = |name: &'static str, pairs: &[(&'static str, &str)]| {
        let owned = pairs.iter().map(|&(name, value)| (name, value.to_owned()));
        Asked::Action(name, owned.collect())
    };
    let actions = [
        of(
            "QuerySubscriptionDetail",
            &[("PoolKey", pool), ("PhoneNoX", x), ("SubsId", subs_id)],
        ),
        of("QuerySubsId", &[("PoolKey", pool), ("PhoneNoX", x)]),
        of("QuerySecretNoDetail", &[("PoolKey", pool), ("SecretNo", x)]),
        of(
            "QuerySecretNoRemain",
            &[("City", "National"), ("SpecId", "1")],
        ),
        of(
            "QuerySecretNoRemain",
            &[("City", "National"), ("SpecId", "1"), ("SecretNo", "1710")],
        ),
    ];
    paths.into_iter().map(Asked::Path).chain(actions).collect()
}

/// The program with its data, and what a client of it must know.
struct Server {
    program: Program,
    token: String,
    key: (String, String),
    pool: String,
}

impl Server {
    fn start(config: &Path, data: &Path) -> Outcome<Self> {
        let program = Program::start(config, data)?;
        let demo: serde_json::Value = serde_json::from_slice(&fs::read(data.join("demo.json"))?)?;
        Ok(Self {
            token: fs::read_to_string(data.join("admin.token"))?
                .trim()
                .to_owned(),
            key: (
                text(&demo["access_key_id"]),
                text(&demo["access_key_secret"]),
            ),
            pool: text(&demo["pool_key"]),
            program,
        })
    }

    fn admin(&self, method: &str, path: &str, body: &str) -> String {
        format!(
            "{method} {path} HTTP/1.1\r\nHost: {}\r\nAuthorization: Bearer {}\r\nMaskline-Operator: bench\r\n\
             Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            self.program.address("admin"),
            self.token,
            body.len(),
        )
    }
}

fn main() -> Outcome<()> {
    let numbers = setting("MASKLINE_BENCH_NUMBERS", 1_000_000);
    let lasts = Duration::from_secs(setting("MASKLINE_BENCH_SECONDS", 5) as u64);
    let only = std::env::var("MASKLINE_BENCH_ONLY").unwrap_or_default();
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR"))?;
    let data = folder.path().join("data");
    let config = folder.path().join("maskline.toml");
    fs::write(
        &config,
        "[limits]\naccount_per_s = 1000000\naction_per_s = 1000000\n",
    )?;
    let pool = Server::start(&config, &data)?.pool.clone();
    let subs_id = fill(&data, &pool, numbers)?;
    let server = Server::start(&config, &data)?;
    println!(
        "{numbers} numbers and as many bindings; a PATCH every {PATCH_EVERY:?}, an OPTIONS every {OPTIONS_EVERY:?}, \
         {lasts:?} a row; times in ms, and the ratio of p99 to that alone"
    );
    println!(
        "{:<64} {:>7}  {:>6} {:>6} {:>6} {:>5}  {:>6} {:>6} {:>6} {:>5}",
        "beside", "lists/s", "PATCH", "p99", "p99.9", "ratio", "OPTION", "p99", "p99.9", "ratio"
    );
    let lists = every_list(&pool, "17100000002", &subs_id);
    let lists = lists.into_iter().filter(|list| list.name().contains(&only));
    // Before the first row, caches are warmed.
    run(&server, &Asked::Nothing, lasts)?;
    let alone = run(&server, &Asked::Nothing, lasts)?;
    alone.print("alone", &alone);
    let (mut rows, mut slow) = (0, 0);
    for list in lists {
        let row = run(&server, &list, lasts)?;
        row.print(&list.name(), &alone);
        rows += 1;
        slow += usize::from(row.is_slow());
    }
    run(&server, &Asked::Nothing, lasts)?.print("alone, at the end", &alone);
    println!("goal: p99 of both below 10 ms beside each; {slow} of {rows} rows miss it");
    Ok(())
}

/// Adds numbers and binds each, in the data of a program that has ended. The id of a binding on the third number.
fn fill(data: &Path, pool: &str, count: usize) -> Outcome<String> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let (ledger, running) = Ledger::open(ledger_options(&Settings::default(), data)).await?;
        let all: Vec<usize> = (0..count).collect();
        for piece in all.chunks(TOGETHER * TOGETHER) {
            let add = piece.chunks(TOGETHER).map(|piece| {
                let number = |n: &usize| idle_number(x(*n), pool, &format!("city-{}", n % CITIES));
                AddNumbers(piece.iter().map(number).collect())
            });
            give(&ledger, add).await?;
        }
        let key = PoolKey::new(pool);
        let mut subs_id = None;
        for piece in all.chunks(TOGETHER) {
            let bind = piece.iter().map(|n| {
                let a = number(&format!("139{n:08}"));
                let mut request = bind_request(pool, Product::Axn, a, None);
                request.pool = PoolRef::Key(key.clone());
                request.x = Some(x(*n));
                request.expires_at = Timestamp::from_secs(4_000_000_000);
                Box::new(request)
            });
            let bound = give(&ledger, bind).await?;
            subs_id = subs_id.or_else(|| bound.get(2).map(|binding| binding.subs_id));
        }
        drop(ledger);
        running.close().await;
        Ok(subs_id.map_or_else(String::new, |id| id.to_string()))
    })
}

async fn give<C: TypedCommand>(
    ledger: &Ledger,
    commands: impl Iterator<Item = C>,
) -> Outcome<Vec<C::Outcome>> {
    let given = commands.map(|command| ledger.submit(operator(command)));
    let done = join_all(given).await;
    done.into_iter().map(|done| Ok(done?)).collect()
}

fn x(n: usize) -> PhoneNumber {
    number(&format!("171{n:08}"))
}

/// How long both took beside one list.
struct Beside {
    patch: Histogram<u64>,
    options: Histogram<u64>,
    lists_per_s: f64,
}

impl Beside {
    fn is_slow(&self) -> bool {
        [&self.patch, &self.options]
            .iter()
            .any(|times| times.value_at_quantile(0.99) >= 10_000)
    }

    fn print(&self, name: &str, alone: &Self) {
        let times = |times: &Histogram<u64>, alone: &Histogram<u64>| {
            let at = |times: &Histogram<u64>, quantile| {
                times.value_at_quantile(quantile) as f64 / 1000.0
            };
            let ratio = at(times, 0.99) / at(alone, 0.99).max(0.001);
            let [p50, p99, p999] = [0.5, 0.99, 0.999].map(|quantile| at(times, quantile));
            format!("{p50:>6.2} {p99:>6.2} {p999:>6.2} {ratio:>5.1}")
        };
        println!(
            "{name:<64} {:>7.0}  {}  {}",
            self.lists_per_s,
            times(&self.patch, &alone.patch),
            times(&self.options, &alone.options)
        );
    }
}

fn run(server: &Server, asked: &Asked, lasts: Duration) -> Outcome<Beside> {
    let is_over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let asking = scope.spawn(|| ask(server, asked, &is_over));
        let patching = scope.spawn(|| patch(server, lasts));
        let options = options(server, lasts);
        let patch = patching
            .join()
            .unwrap_or_else(|_| Err("the PATCH panicked".into()));
        is_over.store(true, Ordering::Relaxed);
        let lists = asking
            .join()
            .unwrap_or_else(|_| Err("the list panicked".into()))?;
        Ok(Beside {
            patch: patch?,
            options: options?,
            lists_per_s: lists as f64 / lasts.as_secs_f64(),
        })
    })
}

/// Asks without a pause; how often.
fn ask(server: &Server, asked: &Asked, is_over: &AtomicBool) -> Outcome<usize> {
    let address = match asked {
        Asked::Nothing => return Ok(0),
        Asked::Path(_) => server.program.address("admin"),
        Asked::Action(..) => server.program.address("api"),
    };
    let mut stream = connect(&address)?;
    let mut buffer = vec![0; 1 << 20];
    let mut count = 0;
    while !is_over.load(Ordering::Relaxed) {
        let request = match asked {
            Asked::Nothing => return Ok(0),
            Asked::Path(path) => server.admin("GET", path, ""),
            Asked::Action(action, parameters) => {
                let pairs: Vec<_> = parameters.iter().map(|(name, v)| (*name, &**v)).collect();
                let key = (&*server.key.0, &*server.key.1);
                let nonce = uuid::Uuid::new_v4().to_string();
                signed(&address, key, action, &pairs, &nonce)?
            }
        };
        stream.write_all(request.as_bytes())?;
        let answer = read_answer(&mut stream, &mut buffer)?;
        let is_wrong = match asked {
            Asked::Action(..) => !answer.contains("\"Code\":\"OK\""),
            _ => answer.contains("\"error\":"),
        };
        if is_wrong {
            return Err(format!("{}: {answer}", asked.name()).into());
        }
        count += 1;
    }
    Ok(count)
}

/// Locks numbers, and unlocks them.
fn patch(server: &Server, lasts: Duration) -> Outcome<Histogram<u64>> {
    let mut stream = connect(&server.program.address("admin"))?;
    let mut buffer = vec![0; 1 << 16];
    let mut locks = false;
    steadily(PATCH_EVERY, lasts, |n| {
        locks ^= n % 64 == 0;
        let path = format!("/v1/numbers/{}", x(n % 64).reveal());
        let request = server.admin("PATCH", &path, &format!("{{\"locked\":{locks}}}"));
        stream.write_all(request.as_bytes())?;
        let answer = read_answer(&mut stream, &mut buffer)?;
        match answer.trim() == "{}" {
            true => Ok(()),
            false => Err(format!("PATCH: {answer}").into()),
        }
    })
}

/// Asks by OPTIONS as a phone of the demo's trunk.
fn options(server: &Server, lasts: Duration) -> Outcome<Histogram<u64>> {
    let socket = UdpSocket::bind("127.0.0.1:0")?;
    socket.connect(server.program.address("sip"))?;
    socket.set_read_timeout(Some(Duration::from_secs(20)))?;
    let here = socket.local_addr()?;
    let mut buffer = [0; 4096];
    steadily(OPTIONS_EVERY, lasts, |_| {
        let id = uuid::Uuid::new_v4().simple().to_string();
        let request = format!(
            "OPTIONS sip:{0} SIP/2.0\r\nVia: SIP/2.0/UDP {here};branch=z9hG4bK{id};rport\r\nMax-Forwards: 70\r\n\
             From: <sip:bench@{here}>;tag={id}\r\nTo: <sip:{0}>\r\nCall-ID: {id}\r\nCSeq: 1 OPTIONS\r\n\
             Content-Length: 0\r\n\r\n",
            server.program.address("sip"),
        );
        socket.send(request.as_bytes())?;
        loop {
            let count = socket.recv(&mut buffer)?;
            let answer = String::from_utf8_lossy(&buffer[..count]).into_owned();
            match answer.starts_with("SIP/2.0 ") && answer.contains(&id) {
                true if answer.starts_with("SIP/2.0 200") => return Ok(()),
                true => return Err(format!("OPTIONS: {answer}").into()),
                false => {}
            }
        }
    })
}

/// Does something again and again, and how long each took from when it was due, in microseconds.
fn steadily(
    every: Duration,
    lasts: Duration,
    mut work: impl FnMut(usize) -> Outcome<()>,
) -> Outcome<Histogram<u64>> {
    let mut times = Histogram::new(3)?;
    let begun = Instant::now();
    let count = lasts.as_micros() / every.as_micros();
    for n in 0..count as usize {
        let due = begun + every * n as u32;
        std::thread::sleep(due.saturating_duration_since(Instant::now()));
        work(n)?;
        times.record(due.elapsed().as_micros() as u64)?;
    }
    Ok(times)
}

fn connect(address: &str) -> Outcome<TcpStream> {
    let stream = TcpStream::connect(address)?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(Duration::from_secs(20)))?;
    Ok(stream)
}
