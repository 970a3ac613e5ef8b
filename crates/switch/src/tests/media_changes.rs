//! Hold and resume, offers that cross or come to nothing, and keys by INFO.

use super::world::{accepted, held, offered, refused, sdp_again};
use super::*;
use maskline_domain::trunk::WithoutG711;

#[test]
fn hold_reaches_the_callee_and_the_relay_knows_of_it() {
    let mut world = World::new();
    let (caller, callee) = world.talk();
    assert!(!world.paths[0].is_held());
    world.caller_does(SipInput::Offer(caller, held(CALLER_MEDIA)));
    let offer = offered(&world.callee_events).expect("the callee is asked");
    assert!(
        offer.contains("a=sendonly") && offer.contains("m=audio 20002 "),
        "{offer}"
    );
    assert!(!offer.contains("secret") && !offer.contains("198.51.100.7"));
    let mut answer = sdp_at(CALLEE_MEDIA, "8 101");
    answer.extend_from_slice(b"a=recvonly\r\n");
    world.callee_does(SipInput::AcceptOffer(callee, answer));
    let answer = accepted(&world.caller_events).expect("the caller is answered");
    assert!(
        answer.contains("a=recvonly") && answer.contains("m=audio 20000 "),
        "{answer}"
    );
    let path = world.paths.last().cloned().expect("a path");
    assert!(path.is_held());
    world.callee_does(SipInput::HangUp(callee, None));
    let ladder = world.only_record().ladder.clone().expect("a ladder");
    assert!(ladder.contains("takes the offer"), "{ladder}");
    assert!(world.is_clean());
}

#[test]
fn a_fax_is_refused_without_asking_the_other_side() {
    let mut world = World::new();
    let (_, callee) = world.talk();
    let fax = b"v=0\r\no=- 9 9 IN IP4 203.0.113.9\r\ns=-\r\nc=IN IP4 203.0.113.9\r\nt=0 0\r\nm=image 4000 udptl t38\r\n";
    world.callee_does(SipInput::Offer(callee, fax.to_vec()));
    assert_eq!(refused(&world.callee_events), Some(488));
    assert_eq!(offered(&world.caller_events), None);
    assert_eq!(world.paths.len(), 1, "what was agreed stays");
}

#[test]
fn what_the_other_side_refuses_is_refused() {
    let mut world = World::new();
    let (caller, callee) = world.talk();
    world.caller_does(SipInput::Offer(caller, held(CALLER_MEDIA)));
    world.callee_does(SipInput::RefuseOffer(callee, 606));
    assert_eq!(refused(&world.caller_events), Some(488));
    // And the next offer is a new one.
    world.callee_does(SipInput::Offer(callee, held(CALLEE_MEDIA)));
    assert!(offered(&world.caller_events).is_some());
}

#[test]
fn an_offer_that_waits_is_not_replaced_by_another() {
    let codecs = Codecs::of(&trunk("any", CALLER, true).definition);
    let mut media = Media::from_offer(
        &sdp_at(CALLER_MEDIA, "8"),
        None,
        codecs.clone(),
        reach(),
        [1, 2],
    );
    media.lease(Lease {
        caller: address("192.0.2.1:20000"),
        callee: address("192.0.2.1:20002"),
    });
    assert!(media.offer_by(None, codecs, reach(), 3).is_some());
    let answer = media.read(Side::Callee, &sdp_at(CALLEE_MEDIA, "8"), None);
    assert_eq!(media.take_answer(answer.expect("it fits")), Ok(true));
    let offer = media.read(
        Side::Caller,
        &sdp_again(2, CALLER_MEDIA, "8", "sendonly"),
        None,
    );
    let offer = offer.expect("it fits");
    assert_eq!(media.take_offer(Side::Caller, offer), Ok(()));
    for side in Side::BOTH {
        let other = sdp_again(3, "203.0.113.9:8100", "8", "inactive");
        let other = media.read(side, &other, None).expect("it fits");
        assert_eq!(media.take_offer(side, other), Err(491));
    }
    let reply = sdp_again(2, CALLEE_MEDIA, "8", "recvonly");
    let reply = media
        .take_reply(Side::Callee, &reply, None)
        .expect("it fits");
    assert!(holds(&reply, "a=recvonly"));
    let path = media.path().and_then(|path| path.caller);
    assert_eq!(
        path.map(|end| end.direction),
        Some(Direction::SendOnly),
        "that of the first"
    );
}

/// The caller holds, and has waited too long when the callee hears of it.
fn given_up() -> (World, LegId, LegId) {
    let mut world = World::new();
    let (caller, callee) = world.talk();
    world.deaf = Some(CALLEE);
    world.caller_does(SipInput::Offer(caller, held(CALLER_MEDIA)));
    world.deaf = None;
    world.pass(20_100);
    assert_eq!(refused(&world.caller_events), Some(500));
    assert!(
        offered(&world.callee_events).is_some(),
        "it came when it was sent again"
    );
    (world, caller, callee)
}

#[test]
fn an_answer_that_comes_too_late_belongs_to_no_other_offer() {
    let (mut world, caller, callee) = given_up();
    // The caller moves meanwhile; the callee then takes the hold.
    let moved = sdp_again(3, "198.51.100.7:7100", "8 101", "sendrecv");
    world.caller_does(SipInput::Offer(caller, moved));
    let reply = sdp_again(2, CALLEE_MEDIA, "8 101", "recvonly");
    world.callee_does(SipInput::AcceptOffer(callee, reply));
    assert_eq!(accepted(&world.caller_events), None);
    // It must not be left in a hold of which the caller knows nothing.
    let offer = offered(&world.callee_events).expect("it is told what holds");
    assert!(offer.contains("a=sendrecv\r\n"), "{offer}");
    let reply = sdp_again(3, CALLEE_MEDIA, "8 101", "sendrecv");
    world.callee_does(SipInput::AcceptOffer(callee, reply));
    let path = world.paths.last().cloned().expect("a path");
    assert!(!path.is_held());
    // The caller was put off, and tries again within four seconds.
    world.pass(4_100);
    let reply = sdp_again(4, CALLEE_MEDIA, "8 101", "sendrecv");
    world.callee_does(SipInput::AcceptOffer(callee, reply));
    assert!(accepted(&world.caller_events).is_some());
    let path = world.paths.last().and_then(|path| path.clone().caller);
    let moved = path.map(|end| end.address);
    assert_eq!(moved, Some(address("198.51.100.7:7100")));
    world.caller_does(SipInput::HangUp(caller, None));
    assert!(world.is_clean());
}

#[test]
fn an_offer_that_was_given_up_and_is_refused_leaves_nothing() {
    let (mut world, caller, callee) = given_up();
    world.callee_does(SipInput::RefuseOffer(callee, 488));
    world.callee_events.clear();
    let moved = sdp_again(3, "198.51.100.7:7100", "8 101", "sendrecv");
    world.caller_does(SipInput::Offer(caller, moved));
    let offer = offered(&world.callee_events).expect("a new offer");
    assert!(offer.contains("a=sendrecv\r\n"), "{offer}");
}

#[test]
fn hanging_up_while_an_offer_is_under_way_leaves_nothing() {
    let mut world = World::new();
    let (caller, callee) = world.talk();
    world.caller_does(SipInput::Offer(caller, held(CALLER_MEDIA)));
    world.callee_does(SipInput::HangUp(callee, Some(16)));
    assert_eq!(world.only_record().situation.as_deref(), Some("hung_up"));
    assert!(world.is_clean());
}

#[test]
fn both_sides_may_offer_at_once() {
    let mut world = World::new();
    let (caller, callee) = world.talk();
    let now = Time::from_millis(world.now_ms);
    world
        .caller
        .handle_input(SipInput::Offer(caller, held(CALLER_MEDIA)), now);
    world.callee_does(SipInput::Offer(callee, held(CALLEE_MEDIA)));
    // Whoever is put off tries again within seconds, and both are through in the end.
    for _ in 0..40 {
        world.pass(500);
        if offered(&world.callee_events).is_some() {
            let answer = sdp_at(CALLEE_MEDIA, "8 101");
            world.callee_does(SipInput::AcceptOffer(callee, answer));
        }
        if offered(&world.caller_events).is_some() {
            let answer = sdp_at(CALLER_MEDIA, "8 101");
            world.caller_does(SipInput::AcceptOffer(caller, answer));
        }
    }
    assert!(accepted(&world.caller_events).is_some());
    assert!(accepted(&world.callee_events).is_some());
    assert!(world.switch.calls() == 1, "the call goes on");
    world.caller_does(SipInput::HangUp(caller, None));
    assert!(world.is_clean());
}

#[test]
fn a_key_by_info_becomes_an_event_or_an_info() {
    let info = |digit: &str| {
        let body = format!("Signal={digit}\r\nDuration=100\r\n").into_bytes();
        (b"application/dtmf-relay".to_vec(), body)
    };
    let mut world = World::new();
    let (caller, _) = world.talk();
    let (kind, body) = info("5");
    world.caller_does(SipInput::Info(caller, kind, body));
    assert_eq!(world.digits, [(Side::Callee, '5')]);
    let mut world = World::new();
    let caller = world.dial(sdp_at(CALLER_MEDIA, "8"), 70);
    let callee = world.callee_leg();
    world.callee_does(SipInput::Answer(callee, sdp_at(CALLEE_MEDIA, "8")));
    let (kind, body) = info("#");
    world.caller_does(SipInput::Info(caller, kind, body));
    assert!(world.digits.is_empty());
    let Some(Event::Info { body, .. }) = world.callee_events.last() else {
        panic!("the callee gets an INFO")
    };
    assert!(holds(body, "Signal=#"));
    world.tell(Input::Digit(CallKey::from(1), Side::Callee, '9'));
    let Some(Event::Info { body, .. }) = world.caller_events.last() else {
        panic!("the caller gets an INFO")
    };
    assert!(holds(body, "Signal=9"));
}

#[test]
fn wide_band_sound_is_carried_with_its_keys() {
    // The clock of its keys is 16 kHz alone, in which we write none: those by INFO stay INFO.
    let wide = |media: &str| {
        let text = String::from_utf8(sdp_at(media, "104 101")).expect("ASCII");
        let text = text.replace("telephone-event/8000", "telephone-event/16000");
        (text + "a=rtpmap:104 AMR-WB/16000\r\n").into_bytes()
    };
    let mut world = World::new();
    let caller = world.dial(wide(CALLER_MEDIA), 70);
    let Some(Event::Incoming { invite, .. }) = world.callee_events.first() else {
        panic!("called")
    };
    let sdp = String::from_utf8_lossy(invite.body());
    assert!(sdp.contains("RTP/AVP 104 101\r\n"), "{sdp}");
    assert!(
        sdp.contains("a=rtpmap:101 telephone-event/16000\r\n"),
        "{sdp}"
    );
    let callee = world.callee_leg();
    world.callee_does(SipInput::Answer(callee, wide(CALLEE_MEDIA)));
    let path = world.paths.last().expect("a relay");
    let payloads = Payloads {
        codec: 104,
        events: Some(101),
    };
    for end in [&path.caller, &path.callee].into_iter().flatten() {
        assert_eq!((end.payloads, end.law), (payloads, None));
    }
    let body = b"Signal=5\r\nDuration=100\r\n".to_vec();
    world.caller_does(SipInput::Info(
        caller,
        b"application/dtmf-relay".to_vec(),
        body,
    ));
    assert!(world.digits.is_empty());
    let Some(Event::Info { body, .. }) = world.callee_events.last() else {
        panic!("the callee gets an INFO")
    };
    assert!(holds(body, "Signal=5"));
}

#[test]
fn a_call_without_g711_is_relayed_unspoken_to_and_unrecorded_or_refused() {
    let mut world = World::new();
    let Some(Route::Connect(connection)) = &mut world.answers.route else {
        panic!("it connects")
    };
    connection.binding.record = true;
    world.dial(sdp_at(CALLER_MEDIA, "18"), 70);
    let callee = world.callee_leg();
    world.callee_does(SipInput::Answer(callee, sdp_at(CALLEE_MEDIA, "18")));
    let path = world.paths.last().cloned().expect("it is relayed");
    assert_eq!(path.caller.as_ref().and_then(|end| end.law), None);
    assert!(world.files.is_empty() && world.played.is_empty());
    world.callee_does(SipInput::HangUp(callee, None));
    let record = world.only_record();
    assert_eq!(record.recording, None);
    let ladder = record.ladder.as_deref().unwrap_or_default();
    assert!(ladder.contains("without prompts or recording"), "{ladder}");
    let mut world = World::new();
    let mut incoming = trunk("in", CALLER, true);
    incoming.definition.without_g711 = WithoutG711::Refuse;
    world.tell(Input::Trunks(vec![incoming]));
    world.dial(sdp_at(CALLER_MEDIA, "18"), 70);
    assert_eq!(world.caller_end(), (488, Some(65)));
}

#[test]
fn who_takes_an_offer_with_an_answer_that_does_not_fit_hears_what_holds() {
    let unfit = |version| sdp_again(version, CALLEE_MEDIA, "9 101", "recvonly");
    for answers in [[unfit(2), unfit(3)], [Vec::new(), Vec::new()]] {
        let mut world = World::new();
        let (caller, callee) = world.talk();
        world.caller_does(SipInput::Offer(caller, held(CALLER_MEDIA)));
        world.callee_events.clear();
        let [first, second] = answers;
        world.callee_does(SipInput::AcceptOffer(callee, first));
        assert_eq!(refused(&world.caller_events), Some(488));
        let offer = offered(&world.callee_events).expect("it believes that it is held");
        assert!(
            offer.contains("RTP/AVP 8 101\r\n") && offer.contains("a=sendrecv\r\n"),
            "{offer}"
        );
        // Once is enough, whatever it says to that.
        world.callee_events.clear();
        world.callee_does(SipInput::AcceptOffer(callee, second));
        assert_eq!(offered(&world.callee_events), None);
        assert_eq!(world.paths.len(), 1, "what was agreed stays");
        world.caller_does(SipInput::HangUp(caller, None));
        assert!(world.is_clean());
    }
}
