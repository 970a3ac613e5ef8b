//! Making a binding.

use crate::allocation::{Chosen, choose, take_explicit};
use crate::binding::{Binding, EndCause, Owner, Phase, Provision, SubsId};
use crate::chance::Chance;
use crate::clock::Timestamp;
use crate::command::BindRequest;
use crate::event::Event;
use crate::number::PhoneNumber;
use crate::ops::provisions::may_be_asked;
use crate::ops::{Circumstances, Decided, differ, expiration, party, pool_for};
use crate::overdue::{Refused, ended};
use crate::pool::Pool;
use crate::refusal::Refusal;
use crate::state::State;

/// The most ends that one bind records to make room in a quota. Only a quota that was lowered below what
/// an account has needs more than one.
const ENDS_MAX: usize = 8;
/// How many bindings one bind counts that are over and not yet recorded. Where there are more, which the job that
/// records them has in hand, binds are refused until it comes to an end.
const OVER_MAX: usize = 200;

/// The order of checks is the vendor's, as far as it is known (`errors`,
/// "Suggested precedence for a bind").
pub(super) fn bind(on: &Circumstances<'_>, request: &BindRequest) -> Decided<Box<Binding>> {
    let &Circumstances {
        state, now, seed, ..
    } = on;
    let pool = pool_for(on, &request.pool)?;
    if pool.product != request.product {
        return Err(Refusal::ProductMismatch.into());
    }
    let (a, b) = parties(state, request)?;
    expiration(request.expires_at, now)?;
    let proposed = Binding {
        b,
        owner: Some(Owner::of(pool)),
        ..proposed(request, SubsId(on.next_id()), a, now)
    };
    if let Some(binding) = same_order(state, pool, request, &proposed, now) {
        // The carrier may hold other terms, or has lost it, until it has answered.
        let phase = binding.provision.as_ref().map(|provision| provision.phase);
        if matches!(phase, Some(Phase::Changing | Phase::Renewing)) {
            return Err(Refusal::CarrierUnavailable.into());
        }
        return Ok((Vec::new(), Box::new(binding)));
    }
    let mut events = room_in_quota(state, pool, now)?;
    let Chosen { x, before } = match request.x {
        Some(_) => take_explicit(state, pool, &proposed, now)?,
        None => {
            let chance = &mut Chance::new(seed);
            choose(state, pool, &proposed, request.city.as_ref(), now, chance)?
        }
    };
    let provision = match reserved(state, pool, request, proposed.subs_id) {
        Ok(provision) => provision,
        Err(refusal) => {
            events.extend(
                before
                    .into_iter()
                    .filter(|event| !events.contains(event))
                    .collect::<Vec<_>>(),
            );
            let before = events;
            return Err(Refused { refusal, before });
        }
    };
    let binding = Box::new(Binding {
        x,
        provision,
        ..proposed
    });
    for event in before {
        if !events.contains(&event) {
            events.push(event);
        }
    }
    events.push(Event::Bound(binding.clone()));
    Ok((events, binding))
}

/// What the carrier of a pool is to know of a new binding, where there is one that must.
fn reserved(
    state: &State,
    pool: &Pool,
    request: &BindRequest,
    subs_id: SubsId,
) -> Result<Option<Box<Provision>>, Refusal> {
    let carrier = pool.carrier.as_ref().and_then(|name| state.carrier(name));
    let Some(carrier) = carrier.filter(|carrier| carrier.provisions()) else {
        return Ok(None);
    };
    may_be_asked(state, carrier, &request.carriers_down)?;
    Ok(Some(Box::new(Provision {
        carrier: carrier.name.clone(),
        phase: Phase::Reserved,
        revision: 1,
        fence: subs_id.0,
        held: None,
        proposed: None,
    })))
}

/// What is asked for, as a binding; without B, and without X where none is wanted.
fn proposed(request: &BindRequest, id: SubsId, a: PhoneNumber, now: Timestamp) -> Binding {
    // Taken apart in full: a wish that is not looked at would be forgotten.
    let BindRequest {
        pool: _,
        product,
        a: _,
        b: _,
        x,
        city: _,
        expires_at,
        restriction,
        record,
        speech_recognition,
        ring_timeout_s,
        extras,
        carriers_down: _,
    } = request;
    let x = x.unwrap_or(PhoneNumber::ERASED);
    Binding {
        restriction: *restriction,
        record: *record,
        speech_recognition: *speech_recognition,
        ring_timeout_s: *ring_timeout_s,
        extras: extras.clone(),
        ..Binding::new(id, *product, x, a, now..*expires_at)
    }
}

/// A and B, which may be parties, are there where the product needs them, and differ from each other and
/// from X.
fn parties(
    state: &State,
    request: &BindRequest,
) -> Result<(PhoneNumber, Option<PhoneNumber>), Refusal> {
    let a = party(state, request.a)?;
    let b = request.b.map(|b| party(state, b)).transpose()?;
    if b.is_none() && request.product.needs_b() {
        return Err(Refusal::BMissing);
    }
    differ(a, b, request.x)?;
    Ok((a, b))
}

/// The ends of bindings that are over, as many as must be recorded for one more to fit into the account's
/// quota; none where there is no quota or room enough.
fn room_in_quota(state: &State, pool: &Pool, now: Timestamp) -> Result<Vec<Event>, Refused> {
    let quota = state
        .account(&pool.account)
        .and_then(|account| account.bindings_max);
    let recorded = state.bindings_of_account(&pool.account);
    let Some(excess) = quota.and_then(|quota| (recorded + 1).checked_sub(quota)) else {
        return Ok(Vec::new());
    };
    let excess = excess as usize;
    let over = || state.over_of_account(&pool.account, now);
    let before: Vec<Event> = over()
        .take(excess.min(ENDS_MAX))
        .filter_map(|place| state.binding_at(place))
        .filter_map(|binding| {
            let pool = state.pool_of(binding.x)?;
            Some(ended(pool, &binding, EndCause::Expired, binding.expires_at, now).0)
        })
        .collect();
    if over().take(excess.min(OVER_MAX)).count() < excess {
        let refusal = Refusal::BindingsFull;
        return Err(Refused { refusal, before });
    }
    Ok(before)
}

/// A live binding of this pool with the same OutOrderId on the same terms,
/// where the pool wants it returned.
fn same_order(
    state: &State,
    pool: &Pool,
    request: &BindRequest,
    proposed: &Binding,
    now: Timestamp,
) -> Option<Binding> {
    if !pool.same_out_order_returns {
        return None;
    }
    request.extras.out_order_id.as_deref()?;
    // One that is asked for is waited for; one that is let go is none.
    let is_leaving = |binding: &Binding| {
        let provision = binding.provision.as_ref();
        provision.is_some_and(|provision| provision.phase.is_releasing())
    };
    let is_same = |binding: &Binding| {
        !binding.is_over(now) && !is_leaving(binding) && binding.same_terms(proposed)
    };
    match request.x {
        // Whoever has the same terms on this X holds the slots that are asked for.
        Some(x) => {
            let slot = proposed.slots().next()?;
            state.slot(x, slot).filter(is_same)
        }
        None => state
            .bindings
            .of_order(proposed.terms_hash())
            .filter_map(|place| state.binding_at(place))
            .find(is_same),
    }
}
