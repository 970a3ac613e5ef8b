//! What is sent to an address that somebody has only named, in a Contact or as the sender of a datagram: little,
//! until something comes from there that only who got a message of ours can write.

use maskline_fixtures::sip::{
    OURS, PEER, SDP, Wire, address, first_leg, header, invite_with, response_with, response_within,
    to_tag, udp, with, within, within_with,
};
use maskline_sip::digest::Credentials;
use maskline_sip::endpoint::{Input, LegId, Peer, PeerId};
use maskline_sip::hop::Hop;
use maskline_sip::message::{Message, Name};

const SOURCE: &str = "127.0.0.2:5070";
const VICTIM: &str = "203.0.113.66:5060";
const VICTIM_CONTACT: &str = "Contact: <sip:x@203.0.113.66>\r\n";

fn wire_to(peer: Peer) -> Wire {
    Wire::with_peers(vec![peer])
}

fn wire() -> Wire {
    wire_to(Peer {
        sources: vec![address(SOURCE).ip()],
        ..Peer::new(PeerId(1), udp(PEER))
    })
}

/// The INVITE whose Contact is that of somebody else.
fn naming(contact: &str, lines: &str, sdp: &[u8]) -> String {
    let own = "Contact: <sip:13800000000@127.0.0.1:5070>\r\n";
    invite_with(lines, sdp).replacen(own, contact, 1)
}

/// What is sent within a minute and a half, and where to.
fn sent(wire: &mut Wire) -> Vec<(Hop, Message)> {
    let mut sent = Vec::new();
    let end = wire.now + std::time::Duration::from_secs(90);
    while let Some(due) = wire.endpoint.poll_timeout().filter(|due| *due <= end) {
        wire.now = due;
        wire.endpoint.handle_input(Input::Timeout, due);
        sent.extend(wire.drain());
    }
    sent
}

/// How many of them go to this address.
fn count(sent: &[(Hop, Message)], to: &str) -> usize {
    sent.iter()
        .filter(|(hop, _)| hop.address.ip() == address(to).ip())
        .count()
}

/// A call that came in by an INVITE with this Contact and was answered.
fn answered(wire: &mut Wire, contact: &str) -> (LegId, String) {
    wire.say(naming(contact, "", SDP));
    let leg = first_leg(wire);
    let ok = wire.give(Input::Answer(leg, SDP.to_vec())).remove(0);
    (leg, to_tag(&ok))
}

#[test]
fn a_request_to_an_address_that_was_only_named_is_sent_three_times_at_most() {
    type Step = fn(&mut Wire);
    /// Our call is answered with the victim's Contact.
    fn dialled(wire: &mut Wire, before: &str) -> LegId {
        let (leg, invite) = wire.dial();
        let ok = response_with(
            &invite,
            "200 OK",
            "b",
            &format!("{before}{VICTIM_CONTACT}"),
            SDP,
        );
        wire.endpoint.handle_input(
            Input::Datagram {
                from: udp(PEER),
                bytes: ok.as_bytes(),
            },
            wire.now,
        );
        leg
    }
    let rows: [(&str, Step, usize); 10] = [
        (
            "BYE for want of an ACK",
            |wire| {
                answered(wire, VICTIM_CONTACT);
            },
            3,
        ),
        (
            "BYE for want of an ACK after we wanted to hang up",
            |wire| {
                let (leg, _) = answered(wire, VICTIM_CONTACT);
                wire.give(Input::HangUp(leg, Some(16)));
            },
            3,
        ),
        (
            "BYE after an ACK from elsewhere",
            |wire| {
                let (leg, tag) = answered(wire, VICTIM_CONTACT);
                wire.say(within("ACK", 1, &tag));
                wire.give(Input::HangUp(leg, None));
            },
            // The first one was sent at once.
            2,
        ),
        (
            "re-INVITE",
            |wire| {
                let (leg, tag) = answered(wire, VICTIM_CONTACT);
                wire.say(within("ACK", 1, &tag));
                wire.give(Input::Offer(leg, OURS.to_vec()));
            },
            // And a BYE, since the call cannot be changed.
            5,
        ),
        (
            "INFO while it rings",
            |wire| {
                wire.say(naming(VICTIM_CONTACT, "", SDP));
                let leg = first_leg(wire);
                let kind = b"application/dtmf".to_vec();
                wire.give(Input::Info(leg, kind, b"5".to_vec()));
                wire.say(with("INVITE sip", "CANCEL sip"));
            },
            2,
        ),
        (
            "INFO after the ACK",
            |wire| {
                let (leg, tag) = answered(wire, VICTIM_CONTACT);
                wire.say(within("ACK", 1, &tag));
                let kind = b"application/dtmf".to_vec();
                wire.give(Input::Info(leg, kind, b"5".to_vec()));
            },
            2,
        ),
        (
            "ACK to whoever answered, and BYE",
            |wire| {
                let leg = dialled(wire, "");
                wire.endpoint
                    .handle_input(Input::HangUp(leg, None), wire.now);
            },
            4,
        ),
        (
            "PRACK to whoever rings",
            |wire| {
                let (_, invite) = wire.dial();
                let lines = format!("Require: 100rel\r\nRSeq: 1\r\n{VICTIM_CONTACT}");
                let ringing = response_with(&invite, "183 Progress", "b", &lines, SDP);
                wire.say(&ringing);
            },
            2,
        ),
        (
            "BYE to a fork that answers too late",
            |wire| {
                let (leg, invite) = wire.dial();
                let own = "Contact: <sip:x@127.0.0.1:5070>\r\n";
                wire.say(response_with(&invite, "200 OK", "b", own, SDP));
                let second = response_with(&invite, "200 OK", "c", VICTIM_CONTACT, SDP);
                wire.say(&second);
                wire.give(Input::HangUp(leg, None));
            },
            2,
        ),
        (
            "ACK and BYE to the Record-Route that was named",
            |wire| {
                let leg = dialled(wire, "Record-Route: <sip:203.0.113.66;lr>\r\n");
                wire.endpoint
                    .handle_input(Input::HangUp(leg, None), wire.now);
            },
            4,
        ),
    ];
    for (why, step, most) in rows {
        let mut wire = wire();
        step(&mut wire);
        let sent: Vec<_> = sent(&mut wire);
        let to_victim = count(&sent, VICTIM);
        assert_eq!(to_victim, most, "{why}: {:?}", kinds(&sent));
    }
}

fn kinds(sent: &[(Hop, Message)]) -> Vec<String> {
    let kind = |(hop, message): &(Hop, Message)| {
        format!("{} {:?}", hop.address, header(message, Name::CSeq))
    };
    sent.iter().map(kind).collect()
}

#[test]
fn who_answers_from_there_is_asked_as_often_as_it_takes() {
    // What comes before we hang up, from where, and how often the BYE to the Contact is repeated then.
    let ack = |tag: &str| within("ACK", 1, tag);
    let rows = [
        ("nothing from there", PEER, 2),
        ("the ACK came from there", VICTIM, 10),
        ("the ACK came from another of its peer", SOURCE, 2),
    ];
    for (why, from, repeats) in rows {
        let mut wire = wire();
        let (leg, tag) = answered(&mut wire, VICTIM_CONTACT);
        wire.say_from(from, ack(&tag).as_bytes());
        wire.give(Input::HangUp(leg, None));
        let sent = sent(&mut wire);
        assert_eq!(count(&sent, VICTIM), repeats, "{why}");
    }
    // An answer to a request of ours counts as well.
    let mut wire = wire();
    let (leg, tag) = answered(&mut wire, VICTIM_CONTACT);
    wire.say(ack(&tag));
    let kind = b"application/dtmf".to_vec();
    let info = wire.give(Input::Info(leg, kind, b"5".to_vec())).remove(0);
    let ok = response_within(&info, "200 OK", "", b"");
    wire.say_from(VICTIM, ok.as_bytes());
    wire.give(Input::HangUp(leg, None));
    assert_eq!(count(&sent(&mut wire), VICTIM), 10);
}

#[test]
fn who_sends_a_datagram_is_verified_by_what_only_it_can_know() {
    let challenged = || Peer {
        challenge: Some(Credentials {
            username: "u".to_owned(),
            password: "p".to_owned(),
        }),
        ..Peer::new(PeerId(1), udp(PEER))
    };
    type Step = fn(&mut Wire, &str);
    let rows: [(&str, Step, bool); 7] = [
        ("nothing", |_, _| {}, false),
        (
            "an ACK",
            |wire, tag| drop(wire.say(within("ACK", 1, tag))),
            true,
        ),
        (
            "an ACK of the other of a pair",
            |wire, tag| drop(wire.say_from(SOURCE, within("ACK", 1, tag).as_bytes())),
            true,
        ),
        (
            "an ACK with another tag",
            |wire, _| drop(wire.say(within("ACK", 1, "0123456789abcdef"))),
            false,
        ),
        (
            "an ACK of a stranger",
            |wire, tag| drop(wire.say_from("127.0.0.9:5070", within("ACK", 1, tag).as_bytes())),
            false,
        ),
        (
            "an ACK of whom its Contact names, who is no peer",
            |wire, tag| drop(wire.say_from(VICTIM, within("ACK", 1, tag).as_bytes())),
            false,
        ),
        (
            "a request within the dialog",
            |wire, tag| drop(wire.say(within("OPTIONS", 2, tag))),
            true,
        ),
    ];
    for (why, step, is_source_verified) in rows {
        let mut wire = wire();
        let (_, tag) = answered(&mut wire, VICTIM_CONTACT);
        assert!(!wire.is_source_verified, "{why}");
        step(&mut wire, &tag);
        assert_eq!(wire.is_source_verified, is_source_verified, "{why}");
        // And what it is sent for want of an ACK follows.
        if why == "nothing" {
            let sent = sent(&mut wire);
            assert_eq!(count(&sent, VICTIM), 3);
        }
    }
    // A PRACK, before there is an answer.
    let mut wire = wire();
    wire.say(naming(VICTIM_CONTACT, "Supported: 100rel\r\n", SDP));
    let leg = first_leg(&wire);
    let told = wire
        .give(Input::Progress(leg, 183, Some(SDP.to_vec())))
        .remove(0);
    let rack = format!("RAck: {} 1 INVITE\r\n", header(&told, Name::RSeq));
    assert!(!wire.is_source_verified);
    wire.say(within_with("PRACK", 2, &to_tag(&told), &rack, b""));
    assert!(wire.is_source_verified);
    // A connection, and a password, prove it at once.
    let mut stream = wire_to(Peer::new(PeerId(1), udp(PEER)));
    stream.give(Input::Datagram {
        from: Hop::tcp(address("127.0.0.1:41000")),
        bytes: naming(VICTIM_CONTACT, "", SDP).as_bytes(),
    });
    assert!(stream.is_source_verified);
    let mut asked = wire_to(challenged());
    asked.say(naming(VICTIM_CONTACT, "", SDP));
    assert!(!asked.is_source_verified, "it has been asked for one");
}

#[test]
fn a_peer_that_never_acknowledges_is_asked_three_times_too() {
    // The sender of the datagram need not be who it says.
    let mut wire = wire();
    let (_, _) = answered(&mut wire, "Contact: <sip:x@127.0.0.1:5070>\r\n");
    let sent = sent(&mut wire);
    let byes = sent
        .iter()
        .filter(|(_, message)| header(message, Name::CSeq).ends_with("BYE"));
    assert_eq!(byes.count(), 3);
    // Its answer, though, is repeated until the end (RFC 3261 section 13.3.1.4).
    let answers = sent
        .iter()
        .filter(|(_, message)| message.status() == Some(200));
    assert_eq!(answers.count(), 10);
}
