//! What is said before the answer, reliably or not, on one side or both (RFC 3262).

use super::world::{offered, sdp_again};
use super::*;

/// A call without an offer, whose callee has early media; what the caller says in its PRACK.
fn early(prack: Vec<u8>) -> (World, LegId) {
    let mut world = World::new();
    let Some(Route::Connect(connection)) = &mut world.answers.route else {
        panic!("it connects")
    };
    connection.binding.record = true;
    world.prack = Some(prack);
    world.dial(Vec::new(), 70);
    let callee = world.callee_leg();
    let media = Some(sdp_at(CALLEE_MEDIA, "0 8 101"));
    // The PRACK of ours to the callee is no answer.
    world.callee_does(SipInput::Progress(callee, 183, media));
    (world, callee)
}

#[test]
fn media_flows_from_a_prack_on_that_answers_our_offer() {
    let (mut world, callee) = early(sdp_at(CALLER_MEDIA, "0 101"));
    let Some(Event::Progress { sdp: Some(sdp), .. }) = world.caller_events.last() else {
        panic!("the caller has our offer")
    };
    assert!(holds(sdp, "m=audio 20000 RTP/AVP 0 101\r\n"));
    let path = world
        .paths
        .last()
        .cloned()
        .expect("it flows before the answer");
    let ends = [path.caller.as_ref(), path.callee.as_ref()]
        .map(|end| end.map(|end| (end.address, end.law)));
    let end = |media| Some((address(media), Some(Law::Mu)));
    assert_eq!(ends, [end(CALLER_MEDIA), end(CALLEE_MEDIA)]);
    assert!(world.files.is_empty(), "a call is recorded once it stands");
    world.callee_does(SipInput::Answer(callee, sdp_at(CALLEE_MEDIA, "0 8 101")));
    assert!(matches!(
        world.caller_events.last(),
        Some(Event::Answered { .. })
    ));
    assert_eq!((world.files.len(), world.switch.calls()), (1, 1));
    assert_eq!(offered(&world.callee_events), None);
}

#[test]
fn a_hold_that_a_prack_answers_with_reaches_the_callee_once_it_has_answered() {
    let (mut world, callee) = early(sdp_again(1, CALLER_MEDIA, "0 101", "inactive"));
    assert_eq!(offered(&world.callee_events), None);
    world.callee_does(SipInput::Answer(callee, sdp_at(CALLEE_MEDIA, "0 8 101")));
    let offer = offered(&world.callee_events).expect("the callee hears of it");
    assert!(
        offer.contains("RTP/AVP 0 101\r\n") && offer.contains("a=inactive\r\n"),
        "{offer}"
    );
}

#[test]
fn a_prack_that_answers_with_nothing_we_carry_ends_the_call() {
    let (world, _) = early(sdp_at(CALLER_MEDIA, "9 101"));
    assert_eq!(world.caller_end(), (488, Some(65)));
}

#[test]
fn early_media_is_reliable_on_the_side_that_knows_how() {
    for (without, pracks) in [
        (None, [1, 1]),
        (Some(CALLER), [0, 1]),
        (Some(CALLEE), [1, 0]),
    ] {
        let mut world = World::new();
        world.without_100rel = without;
        let caller = world.call();
        let callee = world.callee_leg();
        let media = Some(sdp_at(CALLEE_MEDIA, "8 101"));
        world.callee_does(SipInput::Progress(callee, 183, media));
        let Some(Event::Progress { sdp: Some(_), .. }) = world.caller_events.last() else {
            panic!("the caller hears it, {without:?}")
        };
        let is_reliable = [
            holds(&world.to_caller, "\r\nRSeq: "),
            holds(&world.to_callee, "\r\nRAck: "),
        ];
        assert_eq!(is_reliable.map(usize::from), pracks, "{without:?}");
        world.callee_does(SipInput::Answer(callee, sdp_at(CALLEE_MEDIA, "8 101")));
        assert!(matches!(
            world.caller_events.last(),
            Some(Event::Answered { .. })
        ));
        // Nothing is repeated for want of an acknowledgement.
        world.pass(40_000);
        assert_eq!(world.switch.calls(), 1);
        world.caller_does(SipInput::HangUp(caller, None));
        assert!(world.is_clean());
    }
}
