//! What is said between an INVITE and its answer: early media, PRACK, offers in unusual places, forks.

use maskline_fixtures::sip::{
    OTHER, OURS, SDP, Wire, cseqs, first_leg, header, invite_with, request_of_callee, response,
    response_with, statuses, to_tag, within, within_with,
};
use maskline_sip::endpoint::{Event, Input};
use maskline_sip::message::{Message, Name};
#[test]
fn a_delayed_offer_is_ours_in_the_answer_and_theirs_in_the_ack() {
    let mut wire = Wire::new();
    wire.say(invite_with("", b""));
    let leg = first_leg(&wire);
    let early = wire.give(Input::Progress(leg, 183, Some(OURS.to_vec())));
    assert_eq!(early[0].body(), b"", "an offer is not sent unreliably");
    let answer = wire.give(Input::Answer(leg, OURS.to_vec())).remove(0);
    assert_eq!(answer.body(), OURS);
    let tag = to_tag(&answer);
    wire.say(within_with("ACK", 1, &tag, "", OTHER));
    assert!(matches!(
        wire.events.last(),
        Some(Event::Confirmed { sdp: Some(sdp), .. }) if sdp == OTHER
    ));
}

#[test]
fn a_delayed_offer_can_be_settled_before_the_answer() {
    let mut wire = Wire::new();
    wire.say(invite_with("Supported: 100rel\r\n", b""));
    let leg = first_leg(&wire);
    let early = wire
        .give(Input::Progress(leg, 183, Some(OURS.to_vec())))
        .remove(0);
    assert_eq!(early.body(), OURS);
    let rack = format!("RAck: {} 1 INVITE\r\n", header(&early, Name::RSeq));
    let tag = to_tag(&early);
    let prack = within_with("PRACK", 2, &tag, &rack, OTHER);
    assert_eq!(statuses(&wire.say(&prack)), [200]);
    assert_eq!(wire.seen(), ["incoming", "offer accepted"]);
    let answer = wire.give(Input::Answer(leg, OURS.to_vec())).remove(0);
    assert_eq!(answer.body(), b"", "no second offer");
    wire.say(within("ACK", 1, &tag));
    assert!(matches!(
        wire.events.last(),
        Some(Event::Confirmed { sdp: None, .. })
    ));
}

#[test]
fn only_what_must_arrive_is_sent_reliably_to_who_can() {
    let mut wire = Wire::new();
    wire.say(invite_with("Supported: timer, 100REL\r\n", SDP));
    let leg = first_leg(&wire);
    let ringing = wire.give(Input::Progress(leg, 180, None)).remove(0);
    assert!(ringing.header(Name::RSeq).is_none());
    let early = wire
        .give(Input::Progress(leg, 183, Some(OURS.to_vec())))
        .remove(0);
    assert_eq!(header(&early, Name::Require), "100rel");
    let rseq: u32 = header(&early, Name::RSeq).parse().expect("a number");
    let tag = to_tag(&early);
    let prack = |number, rack: String| {
        within_with("PRACK", number, &tag, &format!("RAck: {rack}\r\n"), b"")
    };
    assert_eq!(statuses(&wire.pass(1_600)), [183, 183]);
    for (number, rack) in [
        (2, format!("{} 1 INVITE", rseq + 1)),
        (3, format!("{rseq} 2 INVITE")),
        (4, format!("{rseq} 1 BYE")),
        (5, "x".into()),
    ] {
        let text = prack(number, rack);
        assert_eq!(statuses(&wire.say(&text)), [481], "{text}");
    }
    let good = prack(6, format!("{rseq} 1 INVITE"));
    assert_eq!(statuses(&wire.say(&good)), [200]);
    assert_eq!(statuses(&wire.say(&good)), [200], "a copy");
    assert!(wire.pass(10_000).is_empty());
    let again = prack(7, format!("{rseq} 1 INVITE"));
    assert_eq!(statuses(&wire.say(&again)), [481]);
}

#[test]
fn who_insists_gets_each_one_reliably_and_in_turn() {
    let mut wire = Wire::new();
    wire.say(invite_with("Require: 100rel\r\n", SDP));
    let leg = first_leg(&wire);
    let first = wire.give(Input::Progress(leg, 180, None)).remove(0);
    assert!(
        wire.give(Input::Progress(leg, 183, Some(OURS.to_vec())))
            .is_empty(),
        "one at a time"
    );
    assert_eq!(
        statuses(&wire.give(Input::Answer(leg, OURS.to_vec()))),
        [200],
        "nothing of weight is missing"
    );
    assert_eq!(header(&first, Name::Require), "100rel");
    let rack = format!("RAck: {} 1 INVITE\r\n", header(&first, Name::RSeq));
    let late = within_with("PRACK", 2, &to_tag(&first), &rack, b"");
    assert_eq!(statuses(&wire.say(&late)), [200]);
    let mut wire = Wire::new();
    wire.say(invite_with("Require: 100rel\r\n", SDP));
    let leg = first_leg(&wire);
    let first = wire.give(Input::Progress(leg, 180, None)).remove(0);
    wire.give(Input::Progress(leg, 183, Some(OURS.to_vec())));
    let tag = to_tag(&first);
    let rseq: u32 = header(&first, Name::RSeq).parse().expect("a number");
    let prack = |number, rseq| {
        within_with(
            "PRACK",
            number,
            &tag,
            &format!("RAck: {rseq} 1 INVITE\r\n"),
            b"",
        )
    };
    let sent = wire.say(prack(2, rseq));
    assert_eq!(statuses(&sent), [200, 183]);
    assert_eq!(header(&sent[1], Name::RSeq), (rseq + 1).to_string());
    assert!(
        wire.give(Input::Answer(leg, OURS.to_vec())).is_empty(),
        "the answer waits until its SDP is known to have arrived"
    );
    let sent = wire.say(prack(3, rseq + 1));
    assert_eq!(statuses(&sent), [200, 200]);
    assert_eq!(sent[1].body(), OURS);
}

#[test]
fn an_answer_that_differs_from_the_early_one_is_offered_after_the_ack() {
    let mut wire = Wire::new();
    wire.say(invite_with("Supported: 100rel\r\n", SDP));
    let leg = first_leg(&wire);
    let early = wire
        .give(Input::Progress(leg, 183, Some(OURS.to_vec())))
        .remove(0);
    let tag = to_tag(&early);
    let rack = format!("RAck: {} 1 INVITE\r\n", header(&early, Name::RSeq));
    wire.say(within_with("PRACK", 2, &tag, &rack, b""));
    let answer = wire.give(Input::Answer(leg, OTHER.to_vec())).remove(0);
    assert_eq!(answer.body(), OURS);
    wire.say(within("ACK", 1, &tag));
    let sent = wire.pass(10);
    assert_eq!((cseqs(&sent), sent[0].body()), (vec!["1 INVITE"], OTHER));
}

#[test]
fn reliable_responses_are_acknowledged_in_order_and_once() {
    let mut wire = Wire::new();
    let (_, invite) = wire.dial();
    assert!(invite.lists(Name::Supported, "100rel"));
    let early = |rseq: u32, status: &str| {
        let lines =
            format!("Require: 100rel\r\nRSeq: {rseq}\r\nContact: <sip:x@127.0.0.1:5071>\r\n");
        response_with(&invite, status, "b", &lines, SDP)
    };
    let prack = wire
        .say(early(7, "183 Session Progress").as_bytes())
        .remove(0);
    assert_eq!(header(&prack, Name::CSeq), "2 PRACK");
    assert_eq!(header(&prack, Name::RAck), "7 1 INVITE");
    assert_eq!(prack.request_uri(), b"sip:x@127.0.0.1:5071");
    assert!(wire.say(early(7, "183 Session Progress")).is_empty());
    assert!(wire.say(early(9, "180 Ringing")).is_empty());
    assert_eq!(cseqs(&wire.pass(600)), ["2 PRACK"], "it repeats itself");
    let next = wire.say(early(8, "180 Ringing")).remove(0);
    assert_eq!(header(&next, Name::RAck), "8 1 INVITE");
    assert_eq!(wire.seen(), ["progress 183", "progress 180"]);
    // The answer says no more of the media; what the early one said holds.
    let ok = response(
        &invite,
        "200 OK",
        "b",
        "Contact: <sip:x@127.0.0.1:5071>\r\n",
    );
    assert_eq!(cseqs(&wire.say(&ok)), ["1 ACK"]);
    assert!(matches!(
        wire.events.last(),
        Some(Event::Answered { sdp: Some(sdp), .. }) if **sdp == *SDP
    ));
}

#[test]
fn each_phone_of_a_fork_has_its_own_early_dialog() {
    let mut wire = Wire::new();
    let (leg, invite) = wire.dial();
    let say = |status: &str, tag: &str, lines: &str, sdp: &[u8]| {
        let port = if tag == "one" { 5071 } else { 5072 };
        let lines = format!("{lines}Contact: <sip:{tag}@127.0.0.1:{port}>\r\n");
        response_with(&invite, status, tag, &lines, sdp)
    };
    let rel = "Require: 100rel\r\nRSeq: 1\r\n";
    let one = wire.say(say("183 Session Progress", "one", rel, SDP));
    let two = wire.say(say("183 Session Progress", "two", rel, OTHER));
    assert_eq!(one[0].request_uri(), b"sip:one@127.0.0.1:5071");
    assert_eq!(two[0].request_uri(), b"sip:two@127.0.0.1:5072");
    assert_eq!(to_tag(&two[0]), "two");
    // One of them is out of it; nobody needs to know.
    wire.say(say("199 Early Dialog Terminated", "two", "", b""));
    assert_eq!(wire.seen(), ["progress 183", "progress 183"]);
    let answer = wire.say(say("200 OK", "one", "", SDP));
    assert_eq!(cseqs(&answer), ["1 ACK"]);
    let late = wire.say(say("200 OK", "two", "", OTHER));
    assert_eq!(late[1].method_text(), b"BYE");
    assert_eq!(late[1].request_uri(), b"sip:two@127.0.0.1:5072");
    assert_eq!(wire.seen(), ["progress 183", "progress 183", "answered"]);
    let bye = wire.give(Input::HangUp(leg, None)).remove(0);
    assert_eq!(header(&bye, Name::CSeq), "4 BYE", "after both PRACKs");
}

#[test]
fn requests_of_the_called_side_before_its_answer_are_answered() {
    let mut wire = Wire::new();
    let (_, invite) = wire.dial();
    let early = response(
        &invite,
        "180 Ringing",
        "b",
        "Contact: <sip:x@127.0.0.1:5070>\r\n",
    );
    wire.say(&early);
    // What an ACK would say of both sides.
    let text = early.replace("SIP/2.0 180 Ringing", "ACK sip:x SIP/2.0");
    let sides = Message::parse(text.as_bytes()).expect("it can be split");
    let rows = [
        ("OPTIONS", 200),
        ("INFO", 200),
        ("UPDATE", 200),
        ("INVITE", 491),
        ("BYE", 481),
        ("REFER", 405),
        ("JUMP", 501),
        ("PRACK", 481),
    ];
    for (number, (method, status)) in (1..).zip(rows) {
        let text = request_of_callee(&sides, method, number, "", b"");
        assert_eq!(statuses(&wire.say(&text)), [status], "{method}");
    }
    let text = request_of_callee(&sides, "UPDATE", 20, "", OTHER);
    assert_eq!(
        statuses(&wire.say(&text)),
        [491],
        "our offer has no answer yet"
    );
    let text = request_of_callee(&sides, "OPTIONS", 3, "", b"");
    assert_eq!(statuses(&wire.say(&text)), [500], "an old number");
}
