//! What is older than it may be goes, and nothing else: 400 days, with a clock of the test's own.

use super::{found, temporary};
use crate::support::options;
use maskline_domain::call::{Milestone, Owed, Reached};
use maskline_domain::call_record::CallRecord;
use maskline_domain::ops::SetPool;
use maskline_domain::retention::{Keep, PoolTerms, Terms};
use maskline_domain::{
    Actor, Binding, EndCause, Entry, Event, Owner, PhoneNumber, Pool, PoolKey, Product, SubsId,
    Timestamp,
};
use maskline_fixtures::domain::{ACCOUNT, number, operator, party, pool, x};
use maskline_journal::payload::Opened;
use maskline_server::clocks;
use maskline_server::ledger::{HoldError, Ledger, Options, Running};
use maskline_store::directory::DataDir;
use maskline_store::record_writes::{RecordWrite, write_records};
use maskline_store::records::hold::{HOLDS_MAX, HeldBy};
use maskline_store::records::projection::Projection;
use maskline_store::records::retention::{DELETED_AT_ONCE, Kind, recording_deleted_at};
use maskline_store::records::{audit, call, history, owed};
use std::collections::BTreeSet;
use std::path::Path;

const DAY_MS: i64 = 86_400_000;
const DAYS: i64 = 400;
/// Pools, and what they say of their own.
const POOLS: [(&str, PoolTerms); 3] = [
    (
        "FC1",
        PoolTerms {
            bindings: None,
            calls: None,
            recordings: None,
        },
    ),
    (
        "FC2",
        PoolTerms {
            bindings: Some(Keep::Forever),
            calls: Some(Keep::Days(30)),
            recordings: Some(Keep::Days(7)),
        },
    ),
    (
        "FC3",
        PoolTerms {
            bindings: Some(Keep::None),
            calls: Some(Keep::Days(300)),
            recordings: Some(Keep::Forever),
        },
    ),
];
const TERMS: Terms = Terms {
    bindings: Keep::Days(200),
    calls: Keep::Days(200),
    recordings: Keep::Days(30),
    receipts_dead: Keep::Days(90),
    audit: Keep::Days(100),
};

/// A world of one directory whose first day begins at `begin`.
struct Aged {
    dir: tempfile::TempDir,
    begin: Timestamp,
    days: i64,
}

impl Aged {
    /// On each day a binding in each pool ends, a call in each is over, and a line of the audit is written.
    async fn new(days: i64) -> Self {
        let (dir, begin) = (temporary(), clocks::read().wall);
        let owned = DataDir::own(dir.path()).expect("nobody else has it");
        let mut conn = owned.writer().await.expect("it opens");
        let aged = Self { dir, begin, days };
        for day in 0..days {
            let at = aged.at(day);
            let entries = vec![Entry {
                by: Actor::Job {
                    name: "test".into(),
                },
                events: aged.events(day),
            }];
            let mut projection = Projection::default();
            let opened = Opened {
                at,
                entries,
                erased: Vec::new(),
            };
            projection.take(day as u64 + 1, &opened);
            projection.seq = 0;
            let writes: Vec<RecordWrite> = (0..POOLS.len()).map(|n| aged.call(day, n)).collect();
            let outcome = conn.transaction(async |conn| projection.write(conn).await);
            outcome.await.expect("written");
            write_records(&mut conn, writes.iter()).await;
        }
        conn.close().await.expect("closed");
        drop(owned);
        aged
    }

    fn at(&self, day: i64) -> Timestamp {
        self.begin.plus_millis(day * DAY_MS)
    }

    fn events(&self, day: i64) -> Vec<Event> {
        let mut events = Vec::new();
        for (n, (pool, _)) in POOLS.iter().enumerate() {
            let owner = Owner {
                pool: PoolKey::new(pool),
                account: maskline_domain::AccountId::new(ACCOUNT),
            };
            let (subs_id, at) = (id(day, n), self.at(day));
            let term = at.plus_millis(-DAY_MS)..at;
            let bare = Binding::new(subs_id, Product::Axn, x(n as u64), person(day), term);
            events.push(Event::Bound(Box::new(Binding {
                owner: Some(owner.clone()),
                ..bare
            })));
            events.push(Event::Ended {
                subs_id,
                x: x(n as u64),
                cause: EndCause::Expired,
                at,
                cooling_until: Timestamp(0),
                idle_since: Timestamp(0),
                owner: Some(owner),
            });
        }
        events.push(Event::NumberLocked { x: x(1) });
        events
    }

    /// One of two is recorded; one of ten has a message that is owed.
    fn call(&self, day: i64, n: usize) -> RecordWrite {
        let recording = (day % 2 == 0).then(|| recording(day, n));
        if let Some(file) = &recording {
            let path = self.dir.path().join("recordings").join(file);
            std::fs::create_dir_all(path.parent().expect("a folder")).expect("made");
            std::fs::write(path, "sound").expect("written");
        }
        let record = CallRecord {
            call_id: call_id(day, n),
            node: "n".into(),
            boot: "b".into(),
            pool: Some(POOLS[n].0.into()),
            account: Some(ACCOUNT.into()),
            subs_id: Some(id(day, n)),
            x: Some(x(n as u64)),
            caller: Some(party(5_000 + day as u64)),
            callee: Some(person(day)),
            // They last over midnight: their age is that of their end.
            arrived_at: self.at(day).plus_millis(-DAY_MS / 2),
            released_at: Some(self.at(day)),
            recording,
            ..CallRecord::default()
        };
        let owed = (day % 10 == 0).then(|| {
            let reached = Reached {
                milestone: Milestone::Ended,
                at: self.at(day),
            };
            Owed::new(reached, "receipt", "k", Vec::new()).expect("small")
        });
        RecordWrite::CloseCall(Box::new(record), owed.into_iter().collect())
    }

    async fn open(&self) -> (Ledger, Running) {
        let options = Options {
            background: false,
            terms: TERMS,
            ..options(self.dir.path())
        };
        let (ledger, running) = Ledger::open(options).await.expect("it opens");
        found(&ledger, 1).await;
        for (key, retention) in POOLS {
            let pool = Pool {
                retention,
                ..pool(key, Product::Axn)
            };
            ledger.submit(operator(SetPool(pool))).await.expect("set");
        }
        (ledger, running)
    }
}

fn id(day: i64, n: usize) -> SubsId {
    SubsId(1_000 + day as u64 * 10 + n as u64)
}

fn call_id(day: i64, n: usize) -> String {
    format!("c{day:04}-{n}")
}

fn person(day: i64) -> PhoneNumber {
    party(day as u64)
}

fn recording(day: i64, n: usize) -> String {
    format!("day-{day:04}/{}.wav", call_id(day, n))
}

/// What is left of each kind: of the audit the days, of all others the day and the pool.
#[derive(Debug, Default, PartialEq, Eq)]
struct Left {
    bindings: BTreeSet<(i64, usize)>,
    calls: BTreeSet<(i64, usize)>,
    recordings: BTreeSet<(i64, usize)>,
    receipts: BTreeSet<(i64, usize)>,
    audit: BTreeSet<i64>,
}

async fn left(ledger: &Ledger, aged: &Aged) -> Left {
    let (readers, mut left) = (ledger.readers(), Left::default());
    let mut filter = history::Filter {
        limit: 5_000,
        ..history::Filter::default()
    };
    loop {
        let page = history::list(readers, &filter).await.expect("SQL");
        for past in page.rows {
            let n = past.subs_id.0 - 1_000;
            left.bindings.insert(((n / 10) as i64, (n % 10) as usize));
        }
        filter.before = page.next;
        if filter.before.is_none() {
            break;
        }
    }
    let place = |call_id: &str| {
        let (day, n) = call_id[1..].split_once('-').expect("an id");
        (day.parse().expect("a day"), n.parse().expect("a pool"))
    };
    let all = call::Filter {
        limit: 10_000,
        ..call::Filter::default()
    };
    for listed in call::list(readers, &all).await.expect("SQL").rows {
        let (record, _) = listed.expect("readable");
        let place = place(&record.call_id);
        left.calls.insert(place);
        let file = aged
            .dir
            .path()
            .join("recordings")
            .join(recording(place.0, place.1));
        assert_eq!(
            file.exists(),
            record.recording.is_some(),
            "{}",
            record.call_id
        );
        if record.recording.is_some() {
            left.recordings.insert(place);
        }
    }
    for listed in owed::list(readers, None, 10_000).await.expect("SQL").rows {
        left.receipts.insert(place(listed.place.call_id()));
    }
    for line in audit::list(readers, None, 10_000).await.expect("SQL") {
        left.audit.insert(line.place.seq as i64 - 1);
    }
    left
}

/// What must be left at a moment, by the terms alone.
fn expected(aged: &Aged, now: Timestamp, is_held: impl Fn(i64, usize) -> bool) -> Left {
    let mut left = Left::default();
    let stays = |keep: Keep, at: Timestamp| keep.until(now).is_none_or(|until| at > until);
    for day in 0..aged.days {
        let at = aged.at(day);
        for (n, (_, own)) in POOLS.iter().enumerate() {
            let (terms, held) = (own.over(&TERMS), is_held(day, n));
            let keep = |keep, into: &mut BTreeSet<(i64, usize)>, there: bool| {
                if there && (held || stays(keep, at)) {
                    into.insert((day, n));
                }
            };
            keep(terms.bindings, &mut left.bindings, true);
            keep(terms.recordings, &mut left.recordings, day % 2 == 0);
            keep(terms.receipts_dead, &mut left.receipts, day % 10 == 0);
            keep(terms.calls, &mut left.calls, true);
            // One for which something is owed stays.
            if left.receipts.contains(&(day, n)) {
                left.calls.insert((day, n));
            }
        }
        if stays(TERMS.audit, at) {
            left.audit.insert(day);
        }
    }
    left
}

#[tokio::test]
async fn nothing_older_than_said_stays_and_nothing_younger_goes_in_400_days() {
    let aged = Aged::new(DAYS).await;
    let (ledger, running) = aged.open().await;
    // Held: one person for 300 days, one binding and one call for good, one X for 100 days.
    let hold = |by, days| {
        let until = aged.at(days);
        ledger.add_hold(
            Actor::Operator {
                name: "alice".into(),
                remark: None,
            },
            by,
            until,
            "a dispute".into(),
        )
    };
    hold(HeldBy::Number(person(20)), 300).await.expect("held");
    hold(HeldBy::Number(party(5_030)), 300).await.expect("held");
    hold(HeldBy::Binding(id(40, 2)), 5_000).await.expect("held");
    hold(HeldBy::Call(call_id(50, 1)), 5_000)
        .await
        .expect("held");
    hold(HeldBy::X(x(2)), 100).await.expect("held");
    assert_eq!(ledger.holds().await.expect("SQL").len(), 5);
    for day in 0..=DAYS {
        let now = aged.at(day);
        let round = ledger.retain(now).await.expect("a round");
        assert!(round.visited_max <= DELETED_AT_ONCE, "{round:?}");
        assert_eq!(round.failed, 0);
        if day % 25 != 0 {
            continue;
        }
        let expected = Left {
            // The caller's hold keeps calls, and no binding.
            ..expected(&aged, now, |of, n| {
                (of == 20 && day < 300) || (n == 2 && day < 100) || (of, n) == (40, 2)
            })
        };
        let mut found = left(&ledger, &aged).await;
        for by_call in [&mut found.calls, &mut found.recordings, &mut found.receipts] {
            by_call.retain(|place| place.0 != 30 && *place != (50, 1));
        }
        let mut expected = expected;
        for by_call in [
            &mut expected.calls,
            &mut expected.recordings,
            &mut expected.receipts,
        ] {
            by_call.retain(|place| place.0 != 30 && *place != (50, 1));
        }
        assert_eq!(found, expected, "day {day}");
    }
    // What was held is there, or went at the end of its hold.
    let found = left(&ledger, &aged).await;
    assert!(found.calls.contains(&(50, 1)) && found.recordings.contains(&(50, 1)));
    assert!(found.bindings.contains(&(40, 2)) && found.calls.contains(&(40, 2)));
    assert!(!found.calls.contains(&(30, 0)) && !found.bindings.contains(&(20, 0)));
    // Folders of days are gone with their last file.
    assert!(!aged.dir.path().join("recordings/day-0000").exists());
    let marked = recording_deleted_at(ledger.readers(), &call_id(398, 1)).await;
    assert_eq!(marked.expect("SQL"), None);
    running.close().await;
}

#[tokio::test]
async fn a_round_deletes_in_steps_and_passes_over_what_is_held() {
    let aged = Aged::new(120).await;
    let (ledger, running) = aged.open().await;
    let by = || Actor::Operator {
        name: "alice".into(),
        remark: None,
    };
    let until = aged.at(10_000);
    let held = ledger.add_hold(by(), HeldBy::X(x(0)), until, "a dispute".into());
    let held = held.await.expect("held");
    let late = aged.at(5_000);
    let overview = ledger.retention_overview(late).await.expect("SQL");
    let round = ledger.retain(late).await.expect("a round");
    for kind in Kind::ALL {
        let lines = overview.lines.iter().filter(|line| line.kind == kind);
        let (due, held) = lines.fold((0, 0), |(due, held), line| {
            (due + line.due, held + line.held)
        });
        // Calls wait for what is owed, which goes in the same round.
        if kind != Kind::Calls {
            assert_eq!(
                (due, held),
                (round.deleted[kind], round.held[kind]),
                "{kind:?}"
            );
        }
    }
    assert_eq!(round.held[Kind::Bindings], 120);
    assert_eq!(round.held[Kind::Calls], 120);
    assert_eq!(round.deleted[Kind::Calls], 240);
    assert!(round.steps >= 480 / u64::from(DELETED_AT_ONCE), "{round:?}");
    // Held rows go at the next round after the end of the hold.
    assert!(ledger.end_hold(by(), held).await.expect("ended"));
    assert!(!ledger.end_hold(by(), held).await.expect("it is over"));
    let round = ledger.retain(late).await.expect("a round");
    assert_eq!(
        (round.deleted[Kind::Bindings], round.held[Kind::Bindings]),
        (120, 0)
    );
    assert_eq!(left(&ledger, &aged).await.calls, BTreeSet::new());
    running.close().await;
}

#[tokio::test]
async fn a_recording_that_is_gone_is_marked_and_no_file_outside_is_touched() {
    let aged = Aged::new(1).await;
    let outside = aged.dir.path().join("kept.txt");
    std::fs::write(&outside, "kept").expect("written");
    let (ledger, running) = aged.open().await;
    let mut stray = CallRecord {
        call_id: "stray".into(),
        pool: Some("FC1".into()),
        x: Some(x(0)),
        arrived_at: aged.at(0),
        released_at: Some(aged.at(0)),
        recording: Some("../kept.txt".into()),
        ..CallRecord::default()
    };
    stray.node = "n".into();
    let records = ledger.call_records();
    let (told, mut written) = tokio::sync::mpsc::unbounded_channel();
    records.hand_over(RecordWrite::CloseCall(Box::new(stray), Vec::new()), &told);
    written.recv().await.expect("written").result.expect("done");
    let now = aged.at(31);
    let round = ledger.retain(now).await.expect("a round");
    assert_eq!((round.deleted[Kind::Recordings], round.failed), (2, 1));
    assert!(outside.exists(), "it is none of the recordings");
    let marked = recording_deleted_at(ledger.readers(), &call_id(0, 0)).await;
    assert_eq!(marked.expect("SQL"), Some(now));
    running.close().await;
}

#[tokio::test]
async fn a_new_directory_has_it_on_and_one_of_before_has_it_started() {
    let dir = temporary();
    let (ledger, running) = crate::support::open(dir.path()).await;
    assert!(ledger.retention_since().is_some());
    found(&ledger, 1).await;
    running.close().await;
    forget_start(dir.path()).await;

    let (ledger, running) = crate::support::open(dir.path()).await;
    assert_eq!(ledger.retention_since(), None);
    let by = || Actor::Operator {
        name: "alice".into(),
        remark: None,
    };
    assert!(ledger.start_retention(by(), 7).await.expect("started"));
    assert!(!ledger.start_retention(by(), 7).await.expect("on"));
    let since = ledger.retention_since();
    assert!(since.is_some());
    running.close().await;
    let (ledger, running) = crate::support::open(dir.path()).await;
    assert_eq!(ledger.retention_since(), since);
    running.close().await;
}

/// As a directory is that an older program left.
async fn forget_start(dir: &Path) {
    let owned = DataDir::own(dir).expect("nobody else has it");
    let mut conn = owned.writer().await.expect("it opens");
    let delete = maskline_store::db::sql("DELETE FROM meta WHERE name = 'retention_since'");
    conn.execute(delete).await.expect("SQL");
    conn.close().await.expect("closed");
}

#[tokio::test]
async fn holds_are_bounded_and_told_in_the_audit() {
    let dir = temporary();
    let (ledger, running) = crate::support::open(dir.path()).await;
    let by = || Actor::Operator {
        name: "alice".into(),
        remark: None,
    };
    let until = clocks::read().wall.plus_secs(3_600);
    let add = |n: usize, until| {
        let call = HeldBy::Call(format!("c{n}"));
        ledger.add_hold(by(), call, until, "a dispute".into())
    };
    let over = add(0, clocks::read().wall).await;
    assert!(matches!(over, Err(HoldError::Over)), "{over:?}");
    for n in 1..=HOLDS_MAX {
        assert_eq!(add(n, until).await.expect("held"), n as u64);
    }
    let many = add(0, until).await;
    assert!(matches!(many, Err(HoldError::TooMany)), "{many:?}");
    assert!(ledger.end_hold(by(), 7).await.expect("ended"));
    // No id is given twice.
    assert_eq!(add(0, until).await.expect("held"), HOLDS_MAX as u64 + 1);
    // They end by themselves.
    ledger.retain(until).await.expect("a round");
    assert_eq!(ledger.holds().await.expect("SQL"), []);
    let person = ledger.add_hold(
        by(),
        HeldBy::Number(number("13812345678")),
        until,
        "why".into(),
    );
    person.await.expect("held");
    // An answer of the history waits until it holds all that came before.
    ledger.past(SubsId(1)).await.expect("readable");
    let lines = audit::list(ledger.readers(), None, 10_000)
        .await
        .expect("SQL");
    let count = |action: &str| lines.iter().filter(|line| line.action == action).count();
    assert_eq!(count("hold_added"), HOLDS_MAX + 2);
    assert_eq!(count("hold_ended"), HOLDS_MAX + 1);
    let told = &lines[0].facts;
    assert!(
        told.contains("\"number\"") && !told.contains("13812345678"),
        "{told}"
    );
    running.close().await;
}
