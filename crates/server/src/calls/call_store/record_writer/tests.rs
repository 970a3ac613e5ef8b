//! What is owed for milestones of calls, from the requests of the driver to the tables.

use super::super::super::owed;
use super::*;
use crate::ledger::{Ledger, Options, READ_WAIT_MAX, Running};
use maskline_domain::Timestamp;
use maskline_store::records;

/// One thing for each milestone; it tells what the record knew then.
fn everything(reached: Reached, record: &CallRecord) -> Vec<Owed> {
    let known = [
        record.ringing_at.map(|_| "rang"),
        record.answered_at.map(|_| "talked"),
        record.released_at.map(|_| "over"),
    ];
    let key = known.into_iter().flatten().collect::<Vec<_>>().join(" ");
    vec![Owed::new(reached, "receipt", key, Vec::new()).expect("small")]
}

fn reached(milestone: Milestone) -> Reached {
    let place = Milestone::ALL.iter().position(|one| *one == milestone);
    Reached {
        milestone,
        at: Timestamp(1_000 + place.unwrap_or_default() as i64),
    }
}

fn record(id: &str) -> Box<CallRecord> {
    Box::new(CallRecord {
        call_id: id.into(),
        node: "n".into(),
        boot: "b".into(),
        arrived_at: Timestamp(1_000),
        ..CallRecord::default()
    })
}

fn closed(id: &str) -> Box<CallRecord> {
    Box::new(CallRecord {
        released_at: Some(Timestamp(9_000)),
        ..*record(id)
    })
}

struct World {
    ledger: Ledger,
    running: Running,
    writer: mpsc::UnboundedSender<RecordRequest>,
    news: mpsc::Receiver<Input<'static>>,
    _dir: tempfile::TempDir,
}

impl World {
    async fn new(owes: Owes) -> Self {
        Self::with_room(owes, CLOSING_MAX).await
    }

    async fn with_room(owes: Owes, closing_max: usize) -> Self {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let options = Options {
            dir: dir.path().to_owned(),
            codec: maskline_store::UNSEALED.clone(),
            keyring: None,
            limits: maskline_journal::pipeline::Limits::new(64, 64),
            submit_wait_max: Duration::from_secs(20),
            read_wait_max: READ_WAIT_MAX,
            retention: Duration::from_secs(3_600),
            terms: maskline_domain::retention::Terms::FOREVER,
            snapshot_every_batches: 1_000,
            snapshot_every_bytes: 1 << 30,
            background: false,
            on_unknown: |reason| panic!("unknown outcome: {reason}"),
        };
        let (ledger, running) = Ledger::open(options).await.expect("it opens");
        let (tell, news) = mpsc::channel(8);
        Self {
            writer: RecordWriter::open(ledger.call_records(), tell, owes, closing_max),
            ledger,
            running,
            news,
            _dir: dir,
        }
    }

    fn ask(&self, request: RecordRequest) {
        self.writer.send(request).expect("the writer is there");
    }

    fn end(&self, record: Box<CallRecord>, sound: Option<Statistics>, reached: Vec<Reached>) {
        let (told, statistics) = oneshot::channel();
        self.ask(RecordRequest::Finish(statistics, record, reached));
        if let Some(sound) = sound {
            told.send(sound).expect("it waits");
        }
    }

    /// Waits until all is written, and gives what is owed.
    async fn owed(self) -> Vec<String> {
        let (left, all_written) = oneshot::channel();
        self.ask(RecordRequest::Leave(left));
        all_written.await.expect("written");
        let page = records::owed::list(self.ledger.readers(), None, 99).await;
        self.running.close().await;
        let rows = page.expect("SQL").rows.into_iter();
        let shown = rows.map(|listed| {
            let owed = listed.owed.expect("readable");
            let (call, milestone) = (listed.place.call_id(), owed.reached().milestone);
            format!("{call} {}: {}", milestone.name(), owed.key())
        });
        shown.collect()
    }

    async fn is_opened(&mut self) -> bool {
        match self.news.recv().await {
            Some(Input::RowOpened(_, is_durable)) => is_durable,
            _ => panic!("nothing else is told"),
        }
    }
}

fn key() -> CallKey {
    CallKey::from(1)
}

#[tokio::test(flavor = "multi_thread")]
async fn each_milestone_owes_what_is_known_then() {
    let mut world = World::new(everything).await;
    let started = vec![reached(Milestone::Started)];
    world.ask(RecordRequest::Open(key(), record("c1"), started));
    assert!(world.is_opened().await);
    let mut call = record("c1");
    for milestone in [Milestone::Ringing, Milestone::Answered] {
        call.take_milestone(reached(milestone));
        let update = RecordRequest::update(everything, call.clone(), reached(milestone));
        world.ask(update.expect("something is owed"));
    }
    call.released_at = Some(Timestamp(9_000));
    let ends = vec![reached(Milestone::Ended)];
    world.end(call, Some(Statistics::default()), ends);
    let expected = [
        "c1 started: ",
        "c1 ringing: rang",
        "c1 answered: rang talked",
        "c1 ended: rang talked over",
    ];
    assert_eq!(world.owed().await, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_recording_is_owed_for_once_it_is_a_file() {
    let recording = |stopped, milliseconds| {
        Some(Statistics {
            recording: Some(Recorded {
                file: "day/c1.wav".into(),
                milliseconds,
                stopped,
                ..Recorded::default()
            }),
            ..Statistics::default()
        })
    };
    let (ended, recorded) = ("c1 ended: over", "c1 recorded: over");
    let rows: [(&str, Option<Statistics>, &[&str]); 7] = [
        ("whole", recording(None, 5_000), &[ended, recorded]),
        ("whole and silent", recording(None, 0), &[ended, recorded]),
        (
            "the disk was full in its midst",
            recording(Some(Stopped::DiskFull), 5_000),
            &[ended, recorded],
        ),
        (
            "the disk was full before",
            recording(Some(Stopped::DiskFull), 0),
            &[ended],
        ),
        (
            "it failed",
            recording(Some(Stopped::Failed), 5_000),
            &[ended],
        ),
        (
            "not understood",
            recording(Some(Stopped::Codec), 0),
            &[ended],
        ),
        ("nobody says", None, &[ended]),
    ];
    for (row, sound, expected) in rows {
        let world = World::new(everything).await;
        world.end(closed("c1"), sound, vec![reached(Milestone::Ended)]);
        assert_eq!(world.owed().await, expected, "{row}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_owed_with_a_row_that_was_not_opened_goes_with_the_end() {
    let mut world = World::new(everything).await;
    let started = || vec![reached(Milestone::Started)];
    world.ask(RecordRequest::Open(key(), record("c1"), Vec::new()));
    assert!(world.is_opened().await);
    // Its id is taken, which is as good as any other reason not to open it.
    world.ask(RecordRequest::Open(key(), record("c1"), started()));
    assert!(!world.is_opened().await);
    let readers = world.ledger.readers().clone();
    let page = records::owed::list(&readers, None, 99).await;
    assert_eq!(page.expect("SQL").rows, [], "not yet");
    world.end(closed("c1"), None, vec![reached(Milestone::Ended)]);
    assert_eq!(world.owed().await, ["c1 started: ", "c1 ended: over"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_kept_for_a_call_whose_end_was_turned_away() {
    let mut world = World::with_room(everything, 1).await;
    world.ask(RecordRequest::Open(key(), record("c1"), Vec::new()));
    assert!(world.is_opened().await);
    let started = vec![reached(Milestone::Started)];
    world.ask(RecordRequest::Open(key(), record("c1"), started));
    assert!(!world.is_opened().await, "its id is taken");
    // One end waits for its sound, and there is room for no other.
    let (told, statistics) = oneshot::channel();
    let waiting = RecordRequest::Finish(statistics, closed("c2"), Vec::new());
    world.ask(waiting);
    world.end(closed("c1"), None, vec![reached(Milestone::Ended)]);
    // It was turned away once something later is done.
    world.ask(RecordRequest::Open(key(), record("c3"), Vec::new()));
    assert!(world.is_opened().await);
    told.send(Statistics::default()).expect("it waits");
    loop {
        let found = records::call::get(world.ledger.readers(), "c2").await;
        if found.expect("SQL").is_some() {
            break;
        }
        sleep(Duration::from_millis(5)).await;
    }
    world.ask(RecordRequest::Open(key(), record("c4"), Vec::new()));
    assert!(world.is_opened().await, "and c2 was told before");
    world.end(closed("c1"), None, vec![reached(Milestone::Ended)]);
    assert_eq!(world.owed().await, ["c1 ended: over"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_owed_for_a_call_waits_for_its_row() {
    let mut world = World::new(everything).await;
    let mut call = record("c1");
    call.take_milestone(reached(Milestone::Ringing));
    let update = RecordRequest::update(everything, call, reached(Milestone::Ringing));
    world.ask(update.expect("something is owed"));
    world.ask(RecordRequest::Open(key(), record("c1"), Vec::new()));
    assert!(world.is_opened().await);
    world.end(closed("c1"), None, Vec::new());
    assert_eq!(world.owed().await, ["c1 ringing: rang"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_for_which_nothing_is_owed_is_opened_and_closed_and_nothing_else() {
    let mut call = record("c1");
    for milestone in Milestone::ALL {
        call.take_milestone(reached(milestone));
        let update = RecordRequest::update(owed::nothing, call.clone(), reached(milestone));
        assert!(update.is_none(), "{} is no write", milestone.name());
    }
    let mut world = World::new(owed::nothing).await;
    let started = vec![reached(Milestone::Started)];
    world.ask(RecordRequest::Open(key(), record("c1"), started));
    assert!(world.is_opened().await);
    world.end(closed("c1"), None, Milestone::ALL.map(reached).into());
    assert_eq!(world.owed().await, [""; 0]);
}
