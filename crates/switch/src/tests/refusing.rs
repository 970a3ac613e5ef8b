//! Calls that come about not at all.

use super::*;

#[test]
fn a_refused_route_tells_its_status_and_leaves_a_record() {
    let mut world = World::new();
    world.answers.route = Some(Route::Refuse {
        situation: Situation::Restricted,
        binding: None,
    });
    world.call();
    assert_eq!(world.caller_end(), (403, Some(21)));
    let record = world.only_record();
    assert_eq!(
        (record.situation.as_deref(), record.sip_status),
        (Some("restricted"), Some(403))
    );
    assert!(world.opened.is_empty() && world.callee_events.is_empty());
    assert!(world.is_clean());
}

#[test]
fn what_we_cannot_do_is_refused_before_anybody_is_dialled() {
    let unreadable = Answers {
        route: None,
        ..well()
    };
    let not_durable = Answers {
        durable: false,
        ..well()
    };
    let no_trunk = Answers {
        trunks: Vec::new(),
        ..well()
    };
    let no_port = Answers {
        ports: false,
        ..well()
    };
    let rows = [
        (unreadable, "8", (503, 41), None),
        (not_durable, "8", (503, 41), Some("not_durable")),
        (no_trunk, "8", (502, 38), Some("unreachable")),
        (no_port, "8", (503, 42), Some("overload")),
        (well(), "77", (488, 65), Some("no_common_codec")),
    ];
    for (answers, codecs, (status, cause), situation) in rows {
        let mut world = World::new();
        world.answers = answers;
        world.dial(sdp_at(CALLER_MEDIA, codecs), 70);
        assert_eq!(world.caller_end(), (status, Some(cause)));
        let recorded = world.finished[0]
            .as_ref()
            .and_then(|record| record.situation.clone());
        assert_eq!((world.finished.len(), recorded.as_deref()), (1, situation));
        assert!(
            world.callee_events.is_empty(),
            "the callee is left in peace"
        );
        assert!(world.is_clean());
    }
}

#[test]
fn a_callee_with_another_codec_is_hung_up_on() {
    let mut world = World::new();
    world.dial(sdp_at(CALLER_MEDIA, "8"), 70);
    let callee = world.callee_leg();
    world.callee_does(SipInput::Answer(callee, sdp_at(CALLEE_MEDIA, "0")));
    assert_eq!(world.caller_end(), (488, Some(65)));
    assert!(matches!(
        world.callee_events.last(),
        Some(Event::Ended { .. })
    ));
    assert!(world.is_clean());
}

#[test]
fn calls_are_capped_and_a_draining_switch_takes_none() {
    let mut world = World::new();
    world.switch.setup.calls_max = 1;
    world.call();
    world.call();
    assert_eq!(world.caller_end(), (503, Some(42)));
    assert_eq!(world.switch.calls(), 1);
    let mut world = World::new();
    world.talk();
    world.tell(Input::Drain);
    world.call();
    assert_eq!(world.caller_end(), (503, Some(42)));
    assert_eq!(world.switch.calls(), 1, "the call that stands goes on");
    world.tell(Input::HangUpAll);
    assert_eq!(world.only_record().situation.as_deref(), Some("stopped"));
    assert!(world.is_clean());
}

#[test]
fn no_call_is_taken_from_a_trunk_that_is_switched_off_or_gone() {
    for trunks in [
        vec![trunk("in", CALLER, false), trunk("out", CALLEE, true)],
        vec![trunk("out", CALLEE, true)],
    ] {
        let mut world = World::new();
        world.tell(Input::Trunks(trunks));
        world.call();
        assert_eq!(world.caller_end(), (403, None));
    }
}
