//! The products, a file each: what slots a binding of each kind claims.
//!
//! A slot of an X number belongs to at most one live binding. Routing looks
//! slots up; conflict checking is the same rule seen from the other side. A
//! new product is a file here and an arm in each `match` of this file.

mod axb;
mod axn;

use serde::{Deserialize, Serialize};

use crate::named_enum::named_enum;
use crate::number::PhoneNumber;

named_enum! {
    /// What a pool sells.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
    #[serde(rename_all = "snake_case")]
    pub enum Product {
        /// A behind X, for anyone.
        Axn = "axn",
        /// A and B, for each other only.
        Axb = "axb",
    }
}

impl Product {
    /// The product of that name.
    pub fn by_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|product| product.name() == name)
    }

    /// How many live bindings one X may carry in a pool where it may carry so many pairs.
    pub fn bindings_per_x_max(self, pairs_max: u32) -> u32 {
        match self {
            Product::Axn => axn::BINDINGS_PER_X_MAX,
            Product::Axb => pairs_max.max(1),
        }
    }

    /// The slots that a binding of these parties claims on its X, at most two.
    pub(crate) fn slots(
        self,
        a: PhoneNumber,
        b: Option<PhoneNumber>,
    ) -> impl Iterator<Item = Slot> {
        let slots = match self {
            Product::Axn => axn::slots(a),
            Product::Axb => axb::slots(a, b),
        };
        slots
            .into_iter()
            .flatten()
            .filter(|slot| !matches!(slot, Slot::Party(number) if number.is_erased()))
    }

    /// Whether a binding must name B.
    pub fn needs_b(self) -> bool {
        match self {
            Product::Axn => axn::NEEDS_B,
            Product::Axb => axb::NEEDS_B,
        }
    }
}

/// What a binding holds on its X, exclusively.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Slot {
    /// Whoever dials and holds no slot of their own.
    Anyone,
    /// One caller.
    Party(PhoneNumber),
}

/// The role a caller has in a binding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// The protected party.
    A,
    /// The other side.
    Other,
}

type Claims = [Option<Slot>; 2];
