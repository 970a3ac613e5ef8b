//! What the writer needs from the world besides the disk: clocks, chance, and
//! a low priority for background threads.

use std::fmt;
use std::time::SystemTime;

use maskline_domain::Timestamp;
use maskline_journal::pipeline::Clocks;
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

impl fmt::Debug for Seeds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Seeds")
    }
}

impl Default for Seeds {
    /// An empty store.
    fn default() -> Self {
        Self(Mutex::new(Store {
            bytes: [0; 4096],
            used: 4096,
        }))
    }
}

impl Seeds {
    /// Bytes that nobody has had before; at most a page of them.
    ///
    /// # Errors
    /// When the system has no randomness to give.
    pub fn next<const SIZE: usize>(&self) -> Result<[u8; SIZE], getrandom::Error> {
        const { assert!(SIZE <= 4096) };
        let mut store = self.0.lock();
        if store.used + SIZE > store.bytes.len() {
            getrandom::fill(&mut store.bytes)?;
            store.used = 0;
        }
        let (from, to) = (store.used, store.used + SIZE);
        let mut seed = [0; SIZE];
        seed.copy_from_slice(&store.bytes[from..to]);
        store.bytes[from..to].fill(0);
        store.used = to;
        Ok(seed)
    }

    /// A number that nobody can guess.
    ///
    /// # Errors
    /// When the system has no randomness to give.
    pub fn number(&self) -> Result<u64, getrandom::Error> {
        self.next().map(u64::from_ne_bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seeds_do_not_repeat() {
        let seeds = Seeds::default();
        let mut given: Vec<[u8; 32]> = (0..1000).map(|_| seeds.next().unwrap()).collect();
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
