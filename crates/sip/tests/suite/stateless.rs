//! What is answered without memory: strangers, scanners, probes, and calls that nobody takes.

use maskline_fixtures::sip::{
    INVITE, PEER, US, Wire, address, at, header, statuses, to_tag, udp, with,
};
use maskline_sip::endpoint::{Config, Endpoint, Input, Peer, PeerId};
use maskline_sip::message::{Message, Name};

#[test]
fn strangers_are_turned_away_and_nonsense_is_counted() {
    let mut wire = Wire::new();
    assert_eq!(
        statuses(&wire.say_from("192.0.2.9:5060", INVITE.as_bytes())),
        [403]
    );
    assert!(wire.say(b"GET / HTTP/1.1\r\n\r\n").is_empty());
    assert!(wire.say(b"\r\n\r\n").is_empty());
    assert!(
        wire.say(b"SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP h;branch=z9hG4bK1\r\n\r\n")
            .is_empty()
    );
    assert!(
        wire.say(
            with("INVITE sip", "ACK sip")
                .replace("1 INVITE", "1 ACK")
                .as_bytes()
        )
        .is_empty()
    );
    let counts = wire.endpoint.counts();
    assert_eq!(
        (
            counts.unknown_sources,
            counts.not_sip,
            counts.stray_responses
        ),
        (1, 1, 1)
    );
    assert!(wire.endpoint.is_idle());
}

#[test]
fn a_screened_call_is_refused_without_memory() {
    let mut wire = Wire::new();
    let is_known = |invite: &Message| invite.request_uri().starts_with(b"sip:17000000001");
    wire.endpoint.set_screen(Box::new(move |invite| {
        (!is_known(invite)).then_some((404, 1))
    }));
    let unknown = with("sip:17000000001@", "sip:17000000002@");
    let refused = wire.say(&unknown);
    assert_eq!(statuses(&refused), [404]);
    assert_eq!(refused[0].q850(), Some(1));
    let again = wire.say(&unknown);
    assert_eq!(to_tag(&refused[0]), to_tag(&again[0]), "a copy");
    let ack = unknown
        .replace("INVITE sip", "ACK sip")
        .replace("1 INVITE", "1 ACK");
    assert!(wire.say(&ack).is_empty());
    assert_eq!(wire.endpoint.counts().screened, 2);
    assert!(wire.endpoint.is_idle());
    wire.say(INVITE);
    assert_eq!(wire.endpoint.legs(), 1);
}

#[test]
fn a_probe_is_answered() {
    let mut wire = Wire::new();
    let answers = wire.say(
        with("INVITE sip", "OPTIONS sip")
            .replace("1 INVITE", "1 OPTIONS")
            .as_bytes(),
    );
    assert_eq!(statuses(&answers), [200]);
    assert_eq!(
        header(&answers[0], Name::Allow),
        "INVITE, ACK, CANCEL, BYE, OPTIONS, PRACK, UPDATE, INFO"
    );
    assert!(wire.endpoint.is_idle());
}

#[test]
fn an_answer_goes_to_the_port_in_the_via_unless_rport_is_asked_for() {
    for (text, port) in [
        (INVITE.to_owned(), 6_000),
        (with(";rport", ""), 5_070),
        (with("1:5070;branch", "1;branch"), 6_000),
    ] {
        let mut wire = Wire::new();
        let input = Input::Datagram {
            from: udp("127.0.0.1:6000"),
            bytes: text.as_bytes(),
        };
        wire.endpoint.handle_input(input, at(0));
        assert_eq!(wire.drain()[0].0.address.port(), port);
    }
}

#[test]
fn a_full_endpoint_says_when_to_come_back() {
    let mut config = Config::new(address(US));
    config.legs_max = 1;
    let peers = vec![Peer::new(PeerId(1), udp(PEER))];
    let mut wire = Wire::of(Endpoint::new(config, peers, [1; 32]));
    wire.incoming();
    let second = with("z9hG4bK1", "z9hG4bK2").replace("Call-ID: call", "Call-ID: other");
    let answers = wire.say(&second);
    assert_eq!(
        (statuses(&answers), header(&answers[0], Name::RetryAfter)),
        (vec![503], "5")
    );
    let (_, events) = (wire.endpoint.new_leg(), wire.seen());
    assert_eq!(events, ["incoming"]);
    assert_eq!(wire.endpoint.counts().overload, 1);
}
