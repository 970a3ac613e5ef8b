//! Other stores that do what the writer does, on the same disk and turn by turn with it: each
//! checks the nonce, takes a free number of the city, claims its slots, keeps the binding under
//! its id, by X, by A and by expiry, and answers when all of that is synced.
//!
//! Where it was to be weighed, the others do less than ours: no right of a key is checked, no
//! chain of hashes is kept, nothing of a person can be erased, and no nonce is swept in PostgreSQL.

mod postgres;
mod redis;

use std::fs::File;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::Outcome;
use crate::load::Done;
use crate::processors::{of_this_process, of_tree};

/// How they come onto a machine.
const HOW_TO_INSTALL: &str = "scripts/install-bench-tools brings it";
/// The longest that a server may take to listen, and stores to come to rest.
const PATIENCE: Duration = Duration::from_secs(120);
/// A store is at rest below this part of one processor.
const AT_REST: f64 = 0.05;

/// A store with its numbers and its bindings, as many as ours has.
pub trait Store {
    /// Its name and version.
    fn name(&self) -> &str;
    /// So many callers, each waiting for its answer, for so long.
    fn round(&mut self, callers: usize, duration: Duration) -> Outcome<Figures>;
    /// Ends what it began in the background, so that it does not burden who comes next.
    fn finish(&mut self) -> Outcome<()>;
    /// The process of its server.
    fn process(&self) -> i32;
}

/// What a store did in one round.
pub struct Figures {
    commands_per_s: f64,
    binds_per_s: f64,
    /// Of binds: p50, p99, p99.9; for a store whose client does not tell those, of a command on
    /// average.
    latency_ms: Result<[f64; 3], f64>,
    /// How often it synced, if it tells.
    syncs_per_s: Option<f64>,
    /// Processors that its server took, and those of the callers where they stand apart.
    server: f64,
    client: Option<f64>,
}

/// The stores that are on this machine, filled. Says which are not, and how to bring them.
pub fn start(folder: &Path, numbers: usize, bound: usize) -> Outcome<Vec<Box<dyn Store>>> {
    let mut stores: Vec<Box<dyn Store>> = Vec::new();
    match redis::Redis::start(folder, numbers, bound)? {
        Some(store) => stores.push(Box::new(store)),
        None => println!("left out: Redis is not installed; {HOW_TO_INSTALL}"),
    }
    match postgres::Postgres::start(folder, numbers, bound)? {
        Some(store) => stores.push(Box::new(store)),
        None => println!("left out: PostgreSQL is not installed; {HOW_TO_INSTALL}"),
    }
    for store in &stores {
        println!("beside it {}, as full", store.name());
    }
    Ok(stores)
}

/// Waits until neither ours nor any other has something left to do.
pub fn settle(stores: &mut [Box<dyn Store>]) -> Outcome<()> {
    for store in stores.iter_mut() {
        store.finish()?;
    }
    let spent = || {
        let theirs: f64 = stores.iter().map(|store| of_tree(store.process())).sum();
        of_this_process().0 + theirs
    };
    let begun = Instant::now();
    while begun.elapsed() < PATIENCE {
        let before = spent();
        std::thread::sleep(Duration::from_secs(1));
        if spent() - before < AT_REST {
            break;
        }
    }
    Ok(())
}

/// The rounds of all, ours first.
#[derive(Default)]
pub struct Comparison(Vec<(String, Vec<Figures>)>);

impl Comparison {
    pub fn ours(&mut self, done: &Done, processors: f64) {
        let figures = Figures {
            commands_per_s: done.commands_per_s,
            binds_per_s: done.binds_per_s,
            latency_ms: Ok([0.5, 0.99, 0.999].map(|quantile| done.ms(quantile))),
            syncs_per_s: None,
            server: processors,
            client: None,
        };
        self.add("Maskline", figures);
    }

    pub fn others(
        &mut self,
        stores: &mut [Box<dyn Store>],
        callers: usize,
        duration: Duration,
    ) -> Outcome<()> {
        for n in 0..stores.len() {
            settle(stores)?;
            let figures = stores[n].round(callers, duration)?;
            self.add(stores[n].name(), figures);
        }
        Ok(())
    }

    fn add(&mut self, name: &str, figures: Figures) {
        match self.0.iter_mut().find(|(known, _)| known == name) {
            Some((_, rounds)) => rounds.push(figures),
            None => self.0.push((name.to_owned(), vec![figures])),
        }
    }

    /// The median round of each, and how many times as many commands ours did: the median of the
    /// rounds, and the least and the most.
    pub fn print(&self) {
        let Some((_, ours)) = self.0.first() else {
            return;
        };
        println!(
            "{:>16} {:>11} {:>9} {:>23} {:>8} {:>7} {:>7}  ours",
            "turn by turn",
            "commands/s",
            "binds/s",
            "p50, p99, p99.9 ms",
            "syncs/s",
            "server",
            "client"
        );
        for (name, rounds) in &self.0 {
            let mut ratios: Vec<f64> = ours
                .iter()
                .zip(rounds)
                .map(|(ours, theirs)| ours.commands_per_s / theirs.commands_per_s)
                .collect();
            ratios.sort_by(f64::total_cmp);
            let mut sorted: Vec<&Figures> = rounds.iter().collect();
            sorted.sort_by(|one, other| one.commands_per_s.total_cmp(&other.commands_per_s));
            let median = sorted[sorted.len() / 2];
            let latency = match median.latency_ms {
                Ok([p50, p99, p999]) => format!("{p50:.2}, {p99:.2}, {p999:.2}"),
                Err(mean) => format!("{mean:.2} on average"),
            };
            let or_none = |value: Option<f64>, digits| match value {
                Some(value) => format!("{value:.digits$}"),
                None => "-".to_owned(),
            };
            println!(
                "{name:>16} {:>11.0} {:>9.0} {latency:>23} {:>8} {:>7.2} {:>7}  {:.2} times [{:.2}-{:.2}]",
                median.commands_per_s,
                median.binds_per_s,
                or_none(median.syncs_per_s, 0),
                median.server,
                or_none(median.client, 2),
                ratios[ratios.len() / 2],
                ratios[0],
                ratios[ratios.len() - 1],
            );
        }
        println!("server, client: processors that each took; ours has its callers within");
    }
}

/// A server that was started here. It ends with this value, and with this process however that
/// ends.
struct Server {
    child: Child,
    ends_by: Signal,
}

impl Server {
    /// Starts `command`, whose first word is a program and no shell. `ends_by` is QUIT or KILL:
    /// what it stored is thrown away.
    fn start(command: &[&str], user: Option<&str>, log: &Path, ends_by: Signal) -> Outcome<Self> {
        let log = File::create(log)?;
        let mut setpriv = as_user(user);
        setpriv.arg(match ends_by {
            Signal::QUIT => "--pdeathsig=QUIT",
            _ => "--pdeathsig=KILL",
        });
        let child = setpriv
            .args(command)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()?;
        Ok(Self { child, ends_by })
    }

    fn id(&self) -> i32 {
        self.child.id() as i32
    }

    /// Waits until `ready` says so.
    fn await_ready(&mut self, mut ready: impl FnMut() -> Outcome<bool>) -> Outcome<()> {
        let begun = Instant::now();
        while !ready()? {
            if let Some(status) = self.child.try_wait()? {
                return Err(format!("the server ended at once: {status}").into());
            }
            if begun.elapsed() > PATIENCE {
                return Err("the server does not listen".into());
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        Ok(())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(pid) = Pid::from_raw(self.id()) {
            let _ = kill_process(pid, self.ends_by);
        }
        let _ = self.child.wait();
    }
}

/// setpriv(1), of util-linux: runs what follows as another user.
fn as_user(user: Option<&str>) -> Command {
    let mut setpriv = Command::new("setpriv");
    if let Some(user) = user {
        setpriv.args(["--reuid", user, "--regid", user, "--init-groups"]);
    }
    setpriv
}

/// What a command prints.
fn output(command: &mut Command) -> Outcome<String> {
    let output = command.output()?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        return Err(format!("{:?}: {}", command.get_program(), said.trim()).into());
    }
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}
