//! Calls over real sockets and a real data directory: a phone dials X, a phone of the demo answers, sound passes,
//! and one row remains.

mod calls_handle;
mod phone;
mod ways_out;

use crate::support::{open, sealer};
use maskline_domain::call_record::{CallRecord, NODE_LOST};
use maskline_domain::ops::SetTrunk;
use maskline_domain::{BindRequest, Command, Product, Trunk, TrunkName};
use maskline_fixtures::domain::{POOL, bind_request, founding, number, operator};
use maskline_server::calls::demo_phones::{self, DemoPhones};
use maskline_server::calls::{self, CallsHandle, Config, Serving};
use maskline_server::clocks;
use maskline_server::config::{self, Inputs};
use maskline_server::ledger::{Ledger, Running};
use maskline_server::seal::{Secret, TrunkSecret};
use maskline_server::serve::call_config;
use maskline_sip::g711::ALAW_1KHZ;
use maskline_store::records::call::{self, Filter};
use phone::{Phone, Said};
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream, UdpSocket};
use tokio_util::sync::CancellationToken;

const X: &str = "17000000001";
const A: &str = "13933334444";
const N: &str = "13811112222";

fn local(port: u16) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], port))
}

/// A server with one AXN binding, and phones of the demo behind its one trunk.
struct CallsFixture {
    ledger: Ledger,
    running: Running,
    serving: Serving,
    calls_handle: CallsHandle,
    demo_phones: DemoPhones,
    stop: CancellationToken,
    /// The phone outlives the server, as phones do.
    stop_demo_phones: CancellationToken,
}

/// As the program has it, with ports that are free.
async fn config(dir: &Path, boot: &str) -> Config {
    let inputs = Inputs {
        flags: vec![
            ("--data", "data", dir.display().to_string()),
            ("--sip", "sip.listen", local(0).to_string()),
        ],
        ..Inputs::default()
    };
    let loaded = config::load(&inputs).expect("good settings");
    let made = call_config(&loaded, boot.to_owned(), 100).await;
    made.expect("an address")
}

impl CallsFixture {
    async fn open(dir: &Path, boot: &str, rtp_first: u16) -> Self {
        Self::with(dir, boot, rtp_first, Duration::from_secs(30)).await
    }

    async fn with(dir: &Path, boot: &str, rtp_first: u16, drain_timeout: Duration) -> Self {
        let (ledger, running) = open(dir).await;
        let (stop, stop_demo_phones) = (CancellationToken::new(), CancellationToken::new());
        let demo_phones = demo_phones::start(local(0), local(0), stop_demo_phones.clone())
            .await
            .expect("the phones start");
        set_up(&ledger, demo_phones.address).await;
        let calls_handle = CallsHandle::default();
        let mut config = Config {
            calls_handle: calls_handle.clone(),
            drain_timeout,
            sealer: Some(Arc::new(sealer())),
            ..config(dir, boot).await
        };
        config.media.ports = (rtp_first, rtp_first + 39);
        let serving = calls::serve(config, ledger.clone(), ledger.call_records(), stop.clone())
            .await
            .expect("calls are served");
        Self {
            ledger,
            running,
            serving,
            calls_handle,
            demo_phones,
            stop,
            stop_demo_phones,
        }
    }

    async fn close(self) {
        self.stop.cancel();
        self.serving.task.await.expect("no panic");
        self.stop_demo_phones.cancel();
        self.demo_phones.task.await.expect("no panic");
        drop(self.ledger);
        self.running.close().await;
    }

    async fn set_trunk(&self, trunk: Trunk) {
        let set = self.ledger.submit(operator(SetTrunk(Box::new(trunk))));
        set.await.expect("a trunk as it should be");
    }

    async fn records(&self) -> Vec<(CallRecord, bool)> {
        records(&self.ledger).await
    }

    /// Waits until the one call there is has been closed.
    async fn only_closed_record(&self) -> CallRecord {
        loop {
            match &self.records().await[..] {
                [(record, false)] => return record.clone(),
                [] | [(_, true)] => tokio::task::yield_now().await,
                more => panic!("one call makes one row, not {}", more.len()),
            }
        }
    }
}

async fn records(ledger: &Ledger) -> Vec<(CallRecord, bool)> {
    call::list(
        ledger.readers(),
        &Filter {
            limit: 10,
            ..Filter::default()
        },
    )
    .await
    .expect("the records can be read")
    .rows
    .into_iter()
    .map(|listed| listed.expect("whole"))
    .collect()
}

async fn set_up(ledger: &Ledger, peer: SocketAddr) {
    let sandbox = Trunk::new(TrunkName::new("sandbox"), peer.to_string());
    let bind = BindRequest {
        x: Some(number(X)),
        expires_at: clocks::read().wall.plus_secs(3_600),
        ..bind_request(POOL, Product::Axn, number(A), None)
    };
    let further = [
        operator(Command::SetTrunk(SetTrunk(Box::new(sandbox)))),
        operator(Command::Bind(Box::new(bind))),
    ];
    // X is the second of these.
    for command in founding(2).into_iter().chain(further) {
        // The second start finds everything there, and the number bound.
        let _ = ledger.submit(command).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_to_x_is_answered_heard_both_ways_and_recorded() {
    let dir = TempDir::new().expect("a directory");
    let fixture = CallsFixture::open(dir.path(), "boot 1", 47_400).await;
    let mut phone = Phone::new(fixture.serving.address).await;
    phone.dial(X, N).await;
    assert_eq!(phone.next_event().await, Said::Progress(180));
    assert_eq!(phone.next_event().await, Said::Answered);
    let tone = phone.hear().await;
    assert_eq!(
        tone.payload,
        ALAW_1KHZ.repeat(20),
        "the sandbox gives a tone"
    );
    phone.speak_until_heard(b"a word of mine").await;
    phone.hang_up().await;
    let record = fixture.only_closed_record().await;
    assert_eq!(
        (record.x, record.caller, record.callee),
        (Some(number(X)), Some(number(N)), Some(number(A)))
    );
    assert_eq!(record.situation.as_deref(), Some("hung_up"));
    assert_eq!(
        (record.release_by.as_deref(), record.sip_status),
        (Some("caller"), Some(200))
    );
    assert_eq!(record.one_way, Some(false));
    assert!(
        record
            .media
            .is_some_and(|media| media.contains("\"lost\":0"))
    );
    fixture.close().await;
    let (ledger, running) = open(dir.path()).await;
    assert_eq!(
        records(&ledger).await.len(),
        1,
        "the row is there after a restart"
    );
    drop(ledger);
    running.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_to_a_number_without_binding_is_refused_and_recorded() {
    let dir = TempDir::new().expect("a directory");
    let fixture = CallsFixture::open(dir.path(), "boot 1", 47_440).await;
    let mut phone = Phone::new(fixture.serving.address).await;
    phone.dial(X, X).await;
    assert_eq!(
        phone.next_event().await,
        Said::Refused(482, Some(25)),
        "X cannot call itself"
    );
    let record = fixture.only_closed_record().await;
    assert_eq!(record.situation.as_deref(), Some("loop"));
    phone.dial("17000000009", N).await;
    assert_eq!(
        phone.next_event().await,
        Said::Refused(404, Some(1)),
        "somebody else's number"
    );
    assert_eq!(
        fixture.records().await.len(),
        1,
        "which is none of our business"
    );
    fixture.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_died_with_its_process_is_closed_at_the_next_start() {
    let dir = TempDir::new().expect("a directory");
    let fixture = CallsFixture::open(dir.path(), "boot 1", 47_480).await;
    let mut phone = Phone::new(fixture.serving.address).await;
    phone.dial(X, N).await;
    assert_eq!(phone.next_event().await, Said::Progress(180));
    assert_eq!(phone.next_event().await, Said::Answered);
    let CallsFixture {
        ledger,
        running,
        serving,
        demo_phones,
        ..
    } = fixture;
    // As near to a kill as a test within the process comes: nothing is said or written any more.
    serving.task.abort();
    demo_phones.task.abort();
    assert!(records(&ledger).await[0].1, "the row is open");
    drop(ledger);
    running.close().await;
    let fixture = CallsFixture::open(dir.path(), "boot 2", 47_480).await;
    let record = fixture.only_closed_record().await;
    assert_eq!(record.situation.as_deref(), Some(NODE_LOST));
    fixture.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn stopping_lets_a_call_end_by_itself() {
    let dir = TempDir::new().expect("a directory");
    let fixture = CallsFixture::open(dir.path(), "boot 1", 47_520).await;
    let mut phone = Phone::new(fixture.serving.address).await;
    phone.dial(X, N).await;
    assert_eq!(phone.next_event().await, Said::Progress(180));
    assert_eq!(phone.next_event().await, Said::Answered);
    let mut late = Phone::new(fixture.serving.address).await;
    fixture.stop.cancel();
    // The wish to stop takes a moment to be heard.
    while {
        late.dial(X, N).await;
        late.next_event().await != Said::Refused(503, Some(42))
    } {
        late.hang_up().await;
    }
    assert!(
        !fixture.serving.task.is_finished(),
        "the call that stands goes on"
    );
    phone.hang_up().await;
    fixture.close().await;
}

/// Reads a stream until a response with this status and method has come, and returns that.
async fn response(stream: &mut TcpStream, held: &mut String, begin: &str, method: &str) -> String {
    loop {
        let found = held
            .split_inclusive("\r\n\r\n")
            .find(|message| message.contains(begin) && message.contains(&format!(" {method}\r\n")));
        if let Some(found) = found {
            let found = found.to_owned();
            held.clear();
            return found;
        }
        let mut bytes = [0; 4_096];
        let length = stream.read(&mut bytes).await.expect("it can be read");
        assert!(length > 0, "the server closed it: {held}");
        held.push_str(&String::from_utf8_lossy(&bytes[..length]));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_over_tcp_reaches_a_callee_over_udp() {
    let dir = TempDir::new().expect("a directory");
    let fixture = CallsFixture::open(dir.path(), "boot 1", 47_560).await;
    let mut stream = TcpStream::connect(fixture.serving.address)
        .await
        .expect("TCP is taken at the same port");
    let own = stream.local_addr().expect("connected");
    let sdp = format!(
        "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio {} RTP/AVP 8\r\n",
        own.port()
    );
    let request = |method: &str, cseq: u8, to: &str, body: &str| {
        let kind = if body.is_empty() {
            ""
        } else {
            "Content-Type: application/sdp\r\n"
        };
        format!(
            "{method} sip:{X}@127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/TCP {own};branch=z9hG4bK{cseq}{method}\r\n\
             From: <sip:{N}@127.0.0.1>;tag=a\r\n{to}Call-ID: over-tcp\r\nCSeq: {cseq} {method}\r\n\
             Contact: <sip:{N}@{own};transport=tcp>\r\n{kind}Content-Length: {}\r\n\r\n{body}",
            body.len()
        )
    };
    let to = format!("To: <sip:{X}@127.0.0.1>\r\n");
    let mut held = String::new();
    stream
        .write_all(request("INVITE", 1, &to, &sdp).as_bytes())
        .await
        .expect("sent");
    let ok = response(&mut stream, &mut held, "SIP/2.0 200 OK", "INVITE").await;
    assert!(ok.contains(";transport=tcp>"), "{ok}");
    assert!(ok.contains("Via: SIP/2.0/TCP"), "{ok}");
    let to = ok
        .split_inclusive("\r\n")
        .find(|line| line.starts_with("To:"))
        .expect("a To");
    let ack = request("ACK", 1, to, "");
    let bye = request("BYE", 2, to, "");
    stream
        .write_all(format!("{ack}{bye}").as_bytes())
        .await
        .expect("both at once");
    response(&mut stream, &mut held, "SIP/2.0 200 OK", "BYE").await;
    let record = fixture.only_closed_record().await;
    assert_eq!(record.situation.as_deref(), Some("hung_up"));
    assert_eq!(record.callee, Some(number(A)));
    fixture.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trunk_may_connect_from_each_of_its_sources() {
    let dir = TempDir::new().expect("a directory");
    let fixture = CallsFixture::open(dir.path(), "boot 1", 47_600).await;
    let trunk = Trunk {
        sources: vec![[127, 0, 0, 2].into()],
        ..Trunk::new(TrunkName::new("far"), "127.0.0.3:5060")
    };
    fixture.set_trunk(trunk).await;
    fixture.close().await;
    let fixture = CallsFixture::open(dir.path(), "boot 2", 47_600).await;
    let socket = TcpSocket::new_v4().expect("a socket");
    let own = SocketAddr::from(([127, 0, 0, 2], 0));
    socket.bind(own).expect("loopback has many addresses");
    let mut stream = socket
        .connect(fixture.serving.address)
        .await
        .expect("taken");
    let options = format!(
        "OPTIONS sip:127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/TCP 127.0.0.2:5060;branch=z9hG4bKo\r\n\
         From: <sip:{N}@127.0.0.2>;tag=a\r\nTo: <sip:127.0.0.1>\r\nCall-ID: by-source\r\nCSeq: 1 OPTIONS\r\n\
         Content-Length: 0\r\n\r\n"
    );
    let sent = stream.write_all(options.as_bytes()).await;
    sent.expect("sent");
    let mut held = String::new();
    response(&mut stream, &mut held, "SIP/2.0 200 OK", "OPTIONS").await;
    drop(stream);
    fixture.close().await;
}

/// Takes one REGISTER and grants it.
async fn grant(registrar: &UdpSocket) -> String {
    let mut bytes = [0; 4_096];
    let (length, from) = registrar.recv_from(&mut bytes).await.expect("a request");
    let register = String::from_utf8_lossy(&bytes[..length]).into_owned();
    let repeated = ["Via:", "From:", "To:", "Call-ID:", "CSeq:", "Contact:"];
    let head: String = register
        .lines()
        .filter(|line| repeated.iter().any(|name| line.starts_with(name)))
        .map(|line| match line.starts_with("To:") {
            true => format!("{line};tag=t\r\n"),
            false => format!("{line}\r\n"),
        })
        .collect();
    let ok = format!("SIP/2.0 200 OK\r\n{head}Content-Length: 0\r\n\r\n");
    let sent = registrar.send_to(ok.as_bytes(), from).await;
    sent.expect("sent");
    register
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drained_server_gives_its_registrations_up() {
    let dir = TempDir::new().expect("a directory");
    let fixture = CallsFixture::open(dir.path(), "boot 1", 47_640).await;
    let registrar = UdpSocket::bind(local(0)).await.expect("a socket");
    let name = TrunkName::new("carrier");
    let secret = Secret::new(b"password".to_vec());
    let sealed = sealer().seal_for_trunk(&name, TrunkSecret::Auth, &secret);
    let peer = registrar.local_addr().expect("bound").to_string();
    let trunk = Trunk {
        auth: Some(maskline_domain::trunk::Credentials {
            username: "us".into(),
            sealed_secret: sealed.expect("there is randomness").into(),
        }),
        register: Some(maskline_domain::trunk::Register {
            registrar: "carrier.example".into(),
            expires_s: 600,
        }),
        ..Trunk::new(name, peer)
    };
    fixture.set_trunk(trunk).await;
    let first = grant(&registrar).await;
    assert!(first.contains("\r\nExpires: 600\r\n"), "{first}");
    // The server has heard it.
    while fixture
        .calls_handle
        .trunk("carrier")
        .and_then(|trunk| trunk.reachable)
        != Some(true)
    {
        tokio::task::yield_now().await;
    }
    fixture.calls_handle.drain();
    let last = grant(&registrar).await;
    assert!(last.contains("\r\nExpires: 0\r\n"), "{last}");
    fixture.close().await;
}
