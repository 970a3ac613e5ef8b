//! A BYE that is challenged and never authenticated. It ends nothing by itself, since anybody could have said it; but
//! who said it may have gone and know no better, so it is asked whether the call stands.

use maskline_fixtures::sip::{PEER, SDP, Wire, header, kinds, response, udp};
use maskline_sip::digest::{Challenge, Credentials, Request};
use maskline_sip::endpoint::{Peer, PeerId};
use maskline_sip::message::{Message, Name};

fn credentials() -> Credentials {
    Credentials {
        username: "line".into(),
        password: "theirs".into(),
    }
}

/// A call that stands, to a peer that must authenticate itself and says `lines` in its answer; the ACK.
fn talking(lines: &str) -> (Wire, Message) {
    let mut wire = Wire::with_peers(vec![Peer {
        challenge: Some(credentials()),
        ..Peer::new(PeerId(1), udp(PEER))
    }]);
    let (_, invite) = wire.dial();
    let sdp = String::from_utf8_lossy(SDP);
    let lines = format!(
        "Contact: <sip:b@{PEER}>\r\n{lines}Content-Type: application/sdp\r\nContent-Length: {}\r\n",
        sdp.len()
    );
    let ack = wire.say(&(response(&invite, "200 OK", "b", &lines) + &sdp));
    assert_eq!(kinds(&ack), ["ACK"]);
    assert_eq!(wire.heard(), ["answered"]);
    (wire, ack.into_iter().next().expect("an ACK"))
}

fn uri(ack: &Message) -> String {
    let from = header(ack, Name::From);
    let begin = from.find('<').map_or(0, |at| at + 1);
    from[begin..from.find('>').unwrap_or(from.len())].to_owned()
}

/// What the peer says within the call.
fn bye(ack: &Message, number: u32, authorization: Option<&str>) -> String {
    let authorization = authorization.map_or(String::new(), |authorization| {
        format!("Authorization: {authorization}\r\n")
    });
    format!(
        "BYE {} SIP/2.0\r\nVia: SIP/2.0/UDP {PEER};branch=z9hG4bKbye{number};rport\r\nFrom: {}\r\nTo: {}\r\n\
         Call-ID: {}\r\nCSeq: {number} BYE\r\nMax-Forwards: 70\r\n{authorization}Content-Length: 0\r\n\r\n",
        uri(ack),
        header(ack, Name::To),
        header(ack, Name::From),
        header(ack, Name::CallId),
    )
}

/// The requests that are sent within so many milliseconds.
fn asked(wire: &mut Wire, millis: u64) -> Vec<Message> {
    wire.pass(millis)
}

#[test]
fn who_says_goodbye_without_credentials_and_has_gone_ends_the_call() {
    let rows = [
        // What it takes, how it is asked, what it says then.
        ("", "INVITE", "481 Gone"),
        ("Allow: INVITE, BYE\r\n", "INVITE", "481 Gone"),
        ("Allow: INVITE, UPDATE\r\n", "UPDATE", "481 Gone"),
        ("", "INVITE", "408 Timeout"),
        ("Allow: UPDATE\r\n", "UPDATE", "408 Timeout"),
        // It keeps the dialog, and has no media any more.
        ("", "INVITE", "400 Bad Request"),
        ("Allow: UPDATE\r\n", "UPDATE", "400 Bad Request"),
        ("", "INVITE", "404 Not Found"),
        ("", "INVITE", "410 Gone"),
        ("Allow: UPDATE\r\n", "UPDATE", "480 Unavailable"),
    ];
    for (lines, how, answer) in rows {
        let (mut wire, ack) = talking(lines);
        assert_eq!(kinds(&wire.say(bye(&ack, 7, None))), ["401"], "{how}");
        assert_eq!(wire.heard(), [""; 0], "the call stands so far");
        let asked = asked(&mut wire, 2_000);
        assert_eq!(kinds(&asked)[0], how);
        wire.say(response(&asked[0], answer, "b", "Content-Length: 0\r\n"));
        assert_eq!(wire.heard(), ["ended silent"], "{how} {answer}");
    }
}

#[test]
fn nobody_ends_the_call_of_a_phone_that_goes_on() {
    for lines in ["", "Allow: INVITE, UPDATE\r\n"] {
        let (mut wire, ack) = talking(lines);
        // Every half second for half a minute.
        let mut requests = Vec::new();
        for number in 1..=60 {
            assert_eq!(kinds(&wire.say(bye(&ack, number, None))), ["401"]);
            for request in asked(&mut wire, 500) {
                let is_invite = kinds(std::slice::from_ref(&request)) == ["INVITE"];
                let sdp = String::from_utf8_lossy(if is_invite { SDP } else { b"" });
                let kind = "Content-Type: application/sdp\r\n".repeat(usize::from(is_invite));
                let rest = format!("{kind}Content-Length: {}\r\n", sdp.len());
                wire.say(&(response(&request, "200 OK", "b", &rest) + &sdp));
                requests.push(request);
            }
        }
        assert_eq!(
            requests.len(),
            1,
            "it is asked once: {:?}",
            kinds(&requests)
        );
        assert_eq!(wire.heard(), [""; 0]);
    }
}

#[test]
fn a_refusal_that_says_nothing_of_the_call_does_not_end_it() {
    for status in [
        "403 No",
        "488 No",
        "491 Pending",
        "500 Busy",
        "503 Later",
        "606 No",
    ] {
        let (mut wire, ack) = talking("");
        wire.say(bye(&ack, 7, None));
        let asked = asked(&mut wire, 2_000);
        wire.say(response(&asked[0], status, "b", "Content-Length: 0\r\n"));
        assert_eq!(wire.heard(), [""; 0], "{status}");
    }
    // And without a goodbye before it even 404 does not: the refresh of a session may come again.
    let (mut wire, _) = talking("Session-Expires: 200;refresher=uac\r\nRequire: timer\r\n");
    let refresh = asked(&mut wire, 100_100);
    assert_eq!(kinds(&refresh), ["INVITE"]);
    wire.say(response(
        &refresh[0],
        "404 Not Found",
        "b",
        "Content-Length: 0\r\n",
    ));
    assert_eq!(wire.heard(), [""; 0]);
}

#[test]
fn whoever_proves_its_goodbye_in_time_is_asked_nothing() {
    let (mut wire, ack) = talking("");
    let refused = wire.say(bye(&ack, 7, None)).remove(0);
    let challenge = Challenge::choose(refused.headers(Name::WwwAuthenticate)).expect("one");
    let uri = uri(&ack);
    let request = Request {
        method: b"BYE",
        uri: uri.as_bytes(),
        body: b"",
    };
    let authorization = challenge.answer(&credentials(), &request, 1, "0123456789abcdef");
    assert!(asked(&mut wire, 200).is_empty());
    assert_eq!(
        kinds(&wire.say(bye(&ack, 8, Some(&authorization)))),
        ["200"]
    );
    assert_eq!(wire.heard(), ["ended"]);
    assert!(asked(&mut wire, 60_000).is_empty());
    assert!(wire.endpoint.is_idle());
}
