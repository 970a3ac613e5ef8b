//! Printing a description of our own.

use super::local::LocalDescription;
use super::{Audio, MediaLine};
use std::fmt::Write;
use std::net::IpAddr;

impl LocalDescription {
    /// As it is sent, within the session of this number in `o=`.
    pub fn print(&self, session: u64) -> Vec<u8> {
        let mut text = String::with_capacity(256);
        let (kind, address) = match self.audio.address.ip() {
            IpAddr::V4(address) => ("IP4", address.to_string()),
            IpAddr::V6(address) => ("IP6", address.to_string()),
        };
        let (session, version) = (short(session), self.version);
        put(&mut text, format_args!("v=0"));
        put(
            &mut text,
            format_args!("o=- {session} {version} IN {kind} {address}"),
        );
        put(&mut text, format_args!("s=-"));
        put(&mut text, format_args!("c=IN {kind} {address}"));
        put(&mut text, format_args!("t=0 0"));
        for line in &self.media {
            match line {
                MediaLine::Carried(protocol) => print_audio(&mut text, &self.audio, protocol),
                MediaLine::Refused(kind, protocol, format) => {
                    put(&mut text, format_args!("m={kind} 0 {protocol} {format}"));
                }
            }
        }
        text.into_bytes()
    }
}

/// Some peers count `o=` in 32-bit signed numbers.
fn short(session: u64) -> u64 {
    session & 0x7fff_ffff
}

fn print_audio(text: &mut String, audio: &Audio, protocol: &str) {
    let codecs = audio.codecs.iter().map(|(_, number)| *number);
    let pass_through = audio.pass_through.iter().map(|format| format.payload_type);
    let noise = audio.noise.then_some(13);
    let at_8khz = audio.events.map(|number| (8_000, number));
    let others = audio.events_at.iter().copied();
    let events: Vec<(u32, u8)> = at_8khz.into_iter().chain(others).collect();
    let numbers: Vec<String> = codecs
        .chain(pass_through)
        .chain(noise)
        .chain(events.iter().map(|(_, number)| *number))
        .map(|number| number.to_string())
        .collect();
    let (port, numbers) = (audio.address.port(), numbers.join(" "));
    put(text, format_args!("m=audio {port} {protocol} {numbers}"));
    for (codec, number) in &audio.codecs {
        put(
            text,
            format_args!("a=rtpmap:{number} {}/8000", codec.name()),
        );
    }
    for format in &audio.pass_through {
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
