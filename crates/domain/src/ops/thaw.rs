//! Putting numbers that have cooled back among those that can be given out.

use crate::clock::Timestamp;
use crate::command::{EVENTS_MAX, Outcome};
use crate::event::Event;
use crate::state::State;

pub(super) fn thaw_due(state: &State, at_most: u32, now: Timestamp) -> (Vec<Event>, Outcome) {
    let at_most = (at_most as usize).min(EVENTS_MAX);
    let mut due = state
        .inventory
        .all_partitions()
        .flat_map(|partition| &partition.cooling)
        .filter(|&&(until_s, _)| Timestamp::from_secs(i64::from(until_s)) <= now)
        .map(|&(_, at)| state.inventory.x(at));
    let events: Vec<Event> = due
        .by_ref()
        .take(at_most)
        .map(|x| Event::NumberThawed { x })
        .collect();
    let outcome = Outcome::Worked {
        count: events.len() as u32,
        more: due.next().is_some(),
    };
    (events, outcome)
}
