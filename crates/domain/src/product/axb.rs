//! AXB: A and B, and nobody else, reach each other through X. One X carries
//! many pairs, none of whose numbers repeat.

use super::{Claims, Slot};
use crate::binding::Binding;

/// The newest SDK calls B optional, the official page mandatory; a pair
/// without B could be reached by nobody, so it is needed.
pub(super) const NEEDS_B: bool = true;

pub(super) fn slots(binding: &Binding) -> Claims {
    [Some(Slot::Party(binding.a)), binding.b.map(Slot::Party)]
}
