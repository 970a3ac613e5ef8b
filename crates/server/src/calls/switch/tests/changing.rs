//! Hold and resume, offers that cross, keys by INFO, and INVITEs that leave the offer to us.

use super::*;
use maskline_domain::trunk::WithoutG711;

fn held(media: &str) -> Vec<u8> {
    let mut sdp = sdp_at(media, "8 101");
    let at = sdp
        .windows(5)
        .position(|window| window == b"1 1 I")
        .expect("an origin");
    sdp[at + 2] = b'2';
    sdp.extend_from_slice(b"a=sendonly\r\n");
    sdp
}

fn offered(events: &[Event]) -> Option<String> {
    events.iter().rev().find_map(|event| match event {
        Event::Offered { sdp: Some(sdp), .. } => Some(String::from_utf8_lossy(sdp).into_owned()),
        _ => None,
    })
}

fn accepted(events: &[Event]) -> Option<String> {
    events.iter().rev().find_map(|event| match event {
        Event::OfferAccepted { sdp, .. } => Some(String::from_utf8_lossy(sdp).into_owned()),
        _ => None,
    })
}

fn refused(events: &[Event]) -> Option<u16> {
    events.iter().rev().find_map(|event| match event {
        Event::OfferRefused { status, .. } => Some(*status),
        _ => None,
    })
}

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
    let path = world.paths.last().expect("a path");
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
    // Whoever is put off tries again within seconds; then both are through.
    for _ in 0..20 {
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
    world.tell(Input::Digit(CallKey(1), Side::Callee, '9'));
    let Some(Event::Info { body, .. }) = world.caller_events.last() else {
        panic!("the caller gets an INFO")
    };
    assert!(holds(body, "Signal=9"));
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
    let law = world.paths.last().and_then(|path| path.caller?.law);
    assert!(law.is_some(), "{:?}", world.paths);
    assert_eq!(world.files.len(), 1, "recorded once");
}

#[test]
fn media_flows_once_the_caller_has_answered_our_offer() {
    let codecs = Codecs::of(&trunk("any", CALLER, true).said);
    let mut media = Media::from_offer(b"", codecs.clone(), false, [1, 2]);
    media.lease(Lease {
        caller: address("192.0.2.1:20000"),
        callee: address("192.0.2.1:20002"),
    });
    let offer = media.offer_by(None, codecs, false, 3);
    assert!(offer.is_some(), "an offer of ours");
    assert_eq!(media.take_answer(&sdp_at(CALLEE_MEDIA, "0 101")), Ok(true));
    assert!(media.answer().is_some() && media.is_late());
    assert_eq!(media.path(), None);
    let answer = sdp_at(CALLER_MEDIA, "0 101");
    assert_eq!(media.take_late_answer(&answer), Ok(()));
    let path = media.path().expect("both have spoken");
    let codecs = [path.caller, path.callee].map(|end| end.map(|end| end.payloads.codec));
    assert_eq!(codecs, [Some(0), Some(0)]);
    assert!(!media.is_late());
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
    let path = world.paths.last().expect("it is relayed");
    assert_eq!(path.caller.and_then(|end| end.law), None);
    assert!(world.files.is_empty() && world.played.is_empty());
    world.callee_does(SipInput::HangUp(callee, None));
    let record = world.only_record();
    assert_eq!(record.recording, None);
    let ladder = record.ladder.as_deref().unwrap_or_default();
    assert!(ladder.contains("without prompts or recording"), "{ladder}");
    let mut world = World::new();
    let mut incoming = trunk("in", CALLER, true);
    incoming.said.without_g711 = WithoutG711::Refuse;
    world.tell(Input::Trunks(vec![incoming]));
    world.dial(sdp_at(CALLER_MEDIA, "18"), 70);
    assert_eq!(world.caller_end(), (488, Some(65)));
}
