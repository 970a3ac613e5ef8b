//! One side's sound laid out in time, for a recording.
//!
//! Packets come unevenly, out of order, or not at all; each is put where its timestamp says, and what
//! does not come is silence. A sender's timestamps are trusted only as far as they agree with the clock:
//! one that stands still, jumps or runs away is set right by the time of arrival. A clock that is a little
//! faster or slower than ours is followed a few samples at a time, and set right where it pauses, so that two
//! tracks stay in step for hours.

use crate::g711::Law;
use std::collections::VecDeque;

/// How long a late packet is waited for, in samples: 200 ms.
pub const WINDOW: u64 = 1_600;
/// How far timestamps and arrival may differ before the timestamps are set anew, in samples: 500 ms.
const ASTRAY_MAX: i64 = 4_000;
/// Over how long it is watched how far timestamps and arrival are apart, in samples: 2 s. Of the packets of
/// such a time the least delayed one counts: the others tell of the network, not of the sender's clock.
const WATCHED: i64 = 16_000;
/// So far apart they may stay, in samples: 5 ms.
const APART_MAX: i64 = 40;
/// The most that is put in or left out at one packet, in samples: 1 ms, which nobody hears.
const STEP_MAX: i64 = 8;
/// Who says nothing for so long, by its timestamps, has paused, in samples: 1 s.
const PAUSE: i64 = 8_000;
/// How much later a packet may come after a pause than its timestamp says, in samples: 37.5 ms, which the network may
/// have kept it,
const LATE_AFTER_PAUSE_MAX: i64 = 300;
/// and how much earlier: 10 ms, since no network brings what was not said yet. Beyond, timestamps are set anew there,
/// where nobody hears it: half an hour on hold would part a sender from the clock by what takes seconds to make up
/// for in single samples.
const EARLY_AFTER_PAUSE_MAX: i64 = 80;
/// The most that is held, in samples: 10 s. Who drains every second never comes near it.
const HELD_MAX: usize = 80_000;

/// See the module. Positions are samples since the beginning of the recording.
#[derive(Clone, Debug)]
pub struct Timeline {
    silence: u8,
    /// The position of the first sample in `held`: what lies before it is drained.
    base: u64,
    held: VecDeque<u8>,
    last: Option<Anchor>,
    drift: Drift,
    late: u64,
}

/// How much later packets come than they are laid down, at least: what the sender's clock is behind ours.
#[derive(Clone, Copy, Debug, Default)]
struct Drift {
    /// When the watched time ends.
    until: i64,
    /// The least delay within it,
    least: Option<i64>,
    /// and within the one before it.
    before: Option<i64>,
}

impl Drift {
    /// Takes note of a packet's delay, and says how much later the sound is to be laid down from it on.
    fn watch(&mut self, arrived: i64, delay: i64) -> i64 {
        if arrived >= self.until {
            self.before = self.least.take();
            self.until = arrived.saturating_add(WATCHED);
        }
        let least = self.least.map_or(delay, |least| least.min(delay));
        let step = self.before.map_or(0, |before| {
            let apart = before.min(least);
            let too_far = apart.abs() - APART_MAX;
            match too_far > 0 {
                true => apart.signum() * (too_far / 32).clamp(1, STEP_MAX),
                false => 0,
            }
        });
        self.least = Some(least - step);
        self.before = self.before.map(|before| before - step);
        step
    }
}

#[derive(Clone, Copy, Debug)]
struct Anchor {
    ssrc: u32,
    timestamp: u32,
    position: i64,
}

impl Timeline {
    /// An empty timeline.
    pub fn new(law: Law) -> Self {
        Self {
            silence: law.silence(),
            base: 0,
            held: VecDeque::new(),
            last: None,
            drift: Drift::default(),
            late: 0,
        }
    }

    /// Lays a packet down that arrived at `now`.
    pub fn put(&mut self, ssrc: u32, timestamp: u32, sound: &[u8], now: u64) {
        let arrived = i64::try_from(now).unwrap_or(i64::MAX);
        let trusted = self.last.filter(|last| last.ssrc == ssrc).and_then(|last| {
            let ahead = i64::from(timestamp.wrapping_sub(last.timestamp) as i32);
            let position = last.position.saturating_add(ahead);
            let fits = match ahead >= PAUSE {
                true => -EARLY_AFTER_PAUSE_MAX..=LATE_AFTER_PAUSE_MAX,
                false => -ASTRAY_MAX..=ASTRAY_MAX,
            };
            fits.contains(&arrived.saturating_sub(position))
                .then_some(position)
        });
        let (position, step) = match trusted {
            Some(position) => {
                let step = self.drift.watch(arrived, arrived - position);
                (position + step, step)
            }
            None => {
                self.drift = Drift::default();
                (arrived, 0)
            }
        };
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
        // A step is filled with what was there before it: a moment of silence would click.
        let gap = begin.saturating_sub(self.held.len());
        if let Some(before) = self.held.back().copied()
            && usize::try_from(step).is_ok_and(|step| gap <= step)
        {
            self.held.resize(self.held.len() + gap, before);
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

    fn drained(timeline: &mut Timeline, until: u64) -> Vec<u8> {
        let mut out = Vec::new();
        timeline.drain(until, |byte| out.push(byte));
        out
    }

    #[test]
    fn packets_are_laid_by_timestamp_and_gaps_are_silent() {
        let mut timeline = Timeline::new(Law::A);
        timeline.put(1, 1_000, &[1; 4], 2);
        timeline.put(1, 1_012, &[4; 4], 14); // one was lost, one is late
        timeline.put(1, 1_004, &[2; 4], 16);
        let s = SILENCE;
        let expected = [s, s, 1, 1, 1, 1, 2, 2, 2, 2, s, s, s, s, 4, 4];
        assert_eq!(drained(&mut timeline, 16), expected);
        assert_eq!(drained(&mut timeline, 20), [4, 4, s, s]);
        timeline.put(1, 1_016, &[5; 4], 22);
        assert_eq!(
            (drained(&mut timeline, 22), timeline.late()),
            (vec![5, 5], 2)
        );
    }

    #[test]
    fn timestamps_that_go_astray_are_set_right_by_the_clock() {
        let mut timeline = Timeline::new(Law::A);
        timeline.put(1, 0, &[1], 0);
        timeline.put(1, 1_000_000, &[2], 10);
        timeline.put(1, 1_000_001, &[3], 11);
        timeline.put(2, 7, &[4], 20);
        let out = drained(&mut timeline, 22);
        assert_eq!((out[0], out[10], out[11], out[20]), (1, 2, 3, 4));
    }

    /// So many minutes of a sender whose clock is off by `per_million`, whose packets are up to 30 ms late, and
    /// that is silent now and then: how far what it says at a moment lies from that moment, at most, and how
    /// much the place of its sound changes from one such moment, ten seconds, to the next.
    fn apart(per_million: i64, minutes: i64) -> (i64, i64) {
        let packets = minutes * 60 * 50;
        let mut timeline = Timeline::new(Law::A);
        let (mut out, mut marks) = (0_i64, Vec::new());
        let (mut written, mut is_marked, mut random) = (Vec::new(), false, 1_u64);
        for n in 0..packets {
            let sent = n * 160 - n * 160 * per_million / 1_000_000;
            random = random
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            let arrival = sent + (random >> 33) as i64 % 240;
            if n % 500 == 0 {
                marks.push(sent);
            }
            if n % 3_000 > 2_900 {
                continue;
            }
            let sound = [if n % 500 == 0 { 2 } else { 1 }; 160];
            timeline.put(9, (n as u32).wrapping_mul(160), &sound, arrival as u64);
            if n % 50 == 49 {
                timeline.drain((arrival as u64).saturating_sub(WINDOW), |byte| {
                    if byte == 2 && !is_marked {
                        written.push(out);
                    }
                    is_marked = byte == 2;
                    out += 1;
                });
            }
        }
        let apart: Vec<i64> = written
            .iter()
            .zip(&marks)
            .map(|(at, mark)| at - mark)
            .collect();
        assert!(
            apart.len() + 2 > marks.len(),
            "{} of {}",
            apart.len(),
            marks.len()
        );
        let steps = apart.windows(2).map(|pair| (pair[1] - pair[0]).abs());
        (
            apart.iter().map(|apart| apart.abs()).max().unwrap_or(0),
            steps.max().unwrap_or(0),
        )
    }

    #[test]
    fn a_clock_that_runs_a_little_fast_or_slow_is_followed_without_jumps() {
        let rows = [
            (-200, 180),
            (200, 180),
            (-1_000, 20),
            (1_000, 20),
            (-20, 20),
            (0, 5),
        ];
        for (per_million, minutes) in rows {
            let (apart, step) = apart(per_million, minutes);
            assert!(
                apart <= 320,
                "{per_million}: {apart} samples, more than 40 ms"
            );
            assert!(step <= 240, "{per_million}: {step} samples at once");
        }
    }

    /// How a sender behaves: its clock is off by `per_million`, its packets are up to `late_max` samples late,
    /// and of each `every` packets it says `says` and is silent else.
    #[derive(Clone, Copy, Debug)]
    struct Sender {
        per_million: i64,
        late_max: i64,
        every: i64,
        says: i64,
    }

    /// How far from the moment at which it was said anything is laid down that a sender says in so many minutes,
    /// at most, in samples.
    fn farthest(sender: Sender, minutes: i64, seed: u64) -> i64 {
        let Sender {
            per_million,
            late_max,
            every,
            says,
        } = sender;
        let mut timeline = Timeline::new(Law::A);
        let (mut random, mut farthest) = (seed | 1, 0);
        for n in 0..minutes * 60 * 50 {
            let sent = n * 160 - n * 160 * per_million / 1_000_000;
            random = random
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            let arrival = sent + (random >> 33) as i64 % (late_max + 1);
            if n % every < says {
                timeline.put(9, (n as u32).wrapping_mul(160), &[1], arrival as u64);
                let laid = timeline.last.map_or(0, |last| last.position);
                farthest = farthest.max((laid - sent).abs());
            }
            if n % 250 == 249 {
                timeline.drain((arrival as u64).saturating_sub(WINDOW), |_| ());
            }
        }
        farthest
    }

    #[test]
    fn a_step_is_no_silence() {
        let mut timeline = Timeline::new(Law::A);
        // A tenth of a second later from the second packet on.
        for n in 0..1_000_u64 {
            let late = if n == 0 { 0 } else { 800 };
            timeline.put(1, n as u32 * 160, &[1; 160], n * 160 + late);
            if n > 10 {
                let out = drained(&mut timeline, n * 160 - 1_600);
                assert!(out.iter().all(|byte| *byte == 1), "{n}");
            }
        }
    }

    #[test]
    fn what_is_held_is_bounded() {
        let mut timeline = Timeline::new(Law::A);
        for now in 0..10_000_u64 {
            timeline.put(1, (now * 160) as u32, &[1; 160], now * 160);
        }
        assert!(timeline.held.len() <= HELD_MAX);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(12))]

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
            let mut timeline = Timeline::new(Law::Mu);
            let mut out = Vec::new();
            for (arrival, at) in &packets {
                let sound = [(at % 100) as u8; 160];
                timeline.put(9, start.wrapping_add(*at as u32 * 160), &sound, *arrival);
                timeline.drain(arrival.saturating_sub(WINDOW), |byte| out.push(byte));
            }
            timeline.drain(timeline.end(), |byte| out.push(byte));
            prop_assert_eq!(timeline.late(), 0);
            let shift = first.0 - first.1 * 160;
            for (at, _) in (0..).zip(&shuffle) {
                let begin = (at * 160 + shift) as usize;
                prop_assert!(out[begin..begin + 160].iter().all(|byte| u64::from(*byte) == at % 100));
            }
        }

        /// Two telephones whose clocks part from each other stay within 40 ms of ours, and so of each other,
        /// for an hour and more, whatever pauses they make and whatever the network does.
        #[test]
        fn two_clocks_that_part_stay_in_step_with_ours(
            per_million in 0_i64..=200,
            late_max in 0_i64..=240,
            pause in prop_oneof![Just((50, 50)), Just((3_000, 2_900)), Just((45_000, 20_000)), Just((90_000, 1_500))],
            minutes in 60_i64..=90,
            seed in any::<u64>(),
        ) {
            let (every, says) = pause;
            for per_million in [per_million, -per_million] {
                let sender = Sender { per_million, late_max, every, says };
                let farthest = farthest(sender, minutes, seed);
                prop_assert!(farthest <= 320, "{sender:?}: {farthest} samples, more than 40 ms");
            }
        }

        #[test]
        fn nothing_makes_it_panic(
            steps in proptest::collection::vec((any::<u32>(), 0_usize..400, 0_u64..100_000, any::<bool>()), 0..60),
        ) {
            let mut timeline = Timeline::new(Law::A);
            let mut drained = 0_u64;
            for (timestamp, length, now, drain) in steps {
                timeline.put(timestamp % 2, timestamp, &vec![7; length], now);
                if drain {
                    let before = drained;
                    timeline.drain(now, |_| drained += 1);
                    prop_assert_eq!(drained, before.max(now));
                }
            }
        }
    }
}
