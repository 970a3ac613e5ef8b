//! Forgets the ids of commands that cannot come again, since their time stamp would be refused.

use maskline_domain::ops::ForgetCommands;

use super::{Job, give};

pub const JOB: Job = Job {
    name: "forget",
    give: |ledger, by, at_most| give(ledger, by, ForgetCommands { at_most }),
};
