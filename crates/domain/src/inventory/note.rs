//! What there is to know of a number's doings, and how the plain cases fit into its cell.

use crate::slab::NONE;

pub(super) const NOTED: u32 = 0b10 << 30;
pub(super) const SOLE: u32 = 0b01 << 30;
pub(super) const KIND: u32 = 0b11 << 30;
/// Not in a partition.
pub(super) const NOWHERE: u32 = SOLE - 1;

/// What there is to know of a number's doings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Note {
    /// First of the bindings on this X.
    pub bindings: u32,
    pub bindings_count: u32,
    /// The binding that holds the slot of anyone.
    pub anyone: u32,
    pub partition_place: u32,
    pub cooling_until_s: u32,
    pub idle_since_s: u32,
    pub locked: bool,
}

impl Note {
    pub fn idle(partition_place: u32) -> Self {
        Self {
            bindings: NONE,
            bindings_count: 0,
            anyone: NONE,
            partition_place,
            cooling_until_s: 0,
            idle_since_s: 0,
            locked: false,
        }
    }

    pub fn sole(binding: u32) -> Self {
        Self {
            bindings: binding,
            bindings_count: 1,
            anyone: binding,
            ..Self::idle(NOWHERE)
        }
    }

    /// The note as a link, if it is one of the two plain cases.
    pub fn as_link(&self) -> Option<u32> {
        if *self == Self::idle(self.partition_place) {
            Some(self.partition_place)
        } else if self.bindings < SOLE && *self == Self::sole(self.bindings) {
            Some(SOLE | self.bindings)
        } else {
            None
        }
    }

    /// Whether it could be given out if it may carry one more binding.
    pub fn is_selectable(&self) -> bool {
        !self.locked && self.cooling_until_s == 0
    }
}
