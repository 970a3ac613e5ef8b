//! The live bindings and the ways to find one.

use std::collections::BTreeSet;

use hashbrown::HashTable;

use crate::binding::{Binding, Extras, Phase, Provision, Restriction, SubsId};
use crate::carrier::CarrierName;
use crate::clock::Timestamp;
use crate::hashed::Hashed;
use crate::inventory::{At, hash_u64};
use crate::number::PhoneNumber;
use crate::ordered::Ordered;
use crate::product::{Claim, Product, Slot};
use crate::provisions::{CarrierId, Provisions};
use crate::slab::{Column, NONE, Slab};
use crate::visits::visit;

/// A binding as it lies in memory: 64 bytes, which are one line of the processor's cache, and, if it carries any, its
/// extras.
#[derive(Debug, Clone)]
#[repr(align(64))]
struct Cell {
    subs_id: SubsId,
    a: PhoneNumber,
    b: Option<PhoneNumber>,
    created_at: Timestamp,
    expires_at: Timestamp,
    extras: Option<Box<Extras>>,
    x: At,
    /// Neighbours among the bindings on the same X.
    next: u32,
    previous: u32,
    product: Product,
    /// Who holds it by the newest request; none too where a carrier must know of it and does not so far.
    held_by: Option<CarrierId>,
    flags: u8,
    ring_timeout_s: u8,
}

/// What a look-up needs to know of the X of a binding, so that it need not read the number. Beside the cell, for which
/// it would be too much; both are read at once.
#[derive(Debug, Clone, Copy)]
#[repr(Rust, packed(4))]
struct OnX {
    x: PhoneNumber,
    class: u32,
}

const RECORD: u8 = 1;
const SPEECH: u8 = 2;
const RINGS: u8 = 4;
/// A carrier must know of it: there is more in [`Bindings::provisions`].
const PROVISIONED: u8 = 8;
const A_MAY_NOT_DIAL: u8 = 16;
const OTHERS_MAY_NOT_DIAL: u8 = 32;

/// All live bindings, and those that are over but not yet swept.
#[derive(Debug, Clone, Default)]
pub(crate) struct Bindings {
    cells: Slab<Cell>,
    on_x: Column<OnX>,
    by_id: HashTable<u32>,
    in_order: Ordered<SubsId>,
    /// (X, slot) → binding. A binding that holds the slot of anyone is found
    /// by its X, so none of its slots has an entry here.
    by_slot: Hashed,
    /// The digits of X → the binding that holds the slot of anyone.
    by_x: Hashed,
    /// Those that carry an OutOrderId and are not let go, by the hash of their terms and by id.
    by_order: BTreeSet<(u64, SubsId, u32)>,
    /// How far carriers know of those of which one must.
    provisions: Provisions,
    /// Whether bindings are left out of `by_id`, `in_order`, `by_slot` and `by_x` for now; see [`Bindings::index_all`].
    is_unindexed: bool,
}

/// A binding's position and by which of its claims it has the slot, in 32 bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Entry(u32);

impl Entry {
    /// Room for so many bits of a claim: eight kinds, of which a binding has each once.
    const CLAIM_BITS: u32 = 3;

    fn new(at: u32, claim: Claim) -> Self {
        const {
            assert!(
                Claim::ALL.len() <= 1 << Self::CLAIM_BITS,
                "every claim has its bits"
            );
        }
        // Beyond it the entry would be of another binding, and a call would reach another party.
        assert!(
            at < 1 << (u32::BITS - Self::CLAIM_BITS),
            "five hundred million bindings are enough"
        );
        Self(at << Self::CLAIM_BITS | claim as u32)
    }

    fn at(self) -> u32 {
        self.0 >> Self::CLAIM_BITS
    }

    fn claim(self) -> Option<Claim> {
        let place = self.0 & ((1 << Self::CLAIM_BITS) - 1);
        Claim::ALL.get(place as usize).copied()
    }

    /// The slot that the entry is of.
    fn slot(self, cell: &Cell) -> Option<Slot> {
        self.claim()?.slot(cell.a, cell.b)
    }
}

/// What of a binding of these parties has an entry of its own: its claims, and their slots.
fn entries(
    product: Product,
    a: PhoneNumber,
    b: Option<PhoneNumber>,
) -> impl Iterator<Item = (Claim, Slot)> {
    let mut slots = product.claims(a, b).map(|(_, slot)| slot);
    let kept_with_number = slots.any(|slot| slot == Slot::Anyone);
    product.claims(a, b).filter(move |_| !kept_with_number)
}

fn slot_hash(x: At, slot: Slot) -> u64 {
    let packed = match slot {
        Slot::Party(party) => party.packed(),
        // Found by X, never here.
        Slot::Anyone => 0,
    };
    hash_u64(packed ^ (u64::from(x) << 32 | u64::from(x)).rotate_left(17))
}

/// The hash of an entry that is in the table.
fn entry_hash(cells: &Slab<Cell>, entry: Entry) -> u64 {
    let cell = cells.get(entry.at()).expect("every indexed binding exists");
    let slot = entry.slot(cell);
    slot_hash(cell.x, slot.expect("only slots that are held are indexed"))
}

impl Bindings {
    /// While many bindings come in, with none before: they are not found until [`Bindings::index_all`].
    pub fn leave_unindexed(&mut self) {
        self.is_unindexed = true;
    }

    /// Lets all bindings be found. One index after the other, in loops that do nothing else, so that the processor
    /// waits for many places of memory at once.
    pub fn index_all(&mut self) {
        if !std::mem::take(&mut self.is_unindexed) {
            return;
        }
        let Self {
            cells,
            by_id,
            in_order,
            by_slot,
            by_x,
            ..
        } = self;
        let places = || (0..cells.len() as u32).filter_map(|at| Some((at, cells.get(at)?)));
        let id_of = |at| cells.get(at).map_or(SubsId(0), |cell| cell.subs_id);
        let hash_at = |&at: &u32| hash_u64(id_of(at).0);
        by_id.reserve(cells.len(), hash_at);
        for (at, cell) in places() {
            by_id.insert_unique(hash_u64(cell.subs_id.0), at, hash_at);
        }
        for (at, cell) in places() {
            in_order.insert(cell.subs_id, at, id_of);
        }
        let entries = || {
            places().flat_map(|(at, cell)| {
                let entries = entries(cell.product, cell.a, cell.b);
                entries.map(move |(claim, slot)| (slot_hash(cell.x, slot), Entry::new(at, claim)))
            })
        };
        by_slot.make_room(entries().count());
        for (hash, entry) in entries() {
            by_slot.insert(hash, entry.0, |entry| entry_hash(cells, Entry(entry)));
        }
        let holds_anyone =
            |cell: &Cell| (cell.product.claim_of(Slot::Anyone, cell.a, cell.b)).is_some();
        let of_anyone = || places().filter(|(_, cell)| holds_anyone(cell));
        by_x.make_room(of_anyone().count());
        let of_anyone: Vec<u32> = of_anyone().map(|(at, _)| at).collect();
        for at in of_anyone {
            if let Some(x) = self.on_x.get(at).map(|on| on.x) {
                self.set_holder_of_anyone(x, Some(at));
            }
        }
    }

    pub fn len(&self) -> usize {
        self.cells.len()
    }

    pub fn find(&self, id: SubsId) -> Option<u32> {
        self.by_id
            .find(hash_u64(id.0), |&at| self.id(at) == Some(id))
            .copied()
    }

    /// Whether the binding at this position holds `slot` of its X.
    pub fn holds(&self, at: u32, slot: Slot) -> bool {
        let cell = self.cells.get(at);
        cell.is_some_and(|cell| cell.product.claim_of(slot, cell.a, cell.b).is_some())
    }

    /// The binding that holds `slot` of `x`, unless it holds that of anyone too.
    pub fn holder(&self, x: At, slot: Slot) -> Option<u32> {
        self.by_slot
            .find(slot_hash(x, slot), |entry| {
                let entry = Entry(entry);
                self.cells
                    .get(entry.at())
                    .is_some_and(|cell| cell.x == x && entry.slot(cell) == Some(slot))
            })
            .map(|entry| Entry(entry).at())
    }

    /// The binding that holds the slot of anyone on X.
    pub fn holder_of_anyone(&self, x: PhoneNumber) -> Option<u32> {
        let is_on_x = |at| self.on_x.get(at).is_some_and(|on| { on.x } == x);
        self.by_x.find(hash_u64(x.packed()), is_on_x)
    }

    /// Notes that another binding on X holds the slot of anyone, or none does.
    pub fn set_holder_of_anyone(&mut self, x: PhoneNumber, holder: Option<u32>) {
        if self.is_unindexed {
            return;
        }
        let hash = hash_u64(x.packed());
        if let Some(before) = self.holder_of_anyone(x) {
            self.by_x.remove(hash, before);
        }
        let on_x = &self.on_x;
        let hash_of = |at| hash_u64(on_x.get(at).map_or(0, |on| { on.x }.packed()));
        if let Some(at) = holder {
            self.by_x.insert(hash, at, hash_of);
        }
    }

    /// The class of the number that carries a binding.
    pub fn class(&self, at: u32) -> Option<u32> {
        self.on_x.get(at).map(|on| on.class)
    }

    /// Those that carry an OutOrderId, are not let go, and whose terms have this hash, by id.
    pub fn of_order(&self, terms_hash: u64) -> impl Iterator<Item = u32> + '_ {
        let all = (terms_hash, SubsId(0), 0)..=(terms_hash, SubsId(u64::MAX), u32::MAX);
        self.by_order
            .range(all)
            .inspect(|_| visit())
            .map(|&(.., at)| at)
    }

    pub fn id(&self, at: u32) -> Option<SubsId> {
        self.cells.get(at).map(|cell| cell.subs_id)
    }

    pub fn x(&self, at: u32) -> Option<At> {
        self.cells.get(at).map(|cell| cell.x)
    }

    pub fn next_on_x(&self, at: u32) -> u32 {
        self.cells.get(at).map_or(NONE, |cell| cell.next)
    }

    pub fn expires_at(&self, at: u32) -> Timestamp {
        self.cells
            .get(at)
            .map_or(Timestamp(0), |cell| cell.expires_at)
    }

    /// Whether its slots are held at `now`: until it is over, or until the carrier that must know of it lets it go.
    pub fn holds_slots(&self, at: u32, now: Timestamp) -> bool {
        self.expires_at(at) > now || self.is_provisioned(at)
    }

    /// When its end is to be recorded, or its carrier told of it; never once that is done.
    pub fn ends_at(&self, at: u32) -> Timestamp {
        let phase = self.known_by(at).map(|(_, phase)| phase);
        match phase.is_some_and(Phase::is_releasing) {
            true => Timestamp::NEVER,
            false => self.expires_at(at),
        }
    }

    /// When it gives up its place in the quota of its account by time alone.
    pub fn leaves_quota_at(&self, at: u32) -> Timestamp {
        match self.is_provisioned(at) {
            true => Timestamp::NEVER,
            false => self.expires_at(at),
        }
    }

    /// The binding in full but for its owner.
    pub fn get(&self, at: u32) -> Option<Binding> {
        let mut binding = self.get_unprovisioned(at)?;
        binding.provision = self.provision(at).map(Box::new);
        Some(binding)
    }

    /// The same without how far a carrier knows of it, which a call looks up in [`Bindings::known_by`].
    // Written out, as is the packing in `insert`: a field that neither keeps would be lost.
    pub fn get_unprovisioned(&self, at: u32) -> Option<Binding> {
        let cell = self.cells.get(at)?;
        Some(Binding {
            subs_id: cell.subs_id,
            product: cell.product,
            x: self.on_x.get(at)?.x,
            a: cell.a,
            b: cell.b,
            created_at: cell.created_at,
            expires_at: cell.expires_at,
            restriction: match cell.flags {
                flags if flags & A_MAY_NOT_DIAL != 0 => Restriction::AMayNotDial,
                flags if flags & OTHERS_MAY_NOT_DIAL != 0 => Restriction::OthersMayNotDial,
                _ => Restriction::None,
            },
            record: cell.flags & RECORD != 0,
            speech_recognition: cell.flags & SPEECH != 0,
            ring_timeout_s: (cell.flags & RINGS != 0).then_some(cell.ring_timeout_s),
            extras: cell.extras.as_deref().cloned().unwrap_or_default(),
            owner: None,
            provision: None,
        })
    }

    /// Adds a binding at the head of the list of its X, a number of this class; gives its position.
    pub fn insert(&mut self, binding: Binding, x: At, class: u32, next: u32) -> u32 {
        let on = OnX {
            x: binding.x,
            class,
        };
        // What is let go is nobody's order any more, and there may be very many on the same terms.
        let is_order = binding.extras.out_order_id.is_some() && !is_releasing(&binding);
        let order = is_order.then(|| binding.terms_hash());
        let Binding {
            subs_id,
            product,
            x: _,
            a,
            b,
            created_at,
            expires_at,
            restriction,
            record,
            speech_recognition,
            ring_timeout_s,
            extras,
            owner: _,
            provision,
        } = binding;
        let mut flags = match restriction {
            Restriction::None => 0,
            Restriction::AMayNotDial => A_MAY_NOT_DIAL,
            Restriction::OthersMayNotDial => OTHERS_MAY_NOT_DIAL,
        };
        for (given, flag) in [
            (record, RECORD),
            (speech_recognition, SPEECH),
            (ring_timeout_s.is_some(), RINGS),
            (provision.is_some(), PROVISIONED),
        ] {
            flags |= if given { flag } else { 0 };
        }
        let at = self.cells.insert(Cell {
            subs_id,
            a,
            b,
            created_at,
            expires_at,
            extras: (!extras.is_empty()).then(|| Box::new(extras)),
            x,
            next,
            previous: NONE,
            product,
            held_by: None,
            flags,
            ring_timeout_s: ring_timeout_s.unwrap_or(0),
        });
        if let Some(cell) = self.cells.get_mut(next) {
            cell.previous = at;
        }
        self.on_x.set(at, on);
        if let Some(provision) = provision {
            let held_by = self.provisions.insert(at, on.x, *provision);
            if let Some(cell) = self.cells.get_mut(at) {
                cell.held_by = held_by;
            }
        }
        let Self {
            cells,
            by_id,
            in_order,
            by_slot,
            by_order,
            is_unindexed,
            ..
        } = self;
        if let Some(terms_hash) = order {
            by_order.insert((terms_hash, subs_id, at));
        }
        if *is_unindexed {
            return at;
        }
        let id_of = |at| cells.get(at).map_or(SubsId(0), |cell| cell.subs_id);
        by_id.insert_unique(hash_u64(subs_id.0), at, |&at| hash_u64(id_of(at).0));
        in_order.insert(subs_id, at, id_of);
        for (claim, slot) in entries(product, a, b) {
            let entry = Entry::new(at, claim);
            by_slot.insert(slot_hash(x, slot), entry.0, |entry| {
                entry_hash(cells, Entry(entry))
            });
        }
        at
    }

    /// Takes a binding out. `head` is the first binding on its X; the new head
    /// is given back.
    pub fn remove(&mut self, at: u32, binding: &Binding, head: u32) -> u32 {
        let Some(x) = self.x(at) else { return head };
        for (claim, slot) in entries(binding.product, binding.a, binding.b) {
            let entry = Entry::new(at, claim);
            self.by_slot.remove(slot_hash(x, slot), entry.0);
        }
        if let Ok(entry) = self
            .by_id
            .find_entry(hash_u64(binding.subs_id.0), |&other| other == at)
        {
            entry.remove();
        }
        self.in_order.remove(binding.subs_id, at);
        if binding.extras.out_order_id.is_some() && !is_releasing(binding) {
            self.by_order
                .remove(&(binding.terms_hash(), binding.subs_id, at));
        }
        let Some(cell) = self.cells.remove(at) else {
            return head;
        };
        if cell.flags & PROVISIONED != 0 {
            self.provisions.remove(at, binding.x, cell.held_by);
        }
        if let Some(next) = self.cells.get_mut(cell.next) {
            next.previous = cell.previous;
        }
        match self.cells.get_mut(cell.previous) {
            Some(previous) => {
                previous.next = cell.next;
                head
            }
            None => cell.next,
        }
    }

    /// The cell of a binding of which a carrier must know.
    fn provisioned(&self, at: u32) -> Option<&Cell> {
        let cell = self.cells.get(at);
        cell.filter(|cell| cell.flags & PROVISIONED != 0)
    }

    /// How far a carrier knows of a binding; none where none must.
    pub fn provision(&self, at: u32) -> Option<Provision> {
        let cell = self.provisioned(at)?;
        self.provisions.get(at, cell.held_by)
    }

    /// The same as far as a call needs it: the carrier, and how far it knows. Nearly always the cell tells it.
    pub fn known_by(&self, at: u32) -> Option<(&CarrierName, Phase)> {
        let cell = self.provisioned(at)?;
        self.provisions.known_by(at, cell.held_by)
    }

    /// Whether a carrier must know of it: then it holds its slots until that carrier does not hold it, over or not.
    pub fn is_provisioned(&self, at: u32) -> bool {
        self.provisioned(at).is_some()
    }

    /// Another binding on X than this one, a change of which claims the slot of this party there.
    pub fn claimed_by_change(
        &self,
        x: PhoneNumber,
        party: PhoneNumber,
        but: SubsId,
    ) -> Option<u32> {
        (self.provisions.claimed_by_change(x, party)).find(|&at| self.id(at) != Some(but))
    }

    /// How many bindings a carrier must know of.
    pub fn count_of(&self, carrier: &CarrierName) -> usize {
        self.provisions.count_of(carrier)
    }

    /// Those for whose answer from this carrier somebody waits, from a fence on.
    pub fn asked_of(&self, carrier: &CarrierName, fence: u64) -> impl Iterator<Item = u32> + '_ {
        self.provisions.asked_of(carrier, fence)
    }

    /// Those of which this carrier must be told, from a fence on.
    pub fn owed_to(&self, carrier: &CarrierName, fence: u64) -> impl Iterator<Item = u32> + '_ {
        self.provisions.owed_to(carrier, fence)
    }

    /// How many these are.
    pub fn owed_len(&self, carrier: &CarrierName) -> usize {
        self.provisions.owed_len(carrier)
    }

    /// Notes that the number which carries this binding has another position or class now.
    pub fn move_x(&mut self, at: u32, x: At, class: u32) {
        let Self {
            cells,
            by_slot,
            on_x,
            ..
        } = self;
        if let Some(on) = on_x.get_mut(at) {
            on.class = class;
        }
        let Some(cell) = cells.get_mut(at) else {
            return;
        };
        let (product, a, b) = (cell.product, cell.a, cell.b);
        let before = std::mem::replace(&mut cell.x, x);
        for (claim, slot) in entries(product, a, b) {
            by_slot.remove(slot_hash(before, slot), Entry::new(at, claim).0);
        }
        // Not before all are out: those that are in must stand by the hash that they have now.
        for (claim, slot) in entries(product, a, b) {
            let entry = Entry::new(at, claim);
            by_slot.insert(slot_hash(x, slot), entry.0, |entry| {
                entry_hash(cells, Entry(entry))
            });
        }
    }

    /// All positions, by id.
    pub fn iter(&self) -> impl Iterator<Item = u32> + '_ {
        self.in_order.iter()
    }

    /// Those below this id, the highest first.
    pub fn iter_below(&self, id: SubsId) -> impl Iterator<Item = u32> + '_ {
        self.in_order
            .below(id, |at| self.id(at).unwrap_or(SubsId(0)))
    }
}

fn is_releasing(binding: &Binding) -> bool {
    let provision = binding.provision.as_deref();
    provision.is_some_and(|provision| provision.phase.is_releasing())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_binding_lies_in_one_line_of_the_cache() {
        assert_eq!(Slab::<Cell>::PLACE_SIZE, 64);
    }

    #[test]
    fn an_entry_keeps_every_claim_at_every_position() {
        for at in [0, 1, 2, 12_345_678, (1 << 29) - 1] {
            for claim in Claim::ALL {
                let entry = Entry::new(at, claim);
                assert_eq!((entry.at(), entry.claim()), (at, Some(claim)));
            }
        }
    }
}
