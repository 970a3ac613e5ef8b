//! Keys that somebody presses during a call: as events in RTP (RFC 4733) and in the body of an INFO.

use crate::g711::SAMPLES_PER_PACKET;
use std::collections::VecDeque;

/// Keys that may wait to be sent.
pub const KEYS_WAITING_MAX: usize = 32;
/// The content type of [`relay_body`].
pub const RELAY_TYPE: &str = "application/dtmf-relay";
/// The content type whose body is the key alone.
pub const PLAIN_TYPE: &str = "application/dtmf";
/// The types of bodies in which INFO says a key.
pub(crate) const INFO_TYPES: &[&[u8]] = &[RELAY_TYPE.as_bytes(), PLAIN_TYPE.as_bytes()];
/// The clock of RTP events, in units a millisecond.
const UNITS_PER_MS: u16 = 8;
/// Between two packets about one key, in units.
const UNITS_PER_PACKET: u16 = SAMPLES_PER_PACKET as u16;
/// How often the last packet is said, since any may be lost (RFC 4733 section 2.5.1.4).
const ENDS: u8 = 3;
/// How long a key is held when nobody says, in milliseconds.
pub const HELD_MS: u16 = 160;
/// The shortest and the longest that a key is held, in milliseconds.
const HELD_MS_RANGE: (u16, u16) = (40, 5_000);
/// Packet times between two keys.
const PAUSE: u8 = 3;
/// How loud a key is said to be, in dBm0 below zero.
const VOLUME: u8 = 10;

/// One packet about a key (RFC 4733 section 2.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Event {
    /// Which, as in section 3.2 of the RFC: 0 to 9, then `*`, `#`, `A` to `D`; others are no keys.
    pub code: u8,
    /// Whether the key is up again.
    pub end: bool,
    /// How loud, 0 to 63, in dBm0 below zero.
    pub volume: u8,
    /// How long it has been down, in samples.
    pub duration: u16,
}

const KEYS: [char; 16] = [
    '0', '1', '2', '3', '4', '5', '6', '7', '8', '9', '*', '#', 'A', 'B', 'C', 'D',
];

/// The key of a code; none for flash, tones and the like.
pub fn key_of(code: u8) -> Option<char> {
    KEYS.get(usize::from(code)).copied()
}

/// The code of a key; small letters count as large ones.
pub fn code_of(key: char) -> Option<u8> {
    let key = key.to_ascii_uppercase();
    (0_u8..)
        .zip(KEYS)
        .find_map(|(code, known)| (known == key).then_some(code))
}

impl Event {
    /// Reads the payload of a packet. Some senders put several events in one; the first counts.
    pub fn parse(payload: &[u8]) -> Option<Self> {
        let [code, second, high, low, ..] = *payload else {
            return None;
        };
        Some(Self {
            code,
            end: second & 0x80 != 0,
            volume: second & 0x3f,
            duration: u16::from_be_bytes([high, low]),
        })
    }

    /// The payload of a packet.
    pub fn to_bytes(self) -> [u8; 4] {
        let [high, low] = self.duration.to_be_bytes();
        let second = u8::from(self.end) << 7 | self.volume & 0x3f;
        [self.code, second, high, low]
    }
}

/// Hears each key once, however many packets tell of it and in whatever order they come.
#[derive(Clone, Copy, Debug, Default)]
pub struct KeyReader {
    /// The timestamp names a key: all its packets have the same.
    last: Option<(u32, u32)>,
}

impl KeyReader {
    /// Takes a packet with events; gives the key if it is a new one.
    pub fn hear(&mut self, ssrc: u32, timestamp: u32, payload: &[u8]) -> Option<char> {
        let key = key_of(Event::parse(payload)?.code)?;
        if let Some((source, newest)) = self.last
            && source == ssrc
            && newest.wrapping_sub(timestamp) < 1 << 31
        {
            return None;
        }
        self.last = Some((ssrc, timestamp));
        Some(key)
    }
}

/// Presses keys: what to send each 20 ms.
#[derive(Clone, Debug, Default)]
pub struct KeyWriter {
    waiting: VecDeque<(u8, u16)>,
    now: Option<Pressed>,
    pause: u8,
}

#[derive(Clone, Copy, Debug)]
struct Pressed {
    code: u8,
    held: u16,
    duration: u16,
    ends: u8,
}

/// A packet that [`KeyWriter::next_packet`] wants sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyPacket {
    /// The first about its key: it has the marker and a timestamp of its own, which the others repeat.
    pub first: bool,
    /// What it says.
    pub event: Event,
}

impl KeyWriter {
    /// Adds a key, held for `held_ms`. What is no key, or more than [`KEYS_WAITING_MAX`], is left out.
    pub fn press(&mut self, key: char, held_ms: u16) {
        if let Some(code) = code_of(key)
            && self.waiting.len() < KEYS_WAITING_MAX
        {
            let (least, most) = HELD_MS_RANGE;
            let held = held_ms.clamp(least, most).saturating_mul(UNITS_PER_MS);
            self.waiting.push_back((code, held));
        }
    }

    /// Whether nothing is being sent or waits.
    pub fn is_idle(&self) -> bool {
        self.now.is_none() && self.waiting.is_empty() && self.pause == 0
    }

    /// What to send now; to be asked every 20 ms.
    pub fn next_packet(&mut self) -> Option<KeyPacket> {
        if self.pause > 0 {
            self.pause -= 1;
            return None;
        }
        let first = self.now.is_none();
        if first {
            let (code, held) = self.waiting.pop_front()?;
            self.now = Some(Pressed {
                code,
                held,
                duration: 0,
                ends: 0,
            });
        }
        let pressed = self.now.as_mut()?;
        pressed.duration = pressed
            .duration
            .saturating_add(UNITS_PER_PACKET)
            .min(pressed.held);
        let end = !first && pressed.duration == pressed.held;
        pressed.ends += u8::from(end);
        let event = Event {
            code: pressed.code,
            end,
            volume: VOLUME,
            duration: pressed.duration,
        };
        if pressed.ends == ENDS {
            self.now = None;
            self.pause = PAUSE;
        }
        Some(KeyPacket { first, event })
    }
}

/// The body of an INFO of the type [`RELAY_TYPE`].
pub fn relay_body(key: char, held_ms: u16) -> Option<String> {
    let key = key_of(code_of(key)?)?;
    Some(format!("Signal={key}\r\nDuration={held_ms}\r\n"))
}

/// Reads the body of an INFO: the key, and for how many milliseconds it was held. None if the type is
/// another or the body makes no sense.
pub fn read_info(content_type: &[u8], body: &[u8]) -> Option<(char, u16)> {
    let content_type = content_type
        .split(|&byte| byte == b';')
        .next()?
        .trim_ascii();
    let body = std::str::from_utf8(body).ok()?;
    if content_type.eq_ignore_ascii_case(PLAIN_TYPE.as_bytes()) {
        return Some((read_key(body)?, HELD_MS));
    }
    if !content_type.eq_ignore_ascii_case(RELAY_TYPE.as_bytes()) {
        return None;
    }
    let value = |name: &str| {
        body.lines().find_map(|line| {
            let (key, value) = line.split_once(['=', ':'])?;
            key.trim()
                .eq_ignore_ascii_case(name)
                .then_some(value.trim())
        })
    };
    let key = read_key(value("Signal")?)?;
    let held = value("Duration").and_then(|held| held.parse().ok());
    Some((key, held.unwrap_or(HELD_MS)))
}

/// A key as itself, or as its code with two digits.
fn read_key(text: &str) -> Option<char> {
    let text = text.trim();
    let mut letters = text.chars();
    match (letters.next(), letters.next()) {
        (Some(key), None) => key_of(code_of(key)?),
        _ => key_of(text.parse().ok()?),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn every_key_has_a_code_and_comes_back() {
        for (code, key) in (0_u8..).zip("0123456789*#ABCD".chars()) {
            assert_eq!((code_of(key), key_of(code)), (Some(code), Some(key)));
        }
        assert_eq!(
            (code_of('d'), code_of('x'), key_of(16)),
            (Some(15), None, None)
        );
    }

    #[test]
    fn a_key_is_sent_with_growing_duration_and_three_ends() {
        let mut writer = KeyWriter::default();
        writer.press('5', 60);
        writer.press('#', 40);
        writer.press('x', 40);
        let sent: Vec<Option<(bool, u8, bool, u16)>> = (0..15)
            .map(|_| {
                let packet = writer.next_packet()?;
                let event = packet.event;
                Some((packet.first, event.code, event.end, event.duration))
            })
            .collect();
        let expected = [
            Some((true, 5, false, 160)),
            Some((false, 5, false, 320)),
            Some((false, 5, true, 480)),
            Some((false, 5, true, 480)),
            Some((false, 5, true, 480)),
            None,
            None,
            None,
            Some((true, 11, false, 160)),
            Some((false, 11, true, 320)),
            Some((false, 11, true, 320)),
            Some((false, 11, true, 320)),
            None,
            None,
            None,
        ];
        assert_eq!(sent, expected);
        assert!(writer.is_idle());
    }

    #[test]
    fn what_waits_is_bounded() {
        let mut writer = KeyWriter::default();
        for _ in 0..1_000 {
            writer.press('1', 40);
        }
        let mut firsts = 0;
        while !writer.is_idle() {
            firsts += usize::from(writer.next_packet().is_some_and(|packet| packet.first));
        }
        assert_eq!(firsts, KEYS_WAITING_MAX);
    }

    #[test]
    fn bodies_of_info_are_read() {
        type Row = (&'static str, &'static [u8], Option<(char, u16)>);
        let rows: [Row; 17] = [
            (
                RELAY_TYPE,
                b"Signal=5\r\nDuration=160\r\n",
                Some(('5', 160)),
            ),
            (
                "Application/DTMF-Relay; x=y",
                b"Signal= *\r\nDuration= 250",
                Some(('*', 250)),
            ),
            (
                "Application/DTMF-Relay; x=y",
                b"signal=a\r\n",
                Some(('A', HELD_MS)),
            ),
            (RELAY_TYPE, b"Signal= #\nDuration= 250\n", Some(('#', 250))),
            (RELAY_TYPE, b"Signal=11\n", Some(('#', HELD_MS))),
            (
                RELAY_TYPE,
                b"signal:d\nduration:ages\n",
                Some(('D', HELD_MS)),
            ),
            (RELAY_TYPE, b"Duration=160\r\n", None),
            (RELAY_TYPE, b"Signal=\xff\r\n", None),
            (PLAIN_TYPE, b"7", Some(('7', HELD_MS))),
            (PLAIN_TYPE, b"7\r\n", Some(('7', HELD_MS))),
            (PLAIN_TYPE, b"10", Some(('*', HELD_MS))),
            (PLAIN_TYPE, b" 10\r\n", Some(('*', HELD_MS))),
            (PLAIN_TYPE, b"16", None),
            (PLAIN_TYPE, b"55", None),
            (PLAIN_TYPE, b"", None),
            ("text/plain", b"5", None),
            ("application/media_control+xml", b"5", None),
        ];
        for (kind, body, expected) in rows {
            let said = body.escape_ascii();
            assert_eq!(read_info(kind.as_bytes(), body), expected, "{kind} {said}");
        }
        assert_eq!(
            relay_body('d', 100).as_deref(),
            Some("Signal=D\r\nDuration=100\r\n")
        );
        assert_eq!(relay_body('!', 100), None);
    }

    proptest! {
        /// What a writer sends, a reader hears once each, although packets are lost, doubled and late.
        #[test]
        fn keys_survive_a_bad_network(
            keys in proptest::collection::vec(0_u8..16, 1..20),
            lost in proptest::collection::vec(proptest::bool::weighted(0.2), 400),
            swapped in proptest::collection::vec(any::<bool>(), 400),
        ) {
            let mut writer = KeyWriter::default();
            let pressed: String = keys.iter().filter_map(|code| key_of(*code)).collect();
            pressed.chars().for_each(|key| writer.press(key, 100));
            let (mut timestamp, mut clock, mut sent) = (0, 5_000_u32, Vec::new());
            while !writer.is_idle() {
                clock = clock.wrapping_add(160);
                if let Some(packet) = writer.next_packet() {
                    if packet.first {
                        timestamp = clock;
                    }
                    sent.push((timestamp, packet.event.to_bytes(), packet.first));
                }
            }
            // One packet of each key always comes through.
            let mut came: Vec<_> = sent
                .iter()
                .zip(&lost)
                .filter(|((.., first), lost)| *first || !**lost)
                .map(|((timestamp, bytes, _), _)| (*timestamp, *bytes))
                .collect();
            for at in 1..came.len() {
                if swapped[at] && came[at].0 == came[at - 1].0 {
                    came.swap(at - 1, at);
                }
            }
            let mut reader = KeyReader::default();
            let heard: String = came
                .iter()
                .flat_map(|(timestamp, bytes)| [(timestamp, bytes); 2])
                .filter_map(|(timestamp, bytes)| reader.hear(1, *timestamp, bytes))
                .collect();
            prop_assert_eq!(heard, pressed);
        }

        #[test]
        fn no_payload_makes_it_panic(payload in proptest::collection::vec(any::<u8>(), 0..8)) {
            if let Some(event) = Event::parse(&payload) {
                prop_assert_eq!(Event::parse(&event.to_bytes()), Some(event));
            }
            read_info(b"application/dtmf-relay", &payload);
            read_info(b"application/dtmf", &payload);
        }
    }
}
