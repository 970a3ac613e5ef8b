//! Sound through the real bridge: what one side sends tells everything about it, in every corner of RTP and
//! RTCP, and the other side gets the same bytes whoever it is.

use crate::leaks::parties::{Parties, Party};
use crate::leaks::scanner::Scanner;
use maskline_media::bridge::{Bridge, SilenceMax};
use maskline_media::unheard::{Limits, UnheardBudget};
use maskline_sip::g711::Law;
use maskline_sip::relay::LocalMedia;
use maskline_sip::sdp::{Direction, Payloads};
use maskline_switch::{MediaEnd, MediaPath, Side};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

const PACKETS: u32 = 60;
const EVENTS: u8 = 101;

/// What was sent to a side, and when.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Sent {
    at_us: u64,
    to: SocketAddr,
    bytes: Vec<u8>,
}

/// What a careless relay would do.
type Plant = fn(&Party, &mut Sent);

/// Behind NAT a side tells an address at which it cannot be reached, another one than its sound comes from.
fn end(party: &Party, nat: bool) -> MediaEnd {
    MediaEnd {
        address: if nat { party.host } else { party.media },
        payloads: Payloads {
            codec: 8,
            events: Some(EVENTS),
        },
        law: Some(Law::A),
        direction: Direction::SendRecv,
        rtcp: None,
        noise: false,
        nat,
        networks: Arc::new([party.media.ip().into()]),
        sources: Arc::new([]),
        unheard: None,
        version: 0,
    }
}

/// Text filled up to whole words.
fn words(text: &str) -> Vec<u8> {
    let mut bytes = text.as_bytes().to_vec();
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    bytes
}

/// A packet with contributing sources, a header extension and padding that say whose it is.
fn rtp(party: &Party, at: u32) -> Vec<u8> {
    let first = party.cseq;
    let is_key = (20..26).contains(&at);
    // Two come in each other's place.
    let at = match at {
        30 => 31,
        31 => 30,
        at => at,
    };
    let payload_type = if is_key { EVENTS } else { 8 };
    let marker = u8::from(at == 0 || at == 20) << 7;
    let sequence = (first.wrapping_add(at) as u16).to_be_bytes();
    let moment = if is_key { 20 } else { at };
    let timestamp = party.ssrc.wrapping_mul(3).wrapping_add(moment * 160);
    let mut bytes = vec![0xb2, marker | payload_type];
    bytes.extend_from_slice(&sequence);
    bytes.extend_from_slice(&timestamp.to_be_bytes());
    bytes.extend_from_slice(&party.ssrc.to_be_bytes());
    for csrc in [party.ssrc ^ 0x5a5a, u32::from_be_bytes([198, 51, 100, 77])] {
        bytes.extend_from_slice(&csrc.to_be_bytes());
    }
    let extension = words(party.number);
    bytes.extend_from_slice(&[0xbe, 0xde, 0, (extension.len() / 4) as u8]);
    bytes.extend_from_slice(&extension);
    match is_key {
        true => bytes.extend_from_slice(&[7, 10, 0, 160]),
        false => bytes.extend_from_slice(&[at as u8; 160]),
    }
    let mut padding = words(party.number);
    let length = padding.len() as u8 + 4;
    padding.extend_from_slice(&[0, 0, 0, length]);
    bytes.extend_from_slice(&padding);
    bytes
}

/// A report with all that can be said about its sender.
fn rtcp(party: &Party, at: u32) -> Vec<u8> {
    let mut bytes = vec![0x80, 200, 0, 6];
    bytes.extend_from_slice(&party.ssrc.to_be_bytes());
    for word in [
        party.cseq,
        5,
        party.ssrc.wrapping_add(at * 160),
        at,
        at * 160,
    ] {
        bytes.extend_from_slice(&word.to_be_bytes());
    }
    let items = [
        format!("{}@{}", party.word, party.host.ip()),
        party.name.to_owned(),
        format!("{}@{}", party.number, party.host.ip()),
        party.written.to_owned(),
        "at home".to_owned(),
        party.product.to_owned(),
        format!("call of {}", party.name),
        format!("\u{4}name{}", party.number),
    ];
    let mut described = party.ssrc.to_be_bytes().to_vec();
    for (kind, text) in (1..).zip(&items) {
        described.extend_from_slice(&[kind, text.len() as u8]);
        described.extend_from_slice(text.as_bytes());
    }
    described.push(0);
    described.resize(described.len().next_multiple_of(4), 0);
    let own = [&party.ssrc.to_be_bytes()[..], b"WHOM", &words(party.number)].concat();
    let text = words(party.name);
    let goodbye = [
        &party.ssrc.to_be_bytes()[..],
        &[text.len() as u8],
        &text,
        &[0; 3],
    ]
    .concat();
    for (count, kind, body) in [(1, 202, described), (0, 204, own), (1, 203, goodbye)] {
        bytes.extend_from_slice(&[0x80 | count, kind, 0, (body.len() / 4) as u8]);
        bytes.extend_from_slice(&body);
    }
    bytes
}

fn party(parties: &Parties, side: Side) -> &Party {
    match side {
        Side::Caller => &parties.caller,
        Side::Callee => &parties.callee,
    }
}

/// Both speak, press keys, report, move to another name, and are silent for a while; what each side got,
/// the caller first.
fn talk(parties: &Parties, nat: bool, plant: Option<Plant>) -> [Vec<Sent>; 2] {
    let silence_max = SilenceMax {
        usual_us: 30_000_000,
        held_us: 300_000_000,
    };
    let us = IpAddr::from([192, 0, 2, 1]);
    let ours = Arc::new(LocalMedia::new(us, us, [], (20_000, 29_999)));
    let budget = Arc::new(UnheardBudget::new(Limits::for_calls(4_096)));
    let mut draw = 0x0123_4567_89ab_cdef_u64;
    let mut bridge = Bridge::new(silence_max, (&ours, &budget), 0, || {
        draw = draw
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(99);
        draw
    });
    let path = MediaPath {
        caller: Some(end(&parties.caller, nat)),
        callee: Some(end(&parties.callee, nat)),
    };
    bridge.set_path(&path, 0);
    let mut got: [Vec<Sent>; 2] = Default::default();
    let mut fresh = Vec::new();
    let mut keep = |to_side: Side, at_us, to, fresh: &[u8]| {
        let mut sent = Sent {
            at_us,
            to,
            bytes: fresh.to_vec(),
        };
        if let Some(plant) = plant {
            plant(party(parties, to_side.other()), &mut sent);
        }
        match to_side {
            Side::Caller => got[0].push(sent),
            Side::Callee => got[1].push(sent),
        }
    };
    for at in 0..PACKETS {
        let now_us = u64::from(at) * 20_000;
        for side in Side::BOTH {
            let mut speaker = party(parties, side).clone();
            if at >= 40 {
                // Its network puts another machine in its place.
                speaker.ssrc = speaker.ssrc.rotate_left(7);
            }
            let from = speaker.media;
            let packets = [rtp(&speaker, at), rtcp(&speaker, at)];
            for packet in &packets[..if at % 7 == 0 { 2 } else { 1 }] {
                let passed = bridge.on_rtp(side, from, packet, now_us, &mut fresh);
                if let Some(to) = passed.to {
                    keep(side.other(), now_us, to, &fresh);
                }
            }
            let rtcp_from = SocketAddr::new(from.ip(), from.port() + 1);
            if at % 10 == 3 {
                bridge.on_rtcp(side, rtcp_from, &packets[1], now_us);
            }
            if at % 25 == 24
                && let Some(to) = bridge.report(side, now_us, 1_800_000_000_000_000, &mut fresh)
            {
                keep(side, now_us, to, &fresh);
            }
        }
    }
    got
}

fn complaints(nat: bool, plant: Option<Plant>) -> Vec<String> {
    let first = Parties::new(0, 0);
    let mut complaints = Vec::new();
    let heard = talk(&first, nat, plant);
    let others = [
        talk(&Parties::new(0, 1), nat, plant),
        talk(&Parties::new(1, 0), nat, plant),
    ];
    for (side, name) in [(0, "the caller"), (1, "the callee")] {
        let (one, other) = (&heard[side], &others[side][side]);
        if let Some((one, other)) = one.iter().zip(other).find(|(one, other)| one != other) {
            complaints.push(format!("{name} gets {one:?} rather than {other:?}"));
        }
        if one.len() != other.len() {
            complaints.push(format!(
                "{name} gets {} packets rather than {}",
                one.len(),
                other.len()
            ));
        }
        let hidden = [&first.callee, &first.caller][side];
        let scanner = Scanner::new(hidden.secrets());
        for sent in one {
            for finding in scanner.scan(&sent.bytes) {
                complaints.push(format!("{name} gets {finding} in {sent:?}"));
            }
        }
    }
    complaints
}

#[test]
fn nothing_of_one_side_changes_a_byte_of_what_the_other_hears() {
    for nat in [false, true] {
        let complaints = complaints(nat, None);
        assert!(complaints.is_empty(), "{}", complaints.join("\n"));
    }
    for got in talk(&Parties::new(0, 0), false, None) {
        // Every packet of sound and keys crosses, and there are two reports.
        assert_eq!(got.len(), PACKETS as usize + 2);
    }
}

#[test]
fn a_side_behind_nat_is_sent_its_sound_where_it_is() {
    let parties = Parties::new(0, 0);
    for (side, got) in Side::BOTH.into_iter().zip(talk(&parties, true, None)) {
        let party = party(&parties, side);
        let sound: Vec<&Sent> = got.iter().filter(|sent| !is_report(sent)).collect();
        // Whoever speaks first is answered where it was told to be; another name of its stream changes nothing.
        assert!((58..=60).contains(&sound.len()), "{}", sound.len());
        let elsewhere = sound.iter().filter(|sent| sent.to != party.media);
        assert!(elsewhere.count() <= 1);
    }
}

fn is_report(sent: &Sent) -> bool {
    (200..=204).contains(&sent.bytes[1])
}

/// One test for each planted leak.
macro_rules! noticed {
    ($($name:ident: $plant:expr;)*) => {
        $(
            #[test]
            fn $name() {
                assert!(!complaints(false, Some($plant)).is_empty());
            }
        )*
    };
}

noticed! {
    the_name_of_a_stream: |hidden, sent| {
        if !is_report(sent) {
            sent.bytes[8..12].copy_from_slice(&hidden.ssrc.to_be_bytes());
        }
    };
    the_numbers_of_packets: |hidden, sent| {
        if !is_report(sent) {
            sent.bytes[3] ^= hidden.cseq as u8;
        }
    };
    a_contributing_source: |hidden, sent| {
        if !is_report(sent) {
            sent.bytes[0] |= 1;
            sent.bytes.splice(12..12, hidden.ssrc.to_be_bytes());
        }
    };
    a_header_extension: |hidden, sent| {
        if !is_report(sent) {
            let text = words(hidden.number);
            let head = [0xbe, 0xde, 0, (text.len() / 4) as u8];
            sent.bytes[0] |= 0x10;
            sent.bytes.splice(12..12, [&head[..], &text].concat());
        }
    };
    a_canonical_name: |hidden, sent| {
        if is_report(sent) {
            let text = words(hidden.word);
            sent.bytes.extend_from_slice(&[0x81, 202, 0, text.len() as u8 / 4 + 2, 0, 0, 0, 1, 1]);
            sent.bytes.push(text.len() as u8);
            sent.bytes.extend_from_slice(&text);
            sent.bytes.extend_from_slice(&[0; 2]);
        }
    };
    an_application_of_its_own: |hidden, sent| {
        if is_report(sent) {
            sent.bytes.extend_from_slice(&words(hidden.written));
        }
    };
    a_report_passed_on: |hidden, sent| {
        if is_report(sent) {
            sent.bytes = rtcp(hidden, 0);
        }
    };
}
