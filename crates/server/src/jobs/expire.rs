//! Records the end of bindings that are over, and returns their numbers to the pool.

use maskline_domain::Command;

use super::Job;

pub const JOB: Job = Job {
    name: "expire",
    command: |at_most| Command::ExpireDue { at_most },
};
