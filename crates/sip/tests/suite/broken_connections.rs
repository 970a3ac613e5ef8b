//! A connection that breaks before an answer was sent over it (RFC 3261 section 18.2.2).

use maskline_fixtures::sip::{
    INVITE, OTHER, SDP, Wire, address, first_leg, invite_with, to_tag, way, ways, within,
    within_with,
};
use maskline_sip::endpoint::{Input, Refusal};
use maskline_sip::hop::{Hop, Transport};

fn give(wire: &mut Wire, input: Input<'_>) -> Vec<(String, String)> {
    ways(&wire.give_to(input))
}

fn say(wire: &mut Wire, from: Hop, text: &str) -> Vec<(String, String)> {
    ways(&wire.hear_to(from, text))
}

fn connection() -> Hop {
    Hop::tcp(address("127.0.0.1:41000"))
}

#[test]
fn the_answer_goes_to_the_port_in_the_via() {
    #[rustfmt::skip]
    let rows = [
        ("a port", Transport::Tcp, "127.0.0.1:5070", "tcp:127.0.0.1:5070"),
        ("no port", Transport::Tcp, "127.0.0.1", "tcp:127.0.0.1:5060"),
        ("no port within TLS", Transport::Tls, "127.0.0.1", "tls:127.0.0.1:5061"),
        ("another address", Transport::Tcp, "192.0.2.9:5070", "tcp:127.0.0.1:5070"),
        ("a name", Transport::Tls, "phone.example:5099", "tls:127.0.0.1:5099"),
    ];
    for (what, transport, sent_by, to) in rows {
        let mut wire = Wire::new();
        let from = Hop::new(transport, address("127.0.0.1:41000"));
        let invite = INVITE.replace("UDP 127.0.0.1:5070;", &format!("TCP {sent_by};"));
        say(&mut wire, from, &invite);
        let leg = first_leg(&wire);
        assert!(
            give(&mut wire, Input::Unreachable(from)).is_empty(),
            "{what}"
        );
        assert_eq!(
            give(&mut wire, Input::Progress(leg, 180, None)),
            way("180", to),
            "{what}"
        );
        assert_eq!(
            give(&mut wire, Input::Answer(leg, SDP.to_vec())),
            way("200", to),
            "{what}"
        );
    }
}

#[test]
fn an_answer_that_was_under_way_is_sent_again() {
    let mut wire = Wire::new();
    say(&mut wire, connection(), INVITE);
    let leg = first_leg(&wire);
    let ok = wire.give(Input::Answer(leg, SDP.to_vec()));
    let tag = to_tag(&ok[0]);
    let to = "tcp:127.0.0.1:5070";
    assert_eq!(
        give(&mut wire, Input::Unreachable(connection())),
        way("200", to)
    );
    say(
        &mut wire,
        Hop::tcp(address("127.0.0.1:5070")),
        &within("ACK", 1, &tag),
    );
    assert_eq!(wire.seen(), ["incoming", "confirmed"]);
    assert!(give(&mut wire, Input::Unreachable(connection())).is_empty());
}

#[test]
fn a_refusal_that_was_under_way_is_sent_again() {
    let mut wire = Wire::new();
    say(&mut wire, connection(), INVITE);
    let leg = first_leg(&wire);
    let busy = Refusal {
        status: 486,
        cause: None,
    };
    wire.give(Input::Refuse(leg, busy));
    let sent = give(&mut wire, Input::Unreachable(connection()));
    assert_eq!(sent, way("486", "tcp:127.0.0.1:5070"));
}

#[test]
fn who_cannot_be_reached_again_is_not_waited_for() {
    let mut wire = Wire::new();
    say(&mut wire, connection(), INVITE);
    let leg = first_leg(&wire);
    wire.give(Input::Answer(leg, SDP.to_vec()));
    wire.give(Input::Unreachable(connection()));
    wire.give(Input::Unreachable(Hop::tcp(address("127.0.0.1:5070"))));
    assert_eq!(wire.seen(), ["incoming", "ended silent"]);
    wire.pass(40_000);
    assert!(wire.endpoint.is_idle());
}

#[test]
fn while_it_rings_the_caller_may_come_back() {
    let mut wire = Wire::new();
    say(&mut wire, connection(), INVITE);
    let leg = first_leg(&wire);
    wire.give(Input::Unreachable(connection()));
    let again = Hop::tcp(address("127.0.0.1:42000"));
    assert_eq!(
        say(&mut wire, again, INVITE),
        way("100", "tcp:127.0.0.1:42000")
    );
    let sent = give(&mut wire, Input::Answer(leg, SDP.to_vec()));
    assert_eq!(sent, way("200", "tcp:127.0.0.1:42000"));
    assert_eq!(wire.seen(), ["incoming"], "it is no second call");
}

#[test]
fn the_answer_to_a_re_invite_is_sent_again_too() {
    let mut wire = Wire::new();
    say(&mut wire, connection(), INVITE);
    let leg = first_leg(&wire);
    let tag = to_tag(&wire.give(Input::Answer(leg, SDP.to_vec()))[0]);
    say(&mut wire, connection(), &within("ACK", 1, &tag));
    say(
        &mut wire,
        connection(),
        &within_with("INVITE", 2, &tag, "", OTHER),
    );
    wire.give(Input::AcceptOffer(leg, SDP.to_vec()));
    let sent = give(&mut wire, Input::Unreachable(connection()));
    assert_eq!(sent, way("200", "tcp:127.0.0.1:5070"));
}

#[test]
fn a_reliable_ringing_is_repeated_by_the_new_way() {
    let mut wire = Wire::new();
    say(
        &mut wire,
        connection(),
        &invite_with("Require: 100rel\r\n", SDP),
    );
    let leg = first_leg(&wire);
    wire.give(Input::Progress(leg, 183, Some(SDP.to_vec())));
    wire.give(Input::Unreachable(connection()));
    let due = wire.endpoint.poll_timeout().expect("it is repeated");
    wire.now = due;
    let sent = give(&mut wire, Input::Timeout);
    assert_eq!(sent, way("183", "tcp:127.0.0.1:5070"));
}

#[test]
fn requests_of_ours_go_by_the_new_way_where_no_address_is_told() {
    let mut wire = Wire::new();
    let invite = INVITE.replace("13800000000@127.0.0.1:5070", "13800000000@phone.example");
    say(&mut wire, connection(), &invite);
    let leg = first_leg(&wire);
    let tag = to_tag(&wire.give(Input::Answer(leg, SDP.to_vec()))[0]);
    say(&mut wire, connection(), &within("ACK", 1, &tag));
    wire.give(Input::Unreachable(connection()));
    let sent = give(&mut wire, Input::HangUp(leg, None));
    assert_eq!(sent, way("BYE", "tcp:127.0.0.1:5070"));
}
