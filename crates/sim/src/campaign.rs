//! Many runs, on all processors, each from a seed of its own.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use crate::faults::Fault;
use crate::world::{Tally, World, run};

/// Lines of the step log that are shown of a failing run.
const STEP_LOG_LINES: usize = 60;

/// One run to be played.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Plan {
    /// Where all its chance comes from.
    pub seed: u64,
    /// How many steps.
    pub steps: u64,
    /// The fault that is planted in it.
    pub fault: Option<Fault>,
    /// Whether some pools name carriers that must be told of bindings.
    pub carriers: bool,
}

impl Plan {
    fn world(self) -> World {
        match self.carriers {
            true => World::with_carriers(self.seed, self.fault),
            false => World::new(self.seed, self.fault),
        }
    }
}

/// A run that failed, and how it is played again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// The shortest run that fails so: no step after the failing one.
    pub plan: Plan,
    /// What was found.
    pub what: String,
}

impl Found {
    /// The command that plays it again.
    pub fn command(&self) -> String {
        let Plan {
            seed,
            steps,
            fault,
            carriers,
        } = self.plan;
        let fault = fault.map_or(String::new(), |fault| format!(" --fault {fault}"));
        let carriers = if carriers { " --carriers" } else { "" };
        format!("maskline-sim --seed {seed} --steps {steps}{fault}{carriers}")
    }
}

/// Plays one run; `progress` is told now and then.
///
/// # Errors
/// What was found, a law that was broken or a panic.
pub fn play(plan: Plan, progress: impl Fn(Tally) + Send) -> Result<Tally, Found> {
    const EVERY: u64 = 1_000;
    let step = AtomicU64::new(0);
    let played = catch_unwind(AssertUnwindSafe(|| {
        let world = plan.world();
        run(world, plan.steps, |world| {
            let tally = world.tally();
            step.store(tally.steps, Ordering::Relaxed);
            if tally.steps.is_multiple_of(EVERY) {
                progress(tally);
            }
        })
    }));
    match played {
        Ok(Ok(world)) => Ok(world.tally()),
        Ok(Err(broken)) => Err(Found {
            plan: Plan {
                steps: broken.1.step,
                ..plan
            },
            what: broken.1.to_string(),
        }),
        Err(_) => {
            let steps = step.load(Ordering::Relaxed) + 1;
            Err(Found {
                plan: Plan { steps, ..plan },
                what: format!("step {steps}: a panic"),
            })
        }
    }
}

/// The last lines of what happened in a run that fails.
pub fn step_log(plan: Plan) -> Vec<String> {
    let kept = Mutex::new(Vec::new());
    // A panic is part of the story, not the end of it.
    let _ = catch_unwind(AssertUnwindSafe(|| {
        let mut world = plan.world();
        for step in 1..=plan.steps {
            if step + 200 > plan.steps {
                world.keep_step_log();
            }
            let held = world.step();
            if let Ok(mut kept) = kept.lock() {
                *kept = world.step_log().to_vec();
            }
            if held.is_err() {
                break;
            }
        }
    }));
    let lines = kept.into_inner().unwrap_or_default();
    lines[lines.len().saturating_sub(STEP_LOG_LINES)..].to_vec()
}

/// Plays `runs` runs with seeds from `first_seed` on, on `threads` threads,
/// until one fails. `progress` is told the sum after each run.
///
/// # Errors
/// The failing run with the lowest seed among those found.
pub fn campaign(
    first: Plan,
    runs: u64,
    threads: usize,
    progress: impl Fn(u64, Tally) + Sync,
) -> Result<Tally, Found> {
    let next = AtomicU64::new(0);
    let failed = AtomicBool::new(false);
    let sum = Mutex::new((0, Tally::default()));
    let found: Mutex<Vec<Found>> = Mutex::default();
    std::thread::scope(|scope| {
        for _ in 0..threads.max(1) {
            scope.spawn(|| {
                while !failed.load(Ordering::Relaxed) {
                    let run = next.fetch_add(1, Ordering::Relaxed);
                    if run >= runs {
                        break;
                    }
                    let plan = Plan {
                        seed: first.seed.wrapping_add(run),
                        ..first
                    };
                    match play(plan, |_| ()) {
                        Ok(tally) => {
                            if let Ok(mut sum) = sum.lock() {
                                sum.0 += 1;
                                sum.1.add(&tally);
                                progress(sum.0, sum.1);
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
        None => Ok(sum.into_inner().map(|(_, tally)| tally).unwrap_or_default()),
    }
}
