//! Which calls are taken, before anything is looked up for them, and which bound one of them breaks.

use super::{CallLimit, Ending, Reason};
use crate::number::PhoneNumber;
use crate::trunk::{Diversion, Load, Trunk};

/// What is known of a call that comes.
#[derive(Clone, Copy, Debug)]
pub struct Arrival {
    /// Whether no more calls are taken, since the process is to stop.
    pub is_draining: bool,
    /// The calls that live, without this one.
    pub calls: usize,
    /// The most that may live at once.
    pub calls_max: usize,
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
    if arrival.is_draining || arrival.calls >= arrival.calls_max {
        return Err(NotTaken::Overload);
    }
    if !trunk.admits_from(arrival.load) {
        return Err(NotTaken::TrunkFull);
    }
    if trunk.diversion == Diversion::Refuse && arrival.is_forwarded {
        return Err(NotTaken::Forwarded);
    }
    arrival.x.ok_or(NotTaken::NoNumber)
}

/// How many calls stand, or may, at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    /// On one X.
    pub on_x: usize,
    /// Of one caller; 0 of one who does not say who it is.
    pub by_caller: usize,
}

impl CallLimit {
    /// The bound that a call breaks where, counted with it, so many stand. That of X comes first: it is there for
    /// numbers that forward to each other.
    pub fn broken(standing: Standing, most: Standing) -> Option<Self> {
        if standing.on_x > most.on_x {
            Some(Self::X)
        } else if standing.by_caller > most.by_caller {
            Some(Self::Caller)
        } else {
            None
        }
    }
}
