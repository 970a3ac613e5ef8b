//! Descriptions with flaws, as they are met in the field: a flaw in what is not used never costs the call.

use maskline_sip::sdp::{
    Codec, Description, LocalSession, PassThrough, SdpError, agree, agree_passing, host_name,
    parse, parse_within,
};

const HEAD: &str = "v=0\r\no=- 1 1 IN IP4 10.0.0.1\r\ns=-\r\nc=IN IP4 10.0.0.1\r\nt=0 0\r\n";
const AUDIO: &str =
    "m=audio 4000 RTP/AVP 8 101\r\na=rtpmap:8 PCMA/8000\r\na=rtpmap:101 telephone-event/8000\r\n";

/// Reads a description of a side whose calls may use any codec.
fn parse_passing(text: &str) -> Result<Description, SdpError> {
    parse_within(text.as_bytes(), &PassThrough::ALL, None, |_| true)
}

/// What is wrong, and the lines below the head. Each holds A-law at 10.0.0.1:4000 and keys under 101.
fn flawed() -> Vec<(&'static str, String)> {
    let many = |media: usize| format!("{AUDIO}{}", "m=video 0 RTP/AVP 96\r\n".repeat(media));
    let formats: Vec<String> = (64..110).map(|number| number.to_string()).collect();
    vec![
        (
            "a text medium without a format",
            format!("{AUDIO}m=text 0 RTP/AVP\r\n"),
        ),
        (
            "the same before the audio",
            format!("m=text 0 RTP/AVP\r\n{AUDIO}"),
        ),
        (
            "a refused audio without a format",
            format!("m=audio 0 RTP/AVP\r\n{AUDIO}"),
        ),
        ("a line without an equals sign", format!("{AUDIO}hello\r\n")),
        ("half a line at the end", format!("{AUDIO}a")),
        (
            "an empty line in the middle",
            format!("\r\n{AUDIO}\r\na=sendrecv\r\n"),
        ),
        (
            "a codec without a clock",
            AUDIO.replace("PCMA/8000", "PCMA"),
        ),
        (
            "a clock that stands still",
            AUDIO.replace("PCMA/8000", "PCMA/0"),
        ),
        (
            "a slash with nothing behind it",
            AUDIO.replace("PCMA/8000", "PCMA/8000/"),
        ),
        ("keys without a clock", AUDIO.replace("event/8000", "event")),
        (
            "the protocol in lower case",
            AUDIO.replace("RTP/AVP", "rtp/avp"),
        ),
        (
            "the medium in upper case",
            AUDIO.replace("m=audio", "m=Audio"),
        ),
        (
            "feedback that nobody must give",
            AUDIO.replace("RTP/AVP", "RTP/AVPF") + "a=rtcp-fb:* nack\r\n",
        ),
        (
            "the same in lower case",
            AUDIO.replace("RTP/AVP", "rtp/avpf"),
        ),
        (
            "keys mapped twice, the unfit first",
            AUDIO.replace("8 101", "8 101 101").replace(
                "a=rtpmap:101",
                "a=rtpmap:101 telephone-event/16000\r\na=rtpmap:101",
            ),
        ),
        (
            "keys mapped twice, the unfit last",
            AUDIO.replace("8 101", "8 101 101") + "a=rtpmap:101 telephone-event/16000\r\n",
        ),
        (
            "a codec mapped twice",
            AUDIO.replace("a=rtpmap:8 ", "a=rtpmap:8 EVS/16000\r\na=rtpmap:8 "),
        ),
        (
            "a map of nothing",
            format!("{AUDIO}a=rtpmap\r\na=rtpmap:\r\na=rtpmap:8\r\n"),
        ),
        (
            "a medium without a port",
            format!("{AUDIO}m=video - RTP/AVP 96\r\n"),
        ),
        (
            "a port that is none",
            format!("{AUDIO}m=video 70000 RTP/AVP 96\r\n"),
        ),
        (
            "a payload type over 127",
            format!("{AUDIO}m=video 0 RTP/AVP 255\r\n"),
        ),
        (
            "a format that is none",
            format!("{AUDIO}m=audio 0 RTP/AVP (null)\r\n"),
        ),
        (
            "a medium of which only the kind is said",
            format!("{AUDIO}m=video\r\n"),
        ),
        (
            "a medium of which nothing is said",
            format!("{AUDIO}m=\r\n"),
        ),
        (
            "letters of other alphabets",
            format!("{AUDIO}m=vid\u{e9}o 0 RTP/AVP 96\r\n"),
        ),
        (
            "an address of a medium that is none",
            format!("{AUDIO}c=IN IP4 no$where at all\r\nc=IN\r\n"),
        ),
        (
            "a second address that is none",
            format!("{AUDIO}c=IN IP4 999.1.2.3\r\n"),
        ),
        (
            "an address kind in lower case",
            format!("{AUDIO}c=in ip4 10.0.0.1\r\n"),
        ),
        ("more media than usual", many(12)),
        (
            "more codecs than usual",
            AUDIO.replace("8 101", &format!("{} 8 101", formats.join(" "))),
        ),
        (
            "a direction in upper case",
            format!("{AUDIO}a=SENDRECV\r\n"),
        ),
        (
            "a long list of candidates",
            AUDIO.to_owned()
                + &"a=candidate:1 1 udp 2113937151 192.0.2.1 4000 typ host\r\n".repeat(170),
        ),
    ]
}

#[test]
fn a_flaw_in_what_is_not_used_never_costs_the_call() {
    let mut failed = Vec::new();
    for (what, lines) in flawed() {
        let text = format!("{HEAD}{lines}");
        let read = match parse_passing(&text) {
            Ok(read) => read,
            Err(error) => {
                failed.push(format!("{what}: {error}"));
                continue;
            }
        };
        let audio = &read.audio;
        let facts = (
            audio.codecs.as_slice(),
            audio.events,
            audio.address.to_string(),
        );
        let expected = (
            [(Codec::Pcma, 8)].as_slice(),
            Some(101),
            "10.0.0.1:4000".to_owned(),
        );
        if facts != expected {
            failed.push(format!("{what}: {facts:?}"));
            continue;
        }
        // Its answer has as many media, and can be read.
        let agreement = agree(audio, audio).expect("A-law is in both");
        let ours = "192.0.2.1:20000".parse().expect("a literal");
        let answer = String::from_utf8(LocalSession::new(7).answer(&read, audio, &agreement, ours))
            .expect("ASCII");
        let media = |text: &str| text.lines().filter(|line| line.starts_with("m=")).count();
        assert_eq!(media(&answer), media(&text), "{what}: {answer}");
        for line in answer.lines().filter(|line| line.starts_with("m=")) {
            assert!(line.split(' ').count() >= 4, "{what}: {line}");
        }
    }
    assert!(failed.is_empty(), "{failed:#?}");
}

#[test]
fn an_answer_is_in_the_words_of_the_offer() {
    for protocol in ["RTP/AVP", "rtp/avp", "RTP/AVPF", "rtp/avpf"] {
        let text = format!("{HEAD}{}", AUDIO.replace("RTP/AVP", protocol));
        let read = parse(text.as_bytes()).expect("it is in order");
        let agreement = agree(&read.audio, &read.audio).expect("A-law is in both");
        let ours = "192.0.2.1:20000".parse().expect("a literal");
        let answer =
            String::from_utf8(LocalSession::new(7).answer(&read, &read.audio, &agreement, ours));
        let answer = answer.expect("ASCII");
        assert!(
            answer.contains(&format!("m=audio 20000 {protocol} 8 101\r\n")),
            "{answer}"
        );
        assert!(!answer.contains("rtcp-fb"), "no feedback is promised");
        // Whoever is offered the same is offered what everybody takes.
        let offer =
            String::from_utf8(LocalSession::new(7).offer(&read.audio, ours)).expect("ASCII");
        assert!(offer.contains("m=audio 20000 RTP/AVP 8 101\r\n"), "{offer}");
    }
}

#[test]
fn what_must_be_secret_or_given_is_not_taken_for_plain_audio() {
    for protocol in [
        "RTP/SAVP",
        "RTP/SAVPF",
        "UDP/TLS/RTP/SAVPF",
        "udptl",
        "RTP/AVPX",
        "",
    ] {
        let text = format!("{HEAD}{}", AUDIO.replace("RTP/AVP", protocol));
        assert_eq!(parse(text.as_bytes()), Err(SdpError::NoAudio));
    }
}

#[test]
fn keys_go_with_the_clock_of_their_codec() {
    let wide = "m=audio 4000 RTP/AVP 104 101\r\na=rtpmap:104 AMR-WB/16000\r\n\
        a=rtpmap:101 telephone-event/16000\r\n";
    let both = "m=audio 4000 RTP/AVP 104 8 101 102\r\na=rtpmap:104 AMR-WB/16000\r\n\
        a=rtpmap:101 telephone-event/16000\r\na=rtpmap:102 telephone-event/8000\r\n";
    let opus = "m=audio 4000 RTP/AVP 104 101\r\na=rtpmap:104 opus/48000/2\r\n\
        a=rtpmap:101 telephone-event/48000\r\n";
    let narrow = "m=audio 4000 RTP/AVP 104 101\r\na=rtpmap:104 AMR-WB/16000\r\n\
        a=rtpmap:101 telephone-event/8000\r\n";
    let twice = "m=audio 4000 RTP/AVP 104 101 101\r\na=rtpmap:104 AMR-WB/16000\r\n\
        a=rtpmap:101 telephone-event/8000\r\na=rtpmap:101 telephone-event/16000\r\n";
    let ours = "192.0.2.1:20000".parse().expect("a literal");
    for (lines, offered, number, clock_hz) in [
        (wide, "104 101", 101, 16_000),
        (both, "8 104 102 101", 101, 16_000),
        (opus, "104 101", 101, 48_000),
        (narrow, "104 101", 101, 8_000),
        (twice, "104 101", 101, 16_000),
    ] {
        let text = format!("{HEAD}{lines}");
        let read = parse_passing(&text).expect("it is in order");
        let offer =
            String::from_utf8(LocalSession::new(7).offer(&read.audio, ours)).expect("ASCII");
        assert!(offer.contains(&format!("RTP/AVP {offered}\r\n")), "{offer}");
        let map = format!("a=rtpmap:{number} telephone-event/{clock_hz}\r\n");
        assert!(offer.contains(&map), "{offer}");
        let passing = agree_passing(&read.audio, &read.audio).expect("it is in both");
        assert_eq!(passing.events_hz, clock_hz, "{lines}");
        assert_eq!(passing.answerer.events, Some(number), "{lines}");
        let answer = LocalSession::new(7).answer(&read, &read.audio, &passing, ours);
        let answer = String::from_utf8(answer).expect("ASCII");
        assert!(answer.contains("RTP/AVP 104 101\r\n"), "{answer}");
        assert!(answer.contains(&map), "{answer}");
    }
    // What is not carried brings no keys.
    let read = parse(format!("{HEAD}{both}").as_bytes()).expect("A-law is there");
    assert_eq!(
        (read.audio.events, read.audio.events_at),
        (Some(102), Vec::new())
    );
}

#[test]
fn a_host_name_stands_for_an_address_once_it_is_known() {
    let at = |session: &str, media: &str| format!("v=0\r\n{session}t=0 0\r\n{AUDIO}{media}");
    let address = "192.0.2.9".parse().expect("a literal");
    let rows = [
        (
            at("c=IN IP4 media.example.com\r\n", ""),
            Some("media.example.com"),
        ),
        (
            at("", "c=IN IP4 media.example.com\r\n"),
            Some("media.example.com"),
        ),
        (
            at("c=IN IP4 10.0.0.1\r\n", "c=IN IP4 m-1.example\r\n"),
            Some("m-1.example"),
        ),
        (at("c=in ip6 host\r\n", ""), Some("host")),
        (
            at("c=IN IP4 media.example.com.\r\n", ""),
            Some("media.example.com."),
        ),
        // Where the name is not needed nobody is asked for it.
        (
            at("c=IN IP4 media.example.com\r\n", "c=IN IP4 10.0.0.1\r\n"),
            None,
        ),
        (
            at(
                "c=IN IP4 10.0.0.1\r\n",
                "m=video 4 RTP/AVP 9\r\nc=IN IP4 v.example\r\n",
            ),
            None,
        ),
        // What is no name.
        (at("c=IN IP4 300.1.1.1\r\n", ""), None),
        (at("c=IN IP4 a..example\r\n", ""), None),
        (at("c=IN IP4 a$b.example\r\n", ""), None),
        (at("c=IN IP4 a_b.example\r\n", ""), None),
        (at("c=IN IP4 -a.example\r\n", ""), None),
        (at("c=IN IP4 a-.example\r\n", ""), None),
        (
            at(&format!("c=IN IP4 {}.example\r\n", "a".repeat(64)), ""),
            None,
        ),
        (
            at(&format!("c=IN IP4 {}example\r\n", "a.".repeat(125)), ""),
            None,
        ),
    ];
    for (text, name) in rows {
        assert_eq!(host_name(text.as_bytes()), name, "{text}");
        if name.is_none() {
            continue;
        }
        assert_eq!(parse(text.as_bytes()), Err(SdpError::NoAudio));
        let read = parse_within(text.as_bytes(), &[], Some(address), |_| true);
        let read = read.expect("it is in order").audio;
        assert_eq!(read.address.to_string(), "192.0.2.9:4000", "{text}");
    }
}
