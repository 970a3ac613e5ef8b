//! How far carriers know of bindings, beside them.
//!
//! Nearly always a carrier holds what is bound, by the newest request: of that there are 12 bytes at the position of
//! the binding, and in its cell the id of the carrier, so that a call need not look here but for the carrier's name.
//! All else is on its way to that, or to the end of the binding, and lies whole in a map.

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroU8;

use crate::binding::{Binding, Phase, Provision};
use crate::carrier::CarrierName;
use crate::number::PhoneNumber;
use crate::product::Slot;
use crate::slab::SparseColumn;
use crate::visits::visit;

/// A carrier that holds bindings, in a byte. It is given to another one when it holds none any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct CarrierId(NonZeroU8);

impl CarrierId {
    fn at(place: usize) -> Option<Self> {
        let number = u8::try_from(place + 1).ok()?;
        NonZeroU8::new(number).map(Self)
    }

    fn place(self) -> usize {
        usize::from(self.0.get()) - 1
    }
}

/// The request by which a carrier holds a binding: the newest about it.
#[derive(Debug, Clone, Copy, Default)]
#[repr(Rust, packed(4))]
struct Held {
    fence: u64,
    revision: u32,
}

/// How far carriers know of the bindings of which one must, by position.
#[derive(Debug, Clone, Default)]
pub(crate) struct Provisions {
    /// Of those that are held by the newest request.
    held: SparseColumn<Held>,
    /// Of all others.
    unsettled: BTreeMap<u32, Provision>,
    /// The slots of changes that carriers were asked for and that are not settled: X, party, and the binding.
    claimed: BTreeSet<(PhoneNumber, PhoneNumber, u32)>,
    by_carrier: BTreeMap<CarrierName, ByCarrier>,
    /// By the place of their ids.
    names: Vec<Option<CarrierName>>,
}

/// The bindings that one carrier must know of.
#[derive(Debug, Clone, Default)]
struct ByCarrier {
    /// None where all ids are others'.
    id: Option<CarrierId>,
    count: usize,
    /// For whose answer somebody waits, by fence.
    asked: BTreeSet<(u64, u32)>,
    /// Of which it must be told, by fence.
    owed: BTreeSet<(u64, u32)>,
}

impl ByCarrier {
    fn list_of(&mut self, phase: Phase) -> Option<&mut BTreeSet<(u64, u32)>> {
        match phase {
            phase if phase.is_asked() => Some(&mut self.asked),
            phase if phase.is_owed() => Some(&mut self.owed),
            _ => None,
        }
    }
}

impl Provisions {
    /// Adds that of the binding at this position on X. The id that is given back is kept in the cell of the binding: by
    /// it the rest is found.
    pub fn insert(&mut self, at: u32, x: PhoneNumber, provision: Provision) -> Option<CarrierId> {
        let names = &mut self.names;
        let of = (self.by_carrier)
            .entry(provision.carrier.clone())
            .or_insert_with(|| ByCarrier {
                id: new_id(names, &provision.carrier),
                ..ByCarrier::default()
            });
        of.count += 1;
        if let Some(list) = of.list_of(provision.phase) {
            list.insert((provision.fence, at));
        }
        for party in changed_parties(&provision) {
            self.claimed.insert((x, party, at));
        }
        match of.id.filter(|_| is_held_by_the_newest(&provision)) {
            Some(id) => {
                let Provision {
                    fence, revision, ..
                } = provision;
                self.held.set(at, Held { fence, revision });
                Some(id)
            }
            None => {
                self.unsettled.insert(at, provision);
                None
            }
        }
    }

    /// Takes out that of the binding at this position on X, whose cell keeps this id.
    pub fn remove(&mut self, at: u32, x: PhoneNumber, id: Option<CarrierId>) {
        let provision = match id {
            Some(_) => self.get(at, id),
            None => self.unsettled.remove(&at),
        };
        let Some(provision) = provision else { return };
        if let Some(of) = self.by_carrier.get_mut(&provision.carrier) {
            of.count -= 1;
            if let Some(list) = of.list_of(provision.phase) {
                list.remove(&(provision.fence, at));
            }
            if of.count == 0 {
                let id = of.id.and_then(|id| self.names.get_mut(id.place()));
                if let Some(name) = id {
                    *name = None;
                }
                self.by_carrier.remove(&provision.carrier);
            }
        }
        for party in changed_parties(&provision) {
            self.claimed.remove(&(x, party, at));
        }
    }

    /// That of the binding at this position, of which a carrier must know and whose cell keeps this id.
    pub fn get(&self, at: u32, id: Option<CarrierId>) -> Option<Provision> {
        let Some(id) = id else {
            return self.unsettled.get(&at).cloned();
        };
        let Held { fence, revision } = *self.held.get(at)?;
        Some(Provision {
            carrier: self.name(id)?.clone(),
            phase: Phase::Confirmed,
            revision,
            fence,
            held: Some(fence),
            proposed: None,
        })
    }

    /// The same as far as a call needs it: the carrier, and how far it knows of the binding.
    pub fn known_by(&self, at: u32, id: Option<CarrierId>) -> Option<(&CarrierName, Phase)> {
        match id {
            Some(id) => Some((self.name(id)?, Phase::Confirmed)),
            None => {
                let provision = self.unsettled.get(&at)?;
                Some((&provision.carrier, provision.phase))
            }
        }
    }

    fn name(&self, id: CarrierId) -> Option<&CarrierName> {
        self.names.get(id.place())?.as_ref()
    }

    /// The bindings on X of which a change claims the slot of this party there.
    pub fn claimed_by_change(
        &self,
        x: PhoneNumber,
        party: PhoneNumber,
    ) -> impl Iterator<Item = u32> + '_ {
        let all = (x, party, 0)..=(x, party, u32::MAX);
        self.claimed.range(all).map(|&(.., at)| at)
    }

    /// How many bindings a carrier must know of.
    pub fn count_of(&self, carrier: &CarrierName) -> usize {
        self.by_carrier.get(carrier).map_or(0, |of| of.count)
    }

    /// Those for whose answer from this carrier somebody waits, from a fence on.
    pub fn asked_of(&self, carrier: &CarrierName, fence: u64) -> impl Iterator<Item = u32> + '_ {
        let of = self.by_carrier.get(carrier);
        from(of.map(|of| &of.asked), fence)
    }

    /// Those of which this carrier must be told, from a fence on.
    pub fn owed_to(&self, carrier: &CarrierName, fence: u64) -> impl Iterator<Item = u32> + '_ {
        let of = self.by_carrier.get(carrier);
        from(of.map(|of| &of.owed), fence)
    }

    /// How many these are.
    pub fn owed_len(&self, carrier: &CarrierName) -> usize {
        self.by_carrier.get(carrier).map_or(0, |of| of.owed.len())
    }
}

/// Whether what fits in [`Held`] tells all.
fn is_held_by_the_newest(provision: &Provision) -> bool {
    provision.phase == Phase::Confirmed
        && provision.held == Some(provision.fence)
        && provision.proposed.is_none()
}

/// An id that no carrier has; none if there is none left.
fn new_id(names: &mut Vec<Option<CarrierName>>, name: &CarrierName) -> Option<CarrierId> {
    let place = names.iter().position(Option::is_none);
    let place = place.unwrap_or(names.len());
    let id = CarrierId::at(place)?;
    match names.get_mut(place) {
        Some(free) => *free = Some(name.clone()),
        None => names.push(Some(name.clone())),
    }
    Some(id)
}

fn from(list: Option<&BTreeSet<(u64, u32)>>, fence: u64) -> impl Iterator<Item = u32> + '_ {
    list.into_iter()
        .flat_map(move |list| list.range((fence, 0)..))
        .inspect(|_| visit())
        .map(|&(_, at)| at)
}

/// Who has a slot by a change that is not settled.
fn changed_parties(provision: &Provision) -> impl Iterator<Item = PhoneNumber> + '_ {
    let proposed = provision.proposed.as_deref();
    let slots = proposed.into_iter().flat_map(Binding::slots);
    slots.filter_map(|slot| match slot {
        Slot::Party(party) => Some(party),
        // Whoever has it on X has it before and after.
        Slot::Anyone => None,
    })
}

#[cfg(test)]
mod tests;
