//! The torture messages of RFC 4475, named as there. They lie in `corpus/torture`, with plain line feeds
//! for line breaks, `\x00` for bytes that no editor likes, and `@LENGTH@` for the length of the body.

use crate::corpus;
use maskline_fixtures::sip::{PEER, SDP, Wire, header, to_tag, udp};
use maskline_sip::endpoint::{Event, Input};
use maskline_sip::message::{Message, Name};
use maskline_sip::stream::{Frame, Framer};

/// What becomes of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Expected {
    /// It opens a call.
    Call,
    /// It is answered with this status, and nothing is remembered.
    Answer(u16),
    /// A response that answers nothing of ours, or no message at all.
    Dropped,
}

use Expected::{Answer, Call, Dropped};

/// Section, name, outcome, and why where that is not plain.
#[rustfmt::skip]
const ROWS: &[(&str, &str, Expected)] = &[
    // 3.1.1: valid messages.
    ("3.1.1.1", "wsinv", Answer(481)), // It has a To tag, and no dialog of ours.
    ("3.1.1.2", "intmeth", Answer(501)),
    ("3.1.1.3", "esc01", Call),
    ("3.1.1.4", "escnull", Answer(405)), // We are no registrar.
    ("3.1.1.5", "esc02", Answer(501)), // An escaped method is not that method.
    ("3.1.1.6", "lwsdisp", Answer(200)),
    ("3.1.1.7", "longreq", Call),
    ("3.1.1.8", "dblreq", Answer(405)), // Only the first of the two.
    ("3.1.1.9", "semiuri", Answer(200)),
    ("3.1.1.10", "transports", Answer(200)),
    ("3.1.1.11", "mpart01", Answer(405)),
    ("3.1.1.12", "unreason", Dropped),
    ("3.1.1.13", "noreason", Dropped),
    // 3.1.2: invalid messages.
    ("3.1.2.1", "badinv01", Answer(400)),
    ("3.1.2.2", "clerr", Answer(400)),
    ("3.1.2.3", "ncl", Answer(400)),
    ("3.1.2.4", "scalar02", Answer(400)),
    ("3.1.2.5", "scalarlg", Dropped),
    ("3.1.2.6", "quotbal", Answer(400)),
    ("3.1.2.7", "ltgtruri", Answer(400)),
    ("3.1.2.8", "lwsruri", Answer(400)),
    ("3.1.2.9", "lwsstart", Answer(400)),
    ("3.1.2.10", "trws", Answer(200)), // The white space may be passed over.
    ("3.1.2.11", "escruri", Answer(400)),
    ("3.1.2.12", "baddate", Call), // Whoever has no use for the date may pass over it.
    ("3.1.2.13", "regbadct", Answer(405)),
    ("3.1.2.14", "badaspec", Answer(200)), // What is meant is plain.
    ("3.1.2.15", "baddn", Answer(200)), // The missing quotes may be inferred.
    ("3.1.2.16", "badvers", Answer(505)),
    ("3.1.2.17", "mismatch01", Answer(400)),
    ("3.1.2.18", "mismatch02", Answer(400)),
    ("3.1.2.19", "bigcode", Dropped),
    // 3.2: the transaction layer.
    ("3.2.1", "badbranch", Answer(200)),
    // 3.3: the layers above.
    ("3.3.1", "insuf", Answer(400)),
    ("3.3.2", "unkscm", Answer(416)),
    ("3.3.3", "novelsc", Answer(416)),
    ("3.3.4", "unksm2", Answer(405)),
    ("3.3.5", "bext01", Answer(420)),
    ("3.3.6", "invut", Answer(415)),
    ("3.3.7", "regaut01", Answer(405)),
    ("3.3.8", "multi01", Answer(400)),
    ("3.3.9", "mcl01", Answer(400)),
    ("3.3.10", "bcast", Dropped),
    ("3.3.11", "zeromf", Answer(200)), // We are where it goes, not a hop on its way.
    ("3.3.12", "cparam01", Answer(405)),
    ("3.3.13", "cparam02", Answer(405)),
    ("3.3.14", "regescrt", Answer(405)),
    ("3.3.15", "sdp01", Answer(406)),
    // 4.
    ("4", "inv2543", Call),
];

fn wire() -> Wire {
    let id = maskline_sip::endpoint::PeerId(1);
    Wire::with_peers(vec![maskline_sip::endpoint::Peer::new(id, udp(PEER))])
}

fn outcome(wire: &mut Wire, bytes: &[u8]) -> (Expected, Vec<Message>) {
    let sent = wire.say(bytes);
    let is_call = matches!(wire.events.last(), Some(Event::Incoming { .. }));
    let outcome = match sent.first().and_then(Message::status) {
        None => Dropped,
        Some(100) if is_call => Call,
        Some(status) => Answer(status),
    };
    (outcome, sent)
}

#[test]
fn every_message_meets_its_fate() {
    for (section, name, wanted) in ROWS {
        let mut wire = wire();
        let (outcome, sent) = outcome(&mut wire, &corpus::load("torture", name));
        assert_eq!(outcome, *wanted, "{section} {name}");
        assert!(sent.len() <= 1, "{section} {name}: one answer");
        if outcome != Call {
            assert!(
                wire.events.is_empty(),
                "{section} {name}: no call hears of it"
            );
        }
        wire.pass(400_000);
        assert!(wire.endpoint.is_idle(), "{section} {name}: nothing is left");
    }
}

#[test]
fn the_corpus_and_the_table_agree() {
    let mut names: Vec<&str> = ROWS.iter().map(|(_, name, _)| *name).collect();
    names.sort_unstable();
    assert_eq!(corpus::names("torture"), names);
}

#[test]
fn answers_say_what_was_wrong_and_lose_nothing() {
    let answer = |name| {
        let (_, mut sent) = outcome(&mut wire(), &corpus::load("torture", name));
        sent.remove(0)
    };
    let extensions = answer("bext01");
    assert_eq!(
        header(&extensions, Name::Unsupported),
        "nothingSupportsThis, nothingSupportsThisEither"
    );
    assert!(!header(&answer("intmeth"), Name::Allow).is_empty());
    assert_eq!(header(&answer("invut"), Name::Accept), "application/sdp");
    let transports = answer("transports");
    assert_eq!(transports.values(Name::Via).count(), 5);
    // Odd bytes come back as they went.
    let odd = Message::parse(&corpus::load("torture", "intmeth")).expect("it is valid");
    let back = answer("intmeth");
    for name in [Name::From, Name::CallId, Name::CSeq] {
        assert_eq!(back.header(name), odd.header(name));
    }
}

#[test]
fn in_a_stream_only_what_has_a_length_is_a_message() {
    for (section, name, _) in ROWS {
        let bytes = corpus::load("torture", name);
        let mut framer = Framer::new();
        framer.push(&bytes);
        let found = framer.next_frame();
        match *name {
            // Their lengths are missing, wrong or contradict each other.
            "ncl" | "mcl01" | "inv2543" => assert!(found.is_err(), "{section} {name}"),
            // Its body never comes.
            "clerr" => assert_eq!(found, Ok(None), "{section} {name}"),
            "dblreq" => {
                assert!(matches!(found, Ok(Some(Frame::Message(_)))), "{name}");
                assert!(framer.held() > 0, "the second one waits");
            }
            _ => assert_eq!(found, Ok(Some(Frame::Message(bytes))), "{section} {name}"),
        }
    }
}

#[test]
fn a_contact_that_would_break_a_request_line_is_not_used() {
    let invite = |from: &str, contact: &str| {
        format!(
            "INVITE sip:1@127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1:5070;branch=z9hG4bKc;rport\r\n\
             From: {from};tag=a\r\nTo: <sip:1@127.0.0.1>\r\nCall-ID: c\r\nCSeq: 1 INVITE\r\n\
             Contact: {contact}\r\nContent-Length: 0\r\n\r\n"
        )
    };
    let rows = [
        (
            "<sip:b@127.0.0.1:5070;x?Route=%3Csip:c%3E>",
            Some("sip:b@127.0.0.1:5070;x"),
        ),
        ("<sip:b?c@127.0.0.1:5070>", Some("sip:b?c@127.0.0.1:5070")),
        (
            "<sip:b@127.0.0.1:5070\r\n SIP/2.0>",
            Some("sip:138@127.0.0.1"),
        ),
        ("<sip:b@h <sip:c@h>", Some("sip:138@127.0.0.1")),
        ("*", Some("sip:138@127.0.0.1")),
    ];
    for (contact, wanted) in rows {
        let mut wire = wire();
        wire.say(invite("<sip:138@127.0.0.1>", contact));
        let Some(Event::Incoming { leg, .. }) = wire.events.pop() else {
            panic!("{contact}: a call");
        };
        let ok = wire.give(Input::Answer(leg, SDP.to_vec())).remove(0);
        let tag = to_tag(&ok);
        wire.say(format!(
            "ACK sip:1@127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1:5070;branch=z9hG4bKd\r\n\
             From: <sip:138@127.0.0.1>;tag=a\r\nTo: <sip:1@127.0.0.1>;tag={tag}\r\nCall-ID: c\r\nCSeq: 1 ACK\r\n\r\n"
        ));
        let bye = wire.give(Input::HangUp(leg, None)).remove(0);
        let uri = std::str::from_utf8(bye.request_uri()).ok();
        assert_eq!(uri, wanted, "{contact}");
    }
    let (outcome, _) = outcome(&mut wire(), invite("<sip:1 3 8@h>", "*").as_bytes());
    assert_eq!(outcome, Answer(400), "there is nowhere to send anything");
}
