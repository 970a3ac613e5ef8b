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
    let all = memory.due_boundary(on.now, usize::MAX);
    let work = Work {
        count: count as u32,
        more: all.map(|(_, all)| all) > Some(count),
    };
    Ok((vec![Event::CommandsForgotten { before }], work))
}
