//! Why a command is refused.

use thiserror::Error;

/// Every reason for which the rules say no. The API turns each into one of
/// the vendor's codes, in one table without a wildcard.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Refusal {
    /// The key is not known (any more) or switched off.
    #[error("the access key is not active")]
    KeyInactive,
    /// A user's policy does not allow it.
    #[error("the user lacks the permission")]
    PermissionDenied,
    /// The account is closed or gone.
    #[error("the account does not exist")]
    AccountUnknown,
    /// The account is frozen, or its owner has not proved their name.
    #[error("the account is not in a normal state")]
    AccountAbnormal,
    /// The account is unpaid.
    #[error("the account is in arrears")]
    AccountInArrears,
    /// The account has not opened communication products.
    #[error("the account has not opened communication products")]
    CommunicationsNotOpened,
    /// The account has not opened this product.
    #[error("the account has not opened this product")]
    ProductNotOpened,
    /// There is no pool of that key.
    #[error("no such pool")]
    PoolUnknown,
    /// Neither a pool key nor a usable number type was given.
    #[error("no pool was named")]
    PoolNotNamed,
    /// The pool is another account's.
    #[error("the pool belongs to another account")]
    PoolForeign,
    /// The pool is closed.
    #[error("the pool is closed")]
    PoolClosed,
    /// The action is of another product than the pool.
    #[error("the pool is of another product")]
    ProductMismatch,
    /// A or B is no number that may be a party.
    #[error("a party's number is not acceptable")]
    NumberIllegal,
    /// B is missing where the product needs one.
    #[error("B is needed for this product")]
    BMissing,
    /// Two of A, B and X are the same number.
    #[error("A, B and X must be different numbers")]
    NumbersEqual,
    /// The end is not later than a minute from now.
    #[error("the expiration must be more than 60 seconds ahead")]
    ExpirationIllegal,
    /// X does not exist, or is not the account's.
    #[error("no such X number")]
    NumberUnknown,
    /// X is the account's, but not in this pool.
    #[error("the X number is not in this pool")]
    NumberElsewhere,
    /// X is locked.
    #[error("the X number is locked")]
    NumberLocked,
    /// X is cooling.
    #[error("the X number is frozen after its last binding")]
    NumberFrozen,
    /// A or B already has a binding on X.
    #[error("A or B already has a binding on this X number")]
    BindConflict,
    /// X is taken by somebody else.
    #[error("the X number is in use by another binding")]
    NumberTaken,
    /// The account has as many bindings as it may.
    #[error("the account has as many bindings as it may")]
    BindingsFull,
    /// No X is left that would do.
    #[error("no X number is available")]
    NoNumberLeft,
    /// Pool, id and X do not belong together, or the binding has ended.
    #[error("no such binding")]
    BindingUnknown,
    /// The binding is over and cannot be changed.
    #[error("the binding has expired")]
    BindingOver,
    /// The new A or B has another binding on X.
    #[error("the new party already has a binding on this X number")]
    UpdateConflict,
    /// The same command has been decided before.
    #[error("the command was seen before")]
    CommandRepeated,
    /// The key has too many commands that must still be remembered.
    #[error("too many commands of this key are remembered")]
    CommandsTooMany,
    /// The carrier of the pool refused it.
    #[error("the carrier refused")]
    CarrierRefused,
    /// The carrier of the pool gave an answer that says nothing known.
    #[error("the carrier's answer is not understood")]
    CarrierUnclear,
    /// The carrier of the pool cannot be asked, or did not answer in time.
    #[error("the carrier is not available")]
    CarrierUnavailable,
    /// An operator's command cannot be done.
    #[error(transparent)]
    Admin(#[from] AdminRefusal),
}

impl Refusal {
    /// Those that a code says, in the order of their codes from 1 on; new ones come last.
    const CODED: [Self; 32] = [
        Self::KeyInactive,
        Self::PermissionDenied,
        Self::AccountUnknown,
        Self::AccountAbnormal,
        Self::AccountInArrears,
        Self::CommunicationsNotOpened,
        Self::ProductNotOpened,
        Self::PoolUnknown,
        Self::PoolNotNamed,
        Self::PoolForeign,
        Self::PoolClosed,
        Self::ProductMismatch,
        Self::NumberIllegal,
        Self::BMissing,
        Self::NumbersEqual,
        Self::ExpirationIllegal,
        Self::NumberUnknown,
        Self::NumberElsewhere,
        Self::NumberLocked,
        Self::NumberFrozen,
        Self::BindConflict,
        Self::NumberTaken,
        Self::BindingsFull,
        Self::NoNumberLeft,
        Self::BindingUnknown,
        Self::BindingOver,
        Self::UpdateConflict,
        Self::CommandRepeated,
        Self::CommandsTooMany,
        Self::CarrierRefused,
        Self::CarrierUnclear,
        Self::CarrierUnavailable,
    ];

    /// Its code, by which a journal names it for ever. An operator's refusal is told in words and has none.
    pub fn code(&self) -> Option<u8> {
        let code = match self {
            Self::KeyInactive => 1,
            Self::PermissionDenied => 2,
            Self::AccountUnknown => 3,
            Self::AccountAbnormal => 4,
            Self::AccountInArrears => 5,
            Self::CommunicationsNotOpened => 6,
            Self::ProductNotOpened => 7,
            Self::PoolUnknown => 8,
            Self::PoolNotNamed => 9,
            Self::PoolForeign => 10,
            Self::PoolClosed => 11,
            Self::ProductMismatch => 12,
            Self::NumberIllegal => 13,
            Self::BMissing => 14,
            Self::NumbersEqual => 15,
            Self::ExpirationIllegal => 16,
            Self::NumberUnknown => 17,
            Self::NumberElsewhere => 18,
            Self::NumberLocked => 19,
            Self::NumberFrozen => 20,
            Self::BindConflict => 21,
            Self::NumberTaken => 22,
            Self::BindingsFull => 23,
            Self::NoNumberLeft => 24,
            Self::BindingUnknown => 25,
            Self::BindingOver => 26,
            Self::UpdateConflict => 27,
            Self::CommandRepeated => 28,
            Self::CommandsTooMany => 29,
            Self::CarrierRefused => 30,
            Self::CarrierUnclear => 31,
            Self::CarrierUnavailable => 32,
            Self::Admin(_) => return None,
        };
        Some(code)
    }

    /// The refusal of that code.
    pub fn by_code(code: u8) -> Option<Self> {
        let place = usize::from(code).checked_sub(1)?;
        Self::CODED.get(place).cloned()
    }
}

/// Why an operator's command is refused.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum AdminRefusal {
    /// The name or key has a form that is not allowed.
    #[error("{what} is not well formed: {why}")]
    Malformed {
        /// Which value.
        what: &'static str,
        /// What is wrong with it.
        why: &'static str,
    },
    /// What the command refers to is not there.
    #[error("no such {what}")]
    NotFound {
        /// What sort of thing.
        what: &'static str,
    },
    /// What should be new exists already.
    #[error("this {what} exists already")]
    Exists {
        /// What sort of thing.
        what: &'static str,
    },
    /// It may not be changed in this way.
    #[error("{what} cannot be changed: {why}")]
    Fixed {
        /// What sort of thing.
        what: &'static str,
        /// The reason.
        why: &'static str,
    },
    /// It is needed by something else.
    #[error("this {what} is in use")]
    InUse {
        /// What sort of thing.
        what: &'static str,
    },
    /// A carrier cannot be forgotten, since new bindings would need it.
    #[error(
        "carrier {carrier} cannot be forgotten: pool {pool} still names it; name another there, or none"
    )]
    CarrierNamed {
        /// The carrier.
        carrier: Box<str>,
        /// The first pool that names it.
        pool: Box<str>,
    },
    /// There are as many already as there may be.
    #[error("there are {limit} {what} already, and no more are possible")]
    Full {
        /// What sort of things.
        what: &'static str,
        /// The limit.
        limit: usize,
    },
    /// The command is larger than one command may be.
    #[error("too many {what} in one command; at most {limit}")]
    TooMany {
        /// What sort of thing.
        what: &'static str,
        /// The limit.
        limit: usize,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_says_its_refusal() {
        for (place, refusal) in Refusal::CODED.into_iter().enumerate() {
            let code = place as u8 + 1;
            assert_eq!(refusal.code(), Some(code), "{refusal}");
            assert_eq!(Refusal::by_code(code), Some(refusal));
        }
        let beyond = Refusal::CODED.len() as u8 + 1;
        assert_eq!(
            (Refusal::by_code(0), Refusal::by_code(beyond)),
            (None, None)
        );
    }
}
