use super::*;
use maskline_sip::wav::Format;
use std::os::unix::fs::PermissionsExt;

const FILE: &str = "2026-11-25/call.wav";
const SECOND_US: u64 = 1_000_000;

/// A writer whose time is given by the test.
struct World {
    directory: tempfile::TempDir,
    writer: Writer,
}

fn world(free_min_bytes: u64) -> World {
    let directory = tempfile::tempdir().expect("a directory");
    let config = Config {
        directory: directory.path().join("recordings"),
        free_min_bytes,
    };
    World {
        writer: Writer::new(config, Clock::new(), Arc::default()),
        directory,
    }
}

impl World {
    fn begin(&mut self, key: u64, file: &str, law: Law) {
        self.writer.take(Work::Begin {
            key: key.into(),
            file: file.to_owned(),
            law,
            at_us: 0,
        });
    }

    /// Packets of 20 ms in which each side says its own byte, from `begin` for `count` packets.
    fn talk(&mut self, key: u64, law: Law, begin: u32, count: u32) {
        let mut batch = Batch::default();
        for at in begin..begin + count {
            for (side, byte) in [(Side::Caller, 1), (Side::Callee, 2)] {
                let at_us = u64::from(at) * 20_000;
                let names = (7, 1_000 + at * 160);
                batch.add((key.into(), side), law, names, &[byte; 160], at_us);
            }
        }
        self.writer.take(Work::Sound(batch));
    }

    fn end(&mut self, key: u64) -> Option<Recorded> {
        self.end_at(key, 0)
    }

    fn end_at(&mut self, key: u64, at_us: u64) -> Option<Recorded> {
        let (reply, mut told) = oneshot::channel();
        self.writer.take(Work::End {
            key: key.into(),
            at_us,
            dropped: 3,
            statistics: Box::default(),
            reply,
        });
        told.try_recv().expect("answered at once").recording
    }

    fn path(&self, file: &str) -> PathBuf {
        self.directory.path().join("recordings").join(file)
    }

    /// What is in a file: its format, and each side's samples.
    fn read(&self, file: &str) -> (Format, Vec<u8>, Vec<u8>) {
        split(&fs_read(&self.path(file)))
    }
}

fn fs_read(path: &Path) -> Vec<u8> {
    std::fs::read(path).expect("the file is there")
}

fn split(bytes: &[u8]) -> (Format, Vec<u8>, Vec<u8>) {
    let sound = wav::read(bytes).expect("a WAV file");
    assert_eq!(sound.channels, 2);
    let side = |at: usize| sound.data.iter().skip(at).step_by(2).copied().collect();
    (sound.format, side(0), side(1))
}

#[test]
fn the_caller_is_left_the_callee_right_and_the_file_is_the_owners() {
    for law in [Law::A, Law::Mu] {
        let mut world = world(0);
        world.begin(1, FILE, law);
        world.talk(1, law, 0, 100);
        let recorded = world.end(1).expect("recorded");
        assert_eq!(recorded.milliseconds, 2_000);
        assert_eq!((recorded.dropped, recorded.stopped), (3, None));
        let (format, left, right) = world.read(FILE);
        assert_eq!(format, Format::G711(law));
        assert_eq!((left, right), (vec![1; 16_000], vec![2; 16_000]));
        let mode = |path: &Path| std::fs::metadata(path).map(|file| file.permissions().mode());
        let file = world.path(FILE);
        assert_eq!(mode(&file).expect("there") & 0o777, 0o600);
        let folder = file.parent().expect("a folder");
        assert_eq!(mode(folder).expect("there") & 0o777, 0o700);
    }
}

#[test]
fn after_a_crash_the_file_plays_up_to_the_last_second() {
    let mut world = world(0);
    world.begin(1, FILE, Law::A);
    world.talk(1, Law::A, 0, 100);
    world.writer.flush(2 * SECOND_US);
    let (_, left, right) = world.read(FILE);
    let complete = 16_000 - usize::try_from(WINDOW).expect("small");
    assert_eq!((left, right), (vec![1; complete], vec![2; complete]));
    // The next second is written, but its header is not: then the process dies.
    world.talk(1, Law::A, 100, 50);
    let before = fs_read(&world.path(FILE));
    world.writer.flush(3 * SECOND_US);
    let mut torn = fs_read(&world.path(FILE));
    torn[..HEADER_BYTES].copy_from_slice(&before[..HEADER_BYTES]);
    assert_eq!(split(&torn).1.len(), complete, "what the header counts");
    // The power went too, and the end of the file never reached the disk.
    torn.truncate(before.len() - 1_000);
    let (_, left, _) = split(&torn);
    assert_eq!(left, vec![1; complete - 500]);
}

#[test]
fn a_gap_is_silent_and_the_sides_stay_in_step() {
    let mut world = world(0);
    world.begin(1, FILE, Law::A);
    world.talk(1, Law::A, 0, 10);
    world.talk(1, Law::A, 60, 10);
    world.writer.flush(2 * SECOND_US);
    world.end(1);
    let (_, left, right) = world.read(FILE);
    for (track, byte) in [(&left, 1), (&right, 2)] {
        assert!(track[..1_600].iter().all(|sample| *sample == byte));
        assert!(
            track[1_600..9_600]
                .iter()
                .all(|sample| *sample == Law::A.silence())
        );
        assert!(track[9_600..11_200].iter().all(|sample| *sample == byte));
    }
    assert_eq!(left.len(), right.len());
}

#[test]
fn a_recording_lasts_as_long_as_the_call_whoever_spoke_last() {
    // Packets of 20 ms from the first moment on, and how long the call lasts, in milliseconds.
    for (packets, lasts_ms) in [(0, 2_000), (55, 4_100), (100, 2_000), (10, 61_000), (0, 20)] {
        let mut world = world(0);
        world.begin(1, FILE, Law::A);
        world.talk(1, Law::A, 0, packets);
        for second in 1..=lasts_ms / 1_000 {
            world.writer.flush(second * SECOND_US);
        }
        let recorded = world.end_at(1, lasts_ms * 1_000).expect("recorded");
        assert_eq!(recorded.milliseconds, lasts_ms, "{packets} packets");
        let (_, left, right) = world.read(FILE);
        assert_eq!(left.len() as u64, lasts_ms * 8, "{packets} packets");
        let said = packets as usize * 160;
        for (track, byte) in [(&left, 1), (&right, 2)] {
            assert!(track[..said].iter().all(|sample| *sample == byte));
            let silence = Law::A.silence();
            assert!(track[said..].iter().all(|sample| *sample == silence));
        }
    }
}

#[test]
fn sound_in_the_other_law_is_converted() {
    let mut world = world(0);
    world.begin(1, FILE, Law::A);
    world.talk(1, Law::Mu, 0, 10);
    world.end(1);
    let (format, left, _) = world.read(FILE);
    assert_eq!(format, Format::G711(Law::A));
    assert_eq!(left, vec![Law::A.convert(1, Law::Mu); 1_600]);
}

#[test]
fn without_room_on_the_disk_recordings_stop_and_say_so() {
    let mut world = world(0);
    world.begin(1, FILE, Law::A);
    world.talk(1, Law::A, 0, 100);
    world.writer.config.free_min_bytes = u64::MAX;
    world.writer.flush(2 * SECOND_US);
    world.talk(1, Law::A, 100, 100);
    world.begin(2, "2026-11-25/second.wav", Law::A);
    let (first, second) = (world.end(1), world.end(2));
    let first = first.expect("begun");
    assert_eq!(
        (first.milliseconds, first.stopped),
        (2_000, Some(Stopped::DiskFull))
    );
    assert_eq!(
        second.and_then(|second| second.stopped),
        Some(Stopped::DiskFull)
    );
    assert_eq!(world.read(FILE).1.len(), 16_000, "what was there stays");
    assert!(!world.path("2026-11-25/second.wav").exists());
    world.writer.config.free_min_bytes = 0;
    world.begin(3, "2026-11-25/third.wav", Law::A);
    assert_eq!(world.end(3).and_then(|third| third.stopped), None);
}

#[test]
fn a_path_that_leads_elsewhere_or_is_taken_is_not_written() {
    for file in ["../outside.wav", "/tmp/outside.wav", "a/../../b.wav", ""] {
        let mut world = world(0);
        world.begin(1, file, Law::A);
        let stopped = world.end(1).and_then(|recorded| recorded.stopped);
        assert_eq!(stopped, Some(Stopped::Failed), "{file:?}");
    }
    let mut world = world(0);
    world.begin(1, FILE, Law::A);
    world.talk(1, Law::A, 0, 10);
    world.end(1);
    world.begin(2, FILE, Law::A);
    assert_eq!(
        world.end(2).and_then(|two| two.stopped),
        Some(Stopped::Failed)
    );
    assert_eq!(world.read(FILE).1.len(), 1_600, "the first one is kept");
}

#[test]
fn a_call_that_is_not_recorded_leaves_nothing() {
    let mut world = world(0);
    world.talk(1, Law::A, 0, 100);
    world.writer.flush(2 * SECOND_US);
    assert_eq!(world.end(1), None);
    assert!(!world.directory.path().join("recordings").exists());
}

#[test]
fn when_the_thread_ends_its_files_are_whole() {
    let directory = tempfile::tempdir().expect("a directory");
    let config = Config {
        directory: directory.path().to_path_buf(),
        free_min_bytes: 0,
    };
    let recorder = Recorder::start(config, Clock::new()).expect("a thread");
    let mut batch = Batch::default();
    batch.add((1.into(), Side::Callee), Law::A, (7, 0), &[9; 160], 0);
    let begin = Work::Begin {
        key: 1.into(),
        file: FILE.to_owned(),
        law: Law::A,
        at_us: 0,
    };
    recorder.work.send(begin).expect("it lives");
    recorder.work.send(Work::Sound(batch)).expect("it lives");
    drop(recorder.work);
    recorder.thread.join().expect("it ends well");
    let (_, left, right) = split(&fs_read(&directory.path().join(FILE)));
    assert_eq!(left[..160], [Law::A.silence(); 160]);
    assert_eq!(right[..160], [9; 160]);
}
