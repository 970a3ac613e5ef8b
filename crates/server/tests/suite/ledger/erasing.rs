//! A person that wants to be forgotten.

use maskline_domain::binding::Extras;
use maskline_domain::call::{Milestone, Owed, Reached};
use maskline_domain::call_record::CallRecord;
use maskline_domain::{Actor, BindRequest, Binding, Party, PhoneNumber, SubsId};
use maskline_server::clocks;
use maskline_server::ledger::{Ledger, Touch, restore};
use maskline_store::db::sql;
use maskline_store::directory::DataDir;
use maskline_store::record_writes::RecordWrite;
use maskline_store::records::history::{Facts, Filter};
use maskline_store::records::{call, owed};

use super::{arrived, assert_holds, assert_is_whole, bound, found, rows, temporary, unbind};
use crate::support::{open, options};
use maskline_fixtures::domain::{operator, party};

#[tokio::test(flavor = "multi_thread")]
async fn a_person_is_erased_and_stays_erased_after_a_restore() {
    let dir = temporary();
    let (ledger, running) = open(dir.path()).await;
    found(&ledger, 10).await;
    let person = party(1);
    let ended = bound(&ledger, 1).await;
    let other = bound(&ledger, 2).await;
    let later = bound(&ledger, 1).await;
    ledger.submit(unbind(&ended)).await.expect("unbound");
    let place = temporary();
    let copy = place.path().join("copy");
    maskline_store::backup::backup(dir.path(), &copy)
        .await
        .expect("copied");
    // Ended after the backup was made.
    ledger.submit(unbind(&later)).await.expect("unbound");

    let by = || Actor::Operator {
        name: "user1".into(),
        remark: None,
    };
    let erased = ledger.erase(by(), person).await.expect("erased");
    assert_eq!((erased.bindings, erased.live), (2, 0));
    let erased = ledger.erase(by(), party(2)).await.expect("erased");
    assert_eq!((erased.bindings, erased.live), (0, 1), "it is in force");
    let past = ledger
        .past(ended.subs_id)
        .await
        .expect("known")
        .expect("there");
    assert_eq!(past.facts, Facts::Erased);
    assert_eq!(
        past.ended.as_ref().map(|ended| ended.cause.as_str()),
        Some("unbound")
    );
    let before = rows(&ledger).await;
    running.close().await;
    assert_is_whole(dir.path()).await;
    assert_holds(dir.path(), &person.reveal(), false);
    assert_holds(dir.path(), &other.a.reveal(), true);
    let (ledger, running) = open(dir.path()).await;
    assert_eq!(rows(&ledger).await, before);
    running.close().await;

    let restored = place.path().join("restored");
    let list = dir.path().join(maskline_store::erasure::LIST);
    restore(&copy, options(&restored), Some(&list))
        .await
        .expect("restored");
    assert_is_whole(&restored).await;
    assert_holds(&restored, &person.reveal(), false);
    let (ledger, running) = open(&restored).await;
    let still = ledger.read(Touch::Number(other.x), |state, _| {
        state.bindings_on(other.x)
    });
    assert_eq!(still.await.expect("readable"), [other]);
    let anew = bound(&ledger, 3).await;
    let hour_ahead = SubsId::earliest_at(clocks::read().wall.plus_secs(3500));
    assert!(anew.subs_id > hour_ahead, "ids skip ahead");
    running.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_erasure_keeps_the_other_party_in_the_journal_the_history_and_the_calls() {
    for (person, other) in [(party(1), party(2)), (party(2), party(1))] {
        let dir = temporary();
        let (ledger, running) = open(dir.path()).await;
        found(&ledger, 10).await;
        let request = BindRequest {
            b: Party::parse(&party(2).reveal()),
            extras: Extras {
                out_id: Some("order-of-the-person".into()),
                ..Extras::default()
            },
            ..*super::bind(1).command
        };
        let binding = *ledger
            .submit(operator(Box::new(request)))
            .await
            .expect("bound");
        let record = CallRecord {
            a: Some(binding.a),
            b: binding.b,
            caller: Some(binding.a),
            callee: binding.b,
            subs_id: Some(binding.subs_id),
            out_id: Some("order-of-the-person".into()),
            ..arrived("call", clocks::read().wall)
        };
        let records = ledger.call_records();
        records.close_call(record).await.expect("closed");
        ledger.submit(unbind(&binding)).await.expect("unbound");
        let place = temporary();
        let copy = place.path().join("copy");
        let copied = maskline_store::backup::backup(dir.path(), &copy).await;
        copied.expect("copied");

        let by = Actor::Operator {
            name: "user1".into(),
            remark: None,
        };
        let erased = ledger.erase(by, person).await.expect("erased");
        assert_eq!((erased.bindings, erased.records, erased.live), (1, 2, 0));
        let left = Binding {
            a: if person == binding.a {
                PhoneNumber::ERASED
            } else {
                binding.a
            },
            b: if person == binding.a {
                binding.b
            } else {
                Some(PhoneNumber::ERASED)
            },
            extras: Extras::default(),
            ..binding.clone()
        };
        assert_kept(&ledger, &left, other).await;
        let before = rows(&ledger).await;
        running.close().await;
        assert_is_whole(dir.path()).await;
        let list = dir.path().join(maskline_store::erasure::LIST);
        let told = std::fs::read_to_string(&list).expect("readable");
        for gone in [person.reveal(), "order-of-the-person".to_owned()] {
            assert_holds(dir.path(), &gone, false);
        }
        assert!(!told.contains(&other.reveal()), "{told}");
        assert_holds(dir.path(), &other.reveal(), true);

        // The history is made anew of what the journal holds.
        let owned = DataDir::own(dir.path()).expect("nobody else has it");
        let mut conn = owned.writer().await.expect("it opens");
        for text in ["DELETE FROM binding_history", "DELETE FROM projection"] {
            conn.execute(sql(text)).await.expect("SQL");
        }
        conn.close().await.expect("closed");
        drop(owned);
        let (ledger, running) = open(dir.path()).await;
        assert_eq!(rows(&ledger).await, before);
        assert_kept(&ledger, &left, other).await;
        running.close().await;

        let restored = place.path().join("restored");
        let done = restore(&copy, options(&restored), Some(&list)).await;
        done.expect("restored");
        assert_is_whole(&restored).await;
        for gone in [person.reveal(), "order-of-the-person".to_owned()] {
            assert_holds(&restored, &gone, false);
        }
        let (ledger, running) = open(&restored).await;
        assert_kept(&ledger, &left, other).await;
        running.close().await;
    }
}

/// What the history and the record of the call keep.
async fn assert_kept(ledger: &Ledger, left: &Binding, other: PhoneNumber) {
    let past = ledger.past(left.subs_id).await.expect("readable");
    let past = past.expect("known");
    assert_eq!(past.binding(), Some(left));
    assert!(past.is_erased());
    let of_other = Filter {
        party: Some(other),
        limit: 9,
        ..Filter::default()
    };
    let page = ledger.past_bindings(&of_other).await.expect("readable");
    assert_eq!(page.rows, [past]);
    let call = call::get(ledger.readers(), "call").await.expect("readable");
    let (call, _) = call.expect("recorded").expect("whole");
    let present = |number: Option<PhoneNumber>| number.filter(|number| !number.is_erased());
    let (a, b) = (present(Some(left.a)), present(left.b));
    assert_eq!((call.a, call.b, call.caller, call.callee), (a, b, a, b));
    assert_eq!(call.out_id, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_erased_during_calls_is_not_in_their_records_when_they_end() {
    let dir = temporary();
    let (ledger, running) = open(dir.path()).await;
    found(&ledger, 10).await;
    let binding = bound(&ledger, 1).await;
    let (person, stranger) = (binding.a, party(7));
    let records = ledger.call_records();
    let of_binding = CallRecord {
        a: Some(person),
        callee: Some(person),
        caller: Some(stranger),
        subs_id: Some(binding.subs_id),
        out_id: Some("order-of-the-person".into()),
        ..arrived("bound", clocks::read().wall)
    };
    records.open_call(of_binding.clone()).await.expect("opened");
    // Its caller hears why it fails: its row is written at the end alone.
    let unopened = CallRecord {
        caller: Some(person),
        ..arrived("unopened", clocks::read().wall)
    };
    let late = arrived("late", clocks::read().wall);
    ledger.submit(unbind(&binding)).await.expect("unbound");

    let before = clocks::read().wall;
    let by = || Actor::Operator {
        name: "user1".into(),
        remark: None,
    };
    ledger.erase(by(), person).await.expect("erased");
    ledger.erase(by(), stranger).await.expect("erased");
    // Its route was known before the binding ended.
    let late = CallRecord {
        a: Some(person),
        out_id: Some("order-of-the-person".into()),
        subs_id: Some(binding.subs_id),
        ..late
    };
    records.open_call(late.clone()).await.expect("opened");
    for call in [of_binding, unopened, late] {
        let closed = CallRecord {
            released_at: Some(clocks::read().wall),
            situation: Some("hung_up".into()),
            ladder: Some(format!("[\"{person}\"]")),
            ..call
        };
        records.close_call(closed).await.expect("closed");
    }
    for id in ["bound", "unopened", "late"] {
        let found = call::get(ledger.readers(), id).await.expect("readable");
        let (call, open) = found.expect("recorded").expect("whole");
        assert!(!open, "{id}");
        assert_eq!(call.situation.as_deref(), Some("hung_up"), "{id}");
        assert_eq!((call.caller, call.callee), (None, None), "{id}");
        assert_eq!((call.a, call.out_id), (None, None), "{id}");
        assert_eq!(call.ladder, None, "{id}");
    }
    for gone in [person.reveal(), stranger.reveal(), person.to_string()] {
        assert_holds(dir.path(), &gone, false);
    }
    assert_holds(dir.path(), "order-of-the-person", false);

    // What is owed for such a call would tell of the person.
    let owed = |id: &str| {
        let reached = Reached {
            milestone: Milestone::Ended,
            at: clocks::read().wall,
        };
        Owed::new(reached, "receipt", id, b"tells-of-the-person".to_vec()).expect("small")
    };
    let (told, mut written) = tokio::sync::mpsc::unbounded_channel();
    let of_person = CallRecord {
        caller: Some(person),
        ..arrived("owing", before)
    };
    for call in [of_person.clone(), arrived("other", before)] {
        let owed = vec![owed(&call.call_id)];
        let opened = match call.caller {
            Some(_) => RecordWrite::OpenCall(Box::new(call), owed),
            None => RecordWrite::CloseCall(Box::new(call), owed),
        };
        records.hand_over(opened, &told);
    }
    for write in [RecordWrite::UpdateCall, RecordWrite::CloseCall] {
        let owed = vec![owed("later")];
        records.hand_over(write(Box::new(of_person.clone()), owed), &told);
    }
    for _ in 0..4 {
        let written = written.recv().await.expect("told");
        assert_eq!(written.result, Ok(1));
    }
    let left = owed::list(ledger.readers(), None, 9).await.expect("SQL");
    let left: Vec<_> = left
        .rows
        .iter()
        .map(|listed| listed.place.call_id())
        .collect();
    assert_eq!(left, ["other"]);

    // Who calls again is recorded again.
    let again = CallRecord {
        caller: Some(person),
        ..arrived("again", clocks::read().wall.plus_secs(1))
    };
    records.close_call(again).await.expect("closed");
    let found = call::get(ledger.readers(), "again")
        .await
        .expect("readable");
    let (call, _) = found.expect("recorded").expect("whole");
    assert_eq!(call.caller, Some(person));
    running.close().await;
}
