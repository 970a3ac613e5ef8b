use super::*;
use crate::hop::Hop;
use proptest::prelude::*;

/// An INVITE as a carrier might send it; the display name is in GBK.
const INVITE: &[u8] = b"INVITE sip:+8617000000001@192.0.2.1;user=phone SIP/2.0\r\n\
    Via: SIP/2.0/UDP 10.0.0.9:5070;branch=z9hG4bK-1;rport, SIP/2.0/UDP 10.0.0.8\r\n\
    Max-Forwards: 68\r\n\
    f: \"\xcd\xf5\" <sip:13800000000@10.0.0.9>;tag=abc\r\n\
    To: <sip:+8617000000001@192.0.2.1;user=phone>\r\n\
    i: 1-2-3@10.0.0.9\r\n\
    CSeq: 1 INVITE\r\n\
    X-Carrier : one\r\n  two\r\n\
    Reason: SIP;cause=200, Q.850;cause=31;text=\"a, b\"\r\n\
    Content-Length: 3\r\n\
    \r\n\
    v=0";

fn parse(bytes: &[u8]) -> Message {
    Message::parse(bytes).expect("it can be split")
}

fn source() -> Hop {
    Hop::udp("198.51.100.7:6000".parse().expect("a literal"))
}

/// The INVITE with one piece of text replaced.
fn with(old: &str, new: &str) -> Vec<u8> {
    let at = INVITE
        .windows(old.len())
        .position(|part| part == old.as_bytes())
        .expect("the text is there");
    [&INVITE[..at], new.as_bytes(), &INVITE[at + old.len()..]].concat()
}

#[test]
fn a_carriers_invite_is_read() {
    let message = parse(INVITE);
    let essentials = message.essentials().expect("nothing is missing");
    assert_eq!(message.method(), Some(Method::Invite));
    assert_eq!(
        message.request_uri(),
        b"sip:+8617000000001@192.0.2.1;user=phone"
    );
    assert_eq!(essentials.via.host, b"10.0.0.9");
    assert_eq!(essentials.via.branch(), Some(b"z9hG4bK-1".as_slice()));
    assert!(essentials.via.wants_rport());
    assert_eq!(essentials.from.display, b"\"\xcd\xf5\"");
    assert_eq!(essentials.from.tag(), Some(b"abc".as_slice()));
    assert_eq!(
        essentials
            .from
            .parsed_uri()
            .and_then(|uri| uri.number())
            .as_deref(),
        Some("13800000000")
    );
    assert_eq!(essentials.to.tag(), None);
    assert_eq!((essentials.cseq.number, essentials.max_forwards), (1, 68));
    assert_eq!(message.values(Name::Via).count(), 2);
    assert_eq!(message.q850(), Some(31));
    assert_eq!(message.body(), b"v=0");
    let folded = message
        .all_headers()
        .find(|(label, _)| *label == b"X-Carrier")
        .map(|(_, value)| value);
    assert_eq!(folded, Some(b"one\r\n  two".as_slice()));
}

#[test]
fn what_is_no_message_says_why() {
    let many = [
        b"INVITE sip:a@b SIP/2.0\r\n".as_slice(),
        &b"A: b\r\n".repeat(HEADERS_MAX + 1),
        b"\r\n",
    ]
    .concat();
    let long = [
        b"INVITE sip:a@b SIP/2.0\r\nA: ".as_slice(),
        &[b'x'; LINE_BYTES_MAX],
        b"\r\n\r\n",
    ]
    .concat();
    let folded = [
        b"INVITE sip:a@b SIP/2.0\r\nA: x\r\n".as_slice(),
        &[b" ", [b'x'; 4_000].as_slice(), b"\r\n"].concat().repeat(3),
    ]
    .concat();
    let huge = vec![b'x'; MESSAGE_BYTES_MAX + 1];
    let rows: &[(&[u8], ParseError)] = &[
        (b"", ParseError::Empty),
        (b"\r\n\r\n", ParseError::Empty),
        (b"hello\r\n\r\n", ParseError::StartLine),
        (b"INVITE sip:a@b\r\n\r\n", ParseError::StartLine),
        (b"INVITE SIP/2.0\r\n\r\n", ParseError::StartLine),
        (b"SIP/2.0 20\r\n\r\n", ParseError::StartLine),
        (b"SIP/2.0 999 No\r\n\r\n", ParseError::StartLine),
        (
            b"INVITE sip:a@b SIP/2.0\r\nno colon\r\n\r\n",
            ParseError::HeaderLine,
        ),
        (
            b"INVITE sip:a@b SIP/2.0\r\n: no name\r\n\r\n",
            ParseError::HeaderLine,
        ),
        (
            b"INVITE sip:a@b SIP/2.0\r\n folds nothing\r\n\r\n",
            ParseError::HeaderLine,
        ),
        (
            b"INVITE sip:a@b SIP/2.0\r\nVia: SIP/2.0",
            ParseError::Truncated,
        ),
        (&many, ParseError::TooManyHeaders),
        (&long, ParseError::LineTooLong),
        (&folded, ParseError::LineTooLong),
        (&huge, ParseError::TooLong),
    ];
    for (bytes, error) in rows {
        let shown = String::from_utf8_lossy(&bytes[..bytes.len().min(60)]);
        assert_eq!(Message::parse(bytes).err(), Some(*error), "{shown}");
    }
}

#[test]
fn what_a_request_lacks_is_named() {
    let rows: &[(&str, &str, Malformed)] = &[
        (
            "Via: SIP/2.0/UDP 10.0.0.9:5070",
            "Via: HTTP/2.0/UDP 10.0.0.9:5070",
            Malformed::Via,
        ),
        (
            "Via: SIP/2.0/UDP 10.0.0.9:5070",
            "Via: SIP/2.0/UDP 10.0.0.9:99999",
            Malformed::Via,
        ),
        ("f: \"", "f: 13800000000\r\nX: \"", Malformed::From),
        ("To: <sip:", "To: <sip:\r\nX: <", Malformed::To),
        ("i: 1-2-3@10.0.0.9", "i: ", Malformed::CallId),
        ("CSeq: 1 INVITE", "CSeq: -1 INVITE", Malformed::CSeq),
        ("CSeq: 1 INVITE", "CSeq: 2147483648 INVITE", Malformed::CSeq),
        ("CSeq: 1 INVITE", "CSeq: 1 BYE", Malformed::CSeqMethod),
        (
            "Max-Forwards: 68",
            "Max-Forwards: 256",
            Malformed::MaxForwards,
        ),
        (
            "Content-Length: 3",
            "Content-Length: 4",
            Malformed::ContentLength,
        ),
        (
            "Content-Length: 3",
            "Content-Length: -3",
            Malformed::ContentLength,
        ),
        ("To: ", "From: <sip:a@b>;tag=2\r\nTo: ", Malformed::Repeated),
        ("INVITE sip", "INVITE <sip", Malformed::RequestLine),
        ("INVITE sip", "INVITE  sip", Malformed::RequestLine),
    ];
    for (old, new, lack) in rows {
        assert_eq!(
            parse(&with(old, new)).essentials().err(),
            Some(*lack),
            "{new}"
        );
    }
}

#[test]
fn what_is_odd_but_allowed_is_taken() {
    let rows: &[(&str, &str)] = &[
        ("INVITE sip", "\r\n\r\nINVITE sip"),
        ("Content-Length: 3\r\n", ""),
        ("Content-Length: 3", "l  :\t2"),
        ("Max-Forwards: 68\r\n", ""),
        (
            "SIP/2.0/UDP 10.0.0.9:5070",
            "SIP / 2.0 / UDP\t10.0.0.9 : 5070",
        ),
        ("To: <sip", "TO :\t<sip"),
        (";tag=abc", ""),
        ("CSeq: 1 INVITE", "cseq:\r\n 0001\r\n INVITE"),
        (
            "+8617000000001@192.0.2.1;user=phone SIP",
            "17000000001@host;p=%40 SIP",
        ),
    ];
    for (old, new) in rows {
        let message = parse(&with(old, new));
        assert!(
            message.essentials().is_ok(),
            "{new}: {:?}",
            message.essentials().err()
        );
        assert!(message.body().starts_with(b"v="), "{new}");
    }
}

#[test]
fn a_response_is_read() {
    let message = parse(b"SIP/2.0 486 Busy Here\r\nCSeq: 1 INVITE\r\n\r\n");
    assert_eq!(
        (message.status(), message.phrase(), message.method()),
        (Some(486), b"Busy Here".as_slice(), None)
    );
    assert_eq!(
        parse(b"SIP/2.0 200\r\n\r\n").status(),
        Some(200),
        "the phrase may be missing"
    );
    assert_eq!(parse(b"SIP/2.0 200 \r\n\r\n").phrase(), b"");
}

#[test]
fn an_answer_copies_what_it_must_and_completes_the_via() {
    let bytes = reply(&parse(INVITE), source(), 180, Some(b"mine")).finish();
    let expected = b"SIP/2.0 180 Ringing\r\n\
        Via: SIP/2.0/UDP 10.0.0.9:5070;branch=z9hG4bK-1;received=198.51.100.7;rport=6000, SIP/2.0/UDP 10.0.0.8\r\n\
        From: \"\xcd\xf5\" <sip:13800000000@10.0.0.9>;tag=abc\r\n\
        To: <sip:+8617000000001@192.0.2.1;user=phone>;tag=mine\r\n\
        Call-ID: 1-2-3@10.0.0.9\r\n\
        CSeq: 1 INVITE\r\n\
        Content-Length: 0\r\n\r\n";
    assert_eq!(
        String::from_utf8_lossy(&bytes),
        String::from_utf8_lossy(expected)
    );
}

#[test]
fn no_value_can_begin_a_header_of_its_own() {
    let mut writer = Writer::request("INFO", b"sip:a@b");
    writer.line(
        Name::Reason,
        &[b"x\r\nEvil: 1\nEvil: 2\rEvil: 3\r\n folded"],
    );
    let bytes = writer.finish();
    let message = parse(&bytes);
    assert_eq!(message.all_headers().count(), 2);
    assert_eq!(
        message.header(Name::Reason),
        Some(b"x  Evil: 1 Evil: 2 Evil: 3\r\n folded".as_slice())
    );
}

#[test]
fn debug_shows_no_number() {
    let shown = format!("{:?}", parse(INVITE));
    assert!(!shown.contains("138") && !shown.contains("170"), "{shown}");
}

#[test]
fn names_are_known_in_any_case_and_in_short() {
    for (text, name) in [
        ("VIA", Name::Via),
        ("v", Name::Via),
        ("M", Name::Contact),
        ("call-id", Name::CallId),
    ] {
        assert_eq!(Name::parse(text.as_bytes()), name, "{text}");
    }
    assert_eq!(Name::parse(b"q"), Name::Other);
    assert_eq!(
        Method::parse(b"invite"),
        Method::Unknown,
        "methods are case-sensitive"
    );
}

/// Everything a reader may ask of a message.
fn read_all(message: &Message) -> usize {
    let essentials = message.essentials().is_ok();
    let parts: usize = [Name::Via, Name::Contact, Name::Route]
        .into_iter()
        .flat_map(|name| message.values(name))
        .filter_map(NameAddr::parse)
        .map(|part| {
            part.params.iter().count()
                + part
                    .parsed_uri()
                    .and_then(|uri| uri.number())
                    .map_or(0, |n| n.len())
        })
        .sum();
    let reply = reply(message, source(), 200, Some(b"t")).finish().len();
    usize::from(essentials)
        + parts
        + reply
        + usize::from(message.q850().unwrap_or(0))
        + message.body().len()
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        if let Ok(message) = Message::parse(&bytes) {
            read_all(&message);
        }
    }

    #[test]
    fn no_mutation_makes_it_panic(
        changes in proptest::collection::vec((0..INVITE.len(), any::<u8>()), 1..8),
        cut in 0..INVITE.len(),
    ) {
        let mut bytes = INVITE.to_vec();
        for (at, byte) in changes {
            bytes[at] = byte;
        }
        for bytes in [&bytes[..], &bytes[..cut], &bytes[cut..]] {
            if let Ok(message) = Message::parse(bytes) {
                read_all(&message);
            }
        }
    }
}
