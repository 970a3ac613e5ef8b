//! Peers behind NAT: their `Via` and `Contact` tell addresses that nobody outside can reach.

use maskline_fixtures::sip::{
    INVITE, OTHER, PEER, SDP, Wire, address, first_leg, kind, response_with, to_tag, udp, way,
    ways, within, within_with,
};
use maskline_sip::endpoint::{Input, LegId, Peer, PeerId};
use maskline_sip::hop::Hop;

const PRIVATE: &str = "192.168.7.7:5062";
const PROXY: &str = "127.0.0.7:5060";

fn wire(nat: bool) -> Wire {
    let peer = Peer {
        nat,
        ..Peer::new(PeerId(1), udp(PEER))
    };
    Wire::with_peers(vec![peer])
}

/// A call from behind NAT, with these header lines, that talks.
fn talking(wire: &mut Wire, lines: &str) -> (LegId, String) {
    let invite = INVITE
        .replace("127.0.0.1:5070;branch", &format!("{PRIVATE};branch"))
        .replace(
            "13800000000@127.0.0.1:5070",
            &format!("13800000000@{PRIVATE}"),
        )
        .replace("Max-Forwards", &format!("{lines}Max-Forwards"));
    wire.say(&invite);
    let leg = first_leg(wire);
    let tag = to_tag(&wire.give(Input::Answer(leg, SDP.to_vec()))[0]);
    wire.say(within("ACK", 1, &tag));
    (leg, tag)
}

#[test]
fn requests_go_where_those_of_the_peer_came_from() {
    let route = format!("Record-Route: <sip:{PROXY};lr>\r\n");
    let to_peer = format!("udp:{PEER}");
    #[rustfmt::skip]
    let rows = [
        ("behind NAT", true, "", to_peer.clone()),
        ("behind NAT and a proxy", true, &*route, format!("udp:{PROXY}")),
        ("not behind NAT", false, "", format!("udp:{PRIVATE}")),
    ];
    for (what, nat, lines, to) in rows {
        let mut call = wire(nat);
        let (leg, _) = talking(&mut call, lines);
        let sent = call.give_to(Input::Offer(leg, OTHER.to_vec()));
        assert_eq!(ways(&sent), way("INVITE", &to), "{what}");
        let contact = format!("Contact: <sip:13800000000@{PRIVATE}>\r\n");
        let ok = response_with(&sent[0].1, "200 OK", "x", &contact, SDP).replace(";tag=x", "");
        let from = Hop::udp(to[4..].parse().expect("an address"));
        let sent = call.hear_to(from, &ok);
        assert_eq!(ways(&sent), way("ACK", &to), "{what}");
        let sent = call.give_to(Input::Info(
            leg,
            b"application/dtmf".to_vec(),
            b"1".to_vec(),
        ));
        assert_eq!(ways(&sent), way("INFO", &to), "{what}");
        let sent = call.give_to(Input::HangUp(leg, None));
        assert_eq!(ways(&sent), way("BYE", &to), "{what}");
    }
}

#[test]
fn a_binding_that_changes_is_followed() {
    let mut call = wire(true);
    let (leg, tag) = talking(&mut call, "");
    let moved = "127.0.0.1:40404";
    // One who guesses the tags does not move it.
    call.say_from("127.0.0.9:5070", within("INFO", 2, &tag).as_bytes());
    call.say_from(
        "127.0.0.1:6",
        within("INFO", 2, "0123456789abcdef").as_bytes(),
    );
    call.say_from(moved, within("INFO", 2, &tag).as_bytes());
    let sent = call.give_to(Input::HangUp(leg, None));
    assert_eq!(ways(&sent), way("BYE", &format!("udp:{moved}")));
}

#[test]
fn requests_are_answered_where_they_came_from_asked_or_not() {
    for (nat, to) in [(true, "127.0.0.1:40404"), (false, "127.0.0.1:5062")] {
        let mut call = wire(nat);
        let (_, tag) = talking(&mut call, "");
        let bye = within("BYE", 2, &tag)
            .replace("127.0.0.1:5070;branch", &format!("{PRIVATE};branch"))
            .replace(";rport", "");
        let from = udp("127.0.0.1:40404");
        let sent = call.hear_to(from, &bye);
        assert_eq!(ways(&sent), way("200", &format!("udp:{to}")), "{nat}");
    }
}

#[test]
fn who_answers_our_call_is_asked_where_the_answer_came_from() {
    let route = format!("Record-Route: <sip:{PROXY};lr>\r\n");
    #[rustfmt::skip]
    let rows = [
        ("behind NAT", true, "", "127.0.0.1:40404".to_owned()),
        ("behind NAT and a proxy", true, &*route, PROXY.to_owned()),
        ("not behind NAT", false, "", PRIVATE.to_owned()),
    ];
    for (what, nat, lines, to) in rows {
        let to = format!("udp:{to}");
        let mut call = wire(nat);
        let (leg, invite) = call.dial();
        let contact = format!("Contact: <sip:x@{PRIVATE}>\r\n{lines}");
        let ok = response_with(&invite, "200 OK", "b", &contact, SDP);
        let from = udp("127.0.0.1:40404");
        for _ in 0..2 {
            let sent = call.hear_to(from, &ok);
            assert_eq!(ways(&sent), way("ACK", &to), "{what}");
        }
        // Another phone answers too: it is acknowledged and sent away.
        let fork = response_with(&invite, "200 OK", "c", &contact, SDP);
        let sent = call.hear_to(from, &fork);
        let both = [way("ACK", &to), way("BYE", &to)].concat();
        assert_eq!(ways(&sent), both, "{what}");
        let sent = call.give_to(Input::HangUp(leg, None));
        assert_eq!(ways(&sent), way("BYE", &to), "{what}");
    }
}

#[test]
fn a_reliable_ringing_is_acknowledged_where_it_came_from() {
    let mut call = wire(true);
    let (_, invite) = call.dial();
    let lines = format!("Contact: <sip:x@{PRIVATE}>\r\nRequire: 100rel\r\nRSeq: 1\r\n");
    let ringing = response_with(&invite, "183 Session Progress", "b", &lines, SDP);
    let from = udp("127.0.0.1:40404");
    let sent = call.hear_to(from, &ringing);
    assert_eq!(ways(&sent), way("PRACK", "udp:127.0.0.1:40404"));
}

#[test]
fn over_a_stream_the_connection_is_used() {
    let mut call = wire(true);
    let connection = Hop::tcp(address("127.0.0.1:41000"));
    let invite = INVITE.replace(
        "13800000000@127.0.0.1:5070",
        &format!("13800000000@{PRIVATE};transport=tcp"),
    );
    call.give_to(Input::Datagram {
        from: connection,
        bytes: invite.as_bytes(),
    });
    let leg = first_leg(&call);
    let tag = to_tag(&call.give(Input::Answer(leg, SDP.to_vec()))[0]);
    let ack = within_with("ACK", 1, &tag, "", b"");
    call.give_to(Input::Datagram {
        from: connection,
        bytes: ack.as_bytes(),
    });
    let sent = call.give_to(Input::HangUp(leg, None));
    assert_eq!(ways(&sent), way("BYE", "tcp:127.0.0.1:41000"));
}

/// A late copy from a binding that NAT has given up, or a forged request, must not draw ours away.
#[test]
fn a_request_that_is_refused_moves_nothing() {
    let elsewhere = Hop::udp("127.0.0.1:5099".parse().expect("an address"));
    #[rustfmt::skip]
    let rows = [
        ("BYE", 1, "", "500"),
        ("INFO", 1, "", "500"),
        ("UPDATE", 1, "", "500"),
        ("INVITE", 1, "", "500"),
        ("BYE", 2, "Require: novel\r\n", "420"),
        ("INFO", 2, "Require: novel\r\n", "420"),
        ("MESSAGE", 2, "", "405"),
        ("ACK", 7, "", ""),
    ];
    for (method, number, lines, status) in rows {
        let mut call = wire(true);
        let (leg, tag) = talking(&mut call, "");
        let request = within_with(method, number, &tag, lines, b"")
            .replace("branch=z9hG4bK", "branch=z9hG4bKelse");
        let input = Input::Datagram {
            from: elsewhere,
            bytes: request.as_bytes(),
        };
        let sent = call.give_to(input);
        let told = sent
            .first()
            .map(|(_, message)| kind(message))
            .unwrap_or_default();
        assert!(
            told.starts_with(status),
            "{method} {number} {lines}: {told}"
        );
        let sent = call.give_to(Input::HangUp(leg, Some(16)));
        assert_eq!(
            ways(&sent),
            way("BYE", &format!("udp:{PEER}")),
            "{method} {number}"
        );
    }
}
