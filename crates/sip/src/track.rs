//! One side's sound laid out in time, for a recording.
//!
//! Packets come unevenly, out of order, or not at all; each is put where its timestamp says, and what
//! does not come is silence. A sender's timestamps are trusted only as far as they agree with the clock:
//! one that stands still, jumps or runs away is set right by the time of arrival.

use crate::g711::Law;
use std::collections::VecDeque;

/// How long a late packet is waited for, in samples: 200 ms.
pub const WINDOW: u64 = 1_600;
/// How far timestamps and arrival may differ before the timestamps are set anew, in samples: 500 ms.
const ASTRAY_MAX: i64 = 4_000;
/// The most that is held, in samples: 10 s. Who drains every second never comes near it.
const HELD_MAX: usize = 80_000;

/// See the module. Positions are samples since the beginning of the recording.
#[derive(Clone, Debug)]
pub struct Track {
    silence: u8,
    /// The position of the first sample in `held`: what lies before it is drained.
    base: u64,
    held: VecDeque<u8>,
    last: Option<Anchor>,
    late: u64,
}

#[derive(Clone, Copy, Debug)]
struct Anchor {
    ssrc: u32,
    timestamp: u32,
    position: i64,
}

impl Track {
    /// An empty track.
    pub fn new(law: Law) -> Self {
        Self {
            silence: law.silence(),
            base: 0,
            held: VecDeque::new(),
            last: None,
            late: 0,
        }
    }

    /// Lays a packet down that arrived at `now`.
    pub fn put(&mut self, ssrc: u32, timestamp: u32, sound: &[u8], now: u64) {
        let arrived = i64::try_from(now).unwrap_or(i64::MAX);
        let by_timestamp = self.last.filter(|last| last.ssrc == ssrc).map(|last| {
            let ahead = timestamp.wrapping_sub(last.timestamp) as i32;
            last.position.saturating_add(ahead.into())
        });
        let position = by_timestamp
            .filter(|position| position.abs_diff(arrived) <= ASTRAY_MAX as u64)
            .unwrap_or(arrived);
        self.last = Some(Anchor {
            ssrc,
            timestamp,
            position,
        });
        // What lies before the base is written already.
        let offset = position - i64::try_from(self.base).unwrap_or(i64::MAX);
        let skipped = usize::try_from(-offset).unwrap_or(0).min(sound.len());
        self.late += skipped as u64;
        let begin = usize::try_from(offset).unwrap_or(0);
        let sound = &sound[skipped..];
        let end = begin.saturating_add(sound.len());
        if end > HELD_MAX || sound.is_empty() {
            return;
        }
        if self.held.len() < end {
            self.held.resize(end, self.silence);
        }
        for (place, byte) in self.held.range_mut(begin..end).zip(sound) {
            *place = *byte;
        }
    }

    /// Gives everything before `until` that was not given yet; `sink` gets a byte for each sample.
    pub fn drain(&mut self, until: u64, mut sink: impl FnMut(u8)) {
        let wanted = until.saturating_sub(self.base);
        let held = self
            .held
            .len()
            .min(usize::try_from(wanted).unwrap_or(usize::MAX));
        self.held.drain(..held).for_each(&mut sink);
        (held as u64..wanted).for_each(|_| sink(self.silence));
        self.base = self.base.max(until);
    }

    /// The position after the last sample that came.
    pub fn end(&self) -> u64 {
        self.base + self.held.len() as u64
    }

    /// Samples that came after their place was drained.
    pub fn late(&self) -> u64 {
        self.late
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SILENCE: u8 = Law::A.silence();

    fn drained(track: &mut Track, until: u64) -> Vec<u8> {
        let mut out = Vec::new();
        track.drain(until, |byte| out.push(byte));
        out
    }

    #[test]
    fn packets_are_laid_by_timestamp_and_gaps_are_silent() {
        let mut track = Track::new(Law::A);
        track.put(1, 1_000, &[1; 4], 2);
        track.put(1, 1_012, &[4; 4], 14); // one was lost, one is late
        track.put(1, 1_004, &[2; 4], 16);
        let s = SILENCE;
        let expected = [s, s, 1, 1, 1, 1, 2, 2, 2, 2, s, s, s, s, 4, 4];
        assert_eq!(drained(&mut track, 16), expected);
        assert_eq!(drained(&mut track, 20), [4, 4, s, s]);
        track.put(1, 1_016, &[5; 4], 22);
        assert_eq!((drained(&mut track, 22), track.late()), (vec![5, 5], 2));
    }

    #[test]
    fn timestamps_that_go_astray_are_set_right_by_the_clock() {
        let mut track = Track::new(Law::A);
        track.put(1, 0, &[1], 0);
        track.put(1, 1_000_000, &[2], 10);
        track.put(1, 1_000_001, &[3], 11);
        track.put(2, 7, &[4], 20);
        let out = drained(&mut track, 22);
        assert_eq!((out[0], out[10], out[11], out[20]), (1, 2, 3, 4));
    }

    #[test]
    fn what_is_held_is_bounded() {
        let mut track = Track::new(Law::A);
        for now in 0..10_000_u64 {
            track.put(1, (now * 160) as u32, &[1; 160], now * 160);
        }
        assert!(track.held.len() <= HELD_MAX);
    }

    proptest! {
        /// Whatever the order within the window, the sound comes out as it went in.
        #[test]
        fn order_within_the_window_does_not_matter(
            start in any::<u32>(),
            shuffle in proptest::collection::vec(0_u64..5, 20..60),
        ) {
            let mut packets: Vec<(u64, u64)> = (0..)
                .zip(&shuffle)
                .map(|(at, delay): (u64, &u64)| ((at + delay) * 160, at))
                .collect();
            packets.sort();
            // The first to come sets the place of all.
            let first = packets[0];
            let mut track = Track::new(Law::Mu);
            let mut out = Vec::new();
            for (arrival, at) in &packets {
                let sound = [(at % 100) as u8; 160];
                track.put(9, start.wrapping_add(*at as u32 * 160), &sound, *arrival);
                track.drain(arrival.saturating_sub(WINDOW), |byte| out.push(byte));
            }
            track.drain(track.end(), |byte| out.push(byte));
            prop_assert_eq!(track.late(), 0);
            let shift = first.0 - first.1 * 160;
            for (at, _) in (0..).zip(&shuffle) {
                let begin = (at * 160 + shift) as usize;
                prop_assert!(out[begin..begin + 160].iter().all(|byte| u64::from(*byte) == at % 100));
            }
        }

        #[test]
        fn nothing_makes_it_panic(
            steps in proptest::collection::vec((any::<u32>(), 0_usize..400, 0_u64..100_000, any::<bool>()), 0..60),
        ) {
            let mut track = Track::new(Law::A);
            let mut drained = 0_u64;
            for (timestamp, length, now, drain) in steps {
                track.put(timestamp % 2, timestamp, &vec![7; length], now);
                if drain {
                    let before = drained;
                    track.drain(now, |_| drained += 1);
                    prop_assert_eq!(drained, before.max(now));
                }
            }
        }
    }
}
