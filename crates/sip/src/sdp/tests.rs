use super::*;
use proptest::prelude::*;
use std::net::IpAddr;

const CARRIER_OFFER: &str = "v=0\r\no=HuaweiSoftX3000 1 1 IN IP4 10.9.8.7\r\ns=Sip Call of \u{738b}\r\n\
    i=secret\r\nc=IN IP4 10.9.8.7\r\nt=0 0\r\nm=audio 4000 RTP/AVP 18 8 0 101\r\na=rtpmap:18 G729/8000\r\n\
    a=rtpmap:8 PCMA/8000\r\na=rtpmap:0 PCMU/8000\r\na=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-15\r\n\
    a=ptime:20\r\na=X-note:13800000000\r\nm=video 4002 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\n";

fn address(text: &str) -> SocketAddr {
    text.parse().expect("a literal")
}

fn offer(audio: &Audio, ours: SocketAddr, session: u64) -> Vec<u8> {
    LocalSession::new(session).offer(audio, ours)
}

fn answer(
    offered: &Description,
    answered: &Audio,
    agreement: &impl Agreed,
    ours: SocketAddr,
    session: u64,
) -> Vec<u8> {
    LocalSession::new(session).answer(offered, answered, agreement, ours)
}

#[test]
fn a_carriers_offer_is_read() {
    let offer = parse(CARRIER_OFFER.as_bytes()).expect("it is in order");
    let expected = Audio {
        address: address("10.9.8.7:4000"),
        rtcp: None,
        codecs: vec![(Codec::Pcma, 8), (Codec::Pcmu, 0)],
        events: Some(101),
        events_at: Vec::new(),
        ptime_ms: Some(20),
        direction: Direction::SendRecv,
        noise: false,
        pass_through: Vec::new(),
    };
    assert_eq!(offer.audio, expected);
}

#[test]
fn reports_are_received_where_it_is_said() {
    let rows = [
        ("a=rtcp:53020", Some("10.9.8.7:53020")),
        ("a=rtcp:53020 ", Some("10.9.8.7:53020")),
        ("a=rtcp: 53020", Some("10.9.8.7:53020")),
        ("a=rtcp:53020 IN IP4 126.16.64.4", Some("126.16.64.4:53020")),
        (
            "a=rtcp:53020 IN IP6 2001:2345:6789:abcd::1",
            Some("[2001:2345:6789:abcd::1]:53020"),
        ),
        ("a=rtcp:4000", Some("10.9.8.7:4000")),
        ("a=rtcp:0", None),
        ("a=rtcp:", None),
        ("a=rtcp", None),
        ("a=rtcp:port", None),
        ("a=rtcp:70000", None),
        ("a=rtcp:53020 nonsense", None),
        ("a=rtcp-mux", None),
        ("a=rtcp-fb:* nack", None),
    ];
    for (line, expected) in rows {
        let sdp = CARRIER_OFFER.replace("a=ptime:20", line);
        let audio = parse(sdp.as_bytes()).expect("it is in order").audio;
        assert_eq!(audio.rtcp, expected.map(address), "{line}");
        let ours = offer(&audio, address("192.0.2.1:20000"), 7);
        let ours = String::from_utf8_lossy(&ours).into_owned();
        assert!(!ours.contains("rtcp") && !ours.contains("53020"), "{line}");
    }
}

#[test]
fn of_several_audio_lines_the_first_that_can_be_spoken_with_counts() {
    let sdp = "v=0\r\no=- 1 1 IN IP6 ::1\r\ns=-\r\nt=0 0\r\nm=audio 4000 RTP/AVP 8\r\nc=IN IP6 2001:db8::7\r\n\
        m=audio 4002 RTP/AVP 8\r\nc=IN IP4 10.9.8.7\r\n";
    let read = |is_fit: fn(IpAddr) -> bool| {
        let read = parse_within(sdp.as_bytes(), &[], None, is_fit).expect("it is in order");
        read.audio.address
    };
    assert_eq!(read(|ip| ip.is_ipv4()), address("10.9.8.7:4002"));
    assert_eq!(read(|ip| ip.is_ipv6()), address("[2001:db8::7]:4000"));
    assert_eq!(
        read(|_| false),
        address("[2001:db8::7]:4000"),
        "to be refused"
    );
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
        ("v=0\r\nhello\r\n".into(), SdpError::NoAudio),
        ("v=0\r\nm=audio\r\n".into(), SdpError::NoAudio),
        (
            "v=0\r\nm=audio 70000 RTP/AVP 8\r\n".into(),
            SdpError::NoAudio,
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

#[test]
fn hold_is_read_in_each_of_its_forms() {
    let rows = [
        ("10.0.0.1", "", Direction::SendRecv, false),
        ("10.0.0.1", "a=sendonly\r\n", Direction::SendOnly, true),
        ("10.0.0.1", "a=recvonly\r\n", Direction::RecvOnly, false),
        ("10.0.0.1", "a=inactive\r\n", Direction::Inactive, true),
        ("0.0.0.0", "", Direction::SendOnly, true),
        ("0.0.0.0", "a=recvonly\r\n", Direction::Inactive, true),
    ];
    for (address, line, direction, held) in rows {
        let text = format!("v=0\r\nc=IN IP4 {address}\r\nm=audio 4000 RTP/AVP 8\r\n{line}");
        let audio = parse(text.as_bytes()).expect("it is in order").audio;
        assert_eq!(
            (audio.direction, audio.is_on_hold()),
            (direction, held),
            "{text}"
        );
    }
    assert_eq!(Direction::SendOnly.reversed(), Direction::RecvOnly);
    assert_eq!(Direction::Inactive.reversed(), Direction::Inactive);
}

#[test]
fn a_packet_time_outside_of_10_to_40_is_not_passed_on() {
    for (said, read) in [
        ("9", None),
        ("10", Some(10)),
        ("40", Some(40)),
        ("60", None),
    ] {
        let text =
            format!("v=0\r\nc=IN IP4 10.0.0.1\r\nm=audio 4000 RTP/AVP 8\r\na=ptime:{said}\r\n");
        let audio = parse(text.as_bytes()).expect("it is in order").audio;
        assert_eq!(audio.ptime_ms, read);
    }
}

#[test]
fn comfort_noise_crosses_where_both_sides_know_it() {
    let with = "v=0\r\nc=IN IP4 10.0.0.1\r\nm=audio 4000 RTP/AVP 8 13\r\n";
    let without = "v=0\r\nc=IN IP4 10.0.0.1\r\nm=audio 4000 RTP/AVP 8\r\n";
    let (with, without) = (
        parse(with.as_bytes()).expect("it is in order"),
        parse(without.as_bytes()).expect("it is in order"),
    );
    let ours = address("192.0.2.1:20000");
    assert!(
        parse(&offer(&with.audio, ours, 1))
            .expect("ours")
            .audio
            .noise
    );
    for (offered, answered, crosses) in [
        (&with, &with, true),
        (&with, &without, false),
        (&without, &with, false),
    ] {
        let agreement = agree(&offered.audio, &answered.audio).expect("A-law");
        let text = answer(offered, &answered.audio, &agreement, ours, 1);
        let read = parse(&text).expect("ours").audio;
        assert_eq!(read.noise, crosses);
    }
}

#[test]
fn a_fax_is_refused_beside_audio_and_alone() {
    let image = "m=image 4002 udptl t38\r\na=T38FaxVersion:0\r\n";
    let both = format!("v=0\r\nc=IN IP4 10.0.0.1\r\nm=audio 4000 RTP/AVP 8\r\n{image}");
    let both = parse(both.as_bytes()).expect("there is audio");
    let agreement = agree(&both.audio, &both.audio).expect("A-law");
    let text = answer(&both, &both.audio, &agreement, address("192.0.2.1:2"), 1);
    assert!(String::from_utf8_lossy(&text).ends_with("m=image 0 udptl t38\r\n"));
    for alone in [
        format!("v=0\r\nc=IN IP4 10.0.0.1\r\n{image}"),
        format!("v=0\r\nc=IN IP4 10.0.0.1\r\nm=audio 0 RTP/AVP 8\r\n{image}"),
    ] {
        assert_eq!(parse(alone.as_bytes()), Err(SdpError::NoAudio));
    }
}

const FOREIGN: &str = "v=0\r\nc=IN IP4 10.0.0.1\r\nm=audio 4000 RTP/AVP 18 96 97 9 98 101\r\n\
    a=rtpmap:96 AMR/8000/1\r\na=fmtp:96 mode-set=0,2,7; octet-align=1; note=13800000000\r\n\
    a=rtpmap:97 opus/48000/2\r\na=fmtp:97 useinbandfec=1;maxaveragebitrate=13800000000\r\n\
    a=fmtp:18 annexb=no\r\na=rtpmap:98 EVS/16000\r\na=rtpmap:101 telephone-event/8000\r\n";

fn parse_passing(text: &str, pass_through: &[PassThrough]) -> Result<Description, SdpError> {
    parse_within(text.as_bytes(), pass_through, None, |_| true)
}

#[test]
fn other_codecs_cross_only_where_they_are_asked_for() {
    assert_eq!(parse(FOREIGN.as_bytes()), Err(SdpError::NoAudio));
    let some = parse_passing(FOREIGN, &[PassThrough::G722]).expect("there is G.722");
    assert_eq!(some.audio.pass_through.len(), 1);
    let all = parse_passing(FOREIGN, &PassThrough::ALL).expect("it is in order");
    let ours = String::from_utf8(offer(&all.audio, address("192.0.2.1:20000"), 7));
    let expected = "v=0\r\no=- 7 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\n\
        m=audio 20000 RTP/AVP 18 96 97 9 101\r\na=rtpmap:18 G729/8000\r\na=fmtp:18 annexb=no\r\n\
        a=rtpmap:96 AMR/8000\r\na=fmtp:96 octet-align=1;mode-set=0,2,7\r\n\
        a=rtpmap:97 opus/48000/2\r\na=fmtp:97 useinbandfec=1\r\na=rtpmap:9 G722/8000\r\n\
        a=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-15\r\na=sendrecv\r\n";
    assert_eq!(ours.expect("we write ASCII"), expected);
}

#[test]
fn a_call_that_is_only_passed_on_is_answered_with_its_one_codec() {
    let offered = parse_passing(FOREIGN, &PassThrough::ALL).expect("it is in order");
    let text = "v=0\r\nc=IN IP4 10.0.0.2\r\nm=audio 5000 RTP/AVP 110 100\r\n\
        a=rtpmap:110 amr/8000\r\na=fmtp:110 octet-align=1\r\na=rtpmap:100 telephone-event/8000\r\n";
    let answered = parse_passing(text, &PassThrough::ALL)
        .expect("it is in order")
        .audio;
    assert_eq!(
        agree(&offered.audio, &answered),
        Err(SdpError::NoCommonCodec)
    );
    let passing = agree_passing(&offered.audio, &answered).expect("AMR is in both");
    let payloads = |codec, events| Payloads {
        codec,
        events: Some(events),
    };
    assert_eq!(
        (passing.format.codec, passing.offerer, passing.answerer),
        (PassThrough::Amr, payloads(96, 101), payloads(110, 100))
    );
    let text = answer(&offered, &answered, &passing, address("192.0.2.1:2"), 1);
    let text = String::from_utf8(text).expect("we write ASCII");
    assert!(text.contains("m=audio 2 RTP/AVP 96 101\r\n"), "{text}");
    assert!(text.contains("a=fmtp:96 octet-align=1\r\n"), "{text}");
}

#[test]
fn the_number_of_our_description_goes_up_with_each_change_only() {
    let ours = address("192.0.2.1:20000");
    let offered = parse(CARRIER_OFFER.as_bytes()).expect("it is in order");
    let agreement = agree(&offered.audio, &offered.audio).expect("A-law");
    let mut side = LocalSession::new(7);
    let first = side.answer(&offered, &offered.audio, &agreement, ours);
    assert_eq!(origin(&first), Some(b"- 7 1 IN IP4 192.0.2.1".as_slice()));
    assert_eq!(
        side.answer(&offered, &offered.audio, &agreement, ours),
        first
    );
    let held = Audio {
        direction: Direction::SendOnly,
        ..Audio::ours(ours)
    };
    let second = side.offer(&held, ours);
    assert_eq!(origin(&second), Some(b"- 7 2 IN IP4 192.0.2.1".as_slice()));
    assert_eq!(side.offer(&held, ours), second);
    assert_eq!(side.said(), second);
    let text = String::from_utf8(second).expect("we write ASCII");
    assert!(text.contains("m=audio 20000 RTP/AVP 8 0 101\r\n"), "{text}");
    assert!(
        text.ends_with("a=sendonly\r\nm=video 0 RTP/AVP 96\r\n"),
        "no line disappears: {text}"
    );
    let third = side.answer(&offered, &offered.audio, &agreement, ours);
    assert_eq!(origin(&third), Some(b"- 7 3 IN IP4 192.0.2.1".as_slice()));
}

#[test]
fn a_new_offer_keeps_the_numbers_that_the_side_knows() {
    let known = parse(CARRIER_OFFER.as_bytes())
        .expect("it is in order")
        .audio;
    let text = "v=0\r\nc=IN IP4 10.0.0.2\r\nm=audio 5000 RTP/AVP 0 97 8 101\r\n\
        a=rtpmap:97 telephone-event/8000\r\na=rtpmap:101 G722/8000\r\n";
    let other = parse_passing(text, &PassThrough::ALL)
        .expect("it is in order")
        .audio;
    let renumbered = other.renumbered(&known);
    assert_eq!(renumbered.codecs, [(Codec::Pcmu, 0), (Codec::Pcma, 8)]);
    assert_eq!(renumbered.pass_through[0].payload_type, 101);
    assert_eq!(renumbered.events, Some(96), "101 is taken");
    let plain = parse(text.as_bytes()).expect("it is in order").audio;
    assert_eq!(plain.renumbered(&known).events, Some(101));
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
