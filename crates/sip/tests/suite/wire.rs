//! What carriers and scanners really send, request by request, and what the RFC wants answered.

use maskline_fixtures::sip::{
    INVITE, PEER, SDP, Wire, at, header, invite_with, response, statuses, to_tag, udp, with,
    within, within_with,
};
use maskline_sip::endpoint::{Event, Input};
use maskline_sip::message::Name;

/// Each row is a test: these bytes make a call.
macro_rules! opens_a_call {
    ($($name:ident: $bytes:expr;)*) => {$(
        #[test]
        fn $name() {
            let bytes: Vec<u8> = $bytes.into();
            let mut wire = Wire::new();
            assert_eq!(statuses(&wire.say(&bytes)), [100]);
            assert_eq!(wire.seen(), ["incoming"]);
        }
    )*};
}

/// Each row is a test: this request gets this status, leaves nothing behind, and a copy gets the same answer.
macro_rules! refused {
    ($($name:ident: $text:expr => $status:literal;)*) => {$(
        #[test]
        fn $name() {
            let text: String = $text;
            let mut wire = Wire::new();
            let answers = wire.say(&text);
            assert_eq!(statuses(&answers), [$status]);
            assert!(wire.events.is_empty() && wire.endpoint.is_idle());
            let again = wire.say(&text);
            assert_eq!(to_tag(&again[0]), to_tag(&answers[0]));
        }
    )*};
}

fn as_method(method: &str) -> String {
    with("INVITE sip", &format!("{method} sip")).replace("1 INVITE", &format!("1 {method}"))
}

/// A display name in GBK, which is not UTF-8.
fn gbk() -> Vec<u8> {
    let at = INVITE.find("<sip:138").expect("it is there");
    let (before, after) = INVITE.as_bytes().split_at(at);
    [before, b"\"\xcd\xf5\" ", after].concat()
}

opens_a_call! {
    a_plain_invite: INVITE;
    an_invite_without_content_length: with("Content-Length: 12\r\n", "");
    a_display_name_in_gbk: gbk();
    a_from_without_tag: with(";tag=a", "");
    line_breaks_before_the_request_line: format!("\r\n\r\n{INVITE}");
    a_tel_request_uri: with("sip:17000000001@127.0.0.1:5060 SIP", "tel:+8617000000001 SIP");
    an_invite_without_a_body: invite_with("", b"");
    a_branch_without_the_magic_cookie: with("z9hG4bK1", "1");
    a_last_hop: with("Max-Forwards: 70", "Max-Forwards: 1");
    a_required_extension_that_we_have: with("Max", "Require: 100rel\r\nMax");
}

refused! {
    an_unknown_method_gets_501: as_method("JUMP") => 501;
    a_known_method_that_we_lack_gets_405: as_method("PUBLISH") => 405;
    a_bye_to_nothing_gets_481: as_method("BYE") => 481;
    a_cancel_of_nothing_gets_481: as_method("CANCEL") => 481;
    an_update_of_nothing_gets_481: as_method("UPDATE") => 481;
    a_prack_of_nothing_gets_481: as_method("PRACK") => 481;
    an_info_to_nothing_gets_481: as_method("INFO") => 481;
    an_unknown_dialog_gets_481: with("060>\r\nCall", "060>;tag=x\r\nCall") => 481;
    a_cseq_of_another_method_gets_400: with("1 INVITE", "1 BYE") => 400;
    a_wrong_version_gets_505: with("SIP/2.0\r\nVia", "SIP/7.0\r\nVia") => 505;
    max_forwards_0_gets_483: with("Max-Forwards: 70", "Max-Forwards: 0") => 483;
    an_unknown_extension_gets_420: with("Max", "Require: 100rel, x\r\nMax") => 420;
    an_unknown_scheme_gets_416: with("INVITE sip:", "INVITE nobody:") => 416;
    an_unknown_body_gets_415: with("application/sdp", "text/plain") => 415;
    a_body_without_a_type_gets_415: with("Content-Type: application/sdp\r\n", "") => 415;
    a_body_of_parts_without_sdp_gets_415: with("application/sdp", "multipart/mixed;boundary=x") => 415;
    a_packed_body_gets_415: with("Max", "Content-Encoding: gzip\r\nMax") => 415;
    a_body_that_is_cut_off_gets_400: with("Length: 12", "Length: 13") => 400;
    no_call_id_gets_400: with("Call-ID: call\r\n", "") => 400;
    two_from_get_400: with("To:", "From: <sip:a@b>;tag=b\r\nTo:") => 400;
}

#[test]
fn what_is_kept_of_an_invite_without_content_length_and_with_gbk_bytes() {
    let mut wire = Wire::new();
    let text = String::from_utf8_lossy(&gbk()).into_owned();
    assert!(text.contains('\u{fffd}'), "it is not UTF-8");
    let bytes = gbk();
    let at = bytes
        .windows(16)
        .position(|part| part == b"Content-Length: ")
        .expect("it is there");
    let bytes = [&bytes[..at], &bytes[at + 20..]].concat();
    wire.say(&bytes);
    let Some(Event::Incoming { invite, .. }) = wire.events.last() else {
        panic!("no call")
    };
    assert_eq!(invite.body(), b"v=0\r\no=- 1 1");
    let from = invite.header(Name::From).expect("it is not lost");
    assert!(from.starts_with(b"\"\xcd\xf5\" <sip:"));
    assert_eq!(
        invite.header(Name::CallId),
        Some(b"call".as_slice()),
        "nor what follows"
    );
}

#[test]
fn only_the_unknown_extensions_are_named() {
    let mut wire = Wire::new();
    let text = with("Max", "Require: 100rel, x, timer, y\r\nMax");
    let answers = wire.say(&text);
    assert_eq!(header(&answers[0], Name::Unsupported), "x, y");
}

#[test]
fn a_lost_bye_is_repeated_at_growing_intervals() {
    let mut wire = Wire::new();
    wire.talking();
    let Some(Event::Incoming { leg, .. }) = wire.events.first() else {
        panic!("no call")
    };
    let leg = *leg;
    let mut times = vec![0];
    wire.give(Input::HangUp(leg, None));
    for tenth in 1..330 {
        times.extend(wire.pass(100).iter().map(|_| tenth * 100));
    }
    let expected = [
        0, 500, 1_500, 3_500, 7_500, 11_500, 15_500, 19_500, 23_500, 27_500, 31_500,
    ];
    assert_eq!(times, expected);
    wire.pass(60_000);
    assert!(wire.endpoint.is_idle());
}

#[test]
fn an_answer_whose_ack_is_lost_is_repeated_at_growing_intervals() {
    let mut wire = Wire::new();
    let leg = wire.incoming();
    let mut times = vec![0];
    wire.give(Input::Answer(leg, SDP.to_vec()));
    for tenth in 1..=120 {
        times.extend(wire.pass(100).iter().map(|_| tenth * 100));
    }
    assert_eq!(times, [0, 500, 1_500, 3_500, 7_500, 11_500]);
}

#[test]
fn a_success_that_is_repeated_gets_its_ack_again() {
    let mut wire = Wire::new();
    let (_, invite) = wire.dial();
    let ok = response(
        &invite,
        "200 OK",
        "b",
        "Contact: <sip:x@127.0.0.1:5071>\r\n",
    );
    let first = wire.say(&ok);
    wire.pass(3_000);
    let again = wire.say(&ok);
    assert_eq!(first[0].bytes(), again[0].bytes());
    assert_eq!(wire.seen(), ["answered"]);
}

#[test]
fn early_media_has_a_to_tag() {
    let mut wire = Wire::new();
    let leg = wire.incoming();
    let early = wire.give(Input::Progress(leg, 183, Some(SDP.to_vec())));
    assert_eq!(early[0].body(), SDP);
    let answer = wire.give(Input::Answer(leg, SDP.to_vec()));
    assert!(!to_tag(&early[0]).is_empty());
    assert_eq!(to_tag(&early[0]), to_tag(&answer[0]), "of the same dialog");
}

#[test]
fn a_bye_that_skips_numbers_ends_the_call() {
    let mut wire = Wire::new();
    let tag = wire.talking();
    assert_eq!(statuses(&wire.say(within("BYE", 5, &tag))), [200]);
    assert_eq!(wire.seen(), ["incoming", "confirmed", "ended"]);
}

#[test]
fn a_reason_in_words_of_sip_counts_as_a_cause() {
    let mut wire = Wire::new();
    let tag = wire.talking();
    let lines = "Reason: SIP;cause=486;text=\"Busy, sorry\"\r\n";
    wire.say(within_with("BYE", 2, &tag, lines, b""));
    assert!(matches!(
        wire.events.last(),
        Some(Event::Ended {
            cause: Some(17),
            ..
        })
    ));
}

#[test]
fn that_the_invite_has_arrived_is_told_once() {
    let mut wire = Wire::new();
    let (leg, invite) = wire.dial();
    let trying = response(&invite, "100 Trying", "b", "").replace(";tag=b", "");
    for _ in 0..3 {
        assert!(wire.say(&trying).is_empty());
    }
    assert_eq!(wire.seen(), ["trying"]);
    wire.give(Input::HangUp(leg, None));
    let mut wire = Wire::new();
    let (leg, invite) = wire.dial();
    wire.give(Input::HangUp(leg, None));
    let trying = response(&invite, "100 Trying", "b", "");
    assert_eq!(wire.say(&trying)[0].method_text(), b"CANCEL");
    assert!(wire.seen().is_empty(), "nobody waits for it any more");
}

#[test]
fn every_provisional_response_is_told_in_turn() {
    let mut wire = Wire::new();
    let (_, invite) = wire.dial();
    for status in [
        "100 Trying",
        "181 Forwarded",
        "182 Queued",
        "180 Ringing",
        "183 Progress",
    ] {
        assert!(wire.say(response(&invite, status, "b", "")).is_empty());
    }
    assert_eq!(
        wire.seen(),
        [
            "trying",
            "progress 181",
            "progress 182",
            "progress 180",
            "progress 183"
        ]
    );
}

#[test]
fn a_copy_of_the_invite_gets_the_last_answer_and_makes_no_second_call() {
    let mut wire = Wire::new();
    let leg = wire.incoming();
    wire.give(Input::Progress(leg, 183, Some(SDP.to_vec())));
    let copy = wire.say(INVITE);
    assert_eq!(statuses(&copy), [183]);
    assert!(!to_tag(&copy[0]).is_empty(), "an early dialog has a tag");
    let tag = to_tag(&wire.give(Input::Answer(leg, SDP.to_vec()))[0]);
    wire.say(within("ACK", 1, &tag));
    assert!(wire.say(INVITE).is_empty(), "after the ACK it is absorbed");
    assert_eq!(wire.seen(), ["incoming", "confirmed"]);
}

#[test]
fn the_same_invite_by_another_path_is_a_loop() {
    let mut wire = Wire::new();
    wire.incoming();
    assert_eq!(statuses(&wire.say(with("z9hG4bK1", "z9hG4bK2"))), [482]);
}

#[test]
fn numbers_may_skip_but_not_go_back() {
    let mut wire = Wire::new();
    let tag = wire.talking();
    assert_eq!(statuses(&wire.say(within("OPTIONS", 5, &tag))), [200]);
    assert_eq!(
        statuses(&wire.say(within("OPTIONS", 5, &tag))),
        [200],
        "a copy is a copy"
    );
    assert_eq!(statuses(&wire.say(within("OPTIONS", 4, &tag))), [500]);
    assert_eq!(statuses(&wire.say(within("BYE", 9, &tag))), [200]);
    assert_eq!(
        statuses(&wire.say(within("BYE", 9, &tag))),
        [200],
        "a copy is a copy, even now"
    );
    assert_eq!(wire.seen(), ["incoming", "confirmed", "ended"]);
    assert_eq!(
        statuses(&wire.say(within("BYE", 10, &tag))),
        [481],
        "another BYE finds no call"
    );
}

#[test]
fn every_request_in_an_early_dialog_is_answered() {
    let mut wire = Wire::new();
    let leg = wire.incoming();
    let tag = to_tag(&wire.give(Input::Progress(leg, 180, None))[0]);
    let rows = [
        ("UPDATE", 200),
        ("INFO", 200),
        ("OPTIONS", 200),
        ("INVITE", 500),
        ("JUMP", 501),
        ("PRACK", 481),
        ("REFER", 405),
        ("MESSAGE", 405),
        ("NOTIFY", 405),
    ];
    for (number, (method, status)) in (2..).zip(rows) {
        assert_eq!(
            statuses(&wire.say(within(method, number, &tag))),
            [status],
            "{method}"
        );
    }
    assert_eq!(
        statuses(&wire.say(within("BYE", 20, &tag))),
        [200, 487],
        "the caller may say BYE"
    );
    assert_eq!(wire.seen(), ["incoming", "cancelled"]);
}

#[test]
fn a_cancel_ends_the_ringing_once() {
    let mut wire = Wire::new();
    let leg = wire.incoming();
    let ringing = wire.give(Input::Progress(leg, 180, None));
    let cancel = with("INVITE sip", "CANCEL sip").replace("1 INVITE", "1 CANCEL");
    let cancel = cancel
        .split("Content-Type")
        .next()
        .expect("there is a first part")
        .to_owned()
        + "\r\n";
    let answers = wire.say(&cancel);
    assert_eq!(statuses(&answers), [200, 487]);
    assert_eq!(
        to_tag(&answers[0]),
        to_tag(&ringing[0]),
        "all answers have the tag of the call"
    );
    assert_eq!(statuses(&wire.say(&cancel)), [200]);
    assert_eq!(wire.seen(), ["incoming", "cancelled"]);
    assert!(
        wire.give(Input::Answer(leg, SDP.to_vec())).is_empty(),
        "too late to answer"
    );
}

#[test]
fn our_invite_says_only_what_it_must() {
    let mut wire = Wire::new();
    let (_, invite) = wire.dial();
    let names: Vec<String> = invite
        .all_headers()
        .map(|(label, _)| String::from_utf8_lossy(label).into_owned())
        .collect();
    let expected = [
        "Via",
        "Max-Forwards",
        "From",
        "To",
        "Call-ID",
        "CSeq",
        "Contact",
        "Allow",
        "Supported",
        "Session-Expires",
        "Content-Type",
        "Content-Length",
    ];
    assert_eq!(names, expected);
    assert_eq!(header(&invite, Name::Contact), "<sip:127.0.0.1:5060>");
    assert_eq!(header(&invite, Name::MaxForwards), "69");
    assert!(header(&invite, Name::From).starts_with("<sip:17000000001@127.0.0.1:5060>;tag="));
}

#[test]
fn the_cancel_and_the_ack_of_a_failure_have_the_branch_of_the_invite() {
    let mut wire = Wire::new();
    let (leg, invite) = wire.dial();
    wire.say(response(&invite, "180 Ringing", "b", ""));
    let cancel = wire.give(Input::HangUp(leg, Some(16))).remove(0);
    assert_eq!(
        (header(&cancel, Name::Via), header(&cancel, Name::CSeq)),
        (header(&invite, Name::Via), "1 CANCEL")
    );
    assert_eq!(header(&cancel, Name::Reason), "Q.850;cause=16");
    let ack = wire
        .say(response(&invite, "487 Request Terminated", "b", "").as_bytes())
        .remove(0);
    assert_eq!(
        (header(&ack, Name::Via), header(&ack, Name::CSeq)),
        (header(&invite, Name::Via), "1 ACK")
    );
    assert_eq!(to_tag(&ack), "b");
    let again = wire.say(response(&invite, "487 Request Terminated", "b", ""));
    assert_eq!(
        header(&again[0], Name::CSeq),
        "1 ACK",
        "each copy gets its ACK"
    );
}

#[test]
fn a_second_answer_from_a_fork_is_acknowledged_and_ended() {
    let mut wire = Wire::new();
    let (_, invite) = wire.dial();
    let ok = |tag: &str, port: u16| {
        response(
            &invite,
            "200 OK",
            tag,
            &format!("Contact: <sip:x@127.0.0.1:{port}>\r\n"),
        )
    };
    let first = wire.say(ok("one", 5071));
    assert_eq!(first[0].request_uri(), b"sip:x@127.0.0.1:5071");
    let again = wire.say(ok("one", 5071));
    assert_eq!(
        again[0].bytes(),
        first[0].bytes(),
        "the same ACK for a copy"
    );
    let fork = wire.say(ok("two", 5072));
    let cseqs: Vec<&str> = fork
        .iter()
        .map(|message| header(message, Name::CSeq))
        .collect();
    assert_eq!(cseqs, ["1 ACK", "2 BYE"]);
    assert!(header(&fork[1], Name::Reason).starts_with("SIP;cause=200;"));
    assert_eq!(fork[1].request_uri(), b"sip:x@127.0.0.1:5072");
    assert_eq!(wire.seen(), ["answered"]);
}

#[test]
fn requests_follow_the_recorded_route() {
    let mut wire = Wire::new();
    let (leg, invite) = wire.dial();
    let routes = "Record-Route: <sip:127.0.0.1:5091;lr>, <sip:127.0.0.1:5090;lr>\r\nContact: <sip:x@10.0.0.1>\r\n";
    wire.endpoint.handle_input(
        Input::Datagram {
            from: udp(PEER),
            bytes: response(&invite, "200 OK", "b", routes).as_bytes(),
        },
        at(10),
    );
    let (to, ack) = wire.drain().remove(0);
    assert_eq!(to, udp("127.0.0.1:5090"));
    let route: Vec<&[u8]> = ack.values(Name::Route).collect();
    assert_eq!(
        route,
        [
            b"<sip:127.0.0.1:5090;lr>".as_slice(),
            b"<sip:127.0.0.1:5091;lr>"
        ]
    );
    assert_eq!(ack.request_uri(), b"sip:x@10.0.0.1");
    let strict = wire.give(Input::HangUp(leg, None));
    assert_eq!(header(&strict[0], Name::CSeq), "2 BYE");
}

#[test]
fn a_caller_behind_a_proxy_is_answered_by_its_route() {
    let mut wire = Wire::new();
    let routed = with("Max", "Record-Route: <sip:127.0.0.1:5090;lr>\r\nMax");
    wire.say(&routed);
    let Some(Event::Incoming { leg, .. }) = wire.events.last() else {
        panic!("no call")
    };
    let leg = *leg;
    let answer = wire.give(Input::Answer(leg, SDP.to_vec()));
    assert_eq!(
        header(&answer[0], Name::RecordRoute),
        "<sip:127.0.0.1:5090;lr>"
    );
    wire.say(within("ACK", 1, &to_tag(&answer[0])));
    wire.endpoint.handle_input(Input::HangUp(leg, None), at(20));
    let (to, bye) = wire.drain().remove(0);
    assert_eq!(
        (to, bye.request_uri()),
        (
            udp("127.0.0.1:5090"),
            b"sip:13800000000@127.0.0.1:5070".as_slice()
        )
    );
}
