//! Which calls are taken, before anything is looked up for them.

use super::{Ending, Reason};
use crate::number::PhoneNumber;
use crate::trunk::{Diversion, Load, Trunk};

/// What is known of a call that comes.
#[derive(Clone, Copy, Debug)]
pub struct Arrival {
    /// Whether there are as many calls as may be at once, or no more are taken.
    pub is_full: bool,
    /// What its trunk carries.
    pub load: Load,
    /// Whether it was forwarded to the number that it dials.
    pub is_forwarded: bool,
    /// The number that it dials; none if it dials something else.
    pub x: Option<PhoneNumber>,
}

/// Why a call is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotTaken {
    /// There are as many calls as may be, or its trunk is gone.
    Overload,
    /// Its trunk has as many calls as it may have.
    TrunkFull,
    /// It was forwarded, and its trunk takes none such.
    Forwarded,
    /// It dials no number.
    NoNumber,
}

impl NotTaken {
    /// How it ends. It leaves no record.
    pub fn ending(self) -> Ending {
        Ending::of(match self {
            Self::Overload | Self::TrunkFull => Reason::Overload,
            Self::Forwarded => Reason::Restricted,
            Self::NoNumber => Reason::XUnknown,
        })
    }
}

/// Takes a call that came by this trunk, and gives the number that it dials.
///
/// # Errors
/// Why it is not taken. One whose trunk is gone by now is none of a peer's any more: [`NotTaken::Overload`].
pub fn admit(trunk: &Trunk, arrival: Arrival) -> Result<PhoneNumber, NotTaken> {
    if arrival.is_full {
        return Err(NotTaken::Overload);
    }
    if trunk.admits_from(arrival.load).is_err() {
        return Err(NotTaken::TrunkFull);
    }
    if trunk.diversion == Diversion::Refuse && arrival.is_forwarded {
        return Err(NotTaken::Forwarded);
    }
    arrival.x.ok_or(NotTaken::NoNumber)
}
