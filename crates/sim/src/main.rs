//! `maskline-sim`: plays worlds from seeds until a law is broken.

use std::io::Write as _;
use std::process::ExitCode;
use std::time::Instant;

use clap::Parser;
use maskline_sim::calls::{self, predicted};
use maskline_sim::campaign::{Found, Plan, campaign, play, step_log};
use maskline_sim::{Fault, Law, Tally};

/// Plays worlds of customers, crashes and clocks from seeds, against a model,
/// until a law is broken. The same seed always plays the same world.
#[derive(Debug, Parser)]
#[command(version, args_conflicts_with_subcommands = true)]
struct Arguments {
    /// Where all chance comes from; the first seed of a campaign.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Steps of each run.
    #[arg(long, default_value_t = 100_000)]
    steps: u64,
    /// A fault to plant; `--list` names them.
    #[arg(long, value_parser = fault)]
    fault: Option<Fault>,
    /// Play so many runs, with seeds one after the other, on all processors.
    #[arg(long, value_name = "RUNS")]
    campaign: Option<u64>,
    /// Let some pools name carriers that must be told of bindings, with all that goes wrong with these.
    #[arg(long)]
    carriers: bool,
    /// Name the laws and the faults.
    #[arg(long)]
    list: bool,
    #[command(subcommand)]
    other: Option<Other>,
}

#[derive(Debug, clap::Subcommand)]
enum Other {
    /// Plays calls of phones over a bad network, on all processors.
    Calls {
        /// Where all chance comes from; the seed of the first thousand calls.
        #[arg(long, default_value_t = 1)]
        seed: u64,
        /// How many calls.
        #[arg(long, default_value_t = 100_000)]
        calls: u64,
    },
    /// Holds what `maskline explain` predicts against what phones see, in random states.
    Explain {
        /// Where all chance comes from; the seed of the first state.
        #[arg(long, default_value_t = 1)]
        seed: u64,
        /// How many states.
        #[arg(long, default_value_t = 10_000)]
        states: u64,
    },
}

fn fault(name: &str) -> Result<Fault, String> {
    Fault::by_name(name).ok_or_else(|| "no such fault; --list names them all".to_owned())
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match arguments.other {
        Some(Other::Calls { seed, calls }) => return play_calls(seed, calls),
        Some(Other::Explain { seed, states }) => return explain(seed, states),
        None => {}
    }
    if arguments.list {
        list();
        return ExitCode::SUCCESS;
    }
    let plan = Plan {
        seed: arguments.seed,
        steps: arguments.steps,
        fault: arguments.fault,
        carriers: arguments.carriers,
    };
    let began = Instant::now();
    let played = match arguments.campaign {
        None => play(plan, |tally| {
            if tally.steps.is_multiple_of(20_000) {
                progress(&format!("{} steps", tally.steps), began);
            }
        }),
        Some(runs) => {
            let threads = std::thread::available_parallelism().map_or(1, usize::from);
            campaign(plan, runs, threads, |run, tally| {
                let done = format!("{run} of {runs} runs, {} steps", tally.steps);
                progress(&done, began);
            })
        }
    };
    match played {
        Ok(tally) => {
            report(&tally, began);
            ExitCode::SUCCESS
        }
        Err(found) => {
            tell(&found);
            ExitCode::FAILURE
        }
    }
}

fn play_calls(seed: u64, calls: u64) -> ExitCode {
    let began = Instant::now();
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let played = calls::campaign(seed, calls, threads, |tally| {
        if tally.calls.is_multiple_of(10_000) {
            progress(&format!("{} of {calls} calls", tally.calls), began);
        }
    });
    match played {
        Ok(tally) => {
            println!("every law holds: {:.1} s", began.elapsed().as_secs_f64());
            for (name, count) in tally.lines() {
                println!("{count:>12} {name}");
            }
            ExitCode::SUCCESS
        }
        Err(found) => {
            for line in &found.story {
                println!("{line}");
            }
            println!("--- a law is broken");
            println!("{}", found.what);
            println!("again: {}", found.command());
            ExitCode::FAILURE
        }
    }
}

fn explain(seed: u64, states: u64) -> ExitCode {
    let began = Instant::now();
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let looked = predicted::campaign(seed, states, threads, |tally| {
        if tally.states.is_multiple_of(1_000) {
            progress(&format!("{} of {states} states", tally.states), began);
        }
    });
    match looked {
        Ok(tally) => {
            println!(
                "explanations agree with what phones saw: {:.1} s",
                began.elapsed().as_secs_f64()
            );
            for (name, count) in tally.lines() {
                println!("{count:>12} {name}");
            }
            ExitCode::SUCCESS
        }
        Err(found) => {
            println!("--- seed {}: not what was predicted", found.plan.seed);
            println!("{}", found.what);
            println!("again: {}", found.command());
            ExitCode::FAILURE
        }
    }
}

/// Lines go out at once, also into a pipe.
fn progress(done: &str, began: Instant) {
    println!("{done} in {:.1} s", began.elapsed().as_secs_f64());
    // Nobody reads it any more: then there is nothing to be told either.
    let _ = std::io::stdout().flush();
}

fn report(tally: &Tally, began: Instant) {
    let seconds = began.elapsed().as_secs_f64();
    let per_second = tally.steps as f64 / seconds.max(0.001);
    println!("every law holds: {per_second:.0} steps/s, {seconds:.1} s");
    for (name, count) in tally.lines() {
        println!("{count:>12} {name}");
    }
}

fn tell(found: &Found) {
    println!("--- how it came to that");
    for line in step_log(found.plan) {
        println!("{line}");
    }
    println!("--- a law is broken");
    println!("{}", found.what);
    println!("seed {}, step {}", found.plan.seed, found.plan.steps);
    println!("again: {}", found.command());
}

fn list() {
    println!("laws:");
    for law in Law::ALL {
        println!("    {law}");
    }
    println!("faults:");
    for fault in Fault::ALL {
        println!("    {fault}");
    }
}
