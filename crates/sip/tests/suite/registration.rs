//! What the endpoint does about peers by itself: registering and probing.

use maskline_fixtures::sip::{PEER, Wire, header, kind, response, udp};
use maskline_sip::endpoint::{Input, Peer, PeerId, Registration};
use maskline_sip::message::{Message, Name};

fn registrant() -> Peer {
    Peer {
        registration: Some(Registration {
            address_of_record: "sip:057100000000@carrier.example".into(),
            registrar: None,
            contact_user: "057100000000".into(),
            expires_s: 600,
        }),
        ..Peer::new(PeerId(1), udp(PEER))
    }
}

fn probed(every_s: u16) -> Peer {
    Peer {
        probe_every_s: Some(every_s),
        ..Peer::new(PeerId(1), udp(PEER))
    }
}

fn kinds(sent: &[(u64, Message)]) -> Vec<(u64, String)> {
    sent.iter()
        .map(|(time, message)| (*time / 1_000, kind(message)))
        .collect()
}

fn register(at_s: u64) -> (u64, String) {
    (at_s, "REGISTER".to_owned())
}

#[test]
fn a_registration_is_made_and_refreshed_before_it_ends() {
    let mut wire = Wire::with_peers(vec![registrant()]);
    let sent = wire.pass_timed(0);
    assert_eq!(kinds(&sent), [register(0)]);
    let first = &sent[0].1;
    assert_eq!(first.request_uri(), b"sip:carrier.example");
    assert!(header(first, Name::To).contains("sip:057100000000@carrier.example"));
    assert_eq!(
        header(first, Name::Contact),
        "<sip:057100000000@127.0.0.1:5060>;expires=600"
    );
    // The registrar grants less, to us, and more to another.
    let contacts = "Contact: <sip:057100000000@192.0.2.9:5060>;expires=3600, \
        <sip:057100000000@127.0.0.1:5060>;expires=300\r\nExpires: 3600\r\n";
    wire.say(response(first, "200 OK", "b", contacts));
    assert_eq!(wire.heard(), ["reachable", "registered 200"]);
    let sent = wire.pass_timed(250_000);
    assert_eq!(kinds(&sent)[0], register(240), "four fifths of 300 s");
    let second = &sent[0].1;
    assert_eq!(header(second, Name::CallId), header(first, Name::CallId));
    assert_eq!(header(second, Name::CSeq), "2 REGISTER");
    wire.say(response(second, "200 OK", "b", "Expires: 100\r\n"));
    assert!(wire.heard().is_empty(), "nothing has changed");
    // Late repeats of the second are over; the next is due.
    assert_eq!(kinds(&wire.pass_timed(80_400)), [register(330)]);
    assert!(
        wire.endpoint.is_idle(),
        "a registration keeps nobody waiting"
    );
}

#[test]
fn too_brief_a_registration_is_asked_for_again_at_once() {
    let mut wire = Wire::with_peers(vec![registrant()]);
    let first = wire.pass(0).remove(0);
    wire.say(response(
        &first,
        "423 Interval Too Brief",
        "b",
        "Min-Expires: 1800\r\n",
    ));
    let second = wire.pass(0).remove(0);
    assert!(header(&second, Name::Contact).ends_with("expires=1800"));
    // A registrar that contradicts itself is a failure like any other.
    wire.say(response(
        &second,
        "423 Interval Too Brief",
        "b",
        "Min-Expires: 1800\r\n",
    ));
    assert_eq!(wire.pass(10_000).len(), 0);
    assert_eq!(wire.heard(), ["unreachable", "registered 423"]);
}

#[test]
fn after_failures_the_waits_grow_and_stay_bounded() {
    let mut wire = Wire::with_peers(vec![registrant()]);
    let mut last = 0;
    let mut waits = Vec::new();
    for round in 0..10 {
        let (time, message) = wire.wait();
        waits.push(time - last);
        last = time;
        let rest = if round == 9 {
            "Retry-After: 3000\r\n"
        } else {
            ""
        };
        wire.say(response(&message, "403 Forbidden", "b", rest));
    }
    assert_eq!(wire.heard(), ["unreachable", "registered 403"]);
    for (at, wait) in waits.iter().enumerate().skip(1) {
        let most = (30_000u64 << (at - 1)).min(1_800_000);
        assert!((most / 2..=most).contains(wait), "wait {at} is {wait} ms");
    }
    assert_eq!(wire.wait().0 - last, 3_000_000, "Retry-After is heeded");
}

#[test]
fn a_registrar_that_is_silent_makes_its_peer_unreachable() {
    let mut wire = Wire::with_peers(vec![registrant()]);
    wire.pass(33_000);
    assert_eq!(wire.heard(), ["unreachable", "registered 408"]);
    wire.give(Input::Unreachable(udp(PEER)));
    assert!(wire.heard().is_empty(), "nothing is under way");
}

#[test]
fn a_peer_that_goes_gives_its_registration_up() {
    let mut wire = Wire::with_peers(vec![registrant()]);
    let first = wire.pass(0).remove(0);
    wire.say(response(&first, "200 OK", "b", ""));
    // The same peers again change nothing.
    wire.endpoint.set_peers(vec![registrant()]);
    assert_eq!(wire.pass(10_000).len(), 0);
    wire.endpoint.set_peers(Vec::new());
    let sent = wire.pass_timed(0);
    assert_eq!(kinds(&sent), [register(10)]);
    let last = &sent[0].1;
    assert_eq!(header(last, Name::CallId), header(&first, Name::CallId));
    assert!(header(last, Name::Contact).ends_with("expires=0"));
    wire.say(response(last, "200 OK", "b", ""));
    assert_eq!(wire.pass(1_000_000).len(), 0);
    assert!(wire.endpoint.is_idle());
}

#[test]
fn probes_say_when_a_peer_comes_and_goes() {
    let mut wire = Wire::with_peers(vec![probed(20)]);
    let first = wire.pass(0).remove(0);
    assert_eq!(
        (kind(&first), first.request_uri()),
        ("OPTIONS".into(), b"sip:127.0.0.1:5070".as_slice())
    );
    wire.say(response(&first, "200 OK", "b", ""));
    assert_eq!(wire.heard(), ["reachable"]);
    let second = wire.pass(20_000).pop().expect("one every 20 s");
    assert_eq!(header(&second, Name::CSeq), "2 OPTIONS");
    wire.say(response(&second, "404 Not Found", "b", ""));
    assert!(wire.heard().is_empty(), "whoever refuses is there");
    let third = wire.pass(20_000).pop().expect("one every 20 s");
    wire.say(response(&third, "503 Service Unavailable", "b", ""));
    assert_eq!(wire.heard(), ["unreachable"]);
    let fourth = wire.pass(20_000).pop().expect("one every 20 s");
    wire.say(response(&fourth, "200 OK", "b", ""));
    assert_eq!(wire.heard(), ["reachable"]);
    // Then it is silent: known when the next probe is due.
    wire.pass(39_000);
    assert!(wire.heard().is_empty());
    wire.pass(1_000);
    assert_eq!(wire.heard(), ["unreachable"]);
    assert!(wire.endpoint.is_idle() && wire.endpoint.transactions() < 3);
    wire.endpoint.set_peers(Vec::new());
    wire.pass(100_000);
    assert_eq!(wire.endpoint.poll_timeout(), None);
    assert_eq!(wire.endpoint.transactions(), 0);
}

#[test]
fn a_test_asks_once_and_tells_what_came_back() {
    let mut wire = Wire::with_peers(vec![Peer::new(PeerId(1), udp(PEER))]);
    assert!(wire.pass(0).is_empty(), "a peer that is never asked");
    assert!(!wire.endpoint.test(PeerId(9)), "nobody");
    for (line, status) in [("200 OK", 200), ("404 Not Found", 404), ("503 Full", 503)] {
        assert!(wire.endpoint.test(PeerId(1)));
        assert!(!wire.endpoint.test(PeerId(1)), "one at a time");
        let asked = wire.pass(0).remove(0);
        assert_eq!(kind(&asked), "OPTIONS");
        assert_eq!(wire.endpoint.tested(PeerId(1)), None);
        wire.say(response(&asked, line, "b", ""));
        let told = wire.endpoint.tested(PeerId(1)).expect("an answer");
        assert_eq!((told.at, told.status), (udp(PEER), Some(status)));
        assert_eq!(wire.endpoint.tested(PeerId(1)), None, "told once");
        assert!(wire.heard().is_empty(), "it is no probe");
    }
    // Silence ends with the transaction (timer F, RFC 3261 section 17.1.2.2).
    assert!(wire.endpoint.test(PeerId(1)));
    wire.pass(40_000);
    let told = wire.endpoint.tested(PeerId(1)).expect("an end");
    assert_eq!(told.status, None);
    assert!(wire.endpoint.test(PeerId(1)));
    wire.pass(0);
    wire.give(Input::Unreachable(udp(PEER)));
    assert_eq!(
        wire.endpoint.tested(PeerId(1)).expect("an end").status,
        None
    );
    // Nobody is tested who is gone.
    assert!(wire.endpoint.test(PeerId(1)));
    wire.pass(0);
    wire.endpoint.set_peers(Vec::new());
    wire.pass(100_000);
    assert_eq!(wire.endpoint.tested(PeerId(1)), None);
    assert_eq!(wire.endpoint.transactions(), 0);
}

#[test]
fn a_connection_that_cannot_be_made_is_told_at_once() {
    let mut wire = Wire::with_peers(vec![probed(60)]);
    wire.pass(0);
    wire.give(Input::Unreachable(udp(PEER)));
    assert_eq!(wire.heard(), ["unreachable"]);
    assert_eq!(wire.endpoint.transactions(), 0);
}

#[test]
fn what_was_heard_of_a_peer_does_not_hold_at_another_place() {
    let mut wire = Wire::with_peers(vec![probed(60)]);
    wire.pass(0);
    wire.give(Input::Unreachable(udp(PEER)));
    assert_eq!(wire.heard(), ["unreachable"]);
    let other = udp("127.0.0.2:5070");
    let moved = Peer {
        hop: other,
        ..probed(60)
    };
    wire.endpoint.set_peers(vec![moved]);
    wire.pass(0);
    wire.give(Input::Unreachable(other));
    assert_eq!(wire.heard(), ["unreachable"], "told of the new place too");
}

#[test]
fn a_registration_is_given_up_as_it_was_made() {
    let told = |address: &str| Peer {
        advertised: address.parse().ok(),
        ..registrant()
    };
    let mut wire = Wire::with_peers(vec![told("192.0.2.1:5099")]);
    let first = wire.pass(0).remove(0);
    let contact = "<sip:057100000000@192.0.2.1:5099>";
    assert!(header(&first, Name::Contact).starts_with(contact));
    assert!(header(&first, Name::Via).contains("192.0.2.1:5099"));
    wire.say(response(&first, "200 OK", "b", ""));
    wire.endpoint.set_peers(vec![told("192.0.2.2:5099")]);
    let both = wire.pass(0);
    let contacts: Vec<&str> = both.iter().map(|it| header(it, Name::Contact)).collect();
    assert_eq!(
        contacts,
        [
            "<sip:057100000000@192.0.2.1:5099>;expires=0",
            "<sip:057100000000@192.0.2.2:5099>;expires=600"
        ]
    );
}

#[test]
fn the_state_of_a_registration_tells_its_end_and_its_last_error() {
    let mut wire = Wire::with_peers(vec![registrant()]);
    let id = PeerId(1);
    let state = |wire: &Wire| {
        let state = wire.endpoint.registration(id).expect("it is to be made");
        let until_s = state.until.map(|until| until.as_millis() / 1_000);
        (until_s, state.failed, state.is_refused)
    };
    assert_eq!(wire.endpoint.registration(PeerId(2)), None);
    let first = wire.pass(0).remove(0);
    assert_eq!(state(&wire), (None, None, false), "nobody has answered yet");
    wire.say(response(&first, "200 OK", "b", "Expires: 300\r\n"));
    assert_eq!(state(&wire), (Some(300), None, false));
    // Refreshed at 240 s, which nobody answers: it holds until its end.
    wire.pass(273_000);
    assert_eq!(state(&wire), (Some(300), Some(408), false));
    assert_eq!(
        wire.heard(),
        [
            "reachable",
            "registered 200",
            "unreachable",
            "registered 408"
        ]
    );
    // The next attempt, after its end, is silent too.
    wire.pass(100_000);
    assert_eq!(state(&wire), (None, Some(408), false));
    let next = wire.wait().1;
    wire.say(response(&next, "403 Forbidden", "b", ""));
    assert_eq!(state(&wire), (None, Some(403), true));
    let next = wire.wait().1;
    wire.say(response(&next, "200 OK", "b", ""));
    assert_eq!(state(&wire).1, None);
}

#[test]
fn a_peer_that_refuses_our_registration_is_not_reachable_though_it_answers_options() {
    let peer = Peer {
        probe_every_s: Some(20),
        ..registrant()
    };
    let mut wire = Wire::with_peers(vec![peer]);
    let sent = wire.pass_timed(0);
    let (register, options) = match kind(&sent[0].1).as_str() {
        "REGISTER" => (&sent[0].1, &sent[1].1),
        _ => (&sent[1].1, &sent[0].1),
    };
    wire.say(response(options, "200 OK", "b", ""));
    assert_eq!(wire.heard(), ["reachable"]);
    wire.say(response(register, "403 Forbidden", "b", ""));
    assert_eq!(wire.heard(), ["unreachable", "registered 403"]);
}

#[test]
fn of_several_places_the_next_is_asked_where_one_does_not_answer() {
    let (second, third) = (udp("127.0.0.2:5070"), udp("127.0.0.3:5070"));
    let peer = Peer {
        fallbacks: vec![second, third],
        host: Some("carrier.example".into()),
        ..probed(20)
    };
    let mut wire = Wire::with_peers(vec![peer.clone()]);
    let first = wire.pass_to(0);
    assert_eq!(first[0].0, udp(PEER));
    assert_eq!(first[0].1.request_uri(), b"sip:carrier.example");
    wire.give(Input::Unreachable(udp(PEER)));
    let next = wire.pass_to(0);
    assert_eq!(next[0].0, second);
    assert!(wire.heard().is_empty(), "nothing is known yet");
    wire.hear(second, response(&next[0].1, "200 OK", "b", ""));
    assert_eq!(wire.heard(), ["reachable"]);
    // It stays where it was answered.
    let next = wire.pass_to(20_000);
    assert_eq!(next[0].0, second);
    wire.give(Input::Unreachable(second));
    let next = wire.pass_to(0);
    assert_eq!(next[0].0, third);
    wire.give(Input::Unreachable(third));
    let next = wire.pass_to(0);
    assert_eq!(next[0].0, udp(PEER));
    assert!(wire.heard().is_empty());
    wire.give(Input::Unreachable(udp(PEER)));
    assert_eq!(wire.heard(), ["unreachable"], "nobody answers anywhere");
    // Whoever moves to a subset goes on; whoever moves away begins anew.
    let rest = Peer {
        hop: third,
        fallbacks: vec![second],
        ..peer
    };
    wire.endpoint.set_peers(vec![rest]);
    let next = wire.pass_to(20_000);
    assert_eq!(next[0].0, second);
}

#[test]
fn every_place_of_a_peer_and_every_source_is_its_own() {
    let peer = Peer {
        fallbacks: vec![udp("127.0.0.2:5070")],
        sources: vec!["2001:db8::1".parse().expect("an address")],
        ..probed(20)
    };
    for (address, expected) in [
        ("127.0.0.1", true),
        ("127.0.0.2", true),
        ("2001:db8::1", true),
        ("127.0.0.3", false),
    ] {
        let address = address.parse().expect("an address");
        assert_eq!(peer.is_at(address), expected, "{address}");
    }
}

#[test]
fn the_registrar_may_be_another_than_the_domain_and_ipv6_stands_in_brackets() {
    let mut peer = registrant();
    peer.registration = peer.registration.map(|registration| Registration {
        registrar: Some("sip:[2001:db8::5]".into()),
        ..registration
    });
    let mut wire = Wire::with_peers(vec![peer]);
    let first = wire.pass(0).remove(0);
    assert_eq!(first.request_uri(), b"sip:[2001:db8::5]");
    assert!(header(&first, Name::To).contains("sip:057100000000@carrier.example"));
}
