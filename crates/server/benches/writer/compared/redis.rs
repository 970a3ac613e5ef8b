//! Redis with an append-only file that is synced before each answer, and one script.
//!
//! Its callers are written down here, since a client that does more for each answer would take
//! from the second processor what Redis leaves: a thread of its own, a connection each.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::task::JoinSet;

use super::{Figures, Server, Store, output};
use crate::load::{Caller, Done, Load, Until, call, names_city};
use crate::processors::{of_this_thread, of_tree};
use crate::{CITIES, Outcome, now};

const SCRIPT: &str = include_str!("redis.lua");
const STOCK: &str = include_str!("redis_stock.lua");
/// Numbers for each call of [`STOCK`].
const BLOCK: usize = 50_000;
/// Callers that bind beforehand.
const FILLING: usize = 64;

pub struct Redis {
    name: String,
    server: Server,
    socket: PathBuf,
    script: String,
}

impl Redis {
    /// `None` where there is no such program.
    pub fn start(folder: &Path, numbers: usize, bound: usize) -> Outcome<Option<Self>> {
        let Ok(version) = output(Command::new("redis-server").arg("--version")) else {
            return Ok(None);
        };
        let version = version
            .split_whitespace()
            .find_map(|word| word.strip_prefix("v="));
        let name = format!("Redis {}", version.unwrap_or("?"));
        let folder = folder.join("redis");
        std::fs::create_dir(&folder)?;
        let socket = folder.join("socket");
        let command = [
            "redis-server",
            "--port",
            "0",
            "--unixsocket",
            &socket.to_string_lossy(),
            "--dir",
            &folder.to_string_lossy(),
            "--appendonly",
            "yes",
            "--appendfsync",
            "no",
            "--save",
            "",
            "--daemonize",
            "no",
        ];
        let server = Server::start(&command, None, &folder.join("log"), Signal::KILL)?;
        let mut redis = Self {
            name,
            server,
            socket,
            script: String::new(),
        };
        let socket = redis.socket.clone();
        redis
            .server
            .await_ready(|| Ok(cli(&socket, &["PING"]).is_ok()))?;
        redis.fill(numbers, bound)?;
        Ok(Some(redis))
    }

    fn fill(&mut self, numbers: usize, bound: usize) -> Outcome<()> {
        for first in (0..numbers).step_by(BLOCK) {
            let last = (first + BLOCK).min(numbers) - 1;
            let words = [first, last, CITIES].map(|word| word.to_string());
            self.cli(&["EVAL", STOCK, "0", &words[0], &words[1], &words[2]])?;
        }
        self.script = self.cli(&["SCRIPT", "LOAD", SCRIPT])?;
        let load = Load {
            bind_only: true,
            ..Load::mixed(FILLING, Until::Binds(bound))
        };
        self.run(load)?;
        self.cli(&["CONFIG", "SET", "appendfsync", "always"])?;
        let setting = self.cli(&["CONFIG", "GET", "appendfsync"])?;
        if !setting.ends_with("always") {
            return Err(format!("Redis does not always sync: {setting}").into());
        }
        Ok(())
    }

    fn cli(&self, words: &[&str]) -> Outcome<String> {
        cli(&self.socket, words)
    }

    fn info(&self, field: &str) -> Outcome<String> {
        let info = self.cli(&["INFO", "persistence"])?;
        let mut lines = info.lines().filter_map(|line| line.split_once(':'));
        let found = lines.find(|(name, _)| *name == field);
        let (_, value) = found.ok_or("Redis does not tell of its persistence")?;
        Ok(value.trim().to_owned())
    }

    /// All callers on one thread; and what that thread took of the processors, in seconds.
    fn run(&self, load: Load) -> Outcome<(Done, f64)> {
        let (socket, script) = (self.socket.clone(), self.script.clone());
        let work = move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_io()
                .build()?;
            let done = runtime.block_on(callers(&socket, &script, load))?;
            Ok((done, of_this_thread()))
        };
        thread::spawn(work)
            .join()
            .map_err(|_| "the callers of Redis failed")?
    }
}

impl Store for Redis {
    fn name(&self) -> &str {
        &self.name
    }

    fn round(&mut self, callers: usize, duration: Duration) -> Outcome<Figures> {
        let before = of_tree(self.process());
        let (done, client) = self.run(Load::mixed(callers, Until::Time(duration)))?;
        let server = of_tree(self.process()) - before;
        let status = self.info("aof_last_write_status")?;
        if status != "ok" {
            return Err(format!("Redis could not write: {status}").into());
        }
        Ok(Figures {
            commands_per_s: done.commands_per_s,
            binds_per_s: done.binds_per_s,
            latency_ms: Ok([0.5, 0.99, 0.999].map(|quantile| done.ms(quantile))),
            syncs_per_s: None,
            server: server / duration.as_secs_f64(),
            client: Some(client / duration.as_secs_f64()),
        })
    }

    fn finish(&mut self) -> Outcome<()> {
        while self.info("aof_rewrite_in_progress")? != "0" {
            thread::sleep(Duration::from_millis(100));
        }
        Ok(())
    }

    fn process(&self) -> i32 {
        self.server.id()
    }
}

fn cli(socket: &Path, words: &[&str]) -> Outcome<String> {
    let said = output(
        Command::new("redis-cli")
            .arg("-e")
            .arg("-s")
            .arg(socket)
            .args(words),
    )?;
    Ok(said)
}

async fn callers(socket: &Path, script: &str, load: Load) -> Outcome<Done> {
    let mut connected = Vec::new();
    for place in 0..load.callers {
        let (answers, commands) = UnixStream::connect(socket).await?.into_split();
        connected.push(OfRedis {
            answers: BufReader::with_capacity(256, answers),
            commands,
            script: script.to_owned(),
            place,
            request: Vec::new(),
            line: Vec::new(),
        });
    }
    let begun = Instant::now();
    let mut running = JoinSet::new();
    for caller in connected {
        let place = caller.place;
        running.spawn(call(caller, place, load, begun));
    }
    let mut counts = Vec::new();
    while let Some(count) = running.join_next().await {
        counts.push(count??);
    }
    Done::of(begun, counts)
}

/// A caller with a connection of its own, in the protocol that Redis calls RESP.
struct OfRedis {
    answers: BufReader<OwnedReadHalf>,
    commands: OwnedWriteHalf,
    script: String,
    place: usize,
    request: Vec<u8>,
    line: Vec<u8>,
}

impl OfRedis {
    /// Runs the script with these words and waits for the number that it answers.
    async fn ask(&mut self, words: &[&str]) -> Outcome<u64> {
        let head = ["EVALSHA", &self.script, "0"];
        self.request.clear();
        push(&mut self.request, '*', head.len() + words.len());
        for word in head.iter().chain(words) {
            push(&mut self.request, '$', word.len());
            self.request.extend_from_slice(word.as_bytes());
            self.request.extend_from_slice(b"\r\n");
        }
        self.commands.write_all(&self.request).await?;
        self.line.clear();
        self.answers.read_until(b'\n', &mut self.line).await?;
        let line = String::from_utf8_lossy(&self.line);
        let number = line.strip_prefix(':').map(|digits| digits.trim().parse());
        match number {
            Some(Ok(number)) => Ok(number),
            _ => Err(format!("Redis answered {line:?}").into()),
        }
    }
}

fn push(request: &mut Vec<u8>, kind: char, length: usize) {
    request.extend_from_slice(format!("{kind}{length}\r\n").as_bytes());
}

impl Caller for OfRedis {
    type Binding = u64;

    async fn bind(&mut self, nonce: u64, n: usize) -> Outcome<u64> {
        let at = now();
        // A city is drawn here where none is wished, so that the script need not.
        let drawn = nonce >> 32;
        let city = if names_city(n) {
            (self.place + n) as u64
        } else {
            drawn
        } % CITIES as u64;
        let a = format!("15{:03}{:06}", self.place, n % 1_000_000);
        self.ask(&[
            "bind",
            &nonce.to_string(),
            &at.millis().to_string(),
            &city.to_string(),
            &a,
            &at.plus_secs(86_400).millis().to_string(),
            &format!("order-{n:08}"),
        ])
        .await
    }

    async fn update(&mut self, nonce: u64, binding: &u64) -> Outcome<()> {
        let at = now();
        self.ask(&[
            "update",
            &nonce.to_string(),
            &at.millis().to_string(),
            &binding.to_string(),
            &at.plus_secs(172_800).millis().to_string(),
        ])
        .await
        .map(drop)
    }

    async fn unbind(&mut self, nonce: u64, binding: u64) -> Outcome<()> {
        let at = now().millis().to_string();
        self.ask(&["unbind", &nonce.to_string(), &at, &binding.to_string()])
            .await
            .map(drop)
    }
}
