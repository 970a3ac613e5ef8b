//! Reading a description. Lines may hold any bytes; only what concerns us must make sense.

use super::{
    Audio, Codec, Description, Direction, FORMATS_MAX, Format, MEDIA_MAX, MediaLine, PassThrough,
    SDP_BYTES_MAX, SdpError,
};
use crate::text;
use maskline_host::is_host_name_from_root;
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
    place: Option<Place<'a>>,
    /// The port for RTCP, and the address with it if that is another one.
    rtcp: Option<(u16, Option<IpAddr>)>,
    /// `rtpmap`: payload type and `name/rate`.
    maps: Vec<(u8, &'a [u8])>,
    /// `fmtp`: payload type and what is said of it.
    said: Vec<(u8, &'a [u8])>,
    ptime_ms: Option<u8>,
    direction: Option<Direction>,
}

/// Where a `c=` line says that media is received.
#[derive(Clone, Copy)]
enum Place<'a> {
    Address(IpAddr),
    /// A host name, which RFC 8866 section 5.7 allows.
    Name(&'a str),
}

impl Place<'_> {
    /// Its address; `known` is a host name with the address that it stands for.
    fn address(self, known: Option<(&str, IpAddr)>) -> Option<IpAddr> {
        match self {
            Self::Address(address) => Some(address),
            Self::Name(name) => known.filter(|(known, _)| *known == name).map(|(_, at)| at),
        }
    }
}

/// Reads an offer or an answer. Of its codecs only G.711 counts.
pub fn parse(bytes: &[u8]) -> Result<Description, SdpError> {
    parse_within(bytes, &[], None, |_| true)
}

/// Reads an offer or an answer of a side whose calls may also use the codecs of `pass_through`. `named` is the address
/// that [`host_name`] stands for, if that is known. Where not every address can be spoken with, of several audio lines
/// the first counts that has one that can; without such a one the first, so that whoever asked sees why it does not do.
pub fn parse_within(
    bytes: &[u8],
    pass_through: &[PassThrough],
    named: Option<IpAddr>,
    can_speak: impl Fn(IpAddr) -> bool,
) -> Result<Description, SdpError> {
    let (sections, session) = split(bytes)?;
    let known = name_of_audio(&sections, &session).zip(named);
    let read = |(at, section)| Some((at, audio(section, &session, known, pass_through)?));
    let mut found: Vec<(usize, Audio)> = sections.iter().enumerate().filter_map(read).collect();
    let best = found
        .iter()
        .position(|(_, audio)| can_speak(audio.address.ip()));
    if found.is_empty() {
        return Err(SdpError::NoAudio);
    }
    let (at, audio) = found.swap_remove(best.unwrap_or(0));
    Ok(Description {
        audio,
        media: media(&sections, at),
    })
}

fn media(sections: &[Section<'_>], carried: usize) -> Vec<MediaLine> {
    let line = |(index, section): (usize, &Section<'_>)| match index == carried {
        true => MediaLine::Carried(String::from_utf8_lossy(section.protocol).into_owned()),
        false => refused(section),
    };
    sections.iter().enumerate().map(line).collect()
}

/// What stands above the media lines and holds for each that says nothing else.
#[derive(Default)]
struct Session<'a> {
    place: Option<Place<'a>>,
    direction: Option<Direction>,
}

/// A line that makes no sense is passed over: what is wrong with it may concern nothing of ours.
fn split(bytes: &[u8]) -> Result<(Vec<Section<'_>>, Session<'_>), SdpError> {
    if bytes.len() > SDP_BYTES_MAX {
        return Err(SdpError::TooLong);
    }
    let mut session = Session::default();
    let mut sections: Vec<Section<'_>> = Vec::new();
    for (letter, value) in lines(bytes) {
        match (letter, sections.last_mut()) {
            (b'm', _) => {
                if sections.len() == MEDIA_MAX {
                    return Err(SdpError::TooLong);
                }
                sections.push(media_line(value));
            }
            (b'c', None) => session.place = connection(value).or(session.place),
            (b'c', Some(section)) => section.place = connection(value).or(section.place),
            (b'a', None) => session.direction = direction(value).or(session.direction),
            (b'a', Some(section)) => attribute(section, value),
            _ => {}
        }
    }
    Ok((sections, session))
}

fn lines(bytes: &[u8]) -> impl Iterator<Item = (u8, &[u8])> {
    let lines = bytes.split(|&byte| byte == b'\n').map(text::trim);
    lines.filter_map(|line| match line {
        [letter, b'=', value @ ..] => Some((*letter, value)),
        _ => None,
    })
}

fn words(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    value
        .split(|&byte| text::is_space(byte))
        .filter(|word| !word.is_empty())
}

/// `audio 49170/2 RTP/AVP 8 101`. What is missing or no number is as if the port were 0: such a medium is not
/// used, but it keeps its place, since an answer has as many.
fn media_line(value: &[u8]) -> Section<'_> {
    let mut words = words(value);
    let mut next = || words.next().unwrap_or_default();
    let (kind, port, protocol) = (next(), next(), next());
    let port = port.split(|&byte| byte == b'/').next();
    Section {
        kind,
        port: port.and_then(text::number).unwrap_or_default(),
        protocol,
        formats: words.take(FORMATS_MAX).collect(),
        place: None,
        rtcp: None,
        maps: Vec::new(),
        said: Vec::new(),
        ptime_ms: None,
        direction: None,
    }
}

/// `IN IP4 192.0.2.1`, perhaps with `/ttl`. The address itself says of what kind it is.
fn connection(value: &[u8]) -> Option<Place<'_>> {
    let mut words = words(value);
    let (net, _, address) = (words.next()?, words.next()?, words.next()?);
    if !net.eq_ignore_ascii_case(b"IN") {
        return None;
    }
    let address = address.split(|&byte| byte == b'/').next()?;
    let address = std::str::from_utf8(address).ok()?;
    let bare = address
        .strip_prefix('[')
        .and_then(|it| it.strip_suffix(']'));
    match bare.unwrap_or(address).parse() {
        Ok(address) => Some(Place::Address(address)),
        Err(_) => is_host_name_from_root(address).then_some(Place::Name(address)),
    }
}

/// The host name that stands where the address of the audio should, if one does. With the address that it stands
/// for the description can be read ([`parse_within`]).
pub fn host_name(bytes: &[u8]) -> Option<&str> {
    let is_name =
        |(letter, value)| letter == b'c' && matches!(connection(value), Some(Place::Name(_)));
    if !lines(bytes).any(is_name) {
        return None;
    }
    let (sections, session) = split(bytes).ok()?;
    name_of_audio(&sections, &session)
}

fn name_of_audio<'a>(sections: &[Section<'a>], session: &Session<'a>) -> Option<&'a str> {
    let mut audio = sections.iter().filter(|section| is_plain_audio(section));
    let place = audio
        .next()
        .and_then(|section| section.place.or(session.place));
    match place {
        Some(Place::Name(name)) => Some(name),
        _ => None,
    }
}

fn direction(attribute: &[u8]) -> Option<Direction> {
    Direction::ALL
        .into_iter()
        .find(|direction| attribute.eq_ignore_ascii_case(direction.attribute().as_bytes()))
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
    } else if let Some(rtcp) = value.strip_prefix(b"rtcp:") {
        section.rtcp = control(rtcp);
    } else if let Some(direction) = direction(value) {
        section.direction = Some(direction);
    }
}

/// `53020`, or `53020 IN IP4 192.0.2.1` (RFC 3605 section 2.1).
fn control(value: &[u8]) -> Option<(u16, Option<IpAddr>)> {
    let value = text::trim(value);
    let gap = value.iter().position(|&byte| text::is_space(byte));
    let (port, address) = value.split_at(gap.unwrap_or(value.len()));
    let port = text::number(port).filter(|port| *port != 0)?;
    match text::trim(address) {
        [] => Some((port, None)),
        address => Some((port, Some(connection(address)?.address(None)?))),
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

fn noted<'a>(notes: &[(u8, &'a [u8])], number: u8) -> impl Iterator<Item = &'a [u8]> {
    let found = notes.iter().filter(move |(noted, _)| *noted == number);
    found.map(|(_, what)| *what)
}

fn payload_type(bytes: &[u8]) -> Option<u8> {
    text::number(bytes).filter(|number| *number < 128)
}

/// Audio by plain RTP. With feedback (RFC 4585) it is the same to one who gives none, since a side must not
/// count on feedback that was not agreed on.
fn is_plain_audio(section: &Section<'_>) -> bool {
    let is_plain = |protocol: &[u8]| {
        [b"RTP/AVP".as_slice(), b"RTP/AVPF"]
            .iter()
            .any(|known| protocol.eq_ignore_ascii_case(known))
    };
    section.kind.eq_ignore_ascii_case(b"audio") && section.port != 0 && is_plain(section.protocol)
}

fn audio(
    section: &Section<'_>,
    session: &Session<'_>,
    known: Option<(&str, IpAddr)>,
    allowed: &[PassThrough],
) -> Option<Audio> {
    if !is_plain_audio(section) {
        return None;
    }
    let address = section.place.or(session.place)?.address(known)?;
    let direction = section.direction.or(session.direction).unwrap_or_default();
    let mut audio = Audio {
        address: SocketAddr::new(address, section.port),
        rtcp: section
            .rtcp
            .map(|(port, other)| SocketAddr::new(other.unwrap_or(address), port)),
        codecs: Vec::new(),
        events: None,
        events_at: Vec::new(),
        ptime_ms: section.ptime_ms,
        direction: match address.is_unspecified() {
            true => direction.held(),
            false => direction,
        },
        noise: false,
        pass_through: Vec::new(),
    };
    let numbers = section.formats.iter();
    for number in numbers.filter_map(|format| payload_type(format)) {
        take_format(&mut audio, number, section, allowed);
    }
    audio.settle_events();
    let is_usable = !audio.codecs.is_empty() || !audio.pass_through.is_empty();
    is_usable.then_some(audio)
}

/// Finds what a payload type stands for; without `rtpmap` it has its usual meaning, if it has one. One that is
/// mapped more than once stands for what is of use to us. Of each codec the first number counts.
fn take_format(audio: &mut Audio, number: u8, section: &Section<'_>, allowed: &[PassThrough]) {
    let mut maps = noted(&section.maps, number).peekable();
    let found = match maps.peek() {
        None => usual_meaning(number, allowed),
        Some(_) => {
            let mut sound = None;
            for map in maps {
                match meaning(map, number, allowed) {
                    Some(Meaning::Events(8_000)) => audio.events = audio.events.or(Some(number)),
                    Some(Meaning::Events(clock_hz)) => {
                        let is_known = audio.events_at.iter().any(|(known, _)| *known == clock_hz);
                        audio
                            .events_at
                            .extend((!is_known).then_some((clock_hz, number)));
                    }
                    found => sound = sound.or(found),
                }
            }
            sound
        }
    };
    match found {
        Some(Meaning::Known(codec)) if audio.codecs.iter().all(|(known, _)| *known != codec) => {
            audio.codecs.push((codec, number));
        }
        Some(Meaning::PassThrough(codec))
            if audio.pass_through.iter().all(|it| it.codec != codec) =>
        {
            let said = noted(&section.said, number).next();
            audio.pass_through.push(Format {
                codec,
                payload_type: number,
                parameters: codec.parameters(said.unwrap_or_default()),
            });
        }
        Some(Meaning::Noise) => audio.noise = true,
        _ => {}
    }
}

/// What a payload type stands for.
#[derive(Clone, Copy)]
enum Meaning {
    Known(Codec),
    PassThrough(PassThrough),
    /// Keys, and their clock in Hz.
    Events(u32),
    Noise,
}

fn usual_meaning(number: u8, allowed: &[PassThrough]) -> Option<Meaning> {
    let known = Codec::ALL.into_iter();
    let mut known = known.filter(|codec| codec.usual_payload_type() == number);
    let mut pass_through = allowed.iter().copied();
    known
        .next()
        .map(Meaning::Known)
        .or_else(|| {
            pass_through
                .find(|codec| codec.usual_payload_type() == Some(number))
                .map(Meaning::PassThrough)
        })
        .or_else(|| (number == COMFORT_NOISE).then_some(Meaning::Noise))
}

fn meaning(map: &[u8], number: u8, allowed: &[PassThrough]) -> Option<Meaning> {
    let mut known = Codec::ALL.into_iter();
    if let Some(codec) = known.find(|codec| is_at(map, codec.name(), 8_000)) {
        return Some(Meaning::Known(codec));
    }
    if let Some(codec) = allowed.iter().copied().find(|codec| codec.is_mapped(map)) {
        return Some(Meaning::PassThrough(codec));
    }
    let mut clocks = [8_000, 16_000, 48_000].into_iter();
    if let Some(clock_hz) = clocks.find(|clock_hz| is_at(map, "telephone-event", *clock_hz)) {
        return Some(Meaning::Events(clock_hz));
    }
    (number == COMFORT_NOISE && is_at(map, "CN", 8_000)).then_some(Meaning::Noise)
}

/// `PCMA/8000` or `PCMA/8000/1`, the name in any case. Of these there is but one kind, so that a clock that is
/// not said, or is said to stand still, is the usual one.
fn is_at(map: &[u8], name: &str, clock_hz: u32) -> bool {
    let mut parts = map.split(|&byte| byte == b'/').map(text::trim);
    let same_name = parts
        .next()
        .is_some_and(|found| found.eq_ignore_ascii_case(name.as_bytes()));
    let same_clock = match parts.next() {
        None | Some(b"" | b"0") => clock_hz == 8_000,
        Some(said) => text::number(said) == Some(clock_hz),
    };
    same_name && same_clock && matches!(parts.next(), None | Some(b"" | b"1"))
}

/// What its answer repeats. What could not stand there is written anew.
fn refused(section: &Section<'_>) -> MediaLine {
    let token = |bytes: &[u8], otherwise: &str| {
        let is_token = (1..=64).contains(&bytes.len()) && bytes.iter().all(u8::is_ascii_graphic);
        match is_token {
            true => String::from_utf8_lossy(bytes).into_owned(),
            false => otherwise.to_owned(),
        }
    };
    let format = section.formats.first().copied().unwrap_or_default();
    MediaLine::Refused(
        token(section.kind, "application"),
        token(section.protocol, "RTP/AVP"),
        token(format, "0"),
    )
}
