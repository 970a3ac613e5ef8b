//! Many rounds, spread over threads, until one fails.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// Plays rounds 0 to `rounds` on `threads` threads and adds up what they did; `progress` is told the sum
/// after each.
///
/// # Errors
/// The failing round with the lowest number among those found.
pub(super) fn spread<Sum: Default + Copy + Send, Failure: Send>(
    rounds: u64,
    threads: usize,
    play: impl Fn(u64) -> Result<Sum, Failure> + Sync,
    add: impl Fn(&mut Sum, &Sum) + Sync,
    progress: impl Fn(Sum) + Sync,
) -> Result<Sum, Failure> {
    let (next, failed) = (AtomicU64::new(0), AtomicBool::new(false));
    let sum = Mutex::new(Sum::default());
    let found: Mutex<Vec<(u64, Failure)>> = Mutex::default();
    std::thread::scope(|scope| {
        for _ in 0..threads.max(1) {
            scope.spawn(|| {
                while !failed.load(Ordering::Relaxed) {
                    let round = next.fetch_add(1, Ordering::Relaxed);
                    if round >= rounds {
                        break;
                    }
                    match play(round) {
                        Ok(done) => {
                            if let Ok(mut sum) = sum.lock() {
                                add(&mut sum, &done);
                                progress(*sum);
                            }
                        }
                        Err(failure) => {
                            failed.store(true, Ordering::Relaxed);
                            if let Ok(mut found) = found.lock() {
                                found.push((round, failure));
                            }
                        }
                    }
                }
            });
        }
    });
    let mut found = found.into_inner().unwrap_or_default();
    found.sort_by_key(|(round, _)| *round);
    match found.into_iter().next() {
        Some((_, failure)) => Err(failure),
        None => Ok(sum.into_inner().unwrap_or_default()),
    }
}
