//! Taking an X out of selection and putting it back.

use crate::access::PoolRef;
use crate::command::{Actor, Outcome};
use crate::event::Event;
use crate::number::PhoneNumber;
use crate::ops::{Decided, pool_for};
use crate::refusal::Refusal;
use crate::state::State;

/// A lock stops selection only; bindings on the number go on. Locking what is
/// locked changes nothing and is no error.
pub(super) fn set_locked(
    state: &State,
    by: &Actor,
    pool: &PoolRef,
    x: PhoneNumber,
    locked: bool,
) -> Decided {
    let pool = pool_for(state, by, pool)?;
    let number = state
        .number(x)
        .filter(|number| number.class.pool.as_ref() == Some(&pool.key))
        .ok_or(Refusal::NumberUnknown)?;
    let events = match (number.locked, locked) {
        (false, true) => vec![Event::NumberLocked { x }],
        (true, false) => vec![Event::NumberUnlocked { x }],
        (true, true) | (false, false) => Vec::new(),
    };
    Ok((events, Outcome::Done))
}
