//! What goes wrong with carriers, and what must be so when nothing does.

use std::collections::BTreeSet;

use maskline_domain::binding::Phase;
use maskline_domain::ops::{DeleteCarrier, ExpireDue, SetCarrier, SetPool, Unbind};
use maskline_domain::{Binding, CarrierName, Command, Pool, PoolKey, PoolRef};
use maskline_journal::pipeline::Input;

use super::{Backup, CARRIERS, Given, described};
use crate::laws::{Held, Law, broken, hold};
use crate::model::phases::carries_calls;
use crate::world::World;
use crate::world::names::POOLS;
use crate::world::outage::AppendOutcome;

/// How many rounds quiescence may take until nothing is left to be done.
const ROUNDS_MAX: u32 = 20_000;

impl World {
    /// Perhaps something happens to carriers, or between us and them.
    pub(in crate::world) fn happen_to_carriers(&mut self) -> Held {
        let Some(carriers) = &mut self.carriers else {
            return Ok(());
        };
        let now = carriers.ms;
        let chance = &mut carriers.chance;
        let passes = chance.one_in(3).then(|| chance.between(0, 40));
        let at = chance.below(CARRIERS.len() as u64) as usize;
        let side = &mut carriers.sides[at];
        let mut is_restored = false;
        let mut is_faultless = false;
        let mut is_backed_up = false;
        let mut is_compared = side.lost_at.is_some() && chance.one_in(60);
        match chance.below(8_000) {
            0..=19 => side.down_until = now + chance.between(300, 8_000),
            20..=35 => side.slow_until = now + chance.between(5_000, 20_000),
            36..=60 => {
                side.kept.push(side.book.clone());
                if side.kept.len() > 5 {
                    side.kept.remove(0);
                }
            }
            61..=63 => {
                // It comes back with less than it had, of which it may have forgotten the fences too.
                let before = chance.pick(&side.kept).cloned();
                let held = side.book.held.keys().filter(|_| chance.one_in(3));
                let lost: BTreeSet<_> = held.copied().collect();
                match before {
                    Some(before) if chance.one_in(2) => side.book = before,
                    _ => side.book.lose(&lost),
                }
                side.lost_at = Some(now);
                self.tally.carrier_losses += 1;
            }
            64..=103 => is_compared = true,
            104..=106 => is_faultless = true,
            107..=118 => is_backed_up = true,
            119..=120 => is_restored = true,
            121..=130 => return self.operate_on_carriers(),
            131..=133 => return self.part_from(at),
            _ => {
                let durable = self.durable.as_ref().unwrap_or(&self.model);
                let carrier = durable.carriers.get(&side.name);
                let is_behind = carrier.is_some_and(|its| its.reconciled_epoch < durable.epoch);
                is_compared |= is_behind && chance.one_in(40);
            }
        }
        if is_compared && self.machine.is_some() {
            let durable = self.durable.as_ref().unwrap_or(&self.model);
            carriers.begin_to_compare(at, durable);
        }
        if let Some(ms) = passes {
            self.pass(ms);
        }
        if is_backed_up {
            self.back_up();
        }
        if is_restored {
            return self.restore();
        }
        if is_faultless {
            return self.quiesce();
        }
        Ok(())
    }

    fn operate_on_carriers(&mut self) -> Held {
        let Some(carriers) = &mut self.carriers else {
            return Ok(());
        };
        let chance = &mut carriers.chance;
        let name = CarrierName::new(chance.one_of(CARRIERS));
        let command = match chance.below(4) {
            0 => Command::DeleteCarrier(DeleteCarrier { name }),
            1 => {
                let mut carrier = described(name.as_str());
                carrier.deadline_ms = chance.one_of([1_000, 2_500]);
                Command::SetCarrier(SetCarrier(Box::new(carrier)))
            }
            _ => {
                let pool = chance.below(POOLS.len() as u64) as usize;
                let named = chance.one_of([None, Some(name.clone()), Some(name)]);
                let pool = self.model.pools.get(&PoolKey::new(POOLS[pool].0));
                let Some(pool) = pool else {
                    return Ok(());
                };
                Command::SetPool(SetPool(Pool {
                    carrier: named,
                    ..pool.clone()
                }))
            }
        };
        if self.machine.is_none() {
            return Ok(());
        }
        let envelope = self.operate(command);
        self.submit(envelope, None)?;
        self.drain()
    }

    /// A carrier is gone for good: pools name it no more, and it is forgotten, unless something comes in between.
    fn part_from(&mut self, at: usize) -> Held {
        if self.machine.is_none() || self.carriers.as_ref().is_none_or(|c| c.is_starting()) {
            return Ok(());
        }
        let name = CarrierName::new(CARRIERS[at]);
        let pools = self.model.pools.values();
        let naming = pools.filter(|pool| pool.carrier.as_ref() == Some(&name));
        let naming: Vec<Pool> = naming.cloned().collect();
        for pool in naming {
            let carrier = None;
            let moved = Pool { carrier, ..pool };
            let envelope = self.operate(Command::SetPool(SetPool(moved)));
            self.submit(envelope, None)?;
        }
        if let Some(carriers) = &mut self.carriers {
            carriers.sides[at].lost_at = Some(carriers.ms);
        }
        self.forget_some(at);
        self.drain()
    }

    /// Some bindings are to be detached from a carrier, of those that are seen now.
    pub(super) fn forget_some(&mut self, at: usize) {
        let durable = self.durable.as_ref().unwrap_or(&self.model);
        if let Some(carriers) = &mut self.carriers {
            let seen = durable.bindings_of(&carriers.sides[at].name);
            let some = seen.map(|binding| binding.subs_id).take(3).collect();
            carriers.due.push_back(Given::Forget(at, some));
        }
    }

    /// Takes a copy of all that is durable.
    fn back_up(&mut self) {
        if self.machine.is_none() || self.flight.is_some() || self.gathering.is_some() {
            return;
        }
        let backup = Backup {
            seq: self.tip.seq,
            model: self.model.clone(),
            answer_log: self.answer_log.clone(),
        };
        if let Some(carriers) = &mut self.carriers {
            carriers.backup = Some(backup);
        }
    }

    /// Our process ends, and begins again with what a backup had.
    fn restore(&mut self) -> Held {
        let Some(backup) = self.carriers.as_mut().and_then(|c| c.backup.take()) else {
            return Ok(());
        };
        if backup.seq > self.disk.newest() || !self.disk.can_go_back_to(backup.seq) {
            return Ok(());
        }
        self.note(|| format!("the backup of batch {} is restored", backup.seq));
        if self.machine.is_some() {
            self.crash()?;
        }
        // Whoever restores sets the clock first.
        let ms = (self.model.now.0 - self.clocks.wall.0).max(0);
        self.pass(ms);
        self.disk.go_back_to(backup.seq);
        self.told = self.told.min(backup.seq);
        self.model = backup.model;
        self.answer_log = backup.answer_log;
        self.tip.seq = backup.seq;
        self.tally.restored += 1;
        if let Some(carriers) = &mut self.carriers {
            let now = carriers.ms;
            carriers.failed.clear();
            (carriers.sides.iter_mut()).for_each(|side| side.lost_at = Some(now));
            carriers.needs_epoch = true;
        }
        Ok(())
    }

    /// What a carrier holds is bound here, on terms that it was asked for; and it holds what is confirmed.
    pub(super) fn agrees(&self, at: usize) -> Held {
        let Some(carriers) = &self.carriers else {
            return Ok(());
        };
        let side = &carriers.sides[at];
        let durable = self.durable();
        let name = &side.name;
        for (&(x, subs_id), held) in &side.book.held {
            let binding = durable.bindings_of(name).find(|b| b.subs_id == subs_id);
            let asked = binding.filter(|b| b.x == x).map(|binding| {
                let provision = binding.provision.iter().flat_map(|its| &its.proposed);
                let proposed = provision.map(|proposed| &**proposed);
                let versions: Vec<_> = std::iter::once(binding).chain(proposed).collect();
                let is_so = |version: &&&Binding| {
                    let terms = &held.terms;
                    (version.a, version.b, version.expires_at)
                        == (terms.a, terms.b, terms.expires_at)
                };
                versions.iter().find(is_so).is_some()
            });
            hold(asked == Some(true), Law::CarrierHolds, || {
                format!("{name} holds {subs_id} on {x} as {held:?}, here is {binding:?}")
            })?;
        }
        for binding in durable.bindings_of(name) {
            let provision = binding.provision.as_deref();
            let Some(provision) = provision.filter(|its| its.phase == Phase::Confirmed) else {
                continue;
            };
            let held = side.book.held.get(&(binding.x, binding.subs_id));
            let is_so = held.is_some_and(|held| {
                let terms = &held.terms;
                Some(held.fence) == provision.held
                    && (binding.a, binding.b, binding.expires_at)
                        == (terms.a, terms.b, terms.expires_at)
            });
            hold(is_so, Law::CarrierHolds, || {
                format!(
                    "{binding:?} is confirmed by {:?}, held as {held:?}",
                    provision.held
                )
            })?;
        }
        Ok(())
    }

    /// The same of every carrier that has lost nothing.
    pub(in crate::world) fn carriers_agree(&self) -> Held {
        let Some(carriers) = &self.carriers else {
            return Ok(());
        };
        for (at, side) in carriers.sides.iter().enumerate() {
            if side.lost_at.is_none() {
                self.agrees(at)?;
            }
        }
        self.error_stands()
    }

    /// Nothing goes wrong for a while: then carriers are compared, and nothing is left to be done.
    fn quiesce(&mut self) -> Held {
        if self.machine.is_none() || self.carriers.as_ref().is_none_or(|c| c.is_starting()) {
            return Ok(());
        }
        self.note(|| "quiescence".to_owned());
        self.tally.quiescences += 1;
        self.set_faultless(true);
        self.come_to_rest()?;
        for at in 0..CARRIERS.len() {
            if let Some(carriers) = &mut self.carriers {
                let durable = self.durable.as_ref().unwrap_or(&self.model);
                carriers.begin_to_compare(at, durable);
            }
        }
        self.come_to_rest()?;
        self.must_be_the_same()?;
        self.nothing_is_lost();
        let empties = self.carriers.as_mut().is_some_and(|c| c.chance.one_in(3));
        if empties {
            self.unbind_all()?;
        }
        self.set_faultless(false);
        Ok(())
    }

    fn set_faultless(&mut self, is_faultless: bool) {
        self.disk.full = false;
        if let Some(carriers) = &mut self.carriers {
            for side in &mut carriers.sides {
                side.down_until = if is_faultless { i64::MIN } else { 0 };
                side.slow_until = if is_faultless { i64::MIN } else { 0 };
            }
        }
    }

    /// Goes on until nothing is left to be done about carriers.
    fn come_to_rest(&mut self) -> Held {
        for _ in 0..ROUNDS_MAX {
            self.input(Input::TrustClock)?;
            if self.probing {
                self.probe()?;
            }
            self.settle(AppendOutcome::Written)?;
            self.drain()?;
            self.work_with_carriers()?;
            if self.is_at_rest() {
                return Ok(());
            }
            let next = self.carriers.as_ref().and_then(|carriers| {
                let next = carriers.sides.iter().filter_map(|side| side.next_at());
                next.min().map(|next| next - carriers.ms)
            });
            let idles = self.flight.is_none() && self.queue.is_empty();
            if idles {
                self.pass(next.unwrap_or(1_000).clamp(1, 2_000));
            }
            if self.machine.is_none() {
                return broken(Law::CarrierHolds, "the process ends in quiescence");
            }
        }
        let left = self.carriers.as_ref().map(|carriers| {
            let sides = carriers.sides.iter();
            let sides = sides.map(|s| (s.has_messages(), s.comparing.is_some()));
            let (due, given) = (&carriers.due, carriers.given.values());
            let is_settled = carriers.settling.is_idle();
            let owed = self.durable().bindings.values().filter(|b| is_owed(b));
            let owed: Vec<_> = owed.map(|b| (b.subs_id, &b.provision)).collect();
            format!(
                "{due:?} {owed:?} {:?} {is_settled} {:?} {:?} {:?}",
                given.collect::<Vec<_>>(),
                sides.collect::<Vec<_>>(),
                self.flight.is_some(),
                self.queue.len(),
            )
        });
        broken(Law::CarrierHolds, format!("there is no rest: {left:?}"))
    }

    fn is_at_rest(&self) -> bool {
        let Some(carriers) = &self.carriers else {
            return true;
        };
        let is_idle = carriers.due.is_empty() && carriers.given.is_empty();
        let is_quiet =
            (carriers.sides.iter()).all(|side| !side.has_messages() && side.comparing.is_none());
        let owes = self.durable().bindings.values().any(is_owed);
        let is_written = self.flight.is_none() && self.queue.is_empty();
        is_idle && is_quiet && is_written && carriers.settling.is_idle() && !owes
    }

    /// Each carrier holds what is confirmed and nothing else, and nothing is open.
    fn must_be_the_same(&self) -> Held {
        let Some(carriers) = &self.carriers else {
            return Ok(());
        };
        for (at, side) in carriers.sides.iter().enumerate() {
            let known = self.durable().carriers.contains_key(&side.name);
            if !known {
                continue;
            }
            self.agrees(at)?;
            for binding in self.durable().bindings_of(&side.name) {
                let phase = binding.provision.as_ref().map(|its| its.phase);
                hold(phase == Some(Phase::Confirmed), Law::CarrierHolds, || {
                    format!("{} is left as {phase:?}", binding.subs_id)
                })?;
            }
        }
        self.error_stands()
    }

    /// All that a carrier had lost is there again. A comparison alone does not say so: what it lacked is told after it.
    fn nothing_is_lost(&mut self) {
        let durable = self.durable.as_ref().unwrap_or(&self.model);
        let sides = self
            .carriers
            .iter_mut()
            .flat_map(|carriers| &mut carriers.sides);
        for side in sides.filter(|side| durable.carriers.contains_key(&side.name)) {
            side.lost_at = None;
        }
    }

    /// All is unbound; then every number is free again, here and there.
    fn unbind_all(&mut self) -> Held {
        for _ in 0..50 {
            let now = self.about_now();
            let due = self.operate(Command::ExpireDue(ExpireDue { at_most: 4_096 }));
            self.submit(due, None)?;
            self.come_to_rest()?;
            let left: Vec<_> = (self.durable().bindings.values())
                .filter(|binding| binding.provision.is_some() && carries_calls(binding))
                .filter(|binding| binding.expires_at > now)
                .filter_map(|binding| {
                    let pool = binding.owner.as_ref()?.pool.clone();
                    Some((pool, binding.subs_id, binding.x))
                })
                .take(4)
                .collect();
            if left.is_empty() {
                break;
            }
            for (pool, subs_id, x) in left {
                let pool = PoolRef::Key(pool);
                let unbind = self.operate(Command::Unbind(Unbind { pool, subs_id, x }));
                self.submit(unbind, None)?;
                self.drain()?;
            }
            self.come_to_rest()?;
        }
        let due = self.operate(Command::ExpireDue(ExpireDue { at_most: 4_096 }));
        self.submit(due, None)?;
        self.come_to_rest()?;
        let left = (self.durable().bindings.values()).find(|b| b.provision.is_some());
        hold(left.is_none(), Law::CarrierHolds, || {
            format!("{left:?} is left of all that was unbound")
        })?;
        let Some(carriers) = &self.carriers else {
            return Ok(());
        };
        for side in &carriers.sides {
            let held = &side.book.held;
            // One that was taken away is told nothing, and compared when it is back.
            if !self.durable().carriers.contains_key(&side.name) {
                continue;
            }
            hold(held.is_empty(), Law::CarrierHolds, || {
                format!("{} holds {held:?}, and nothing is bound", side.name)
            })?;
        }
        Ok(())
    }
}

fn is_owed(binding: &Binding) -> bool {
    let provision = binding.provision.as_ref();
    provision.is_some_and(|its| its.phase.is_owed())
}
