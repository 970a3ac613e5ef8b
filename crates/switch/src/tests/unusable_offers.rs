//! Offers that cannot be used are refused before any of them is taken, whoever makes them and when: what was
//! agreed stays, the other side hears nothing of it, and the call goes on.

use super::world::{accepted, offered, refused, sdp_again};
use super::*;

const MOVED_MEDIA: &str = "198.51.100.8:7100";
const ELSEWHERE: &str = "[2001:db8::7]:7000";
/// Where the relay of each test receives.
const FOR_CALLER: &str = "192.0.2.1:20000";
const FOR_CALLEE: &str = "192.0.2.1:20002";

/// In which state of a call an offer comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum When {
    /// Both sides have said before the answer where their media is.
    Early,
    /// The caller hears a ring tone of ours.
    Toned,
    /// The caller hears why the call fails.
    Announced,
    /// The call stands.
    Talking,
}

/// A call in this state.
fn begin(when: When) -> (World, LegId, LegId) {
    let mut world = World::new();
    let offer = sdp_at(CALLER_MEDIA, "8 0 101");
    match when {
        When::Toned => world.answers.tone = ToneCode::parse("100000001"),
        When::Announced => world.answers.plays = false,
        When::Early | When::Talking => {}
    }
    let caller = world.dial(offer, 70);
    let callee = world.callee_leg();
    let said = sdp_at(CALLEE_MEDIA, "8 101");
    world.callee_does(match when {
        When::Early => SipInput::Progress(callee, 183, Some(said)),
        When::Toned => SipInput::Progress(callee, 180, None),
        When::Talking => SipInput::Answer(callee, said),
        When::Announced => {
            let (status, cause) = (486, None);
            SipInput::Refuse(callee, Refusal { status, cause })
        }
    });
    assert!(!world.paths.is_empty(), "somebody hears something");
    (world, caller, callee)
}

/// It goes on, and ends as calls do.
fn assert_goes_on(mut world: World, when: When, callee: LegId, why: &str) {
    match when {
        When::Announced => {
            world.pass(31_000);
            assert_eq!(world.caller_end(), (486, Some(17)), "{why}");
        }
        When::Early | When::Toned | When::Talking => {
            if when != When::Talking {
                let said = sdp_at(CALLEE_MEDIA, "8 101");
                world.callee_does(SipInput::Answer(callee, said));
            }
            world.pass(5_000);
            let path = world.paths.last().cloned().expect("there is a path");
            let ends = [path.caller, path.callee].map(|end| end.map(|end| end.address));
            let expected = [CALLER_MEDIA, CALLEE_MEDIA].map(|media| Some(address(media)));
            assert_eq!(ends, expected, "{why}");
            assert_eq!(world.switch.calls(), 1, "{why}");
            world.callee_does(SipInput::HangUp(callee, None));
            let record = world.only_record();
            assert_eq!(record.situation.as_deref(), Some("hung_up"), "{why}");
        }
    }
    assert!(world.is_clean(), "{why}");
}

#[test]
fn an_offer_that_cannot_be_used_is_refused_and_changes_nothing() {
    let media_loop = format!("Warning: 399 {SWITCH} \"Media would come back to the call\"\r\n");
    let family = format!("Warning: 301 {SWITCH} \"Incompatible network address formats\"\r\n");
    let (media_loop, family) = (media_loop.as_str(), family.as_str());
    // When, who offers, where its media would be, by which formats, and the warning.
    let mut rows = Vec::new();
    for when in [When::Early, When::Talking] {
        for side in Side::BOTH {
            for at in [FOR_CALLER, FOR_CALLEE, "[::ffff:192.0.2.1]:20000"] {
                // By the codec that is agreed, and by another.
                rows.extend(
                    ["8 101", "0 101"].map(|formats| (when, side, at, formats, media_loop)),
                );
            }
            rows.push((when, side, ELSEWHERE, "8 101", family));
            rows.push((when, side, MOVED_MEDIA, "97 101", ""));
        }
    }
    for when in [When::Toned, When::Announced] {
        for at in [FOR_CALLER, FOR_CALLEE] {
            rows.push((when, Side::Caller, at, "8 0 101", media_loop));
        }
        rows.push((when, Side::Caller, ELSEWHERE, "8 0 101", family));
        rows.push((when, Side::Caller, MOVED_MEDIA, "97 101", ""));
    }
    for (when, side, at, formats, warning) in rows {
        let why = format!("{when:?} {side:?} {at} {formats}");
        let (mut world, caller, callee) = begin(when);
        let paths = world.paths.len();
        let offer = sdp_again(2, at, formats, "sendrecv");
        match side {
            Side::Caller => world.caller_does(SipInput::Offer(caller, offer)),
            Side::Callee => world.callee_does(SipInput::Offer(callee, offer)),
        }
        let (own, other) = match side {
            Side::Caller => (&world.caller_events, &world.callee_events),
            Side::Callee => (&world.callee_events, &world.caller_events),
        };
        assert_eq!(refused(own), Some(488), "{why}");
        assert_eq!(offered(other), None, "{why}");
        let told = match side {
            Side::Caller => &world.to_caller,
            Side::Callee => &world.to_callee,
        };
        let warned = ["Warning: 399 ", "Warning: 301 "].map(|begin| holds(told, begin));
        assert_eq!(warned, [warning == media_loop, warning == family], "{why}");
        assert!(warning.is_empty() || holds(told, warning), "{why}");
        assert_eq!(world.paths.len(), paths, "{why}");
        assert_goes_on(world, when, callee, &why);
    }
}

#[test]
fn what_was_refused_stands_in_the_way_of_nothing() {
    for when in [When::Early, When::Toned, When::Announced, When::Talking] {
        let (mut world, caller, callee) = begin(when);
        let media_loop = sdp_again(2, FOR_CALLER, "0 8 101", "sendrecv");
        world.caller_does(SipInput::Offer(caller, media_loop));
        assert_eq!(refused(&world.caller_events), Some(488), "{when:?}");
        // The next one is taken.
        let offer = sdp_again(3, MOVED_MEDIA, "8 0 101", "sendrecv");
        world.caller_does(SipInput::Offer(caller, offer));
        if when == When::Talking {
            let reply = sdp_again(2, CALLEE_MEDIA, "8 101", "sendrecv");
            world.callee_does(SipInput::AcceptOffer(callee, reply));
        }
        assert!(accepted(&world.caller_events).is_some(), "{when:?}");
        let path = world.paths.last().cloned().expect("there is a path");
        let heard = path.caller.map(|end| end.address);
        assert_eq!(heard, Some(address(MOVED_MEDIA)), "{when:?}");
    }
}

#[test]
fn an_offer_in_a_prack_that_cannot_be_used_is_refused_and_the_prack_counts() {
    for (at, formats, warning) in [
        (FOR_CALLER, "8 101", "Warning: 399 "),
        (FOR_CALLEE, "8 101", "Warning: 399 "),
        (FOR_CALLEE, "0 101", "Warning: 399 "),
        (ELSEWHERE, "8 101", "Warning: 301 "),
        (MOVED_MEDIA, "97 101", "Content-Length: 0"),
    ] {
        let mut world = World::new();
        world.prack = Some(sdp_again(2, at, formats, "sendrecv"));
        // The PRACK of ours to the callee has none.
        world.without_100rel = Some(CALLEE);
        world.dial(sdp_at(CALLER_MEDIA, "8 0 101"), 70);
        let callee = world.callee_leg();
        let said = Some(sdp_at(CALLEE_MEDIA, "8 101"));
        world.callee_does(SipInput::Progress(callee, 183, said));
        assert!(holds(&world.to_caller, "SIP/2.0 488 "), "{at} {formats}");
        assert!(holds(&world.to_caller, warning), "{at} {formats}");
        world.to_caller.clear();
        world.pass(1_000);
        assert!(world.to_caller.is_empty(), "its 183 is acknowledged");
        assert_goes_on(world, When::Early, callee, at);
    }
}

#[test]
fn early_media_that_cannot_be_used_is_none_and_the_answer_counts() {
    for reliable in [true, false] {
        for (at, formats) in [
            (FOR_CALLER, "8 101"),
            (FOR_CALLEE, "8 101"),
            (ELSEWHERE, "8 101"),
            (CALLEE_MEDIA, "9 101"),
        ] {
            let mut world = World::new();
            world.without_100rel = (!reliable).then_some(CALLEE);
            world.dial(sdp_at(CALLER_MEDIA, "8 0 101"), 70);
            let callee = world.callee_leg();
            let said = Some(sdp_at(at, formats));
            world.callee_does(SipInput::Progress(callee, 183, said));
            assert!(world.paths.is_empty(), "{at} {formats}");
            assert_eq!(world.switch.calls(), 1, "{at} {formats}");
            match reliable {
                // It has said so for good, and offers anew what can be used.
                true => {
                    let offer = sdp_again(2, CALLEE_MEDIA, "8 101", "sendrecv");
                    world.callee_does(SipInput::Offer(callee, offer));
                    assert!(accepted(&world.callee_events).is_some(), "{at} {formats}");
                }
                false => world.ok = Some(sdp_at(CALLEE_MEDIA, "8 101")),
            }
            assert_goes_on(world, When::Early, callee, at);
        }
    }
}

#[test]
fn an_offer_whose_media_would_come_back_by_way_of_another_call_is_refused() {
    // What the callee of the second call offers, and whether it leads through the first one back to the second.
    for (at, comes_back) in [
        ("192.0.2.1:20000", true),
        ("192.0.2.1:20002", false),
        ("192.0.2.1:20001", true),
    ] {
        for is_answered in [false, true] {
            let why = format!("{at} {is_answered}");
            let mut world = World::new();
            let first = world.call();
            let callee = world.callee_leg();
            // The callee of the first call hears where the second one will hear its caller.
            let said = sdp_at("192.0.2.1:20004", "8 101");
            world.callee_does(SipInput::Answer(callee, said));
            world.dial(sdp_at(MOVED_MEDIA, "8 101"), 70);
            let callee = world
                .callee_events
                .iter()
                .rev()
                .find_map(|event| match event {
                    Event::Incoming { leg, .. } => Some(*leg),
                    _ => None,
                });
            let callee = callee.expect("the second call comes");
            let said = sdp_at(CALLEE_MEDIA, "8 101");
            world.callee_does(match is_answered {
                true => SipInput::Answer(callee, said),
                false => SipInput::Progress(callee, 183, Some(said)),
            });
            let offer = sdp_again(2, at, "8 101", "sendrecv");
            world.callee_does(SipInput::Offer(callee, offer));
            assert_eq!(
                refused(&world.callee_events),
                comes_back.then_some(488),
                "{why}"
            );
            assert_eq!(world.switch.calls(), 2, "{why}");
            world.caller_does(SipInput::HangUp(first, None));
            world.tell(Input::HangUpAll);
            assert!(world.is_clean(), "{why}");
        }
    }
}

#[test]
fn an_invite_whose_media_would_come_back_is_refused_with_a_warning() {
    for at in [FOR_CALLER, FOR_CALLEE] {
        let mut world = World::new();
        world.dial(sdp_at(at, "8 101"), 70);
        assert_eq!(world.caller_end().0, 488, "{at}");
        let warning = format!("Warning: 399 {SWITCH} ");
        assert!(holds(&world.to_caller, &warning), "{at}");
        assert!(world.is_clean(), "{at}");
    }
}
