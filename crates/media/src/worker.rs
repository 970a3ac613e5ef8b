//! A thread that carries the media of many calls.
//!
//! It waits for all their sockets at once. One look at the sockets, one packet from each that has some:
//! the kernel tells again of what is left, which costs less than asking until nothing is left. When there
//! is much to do, or it was just told something, it rests for two milliseconds before the next look, so
//! that one look finds many packets, or much that it is told.

mod execute;

use super::bridge::{Bridge, PACKET_BYTES_MAX, SilenceMax};
use super::commands::{self, Command, CommandSender, NotTaken, Queue};
use super::ports::MediaSockets;
use super::prompts::Library;
use super::recorder::{Batch, Work};
use super::statistics::Recorded;
use super::unheard::UnheardBudget;
use super::{Clock, ThreadState, thread_cpu_ns};
use crate::Event;
use maskline_domain::call::{CallKey, Side};
use maskline_sip::relay::LocalMedia;
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
use std::sync::mpsc::{SyncSender, TrySendError};
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::sync::mpsc;

/// Sockets looked at in one go.
const EVENTS_MAX: usize = 512;
/// News and work for the recorder that may wait here when the other thread takes none.
const WAITING_MAX: usize = 65_536;
/// Between two packets of what we play, and two batches of a recording, in microseconds.
const TICK_US: u64 = 20_000;
/// Further behind than this, what was missed is not made up for, in microseconds.
const BEHIND_MAX_US: u64 = 200_000;
/// A thread is seen each second. Unseen for so long, it hangs or the machine is far too slow, in
/// microseconds.
const LATE_US: u64 = 5_000_000;
/// Between two looks at what goes slowly, in microseconds.
const SECOND_US: u64 = 1_000_000;
const REPORT_EVERY_US: u64 = REPORT_EVERY_MS * 1_000;
/// With more packets than this in a tick, looks are [`REST`] apart.
const BUSY_PACKETS_PER_TICK: u64 = 60;
const REST: Duration = Duration::from_millis(2);
/// Not a socket, but the wish to be heard.
const WAKE: u64 = u64::MAX;

/// What a thread has done so far.
#[derive(Debug, Default)]
pub struct Done {
    /// When it was last seen, on the clock of the media plane.
    pub seen_us: AtomicU64,
    /// Packets taken.
    pub packets: AtomicU64,
    /// Processor time in nanoseconds, up to a second ago.
    pub cpu_ns: AtomicU64,
}

/// A thread from outside.
#[derive(Debug)]
pub struct WorkerHandle {
    commands: CommandSender,
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
    pub news: mpsc::Sender<Event>,
    /// The time.
    pub clock: Clock,
    /// How long silence may last.
    pub silence_max: SilenceMax,
    /// The ports at which nobody but we are.
    pub local_media: Arc<LocalMedia>,
    /// What all threads send to those of whom nothing was heard.
    pub budget: Arc<UnheardBudget>,
}

impl WorkerHandle {
    /// Starts a thread.
    ///
    /// # Errors
    /// When the system has no thread or no descriptor to give.
    pub fn start(number: usize, tools: Tools) -> io::Result<Self> {
        let epoll = epoll::create(CreateFlags::CLOEXEC)?;
        let wake = Arc::new(eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?);
        epoll::add(&epoll, &wake, EventData::new_u64(WAKE), EventFlags::IN)?;
        let is_woken = Arc::new(AtomicBool::new(false));
        let (commands, queue) = commands::queue();
        let now_us = tools.clock.now_us();
        let done = Arc::new(Done {
            seen_us: now_us.into(),
            ..Done::default()
        });
        let worker = MediaWorker {
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
            .spawn(move || worker.run())?;
        Ok(Self {
            commands,
            wake,
            is_woken,
            done,
            thread: Some(thread),
        })
    }

    /// Tells it something.
    ///
    /// # Errors
    /// [`NotTaken`]; never [`NotTaken::Behind`] for the end of a call.
    pub fn tell(&self, command: Command) -> Result<(), NotTaken> {
        let told = self.commands.tell(command);
        // One wake is enough for all that is told until the thread looks.
        if !self.is_woken.swap(true, Ordering::AcqRel) {
            // It fails only when the thread has been woken 2^64 times and has not looked.
            let _ = rustix::io::write(&self.wake, &1_u64.to_ne_bytes());
        }
        told
    }

    /// How it is.
    pub fn state(&self, now_us: u64) -> ThreadState {
        let has_ended = self.thread.as_ref().is_none_or(JoinHandle::is_finished);
        let unseen_us = now_us.saturating_sub(self.done.seen_us.load(Ordering::Relaxed));
        if has_ended {
            ThreadState::Ended
        } else if unseen_us > LATE_US || self.commands.is_behind() {
            ThreadState::Late
        } else {
            ThreadState::Well
        }
    }
}

impl Drop for WorkerHandle {
    fn drop(&mut self) {
        // It may have ended before.
        let _ = self.tell(Command::Stop);
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("a media thread ended by a panic");
        }
    }
}

/// The thread from inside.
struct MediaWorker {
    tools: Tools,
    epoll: OwnedFd,
    wake: Arc<OwnedFd>,
    is_woken: Arc<AtomicBool>,
    queue: Queue,
    done: Arc<Done>,
    /// A call keeps its place, which the kernel tells with each socket.
    calls: Vec<Option<RelayedCall>>,
    free: Vec<usize>,
    places: BTreeMap<CallKey, usize>,
    /// The places of calls that are played something.
    ticking: BTreeSet<usize>,
    /// Calls that are recorded.
    recording: usize,
    batch: Batch,
    work: VecDeque<Work>,
    news: VecDeque<Event>,
    fresh: Vec<u8>,
    next_tick_us: u64,
    next_second_us: u64,
    packets: u64,
}

struct RelayedCall {
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

impl RelayedCall {
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

impl MediaWorker {
    fn run(mut self) {
        let mut events = Vec::with_capacity(EVENTS_MAX);
        // One more, so that a packet that the kernel cut shows as too long.
        let mut bytes = [0; PACKET_BYTES_MAX + 1];
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
            // First, so that a packet sent after a command finds it carried out. A call that took the place of
            // one that was closed here is at worst asked in vain.
            let is_woken = events.iter().any(|event| event.data.u64() == WAKE);
            if is_woken && !self.execute() {
                self.hand_over();
                return;
            }
            let now_us = self.tools.clock.now_us();
            for event in &events {
                match event.data.u64() {
                    WAKE => {}
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
        // A socket of both families has another form for addresses of IPv4.
        let source = SocketAddr::new(source.ip().to_canonical(), source.port());
        let bytes = &bytes[..length];
        if token.is_rtcp {
            return call.bridge.on_rtcp(token.side, source, bytes, now_us);
        }
        self.packets += 1;
        let passed = (call.bridge).on_rtp(token.side, source, bytes, now_us, &mut self.fresh);
        if let Some(to) = passed.to {
            send(
                &call.sockets(token.side.other()).rtp,
                self.tools.local_media.is_ipv6(),
                &self.fresh,
                to,
            );
        }
        if let Some((law, packet)) = passed.sound.filter(|_| call.is_recorded) {
            let names = (packet.ssrc, packet.timestamp);
            let whose = (call.key, token.side);
            self.batch.add(whose, law, names, packet.payload, now_us);
        }
        if let Some(key) = passed.key {
            let news = Event::Digit(call.key, token.side, key);
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
                send(
                    &call.sockets(side).rtp,
                    self.tools.local_media.is_ipv6(),
                    &self.fresh,
                    to,
                );
            }
            *is_over = ticked.is_over;
        }
        if !call.bridge.wants_ticks() {
            self.ticking.remove(&place);
        }
        for (side, is_over) in Side::BOTH.into_iter().zip(over) {
            if is_over {
                self.tell(Event::Played(key, side));
            }
        }
    }

    /// Everything that happens each second: reports, silence, and what this thread has used.
    fn second(&mut self, now_us: u64) {
        self.next_second_us = now_us + SECOND_US;
        let unix_us = Clock::unix_us();
        let mut silent = Vec::new();
        for call in self.calls.iter_mut().flatten() {
            if call.bridge.take_silence(now_us) {
                silent.push(call.key);
            }
            if now_us < call.next_report_us {
                continue;
            }
            call.next_report_us = now_us + REPORT_EVERY_US;
            for side in Side::BOTH {
                let to = call.bridge.report(side, now_us, unix_us, &mut self.fresh);
                if let Some(to) = to {
                    send(
                        &call.sockets(side).rtcp,
                        self.tools.local_media.is_ipv6(),
                        &self.fresh,
                        to,
                    );
                }
            }
        }
        for key in silent {
            self.tell(Event::Lost(key));
        }
        self.done.seen_us.store(now_us, Ordering::Relaxed);
        self.done.packets.store(self.packets, Ordering::Relaxed);
        self.done.cpu_ns.store(thread_cpu_ns(), Ordering::Relaxed);
    }

    fn tell(&mut self, news: Event) {
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
                Ok(()) => {}
                // Whoever recorded is gone; the rest of what a call came to is still known.
                Err(TrySendError::Disconnected(Work::End {
                    statistics, reply, ..
                })) => {
                    let _ = reply.send(*statistics);
                }
                Err(TrySendError::Disconnected(_)) => {}
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
fn send(socket: &UdpSocket, is_ipv6: bool, bytes: &[u8], to: SocketAddr) {
    let to = match to {
        SocketAddr::V4(to) if is_ipv6 => {
            SocketAddr::new(to.ip().to_ipv6_mapped().into(), to.port())
        }
        to => to,
    };
    let _ = socket.send_to(bytes, to);
}
