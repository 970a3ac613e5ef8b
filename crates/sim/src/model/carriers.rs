//! Bindings of which a carrier must know, by slow and obvious rules.
//!
//! Nobody gets what a carrier may hold: a binding keeps others out until the carrier has let it go, with what a change
//! of it would claim besides. Calls go by what it has confirmed. Whatever is decided first of a request stands, since
//! each further request about a binding has a fence of its own.

use maskline_domain::binding::{Phase, Provision};
use maskline_domain::command::{Fence, Updated};
use maskline_domain::ops::{
    AbandonAsked, ForgetCarrier, NoteReconciled, ReleaseOrphan, RenewProvision, SettleProvision,
    Settlement,
};
use maskline_domain::{
    AdminRefusal, Binding, CarrierName, Command, EndCause, Event, Outcome, PhoneNumber, Pool,
    Refusal, SubsId, Timestamp,
};

use crate::law::{Held, Law, broken, hold};
use crate::model::Model;
use crate::model::phases::{carries_calls, is_changing, is_due, phase};
use crate::model::rules::{ExpectedOutcome, work};

impl Model {
    /// The next id of a binding, or fence.
    pub fn next_id(&self, now: Timestamp) -> u64 {
        let by_clock = now.0.max(0) as u64 * 1000;
        by_clock.max(self.last_subs_id + 1)
    }

    /// Whether a carrier must know of any binding.
    pub fn is_told_of_any(&self, carrier: &CarrierName) -> bool {
        self.bindings_of(carrier).next().is_some()
    }

    /// Whether any carrier must know of this binding on this X.
    pub fn is_provisioned(&self, subs_id: SubsId, x: PhoneNumber) -> bool {
        let binding = self.bindings.get(&subs_id);
        binding.is_some_and(|binding| binding.x == x && binding.provision.is_some())
    }

    /// The bindings of which a carrier must know.
    pub fn bindings_of<'a>(
        &'a self,
        carrier: &'a CarrierName,
    ) -> impl Iterator<Item = &'a Binding> {
        self.bindings.values().filter(move |binding| {
            let provision = binding.provision.as_ref();
            provision.is_some_and(|provision| provision.carrier == *carrier)
        })
    }

    /// A carrier that may be asked for something new, or why not.
    fn may_be_asked(&self, name: &CarrierName, down: &[CarrierName]) -> Result<(), Refusal> {
        let is_compared = self
            .carriers
            .get(name)
            .is_some_and(|carrier| carrier.reconciled_epoch >= self.epoch);
        match is_compared && !down.contains(name) {
            true => Ok(()),
            false => Err(Refusal::CarrierUnavailable),
        }
    }

    /// What a carrier is to know of a new binding of a pool; its fence is not known yet.
    pub(super) fn reserved(
        &self,
        pool: &Pool,
        down: &[CarrierName],
    ) -> Result<Option<Box<Provision>>, Refusal> {
        let Some(name) = &pool.carrier else {
            return Ok(None);
        };
        let carrier = self.carriers.get(name);
        if carrier.is_none_or(|carrier| carrier.url.is_none()) {
            return Ok(None);
        }
        self.may_be_asked(name, down)?;
        Ok(Some(Box::new(Provision {
            carrier: name.clone(),
            phase: Phase::Reserved,
            revision: 1,
            fence: 0,
            held: None,
            proposed: None,
        })))
    }

    /// A change for which the carrier must be asked.
    pub(super) fn propose(
        &self,
        before: &Binding,
        after: Binding,
        down: &[CarrierName],
        now: Timestamp,
    ) -> Result<ExpectedOutcome, Refusal> {
        let provision = before.provision.as_deref();
        let provision = provision.filter(|provision| provision.phase == Phase::Confirmed);
        let provision = provision.ok_or(Refusal::CarrierUnavailable)?;
        self.may_be_asked(&provision.carrier, down)?;
        let (revision, fence) = (provision.revision + 1, self.next_id(now));
        let after = Box::new(after);
        let proposed = Event::ChangeProposed {
            binding: after.clone(),
            revision,
            fence,
        };
        let asked = Binding {
            provision: Some(Box::new(Provision {
                phase: Phase::Changing,
                revision,
                fence,
                proposed: Some(after),
                ..provision.clone()
            })),
            ..before.clone()
        };
        let outcome = Updated::Asked(Box::new(asked)).into();
        Ok(ExpectedOutcome::Exactly(vec![proposed], outcome))
    }

    /// What the same try of a bind or a change is told that asked a carrier.
    pub(super) fn asked_before(
        &self,
        subs_id: SubsId,
        fence: u64,
        command: &Command,
    ) -> ExpectedOutcome {
        let binding = self.bindings.get(&subs_id);
        let waits = binding.filter(|binding| {
            let provision = binding.provision.as_deref();
            let phases = [Phase::Reserved, Phase::Changing];
            provision.is_some_and(|its| its.fence == fence && phases.contains(&its.phase))
        });
        let stands = binding.filter(|b| carries_calls(b));
        match (command, waits, waits.or(stands)) {
            (Command::Bind(_), _, Some(binding)) => {
                ExpectedOutcome::Existing(Box::new(binding.clone()))
            }
            (Command::Update(_), Some(binding), _) => {
                let asked = Updated::Asked(Box::new(binding.clone()));
                ExpectedOutcome::Exactly(Vec::new(), asked.into())
            }
            _ => ExpectedOutcome::Refused(Refusal::CarrierUnavailable),
        }
    }

    /// A further request about a binding.
    fn asks_anew(&self, binding: &Binding, phase: Phase, fence: u64) -> Option<Event> {
        let provision = binding.provision.as_deref()?;
        Some(Event::ProvisionChanged {
            subs_id: binding.subs_id,
            x: binding.x,
            phase,
            revision: provision.revision + 1,
            fence,
            held: provision.held,
        })
    }

    /// The carrier is to let a binding go.
    pub(super) fn let_go(
        &self,
        binding: &Binding,
        cause: EndCause,
        at: Timestamp,
        fence: u64,
    ) -> Option<Event> {
        self.asks_anew(binding, Phase::Releasing { cause, at }, fence)
    }

    /// Nothing of a binding is left.
    pub(super) fn end(
        &self,
        binding: &Binding,
        cause: EndCause,
        at: Timestamp,
        now: Timestamp,
    ) -> Option<Event> {
        Some(Event::Ended {
            subs_id: binding.subs_id,
            x: binding.x,
            cause,
            at,
            cooling_until: match cause {
                EndCause::NotProvisioned => Timestamp(0),
                EndCause::Unbound | EndCause::Expired => self.rest(binding, at, now),
            },
            idle_since: self.idle(binding.x, at),
            owner: self.owner_of(binding.x),
        })
    }

    pub(super) fn rule_settle(
        &self,
        asked: SettleProvision,
        now: Timestamp,
    ) -> Result<ExpectedOutcome, Refusal> {
        let binding = self.bindings.get(&asked.subs_id);
        let binding = binding.ok_or(Refusal::BindingUnknown)?;
        let provision = binding.provision.as_deref();
        let provision = provision.filter(|provision| provision.fence == asked.fence);
        let provision = provision.ok_or(Refusal::BindingUnknown)?;
        let confirmed = |held| Event::ProvisionChanged {
            subs_id: binding.subs_id,
            x: binding.x,
            phase: Phase::Confirmed,
            revision: provision.revision,
            fence: provision.fence,
            held,
        };
        let never = EndCause::NotProvisioned;
        let next = self.next_id(now);
        let done = Some(provision.fence);
        let events: Vec<Option<Event>> = match (provision.phase, asked.settlement) {
            (Phase::Confirmed, _) => return Err(Refusal::BindingUnknown),
            (Phase::Reserved | Phase::Renewing, Settlement::Done) => vec![Some(confirmed(done))],
            (Phase::Reserved, Settlement::NotDone) => vec![self.end(binding, never, now, now)],
            (Phase::Reserved, _) => vec![self.let_go(binding, never, now, next)],
            (Phase::Changing, Settlement::Done) => vec![
                provision.proposed.clone().map(Event::BindingChanged),
                Some(confirmed(done)),
            ],
            (Phase::Changing, Settlement::NotDone) => vec![Some(confirmed(provision.held))],
            (Phase::Changing, _) => vec![self.asks_anew(binding, Phase::Renewing, next)],
            (Phase::Releasing { cause, at }, Settlement::Done) => {
                vec![self.end(binding, cause, at, now)]
            }
            (phase, Settlement::Stale) => vec![self.asks_anew(binding, phase, next)],
            (Phase::Renewing | Phase::Releasing { .. }, _) => Vec::new(),
        };
        Ok(ExpectedOutcome::Done(
            events.into_iter().flatten().collect(),
        ))
    }

    pub(super) fn rule_abandon(&self, asked: &AbandonAsked, now: Timestamp) -> ExpectedOutcome {
        let mut waiting: Vec<&Binding> = self
            .bindings_of(&asked.carrier)
            .filter(|binding| is_changing(binding) || phase(binding) == Some(Phase::Reserved))
            .collect();
        waiting.sort_by_key(|binding| binding.provision.as_ref().map(|its| its.fence));
        let work = work(waiting.len(), asked.at_most);
        let first = self.next_id(now);
        let events = waiting.iter().zip(first..).take(work.count as usize);
        let events = events.filter_map(|(binding, fence)| match is_changing(binding) {
            true => self.asks_anew(binding, Phase::Renewing, fence),
            false => self.let_go(binding, EndCause::NotProvisioned, now, fence),
        });
        ExpectedOutcome::Exactly(events.collect(), work.into())
    }

    pub(super) fn rule_forget_carrier(
        &self,
        asked: &ForgetCarrier,
        now: Timestamp,
    ) -> Result<ExpectedOutcome, Refusal> {
        let carrier = &asked.carrier;
        if !self.carriers.contains_key(carrier) {
            return Err(AdminRefusal::NotFound { what: "" }.into());
        }
        let mut pools = self.pools.values();
        if let Some(pool) = pools.find(|pool| pool.carrier.as_ref() == Some(carrier)) {
            let (carrier, pool) = (carrier.as_str().into(), pool.key.as_str().into());
            return Err(AdminRefusal::CarrierNamed { carrier, pool }.into());
        }
        let all = self.bindings_of(carrier).count();
        let detached = self.bindings_of(carrier);
        let detached = detached.filter(|binding| asked.bindings.contains(&binding.subs_id));
        let detached: Vec<&Binding> = detached.collect();
        let work = work(all, detached.len() as u32);
        let events = detached
            .into_iter()
            .filter_map(|binding| match phase(binding)? {
                Phase::Reserved => self.end(binding, EndCause::NotProvisioned, now, now),
                Phase::Releasing { cause, at } => self.end(binding, cause, at, now),
                Phase::Confirmed | Phase::Changing | Phase::Renewing => {
                    Some(Event::ProvisionDropped {
                        subs_id: binding.subs_id,
                        x: binding.x,
                    })
                }
            });
        Ok(ExpectedOutcome::Exactly(events.collect(), work.into()))
    }

    pub(super) fn rule_renew(
        &self,
        asked: RenewProvision,
        now: Timestamp,
    ) -> Result<ExpectedOutcome, Refusal> {
        let binding = self.bindings.get(&asked.subs_id);
        let binding = binding.ok_or(Refusal::BindingUnknown)?;
        let is_as_it_was = binding.provision.as_ref().is_some_and(|provision| {
            provision.phase == Phase::Confirmed && provision.fence == asked.fence
        });
        let renewed = self.asks_anew(binding, Phase::Renewing, self.next_id(now));
        let events = renewed.filter(|_| is_as_it_was);
        Ok(ExpectedOutcome::Done(events.into_iter().collect()))
    }

    pub(super) fn rule_orphan(
        &self,
        asked: &ReleaseOrphan,
        now: Timestamp,
    ) -> Result<ExpectedOutcome, Refusal> {
        if !self.carriers.contains_key(&asked.carrier) {
            return Err(AdminRefusal::NotFound { what: "" }.into());
        }
        if self.is_provisioned(asked.subs_id, asked.x) {
            return Err(AdminRefusal::InUse { what: "" }.into());
        }
        let fence = self.next_id(now);
        let event = Event::OrphanReleasing {
            carrier: asked.carrier.clone(),
            subs_id: asked.subs_id,
            x: match self.numbers.contains_key(&asked.x) {
                true => asked.x,
                false => PhoneNumber::ERASED,
            },
            fence,
        };
        Ok(ExpectedOutcome::Exactly(
            vec![event],
            Outcome::Drawn(Fence(fence)),
        ))
    }

    pub(super) fn rule_reconciled(
        &self,
        asked: &NoteReconciled,
    ) -> Result<ExpectedOutcome, Refusal> {
        let carrier = self.carriers.get(&asked.carrier);
        let carrier = carrier.ok_or(Refusal::Admin(AdminRefusal::NotFound { what: "" }))?;
        let event = Event::CarrierReconciled {
            name: asked.carrier.clone(),
            epoch: asked.epoch,
        };
        let is_new = asked.epoch > carrier.reconciled_epoch;
        let events = is_new.then_some(event).into_iter().collect();
        Ok(ExpectedOutcome::Done(events))
    }

    /// Whether a binding that is over is let go rightly.
    pub(super) fn let_go_rightly(&self, event: &Event, now: Timestamp) -> Held {
        let binding = event.subs_id().and_then(|id| self.bindings.get(&id));
        let Some(binding) = binding.filter(|binding| is_due(binding, now)) else {
            return broken(Law::OverIsOver, format!("{event:?} before its time"));
        };
        let at = binding.expires_at;
        let expected = self.let_go(binding, EndCause::Expired, at, self.next_id(now));
        hold(expected.as_ref() == Some(event), Law::OverIsOver, || {
            format!("{event:?} should be {expected:?}")
        })
    }
}
