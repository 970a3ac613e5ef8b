//! What carriers send within a dialog, request by request, and what the RFCs want answered.

use maskline_fixtures::sip::{
    OTHER, OURS, PEER, SDP, US, Wire, address, cseqs, first_leg, header, invite_with,
    request_of_callee, response_with, response_within, statuses, to_tag, udp, within, within_with,
};
use maskline_sip::endpoint::{Config, Endpoint, Event, Input, Peer, PeerId};
use maskline_sip::message::Name;
/// An incoming call that talks, whose INVITE had these lines.
fn talking(wire: &mut Wire, lines: &str) -> String {
    wire.say(invite_with(lines, SDP));
    let Some(Event::Incoming { leg, .. }) = wire.events.last() else {
        panic!("no call")
    };
    let leg = *leg;
    let answer = wire.give(Input::Answer(leg, SDP.to_vec()));
    let tag = to_tag(&answer[0]);
    wire.say(within("ACK", 1, &tag));
    assert_eq!(wire.seen(), ["incoming", "confirmed"]);
    tag
}

#[test]
fn a_re_invite_is_offered_and_its_answer_repeated_until_acknowledged() {
    let mut wire = Wire::new();
    let tag = talking(&mut wire, "");
    let leg = first_leg(&wire);
    let text = within_with("INVITE", 2, &tag, "", OTHER);
    assert_eq!(statuses(&wire.say(&text)), [100]);
    assert!(matches!(
        wire.events.last(),
        Some(Event::Offered { sdp: Some(sdp), .. }) if sdp == OTHER
    ));
    let answers = wire.give(Input::AcceptOffer(leg, OURS.to_vec()));
    assert_eq!(statuses(&answers), [200]);
    assert_eq!(answers[0].body(), OURS);
    assert_eq!(header(&answers[0], Name::Contact), "<sip:127.0.0.1:5060>");
    assert_eq!(statuses(&wire.pass(1_600)), [200, 200]);
    wire.say(within("ACK", 1, &tag));
    assert_eq!(
        statuses(&wire.pass(2_000)),
        [200],
        "the ACK of another INVITE"
    );
    wire.say(within("ACK", 2, &tag));
    assert!(wire.pass(5_000).is_empty());
    assert_eq!(wire.seen(), ["incoming", "confirmed", "offered"]);
}

#[test]
fn a_re_invite_without_sdp_gets_our_offer_and_answers_in_its_ack() {
    let mut wire = Wire::new();
    let tag = talking(&mut wire, "");
    let leg = first_leg(&wire);
    wire.say(within("INVITE", 2, &tag));
    assert!(matches!(
        wire.events.last(),
        Some(Event::Offered { sdp: None, .. })
    ));
    wire.give(Input::AcceptOffer(leg, OURS.to_vec()));
    wire.say(within_with("ACK", 2, &tag, "", OTHER));
    assert!(matches!(
        wire.events.last(),
        Some(Event::OfferAccepted { sdp, .. }) if sdp == OTHER
    ));
}

#[test]
fn a_re_invite_that_says_nothing_new_is_answered_as_before() {
    let mut wire = Wire::new();
    let tag = talking(&mut wire, "");
    let leg = first_leg(&wire);
    let answers = wire.say(within_with("INVITE", 2, &tag, "", SDP));
    assert_eq!(statuses(&answers), [200]);
    assert_eq!(answers[0].body(), SDP, "what we said before");
    wire.say(within("ACK", 2, &tag));
    assert_eq!(wire.seen(), ["incoming", "confirmed"]);
    // The same number but another direction: a phone that does not count.
    let held = [SDP, b"a=sendonly\r\n"].concat();
    wire.say(within_with("INVITE", 3, &tag, "", &held));
    wire.give(Input::RefuseOffer(leg, 488));
    assert_eq!(wire.seen(), ["incoming", "confirmed", "offered"]);
}

#[test]
fn a_body_that_is_not_sdp_gets_415() {
    let mut wire = Wire::new();
    let tag = talking(&mut wire, "");
    for (number, method) in (2..).zip(["INVITE", "UPDATE"]) {
        let text = within_with(method, number, &tag, "", OTHER);
        let text = text.replace("application/sdp", "text/plain");
        let answers = wire.say(&text);
        assert_eq!(statuses(&answers), [415], "{method}");
        assert_eq!(header(&answers[0], Name::Accept), "application/sdp");
    }
    assert_eq!(wire.seen(), ["incoming", "confirmed"]);
}

#[test]
fn a_refused_re_invite_is_repeated_until_acknowledged_and_the_call_goes_on() {
    let mut wire = Wire::new();
    let tag = talking(&mut wire, "");
    let leg = first_leg(&wire);
    wire.say(within_with("INVITE", 2, &tag, "", OTHER));
    assert_eq!(statuses(&wire.give(Input::RefuseOffer(leg, 488))), [488]);
    assert_eq!(statuses(&wire.pass(600)), [488], "until acknowledged");
    let ack = within("ACK", 2, &tag).replace("z9hG4bKACK2", "z9hG4bKINVITE2");
    wire.say(&ack);
    assert!(wire.pass(5_000).is_empty());
    assert_eq!(statuses(&wire.say(within("BYE", 3, &tag))), [200]);
}

#[test]
fn a_second_offer_while_one_waits_is_put_off() {
    let mut wire = Wire::new();
    let tag = talking(&mut wire, "");
    wire.say(within_with("INVITE", 2, &tag, "", OTHER));
    for (number, method) in (3..).zip(["INVITE", "UPDATE"]) {
        let answers = wire.say(within_with(method, number, &tag, "", OTHER));
        assert_eq!(statuses(&answers), [500], "{method}");
        let seconds: u16 = header(&answers[0], Name::RetryAfter)
            .parse()
            .expect("a number");
        assert!(seconds <= 10);
    }
}

#[test]
fn an_offer_that_crosses_ours_gets_491() {
    let mut wire = Wire::new();
    let tag = talking(&mut wire, "");
    let leg = first_leg(&wire);
    let ours = wire.give(Input::Offer(leg, OURS.to_vec())).remove(0);
    assert_eq!(header(&ours, Name::CSeq), "1 INVITE");
    for (number, method) in (2..).zip(["INVITE", "UPDATE"]) {
        let answers = wire.say(within_with(method, number, &tag, "", OTHER));
        assert_eq!(statuses(&answers), [491], "{method}");
    }
    let ok = response_within(&ours, "200 OK", "", OTHER);
    let acks = wire.say(&ok);
    assert_eq!(cseqs(&acks), ["1 ACK"]);
    assert_eq!(
        acks[0].bytes(),
        wire.say(&ok)[0].bytes(),
        "each copy gets the same ACK"
    );
    assert_eq!(wire.seen(), ["incoming", "confirmed", "offer accepted"]);
}

#[test]
fn a_cancelled_re_invite_is_over_and_the_call_goes_on() {
    let mut wire = Wire::new();
    let tag = talking(&mut wire, "");
    wire.say(within_with("INVITE", 2, &tag, "", OTHER));
    let cancel = within("CANCEL", 2, &tag).replace("z9hG4bKCANCEL2", "z9hG4bKINVITE2");
    assert_eq!(statuses(&wire.say(&cancel)), [200, 487]);
    let options = within("OPTIONS", 3, &tag);
    assert_eq!(statuses(&wire.say(&options)), [200]);
    assert_eq!(
        wire.seen(),
        ["incoming", "confirmed", "offered", "withdrawn"]
    );
}

#[test]
fn an_update_is_offered_and_one_without_an_offer_is_only_a_sign_of_life() {
    let mut wire = Wire::new();
    let tag = talking(&mut wire, "");
    let leg = first_leg(&wire);
    let answers = wire.say(within("UPDATE", 2, &tag));
    assert_eq!(
        (statuses(&answers), answers[0].body()),
        (vec![200], b"".as_slice())
    );
    assert_eq!(wire.seen(), ["incoming", "confirmed"]);
    assert!(
        wire.say(within_with("UPDATE", 3, &tag, "", OTHER))
            .is_empty()
    );
    let answers = wire.give(Input::AcceptOffer(leg, OURS.to_vec()));
    assert_eq!((statuses(&answers), answers[0].body()), (vec![200], OURS));
    assert!(wire.pass(5_000).is_empty(), "nothing to acknowledge");
}

#[test]
fn a_new_contact_is_where_requests_go_from_then_on() {
    let mut wire = Wire::new();
    let tag = talking(&mut wire, "");
    let leg = first_leg(&wire);
    let lines = "Contact: <sip:new@127.0.0.1:5099>\r\n";
    wire.say(within_with("UPDATE", 2, &tag, lines, b""));
    let bye = wire.give(Input::HangUp(leg, None)).remove(0);
    assert_eq!(bye.request_uri(), b"sip:new@127.0.0.1:5099");
}

#[test]
fn a_peer_is_told_its_address_of_us_wherever_its_contact_leads() {
    let ours = address("198.51.100.1:5062");
    let peer = Peer {
        advertised: Some(ours),
        ..Peer::new(PeerId(1), udp(PEER))
    };
    let endpoint = Endpoint::new(Config::new(address(US)), vec![peer], [1; 32]);
    let mut wire = Wire::of(endpoint);
    let (leg, invite) = wire.dial();
    let elsewhere = "Contact: <sip:x@203.0.113.9:5099>\r\n";
    let rel = format!("{elsewhere}Require: 100rel\r\nRSeq: 1\r\n");
    let early = response_with(&invite, "183 Session Progress", "b", &rel, SDP);
    let mut sent = wire.say(&early);
    let ok = response_with(&invite, "200 OK", "b", elsewhere, SDP);
    sent.extend(wire.say(&ok));
    let ack = sent[1].clone();
    let theirs = request_of_callee(&ack, "INVITE", 1, elsewhere, OTHER);
    wire.say_from("203.0.113.9:5099", theirs.as_bytes());
    let answer = wire.give(Input::AcceptOffer(leg, OURS.to_vec())).remove(0);
    assert_eq!(header(&answer, Name::Contact), format!("<sip:{ours}>"));
    wire.say(request_of_callee(&ack, "ACK", 1, "", b""));
    sent.extend(wire.give(Input::Offer(leg, SDP.to_vec())));
    assert_eq!(header(&sent[2], Name::Contact), format!("<sip:{ours}>"));
    let ok = response_within(&sent[2], "200 OK", "", OTHER);
    sent.extend(wire.say(&ok));
    sent.extend(wire.give(Input::HangUp(leg, None)));
    let expected = ["2 PRACK", "1 ACK", "3 INVITE", "3 ACK", "4 BYE"];
    assert_eq!(cseqs(&sent), expected);
    for request in &sent {
        let via = header(request, Name::Via);
        assert!(via.starts_with(&format!("SIP/2.0/UDP {ours};")), "{via}");
    }
}

#[test]
fn a_re_invite_that_finds_no_call_ends_it() {
    let mut wire = Wire::new();
    talking(&mut wire, "");
    let leg = first_leg(&wire);
    let ours = wire.give(Input::Offer(leg, OURS.to_vec())).remove(0);
    let gone = response_within(&ours, "481 Call Does Not Exist", "", b"");
    assert_eq!(cseqs(&wire.say(&gone)), ["1 ACK"]);
    assert_eq!(wire.seen(), ["incoming", "confirmed", "ended silent"]);
    wire.pass(40_000);
    assert!(wire.endpoint.is_idle());
}

#[test]
fn a_re_invite_that_is_only_answered_provisionally_is_given_up() {
    let mut wire = Wire::new();
    talking(&mut wire, "");
    let leg = first_leg(&wire);
    let ours = wire.give(Input::Offer(leg, OURS.to_vec())).remove(0);
    wire.say(response_within(&ours, "100 Trying", "", b""));
    wire.pass(64_100);
    assert_eq!(wire.seen(), ["incoming", "confirmed", "offer refused 408"]);
    wire.give(Input::HangUp(leg, None));
    wire.pass(60_000);
    assert!(wire.endpoint.is_idle());
}

#[test]
fn a_success_that_crosses_our_bye_is_still_acknowledged() {
    let mut wire = Wire::new();
    talking(&mut wire, "");
    let leg = first_leg(&wire);
    let ours = wire.give(Input::Offer(leg, OURS.to_vec())).remove(0);
    let bye = wire.give(Input::HangUp(leg, None)).remove(0);
    wire.say(response_within(&bye, "200 OK", "", b""));
    let acks = wire.say(response_within(&ours, "200 OK", "", OTHER));
    assert_eq!(cseqs(&acks), ["1 ACK"], "and no BYE, as for a fork");
    wire.pass(60_000);
    assert!(wire.endpoint.is_idle());
}

#[test]
fn keys_by_info_are_told_and_other_info_is_refused() {
    let mut wire = Wire::new();
    let tag = talking(&mut wire, "");
    let info = |number, lines: &str, kind: &str| {
        within_with("INFO", number, &tag, lines, b"Signal=1\r\nDuration=100\r\n")
            .replace("application/sdp", kind)
    };
    let rows = [
        (info(2, "", "Application/DTMF-Relay; x=y"), 200),
        (info(3, "", "application/dtmf"), 200),
        (info(4, "", "application/media_control+xml"), 415),
        (info(5, "Info-Package: x\r\n", "application/dtmf"), 469),
        (within("INFO", 6, &tag), 200),
    ];
    for (text, status) in &rows {
        assert_eq!(statuses(&wire.say(text)), [*status], "{text}");
    }
    assert_eq!(wire.seen(), ["incoming", "confirmed", "info", "info"]);
    let Event::Info { content_type, .. } = &wire.events[2] else {
        panic!("a key")
    };
    assert_eq!(content_type, b"application/dtmf-relay");
}

#[test]
fn an_offer_that_is_challenged_is_authenticated_and_goes_on() {
    let credentials = maskline_sip::digest::Credentials {
        username: "alice".into(),
        password: "secret".into(),
    };
    let peer = Peer {
        credentials: Some(credentials),
        ..Peer::new(PeerId(1), udp(PEER))
    };
    let mut wire = Wire::with_peers(vec![peer]);
    talking(&mut wire, "");
    let leg = first_leg(&wire);
    let ours = wire.give(Input::Offer(leg, OURS.to_vec())).remove(0);
    let lines = "WWW-Authenticate: Digest realm=\"r\", nonce=\"n\", algorithm=SHA-256\r\n";
    let asked = response_within(&ours, "401 Unauthorized", lines, b"");
    let sent = wire.say(&asked);
    assert_eq!(cseqs(&sent), ["1 ACK", "2 INVITE"]);
    assert!(sent[1].header(Name::Authorization).is_some());
    let acks = wire.say(response_within(&sent[1], "200 OK", "", OTHER));
    assert_eq!(cseqs(&acks), ["2 ACK"]);
    assert_eq!(
        acks[0].header(Name::Authorization),
        sent[1].header(Name::Authorization)
    );
    assert_eq!(wire.seen(), ["incoming", "confirmed", "offer accepted"]);
}
