//! Forgetting ids of commands that can no longer come again.

use crate::clock::Timestamp;
use crate::command::Outcome;
use crate::event::Event;
use crate::state::State;

pub(super) fn forget_commands(
    state: &State,
    at_most: u32,
    now: Timestamp,
) -> (Vec<Event>, Outcome) {
    match state.memory.due_boundary(now, at_most as usize) {
        None => (
            Vec::new(),
            Outcome::Worked {
                count: 0,
                more: false,
            },
        ),
        Some((before, count)) => (
            vec![Event::CommandsForgotten { before }],
            Outcome::Worked {
                count: count as u32,
                more: state
                    .memory
                    .due_boundary(now, usize::MAX)
                    .map(|(_, all)| all)
                    > Some(count),
            },
        ),
    }
}
