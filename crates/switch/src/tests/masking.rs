//! Nothing of one side reaches the other.

use super::*;

#[test]
fn neither_side_gets_a_byte_of_the_other() {
    let mut world = World::new();
    let (caller, _) = world.talk();
    world.caller_does(SipInput::HangUp(caller, Some(16)));
    world.pass(1_000);
    for secret in [N, "198.51.100.7", "audio 7000", "secret"] {
        assert!(
            !holds(&world.to_callee, secret),
            "{secret} reached the callee"
        );
    }
    for secret in [A, "203.0.113.9", "audio 8000", "secret"] {
        assert!(
            !holds(&world.to_caller, secret),
            "{secret} reached the caller"
        );
    }
}

#[test]
fn hiding_something_else_changes_no_byte_on_the_other_side() {
    let sent_to_callee = |media: &str| {
        let mut world = World::new();
        let caller = world.dial(sdp_at(media, "8 101"), 70);
        let callee = world.callee_leg();
        world.callee_does(SipInput::Answer(callee, sdp_at(CALLEE_MEDIA, "8 101")));
        world.caller_does(SipInput::HangUp(caller, None));
        world.to_callee
    };
    assert_eq!(
        sent_to_callee(CALLER_MEDIA),
        sent_to_callee("198.51.100.250:17000")
    );
}
