//! The processor time of a relayed packet: our media plane with and without recording, a task of tokio for
//! each call, and rtpengine without its kernel module when it is installed, all in one run.
//!
//! `cargo bench -p maskline-media --bench relay`. Each call is 50 packets a second each way, 160 bytes of
//! A-law. What counts is the time that the kernel gave to the threads of the relay alone, for each packet
//! that came through. `MASKLINE_BENCH_CALLS` (a list, as in `100,300`) and `MASKLINE_BENCH_SECONDS` change
//! the size, `MASKLINE_BENCH_DIR` the disk. All traffic stays on the loopback address.

use maskline_fixtures::sip::media_end;
use std::error::Error;
use std::fs;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use maskline_media::prompts::Language;
use maskline_media::unheard::Limits;
use maskline_media::{Config, MediaPlane, recorder};
use maskline_sip::relay::{LeaseRequest, MediaEnd, MediaPath, RecordingRequest};
use maskline_sip::rtp::Packet;
use tokio::sync::mpsc;

type Outcome<T> = Result<T, Box<dyn Error + Send + Sync>>;

const LOCAL: Ipv4Addr = Ipv4Addr::LOCALHOST;
const FIRST_PORT: u16 = 31_000;
const PACKETS_PER_S: u64 = 50;
/// Traffic before it is measured, so that everything is warm.
const WARM_UP: Duration = Duration::from_secs(2);
const ROUNDS: usize = 3;

fn main() -> Outcome<()> {
    let calls = std::env::var("MASKLINE_BENCH_CALLS").unwrap_or_else(|_| "100,300".to_owned());
    let calls: Vec<usize> = calls.split(',').map(str::parse).collect::<Result<_, _>>()?;
    let seconds = std::env::var("MASKLINE_BENCH_SECONDS");
    let seconds = seconds.map_or(Ok(5), |seconds| seconds.parse())?;
    let folder = match std::env::var_os("MASKLINE_BENCH_DIR") {
        Some(dir) => tempfile::tempdir_in(dir)?,
        None => tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR"))?,
    };
    let has_rtpengine = Command::new("rtpengine").arg("--version").output().is_ok();
    if !has_rtpengine {
        println!("rtpengine is not installed (Debian: rtpengine-daemon); no comparison with it");
    }
    println!(
        "bare receiving and sending of a packet, nothing else: {:.2} microseconds",
        floor_us()?
    );
    println!(
        "microseconds a packet, median of {ROUNDS} rounds of {seconds} s [least - most], and lost"
    );
    for calls in calls {
        let mut rows: Vec<(&str, Vec<Measured>)> = [
            "media plane",
            "with recording",
            "tokio task a call",
            "rtpengine",
        ]
        .map(|name| (name, Vec::new()))
        .into();
        for round in 0..ROUNDS {
            let duration = Duration::from_secs(seconds);
            let recordings = folder.path().join(format!("{calls}-{round}"));
            rows[0].1.push(plane(calls, None, duration)?);
            rows[1].1.push(plane(calls, Some(&recordings), duration)?);
            fs::remove_dir_all(&recordings)?;
            rows[2].1.push(tokio_relay(calls, duration)?);
            if has_rtpengine {
                rows[3].1.push(rtpengine(calls, duration)?);
            }
        }
        let theirs = median(&rows[3].1);
        for (name, measured) in &rows {
            print_row(calls, name, measured, theirs);
        }
    }
    Ok(())
}

struct Measured {
    us_per_packet: f64,
    lost: f64,
}

fn median(rows: &[Measured]) -> Option<f64> {
    let mut times: Vec<f64> = rows.iter().map(|row| row.us_per_packet).collect();
    times.sort_by(f64::total_cmp);
    times.get(times.len() / 2).copied()
}

fn print_row(calls: usize, name: &str, rows: &[Measured], theirs: Option<f64>) {
    let Some(middle) = median(rows) else {
        return;
    };
    let times = || rows.iter().map(|row| row.us_per_packet);
    let (least, most) = (
        times().fold(f64::MAX, f64::min),
        times().fold(0.0, f64::max),
    );
    let lost = rows.iter().map(|row| row.lost).fold(0.0, f64::max);
    let ratio = theirs.map_or(String::new(), |theirs| {
        format!("  {:.2} of rtpengine", middle / theirs)
    });
    println!(
        "{calls:>5} calls  {name:<18} {middle:>6.2} [{least:.2} - {most:.2}]  {:.3} %{ratio}",
        lost * 100.0
    );
}

/// Whose time is measured.
enum Whose {
    /// The threads of this process whose names begin so.
    Threads(&'static [&'static str]),
    /// All threads of another process.
    Process(u32),
}

impl Whose {
    fn cpu_ns(&self) -> io::Result<u64> {
        let pid = match self {
            Self::Threads(_) => std::process::id(),
            Self::Process(pid) => *pid,
        };
        let mut sum = 0;
        for task in fs::read_dir(format!("/proc/{pid}/task"))? {
            let task = task?.path();
            // A thread may end meanwhile.
            let Ok(name) = fs::read_to_string(task.join("comm")) else {
                continue;
            };
            let counts = match self {
                Self::Threads(names) => names.iter().any(|begin| name.starts_with(begin)),
                Self::Process(_) => true,
            };
            if counts && let Ok(times) = fs::read_to_string(task.join("schedstat")) {
                sum += times
                    .split(' ')
                    .next()
                    .and_then(|ns| ns.parse().ok())
                    .unwrap_or(0);
            }
        }
        Ok(sum)
    }
}

/// All callers are one socket, all callees another: what tells calls apart is the port they send to.
struct Phones {
    caller: Arc<UdpSocket>,
    callee: Arc<UdpSocket>,
    heard: Arc<AtomicU64>,
    stop: Arc<AtomicBool>,
    listeners: Vec<JoinHandle<()>>,
}

impl Phones {
    fn start() -> Outcome<Self> {
        let heard = Arc::new(AtomicU64::new(0));
        let stop = Arc::new(AtomicBool::new(false));
        let socket = || -> io::Result<Arc<UdpSocket>> {
            let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::DGRAM, None)?;
            socket.set_recv_buffer_size(4 << 20)?;
            socket.set_nonblocking(true)?;
            socket.bind(&SocketAddr::from((LOCAL, 0)).into())?;
            Ok(Arc::new(socket.into()))
        };
        let (caller, callee) = (socket()?, socket()?);
        let listen = |socket: &Arc<UdpSocket>| {
            let (socket, heard, stop) = (Arc::clone(socket), Arc::clone(&heard), Arc::clone(&stop));
            std::thread::spawn(move || {
                let mut bytes = [0; 2_000];
                while !stop.load(Ordering::Relaxed) {
                    while socket.recv(&mut bytes).is_ok() {
                        heard.fetch_add(1, Ordering::Relaxed);
                    }
                    // Never asleep in the socket: a network card is not woken by each packet either, and
                    // here the relay would pay for waking us.
                    std::thread::sleep(Duration::from_millis(2));
                }
            })
        };
        Ok(Self {
            listeners: vec![listen(&caller), listen(&callee)],
            caller,
            callee,
            heard,
            stop,
        })
    }

    fn path(&self) -> Outcome<MediaPath> {
        let end =
            |socket: &UdpSocket| -> io::Result<MediaEnd> { Ok(media_end(socket.local_addr()?)) };
        Ok(MediaPath {
            caller: Some(end(&self.caller)?),
            callee: Some(end(&self.callee)?),
        })
    }

    /// Talks in all calls, whose ports these are, and measures what `whose` threads need for it.
    fn talk(
        self,
        ports: &[(SocketAddr, SocketAddr)],
        whose: &Whose,
        duration: Duration,
    ) -> Outcome<Measured> {
        self.send(ports, WARM_UP)?;
        std::thread::sleep(Duration::from_millis(200));
        let (cpu_ns, heard) = (whose.cpu_ns()?, self.heard.load(Ordering::Relaxed));
        let sent = self.send(ports, duration)?;
        std::thread::sleep(Duration::from_millis(200));
        let cpu_ns = whose.cpu_ns()? - cpu_ns;
        let heard = self.heard.load(Ordering::Relaxed) - heard;
        self.stop.store(true, Ordering::Relaxed);
        for listener in self.listeners {
            listener.join().map_err(|_| "a listener panicked")?;
        }
        Ok(Measured {
            us_per_packet: cpu_ns as f64 / 1_000.0 / heard.max(1) as f64,
            lost: 1.0 - heard as f64 / sent as f64,
        })
    }

    /// Sends evenly; gives how many packets that were.
    fn send(&self, ports: &[(SocketAddr, SocketAddr)], duration: Duration) -> io::Result<u64> {
        let per_s = ports.len() as u64 * 2 * PACKETS_PER_S;
        let total = per_s * duration.as_millis() as u64 / 1_000;
        let mut bytes = Vec::new();
        let begun = Instant::now();
        let mut sent = 0;
        while sent < total {
            let due = (begun.elapsed().as_micros() as u64 * per_s / 1_000_000).min(total);
            while sent < due {
                let (pair, side) = (sent / 2 % ports.len() as u64, sent % 2);
                let turn = sent / (ports.len() as u64 * 2);
                let (to_caller, to_callee) = ports[pair as usize];
                let (socket, to) = match side {
                    0 => (&self.caller, to_caller),
                    _ => (&self.callee, to_callee),
                };
                Packet {
                    marker: false,
                    payload_type: 8,
                    sequence: turn as u16,
                    timestamp: turn as u32 * 160,
                    ssrc: 7,
                    payload: &[0x55; 160],
                }
                .write(&mut bytes);
                // What the kernel does not take counts as lost.
                let _ = socket.send_to(&bytes, to);
                sent += 1;
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        Ok(sent)
    }
}

fn plane(calls: usize, recordings: Option<&Path>, duration: Duration) -> Outcome<Measured> {
    let phones = Phones::start()?;
    let (told, _news) = mpsc::channel(1_000);
    let config = Config {
        ports: (FIRST_PORT, FIRST_PORT + 9_999),
        threads: 1,
        recordings: recordings.map(|directory| recorder::Config {
            directory: directory.to_path_buf(),
            free_min_bytes: 0,
        }),
        bind: LOCAL.into(),
        advertised: None,
        others: Vec::new(),
        silence_max: Duration::from_secs(30),
        hold_silence_max: Duration::from_secs(300),
        unheard: Limits::for_calls(4_096),
        languages: vec![Language::Chinese, Language::English],
        prompts: None,
    };
    let plane = MediaPlane::start(config, told)?;
    let mut ports = Vec::new();
    for call in 0..calls as u64 {
        let lease = plane
            .lease(call.into(), &LeaseRequest::default())
            .ok_or("no ports")?;
        plane.relay(call.into(), phones.path()?);
        if recordings.is_some() {
            let file = format!("day/{call}.wav");
            plane.record(call.into(), RecordingRequest { file });
        }
        ports.push((lease.caller, lease.callee));
    }
    phones.talk(&ports, &Whose::Threads(&["media-", "recorder"]), duration)
}

/// What no relay can do without: a packet is taken from a socket and sent to one where nobody waits.
fn floor_us() -> Outcome<f64> {
    const TURNS: usize = 300;
    const PACKETS: usize = 100;
    let bind = || UdpSocket::bind((LOCAL, 0));
    let (from, relay, to) = (bind()?, bind()?, bind()?);
    relay.set_nonblocking(true)?;
    to.set_nonblocking(true)?;
    let (relay_at, to_at) = (relay.local_addr()?, to.local_addr()?);
    let mut bytes = [0; 172];
    let mut spent_ns = 0;
    let spent = || -> Outcome<u64> {
        let times = fs::read_to_string("/proc/thread-self/schedstat")?;
        Ok(times.split(' ').next().unwrap_or_default().parse()?)
    };
    for _ in 0..TURNS {
        for _ in 0..PACKETS {
            from.send_to(&bytes, relay_at)?;
        }
        let begun = spent()?;
        for _ in 0..PACKETS {
            let length = relay.recv(&mut bytes)?;
            relay.send_to(&bytes[..length], to_at)?;
        }
        spent_ns += spent()? - begun;
        while to.recv(&mut bytes).is_ok() {}
    }
    Ok(spent_ns as f64 / 1_000.0 / (TURNS * PACKETS) as f64)
}

/// What we had before: two sockets and a task for each call, on one thread.
fn tokio_relay(calls: usize, duration: Duration) -> Outcome<Measured> {
    let phones = Phones::start()?;
    let (caller_at, callee_at) = (phones.caller.local_addr()?, phones.callee.local_addr()?);
    let (told, ports) = std::sync::mpsc::channel();
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let thread = std::thread::Builder::new()
        .name("tokio-relay".into())
        .spawn(move || -> io::Result<()> {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()?;
            runtime.block_on(async {
                for _ in 0..calls {
                    let caller = tokio::net::UdpSocket::bind((LOCAL, 0)).await?;
                    let callee = tokio::net::UdpSocket::bind((LOCAL, 0)).await?;
                    let _ = told.send((caller.local_addr()?, callee.local_addr()?));
                    tokio::spawn(pass_on(caller, callee, caller_at, callee_at));
                }
                drop(told);
                let _ = stopped.await;
                Ok(())
            })
        })?;
    let ports: Vec<_> = ports.iter().collect();
    let measured = phones.talk(&ports, &Whose::Threads(&["tokio-relay"]), duration);
    drop(stop);
    thread.join().map_err(|_| "the relay panicked")??;
    measured
}

async fn pass_on(
    caller: tokio::net::UdpSocket,
    callee: tokio::net::UdpSocket,
    caller_at: SocketAddr,
    callee_at: SocketAddr,
) {
    let (mut from_caller, mut from_callee) = ([0; 1_500], [0; 1_500]);
    let mut fresh = Vec::new();
    loop {
        let (got, from, out, to) = tokio::select! {
            got = caller.recv_from(&mut from_caller) => (got, &from_caller, &callee, callee_at),
            got = callee.recv_from(&mut from_callee) => (got, &from_callee, &caller, caller_at),
        };
        if let Ok((length, _)) = got
            && let Some(packet) = Packet::parse(&from[..length])
        {
            packet.write(&mut fresh);
            let _ = out.try_send_to(&fresh, to);
        }
    }
}

/// An rtpengine of our own, ended when it is dropped.
struct Rtpengine(Child);

impl Drop for Rtpengine {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn rtpengine(calls: usize, duration: Duration) -> Outcome<Measured> {
    let phones = Phones::start()?;
    let control = UdpSocket::bind((LOCAL, 0))?;
    control.set_read_timeout(Some(Duration::from_millis(500)))?;
    // A port that is free now is very likely free in a moment.
    let listen = UdpSocket::bind((LOCAL, 0))?.local_addr()?;
    let last_port = FIRST_PORT + 9_999;
    let child = Command::new("rtpengine")
        .args([
            "--table=-1",
            "--config-file=none",
            "--interface=127.0.0.1",
            "--foreground",
        ])
        .args([
            "--log-stderr",
            "--log-level=3",
            "--num-threads=1",
            "--delete-delay=0",
        ])
        .arg(format!("--listen-ng={listen}"))
        .arg(format!("--port-min={FIRST_PORT}"))
        .arg(format!("--port-max={last_port}"))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()?;
    let engine = Rtpengine(child);
    control.connect(listen)?;
    let mut asked = 0;
    let mut ask = |words: &[(&str, &str)]| -> Outcome<String> {
        asked += 1;
        let body: String = words
            .iter()
            .flat_map(|(key, value)| [key, value])
            .map(|word| format!("{}:{word}", word.len()))
            .collect();
        let mut bytes = [0; 4_000];
        for _ in 0..20 {
            control.send(format!("{asked} d{body}e").as_bytes())?;
            if let Ok(length) = control.recv(&mut bytes) {
                return Ok(String::from_utf8_lossy(&bytes[..length]).into_owned());
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        Err("rtpengine does not answer".into())
    };
    ask(&[("command", "ping")])?;
    let sdp = |socket: &UdpSocket| -> io::Result<String> {
        let port = socket.local_addr()?.port();
        Ok(format!(
            "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio {port} RTP/AVP 8\r\na=rtpmap:8 PCMA/8000\r\n"
        ))
    };
    let (caller, callee) = (sdp(&phones.caller)?, sdp(&phones.callee)?);
    let port = |answer: &str| -> Outcome<SocketAddr> {
        let port = answer
            .split("m=audio ")
            .nth(1)
            .and_then(|rest| rest.split(' ').next());
        let port = port
            .ok_or_else(|| format!("rtpengine says {answer}"))?
            .parse()?;
        Ok(SocketAddr::from((LOCAL, port)))
    };
    let mut ports = Vec::new();
    for call in 0..calls {
        let id = format!("call-{call}");
        let names = [
            ("call-id", id.as_str()),
            ("from-tag", "a"),
            ("ICE", "remove"),
        ];
        let offer = [names.as_slice(), &[("command", "offer"), ("sdp", &caller)]].concat();
        let to_callee = port(&ask(&offer)?)?;
        let answer = [
            names.as_slice(),
            &[("command", "answer"), ("to-tag", "b"), ("sdp", &callee)],
        ]
        .concat();
        let to_caller = port(&ask(&answer)?)?;
        ports.push((to_caller, to_callee));
    }
    phones.talk(&ports, &Whose::Process(engine.0.id()), duration)
}
