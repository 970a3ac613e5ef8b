//! Offers before the answer, by UPDATE (RFC 3311) and in a PRACK (RFC 3262 section 5), and answers that say
//! something else than was said early. Whatever comes first: after the answer both sides hear each other.

use super::world::{accepted, offered, refused, sdp_again};
use super::*;

const SERVER_MEDIA: &str = "203.0.113.20:9000";
const MOVED_MEDIA: &str = "198.51.100.8:7100";

/// A call of which the callee's side has said, before the answer, where `media` is, by these formats.
fn early(without: Option<&'static str>, media: &str, formats: &str) -> (World, LegId, LegId) {
    let mut world = World::new();
    world.without_100rel = without;
    let caller = world.dial(sdp_at(CALLER_MEDIA, "8 0 101"), 70);
    let callee = world.callee_leg();
    let said = Some(sdp_at(media, formats));
    world.callee_does(SipInput::Progress(callee, 183, said));
    (world, caller, callee)
}

/// The callee's side offers something new before the answer.
fn renew(world: &mut World, callee: LegId, version: u8, media: &str, formats: &str) {
    let offer = sdp_again(version, media, formats, "sendrecv");
    world.callee_does(SipInput::Offer(callee, offer));
}

fn count(events: &[Event], is_it: fn(&Event) -> bool) -> usize {
    events.iter().filter(|event| is_it(event)).count()
}

fn is_offered(event: &Event) -> bool {
    matches!(event, Event::Offered { .. })
}

/// Both sides hear each other, at these addresses and by this form of sound, and nobody is held.
fn assert_hears(world: &World, caller: &str, callee: &str, law: Law) {
    let path = world.paths.last().cloned().expect("there is a path");
    let ends = [path.caller.as_ref(), path.callee.as_ref()]
        .map(|end| end.map(|end| (end.address, end.law)));
    let end = |media| Some((address(media), Some(law)));
    assert_eq!(ends, [end(caller), end(callee)]);
    assert!(!path.is_held());
}

/// The callee answers, the call stands, both hear each other; then it ends, and nothing is left.
fn assert_stands(mut world: World, leg: LegId, caller: &str, callee: &str, law: Law) {
    world.callee_does(SipInput::Answer(leg, sdp_at(callee, "8 101")));
    world.pass(10);
    assert_hears(&world, caller, callee, law);
    world.pass(25_000);
    assert_hears(&world, caller, callee, law);
    assert_eq!(world.switch.calls(), 1);
    world.callee_does(SipInput::HangUp(leg, None));
    assert_eq!(world.only_record().situation.as_deref(), Some("hung_up"));
    assert!(world.is_clean());
}

#[test]
fn a_ring_tone_server_hands_over_to_the_phone() {
    for without in [None, Some(CALLER)] {
        let (mut world, _, callee) = early(without, SERVER_MEDIA, "8 101");
        assert_hears(&world, CALLER_MEDIA, SERVER_MEDIA, Law::A);
        renew(&mut world, callee, 2, CALLEE_MEDIA, "0 8 101");
        let answer = accepted(&world.callee_events).expect("it is answered");
        assert!(answer.contains("RTP/AVP 8 101\r\n"), "{answer}");
        assert_hears(&world, CALLER_MEDIA, CALLEE_MEDIA, Law::A);
        assert_eq!(offered(&world.caller_events), None, "nothing is new to it");
        world.to_callee.clear();
        world.callee_does(SipInput::Answer(callee, sdp_at(CALLEE_MEDIA, "8 101")));
        world.pass(5_000);
        assert_eq!(offered(&world.caller_events), None);
        assert_eq!(count(&world.callee_events, is_offered), 0);
        assert_hears(&world, CALLER_MEDIA, CALLEE_MEDIA, Law::A);
        world.callee_does(SipInput::HangUp(callee, None));
        assert!(world.is_clean());
    }
}

#[test]
fn the_server_may_hand_over_several_times() {
    let (mut world, _, callee) = early(None, SERVER_MEDIA, "8 101");
    for (version, media) in (2..).zip(["203.0.113.21:9100", "203.0.113.22:9200", CALLEE_MEDIA]) {
        renew(&mut world, callee, version, media, "8 101");
        assert_hears(&world, CALLER_MEDIA, media, Law::A);
    }
    // The same once more is no news.
    let paths = world.paths.len();
    renew(&mut world, callee, 4, CALLEE_MEDIA, "8 101");
    assert_eq!(
        (world.paths.len(), refused(&world.callee_events)),
        (paths, None)
    );
    assert_stands(world, callee, CALLER_MEDIA, CALLEE_MEDIA, Law::A);
}

/// The caller is offered another codec, and takes it.
fn takes_mu_law(world: &mut World, caller: LegId) {
    let offer = offered(&world.caller_events).expect("the caller is asked");
    assert!(offer.contains("RTP/AVP 0 101\r\n"), "{offer}");
    let reply = sdp_again(2, CALLER_MEDIA, "0 101", "sendrecv");
    world.caller_does(SipInput::AcceptOffer(caller, reply));
}

#[test]
fn another_codec_is_offered_to_a_caller_that_can_be_asked() {
    let (mut world, caller, callee) = early(None, SERVER_MEDIA, "8 101");
    renew(&mut world, callee, 2, CALLEE_MEDIA, "0 101");
    assert_eq!(
        accepted(&world.callee_events),
        None,
        "it waits for the caller"
    );
    takes_mu_law(&mut world, caller);
    assert!(accepted(&world.callee_events).is_some());
    assert_hears(&world, CALLER_MEDIA, CALLEE_MEDIA, Law::Mu);
    assert_stands(world, callee, CALLER_MEDIA, CALLEE_MEDIA, Law::Mu);
}

#[test]
fn a_caller_that_does_not_take_the_other_codec_keeps_the_server() {
    let (mut world, caller, callee) = early(None, SERVER_MEDIA, "8 101");
    renew(&mut world, callee, 2, CALLEE_MEDIA, "0 101");
    world.caller_does(SipInput::RefuseOffer(caller, 488));
    assert_eq!(refused(&world.callee_events), Some(488));
    assert_hears(&world, CALLER_MEDIA, SERVER_MEDIA, Law::A);
    // And the next one is a new one.
    renew(&mut world, callee, 3, CALLEE_MEDIA, "8 101");
    assert_stands(world, callee, CALLER_MEDIA, CALLEE_MEDIA, Law::A);
}

#[test]
fn another_codec_is_taken_for_a_caller_that_cannot_be_asked_and_settled_after_the_answer() {
    let (mut world, caller, callee) = early(Some(CALLER), SERVER_MEDIA, "8 101");
    renew(&mut world, callee, 2, CALLEE_MEDIA, "0 101");
    assert!(
        accepted(&world.callee_events).is_some(),
        "the caller offered it"
    );
    world.callee_does(SipInput::Answer(callee, sdp_at(CALLEE_MEDIA, "0 101")));
    world.pass(10);
    // What it was told first is the answer to its offer; the rest is an offer of its own.
    takes_mu_law(&mut world, caller);
    assert_hears(&world, CALLER_MEDIA, CALLEE_MEDIA, Law::Mu);
    world.caller_does(SipInput::HangUp(caller, None));
    assert!(world.is_clean());
}

#[test]
fn the_answer_may_come_while_the_caller_is_still_asked() {
    for takes in [true, false] {
        let (mut world, caller, callee) = early(None, SERVER_MEDIA, "8 101");
        renew(&mut world, callee, 2, CALLEE_MEDIA, "0 101");
        world.callee_does(SipInput::Answer(callee, sdp_at(SERVER_MEDIA, "8 101")));
        assert_eq!(
            count(&world.caller_events, |it| matches!(
                it,
                Event::Answered { .. }
            )),
            1
        );
        let reply = sdp_again(2, CALLER_MEDIA, "0 101", "sendrecv");
        world.caller_does(match takes {
            true => SipInput::AcceptOffer(caller, reply),
            false => SipInput::RefuseOffer(caller, 488),
        });
        world.pass(5_000);
        match takes {
            true => assert_hears(&world, CALLER_MEDIA, CALLEE_MEDIA, Law::Mu),
            false => assert_hears(&world, CALLER_MEDIA, SERVER_MEDIA, Law::A),
        }
        assert_eq!(accepted(&world.callee_events).is_some(), takes);
        assert_eq!(count(&world.caller_events, is_offered), 1, "asked once");
        world.caller_does(SipInput::HangUp(caller, None));
        assert!(world.is_clean());
    }
}

#[test]
fn a_caller_moves_before_the_answer() {
    let (mut world, caller, callee) = early(None, CALLEE_MEDIA, "8 101");
    let offer = sdp_again(2, MOVED_MEDIA, "8 0 101", "sendrecv");
    world.caller_does(SipInput::Offer(caller, offer));
    let answer = accepted(&world.caller_events).expect("it is answered");
    assert!(
        answer.contains("m=audio 20000 RTP/AVP 8 101\r\n"),
        "{answer}"
    );
    assert_eq!(offered(&world.callee_events), None);
    assert_hears(&world, MOVED_MEDIA, CALLEE_MEDIA, Law::A);
    assert_stands(world, callee, MOVED_MEDIA, CALLEE_MEDIA, Law::A);
}

#[test]
fn a_caller_changes_its_codec_before_the_answer() {
    let (mut world, caller, callee) = early(None, CALLEE_MEDIA, "8 101");
    let offer = sdp_again(2, MOVED_MEDIA, "0 101", "sendrecv");
    world.caller_does(SipInput::Offer(caller, offer));
    let offer = offered(&world.callee_events).expect("the callee is asked");
    assert!(offer.contains("RTP/AVP 0 101\r\n"), "{offer}");
    let reply = sdp_again(2, CALLEE_MEDIA, "0 101", "sendrecv");
    world.callee_does(SipInput::AcceptOffer(callee, reply));
    assert!(accepted(&world.caller_events).is_some());
    assert_stands(world, callee, MOVED_MEDIA, CALLEE_MEDIA, Law::Mu);
}

#[test]
fn a_caller_offers_anew_in_its_prack() {
    let mut world = World::new();
    world.prack = Some(sdp_again(2, MOVED_MEDIA, "8 0 101", "sendrecv"));
    // The PRACK of ours to the callee has none.
    world.without_100rel = Some(CALLEE);
    world.dial(sdp_at(CALLER_MEDIA, "8 0 101"), 70);
    let callee = world.callee_leg();
    let said = Some(sdp_at(CALLEE_MEDIA, "8 101"));
    world.callee_does(SipInput::Progress(callee, 183, said));
    assert!(!holds(&world.to_caller, "SIP/2.0 491"));
    assert_hears(&world, MOVED_MEDIA, CALLEE_MEDIA, Law::A);
    assert_stands(world, callee, MOVED_MEDIA, CALLEE_MEDIA, Law::A);
}

#[test]
fn who_holds_before_the_answer_is_known_to_hold_after_it() {
    // Resumed before the answer there is nothing to tell.
    for resumes in [true, false] {
        let (mut world, caller, callee) = early(None, CALLEE_MEDIA, "8 101");
        let held = sdp_again(2, CALLEE_MEDIA, "8 101", "sendonly");
        world.callee_does(SipInput::Offer(callee, held));
        let answer = accepted(&world.callee_events).expect("it is answered");
        assert!(answer.contains("a=recvonly"), "{answer}");
        if resumes {
            renew(&mut world, callee, 3, CALLEE_MEDIA, "8 101");
            assert_stands(world, callee, CALLER_MEDIA, CALLEE_MEDIA, Law::A);
            continue;
        }
        world.callee_does(SipInput::Answer(callee, sdp_at(CALLEE_MEDIA, "8 101")));
        world.pass(10);
        let offer = offered(&world.caller_events).expect("the caller hears of it");
        assert!(offer.contains("a=sendonly"), "{offer}");
        let reply = sdp_again(2, CALLER_MEDIA, "8 101", "recvonly");
        world.caller_does(SipInput::AcceptOffer(caller, reply));
        world.caller_does(SipInput::HangUp(caller, None));
        assert!(world.is_clean());
    }
}

#[test]
fn who_would_hear_a_held_side_again_asks_it() {
    let (mut world, caller, callee) = early(None, CALLEE_MEDIA, "8 101");
    let held = sdp_again(2, CALLEE_MEDIA, "8 101", "sendonly");
    world.callee_does(SipInput::Offer(callee, held));
    // It moves, and would hear and be heard: whether the callee goes on holding is the callee's word.
    let offer = sdp_again(2, MOVED_MEDIA, "8 101", "sendrecv");
    world.caller_does(SipInput::Offer(caller, offer));
    let offer = offered(&world.callee_events).expect("the callee is asked");
    assert!(offer.contains("a=sendrecv"), "{offer}");
    let reply = sdp_again(3, CALLEE_MEDIA, "8 101", "sendrecv");
    world.callee_does(SipInput::AcceptOffer(callee, reply));
    let answer = accepted(&world.caller_events).expect("the caller is answered");
    assert!(answer.contains("a=sendrecv"), "{answer}");
    assert_stands(world, callee, MOVED_MEDIA, CALLEE_MEDIA, Law::A);
}

#[test]
fn what_nobody_can_use_is_refused_and_the_call_goes_on() {
    let (mut world, caller, callee) = early(None, CALLEE_MEDIA, "8 101");
    let fax = b"v=0\r\no=- 9 9 IN IP4 203.0.113.9\r\ns=-\r\nc=IN IP4 203.0.113.9\r\nt=0 0\r\nm=image 4000 udptl t38\r\n";
    world.callee_does(SipInput::Offer(callee, fax.to_vec()));
    world.caller_does(SipInput::Offer(caller, fax.to_vec()));
    assert_eq!(refused(&world.callee_events), Some(488));
    assert_eq!(refused(&world.caller_events), Some(488));
    assert_stands(world, callee, CALLER_MEDIA, CALLEE_MEDIA, Law::A);
}

#[test]
fn a_callers_update_that_crosses_the_answer_asks_the_callee_only_for_another_codec() {
    // It comes before its ACK.
    for (formats, law, is_asked) in [
        ("8 101", Law::A, false),
        ("8 0 101", Law::A, false),
        ("0 101", Law::Mu, true),
    ] {
        let (mut world, caller, callee) = early(None, CALLEE_MEDIA, "8 101");
        world.deaf = Some(CALLER);
        world.callee_does(SipInput::Answer(callee, sdp_at(CALLEE_MEDIA, "8 101")));
        world.deaf = None;
        let offer = sdp_again(2, MOVED_MEDIA, formats, "sendrecv");
        world.caller_does(SipInput::Offer(caller, offer));
        let offer = offered(&world.callee_events);
        assert_eq!(offer.is_some(), is_asked, "{formats}");
        if is_asked {
            let reply = sdp_again(2, CALLEE_MEDIA, formats, "sendrecv");
            world.callee_does(SipInput::AcceptOffer(callee, reply));
        }
        assert!(accepted(&world.caller_events).is_some(), "{formats}");
        world.pass(5_000);
        assert_hears(&world, MOVED_MEDIA, CALLEE_MEDIA, law);
        world.caller_does(SipInput::HangUp(caller, None));
        assert!(world.is_clean(), "{formats}");
    }
}

/// The callee's side hands over and answers at once; the two arrive in this order.
fn cross(world: &mut World, callee: LegId, formats: &str, update_first: bool) {
    let now = Time::from_millis(world.now_ms);
    let offer = sdp_again(2, CALLEE_MEDIA, formats, "sendrecv");
    let answer = SipInput::Answer(callee, sdp_at(SERVER_MEDIA, "8 101"));
    let mut sent = Vec::new();
    for input in [SipInput::Offer(callee, offer), answer] {
        world.callee.handle_input(input, now);
        while let Some(output) = world.callee.poll_output() {
            if let SipOutput::Send { to, bytes } = output {
                sent.push((udp(CALLEE), to, bytes.to_vec()));
            }
        }
    }
    let [update, ok] = &sent[..] else {
        panic!("an UPDATE and a 200, not {}", sent.len())
    };
    assert!(update.2.starts_with(b"UPDATE ") && ok.2.starts_with(b"SIP/2.0 200"));
    sent.sort_by_key(|(_, _, bytes)| bytes.starts_with(b"UPDATE ") != update_first);
    for message in sent {
        world.queue.push_back(message);
        world.settle();
    }
}

#[test]
fn a_callees_update_that_crosses_its_answer_asks_the_caller_nothing_while_the_codec_stays() {
    for without in [None, Some(CALLER)] {
        for update_first in [true, false] {
            // Whether the caller has acknowledged the answer when the UPDATE comes.
            for hears_it in [true, false] {
                let why = format!("{without:?} {update_first} {hears_it}");
                let (mut world, _, callee) = early(without, SERVER_MEDIA, "8 101");
                world.ok = Some(Vec::new());
                world.deaf = (!hears_it).then_some(CALLER);
                cross(&mut world, callee, "0 8 101", update_first);
                world.deaf = None;
                let answer = accepted(&world.callee_events).expect("it is answered");
                assert!(answer.contains("RTP/AVP 8 101\r\n"), "{why} {answer}");
                world.pass(5_000);
                assert_eq!(offered(&world.caller_events), None, "{why}");
                assert_eq!(count(&world.callee_events, is_offered), 0, "{why}");
                assert_hears(&world, CALLER_MEDIA, CALLEE_MEDIA, Law::A);
                world.callee_does(SipInput::HangUp(callee, None));
                assert!(world.is_clean(), "{why}");
            }
        }
    }
}

#[test]
fn a_callees_update_that_crosses_its_answer_with_another_codec_is_carried_to_the_caller() {
    for without in [None, Some(CALLER)] {
        for update_first in [true, false] {
            for takes in [true, false] {
                let why = format!("{without:?} {update_first} {takes}");
                let (mut world, caller, callee) = early(without, SERVER_MEDIA, "8 101");
                world.ok = Some(Vec::new());
                cross(&mut world, callee, "0 101", update_first);
                world.pass(10);
                let offer = offered(&world.caller_events).expect("the caller is asked");
                assert!(offer.contains("RTP/AVP 0 101\r\n"), "{why} {offer}");
                let reply = sdp_again(2, CALLER_MEDIA, "0 101", "sendrecv");
                world.caller_does(match takes {
                    true => SipInput::AcceptOffer(caller, reply),
                    false => SipInput::RefuseOffer(caller, 488),
                });
                world.pass(5_000);
                assert_eq!(count(&world.caller_events, is_offered), 1, "{why}");
                // An UPDATE that was taken at once leaves no way back.
                let was_taken_at_once = without.is_some() && update_first;
                match (takes, was_taken_at_once) {
                    (true, _) => {
                        assert!(accepted(&world.callee_events).is_some(), "{why}");
                        assert_hears(&world, CALLER_MEDIA, CALLEE_MEDIA, Law::Mu);
                    }
                    (false, false) => {
                        assert_eq!(refused(&world.callee_events), Some(488), "{why}");
                        assert_hears(&world, CALLER_MEDIA, SERVER_MEDIA, Law::A);
                    }
                    (false, true) => {
                        let record = world.only_record();
                        let ended = record.situation.as_deref();
                        assert_eq!(ended, Some("no_common_codec"), "{why}");
                    }
                }
                world.caller_does(SipInput::HangUp(caller, None));
                assert!(world.is_clean(), "{why}");
            }
        }
    }
}

#[test]
fn an_update_after_the_answer_asks_the_other_side_what_it_does_not_know() {
    // Who changes what, and whether the other side is asked.
    let rows = [
        ("8 101", "sendrecv", false),
        ("0 8 101", "sendrecv", false),
        ("8", "sendrecv", true),
        ("8 13 101", "sendrecv", true),
        ("0 101", "sendrecv", true),
        ("8 101", "sendonly", true),
        ("8 101", "inactive", true),
        ("8 101", "recvonly", true),
    ];
    for (formats, direction, is_asked) in rows {
        let why = format!("{formats} {direction}");
        let (mut world, _, callee) = early(None, SERVER_MEDIA, "8 101");
        let now = Time::from_millis(world.now_ms);
        let offer = sdp_again(2, CALLEE_MEDIA, formats, direction);
        world
            .callee
            .handle_input(SipInput::Offer(callee, offer), now);
        let Some(SipOutput::Send { to, bytes }) = world.callee.poll_output() else {
            panic!("an UPDATE")
        };
        world.ok = Some(Vec::new());
        world.callee_does(SipInput::Answer(callee, sdp_at(SERVER_MEDIA, "8 101")));
        world.queue.push_back((udp(CALLEE), to, bytes.to_vec()));
        world.settle();
        world.pass(10);
        assert_eq!(offered(&world.caller_events).is_some(), is_asked, "{why}");
        assert_eq!(accepted(&world.callee_events).is_none(), is_asked, "{why}");
    }
}

#[test]
fn a_caller_without_an_offer_hears_the_phone_too() {
    let mut world = World::new();
    let caller = world.dial(Vec::new(), 70);
    let callee = world.callee_leg();
    world.ack = Some(sdp_at(CALLER_MEDIA, "8 101"));
    world.prack = Some(sdp_at(CALLER_MEDIA, "8 101"));
    let said = Some(sdp_at(SERVER_MEDIA, "8 101"));
    // The PRACK of the callee's phone is the switch's.
    world.callee_does(SipInput::Progress(callee, 183, said));
    renew(&mut world, callee, 2, CALLEE_MEDIA, "0 8 101");
    assert!(accepted(&world.callee_events).is_some());
    world.callee_does(SipInput::Answer(callee, sdp_at(CALLEE_MEDIA, "8 101")));
    world.pass(10);
    assert_hears(&world, CALLER_MEDIA, CALLEE_MEDIA, Law::A);
    world.caller_does(SipInput::HangUp(caller, None));
    assert!(world.is_clean());
}

#[test]
fn a_caller_moves_while_it_hears_a_tone_or_a_prompt() {
    let mut world = World::new();
    world.answers.tone = ToneCode::parse("100000001");
    let caller = world.dial(sdp_at(CALLER_MEDIA, "0 8 101"), 70);
    let callee = world.callee_leg();
    world.callee_does(SipInput::Progress(callee, 180, None));
    let offer = sdp_again(2, MOVED_MEDIA, "8 0 101", "sendrecv");
    world.caller_does(SipInput::Offer(caller, offer));
    let answer = accepted(&world.caller_events).expect("it is answered");
    assert!(answer.contains("RTP/AVP 0 101\r\n"), "{answer}");
    let path = world.paths.last().cloned().expect("a path");
    let heard = path.caller.map(|end| (end.address, end.law));
    assert_eq!(heard, Some((address(MOVED_MEDIA), Some(Law::Mu))));
    world.callee_does(SipInput::Answer(callee, sdp_at(CALLEE_MEDIA, "0 101")));
    world.pass(5_000);
    assert_hears(&world, MOVED_MEDIA, CALLEE_MEDIA, Law::Mu);
    assert_eq!(offered(&world.caller_events), None);
    world.callee_does(SipInput::HangUp(callee, None));
    assert!(world.is_clean());

    let mut world = World::new();
    world.answers.plays = false;
    let caller = world.call();
    let callee = world.callee_leg();
    let refusal = Refusal {
        status: 486,
        cause: None,
    };
    world.callee_does(SipInput::Refuse(callee, refusal));
    let offer = sdp_again(2, MOVED_MEDIA, "18 8 0 101", "sendrecv");
    world.caller_does(SipInput::Offer(caller, offer));
    assert!(accepted(&world.caller_events).is_some());
    let path = world.paths.last().cloned().expect("a path");
    assert_eq!(
        path.caller.map(|end| end.address),
        Some(address(MOVED_MEDIA))
    );
    world.pass(31_000);
    assert_eq!(world.caller_end(), (486, Some(17)));
    assert!(world.is_clean());
}

#[test]
fn a_phone_takes_over_from_a_server_that_said_nothing_of_use() {
    let mut world = World::new();
    world.answers.tone = ToneCode::parse("100000001");
    world.dial(sdp_at(CALLER_MEDIA, "0 8 101"), 70);
    let callee = world.callee_leg();
    world.callee_does(SipInput::Progress(callee, 180, None));
    // The callee was offered the codec of the tone alone.
    let said = Some(sdp_at(SERVER_MEDIA, "8 101"));
    world.callee_does(SipInput::Progress(callee, 183, said));
    renew(&mut world, callee, 2, CALLEE_MEDIA, "8 0 101");
    let answer = accepted(&world.callee_events).expect("it is answered");
    assert!(answer.contains("RTP/AVP 0 101\r\n"), "{answer}");
    assert_stands(world, callee, CALLER_MEDIA, CALLEE_MEDIA, Law::Mu);
}

#[test]
fn a_refused_callee_leaves_no_offer_of_the_caller_unanswered() {
    let (mut world, caller, callee) = early(None, CALLEE_MEDIA, "8 101");
    let offer = sdp_again(2, MOVED_MEDIA, "0 101", "sendrecv");
    world.caller_does(SipInput::Offer(caller, offer));
    let refusal = Refusal {
        status: 486,
        cause: None,
    };
    world.callee_does(SipInput::Refuse(callee, refusal));
    assert_eq!(refused(&world.caller_events), Some(500));
    assert!(world.is_clean());
}

#[test]
fn an_answer_with_another_codec_than_the_early_one_is_offered_to_the_caller() {
    // With 100rel the caller's early answer is known to have arrived; without, it is the answer all the same
    // (RFC 3261 section 13.2.1).
    for reliable in [true, false] {
        let (mut world, caller, callee) = match reliable {
            true => early(Some(CALLEE), SERVER_MEDIA, "8 101"),
            false => {
                let mut world = World::new();
                world.without_100rel = Some(CALLEE);
                world.caller_lacks_100rel = true;
                let caller = world.dial(sdp_at(CALLER_MEDIA, "8 0 101"), 70);
                let callee = world.callee_leg();
                let said = Some(sdp_at(SERVER_MEDIA, "8 101"));
                world.callee_does(SipInput::Progress(callee, 183, said));
                (world, caller, callee)
            }
        };
        world.ok = Some(sdp_at(CALLEE_MEDIA, "0 101"));
        world.callee_does(SipInput::Answer(callee, sdp_at(SERVER_MEDIA, "8 101")));
        world.pass(10);
        let answers = world.caller_events.iter().filter_map(|event| match event {
            Event::Progress { sdp, .. } | Event::Answered { sdp, .. } => sdp.as_deref(),
            _ => None,
        });
        let answers: Vec<&[u8]> = answers.collect();
        assert_eq!(answers.len(), 2);
        assert_eq!(answers[0], answers[1], "{reliable}");
        takes_mu_law(&mut world, caller);
        assert_hears(&world, CALLER_MEDIA, CALLEE_MEDIA, Law::Mu);
        world.caller_does(SipInput::HangUp(caller, None));
        assert!(world.is_clean());
    }
}

#[test]
fn a_call_whose_sides_end_with_two_codecs_is_ended() {
    let (mut world, caller, callee) = early(Some(CALLEE), SERVER_MEDIA, "8 101");
    world.ok = Some(sdp_at(CALLEE_MEDIA, "0 101"));
    world.callee_does(SipInput::Answer(callee, sdp_at(SERVER_MEDIA, "8 101")));
    world.pass(10);
    assert!(offered(&world.caller_events).is_some());
    world.caller_does(SipInput::RefuseOffer(caller, 488));
    world.pass(10);
    assert_eq!(world.switch.calls(), 0, "nobody would hear anything");
    assert_eq!(
        world.only_record().situation.as_deref(),
        Some("no_common_codec")
    );
    assert!(world.is_clean());
}

#[test]
fn a_change_that_comes_while_another_is_under_way_is_told_afterwards() {
    let mut world = World::new();
    let (caller, callee) = world.talk();
    let offer = sdp_again(2, CALLER_MEDIA, "8 101", "sendonly");
    world.caller_does(SipInput::Offer(caller, offer));
    let moment = world.moment();
    let changed = CallInput::MediaChanged(Side::Caller);
    world.switch.give_to_call(CallKey::from(1), changed, moment);
    world.to_callee.clear();
    let reply = sdp_again(2, CALLEE_MEDIA, "8 101", "recvonly");
    world.callee_does(SipInput::AcceptOffer(callee, reply));
    assert!(holds(&world.to_callee, "INVITE sip:"), "then it is told");
    world.caller_does(SipInput::HangUp(caller, None));
    assert!(world.is_clean());
}
