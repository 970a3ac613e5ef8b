//! Records of calls.

use maskline_domain::call::{Milestone, Owed, Reached};
use maskline_domain::call_record::{CallRecord, NODE_LOST};
use maskline_domain::{SubsId, Timestamp};
use maskline_server::ledger::LostRecording;
use maskline_store::record_writes::RecordError;
use maskline_store::records::call::{self, Filter};
use maskline_store::records::owed;

use super::temporary;
use crate::support::open;
use maskline_fixtures::domain::{party, x};

#[tokio::test(flavor = "multi_thread")]
async fn a_call_is_opened_and_closed_once() {
    let dir = temporary();
    let (ledger, running) = open(dir.path()).await;
    let records = ledger.call_records();
    let call = CallRecord {
        call_id: "c1".into(),
        node: "n".into(),
        boot: "b1".into(),
        x: Some(x(1)),
        caller: Some(party(2)),
        subs_id: Some(SubsId(7)),
        arrived_at: Timestamp(1000),
        ..CallRecord::default()
    };
    records.open_call(call.clone()).await.expect("opened");
    assert_eq!(
        records.open_call(call.clone()).await,
        Err(RecordError::Conflict)
    );
    let closed = CallRecord {
        released_at: Some(Timestamp(5000)),
        situation: Some("connected".into()),
        q850_cause: Some(16),
        ..call.clone()
    };
    records.close_call(closed.clone()).await.expect("closed");
    let again = CallRecord {
        released_at: Some(Timestamp(9000)),
        ..closed.clone()
    };
    records.close_call(again).await.expect("nothing to do");
    let found = call::get(ledger.readers(), "c1").await.expect("readable");
    assert_eq!(found.expect("kept").expect("whole"), (closed, false));

    let lost = CallRecord {
        call_id: "c2".into(),
        ..call
    };
    records.open_call(lost).await.expect("opened");
    running.close().await;

    let (ledger, running) = open(dir.path()).await;
    let recording_of = |call_id: &str, arrived_at: Timestamp| {
        assert_eq!((call_id, arrived_at), ("c2", Timestamp(1000)));
        Some(LostRecording {
            file: "day/c2.wav".to_owned(),
            has_sound: true,
        })
    };
    let records = ledger.call_records();
    let owes = |reached: Reached, record: &CallRecord| {
        assert_eq!(record.situation.as_deref(), Some(NODE_LOST));
        assert_eq!(record.release_by.as_deref(), Some("platform"));
        assert_eq!(record.released_at, Some(reached.at));
        let key = record.recording.clone().unwrap_or_default();
        let body = record.call_id.clone().into_bytes();
        vec![Owed::new(reached, "receipt", key, body).expect("small")]
    };
    for lost in [1, 0] {
        let closed = records.close_lost_calls("n", "b2", recording_of, owes);
        assert_eq!(closed.await.expect("closed"), lost);
        let owed = owed::list(ledger.readers(), None, 10).await.expect("SQL");
        let owed = owed.rows.iter().map(|listed| {
            let owed = listed.owed.as_ref().expect("readable");
            (listed.place.call_id(), owed.reached().milestone, owed.key())
        });
        let expected = [Milestone::Ended, Milestone::Recorded];
        let expected = expected.map(|milestone| ("c2", milestone, "day/c2.wav"));
        assert_eq!(owed.collect::<Vec<_>>(), expected, "once");
    }
    let filter = Filter {
        x: Some(x(1)),
        limit: 10,
        ..Filter::default()
    };
    let calls = call::list(ledger.readers(), &filter)
        .await
        .expect("readable");
    let calls: Vec<_> = calls
        .rows
        .into_iter()
        .map(|call| call.expect("whole"))
        .collect();
    let situations: Vec<_> = calls
        .iter()
        .map(|(call, open)| {
            let (situation, recording) = (call.situation.as_deref(), call.recording.as_deref());
            (call.call_id.as_str(), situation, recording, *open)
        })
        .collect();
    assert_eq!(
        situations,
        [
            ("c2", Some(NODE_LOST), Some("day/c2.wav"), false),
            ("c1", Some("connected"), None, false)
        ]
    );
    running.close().await;
}
