//! Keys as events in RTP (RFC 4733 section 2): each lasts 100 ms, its end is said three times.

use std::collections::VecDeque;

const KEYS: &[u8; 16] = b"0123456789*#ABCD";
/// Packets of 20 ms that a key lasts.
const PRESSED_PACKETS: u8 = 5;
/// The end is repeated, lest it is lost (section 2.5.1.4).
const END_PACKETS: u8 = 3;
/// Packets of sound between two keys.
const PAUSE_PACKETS: u8 = 3;
/// Keys that wait.
const WAITING_MAX: usize = 64;
/// -10 dBm0.
const VOLUME: u8 = 10;
const END: u8 = 0x80;

/// Whether there is such a key.
pub fn is_key(key: char) -> bool {
    code(key).is_some()
}

fn code(key: char) -> Option<u8> {
    let key = u8::try_from(key).ok()?.to_ascii_uppercase();
    let at = KEYS.iter().position(|&known| known == key)?;
    u8::try_from(at).ok()
}

/// Presses keys one after another.
#[derive(Clone, Debug, Default)]
pub struct Pressing {
    waiting: VecDeque<u8>,
    /// The key that is pressed, when it began, and packets since.
    current: Option<(u8, u32, u8)>,
}

/// One packet of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Press {
    /// Whether it is the first of its key.
    pub marker: bool,
    /// When the key was pressed.
    pub timestamp: u32,
    /// The event.
    pub payload: [u8; 4],
}

impl Pressing {
    /// Presses these keys after those that wait; others are left out.
    pub fn press(&mut self, keys: &str) {
        let room = WAITING_MAX.saturating_sub(self.waiting.len());
        self.waiting
            .extend(keys.chars().filter_map(code).take(room));
    }

    /// What is sent instead of sound in the next 20 ms, which begin at `timestamp`.
    pub fn next(&mut self, timestamp: u32) -> Option<Press> {
        if self.current.is_none() {
            self.current = self.waiting.pop_front().map(|key| (key, timestamp, 0));
        }
        let (key, began, count) = self.current.as_mut()?;
        let (key, began, before) = (*key, *began, *count);
        *count += 1;
        if before >= PRESSED_PACKETS + END_PACKETS {
            if before + 1 >= PRESSED_PACKETS + END_PACKETS + PAUSE_PACKETS {
                self.current = None;
            }
            return None;
        }
        let end = if before >= PRESSED_PACKETS { END } else { 0 };
        let duration = u16::from((before + 1).min(PRESSED_PACKETS)) * 160;
        let [high, low] = duration.to_be_bytes();
        Some(Press {
            marker: before == 0,
            timestamp: began,
            payload: [key, end | VOLUME, high, low],
        })
    }
}

/// The key in the body of an INFO: `Signal=5` among other lines, or the key alone.
pub fn in_info(content_type: &[u8], body: &[u8]) -> Option<char> {
    let text = std::str::from_utf8(body).ok()?;
    let key = match content_type {
        b"application/dtmf-relay" => text.lines().find_map(|line| {
            let (name, value) = line.split_once('=')?;
            name.trim().eq_ignore_ascii_case("signal").then_some(value)
        })?,
        b"application/dtmf" => text,
        _ => return None,
    };
    let mut characters = key.trim().chars();
    let key = characters.next().filter(|key| is_key(*key))?;
    characters
        .next()
        .is_none()
        .then_some(key.to_ascii_uppercase())
}

/// Hears keys: each once, however many packets it has.
#[derive(Clone, Debug, Default)]
pub struct Pressed {
    last: Option<u32>,
}

impl Pressed {
    /// Takes the payload of an event that began at `timestamp`; gives the key if it is a new one.
    pub fn take(&mut self, timestamp: u32, payload: &[u8]) -> Option<char> {
        let key = KEYS
            .get(usize::from(*payload.first()?))
            .filter(|_| payload.len() >= 4)?;
        if self.last.replace(timestamp) == Some(timestamp) {
            return None;
        }
        Some(char::from(*key))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_that_are_pressed_are_heard_once_each_even_with_losses() {
        let (mut pressing, mut pressed) = (Pressing::default(), Pressed::default());
        pressing.press("15x5#d");
        let mut heard = String::new();
        let mut ends = 0;
        for tick in 0..100u32 {
            let Some(press) = pressing.next(tick * 160) else {
                continue;
            };
            ends += u32::from(press.payload[1] & END != 0);
            // Two packets of three are lost.
            if tick % 3 == 0 {
                heard.extend(pressed.take(press.timestamp, &press.payload));
            }
        }
        assert_eq!(heard, "155#D");
        assert_eq!(ends, 15);
    }

    #[test]
    fn an_event_grows_and_its_end_has_its_whole_length() {
        let mut pressing = Pressing::default();
        pressing.press("*");
        let packets: Vec<_> = (0..20).map_while(|_| pressing.next(1_000)).collect();
        let lengths: Vec<u16> = packets
            .iter()
            .map(|press| u16::from_be_bytes([press.payload[2], press.payload[3]]))
            .collect();
        assert_eq!(lengths, [160, 320, 480, 640, 800, 800, 800, 800]);
        assert!(packets[0].marker && !packets[1].marker);
        assert!(packets.iter().all(|press| press.payload[0] == 10));
    }

    #[test]
    fn keys_come_within_the_signalling_too() {
        let relay = b"application/dtmf-relay";
        let rows: [(&[u8], &[u8], Option<char>); 6] = [
            (relay, b"Signal=5\r\nDuration=160\r\n", Some('5')),
            (relay, b"Duration=160\r\nsignal= # ", Some('#')),
            (relay, b"Signal=12", None),
            (relay, b"\xff", None),
            (b"application/dtmf", b"d\r\n", Some('D')),
            (b"text/plain", b"5", None),
        ];
        for (content_type, body, key) in rows {
            assert_eq!(in_info(content_type, body), key, "{body:?}");
        }
    }

    #[test]
    fn what_is_no_key_is_not_heard() {
        let mut pressed = Pressed::default();
        assert_eq!(pressed.take(0, &[16, 0, 0, 0]), None, "a flash hook");
        assert_eq!(pressed.take(0, &[1, 0]), None, "cut off");
        assert_eq!(pressed.take(0, &[]), None);
        assert_eq!(pressed.take(0, &[1, 0, 0, 0]), Some('1'));
    }
}
