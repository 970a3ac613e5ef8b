//! The clocks of the machine, read where the program meets the world. Rules, SIP and media get what was read
//! as an argument and never look themselves.

use maskline_domain::Timestamp;
use maskline_journal::pipeline::Clocks;
use rustix::time::{ClockId, clock_gettime};
use std::time::SystemTime;

/// Both clocks, now. The monotonic one goes on while the machine sleeps.
pub fn read() -> Clocks {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clocks_run_forward_together() {
        let first = read();
        std::thread::sleep(std::time::Duration::from_millis(20));
        let second = read();
        let wall = second.wall.0 - first.wall.0;
        let monotonic = (second.monotonic_ms - first.monotonic_ms) as i64;
        assert!(monotonic >= 20 && (wall - monotonic).abs() < 1000);
    }
}
