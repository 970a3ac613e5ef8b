//! Background work: a file for a job, a line in [`ALL`].
//!
//! A job tells the writer what is due, in small pieces, so that customers' commands go in between.
//! Nothing depends on it for correctness: an expired binding is over and a cooled number can be
//! given out, swept or not. A job may run twice, or never.

mod expire;
mod forget;
pub mod retention;
mod thaw;

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;

use futures_util::future::join_all;
use maskline_domain::ops::AT_ONCE;
use maskline_domain::{Actor, Envelope, TypedCommand, Work};
use maskline_journal::pipeline::SubmitError;
use tokio_util::sync::CancellationToken;

use crate::config::JobSettings;
use crate::ledger::Ledger;

/// Something to be done again and again.
#[derive(Clone, Copy, Debug)]
pub struct Job {
    /// Its name, in the journal and in metrics.
    pub name: &'static str,
    /// Gives the command that does at most so many things.
    pub give: for<'a> fn(ledger: &'a Ledger, by: Actor, at_most: u32) -> Given<'a>,
}

/// What comes of a job's command.
pub type Given<'a> = Pin<Box<dyn Future<Output = Result<Work, SubmitError>> + Send + 'a>>;

/// Gives a job's command to the ledger.
fn give<C>(ledger: &Ledger, by: Actor, command: C) -> Given<'_>
where
    C: TypedCommand<Outcome = Work> + Send + 'static,
{
    let id = None;
    Box::pin(ledger.submit(Envelope { by, id, command }))
}

/// Every job.
pub const ALL: [Job; 3] = [expire::JOB, thaw::JOB, forget::JOB];

/// What jobs count. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct JobMetrics {
    runs: Family<RunLabels, Counter>,
    things: Family<JobLabel, Counter>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct JobLabel {
    job: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RunLabels {
    job: &'static str,
    result: &'static str,
}

impl JobMetrics {
    /// Registers the families.
    pub fn register(&self, registry: &mut Registry) {
        registry.register(
            "job_runs",
            "Commands given by jobs, by result",
            self.runs.clone(),
        );
        registry.register(
            "job_things",
            "What jobs did: bindings ended, numbers put back, ids forgotten",
            self.things.clone(),
        );
    }

    fn count(&self, job: &'static str, result: &'static str, things: u32) {
        self.runs.get_or_create(&RunLabels { job, result }).inc();
        self.things
            .get_or_create(&JobLabel { job })
            .inc_by(things.into());
    }
}

/// Runs all jobs until `stop` is cancelled, or returns at once when jobs are switched off.
pub async fn run(
    ledger: Ledger,
    settings: JobSettings,
    metrics: JobMetrics,
    stop: CancellationToken,
) {
    if !settings.enabled {
        tracing::warn!("jobs are switched off; what is due stays due");
        return;
    }
    let mut ticks = tokio::time::interval(Duration::from_millis(settings.interval_ms.into()));
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut told = std::pin::pin!(stop.cancelled());
    loop {
        tokio::select! {
            biased;
            () = &mut told => return,
            _ = ticks.tick() => {}
        }
        for job in &ALL {
            catch_up(job, &ledger, settings.batch_max, &metrics, &stop).await;
        }
    }
}

/// Gives a job's command as often as it takes to do `at_most` things. Each does few, so that others look at the state
/// in between; where the first has left something over, all others are given together and share a write.
async fn give_all(job: &Job, ledger: &Ledger, at_most: u32) -> Result<Work, SubmitError> {
    let piece = |done: u32| {
        let by = Actor::Job {
            name: job.name.into(),
        };
        (job.give)(ledger, by, AT_ONCE.min(at_most - done))
    };
    let mut all = piece(0).await?;
    if !all.more {
        return Ok(all);
    }
    let others = (AT_ONCE..at_most).step_by(AT_ONCE as usize).map(piece);
    // They are decided in this order. What stands against one is told when it is given again.
    for Work { count, more } in join_all(others).await.into_iter().flatten() {
        all.count += count;
        all.more = more;
    }
    Ok(all)
}

/// Gives a job's command until nothing more is due.
async fn catch_up(
    job: &Job,
    ledger: &Ledger,
    at_most: u32,
    metrics: &JobMetrics,
    stop: &CancellationToken,
) {
    while !stop.is_cancelled() {
        match give_all(job, ledger, at_most).await {
            Ok(Work { count, more }) => {
                metrics.count(job.name, "done", count);
                if !more {
                    return;
                }
            }
            // Each of these is known to whoever watches the writer; the next tick tries again.
            Err(SubmitError::ClocksDisagree) => {
                return metrics.count(job.name, "clock_in_doubt", 0);
            }
            Err(SubmitError::NotDurable) => return metrics.count(job.name, "not_durable", 0),
            Err(SubmitError::Busy | SubmitError::Deadline) => {
                return metrics.count(job.name, "busy", 0);
            }
            Err(SubmitError::Closed) => return,
            Err(error @ (SubmitError::Refused(_) | SubmitError::TooLarge)) => {
                metrics.count(job.name, "refused", 0);
                tracing::error!(job = job.name, %error, "a job's command was refused");
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_job_has_a_name_of_its_own() {
        let mut names: Vec<_> = ALL.iter().map(|job| job.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), ALL.len());
        assert!(
            names
                .iter()
                .all(|name| maskline_domain::account::is_name(name))
        );
    }
}
