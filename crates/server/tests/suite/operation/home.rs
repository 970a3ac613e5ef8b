//! The real program as a child of a test: a place for its data, how it is started, asked and ended.

use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustls::{ClientConfig, ClientConnection, RootCertStore};
use rustls_pki_types::CertificateDer;
use serde_json::Value;

pub const ANY: &str = "127.0.0.1:0";
/// What an address, a port, a file or a disk does not allow.
pub const SURROUNDINGS: i32 = 75;
pub const WATCHDOG: Duration = Duration::from_secs(60);

/// A place for one data directory and its key.
pub struct Home(tempfile::TempDir);

impl Home {
    pub fn new() -> Self {
        Self(tempfile::tempdir().expect("a temporary directory"))
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).expect(name)
    }

    pub fn read_json(&self, name: &str) -> Value {
        serde_json::from_str(&self.read(name)).expect("JSON")
    }

    pub fn command(&self, arguments: &[&str]) -> Command {
        self.command_of(arguments, &self.path("data"))
    }

    pub fn command_of(&self, arguments: &[&str], data: &Path) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_maskline"));
        for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("MASKLINE_")) {
            command.env_remove(name);
        }
        command.args(arguments).arg("--data").arg(data);
        command.stdin(Stdio::null());
        command
    }

    /// Runs a command to its end.
    pub fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments)
            .output()
            .expect("the program starts")
    }

    /// Runs a command that succeeds; what it printed.
    pub fn told(&self, arguments: &[&str]) -> String {
        let done = self.run(arguments);
        let errors = String::from_utf8_lossy(&done.stderr);
        assert!(done.status.success(), "{arguments:?}: {errors}");
        String::from_utf8(done.stdout).expect("UTF-8")
    }

    pub fn json(&self, arguments: &[&str]) -> Value {
        let arguments: Vec<&str> = arguments.iter().copied().chain(["--json"]).collect();
        serde_json::from_str(&self.told(&arguments)).expect("JSON")
    }

    /// Starts the service and waits until it serves.
    pub fn serve(&self, arguments: &[&str]) -> Server {
        self.serve_with(arguments, &[])
    }

    /// The same with variables.
    pub fn serve_with(&self, arguments: &[&str], variables: &[(&str, &str)]) -> Server {
        let all = [
            "serve",
            "--ready-json",
            "--api",
            ANY,
            "--admin",
            ANY,
            "--sip",
            ANY,
        ];
        let mut all: Vec<&str> = all.into_iter().chain(arguments.iter().copied()).collect();
        if arguments.contains(&"--demo") {
            all.extend(["--https", ANY]);
        }
        let log = self.path("log");
        let log_file = std::fs::File::options()
            .create(true)
            .append(true)
            .open(&log)
            .unwrap();
        let mut child = self
            .command(&all)
            .envs(variables.iter().copied())
            .stdout(Stdio::piped())
            .stderr(log_file)
            .spawn()
            .expect("the program starts");
        let mut line = String::new();
        let stdout = child.stdout.take().expect("piped");
        BufReader::new(stdout).read_line(&mut line).expect("a line");
        let told = || std::fs::read_to_string(&log).unwrap_or_default();
        let ready = serde_json::from_str(&line).unwrap_or_else(|_| panic!("not ready: {}", told()));
        Server { child, ready, log }
    }
}

/// A service that runs; killed if a test forgets it.
pub struct Server {
    child: Child,
    /// Its addresses, as it told them.
    pub ready: Value,
    log: PathBuf,
}

impl Server {
    pub fn signal(&self, name: &str) {
        let id = self.child.id().to_string();
        let sent = Command::new("kill")
            .args(["-s", name, &id])
            .status()
            .expect("kill");
        assert!(sent.success());
    }

    /// Sends a signal and waits for the end; the exit code.
    pub fn end(&mut self, signal: &str) -> Option<i32> {
        self.signal(signal);
        self.child.wait().expect("a child").code()
    }

    /// A line of the log with these words, once it is there.
    pub fn log_line(&self, words: &str) -> String {
        let end = Instant::now() + WATCHDOG;
        loop {
            let log = read_log(&self.log);
            if let Some(line) = log.lines().find(|line| line.contains(words)) {
                return line.to_owned();
            }
            assert!(Instant::now() < end, "no `{words}` in {log}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Whether the HTTPS port proves itself by this very certificate.
    pub fn shows(&self, certificate: &CertificateDer<'static>) -> bool {
        let mut roots = RootCertStore::empty();
        roots.add(certificate.clone()).expect("a certificate");
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("TLS 1.2 and 1.3")
            .with_root_certificates(roots)
            .with_no_client_auth();
        let name = "localhost".try_into().expect("a name");
        let mut tls = ClientConnection::new(Arc::new(config), name).expect("a client");
        let address = self.ready["https"].as_str().expect("an address");
        let mut stream = std::net::TcpStream::connect(address).expect("a connection");
        while tls.is_handshaking() {
            if tls.complete_io(&mut stream).is_err() {
                return false;
            }
        }
        true
    }

    /// Status and body of a page of the admin port.
    pub fn get(&self, path: &str) -> (u16, String) {
        let address = self.ready["admin"].as_str().expect("an address");
        let config = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .proxy(None)
            .build();
        let agent: ureq::Agent = config.into();
        let mut response = agent
            .get(format!("http://{address}{path}"))
            .call()
            .expect("an answer");
        let body = response.body_mut().read_to_string().expect("text");
        (response.status().as_u16(), body)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

fn read_log(path: &Path) -> String {
    let mut log = String::new();
    std::fs::File::open(path)
        .and_then(|mut file| file.read_to_string(&mut log))
        .expect("a log");
    log
}
