//! Carrying a document out: plan on a copy, then one command after the other.

use serde::Serialize;

use maskline_domain::Command;
use maskline_store::pipeline::Touch;

use super::auth::Operator;
use super::document::Document;
use super::plan::{Change, NewKey, facts, plan};
use super::{Admin, AdminError};

/// What a document did, or with `dry_run` would do.
#[derive(Debug, Serialize)]
pub struct Applied {
    /// The changes, in order.
    pub changes: Vec<Change>,
    /// Keys made with a secret of their own; the only time it is shown.
    pub new_keys: Vec<NewKey>,
    /// X numbers that were added, changed or released.
    pub numbers_changed: usize,
}

/// Applies a document.
///
/// # Errors
/// A rule that stands against it, before anything has changed; or a fault on the way, after which
/// the document can simply be applied again.
pub async fn apply(
    admin: &Admin,
    operator: &Operator,
    document: Document,
    dry_run: bool,
) -> Result<Applied, AdminError> {
    let (copy, now) = {
        let document = document.clone();
        admin
            .ledger
            .read(Touch::Scan, move |state, now| {
                (facts(state, &document), now)
            })
            .await?
    };
    let mut plan = plan(copy?, &document, &admin.sealer, now)?;
    if dry_run {
        plan.new_keys.clear();
    }
    let total = plan.steps.len();
    let mut applied = Applied {
        changes: Vec::with_capacity(total),
        new_keys: plan.new_keys,
        numbers_changed: 0,
    };
    for step in plan.steps {
        let numbers = numbers_in(&step.command);
        if !dry_run {
            let done = admin.ledger.submit(operator.envelope(step.command)).await;
            if let Err(error) = done {
                let done = applied.changes.len();
                let what = &step.change.what;
                let reason = format!("{what}: {error}; {done} of {total} changes were made before");
                return Err(match AdminError::from(error) {
                    AdminError::Unavailable(_) => AdminError::Unavailable(reason),
                    _ => AdminError::Refused(reason),
                });
            }
        }
        applied.numbers_changed += numbers;
        applied.changes.push(step.change);
    }
    if !dry_run && total > 0 {
        tracing::info!(changes = total, "a document was applied");
    }
    Ok(applied)
}

fn numbers_in(command: &Command) -> usize {
    match command {
        Command::AddNumbers(numbers) => numbers.len(),
        Command::ReleaseNumbers(numbers) => numbers.len(),
        _ => 0,
    }
}
