//! Calls that come about, and how they end.

use super::*;
use crate::numbers;
use maskline_fixtures::sip::media_end;

#[test]
fn a_call_connects_shows_x_and_closes_its_record() {
    let mut world = World::new();
    world.call();
    let callee = world.callee_leg();
    world.callee_does(SipInput::Progress(callee, 180, None));
    world.callee_does(SipInput::Answer(callee, sdp_at(CALLEE_MEDIA, "8 101")));
    let Some(Event::Incoming {
        invite,
        max_forwards,
        ..
    }) = world.callee_events.first()
    else {
        panic!("called")
    };
    assert_eq!(
        numbers::caller(invite),
        Some(number(X)),
        "the callee sees X"
    );
    assert_eq!(numbers::dialled(invite), Some(number(A)));
    assert_eq!(*max_forwards, 69, "one hop fewer");
    let names: Vec<bool> = world
        .caller_events
        .iter()
        .filter(|event| !matches!(event, Event::Trying { .. }))
        .map(|event| matches!(event, Event::Answered { .. }))
        .collect();
    assert_eq!(names, [false, true], "ringing, then the answer");
    let end = |media, codec, version, unheard| MediaEnd {
        payloads: Payloads {
            codec,
            events: Some(101),
        },
        unheard: Some(unheard),
        version,
        ..media_end(address(media))
    };
    // Anybody can have sent the INVITE; only the callee can have answered ours.
    let few = Unheard {
        bytes: 4_096,
        ms: 10_000,
        is_source_verified: false,
    };
    let many = Unheard {
        bytes: 786_432,
        ms: 60_000,
        is_source_verified: true,
    };
    let path = MediaPath {
        caller: Some(end(CALLER_MEDIA, 8, 0, few)),
        callee: Some(end(CALLEE_MEDIA, 8, 1, many)),
    };
    assert_eq!(world.paths, [path]);
    world.pass(5_000);
    world.callee_does(SipInput::HangUp(callee, Some(16)));
    assert!(matches!(
        world.caller_events.last(),
        Some(Event::Ended {
            cause: Some(16),
            ..
        })
    ));
    let record = world.only_record();
    assert_eq!(record.call_id, world.opened[0].call_id);
    assert_eq!(
        (record.x, record.caller, record.callee),
        (Some(number(X)), Some(number(N)), Some(number(A)))
    );
    assert_eq!(
        (record.trunk_in.as_deref(), record.trunk_out.as_deref()),
        (Some("in"), Some("out"))
    );
    assert_eq!(
        (record.account.as_deref(), record.pool.as_deref()),
        (Some("acme"), Some("FC1"))
    );
    assert_eq!(
        (record.subs_id, record.out_id.as_deref()),
        (Some(SubsId(7)), Some("order 1"))
    );
    assert_eq!(
        (record.situation.as_deref(), record.release_by.as_deref()),
        (Some("hung_up"), Some("callee"))
    );
    let talked = record
        .answered_at
        .zip(record.released_at)
        .map(|(from, to)| to.millis() - from.millis());
    assert_eq!(talked, Some(5_000));
    assert!(record.ringing_at.is_some() && record.dialled_at.is_some());
    assert!(world.is_clean());
}

#[test]
fn early_media_is_relayed_and_ringing_stays_ringing() {
    let mut world = World::new();
    world.call();
    let callee = world.callee_leg();
    world.callee_does(SipInput::Progress(
        callee,
        183,
        Some(sdp_at(CALLEE_MEDIA, "0")),
    ));
    world.callee_does(SipInput::Progress(callee, 180, None));
    let progress: Vec<(u16, bool)> = world
        .caller_events
        .iter()
        .filter_map(|event| match event {
            Event::Progress { status, sdp, .. } => Some((*status, sdp.is_some())),
            _ => None,
        })
        .collect();
    assert_eq!(progress, [(183, true), (180, false)]);
    assert_eq!(world.paths.len(), 1);
    world.callee_does(SipInput::Answer(callee, sdp_at(CALLEE_MEDIA, "0")));
    let Some(Event::Answered { sdp: Some(sdp), .. }) = world.caller_events.last() else {
        panic!("answered")
    };
    assert!(
        holds(sdp, "m=audio 20000 RTP/AVP 0\r\n"),
        "one codec, our port"
    );
}

#[test]
fn busy_and_ring_time_out_reach_the_caller() {
    let mut world = World::new();
    world.call();
    let callee = world.callee_leg();
    world.callee_does(SipInput::Refuse(
        callee,
        Refusal {
            status: 486,
            cause: None,
        },
    ));
    assert_eq!(world.caller_end(), (486, Some(17)));
    assert!(world.is_clean());
    let mut world = World::new();
    world.call();
    let callee = world.callee_leg();
    world.callee_does(SipInput::Progress(callee, 180, None));
    world.pass(29_900);
    assert!(world.finished.is_empty());
    world.pass(200);
    assert_eq!(world.caller_end(), (480, Some(19)));
    assert!(matches!(
        world.callee_events.last(),
        Some(Event::Cancelled {
            cause: Some(19),
            ..
        })
    ));
    assert_eq!(world.only_record().situation.as_deref(), Some("no_answer"));
    assert!(world.is_clean());
}

#[test]
fn a_caller_who_gives_up_stops_the_callee_ringing() {
    let mut world = World::new();
    let caller = world.call();
    let callee = world.callee_leg();
    world.callee_does(SipInput::Progress(callee, 180, None));
    world.caller_does(SipInput::HangUp(caller, None));
    assert!(matches!(
        world.callee_events.last(),
        Some(Event::Cancelled { .. })
    ));
    assert_eq!(
        world.only_record().situation.as_deref(),
        Some("caller_gave_up")
    );
    assert!(world.is_clean());
}

#[test]
fn both_may_hang_up_at_once() {
    let mut world = World::new();
    let (caller, callee) = world.talk();
    world.caller.handle_input(
        SipInput::HangUp(caller, None),
        Time::from_millis(world.now_ms),
    );
    world.callee_does(SipInput::HangUp(callee, None));
    assert_eq!(world.finished.len(), 1);
    assert!(world.is_clean());
}

#[test]
fn a_long_silence_ends_the_call() {
    let mut world = World::new();
    world.talk();
    world.tell(Input::MediaLost(CallKey::from(1)));
    assert_eq!(world.only_record().situation.as_deref(), Some("media_lost"));
    assert!(matches!(
        world.callee_events.last(),
        Some(Event::Ended {
            cause: Some(41),
            ..
        })
    ));
    assert!(matches!(
        world.caller_events.last(),
        Some(Event::Ended {
            cause: Some(41),
            ..
        })
    ));
    assert!(world.is_clean());
}

#[test]
fn call_ids_ascend_in_time() {
    let mut world = World::new();
    world.call();
    world.pass(10);
    world.call();
    let ids: Vec<&str> = world
        .opened
        .iter()
        .map(|record| record.call_id.as_str())
        .collect();
    assert!(ids[0].len() == 24 && ids[0] < ids[1], "{ids:?}");
}
