//! From where messages of a call are believed: every kind of them, from every place that might send it.

use maskline_fixtures::sip::{
    INVITE, OTHER, PEER, SDP, Wire, address, first_leg, header, invite_with, name, response,
    response_with, statuses, to_tag, udp, within, within_with,
};
use maskline_sip::endpoint::{Event, Input, Peer, PeerId};
use maskline_sip::hop::Hop;
use maskline_sip::message::Message;

const SOURCE: &str = "127.0.0.2:5070";
const OTHER_TRUNK: &str = "127.0.0.3:5070";
const SECURE: &str = "127.0.0.4:5061";
const ROUTE: &str = "127.0.0.7:5060";
const UNKNOWN_SOURCE: &str = "127.0.0.9:5070";

fn wire() -> Wire {
    let trunk = Peer {
        sources: vec![address(SOURCE).ip()],
        ..Peer::new(PeerId(1), udp(PEER))
    };
    let peers = vec![
        trunk,
        Peer::new(PeerId(2), udp(OTHER_TRUNK)),
        Peer::new(PeerId(3), Hop::tls(address(SECURE))),
    ];
    Wire::with_peers(peers)
}

fn say(wire: &mut Wire, from: Hop, text: &str) -> Vec<Message> {
    wire.give(Input::Datagram {
        from,
        bytes: text.as_bytes(),
    })
}

/// What happened to a call since the last time.
fn heard(wire: &mut Wire) -> Vec<String> {
    let events = std::mem::take(&mut wire.events);
    let of_calls = |event: &&Event| !matches!(event, Event::UnknownSource { .. });
    events.iter().filter(of_calls).map(name).collect()
}

/// Where a message comes from, and whether it is believed. What is not is answered with the status.
fn places() -> [(&'static str, Hop, Option<u16>); 10] {
    [
        ("the same address and port", udp(PEER), None),
        ("another port of it", udp("127.0.0.1:9"), None),
        ("the other of a pair", udp(SOURCE), None),
        ("it by TCP", Hop::tcp(address("127.0.0.1:41000")), None),
        (
            "the other by TCP",
            Hop::tcp(address("127.0.0.2:41000")),
            None,
        ),
        ("it by TLS", Hop::tls(address("127.0.0.1:41000")), None),
        ("a stranger", udp(UNKNOWN_SOURCE), Some(403)),
        (
            "a stranger by TCP",
            Hop::tcp(address(UNKNOWN_SOURCE)),
            Some(403),
        ),
        ("another trunk", udp(OTHER_TRUNK), Some(481)),
        (
            "another trunk by TCP",
            Hop::tcp(address(OTHER_TRUNK)),
            Some(481),
        ),
    ]
}

/// A method, header lines, SDP; the statuses and the events that follow.
type Row<'a> = (&'a str, &'a str, &'a [u8], &'a [u16], &'a [&'a str]);

#[test]
fn requests_within_a_dialog_are_believed_from_its_peer_alone() {
    #[rustfmt::skip]
    let requests: [Row<'_>; 5] = [
        ("BYE", "", b"", &[200], &["ended"]),
        ("INVITE", "", OTHER, &[100], &["offered"]),
        ("UPDATE", "", OTHER, &[], &["offered"]),
        ("INFO", "Content-Type: application/dtmf\r\n", b"", &[200], &[]),
        ("OPTIONS", "", b"", &[200], &[]),
    ];
    for (method, lines, sdp, answers, events) in requests {
        for (what, from, refused) in places() {
            let mut wire = wire();
            let tag = wire.talking();
            heard(&mut wire);
            let text = within_with(method, 2, &tag, lines, sdp);
            let got = statuses(&say(&mut wire, from, &text));
            let told = heard(&mut wire);
            match refused {
                None => {
                    assert_eq!(got, answers, "{method} from {what}");
                    assert_eq!(told, events, "{method} from {what}");
                }
                Some(status) => {
                    assert_eq!(got, [status], "{method} from {what}");
                    assert!(told.is_empty(), "{method} from {what}: {told:?}");
                    // The call goes on: its peer has its number still.
                    let bye = within("BYE", 2, &tag);
                    assert_eq!(statuses(&wire.say(&bye)), [200], "{method} from {what}");
                }
            }
        }
    }
}

#[test]
fn ack_cancel_and_prack_are_believed_from_the_peer_alone() {
    for (what, from, refused) in places() {
        // An ACK that brings the answer to our offer says where the sound goes.
        let mut call = wire();
        call.say(invite_with("", b""));
        let leg = first_leg(&call);
        let ok = call.give(Input::Answer(leg, SDP.to_vec()));
        let ack = within_with("ACK", 1, &to_tag(&ok[0]), "", OTHER);
        heard(&mut call);
        assert!(
            say(&mut call, from, &ack).is_empty(),
            "an ACK is not answered"
        );
        let confirmed = heard(&mut call) == ["confirmed"];
        assert_eq!(confirmed, refused.is_none(), "ACK from {what}");

        let mut call = wire();
        call.incoming();
        heard(&mut call);
        let cancel = INVITE
            .replacen("INVITE", "CANCEL", 1)
            .replace("1 INVITE", "1 CANCEL");
        let answers = statuses(&say(&mut call, from, &cancel));
        let told = heard(&mut call);
        match refused {
            None => assert_eq!(
                (answers, told),
                (vec![200, 487], vec!["cancelled".to_owned()]),
                "{what}"
            ),
            Some(status) => assert_eq!(
                (answers, told),
                (vec![status], vec![]),
                "CANCEL from {what}"
            ),
        }

        let mut call = wire();
        call.say(invite_with("Supported: 100rel\r\n", SDP));
        let leg = first_leg(&call);
        let ringing = call.give(Input::Progress(leg, 183, Some(SDP.to_vec())));
        let rseq = header(&ringing[0], maskline_sip::message::Name::RSeq);
        let lines = format!("RAck: {rseq} 1 INVITE\r\n");
        let prack = within_with("PRACK", 2, &to_tag(&ringing[0]), &lines, b"");
        let answers = statuses(&say(&mut call, from, &prack));
        assert_eq!(answers, [refused.unwrap_or(200)], "PRACK from {what}");
    }
}

#[test]
fn cancel_and_ack_must_have_every_id() {
    let cancel = INVITE
        .replacen("INVITE", "CANCEL", 1)
        .replace("1 INVITE", "1 CANCEL");
    let rows = [
        ("Call-ID: call", "Call-ID: other"),
        (";tag=a", ";tag=b"),
        (";tag=a", ""),
        ("CSeq: 1 ", "CSeq: 2 "),
        (
            "To: <sip:17000000001@127.0.0.1:5060>",
            "To: <sip:17000000001@127.0.0.1:5060>;tag=x",
        ),
        ("branch=z9hG4bK1", "branch=z9hG4bK2"),
        ("127.0.0.1:5070;branch", "127.0.0.1:5071;branch"),
    ];
    for (right, wrong) in rows {
        assert!(cancel.contains(right), "{right}");
        let mut call = wire();
        call.incoming();
        let answers = call.say(cancel.replacen(right, wrong, 1));
        assert_eq!(statuses(&answers), [481], "CANCEL with {wrong}");
        assert_eq!(heard(&mut call), ["incoming"], "CANCEL with {wrong}");
        assert_eq!(statuses(&call.say(&cancel)), [200, 487]);
    }
    // The ACK of a failure: with another id the failure is sent again.
    let rows = [
        ("Call-ID: call", "Call-ID: other"),
        (";tag=a", ";tag=b"),
        ("CSeq: 1 ", "CSeq: 2 "),
        (";tag=TAG", ";tag=0123456789abcdef"),
        (";tag=TAG", ""),
    ];
    for (right, wrong) in rows {
        let mut call = wire();
        let leg = call.incoming();
        let busy = maskline_sip::endpoint::Refusal {
            status: 486,
            cause: None,
        };
        let refused = call.give(Input::Refuse(leg, busy));
        let tag = to_tag(&refused[0]);
        let ack = within("ACK", 1, "TAG").replace("z9hG4bKACK1", "z9hG4bK1");
        let forged = ack.replacen(right, wrong, 1).replace("TAG", &tag);
        call.say(&forged);
        assert_eq!(statuses(&call.pass(600)), [486], "ACK with {wrong}");
        call.say(ack.replace("TAG", &tag));
        assert!(call.pass(5_000).is_empty(), "ACK with {wrong}");
    }
    // The ACK of a success.
    for (right, wrong) in [
        ("Call-ID: call", "Call-ID: other"),
        (";tag=a", ";tag=b"),
        ("CSeq: 1 ", "CSeq: 2 "),
    ] {
        let mut call = wire();
        let leg = call.incoming();
        let ok = call.give(Input::Answer(leg, SDP.to_vec()));
        let ack = within("ACK", 1, &to_tag(&ok[0]));
        call.say(ack.replacen(right, wrong, 1));
        assert_eq!(heard(&mut call), ["incoming"], "ACK with {wrong}");
    }
}

#[test]
fn forged_tags_find_no_call() {
    let rows = [
        ("Call-ID: call", "Call-ID: other"),
        (";tag=a", ";tag=b"),
        (";tag=a", ""),
        (";tag=TAG", ";tag=0123456789abcdef"),
        (";tag=TAG", ";tag=x"),
    ];
    for (right, wrong) in rows {
        let mut call = wire();
        let tag = call.talking();
        let bye = within("BYE", 2, "TAG")
            .replacen(right, wrong, 1)
            .replace("TAG", &tag);
        assert_eq!(statuses(&call.say(&bye)), [481], "{wrong}");
        assert_eq!(heard(&mut call), ["incoming", "confirmed"], "{wrong}");
    }
}

#[test]
fn proxies_on_the_way_are_believed_and_contacts_where_there_is_none() {
    let route = "Record-Route: <sip:127.0.0.7:5060;lr>, <sip:127.0.0.8;lr>\r\n";
    let contact = "127.0.0.6:5070";
    let rows = [
        ("the nearest proxy", route, ROUTE, true),
        ("a proxy behind it", route, "127.0.0.8:5060", false),
        ("the phone behind a proxy", route, contact, false),
        ("the phone without a proxy", "", contact, true),
        ("a proxy that did not say so", "", ROUTE, false),
    ];
    for (what, lines, from, is_believed) in rows {
        let mut call = wire();
        let invite = invite_with(lines, SDP)
            .replace("13800000000@127.0.0.1:5070", "13800000000@127.0.0.6:5070");
        call.say(&invite);
        let leg = first_leg(&call);
        let tag = to_tag(&call.give(Input::Answer(leg, SDP.to_vec()))[0]);
        let ack = within("ACK", 1, &tag);
        call.say_from(from, ack.as_bytes());
        let bye = within("BYE", 2, &tag);
        let answers = statuses(&call.say_from(from, bye.as_bytes()));
        let (status, told): (u16, &[&str]) = match is_believed {
            true => (200, &["incoming", "confirmed", "ended"]),
            false => (403, &["incoming"]),
        };
        assert_eq!(answers, [status], "{what}");
        assert_eq!(heard(&mut call), told, "{what}");
    }
}

#[test]
fn a_re_invite_of_a_stranger_moves_nothing() {
    let mut call = wire();
    let tag = call.talking();
    let leg = first_leg(&call);
    let forged = within_with(
        "INVITE",
        2,
        &tag,
        "Contact: <sip:x@127.0.0.9:5070>\r\n",
        OTHER,
    );
    call.say_from(UNKNOWN_SOURCE, forged.as_bytes());
    call.give(Input::HangUp(leg, None));
    let mut sent = Vec::new();
    call.endpoint.handle_input(Input::Timeout, call.now);
    sent.extend(call.drain());
    assert!(
        sent.iter()
            .all(|(to, _)| to.address != address(UNKNOWN_SOURCE))
    );
    assert_eq!(call.endpoint.counts().unknown_sources, 1);
}

#[test]
fn what_began_within_tls_stays_there() {
    let secure = Hop::tls(address("127.0.0.4:41000"));
    let rows = [
        ("the same connection", secure, true),
        ("another one", Hop::tls(address("127.0.0.4:41001")), true),
        ("a datagram", udp("127.0.0.4:5061"), false),
        (
            "a plain stream",
            Hop::tcp(address("127.0.0.4:41002")),
            false,
        ),
        ("another trunk", udp(PEER), false),
    ];
    for (what, from, is_believed) in rows {
        let mut call = wire();
        say(&mut call, secure, INVITE);
        let leg = first_leg(&call);
        let tag = to_tag(&call.give(Input::Answer(leg, SDP.to_vec()))[0]);
        say(&mut call, secure, &within("ACK", 1, &tag));
        heard(&mut call);
        let answers = statuses(&say(&mut call, from, &within("BYE", 2, &tag)));
        assert_eq!(answers == [200], is_believed, "{what}: {answers:?}");
        assert_eq!(heard(&mut call) == ["ended"], is_believed, "{what}");
    }
}

#[test]
fn responses_are_believed_from_the_peer_alone() {
    for (what, from, refused) in places() {
        let mut call = wire();
        let (_, invite) = call.dial();
        let lines = "Contact: <sip:x@127.0.0.1:5070>\r\n";
        let ok = response_with(&invite, "200 OK", "b", lines, SDP);
        let acks = say(&mut call, from, &ok);
        let answered = heard(&mut call) == ["answered"];
        assert_eq!(answered, refused.is_none(), "200 from {what}");
        assert_eq!(acks.len(), usize::from(answered), "200 from {what}");
        if refused.is_some() {
            assert_eq!(call.endpoint.counts().stray_responses, 1);
            let busy = response(&invite, "486 Busy", "b", "");
            assert!(say(&mut call, from, &busy).is_empty(), "486 from {what}");
            assert!(heard(&mut call).is_empty(), "486 from {what}");
            call.say(&ok);
            assert_eq!(
                heard(&mut call),
                ["answered"],
                "the call goes on after {what}"
            );
        }
    }
}

#[test]
fn copies_of_a_request_are_answered_for_its_sender_alone() {
    let mut call = wire();
    let tag = call.talking();
    let info = within("INFO", 2, &tag);
    assert_eq!(statuses(&call.say(&info)), [200]);
    assert_eq!(statuses(&call.say(&info)), [200]);
    assert_eq!(statuses(&call.say_from(SOURCE, info.as_bytes())), [200]);
    assert_eq!(
        statuses(&call.say_from(UNKNOWN_SOURCE, info.as_bytes())),
        [403]
    );
    assert_eq!(
        statuses(&call.say_from(OTHER_TRUNK, info.as_bytes())),
        [481]
    );
}

#[test]
fn a_call_outlives_its_trunk_but_is_nobody_elses() {
    let mut call = wire();
    let tag = call.talking();
    call.endpoint
        .set_peers(vec![Peer::new(PeerId(2), udp(OTHER_TRUNK))]);
    for (from, status) in [(UNKNOWN_SOURCE, 403), (OTHER_TRUNK, 481), (SOURCE, 200)] {
        let bye = within("BYE", 2, &tag);
        assert_eq!(
            statuses(&call.say_from(from, bye.as_bytes())),
            [status],
            "{from}"
        );
    }
    assert!(matches!(call.events.last(), Some(Event::Ended { .. })));
}

/// A trunk with a name is looked up again while calls with it last.
#[test]
fn a_trunk_that_moves_in_mid_call_is_believed_where_it_is_and_where_the_call_began() {
    const MOVED: &str = "127.0.0.5:5070";
    const AGAIN: &str = "127.0.0.6:5070";
    // Where it is found, one time after the other; from where a BYE comes then, and its answer.
    type Row<'a> = (&'a [&'a [&'a str]], &'a str, u16);
    let rows: [Row<'_>; 14] = [
        (&[&[MOVED]], MOVED, 200),
        (&[&[MOVED]], "127.0.0.5:9", 200),
        (&[&[MOVED]], PEER, 200),
        // One of its sources when the call began.
        (&[&[MOVED]], SOURCE, 200),
        (&[&[MOVED]], AGAIN, 403),
        (&[&[MOVED]], OTHER_TRUNK, 481),
        (&[&[MOVED, AGAIN]], AGAIN, 200),
        (&[&[MOVED], &[AGAIN]], AGAIN, 200),
        (&[&[MOVED], &[AGAIN]], PEER, 200),
        // Where it was only meanwhile.
        (&[&[MOVED], &[AGAIN]], MOVED, 403),
        (&[&[MOVED], &[PEER]], MOVED, 403),
        (&[&[MOVED], &[]], PEER, 200),
        (&[&[MOVED], &[]], MOVED, 403),
        (&[&[MOVED], &[MOVED]], UNKNOWN_SOURCE, 403),
    ];
    for (moves, from, status) in rows {
        let mut call = wire();
        let tag = call.talking();
        for places in moves {
            let other = Peer::new(PeerId(2), udp(OTHER_TRUNK));
            let mut hops = places.iter().map(|place| udp(place));
            let moved = hops.next().map(|hop| Peer {
                fallbacks: hops.collect(),
                ..Peer::new(PeerId(1), hop)
            });
            call.endpoint
                .set_peers(moved.into_iter().chain([other]).collect());
        }
        let bye = within("BYE", 2, &tag);
        let got = statuses(&call.say_from(from, bye.as_bytes()));
        assert_eq!(got, [status], "{moves:?} {from}");
        let is_over = matches!(call.events.last(), Some(Event::Ended { .. }));
        assert_eq!(is_over, status == 200, "{moves:?} {from}");
    }
}
