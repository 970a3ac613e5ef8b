//! Reading a description. Lines may hold any bytes; only what concerns us must make sense.

use super::{
    Audio, Codec, Description, Direction, FORMATS_MAX, Foreign, Format, MEDIA_MAX, MediaLine,
    SDP_BYTES_MAX, SdpError,
};
use crate::text;
use std::net::{IpAddr, SocketAddr};

/// The `o=` line: whose session it is and which state of it. None if there is none.
pub(crate) fn origin(bytes: &[u8]) -> Option<&[u8]> {
    bytes
        .split(|&byte| byte == b'\n')
        .map(text::trim)
        .find_map(|line| line.strip_prefix(b"o="))
}

/// The payload type of comfort noise (RFC 3551 table 4); under another number we do not carry it.
const COMFORT_NOISE: u8 = 13;

/// What stands below one `m=` line, as far as it was understood.
struct Section<'a> {
    kind: &'a [u8],
    port: u16,
    protocol: &'a [u8],
    formats: Vec<&'a [u8]>,
    address: Option<IpAddr>,
    /// `rtpmap`: payload type and `name/rate`.
    maps: Vec<(u8, &'a [u8])>,
    /// `fmtp`: payload type and what is said of it.
    said: Vec<(u8, &'a [u8])>,
    ptime_ms: Option<u8>,
    direction: Option<Direction>,
}

/// Reads an offer or an answer. Of its codecs only G.711 counts.
pub fn parse(bytes: &[u8]) -> Result<Description, SdpError> {
    parse_passing(bytes, &[])
}

/// Reads an offer or an answer of a side whose calls may also use these codecs.
pub fn parse_passing(bytes: &[u8], foreign: &[Foreign]) -> Result<Description, SdpError> {
    let (sections, session) = split(bytes)?;
    let found = sections
        .iter()
        .enumerate()
        .find_map(|(at, section)| Some((at, audio(section, &session, foreign)?)));
    let (at, audio) = found.ok_or(SdpError::NoAudio)?;
    Ok(Description {
        audio,
        media: media(&sections, Some(at))?,
    })
}

/// The media lines of a description of our own, of which only the audio is carried.
pub(super) fn parse_media(bytes: &[u8]) -> Result<Vec<MediaLine>, SdpError> {
    let (sections, _) = split(bytes)?;
    let carried = sections
        .iter()
        .position(|section| section.kind == b"audio" && section.port != 0);
    media(&sections, carried)
}

fn media(sections: &[Section<'_>], carried: Option<usize>) -> Result<Vec<MediaLine>, SdpError> {
    let line = |(index, section)| match Some(index) == carried {
        true => Ok(MediaLine::Carried),
        false => refused(section),
    };
    sections.iter().enumerate().map(line).collect()
}

/// What stands above the media lines and holds for each that says nothing else.
#[derive(Default)]
struct Session {
    address: Option<IpAddr>,
    direction: Option<Direction>,
}

fn split(bytes: &[u8]) -> Result<(Vec<Section<'_>>, Session), SdpError> {
    if bytes.len() > SDP_BYTES_MAX {
        return Err(SdpError::TooLong);
    }
    let mut session = Session::default();
    let mut sections: Vec<Section<'_>> = Vec::new();
    for line in bytes
        .split(|&byte| byte == b'\n')
        .map(text::trim)
        .filter(|line| !line.is_empty())
    {
        let [letter, b'=', value @ ..] = line else {
            return Err(SdpError::Malformed);
        };
        match (letter, sections.last_mut()) {
            (b'm', _) => {
                if sections.len() == MEDIA_MAX {
                    return Err(SdpError::TooLong);
                }
                sections.push(media_line(value)?);
            }
            (b'c', None) => session.address = connection(value),
            (b'c', Some(section)) => section.address = connection(value),
            (b'a', None) => session.direction = direction(value).or(session.direction),
            (b'a', Some(section)) => attribute(section, value),
            _ => {}
        }
    }
    Ok((sections, session))
}

/// `audio 49170/2 RTP/AVP 8 101`
fn media_line(value: &[u8]) -> Result<Section<'_>, SdpError> {
    let mut words = value
        .split(|&byte| text::is_space(byte))
        .filter(|word| !word.is_empty());
    let mut next = || words.next().ok_or(SdpError::Malformed);
    let (kind, port, protocol) = (next()?, next()?, next()?);
    let port = port
        .split(|&byte| byte == b'/')
        .next()
        .and_then(text::number)
        .ok_or(SdpError::Malformed)?;
    let formats: Vec<_> = words.take(FORMATS_MAX).collect();
    if formats.is_empty() {
        return Err(SdpError::Malformed);
    }
    Ok(Section {
        kind,
        port,
        protocol,
        formats,
        address: None,
        maps: Vec::new(),
        said: Vec::new(),
        ptime_ms: None,
        direction: None,
    })
}

/// `IN IP4 192.0.2.1`, perhaps with `/ttl`. A name instead of an address gives none.
fn connection(value: &[u8]) -> Option<IpAddr> {
    let mut words = value
        .split(|&byte| text::is_space(byte))
        .filter(|word| !word.is_empty());
    let (net, kind, address) = (words.next()?, words.next()?, words.next()?);
    if net != b"IN" || !matches!(kind, b"IP4" | b"IP6") {
        return None;
    }
    let address = address.split(|&byte| byte == b'/').next()?;
    std::str::from_utf8(address).ok()?.parse().ok()
}

fn direction(attribute: &[u8]) -> Option<Direction> {
    Direction::ALL
        .into_iter()
        .find(|direction| direction.attribute().as_bytes() == attribute)
}

/// What is not understood is passed over.
fn attribute<'a>(section: &mut Section<'a>, value: &'a [u8]) {
    if let Some(map) = value.strip_prefix(b"rtpmap:") {
        note(&mut section.maps, map);
    } else if let Some(said) = value.strip_prefix(b"fmtp:") {
        note(&mut section.said, said);
    } else if let Some(ptime) = value.strip_prefix(b"ptime:") {
        section.ptime_ms =
            text::number(text::trim(ptime)).filter(|ptime| (10..=40).contains(ptime));
    } else if let Some(direction) = direction(value) {
        section.direction = Some(direction);
    }
}

/// `97 AMR/8000`: a payload type, and what is said of it.
fn note<'a>(notes: &mut Vec<(u8, &'a [u8])>, value: &'a [u8]) {
    let value = text::trim(value);
    let gap = value.iter().position(|&byte| text::is_space(byte));
    if let Some(gap) = gap
        && let Some(number) = payload_type(&value[..gap])
        && notes.len() < FORMATS_MAX
    {
        notes.push((number, text::trim(&value[gap..])));
    }
}

fn noted<'a>(notes: &[(u8, &'a [u8])], number: u8) -> Option<&'a [u8]> {
    let found = notes.iter().find(|(noted, _)| *noted == number);
    found.map(|(_, what)| *what)
}

fn payload_type(bytes: &[u8]) -> Option<u8> {
    text::number(bytes).filter(|number| *number < 128)
}

fn audio(section: &Section<'_>, session: &Session, allowed: &[Foreign]) -> Option<Audio> {
    if section.kind != b"audio" || section.port == 0 || section.protocol != b"RTP/AVP" {
        return None;
    }
    let address = section.address.or(session.address)?;
    let direction = section.direction.or(session.direction).unwrap_or_default();
    let mut audio = Audio {
        address: SocketAddr::new(address, section.port),
        codecs: Vec::new(),
        events: None,
        ptime_ms: section.ptime_ms,
        direction: match address.is_unspecified() {
            true => direction.held(),
            false => direction,
        },
        noise: false,
        foreign: Vec::new(),
    };
    let numbers = section.formats.iter();
    for number in numbers.filter_map(|format| payload_type(format)) {
        let map = noted(&section.maps, number);
        take_format(&mut audio, number, map, &section.said, allowed);
    }
    let is_usable = !audio.codecs.is_empty() || !audio.foreign.is_empty();
    is_usable.then_some(audio)
}

/// Finds what a payload type stands for; without `rtpmap` it has its usual meaning, if it has one. Of each
/// codec the first number counts.
fn take_format(
    audio: &mut Audio,
    number: u8,
    map: Option<&[u8]>,
    said: &[(u8, &[u8])],
    allowed: &[Foreign],
) {
    let codec = Codec::ALL.into_iter().find(|codec| match map {
        Some(map) => is_8khz(map, codec.name()),
        None => codec.usual_payload_type() == number,
    });
    if let Some(codec) = codec {
        if !audio.codecs.iter().any(|(known, _)| *known == codec) {
            audio.codecs.push((codec, number));
        }
        return;
    }
    let foreign = allowed.iter().copied().find(|codec| match map {
        Some(map) => codec.is_mapped(map),
        None => codec.usual_payload_type() == Some(number),
    });
    if let Some(codec) = foreign {
        if !audio.foreign.iter().any(|known| known.codec == codec) {
            audio.foreign.push(Format {
                codec,
                payload_type: number,
                parameters: codec.parameters(noted(said, number).unwrap_or_default()),
            });
        }
    } else if map.is_some_and(|map| is_8khz(map, "telephone-event")) {
        audio.events = audio.events.or(Some(number));
    } else if number == COMFORT_NOISE && map.is_none_or(|map| is_8khz(map, "CN")) {
        audio.noise = true;
    }
}

/// `PCMA/8000` or `PCMA/8000/1`, the name in any case.
fn is_8khz(map: &[u8], name: &str) -> bool {
    let mut parts = map.split(|&byte| byte == b'/');
    let same_name = parts
        .next()
        .is_some_and(|found| found.eq_ignore_ascii_case(name.as_bytes()));
    same_name && parts.next() == Some(b"8000") && matches!(parts.next(), None | Some(b"1"))
}

fn refused(section: &Section<'_>) -> Result<MediaLine, SdpError> {
    let token = |bytes: &[u8]| {
        let is_token = bytes.len() <= 64 && bytes.iter().all(|byte| byte.is_ascii_graphic());
        is_token
            .then(|| String::from_utf8_lossy(bytes).into_owned())
            .ok_or(SdpError::Malformed)
    };
    // `media_line` has seen to it that there is a format.
    let format = section.formats.first().copied().unwrap_or(b"0");
    Ok(MediaLine::Refused(
        token(section.kind)?,
        token(section.protocol)?,
        token(format)?,
    ))
}
