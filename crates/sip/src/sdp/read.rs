//! Reading a description. Lines may hold any bytes; only what concerns us must make sense.

use super::{
    Audio, Codec, Description, Direction, FORMATS_MAX, MEDIA_MAX, MediaLine, SDP_BYTES_MAX,
    SdpError,
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

/// What stands below one `m=` line, as far as it was understood.
struct Section<'a> {
    kind: &'a [u8],
    port: u16,
    protocol: &'a [u8],
    formats: Vec<&'a [u8]>,
    address: Option<IpAddr>,
    /// `rtpmap`: payload type and `name/rate`.
    maps: Vec<(u8, &'a [u8])>,
    ptime_ms: Option<u8>,
    direction: Option<Direction>,
}

/// Reads an offer or an answer.
pub fn parse(bytes: &[u8]) -> Result<Description, SdpError> {
    if bytes.len() > SDP_BYTES_MAX {
        return Err(SdpError::TooLong);
    }
    let mut session_address = None;
    let mut session_direction = None;
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
            (b'c', None) => session_address = connection(value),
            (b'c', Some(section)) => section.address = connection(value),
            (b'a', None) => session_direction = direction(value).or(session_direction),
            (b'a', Some(section)) => attribute(section, value),
            _ => {}
        }
    }
    let found = sections.iter().enumerate().find_map(|(at, section)| {
        let address = section.address.or(session_address)?;
        Some((at, audio(section, address, session_direction)?))
    });
    let (at, audio) = found.ok_or(SdpError::NoAudio)?;
    let media = sections
        .iter()
        .enumerate()
        .map(|(index, section)| match index == at {
            true => Ok(MediaLine::Carried),
            false => refused(section),
        });
    Ok(Description {
        audio,
        media: media.collect::<Result<_, _>>()?,
    })
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
        let mut words = map
            .split(|&byte| text::is_space(byte))
            .filter(|word| !word.is_empty());
        if let (Some(number), Some(name)) = (words.next().and_then(payload_type), words.next())
            && section.maps.len() < FORMATS_MAX
        {
            section.maps.push((number, name));
        }
    } else if let Some(ptime) = value.strip_prefix(b"ptime:") {
        section.ptime_ms =
            text::number(text::trim(ptime)).filter(|ptime| (10..=60).contains(ptime));
    } else if let Some(direction) = direction(value) {
        section.direction = Some(direction);
    }
}

fn payload_type(bytes: &[u8]) -> Option<u8> {
    text::number(bytes).filter(|number| *number < 128)
}

fn audio(
    section: &Section<'_>,
    address: IpAddr,
    session_direction: Option<Direction>,
) -> Option<Audio> {
    if section.kind != b"audio" || section.port == 0 || section.protocol != b"RTP/AVP" {
        return None;
    }
    let mut codecs: Vec<(Codec, u8)> = Vec::new();
    let mut events = None;
    for number in section
        .formats
        .iter()
        .filter_map(|format| payload_type(format))
    {
        let name = section
            .maps
            .iter()
            .find(|(mapped, _)| *mapped == number)
            .map(|(_, name)| *name);
        let codec = Codec::ALL.into_iter().find(|codec| match name {
            Some(name) => is_8khz(name, codec.name()),
            None => codec.usual_payload_type() == number,
        });
        match codec {
            Some(codec) if !codecs.iter().any(|(known, _)| *known == codec) => {
                codecs.push((codec, number))
            }
            Some(_) => {}
            None if events.is_none()
                && name.is_some_and(|name| is_8khz(name, "telephone-event")) =>
            {
                events = Some(number);
            }
            None => {}
        }
    }
    (!codecs.is_empty()).then(|| Audio {
        address: SocketAddr::new(address, section.port),
        codecs,
        events,
        ptime_ms: section.ptime_ms,
        direction: section.direction.or(session_direction).unwrap_or_default(),
    })
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
