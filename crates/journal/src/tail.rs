//! How far the journal may go beyond the newest snapshot: it is what a start has to replay.
//!
//! A snapshot is begun when a quarter of the bound is reached, at once after the one before it if need be. Beyond half
//! of it the parts of a snapshot get a larger share of the writer. Beyond three quarters the writer pauses between
//! batches while a snapshot is being written: so much that the bound holds for snapshots that take minutes. Where
//! none can be written, nobody waits for one, and the tail grows; that is told.
//!
//! The shell is `server::ledger::snapshotter` and the writer.

use std::time::Duration;

/// The journal after the newest snapshot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Tail {
    /// Its events.
    pub events: u64,
    /// Bytes of its batches.
    pub bytes: u64,
}

/// The most events of a tail: some five seconds of a start.
pub const EVENTS_MAX: u64 = 4_000_000;
/// The most bytes of a tail.
pub const BYTES_MAX: u64 = 2 << 30;
/// At the pace that is left to the writer, what is left below [`AIM`] would take so long and always longer.
const LEFT_FOR: Duration = Duration::from_secs(10);
/// No batch waits longer than this: what is above [`AIM`] is for snapshots that take minutes even so.
const PAUSE_MAX: Duration = Duration::from_secs(1);

/// Parts of the bound are counted in millionths.
const WHOLE: u64 = 1_000_000;
/// Where the writer would come to rest.
const AIM: u64 = WHOLE / 16 * 15;

impl Tail {
    fn used(self) -> u64 {
        let part = |of: u64, whole: u64| {
            let millionths = u128::from(of) * u128::from(WHOLE) / u128::from(whole);
            u64::try_from(millionths).unwrap_or(u64::MAX)
        };
        part(self.events, EVENTS_MAX).max(part(self.bytes, BYTES_MAX))
    }

    /// Whether a snapshot is to be begun.
    pub fn wants_snapshot(self) -> bool {
        self.used() >= WHOLE / 4
    }

    /// Whether the next snapshot cannot wait: neither for a pause after the one before, nor for commands.
    pub fn is_pressing(self) -> bool {
        self.used() >= WHOLE / 2
    }

    /// How long a batch of so many events is to wait while a snapshot is being written.
    pub fn pause(self, events: u64) -> Duration {
        let used = self.used();
        if used < WHOLE / 4 * 3 {
            return Duration::ZERO;
        }
        let left = AIM.saturating_sub(used) * (EVENTS_MAX / WHOLE);
        let nanos = u128::from(events) * LEFT_FOR.as_nanos() / u128::from(left.max(1));
        u64::try_from(nanos).map_or(PAUSE_MAX, |nanos| {
            Duration::from_nanos(nanos).min(PAUSE_MAX)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A writer at its full speed, by itself.
    const EVENTS_PER_S: u64 = 256_000;
    /// Ten minutes.
    const SECONDS: u64 = 600;

    struct Played {
        longest: u64,
        events: u64,
        slowed: Duration,
    }

    /// So many events in a batch, and snapshots that take so long each.
    fn play(batch: u64, snapshot_takes: Duration) -> Played {
        let batch_takes = Duration::from_secs(batch) / EVENTS_PER_S as u32;
        let mut now = Duration::ZERO;
        let mut tail = Tail::default();
        let mut writing: Option<(Duration, u64)> = None;
        let (mut longest, mut events, mut slowed) = (0, 0, Duration::ZERO);
        while now < Duration::from_secs(SECONDS) {
            if let Some((until, held)) = writing
                && now >= until
            {
                tail.events -= held;
                writing = None;
            }
            if writing.is_none() && tail.wants_snapshot() {
                writing = Some((now + snapshot_takes, tail.events));
            }
            let pause = match writing {
                Some(_) => tail.pause(batch),
                None => Duration::ZERO,
            };
            slowed += pause;
            now += batch_takes + pause;
            tail.events += batch;
            events += batch;
            longest = longest.max(tail.events);
        }
        Played {
            longest,
            events,
            slowed,
        }
    }

    #[test]
    fn the_tail_keeps_to_its_bound_while_the_writer_runs_at_full_speed() {
        let takes = [1, 2, 4, 8, 12, 16, 24, 32, 60, 120, 200];
        for (batch, seconds) in [128, 1_024].iter().flat_map(|&b| takes.map(|s| (b, s))) {
            let played = play(batch, Duration::from_secs(seconds));
            assert!(
                played.longest <= EVENTS_MAX,
                "{seconds} s: {}",
                played.longest
            );
            // While each is written the writer goes on: three quarters of the bound in two of them, or at its speed.
            let rounds = SECONDS / (2 * seconds);
            let unslowed = SECONDS * EVENTS_PER_S;
            let least = (rounds * EVENTS_MAX / 4 * 3).min(unslowed / 10 * 9);
            assert!(played.events >= least, "{seconds} s: {}", played.events);
        }
    }

    #[test]
    fn nobody_is_slowed_while_snapshots_keep_up() {
        for seconds in [1, 2, 4] {
            let played = play(128, Duration::from_secs(seconds));
            assert_eq!(played.slowed, Duration::ZERO, "{seconds} s");
        }
        assert!(play(128, Duration::from_secs(60)).slowed > Duration::ZERO);
    }

    #[test]
    fn bytes_count_as_events_do() {
        let of = |events, bytes| Tail { events, bytes };
        for (tail, wants, presses, waits) in [
            (of(0, 0), false, false, false),
            (of(EVENTS_MAX / 4 - 1, 0), false, false, false),
            (of(EVENTS_MAX / 4, 0), true, false, false),
            (of(0, BYTES_MAX / 4), true, false, false),
            (of(EVENTS_MAX / 2, 0), true, true, false),
            (of(0, BYTES_MAX / 2), true, true, false),
            (of(EVENTS_MAX / 4 * 3, 0), true, true, true),
            (of(0, BYTES_MAX / 4 * 3), true, true, true),
            (of(EVENTS_MAX, 0), true, true, true),
            (of(u64::MAX, u64::MAX), true, true, true),
        ] {
            let pause = tail.pause(128);
            assert_eq!(
                (tail.wants_snapshot(), tail.is_pressing(), !pause.is_zero()),
                (wants, presses, waits),
                "{tail:?}"
            );
            assert!(pause <= PAUSE_MAX);
        }
    }
}
