//! Drives the switch and the media of calls: what comes is given to the switch, what the switch wants is carried
//! out.
//!
//! When there is much to do (from some 250 calls a second on) it rests for a millisecond between two looks at the
//! datagrams, so that one look finds many of them.

mod monitoring;

use super::Config;
use super::call_store::CallStore;
use super::calls_handle::Ask;
use super::interfaces::Interfaces;
use super::lookups::Lookups;
use super::rejected_messages::RejectedMessages;
use super::sip_connections::{ConnectionEvent, SipConnections};
use super::trunk_names::TrunkNames;
use super::trunk_tests::TrunkTests;
use crate::clocks;
use maskline_domain::call::Moment;
use maskline_media::MediaPlane;
use maskline_sip::hop::Hop;
use maskline_switch::{Input, Output, Switch, TrunkPeer, peers};
use monitoring::log_trunk_change;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::UdpSocket;
use tokio::sync::mpsc;
use tokio::time::{Instant, MissedTickBehavior};
use tokio_util::sync::CancellationToken;

/// The longest datagram that is read, in bytes: the longest that UDP has.
const DATAGRAM_BYTES_MAX: usize = 65_535;
/// Datagrams, or news, taken at once before anything else gets its turn.
const TAKEN_AT_ONCE: usize = 64;
/// With more datagrams than this in a while, looks at them are [`REST`] apart.
const BUSY_DATAGRAMS: usize = 30;
const WHILE: Duration = Duration::from_millis(20);
const REST: Duration = Duration::from_millis(1);
/// How often counts are shown and trunks looked at.
const MONITOR_EVERY: Duration = Duration::from_secs(1);
/// After the last call is hung up, how long its last messages may be repeated.
const CLOSING_WAIT: Duration = Duration::from_secs(1);

/// See the module.
pub(super) struct Driver {
    pub config: Config,
    pub pace: Pace,
    pub socket: UdpSocket,
    pub connections: SipConnections,
    pub switch: Switch,
    pub media: MediaPlane,
    pub call_store: CallStore,
    pub names: Arc<TrunkNames>,
    pub rejected: RejectedMessages,
    pub lookups: Lookups,
    pub tests: TrunkTests,
    pub interfaces: Interfaces,
}

impl Driver {
    /// Carries calls until the wish to stop and the end of the last one.
    pub async fn run(
        mut self,
        mut heard: mpsc::Receiver<Input<'static>>,
        mut media: mpsc::Receiver<maskline_media::Event>,
        mut asked: mpsc::Receiver<Ask>,
        stop: CancellationToken,
    ) {
        let mut bytes = vec![0; DATAGRAM_BYTES_MAX];
        let mut news = Vec::with_capacity(TAKEN_AT_ONCE);
        let mut told = Vec::with_capacity(TAKEN_AT_ONCE);
        let drain = self.config.calls_handle.draining();
        let mut ticks = tokio::time::interval(MONITOR_EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        // After the wish to drain everything goes as after the wish to stop, but for the end of the loop.
        let mut stopping = false;
        let mut last_day: Option<Instant> = None;
        let mut closing_until: Option<Instant> = None;
        let mut has_left = false;
        self.read_interfaces();
        // The trunks are known before the first datagram is looked at, or a call that came early
        // would come from an unknown source.
        while let Ok(input) = heard.try_recv() {
            self.give(input);
        }
        loop {
            let due = self.switch.poll_timeout();
            let wait = due.map(|due| Duration::from_millis(due.saturating_sub(now().tick_ms)));
            tokio::select! {
                readable = self.socket.readable() => {
                    let taken = if readable.is_ok() { self.receive(&mut bytes) } else { 0 };
                    // With as many as can be taken there are more.
                    if self.pace.count(taken) && taken < TAKEN_AT_ONCE {
                        std::thread::sleep(REST);
                    }
                }
                event = self.connections.next_event() => self.on_connection(event),
                1.. = media.recv_many(&mut told, TAKEN_AT_ONCE) => {
                    told.drain(..).for_each(|event| self.give(input_of(event)));
                }
                1.. = heard.recv_many(&mut news, TAKEN_AT_ONCE) => {
                    news.drain(..).for_each(|input| self.give(input));
                }
                () = tokio::time::sleep(wait.unwrap_or_default()), if wait.is_some() => self.give(Input::Timeout),
                Some(ask) = asked.recv() => self.answer(ask),
                _ = ticks.tick() => self.monitor(),
                () = stop.cancelled(), if !stopping => {
                    stopping = true;
                    last_day.get_or_insert_with(|| self.drain());
                }
                () = drain.cancelled(), if last_day.is_none() => last_day = Some(self.drain()),
                () = until(last_day), if last_day.is_some() && closing_until.is_none() => {
                    if self.switch.calls() > 0 {
                        tracing::warn!(calls = self.switch.calls(), "hanging up what is left");
                        self.give(Input::HangUpAll);
                    }
                    closing_until = Some(Instant::now() + CLOSING_WAIT);
                }
                () = until(closing_until), if stopping && closing_until.is_some() => break,
            }
            if last_day.is_some() && !has_left && self.switch.calls() == 0 {
                has_left = true;
                self.give(Input::Leave);
            }
            if stopping && self.switch.calls() == 0 {
                if self.switch.is_idle() {
                    break;
                }
                closing_until.get_or_insert(Instant::now() + CLOSING_WAIT);
            }
        }
        self.monitor();
        self.call_store.finish().await;
    }

    /// Answers a question, or begins to. Who asked may have left.
    fn answer(&mut self, ask: Ask) {
        match ask {
            Ask::Live(answer) => {
                let _ = answer.send(self.switch.live_calls());
            }
            Ask::Test(name, answer) => {
                let now = now();
                if !self.switch.test(&name, now) {
                    let _ = answer.send(None);
                    return;
                }
                self.tests.begin(name, now.tick_ms, answer);
                self.flush();
            }
        }
    }

    /// Takes no more calls; gives the moment at which those that are left are hung up.
    fn drain(&mut self) -> Instant {
        tracing::info!(calls = self.switch.calls(), "taking no more calls");
        self.give(Input::Drain);
        Instant::now() + self.config.drain_timeout
    }

    /// Takes what is there and says how many datagrams that was.
    fn receive(&mut self, bytes: &mut [u8]) -> usize {
        for taken in 0..TAKEN_AT_ONCE {
            // Whatever else fails concerns one datagram, or is repeated at the next.
            let Ok((length, from)) = self.socket.try_recv_from(bytes) else {
                return taken;
            };
            // A socket on `::` hears IPv4 too, as an IPv6 address that maps it.
            let from = SocketAddr::new(from.ip().to_canonical(), from.port());
            self.give(Input::Datagram {
                from: Hop::udp(from),
                bytes: &bytes[..length],
            });
        }
        TAKEN_AT_ONCE
    }

    fn on_connection(&mut self, event: ConnectionEvent) {
        match event {
            ConnectionEvent::Message(from, bytes) => self.give(Input::Datagram {
                from,
                bytes: &bytes,
            }),
            ConnectionEvent::Unreachable(hop) => self.give(Input::Unreachable(hop)),
        }
    }

    fn give(&mut self, input: Input<'_>) {
        let now = now();
        let brings_trunks = matches!(input, Input::Trunks(_));
        if let Input::Trunks(trunks) = &input {
            self.introduce(trunks);
        }
        self.switch.handle_input(input, now);
        if brings_trunks {
            self.config.calls_handle.freshness().taken();
        }
        self.flush();
        let calls = self.switch.calls();
        self.config.calls_handle.metrics().set_live(calls);
        let trouble = |hop| self.connections.trouble(hop);
        (self.tests).answer(&mut self.switch, now.tick_ms, trouble);
    }

    /// Tells the switch which addresses the machine has, where that matters.
    fn read_interfaces(&mut self) {
        if self.config.media.bind.is_unspecified()
            && let Some(addresses) = self.interfaces.read()
        {
            self.give(Input::Interfaces(addresses));
        }
    }

    fn flush(&mut self) {
        while let Some(output) = self.switch.poll_output() {
            self.carry_out(output);
        }
    }

    /// Tells the connections who may connect, by which names those must be known that we connect to, and of whom
    /// it is remembered that they cannot be connected to.
    fn introduce(&mut self, trunks: &[TrunkPeer]) {
        self.connections.know(trunks.iter().flat_map(|trunk| {
            let name: Arc<str> = trunk.definition.name.as_str().into();
            trunk
                .peer
                .addresses()
                .map(move |address| (address, name.clone()))
        }));
        let names = trunks.iter().flat_map(|trunk| {
            let name = peers::tls_name(&trunk.definition);
            let named = trunk
                .peer
                .hops()
                .map(move |hop| (hop.address, name.clone()));
            named.filter_map(|(address, name)| Some((address, name?)))
        });
        self.connections.name(names.collect());
        let places = trunks.iter().flat_map(|trunk| trunk.peer.hops());
        self.connections
            .watch(places.map(|hop| hop.address).collect());
    }

    fn carry_out(&mut self, output: Output) {
        match output {
            Output::Send { to, bytes } if to.transport.is_stream() => {
                if self.connections.send(to, bytes).is_err() {
                    self.give(Input::Unreachable(to));
                }
            }
            Output::Send { to, bytes } => {
                // What the kernel does not take now is lost, and repeated like anything lost.
                if let Err(error) = self.socket.try_send_to(&bytes, to.address) {
                    tracing::debug!(%error, "a SIP message was not sent");
                }
            }
            Output::TrunkChanged(trunk, change) => log_trunk_change(trunk.as_str(), change),
            Output::UnknownSource(from, method) => {
                let (address, wall) = (from.address.ip(), now().wall);
                let unknown = self.config.calls_handle.unknown_sources();
                unknown.note(address, from.transport, method.as_str(), wall);
            }
            Output::AskRoute(key, query) => {
                if let Some(routing) = self.call_store.ask_route(key, query) {
                    self.give(Input::Routed(key, Some(routing)));
                }
            }
            Output::OpenRow(key, record, reached) => self.call_store.open_row(key, record, reached),
            Output::Reached(_, record, reached) => self.call_store.note_milestone(record, reached),
            Output::LeaseMedia(key, request) => {
                let lease = self.media.lease(key, &request);
                self.give(Input::MediaLeased(key, lease));
            }
            Output::LocalMedia(local) => self.media.set_local_media(&local),
            Output::Resolve(name) => self.lookups.begin(name),
            Output::Relay(key, path) => self.media.relay(key, path),
            Output::Unheard(key, side, unheard) => self.media.allow(key, side, unheard),
            Output::Play(key, side, sound, repeat) => self.media.play(key, side, sound, repeat),
            Output::StopPlaying(key, side) => self.media.stop_playing(key, side),
            Output::Record(key, wish) => self.media.record(key, wish),
            Output::SendDigit(key, side, digit) => self.media.send_digit(key, side, digit),
            Output::Finish(key, record, reached) => {
                self.config.calls_handle.metrics().ended(record.as_deref());
                let statistics = self.media.finish(key);
                self.call_store.finish_call(statistics, record, reached);
            }
        }
    }
}

async fn until(moment: Option<Instant>) {
    if let Some(moment) = moment {
        tokio::time::sleep_until(moment).await;
    }
}

/// An event of the media of a call, as the switch takes it.
fn input_of(event: maskline_media::Event) -> Input<'static> {
    match event {
        maskline_media::Event::Played(key, side) => Input::Played(key, side),
        maskline_media::Event::Digit(key, side, digit) => Input::Digit(key, side, digit),
        maskline_media::Event::Lost(key) => Input::MediaLost(key),
    }
}

fn now() -> Moment {
    let clocks = clocks::read();
    Moment {
        wall: clocks.wall,
        tick_ms: clocks.monotonic_ms,
    }
}

/// How many datagrams come.
pub(super) struct Pace {
    since: Instant,
    taken: usize,
    is_busy: bool,
}

impl Pace {
    pub fn new() -> Self {
        Self {
            since: Instant::now(),
            taken: 0,
            is_busy: false,
        }
    }

    /// Counts those of one look, and says whether there are many.
    fn count(&mut self, taken: usize) -> bool {
        self.taken += taken;
        if self.since.elapsed() >= WHILE {
            self.is_busy = self.taken > BUSY_DATAGRAMS;
            (self.since, self.taken) = (Instant::now(), 0);
        }
        self.is_busy
    }
}
