//! A thread that carries the media of many calls.
//!
//! It waits for all their sockets at once. One look at the sockets, one packet from each that has some:
//! the kernel tells again of what is left, which costs less than asking until nothing is left. When there
//! is much to do, or it was just told something, it rests for two milliseconds before the next look, so
//! that one look finds many packets, or much that it is told.

use super::bridge::{Bridge, Patience};
use super::player::Player;
use super::ports::MediaSockets;
use super::prompts::Library;
use super::recorder::{Batch, Work};
use super::statistics::{Recorded, Statistics, Stopped};
use super::{Clock, thread_cpu_ns};
use crate::calls::switch::{CallKey, Input, MediaPath, Repeat, Side, Sound};
use maskline_sip::rtcp::REPORT_EVERY_MS;
use rustix::buffer::spare_capacity;
use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};
use rustix::event::{EventfdFlags, Timespec, eventfd};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TryRecvError, TrySendError, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};

/// The longest packet that is relayed, in bytes: far above 60 ms of G.711.
const PACKET_BYTES_MAX: usize = 1_500;
/// Sockets looked at in one go.
const EVENTS_MAX: usize = 512;
/// Commands that may wait.
const COMMANDS_MAX: usize = 16_384;
/// News and work for the recorder that may wait here when the other thread takes none.
const WAITING_MAX: usize = 65_536;
/// Between two packets of what we play, and two batches of a recording, in microseconds.
const TICK_US: u64 = 20_000;
/// Further behind than this, what was missed is not made up for, in microseconds.
const BEHIND_MAX_US: u64 = 200_000;
/// Between two looks at what goes slowly, in microseconds.
const SECOND_US: u64 = 1_000_000;
const REPORT_EVERY_US: u64 = REPORT_EVERY_MS * 1_000;
/// With more packets than this in a tick, looks are [`REST`] apart.
const BUSY_PACKETS_PER_TICK: u64 = 60;
const REST: Duration = Duration::from_millis(2);
/// Not a socket, but the wish to be heard.
const WAKE: u64 = u64::MAX;

/// What a thread is told.
#[derive(Debug)]
pub enum Command {
    /// A call has these sockets for its caller and its callee; the numbers are drawn by lot.
    Open(CallKey, Box<[MediaSockets; 2]>, [u64; 6]),
    /// Relay between these two from now on.
    Path(CallKey, Box<MediaPath>),
    /// Play to a side.
    Play(CallKey, Side, Sound, Repeat),
    /// Stop that.
    StopPlaying(CallKey, Side),
    /// Record to this file.
    Record(CallKey, String),
    /// Press a key for a side to hear.
    Press(CallKey, Side, char),
    /// The call is over.
    Close(CallKey, oneshot::Sender<Statistics>),
    /// End the thread.
    Stop,
}

/// What a thread has done so far.
#[derive(Debug, Default)]
pub struct Done {
    /// Packets taken.
    pub packets: AtomicU64,
    /// Processor time in nanoseconds, up to a second ago.
    pub cpu_ns: AtomicU64,
}

/// A thread from outside.
#[derive(Debug)]
pub struct Shard {
    commands: SyncSender<Command>,
    wake: Arc<OwnedFd>,
    is_woken: Arc<AtomicBool>,
    /// What it has done.
    pub done: Arc<Done>,
    thread: Option<JoinHandle<()>>,
}

/// What a thread works with.
pub struct Tools {
    /// What is played.
    pub library: Arc<Library>,
    /// Who records, if anybody does.
    pub recorder: Option<SyncSender<Work>>,
    /// Who is told.
    pub news: mpsc::Sender<Input<'static>>,
    /// The time.
    pub clock: Clock,
    /// How long silence may last.
    pub patience: Patience,
}

impl Shard {
    /// Starts a thread.
    ///
    /// # Errors
    /// When the system has no thread or no descriptor to give.
    pub fn start(number: usize, tools: Tools) -> io::Result<Self> {
        let epoll = epoll::create(CreateFlags::CLOEXEC)?;
        let wake = Arc::new(eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?);
        epoll::add(&epoll, &wake, EventData::new_u64(WAKE), EventFlags::IN)?;
        let is_woken = Arc::new(AtomicBool::new(false));
        let (commands, queue) = sync_channel(COMMANDS_MAX);
        let done = Arc::new(Done::default());
        let now_us = tools.clock.now_us();
        let room = Room {
            tools,
            epoll,
            wake: Arc::clone(&wake),
            is_woken: Arc::clone(&is_woken),
            queue,
            done: Arc::clone(&done),
            calls: Vec::new(),
            free: Vec::new(),
            places: BTreeMap::new(),
            ticking: BTreeSet::new(),
            recording: 0,
            batch: Batch::default(),
            work: VecDeque::new(),
            news: VecDeque::new(),
            fresh: Vec::with_capacity(PACKET_BYTES_MAX),
            next_tick_us: now_us,
            next_second_us: now_us + SECOND_US,
            packets: 0,
        };
        let thread = std::thread::Builder::new()
            .name(format!("media-{number}"))
            .spawn(move || room.run())?;
        Ok(Self {
            commands,
            wake,
            is_woken,
            done,
            thread: Some(thread),
        })
    }

    /// Tells it something.
    pub fn tell(&self, command: Command) {
        if let Err(error) = self.commands.try_send(command) {
            let why = match error {
                TrySendError::Full(_) => "it is too far behind",
                TrySendError::Disconnected(_) => "it has ended",
            };
            tracing::error!(why, "a media thread was not told something");
        }
        // One wake is enough for all that is told until the thread looks.
        if !self.is_woken.swap(true, Ordering::AcqRel) {
            // It fails only when the thread has been woken 2^64 times and has not looked.
            let _ = rustix::io::write(&self.wake, &1_u64.to_ne_bytes());
        }
    }
}

impl Drop for Shard {
    fn drop(&mut self) {
        self.tell(Command::Stop);
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("a media thread ended by a panic");
        }
    }
}

/// The thread from inside.
struct Room {
    tools: Tools,
    epoll: OwnedFd,
    wake: Arc<OwnedFd>,
    is_woken: Arc<AtomicBool>,
    queue: Receiver<Command>,
    done: Arc<Done>,
    /// A call keeps its place, which the kernel tells with each socket.
    calls: Vec<Option<Call>>,
    free: Vec<usize>,
    places: BTreeMap<CallKey, usize>,
    /// The places of calls that are played something.
    ticking: BTreeSet<usize>,
    /// Calls that are recorded.
    recording: usize,
    batch: Batch,
    work: VecDeque<Work>,
    news: VecDeque<Input<'static>>,
    fresh: Vec<u8>,
    next_tick_us: u64,
    next_second_us: u64,
    packets: u64,
}

struct Call {
    key: CallKey,
    bridge: Bridge,
    caller: MediaSockets,
    callee: MediaSockets,
    is_recorded: bool,
    /// Why there is no recording although one was wanted.
    refused: Option<Recorded>,
    dropped: u64,
    next_report_us: u64,
}

impl Call {
    fn sockets(&self, side: Side) -> &MediaSockets {
        match side {
            Side::Caller => &self.caller,
            Side::Callee => &self.callee,
        }
    }
}

/// One of a call's four sockets, as a number for the kernel to keep.
#[derive(Clone, Copy)]
struct Token {
    place: usize,
    side: Side,
    is_rtcp: bool,
}

impl Token {
    fn to_data(self) -> EventData {
        let low = u64::from(self.side == Side::Callee) | u64::from(self.is_rtcp) << 1;
        EventData::new_u64((self.place as u64) << 2 | low)
    }

    fn of(number: u64) -> Self {
        Self {
            place: (number >> 2) as usize,
            side: if number & 1 == 0 {
                Side::Caller
            } else {
                Side::Callee
            },
            is_rtcp: number & 2 != 0,
        }
    }
}

impl Room {
    fn run(mut self) {
        let mut events = Vec::with_capacity(EVENTS_MAX);
        let mut bytes = [0; PACKET_BYTES_MAX];
        let mut at_last_tick = 0;
        let mut is_busy = false;
        loop {
            events.clear();
            let timeout = self.timeout();
            match epoll::wait(&self.epoll, spare_capacity(&mut events), Some(&timeout)) {
                Ok(_) | Err(rustix::io::Errno::INTR) => {}
                Err(error) => {
                    tracing::error!(%error, "a media thread cannot wait for its sockets");
                    std::thread::sleep(REST);
                }
            }
            let now_us = self.tools.clock.now_us();
            let mut is_woken = false;
            for event in &events {
                match event.data.u64() {
                    WAKE => is_woken = true,
                    token => self.receive(Token::of(token), now_us, &mut bytes),
                }
            }
            if now_us >= self.next_tick_us {
                is_busy = self.packets - at_last_tick > BUSY_PACKETS_PER_TICK;
                at_last_tick = self.packets;
                self.tick(now_us);
            }
            if now_us >= self.next_second_us {
                self.second(now_us);
            }
            // Last, since a call that is closed leaves its place to the next one.
            if is_woken && !self.obey() {
                self.hand_over();
                return;
            }
            if is_busy || is_woken {
                std::thread::sleep(REST);
            }
        }
    }

    /// Ticks go on only while somebody needs them.
    fn timeout(&self) -> Timespec {
        let needs_ticks = !self.ticking.is_empty()
            || self.recording > 0
            || !self.work.is_empty()
            || !self.news.is_empty();
        let next = match needs_ticks {
            true => self.next_tick_us.min(self.next_second_us),
            false => self.next_second_us,
        };
        let wait_us = next.saturating_sub(self.tools.clock.now_us());
        Timespec {
            tv_sec: (wait_us / 1_000_000).cast_signed(),
            tv_nsec: (wait_us % 1_000_000 * 1_000).cast_signed(),
        }
    }

    fn receive(&mut self, token: Token, now_us: u64, bytes: &mut [u8]) {
        let Some(Some(call)) = self.calls.get_mut(token.place) else {
            return;
        };
        let sockets = call.sockets(token.side);
        let socket = if token.is_rtcp {
            &sockets.rtcp
        } else {
            &sockets.rtp
        };
        // Whatever fails concerns one packet.
        let Ok((length, source)) = socket.recv_from(bytes) else {
            return;
        };
        let bytes = &bytes[..length];
        if token.is_rtcp {
            return call.bridge.on_rtcp(token.side, source, bytes, now_us);
        }
        self.packets += 1;
        let passed = (call.bridge).on_rtp(token.side, source, bytes, now_us, &mut self.fresh);
        if let Some(to) = passed.to {
            send(&call.sockets(token.side.other()).rtp, &self.fresh, to);
        }
        if let Some((law, packet)) = passed.sound.filter(|_| call.is_recorded) {
            let names = (packet.ssrc, packet.timestamp);
            let whose = (call.key, token.side);
            self.batch.add(whose, law, names, packet.payload, now_us);
        }
        if let Some(key) = passed.key {
            let news = Input::Digit(call.key, token.side, key);
            self.tell(news);
        }
    }

    /// Everything that happens each 20 ms.
    fn tick(&mut self, now_us: u64) {
        self.next_tick_us += TICK_US;
        if now_us.saturating_sub(self.next_tick_us) > BEHIND_MAX_US {
            self.next_tick_us = now_us + TICK_US;
        }
        let places: Vec<usize> = self.ticking.iter().copied().collect();
        for place in places {
            self.tick_call(place, now_us);
        }
        if !self.batch.is_empty() {
            let batch = std::mem::take(&mut self.batch);
            self.work.push_back(Work::Sound(batch));
        }
        self.hand_over();
    }

    fn tick_call(&mut self, place: usize, now_us: u64) {
        let Some(Some(call)) = self.calls.get_mut(place) else {
            self.ticking.remove(&place);
            return;
        };
        let key = call.key;
        let mut over = [false; 2];
        for (side, is_over) in Side::BOTH.into_iter().zip(&mut over) {
            let ticked = call.bridge.tick(side, now_us, &mut self.fresh);
            if let Some(to) = ticked.to {
                send(&call.sockets(side).rtp, &self.fresh, to);
            }
            *is_over = ticked.is_over;
        }
        if !call.bridge.wants_ticks() {
            self.ticking.remove(&place);
        }
        for (side, is_over) in Side::BOTH.into_iter().zip(over) {
            if is_over {
                self.tell(Input::Played(key, side));
            }
        }
    }

    /// Everything that happens each second: reports, silence, and what this thread has used.
    fn second(&mut self, now_us: u64) {
        self.next_second_us = now_us + SECOND_US;
        let unix_us = Clock::unix_us();
        let mut silent = Vec::new();
        for call in self.calls.iter_mut().flatten() {
            if call.bridge.is_silent(now_us) {
                silent.push(call.key);
            }
            if now_us < call.next_report_us {
                continue;
            }
            call.next_report_us = now_us + REPORT_EVERY_US;
            for side in Side::BOTH {
                let to = call.bridge.report(side, now_us, unix_us, &mut self.fresh);
                if let Some(to) = to {
                    send(&call.sockets(side).rtcp, &self.fresh, to);
                }
            }
        }
        for key in silent {
            self.tell(Input::MediaLost(key));
        }
        self.done.packets.store(self.packets, Ordering::Relaxed);
        self.done.cpu_ns.store(thread_cpu_ns(), Ordering::Relaxed);
    }

    /// Does what it was told. False when it is to end.
    fn obey(&mut self) -> bool {
        let mut count = [0; 8];
        // One read takes all wakes; none is there only if somebody else read, and nobody does.
        let _ = rustix::io::read(&self.wake, &mut count);
        // What is told from now on wakes again.
        self.is_woken.store(false, Ordering::Release);
        loop {
            let command = match self.queue.try_recv() {
                Ok(command) => command,
                Err(TryRecvError::Empty) => return true,
                Err(TryRecvError::Disconnected) => return false,
            };
            let now_us = self.tools.clock.now_us();
            match command {
                Command::Open(key, sockets, chances) => self.open(key, *sockets, chances, now_us),
                Command::Path(key, path) => {
                    self.with(key, |call| call.bridge.set_path(&path, now_us));
                }
                Command::Play(key, side, sound, repeat) => {
                    self.play((key, side), sound, repeat, now_us);
                }
                Command::StopPlaying(key, side) => {
                    self.with(key, |call| call.bridge.stop_playing(side));
                }
                Command::Record(key, file) => self.record(key, file, now_us),
                Command::Press(key, side, digit) => {
                    self.with(key, |call| call.bridge.press(side, digit));
                    self.follow(key, now_us);
                }
                Command::Close(key, reply) => self.close(key, reply),
                Command::Stop => return false,
            }
        }
    }

    fn with(&mut self, key: CallKey, deed: impl FnOnce(&mut Call)) {
        let place = self.places.get(&key);
        if let Some(Some(call)) = place.and_then(|place| self.calls.get_mut(*place)) {
            deed(call);
        }
    }

    fn open(&mut self, key: CallKey, sockets: [MediaSockets; 2], chances: [u64; 6], now_us: u64) {
        if self.places.contains_key(&key) {
            tracing::error!("a call was given ports twice; it keeps the first ones");
            return;
        }
        let [caller, callee] = sockets;
        let place = self.free.pop().unwrap_or(self.calls.len());
        for (side, sockets) in Side::BOTH.into_iter().zip([&caller, &callee]) {
            for (socket, is_rtcp) in [(&sockets.rtp, false), (&sockets.rtcp, true)] {
                let token = Token {
                    place,
                    side,
                    is_rtcp,
                };
                if let Err(error) = epoll::add(&self.epoll, socket, token.to_data(), EventFlags::IN)
                {
                    tracing::error!(%error, "a media socket cannot be waited for");
                }
            }
        }
        let mut chances = chances.into_iter();
        let patience = self.tools.patience;
        let first_report_us = chances.next().unwrap_or(0) % REPORT_EVERY_US;
        let call = Call {
            key,
            bridge: Bridge::new(patience, now_us, || chances.next().unwrap_or(0)),
            caller,
            callee,
            is_recorded: false,
            refused: None,
            dropped: 0,
            // Not all at once (RFC 3550 section 6.2).
            next_report_us: now_us + first_report_us,
        };
        match self.calls.get_mut(place) {
            Some(free) => *free = Some(call),
            None => self.calls.push(Some(call)),
        }
        self.places.insert(key, place);
    }

    fn play(&mut self, (key, side): (CallKey, Side), sound: Sound, repeat: Repeat, now_us: u64) {
        let library = Arc::clone(&self.tools.library);
        let mut is_heard = false;
        self.with(key, |call| {
            if let Some(law) = call.bridge.law(side) {
                let player = Player::new(library.sound(sound, law), law, repeat);
                is_heard = call.bridge.play(side, player);
            }
        });
        if is_heard {
            self.follow(key, now_us);
        } else if repeat == Repeat::Once {
            self.tell(Input::Played(key, side));
        }
    }

    /// Ticks for this call from now on, if it wants them.
    fn follow(&mut self, key: CallKey, now_us: u64) {
        let Some(place) = self.places.get(&key).copied() else {
            return;
        };
        let Some(Some(call)) = self.calls.get(place) else {
            return;
        };
        if call.bridge.wants_ticks() {
            self.ticking.insert(place);
            self.keep_pace(now_us);
        }
    }

    /// Ticks that nobody needed are not made up for.
    fn keep_pace(&mut self, now_us: u64) {
        if self.next_tick_us + TICK_US < now_us {
            self.next_tick_us = now_us;
        }
    }

    fn record(&mut self, key: CallKey, file: String, now_us: u64) {
        self.keep_pace(now_us);
        let has_recorder = self.tools.recorder.is_some();
        let mut begin = None;
        self.with(key, |call| {
            if call.is_recorded {
                return;
            }
            let law = call.bridge.law(Side::Caller);
            let why = match law {
                None => Stopped::Codec,
                Some(_) if !has_recorder => Stopped::Failed,
                Some(law) => {
                    call.is_recorded = true;
                    begin = Some(Work::Begin {
                        key,
                        file,
                        law,
                        at_us: now_us,
                    });
                    return;
                }
            };
            call.refused = Some(Recorded {
                file,
                stopped: Some(why),
                ..Recorded::default()
            });
        });
        if let Some(begin) = begin {
            self.recording += 1;
            self.work.push_back(begin);
            self.hand_over();
        }
    }

    fn close(&mut self, key: CallKey, reply: oneshot::Sender<Statistics>) {
        let Some(place) = self.places.remove(&key) else {
            return;
        };
        let Some(call) = self.calls.get_mut(place).and_then(Option::take) else {
            return;
        };
        self.free.push(place);
        self.ticking.remove(&place);
        let statistics = Statistics {
            caller: call.bridge.received(Side::Caller),
            callee: call.bridge.received(Side::Callee),
            recording: call.refused,
        };
        // Who hears that it is over may count on the ports.
        for sockets in [call.caller, call.callee] {
            for socket in [&sockets.rtp, &sockets.rtcp] {
                // It is there, or could not be waited for.
                let _ = epoll::delete(&self.epoll, socket);
            }
            sockets.give_back();
        }
        if !call.is_recorded {
            // Who does not wait any more does not want it.
            let _ = reply.send(statistics);
            return;
        }
        self.recording -= 1;
        let batch = std::mem::take(&mut self.batch);
        self.work.push_back(Work::Sound(batch));
        self.work.push_back(Work::End {
            key,
            dropped: call.dropped,
            statistics: Box::new(statistics),
            reply,
        });
        self.hand_over();
    }

    fn tell(&mut self, news: Input<'static>) {
        if self.news.len() < WAITING_MAX {
            self.news.push_back(news);
        }
        self.hand_over();
    }

    /// Hands on what waits, without ever waiting for who takes it. Sound that is not taken is dropped; what
    /// begins and ends recordings stays.
    fn hand_over(&mut self) {
        while let Some(news) = self.news.pop_front() {
            if let Err(mpsc::error::TrySendError::Full(news)) = self.tools.news.try_send(news) {
                self.news.push_front(news);
                break;
            }
        }
        let Some(recorder) = &self.tools.recorder else {
            return;
        };
        while let Some(work) = self.work.pop_front() {
            match recorder.try_send(work) {
                Ok(()) | Err(TrySendError::Disconnected(_)) => {}
                Err(TrySendError::Full(work)) => {
                    self.work.push_front(work);
                    break;
                }
            }
        }
        let (work, calls, places) = (&mut self.work, &mut self.calls, &self.places);
        work.retain(|work| {
            let Work::Sound(batch) = work else {
                return true;
            };
            for key in batch.calls() {
                let place = places.get(&key);
                if let Some(Some(call)) = place.and_then(|place| calls.get_mut(*place)) {
                    call.dropped += 1;
                }
            }
            false
        });
    }
}

/// What the kernel does not take now is lost, as any network may lose it.
fn send(socket: &UdpSocket, bytes: &[u8], to: SocketAddr) {
    let _ = socket.send_to(bytes, to);
}
