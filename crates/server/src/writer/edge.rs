//! What the writer needs from the world besides the disk: clocks, chance, and
//! a low priority for background threads.

use std::time::SystemTime;

use maskline_domain::Timestamp;
use maskline_store::pipeline::{Clocks, Seed};
use parking_lot::Mutex;
use rustix::time::{ClockId, clock_gettime};

/// Both clocks, now. The monotonic one goes on while the machine sleeps.
pub fn clocks() -> Clocks {
    let wall = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .map_or(0, |since| {
            i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
        });
    let boot = clock_gettime(ClockId::Boottime);
    let ms = boot
        .tv_sec
        .saturating_mul(1000)
        .saturating_add(boot.tv_nsec / 1_000_000);
    Clocks {
        wall: Timestamp(wall),
        monotonic_ms: u64::try_from(ms).unwrap_or(0),
    }
}

/// How nice the background threads are to everybody else.
const NICENESS: i32 = 10;

/// Lets the calling thread stand back when others have work.
pub fn stand_back() {
    // On Linux this concerns the calling thread alone.
    if let Err(error) = rustix::process::setpriority_process(None, NICENESS) {
        tracing::debug!(%error, "a background thread keeps its priority");
    }
}

/// Random bytes, asked of the system a page at a time.
pub struct Seeds(Mutex<Store>);

struct Store {
    bytes: [u8; 4096],
    used: usize,
}

impl Seeds {
    /// An empty store.
    pub fn new() -> Self {
        Self(Mutex::new(Store {
            bytes: [0; 4096],
            used: 4096,
        }))
    }

    /// Bytes that nobody has had before.
    ///
    /// # Errors
    /// When the system has no randomness to give.
    pub fn next(&self) -> Result<Seed, getrandom::Error> {
        let mut store = self.0.lock();
        let size = size_of::<Seed>();
        if store.used + size > store.bytes.len() {
            getrandom::fill(&mut store.bytes)?;
            store.used = 0;
        }
        let (from, to) = (store.used, store.used + size);
        let mut seed = Seed::default();
        seed.copy_from_slice(&store.bytes[from..to]);
        store.bytes[from..to].fill(0);
        store.used = to;
        Ok(seed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seeds_do_not_repeat() {
        let seeds = Seeds::new();
        let mut given: Vec<Seed> = (0..1000).map(|_| seeds.next().unwrap()).collect();
        given.sort_unstable();
        given.dedup();
        assert_eq!(given.len(), 1000);
    }

    #[test]
    fn clocks_run_forward_together() {
        let first = clocks();
        std::thread::sleep(std::time::Duration::from_millis(20));
        let second = clocks();
        let wall = second.wall.0 - first.wall.0;
        let monotonic = (second.monotonic_ms - first.monotonic_ms) as i64;
        assert!(monotonic >= 20 && (wall - monotonic).abs() < 1000);
    }
}
