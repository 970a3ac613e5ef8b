//! Records the end of bindings that are over, and returns their numbers to the pool.

use maskline_domain::ops::ExpireDue;

use super::{Job, give};

pub const JOB: Job = Job {
    name: "expire",
    give: |ledger, by, at_most| give(ledger, by, ExpireDue { at_most }),
};
