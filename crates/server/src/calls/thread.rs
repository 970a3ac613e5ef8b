//! The thread that carries calls: what comes is given to the switch, what the switch wants is carried out.
//!
//! It has a runtime of its own, so that a turn of it wakes nobody and waits for nobody's turn. When there
//! is much to do (from some 250 calls a second on) it rests for a millisecond between two looks at the
//! datagrams, so that one look finds many of them.

use super::Config;
use super::call_store::CallStore;
use super::calls_handle::{Ask, Noise, TrunkAnswer};
use super::lookups::Lookups;
use super::sip_connections::{Heard, SipConnections};
use super::trunk_names::TrunkNames;
use crate::writer::{Ledger, Records, clocks};
use maskline_domain::call::Moment;
use maskline_media::MediaPlane;
use maskline_sip::hop::Hop;
use maskline_sip::message::phrase;
use maskline_switch::TrunkHealth;
use maskline_switch::{Input, Output, Switch, TrunkChange};
use maskline_switch::{Trunk, peers};
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::UdpSocket;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
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
/// How often it is counted what goes on.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// After the last call is hung up, how long its last messages may be repeated.
const CLOSING_WAIT: Duration = Duration::from_secs(1);

/// What the thread is made of.
pub(super) struct Parts {
    pub names: Arc<TrunkNames>,
    pub lookups: Lookups,
    pub socket: std::net::UdpSocket,
    pub connections: SipConnections,
    pub switch: Switch,
    pub media: MediaPlane,
    /// What it tells.
    pub media_events: mpsc::Receiver<maskline_media::Event>,
    pub ledger: Ledger,
    pub records: Records,
    pub news: mpsc::Sender<Input<'static>>,
    pub heard: mpsc::Receiver<Input<'static>>,
    pub asked: mpsc::Receiver<Ask>,
    pub stop: CancellationToken,
    pub config: Config,
}

/// Starts the thread, and waits until it can take calls. It ends when the loop does, or at once when the
/// task that stands for it is aborted.
///
/// # Errors
/// When the system has no thread or no descriptor to give, or the trunks cannot be read.
pub(super) async fn start(parts: Parts) -> io::Result<JoinHandle<()>> {
    let (ready, is_ready) = oneshot::channel();
    let (alive, aborted) = oneshot::channel::<()>();
    let (over, ended) = oneshot::channel::<()>();
    let handle = std::thread::Builder::new()
        .name("calls".to_owned())
        .spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build();
            match runtime {
                Ok(runtime) => runtime.block_on(async {
                    tokio::select! {
                        () = carry(parts, ready) => {}
                        _ = aborted => {}
                    }
                }),
                // An error means that the receiver was dropped: nobody waits for the answer.
                Err(error) => drop(ready.send(Err(error))),
            }
            drop(over);
        })?;
    let mut thread = Thread {
        alive: Some(alive),
        handle: Some(handle),
    };
    let task = tokio::spawn(async move {
        // Ends with the thread, however that ends.
        let _ = ended.await;
        if let Some(Err(panic)) = thread.handle.take().map(std::thread::JoinHandle::join) {
            std::panic::resume_unwind(panic);
        }
    });
    match is_ready.await {
        Ok(Ok(())) => Ok(task),
        Ok(Err(error)) => Err(error),
        Err(_) => Err(io::Error::other("the thread that carries calls has ended")),
    }
}

/// The thread from outside. Dropped before its end it ends the thread, and waits until recordings are
/// ended properly.
struct Thread {
    alive: Option<oneshot::Sender<()>>,
    handle: Option<std::thread::JoinHandle<()>>,
}

impl Drop for Thread {
    fn drop(&mut self) {
        drop(self.alive.take());
        if let Some(Err(_)) = self.handle.take().map(std::thread::JoinHandle::join) {
            tracing::error!("the thread that carries calls ended by a panic");
        }
    }
}

async fn carry(parts: Parts, ready: oneshot::Sender<io::Result<()>>) {
    let prepared = async {
        let socket = UdpSocket::from_std(parts.socket)?;
        let sealer = parts.config.sealer.clone();
        let tones = parts.media.tones();
        let names = Arc::clone(&parts.names);
        let call_store = CallStore::new(
            parts.ledger,
            parts.records,
            parts.news,
            sealer,
            tones,
            names,
        );
        call_store
            .follow_trunks(parts.config.calls_handle.clone())
            .await
            .map_err(io::Error::other)?;
        Ok((socket, call_store))
    };
    let (socket, call_store) = match prepared.await {
        Ok(prepared) => prepared,
        Err(error) => {
            // An error means that the receiver was dropped: nobody waits for the answer.
            let _ = ready.send(Err(error));
            return;
        }
    };
    let mut switch = parts.switch;
    switch.set_screen(call_store.screen());
    let serving = Loop {
        names: parts.names,
        socket,
        connections: parts.connections,
        switch,
        media: parts.media,
        call_store,
        noise: Noise::default(),
        lookups: parts.lookups,
        tests: Vec::new(),
        pace: Pace::new(),
        config: parts.config,
    };
    let _ = ready.send(Ok(()));
    serving
        .run(parts.heard, parts.media_events, parts.asked, parts.stop)
        .await;
}

/// What the media of a call told, as the switch takes it.
fn input_of(event: maskline_media::Event) -> Input<'static> {
    match event {
        maskline_media::Event::Played(key, side) => Input::Played(key, side),
        maskline_media::Event::Digit(key, side, digit) => Input::Digit(key, side, digit),
        maskline_media::Event::Lost(key) => Input::MediaLost(key),
    }
}

fn log_trunk_change(trunk: &str, change: TrunkChange) {
    match change {
        TrunkChange::Unreachable => {
            tracing::warn!(trunk, "a trunk is not reachable and is tried last")
        }
        TrunkChange::Reachable(at) => tracing::info!(trunk, %at, "a trunk answers"),
        TrunkChange::ReachableAgain(at) => tracing::info!(trunk, %at, "a trunk answers again"),
        TrunkChange::Elsewhere(at) => {
            tracing::info!(trunk, %at, "a trunk answers at another place")
        }
        TrunkChange::Registered => tracing::info!(trunk, "registered with a trunk"),
        TrunkChange::RegistrationRefused(status) => {
            let why = phrase(status);
            tracing::warn!(trunk, status, why, "a trunk refuses our registration");
        }
        TrunkChange::RegistrarSilent => {
            tracing::warn!(
                trunk,
                "not registered with a trunk: its registrar does not answer"
            );
        }
    }
}

fn now() -> Moment {
    let clocks = clocks();
    Moment {
        wall: clocks.wall,
        tick_ms: clocks.monotonic_ms,
    }
}

/// How many datagrams come.
struct Pace {
    since: Instant,
    taken: usize,
    is_busy: bool,
}

impl Pace {
    fn new() -> Self {
        Self {
            since: Instant::now(),
            taken: 0,
            is_busy: false,
        }
    }

    /// Counts those of one look, and says whether there are many.
    fn is_busy(&mut self, taken: usize) -> bool {
        self.taken += taken;
        if self.since.elapsed() >= WHILE {
            self.is_busy = self.taken > BUSY_DATAGRAMS;
            (self.since, self.taken) = (Instant::now(), 0);
        }
        self.is_busy
    }
}

struct Loop {
    config: Config,
    pace: Pace,
    socket: UdpSocket,
    connections: SipConnections,
    switch: Switch,
    media: MediaPlane,
    call_store: CallStore,
    names: Arc<TrunkNames>,
    noise: Noise,
    lookups: Lookups,
    /// Tests of trunks that somebody waits for.
    tests: Vec<Test>,
}

/// A test of a trunk that has begun.
struct Test {
    name: String,
    since_ms: u64,
    answer: oneshot::Sender<Option<TrunkAnswer>>,
}

impl Loop {
    async fn run(
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
        let mut looks = tokio::time::interval(LOOK_EVERY);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        // After the wish to drain everything goes as after the wish to stop, but for the end of the loop.
        let mut stopping = false;
        let mut last_day: Option<Instant> = None;
        let mut closing_until: Option<Instant> = None;
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
                readable = self.socket.readable() => {
                    let taken = if readable.is_ok() { self.receive(&mut bytes) } else { 0 };
                    // With as many as can be taken there are more.
                    if self.pace.is_busy(taken) && taken < TAKEN_AT_ONCE {
                        std::thread::sleep(REST);
                    }
                }
                heard = self.connections.heard() => self.hear(heard),
                1.. = media.recv_many(&mut told, TAKEN_AT_ONCE) => {
                    told.drain(..).for_each(|event| self.give(input_of(event)));
                }
                1.. = heard.recv_many(&mut news, TAKEN_AT_ONCE) => {
                    news.drain(..).for_each(|input| self.give(input));
                }
                () = tokio::time::sleep(wait.unwrap_or_default()), if wait.is_some() => self.give(Input::Timeout),
                Some(ask) = asked.recv() => self.answer(ask),
                _ = looks.tick() => self.look(),
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
        self.look();
        self.call_store.finish().await;
    }

    /// Answers a question, or begins to. Who asked may have left.
    fn answer(&mut self, ask: Ask) {
        match ask {
            Ask::Live(answer) => {
                let _ = answer.send(self.switch.live_calls());
            }
            Ask::Test(name, answer) => {
                let since_ms = now().tick_ms;
                if !self.switch.test(&name, now()) {
                    let _ = answer.send(None);
                    return;
                }
                self.tests.push(Test {
                    name,
                    since_ms,
                    answer,
                });
                self.flush();
            }
        }
    }

    /// Tells what came of tests of trunks.
    fn answer_tests(&mut self) {
        for test in std::mem::take(&mut self.tests) {
            match self.switch.tested(&test.name) {
                Some(tested) => {
                    let trouble = self.connections.trouble(tested.at);
                    let _ = test.answer.send(Some(TrunkAnswer {
                        at: tested.at,
                        status: tested.status,
                        took_ms: now().tick_ms.saturating_sub(test.since_ms),
                        trouble,
                    }));
                }
                None if test.answer.is_closed() => {}
                None => self.tests.push(test),
            }
        }
    }

    /// Takes no more calls; gives the moment at which those that are left are hung up.
    fn drain(&mut self) -> Instant {
        tracing::info!(calls = self.switch.calls(), "taking no more calls");
        self.give(Input::Drain);
        Instant::now() + self.config.drain_timeout
    }

    /// Counts what goes on, and tells of noise now and then.
    fn look(&mut self) {
        self.media.tidy();
        let counts = self.switch.counts();
        let calls_handle = &self.config.calls_handle;
        calls_handle.set_counts(self.switch.legs(), self.media.ports_lent(), counts);
        calls_handle.set_streams(self.connections.counts());
        calls_handle.set_trunks(self.trunk_health());
        if let Some((count, latest, asked)) = calls_handle.strangers().look(now().wall) {
            tracing::warn!(
                count,
                %latest,
                asked,
                "SIP from addresses of no trunk was refused; `maskline trunk strangers` lists them"
            );
        }
        self.look_at_media();
        if let Some(fresh) = self.noise.look(counts, now().tick_ms) {
            let [
                not_sip,
                malformed,
                strangers,
                astray,
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
                astray,
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

    /// How the trunks are, with what their names and the connections tell of them.
    fn trunk_health(&self) -> Vec<TrunkHealth> {
        let mut health = self.switch.health(now());
        for trunk in &mut health {
            trunk.trouble = trunk
                .hops
                .iter()
                .find_map(|hop| self.connections.trouble(*hop));
        }
        for (name, why, is_usable) in self.names.troubles() {
            match health.iter_mut().find(|trunk| trunk.name == name.as_str()) {
                Some(trunk) => trunk.trouble = Some(why),
                // It is nowhere, so the switch has never heard of it.
                None => health.push(TrunkHealth {
                    name: name.to_string(),
                    hops: Vec::new(),
                    reachable: (!is_usable).then_some(false),
                    registration: None,
                    trouble: Some(why),
                }),
            }
        }
        for trunk in &health {
            let before = self.config.calls_handle.trunk(&trunk.name);
            if let Some(why) = &trunk.trouble
                && before.is_none_or(|before| before.trouble != trunk.trouble)
            {
                tracing::warn!(trunk = trunk.name, why, "a trunk is in trouble");
            }
        }
        health
    }

    /// Tells when a media thread is in trouble, and ends the calls of one that is gone.
    fn look_at_media(&mut self) {
        let (threads, calls_handle) = (self.media.threads(), &self.config.calls_handle);
        let before = calls_handle.set_media(threads);
        if before != threads && threads.trouble().is_some() {
            tracing::error!(?threads, "media threads are in trouble");
        }
        if threads.ended > 0 {
            let mut keys = self.switch.keys();
            keys.retain(|key| self.media.is_lost(*key));
            // Those that only ring are ended once they are answered; this is said every second.
            for key in keys {
                self.give(Input::MediaLost(key));
            }
        }
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
        let brings_trunks = matches!(input, Input::Trunks(_));
        if let Input::Trunks(trunks) = &input {
            self.introduce(trunks);
        }
        self.switch.handle_input(input, now());
        if brings_trunks {
            self.config.calls_handle.trunks_taken();
        }
        self.flush();
        self.config.calls_handle.set_live(self.switch.calls());
        if !self.tests.is_empty() {
            self.answer_tests();
        }
    }

    fn flush(&mut self) {
        while let Some(output) = self.switch.poll_output() {
            self.carry_out(output);
        }
    }

    /// Tells the connections who may connect, by which names those must be known that we connect to, and of whom
    /// it is remembered that they cannot be connected to.
    fn introduce(&mut self, trunks: &[Trunk]) {
        self.connections.know(trunks.iter().flat_map(|trunk| {
            let name: Arc<str> = trunk.said.name.as_str().into();
            trunk
                .peer
                .addresses()
                .map(move |address| (address, name.clone()))
        }));
        let names = trunks.iter().flat_map(|trunk| {
            let name = peers::tls_name(&trunk.said);
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
            Output::Stranger(from, method) => {
                let (address, wall) = (from.address.ip(), now().wall);
                let strangers = self.config.calls_handle.strangers();
                strangers.note(address, from.transport, method.as_str(), wall);
            }
            Output::AskRoute(key, query) => {
                if let Some(routing) = self.call_store.ask_route(key, query) {
                    self.give(Input::Routed(key, Some(routing)));
                }
            }
            Output::OpenRow(key, record) => self.call_store.open_row(key, record),
            Output::LeaseMedia(key, wish) => {
                let lease = self.media.lease(key, &wish);
                self.give(Input::MediaLeased(key, lease));
            }
            Output::Resolve(name) => self.lookups.begin(name),
            Output::Relay(key, path) => self.media.relay(key, path),
            Output::Unheard(key, side, unheard) => self.media.allow(key, side, unheard),
            Output::Play(key, side, sound, repeat) => self.media.play(key, side, sound, repeat),
            Output::StopPlaying(key, side) => self.media.stop_playing(key, side),
            Output::Record(key, wish) => self.media.record(key, wish),
            Output::SendDigit(key, side, digit) => self.media.send_digit(key, side, digit),
            Output::Finish(key, record) => {
                self.config.calls_handle.ended(record.as_deref());
                let statistics = self.media.finish(key);
                self.call_store.finish_call(statistics, record);
            }
        }
    }
}

async fn until(moment: Option<Instant>) {
    if let Some(moment) = moment {
        tokio::time::sleep_until(moment).await;
    }
}
