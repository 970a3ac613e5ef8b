//! Adding and releasing X numbers.

use std::collections::BTreeSet;

use crate::binding::EndCause;
use crate::clock::Timestamp;
use crate::command::EVENTS_MAX;
use crate::event::Event;
use crate::inventory::Number;
use crate::number::PhoneNumber;
use crate::ops::{Circumstances, Decided};
use crate::overdue;
use crate::refusal::AdminRefusal;
use crate::state::State;

/// The longest list of emergency numbers.
const EMERGENCY_MAX: usize = 1000;
/// The longest name of a city or province, in bytes.
const PLACE_BYTES_MAX: usize = 64;

/// Add X numbers, or change their facts; at most [`EVENTS_MAX`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AddNumbers(pub Vec<Number>);

/// The most bindings that are over and not yet recorded on one number that is taken away; one with more is in use
/// until the job that records them has come to it.
pub const ENDS_MAX: usize = 8;

/// Take X numbers away; at most [`EVENTS_MAX`], none of them bound.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReleaseNumbers(pub Vec<PhoneNumber>);

/// Replace the list of numbers that may never be a party.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SetEmergencyNumbers(pub Vec<PhoneNumber>);

/// Adds numbers, or changes the facts of known ones; what the customer did
/// with a known one (its lock, its cooling) stays.
pub(super) fn add(on: &Circumstances<'_>, AddNumbers(numbers): &AddNumbers) -> Decided<()> {
    let state = on.state;
    bounded(numbers.len())?;
    let mut events = Vec::new();
    let mut seen = BTreeSet::new();
    for number in numbers {
        check(state, number)?;
        if !seen.insert(number.x) {
            return Err(AdminRefusal::Exists { what: "number" }.into());
        }
        let before = state.number(number.x);
        if let Some(before) = &before {
            let moves = before.class.pool != number.class.pool;
            if moves && state.bindings_count_on(number.x) > 0 {
                return Err(AdminRefusal::InUse { what: "number" }.into());
            }
        }
        let number = Number {
            locked: before.as_ref().is_some_and(|n| n.locked),
            cooling_until: before.as_ref().map_or(Timestamp(0), |n| n.cooling_until),
            idle_since: before.as_ref().map_or(Timestamp(0), |n| n.idle_since),
            ..number.clone()
        };
        if before.as_ref() != Some(&number) {
            events.push(Event::NumberSet(number));
        }
    }
    Ok((events, ()))
}

/// Takes numbers away. None of them may carry a binding, live or unswept.
pub(super) fn release(
    on: &Circumstances<'_>,
    ReleaseNumbers(numbers): &ReleaseNumbers,
) -> Decided<()> {
    let &Circumstances { state, now, .. } = on;
    bounded(numbers.len())?;
    let numbers: BTreeSet<PhoneNumber> = numbers.iter().copied().collect();
    let mut events = Vec::new();
    for &x in &numbers {
        let number = state
            .number(x)
            .ok_or(AdminRefusal::NotFound { what: "number" })?;
        let in_use = AdminRefusal::InUse { what: "number" };
        if state.bindings_count_on(x) as usize > ENDS_MAX {
            return Err(in_use.into());
        }
        let pool = number.class.pool.and_then(|key| state.pool(&key));
        for binding in state.bindings_on(x) {
            match pool {
                Some(pool) if binding.is_over(now) && binding.provision.is_none() => {
                    let cause = EndCause::Expired;
                    let at = binding.expires_at;
                    events.push(overdue::ended(pool, &binding, cause, at, now).0);
                }
                _ => return Err(in_use.into()),
            }
        }
        events.push(Event::NumberReleased { x });
    }
    bounded(events.len())?;
    Ok((events, ()))
}

pub(super) fn set_emergency(on: &Circumstances<'_>, asked: &SetEmergencyNumbers) -> Decided<()> {
    let SetEmergencyNumbers(numbers) = asked;
    if numbers.len() > EMERGENCY_MAX {
        return Err(AdminRefusal::TooMany {
            what: "emergency numbers",
            limit: EMERGENCY_MAX,
        }
        .into());
    }
    let numbers: BTreeSet<PhoneNumber> = numbers.iter().copied().collect();
    let numbers: Vec<PhoneNumber> = numbers.into_iter().collect();
    if on.state.emergency_numbers() == numbers {
        return Ok((Vec::new(), ()));
    }
    Ok((vec![Event::EmergencyNumbersSet { numbers }], ()))
}

fn check(state: &State, number: &Number) -> Result<(), AdminRefusal> {
    if number.x.is_erased() {
        return Err(AdminRefusal::Malformed {
            what: "number",
            why: "1 to 18 digits",
        });
    }
    let place_lengths = [
        number.class.city.as_str().len(),
        number.class.province.len(),
    ];
    if place_lengths.into_iter().any(|len| len > PLACE_BYTES_MAX) || place_lengths[0] == 0 {
        return Err(AdminRefusal::Malformed {
            what: "city or province",
            why: "1 to 64 bytes",
        });
    }
    match &number.class.pool {
        Some(key) if state.pool(key).is_none() => Err(AdminRefusal::NotFound { what: "pool" }),
        _ => Ok(()),
    }
}

fn bounded(count: usize) -> Result<(), AdminRefusal> {
    if count > EVENTS_MAX {
        return Err(AdminRefusal::TooMany {
            what: "numbers",
            limit: EVENTS_MAX,
        });
    }
    Ok(())
}
