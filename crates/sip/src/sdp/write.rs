//! Writing a description of our own.

use super::{Agreement, Audio, Codec, Description, Direction, MediaLine};
use std::fmt::Write;
use std::net::{IpAddr, SocketAddr};

/// Offers what `theirs` offers, as far as we carry it, with our address `ours`. `session` is a number
/// for `o=`: random, since an address or a clock would tell of us or of them.
pub fn offer(theirs: &Audio, ours: SocketAddr, session: u64) -> Vec<u8> {
    let mut text = head(ours, session);
    audio(
        &mut text,
        &theirs.codecs,
        theirs.events,
        theirs.ptime_ms,
        theirs.direction,
        ours,
    );
    text.into_bytes()
}

/// Answers `offered` with what was agreed; `answered` is what the other side said to our offer. Every
/// media line of the offer gets its own, the ones that we do not carry with port 0 (RFC 3264 section 6).
pub fn answer(
    offered: &Description,
    answered: &Audio,
    agreement: &Agreement,
    ours: SocketAddr,
    session: u64,
) -> Vec<u8> {
    let mut text = head(ours, session);
    for line in &offered.media {
        match line {
            MediaLine::Carried => {
                let codecs = [(agreement.codec, agreement.offerer.codec)];
                audio(
                    &mut text,
                    &codecs,
                    agreement.offerer.events,
                    answered.ptime_ms,
                    answered.direction,
                    ours,
                );
            }
            MediaLine::Refused(kind, protocol, format) => {
                put(&mut text, format_args!("m={kind} 0 {protocol} {format}"))
            }
        }
    }
    text.into_bytes()
}

fn head(ours: SocketAddr, session: u64) -> String {
    let mut text = String::with_capacity(256);
    let (kind, address) = match ours.ip() {
        IpAddr::V4(address) => ("IP4", address.to_string()),
        IpAddr::V6(address) => ("IP6", address.to_string()),
    };
    // Some peers count `o=` in 32-bit signed numbers.
    let session = session & 0x7fff_ffff;
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

fn audio(
    text: &mut String,
    codecs: &[(Codec, u8)],
    events: Option<u8>,
    ptime_ms: Option<u8>,
    direction: Direction,
    ours: SocketAddr,
) {
    let numbers = codecs.iter().map(|(_, number)| *number).chain(events);
    let numbers: Vec<String> = numbers.map(|number| number.to_string()).collect();
    put(
        text,
        format_args!("m=audio {} RTP/AVP {}", ours.port(), numbers.join(" ")),
    );
    for (codec, number) in codecs {
        put(
            text,
            format_args!("a=rtpmap:{number} {}/8000", codec.name()),
        );
    }
    if let Some(number) = events {
        put(text, format_args!("a=rtpmap:{number} telephone-event/8000"));
        put(text, format_args!("a=fmtp:{number} 0-15"));
    }
    if let Some(ptime) = ptime_ms {
        put(text, format_args!("a=ptime:{ptime}"));
    }
    put(text, format_args!("a={}", direction.attribute()));
}

fn put(text: &mut String, line: std::fmt::Arguments<'_>) {
    text.write_fmt(line).expect("a String takes any text");
    text.push_str("\r\n");
}
