//! What is owed to customers for the milestones of their calls. It is written with the row of the call; what sends it
//! reads it from there.

use maskline_domain::call::{Owed, Reached};
use maskline_domain::call_record::CallRecord;

/// Says what is owed for a milestone of a call, by the record as it is then. It does not wait for anything, and says
/// the same whenever it is asked the same.
pub type Owes = fn(Reached, &CallRecord) -> Vec<Owed>;

/// What is owed for the milestones of all calls. None: no message to a customer is known.
pub(super) const OWES: Option<Owes> = None;

/// Nothing is.
pub fn nothing(_: Reached, _: &CallRecord) -> Vec<Owed> {
    Vec::new()
}

/// What is owed for several milestones, in their order.
pub(super) fn for_all(owes: Owes, reached: &[Reached], record: &CallRecord) -> Vec<Owed> {
    let each = reached.iter();
    each.flat_map(|&reached| owes(reached, record)).collect()
}
