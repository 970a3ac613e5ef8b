//! Who keeps a long call alive, and what happens when nobody does (RFC 4028).

use maskline_fixtures::sip::{
    OTHER, OURS, SDP, Wire, cseqs, first_leg, header, invite_with, request_of_callee,
    response_within, statuses,
};
use maskline_sip::endpoint::Input;
use maskline_sip::message::Name;

#[test]
fn a_caller_that_wants_too_frequent_refreshes_is_told_the_least() {
    let mut wire = Wire::new();
    let text = invite_with("Supported: timer\r\nSession-Expires: 60\r\n", SDP);
    let answers = wire.say(&text);
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
        wire.say(invite_with(lines, SDP));
        let leg = first_leg(&wire);
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
    wire.say(&refused);
    let invite = wire.pass(10).remove(0);
    assert_eq!(header(&invite, Name::CSeq), "3 INVITE");
    assert_eq!(invite.body(), SDP);
    let ok = response_within(
        &invite,
        "200 OK",
        "Session-Expires: 200;refresher=uac\r\n",
        SDP,
    );
    assert_eq!(cseqs(&wire.say(&ok)), ["3 ACK"]);
    assert_eq!(wire.seen(), ["answered"]);
    assert_eq!(cseqs(&wire.pass(100_100)), ["4 INVITE"], "and so on");
}

#[test]
fn an_offer_waits_for_the_refresh_that_is_under_way() {
    let mut wire = Wire::with_session(200, 90);
    let lines = "Session-Expires: 200;refresher=uac\r\n";
    let (leg, _) = wire.dialled(lines);
    let refresh = wire.pass(100_100).remove(0);
    assert_eq!(header(&refresh, Name::CSeq), "2 INVITE");
    assert!(wire.give(Input::Offer(leg, OURS.to_vec())).is_empty());
    // What the answer to the refresh says is soon said again, to what was offered.
    let ok = response_within(&refresh, "200 OK", lines, OTHER);
    assert_eq!(cseqs(&wire.say(&ok)), ["2 ACK"]);
    let offer = wire.pass(10).remove(0);
    assert_eq!(header(&offer, Name::CSeq), "3 INVITE");
    assert_eq!(offer.body(), OURS);
    let ok = response_within(&offer, "200 OK", lines, OTHER);
    wire.say(&ok);
    assert_eq!(wire.seen(), ["answered", "offer accepted"]);
}

#[test]
fn a_refresh_that_is_too_early_is_made_again_later() {
    let mut wire = Wire::with_session(200, 90);
    wire.dialled("Allow: UPDATE\r\nSession-Expires: 200;refresher=uac\r\n");
    let update = wire.pass(100_100).remove(0);
    let lines = "Min-SE: 400\r\n";
    let small = response_within(&update, "422 Session Interval Too Small", lines, b"");
    let again = wire.say(&small).remove(0);
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
        let update = request_of_callee(&ack, "UPDATE", number, lines, b"");
        let answers = wire.say(&update);
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
