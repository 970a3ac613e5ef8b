//! What came from one side, by RFC 3550 appendices A.1, A.3 and A.8.

use super::MISORDER_MAX;

/// A larger step in the numbers than this is a sender that began anew, not a loss (RFC 3550 appendix A.1).
const DROPOUT_MAX: u16 = 3_000;

/// Counts the packets of one side, over all the sources that it used one after the other.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reception {
    packets: u64,
    /// Of the runs of numbers that are over.
    lost_before: u64,
    run: Option<Run>,
    /// The arrival time minus the timestamp, of the last packet of sound.
    transit: Option<u32>,
    /// In sixteenths of a sample, so that no bit is lost in smoothing.
    jitter_16: u32,
    reported: Expected,
}

/// Packets with numbers in one row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Run {
    ssrc: u32,
    first: u64,
    /// Made longer than 16 bits by counting its turns.
    highest: u64,
    packets: u64,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Expected {
    expected: u64,
    packets: u64,
}

/// What a receiver report tells (RFC 3550 section 6.4.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Loss {
    /// The source that sends now.
    pub ssrc: u32,
    /// Of 256 packets expected since the last report, how many are missing.
    pub fraction: u8,
    /// Packets missing since the beginning, at most 2^23 - 1.
    pub total: u32,
    /// The highest number, with its turns in the upper half.
    pub highest: u32,
    /// In samples.
    pub jitter: u32,
}

impl Reception {
    /// Takes note of a packet: from whom, its number, and for sound its timestamp together with the time of
    /// arrival, both in samples. Keys have none, since their timestamp stands still (RFC 4733 section 2.2.1).
    pub fn count(&mut self, ssrc: u32, sequence: u16, timing: Option<(u32, u32)>) {
        self.packets += 1;
        let goes_on =
            (self.run.as_mut()).is_some_and(|run| run.ssrc == ssrc && run.takes(sequence));
        if !goes_on {
            let over = self.run.replace(Run::new(ssrc, sequence));
            self.lost_before += over.map_or(0, |run| run.lost());
            self.transit = None;
        }
        if let Some((timestamp, arrival)) = timing {
            let transit = arrival.wrapping_sub(timestamp);
            if let Some(before) = self.transit.replace(transit) {
                let change = (transit.wrapping_sub(before) as i32).unsigned_abs();
                self.jitter_16 = (self.jitter_16 - ((self.jitter_16 + 8) >> 4))
                    .saturating_add(change.min(DROPOUT_MAX.into()));
            }
        }
    }

    /// Packets that came.
    pub fn packets(&self) -> u64 {
        self.packets
    }

    /// Packets missing between the first and the last one of each run.
    pub fn lost(&self) -> u64 {
        self.lost_before + self.run.map_or(0, |run| run.lost())
    }

    /// How unevenly packets came, in samples.
    pub fn jitter(&self) -> u32 {
        self.jitter_16 >> 4
    }

    /// What is to be reported now; none before the first packet. The next fraction counts from here.
    pub fn report(&mut self) -> Option<Loss> {
        let run = self.run?;
        let now = Expected {
            expected: self.packets + self.lost(),
            packets: self.packets,
        };
        let expected = now.expected.saturating_sub(self.reported.expected);
        let got = now.packets - self.reported.packets;
        self.reported = now;
        let missing = expected.saturating_sub(got);
        let fraction = (missing * 256).checked_div(expected).unwrap_or(0);
        Some(Loss {
            ssrc: run.ssrc,
            fraction: u8::try_from(fraction).unwrap_or(u8::MAX),
            total: u32::try_from(self.lost())
                .unwrap_or(u32::MAX)
                .min(0x7f_ffff),
            highest: run.highest.wrapping_sub(1 << 16) as u32,
            jitter: self.jitter(),
        })
    }
}

impl Run {
    fn new(ssrc: u32, sequence: u16) -> Self {
        // Begun one turn up, so that an earlier packet that comes later has a number too.
        let first = u64::from(sequence) + (1 << 16);
        Self {
            ssrc,
            first,
            highest: first,
            packets: 1,
        }
    }

    /// Takes a packet whose number fits in; the nearest of its long forms is meant.
    fn takes(&mut self, sequence: u16) -> bool {
        let ahead = sequence.wrapping_sub(self.highest as u16);
        if ahead < DROPOUT_MAX {
            self.highest += u64::from(ahead);
        } else if ahead < 0_u16.wrapping_sub(MISORDER_MAX) {
            return false;
        }
        self.packets += 1;
        true
    }

    fn lost(&self) -> u64 {
        (self.highest - self.first + 1).saturating_sub(self.packets)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn counted(sequences: &[u16]) -> Reception {
        let mut reception = Reception::default();
        for &sequence in sequences {
            reception.count(7, sequence, None);
        }
        reception
    }

    #[test]
    fn missing_packets_are_counted() {
        let rows: [(&[u16], u64); 6] = [
            (&[1, 2, 3], 0),
            (&[1, 2, 5], 2),
            (&[65_534, 65_535, 1, 0, 4, 5], 2), // over the turn, two the wrong way round
            (&[10, 12, 11, 12], 0),             // out of order, one twice
            (&[10, 20_000, 20_001], 0),         // began anew
            (&[10, 13, 40_000, 40_003], 4),     // lost in both runs
        ];
        for (sequences, lost) in rows {
            let reception = counted(sequences);
            assert_eq!(reception.lost(), lost, "{sequences:?}");
            assert_eq!(reception.packets(), sequences.len() as u64);
        }
    }

    #[test]
    fn a_new_source_is_a_new_run() {
        let mut reception = counted(&[10, 12]);
        reception.count(8, 500, None);
        reception.count(8, 501, None);
        assert_eq!((reception.packets(), reception.lost()), (4, 1));
        assert_eq!(reception.report().map(|loss| loss.ssrc), Some(8));
    }

    #[test]
    fn a_report_counts_from_the_last_one() {
        let mut reception = counted(&[65_535, 0, 3]);
        let first = reception.report().expect("packets came");
        assert_eq!((first.fraction, first.total), (102, 2), "2 of 5");
        assert_eq!(first.highest, (1 << 16) + 3, "one turn");
        for sequence in 4..8 {
            reception.count(7, sequence, None);
        }
        let second = reception.report().expect("packets came");
        assert_eq!((second.fraction, second.total), (0, 2));
        assert_eq!(Reception::default().report(), None);
    }

    #[test]
    fn jitter_is_the_smoothed_change_of_the_delay() {
        let mut even = Reception::default();
        let mut uneven = Reception::default();
        for at in 0_u32..1_000 {
            let (sequence, timestamp) = (at as u16, at * 160);
            even.count(1, sequence, Some((timestamp, timestamp + 77)));
            let delay = if at % 2 == 0 { 0 } else { 80 };
            uneven.count(1, sequence, Some((timestamp, timestamp + delay)));
        }
        assert_eq!(even.jitter(), 0);
        assert!((76..=80).contains(&uneven.jitter()), "{}", uneven.jitter());
    }

    proptest! {
        #[test]
        fn what_is_dropped_is_what_is_counted(
            start in any::<u16>(),
            kept in proptest::collection::vec(proptest::bool::weighted(0.8), 2..400),
        ) {
            let sequences: Vec<u16> = (0_u16..)
                .zip(&kept)
                .filter(|(_, kept)| **kept)
                .map(|(at, _)| start.wrapping_add(at))
                .collect();
            let between = kept.iter().skip_while(|kept| !**kept).count()
                - kept.iter().rev().take_while(|kept| !**kept).count().min(
                    kept.iter().skip_while(|kept| !**kept).count());
            prop_assert_eq!(counted(&sequences).lost(), (between - sequences.len()) as u64);
        }

        #[test]
        fn nothing_makes_it_panic(packets in proptest::collection::vec(any::<(u32, u16, u32, u32)>(), 0..50)) {
            let mut reception = Reception::default();
            for (ssrc, sequence, timestamp, arrival) in packets {
                reception.count(ssrc % 2, sequence, Some((timestamp, arrival)));
                reception.report();
            }
        }
    }
}
