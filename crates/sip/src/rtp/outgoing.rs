//! The one stream that a side hears, whoever speaks in it.
//!
//! A side is sent sound from several sources one after the other: a tone, a prompt, the other party, the
//! other party's next source. It hears a single stream under a name of ours, whose numbers go on without
//! a break at each joint. So nothing of one side's names and numbers reaches the other, and a loss or a
//! change of order on the way to us still shows as such.

use super::{MISORDER_MAX, Packet};
use crate::g711::{SAMPLES_PER_PACKET, SAMPLES_PER_SECOND};

/// Numbers for one packet of the stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp {
    /// Whether sound begins here after a break.
    pub marker: bool,
    /// The number of the packet.
    pub sequence: u16,
    /// The time of its first sample.
    pub timestamp: u32,
}

/// See the module. Times are in microseconds since an origin of the caller's choice.
#[derive(Clone, Copy, Debug)]
pub struct Outgoing {
    ssrc: u32,
    /// The newest packet that was sent, or before the first one the numbers to begin with.
    sequence: u16,
    timestamp: u32,
    sent_at_us: Option<u64>,
    source: Option<Source>,
    packets: u32,
    octets: u32,
}

/// The source that is being passed on, and how its numbers become ours.
#[derive(Clone, Copy, Debug)]
struct Source {
    ssrc: u32,
    highest: u16,
    /// How far it has come since the joint. What lies before the joint belongs to a stretch that is over.
    since: u16,
    /// The last packet that came from far behind.
    behind: Option<u16>,
    sequence_offset: u16,
    timestamp_offset: u32,
}

impl Source {
    /// Whether this is the second packet in a row from far behind: the source has begun anew (RFC 3550
    /// appendix A.1).
    fn begins_anew(&mut self, sequence: u16) -> bool {
        let behind = self.highest.wrapping_sub(sequence);
        if behind >= 1 << 15 || behind <= self.since.max(MISORDER_MAX) {
            return false;
        }
        let before = self.behind.replace(sequence);
        before == Some(sequence.wrapping_sub(1))
    }
}

impl Outgoing {
    /// A stream with this name that begins with these numbers. All three are best drawn by lot
    /// (RFC 3550 section 5.1).
    pub fn new(ssrc: u32, sequence: u16, timestamp: u32) -> Self {
        Self {
            ssrc,
            sequence,
            timestamp,
            sent_at_us: None,
            source: None,
            packets: 0,
            octets: 0,
        }
    }

    /// Its name.
    pub fn ssrc(&self) -> u32 {
        self.ssrc
    }

    /// Packets and bytes of payload so far, as a sender report tells them: modulo 2^32.
    pub fn sent(&self) -> (u32, u32) {
        (self.packets, self.octets)
    }

    /// The timestamp that a sample would have now, for a sender report.
    pub fn timestamp_at(&self, now_us: u64) -> u32 {
        let since = self.sent_at_us.map_or(0, |at| now_us.saturating_sub(at));
        self.timestamp.wrapping_add(samples(since))
    }

    /// The numbers for a packet that is passed on. None for a late one from before the last joint.
    pub fn pass(&mut self, packet: &Packet<'_>, now_us: u64) -> Option<Stamp> {
        if self
            .source
            .as_mut()
            .is_some_and(|source| source.ssrc == packet.ssrc && source.begins_anew(packet.sequence))
        {
            self.source = None;
        }
        let stamp = match &mut self.source {
            Some(source) if source.ssrc == packet.ssrc => {
                let ahead = packet.sequence.wrapping_sub(source.highest);
                if ahead < 1 << 15 {
                    source.highest = packet.sequence;
                    source.since = source.since.saturating_add(ahead).min(1 << 15);
                } else if ahead.wrapping_neg() > source.since {
                    return None;
                }
                Stamp {
                    marker: packet.marker,
                    sequence: packet.sequence.wrapping_add(source.sequence_offset),
                    timestamp: packet.timestamp.wrapping_add(source.timestamp_offset),
                }
            }
            _ => {
                let stamp = self.joint(now_us);
                self.source = Some(Source {
                    ssrc: packet.ssrc,
                    highest: packet.sequence,
                    since: 0,
                    behind: None,
                    sequence_offset: stamp.sequence.wrapping_sub(packet.sequence),
                    timestamp_offset: stamp.timestamp.wrapping_sub(packet.timestamp),
                });
                stamp
            }
        };
        self.note(stamp, packet.payload.len(), now_us);
        Some(stamp)
    }

    /// The numbers for the first packet of sound of our own. What was passed on before is over.
    pub fn begin(&mut self, payload_bytes: usize, now_us: u64) -> Stamp {
        let stamp = self.joint(now_us);
        self.source = None;
        self.note(stamp, payload_bytes, now_us);
        stamp
    }

    /// The numbers for the next packet of our own, `samples` after the last one; 0 for another packet about
    /// the same moment.
    pub fn go_on(&mut self, samples: u32, payload_bytes: usize, now_us: u64) -> Stamp {
        let stamp = Stamp {
            marker: false,
            sequence: self.sequence.wrapping_add(1),
            timestamp: self.timestamp.wrapping_add(samples),
        };
        self.note(stamp, payload_bytes, now_us);
        stamp
    }

    /// Writes a packet of the stream with these numbers in place of what is in `buffer`.
    pub fn write(&self, stamp: Stamp, payload_type: u8, payload: &[u8], buffer: &mut Vec<u8>) {
        Packet {
            marker: stamp.marker,
            payload_type,
            sequence: stamp.sequence,
            timestamp: stamp.timestamp,
            ssrc: self.ssrc,
            payload,
        }
        .write(buffer);
    }

    /// The next source is joined on, even if it has the name of the last one.
    pub fn cut(&mut self) {
        self.source = None;
    }

    /// The next number, at the time that has really passed.
    fn joint(&self, now_us: u64) -> Stamp {
        let Some(sent_at) = self.sent_at_us else {
            return Stamp {
                marker: true,
                sequence: self.sequence,
                timestamp: self.timestamp,
            };
        };
        // Never less than a usual packet: two stretches must not lie on each other.
        let passed = samples(now_us.saturating_sub(sent_at)).max(SAMPLES_PER_PACKET);
        Stamp {
            marker: true,
            sequence: self.sequence.wrapping_add(1),
            timestamp: self.timestamp.wrapping_add(passed),
        }
    }

    fn note(&mut self, stamp: Stamp, payload_bytes: usize, now_us: u64) {
        self.packets = self.packets.wrapping_add(1);
        self.octets = self.octets.wrapping_add(payload_bytes as u32);
        let is_newest = stamp.sequence.wrapping_sub(self.sequence) < 1 << 15;
        if is_newest || self.sent_at_us.is_none() {
            // Packets with one timestamp, as keys have, all belong to the moment of the first.
            if stamp.timestamp != self.timestamp || self.sent_at_us.is_none() {
                self.sent_at_us = Some(now_us);
            }
            self.sequence = stamp.sequence;
            self.timestamp = stamp.timestamp;
        }
    }
}

/// Samples in a stretch of time.
fn samples(us: u64) -> u32 {
    // Cut on purpose: timestamps turn over.
    (us * u64::from(SAMPLES_PER_SECOND) / 1_000_000) as u32
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const STEP_US: u64 = 20_000;

    fn packet(ssrc: u32, sequence: u16, timestamp: u32) -> Packet<'static> {
        Packet {
            marker: false,
            payload_type: 8,
            sequence,
            timestamp,
            ssrc,
            payload: &[0; 160],
        }
    }

    #[test]
    fn a_prompt_between_two_stretches_of_one_source_is_spliced() {
        let mut stream = Outgoing::new(1, 65_534, u32::MAX);
        let mut stamps = Vec::new();
        let mut now = 0;
        for at in 0..3 {
            stamps.extend(stream.pass(&packet(9, 500 + at, 7_000 + u32::from(at) * 160), now));
            now += STEP_US;
        }
        stamps.push(stream.begin(160, now));
        stamps.push(stream.go_on(160, 160, now + STEP_US));
        now += 2 * STEP_US;
        // Its own numbers ran on meanwhile; a late packet of the first stretch follows it.
        stamps.extend(stream.pass(&packet(9, 505, 7_800), now));
        assert_eq!(stream.pass(&packet(9, 502, 7_320), now), None);
        stamps.extend(stream.pass(&packet(9, 506, 7_960), now + STEP_US));
        for (n, stamp) in stamps.iter().enumerate() {
            assert_eq!(stamp.sequence, 65_534_u16.wrapping_add(n as u16), "{n}");
            assert_eq!(
                stamp.timestamp,
                u32::MAX.wrapping_add(n as u32 * 160),
                "{n}"
            );
            assert_eq!(stamp.marker, [0, 3, 5].contains(&n), "{n}");
        }
        assert_eq!(stream.sent(), (7, 7 * 160));
    }

    #[test]
    fn a_source_that_begins_anew_far_behind_is_heard_from_its_second_packet() {
        let mut stream = Outgoing::new(1, 0, 0);
        let packet = |sequence: u16| packet(7, sequence, u32::from(sequence) * 160);
        assert!(stream.pass(&packet(60_000), 0).is_some());
        let last = stream.pass(&packet(60_001), 20_000).expect("in order");
        assert_eq!(stream.pass(&packet(30_000), 40_000), None, "late, perhaps");
        let next = stream.pass(&packet(30_001), 60_000).expect("anew");
        assert_eq!(next.sequence, last.sequence.wrapping_add(1));
        assert!(stream.pass(&packet(30_002), 80_000).is_some());
        assert_eq!(stream.pass(&packet(29_990), 80_000), None);
    }

    #[test]
    fn time_that_passed_in_silence_shows() {
        let mut stream = Outgoing::new(1, 0, 0);
        stream.pass(&packet(9, 5, 5), 0);
        let later = stream.pass(&packet(10, 77, 77), 1_000_000).expect("passes");
        assert_eq!(
            (later.sequence, later.timestamp, later.marker),
            (1, 8_000, true)
        );
        assert_eq!(stream.timestamp_at(1_500_000), 12_000);
    }

    #[test]
    fn after_a_key_the_time_that_it_was_held_has_passed() {
        let mut stream = Outgoing::new(1, 0, 0);
        stream.begin(4, 0);
        for at in 1..=10 {
            assert_eq!(stream.go_on(0, 4, at * STEP_US).timestamp, 0);
        }
        let after = stream.pass(&packet(9, 5, 5), 12 * STEP_US).expect("passes");
        assert_eq!((after.sequence, after.timestamp), (11, 12 * 160));
    }

    proptest! {
        /// Whatever the numbers of a source are, only their differences cross.
        #[test]
        fn the_numbers_of_a_source_do_not_cross(
            ssrc in any::<u32>(),
            first in any::<u16>(),
            begun in any::<u32>(),
            steps in proptest::collection::vec(-20_i16..20, 1..100),
        ) {
            let run = |ssrc: u32, first: u16, begun: u32| {
                let mut stream = Outgoing::new(1, 100, 1_000);
                let mut at = 0_i16;
                let mut out = Vec::new();
                for step in &steps {
                    let (sequence, timestamp) = (first.wrapping_add_signed(at), begun.wrapping_add_signed(i32::from(at) * 160));
                    out.push(stream.pass(&packet(ssrc, sequence, timestamp), 0));
                    at = at.saturating_add(*step);
                }
                out
            };
            prop_assert_eq!(run(ssrc, first, begun), run(7, 1, 1));
        }
    }
}
