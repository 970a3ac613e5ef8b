//! The products. All that they differ in stands in a file of each; the rest of the rules asks here, and never
//! which product it has.
//!
//! A slot of an X number belongs to at most one live binding. Routing looks
//! slots up; conflict checking is the same rule seen from the other side. A
//! further product is a file here with its `Rules`, and in this file its module, its name and its case of
//! `by_rules`.

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

/// The most pairs that one X may carry (community article 1744014); a pool may say fewer. Some looks at a number read
/// all of them.
pub const PAIRS_MAX: u32 = 200;

/// What products differ in. What none does yet, such as asking a caller for the digits of an extension, becomes
/// an item here with the first that does.
trait Rules {
    /// What a binding claims on its X: any number of them, each once.
    const CLAIMS: &'static [Claim];
    /// Whether a binding must name B.
    const NEEDS_B: bool;
    /// Whether X cools after a binding, in a pool where numbers cool.
    const COOLS: bool;
    /// By which texts of a `RingConfig` its callers hear ring tones.
    const RING_KEYS: RingKeys;
    /// Whether a customer may give a key dialogue (`DtmfConfig`).
    const TAKES_DTMF_CONFIG: bool;

    /// How many live bindings one X may carry, in a pool where it may carry so many pairs.
    fn bindings_per_x_max(pairs_max: u32) -> u32;

    /// Whom a caller reaches.
    fn destination(caller: &Caller) -> Destination;
}

/// An expression about the rules of a product. Every call looks at some of them, so they are chosen by a match and
/// not by a table of functions, which cost a tenth of the look-ups a second.
macro_rules! by_rules {
    ($product:expr, $rules:ident => $asked:expr) => {
        match $product {
            Product::Axn => {
                type $rules = axn::Axn;
                $asked
            }
            Product::Axb => {
                type $rules = axb::Axb;
                $asked
            }
        }
    };
}

impl Product {
    /// The product of that name.
    pub fn by_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|product| product.name() == name)
    }

    /// How many live bindings one X may carry in a pool where it may carry so many pairs.
    pub fn bindings_per_x_max(self, pairs_max: u32) -> u32 {
        by_rules!(self, Its => Its::bindings_per_x_max(pairs_max))
    }

    /// Whether a binding must name B.
    pub fn needs_b(self) -> bool {
        by_rules!(self, Its => Its::NEEDS_B)
    }

    /// Whether a customer may give a key dialogue (`DtmfConfig`) with a binding.
    pub fn takes_dtmf_config(self) -> bool {
        by_rules!(self, Its => Its::TAKES_DTMF_CONFIG)
    }

    /// What a binding of these parties claims on its X, and the slot that it gets by each.
    pub(crate) fn claims(
        self,
        a: PhoneNumber,
        b: Option<PhoneNumber>,
    ) -> impl Iterator<Item = (Claim, Slot)> {
        let claims = by_rules!(self, Its => Its::CLAIMS).iter();
        claims.filter_map(move |&claim| Some((claim, claim.slot(a, b)?)))
    }

    /// The claim by which a binding of these parties holds `slot` of its X, if it does.
    pub(crate) fn claim_of(
        self,
        slot: Slot,
        a: PhoneNumber,
        b: Option<PhoneNumber>,
    ) -> Option<Claim> {
        by_rules!(self, Its => {
            let mut claims = Its::CLAIMS.iter().copied();
            claims.find(|claim| claim.slot(a, b) == Some(slot))
        })
    }

    /// Whom a caller reaches.
    pub(crate) fn destination(self, caller: &Caller) -> Destination {
        by_rules!(self, Its => Its::destination(caller))
    }

    /// Whether X cools after a binding, in a pool where numbers cool.
    pub(crate) fn cools(self) -> bool {
        by_rules!(self, Its => Its::COOLS)
    }

    /// By which texts of a `RingConfig` its callers hear ring tones.
    pub(crate) fn ring_keys(self) -> RingKeys {
        by_rules!(self, Its => Its::RING_KEYS)
    }
}

/// What a binding holds on its X, exclusively.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
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

/// What a binding may claim on its X: a slot, and the role of the caller who hits it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Claim {
    /// Calls of whoever has no slot of their own.
    Anyone,
    /// Calls of A.
    A,
    /// Calls of B, where there is one.
    B,
}

impl Claim {
    /// Each of them, at its place in the order above.
    pub const ALL: [Self; 3] = [Self::Anyone, Self::A, Self::B];

    /// The slot that a binding of these parties gets; none of a party that was erased, or is not there.
    pub fn slot(self, a: PhoneNumber, b: Option<PhoneNumber>) -> Option<Slot> {
        let party = match self {
            Claim::Anyone => return Some(Slot::Anyone),
            Claim::A => Some(a),
            Claim::B => b,
        };
        party.filter(|number| !number.is_erased()).map(Slot::Party)
    }

    /// The role of a caller who hits the slot.
    pub fn role(self) -> Role {
        match self {
            Claim::A => Role::A,
            Claim::Anyone | Claim::B => Role::Other,
        }
    }
}

/// A caller by a binding, and all that its way may depend on.
pub(crate) struct Caller {
    /// Its role in the binding.
    pub role: Role,
    /// A of the binding.
    pub a: PhoneNumber,
    /// B of the binding.
    pub b: Option<PhoneNumber>,
    /// Whether the pool lets A reach the default B (A号码回拨模式).
    pub a_call_back: bool,
}

/// Whom a caller reaches.
pub(crate) struct Destination {
    /// Whether the pool lets this caller through; `None` where it is not asked.
    pub call_back: Option<bool>,
    /// The callee; `None`: the number is vacant for this caller.
    pub callee: Option<PhoneNumber>,
}

/// The keys of a `RingConfig`, by who dials X.
pub(crate) struct RingKeys {
    /// A, who reaches B.
    pub a: &'static str,
    /// A, who reaches nobody; `None` where A always has a B.
    pub a_alone: Option<&'static str>,
    /// Everybody else.
    pub other: &'static str,
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Conflicts, look-ups and routing rest on it: a slot is claimed once, and a claim is at its place.
    #[test]
    fn every_product_claims_each_slot_once() {
        let number = |digits| PhoneNumber::parse(digits).expect("digits");
        let (a, b) = (number("15000000000"), number("15800000000"));
        for product in Product::ALL {
            let slots: Vec<Slot> = product.claims(a, Some(b)).map(|(_, slot)| slot).collect();
            assert!(!slots.is_empty(), "{product:?}");
            for (place, slot) in slots.iter().enumerate() {
                assert!(!slots[..place].contains(slot), "{product:?} {slot:?}");
            }
            let is_a = |(claim, slot): (Claim, Slot)| (claim.role() == Role::A, slot);
            let of_a = product.claims(a, Some(b)).map(is_a);
            assert_eq!(of_a.filter(|(is_a, _)| *is_a).count(), 1, "{product:?}");
        }
        for (place, claim) in Claim::ALL.into_iter().enumerate() {
            assert_eq!(claim as usize, place);
        }
    }

    #[test]
    fn an_erased_party_holds_no_slot() {
        for product in Product::ALL {
            let erased = product.claims(PhoneNumber::ERASED, Some(PhoneNumber::ERASED));
            assert!(erased.into_iter().all(|(_, slot)| slot == Slot::Anyone));
        }
    }
}
