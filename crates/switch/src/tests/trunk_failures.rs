//! Trunks that fail, limits of calls, and what the record tells of it.

use super::*;

fn two_trunks() -> World {
    let mut world = World::new();
    world.answers.trunks = vec![trunk("out", CALLEE, true), trunk("spare", SPARE, true)];
    world
}

fn refuse(world: &mut World, status: u16) {
    let callee = world.callee_leg();
    let refusal = Refusal {
        status,
        cause: None,
    };
    world.callee_does(SipInput::Refuse(callee, refusal));
}

fn spare_leg(world: &World) -> LegId {
    match world.spare_events.first() {
        Some(Event::Incoming { leg, .. }) => *leg,
        other => panic!("the spare trunk is called, not {other:?}"),
    }
}

#[test]
fn when_a_trunk_fails_the_next_one_carries_the_call() {
    let mut world = two_trunks();
    let caller = world.call();
    refuse(&mut world, 503);
    let leg = spare_leg(&world);
    let answer = SipInput::Answer(leg, sdp_at(CALLEE_MEDIA, "8 101"));
    world
        .spare
        .handle_input(answer, Time::from_millis(world.now_ms));
    world.settle();
    assert!(matches!(
        world.caller_events.last(),
        Some(Event::Answered { .. })
    ));
    world.caller_does(SipInput::HangUp(caller, None));
    let record = world.only_record();
    assert_eq!(record.trunk_out.as_deref(), Some("spare"));
    assert_eq!(world.opened.len(), 1, "one call, one row");
    assert!(world.is_clean());
}

#[test]
fn a_trunk_that_is_dead_is_left_for_the_next_one() {
    let mut world = two_trunks();
    world.answers.trunks[0].peer.hop = udp(DEAD);
    world.call();
    world.pass(16_000);
    spare_leg(&world);
    assert!(world.callee_events.is_empty());
    world.pass(31_000);
    assert_eq!(world.caller_end(), (480, Some(19)));
    assert!(world.is_clean());
}

#[test]
fn a_trunk_that_tries_is_waited_for_twice_as_long() {
    let mut world = two_trunks();
    let Some(Route::Connect(connection)) = &mut world.answers.route else {
        panic!("it connects")
    };
    connection.ring_timeout_s = 60;
    world.call();
    world.pass(31_900);
    assert!(world.spare_events.is_empty(), "it has said that it tries");
    world.pass(200);
    spare_leg(&world);
    assert!(matches!(
        world.callee_events.last(),
        Some(Event::Cancelled { .. })
    ));
    world.pass(60_000);
    assert_eq!(world.caller_end(), (480, Some(19)));
    assert!(world.is_clean());
}

#[test]
fn a_busy_callee_is_not_called_by_another_trunk() {
    let mut world = two_trunks();
    world.call();
    refuse(&mut world, 486);
    assert!(world.spare_events.is_empty());
    assert_eq!(world.caller_end(), (486, Some(17)));
}

#[test]
fn when_every_trunk_has_failed_the_caller_hears_so() {
    let mut world = two_trunks();
    world.call();
    refuse(&mut world, 500);
    let refusal = Refusal {
        status: 503,
        cause: None,
    };
    let leg = spare_leg(&world);
    world.spare.handle_input(
        SipInput::Refuse(leg, refusal),
        Time::from_millis(world.now_ms),
    );
    world.settle();
    assert_eq!(world.played, [(Side::Caller, Prompt::Unreachable.into())]);
    assert_eq!(world.caller_end(), (502, Some(38)));
    assert!(world.is_clean());
}

#[test]
fn a_number_that_forwards_to_x_ends_within_the_cap_and_is_recorded() {
    let mut world = World::new();
    for _ in 0..3 {
        world.call();
    }
    assert_eq!(world.caller_end(), (486, Some(17)));
    assert_eq!(world.only_record().situation.as_deref(), Some("x_full"));
    assert_eq!(world.switch.calls(), 2);
    world.tell(Input::HangUpAll);
    assert!(world.is_clean(), "and nothing is counted any more");
    world.call();
    assert!(world.switch.calls() == 1);
}

#[test]
fn one_call_too_many_takes_no_ports() {
    let mut world = World::new();
    for trunk in &mut world.switch.trunks {
        trunk.definition.prompts = maskline_domain::trunk::PromptPolicy::Early;
    }
    for _ in 0..2 {
        world.call();
    }
    let leases = world.leases;
    for _ in 0..50 {
        world.call();
        assert_eq!(world.caller_end(), (486, Some(17)));
    }
    assert_eq!(world.leases, leases);
    assert!(world.played.is_empty());
}

#[test]
fn one_caller_has_so_many_calls_and_no_more() {
    let mut world = World::new();
    world.switch.setup.per_caller_max = 1;
    world.call();
    world.call();
    assert_eq!(
        world.only_record().situation.as_deref(),
        Some("caller_full")
    );
}

#[test]
fn the_ladder_tells_what_was_said_and_no_whole_number() {
    let mut world = two_trunks();
    world.call();
    refuse(&mut world, 503);
    let refusal = Refusal {
        status: 603,
        cause: Some(21),
    };
    let leg = spare_leg(&world);
    world.spare.handle_input(
        SipInput::Refuse(leg, refusal),
        Time::from_millis(world.now_ms),
    );
    world.settle();
    let ladder = world.only_record().ladder.clone().expect("a ladder");
    for number in [N, A, X] {
        assert!(!ladder.contains(number), "{ladder}");
    }
    let steps: Vec<serde_json::Value> = serde_json::from_str(&ladder).expect("a list");
    let told: Vec<String> = steps
        .iter()
        .map(|step| {
            let text = |field: &str| step[field].as_str().unwrap_or_default().to_owned();
            format!("{} {} {}", text("leg"), text("dir"), text("what"))
        })
        .collect();
    let expected = [
        "caller in INVITE",
        "callee out INVITE",
        "callee in 100",
        "callee in 503",
        "callee out INVITE",
        "callee in 100",
        "callee in 603",
        "caller out 183",
        "caller out 603",
    ];
    assert_eq!(told, expected);
}
