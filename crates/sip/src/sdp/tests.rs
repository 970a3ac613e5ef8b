use super::*;
use proptest::prelude::*;

const CARRIER_OFFER: &str = "v=0\r\no=HuaweiSoftX3000 1 1 IN IP4 10.9.8.7\r\ns=Sip Call of \u{738b}\r\n\
    i=secret\r\nc=IN IP4 10.9.8.7\r\nt=0 0\r\nm=audio 4000 RTP/AVP 18 8 0 101\r\na=rtpmap:18 G729/8000\r\n\
    a=rtpmap:8 PCMA/8000\r\na=rtpmap:0 PCMU/8000\r\na=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-15\r\n\
    a=ptime:20\r\na=X-note:13800000000\r\nm=video 4002 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\n";

fn address(text: &str) -> SocketAddr {
    text.parse().expect("a literal")
}

#[test]
fn a_carriers_offer_is_read() {
    let offer = parse(CARRIER_OFFER.as_bytes()).expect("it is in order");
    let expected = Audio {
        address: address("10.9.8.7:4000"),
        codecs: vec![(Codec::Pcma, 8), (Codec::Pcmu, 0)],
        events: Some(101),
        ptime_ms: Some(20),
        direction: Direction::SendRecv,
    };
    assert_eq!(offer.audio, expected);
}

#[test]
fn our_offer_holds_nothing_but_the_allowed_facts() {
    let theirs = parse(CARRIER_OFFER.as_bytes()).expect("it is in order");
    let ours = offer(&theirs.audio, address("192.0.2.1:20000"), 7);
    let expected = "v=0\r\no=- 7 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\n\
        m=audio 20000 RTP/AVP 8 0 101\r\na=rtpmap:8 PCMA/8000\r\na=rtpmap:0 PCMU/8000\r\n\
        a=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-15\r\na=ptime:20\r\na=sendrecv\r\n";
    assert_eq!(String::from_utf8_lossy(&ours), expected);
}

#[test]
fn our_answer_has_one_codec_and_as_many_media_as_the_offer() {
    let offered = parse(CARRIER_OFFER.as_bytes()).expect("it is in order");
    let answered = "v=0\r\no=bob 1 1 IN IP4 10.1.1.1\r\ns=-\r\nt=0 0\r\nm=audio 5000 RTP/AVP 0 96\r\n\
        c=IN IP4 10.1.1.2\r\na=rtpmap:96 telephone-event/8000\r\na=sendonly\r\n";
    let answered = parse(answered.as_bytes()).expect("it is in order").audio;
    assert_eq!(
        answered.address,
        address("10.1.1.2:5000"),
        "the nearer c= counts"
    );
    let agreement = agree(&offered.audio, &answered).expect("PCMU is in both");
    let expected = Agreement {
        codec: Codec::Pcmu,
        offerer: Payloads {
            codec: 0,
            events: Some(101),
        },
        answerer: Payloads {
            codec: 0,
            events: Some(96),
        },
    };
    assert_eq!(agreement, expected);
    let ours = answer(
        &offered,
        &answered,
        &agreement,
        address("[2001:db8::1]:20002"),
        7,
    );
    let expected = "v=0\r\no=- 7 1 IN IP6 2001:db8::1\r\ns=-\r\nc=IN IP6 2001:db8::1\r\nt=0 0\r\n\
        m=audio 20002 RTP/AVP 0 101\r\na=rtpmap:0 PCMU/8000\r\na=rtpmap:101 telephone-event/8000\r\n\
        a=fmtp:101 0-15\r\na=sendonly\r\nm=video 0 RTP/AVP 96\r\n";
    assert_eq!(String::from_utf8_lossy(&ours), expected);
}

#[test]
fn a_description_that_cannot_be_used_says_why() {
    let audio = |protocol: &str, rest: &str| {
        format!("v=0\r\nc=IN IP4 10.0.0.1\r\nm=audio 4000 {protocol} 8\r\n{rest}")
    };
    let many = "m=audio 1 RTP/AVP 8\n".repeat(MEDIA_MAX + 1);
    let rows: &[(String, SdpError)] = &[
        (String::new(), SdpError::NoAudio),
        ("v=0\r\nhello\r\n".into(), SdpError::Malformed),
        ("v=0\r\nm=audio\r\n".into(), SdpError::Malformed),
        (
            "v=0\r\nm=audio 70000 RTP/AVP 8\r\n".into(),
            SdpError::Malformed,
        ),
        (
            "v=0\r\nm=audio 4000 RTP/AVP 8\r\n".into(),
            SdpError::NoAudio,
        ),
        (
            "v=0\r\nc=IN IP4 host.example\r\nm=audio 4000 RTP/AVP 8\r\n".into(),
            SdpError::NoAudio,
        ),
        (audio("RTP/SAVP", ""), SdpError::NoAudio),
        (
            audio("RTP/AVP", "a=rtpmap:8 opus/48000/2\r\n"),
            SdpError::NoAudio,
        ),
        (many, SdpError::TooLong),
        ("x".repeat(SDP_BYTES_MAX + 1), SdpError::TooLong),
    ];
    for (text, error) in rows {
        assert_eq!(parse(text.as_bytes()).unwrap_err(), *error, "{text}");
    }
}

#[test]
fn a_codec_may_have_an_unusual_number_and_bare_line_feeds_are_lines() {
    let text =
        "v=0\nc=IN IP4 10.0.0.1\na=inactive\nm=audio 4000/1 RTP/AVP 97\na=rtpmap:97 pcma/8000/1\n";
    let audio = parse(text.as_bytes()).expect("it is in order").audio;
    assert_eq!(
        (audio.codecs, audio.direction),
        (vec![(Codec::Pcma, 97)], Direction::Inactive)
    );
}

#[test]
fn an_answer_with_no_offered_codec_is_no_agreement() {
    let pcma = parse(b"v=0\r\nc=IN IP4 10.0.0.1\r\nm=audio 4000 RTP/AVP 8\r\n")
        .expect("it is in order")
        .audio;
    let pcmu = parse(b"v=0\r\nc=IN IP4 10.0.0.1\r\nm=audio 4000 RTP/AVP 0\r\n")
        .expect("it is in order")
        .audio;
    assert_eq!(agree(&pcma, &pcmu), Err(SdpError::NoCommonCodec));
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = parse(&bytes);
    }

    /// Whatever is read can be offered on, and the offer reads as the same facts with our address.
    #[test]
    fn mutations_of_an_offer_are_read_or_refused(at in 0..CARRIER_OFFER.len(), byte: u8) {
        let mut bytes = CARRIER_OFFER.as_bytes().to_vec();
        bytes[at] = byte;
        if let Ok(read) = parse(&bytes) {
            let ours = address("192.0.2.1:20000");
            let again = parse(&offer(&read.audio, ours, 1)).expect("our own offer is in order");
            prop_assert_eq!(Audio { address: ours, ..read.audio }, again.audio);
        }
    }
}
