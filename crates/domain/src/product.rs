//! The products, a file each: what slots a binding of each kind claims.
//!
//! A slot of an X number belongs to at most one live binding. Routing looks
//! slots up; conflict checking is the same rule seen from the other side. A
//! new product is a file here and an arm in each `match` of this file.

mod axb;
mod axn;

use serde::{Deserialize, Serialize};

use crate::binding::Binding;
use crate::named_enum::named_enum;
use crate::number::PhoneNumber;
use crate::pool::Pool;

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

    /// How many live bindings one X of this pool may carry.
    pub fn bindings_per_x_max(self, pool: &Pool) -> u32 {
        match self {
            Product::Axn => axn::BINDINGS_PER_X_MAX,
            Product::Axb => pool.pairs_max.max(1),
        }
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

impl Binding {
    /// The slots that this binding claims on its X, at most two.
    pub fn slots(&self) -> impl Iterator<Item = Slot> + use<> {
        let slots = match self.product {
            Product::Axn => axn::slots(self),
            Product::Axb => axb::slots(self),
        };
        slots
            .into_iter()
            .flatten()
            .filter(|slot| !matches!(slot, Slot::Party(number) if number.is_erased()))
    }

    /// The role of a caller who hit `slot`.
    pub fn role_of(&self, slot: Slot) -> Role {
        match slot {
            Slot::Party(number) if number == self.a => Role::A,
            Slot::Party(_) | Slot::Anyone => Role::Other,
        }
    }
}

pub(crate) type Claims = [Option<Slot>; 2];
