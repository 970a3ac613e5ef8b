//! Putting numbers that have cooled back among those that can be given out.

use crate::command::{EVENTS_MAX, Work};
use crate::event::Event;
use crate::ops::{Circumstances, Decided};

/// Put numbers that have cooled back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ThawDue {
    /// No more than so many.
    pub at_most: u32,
}

pub(super) fn thaw_due(on: &Circumstances<'_>, asked: &ThawDue) -> Decided<Work> {
    let &Circumstances { state, now, .. } = on;
    let at_most = (asked.at_most as usize).min(EVENTS_MAX);
    let mut due = state.inventory.cooled(now).map(|at| state.inventory.x(at));
    let events: Vec<Event> = due
        .by_ref()
        .take(at_most)
        .map(|x| Event::NumberThawed { x })
        .collect();
    let work = Work {
        count: events.len() as u32,
        more: due.next().is_some(),
    };
    Ok((events, work))
}
