//! What README promises a newcomer: a demo, one command that makes a masked call, one that lists it.

use super::{answering, number, until_over};
use maskline_softphone::{DetectedSound, EventKind, Order, Phone, Report};
use serde_json::Value;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;
use tempfile::TempDir;

const CALLER: &str = "13900000000";
const ANY: &str = "127.0.0.1:0";

/// A demo that serves; killed at its end.
struct Demo {
    dir: TempDir,
    child: Child,
    sip: SocketAddr,
}

impl Demo {
    fn start() -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let ports = ["--api", ANY, "--https", ANY, "--admin", ANY, "--sip", ANY];
        let mut child = command(&dir, &["serve", "--demo", "--ready-json"])
            .args(ports)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("the program starts");
        let stdout = child.stdout.take().expect("piped");
        let mut line = String::new();
        BufReader::new(stdout).read_line(&mut line).expect("a line");
        let ready: Value = serde_json::from_str(&line).expect("it serves");
        let sip = ready["sip"].as_str().and_then(|sip| sip.parse().ok());
        Self {
            dir,
            child,
            sip: sip.expect("an address"),
        }
    }

    fn run(&self, arguments: &[&str]) -> Output {
        command(&self.dir, arguments).output().expect("it runs")
    }

    fn json_lines(&self, output: &Output) -> Vec<Value> {
        let text = String::from_utf8_lossy(&output.stdout);
        let line = |line| serde_json::from_str(line).expect("JSON");
        text.lines().map(line).collect()
    }

    /// Calls X with a phone of the library; everything that was told, and the report.
    async fn call(&self, x: &str, hang_up: Duration) -> (Vec<EventKind>, Report) {
        self.call_from(CALLER, x, hang_up).await
    }

    async fn call_from(
        &self,
        caller: &str,
        x: &str,
        hang_up: Duration,
    ) -> (Vec<EventKind>, Report) {
        let (phone, mut events) = Phone::start(answering(440)).await.expect("a phone");
        let order = Order {
            hang_up: Some(hang_up),
            ..Order::new(self.sip, x, caller)
        };
        phone.call(order).await.expect("it calls");
        let over = until_over(&mut events).await;
        phone.close().await;
        over
    }
}

impl Drop for Demo {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn command(dir: &TempDir, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_maskline"));
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("MASKLINE_")) {
        command.env_remove(name);
    }
    command
        .args(arguments)
        .arg("--data")
        .arg(dir.path().join("data"));
    command.stdin(Stdio::null());
    command
}

#[test]
fn the_two_commands_make_a_masked_call_and_list_it() {
    let demo = Demo::start();
    let x = "17080000000";
    let wav = demo.dir.path().join("heard.wav");
    let record = wav.to_str().expect("UTF-8");
    let made = demo.run(&[
        "call", CALLER, x, "--for", "3", "--record", record, "--json",
    ]);
    let errors = String::from_utf8_lossy(&made.stderr);
    assert_eq!(made.status.code(), Some(0), "{errors}");
    let told = demo.json_lines(&made);
    let answered = told.iter().find(|step| step["event"] == "answered");
    assert_eq!(answered.expect("answered")["shown"], x);
    let over = told
        .iter()
        .find(|step| step["event"] == "over")
        .expect("over");
    assert!(
        over["heard"]["tones_ms"]["1000"].as_u64() >= Some(700),
        "{over}"
    );
    assert!(
        over["heard"]["tones_ms"]["440"].as_u64() >= Some(300),
        "the echo: {over}"
    );
    assert_eq!(over["packets"]["foreign"], 0);
    assert!(std::fs::metadata(&wav).expect("a recording").len() > 40_000);
    let printed = String::from_utf8_lossy(&made.stdout);
    assert!(
        !printed.contains(CALLER),
        "people's numbers are masked: {printed}"
    );

    let listed = demo.run(&["call", "ls", "--json"]);
    let listed: Value = serde_json::from_slice(&listed.stdout).expect("JSON");
    let records = listed["items"]
        .as_array()
        .or(listed.as_array())
        .expect("a list");
    assert_eq!(records.len(), 1, "{listed}");
    assert_eq!(records[0]["x"], x);

    let busy = demo.run(&["call", CALLER, "17080000001"]);
    assert_eq!(busy.status.code(), Some(1));
    let reason = String::from_utf8_lossy(&busy.stderr);
    assert!(
        reason.contains("486") && reason.contains("user busy"),
        "{reason}"
    );
}

#[test]
fn a_call_to_nobody_and_a_wrong_command_are_told_apart() {
    let dir = tempfile::tempdir().expect("a directory");
    let wrong: [&[&str]; 5] = [
        &["call", CALLER],
        &["call", "somebody", "17080000000"],
        &["call", CALLER, "17080000000", "--dtmf", "x"],
        &["call", CALLER, "17080000000", "--play", "/nowhere.wav"],
        &["phone", "--busy", "--hang-up-after", "3"],
    ];
    for arguments in wrong {
        let done = command(&dir, arguments).output().expect("it runs");
        assert_eq!(done.status.code(), Some(2), "{arguments:?}");
    }
    let unlistenable = ["phone", "--listen", "0.0.0.0:0"];
    let done = command(&dir, &unlistenable).output().expect("it runs");
    assert_eq!(done.status.code(), Some(2));
}

/// All at once, since each may hear a prompt to its end before it is refused; each from a number of its
/// own, since a caller may have but few calls at once.
#[tokio::test(flavor = "multi_thread")]
async fn every_special_number_does_what_it_says() {
    let demo = Demo::start();
    let call = |place: u32| {
        let (x, caller) = (format!("1708000000{place}"), format!("1390000000{place}"));
        let demo = &demo;
        async move {
            demo.call_from(&caller, &x, Duration::from_secs(3_600))
                .await
        }
    };
    let (busy, refused, short, off, unreachable) =
        tokio::join!(call(1), call(3), call(4), call(5), call(6));

    for ((_, report), status, cause) in [(&busy, 486, 17), (&refused, 603, 21), (&off, 480, 20)] {
        assert_eq!((report.status, report.cause), (Some(status), Some(cause)));
        assert!(!report.is_answered());
    }
    let (told, report) = off;
    assert!(
        report.early_media && report.heard.tone_ms(950) > 0,
        "{:?}",
        report.heard
    );
    let early = |kind: &EventKind| {
        matches!(
            kind,
            EventKind::Progress {
                early_media: true,
                ..
            }
        )
    };
    assert!(told.iter().any(early));

    // How a caller is told that no carrier could take the call is for the service to say.
    let (_, report) = unreachable;
    assert!(
        matches!(report.status, Some(480 | 500..=503)),
        "{:?}",
        report.status
    );
    assert_eq!(report.cause, Some(27));

    let (_, report) = short;
    assert!(
        (2_500..4_000).contains(&report.talked_ms()),
        "{}",
        report.talked_ms()
    );
    assert_eq!(report.cause, Some(16));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_number_that_never_answers_rings_until_the_caller_gives_up() {
    let demo = Demo::start();
    let (phone, mut events) = Phone::start(answering(440)).await.expect("a phone");
    let order = Order::new(demo.sip, "17080000002", CALLER);
    let call = phone.call(order).await.expect("it calls");
    while !matches!(
        super::next(&mut events).await.kind,
        EventKind::Progress { status: 180, .. }
    ) {}
    phone.hang_up(call).await;
    let (_, report) = until_over(&mut events).await;
    assert!(!report.is_answered());
    phone.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn both_sides_are_shown_x_and_hear_each_other() {
    let demo = Demo::start();
    let x = "17080000000";
    let (callee, mut at_callee) = Phone::start(answering(1_250)).await.expect("a phone");
    let peer = callee.address().to_string();
    let set = demo.run(&["trunk", "set", "sandbox", "--peer", &peer]);
    assert!(
        set.status.success(),
        "{}",
        String::from_utf8_lossy(&set.stderr)
    );
    // Twice as long as what is asked for below: a busy machine stutters.
    let (told, caller) = demo.call(x, Duration::from_secs(4)).await;
    let (_, callee_saw) = until_over(&mut at_callee).await;
    assert_eq!(caller.shown, number(x));
    assert_eq!(
        callee_saw.shown,
        number(x),
        "the callee is shown X and not the caller"
    );
    assert_eq!(callee_saw.dialled, number("15080000000"));
    assert!(caller.heard.tone_ms(1_250) >= 1_500, "{:?}", caller.heard);
    assert!(
        callee_saw.heard.tone_ms(440) >= 1_500,
        "{:?}",
        callee_saw.heard
    );
    let heard = told.iter().find_map(|kind| match kind {
        EventKind::Heard(heard) => Some(*heard),
        _ => None,
    });
    assert_eq!(heard, Some(DetectedSound::Tone(1_250)));
    callee.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_phone_on_the_command_line_is_called_and_ends_after_the_call() {
    let demo = Demo::start();
    let mut waiting = command(
        &demo.dir,
        &["phone", "--listen", ANY, "--once", "--json", "--reveal"],
    )
    .stdout(Stdio::piped())
    .stderr(Stdio::piped())
    .spawn()
    .expect("it starts");
    let mut line = String::new();
    let stderr = waiting.stderr.take().expect("piped");
    BufReader::new(stderr).read_line(&mut line).expect("a line");
    let address = line.split([' ', ';']).find(|word| word.starts_with("127."));
    let address = address.expect("it tells where it waits");
    let set = demo.run(&["trunk", "set", "sandbox", "--peer", address]);
    assert!(set.status.success());
    let x = "17080000000";
    let (_, report) = demo.call(x, Duration::from_secs(1)).await;
    assert!(report.is_answered());
    let done = waiting.wait_with_output().expect("it ends");
    assert_eq!(done.status.code(), Some(0));
    let told = demo.json_lines(&done);
    let incoming = told.iter().find(|step| step["event"] == "incoming");
    assert_eq!(incoming.expect("it was called")["shown"], x);
    let printed = String::from_utf8_lossy(&done.stdout);
    assert!(
        !printed.contains(CALLER),
        "the callee never learns who calls"
    );
}

#[test]
fn an_interrupt_hangs_up_in_order() {
    let demo = Demo::start();
    let mut calling = command(&demo.dir, &["call", CALLER, "17080000000", "--for", "3600"])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("it starts");
    let mut stdout = BufReader::new(calling.stdout.take().expect("piped"));
    let mut until = |words: &str| {
        let mut line = String::new();
        while !line.contains(words) {
            line.clear();
            let length = stdout.read_line(&mut line).expect("text");
            assert!(length > 0, "no `{words}`");
        }
    };
    until("answered");
    let id = calling.id().to_string();
    let sent = Command::new("kill").args(["-s", "INT", &id]).status();
    assert!(sent.expect("kill").success());
    until("-> BYE");
    until("ended by this phone");
    until("<- 200 OK (BYE)");
    assert_eq!(calling.wait().expect("it ends").code(), Some(0));
}
