//! A small telephone: it calls and is called over SIP, speaks, listens, and tells step by step what it
//! saw. `maskline phone` and `maskline call` are made of it, the demo's sandbox is a set of them, and tests
//! use it as a user agent that is not the service.
//!
//! [`machine`] is the phone without sockets or clocks; here are its sockets. [`voice`] is the sound of one
//! call, from [`sound`] (what it says) to [`tone_detector`] (what it hears); [`reply`] says how it
//! takes calls, [`event`] what it tells.
//!
//! ```no_run
//! # use maskline_softphone::{Options, Order, Phone, EventKind};
//! # async fn example() -> std::io::Result<()> {
//! let (phone, mut events) = Phone::start(Options::new("127.0.0.1:0".parse().unwrap())).await?;
//! let order = Order::new("127.0.0.1:5060".parse().unwrap(), "17000000001", "13900000000");
//! phone.call(order).await;
//! while let Some(event) = events.recv().await {
//!     if let EventKind::Over(report) = event.kind {
//!         println!("talked for {} ms", report.talked_ms());
//!         break;
//!     }
//! }
//! # Ok(())
//! # }
//! ```

pub mod event;
pub mod machine;
pub mod reply;
pub mod sound;
pub mod sound_files;
pub mod tone_detector;
pub mod voice;

pub use event::{EndedBy, Event, EventKind, MessageSummary, Report, Way};
pub use machine::{Order, Settings};
pub use maskline_sip::endpoint::LegId;
pub use reply::{Answering, Reply};
pub use sound::Sound;
pub use tone_detector::DetectedSound;

use machine::{Input, Machine, Output};
use maskline_sip::time::Time;
use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::UdpSocket;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::Instant;

/// Events that wait for whoever listens. Beyond it they are lost, which a listener that reads never sees.
const EVENTS_MAX: usize = 4_096;
/// Commands, and packets of sound, that wait for the phone.
const COMMANDS_MAX: usize = 64;
const PACKETS_MAX: usize = 1_024;
const DATAGRAM_BYTES_MAX: usize = 65_535;
const PACKET_BYTES_MAX: usize = 2_048;
/// Half of the ports that the system gives are odd.
const PAIR_TRIES_MAX: u32 = 100;
/// How long the end of the phone waits for the other sides to confirm the ends of its calls.
const CLOSING_MAX: Duration = Duration::from_secs(2);
/// After that a last answer may be asked for again.
const CLOSING_QUIET: Duration = Duration::from_millis(100);

/// How a phone is started.
#[derive(Clone, Debug)]
pub struct Options {
    /// How it behaves. Its advertised address is where it listens; port 0 takes a free one.
    pub settings: Settings,
    /// Where what it hears is recorded: the first call in this file, each further one in a file of the
    /// same name with `-2`, `-3` and so on.
    pub record: Option<PathBuf>,
}

impl Options {
    /// See [`Settings::new`]; nothing is recorded.
    pub fn new(listen: SocketAddr) -> Self {
        Self {
            settings: Settings::new(listen),
            record: None,
        }
    }
}

impl Order {
    /// A plain call: `to` is dialled at `server`, `from` is shown.
    pub fn new(server: SocketAddr, to: &str, from: &str) -> Self {
        Self {
            server,
            to: to.to_owned(),
            from: from.to_owned(),
            play: None,
            keys: String::new(),
            hang_up: None,
        }
    }
}

/// A phone that is running. It ends when this is dropped, then without a word to the other sides.
#[derive(Debug)]
pub struct Phone {
    address: SocketAddr,
    commands: mpsc::Sender<Command>,
    task: JoinHandle<()>,
}

enum Command {
    Dial(Box<Order>, oneshot::Sender<LegId>),
    Do(Input<'static>),
    Calls(oneshot::Sender<usize>),
    /// End all calls, then the phone.
    Close,
    /// End when the calls are over by themselves, but after so long in any case.
    Finish(Duration),
}

impl Phone {
    /// Starts a phone. What it sees comes as events; nobody needs to read them.
    ///
    /// # Errors
    /// When the address cannot be bound, or the system has no randomness to give.
    pub async fn start(options: Options) -> io::Result<(Self, mpsc::Receiver<Event>)> {
        let Options {
            mut settings,
            record,
        } = options;
        let socket = UdpSocket::bind(settings.advertised).await?;
        let address = socket.local_addr()?;
        settings.advertised = address;
        settings.records = record.is_some();
        let mut seed = [0; 32];
        getrandom::fill(&mut seed).map_err(|error| io::Error::other(error.to_string()))?;
        let (commands, queue) = mpsc::channel(COMMANDS_MAX);
        let (events, told) = mpsc::channel(EVENTS_MAX);
        let (packets, heard) = mpsc::channel(PACKETS_MAX);
        let shell = Shell {
            machine: Machine::new(settings, seed),
            socket,
            began: Instant::now(),
            lines: BTreeMap::new(),
            record,
            recorded: 0,
            events,
            packets,
        };
        let phone = Self {
            address,
            commands,
            task: tokio::spawn(shell.run(queue, heard)),
        };
        Ok((phone, told))
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Calls somebody; none if the phone has ended.
    pub async fn call(&self, order: Order) -> Option<LegId> {
        let (answer, call) = oneshot::channel();
        let command = Command::Dial(Box::new(order), answer);
        self.commands.send(command).await.ok()?;
        call.await.ok()
    }

    /// Answers a call that rings.
    pub async fn answer(&self, call: LegId) {
        self.command(Input::Answer(call)).await;
    }

    /// Refuses a call that rings.
    pub async fn refuse(&self, call: LegId, status: u16, cause: Option<u8>) {
        self.command(Input::Refuse(call, status, cause)).await;
    }

    /// Ends a call, whatever its state.
    pub async fn hang_up(&self, call: LegId) {
        self.command(Input::HangUp(call)).await;
    }

    /// Presses keys in a call.
    pub async fn press(&self, call: LegId, keys: &str) {
        self.command(Input::Press(call, keys.to_owned())).await;
    }

    /// Says something else in a call.
    pub async fn play(&self, call: LegId, sounds: Vec<Sound>) {
        self.command(Input::Play(call, sounds)).await;
    }

    /// Puts the other side on hold.
    pub async fn hold(&self, call: LegId) {
        self.command(Input::Hold(call)).await;
    }

    /// Talks again.
    pub async fn resume(&self, call: LegId) {
        self.command(Input::Resume(call)).await;
    }

    /// Calls that are not over.
    pub async fn calls(&self) -> usize {
        let (answer, calls) = oneshot::channel();
        // A phone that has ended has none.
        if self.commands.send(Command::Calls(answer)).await.is_err() {
            return 0;
        }
        calls.await.unwrap_or(0)
    }

    /// Hangs up what is left, and ends.
    pub async fn close(self) {
        let _ = self.commands.send(Command::Close).await;
        // A panic has been told by its own message.
        let _ = self.task.await;
    }

    /// Lets the calls end by themselves, and ends with the last of them, but after `wait_max` in any case.
    pub async fn finish(self, wait_max: Duration) {
        let _ = self.commands.send(Command::Finish(wait_max)).await;
        // A panic has been told by its own message.
        let _ = self.task.await;
    }

    async fn command(&self, input: Input<'static>) {
        // A phone that has ended takes no command.
        let _ = self.commands.send(Command::Do(input)).await;
    }
}

/// The sound of one call on a socket, and what is told of it (RTCP) on the next port; both end with this
/// value.
struct Line {
    socket: Arc<UdpSocket>,
    readers: [JoinHandle<()>; 2],
    file: Option<sound_files::Writer>,
}

impl Drop for Line {
    fn drop(&mut self) {
        for reader in &self.readers {
            reader.abort();
        }
    }
}

/// A packet that came to a call.
struct Packet {
    call: LegId,
    from: SocketAddr,
    /// Whether it came to the port for RTCP.
    control: bool,
    bytes: Vec<u8>,
}

struct Shell {
    machine: Machine,
    socket: UdpSocket,
    began: Instant,
    lines: BTreeMap<LegId, Line>,
    record: Option<PathBuf>,
    recorded: u32,
    events: mpsc::Sender<Event>,
    packets: mpsc::Sender<Packet>,
}

impl Shell {
    async fn run(
        mut self,
        mut commands: mpsc::Receiver<Command>,
        mut packets: mpsc::Receiver<Packet>,
    ) {
        let mut bytes = vec![0; DATAGRAM_BYTES_MAX];
        let mut closing: Option<Instant> = None;
        // A new socket counts as full until the system has said otherwise; the first message would be
        // lost. An error shows itself at the first use.
        let _ = self.socket.writable().await;
        loop {
            let wait = self.wait();
            tokio::select! {
                got = self.socket.recv_from(&mut bytes) => if let Ok((length, from)) = got {
                    self.give(Input::Datagram { from, bytes: &bytes[..length] });
                },
                Some(Packet { call, from, control, bytes }) = packets.recv() => {
                    self.give(Input::Media { call, from, control, bytes: &bytes });
                }
                command = commands.recv(), if closing.is_none() => match command {
                    Some(Command::Close) => {
                        self.give(Input::HangUpAll);
                        closing = Some(Instant::now() + CLOSING_MAX);
                    }
                    Some(Command::Finish(wait_max)) => closing = Some(Instant::now() + wait_max),
                    Some(command) => self.carry_out(command),
                    // Nobody has the phone any more.
                    None => return,
                },
                () = tokio::time::sleep(wait.unwrap_or_default()), if wait.is_some() => self.give(Input::Timeout),
                () = until(closing), if closing.is_some() => return,
            }
            if closing.is_some() && !self.machine.is_busy() {
                closing = closing.map(|last| last.min(Instant::now() + CLOSING_QUIET));
            }
        }
    }

    fn now(&self) -> Time {
        let passed = self.began.elapsed().as_millis();
        Time::from_millis(u64::try_from(passed).unwrap_or(u64::MAX))
    }

    fn wait(&self) -> Option<Duration> {
        self.machine.poll_timeout().map(|due| due - self.now())
    }

    fn carry_out(&mut self, command: Command) {
        match command {
            Command::Dial(order, answer) => {
                let call = self.machine.new_call();
                // Before anything that happens in it.
                let _ = answer.send(call);
                self.give(Input::Dial(call, *order));
            }
            Command::Do(input) => self.give(input),
            Command::Calls(answer) => drop(answer.send(self.machine.calls())),
            Command::Close | Command::Finish(_) => {}
        }
    }

    fn give(&mut self, input: Input<'_>) {
        let now = self.now();
        self.machine.handle_input(input, now);
        while let Some(output) = self.machine.poll_output() {
            match output {
                // What the kernel does not take now is repeated, or is one packet of sound less.
                Output::Send { to, bytes } => drop(self.socket.try_send_to(&bytes, to)),
                Output::SendMedia { call, to, bytes } => {
                    if let Some(line) = self.lines.get(&call) {
                        drop(line.socket.try_send_to(&bytes, to));
                    }
                }
                Output::OpenMedia(call) => {
                    let address = self.open(call);
                    if let Err(error) = &address {
                        tracing::warn!(%error, "a call has no sound");
                    }
                    self.machine
                        .handle_input(Input::MediaOpened(call, address.ok()), now);
                }
                Output::Sound(call, samples) => self.record(call, &samples),
                Output::CloseMedia(call) => {
                    let file = self
                        .lines
                        .remove(&call)
                        .and_then(|mut line| line.file.take());
                    if let Some(Err(error)) = file.map(sound_files::Writer::finish) {
                        tracing::warn!(%error, "what was heard is not recorded to its end");
                    }
                }
                // Whoever does not read, does not want to know.
                Output::Tell(event) => drop(self.events.try_send(event)),
            }
        }
    }

    fn open(&mut self, call: LegId) -> io::Result<SocketAddr> {
        let (sound, control) = port_pair(self.socket.local_addr()?.ip())?;
        let address = sound.local_addr()?;
        let file = match &self.record {
            Some(path) => {
                self.recorded += 1;
                Some(sound_files::Writer::create(&numbered(path, self.recorded))?)
            }
            None => None,
        };
        let (socket, control) = (Arc::new(sound), Arc::new(control));
        let read = |socket: &Arc<UdpSocket>, control| {
            tokio::spawn(read(call, socket.clone(), control, self.packets.clone()))
        };
        let line = Line {
            readers: [read(&socket, false), read(&control, true)],
            socket,
            file,
        };
        self.lines.insert(call, line);
        Ok(address)
    }

    fn record(&mut self, call: LegId, samples: &[i16]) {
        let Some(line) = self.lines.get_mut(&call) else {
            return;
        };
        if let Some(file) = &mut line.file
            && let Err(error) = file.add(samples)
        {
            tracing::warn!(%error, "recording ends");
            line.file = None;
        }
    }
}

/// An even port and the next one (RFC 3550 section 11).
fn port_pair(host: IpAddr) -> io::Result<(UdpSocket, UdpSocket)> {
    let bind = |port| {
        let socket = std::net::UdpSocket::bind((host, port))?;
        socket.set_nonblocking(true)?;
        UdpSocket::from_std(socket)
    };
    let mut tries = 0;
    loop {
        let sound = bind(0)?;
        let port = sound.local_addr()?.port();
        if port % 2 == 0
            && let Ok(control) = bind(port + 1)
        {
            return Ok((sound, control));
        }
        tries += 1;
        if tries == PAIR_TRIES_MAX {
            return Err(io::ErrorKind::AddrInUse.into());
        }
    }
}

async fn read(call: LegId, socket: Arc<UdpSocket>, control: bool, packets: mpsc::Sender<Packet>) {
    let mut bytes = vec![0; PACKET_BYTES_MAX];
    loop {
        // An error here is an answer to an earlier packet of ours that nobody took.
        let Ok((length, from)) = socket.recv_from(&mut bytes).await else {
            tokio::task::yield_now().await;
            continue;
        };
        let packet = Packet {
            call,
            from,
            control,
            bytes: bytes[..length].to_vec(),
        };
        if packets.send(packet).await.is_err() {
            return;
        }
    }
}

/// `heard.wav`, `heard-2.wav`, `heard-3.wav`.
fn numbered(path: &Path, count: u32) -> PathBuf {
    if count == 1 {
        return path.to_owned();
    }
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    let ending = path
        .extension()
        .map(|ending| format!(".{}", ending.to_string_lossy()));
    path.with_file_name(format!("{stem}-{count}{}", ending.unwrap_or_default()))
}

async fn until(moment: Option<Instant>) {
    if let Some(moment) = moment {
        tokio::time::sleep_until(moment).await;
    }
}
