//! Forgetting ids of commands that can no longer come again.

use crate::command::Work;
use crate::event::Event;
use crate::ops::{Circumstances, Decided};

/// Forget ids of commands that cannot come again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ForgetCommands {
    /// No more than so many.
    pub at_most: u32,
}

pub(super) fn forget_commands(on: &Circumstances<'_>, asked: &ForgetCommands) -> Decided<Work> {
    let mut due = on.state.memory.due_at(on.now);
    let mut last = None;
    let mut count = 0;
    for due in due.by_ref().take(asked.at_most as usize) {
        last = Some(due);
        count += 1;
    }
    let work = Work {
        count,
        more: due.next().is_some(),
    };
    let event = last.map(|(before, id)| Event::CommandsForgotten {
        before,
        through: Some(id),
    });
    Ok((event.into_iter().collect(), work))
}
