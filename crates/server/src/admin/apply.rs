//! Carrying a document out: plan on a copy, then one command after the other.

use std::ops::ControlFlow;

use futures_util::future::join_all;
use serde::Serialize;

use maskline_domain::ops::{AT_ONCE, AddNumbers, ReleaseNumbers};
use maskline_domain::{
    AccessKey, Account, Carrier, Command, PhoneNumber, Pool, Role, Row, State, Timestamp, Trunk,
    User,
};
use maskline_journal::pipeline::{SubmitError, Touch};

use super::auth::Operator;
use super::document::Document;
use super::plan::{
    Change, KnownNumbers, NewKey, Verb, carrier_users, number_rows, numbers_of, plan,
};
use super::{Admin, AdminError};
use crate::ledger::{Ledger, ReadError};

/// How many things are copied out of the state at once; each of them leads to a few others.
const COPIED_AT_ONCE: usize = 100;
/// How many commands about numbers stand in the queue at once, which is that of the customers too.
const COMMANDS_AT_ONCE: usize = 24;

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
/// the document can simply be applied again. A change of many numbers is several commands, so that it may be made of
/// some of its numbers alone; the reason says of how many.
pub async fn apply(
    admin: &Admin,
    operator: &Operator,
    document: Document,
    mode: Mode,
) -> Result<Applied, AdminError> {
    if document.needs_administrator() {
        operator.must_be(Role::Administrator)?;
    }
    let dry_run = mode.dry_run;
    let numbers = numbers_of(&document)?;
    let ledger = &admin.ledger;
    let (copy, now) = copy_of(ledger, &numbers).await?;
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
        let unwanted = match &step.command {
            Command::DeleteCarrier(asked) => Some(asked.name.clone()),
            _ => None,
        };
        if !dry_run && let Err((error, part)) = submit(admin, operator, step.command).await {
            let done = applied.changes.len();
            let what = &step.change.what;
            // The copy that was planned on has no bindings.
            let look = |state: &State, _| carrier_users(state, unwanted.as_ref()?);
            let users = ledger.read(Touch::Lists, look).await.unwrap_or(None);
            let why = users.unwrap_or_else(|| error.to_string());
            let mut reason = format!("{what}: {why}; ");
            if part > 0 {
                reason.push_str(&format!("of these, {part} were done; "));
            }
            reason.push_str(&format!("{done} of {total} changes were made before"));
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

/// A copy of what the document can be about, and when it was made. Copied in pieces, since nothing is written while
/// somebody looks at the state; what changes meanwhile is noticed when the commands are decided.
async fn copy_of(
    ledger: &Ledger,
    numbers: &[PhoneNumber],
) -> Result<(State, Timestamp), ReadError> {
    let begin = |state: &State, now| (state.now(), state.emergency_numbers().to_vec(), now);
    let (newest, emergency, now) = ledger.read(Touch::Lists, begin).await?;
    let mut copy = State::default();
    copy.advance(newest);
    copy.restore(Row::Emergency(emergency));
    let accounts = ledger.read_all(Touch::Lists, |state, last: Option<&Account>| {
        let accounts = state.accounts_after(last.map(|account| &account.id));
        accounts.take(COPIED_AT_ONCE).cloned().collect()
    });
    (accounts.await?.into_iter()).for_each(|account| copy.restore(account.into()));
    let users = ledger.read_all(Touch::Lists, |state, last: Option<&User>| {
        let last = last.map(|user| (user.account.clone(), user.name.clone()));
        let users = state.users_after(last.as_ref());
        users.take(COPIED_AT_ONCE).cloned().collect()
    });
    (users.await?.into_iter()).for_each(|user| copy.restore(Row::User(user)));
    let keys = ledger.read_all(Touch::Lists, |state, last: Option<&AccessKey>| {
        let keys = state.keys_after(last.map(|key| &key.id));
        keys.take(COPIED_AT_ONCE).cloned().collect()
    });
    (keys.await?.into_iter()).for_each(|key| copy.restore(Row::Key(key)));
    let carriers = ledger.read_all(Touch::Lists, |state, last: Option<&Carrier>| {
        let carriers = state.carriers_after(last.map(|carrier| &carrier.name));
        carriers.take(COPIED_AT_ONCE).cloned().collect()
    });
    (carriers.await?.into_iter()).for_each(|carrier| copy.restore(carrier.into()));
    let pools = ledger.read_all(Touch::Lists, |state, last: Option<&Pool>| {
        let pools = state.pools_after(last.map(|pool| &pool.key));
        pools.take(COPIED_AT_ONCE).cloned().collect()
    });
    (pools.await?.into_iter()).for_each(|pool| copy.restore(pool.into()));
    let trunks = ledger.read_all(Touch::Lists, |state, last: Option<&Trunk>| {
        let trunks = state.trunks_after(last.map(|trunk| &trunk.name));
        trunks.take(COPIED_AT_ONCE).cloned().collect()
    });
    (trunks.await?.into_iter()).for_each(|trunk| copy.restore(trunk.into()));
    let mut numbers = numbers.iter();
    let mut rows = Vec::new();
    let step = |state: &State, _: Timestamp| {
        let mut copied = 0;
        for &x in numbers.by_ref() {
            let known = number_rows(state, x);
            copied += known.len().max(1);
            rows.extend(known);
            if copied >= COPIED_AT_ONCE {
                return ControlFlow::Continue(());
            }
        }
        ControlFlow::Break(())
    };
    ledger.read_in_steps(Touch::Scan, step).await?;
    rows.into_iter().for_each(|row| copy.restore(row));
    Ok((copy, now))
}

/// Gives a command to the ledger; one about many numbers in pieces.
///
/// # Errors
/// Why it was refused, and of how many numbers it was done all the same.
async fn submit(
    admin: &Admin,
    operator: &Operator,
    command: Command,
) -> Result<(), (SubmitError, usize)> {
    fn pieces<N: Clone, C: Into<Command>>(numbers: &[N], make: fn(Vec<N>) -> C) -> Vec<Command> {
        let pieces = numbers.chunks(AT_ONCE as usize);
        pieces.map(|piece| make(piece.to_vec()).into()).collect()
    }
    let commands = match command {
        Command::AddNumbers(AddNumbers(numbers)) => pieces(&numbers, AddNumbers),
        Command::ReleaseNumbers(ReleaseNumbers(numbers)) => pieces(&numbers, ReleaseNumbers),
        other => vec![other],
    };
    let give = |command: Command| {
        let given = admin.ledger.submit(operator.envelope(command));
        async { given.await.map(|_| ()) }
    };
    give_in_groups(&commands, give).await
}

/// Gives commands, some at once: they share a write, others look at the state in between, and the queue has room for
/// others. After one that is refused no further ones are given.
///
/// # Errors
/// Why the first one was refused, and how many numbers are in those that were done.
async fn give_in_groups<F>(
    commands: &[Command],
    give: impl Fn(Command) -> F,
) -> Result<(), (SubmitError, usize)>
where
    F: Future<Output = Result<(), SubmitError>>,
{
    let mut numbers = 0;
    for group in commands.chunks(COMMANDS_AT_ONCE) {
        let mut refused = None;
        let done = join_all(group.iter().map(|command| give(command.clone()))).await;
        for (command, mut done) in group.iter().zip(done) {
            // Too many pieces for the queue: one after the other.
            if matches!(done, Err(SubmitError::Busy)) && commands.len() > 1 && refused.is_none() {
                done = give(command.clone()).await;
            }
            match done {
                Ok(()) => numbers += numbers_in(command),
                Err(error) => refused = refused.or(Some(error)),
            }
        }
        if let Some(error) = refused {
            return Err((error, numbers));
        }
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

#[cfg(test)]
mod tests {
    use std::cell::{Cell, RefCell};

    use maskline_domain::Refusal;

    use super::*;

    /// Gives so many commands of two numbers each, of which some are answered otherwise; says what came of it, which
    /// ones were given, and how many stood in the queue at once at most.
    async fn given(
        count: usize,
        answer: impl Fn(usize, bool) -> Result<(), SubmitError>,
    ) -> (Option<usize>, Vec<usize>, usize) {
        let x = |n: usize| PhoneNumber::parse(&format!("170{n:08}")).expect("a number");
        let commands: Vec<Command> = (0..count)
            .map(|n| ReleaseNumbers(vec![x(2 * n), x(2 * n + 1)]).into())
            .collect();
        let (tried, under_way, most) = (RefCell::new(Vec::new()), Cell::new(0), Cell::new(0));
        let give = |command: Command| {
            let place = commands.iter().position(|known| *known == command);
            let place = place.expect("one of them");
            let is_again = tried.borrow().contains(&place);
            tried.borrow_mut().push(place);
            let (answer, under_way, most) = (answer(place, is_again), &under_way, &most);
            async move {
                under_way.set(under_way.get() + 1);
                most.set(most.get().max(under_way.get()));
                tokio::task::yield_now().await;
                under_way.set(under_way.get() - 1);
                answer
            }
        };
        let done = give_in_groups(&commands, give).await;
        (
            done.err().map(|(_, numbers)| numbers),
            tried.into_inner(),
            most.get(),
        )
    }

    #[tokio::test]
    async fn what_is_refused_ends_a_change_of_many_numbers_and_tells_what_was_done() {
        const GROUP: usize = COMMANDS_AT_ONCE;
        let refused = || Err(SubmitError::Refused(Refusal::NumberUnknown));
        for (count, wrong, numbers, tried) in [
            (0, usize::MAX, None, 0),
            (1, usize::MAX, None, 1),
            (1, 0, Some(0), 1),
            (2, 0, Some(2), 2),
            (2, 1, Some(2), 2),
            (84, usize::MAX, None, 84),
            (84, 0, Some(2 * (GROUP - 1)), GROUP),
            (84, 2, Some(2 * (GROUP - 1)), GROUP),
            (84, GROUP - 1, Some(2 * (GROUP - 1)), GROUP),
            (84, GROUP, Some(2 * (2 * GROUP - 1)), 2 * GROUP),
            (84, 83, Some(2 * 83), 84),
        ] {
            let answer = |place, _| if place == wrong { refused() } else { Ok(()) };
            let (done, given, most) = given(count, answer).await;
            let case = format!("{wrong} of {count}");
            assert_eq!((done, given.len()), (numbers, tried), "{case}");
            assert!(most <= GROUP, "{case}: {most} at once");
        }
        // What found no room is given once more, unless it is the only one.
        let busy = |_, is_again| {
            if is_again {
                Ok(())
            } else {
                Err(SubmitError::Busy)
            }
        };
        assert_eq!(given(84, busy).await.0, None);
        assert_eq!(given(1, busy).await.0, Some(0));
    }
}
