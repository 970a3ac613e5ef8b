//! The media plane: it carries the sound of all calls, plays prompts and records.
//!
//! [`MediaPlane`] is its face; it carries out what the switch wants of media. Behind it a few threads
//! ([`worker`]) own all sockets and are told by [`commands`]; what happens to a packet is decided without
//! any socket in [`bridge`]. What is played comes from [`prompts`] by way of [`player`], and [`recorder`] is
//! the thread that writes files. [`ports`] lends the sockets and keeps them for the next call, [`unheard`] bounds
//! what is sent to those of whom nothing was heard, [`statistics`] is what is left of a call's media when it is
//! over.

pub mod bridge;
pub mod commands;
pub mod player;
pub mod ports;
pub mod prompts;
pub mod recorder;
pub mod statistics;
pub mod unheard;
pub mod worker;

use bridge::SilenceMax;
use commands::Command;
use maskline_domain::ToneCode;
use maskline_domain::call::{CallKey, Side, Sound};
use maskline_sip::relay::{
    Lease, LeaseRequest, LocalMedia, MediaPath, RecordingRequest, Repeat, Unheard,
};
use ports::Ports;
use prompts::{Language, Library};
use recorder::{Recorder, Work};
use rustix::time::{ClockId, clock_gettime};
use statistics::Statistics;
use std::collections::BTreeSet;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant, SystemTime};
use tokio::sync::{mpsc, oneshot};
use unheard::{Limits, UnheardBudget};
use worker::{Tools, WorkerHandle};

/// What a call's media tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// What was to be played once to this side has been played, or cannot be.
    Played(CallKey, Side),
    /// This side pressed a key, which came as an RTP event (RFC 4733) and cannot go on as one.
    Digit(CallKey, Side, char),
    /// The relay of this call has heard nothing for too long, or there is none any more.
    Lost(CallKey),
}

/// How a thread is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ThreadState {
    /// It does its work.
    Well,
    /// Much waits for it, or it has not been seen for five seconds.
    Late,
    /// It is gone, which only a fault can bring about. Nobody can be heard over it any more.
    Ended,
}

/// How media is carried.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where it is received.
    pub bind: IpAddr,
    /// What peers are told instead, unless a call wishes otherwise.
    pub advertised: Option<IpAddr>,
    /// Further addresses that lead to this machine.
    pub others: Vec<IpAddr>,
    /// The first and the last port.
    pub ports: (u16, u16),
    /// When neither side is heard for so long, [`Event::Lost`] follows.
    pub silence_max: Duration,
    /// The same while one side holds the other.
    pub hold_silence_max: Duration,
    /// What all calls together send to an address from which nothing has come.
    pub unheard: Limits,
    /// Threads that carry it, at least one.
    pub threads: usize,
    /// The languages of prompts, in the order in which they are spoken.
    pub languages: Vec<Language>,
    /// Where the operator's own prompts lie.
    pub prompts: Option<PathBuf>,
    /// Where recordings go. None records nothing.
    pub recordings: Option<recorder::Config>,
}

/// The usual [`Config::threads`]: one for each two processors.
pub fn usual_threads() -> usize {
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    (processors / 2).max(1)
}

impl Config {
    /// Where media is received, and what others may call that place.
    pub fn local_media(&self) -> LocalMedia {
        let told = self.advertised.unwrap_or(self.bind);
        LocalMedia::new(self.bind, told, self.others.iter().copied(), self.ports)
    }
}

/// What the threads have done so far, up to a second ago.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Load {
    /// RTP packets that came.
    pub packets: u64,
    /// Processor time of the threads that relay, in nanoseconds.
    pub relay_cpu_ns: u64,
    /// Processor time of the thread that records, in nanoseconds.
    pub recorder_cpu_ns: u64,
}

/// How the threads are: those that relay, and the one that records.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Threads {
    /// Those that do their work.
    pub well: usize,
    /// Those that are behind. They take no new calls until they have caught up.
    pub late: usize,
    /// Those that are gone, which only a fault can bring about. Their calls are ended and new ones of
    /// theirs refused, until the process is started again.
    pub ended: usize,
}

impl Threads {
    /// What is wrong, if anything is.
    pub fn trouble(self) -> Option<&'static str> {
        match self {
            Self { ended: 1.., .. } => Some(
                "a media thread has ended; calls are refused or not recorded until the process is \
                 started again",
            ),
            Self { late: 1.., .. } => Some("a media thread is behind; new calls are refused"),
            Self { .. } => None,
        }
    }
}

/// See the module. Dropping it ends the threads; recordings that are still going are ended properly.
#[derive(Debug)]
pub struct MediaPlane {
    told: IpAddr,
    tones: Arc<BTreeSet<ToneCode>>,
    ports: Arc<Ports>,
    clock: Clock,
    // Before the recorder, which ends when nobody hands it work any more.
    workers: Vec<WorkerHandle>,
    recorder: Option<Recorder>,
}

impl MediaPlane {
    /// Starts the threads. `news` is told [`Event::Lost`], [`Event::Played`] and [`Event::Digit`].
    ///
    /// # Errors
    /// When the system has no thread or no descriptor to give.
    pub fn start(config: Config, news: mpsc::Sender<Event>) -> io::Result<Self> {
        let clock = Clock::new();
        let local_media = Arc::new(config.local_media());
        let budget = Arc::new(UnheardBudget::new(config.unheard));
        let library = Library::load(config.prompts.as_deref(), &config.languages);
        let tones = Arc::new(library.tones().collect());
        let library = Arc::new(library);
        let recorder = config
            .recordings
            .map(|config| Recorder::start(config, clock))
            .transpose()?;
        let us = |duration: Duration| u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
        let worker = |number| {
            let tools = Tools {
                library: Arc::clone(&library),
                recorder: recorder.as_ref().map(|recorder| recorder.work.clone()),
                news: news.clone(),
                clock,
                local_media: Arc::clone(&local_media),
                budget: Arc::clone(&budget),
                silence_max: SilenceMax {
                    usual_us: us(config.silence_max),
                    held_us: us(config.hold_silence_max),
                },
            };
            WorkerHandle::start(number, tools)
        };
        Ok(Self {
            told: config.advertised.unwrap_or(config.bind),
            tones,
            ports: Ports::new(config.bind, config.ports.0, config.ports.1),
            workers: (0..config.threads.max(1))
                .map(worker)
                .collect::<Result<_, _>>()?,
            clock,
            recorder,
        })
    }

    /// The ring tones that can be played.
    pub fn tones(&self) -> Arc<BTreeSet<ToneCode>> {
        Arc::clone(&self.tones)
    }

    /// Two pairs of ports for a call. None if no ports are free, or the thread that would carry the call
    /// cannot.
    pub fn lease(&self, key: CallKey, request: &LeaseRequest) -> Option<Lease> {
        if self.worker(key).state(self.clock.now_us()) != ThreadState::Well {
            return None;
        }
        let (caller, callee) = (self.ports.lend()?, self.ports.lend()?);
        let told = |advertised: Option<IpAddr>, port| {
            SocketAddr::new(advertised.unwrap_or(self.told), port)
        };
        let lease = Lease {
            caller: told(request.caller_advertised, caller.port()),
            callee: told(None, callee.port()),
        };
        let mut chances = [0; 6];
        for chance in &mut chances {
            *chance = getrandom::u64().ok()?;
        }
        let sockets = Box::new([caller, callee]);
        let opened = self.tell(key, Command::Open(key, sockets, chances));
        opened.then_some(lease)
    }

    /// Relays between these two from now on.
    pub fn relay(&self, key: CallKey, path: MediaPath) {
        self.tell(key, Command::Path(key, Box::new(path)));
    }

    /// Sends a side so much before it has been heard, from now on.
    pub fn allow(&self, key: CallKey, side: Side, unheard: Unheard) {
        self.tell(key, Command::Allow(key, side, unheard));
    }

    /// Plays to a side instead of what it would hear. After one that is played once, or cannot be,
    /// [`Event::Played`] follows.
    pub fn play(&self, key: CallKey, side: Side, sound: impl Into<Sound>, repeat: Repeat) {
        self.tell(key, Command::Play(key, side, sound.into(), repeat));
    }

    /// Stops what is played to a side.
    pub fn stop_playing(&self, key: CallKey, side: Side) {
        self.tell(key, Command::StopPlaying(key, side));
    }

    /// Records both sides from now on.
    pub fn record(&self, key: CallKey, request: RecordingRequest) {
        self.tell(key, Command::Record(key, request.file));
    }

    /// Presses a key for a side to hear, if it knows events.
    pub fn send_digit(&self, key: CallKey, side: Side, digit: char) {
        self.tell(key, Command::Press(key, side, digit));
    }

    /// Gives back the ports of a call and ends its recording. What comes is an error if it had no ports,
    /// or its thread has ended and it was not recorded.
    pub fn finish(&self, key: CallKey) -> oneshot::Receiver<Statistics> {
        let (reply, statistics) = oneshot::channel();
        match &self.recorder {
            // Nobody else ends its recording, which would go on in silence.
            Some(recorder) if self.is_lost(key) => {
                if recorder.work.try_send(Work::Abandon(key, reply)).is_err() {
                    tracing::error!("a recording of an ended media thread was not ended");
                }
            }
            _ => {
                self.tell(key, Command::Close(key, reply));
            }
        }
        statistics
    }

    /// Gives back to the system what nobody needed for a while. To be called each second or so.
    pub fn tidy(&self) {
        self.ports.tidy();
    }

    /// Media of ours has these addresses from now on.
    pub fn set_local_media(&self, local_media: &Arc<LocalMedia>) {
        for worker in &self.workers {
            // Who has ended carries no calls any more.
            let _ = worker.tell(Command::LocalMedia(Arc::clone(local_media)));
        }
    }

    /// Pairs of ports that are lent.
    pub fn ports_lent(&self) -> usize {
        self.ports.lent()
    }

    /// What the threads have done.
    pub fn load(&self) -> Load {
        let mut load = Load::default();
        for worker in &self.workers {
            load.packets += worker.done.packets.load(Ordering::Relaxed);
            load.relay_cpu_ns += worker.done.cpu_ns.load(Ordering::Relaxed);
        }
        if let Some(recorder) = &self.recorder {
            load.recorder_cpu_ns = recorder.cpu_ns.load(Ordering::Relaxed);
        }
        load
    }

    /// How the threads are.
    pub fn threads(&self) -> Threads {
        let now_us = self.clock.now_us();
        let recorder = self.recorder.as_ref().map(Recorder::state);
        let relays = self.workers.iter().map(|worker| worker.state(now_us));
        let mut threads = Threads::default();
        for state in relays.chain(recorder) {
            match state {
                ThreadState::Well => threads.well += 1,
                ThreadState::Late => threads.late += 1,
                ThreadState::Ended => threads.ended += 1,
            }
        }
        threads
    }

    /// Whether nobody can be heard in this call any more, since its thread has ended.
    pub fn is_lost(&self, key: CallKey) -> bool {
        self.worker(key).state(self.clock.now_us()) == ThreadState::Ended
    }

    fn worker(&self, key: CallKey) -> &WorkerHandle {
        let at = key.number() % self.workers.len() as u64;
        &self.workers[at as usize]
    }

    /// Whether it was taken. That it was not is noticed by [`Self::threads`] too, and logged then.
    fn tell(&self, key: CallKey, command: Command) -> bool {
        let told = self.worker(key).tell(command);
        if let Err(why) = told {
            tracing::debug!(%why, "a media thread was not told something");
        }
        told.is_ok()
    }
}

impl Drop for MediaPlane {
    fn drop(&mut self) {
        self.workers.clear();
        if let Some(Recorder { work, thread, .. }) = self.recorder.take() {
            drop(work);
            if thread.join().is_err() {
                tracing::error!("the thread that records ended by a panic");
            }
        }
    }
}

/// The time on a clock that never jumps, in microseconds since the media plane was started.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    origin: Instant,
}

impl Clock {
    fn new() -> Self {
        Self {
            origin: Instant::now(),
        }
    }

    /// Now.
    pub fn now_us(&self) -> u64 {
        u64::try_from(self.origin.elapsed().as_micros()).unwrap_or(u64::MAX)
    }

    /// The time of day, in microseconds since 1970.
    fn unix_us() -> u64 {
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        since.map_or(0, |since| {
            u64::try_from(since.as_micros()).unwrap_or(u64::MAX)
        })
    }
}

/// The processor time of this thread, in nanoseconds.
fn thread_cpu_ns() -> u64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    time.tv_sec.cast_unsigned() * 1_000_000_000 + time.tv_nsec.cast_unsigned()
}

#[cfg(test)]
mod tests;
