//! PostgreSQL with procedures, durable as it is by default; its callers are those of pgbench.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use rustix::process::{Signal, geteuid};

use super::{Figures, Server, Store, as_user, output};
use crate::processors::{of_this_process, of_tree};
use crate::{CITIES, Outcome};

const STOCK: &str = include_str!("postgres.sql");
const SCRIPT: &str = include_str!("pgbench.sql");
/// Commands and binds in one run of [`SCRIPT`].
const COMMANDS: f64 = 10.0;
const BINDS: f64 = 6.0;
/// Where Debian keeps the programs, a folder for each version.
const PROGRAMS: &str = "/usr/lib/postgresql";
/// Who serves where we are root, as whom PostgreSQL does not run.
const USER: &str = "postgres";

/// As on a machine that is PostgreSQL's own: all data in its buffers, and checkpoints by time.
/// What makes an answer durable is left as it is by default.
const SETTINGS: [&str; 3] = [
    "listen_addresses=",
    "shared_buffers=2GB",
    "max_wal_size=8GB",
];

pub struct Postgres {
    name: String,
    server: Server,
    programs: PathBuf,
    folder: PathBuf,
}

impl Postgres {
    /// `None` where there is no such program.
    pub fn start(folder: &Path, numbers: usize, bound: usize) -> Outcome<Option<Self>> {
        let Some(programs) = programs() else {
            return Ok(None);
        };
        let version = output(Command::new(programs.join("postgres")).arg("--version"))?;
        let version = version.split_whitespace().nth(2).unwrap_or("?");
        let user = geteuid().is_root().then_some(USER);
        // The folder of the benchmark is for its owner alone; the server only passes through it.
        make_passable(folder)?;
        let folder = folder.join("postgres");
        fs::create_dir(&folder)?;
        if let Some(user) = user {
            output(Command::new("chown").arg(format!("{user}:")).arg(&folder))?;
        }
        let data = folder.join("data");
        output(
            as_user(user)
                .arg(programs.join("initdb"))
                .args([
                    "--auth=trust",
                    "--username=bench",
                    "--encoding=UTF8",
                    "--locale=C",
                ])
                .arg("--pgdata")
                .arg(&data),
        )?;
        let program = programs.join("postgres");
        let sockets = format!("unix_socket_directories={}", folder.display());
        let (program, data) = (program.to_string_lossy(), data.to_string_lossy());
        let mut command = vec![&*program, "-D", &data, "-c", &sockets];
        for setting in SETTINGS {
            command.extend(["-c", setting]);
        }
        let server = Server::start(&command, user, &folder.join("log"), Signal::QUIT)?;
        let mut postgres = Self {
            name: format!("PostgreSQL {version}"),
            server,
            programs,
            folder,
        };
        let mut ready = postgres.program("pg_isready");
        postgres
            .server
            .await_ready(|| Ok(ready.output()?.status.success()))?;
        postgres.fill(numbers, bound)?;
        Ok(Some(postgres))
    }

    fn fill(&self, numbers: usize, bound: usize) -> Outcome<()> {
        let (stock, script) = (self.folder.join("stock.sql"), self.script());
        fs::write(&stock, STOCK)?;
        fs::write(script, SCRIPT)?;
        let mut psql = self.program("psql");
        for (name, value) in [("numbers", numbers), ("bound", bound), ("cities", CITIES)] {
            psql.arg("-v").arg(format!("{name}={value}"));
        }
        output(psql.args(["-Xq", "-v", "ON_ERROR_STOP=1", "-f"]).arg(stock))?;
        let durable = ["fsync", "synchronous_commit", "full_page_writes"];
        for setting in durable {
            let value = self.ask(&format!("SHOW {setting}"))?;
            if value != "on" {
                return Err(format!("PostgreSQL has {setting} {value}").into());
            }
        }
        Ok(())
    }

    /// A program of PostgreSQL that speaks to this server.
    fn program(&self, name: &str) -> Command {
        let mut command = Command::new(self.programs.join(name));
        command
            .arg("-h")
            .arg(&self.folder)
            .args(["-U", "bench", "-d", "postgres"]);
        command
    }

    fn script(&self) -> PathBuf {
        self.folder.join("script.sql")
    }

    fn ask(&self, question: &str) -> Outcome<String> {
        output(self.program("psql").args(["-XAtq", "-c", question]))
    }

    /// How often its log was synced so far.
    fn syncs(&self) -> Outcome<f64> {
        Ok(self.ask("SELECT wal_sync FROM pg_stat_wal")?.parse()?)
    }
}

impl Store for Postgres {
    fn name(&self) -> &str {
        &self.name
    }

    fn round(&mut self, callers: usize, duration: Duration) -> Outcome<Figures> {
        let seconds = duration.as_secs_f64();
        let (syncs, served) = (self.syncs()?, of_tree(self.process()));
        let (_, called) = of_this_process();
        let said = output(
            self.program("pgbench")
                .args(["--no-vacuum", "--protocol=prepared", "--jobs=1"])
                .arg(format!("--define=cities={CITIES}"))
                .arg(format!("--client={callers}"))
                .arg(format!("--time={}", duration.as_secs().max(1)))
                .arg("-f")
                .arg(self.script()),
        )?;
        // What a backend took is its server's when it has ended, which pgbench does not wait for.
        std::thread::sleep(Duration::from_millis(200));
        let client = of_this_process().1 - called;
        let server = of_tree(self.process()) - served;
        let syncs = self.syncs()? - syncs;
        let scripts_per_s: f64 = figure(&said, "tps = ")?;
        let script_ms: f64 = figure(&said, "latency average = ")?;
        Ok(Figures {
            commands_per_s: scripts_per_s * COMMANDS,
            binds_per_s: scripts_per_s * BINDS,
            latency_ms: Err(script_ms / COMMANDS),
            syncs_per_s: Some(syncs / seconds),
            server: server / seconds,
            client: Some(client / seconds),
        })
    }

    /// The checkpoint that its log will want.
    fn finish(&mut self) -> Outcome<()> {
        self.ask("CHECKPOINT").map(drop)
    }

    fn process(&self) -> i32 {
        self.server.id()
    }
}

/// The newest version's folder.
fn programs() -> Option<PathBuf> {
    let versions = fs::read_dir(PROGRAMS).ok()?.flatten();
    let all = versions.filter_map(|entry| {
        let version: u32 = entry.file_name().to_str()?.parse().ok()?;
        Some((version, entry.path().join("bin")))
    });
    let complete = all.filter(|(_, bin)| {
        ["initdb", "postgres", "psql", "pgbench"]
            .iter()
            .all(|name| bin.join(name).exists())
    });
    complete.max().map(|(_, bin)| bin)
}

fn make_passable(folder: &Path) -> Outcome<()> {
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(folder, fs::Permissions::from_mode(0o711))?;
    Ok(())
}

/// The number that stands behind these words.
fn figure(said: &str, before: &str) -> Outcome<f64> {
    let behind = said.split_once(before).map(|(_, behind)| behind);
    let word = behind.and_then(|behind| behind.split_whitespace().next());
    let word = word.ok_or_else(|| format!("pgbench does not tell {before:?}: {said}"))?;
    Ok(word.parse()?)
}
