//! Taking an X out of selection and putting it back.

use crate::event::Event;
use crate::number::PhoneNumber;
use crate::ops::{Circumstances, Decided, pool_for};
use crate::pool::PoolRef;
use crate::refusal::Refusal;

/// Take an X out of selection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lock {
    /// The pool.
    pub pool: PoolRef,
    /// The number.
    pub x: PhoneNumber,
}

/// Put an X back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unlock {
    /// The pool.
    pub pool: PoolRef,
    /// The number.
    pub x: PhoneNumber,
}

pub(super) fn lock(on: &Circumstances<'_>, asked: &Lock) -> Decided<()> {
    set_locked(on, &asked.pool, asked.x, true)
}

pub(super) fn unlock(on: &Circumstances<'_>, asked: &Unlock) -> Decided<()> {
    set_locked(on, &asked.pool, asked.x, false)
}

/// A lock stops selection only; bindings on the number go on. Locking what is
/// locked changes nothing and is no error.
fn set_locked(on: &Circumstances<'_>, pool: &PoolRef, x: PhoneNumber, locked: bool) -> Decided<()> {
    let pool = pool_for(on, pool)?;
    let number = on
        .state
        .number(x)
        .filter(|number| number.class.pool.as_ref() == Some(&pool.key))
        .ok_or(Refusal::NumberUnknown)?;
    let events = match (number.locked, locked) {
        (false, true) => vec![Event::NumberLocked { x }],
        (true, false) => vec![Event::NumberUnlocked { x }],
        (true, true) | (false, false) => Vec::new(),
    };
    Ok((events, ()))
}
