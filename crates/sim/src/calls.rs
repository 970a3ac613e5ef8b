//! Calls from a seed: phones, carriers and the switch of the server, over a network that loses, copies and
//! reorders, in virtual time.
//!
//! Phones are the SIP machines of `sip`, each with a temper of its own: some are busy, some give up, some go
//! deaf in the middle of a call or vanish. Carriers have outages, ports run out, the ledger is slow or full,
//! bindings come and go. The laws: whoever rings is whom the bindings of that moment name, and sees X; no
//! side gets a byte that names the other; every call ends, with the one record that is owed; and when all
//! calls are over nothing is left, neither a port nor a timer nor a transaction.

mod laws;
mod network;
mod phone;
mod town;
mod world;

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

pub use world::Tally;
use world::World;

/// Calls of one world: small enough to be played again quickly.
pub const CALLS_A_ROUND: u64 = 1_000;

/// Something done wrongly on purpose, to see that it is found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Slip {
    /// Now and then the call goes to another number.
    WrongParty,
    /// A message to one side names a caller.
    Telltale,
    /// The end of a call is kept to itself.
    NoEnd,
    /// A call leaves no record.
    NoRecord,
    /// Ports are not given back.
    KeptPorts,
}

impl Slip {
    /// Each of them.
    pub const ALL: [Self; 5] = [
        Self::WrongParty,
        Self::Telltale,
        Self::NoEnd,
        Self::NoRecord,
        Self::KeptPorts,
    ];
}

/// One round to be played.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Plan {
    /// Where all its chance comes from.
    pub seed: u64,
    /// How many calls.
    pub calls: u64,
    /// What is done wrongly in it.
    pub slip: Option<Slip>,
}

/// A round that failed, and how it is played again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// The round.
    pub plan: Plan,
    /// What was found.
    pub what: String,
    /// What happened in the call where it was found.
    pub story: Vec<String>,
}

impl Found {
    /// The command that plays it again.
    pub fn command(&self) -> String {
        let Plan { seed, calls, .. } = self.plan;
        format!("maskline-sim calls --seed {seed} --calls {calls}")
    }
}

/// Plays one world.
///
/// # Errors
/// The first law that was broken.
pub fn round(plan: Plan) -> Result<Tally, Found> {
    let broken = match World::new(plan, None).run() {
        Ok(tally) => return Ok(tally),
        Err(broken) => broken,
    };
    // Once more, with an ear on the call that failed.
    let story = match World::new(plan, broken.call).run() {
        Ok(_) => Vec::new(),
        Err(again) => again.story,
    };
    Err(Found {
        plan,
        what: broken.what,
        story,
    })
}

/// Plays `calls` calls in rounds with seeds from `seed` on, on `threads` threads, until a law is broken.
/// `progress` is told the sum after each round.
///
/// # Errors
/// The failing round with the lowest seed among those found.
pub fn campaign(
    seed: u64,
    calls: u64,
    threads: usize,
    progress: impl Fn(Tally) + Sync,
) -> Result<Tally, Found> {
    let rounds = calls.div_ceil(CALLS_A_ROUND);
    let (next, failed) = (AtomicU64::new(0), AtomicBool::new(false));
    let sum = Mutex::new(Tally::default());
    let found: Mutex<Vec<Found>> = Mutex::default();
    std::thread::scope(|scope| {
        for _ in 0..threads.max(1) {
            scope.spawn(|| {
                while !failed.load(Ordering::Relaxed) {
                    let at = next.fetch_add(1, Ordering::Relaxed);
                    if at >= rounds {
                        break;
                    }
                    let calls = CALLS_A_ROUND.min(calls - at * CALLS_A_ROUND);
                    let plan = Plan {
                        seed: seed.wrapping_add(at),
                        calls,
                        slip: None,
                    };
                    match round(plan) {
                        Ok(tally) => {
                            if let Ok(mut sum) = sum.lock() {
                                sum.add(&tally);
                                progress(*sum);
                            }
                        }
                        Err(failure) => {
                            failed.store(true, Ordering::Relaxed);
                            if let Ok(mut found) = found.lock() {
                                found.push(failure);
                            }
                        }
                    }
                }
            });
        }
    });
    let mut found = found.into_inner().unwrap_or_default();
    found.sort_by_key(|found| found.plan.seed);
    match found.into_iter().next() {
        Some(found) => Err(found),
        None => Ok(sum.into_inner().unwrap_or_default()),
    }
}
