//! What a carrier that is dead or slow costs those who bind elsewhere: the time of a BindAxn in a pool without a
//! carrier, and in one of a carrier that is well, alone and while many customers bind in the pools of three
//! others. One refuses connections, one takes them and never answers, one answers after 4 seconds.
//!
//! `cargo bench -p maskline-server --bench carriers`. The release binary must have been built; `MASKLINE_BIN` names
//! another one. `MASKLINE_BENCH_ROUNDS`, `MASKLINE_BENCH_SECONDS` (of each measurement) and `MASKLINE_BENCH_WARM_SECONDS`
//! (how long the load beside is there before something is measured) change how long it takes,
//! `MASKLINE_BENCH_CUSTOMERS` how many bind in the pools of the three, `MASKLINE_BENCH_BREAKER_FAILURES` after how
//! many failures those are left alone: the most, 1,000, keeps customers waiting for most of the time.
//!
//! A customer waits for its answer, rests for 50 ms and asks again. Their requests take processor time whatever
//! they meet, so as many a second are also sent to a pool whose numbers are all bound. The load and the carriers run
//! on the same machine. Rounds alternate, and so does which pool is measured first; the medians of their ratios count.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::Stdio;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;

use self::support::{Outcome, Program, bare, binary, read_answer, setting, signed, text};

mod support;

/// Binds a second of the steady load, each followed by its unbind.
const BINDS_PER_S: u32 = 300;
/// Connections of either load.
const CONNECTIONS: usize = 16;
/// How long a customer rests that was refused.
const REST: Duration = Duration::from_millis(50);
/// How long the slow carrier takes.
const SLOW: Duration = Duration::from_secs(4);
/// How long all rests after a measurement.
const RESTS: Duration = Duration::from_secs(1);
/// Numbers of each pool.
const NUMBERS: usize = 200_000;
/// A port where nobody listens.
const NOBODY: &str = "127.0.0.1:1";
const SECRET: &str = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";

const PLAIN: &str = "FC900001";
const WELL: &str = "FC900002";
const USED_UP: &str = "FC900003";
const IN_TROUBLE: [&str; 3] = ["FC900004", "FC900005", "FC900006"];

/// What happens beside what is measured.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Beside {
    Nothing,
    /// Customers of carriers that are dead or slow.
    Carriers,
    /// So many requests a second that are refused at once.
    Refused(f64),
}

/// Times of binds in milliseconds.
#[derive(Clone, Copy, Debug)]
struct Times {
    p50: f64,
    p99: f64,
}

/// What one measurement gave, by what was measured.
type Row = BTreeMap<(&'static str, &'static str), Times>;

struct Customers {
    requests_per_s: f64,
    codes: BTreeMap<String, usize>,
}

fn main() -> Outcome<()> {
    let rounds = setting("MASKLINE_BENCH_ROUNDS", 8);
    let lasts = Duration::from_secs(setting("MASKLINE_BENCH_SECONDS", 3) as u64);
    let customers = setting("MASKLINE_BENCH_CUSTOMERS", 64);
    let warm = Duration::from_secs(setting("MASKLINE_BENCH_WARM_SECONDS", 5) as u64);
    let failures = setting("MASKLINE_BENCH_BREAKER_FAILURES", 5);
    let server = Server::start(failures)?;
    println!(
        "{BINDS_PER_S} binds and unbinds a second, then {CONNECTIONS} connections without a pause, {lasts:?} each, after \
         {warm:?}; {customers} customers beside; carriers are left alone after {failures} failures; ms"
    );
    // Caches and the pools in trouble are warmed.
    let mut schedule = Schedule {
        warm,
        lasts,
        pools: [("none", PLAIN), ("well", WELL)],
    };
    measure(&server, Beside::Nothing, &schedule, customers)?;
    let (_, mut told) = measure(&server, Beside::Carriers, &schedule, customers)?;
    let (mut nothing, mut carriers, mut refused) = (Vec::new(), Vec::new(), Vec::new());
    for round in 1..=rounds {
        let rate = Beside::Refused(told.requests_per_s);
        let mut order = [Beside::Nothing, Beside::Carriers, rate];
        if round % 2 == 0 {
            order.reverse();
        }
        // Each order of the pools with each of what is beside.
        if round % 2 == 1 {
            schedule.pools.reverse();
        }
        for beside in order {
            let (row, asked) = measure(&server, beside, &schedule, customers)?;
            println!(
                "{round} {:<9} {} | {:.0} requests/s: {:?}",
                beside.name(),
                show(&row),
                asked.requests_per_s,
                asked.codes
            );
            match beside {
                Beside::Nothing => nothing.push(row),
                Beside::Carriers => {
                    carriers.push(row);
                    told = asked;
                }
                Beside::Refused(_) => refused.push(row),
            }
        }
    }
    println!("\nmedians of {rounds} rounds; ratios are those of rounds, of p99");
    println!(
        "{:<16} {:>14} {:>14} {:>14}   carriers/alone [least-most]   refused/alone   carriers/refused",
        "p50, p99", "alone", "carriers", "refused"
    );
    for key in nothing[0].keys() {
        let both = |rows: &[Row]| {
            let p50 = median(rows.iter().map(|row| row[key].p50));
            let p99 = median(rows.iter().map(|row| row[key].p99));
            format!("{p50:.2} {p99:.2}")
        };
        let ratios = |over: &[Row], under: &[Row]| -> Vec<f64> {
            let pairs = over.iter().zip(under);
            pairs
                .map(|(over, under)| over[key].p99 / under[key].p99)
                .collect()
        };
        let of_carriers = ratios(&carriers, &nothing);
        println!(
            "{:<16} {:>14} {:>14} {:>14}   {:.2} [{:.2}-{:.2}]   {:.2}   {:.2}",
            format!("{} {}", key.0, key.1),
            both(&nothing),
            both(&carriers),
            both(&refused),
            median(of_carriers.iter().copied()),
            of_carriers.iter().copied().fold(f64::INFINITY, f64::min),
            of_carriers.iter().copied().fold(0.0, f64::max),
            median(ratios(&refused, &nothing).into_iter()),
            median(ratios(&carriers, &refused).into_iter()),
        );
    }
    println!("goal: p99 beside carriers at most 1.2 times that alone");
    Ok(())
}

impl Beside {
    fn name(self) -> &'static str {
        match self {
            Self::Nothing => "alone",
            Self::Carriers => "carriers",
            Self::Refused(_) => "refused",
        }
    }
}

fn show(row: &Row) -> String {
    let shown = row
        .iter()
        .map(|((pool, load), times)| format!("{pool} {load} {:.2} {:.2}", times.p50, times.p99));
    shown.collect::<Vec<_>>().join("; ")
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.len() % 2 {
        0 => (values[middle - 1] + values[middle]) / 2.0,
        _ => values[middle],
    }
}

/// What is measured one after the other, and for how long.
struct Schedule {
    /// How long what is beside goes on before.
    warm: Duration,
    /// How long each measurement takes.
    lasts: Duration,
    /// The pools, each with a word for it.
    pools: [(&'static str, &'static str); 2],
}

/// Both loads on both pools, one after the other, beside something.
fn measure(
    server: &Server,
    beside: Beside,
    schedule: &Schedule,
    customers: usize,
) -> Outcome<(Row, Customers)> {
    let is_over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let begun = Instant::now();
        let count = match beside {
            Beside::Nothing => 0,
            Beside::Carriers | Beside::Refused(_) => customers,
        };
        let asking: Vec<_> = (0..count)
            .map(|n| {
                let is_over = &is_over;
                scope.spawn(move || customer(server, beside, (n, count), is_over))
            })
            .collect();
        std::thread::sleep(schedule.warm);
        let mut row = Row::new();
        let mut measured = Ok(());
        for (name, pool) in schedule.pools {
            for (load, rate) in [("steady", Some(BINDS_PER_S)), ("closed", None)] {
                match run(server, pool, rate, schedule.lasts) {
                    Ok(times) => {
                        row.insert((name, load), times);
                    }
                    Err(error) => measured = Err(error),
                }
            }
        }
        is_over.store(true, Ordering::Relaxed);
        let took = begun.elapsed();
        let mut codes = BTreeMap::new();
        for customer in asking {
            for (code, count) in joined(customer.join())? {
                *codes.entry(code).or_default() += count;
            }
        }
        measured?;
        std::thread::sleep(RESTS);
        let requests: usize = codes.values().sum();
        let requests_per_s = requests as f64 / took.as_secs_f64();
        Ok((
            row,
            Customers {
                requests_per_s,
                codes,
            },
        ))
    })
}

fn joined<T>(result: std::thread::Result<Outcome<T>>) -> Outcome<T> {
    result.unwrap_or_else(|_| Err("a thread panicked".into()))
}

/// One of so many customers, who asks and is refused; how often, by code.
fn customer(
    server: &Server,
    beside: Beside,
    (n, count): (usize, usize),
    is_over: &AtomicBool,
) -> Outcome<BTreeMap<String, usize>> {
    let mut client = Client::new(server)?;
    let mut codes = BTreeMap::new();
    let mut due = Instant::now();
    let pool = match beside {
        Beside::Refused(_) => USED_UP,
        _ => IN_TROUBLE[n % IN_TROUBLE.len()],
    };
    while !is_over.load(Ordering::Relaxed) {
        let answer = client.bind(pool)?;
        *codes.entry(text(&answer["Code"])).or_default() += 1;
        match beside {
            Beside::Refused(per_s) => {
                due += Duration::from_secs_f64(count as f64 / per_s.max(1.0));
                std::thread::sleep(due.saturating_duration_since(Instant::now()));
            }
            _ => std::thread::sleep(REST),
        }
    }
    match codes.get("OK") {
        None => Ok(codes),
        Some(_) => Err(format!("bound in a pool where nobody can: {codes:?}").into()),
    }
}

/// Binds and unbinds in one pool for a while, at a rate or without a pause; how long the binds took, from when they
/// were due.
fn run(server: &Server, pool: &str, rate: Option<u32>, lasts: Duration) -> Outcome<Times> {
    let (begun, next) = (Instant::now(), AtomicUsize::new(0));
    let mut all = Histogram::<u64>::new(3)?;
    let results: Vec<Outcome<Histogram<u64>>> = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..CONNECTIONS)
            .map(|_| scope.spawn(|| work(server, pool, rate, (begun, lasts), &next)))
            .collect();
        workers
            .into_iter()
            .map(|worker| joined(worker.join()))
            .collect()
    });
    for result in results {
        all.add(result?)?;
    }
    let at = |quantile| all.value_at_quantile(quantile) as f64 / 1_000.0;
    Ok(Times {
        p50: at(0.5),
        p99: at(0.99),
    })
}

fn work(
    server: &Server,
    pool: &str,
    rate: Option<u32>,
    (begun, lasts): (Instant, Duration),
    next: &AtomicUsize,
) -> Outcome<Histogram<u64>> {
    let mut times = Histogram::new(3)?;
    let mut client = Client::new(server)?;
    loop {
        let due = match rate {
            Some(rate) => {
                let n = next.fetch_add(1, Ordering::Relaxed);
                begun + Duration::from_secs_f64(n as f64 / f64::from(rate))
            }
            None => Instant::now(),
        };
        if due.duration_since(begun) >= lasts {
            return Ok(times);
        }
        std::thread::sleep(due.saturating_duration_since(Instant::now()));
        let answer = client.bind(pool)?;
        times.record(due.elapsed().as_micros() as u64)?;
        let bound = &answer["SecretBindDTO"];
        let (x, subs_id) = (text(&bound["SecretNo"]), text(&bound["SubsId"]));
        let named = [("PoolKey", pool), ("SecretNo", &*x), ("SubsId", &*subs_id)];
        let ended = client.call("UnbindSubscription", &named)?;
        if ended["Code"] != "OK" {
            return Err(format!("{answer}, then {ended}").into());
        }
    }
}

/// A customer's connection.
struct Client<'a> {
    server: &'a Server,
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl<'a> Client<'a> {
    fn new(server: &'a Server) -> Outcome<Self> {
        let stream = TcpStream::connect(&server.api)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(Duration::from_secs(60)))?;
        Ok(Self {
            server,
            stream,
            buffer: vec![0; 16 * 1024],
        })
    }

    fn bind(&mut self, pool: &str) -> Outcome<serde_json::Value> {
        let n = self.server.drawn.fetch_add(1, Ordering::Relaxed);
        let a = format!("150{:08}", n % 100_000_000);
        let parameters = [
            ("Expiration", "2035-09-05%2012%3A00%3A00"),
            ("PhoneNoA", &*a),
            ("PoolKey", pool),
        ];
        self.call("BindAxn", &parameters)
    }

    fn call(&mut self, action: &str, parameters: &[(&str, &str)]) -> Outcome<serde_json::Value> {
        let server = self.server;
        let n = server.drawn.fetch_add(1, Ordering::Relaxed);
        let key = (&*server.key.0, &*server.key.1);
        let request = signed(&server.api, key, action, parameters, &format!("bench-{n}"))?;
        self.stream.write_all(request.as_bytes())?;
        let answer = read_answer(&mut self.stream, &mut self.buffer)?;
        Ok(serde_json::from_str(&answer)?)
    }
}

/// The program with its pools and carriers, and what a client of it must know.
struct Server {
    api: String,
    key: (String, String),
    /// What nonces and numbers of A are drawn from.
    drawn: AtomicUsize,
    _program: Program,
    _folder: tempfile::TempDir,
}

impl Server {
    fn start(breaker_failures: usize) -> Outcome<Self> {
        if TcpStream::connect(NOBODY).is_ok() {
            return Err(format!("somebody listens on {NOBODY}").into());
        }
        let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR"))?;
        let data = folder.path().join("data");
        let config = folder.path().join("maskline.toml");
        fs::write(
            &config,
            "[limits]\naccount_per_s = 1000000\naction_per_s = 1000000\n",
        )?;
        let program = Program::start(&config, &data)?;
        let demo: serde_json::Value = serde_json::from_slice(&fs::read(data.join("demo.json"))?)?;
        let document = folder.path().join("pools.toml");
        fs::write(&document, pools(breaker_failures)?)?;
        let applied = bare(binary())
            .arg("apply")
            .arg(&document)
            .arg("--data")
            .arg(&data)
            .stdout(Stdio::null())
            .status()?;
        if !applied.success() {
            return Err("apply failed".into());
        }
        let server = Self {
            api: program.address("api"),
            key: (
                text(&demo["access_key_id"]),
                text(&demo["access_key_secret"]),
            ),
            drawn: AtomicUsize::new(0),
            _program: program,
            _folder: folder,
        };
        let answer = Client::new(&server)?.bind(USED_UP)?;
        match answer["Code"] == "OK" {
            true => Ok(server),
            false => Err(format!("{answer}").into()),
        }
    }
}

/// The document of all pools, whose carriers are started.
fn pools(breaker_failures: usize) -> Outcome<String> {
    let carriers = [
        ("well", carrier(Some(Duration::ZERO))?),
        ("refusing", NOBODY.to_owned()),
        ("silent", carrier(None)?),
        ("slow", carrier(Some(SLOW))?),
    ];
    let mut document = String::new();
    for (name, address) in &carriers {
        document += &format!(
            "[[carrier]]\nname = \"{name}\"\nkind = \"http\"\nurl = \"http://{address}/\"\nsecret = \"{SECRET}\"\n\
             breaker_failures = {breaker_failures}\n\n"
        );
    }
    let of_trouble = IN_TROUBLE.into_iter().zip(["refusing", "silent", "slow"]);
    let all = [(PLAIN, ""), (WELL, "well"), (USED_UP, "")]
        .into_iter()
        .chain(of_trouble);
    for (n, (key, carrier)) in all.enumerate() {
        let count = if key == USED_UP { 1 } else { NUMBERS };
        document += &format!(
            "[[pool]]\nkey = \"{key}\"\naccount = \"demo\"\nproduct = \"axn\"\ncarrier = \"{carrier}\"\n\n\
             [[numbers]]\npool = \"{key}\"\ncity = \"北京\"\nfirst = \"1712{n}000000\"\ncount = {count}\n\n"
        );
    }
    Ok(document)
}

/// A carrier that agrees to everything after a while, or never answers; its address.
fn carrier(answers_after: Option<Duration>) -> Outcome<String> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?.to_string();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            std::thread::spawn(move || answer_all(stream, answers_after));
        }
    });
    Ok(address)
}

/// Answers the requests of one connection until it ends.
fn answer_all(stream: TcpStream, answers_after: Option<Duration>) -> Outcome<()> {
    stream.set_nodelay(true)?;
    let mut writer = stream.try_clone()?;
    let mut reader = BufReader::new(stream);
    let mut body = Vec::new();
    loop {
        let (mut id, mut length) = (String::new(), 0);
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line)? == 0 {
                return Ok(());
            }
            if line.trim().is_empty() {
                break;
            }
            if let Some((name, value)) = line.split_once(':') {
                match name.to_ascii_lowercase().as_str() {
                    "webhook-id" => id = value.trim().to_owned(),
                    "content-length" => length = value.trim().parse()?,
                    _ => {}
                }
            }
        }
        body.resize(length, 0);
        reader.read_exact(&mut body)?;
        let Some(after) = answers_after else {
            continue;
        };
        std::thread::sleep(after);
        let answer = r#"{"result":"ok"}"#;
        write!(
            writer,
            "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nwebhook-id: {id}\r\nContent-Length: {}\r\n\r\n{answer}",
            answer.len()
        )?;
    }
}
