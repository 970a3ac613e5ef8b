//! AXN: anyone (N) who dials X reaches A; A reaches the default B, or hears
//! that the number is vacant.

use super::{Claims, Slot};
use crate::number::PhoneNumber;

/// X is dedicated to one A.
pub(super) const BINDINGS_PER_X_MAX: u32 = 1;
/// Without B, A dialling X hears the vacant-number prompt.
pub(super) const NEEDS_B: bool = false;

pub(super) fn slots(a: PhoneNumber) -> Claims {
    [Some(Slot::Anyone), Some(Slot::Party(a))]
}
