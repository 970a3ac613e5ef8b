//! Records: what grows and is queried by people, in plain tables beside the
//! journal.
//!
//! Facts flow one way. [`call`] records are written by calls themselves, with
//! what is [`owed`] for their milestones;
//! [`history`] and [`audit`] are projections of the journal, with a stored
//! position, so that they can be rebuilt. None of them changes routing. What is
//! older than it may be goes by [`retention`], but for what somebody has put a
//! [`hold`] on.

pub mod audit;
pub mod call;
pub mod entry;
pub mod history;
pub mod hold;
pub mod owed;
pub mod owners;
pub(crate) mod party_key;
pub mod projection;
pub mod retention;
