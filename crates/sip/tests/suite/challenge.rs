//! Digest on the wire: our challenges, what peers answer, and how guesses are slowed down.

use maskline_fixtures::sip::{PEER, SDP, US, Wire, address, kinds, to_tag, udp};
use maskline_sip::digest::{Challenge, Credentials, Request};
use maskline_sip::endpoint::{Config, Endpoint, Event, Input, Peer, PeerId};
use maskline_sip::message::{Message, Name};

fn credentials(password: &str) -> Credentials {
    Credentials {
        username: "alice".into(),
        password: password.into(),
    }
}

const INVITE: &str = "INVITE sip:17000000001@127.0.0.1:5060 SIP/2.0\r\n\
    Via: SIP/2.0/UDP 127.0.0.1:5070;branch=z9hG4bKBRANCH;rport\r\n\
    From: <sip:13800000000@127.0.0.1>;tag=a\r\nTo: <sip:17000000001@127.0.0.1:5060>\r\n\
    Call-ID: callBRANCH\r\nCSeq: 1 INVITE\r\nContact: <sip:13800000000@127.0.0.1:5070>\r\n";

fn invite(branch: u32, authorization: Option<&str>) -> String {
    let authorization = authorization.map_or(String::new(), |authorization| {
        format!("Authorization: {authorization}\r\n")
    });
    let head = INVITE.replace("BRANCH", &branch.to_string());
    format!("{head}{authorization}Content-Length: 0\r\n\r\n")
}

fn guarded() -> Wire {
    Wire::with_peers(vec![Peer {
        challenge: Some(credentials("theirs")),
        ..Peer::new(PeerId(1), udp(PEER))
    }])
}

/// The challenge in an answer, best first or not.
fn asked(answer: &Message, which: usize) -> Challenge {
    Challenge::choose(answer.headers(Name::WwwAuthenticate).skip(which)).expect("a challenge")
}

fn authorize(challenge: &Challenge, password: &str, count: u32) -> String {
    let request = Request {
        method: b"INVITE",
        uri: b"sip:17000000001@127.0.0.1:5060",
        body: b"",
    };
    challenge.answer(&credentials(password), &request, count, "0123456789abcdef")
}

#[test]
fn a_peer_that_must_prove_itself_is_asked_and_then_heard() {
    for which in [0, 1] {
        let mut wire = guarded();
        let answer = wire.say(invite(1, None));
        assert_eq!(kinds(&answer), ["401"]);
        assert!(!to_tag(&answer[0]).is_empty());
        assert_eq!(answer[0].headers(Name::WwwAuthenticate).count(), 2);
        assert!(wire.endpoint.is_idle(), "nothing is remembered of it");
        let authorization = authorize(&asked(&answer[0], which), "theirs", 1);
        let answer = wire.say(invite(2, Some(&authorization)));
        assert_eq!(kinds(&answer), ["100"]);
        assert!(matches!(wire.events.last(), Some(Event::Incoming { .. })));
    }
}

#[test]
fn credentials_hold_once_for_a_while_and_for_its_peer() {
    let mut wire = guarded();
    let answer = wire.say(invite(1, None));
    let challenge = asked(&answer[0], 0);
    let stale = |wire: &mut Wire, branch, authorization: &str| {
        let answer = wire.say(invite(branch, Some(authorization)));
        let lines: Vec<u8> = answer[0]
            .headers(Name::WwwAuthenticate)
            .flatten()
            .copied()
            .collect();
        (
            kinds(&answer).concat(),
            String::from_utf8_lossy(&lines).contains("stale=true"),
        )
    };
    let yes = |kind: &str| (kind.to_owned(), true);
    let no = |kind: &str| (kind.to_owned(), false);
    assert_eq!(
        stale(&mut wire, 2, &authorize(&challenge, "wrong", 1)),
        no("401")
    );
    assert_eq!(wire.endpoint.counts().unauthenticated, 1);
    assert_eq!(
        stale(&mut wire, 3, &authorize(&challenge, "theirs", 1)),
        no("100")
    );
    let replayed = authorize(&challenge, "theirs", 1);
    assert_eq!(
        stale(&mut wire, 4, &replayed),
        yes("401"),
        "the same count again"
    );
    assert_eq!(
        stale(&mut wire, 5, &authorize(&challenge, "theirs", 5)),
        no("100")
    );
    assert_eq!(
        stale(&mut wire, 6, &authorize(&challenge, "theirs", 4)),
        yes("401"),
        "an older count"
    );
    wire.now = wire.now + std::time::Duration::from_secs(301);
    assert_eq!(
        stale(&mut wire, 7, &authorize(&challenge, "theirs", 9)),
        yes("401"),
        "too old"
    );
    let mut other = guarded();
    other.endpoint.set_peers(vec![Peer {
        challenge: Some(credentials("theirs")),
        ..Peer::new(PeerId(2), udp(PEER))
    }]);
    assert_eq!(
        stale(&mut other, 8, &authorize(&challenge, "theirs", 1)),
        yes("401"),
        "a nonce of another peer"
    );
    assert_eq!(stale(&mut wire, 9, "Digest nonsense"), no("401"));
}

#[test]
fn counting_nonces_has_a_bound() {
    let mut wire = guarded();
    let first = wire.say(invite(1, None));
    let first = asked(&first[0], 0);
    wire.say(invite(2, Some(&authorize(&first, "theirs", 1))));
    for branch in 0..4_200 {
        wire.now = wire.now + std::time::Duration::from_millis(10);
        let answer = wire.say(invite(10 + branch * 2, None));
        let authorization = authorize(&asked(&answer[0], 0), "theirs", 1);
        assert_eq!(
            kinds(&wire.say(invite(11 + branch * 2, Some(&authorization)))),
            ["100"]
        );
    }
    // The first has been forgotten, so its count cannot be known to be new.
    let late = wire.say(invite(3, Some(&authorize(&first, "theirs", 2))));
    assert_eq!(kinds(&late), ["401"]);
}

/// credentials for this method and this URI.
fn authorize_for(challenge: &Challenge, method: &str, uri: &str, count: u32) -> String {
    let request = Request {
        method: method.as_bytes(),
        uri: uri.as_bytes(),
        body: b"",
    };
    challenge.answer(&credentials("theirs"), &request, count, "0123456789abcdef")
}

#[test]
fn credentials_are_for_what_was_asked_at_one_of_our_hosts() {
    const X: &str = "sip:17000000001@127.0.0.1:5060";
    #[rustfmt::skip]
    let rows: [(&str, &str, &[&str], bool); 17] = [
        // The Request-URI, the one in the credentials, our domains, and whether that will do.
        (X, X, &[], true),
        (X, "sip:17000000001@127.0.0.1", &[], true),
        (X, "sip:17000000001@127.0.0.1:5060;transport=udp", &[], true),
        (X, "sip:%317000000001@127.0.0.1", &[], true),
        // A proxy has rewritten what was asked.
        ("sip:17000000001@10.0.0.5:5060", "sip:17000000001@127.0.0.1", &[], true),
        ("sip:17000000001@10.0.0.5:5060", "sip:17000000001@192.0.2.80", &[], true),
        ("sip:17000000001@10.0.0.5:5060", "sip:17000000001@calls.example", &["calls.example"], true),
        ("sip:17000000001@10.0.0.5:5060", "sip:17000000001@CALLS.example", &["calls.example"], true),
        ("sip:17000000001@10.0.0.5:5060", "sip:17000000001@10.0.0.5", &["calls.example"], false),
        // Made for another number.
        (X, "sip:17000000002@127.0.0.1:5060", &[], false),
        (X, "sip:127.0.0.1:5060", &[], false),
        // Made for another service: it asked with our challenge.
        (X, "sip:17000000001@evil.example", &[], false),
        (X, "sip:17000000001@evil.example", &["calls.example"], false),
        (X, "sip:17000000001@10.0.0.5", &[], false),
        (X, "", &[], false),
        (X, "/", &[], false),
        ("tel:17000000001", "tel:17000000001", &["calls.example"], true),
    ];
    for (asked_for, authenticated, domains, will_do) in rows {
        let mut config = Config::new(address(US));
        config.domains = domains.iter().map(ToString::to_string).collect();
        let peer = Peer {
            challenge: Some(credentials("theirs")),
            advertised: Some(address("192.0.2.80:5060")),
            ..Peer::new(PeerId(1), udp(PEER))
        };
        let mut wire = Wire::with_peers(Vec::new());
        wire.endpoint = Endpoint::new(config, vec![peer], [7; 32]);
        let answer = wire.say(invite(1, None));
        let authorization = authorize_for(&asked(&answer[0], 0), "INVITE", authenticated, 1);
        let text = invite(2, Some(&authorization));
        let text = text.replacen(X, asked_for, 1);
        let kind = if will_do { "100" } else { "401" };
        assert_eq!(
            kinds(&wire.say(&text)),
            [kind],
            "{asked_for} by {authenticated} of {domains:?}"
        );
        assert_eq!(
            wire.endpoint.counts().unauthenticated,
            u64::from(!will_do),
            "{authenticated}"
        );
    }
}

/// A call from a peer that must authenticate itself, answered and acknowledged: our tag.
fn authenticated_call(wire: &mut Wire) -> String {
    let answer = wire.say(invite(1, None));
    let authorization = authorize(&asked(&answer[0], 0), "theirs", 1);
    wire.say(invite(2, Some(&authorization)).replace(
        "Content-Length: 0",
        "Supported: 100rel\r\nContent-Length: 0",
    ));
    let Some(Event::Incoming { leg, .. }) = wire.events.last() else {
        panic!("no call")
    };
    let leg = *leg;
    let ok = wire.give(Input::Answer(leg, SDP.to_vec())).remove(0);
    let tag = to_tag(&ok);
    assert!(
        wire.say(within(&tag, "ACK", 1, None)).is_empty(),
        "an ACK cannot be challenged"
    );
    assert_eq!(wire.heard(), ["incoming", "confirmed"]);
    tag
}

fn within(tag: &str, method: &str, cseq: u32, authorization: Option<&str>) -> String {
    invite(2, authorization)
        .replacen("INVITE sip:17000000001@", &format!("{method} sip:"), 1)
        .replace("z9hG4bK2", &format!("z9hG4bK{method}{cseq}"))
        .replace("5060>\r\n", &format!("5060>;tag={tag}\r\n"))
        .replace("1 INVITE", &format!("{cseq} {method}"))
}

#[test]
fn requests_within_a_call_are_authenticated_too() {
    const URI: &str = "sip:127.0.0.1:5060";
    #[rustfmt::skip]
    let rows: [(&str, &str, &[&str]); 7] = [
        ("BYE", "200", &["ended"]),
        ("INVITE", "100", &["offered nothing"]),
        ("UPDATE", "200", &[]),
        ("INFO", "200", &[]),
        ("OPTIONS", "200", &[]),
        // There is nothing to acknowledge.
        ("PRACK", "481", &[]),
        ("MESSAGE", "405", &[]),
    ];
    for (method, status, told) in rows {
        let mut wire = guarded();
        let tag = authenticated_call(&mut wire);
        let answer = wire.say(within(&tag, method, 2, None));
        assert_eq!(kinds(&answer), ["401"], "{method}");
        assert!(wire.heard().is_empty(), "{method}");
        let challenge = asked(&answer[0], 0);
        let wrong = authorize_for(&challenge, "OTHER", URI, 1);
        assert_eq!(
            kinds(&wire.say(within(&tag, method, 3, Some(&wrong)))),
            ["401"],
            "{method}"
        );
        assert!(wire.heard().is_empty(), "{method}");
        let authorization = authorize_for(&challenge, method, URI, 1);
        let right = within(&tag, method, 4, Some(&authorization));
        assert_eq!(kinds(&wire.say(&right)), [status], "{method}");
        assert_eq!(wire.heard(), told, "{method}");
    }
}

#[test]
fn a_number_that_was_not_authenticated_does_not_count() {
    let mut wire = guarded();
    let tag = authenticated_call(&mut wire);
    // Would it count, the true BYE would be behind it.
    let far = within(&tag, "OPTIONS", 4_000_000, None);
    let answer = wire.say(&far);
    assert_eq!(kinds(&answer), ["401"]);
    let authorization = authorize_for(&asked(&answer[0], 0), "BYE", "sip:127.0.0.1:5060", 1);
    assert_eq!(
        kinds(&wire.say(within(&tag, "BYE", 2, Some(&authorization)))),
        ["200"]
    );
}

#[test]
fn a_cancel_is_not_challenged() {
    let mut wire = guarded();
    let answer = wire.say(invite(1, None));
    let authorization = authorize(&asked(&answer[0], 0), "theirs", 1);
    wire.say(invite(2, Some(&authorization)));
    let cancel = invite(2, None)
        .replacen("INVITE", "CANCEL", 1)
        .replace("1 INVITE", "1 CANCEL");
    assert_eq!(kinds(&wire.say(&cancel)), ["200", "487"]);
}

#[test]
fn guesses_are_slowed_down_and_spoofed_ones_do_no_harm() {
    let mut wire = guarded();
    let first = wire.say(invite(1, None));
    let challenge = asked(&first[0], 0);
    let mut answers = std::collections::BTreeMap::new();
    for guess in 0..200 {
        let wrong = authorize(&challenge, &format!("guess {guess}"), guess + 1);
        let answer = wire.say(invite(10 + guess, Some(&wrong)));
        *answers.entry(kinds(&answer).concat()).or_insert(0) += 1;
    }
    assert_eq!(answers.get("401"), Some(&200), "{answers:?}");
    // Not even looked at: the nonce has had its guess, and the address too many.
    let right = authorize(&challenge, "theirs", 201);
    let answer = wire.say(invite(300, Some(&right)));
    assert_eq!(kinds(&answer), ["401"]);
    // The answer to a nonce of one's own is.
    let right = authorize(&asked(&answer[0], 0), "theirs", 1);
    assert_eq!(kinds(&wire.say(invite(301, Some(&right)))), ["100"]);

    // Who only writes the address of the carrier on his datagrams never reads a nonce.
    let mut wire = guarded();
    let made_up = challenge;
    for guess in 0..5_000 {
        let wrong = authorize(&made_up, "guess", guess + 1).replacen("nonce=\"0", "nonce=\"1", 1);
        assert_eq!(kinds(&wire.say(invite(10 + guess, Some(&wrong)))), ["401"]);
    }
    let answer = wire.say(invite(1, None));
    let right = authorize(&asked(&answer[0], 0), "theirs", 1);
    assert_eq!(
        kinds(&wire.say(invite(2, Some(&right)))),
        ["100"],
        "at once"
    );
    // Nor do those who guess at the same address, once the carrier was heard.
    let answer = wire.say(invite(3, None));
    let challenge = asked(&answer[0], 0);
    for guess in 0..200 {
        let wrong = invite(
            6_000 + guess,
            Some(&authorize(&challenge, "guess", guess + 1)),
        );
        let from = udp("127.0.0.1:9999");
        wire.give(Input::Datagram {
            from,
            bytes: wrong.as_bytes(),
        });
    }
    let right = authorize(&challenge, "theirs", 201);
    assert_eq!(
        kinds(&wire.say(invite(4, Some(&right)))),
        ["100"],
        "at once"
    );
}

#[test]
fn who_guesses_with_a_new_challenge_each_time_is_slowed_down_and_nobody_else() {
    let known = "127.0.0.1:5070";
    #[rustfmt::skip]
    let rows = [
        // Guesses from `known`, each to the challenge before; how long after them the right answer comes, in
        // milliseconds; from where; whether it is heard.
        (0, 0, known, true),
        (9, 0, known, true),
        (10, 0, known, false),
        (200, 0, known, false),
        (200, 1_900, known, false),
        (200, 2_100, known, true),
        (10, 2_100, known, true),
        (200, 0, "127.0.0.1:5072", true),
        (10, 0, "127.0.0.1:5072", true),
        (5_000, 0, "127.0.0.1:5072", true),
        (200, 0, "127.0.0.2:5070", true),
        (200, 20_100, known, true),
    ];
    for (guesses, later_ms, from, is_heard) in rows {
        let row = format!("{guesses} guesses, {later_ms} ms later from {from}");
        let mut wire = Wire::with_peers(vec![Peer {
            challenge: Some(credentials("theirs")),
            sources: vec!["127.0.0.2".parse().expect("an address")],
            ..Peer::new(PeerId(1), udp(PEER))
        }]);
        let mut challenge = asked(&wire.say_from(known, invite(1, None))[0], 0);
        for guess in 0..guesses {
            let wrong = invite(
                10 + guess,
                Some(&authorize(&challenge, &format!("guess {guess}"), 1)),
            );
            let answer = wire.say_from(known, &wrong);
            assert_eq!(kinds(&answer), ["401"], "{row}");
            challenge = asked(&answer[0], 0);
        }
        assert_eq!(
            wire.endpoint.counts().unauthenticated,
            u64::from(guesses),
            "{row}"
        );
        wire.now = wire.now + std::time::Duration::from_millis(later_ms);
        let challenge = asked(&wire.say_from(from, invite(2, None))[0], 0);
        let right = invite(3, Some(&authorize(&challenge, "theirs", 1)));
        let answer = wire.say_from(from, &right);
        let expected = if is_heard { "100" } else { "401" };
        assert_eq!(kinds(&answer), [expected], "{row}");
        if !is_heard {
            // Else it would be sent again at once, and again.
            let told: Vec<u8> = answer[0]
                .headers(Name::WwwAuthenticate)
                .flatten()
                .copied()
                .collect();
            assert!(
                !String::from_utf8_lossy(&told).contains("stale=true"),
                "{row}"
            );
        }
    }
}

#[test]
fn guesses_are_those_of_who_asked_whoever_sends_them() {
    let mut wire = guarded();
    // Asked for at one port, answered wrongly from that of a carrier, which was never heard before.
    for guess in 0..200 {
        let challenge = asked(&say_from(&mut wire, 9_999, &invite(10 + guess, None))[0], 0);
        let wrong = invite(1_000 + guess, Some(&authorize(&challenge, "guess", 1)));
        say_from(&mut wire, 5_070, &wrong);
    }
    for (port, kind, branch) in [(5_070, "100", 1), (9_999, "401", 3)] {
        let challenge = asked(&say_from(&mut wire, port, &invite(branch, None))[0], 0);
        let right = invite(branch + 1, Some(&authorize(&challenge, "theirs", 1)));
        assert_eq!(kinds(&say_from(&mut wire, port, &right)), [kind], "{port}");
    }
}

/// What is said from another port of the carrier's address.
fn say_from(wire: &mut Wire, port: u16, text: &str) -> Vec<Message> {
    wire.say_from(&format!("127.0.0.1:{port}"), text)
}

#[test]
fn what_was_overheard_of_a_carrier_does_not_lock_it_out() {
    // Which answers are repeated, how often with a wrong password from one other port, and after how long.
    let rows = [
        (0, 0, 0),
        (0, 10, 0),
        (0, 200, 0),
        (1_100, 0, 0),
        (1_100, 10, 0),
        (1_100, 10, 299),
        (1_100, 10, 301),
        (1_100, 200, 301),
        (0, 200, 301),
        (0, 200, 3_600),
    ];
    for (replays, guesses, later_s) in rows {
        let row = format!("{replays} replays, {guesses} guesses after {later_s} s");
        let mut wire = guarded();
        let overheard = asked(&wire.say(invite(1, None))[0], 0);
        let right = authorize(&overheard, "theirs", 1);
        assert_eq!(kinds(&wire.say(invite(2, Some(&right)))), ["100"]);
        wire.now = wire.now + std::time::Duration::from_secs(later_s);
        let unauthenticated = wire.endpoint.counts().unauthenticated;
        for port in 0..replays {
            let again = invite(10_000 + u32::from(port), Some(&right));
            let answer = say_from(&mut wire, 20_000 + port, &again);
            assert_eq!(kinds(&answer), ["401"], "{row}");
        }
        for guess in 0..guesses {
            let wrong = invite(
                30_000 + guess,
                Some(&authorize(&overheard, "guess", guess + 2)),
            );
            let answer = say_from(&mut wire, 9_999, &wrong);
            assert_eq!(kinds(&answer), ["401"], "{row}");
        }
        let counted = wire.endpoint.counts().unauthenticated - unauthenticated;
        let expected = if later_s > 300 { 0 } else { u64::from(guesses) };
        assert_eq!(counted, expected, "{row}");
        // From where it was heard before, and from a port of its that was not.
        for (port, branch) in [(5_070, 3), (5_072, 5)] {
            let answer = say_from(&mut wire, port, &invite(branch, None));
            let right = authorize(&asked(&answer[0], 0), "theirs", 1);
            let answer = say_from(&mut wire, port, &invite(branch + 1, Some(&right)));
            assert_eq!(kinds(&answer), ["100"], "{row}, port {port}");
        }
    }
}
