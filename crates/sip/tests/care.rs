//! What the endpoint does about peers by itself: registering and probing.

mod support;

use maskline_sip::endpoint::{Input, Peer, PeerId, Registration};
use maskline_sip::message::{Message, Name};
use support::lone::{Lone, PEER, kind, response, text};
use support::udp;

fn registrant() -> Peer {
    Peer {
        registration: Some(Registration {
            address_of_record: "sip:057100000000@carrier.example".into(),
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
    let mut lone = Lone::new(vec![registrant()]);
    let sent = lone.pass(0);
    assert_eq!(kinds(&sent), [register(0)]);
    let first = &sent[0].1;
    assert_eq!(first.request_uri(), b"sip:carrier.example");
    assert!(text(first, Name::To).contains("sip:057100000000@carrier.example"));
    assert_eq!(
        text(first, Name::Contact),
        "<sip:057100000000@127.0.0.1:5060>;expires=600"
    );
    // The registrar grants less, to us, and more to another.
    let contacts = "Contact: <sip:057100000000@192.0.2.9:5060>;expires=3600, \
        <sip:057100000000@127.0.0.1:5060>;expires=300\r\nExpires: 3600\r\n";
    lone.say(&response(first, "200 OK", contacts));
    assert_eq!(lone.heard(), ["reachable", "registered 200"]);
    let sent = lone.pass(250_000);
    assert_eq!(kinds(&sent)[0], register(240), "four fifths of 300 s");
    let second = &sent[0].1;
    assert_eq!(text(second, Name::CallId), text(first, Name::CallId));
    assert_eq!(text(second, Name::CSeq), "2 REGISTER");
    lone.say(&response(second, "200 OK", "Expires: 100\r\n"));
    assert!(lone.heard().is_empty(), "nothing has changed");
    // Late repeats of the second are over; the next is due.
    assert_eq!(kinds(&lone.pass(80_400)), [register(330)]);
    assert!(
        lone.endpoint.is_idle(),
        "a registration keeps nobody waiting"
    );
}

#[test]
fn too_brief_a_registration_is_asked_for_again_at_once() {
    let mut lone = Lone::new(vec![registrant()]);
    let first = lone.pass(0).remove(0).1;
    lone.say(&response(
        &first,
        "423 Interval Too Brief",
        "Min-Expires: 1800\r\n",
    ));
    let second = lone.pass(0).remove(0).1;
    assert!(text(&second, Name::Contact).ends_with("expires=1800"));
    // A registrar that contradicts itself is a failure like any other.
    lone.say(&response(
        &second,
        "423 Interval Too Brief",
        "Min-Expires: 1800\r\n",
    ));
    assert_eq!(lone.pass(10_000).len(), 0);
    assert_eq!(lone.heard(), ["reachable", "registered 423"]);
}

#[test]
fn after_failures_the_waits_grow_and_stay_bounded() {
    let mut lone = Lone::new(vec![registrant()]);
    let mut last = 0;
    let mut waits = Vec::new();
    for round in 0..10 {
        let (time, message) = lone.wait();
        waits.push(time - last);
        last = time;
        let rest = if round == 9 {
            "Retry-After: 3000\r\n"
        } else {
            ""
        };
        lone.say(&response(&message, "403 Forbidden", rest));
    }
    assert_eq!(lone.heard(), ["reachable", "registered 403"]);
    for (at, wait) in waits.iter().enumerate().skip(1) {
        let most = (30_000u64 << (at - 1)).min(1_800_000);
        assert!((most / 2..=most).contains(wait), "wait {at} is {wait} ms");
    }
    assert_eq!(lone.wait().0 - last, 3_000_000, "Retry-After is heeded");
}

#[test]
fn a_registrar_that_is_silent_makes_its_peer_unreachable() {
    let mut lone = Lone::new(vec![registrant()]);
    lone.pass(33_000);
    assert_eq!(lone.heard(), ["unreachable", "registered 408"]);
    lone.give(Input::Unreachable(udp(PEER)));
    assert!(lone.heard().is_empty(), "nothing is under way");
}

#[test]
fn a_peer_that_goes_gives_its_registration_up() {
    let mut lone = Lone::new(vec![registrant()]);
    let first = lone.pass(0).remove(0).1;
    lone.say(&response(&first, "200 OK", ""));
    // The same peers again change nothing.
    lone.endpoint.set_peers(vec![registrant()]);
    assert_eq!(lone.pass(10_000).len(), 0);
    lone.endpoint.set_peers(Vec::new());
    let sent = lone.pass(0);
    assert_eq!(kinds(&sent), [register(10)]);
    let last = &sent[0].1;
    assert_eq!(text(last, Name::CallId), text(&first, Name::CallId));
    assert!(text(last, Name::Contact).ends_with("expires=0"));
    lone.say(&response(last, "200 OK", ""));
    assert_eq!(lone.pass(1_000_000).len(), 0);
    assert!(lone.endpoint.is_idle());
}

#[test]
fn probes_say_when_a_peer_comes_and_goes() {
    let mut lone = Lone::new(vec![probed(20)]);
    let first = lone.pass(0).remove(0).1;
    assert_eq!(
        (kind(&first), first.request_uri()),
        ("OPTIONS".into(), b"sip:127.0.0.1:5070".as_slice())
    );
    lone.say(&response(&first, "200 OK", ""));
    assert_eq!(lone.heard(), ["reachable"]);
    let second = lone.pass(20_000).pop().expect("one every 20 s").1;
    assert_eq!(text(&second, Name::CSeq), "2 OPTIONS");
    lone.say(&response(&second, "404 Not Found", ""));
    assert!(lone.heard().is_empty(), "whoever refuses is there");
    let third = lone.pass(20_000).pop().expect("one every 20 s").1;
    lone.say(&response(&third, "503 Service Unavailable", ""));
    assert_eq!(lone.heard(), ["unreachable"]);
    let fourth = lone.pass(20_000).pop().expect("one every 20 s").1;
    lone.say(&response(&fourth, "200 OK", ""));
    assert_eq!(lone.heard(), ["reachable"]);
    // Then it is silent: known when the next probe is due.
    lone.pass(39_000);
    assert!(lone.heard().is_empty());
    lone.pass(1_000);
    assert_eq!(lone.heard(), ["unreachable"]);
    assert!(lone.endpoint.is_idle() && lone.endpoint.transactions() < 3);
    lone.endpoint.set_peers(Vec::new());
    lone.pass(100_000);
    assert_eq!(lone.endpoint.poll_timeout(), None);
    assert_eq!(lone.endpoint.transactions(), 0);
}

#[test]
fn a_connection_that_cannot_be_made_is_told_at_once() {
    let mut lone = Lone::new(vec![probed(60)]);
    lone.pass(0);
    lone.give(Input::Unreachable(udp(PEER)));
    assert_eq!(lone.heard(), ["unreachable"]);
    assert_eq!(lone.endpoint.transactions(), 0);
}

#[test]
fn what_was_heard_of_a_peer_does_not_hold_at_another_place() {
    let mut lone = Lone::new(vec![probed(60)]);
    lone.pass(0);
    lone.give(Input::Unreachable(udp(PEER)));
    assert_eq!(lone.heard(), ["unreachable"]);
    let other = udp("127.0.0.2:5070");
    let moved = Peer {
        hop: other,
        ..probed(60)
    };
    lone.endpoint.set_peers(vec![moved]);
    lone.pass(0);
    lone.give(Input::Unreachable(other));
    assert_eq!(lone.heard(), ["unreachable"], "told of the new place too");
}

#[test]
fn a_registration_is_given_up_as_it_was_made() {
    let told = |address: &str| Peer {
        advertised: address.parse().ok(),
        ..registrant()
    };
    let mut lone = Lone::new(vec![told("192.0.2.1:5099")]);
    let first = lone.pass(0).remove(0).1;
    let contact = "<sip:057100000000@192.0.2.1:5099>";
    assert!(text(&first, Name::Contact).starts_with(contact));
    assert!(text(&first, Name::Via).contains("192.0.2.1:5099"));
    lone.say(&response(&first, "200 OK", ""));
    lone.endpoint.set_peers(vec![told("192.0.2.2:5099")]);
    let contacts: Vec<String> = lone
        .pass(0)
        .iter()
        .map(|(_, message)| text(message, Name::Contact))
        .collect();
    assert_eq!(
        contacts,
        [
            "<sip:057100000000@192.0.2.1:5099>;expires=0",
            "<sip:057100000000@192.0.2.2:5099>;expires=600"
        ]
    );
}
