//! Puts numbers back that have cooled.

use maskline_domain::ops::ThawDue;

use super::{Job, give};

pub const JOB: Job = Job {
    name: "thaw",
    give: |ledger, by, at_most| give(ledger, by, ThawDue { at_most }),
};
