//! What carriers send within a dialog, request by request, and what the RFCs want answered.

mod support;

use maskline_sip::endpoint::{Event, Input};
use maskline_sip::message::{Message, Name};
use support::SDP;
use support::wire::{
    Wire, header, invite_with, response, response_with, response_within, statuses, to_tag, within,
    within_with,
};

const OTHER: &[u8] = b"v=0\r\no=- 1 2 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n\
    m=audio 4000 RTP/AVP 8\r\na=rtpmap:8 PCMA/8000\r\na=sendonly\r\n";
const OURS: &[u8] = b"v=0\r\no=- 7 2 IN IP4 127.0.0.1\r\n";

fn cseqs(messages: &[Message]) -> Vec<&str> {
    messages
        .iter()
        .map(|message| header(message, Name::CSeq))
        .collect()
}

/// An incoming call that talks, whose INVITE and ACK had these lines and bodies.
fn talking(wire: &mut Wire, lines: &str) -> String {
    wire.say(invite_with(lines, SDP).as_bytes());
    let Some(Event::Incoming { leg, .. }) = wire.events.last() else {
        panic!("no call")
    };
    let leg = *leg;
    let answer = wire.give(Input::Answer(leg, SDP.to_vec()));
    let tag = to_tag(&answer[0]);
    wire.say(within("ACK", 1, &tag).as_bytes());
    assert_eq!(wire.seen(), ["incoming", "confirmed"]);
    tag
}

fn last_leg(wire: &Wire) -> maskline_sip::endpoint::LegId {
    wire.events
        .iter()
        .find_map(|event| match event {
            Event::Incoming { leg, .. } => Some(*leg),
            _ => None,
        })
        .expect("there is a call")
}

#[test]
fn a_re_invite_is_offered_and_its_answer_repeated_until_acknowledged() {
    let mut wire = Wire::new();
    let tag = talking(&mut wire, "");
    let leg = last_leg(&wire);
    let text = within_with("INVITE", 2, &tag, "", OTHER);
    assert_eq!(statuses(&wire.say(text.as_bytes())), [100]);
    assert!(matches!(
        wire.events.last(),
        Some(Event::Offered { sdp: Some(sdp), .. }) if sdp == OTHER
    ));
    let answers = wire.give(Input::AcceptOffer(leg, OURS.to_vec()));
    assert_eq!(statuses(&answers), [200]);
    assert_eq!(answers[0].body(), OURS);
    assert_eq!(header(&answers[0], Name::Contact), "<sip:127.0.0.1:5060>");
    assert_eq!(statuses(&wire.pass(1_600)), [200, 200]);
    wire.say(within("ACK", 1, &tag).as_bytes());
    assert_eq!(
        statuses(&wire.pass(2_000)),
        [200],
        "the ACK of another INVITE"
    );
    wire.say(within("ACK", 2, &tag).as_bytes());
    assert!(wire.pass(5_000).is_empty());
    assert_eq!(wire.seen(), ["incoming", "confirmed", "offered"]);
}

#[test]
fn a_re_invite_without_sdp_gets_our_offer_and_answers_in_its_ack() {
    let mut wire = Wire::new();
    let tag = talking(&mut wire, "");
    let leg = last_leg(&wire);
    wire.say(within("INVITE", 2, &tag).as_bytes());
    assert!(matches!(
        wire.events.last(),
        Some(Event::Offered { sdp: None, .. })
    ));
    wire.give(Input::AcceptOffer(leg, OURS.to_vec()));
    wire.say(within_with("ACK", 2, &tag, "", OTHER).as_bytes());
    assert!(matches!(
        wire.events.last(),
        Some(Event::OfferAccepted { sdp, .. }) if sdp == OTHER
    ));
}

#[test]
fn a_re_invite_that_says_nothing_new_is_answered_as_before() {
    let mut wire = Wire::new();
    let tag = talking(&mut wire, "");
    let leg = last_leg(&wire);
    let answers = wire.say(within_with("INVITE", 2, &tag, "", SDP).as_bytes());
    assert_eq!(statuses(&answers), [200]);
    assert_eq!(answers[0].body(), SDP, "what we said before");
    wire.say(within("ACK", 2, &tag).as_bytes());
    assert_eq!(wire.seen(), ["incoming", "confirmed"]);
    // The same number but another direction: a phone that does not count.
    let held = [SDP, b"a=sendonly\r\n"].concat();
    wire.say(within_with("INVITE", 3, &tag, "", &held).as_bytes());
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
        let answers = wire.say(text.as_bytes());
        assert_eq!(statuses(&answers), [415], "{method}");
        assert_eq!(header(&answers[0], Name::Accept), "application/sdp");
    }
    assert_eq!(wire.seen(), ["incoming", "confirmed"]);
}

#[test]
fn a_refused_re_invite_is_repeated_until_acknowledged_and_the_call_goes_on() {
    let mut wire = Wire::new();
    let tag = talking(&mut wire, "");
    let leg = last_leg(&wire);
    wire.say(within_with("INVITE", 2, &tag, "", OTHER).as_bytes());
    assert_eq!(statuses(&wire.give(Input::RefuseOffer(leg, 488))), [488]);
    assert_eq!(statuses(&wire.pass(600)), [488], "until acknowledged");
    let ack = within("ACK", 2, &tag).replace("z9hG4bKACK2", "z9hG4bKINVITE2");
    wire.say(ack.as_bytes());
    assert!(wire.pass(5_000).is_empty());
    assert_eq!(
        statuses(&wire.say(within("BYE", 3, &tag).as_bytes())),
        [200]
    );
}

#[test]
fn a_second_offer_while_one_waits_is_put_off() {
    let mut wire = Wire::new();
    let tag = talking(&mut wire, "");
    wire.say(within_with("INVITE", 2, &tag, "", OTHER).as_bytes());
    for (number, method) in (3..).zip(["INVITE", "UPDATE"]) {
        let answers = wire.say(within_with(method, number, &tag, "", OTHER).as_bytes());
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
    let leg = last_leg(&wire);
    let ours = wire.give(Input::Offer(leg, OURS.to_vec())).remove(0);
    assert_eq!(header(&ours, Name::CSeq), "1 INVITE");
    for (number, method) in (2..).zip(["INVITE", "UPDATE"]) {
        let answers = wire.say(within_with(method, number, &tag, "", OTHER).as_bytes());
        assert_eq!(statuses(&answers), [491], "{method}");
    }
    let ok = response_within(&ours, "200 OK", "", OTHER);
    let acks = wire.say(ok.as_bytes());
    assert_eq!(cseqs(&acks), ["1 ACK"]);
    assert_eq!(
        acks[0].bytes(),
        wire.say(ok.as_bytes())[0].bytes(),
        "each copy gets the same ACK"
    );
    assert_eq!(wire.seen(), ["incoming", "confirmed", "offer accepted"]);
}

#[test]
fn a_cancelled_re_invite_is_over_and_the_call_goes_on() {
    let mut wire = Wire::new();
    let tag = talking(&mut wire, "");
    wire.say(within_with("INVITE", 2, &tag, "", OTHER).as_bytes());
    let cancel = within("CANCEL", 2, &tag).replace("z9hG4bKCANCEL2", "z9hG4bKINVITE2");
    assert_eq!(statuses(&wire.say(cancel.as_bytes())), [200, 487]);
    let options = within("OPTIONS", 3, &tag);
    assert_eq!(statuses(&wire.say(options.as_bytes())), [200]);
    assert_eq!(wire.seen(), ["incoming", "confirmed", "offered"]);
}

#[test]
fn an_update_is_offered_and_one_without_an_offer_is_only_a_sign_of_life() {
    let mut wire = Wire::new();
    let tag = talking(&mut wire, "");
    let leg = last_leg(&wire);
    let answers = wire.say(within("UPDATE", 2, &tag).as_bytes());
    assert_eq!(
        (statuses(&answers), answers[0].body()),
        (vec![200], b"".as_slice())
    );
    assert_eq!(wire.seen(), ["incoming", "confirmed"]);
    assert!(
        wire.say(within_with("UPDATE", 3, &tag, "", OTHER).as_bytes())
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
    let leg = last_leg(&wire);
    let lines = "Contact: <sip:new@127.0.0.1:5099>\r\n";
    wire.say(within_with("UPDATE", 2, &tag, lines, b"").as_bytes());
    let bye = wire.give(Input::HangUp(leg, None)).remove(0);
    assert_eq!(bye.request_uri(), b"sip:new@127.0.0.1:5099");
}

#[test]
fn a_re_invite_that_finds_no_call_ends_it() {
    let mut wire = Wire::new();
    talking(&mut wire, "");
    let leg = last_leg(&wire);
    let ours = wire.give(Input::Offer(leg, OURS.to_vec())).remove(0);
    let gone = response_within(&ours, "481 Call Does Not Exist", "", b"");
    assert_eq!(cseqs(&wire.say(gone.as_bytes())), ["1 ACK"]);
    assert_eq!(wire.seen(), ["incoming", "confirmed", "ended silent"]);
    wire.pass(40_000);
    assert!(wire.endpoint.is_idle());
}

#[test]
fn a_re_invite_that_is_only_answered_provisionally_is_given_up() {
    let mut wire = Wire::new();
    talking(&mut wire, "");
    let leg = last_leg(&wire);
    let ours = wire.give(Input::Offer(leg, OURS.to_vec())).remove(0);
    wire.say(response_within(&ours, "100 Trying", "", b"").as_bytes());
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
    let leg = last_leg(&wire);
    let ours = wire.give(Input::Offer(leg, OURS.to_vec())).remove(0);
    let bye = wire.give(Input::HangUp(leg, None)).remove(0);
    wire.say(response_within(&bye, "200 OK", "", b"").as_bytes());
    let acks = wire.say(response_within(&ours, "200 OK", "", OTHER).as_bytes());
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
        assert_eq!(statuses(&wire.say(text.as_bytes())), [*status], "{text}");
    }
    assert_eq!(wire.seen(), ["incoming", "confirmed", "info", "info"]);
    let Event::Info { content_type, .. } = &wire.events[2] else {
        panic!("a key")
    };
    assert_eq!(content_type, b"application/dtmf-relay");
}

#[test]
fn a_delayed_offer_is_ours_in_the_answer_and_theirs_in_the_ack() {
    let mut wire = Wire::new();
    wire.say(invite_with("", b"").as_bytes());
    let leg = last_leg(&wire);
    let early = wire.give(Input::Progress(leg, 183, Some(OURS.to_vec())));
    assert_eq!(early[0].body(), b"", "an offer is not sent unreliably");
    let answer = wire.give(Input::Answer(leg, OURS.to_vec())).remove(0);
    assert_eq!(answer.body(), OURS);
    let tag = to_tag(&answer);
    wire.say(within_with("ACK", 1, &tag, "", OTHER).as_bytes());
    assert!(matches!(
        wire.events.last(),
        Some(Event::Confirmed { sdp: Some(sdp), .. }) if sdp == OTHER
    ));
}

#[test]
fn a_delayed_offer_can_be_settled_before_the_answer() {
    let mut wire = Wire::new();
    wire.say(invite_with("Supported: 100rel\r\n", b"").as_bytes());
    let leg = last_leg(&wire);
    let early = wire
        .give(Input::Progress(leg, 183, Some(OURS.to_vec())))
        .remove(0);
    assert_eq!(early.body(), OURS);
    let rack = format!("RAck: {} 1 INVITE\r\n", header(&early, Name::RSeq));
    let tag = to_tag(&early);
    let prack = within_with("PRACK", 2, &tag, &rack, OTHER);
    assert_eq!(statuses(&wire.say(prack.as_bytes())), [200]);
    assert_eq!(wire.seen(), ["incoming", "offer accepted"]);
    let answer = wire.give(Input::Answer(leg, OURS.to_vec())).remove(0);
    assert_eq!(answer.body(), b"", "no second offer");
    wire.say(within("ACK", 1, &tag).as_bytes());
    assert!(matches!(
        wire.events.last(),
        Some(Event::Confirmed { sdp: None, .. })
    ));
}

#[test]
fn only_what_must_arrive_is_sent_reliably_to_who_can() {
    let mut wire = Wire::new();
    wire.say(invite_with("Supported: timer, 100REL\r\n", SDP).as_bytes());
    let leg = last_leg(&wire);
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
        assert_eq!(statuses(&wire.say(text.as_bytes())), [481], "{text}");
    }
    let good = prack(6, format!("{rseq} 1 INVITE"));
    assert_eq!(statuses(&wire.say(good.as_bytes())), [200]);
    assert_eq!(statuses(&wire.say(good.as_bytes())), [200], "a copy");
    assert!(wire.pass(10_000).is_empty());
    let again = prack(7, format!("{rseq} 1 INVITE"));
    assert_eq!(statuses(&wire.say(again.as_bytes())), [481]);
}

#[test]
fn who_insists_gets_each_one_reliably_and_in_turn() {
    let mut wire = Wire::new();
    wire.say(invite_with("Require: 100rel\r\n", SDP).as_bytes());
    let leg = last_leg(&wire);
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
    let mut wire = Wire::new();
    wire.say(invite_with("Require: 100rel\r\n", SDP).as_bytes());
    let leg = last_leg(&wire);
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
    let sent = wire.say(prack(2, rseq).as_bytes());
    assert_eq!(statuses(&sent), [200, 183]);
    assert_eq!(header(&sent[1], Name::RSeq), (rseq + 1).to_string());
    assert!(
        wire.give(Input::Answer(leg, OURS.to_vec())).is_empty(),
        "the answer waits until its SDP is known to have arrived"
    );
    let sent = wire.say(prack(3, rseq + 1).as_bytes());
    assert_eq!(statuses(&sent), [200, 200]);
    assert_eq!(sent[1].body(), OURS);
}

#[test]
fn an_answer_that_differs_from_the_early_one_is_offered_after_the_ack() {
    let mut wire = Wire::new();
    wire.say(invite_with("Supported: 100rel\r\n", SDP).as_bytes());
    let leg = last_leg(&wire);
    let early = wire
        .give(Input::Progress(leg, 183, Some(OURS.to_vec())))
        .remove(0);
    let tag = to_tag(&early);
    let rack = format!("RAck: {} 1 INVITE\r\n", header(&early, Name::RSeq));
    wire.say(within_with("PRACK", 2, &tag, &rack, b"").as_bytes());
    let answer = wire.give(Input::Answer(leg, OTHER.to_vec())).remove(0);
    assert_eq!(answer.body(), OURS);
    wire.say(within("ACK", 1, &tag).as_bytes());
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
    assert!(
        wire.say(early(7, "183 Session Progress").as_bytes())
            .is_empty()
    );
    assert!(wire.say(early(9, "180 Ringing").as_bytes()).is_empty());
    assert_eq!(cseqs(&wire.pass(600)), ["2 PRACK"], "it repeats itself");
    let next = wire.say(early(8, "180 Ringing").as_bytes()).remove(0);
    assert_eq!(header(&next, Name::RAck), "8 1 INVITE");
    assert_eq!(wire.seen(), ["progress 183", "progress 180"]);
    // The answer says no more of the media; what the early one said holds.
    let ok = response(
        &invite,
        "200 OK",
        "b",
        "Contact: <sip:x@127.0.0.1:5071>\r\n",
    );
    assert_eq!(cseqs(&wire.say(ok.as_bytes())), ["1 ACK"]);
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
    let one = wire.say(say("183 Session Progress", "one", rel, SDP).as_bytes());
    let two = wire.say(say("183 Session Progress", "two", rel, OTHER).as_bytes());
    assert_eq!(one[0].request_uri(), b"sip:one@127.0.0.1:5071");
    assert_eq!(two[0].request_uri(), b"sip:two@127.0.0.1:5072");
    assert_eq!(to_tag(&two[0]), "two");
    // One of them is out of it; nobody needs to know.
    wire.say(say("199 Early Dialog Terminated", "two", "", b"").as_bytes());
    assert_eq!(wire.seen(), ["progress 183", "progress 183"]);
    let answer = wire.say(say("200 OK", "one", "", SDP).as_bytes());
    assert_eq!(cseqs(&answer), ["1 ACK"]);
    let late = wire.say(say("200 OK", "two", "", OTHER).as_bytes());
    assert_eq!(late[1].method_text(), b"BYE");
    assert_eq!(late[1].request_uri(), b"sip:two@127.0.0.1:5072");
    assert_eq!(wire.seen(), ["progress 183", "progress 183", "answered"]);
    let bye = wire.give(Input::HangUp(leg, None)).remove(0);
    assert_eq!(header(&bye, Name::CSeq), "4 BYE", "after both PRACKs");
}

#[test]
fn a_caller_that_wants_too_frequent_refreshes_is_told_the_least() {
    let mut wire = Wire::new();
    let text = invite_with("Supported: timer\r\nSession-Expires: 60\r\n", SDP);
    let answers = wire.say(text.as_bytes());
    assert_eq!(statuses(&answers), [422]);
    assert_eq!(header(&answers[0], Name::MinSe), "90");
    assert!(wire.endpoint.is_idle());
}

/// RFC 4028 section 9, table 2.
#[test]
fn who_refreshes_is_settled_by_the_answer() {
    let rows: &[(&str, Option<&str>, bool)] = &[
        ("", None, false),
        ("Supported: timer\r\n", Some("1800;refresher=uac"), true),
        (
            "Supported: timer\r\nx: 600\r\n",
            Some("600;refresher=uac"),
            true,
        ),
        (
            "Supported: timer\r\nSession-Expires: 600;refresher=uas\r\n",
            Some("600;refresher=uas"),
            false,
        ),
        (
            "Supported: timer\r\nSession-Expires: 3600;refresher=uac\r\n",
            Some("1800;refresher=uac"),
            true,
        ),
        (
            "Supported: timer\r\nSession-Expires: 3600\r\nMin-SE: 2000\r\n",
            Some("2000;refresher=uac"),
            true,
        ),
        ("Session-Expires: 600\r\n", Some("600;refresher=uas"), false),
    ];
    for (lines, expires, required) in rows {
        let mut wire = Wire::new();
        wire.say(invite_with(lines, SDP).as_bytes());
        let leg = last_leg(&wire);
        let answer = wire.give(Input::Answer(leg, SDP.to_vec())).remove(0);
        let found = answer.header(Name::SessionExpires);
        assert_eq!(found, expires.map(str::as_bytes), "{lines}");
        assert_eq!(answer.lists(Name::Require, "timer"), *required, "{lines}");
    }
}

#[test]
fn a_call_is_refreshed_by_update_where_that_is_allowed() {
    let mut wire = Wire::with_session(200, 90);
    let lines = "Allow: INVITE, UPDATE\r\nSession-Expires: 200;refresher=uac\r\n";
    wire.dialled(lines);
    assert!(wire.pass(99_900).is_empty());
    let update = wire.pass(200).remove(0);
    assert_eq!(header(&update, Name::CSeq), "2 UPDATE");
    assert_eq!(update.body(), b"");
    assert_eq!(header(&update, Name::SessionExpires), "200;refresher=uac");
    // It said that it takes UPDATE, and does not: then as the others do.
    let refused = response_within(&update, "405 Method Not Allowed", "", b"");
    wire.say(refused.as_bytes());
    let invite = wire.pass(10).remove(0);
    assert_eq!(header(&invite, Name::CSeq), "3 INVITE");
    assert_eq!(invite.body(), SDP);
    let ok = response_within(
        &invite,
        "200 OK",
        "Session-Expires: 200;refresher=uac\r\n",
        SDP,
    );
    assert_eq!(cseqs(&wire.say(ok.as_bytes())), ["3 ACK"]);
    assert_eq!(wire.seen(), ["answered"]);
    assert_eq!(cseqs(&wire.pass(100_100)), ["4 INVITE"], "and so on");
}

#[test]
fn a_refresh_that_is_too_early_is_made_again_later() {
    let mut wire = Wire::with_session(200, 90);
    wire.dialled("Allow: UPDATE\r\nSession-Expires: 200;refresher=uac\r\n");
    let update = wire.pass(100_100).remove(0);
    let lines = "Min-SE: 400\r\n";
    let small = response_within(&update, "422 Session Interval Too Small", lines, b"");
    let again = wire.say(small.as_bytes()).remove(0);
    assert_eq!(header(&again, Name::SessionExpires), "400;refresher=uac");
    assert_eq!(header(&again, Name::MinSe), "400");
}

#[test]
fn a_call_that_the_other_side_should_refresh_and_does_not_ends() {
    let mut wire = Wire::with_session(200, 90);
    wire.dialled("Session-Expires: 180;refresher=uas\r\n");
    assert!(wire.pass(147_900).is_empty());
    let bye = wire.pass(200).remove(0);
    assert_eq!(bye.method_text(), b"BYE");
    assert_eq!(header(&bye, Name::Reason), "Q.850;cause=102");
    assert_eq!(wire.seen(), ["answered", "ended silent"]);
}

#[test]
fn a_sign_of_life_from_the_other_side_keeps_the_call() {
    let mut wire = Wire::with_session(200, 90);
    let (_, ack) = wire.dialled("Session-Expires: 180;refresher=uas\r\n");
    for number in 1..10 {
        wire.pass(100_000);
        let lines = "Supported: timer\r\nSession-Expires: 180;refresher=uac\r\n";
        let update = Wire::from_callee(&ack, "UPDATE", number, lines, b"");
        let answers = wire.say(update.as_bytes());
        assert_eq!(statuses(&answers), [200]);
        assert_eq!(
            header(&answers[0], Name::SessionExpires),
            "180;refresher=uac"
        );
    }
    assert_eq!(wire.seen(), ["answered"]);
}

#[test]
fn an_answer_without_a_timer_needs_no_refresh() {
    let mut wire = Wire::new();
    wire.dialled("");
    assert!(wire.pass(10_000_000).is_empty());
    assert_eq!(wire.seen(), ["answered"]);
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
    wire.say(early.as_bytes());
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
        let text = Wire::from_callee(&sides, method, number, "", b"");
        assert_eq!(statuses(&wire.say(text.as_bytes())), [status], "{method}");
    }
    let text = Wire::from_callee(&sides, "UPDATE", 20, "", OTHER);
    assert_eq!(
        statuses(&wire.say(text.as_bytes())),
        [491],
        "our offer has no answer yet"
    );
    let text = Wire::from_callee(&sides, "OPTIONS", 3, "", b"");
    assert_eq!(statuses(&wire.say(text.as_bytes())), [500], "an old number");
}
