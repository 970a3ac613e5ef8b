//! What there is to know of a number's doings, and how the plain cases fit into its link.

use super::blocks::IDLE;
use crate::slab::NONE;

/// The two highest bits of a link tell what the others are: nothing in [`IDLE`], the position of the one binding that
/// the number carries and that holds the slot of anyone, or the position of a [`Note`].
pub(super) const KIND: u32 = 0b11 << 30;
pub(super) const SOLE: u32 = 0b01 << 30;
pub(super) const NOTED: u32 = 0b10 << 30;
/// On no list of those that carry bindings.
pub(super) const NOWHERE: u32 = u32::MAX;

/// What there is to know of a number's doings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Note {
    /// First of the bindings on this X.
    pub bindings: u32,
    pub bindings_count: u32,
    /// The binding that holds the slot of anyone.
    pub anyone: u32,
    /// Its place among those of its partition that carry as many.
    pub partition_place: u32,
    pub cooling_until_s: u32,
    pub idle_since_s: u32,
    pub locked: bool,
}

impl Note {
    pub const IDLE: Self = Self {
        bindings: NONE,
        bindings_count: 0,
        anyone: NONE,
        partition_place: NOWHERE,
        cooling_until_s: 0,
        idle_since_s: 0,
        locked: false,
    };

    pub fn sole(binding: u32) -> Self {
        Self {
            bindings: binding,
            bindings_count: 1,
            anyone: binding,
            ..Self::IDLE
        }
    }

    /// The note as a link, if it is one of the two plain cases.
    pub fn as_link(&self) -> Option<u32> {
        if *self == Self::IDLE {
            Some(IDLE)
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
