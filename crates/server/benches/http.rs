//! Signed BindAxn requests over HTTP against the real program, with the load
//! generator on the same machine: binds a second, latency, and the server's CPU
//! time per request.
//!
//! `cargo bench -p maskline-server --bench http`. The release binary must have
//! been built; `MASKLINE_BIN` names another one. `MASKLINE_BENCH_REQUESTS` and
//! `MASKLINE_BENCH_CONNECTIONS` change the load.

use std::fs;
use std::io::Write;
use std::net::TcpStream;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;

use self::support::{Outcome, Program, bare, binary, read_answer, setting, signed, text};

mod support;

fn main() -> Outcome<()> {
    let requests = setting("MASKLINE_BENCH_REQUESTS", 100_000);
    let connections = setting("MASKLINE_BENCH_CONNECTIONS", 64);
    let server = Server::start(requests * 3)?;
    println!("{requests} signed BindAxn over {connections} connections, three rounds");
    for round in 1..=3 {
        let cpu_before = server.cpu()?;
        let begun = Instant::now();
        let latency = load(&server, round, requests, connections)?;
        let took = begun.elapsed();
        let cpu = server.cpu()? - cpu_before;
        println!(
            "round {round}: {:.0} binds/s; p50 {:.2} ms, p99 {:.2} ms, p99.9 {:.2} ms; server CPU {:.1} us a request",
            requests as f64 / took.as_secs_f64(),
            latency.value_at_quantile(0.5) as f64 / 1000.0,
            latency.value_at_quantile(0.99) as f64 / 1000.0,
            latency.value_at_quantile(0.999) as f64 / 1000.0,
            cpu.as_secs_f64() * 1e6 / requests as f64,
        );
    }
    println!("goals: 10,000 binds/s, 60 us of server CPU a request");
    Ok(())
}

/// The program under load, with a data directory of its own.
struct Server {
    program: Program,
    api: String,
    key_id: String,
    key_secret: String,
    pool: String,
    _folder: tempfile::TempDir,
}

impl Server {
    fn start(numbers: usize) -> Outcome<Self> {
        let folder = tempfile::tempdir()?;
        let data = folder.path().join("data");
        let config = folder.path().join("maskline.toml");
        fs::write(
            &config,
            "[limits]\naccount_per_s = 1000000\naction_per_s = 1000000\n",
        )?;
        let program = Program::start(&config, &data)?;
        let demo: serde_json::Value = serde_json::from_slice(&fs::read(data.join("demo.json"))?)?;
        let server = Self {
            api: program.address("api"),
            key_id: text(&demo["access_key_id"]),
            key_secret: text(&demo["access_key_secret"]),
            pool: text(&demo["pool_key"]),
            program,
            _folder: folder,
        };
        let document = server._folder.path().join("numbers.toml");
        fs::write(
            &document,
            format!(
                "[[numbers]]\npool = \"{}\"\ncity = \"北京\"\nfirst = \"17100000000\"\ncount = {numbers}\n",
                server.pool
            ),
        )?;
        let applied = bare(binary())
            .arg("apply")
            .arg(&document)
            .arg("--data")
            .arg(&data)
            .stdout(Stdio::null())
            .status()?;
        if applied.success() {
            Ok(server)
        } else {
            Err("apply failed".into())
        }
    }

    /// User and system time used so far.
    fn cpu(&self) -> Outcome<Duration> {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.program.child.id()))?;
        let fields: Vec<&str> = stat
            .rsplit(')')
            .next()
            .unwrap_or_default()
            .split_whitespace()
            .collect();
        let ticks = |n: usize| {
            fields
                .get(n)
                .and_then(|field| field.parse::<u64>().ok())
                .unwrap_or(0)
        };
        // Linux reports in hundredths of a second on every common machine.
        Ok(Duration::from_millis((ticks(11) + ticks(12)) * 10))
    }
}

fn load(
    server: &Server,
    round: usize,
    requests: usize,
    connections: usize,
) -> Outcome<Histogram<u64>> {
    let next = Arc::new(AtomicUsize::new(0));
    let mut total = Histogram::new(3)?;
    let results: Vec<Outcome<Histogram<u64>>> = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..connections)
            .map(|_| {
                let next = Arc::clone(&next);
                scope.spawn(move || work(server, round, requests, &next))
            })
            .collect();
        workers
            .into_iter()
            .map(|worker| {
                worker
                    .join()
                    .unwrap_or_else(|_| Err("a worker panicked".into()))
            })
            .collect()
    });
    for result in results {
        total.add(result?)?;
    }
    Ok(total)
}

fn work(
    server: &Server,
    round: usize,
    requests: usize,
    next: &AtomicUsize,
) -> Outcome<Histogram<u64>> {
    let mut latency = Histogram::new(3)?;
    let mut stream = TcpStream::connect(&server.api)?;
    stream.set_nodelay(true)?;
    let mut buffer = vec![0; 16 * 1024];
    loop {
        let n = next.fetch_add(1, Ordering::Relaxed);
        if n >= requests {
            return Ok(latency);
        }
        let request = signed_bind(server, round, n)?;
        let begun = Instant::now();
        stream.write_all(request.as_bytes())?;
        let answer = read_answer(&mut stream, &mut buffer)?;
        latency.record(begun.elapsed().as_micros() as u64)?;
        if !answer.contains("\"Code\":\"OK\"") {
            return Err(format!("not bound: {answer}").into());
        }
    }
}

fn signed_bind(server: &Server, round: usize, n: usize) -> Outcome<String> {
    let a = format!("150{:08}", n % 100_000_000);
    let parameters = [
        ("Expiration", "2035-09-05%2012%3A00%3A00"),
        ("PhoneNoA", &a),
        ("PoolKey", &server.pool),
    ];
    let key = (&*server.key_id, &*server.key_secret);
    let nonce = format!("bench{round}-{n}");
    signed(&server.api, key, "BindAxn", &parameters, &nonce)
}
