//! Signed BindAxn requests over HTTP against the real program, with the load
//! generator on the same machine: binds a second, latency, and the server's CPU
//! time per request.
//!
//! `cargo bench -p maskline-server --bench http`. The release binary must have
//! been built; `MASKLINE_BIN` names another one. `MASKLINE_BENCH_REQUESTS` and
//! `MASKLINE_BENCH_CONNECTIONS` change the load.

use std::error::Error;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use base64::Engine as _;
use hdrhistogram::Histogram;
use hmac::{Hmac, Mac};
use sha1::Sha1;
use time::OffsetDateTime;
use time::macros::format_description;

type Outcome<T> = Result<T, Box<dyn Error + Send + Sync>>;

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

fn setting(name: &str, default: usize) -> usize {
    std::env::var(name)
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(default)
}

/// The program under load, with a data directory of its own.
struct Server {
    child: Child,
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
        let mut child = bare(binary())
            .args(["serve", "--demo", "--ready-json", "--config"])
            .arg(&config)
            .arg("--data")
            .arg(&data)
            .args(["--api", "127.0.0.1:0", "--https", "127.0.0.1:0"])
            .args(["--admin", "127.0.0.1:0", "--sip", "127.0.0.1:0"])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()?;
        let mut line = String::new();
        let stdout = child.stdout.take().ok_or("no standard output")?;
        BufReader::new(stdout).read_line(&mut line)?;
        let ready: serde_json::Value = serde_json::from_str(&line)?;
        let demo: serde_json::Value = serde_json::from_slice(&fs::read(data.join("demo.json"))?)?;
        let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
        let server = Self {
            api: text(&ready["api"]),
            key_id: text(&demo["access_key_id"]),
            key_secret: text(&demo["access_key_secret"]),
            pool: text(&demo["pool_key"]),
            child,
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
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.child.id()))?;
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

impl Drop for Server {
    fn drop(&mut self) {
        // The benchmark is over either way; there is nobody to tell.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A command without the variables of this benchmark, which the program would
/// take for settings of its own.
fn bare(program: PathBuf) -> Command {
    let mut command = Command::new(program);
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("MASKLINE_") {
            command.env_remove(name);
        }
    }
    command
}

fn binary() -> PathBuf {
    std::env::var_os("MASKLINE_BIN").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/release/maskline"),
        PathBuf::from,
    )
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

/// An RPC 1.0 request; every value here is made of unreserved characters, but
/// for the two times.
fn signed_bind(server: &Server, round: usize, n: usize) -> Outcome<String> {
    let format = format_description!("[year]-[month]-[day]T[hour]%3A[minute]%3A[second]Z");
    let timestamp = OffsetDateTime::now_utc().format(&format)?;
    let query = format!(
        "AccessKeyId={}&Action=BindAxn&Expiration=2035-09-05%2012%3A00%3A00&Format=JSON&PhoneNoA=150{:08}&PoolKey={}&SignatureMethod=HMAC-SHA1&SignatureNonce=bench{round}-{n}&SignatureVersion=1.0&Timestamp={timestamp}&Version=2017-05-25",
        server.key_id,
        n % 100_000_000,
        server.pool,
    );
    let encoded = query
        .replace('%', "%25")
        .replace('&', "%26")
        .replace('=', "%3D");
    let mut mac = Hmac::<Sha1>::new_from_slice(format!("{}&", server.key_secret).as_bytes())?;
    mac.update(format!("POST&%2F&{encoded}").as_bytes());
    let signature = base64::engine::general_purpose::STANDARD
        .encode(mac.finalize().into_bytes())
        .replace('+', "%2B")
        .replace('/', "%2F")
        .replace('=', "%3D");
    Ok(format!(
        "POST /?{query}&Signature={signature} HTTP/1.1\r\nHost: {}\r\nContent-Length: 0\r\n\r\n",
        server.api
    ))
}

fn read_answer(stream: &mut TcpStream, buffer: &mut [u8]) -> Outcome<String> {
    let mut filled = 0;
    loop {
        let count = stream.read(&mut buffer[filled..])?;
        if count == 0 {
            return Err("the server closed the connection".into());
        }
        filled += count;
        let text = String::from_utf8_lossy(&buffer[..filled]);
        let Some((head, body)) = text.split_once("\r\n\r\n") else {
            continue;
        };
        let length = head
            .lines()
            .filter_map(|line| line.split_once(':'))
            .find(|(name, _)| name.eq_ignore_ascii_case("content-length"))
            .and_then(|(_, value)| value.trim().parse::<usize>().ok())
            .ok_or("an answer without its length")?;
        if body.len() >= length {
            return Ok(body.to_owned());
        }
    }
}
