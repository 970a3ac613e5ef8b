//! The real program as a child: how it starts, listens to signals, refuses and ends.

use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustls::{ClientConfig, ClientConnection, RootCertStore};
use rustls_pki_types::CertificateDer;
use serde_json::Value;

#[test]
fn a_demo_starts_tells_where_it_is_and_stops_in_order() {
    let home = Home::new();
    let mut first = home.serve(&["--demo"]);
    let demo = home.read_json("data/demo.json");
    assert_eq!(demo["pool_key"], "FC12345");
    assert_eq!(demo["pools"]["AXN"], "FC12345");
    for name in [
        "data/demo.json",
        "data/admin.token",
        "data/addresses.json",
        "data.key",
    ] {
        let mode = std::fs::metadata(home.path(name)).unwrap().mode() & 0o777;
        assert_eq!(mode, 0o600, "{name}");
    }
    assert_eq!(home.read_json("data/addresses.json"), first.ready);
    assert_eq!(
        home.read("data/admin.token").trim(),
        demo["admin_token"].as_str().unwrap()
    );
    assert_eq!(first.end("TERM"), Some(0));
    assert!(!home.path("data/addresses.json").exists());

    let mut second = home.serve(&["--demo"]);
    assert_eq!(home.read_json("data/demo.json"), demo, "made once");
    assert_eq!(second.end("INT"), Some(0));
}

#[test]
fn health_and_metrics_need_no_token_and_the_rest_does() {
    let home = Home::new();
    let server = home.serve(&[]);
    assert_eq!(server.get("/healthz").0, 200);
    assert_eq!(
        server.get("/readyz"),
        (200, r#"{"blocked_by":{},"ready":true}"#.to_owned())
    );
    let (status, metrics) = server.get("/metrics");
    assert_eq!(status, 200);
    for name in [
        "maskline_journal_seq ",
        "maskline_writer_takes_commands 1",
        "process_cpu_seconds_total ",
    ] {
        assert!(
            metrics.contains(&format!("\n{name}")),
            "{name} in {metrics}"
        );
    }
    assert_eq!(server.get("/v1/accounts").0, 401);
    assert_eq!(server.get("/").0, 401);
}

#[test]
fn a_hang_up_reads_the_settings_again_and_a_bad_file_changes_nothing() {
    let home = Home::new();
    let file = home.path("maskline.toml");
    std::fs::write(&file, "[log]\nlevel = \"info\"\n").unwrap();
    let mut server = home.serve(&["--config", file.to_str().unwrap()]);

    std::fs::write(&file, "[log]\nlevel = \"warn\"\nnonsense = 1\n").unwrap();
    server.signal("HUP");
    let refused = server.log_line("everything stays as it was");
    assert!(
        refused.contains("maskline.toml:3: log.nonsense: unknown field"),
        "{refused}"
    );

    std::fs::write(
        &file,
        "[log]\nlevel = \"debug\"\n[api]\nidle_timeout_s = 5\n",
    )
    .unwrap();
    server.signal("HUP");
    let restart = server.log_line("wait for a restart");
    assert!(restart.contains("api.idle_timeout_s"), "{restart}");
    let (_, metrics) = server.get("/metrics");
    assert!(
        metrics.contains("maskline_reloads_total{result=\"done\"} 1"),
        "{metrics}"
    );
    assert!(
        metrics.contains("maskline_reloads_total{result=\"refused\"} 1"),
        "{metrics}"
    );
    assert_eq!(server.end("TERM"), Some(0));
}

#[test]
fn a_renewed_certificate_is_taken_over_and_a_bad_one_is_not() {
    let home = Home::new();
    let (chain, key) = (home.path("chain.pem"), home.path("key.pem"));
    let renew = || {
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        std::fs::write(&chain, made.cert.pem()).unwrap();
        std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();
        made.cert.der().clone()
    };
    let first = renew();
    let file = home.path("maskline.toml");
    let text = format!("[api]\ncertificate = {chain:?}\nprivate_key = {key:?}\n");
    std::fs::write(&file, text).unwrap();
    let server = home.serve(&["--https", ANY, "--config", file.to_str().unwrap()]);
    assert!(server.shows(&first));

    let second = renew();
    std::fs::write(&key, "nonsense").unwrap();
    server.signal("HUP");
    server.log_line("everything stays as it was");
    assert!(server.shows(&first) && !server.shows(&second));

    let third = renew();
    server.signal("HUP");
    server.log_line("settings read again");
    assert!(server.shows(&third) && !server.shows(&first));
}

#[test]
fn two_processes_never_share_a_data_directory() {
    let home = Home::new();
    let _first = home.serve(&[]);
    let second = home.run(&["serve", "--api", ANY, "--admin", ANY, "--sip", ANY]);
    assert_eq!(second.status.code(), Some(1));
    let told = String::from_utf8_lossy(&second.stderr);
    assert!(told.contains("is in use by another process"), "{told}");
}

#[test]
fn wrong_settings_end_with_two_and_tell_where() {
    let home = Home::new();
    std::fs::write(home.path("m.toml"), "\n[api]\nlisten = \"8080\"\n").unwrap();
    let file = home.path("m.toml");
    let refused = home.run(&["serve", "--config", file.to_str().unwrap()]);
    assert_eq!(refused.status.code(), Some(2));
    let told = String::from_utf8_lossy(&refused.stderr);
    let expected = format!("maskline: {}:3: api.listen: ", file.display());
    assert!(told.starts_with(&expected), "{told}");

    let taken = std::net::TcpListener::bind(ANY)
        .unwrap()
        .local_addr()
        .unwrap();
    let holder = std::net::TcpListener::bind(taken).unwrap();
    let taken = holder.local_addr().unwrap().to_string();
    let refused = home.run(&["serve", "--api", &taken, "--admin", ANY, "--sip", ANY]);
    assert_eq!(refused.status.code(), Some(2));
    let told = String::from_utf8_lossy(&refused.stderr);
    assert!(
        told.contains("--api: api.listen: cannot listen on"),
        "{told}"
    );
}

#[test]
fn another_master_key_is_refused() {
    let home = Home::new();
    assert_eq!(home.serve(&[]).end("TERM"), Some(0));
    std::fs::write(home.path("data.key"), "11".repeat(32)).unwrap();
    let refused = home.run(&["serve", "--admin", ANY]);
    assert_eq!(refused.status.code(), Some(1));
    let told = String::from_utf8_lossy(&refused.stderr);
    assert!(told.contains("is not that of the data"), "{told}");
    std::fs::remove_file(home.path("data.key")).unwrap();
    let refused = home.run(&["serve", "--admin", ANY]);
    let told = String::from_utf8_lossy(&refused.stderr);
    assert!(
        told.contains("master key file") && told.contains("is missing"),
        "{told}"
    );
}

#[test]
fn an_import_that_stopped_goes_on_where_it_was() {
    let home = Home::new();
    let mut server = home.serve(&[]);
    let file = home.path("numbers.csv");
    let mut text = String::from("number,city\n");
    for n in 0..5_001 {
        writeln!(text, "{},北京", 17_000_000_000_u64 + n).expect("into memory");
    }
    std::fs::write(&file, format!("{text}1700 000,北京\n")).unwrap();
    let arguments = ["number", "import", file.to_str().unwrap()];
    for goes_on in [false, true] {
        let stopped = home.run(&arguments);
        let told = String::from_utf8_lossy(&stopped.stderr);
        assert_eq!(stopped.status.code(), Some(2), "{told}");
        assert!(told.contains("line: 5003"), "{told}");
        assert_eq!(told.contains("going on after row 5000"), goes_on, "{told}");
    }
    assert_eq!(home.json(&["status"])["numbers"], 5_000);

    // Another file is another import; what is there already is passed over.
    std::fs::write(&file, text).unwrap();
    let told = home.told(&arguments);
    assert!(told.contains("5001 rows, 1 numbers added"), "{told}");
    assert_eq!(server.end("TERM"), Some(0));
}

#[test]
fn commands_work_beside_the_service_and_tell_when_there_is_none() {
    let home = Home::new();
    let alone = home.run(&["account", "ls"]);
    assert_eq!(alone.status.code(), Some(3));

    let mut server = home.serve(&[]);
    let document = home.path("apply.toml");
    let text = "[[account]]\nid = \"acme\"\nreal_name_verified = true\n\
                [[pool]]\nkey = \"FC1\"\naccount = \"acme\"\nproduct = \"axn\"\n";
    std::fs::write(&document, text).unwrap();
    let document = document.to_str().unwrap();
    let dry = home.told(&["apply", document, "--dry-run"]);
    assert!(
        dry.contains("+ account acme") && dry.contains("2 change(s) would be made"),
        "{dry}"
    );
    assert_eq!(home.json(&["account", "ls"]), Value::Array(Vec::new()));
    assert!(home.told(&["apply", document]).contains("2 change(s) made"));
    assert!(
        home.told(&["apply", document])
            .contains("nothing to change")
    );

    let numbers = home.path("numbers.csv");
    std::fs::write(
        &numbers,
        "number,city\n17000000001,北京\n17000000002,杭州\n",
    )
    .unwrap();
    let numbers = numbers.to_str().unwrap();
    let import = home.told(&["number", "import", numbers, "--pool", "FC1"]);
    assert!(
        import.contains("2 rows, 2 numbers added or changed"),
        "{import}"
    );
    let again = home.told(&["number", "import", numbers, "--pool", "FC1"]);
    assert!(
        again.contains("2 rows, 0 numbers added or changed"),
        "{again}"
    );

    let explained = home.told(&["explain", "13900001111", "17000000001"]);
    assert!(
        explained.contains("139******11 dials 17000000001"),
        "{explained}"
    );
    assert!(explained.contains("no binding is in force"), "{explained}");
    let journal = home.told(&["journal", "show", "--limit", "100"]);
    assert!(
        journal.contains("account_set") && journal.contains("operator "),
        "{journal}"
    );

    let added = home.told(&["trunk", "add", "carrier", "--peer", "192.0.2.1:5060"]);
    assert!(added.contains("+ trunk carrier"), "{added}");
    let again = home.run(&["trunk", "add", "carrier", "--peer", "192.0.2.1:5060"]);
    assert_eq!(again.status.code(), Some(1), "it is there");
    let set = home.told(&["trunk", "set", "carrier", "--number-out", "+86"]);
    assert!(set.contains("number_out: bare -> +86"), "{set}");
    home.told(&["trunk", "disable", "carrier"]);
    let shown = home.json(&["trunk", "show", "carrier"]);
    assert_eq!(
        (&shown["enabled"], &shown["number_out"]),
        (&false.into(), &"+86".into())
    );
    home.told(&["trunk", "rm", "carrier"]);
    assert_eq!(home.json(&["trunk", "ls"]), Value::Array(Vec::new()));

    assert_eq!(
        home.json(&["call", "live"])["items"],
        Value::Array(Vec::new())
    );
    let drained = home.told(&["drain", "--wait"]);
    assert!(drained.contains("no call is left"), "{drained}");
    assert_eq!(server.get("/readyz").0, 503);
    assert_eq!(home.json(&["status"])["draining"], true);

    let refused = home.run(&["pool", "close", "FC9"]);
    assert_eq!(refused.status.code(), Some(1));
    assert_eq!(server.end("TERM"), Some(0));
    assert!(home.told(&["check"]).contains("batches"));
}

#[test]
fn a_backup_made_while_serving_is_restored_elsewhere() {
    let home = Home::new();
    let mut server = home.serve(&["--demo"]);
    let copy = home.path("copy");
    home.told(&["backup", copy.to_str().unwrap()]);
    assert_eq!(server.end("TERM"), Some(0));

    let elsewhere = Home::new();
    elsewhere.told(&["restore", copy.to_str().unwrap()]);
    std::fs::copy(home.path("data.key"), elsewhere.path("data.key")).unwrap();
    let mut restored = elsewhere.serve(&[]);
    let status = elsewhere.json(&["status"]);
    assert_eq!(
        (&status["epoch"], &status["pools"]),
        (&1.into(), &3.into()),
        "{status}"
    );
    assert_eq!(restored.end("TERM"), Some(0));
    assert!(elsewhere.told(&["check"]).contains("batches"));
}

const ANY: &str = "127.0.0.1:0";
const PATIENCE: Duration = Duration::from_secs(60);

/// A place for one data directory and its key.
struct Home(tempfile::TempDir);

impl Home {
    fn new() -> Self {
        Self(tempfile::tempdir().expect("a temporary directory"))
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).expect(name)
    }

    fn read_json(&self, name: &str) -> Value {
        serde_json::from_str(&self.read(name)).expect("JSON")
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_maskline"));
        for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("MASKLINE_")) {
            command.env_remove(name);
        }
        command.args(arguments).arg("--data").arg(self.path("data"));
        command.stdin(Stdio::null());
        command
    }

    /// Runs a command to its end.
    fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments)
            .output()
            .expect("the program starts")
    }

    /// Runs a command that succeeds; what it printed.
    fn told(&self, arguments: &[&str]) -> String {
        let done = self.run(arguments);
        let errors = String::from_utf8_lossy(&done.stderr);
        assert!(done.status.success(), "{arguments:?}: {errors}");
        String::from_utf8(done.stdout).expect("UTF-8")
    }

    fn json(&self, arguments: &[&str]) -> Value {
        let arguments: Vec<&str> = arguments.iter().copied().chain(["--json"]).collect();
        serde_json::from_str(&self.told(&arguments)).expect("JSON")
    }

    /// Starts the service and waits until it serves.
    fn serve(&self, arguments: &[&str]) -> Server {
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
struct Server {
    child: Child,
    ready: Value,
    log: PathBuf,
}

impl Server {
    fn signal(&self, name: &str) {
        let id = self.child.id().to_string();
        let sent = Command::new("kill")
            .args(["-s", name, &id])
            .status()
            .expect("kill");
        assert!(sent.success());
    }

    /// Sends a signal and waits for the end; the exit code.
    fn end(&mut self, signal: &str) -> Option<i32> {
        self.signal(signal);
        self.child.wait().expect("a child").code()
    }

    /// A line of the log with these words, once it is there.
    fn log_line(&self, words: &str) -> String {
        let end = Instant::now() + PATIENCE;
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
    fn shows(&self, certificate: &CertificateDer<'static>) -> bool {
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
    fn get(&self, path: &str) -> (u16, String) {
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
