//! Recordings: stereo WAV files, the caller on the left, the callee on the right, G.711 as it arrives.
//!
//! One thread writes them all. The media threads hand it what came, in batches, and never wait for it: when
//! its queue is full, sound is dropped and counted. Once a second each file grows by what is complete and
//! its header is written anew, so that a file is playable up to the last second whenever the process dies.

use super::statistics::{Recorded, Statistics, Stopped};
use super::{Clock, ThreadState};
use maskline_domain::call::{CallKey, Side};
use maskline_sip::g711::{Law, SAMPLES_PER_SECOND};
use maskline_sip::timeline::{Timeline, WINDOW};
use maskline_sip::wav::{self, Format, HEADER_BYTES};
use std::collections::BTreeMap;
use std::fs::{DirBuilder, File, OpenOptions};
use std::io;
use std::ops::Range;
use std::os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt};
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::sync::oneshot;

/// How often files are written, in microseconds.
const FLUSH_EVERY_US: u64 = 1_000_000;
/// Batches that may wait: five seconds of one media thread.
const QUEUE_MAX: usize = 256;
/// Both sides.
const CHANNELS: u16 = 2;

/// Where recordings go, and when there is no room for them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// The directory of recordings; made when the first one begins.
    pub directory: PathBuf,
    /// With less room than this left on the disk nothing is recorded, in bytes.
    pub free_min_bytes: u64,
}

/// Work for the thread.
#[derive(Debug)]
pub enum Work {
    /// Begin a recording.
    Begin {
        /// Of this call.
        key: CallKey,
        /// Below the directory.
        file: String,
        /// In which the file is written.
        law: Law,
        /// When, on the clock of the media plane.
        at_us: u64,
    },
    /// What came since the last batch.
    Sound(Batch),
    /// The call is over: end its recording, add what it came to, and hand the statistics on.
    End {
        /// The call.
        key: CallKey,
        /// When, on the clock of the media plane: so long it lasts, whoever spoke last.
        at_us: u64,
        /// Packets that could not be handed over.
        dropped: u64,
        /// The rest.
        statistics: Box<Statistics>,
        /// Who waits for them.
        reply: oneshot::Sender<Statistics>,
    },
    /// The same for a call whose media thread has ended: nothing else is known of it.
    Abandon(CallKey, oneshot::Sender<Statistics>),
}

/// Packets of many calls, one behind the other.
#[derive(Debug, Default)]
pub struct Batch {
    bytes: Vec<u8>,
    packets: Vec<QueuedPacket>,
}

#[derive(Debug)]
struct QueuedPacket {
    key: CallKey,
    side: Side,
    law: Law,
    ssrc: u32,
    timestamp: u32,
    at_us: u64,
    range: Range<usize>,
}

impl Batch {
    /// Adds a packet's sound.
    pub fn add(
        &mut self,
        (key, side): (CallKey, Side),
        law: Law,
        (ssrc, timestamp): (u32, u32),
        sound: &[u8],
        at_us: u64,
    ) {
        let begin = self.bytes.len();
        self.bytes.extend_from_slice(sound);
        self.packets.push(QueuedPacket {
            key,
            side,
            law,
            ssrc,
            timestamp,
            at_us,
            range: begin..self.bytes.len(),
        });
    }

    /// Whether there is nothing in it.
    pub fn is_empty(&self) -> bool {
        self.packets.is_empty()
    }

    /// The calls of its packets, for counting what is dropped.
    pub fn calls(&self) -> impl Iterator<Item = CallKey> {
        self.packets.iter().map(|packet| packet.key)
    }
}

/// The thread that writes. It ends when the last sender of work is gone, and ends every file first.
#[derive(Debug)]
pub struct Recorder {
    /// Its queue.
    pub work: SyncSender<Work>,
    /// Its processor time, in nanoseconds.
    pub cpu_ns: Arc<AtomicU64>,
    /// It.
    pub thread: JoinHandle<()>,
}

impl Recorder {
    /// Starts the thread.
    ///
    /// # Errors
    /// When the system has no thread to give.
    pub fn start(config: Config, clock: Clock) -> io::Result<Self> {
        let (work, queue) = sync_channel(QUEUE_MAX);
        let cpu_ns = Arc::new(AtomicU64::new(0));
        let cpu = Arc::clone(&cpu_ns);
        let thread = std::thread::Builder::new()
            .name("recorder".to_owned())
            .spawn(move || Writer::new(config, clock, cpu).run(&queue))?;
        Ok(Self {
            work,
            cpu_ns,
            thread,
        })
    }
}

impl Recorder {
    /// How its thread is. It is never late: who hands it work drops sound that it has no room for.
    pub fn state(&self) -> ThreadState {
        match self.thread.is_finished() {
            true => ThreadState::Ended,
            false => ThreadState::Well,
        }
    }
}

struct Writer {
    config: Config,
    clock: Clock,
    cpu_ns: Arc<AtomicU64>,
    calls: BTreeMap<CallKey, Recording>,
    is_full: bool,
    left: Vec<u8>,
    both: Vec<u8>,
}

/// One call's.
struct Recording {
    recorded: Recorded,
    law: Law,
    begun_us: u64,
    caller: Timeline,
    callee: Timeline,
    file: Option<File>,
    frames: u64,
}

impl Writer {
    fn new(config: Config, clock: Clock, cpu_ns: Arc<AtomicU64>) -> Self {
        Self {
            config,
            clock,
            cpu_ns,
            calls: BTreeMap::new(),
            is_full: false,
            left: Vec::new(),
            both: Vec::new(),
        }
    }

    fn run(mut self, queue: &Receiver<Work>) {
        let mut next_flush_us = self.clock.now_us() + FLUSH_EVERY_US;
        loop {
            let wait = next_flush_us.saturating_sub(self.clock.now_us());
            match queue.recv_timeout(Duration::from_micros(wait)) {
                Ok(work) => self.take(work),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
            let now_us = self.clock.now_us();
            if now_us >= next_flush_us {
                self.flush(now_us);
                next_flush_us = now_us + FLUSH_EVERY_US;
            }
        }
        let now_us = self.clock.now_us();
        for recording in self.calls.values_mut() {
            recording.finish(now_us, &mut self.left, &mut self.both);
        }
    }

    fn take(&mut self, work: Work) {
        match work {
            Work::Begin {
                key,
                file,
                law,
                at_us,
            } => {
                if self.calls.is_empty() {
                    self.look_at_disk();
                }
                let recording = Recording::begin(&self.config, self.is_full, file, law, at_us);
                self.calls.insert(key, recording);
            }
            Work::Sound(batch) => {
                for heard in &batch.packets {
                    if let Some(recording) = self.calls.get_mut(&heard.key) {
                        recording.put(heard, &batch.bytes[heard.range.clone()]);
                    }
                }
            }
            Work::End {
                key,
                at_us,
                dropped,
                mut statistics,
                reply,
            } => {
                if let Some(mut recorded) = self.end(key, at_us) {
                    recorded.dropped = dropped;
                    statistics.recording = Some(recorded);
                }
                // Who does not wait any more does not want it.
                let _ = reply.send(*statistics);
            }
            Work::Abandon(key, reply) => {
                if let Some(recorded) = self.end(key, self.clock.now_us()) {
                    let _ = reply.send(Statistics {
                        recording: Some(recorded),
                        ..Statistics::default()
                    });
                }
            }
        }
    }

    fn end(&mut self, key: CallKey, at_us: u64) -> Option<Recorded> {
        let mut recording = self.calls.remove(&key)?;
        recording.finish(at_us, &mut self.left, &mut self.both);
        Some(recording.recorded)
    }

    fn flush(&mut self, now_us: u64) {
        if !self.calls.is_empty() {
            self.look_at_disk();
        }
        for recording in self.calls.values_mut() {
            if self.is_full {
                let room = (&mut self.left, &mut self.both);
                recording.stop(Stopped::DiskFull, now_us, room);
            } else {
                let until = recording.position(now_us).saturating_sub(WINDOW);
                recording.flush(until, &mut self.left, &mut self.both);
            }
        }
        self.cpu_ns.store(super::thread_cpu_ns(), Ordering::Relaxed);
    }

    fn look_at_disk(&mut self) {
        let is_full = match has_room(&self.config) {
            Ok(has_room) => !has_room,
            Err(error) => {
                tracing::error!(%error, "the room on the disk for recordings cannot be read");
                true
            }
        };
        if is_full != self.is_full {
            if is_full {
                tracing::error!("too little room on the disk: recordings stop, calls go on");
            } else {
                tracing::info!("there is room on the disk again: new calls are recorded");
            }
            self.is_full = is_full;
        }
    }
}

fn has_room(config: &Config) -> io::Result<bool> {
    let directory = config.directory.as_path();
    let mut there = directory;
    // The directory itself may not be there yet.
    while !there.exists() {
        match there.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => there = parent,
            _ => there = Path::new("."),
        }
    }
    let disk = rustix::fs::statvfs(there)?;
    Ok(disk.f_bavail.saturating_mul(disk.f_frsize) >= config.free_min_bytes)
}

impl Recording {
    fn begin(config: &Config, is_full: bool, file: String, law: Law, begun_us: u64) -> Self {
        let mut recording = Self {
            recorded: Recorded {
                file,
                ..Recorded::default()
            },
            law,
            begun_us,
            caller: Timeline::new(law),
            callee: Timeline::new(law),
            file: None,
            frames: 0,
        };
        if is_full {
            recording.recorded.stopped = Some(Stopped::DiskFull);
            return recording;
        }
        match create(&config.directory, &recording.recorded.file) {
            Ok(file) => recording.file = Some(file),
            Err(error) => recording.fail(&error),
        }
        recording.write_header();
        recording
    }

    fn position(&self, at_us: u64) -> u64 {
        at_us.saturating_sub(self.begun_us) * u64::from(SAMPLES_PER_SECOND) / 1_000_000
    }

    fn put(&mut self, heard: &QueuedPacket, sound: &[u8]) {
        if self.file.is_none() {
            return;
        }
        let now = self.position(heard.at_us);
        let timeline = match heard.side {
            Side::Caller => &mut self.caller,
            Side::Callee => &mut self.callee,
        };
        if heard.law == self.law {
            timeline.put(heard.ssrc, heard.timestamp, sound, now);
        } else {
            // The two agreed anew on the other law; a file has only one.
            let convert = |byte: &u8| self.law.convert(*byte, heard.law);
            let sound: Vec<u8> = sound.iter().map(convert).collect();
            timeline.put(heard.ssrc, heard.timestamp, &sound, now);
        }
    }

    /// Writes what lies before `until`. `left` and `both` are only room to work in.
    fn flush(&mut self, until: u64, left: &mut Vec<u8>, both: &mut Vec<u8>) {
        if self.file.is_none() || until <= self.frames {
            return;
        }
        left.clear();
        both.clear();
        self.caller.drain(until, |byte| left.push(byte));
        let mut caller = left.iter();
        self.callee.drain(until, |byte| {
            both.push(caller.next().copied().unwrap_or(byte));
            both.push(byte);
        });
        let at = HEADER_BYTES as u64 + self.frames * u64::from(CHANNELS);
        if let Some(file) = &self.file
            && let Err(error) = file.write_all_at(both, at)
        {
            return self.fail(&error);
        }
        self.frames = until;
        self.recorded.milliseconds = self.frames * 1_000 / u64::from(SAMPLES_PER_SECOND);
        self.write_header();
    }

    /// The sound first, then the header that counts it: what a header promises is there.
    fn write_header(&mut self) {
        let header = wav::header(Format::G711(self.law), CHANNELS, self.frames);
        if let Some(file) = &self.file
            && let Err(error) = file.write_all_at(&header, 0)
        {
            self.fail(&error);
        }
    }

    /// Writes all that came, and silence up to now where nobody spoke any more, and closes the file.
    fn finish(&mut self, now_us: u64, left: &mut Vec<u8>, both: &mut Vec<u8>) {
        let end = self.caller.end().max(self.callee.end());
        let end = end.max(self.position(now_us));
        self.flush(end, left, both);
        // The record that names it is about to be durable, so it should be too. A disk that cannot has
        // been told of by then.
        if let Some(file) = self.file.take() {
            let _ = file.sync_data();
        }
    }

    fn stop(&mut self, why: Stopped, now_us: u64, (left, both): (&mut Vec<u8>, &mut Vec<u8>)) {
        if self.file.is_some() {
            self.finish(now_us, left, both);
            self.recorded.stopped.get_or_insert(why);
        }
    }

    fn fail(&mut self, error: &io::Error) {
        tracing::error!(file = self.recorded.file, %error, "a recording cannot be written");
        self.recorded.stopped = Some(Stopped::Failed);
        self.file = None;
    }
}

/// Makes the file for its owner alone, and the folders above it. One that is there already is kept.
fn create(directory: &Path, file: &str) -> io::Result<File> {
    let below = Path::new(file);
    let is_plain = |part: Component<'_>| matches!(part, Component::Normal(_));
    if !below.components().all(is_plain) || below.file_name().is_none() {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "not a plain path below the directory of recordings",
        ));
    }
    let path = directory.join(below);
    if let Some(folder) = path.parent() {
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(folder)?;
    }
    let mut options = OpenOptions::new();
    options.write(true).create_new(true).mode(0o600);
    options.open(&path)
}

#[cfg(test)]
mod tests;
