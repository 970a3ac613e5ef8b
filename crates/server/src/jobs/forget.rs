//! Forgets the ids of commands that cannot come again, since their time stamp would be refused.

use maskline_domain::Command;

use super::Job;

pub const JOB: Job = Job {
    name: "forget",
    command: |at_most| Command::ForgetCommands { at_most },
};
