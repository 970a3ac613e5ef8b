//! What is seen of calls while they last, and draining while the service goes on.

use std::time::Duration;

use maskline_domain::call::Stage;
use tempfile::TempDir;

use crate::calls::phone::{Phone, Said};
use crate::calls::{A, CallsFixture, N, X};
use maskline_fixtures::domain::number;

#[tokio::test(flavor = "multi_thread")]
async fn a_live_call_is_seen_until_it_ends() {
    let dir = TempDir::new().expect("a directory");
    let fixture = CallsFixture::open(dir.path(), "boot 1", 47_560).await;
    assert_eq!(fixture.calls_handle.live_calls().await, Some(Vec::new()));
    let mut phone = Phone::new(fixture.serving.address).await;
    phone.dial(X, N).await;
    assert_eq!(phone.next_event().await, Said::Progress(180));
    assert_eq!(phone.next_event().await, Said::Answered);
    let live = fixture
        .calls_handle
        .live_calls()
        .await
        .expect("the loop answers");
    assert_eq!(live.len(), 1);
    assert_eq!(live[0].stage, Stage::Talking);
    assert_eq!(
        (live[0].x, live[0].caller, live[0].callee),
        (Some(number(X)), Some(number(N)), Some(number(A)))
    );
    assert_eq!(live[0].trunk_out.as_deref(), Some("sandbox"));
    assert_eq!(live[0].pool.as_deref(), Some("FC1"));
    assert_eq!(fixture.calls_handle.live(), 1);
    phone.hang_up().await;
    let record = fixture.only_closed_record().await;
    assert_eq!(record.call_id, live[0].call_id);
    assert_eq!(fixture.calls_handle.live_calls().await, Some(Vec::new()));
    fixture.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn draining_refuses_new_calls_and_hangs_up_at_its_limit_without_ending_the_loop() {
    let dir = TempDir::new().expect("a directory");
    let limit = Duration::from_millis(300);
    let fixture = CallsFixture::with(dir.path(), "boot 1", 47_600, limit).await;
    let mut phone = Phone::new(fixture.serving.address).await;
    phone.dial(X, N).await;
    assert_eq!(phone.next_event().await, Said::Progress(180));
    assert_eq!(phone.next_event().await, Said::Answered);
    fixture.calls_handle.drain();
    assert!(fixture.calls_handle.is_draining());
    // The wish takes a moment to be heard.
    let mut late = Phone::new(fixture.serving.address).await;
    while {
        late.dial(X, N).await;
        late.next_event().await != Said::Refused(503, Some(42))
    } {
        late.hang_up().await;
    }
    assert_eq!(
        phone.next_event().await,
        Said::Ended,
        "hung up at the limit"
    );
    assert!(!fixture.serving.task.is_finished(), "the process goes on");
    late.dial(X, N).await;
    assert_eq!(late.next_event().await, Said::Refused(503, Some(42)));
    fixture.close().await;
}
