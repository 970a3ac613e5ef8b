//! The plane with its threads, over real sockets on this machine.

use super::*;
use maskline_domain::call::Prompt;
use maskline_fixtures::sip::media_end;
use maskline_sip::relay::MediaEnd;
use maskline_sip::rtp::Packet;
use maskline_sip::wav;
use std::net::UdpSocket;
use std::path::Path;

/// How long anything may take.
const WAIT_MAX: Duration = Duration::from_secs(10);
/// The range of ports of each test, so that tests can run at once.
const PAIRS: u16 = 10;

struct World {
    plane: MediaPlane,
    news: mpsc::Receiver<Event>,
    caller: Phone,
    callee: Phone,
    directory: tempfile::TempDir,
}

struct Phone {
    socket: UdpSocket,
    /// Where it sends.
    to: SocketAddr,
}

const KEY: u64 = 7;

/// Everything at this machine, and nothing recorded.
fn config() -> Config {
    Config {
        bind: IpAddr::from([127, 0, 0, 1]),
        advertised: None,
        others: Vec::new(),
        ports: (20_000, 29_999),
        silence_max: Duration::from_secs(30),
        hold_silence_max: Duration::from_secs(300),
        unheard: Limits::for_calls(4_096),
        threads: usual_threads(),
        languages: vec![Language::Chinese, Language::English],
        prompts: None,
        recordings: None,
    }
}

fn world(first_port: u16, change: impl FnOnce(&mut Config)) -> World {
    let directory = tempfile::tempdir().expect("a directory");
    let mut config = config();
    config.ports = (first_port, first_port + 2 * PAIRS - 1);
    config.recordings = Some(recorder::Config {
        directory: directory.path().join("recordings"),
        free_min_bytes: 0,
    });
    change(&mut config);
    let (told, news) = mpsc::channel(100);
    let plane = MediaPlane::start(config, told).expect("threads");
    let lease = plane
        .lease(KEY.into(), &LeaseRequest::default())
        .expect("ports");
    let (caller, callee) = (Phone::new(lease.caller), Phone::new(lease.callee));
    let path = MediaPath {
        caller: Some(caller.end()),
        callee: Some(callee.end()),
    };
    plane.relay(KEY.into(), path);
    World {
        plane,
        news,
        caller,
        callee,
        directory,
    }
}

impl Phone {
    fn new(to: SocketAddr) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").expect("a free port");
        socket.set_read_timeout(Some(WAIT_MAX)).expect("a time-out");
        Self { socket, to }
    }

    fn end(&self) -> MediaEnd {
        MediaEnd {
            noise: true,
            ..media_end(self.socket.local_addr().expect("bound"))
        }
    }

    fn say(&self, sequence: u16, payload: &[u8]) {
        let packet = Packet {
            marker: false,
            payload_type: 8,
            sequence,
            timestamp: u32::from(sequence) * 160,
            ssrc: 77,
            payload,
        };
        let mut bytes = Vec::new();
        packet.write(&mut bytes);
        self.socket.send_to(&bytes, self.to).expect("sent");
    }

    fn hear(&self) -> Vec<u8> {
        let mut bytes = [0; 2_000];
        let (length, from) = self
            .socket
            .recv_from(&mut bytes)
            .expect("something is heard in time");
        assert_eq!(from, self.to, "it comes from where it is sent");
        let packet = Packet::parse(&bytes[..length]).expect("RTP");
        packet.payload.to_vec()
    }
}

fn finish(plane: &MediaPlane) -> Statistics {
    plane
        .finish(KEY.into())
        .blocking_recv()
        .expect("it had ports")
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(folder) else {
        return Vec::new();
    };
    let paths = entries.map(|entry| entry.expect("readable").path());
    paths
        .flat_map(|path| {
            if path.is_dir() {
                files(&path)
            } else {
                vec![path]
            }
        })
        .collect()
}

#[test]
fn two_phones_talk_a_stranger_does_not_and_nothing_is_written() {
    let World {
        plane,
        caller,
        callee,
        directory,
        ..
    } = world(47_340, |_| {});
    let stranger = Phone::new(caller.to);
    stranger.say(1, b"evil");
    for sequence in 0..20 {
        caller.say(sequence, b"hello");
        assert_eq!(callee.hear(), b"hello");
        callee.say(sequence, b"yes");
        assert_eq!(caller.hear(), b"yes");
    }
    assert_eq!(plane.ports_lent(), 2);
    let statistics = finish(&plane);
    assert_eq!(
        (statistics.caller.packets, statistics.callee.packets),
        (20, 20)
    );
    assert_eq!(
        (statistics.caller.foreign, statistics.recording.clone()),
        (1, None)
    );
    assert!(!statistics.is_one_way());
    assert_eq!(plane.ports_lent(), 0, "the ports are given back");
    assert!(
        plane.finish(KEY.into()).blocking_recv().is_err(),
        "only once"
    );
    assert_eq!(files(directory.path()), Vec::<PathBuf>::new());
}

#[test]
fn a_recorded_call_leaves_one_file_with_a_side_on_each_channel() {
    let World {
        plane,
        caller,
        callee,
        directory,
        ..
    } = world(47_380, |_| {});
    let wish = RecordingRequest {
        file: "2026-11-25/call.wav".to_owned(),
    };
    plane.record(KEY.into(), wish);
    for sequence in 0..10 {
        caller.say(sequence, &[1; 160]);
        callee.say(sequence, &[2; 160]);
        callee.hear();
        caller.hear();
    }
    let recorded = finish(&plane).recording.expect("recorded");
    assert_eq!(
        (recorded.file.as_str(), recorded.stopped),
        ("2026-11-25/call.wav", None)
    );
    let found = files(directory.path());
    assert_eq!(
        found,
        [directory.path().join("recordings/2026-11-25/call.wav")]
    );
    let bytes = std::fs::read(&found[0]).expect("the file");
    let sound = wav::read(&bytes).expect("a WAV file");
    let said = |at: usize, byte: u8| {
        let side = sound.data.iter().skip(at).step_by(2);
        side.filter(|sample| **sample == byte).count()
    };
    assert_eq!((said(0, 1), said(1, 2)), (1_600, 1_600));
    assert_eq!((said(0, 2), said(1, 1)), (0, 0));
}

#[test]
fn a_recorder_that_takes_nothing_does_not_hold_up_the_relay() {
    let (work, queue) = std::sync::mpsc::sync_channel(1);
    let (worker, caller, callee) = recorded_call(work, 47_460);
    for sequence in 0..50 {
        caller.say(sequence, &[1; 160]);
        assert_eq!(callee.hear(), [1; 160]);
        std::thread::sleep(Duration::from_millis(2));
    }
    let (reply, _) = oneshot::channel();
    worker
        .tell(Command::Close(KEY.into(), reply))
        .expect("told");
    // Its beginning and its end come through all the same, and the end says what is missing.
    assert!(matches!(queue.recv(), Ok(recorder::Work::Begin { .. })));
    let dropped = loop {
        let work = queue.recv_timeout(WAIT_MAX).expect("the end comes");
        if let recorder::Work::End { dropped, .. } = work {
            break dropped;
        }
    };
    assert!((10..=50).contains(&dropped), "{dropped}");
}

#[test]
fn a_recorder_that_is_gone_does_not_take_the_statistics_with_it() {
    let (work, queue) = std::sync::mpsc::sync_channel(1);
    drop(queue);
    let (worker, caller, callee) = recorded_call(work, 47_700);
    caller.say(0, &[1; 160]);
    assert_eq!(callee.hear(), [1; 160]);
    let (reply, statistics) = oneshot::channel();
    worker
        .tell(Command::Close(KEY.into(), reply))
        .expect("told");
    let statistics = statistics.blocking_recv().expect("they come");
    assert_eq!(statistics.caller.packets, 1);
}

/// A thread with one call that is recorded by whoever takes `work`.
fn recorded_call(
    work: std::sync::mpsc::SyncSender<recorder::Work>,
    first_port: u16,
) -> (WorkerHandle, Phone, Phone) {
    let (news, _) = mpsc::channel(10);
    let tools = Tools {
        library: Arc::new(Library::load(None, &[])),
        recorder: Some(work),
        news,
        clock: Clock::new(),
        local_media: Arc::new(config().local_media()),
        budget: Arc::new(UnheardBudget::new(Limits::for_calls(4_096))),
        silence_max: SilenceMax {
            usual_us: 30_000_000,
            held_us: 300_000_000,
        },
    };
    let worker = WorkerHandle::start(0, tools).expect("a thread");
    let ports = Ports::new(IpAddr::from([127, 0, 0, 1]), first_port, first_port + 19);
    let sockets = [ports.lend().expect("ports"), ports.lend().expect("ports")];
    let at = |port| SocketAddr::from(([127, 0, 0, 1], port));
    let caller = Phone::new(at(sockets[0].port()));
    let callee = Phone::new(at(sockets[1].port()));
    let path = MediaPath {
        caller: Some(caller.end()),
        callee: Some(callee.end()),
    };
    for command in [
        Command::Open(KEY.into(), Box::new(sockets), [1; 6]),
        Command::Path(KEY.into(), Box::new(path)),
        Command::Record(KEY.into(), "call.wav".to_owned()),
    ] {
        worker.tell(command).expect("told");
    }
    (worker, caller, callee)
}

#[test]
fn a_prompt_is_heard_at_its_pace_and_its_end_is_told() {
    let folder = tempfile::tempdir().expect("a directory");
    std::fs::create_dir(folder.path().join("zh")).expect("a folder");
    std::fs::write(folder.path().join("zh/refused.al"), [9; 1_600]).expect("written");
    let World {
        plane,
        mut news,
        caller,
        ..
    } = world(47_400, |config| {
        config.prompts = Some(folder.path().to_path_buf());
        config.languages = vec![Language::Chinese];
    });
    let begun = Instant::now();
    plane.play(KEY.into(), Side::Caller, Prompt::Refused, Repeat::Once);
    for _ in 0..10 {
        assert_eq!(caller.hear(), [9; 160]);
    }
    assert!(
        begun.elapsed() >= Duration::from_millis(170),
        "ten packets of 20 ms"
    );
    let told = news.blocking_recv();
    assert!(matches!(told, Some(Event::Played(key, Side::Caller)) if key == KEY.into()));
    plane.play(KEY.into(), Side::Caller, Prompt::Ringback, Repeat::Forever);
    caller.hear();
    plane.stop_playing(KEY.into(), Side::Caller);
    plane.play(99.into(), Side::Caller, Prompt::Refused, Repeat::Once);
    let told = news.blocking_recv();
    assert!(
        matches!(told, Some(Event::Played(key, _)) if key == 99.into()),
        "it cannot be"
    );
}

#[test]
fn a_long_silence_is_told() {
    let World {
        plane, mut news, ..
    } = world(47_420, |config| {
        config.silence_max = Duration::from_millis(1)
    });
    assert!(matches!(news.blocking_recv(), Some(Event::Lost(key)) if key == KEY.into()));
    assert_eq!(finish(&plane).caller.packets, 0);
}

#[test]
fn addresses_are_told_as_wished_and_ports_run_out() {
    let World { plane, .. } = world(47_440, |config| {
        config.advertised = Some(IpAddr::from([192, 0, 2, 1]));
        config.threads = 3;
    });
    let wish = LeaseRequest {
        caller_advertised: Some(IpAddr::from([198, 51, 100, 1])),
    };
    let lease = plane.lease(8.into(), &wish).expect("ports");
    assert_eq!(lease.caller.ip(), IpAddr::from([198, 51, 100, 1]));
    assert_eq!(lease.callee.ip(), IpAddr::from([192, 0, 2, 1]));
    let more = (9..20_u64)
        .filter_map(|key| plane.lease(key.into(), &wish))
        .count();
    assert!(more <= 3, "ten pairs are five calls");
    assert!(plane.lease(20.into(), &wish).is_none());
    for key in 8..20_u64 {
        let _ = plane.finish(key.into()).blocking_recv();
    }
    assert!(plane.ports_lent() <= 3, "only the first call has its own");
}

#[test]
fn a_thread_that_has_ended_is_noticed_and_gets_no_calls() {
    let world = world(47_660, |config| config.threads = 1);
    let plane = &world.plane;
    assert_eq!(
        plane.threads(),
        Threads {
            well: 2,
            ..Threads::default()
        }
    );
    assert_eq!(plane.threads().trouble(), None);
    let unfinished = plane.ports_lent();
    assert_eq!(unfinished, 2);
    let wish = RecordingRequest {
        file: "2026-11-25/lost.wav".to_owned(),
    };
    plane.record(KEY.into(), wish);
    world.caller.say(0, &[1; 160]);
    world.callee.hear();
    // As a fault would end it.
    plane.workers[0].tell(Command::Stop).expect("told");
    await_that(|| plane.threads().ended == 1);
    assert!(plane.threads().trouble().is_some());
    assert!(plane.is_lost(KEY.into()));
    assert_eq!(plane.lease(8.into(), &LeaseRequest::default()), None);
    let recorded = finish(plane).recording.expect("what there is of it");
    assert_eq!(recorded.file, "2026-11-25/lost.wav");
    assert!(plane.finish(8.into()).blocking_recv().is_err());
    assert_eq!(plane.ports_lent(), 0, "its ports are free for others");
}

#[test]
fn a_recorder_that_has_ended_is_noticed() {
    let mut world = world(47_680, |config| config.threads = 1);
    let recorder = world.plane.recorder.as_mut().expect("it records");
    // In place of its thread, which nobody could end but a fault.
    recorder.thread = std::thread::spawn(|| ());
    await_that(|| world.plane.threads().ended == 1);
    assert!(world.plane.threads().trouble().is_some());
}

fn await_that(mut so: impl FnMut() -> bool) {
    let until = Instant::now() + WAIT_MAX;
    while !so() {
        assert!(Instant::now() < until, "it is not so in time");
        std::thread::sleep(Duration::from_millis(1));
    }
}
