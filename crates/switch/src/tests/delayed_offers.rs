//! INVITEs and re-INVITEs that leave the offer to us.

use super::world::{accepted, held, offered, sdp_again};
use super::*;

/// What either side is offered when it asks: its port of ours, and the rest of the line.
const ROWS: [(Side, &str); 2] = [
    (Side::Caller, "m=audio 20000 RTP/AVP "),
    (Side::Callee, "m=audio 20002 RTP/AVP "),
];

/// A call between these formats.
fn talk(caller: &str, callee: &str) -> (World, [LegId; 2]) {
    let mut world = World::new();
    let leg = world.dial(sdp_at(CALLER_MEDIA, caller), 70);
    let other = world.callee_leg();
    world.callee_does(SipInput::Answer(other, sdp_at(CALLEE_MEDIA, callee)));
    (world, [leg, other])
}

/// This side asks to be offered, and answers in its ACK. Returns what it was offered.
fn ask(world: &mut World, legs: [LegId; 2], side: Side, answer: Vec<u8>) -> String {
    world.ack = Some(answer);
    let events = match side {
        Side::Caller => {
            world.caller_does(SipInput::Offer(legs[0], Vec::new()));
            &world.caller_events
        }
        Side::Callee => {
            world.callee_does(SipInput::Offer(legs[1], Vec::new()));
            &world.callee_events
        }
    };
    let offer = accepted(events).expect("it is offered something");
    world.ack = None;
    offer
}

#[test]
fn who_asks_in_a_call_is_offered_what_was_agreed_and_no_more() {
    for (side, line) in ROWS {
        for (caller, callee, formats) in [
            ("8 0 101", "0 8 101", "0 101\r\n"),
            ("8 0 13 101", "8 0 13 101", "8 13 101\r\n"),
            ("8 0 13 101", "8 0", "8\r\n"),
            ("8 0 18", "18", "18\r\n"),
        ] {
            let (mut world, legs) = talk(caller, callee);
            let media = [CALLER_MEDIA, CALLEE_MEDIA][usize::from(side == Side::Callee)];
            let codec = formats.split(['\r', ' ']).next().unwrap_or_default();
            let answer = sdp_again(2, media, codec, "sendrecv");
            let offer = ask(&mut world, legs, side, answer);
            assert!(offer.contains(&format!("{line}{formats}")), "{offer}");
            assert!(offer.contains("a=sendrecv\r\n"), "{offer}");
            let path = world.paths.last().cloned().unwrap_or_default();
            let codecs = [path.caller.as_ref(), path.callee.as_ref()]
                .map(|end| end.map(|end| end.payloads.codec));
            let codec = codec.parse().ok();
            assert_eq!(codecs, [codec, codec], "{caller} {callee}");
            let untold = [offered(&world.caller_events), offered(&world.callee_events)];
            assert_eq!(untold, [None, None], "the other side need not know");
        }
    }
}

#[test]
fn an_answer_in_another_codec_than_the_offered_one_changes_nothing() {
    let (mut world, legs) = talk("8 0 101", "8 0 101");
    let answer = sdp_again(2, "198.51.100.7:7100", "0 101", "sendonly");
    ask(&mut world, legs, Side::Caller, answer);
    assert_eq!(world.paths.len(), 1, "what was agreed stays");
    assert_eq!(offered(&world.callee_events), None);
    // And the next change is a new one.
    world.caller_does(SipInput::Offer(legs[0], held(CALLER_MEDIA)));
    assert!(offered(&world.callee_events).is_some());
}

#[test]
fn a_hold_by_the_answer_to_what_was_asked_for_reaches_the_other_side() {
    for direction in ["sendonly", "inactive"] {
        let (mut world, legs) = talk("8 0 101", "8 0 101");
        let answer = sdp_again(2, CALLER_MEDIA, "8 101", direction);
        ask(&mut world, legs, Side::Caller, answer);
        let offer = offered(&world.callee_events).expect("the callee hears of it");
        let said = format!("a={direction}\r\n");
        assert!(
            offer.contains("RTP/AVP 8 101\r\n") && offer.contains(&said),
            "{offer}"
        );
        let reply = sdp_again(2, CALLEE_MEDIA, "8 101", "recvonly");
        world.callee_does(SipInput::AcceptOffer(legs[1], reply));
        assert!(world.paths.last().is_some_and(MediaPath::is_held));
        // It resumes in the same way, and is not kept on its own hold.
        world.callee_events.clear();
        let answer = sdp_again(3, CALLER_MEDIA, "8 101", "sendrecv");
        let offer = ask(&mut world, legs, Side::Caller, answer);
        assert!(offer.contains("a=sendrecv\r\n"), "{offer}");
        let offer = offered(&world.callee_events).expect("the callee hears of it");
        assert!(offer.contains("a=sendrecv\r\n"), "{offer}");
        let reply = sdp_again(3, CALLEE_MEDIA, "8 101", "sendrecv");
        world.callee_does(SipInput::AcceptOffer(legs[1], reply));
        assert!(!world.paths.last().is_some_and(MediaPath::is_held));
        world.caller_does(SipInput::HangUp(legs[0], None));
        assert!(world.is_clean());
    }
}

#[test]
fn who_asks_while_the_other_side_holds_is_offered_the_hold() {
    let (mut world, legs) = talk("8 101", "8 101");
    world.callee_does(SipInput::Offer(legs[1], held(CALLEE_MEDIA)));
    let reply = sdp_again(2, CALLER_MEDIA, "8 101", "recvonly");
    world.caller_does(SipInput::AcceptOffer(legs[0], reply));
    let answer = sdp_again(3, CALLER_MEDIA, "8 101", "recvonly");
    let offer = ask(&mut world, legs, Side::Caller, answer);
    assert!(offer.contains("a=sendonly\r\n"), "{offer}");
    assert_eq!(offered(&world.callee_events), None, "nothing new for it");
}

#[test]
fn a_caller_that_answers_our_first_offer_with_hold_holds() {
    let mut world = World::new();
    world.ack = Some(sdp_again(1, CALLER_MEDIA, "8 101", "inactive"));
    world.dial(Vec::new(), 70);
    let callee = world.callee_leg();
    world.callee_does(SipInput::Answer(callee, sdp_at(CALLEE_MEDIA, "8 0 101")));
    let offer = offered(&world.callee_events).expect("the callee hears of it");
    assert!(
        offer.contains("RTP/AVP 8 101\r\n") && offer.contains("a=inactive\r\n"),
        "{offer}"
    );
}

#[test]
fn a_caller_that_leaves_the_offer_to_us_gets_the_callees_codec() {
    let mut world = World::new();
    world.dial(Vec::new(), 70);
    let callee = world.callee_leg();
    let Some(Event::Incoming { invite, .. }) = world.callee_events.first() else {
        panic!("the callee is called")
    };
    assert!(holds(invite.body(), "m=audio 20002 RTP/AVP 8 0 101"));
    world.callee_does(SipInput::Answer(callee, sdp_at(CALLEE_MEDIA, "0 101")));
    let offer = world.caller_events.iter().find_map(|event| match event {
        Event::Answered { sdp, .. } => sdp.as_deref(),
        _ => None,
    });
    let offer = offer.expect("the caller is answered with our offer");
    assert!(holds(offer, "m=audio 20000 RTP/AVP 0 101"));
    // This phone's ACK says nothing to it.
    assert_eq!(world.caller_end_cause(), Some(65));
    let record = world.only_record();
    assert_eq!(record.situation.as_deref(), Some("no_common_codec"));
    assert!(world.is_clean());
}

#[test]
fn a_recorded_call_whose_offer_was_left_to_us_is_recorded_from_its_ack_on() {
    let mut world = World::new();
    let Some(Route::Connect(connection)) = &mut world.answers.route else {
        panic!("it connects")
    };
    connection.binding.record = true;
    world.ack = Some(sdp_at(CALLER_MEDIA, "0 101"));
    world.dial(Vec::new(), 70);
    let callee = world.callee_leg();
    world.callee_does(SipInput::Answer(callee, sdp_at(CALLEE_MEDIA, "0 101")));
    let law = world.paths.last().and_then(|path| path.clone().caller?.law);
    assert!(law.is_some(), "{:?}", world.paths);
    assert_eq!(world.files.len(), 1, "recorded once");
}

#[test]
fn media_flows_once_the_caller_has_answered_our_offer() {
    let codecs = Codecs::of(&trunk("any", CALLER, true).definition);
    let mut media = Media::from_offer(b"", None, codecs.clone(), reach(), [1, 2]);
    media.lease(Lease {
        caller: address("192.0.2.1:20000"),
        callee: address("192.0.2.1:20002"),
    });
    let offer = media.offer_by(None, codecs, reach(), 3);
    assert!(offer.is_some(), "an offer of ours");
    let answer = media.read(Side::Callee, &sdp_at(CALLEE_MEDIA, "0 101"), None);
    assert_eq!(media.take_answer(answer.expect("it fits")), Ok(true));
    assert!(media.answer().is_some() && media.is_late());
    assert_eq!(media.path(), None);
    let answer = sdp_at(CALLER_MEDIA, "0 101");
    assert_eq!(media.take_late_answer(&answer, None), Ok(false));
    let path = media.path().expect("both have spoken");
    let codecs =
        [path.caller.as_ref(), path.callee.as_ref()].map(|end| end.map(|end| end.payloads.codec));
    assert_eq!(codecs, [Some(0), Some(0)]);
    assert!(!media.is_late());
}
