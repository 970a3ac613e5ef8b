//! Recording the end of bindings that are over. Only tidies: routing and every
//! decision treat them as over already.

use crate::allocation::ended;
use crate::binding::EndCause;
use crate::clock::Timestamp;
use crate::command::{EVENTS_MAX, Outcome};
use crate::event::Event;
use crate::state::State;

pub(super) fn expire_due(state: &State, at_most: u32, now: Timestamp) -> (Vec<Event>, Outcome) {
    let at_most = (at_most as usize).min(EVENTS_MAX);
    let mut due = state
        .inventory
        .all_partitions()
        .flat_map(|partition| partition.expiring.range(..=(now, u32::MAX)))
        .filter_map(|&(_, place)| state.binding_at(place));
    let mut events = Vec::new();
    for binding in due.by_ref().take(at_most) {
        let pool = state
            .number(binding.x)
            .and_then(|number| number.class.pool)
            .and_then(|key| state.pool(&key));
        if let Some(pool) = pool {
            events.push(ended(pool, &binding, EndCause::Expired, binding.expires_at, now).0);
        }
    }
    let outcome = Outcome::Worked {
        count: events.len() as u32,
        more: due.next().is_some(),
    };
    (events, outcome)
}
