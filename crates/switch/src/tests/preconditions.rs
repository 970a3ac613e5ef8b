//! Sides whose way is not ready when they say where their media is: they offer or answer `inactive`, and by
//! UPDATE later what they mean (RFC 3312 section 5.1, RFC 3264 section 5.1). And sides that lose their keys.

use super::world::{accepted, offered, sdp_again};
use super::*;

fn sdp(version: u8, media: &str, direction: &str) -> Vec<u8> {
    sdp_again(version, media, "8 101", direction)
}

/// A call whose caller offers in this direction, and whose callee answers early in that one.
fn early(without: Option<&'static str>, caller: &str, callee: &str) -> (World, LegId, LegId) {
    let mut world = World::new();
    world.without_100rel = without;
    let calling = world.dial(sdp(1, CALLER_MEDIA, caller), 70);
    let called = world.callee_leg();
    let said = Some(sdp(1, CALLEE_MEDIA, callee));
    world.callee_does(SipInput::Progress(called, 183, said));
    (world, calling, called)
}

fn directions(world: &World) -> [Option<Direction>; 2] {
    let path = world.paths.last().cloned().unwrap_or_default();
    [path.caller, path.callee].map(|end| end.map(|end| end.direction))
}

const BOTH_WAYS: [Option<Direction>; 2] = [Some(Direction::SendRecv); 2];

/// Whoever is offered something takes it both ways, until nobody is offered anything.
fn take_what_is_offered(world: &mut World, caller: LegId, callee: LegId) {
    for version in 10..16 {
        world.pass(10);
        if offered(&world.caller_events).is_some() {
            world.caller_events.clear();
            let reply = sdp(version, CALLER_MEDIA, "sendrecv");
            world.caller_does(SipInput::AcceptOffer(caller, reply));
        }
        if offered(&world.callee_events).is_some() {
            world.callee_events.clear();
            let reply = sdp(version, CALLEE_MEDIA, "sendrecv");
            world.callee_does(SipInput::AcceptOffer(callee, reply));
        }
    }
}

/// The callee answers as it said last, and then both hear each other.
fn assert_stands(mut world: World, caller: LegId, callee: LegId, said: &str, why: &str) {
    world.callee_does(SipInput::Answer(callee, sdp(9, CALLEE_MEDIA, said)));
    take_what_is_offered(&mut world, caller, callee);
    assert_eq!(directions(&world), BOTH_WAYS, "{why}");
    world.callee_does(SipInput::HangUp(callee, None));
    assert_eq!(
        world.only_record().situation.as_deref(),
        Some("hung_up"),
        "{why}"
    );
    assert!(world.is_clean(), "{why}");
}

#[test]
fn a_caller_that_is_ready_later_is_heard_then() {
    let (mut world, caller, callee) = early(None, "inactive", "inactive");
    assert_eq!(directions(&world), [Some(Direction::Inactive); 2]);
    world.caller_does(SipInput::Offer(caller, sdp(2, CALLER_MEDIA, "sendrecv")));
    let offer = offered(&world.callee_events).expect("the callee is asked");
    assert!(offer.contains("a=sendrecv"), "{offer}");
    let reply = sdp(2, CALLEE_MEDIA, "sendrecv");
    world.callee_does(SipInput::AcceptOffer(callee, reply));
    let answer = accepted(&world.caller_events).expect("the caller is answered");
    assert!(answer.contains("a=sendrecv"), "{answer}");
    assert_eq!(directions(&world), BOTH_WAYS, "before the answer");
    world.callee_events.clear();
    assert_stands(world, caller, callee, "sendrecv", "asked early");
}

#[test]
fn a_caller_that_is_ready_later_is_heard_after_the_answer_of_a_callee_that_cannot_be_asked() {
    let (mut world, caller, callee) = early(Some(CALLEE), "inactive", "inactive");
    world.caller_does(SipInput::Offer(caller, sdp(2, CALLER_MEDIA, "sendrecv")));
    let answer = accepted(&world.caller_events).expect("the caller is answered");
    assert!(answer.contains("a=inactive"), "{answer}");
    assert_eq!(offered(&world.callee_events), None);
    world.caller_events.clear();
    assert_stands(world, caller, callee, "inactive", "asked late");
}

#[test]
fn a_callee_that_is_ready_later_is_heard_then() {
    for without in [None, Some(CALLER)] {
        let (mut world, caller, callee) = early(without, "sendrecv", "inactive");
        world.callee_does(SipInput::Offer(callee, sdp(2, CALLEE_MEDIA, "sendrecv")));
        let answer = accepted(&world.callee_events).expect("the callee is answered");
        assert!(answer.contains("a=sendrecv"), "{answer}");
        world.pass(10);
        // It hears what there is to be heard.
        let Some(Event::Progress {
            sdp: Some(told), ..
        }) = world.caller_events.last()
        else {
            panic!("the caller is told, {without:?}")
        };
        assert!(holds(told, "a=sendrecv"), "{without:?}");
        world.callee_events.clear();
        assert_eq!(directions(&world), BOTH_WAYS, "before the answer");
        assert_stands(world, caller, callee, "sendrecv", "callee");
    }
}

#[test]
fn both_may_be_ready_later() {
    for caller_first in [true, false] {
        let (mut world, caller, callee) = early(None, "inactive", "inactive");
        for turn in [caller_first, !caller_first] {
            match turn {
                true => {
                    let offer = sdp(2, CALLER_MEDIA, "sendrecv");
                    world.caller_does(SipInput::Offer(caller, offer));
                }
                false => {
                    let offer = sdp(3, CALLEE_MEDIA, "sendrecv");
                    world.callee_does(SipInput::Offer(callee, offer));
                }
            }
            take_what_is_offered(&mut world, caller, callee);
        }
        let why = format!("caller first: {caller_first}");
        assert_stands(world, caller, callee, "sendrecv", &why);
    }
}

#[test]
fn a_caller_that_is_ready_later_hears_our_tone_then() {
    let mut world = World::new();
    world.answers.tone = ToneCode::parse("100000001");
    let caller = world.dial(sdp(1, CALLER_MEDIA, "inactive"), 70);
    let callee = world.callee_leg();
    world.callee_does(SipInput::Progress(callee, 180, None));
    let hears = |world: &World| directions(world)[0].is_some_and(Direction::receives);
    assert!(!hears(&world));
    world.caller_does(SipInput::Offer(caller, sdp(2, CALLER_MEDIA, "sendrecv")));
    assert!(accepted(&world.caller_events).is_some());
    assert!(hears(&world));
    world.caller_events.clear();
    assert_stands(world, caller, callee, "inactive", "tone");
}

#[test]
fn who_insists_on_preconditions_is_told_that_we_do_not_know_them() {
    let mut world = World::new();
    let leg = world.caller.new_leg();
    let dial = Dial {
        hop: udp(SWITCH),
        target: format!("sip:+86{X}@{SWITCH}"),
        identity: Identity::from(format!("sip:{N}@{CALLER}")),
        max_forwards: 70,
        sdp: sdp(1, CALLER_MEDIA, "inactive"),
    };
    let now = Time::from_millis(world.now_ms);
    world.caller.handle_input(SipInput::Dial(leg, dial), now);
    let Some(SipOutput::Send { to, bytes }) = world.caller.poll_output() else {
        panic!("an INVITE")
    };
    let text = String::from_utf8_lossy(&bytes);
    let text = text.replace("\r\nSupported:", "\r\nRequire: precondition\r\nSupported:");
    world.queue.push_back((udp(CALLER), to, text.into_bytes()));
    world.settle();
    assert!(holds(&world.to_caller, "SIP/2.0 420 "));
    assert!(holds(&world.to_caller, "Unsupported: precondition\r\n"));
}

#[test]
fn a_callee_without_keys_gets_those_of_a_caller_that_believes_in_them_by_info() {
    // The callee says before the answer that it knows keys, and then that it does not: another machine of its.
    let (mut world, caller, callee) = early(None, "sendrecv", "sendrecv");
    let offer = sdp_again(2, CALLEE_MEDIA, "8", "sendrecv");
    world.callee_does(SipInput::Offer(callee, offer));
    assert!(accepted(&world.callee_events).is_some());
    let path = world.paths.last().cloned().expect("a path");
    let keys = [path.caller, path.callee].map(|end| end.and_then(|end| end.payloads.events));
    assert_eq!(
        keys,
        [Some(101), None],
        "those of the caller are understood"
    );
    world.callee_does(SipInput::Answer(
        callee,
        sdp_again(2, CALLEE_MEDIA, "8", "sendrecv"),
    ));
    world.tell(Input::Digit(CallKey::from(1), Side::Caller, '7'));
    let Some(Event::Info { body, .. }) = world.callee_events.last() else {
        panic!("the callee gets an INFO")
    };
    assert!(holds(body, "Signal=7"));
    // And the caller hears that it has to say keys otherwise: they are sound then.
    world.pass(10);
    let offer = offered(&world.caller_events).expect("it is told");
    assert!(offer.contains("RTP/AVP 8\r\n"), "{offer}");
    let reply = sdp_again(2, CALLER_MEDIA, "8", "sendrecv");
    world.caller_does(SipInput::AcceptOffer(caller, reply));
    world.caller_does(SipInput::HangUp(caller, None));
    assert!(world.is_clean());
}

#[test]
fn a_caller_that_was_promised_keys_is_told_by_an_offer_when_the_answer_has_none() {
    for is_toned in [false, true] {
        let mut world = World::new();
        world.without_100rel = Some(CALLEE);
        world.answers.tone = ToneCode::parse("100000001").filter(|_| is_toned);
        let caller = world.dial(sdp(1, CALLER_MEDIA, "sendrecv"), 70);
        let callee = world.callee_leg();
        world.callee_does(match is_toned {
            true => SipInput::Progress(callee, 180, None),
            false => SipInput::Progress(callee, 183, Some(sdp(1, CALLEE_MEDIA, "sendrecv"))),
        });
        world.ok = Some(sdp_again(1, CALLEE_MEDIA, "8", "sendrecv"));
        world.callee_does(SipInput::Answer(callee, sdp(1, CALLEE_MEDIA, "sendrecv")));
        world.pass(10);
        match is_toned {
            // What it was told for the tone holds, and its keys go by INFO.
            true => {
                world.tell(Input::Digit(CallKey::from(1), Side::Caller, '7'));
                let last = world.callee_events.last();
                assert!(matches!(last, Some(Event::Info { .. })), "{last:?}");
            }
            false => {
                let offer = offered(&world.caller_events).expect("it is told");
                assert!(offer.contains("RTP/AVP 8\r\n"), "{offer}");
                let reply = sdp_again(2, CALLER_MEDIA, "8", "sendrecv");
                world.caller_does(SipInput::AcceptOffer(caller, reply));
            }
        }
        world.caller_does(SipInput::HangUp(caller, None));
        assert!(world.is_clean());
    }
}
