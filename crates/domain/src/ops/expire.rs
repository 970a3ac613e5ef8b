//! Recording the end of bindings that are over. Only tidies: routing and every
//! decision treat them as over already.

use crate::binding::EndCause;
use crate::command::{EVENTS_MAX, Work};
use crate::ops::provisions::releasing;
use crate::ops::{Circumstances, Decided};
use crate::overdue::ended;

/// Record the end of bindings that are over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ExpireDue {
    /// No more than so many.
    pub at_most: u32,
}

pub(super) fn expire_due(on: &Circumstances<'_>, asked: &ExpireDue) -> Decided<Work> {
    let &Circumstances { state, now, .. } = on;
    let at_most = (asked.at_most as usize).min(EVENTS_MAX);
    let mut due = state
        .inventory
        .expiring
        .until(now)
        .filter_map(|place| state.binding_at(place));
    let mut events = Vec::new();
    for binding in due.by_ref().take(at_most) {
        let pool = state
            .number(binding.x)
            .and_then(|number| number.class.pool)
            .and_then(|key| state.pool(&key));
        if let Some(provision) = binding.provision.as_deref() {
            let (cause, at) = (EndCause::Expired, binding.expires_at);
            events.push(releasing(on, &binding, provision, cause, at));
        } else if let Some(pool) = pool {
            events.push(ended(pool, &binding, EndCause::Expired, binding.expires_at, now).0);
        }
    }
    let work = Work {
        count: events.len() as u32,
        more: due.next().is_some(),
    };
    Ok((events, work))
}
