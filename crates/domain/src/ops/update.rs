//! Changing a binding.

use crate::allocation::live_conflict;
use crate::binding::{Binding, EndCause, SubsId};
use crate::clock::Timestamp;
use crate::command::Update;
use crate::event::Event;
use crate::number::PhoneNumber;
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
}

pub(super) fn update(on: &Circumstances<'_>, asked: &UpdateBinding) -> Decided<()> {
    let &Circumstances { state, now, .. } = on;
    let (subs_id, x) = (asked.subs_id, asked.x);
    let pool = pool_for(on, &asked.pool)?;
    let before = binding_in(state, pool, subs_id, x)?;
    if before.is_over(now) {
        return Err(Refusal::BindingOver.into());
    }
    let mut after = before.clone();
    for update in &asked.updates {
        change(state, &mut after, update, now)?;
    }
    if after == before {
        return Ok((Vec::new(), ()));
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
    events.push(Event::BindingChanged(Box::new(after)));
    Ok((events, ()))
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
