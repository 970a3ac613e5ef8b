//! How the state changes, and is put back.

use std::sync::Arc;

use super::{Clock, Row, RowKey, State};
use crate::account::{AccessKeyId, Account};
use crate::binding::{Binding, Phase, Provision, SubsId};
use crate::carrier::Carrier;
use crate::clock::Timestamp;
use crate::command_id::Remembered;
use crate::event::Event;
use crate::inventory::Number;
use crate::number::PhoneNumber;
use crate::operator::Operator;
use crate::pool::Pool;
use crate::product::Slot;
use crate::slab::NONE;
use crate::subject::ErasedParts;
use crate::trunk::Trunk;

/// How things were before events were applied; see [`State::undo`].
#[derive(Debug, Default)]
pub struct Undo(Vec<(RowKey, Option<Row>)>);

impl Undo {
    /// Adds what came after, so that both are undone together.
    pub fn append(&mut self, mut later: Undo) {
        self.0.append(&mut later.0);
    }

    /// Whether there is nothing to undo.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl State {
    /// Makes an event part of the state. Total: an event that does not fit
    /// changes nothing.
    pub fn apply(&mut self, event: &Event) {
        self.change(event, &mut Undo::default());
    }

    /// Applies an event and remembers how things were.
    pub fn apply_undoable(&mut self, event: &Event) -> Undo {
        let mut undo = Undo::default();
        self.change(event, &mut undo);
        undo
    }

    /// Notes that the journal has reached `now`; time never goes back.
    pub fn advance(&mut self, now: Timestamp) -> Undo {
        let mut undo = Undo::default();
        if now > self.clock.now {
            let clock = Clock { now, ..self.clock };
            self.set(Row::Clock(clock), &mut undo);
        }
        undo
    }

    /// Puts everything back as it was before.
    pub fn undo(&mut self, undo: Undo) {
        for (key, old) in undo.0.into_iter().rev() {
            match old {
                Some(row) => self.put(row),
                None => self.take(&key),
            };
        }
    }

    fn change(&mut self, event: &Event, undo: &mut Undo) {
        match event {
            Event::CommandAnswered {
                id,
                key,
                until,
                attempt,
                answered,
            } => {
                let remembered = Remembered {
                    key: key.clone(),
                    until: *until,
                    attempt: *attempt,
                    answered: *answered,
                };
                self.set(Row::Command(*id, remembered), undo);
            }
            Event::CommandsForgotten { before, through } => {
                for id in self.memory.due(*before, *through) {
                    self.unset(RowKey::Command(id), undo);
                }
            }
            Event::AccountSet(account) => self.set(Row::from(account.clone()), undo),
            Event::KeySet(key) => self.set(Row::Key(key.clone()), undo),
            Event::KeyDeleted { id } => self.unset(RowKey::Key(id.clone()), undo),
            Event::UserSet(user) => self.set(Row::User(user.clone()), undo),
            Event::UserDeleted { account, name } => {
                let keys: Vec<AccessKeyId> = self
                    .keys
                    .values()
                    .filter(|key| key.account == *account && key.user.as_ref() == Some(name))
                    .map(|key| key.id.clone())
                    .collect();
                for key in keys {
                    self.unset(RowKey::Key(key), undo);
                }
                self.unset(RowKey::User(account.clone(), name.clone()), undo);
            }
            Event::PoolSet(pool) => self.set(Row::from(pool.clone()), undo),
            Event::TrunkSet(trunk) => self.set(Row::from(Trunk::clone(trunk)), undo),
            Event::TrunkDeleted { name } => self.unset(RowKey::Trunk(name.clone()), undo),
            Event::CarrierSet(carrier) => self.set(Row::from(Carrier::clone(carrier)), undo),
            Event::CarrierDeleted { name } => self.unset(RowKey::Carrier(name.clone()), undo),
            Event::OperatorSet(operator) => {
                self.set(Row::from(Operator::clone(operator)), undo);
            }
            Event::OperatorRemoved { name } => self.unset(RowKey::Operator(name.clone()), undo),
            Event::FirstTokenRetired => self.set(Row::FirstTokenRetired, undo),
            Event::FirstTokenRestored => self.unset(RowKey::FirstTokenRetired, undo),
            Event::EmergencyNumbersSet { numbers } => {
                self.set(Row::Emergency(numbers.clone()), undo);
            }
            Event::NumberSet(number) => self.set(Row::Number(number.clone()), undo),
            Event::NumberReleased { x } => self.unset(RowKey::Number(*x), undo),
            Event::NumberLocked { x } => self.change_number(*x, undo, |n| n.locked = true),
            Event::NumberUnlocked { x } => self.change_number(*x, undo, |n| n.locked = false),
            Event::NumberThawed { x } => {
                self.change_number(*x, undo, |n| n.cooling_until = Timestamp(0));
            }
            Event::Bound(binding) => {
                self.note_id(binding.subs_id.0, undo);
                self.set(Row::from(Binding::clone(binding)), undo);
            }
            Event::BindingChanged(binding) => {
                // How far a carrier knows of it is told by events of its own.
                let provision = self.provision(binding.subs_id).map(Box::new);
                let binding = Binding {
                    provision,
                    ..Binding::clone(binding)
                };
                self.set(Row::from(binding), undo);
            }
            Event::ChangeProposed {
                binding: proposed,
                revision,
                fence,
            } => self.change_provision(proposed.subs_id, *fence, undo, |provision| {
                provision.phase = Phase::Changing;
                provision.revision = *revision;
                provision.proposed = Some(proposed.clone());
            }),
            Event::ProvisionChanged {
                subs_id,
                phase,
                revision,
                fence,
                held,
                ..
            } => self.change_provision(*subs_id, *fence, undo, |provision| {
                provision.phase = *phase;
                provision.revision = *revision;
                provision.held = *held;
                if *phase == Phase::Confirmed {
                    provision.proposed = None;
                }
            }),
            Event::ProvisionDropped { subs_id, .. } => {
                if let Some(binding) = self.binding(*subs_id)
                    && binding.provision.is_some()
                {
                    let provision = None;
                    let detached = Binding {
                        provision,
                        ..binding
                    };
                    self.set(Row::from(detached), undo);
                }
            }
            Event::CarrierReconciled { name, epoch } => {
                if let Some(mut carrier) = self.carrier(name).cloned() {
                    carrier.reconciled_epoch = *epoch;
                    self.set(Row::from(carrier), undo);
                }
            }
            Event::OrphanReleasing { fence, .. } => self.note_id(*fence, undo),
            Event::Ended {
                subs_id,
                x,
                cooling_until,
                idle_since,
                ..
            } => {
                self.unset(RowKey::Binding(*subs_id), undo);
                self.change_number(*x, undo, |number| {
                    number.cooling_until = *cooling_until;
                    number.idle_since = *idle_since;
                });
            }
            Event::ImportAdvanced { name, rows } => {
                let (name, rows) = (name.clone(), *rows);
                self.set(Row::Import { name, rows }, undo);
            }
            Event::ImportEnded { name } => self.unset(RowKey::Import(name.clone()), undo),
            Event::EpochBegun {
                epoch,
                subs_id_floor,
            } => {
                let clock = Clock {
                    epoch: *epoch,
                    last_subs_id: subs_id_floor.0.max(self.clock.last_subs_id),
                    ..self.clock
                };
                self.set(Row::Clock(clock), undo);
            }
            Event::PersonErased { last, .. } => {
                for erased in last {
                    self.forget(erased, undo);
                }
            }
            Event::Revealed { .. } | Event::Noted(_) => {}
        }
    }

    /// Forgets what lives on of an erased person. No decision erases a binding that is in force; a state that still
    /// had one would otherwise keep what the journal no longer holds.
    fn forget(&mut self, erased: &ErasedParts, undo: &mut Undo) {
        if let Some(mut binding) = self.binding(SubsId(erased.of)) {
            erased.parts.iter().for_each(|&part| binding.erase(part));
            self.set(Row::from(binding), undo);
        }
    }

    /// Notes that ids have been given up to this one.
    fn note_id(&mut self, id: u64, undo: &mut Undo) {
        let clock = Clock {
            last_subs_id: id.max(self.clock.last_subs_id),
            ..self.clock
        };
        self.set(Row::Clock(clock), undo);
    }

    fn change_provision(
        &mut self,
        subs_id: SubsId,
        fence: u64,
        undo: &mut Undo,
        change: impl FnOnce(&mut Provision),
    ) {
        self.note_id(fence, undo);
        let Some(mut binding) = self.binding(subs_id) else {
            return;
        };
        if let Some(provision) = &mut binding.provision {
            provision.fence = fence;
            change(provision);
            self.set(Row::from(binding), undo);
        }
    }

    fn change_number(&mut self, x: PhoneNumber, undo: &mut Undo, change: impl FnOnce(&mut Number)) {
        if let Some(mut number) = self.number(x) {
            let before = number.clone();
            change(&mut number);
            if number != before {
                self.set(Row::Number(number), undo);
            }
        }
    }

    fn set(&mut self, row: Row, undo: &mut Undo) {
        let key = row.key();
        let old = self.put(row);
        undo.0.push((key, old));
    }

    fn unset(&mut self, key: RowKey, undo: &mut Undo) {
        let old = self.take(&key);
        if old.is_some() {
            undo.0.push((key, old));
        }
    }

    /// Puts a row in and gives back the one that was there.
    pub(super) fn put(&mut self, row: Row) -> Option<Row> {
        match row {
            Row::Clock(clock) => Some(Row::Clock(std::mem::replace(&mut self.clock, clock))),
            Row::Emergency(numbers) => Some(Row::Emergency(std::mem::replace(
                &mut self.emergency,
                numbers,
            ))),
            Row::Account(account) => self.put_account(*account),
            Row::User(user) => self
                .users
                .insert((user.account.clone(), user.name.clone()), user)
                .map(Row::User),
            Row::Key(key) => self.keys.insert(key.id.clone(), key).map(Row::Key),
            Row::Pool(pool) => self.put_pool(*pool),
            Row::Trunk(trunk) => self.put_trunk(*trunk),
            Row::Carrier(carrier) => (self.carriers)
                .insert(carrier.name.clone(), Arc::new(*carrier))
                .map(|before| Row::from(Arc::unwrap_or_clone(before))),
            Row::Number(number) => self.put_number(number).map(Row::Number),
            Row::Binding(binding) => {
                let old = self.take_binding(binding.subs_id());
                self.insert_binding((*binding).into());
                old.map(Row::from)
            }
            Row::Command(id, remembered) => {
                let old = self.memory.remove(id);
                self.memory.insert(id, &remembered);
                old.map(|remembered| Row::Command(id, remembered))
            }
            Row::Import { name, rows } => self
                .imports
                .insert(name.clone(), rows)
                .map(|rows| Row::Import { name, rows }),
            Row::Operator(operator) => (self.operators)
                .insert(operator.name.clone(), *operator)
                .map(Row::from),
            Row::FirstTokenRetired => {
                let before = std::mem::replace(&mut self.is_first_token_retired, true);
                before.then_some(Row::FirstTokenRetired)
            }
        }
    }

    /// Takes a row out.
    fn take(&mut self, key: &RowKey) -> Option<Row> {
        match key {
            RowKey::Clock | RowKey::Emergency => None,
            RowKey::Account(id) => self.accounts.remove(id).map(Row::from),
            RowKey::User(account, name) => self
                .users
                .remove(&(account.clone(), name.clone()))
                .map(Row::User),
            RowKey::Key(id) => self.keys.remove(id).map(Row::Key),
            RowKey::Pool(key) => self.pools.remove(key).map(Row::from),
            RowKey::Trunk(name) => Arc::make_mut(&mut self.trunks).remove(name).map(Row::from),
            RowKey::Carrier(name) => {
                let carrier = self.carriers.remove(name)?;
                Some(Row::from(Arc::unwrap_or_clone(carrier)))
            }
            RowKey::Number(x) => {
                let at = self.inventory.find(*x)?;
                if self.inventory.bindings_count(at) > 0 {
                    return None;
                }
                self.inventory.remove(*x).map(Row::Number)
            }
            RowKey::Binding(id) => self.take_binding(*id).map(Row::from),
            RowKey::Command(id) => self
                .memory
                .remove(*id)
                .map(|remembered| Row::Command(*id, remembered)),
            RowKey::Import(name) => self.imports.remove(name).map(|rows| Row::Import {
                name: name.clone(),
                rows,
            }),
            RowKey::Operator(name) => self.operators.remove(name).map(Row::from),
            RowKey::FirstTokenRetired => {
                let before = std::mem::take(&mut self.is_first_token_retired);
                before.then_some(Row::FirstTokenRetired)
            }
        }
    }

    fn put_account(&mut self, account: Account) -> Option<Row> {
        self.accounts
            .insert(account.id.clone(), account)
            .map(Row::from)
    }

    fn put_pool(&mut self, pool: Pool) -> Option<Row> {
        let cap = pool.product.bindings_per_x_max(u32::MAX);
        self.inventory.set_cap(&pool.key, cap);
        self.pools.insert(pool.key.clone(), pool).map(Row::from)
    }

    fn put_trunk(&mut self, trunk: Trunk) -> Option<Row> {
        Arc::make_mut(&mut self.trunks)
            .insert(trunk.name.clone(), trunk)
            .map(Row::from)
    }

    /// Puts a number in. When that moves it to another position, class or partition, its bindings are told so.
    fn put_number(&mut self, number: Number) -> Option<Number> {
        let x = number.x;
        let place = |state: &Self, at| (at, state.inventory.class_id(at));
        let at_before = self.inventory.find(x);
        let before = at_before.map(|at| place(self, at));
        let partition_before = at_before.and_then(|at| self.inventory.partition_of(at));
        let old = self.inventory.put(number);
        let at = self.inventory.find(x)?;
        let now = place(self, at);
        let (_, Some(class)) = now else { return old };
        if before.is_none_or(|before| before == now) {
            return old;
        }
        let partition_now = self.inventory.partition_of(at);
        let bindings: Vec<u32> = self.places_on(at).collect();
        for binding in bindings {
            self.bindings.move_x(binding, at, class);
            if partition_before == partition_now {
                continue;
            }
            let ends_at = self.bindings.ends_at(binding);
            if let Some(before) = partition_before {
                self.inventory.expiring.remove(before, ends_at, binding);
            }
            if let Some(now) = partition_now {
                self.inventory.expiring.insert(now, ends_at, binding);
            }
        }
        old
    }

    fn insert_binding(&mut self, binding: Binding) {
        // No decision binds a number that is not there; a journal that says so is found by `check`.
        let Some(x) = self.inventory.find(binding.x) else {
            return;
        };
        let holds_anyone = binding.slots().any(|slot| slot == Slot::Anyone);
        let Some(class) = self.inventory.class_id(x) else {
            return;
        };
        let head = self.inventory.first_binding(x);
        let count = self.inventory.bindings_count(x);
        let digits = binding.x;
        let at = self.bindings.insert(binding, x, class, head);
        if let Some(account) = self.pool_at(x).map(|pool| pool.account.clone()) {
            let of_account = self.bindings_by_account.entry(account).or_default();
            of_account.insert(self.bindings.leaves_quota_at(at), at);
        }
        self.inventory.set_bindings(x, at, count + 1);
        if holds_anyone {
            self.inventory.set_anyone(x, at);
            self.bindings.set_holder_of_anyone(digits, Some(at));
        }
        if let Some(partition) = self.inventory.partition_of(x) {
            let ends_at = self.bindings.ends_at(at);
            self.inventory.expiring.insert(partition, ends_at, at);
        }
    }

    fn take_binding(&mut self, id: SubsId) -> Option<Binding> {
        let at = self.bindings.find(id)?;
        let binding = self.binding_at(at)?;
        let x = self.bindings.x(at)?;
        let head = self.inventory.first_binding(x);
        let count = self.inventory.bindings_count(x);
        let (ends_at, leaves_quota_at) =
            (self.bindings.ends_at(at), self.bindings.leaves_quota_at(at));
        if let Some(owner) = &binding.owner
            && let Some(of_account) = self.bindings_by_account.get_mut(&owner.account)
        {
            of_account.remove(leaves_quota_at, at);
            if of_account.is_empty() {
                self.bindings_by_account.remove(&owner.account);
            }
        }
        let head = self.bindings.remove(at, &binding, head);
        if self.inventory.anyone(x) == at {
            self.inventory.set_anyone(x, NONE);
            self.bindings.set_holder_of_anyone(binding.x, None);
        }
        self.inventory
            .set_bindings(x, head, count.saturating_sub(1));
        if let Some(partition) = self.inventory.partition_of(x) {
            self.inventory.expiring.remove(partition, ends_at, at);
        }
        Some(binding)
    }
}
