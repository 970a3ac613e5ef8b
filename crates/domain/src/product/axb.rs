//! AXB: A and B, and nobody else, reach each other through X. One X carries
//! many pairs, none of whose numbers repeat.

use super::{Claims, Slot};
use crate::number::PhoneNumber;

/// The newest SDK calls B optional, the official page mandatory; a pair
/// without B could be reached by nobody, so it is needed.
pub(super) const NEEDS_B: bool = true;

pub(super) fn slots(a: PhoneNumber, b: Option<PhoneNumber>) -> Claims {
    [Some(Slot::Party(a)), b.map(Slot::Party)]
}
