//! One number as it was before the journal begins: its bindings out of the history, as they were when they were last
//! changed, and all else as it is now.

use maskline_domain::{Event, PhoneNumber, State, Timestamp};
use maskline_journal::pipeline::Touch;
use maskline_store::records::history::Filter;

use super::AdminError;
use crate::ledger::Ledger;

/// Rows of the history read at a time, and how often.
const ROWS: u32 = 1_000;
const PAGES_MAX: usize = 20;

/// A state that knows this number, its pool, the trunks, and the bindings that were on it at `at`.
///
/// # Errors
/// When it is no number of ours, when bindings of that moment are not kept any more, or there are too many.
pub async fn state_of(
    ledger: &Ledger,
    x: PhoneNumber,
    at: Timestamp,
    now: Timestamp,
) -> Result<State, AdminError> {
    let around = |state: &State, _| {
        let number = state.number(x)?;
        let pool = number.class.pool.as_ref();
        let pool = pool.and_then(|key| state.pool(key)).cloned();
        let trunks: Vec<_> = state.trunks().cloned().collect();
        Some((number, pool, trunks))
    };
    let found = ledger.read(Touch::Number(x), around).await?;
    let (number, pool, trunks) = found.ok_or(AdminError::NotFound("number"))?;
    let keep = ledger.keeps_bindings(pool.as_ref().map(|pool| &pool.retention));
    let is_gone = |until| ledger.retention_since().is_some() && at <= until;
    if keep.until(now).is_some_and(is_gone) {
        return Err(AdminError::Refused(format!(
            "the journal does not reach back to that moment (journal.retention_days), and what was bound then is not \
             kept any more: bindings are kept for {keep} once they have ended (retention.bindings)"
        )));
    }
    let mut state = State::default();
    if let Some(pool) = pool {
        state.apply(&Event::PoolSet(pool));
    }
    state.apply(&Event::NumberSet(number));
    for trunk in trunks {
        state.apply(&Event::TrunkSet(Box::new(trunk)));
    }
    let mut filter = Filter {
        x: Some(x),
        limit: ROWS,
        ..Filter::default()
    };
    for _ in 0..PAGES_MAX {
        let page = ledger.past_bindings(&filter).await?;
        for past in &page.rows {
            let is_over = past.ended.as_ref().is_some_and(|ended| ended.at <= at);
            let binding = past.binding().filter(|_| !is_over);
            if let Some(binding) = binding.filter(|binding| binding.created_at <= at) {
                state.apply(&Event::Bound(Box::new(binding.clone())));
            }
        }
        filter.before = page.next;
        if filter.before.is_none() {
            return Ok(state);
        }
    }
    Err(AdminError::Refused(
        "the journal does not reach back to that moment, and there are too many bindings on this number to look through"
            .to_owned(),
    ))
}
