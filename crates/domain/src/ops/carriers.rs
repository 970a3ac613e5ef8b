//! Carriers.

use crate::carrier::{self, CARRIERS_MAX, Carrier, CarrierName};
use crate::event::Event;
use crate::ops::{Circumstances, Decided};
use crate::pool::PoolKey;
use crate::refusal::AdminRefusal;

/// Make or change a carrier. What it was compared by stays as it is known; one that holds something of ours must go
/// on being told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SetCarrier(pub Box<Carrier>);

/// Take a carrier away that no pool names and that holds nothing of ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeleteCarrier {
    /// The carrier.
    pub name: CarrierName,
}

pub(super) fn set_carrier(on: &Circumstances<'_>, SetCarrier(wanted): &SetCarrier) -> Decided<()> {
    carrier::check(wanted)?;
    if PoolKey::new(wanted.name.as_str()).is_well_formed() {
        return Err(AdminRefusal::Malformed {
            what: "carrier name",
            why: "it must not look like the key of a pool",
        }
        .into());
    }
    let before = on.state.carrier(&wanted.name);
    if before.is_none() && on.state.carriers_len() >= CARRIERS_MAX {
        return Err(AdminRefusal::Full {
            what: "carriers",
            limit: CARRIERS_MAX,
        }
        .into());
    }
    // One that is new here may have been known before a restore, and hold what is not known any more.
    let reconciled_epoch = before.map_or(0, |before| before.reconciled_epoch);
    let after = Carrier {
        reconciled_epoch,
        ..Carrier::clone(wanted)
    };
    let is_other = before.is_some_and(|before| before.kind != after.kind);
    if is_other && on.state.provisioned_len(&after.name) > 0 {
        return Err(AdminRefusal::Fixed {
            what: "carrier",
            why: "it holds bindings, which it must be told of by the protocol that it has",
        }
        .into());
    }
    if before == Some(&after) {
        return Ok((Vec::new(), ()));
    }
    Ok((vec![Event::CarrierSet(Box::new(after))], ()))
}

pub(super) fn delete_carrier(on: &Circumstances<'_>, asked: &DeleteCarrier) -> Decided<()> {
    let DeleteCarrier { name } = asked;
    if on.state.carrier(name).is_none() {
        return Err(AdminRefusal::NotFound { what: "carrier" }.into());
    }
    let is_named = on.state.pools_naming(name).next().is_some();
    if is_named || on.state.provisioned_len(name) > 0 {
        return Err(AdminRefusal::InUse { what: "carrier" }.into());
    }
    Ok((vec![Event::CarrierDeleted { name: name.clone() }], ()))
}
