//! Carrying a document out: plan on a copy, then one command after the other.

use std::ops::ControlFlow;

use futures_util::future::join_all;
use serde::Serialize;

use maskline_domain::Command;
use maskline_domain::ops::{AT_ONCE, AddNumbers, ReleaseNumbers};
use maskline_journal::pipeline::{SubmitError, Touch};

use super::auth::Operator;
use super::document::Document;
use super::plan::{Change, KnownNumbers, NewKey, Verb, lists, number_rows, numbers_of, plan};
use super::{Admin, AdminError};

/// How many numbers are looked up at once.
const NUMBERS_AT_A_TIME: usize = 128;

/// What a document did, or with `dry_run` would do.
#[derive(Debug, Serialize)]
pub struct Applied {
    /// The changes, in order.
    pub changes: Vec<Change>,
    /// Keys made with a secret of their own; the only time it is shown.
    pub new_keys: Vec<NewKey>,
    /// X numbers that were added, changed or released.
    pub numbers_changed: usize,
    /// Those of them that were not there.
    pub numbers_added: usize,
    /// What can be done and may not be what was meant, in words.
    pub warnings: Vec<String>,
}

/// How a document is applied.
#[derive(Clone, Copy, Debug, Default)]
pub struct Mode {
    /// Only tell what it would do.
    pub dry_run: bool,
    /// What becomes of numbers that are there already.
    pub known: KnownNumbers,
}

/// Applies a document.
///
/// # Errors
/// The rules that stand against it, before anything has changed; or a fault on the way, after which
/// the document can simply be applied again.
pub async fn apply(
    admin: &Admin,
    operator: &Operator,
    document: Document,
    mode: Mode,
) -> Result<Applied, AdminError> {
    let dry_run = mode.dry_run;
    let numbers = numbers_of(&document)?;
    let ledger = &admin.ledger;
    let (mut copy, now) = ledger
        .read(Touch::Lists, |state, now| (lists(state), now))
        .await?;
    // In pieces, since nothing is written while somebody looks at the state.
    let mut pieces = numbers.chunks(NUMBERS_AT_A_TIME);
    let mut rows = Vec::new();
    ledger
        .read_in_steps(Touch::Scan, |state, _| match pieces.next() {
            None => ControlFlow::Break(()),
            Some(piece) => {
                rows.extend(number_rows(state, piece));
                ControlFlow::Continue(())
            }
        })
        .await?;
    rows.into_iter().for_each(|row| copy.restore(row));
    let (sealer, permissions) = (admin.sealer.clone(), admin.permissions.clone());
    let planning = move || plan(copy, &document, mode.known, (&sealer, &permissions), now);
    let mut plan = tokio::task::spawn_blocking(planning)
        .await
        .map_err(|error| AdminError::Internal(format!("planning: {error}")))??;
    if dry_run {
        plan.new_keys.clear();
    }
    let total = plan.steps.len();
    let mut applied = Applied {
        changes: Vec::with_capacity(total),
        new_keys: plan.new_keys,
        numbers_changed: 0,
        numbers_added: 0,
        warnings: plan.warnings,
    };
    for step in plan.steps {
        let numbers = numbers_in(&step.command);
        if !dry_run && let Err(error) = submit(admin, operator, step.command).await {
            let done = applied.changes.len();
            let what = &step.change.what;
            let mut reason = format!("{what}: {error}; {done} of {total} changes were made before");
            if !applied.new_keys.is_empty() {
                reason.push_str("; delete new keys, whose secrets nobody has seen");
            }
            return Err(match AdminError::from(error) {
                AdminError::Unavailable(_) => AdminError::Unavailable(reason),
                _ => AdminError::Refused(reason),
            });
        }
        applied.numbers_changed += numbers;
        if step.change.verb == Verb::Create {
            applied.numbers_added += numbers;
        }
        applied.changes.push(step.change);
    }
    if !dry_run && total > 0 {
        admin.calls.trunks_are_current().await;
        tracing::info!(changes = total, "a document was applied");
    }
    Ok(applied)
}

/// Gives a command to the ledger; one about many numbers in pieces, which share a write, so that others look at the
/// state in between.
async fn submit(admin: &Admin, operator: &Operator, command: Command) -> Result<(), SubmitError> {
    fn pieces<N: Clone, C: Into<Command>>(numbers: &[N], make: fn(Vec<N>) -> C) -> Vec<Command> {
        let pieces = numbers.chunks(AT_ONCE as usize);
        pieces.map(|piece| make(piece.to_vec()).into()).collect()
    }
    let commands = match command {
        Command::AddNumbers(AddNumbers(numbers)) => pieces(&numbers, AddNumbers),
        Command::ReleaseNumbers(ReleaseNumbers(numbers)) => pieces(&numbers, ReleaseNumbers),
        other => vec![other],
    };
    let is_one = commands.len() == 1;
    let given = |command: &Command| admin.ledger.submit(operator.envelope(command.clone()));
    let done = join_all(commands.iter().map(given)).await;
    for (command, done) in commands.iter().zip(done) {
        match done {
            // Too many pieces for the queue: one after the other.
            Err(SubmitError::Busy) if !is_one => given(command).await?,
            done => done?,
        };
    }
    Ok(())
}

fn numbers_in(command: &Command) -> usize {
    match command {
        Command::AddNumbers(AddNumbers(numbers)) => numbers.len(),
        Command::ReleaseNumbers(ReleaseNumbers(numbers)) => numbers.len(),
        _ => 0,
    }
}
