//! Puts numbers back that have cooled.

use maskline_domain::Command;

use super::Job;

pub const JOB: Job = Job {
    name: "thaw",
    command: |at_most| Command::ThawDue { at_most },
};
