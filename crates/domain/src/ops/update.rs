//! Changing a binding.

use crate::allocation::live_conflict;
use crate::binding::{Binding, EndCause, Phase, Provision, SubsId};
use crate::carrier::CarrierName;
use crate::clock::Timestamp;
use crate::command::{Update, Updated};
use crate::event::Event;
use crate::number::PhoneNumber;
use crate::ops::provisions::may_be_asked;
use crate::ops::{Circumstances, Decided, binding_in, differ, expiration, party, pool_for};
use crate::overdue::ended;
use crate::pool::PoolRef;
use crate::refusal::Refusal;
use crate::state::State;

/// Change a binding; pool, id and X must belong together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UpdateBinding {
    /// The pool.
    pub pool: PoolRef,
    /// The binding.
    pub subs_id: SubsId,
    /// Its X.
    pub x: PhoneNumber,
    /// What to change, in order.
    pub updates: Vec<Update>,
    /// Carriers that cannot be asked now: what one of them must know of is not changed.
    pub carriers_down: Vec<CarrierName>,
}

pub(super) fn update(on: &Circumstances<'_>, asked: &UpdateBinding) -> Decided<Updated> {
    let &Circumstances { state, now, .. } = on;
    let (subs_id, x) = (asked.subs_id, asked.x);
    let pool = pool_for(on, &asked.pool)?;
    let before = binding_in(state, pool, subs_id, x)?;
    let provision = before.provision.as_deref();
    let is_unbound = provision.is_some_and(|provision| match provision.phase {
        Phase::Releasing { cause, .. } => cause != EndCause::Expired,
        _ => false,
    });
    if before.is_over(now) && !is_unbound {
        return Err(Refusal::BindingOver.into());
    }
    if !before.routes() {
        return Err(Refusal::BindingUnknown.into());
    }
    if provision.is_some_and(|provision| provision.phase == Phase::Changing) {
        // Another change is being asked for, and takes its place as a whole.
        return Err(Refusal::UpdateConflict.into());
    }
    let present = Binding {
        provision: None,
        ..before.clone()
    };
    let mut after = present.clone();
    for update in &asked.updates {
        change(state, &mut after, update, now)?;
    }
    if after == present {
        let of_carrier = asked.updates.iter().any(is_known_to_carrier);
        return match provision {
            // The carrier may hold other terms than these, or none.
            Some(provision) if of_carrier && provision.phase != Phase::Confirmed => {
                Err(Refusal::CarrierUnavailable.into())
            }
            _ => Ok((Vec::new(), Updated::AtOnce)),
        };
    }
    differ(after.a, after.b, Some(x))?;
    let at = state.inventory.find(x).ok_or(Refusal::BindingUnknown)?;
    if live_conflict(state, at, &after, now).is_some() {
        return Err(Refusal::UpdateConflict.into());
    }
    // Bindings that are over give up the slots that this one newly claims.
    let mut events: Vec<Event> = Vec::new();
    for slot in after.slots() {
        let holder = state
            .slot_at(at, slot)
            .and_then(|place| state.binding_at(place))
            .filter(|holder| holder.subs_id != subs_id);
        if let Some(over) = holder {
            let (event, _) = ended(pool, &over, EndCause::Expired, over.expires_at, now);
            if !events.contains(&event) {
                events.push(event);
            }
        }
    }
    let to_ask = match before.provision.as_deref() {
        Some(provision) if concerns_carrier(&before, &after) => {
            Some(proposed(on, asked, provision, &after)?)
        }
        _ => None,
    };
    let Some(proposed) = to_ask else {
        events.push(Event::BindingChanged(Box::new(after)));
        return Ok((events, Updated::AtOnce));
    };
    let (revision, fence) = (proposed.revision, proposed.fence);
    events.push(Event::ChangeProposed {
        binding: Box::new(after),
        revision,
        fence,
    });
    let asked = Binding {
        provision: Some(Box::new(proposed)),
        ..before.clone()
    };
    Ok((events, Updated::Asked(Box::new(asked))))
}

/// What the carrier is asked for.
fn proposed(
    on: &Circumstances<'_>,
    asked: &UpdateBinding,
    provision: &Provision,
    after: &Binding,
) -> Result<Provision, Refusal> {
    // It is to be told something first that it could not be told yet.
    if provision.phase != Phase::Confirmed {
        return Err(Refusal::CarrierUnavailable);
    }
    let carrier = on.state.carrier(&provision.carrier);
    let carrier = carrier.ok_or(Refusal::CarrierUnavailable)?;
    may_be_asked(on.state, carrier, &asked.carriers_down)?;
    Ok(Provision {
        phase: Phase::Changing,
        revision: provision.revision.saturating_add(1),
        fence: on.next_id(),
        proposed: Some(Box::new(after.clone())),
        ..provision.clone()
    })
}

/// Whether a carrier must know of the difference.
fn concerns_carrier(before: &Binding, after: &Binding) -> bool {
    let known = |of: &Binding| (of.a, of.b, of.expires_at);
    known(before) != known(after)
}

/// Whether it is of what [`concerns_carrier`] compares.
fn is_known_to_carrier(update: &Update) -> bool {
    matches!(update, Update::A(_) | Update::B(_) | Update::ExpiresAt(_))
}

fn change(
    state: &State,
    binding: &mut Binding,
    update: &Update,
    now: Timestamp,
) -> Result<(), Refusal> {
    match update {
        Update::A(number) => {
            binding.a = party(state, *number)?;
        }
        Update::B(number) => {
            binding.b = Some(party(state, *number)?);
        }
        Update::ExpiresAt(expires_at) => {
            expiration(*expires_at, now)?;
            binding.expires_at = *expires_at;
        }
        Update::Restriction(restriction) => binding.restriction = *restriction,
        Update::Record(record) => binding.record = *record,
        Update::OutId(out_id) => binding.extras.out_id.clone_from(out_id),
        Update::RingConfig(config) => binding.extras.ring_config.clone_from(config),
        Update::SpeechRecognition(on) => binding.speech_recognition = *on,
        Update::SpeechModel(model) => binding.extras.speech_model.clone_from(model),
    }
    Ok(())
}
