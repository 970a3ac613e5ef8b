//! The softphone on real sockets: against another one, and through a demo service as a newcomer uses it.

mod demo;

use maskline_domain::PhoneNumber;
use maskline_softphone::{
    Answering, Event, EventKind, LegId, Options, Order, Phone, Reply, Report, Sound, sound_files,
};
use std::net::SocketAddr;
use std::time::Duration;
use tokio::sync::mpsc::Receiver;

/// Longer than anything here takes; a test that waits so long has failed.
const WATCHDOG: Duration = Duration::from_secs(30);
const FROM: &str = "13811112222";
const TO: &str = "13933334444";

fn local() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 0))
}

fn number(digits: &str) -> Option<PhoneNumber> {
    PhoneNumber::parse(digits).ok()
}

/// A phone that answers at once with a tone.
fn answering(hz: u16) -> Options {
    let mut options = Options::new(local());
    options.settings.play = vec![Sound::Tone(hz, None)];
    options.settings.answering = Answering::Always(Reply::Answer {
        ring: Duration::from_millis(100),
        hang_up: None,
    });
    options
}

async fn next(events: &mut Receiver<Event>) -> Event {
    let event = tokio::time::timeout(WATCHDOG, events.recv()).await;
    event.expect("it goes on").expect("the phone runs")
}

/// Everything that is told until a call is over.
async fn until_over(events: &mut Receiver<Event>) -> (Vec<EventKind>, Report) {
    let mut told = Vec::new();
    loop {
        match next(events).await.kind {
            EventKind::Over(report) => return (told, *report),
            kind => told.push(kind),
        }
    }
}

async fn until_incoming(events: &mut Receiver<Event>) -> LegId {
    loop {
        let event = next(events).await;
        if let (EventKind::Incoming { .. }, Some(call)) = (event.kind, event.call) {
            return call;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_phones_talk_press_keys_and_record() {
    let dir = tempfile::tempdir().expect("a directory");
    let file = dir.path().join("heard.wav");
    let mut options = answering(1_000);
    options.record = Some(file.clone());
    options.settings.captures = true;
    let (callee, mut at_callee) = Phone::start(options).await.expect("a phone");
    let (caller, mut at_caller) = Phone::start(answering(440)).await.expect("a phone");
    let order = Order {
        keys: "7#".to_owned(),
        // Twice as long as what is asked for below: a busy machine stutters.
        hang_up: Some(Duration::from_secs(4)),
        ..Order::new(callee.address(), TO, FROM)
    };
    caller.call(order).await.expect("it calls");
    let (_, from_caller) = until_over(&mut at_caller).await;
    let (told, from_callee) = until_over(&mut at_callee).await;
    let packets = told
        .iter()
        .filter(|kind| matches!(kind, EventKind::Packet { .. }));
    assert!(packets.count() >= 80, "every packet can be looked into");
    assert!(from_caller.is_answered() && from_callee.is_answered());
    assert_eq!(
        (from_callee.shown, from_callee.dialled),
        (number(FROM), number(TO))
    );
    assert_eq!(from_callee.keys, "7#");
    assert!(
        from_caller.heard.tone_ms(1_000) >= 1_000,
        "{:?}",
        from_caller.heard
    );
    assert!(
        from_callee.heard.tone_ms(440) >= 1_000,
        "{:?}",
        from_callee.heard
    );
    callee.close().await;
    caller.close().await;
    let recorded = sound_files::read(&file).expect("a recording");
    assert!(recorded.len() >= 8_000, "{} samples", recorded.len());
    assert!(recorded.iter().any(|sample| sample.unsigned_abs() > 10_000));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_phone_that_is_closed_hangs_up_and_one_that_rings_is_answered_by_hand() {
    let mut options = answering(1_000);
    options.settings.answering = Answering::Always(Reply::Ring);
    let (callee, mut at_callee) = Phone::start(options).await.expect("a phone");
    let (caller, mut at_caller) = Phone::start(answering(440)).await.expect("a phone");
    for answers in [true, false] {
        let order = Order::new(callee.address(), TO, FROM);
        caller.call(order).await.expect("it calls");
        let call = until_incoming(&mut at_callee).await;
        match answers {
            true => callee.answer(call).await,
            false => callee.refuse(call, 486, Some(17)).await,
        }
        if answers {
            while !matches!(next(&mut at_caller).await.kind, EventKind::Answered { .. }) {}
            callee.hang_up(call).await;
        }
        let (_, report) = until_over(&mut at_caller).await;
        assert_eq!(report.is_answered(), answers);
        until_over(&mut at_callee).await;
    }
    caller.call(Order::new(callee.address(), TO, FROM)).await;
    until_incoming(&mut at_callee).await;
    caller.close().await;
    let (_, report) = until_over(&mut at_callee).await;
    assert_eq!(
        report.status,
        Some(487),
        "the caller cancels before it ends"
    );
    assert_eq!(callee.calls().await, 0);
    callee.close().await;
}
