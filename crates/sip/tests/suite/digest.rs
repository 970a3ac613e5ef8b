//! Digest on the wire: the challenges that carriers make, and our answers.

use maskline_fixtures::sip::{PEER, SDP, Wire, header, kinds, response, udp};
use maskline_sip::digest::Credentials;
use maskline_sip::endpoint::{Input, LegId, Peer, PeerId, Registration};
use maskline_sip::message::{Message, Name};
use md5::Md5;
use sha2::{Digest, Sha256, Sha512_256};

fn peer() -> Peer {
    Peer {
        credentials: Some(Credentials {
            username: "alice".into(),
            password: "secret".into(),
        }),
        ..Peer::new(PeerId(1), udp(PEER))
    }
}

/// A field of credentials, without its quotes.
fn field(authorization: &str, name: &str) -> String {
    let authorization = authorization.strip_prefix("Digest ").expect("credentials");
    authorization
        .split(", ")
        .filter_map(|part| part.split_once('='))
        .find(|(found, _)| *found == name)
        .map(|(_, value)| value.trim_matches('"').to_owned())
        .unwrap_or_default()
}

/// Works credentials out again, independently of the crate.
fn is_right(authorization: &str, method: &str) -> bool {
    let algorithm = field(authorization, "algorithm");
    let hash = |text: String| match algorithm.as_str() {
        "SHA-256" => hex::encode(Sha256::digest(text)),
        "SHA-512-256" => hex::encode(Sha512_256::digest(text)),
        _ => hex::encode(Md5::digest(text)),
    };
    let get = |name| field(authorization, name);
    let secret = hash(format!("alice:{}:secret", get("realm")));
    let asked = hash(format!("{method}:{}", get("uri")));
    let right = match get("qop").as_str() {
        "" => hash(format!("{secret}:{}:{asked}", get("nonce"))),
        qop => hash(format!(
            "{secret}:{}:{}:{}:{qop}:{asked}",
            get("nonce"),
            get("nc"),
            get("cnonce")
        )),
    };
    right == get("response")
}

fn challenge(nonce: &str) -> String {
    format!("WWW-Authenticate: Digest realm=\"r\", nonce=\"{nonce}\", qop=\"auth\"\r\n")
}

/// Dials, is challenged with `lines`, and returns what was sent then: an ACK and the INVITE once more.
fn challenged(wire: &mut Wire, status: &str, lines: &str) -> (LegId, Vec<Message>) {
    let (leg, invite) = wire.dial();
    (leg, wire.say(response(&invite, status, "b", lines)))
}

#[test]
fn every_challenge_that_carriers_make_is_answered() {
    #[rustfmt::skip]
    let rows: &[(&str, &str, &str, &str)] = &[
        // What it is, the status, the challenge, and the algorithm that the answer names.
        ("MD5 with qop", "401 U", "WWW-Authenticate: Digest realm=\"r\", nonce=\"n\", algorithm=MD5, qop=\"auth\"\r\n", "MD5"),
        ("MD5 without qop", "401 U", "WWW-Authenticate: Digest realm=\"r\", nonce=\"n\", algorithm=MD5\r\n", "MD5"),
        ("no algorithm", "401 U", "WWW-Authenticate: Digest realm=\"r\", nonce=\"n\", qop=\"auth\"\r\n", ""),
        ("by a proxy", "407 P", "Proxy-Authenticate: Digest realm=\"r\", nonce=\"n\", qop=\"auth\"\r\n", ""),
        ("SHA-256", "401 U", "WWW-Authenticate: Digest realm=\"r\", nonce=\"n\", algorithm=SHA-256, qop=\"auth\"\r\n", "SHA-256"),
        ("SHA-256 first, MD5 second", "401 U", "WWW-Authenticate: Digest realm=\"r\", nonce=\"n\", algorithm=SHA-256, qop=\"auth\"\r\n\
            WWW-Authenticate: Digest realm=\"r\", nonce=\"n\", algorithm=MD5, qop=\"auth\"\r\n", "SHA-256"),
        ("SHA-512-256", "401 U", "WWW-Authenticate: Digest realm=\"r\", nonce=\"n\", algorithm=SHA-512-256, qop=\"auth\"\r\n", "SHA-512-256"),
        ("unknown first", "401 U", "WWW-Authenticate: Digest realm=\"r\", nonce=\"n\", algorithm=AKAv1-MD5, qop=\"auth\"\r\n\
            WWW-Authenticate: Digest realm=\"r\", nonce=\"n\", algorithm=MD5, qop=\"auth\"\r\n", "MD5"),
        ("a list of qop", "401 U", "WWW-Authenticate: Digest realm=\"r\", nonce=\"n\", qop=\"auth,auth-int\"\r\n", ""),
    ];
    for (what, status, lines, algorithm) in rows {
        let mut wire = Wire::with_peers(vec![peer()]);
        let (_, sent) = challenged(&mut wire, status, lines);
        assert_eq!(kinds(&sent), ["ACK", "INVITE"], "{what}");
        let name = if status.starts_with("401") {
            Name::Authorization
        } else {
            Name::ProxyAuthorization
        };
        let authorization = header(&sent[1], name);
        assert!(is_right(authorization, "INVITE"), "{what}: {authorization}");
        assert_eq!(field(authorization, "algorithm"), *algorithm, "{what}");
        assert_eq!(header(&sent[1], Name::CSeq), "2 INVITE", "{what}");
        assert_eq!(sent[1].body(), SDP, "{what}");
        assert!(wire.heard().is_empty(), "{what}: the call hears nothing");
    }
}

#[test]
fn the_nonce_is_used_again_and_counted() {
    let mut wire = Wire::with_peers(vec![peer()]);
    let (leg, sent) = challenged(&mut wire, "401 U", &challenge("n1"));
    let contact = "Contact: <sip:b@127.0.0.1:5070>\r\n";
    let acks = wire.say(response(&sent[1], "200 OK", "b", contact));
    assert_eq!(kinds(&acks), ["ACK"]);
    assert_eq!(
        header(&acks[0], Name::CSeq),
        "2 ACK",
        "the number of its INVITE"
    );
    let first = header(&sent[1], Name::Authorization);
    assert_eq!(
        header(&acks[0], Name::Authorization),
        first,
        "section 13.2.2.4"
    );
    assert_eq!(field(first, "nc"), "00000001");
    assert_eq!(wire.heard(), ["answered"]);

    let bye = wire.give(Input::HangUp(leg, None)).remove(0);
    let authorization = header(&bye, Name::Authorization);
    assert!(is_right(authorization, "BYE"));
    assert_eq!(field(authorization, "nc"), "00000002");
    assert_eq!(header(&bye, Name::CSeq), "3 BYE");
    wire.say(response(&bye, "200 OK", "b", ""));

    // The next call too; its nonce has grown too old by then, and the new one is counted from one.
    let (_, invite) = wire.dial();
    assert_eq!(
        field(header(&invite, Name::Authorization), "nc"),
        "00000003"
    );
    let stale = challenge("n2").replace("qop", "stale=true, qop");
    let sent = wire.say(response(&invite, "401 U", "b", &stale));
    let authorization = header(&sent[1], Name::Authorization);
    assert_eq!(
        (field(authorization, "nonce"), field(authorization, "nc")),
        ("n2".into(), "00000001".into())
    );
    assert!(is_right(authorization, "INVITE"));
}

#[test]
fn a_bye_is_authenticated_as_a_call_is() {
    let mut wire = Wire::with_peers(vec![peer()]);
    let (leg, invite) = wire.dial();
    wire.say(response(
        &invite,
        "200 OK",
        "b",
        "Contact: <sip:b@127.0.0.1:5070>\r\n",
    ));
    let bye = wire.give(Input::HangUp(leg, None)).remove(0);
    assert_eq!(header(&bye, Name::Authorization), "");
    let again = wire.say(response(&bye, "401 U", "b", &challenge("n")));
    assert_eq!(kinds(&again), ["BYE"]);
    assert_eq!(header(&again[0], Name::CSeq), "3 BYE");
    assert!(is_right(header(&again[0], Name::Authorization), "BYE"));
    wire.say(response(&again[0], "200 OK", "b", ""));
    wire.pass(40_000);
    assert!(wire.endpoint.is_idle());
}

#[test]
fn a_change_of_the_call_is_authenticated_too() {
    let mut wire = Wire::with_peers(vec![peer()]);
    let (leg, invite) = wire.dial();
    let ok = |request: &Message| {
        let head = response(
            request,
            "200 OK",
            "b",
            "Contact: <sip:b@127.0.0.1:5070>\r\n",
        );
        let sdp = String::from_utf8_lossy(SDP).into_owned();
        let kind = "Content-Type: application/sdp\r\n\r\n";
        format!(
            "{}{kind}{sdp}",
            head.trim_end_matches("\r\n").to_owned() + "\r\n"
        )
    };
    wire.say(ok(&invite));
    wire.heard();
    let offer = wire.give(Input::Offer(leg, SDP.to_vec())).remove(0);
    assert_eq!(header(&offer, Name::CSeq), "2 INVITE");
    let sent = wire.say(response(&offer, "401 U", "b", &challenge("n")));
    assert_eq!(kinds(&sent), ["ACK", "INVITE"]);
    assert!(is_right(header(&sent[1], Name::Authorization), "INVITE"));
    assert_eq!(header(&sent[1], Name::CSeq), "3 INVITE");
    let acks = wire.say(ok(&sent[1]));
    assert_eq!(kinds(&acks), ["ACK"]);
    assert_eq!(header(&acks[0], Name::CSeq), "3 ACK");
    assert_eq!(wire.heard(), ["offer accepted"]);
}

#[test]
fn a_proxy_and_a_server_may_both_ask() {
    let mut wire = Wire::with_peers(vec![peer()]);
    let by_proxy = challenge("p")
        .replace("WWW-", "Proxy-")
        .replace("\"r\"", "\"proxy\"");
    let (_, sent) = challenged(&mut wire, "407 P", &by_proxy);
    let sent = wire.say(response(&sent[1], "401 U", "b", &challenge("n")));
    assert_eq!(kinds(&sent), ["ACK", "INVITE"]);
    for name in [Name::Authorization, Name::ProxyAuthorization] {
        assert!(is_right(header(&sent[1], name), "INVITE"));
    }
    assert_eq!(
        field(header(&sent[1], Name::ProxyAuthorization), "nc"),
        "00000002"
    );
    assert_eq!(header(&sent[1], Name::CSeq), "3 INVITE");
}

#[test]
fn a_wrong_secret_ends_the_call_and_endless_challenges_too() {
    let mut wire = Wire::with_peers(vec![peer()]);
    let (_, sent) = challenged(&mut wire, "401 U", &challenge("n1"));
    let sent = wire.say(response(&sent[1], "401 U", "b", &challenge("n2")));
    assert_eq!(kinds(&sent), ["ACK"]);
    assert_eq!(wire.heard(), ["refused 401"]);

    let (_, mut invite) = wire.dial();
    let mut tries = 0;
    loop {
        let stale = challenge(&format!("m{tries}")).replace("qop", "stale=true, qop");
        let mut sent = wire.say(response(&invite, "401 U", "b", &stale));
        match sent.len() {
            2 => invite = sent.remove(1),
            _ => break,
        }
        tries += 1;
        assert!(tries < 10, "somebody must give up");
    }
    assert_eq!(wire.heard(), ["refused 401"]);
    wire.pass(40_000);
    assert!(wire.endpoint.is_idle());
}

#[test]
fn who_has_no_secret_is_refused() {
    let mut wire = Wire::with_peers(vec![Peer::new(PeerId(1), udp(PEER))]);
    let (_, sent) = challenged(
        &mut wire,
        "407 P",
        &challenge("n").replace("WWW-", "Proxy-"),
    );
    assert_eq!(kinds(&sent), ["ACK"]);
    assert_eq!(wire.heard(), ["refused 407"]);
}

#[test]
fn a_call_that_was_cancelled_is_not_tried_again() {
    let mut wire = Wire::with_peers(vec![peer()]);
    let (leg, invite) = wire.dial();
    wire.say(response(&invite, "100 Trying", "b", ""));
    let sent = wire.give(Input::HangUp(leg, None));
    assert_eq!(sent[0].method_text(), b"CANCEL");
    assert_eq!(header(&sent[0], Name::Authorization), "");
    let sent = wire.say(response(&invite, "401 U", "b", &challenge("n")));
    assert_eq!(kinds(&sent), ["ACK"]);
}

#[test]
fn a_registration_is_authenticated() {
    let mut wire = Wire::with_peers(vec![Peer {
        registration: Some(Registration {
            address_of_record: "sip:alice@carrier.example".into(),
            registrar: None,
            contact_user: "alice".into(),
            expires_s: 3_600,
        }),
        ..peer()
    }]);
    let register = wire.pass(1).remove(0);
    let again = wire.say(response(&register, "401 U", "b", &challenge("n")));
    assert_eq!(kinds(&again), ["REGISTER"]);
    let authorization = header(&again[0], Name::Authorization);
    assert!(is_right(authorization, "REGISTER"));
    assert_eq!(field(authorization, "uri"), "sip:carrier.example");
    wire.say(response(&again[0], "200 OK", "b", ""));
    assert_eq!(wire.heard(), ["reachable", "registered 200"]);
    let refreshed = wire.pass_timed(3_600_000);
    let authorization = header(&refreshed[0].1, Name::Authorization);
    assert_eq!(
        field(authorization, "nc"),
        "00000002",
        "the nonce is used again"
    );
    assert_eq!(header(&refreshed[0].1, Name::CSeq), "3 REGISTER");
}

// The other way round: a peer that must authenticate itself.
