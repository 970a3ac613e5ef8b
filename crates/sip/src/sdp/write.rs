//! Writing a description of our own.

use super::{Agreed, Audio, Description, MediaLine};
use std::fmt::Write;
use std::net::{IpAddr, SocketAddr};

/// How audio goes where nobody has said it otherwise.
pub(super) const PLAIN: &str = "RTP/AVP";

/// Offers what `theirs` offers, as far as we carry it, with our address `ours`. `session` is a number
/// for `o=`: random, since an address or a clock would tell of us or of them.
pub fn offer(theirs: &Audio, ours: SocketAddr, session: u64) -> Vec<u8> {
    let mut text = head(ours, session);
    audio(&mut text, theirs, PLAIN, ours);
    text.into_bytes()
}

/// Answers `offered` with what was agreed; `answered` is what the other side said to our offer. Every
/// media line of the offer gets its own, the ones that we do not carry with port 0 (RFC 3264 section 6).
pub fn answer(
    offered: &Description,
    answered: &Audio,
    agreement: &impl Agreed,
    ours: SocketAddr,
    session: u64,
) -> Vec<u8> {
    let mut text = head(ours, session);
    let narrow = Audio {
        // Nobody may be answered with what they did not offer.
        noise: answered.noise && offered.audio.noise,
        ..agreement.narrow(answered)
    };
    m_lines(&mut text, &offered.media, &narrow, ours);
    text.into_bytes()
}

pub(super) fn m_lines(text: &mut String, media: &[MediaLine], carried: &Audio, ours: SocketAddr) {
    for line in media {
        match line {
            MediaLine::Carried(protocol) => audio(text, carried, protocol, ours),
            MediaLine::Refused(kind, protocol, format) => {
                put(text, format_args!("m={kind} 0 {protocol} {format}"))
            }
        }
    }
}

/// Some peers count `o=` in 32-bit signed numbers.
pub(super) fn short(session: u64) -> u64 {
    session & 0x7fff_ffff
}

pub(super) fn head(ours: SocketAddr, session: u64) -> String {
    let mut text = String::with_capacity(256);
    let (kind, address) = match ours.ip() {
        IpAddr::V4(address) => ("IP4", address.to_string()),
        IpAddr::V6(address) => ("IP6", address.to_string()),
    };
    let session = short(session);
    put(&mut text, format_args!("v=0"));
    put(
        &mut text,
        format_args!("o=- {session} 1 IN {kind} {address}"),
    );
    put(&mut text, format_args!("s=-"));
    put(&mut text, format_args!("c=IN {kind} {address}"));
    put(&mut text, format_args!("t=0 0"));
    text
}

fn audio(text: &mut String, audio: &Audio, protocol: &str, ours: SocketAddr) {
    let codecs = audio.codecs.iter().map(|(_, number)| *number);
    let foreign = audio.foreign.iter().map(|format| format.payload_type);
    let noise = audio.noise.then_some(13);
    let has_clock = |clock_hz| {
        let mut foreign = audio.foreign.iter();
        foreign.any(|format| format.codec.clock_hz() == clock_hz)
    };
    let at_8khz = audio.events.map(|number| (8_000, number));
    let others = audio.events_at.iter().copied();
    let events: Vec<(u32, u8)> = at_8khz
        .into_iter()
        .chain(others.filter(|(clock_hz, _)| has_clock(*clock_hz)))
        .collect();
    let numbers: Vec<String> = codecs
        .chain(foreign)
        .chain(noise)
        .chain(events.iter().map(|(_, number)| *number))
        .map(|number| number.to_string())
        .collect();
    put(
        text,
        format_args!("m=audio {} {protocol} {}", ours.port(), numbers.join(" ")),
    );
    for (codec, number) in &audio.codecs {
        put(
            text,
            format_args!("a=rtpmap:{number} {}/8000", codec.name()),
        );
    }
    for format in &audio.foreign {
        let number = format.payload_type;
        put(
            text,
            format_args!("a=rtpmap:{number} {}", format.codec.map()),
        );
        if !format.parameters.is_empty() {
            put(text, format_args!("a=fmtp:{number} {}", format.parameters));
        }
    }
    if audio.noise {
        put(text, format_args!("a=rtpmap:13 CN/8000"));
    }
    for (clock_hz, number) in events {
        put(
            text,
            format_args!("a=rtpmap:{number} telephone-event/{clock_hz}"),
        );
        put(text, format_args!("a=fmtp:{number} 0-15"));
    }
    if let Some(ptime) = audio.ptime_ms {
        put(text, format_args!("a=ptime:{ptime}"));
    }
    put(text, format_args!("a={}", audio.direction.attribute()));
}

fn put(text: &mut String, line: std::fmt::Arguments<'_>) {
    text.write_fmt(line).expect("a String takes any text");
    text.push_str("\r\n");
}
