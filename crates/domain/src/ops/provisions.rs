//! What comes of asking carriers: bindings that they hold, refuse, or must be told of again.

use std::collections::BTreeSet;

use crate::binding::{Binding, EndCause, Phase, Provision, SubsId};
use crate::carrier::{Carrier, CarrierName};
use crate::clock::Timestamp;
use crate::command::{EVENTS_MAX, Fence, Work};
use crate::event::Event;
use crate::number::PhoneNumber;
use crate::ops::{Circumstances, Decided};
use crate::overdue::ended;
use crate::refusal::{AdminRefusal, Refusal};
use crate::state::State;

/// Settle a request to a carrier. Of all that is said of one request only what is decided first counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SettleProvision {
    /// The binding.
    pub subs_id: SubsId,
    /// The fence of the request; an older one than the binding has is settled already.
    pub fence: u64,
    /// What came of it.
    pub settlement: Settlement,
}

/// What came of a request to a carrier.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Settlement {
    /// The carrier has done it.
    Done,
    /// It has not, and never will.
    NotDone,
    /// It is given up: the carrier may have done it, or may do it yet.
    Unsure,
    /// Whoever asked was told that it failed: what the carrier holds by it is let go, also if that was confirmed
    /// meanwhile.
    Abandoned,
    /// The carrier knows a newer fence of this X, so it needs a newer one.
    Stale,
}

/// Give up all requests for whose answers somebody waited: after a start, nobody does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AbandonAsked {
    /// Those to this carrier.
    pub carrier: CarrierName,
    /// No more than so many.
    pub at_most: u32,
}

/// Detach bindings from a carrier that is gone for good, and that no pool names any more. What it was to let go has ended;
/// what it was asked for first never was; all others stay as they were last confirmed, and no carrier must know of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ForgetCarrier {
    /// The carrier.
    pub carrier: CarrierName,
    /// The bindings; of which it must not know, nothing is done.
    pub bindings: BTreeSet<SubsId>,
}

/// Have a carrier told once more of a binding that it has lost. Nothing is done unless it still is as when it was
/// compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RenewProvision {
    /// The binding.
    pub subs_id: SubsId,
    /// The fence that it had then.
    pub fence: u64,
}

/// Have a carrier let go what it holds though it is none of ours; the outcome has the fence of the request. What is
/// bound with another carrier is refused: two carriers may be one system, which holds the bindings of both.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReleaseOrphan {
    /// The carrier.
    pub carrier: CarrierName,
    /// What it calls the binding.
    pub subs_id: SubsId,
    /// The X.
    pub x: PhoneNumber,
}

/// Write down that all that a carrier holds was compared with what is bound.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NoteReconciled {
    /// The carrier.
    pub carrier: CarrierName,
    /// In which epoch it began.
    pub epoch: u32,
}

pub(super) fn settle(on: &Circumstances<'_>, asked: &SettleProvision) -> Decided<()> {
    let binding = on.state.binding(asked.subs_id);
    let binding = binding.ok_or(Refusal::BindingUnknown)?;
    let provision = binding.provision.as_deref();
    let provision = provision.filter(|provision| provision.fence == asked.fence);
    let provision = provision.ok_or(Refusal::BindingUnknown)?;
    let events = match (provision.phase, asked.settlement) {
        // Nobody knows of a new binding but who was told that there is none.
        (Phase::Confirmed, Settlement::Abandoned) if provision.revision == 1 => {
            let cause = EndCause::NotProvisioned;
            vec![releasing(on, &binding, provision, cause, on.now)]
        }
        // Nobody asked.
        (Phase::Confirmed, _) => return Err(Refusal::BindingUnknown.into()),

        (Phase::Reserved, Settlement::Done) => {
            vec![confirmed(&binding, provision, Some(provision.fence))]
        }
        (Phase::Reserved, Settlement::NotDone) => {
            gone(on, &binding, EndCause::NotProvisioned, on.now)
        }
        (Phase::Reserved, Settlement::Unsure | Settlement::Abandoned | Settlement::Stale) => {
            vec![releasing(
                on,
                &binding,
                provision,
                EndCause::NotProvisioned,
                on.now,
            )]
        }

        (Phase::Changing, Settlement::Done) => {
            let proposed = provision.proposed.clone();
            let changed = proposed.map(Event::BindingChanged);
            let confirmed = confirmed(&binding, provision, Some(provision.fence));
            changed.into_iter().chain([confirmed]).collect()
        }
        (Phase::Changing, Settlement::NotDone) => {
            vec![confirmed(&binding, provision, provision.held)]
        }
        (Phase::Changing, Settlement::Unsure | Settlement::Abandoned | Settlement::Stale) => {
            vec![moved(on, &binding, provision, Phase::Renewing)]
        }

        (Phase::Renewing, Settlement::Done) => {
            vec![confirmed(&binding, provision, Some(provision.fence))]
        }
        (Phase::Releasing { cause, at }, Settlement::Done) => gone(on, &binding, cause, at),
        // It must be done, so it is asked again, with a fence that is not too old.
        (phase @ (Phase::Renewing | Phase::Releasing { .. }), Settlement::Stale) => {
            vec![moved(on, &binding, provision, phase)]
        }
        (
            Phase::Renewing | Phase::Releasing { .. },
            Settlement::NotDone | Settlement::Unsure | Settlement::Abandoned,
        ) => Vec::new(),
    };
    Ok((events, ()))
}

pub(super) fn abandon(on: &Circumstances<'_>, asked: &AbandonAsked) -> Decided<Work> {
    let at_most = (asked.at_most as usize).min(EVENTS_MAX);
    let mut waiting = on.state.asked_of(&asked.carrier);
    let mut events = Vec::new();
    for binding in waiting.by_ref().take(at_most) {
        let Some(provision) = binding.provision.as_deref() else {
            continue;
        };
        events.push(match provision.phase {
            Phase::Changing => moved(on, &binding, provision, Phase::Renewing),
            _ => releasing(on, &binding, provision, EndCause::NotProvisioned, on.now),
        });
    }
    let work = Work {
        count: events.len() as u32,
        more: waiting.next().is_some(),
    };
    Ok((events, work))
}

pub(super) fn forget(on: &Circumstances<'_>, asked: &ForgetCarrier) -> Decided<Work> {
    let state = on.state;
    let ForgetCarrier { carrier, bindings } = asked;
    if state.carrier(carrier).is_none() {
        return Err(AdminRefusal::NotFound { what: "carrier" }.into());
    }
    if let Some(pool) = state.pools_naming(carrier).next() {
        return Err(AdminRefusal::CarrierNamed {
            carrier: carrier.as_str().into(),
            pool: pool.key.as_str().into(),
        }
        .into());
    }
    if bindings.len() > EVENTS_MAX {
        return Err(AdminRefusal::TooMany {
            what: "bindings",
            limit: EVENTS_MAX,
        }
        .into());
    }
    let mut events = Vec::new();
    for binding in bindings.iter().filter_map(|&id| state.binding(id)) {
        let provision = binding.provision.as_deref();
        let Some(provision) = provision.filter(|known| known.carrier == *carrier) else {
            continue;
        };
        match provision.phase {
            Phase::Releasing { cause, at } => events.extend(gone(on, &binding, cause, at)),
            Phase::Reserved => {
                events.extend(gone(on, &binding, EndCause::NotProvisioned, on.now));
            }
            Phase::Confirmed | Phase::Changing | Phase::Renewing => {
                events.push(Event::ProvisionDropped {
                    subs_id: binding.subs_id,
                    x: binding.x,
                });
            }
        }
    }
    let work = Work {
        count: events.len() as u32,
        more: state.provisioned_len(carrier) > events.len(),
    };
    Ok((events, work))
}

pub(super) fn renew(on: &Circumstances<'_>, asked: &RenewProvision) -> Decided<()> {
    let binding = on.state.binding(asked.subs_id);
    let binding = binding.ok_or(Refusal::BindingUnknown)?;
    let events = match binding.provision.as_deref() {
        Some(provision)
            if (provision.phase, provision.fence) == (Phase::Confirmed, asked.fence) =>
        {
            vec![moved(on, &binding, provision, Phase::Renewing)]
        }
        _ => Vec::new(),
    };
    Ok((events, ()))
}

pub(super) fn release_orphan(on: &Circumstances<'_>, asked: &ReleaseOrphan) -> Decided<Fence> {
    let state = on.state;
    if state.carrier(&asked.carrier).is_none() {
        return Err(AdminRefusal::NotFound { what: "carrier" }.into());
    }
    let is_ours = |binding: &Binding| binding.x == asked.x && binding.provision.is_some();
    if state.binding(asked.subs_id).as_ref().is_some_and(is_ours) {
        return Err(AdminRefusal::InUse { what: "binding" }.into());
    }
    let fence = on.next_id();
    // What is no number of ours may be a person's, which a carrier took for an X.
    let is_number = state.inventory.find(asked.x).is_some();
    let event = Event::OrphanReleasing {
        carrier: asked.carrier.clone(),
        subs_id: asked.subs_id,
        x: if is_number {
            asked.x
        } else {
            PhoneNumber::ERASED
        },
        fence,
    };
    Ok((vec![event], Fence(fence)))
}

pub(super) fn note_reconciled(on: &Circumstances<'_>, asked: &NoteReconciled) -> Decided<()> {
    let carrier = on.state.carrier(&asked.carrier);
    let carrier = carrier.ok_or(AdminRefusal::NotFound { what: "carrier" })?;
    if asked.epoch <= carrier.reconciled_epoch {
        return Ok((Vec::new(), ()));
    }
    let event = Event::CarrierReconciled {
        name: asked.carrier.clone(),
        epoch: asked.epoch,
    };
    Ok((vec![event], ()))
}

/// Refuses what a carrier would be asked for that cannot be asked now.
pub(super) fn may_be_asked(
    state: &State,
    carrier: &Carrier,
    carriers_down: &[CarrierName],
) -> Result<(), Refusal> {
    // After a restore it may hold what is not known here, on slots that look free.
    let is_reconciled = carrier.reconciled_epoch >= state.epoch();
    match is_reconciled && !carriers_down.contains(&carrier.name) {
        true => Ok(()),
        false => Err(Refusal::CarrierUnavailable),
    }
}

/// The carrier holds what is confirmed now, by the request with this fence.
fn confirmed(binding: &Binding, provision: &Provision, held: Option<u64>) -> Event {
    Event::ProvisionChanged {
        subs_id: binding.subs_id,
        x: binding.x,
        phase: Phase::Confirmed,
        revision: provision.revision,
        fence: provision.fence,
        held,
    }
}

/// The carrier must be told something, in a further request.
fn moved(on: &Circumstances<'_>, binding: &Binding, provision: &Provision, phase: Phase) -> Event {
    Event::ProvisionChanged {
        subs_id: binding.subs_id,
        x: binding.x,
        phase,
        revision: provision.revision.saturating_add(1),
        fence: on.next_id(),
        held: provision.held,
    }
}

/// No call goes by the binding any more, and the carrier must be told so.
pub(super) fn releasing(
    on: &Circumstances<'_>,
    binding: &Binding,
    provision: &Provision,
    cause: EndCause,
    at: Timestamp,
) -> Event {
    moved(on, binding, provision, Phase::Releasing { cause, at })
}

/// The carrier does not hold it, and nothing of it is left.
fn gone(on: &Circumstances<'_>, binding: &Binding, cause: EndCause, at: Timestamp) -> Vec<Event> {
    let pool = on.state.pool_of(binding.x);
    let ended = pool.map(|pool| ended(pool, binding, cause, at, on.now).0);
    ended.into_iter().collect()
}
