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
    let memory = &on.state.memory;
    let Some((before, count)) = memory.due_boundary(on.now, asked.at_most as usize) else {
        let nothing = Work {
            count: 0,
            more: false,
        };
        return Ok((Vec::new(), nothing));
    };
    let work = Work {
        count: count as u32,
        more: memory.is_due_between(before, on.now),
    };
    Ok((vec![Event::CommandsForgotten { before }], work))
}
