//! Calls: SIP and RTP on real sockets around machines that have none.
//!
//! [`switch`] is the heart: it turns datagrams and answers into what is to be sent, asked, recorded and
//! relayed. Here is the loop that carries that out. The rules of a call of two legs are those of
//! [`maskline_domain::call`]; [`peers`] puts a trunk into the words of SIP, [`ringing`] chooses the ring tone,
//! [`links`] are the streams beside
//! the datagrams; [`media`] carries the sound, plays and records; [`clerk`] asks the ledger and writes the
//! records; [`board`] shows what goes on; [`sandbox`] is a phone that answers by itself.

pub mod board;
pub mod clerk;
pub mod links;
pub mod media;
pub mod numbers;
pub mod peers;
pub mod ringing;
pub mod sandbox;
pub mod switch;

use crate::seal::Sealer;
use crate::writer::{Ledger, Records, clocks};
use board::{Ask, Noise};
use clerk::Clerk;
use links::{Heard, Links, Tls};
use maskline_domain::call::{Moment, Notice};
use maskline_sip::endpoint::Peer;
use maskline_sip::hop::Hop;
use media::MediaPlane;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use switch::{Input, Output, Setup, Switch};
use tokio::net::UdpSocket;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::{Instant, MissedTickBehavior};

pub use board::{Board, LiveCall};

/// The longest datagram that is read, in bytes: the longest that UDP has.
const DATAGRAM_BYTES_MAX: usize = 65_535;
/// Datagrams taken at once before anything else gets its turn.
const DATAGRAMS_AT_ONCE: usize = 64;
/// Answers of the ledger and the relays that may wait.
const NEWS_MAX: usize = 4_096;
/// How often it is counted what goes on.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// After the last call is hung up, how long its last messages may be repeated.
const FAREWELL: Duration = Duration::from_secs(1);

/// A SIP link to a carrier.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trunk {
    /// What the operator says of it.
    pub said: maskline_domain::Trunk,
    /// The same for SIP; its number is the switch's to give.
    pub peer: Peer,
}

/// How calls are carried.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where SIP listens; port 0 takes a free one.
    pub listen: SocketAddr,
    /// What peers are told instead, for signalling. Port 0 means that of `listen`.
    pub advertised: Option<SocketAddr>,
    /// Whether streams are taken too, at the same address.
    pub tcp: bool,
    /// Where streams within TLS are taken; port 0 takes a free one.
    pub tls_listen: Option<SocketAddr>,
    /// Certificates, for TLS either way.
    pub tls: Option<Tls>,
    /// How media is carried.
    pub media: media::Config,
    /// The most calls at once.
    pub calls_max: usize,
    /// The most calls at once on one X.
    pub per_x_max: usize,
    /// The most calls at once by one caller.
    pub per_caller_max: usize,
    /// The longest call, in seconds.
    pub duration_max_s: u32,
    /// Who is told that a call is recorded.
    pub notice: Notice,
    /// After the wish to stop, how long calls may still last.
    pub drain_timeout: Duration,
    /// The name of this node, for the records.
    pub node: String,
    /// The name of this run of the process, for the records.
    pub boot: String,
    /// Opens the passwords of trunks; without it those that need one cannot be used.
    pub sealer: Option<Arc<Sealer>>,
    /// What others see of the calls while they last.
    pub board: Board,
}

impl Config {
    /// The usual bounds: 2,000 calls, 30 on one X, 20 by one caller, 6 hours, 30 seconds of silence.
    pub fn new(listen: SocketAddr, node: String, boot: String) -> Self {
        Self {
            listen,
            advertised: None,
            tcp: true,
            tls_listen: None,
            tls: None,
            media: media::Config::new(listen.ip()),
            calls_max: 2_000,
            per_x_max: 30,
            per_caller_max: 20,
            duration_max_s: 6 * 3_600,
            notice: Notice::None,
            drain_timeout: Duration::from_secs(30),
            node,
            boot,
            sealer: None,
            board: Board::default(),
        }
    }
}

/// Calls that are being served.
#[derive(Debug)]
pub struct Serving {
    /// Where SIP really listens.
    pub address: SocketAddr,
    /// The same within TLS.
    pub tls_address: Option<SocketAddr>,
    /// Ends when the last call has ended after the wish to stop.
    pub task: JoinHandle<()>,
}

/// Serves calls until `stop` becomes true (or its sender is gone), and then until the last call has ended
/// or `drain_timeout` has passed. Calls that an earlier run of this node left open are closed first.
///
/// # Errors
/// When the address cannot be bound, or the system has no randomness to give.
pub async fn serve(
    config: Config,
    ledger: Ledger,
    records: Records,
    stop: watch::Receiver<bool>,
) -> io::Result<Serving> {
    let (socket, tcp) = links::open(config.listen, config.tcp)?;
    let address = socket.local_addr()?;
    let tls = config.tls_listen.map(links::bind_streams).transpose()?;
    let tls_address = tls.as_ref().map(|tls| tls.local_addr()).transpose()?;
    let links = Links::new(tcp, tls, config.tls.clone());
    let mut seed = [0; 32];
    getrandom::fill(&mut seed).map_err(|error| io::Error::other(error.to_string()))?;
    match records.close_lost_calls(&config.node, &config.boot).await {
        Ok(0) => {}
        Ok(lost) => tracing::warn!(lost, "closed calls that an earlier run left open"),
        Err(error) => {
            tracing::error!(%error, "cannot close the calls that an earlier run left open")
        }
    }
    let told = config.advertised.unwrap_or(address);
    let advertised = SocketAddr::new(
        told.ip(),
        if told.port() == 0 {
            address.port()
        } else {
            told.port()
        },
    );
    let mut switch = Switch::new(Setup {
        advertised,
        advertised_tls: tls_address.map(|tls| SocketAddr::new(advertised.ip(), tls.port())),
        node: config.node.clone(),
        boot: config.boot.clone(),
        calls_max: config.calls_max,
        per_x_max: config.per_x_max,
        per_caller_max: config.per_caller_max,
        duration_max_s: config.duration_max_s,
        notice: config.notice,
        seed,
    });
    let asked = config
        .board
        .take_asks()
        .ok_or_else(|| io::Error::other("calls are served on this board already"))?;
    let (news, heard) = mpsc::channel(NEWS_MAX);
    let media = MediaPlane::start(config.media.clone(), news.clone())?;
    let clerk = Clerk::new(ledger, records, news, config.sealer.clone(), media.tones());
    switch.set_screen(clerk.screen());
    clerk.follow_trunks().await.map_err(io::Error::other)?;
    let serving = Loop {
        socket,
        links,
        switch,
        media,
        clerk,
        noise: Noise::default(),
        config,
    };
    Ok(Serving {
        address,
        tls_address,
        task: tokio::spawn(serving.run(heard, asked, stop)),
    })
}

fn now() -> Moment {
    let clocks = clocks();
    Moment {
        wall: clocks.wall,
        tick_ms: clocks.monotonic_ms,
    }
}

struct Loop {
    config: Config,
    socket: UdpSocket,
    links: Links,
    switch: Switch,
    media: MediaPlane,
    clerk: Clerk,
    noise: Noise,
}

impl Loop {
    async fn run(
        mut self,
        mut heard: mpsc::Receiver<Input<'static>>,
        mut asked: mpsc::Receiver<Ask>,
        mut stop: watch::Receiver<bool>,
    ) {
        let mut bytes = vec![0; DATAGRAM_BYTES_MAX];
        let mut drain = self.config.board.draining();
        let mut looks = tokio::time::interval(LOOK_EVERY);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        // After the wish to drain everything goes as after the wish to stop, but for the end of the loop.
        let mut stopping = false;
        let mut last_day: Option<Instant> = None;
        let mut farewell: Option<Instant> = None;
        let mut has_left = false;
        // The trunks are known before the first datagram is looked at, or a call that came early
        // would be a stranger's.
        while let Ok(input) = heard.try_recv() {
            self.give(input);
        }
        loop {
            let due = self.switch.poll_timeout();
            let wait = due.map(|due| Duration::from_millis(due.saturating_sub(now().tick_ms)));
            tokio::select! {
                readable = self.socket.readable() => if readable.is_ok() { self.receive(&mut bytes) },
                heard = self.links.heard() => self.hear(heard),
                Some(input) = heard.recv() => self.give(input),
                () = tokio::time::sleep(wait.unwrap_or_default()), if wait.is_some() => self.give(Input::Timeout),
                Some(ask) = asked.recv() => {
                    // Who asked may have left.
                    let _ = ask.send(self.switch.live_calls());
                }
                _ = looks.tick() => self.look(),
                () = stopped(&mut stop), if !stopping => {
                    stopping = true;
                    last_day.get_or_insert_with(|| self.drain());
                }
                () = stopped(&mut drain), if last_day.is_none() => last_day = Some(self.drain()),
                () = until(last_day), if last_day.is_some() && farewell.is_none() => {
                    if self.switch.calls() > 0 {
                        tracing::warn!(calls = self.switch.calls(), "hanging up what is left");
                        self.give(Input::HangUpAll);
                    }
                    farewell = Some(Instant::now() + FAREWELL);
                }
                () = until(farewell), if stopping && farewell.is_some() => break,
            }
            if last_day.is_some() && !has_left && self.switch.calls() == 0 {
                has_left = true;
                self.give(Input::Leave);
            }
            if stopping && self.switch.calls() == 0 {
                if self.switch.is_idle() {
                    break;
                }
                farewell.get_or_insert(Instant::now() + FAREWELL);
            }
        }
        self.look();
        self.clerk.finish().await;
    }

    /// Takes no more calls; gives the moment at which those that are left are hung up.
    fn drain(&mut self) -> Instant {
        tracing::info!(calls = self.switch.calls(), "taking no more calls");
        self.give(Input::Drain);
        Instant::now() + self.config.drain_timeout
    }

    /// Counts what goes on, and tells of noise now and then.
    fn look(&mut self) {
        let counts = self.switch.counts();
        let board = &self.config.board;
        board.set_counts(self.switch.legs(), self.media.ports_lent(), counts);
        board.set_reachable(self.switch.reachable());
        if let Some(fresh) = self.noise.look(counts, now().tick_ms) {
            let [
                not_sip,
                malformed,
                strangers,
                unknown_x,
                unproven,
                stray_responses,
                overload,
                trunk_full,
                forwarded,
            ] = fresh.map(|(_, count)| count);
            tracing::info!(
                not_sip,
                malformed,
                strangers,
                unknown_x,
                unproven,
                stray_responses,
                overload,
                trunk_full,
                forwarded,
                "turned SIP away; the next such line comes in a minute at the earliest"
            );
        }
    }

    fn receive(&mut self, bytes: &mut [u8]) {
        for _ in 0..DATAGRAMS_AT_ONCE {
            // Whatever else fails concerns one datagram, or is repeated at the next.
            let Ok((length, from)) = self.socket.try_recv_from(bytes) else {
                return;
            };
            self.give(Input::Datagram {
                from: Hop::udp(from),
                bytes: &bytes[..length],
            });
        }
    }

    fn hear(&mut self, heard: Heard) {
        match heard {
            Heard::Message(from, bytes) => self.give(Input::Datagram {
                from,
                bytes: &bytes,
            }),
            Heard::Unreachable(hop) => self.give(Input::Unreachable(hop)),
        }
    }

    fn give(&mut self, input: Input<'_>) {
        if let Input::Trunks(trunks) = &input {
            self.introduce(trunks);
        }
        self.switch.handle_input(input, now());
        while let Some(output) = self.switch.poll_output() {
            self.carry_out(output);
        }
        self.config.board.set_live(self.switch.calls());
    }

    /// Tells the links who may connect, and by which names those must be known that we connect to.
    fn introduce(&mut self, trunks: &[Trunk]) {
        self.links.know(trunks.iter().flat_map(|trunk| {
            let sources = trunk.peer.sources.iter().copied();
            sources.chain([trunk.peer.hop.address.ip()])
        }));
        let named = |trunk: &Trunk| {
            let name = trunk.said.tls_name.clone()?;
            Some((trunk.peer.hop.address, name))
        };
        self.links.name(trunks.iter().filter_map(named).collect());
    }

    fn carry_out(&mut self, output: Output) {
        match output {
            Output::Send { to, bytes } if to.transport.is_stream() => {
                if self.links.send(to, bytes).is_err() {
                    self.give(Input::Unreachable(to));
                }
            }
            Output::Send { to, bytes } => {
                // What the kernel does not take now is lost, and repeated like anything lost.
                if let Err(error) = self.socket.try_send_to(&bytes, to.address) {
                    tracing::debug!(%error, "a SIP message was not sent");
                }
            }
            Output::AskRoute(key, query) => {
                if let Some(routing) = self.clerk.ask_route(key, query) {
                    self.give(Input::Routed(key, Some(routing)));
                }
            }
            Output::OpenRow(key, record) => self.clerk.open_row(key, *record),
            Output::LeaseMedia(key, wish) => {
                let lease = self.media.lease(key, &wish);
                self.give(Input::MediaLeased(key, lease));
            }
            Output::Relay(key, path) => self.media.relay(key, path),
            Output::Play(key, side, sound, repeat) => self.media.play(key, side, sound, repeat),
            Output::StopPlaying(key, side) => self.media.stop_playing(key, side),
            Output::Record(key, wish) => self.media.record(key, wish),
            Output::SendDigit(key, side, digit) => self.media.send_digit(key, side, digit),
            Output::Finish(key, record) => {
                self.config.board.ended(record.as_deref());
                let statistics = self.media.finish(key);
                self.clerk.finish_call(statistics, record);
            }
        }
    }
}

async fn stopped(stop: &mut watch::Receiver<bool>) {
    // A sender that is gone means the same.
    let _ = stop.wait_for(|stop| *stop).await;
}

async fn until(moment: Option<Instant>) {
    if let Some(moment) = moment {
        tokio::time::sleep_until(moment).await;
    }
}
