//! Host names in descriptions: asked for outside, waited for, and not for long.

use super::*;

const HOST: &str = "media.caller.example";

fn named(media: &str, host: &str) -> Vec<u8> {
    let text = String::from_utf8(sdp_at(media, "8 101")).expect("ASCII");
    let at = address(media).ip();
    text.replace(&format!("c=IN IP4 {at}"), &format!("c=IN IP4 {host}"))
        .into_bytes()
}

fn found(media: &str) -> Option<Vec<std::net::IpAddr>> {
    let other = "2001:db8::1".parse().expect("a literal");
    Some(vec![other, address(media).ip()])
}

#[test]
fn a_call_waits_for_the_address_of_its_caller() {
    let mut world = World::new();
    let caller = world.dial(named(CALLER_MEDIA, HOST), 70);
    assert_eq!(world.asked, [HOST]);
    assert!(world.callee_events.is_empty());
    let name = HOST.into();
    world.tell(Input::Resolved(
        name,
        found(CALLER_MEDIA).unwrap_or_default(),
    ));
    let callee = world.callee_leg();
    // Its second description asks nobody.
    world.callee_does(SipInput::Answer(callee, sdp_at(CALLEE_MEDIA, "8 101")));
    let path = world.paths.last().and_then(|path| path.caller.clone());
    assert_eq!(path.map(|end| end.address), Some(address(CALLER_MEDIA)));
    assert!(!holds(&world.to_callee, HOST), "names stay behind");
    let held = String::from_utf8(named(CALLER_MEDIA, HOST)).expect("ASCII");
    let held = held.replace(" 1 1 IN", " 1 2 IN") + "a=sendonly\r\n";
    world.caller_does(SipInput::Offer(caller, held.into_bytes()));
    assert!(super::world::offered(&world.callee_events).is_some());
    assert_eq!(world.asked.len(), 1);
    world.caller_does(SipInput::HangUp(caller, None));
    assert!(world.is_clean());
}

#[test]
fn each_message_with_a_description_may_have_a_name() {
    // Early media, the answer, an ACK and an offer.
    let mut world = World::new();
    world.named = found(CALLEE_MEDIA);
    world.call();
    let callee = world.callee_leg();
    let early = Some(named(CALLEE_MEDIA, "early.example"));
    world.callee_does(SipInput::Progress(callee, 183, early));
    assert_eq!(world.asked, ["early.example"]);
    let path = world.paths.last().and_then(|path| path.callee.clone());
    assert_eq!(path.map(|end| end.address), Some(address(CALLEE_MEDIA)));
    let moved = named("203.0.113.9:8100", "later.example");
    world.callee_does(SipInput::Offer(callee, moved));
    let path = world.paths.last().and_then(|path| path.callee.clone());
    let at = path.map(|end| end.address);
    assert_eq!(at, Some(address("203.0.113.9:8100")));
    world.callee_does(SipInput::Answer(callee, sdp_at(CALLEE_MEDIA, "8 101")));
    assert!(matches!(
        world.caller_events.last(),
        Some(Event::Answered { .. })
    ));

    let mut world = World::new();
    world.named = found(CALLER_MEDIA);
    world.ack = Some(named(CALLER_MEDIA, HOST));
    world.without_100rel = Some(CALLER);
    world.dial(Vec::new(), 70);
    let callee = world.callee_leg();
    world.callee_does(SipInput::Answer(callee, sdp_at(CALLEE_MEDIA, "8 101")));
    let path = world.paths.last().and_then(|path| path.caller.clone());
    assert_eq!(path.map(|end| end.address), Some(address(CALLER_MEDIA)));
}

#[test]
fn a_name_without_an_address_refuses_the_call() {
    for (named_as, wait_ms) in [(Some(Vec::new()), 0), (None, 3_100)] {
        let mut world = World::new();
        world.named = named_as;
        world.dial(named(CALLER_MEDIA, HOST), 70);
        world.pass(wait_ms);
        assert_eq!(world.caller_end(), (488, Some(65)));
        assert!(world.callee_events.is_empty());
        // Nor is it asked for again at once.
        world.dial(named(CALLER_MEDIA, HOST), 70);
        assert_eq!(world.asked.len(), 1);
        // An answer that comes too late changes nothing.
        world.tell(Input::Resolved(
            HOST.into(),
            found(CALLER_MEDIA).unwrap_or_default(),
        ));
        assert!(world.callee_events.is_empty());
        assert!(world.is_clean());
    }
}

#[test]
fn a_caller_that_gives_up_meanwhile_rings_nobody() {
    let mut world = World::new();
    let caller = world.dial(named(CALLER_MEDIA, HOST), 70);
    world.caller_does(SipInput::HangUp(caller, None));
    let name = HOST.into();
    world.tell(Input::Resolved(
        name,
        found(CALLER_MEDIA).unwrap_or_default(),
    ));
    assert!(!matches!(
        world.callee_events.last(),
        Some(Event::Answered { .. })
    ));
    assert_eq!(
        world.only_record().situation.as_deref(),
        Some("caller_gave_up")
    );
    assert!(world.is_clean());
}

#[test]
fn names_of_many_calls_are_bounded() {
    let mut world = World::new();
    let setup = Setup {
        calls_max: 500,
        per_x_max: 500,
        per_caller_max: 500,
        ..world.switch.setup.clone()
    };
    world.switch = Switch::new(setup);
    let trunks = vec![trunk("in", CALLER, true), trunk("out", CALLEE, true)];
    world.switch.set_trunks(trunks);
    for number in 0..100 {
        world.dial(named(CALLER_MEDIA, &format!("m{number}.example")), 70);
    }
    assert_eq!(world.asked.len(), 32);
    world.pass(3_100);
    assert_eq!(world.switch.calls(), 0);
    assert!(world.is_clean());
}
