//! Compares what was journalled for a command with what the rules of the model
//! say, and makes it part of the model.

use std::collections::VecDeque;

use maskline_domain::binding::{Phase, Provision};
use maskline_domain::ops::{ExpireDue, ReleaseNumbers, ThawDue, UpdateBinding};
use maskline_domain::{
    Actor, Answered, Binding, Command, EndCause, Envelope, Event, Number, Outcome, PhoneNumber,
    Remembered, SubsId, Timestamp,
};
use maskline_journal::pipeline::SubmitError;

use crate::law::{Broken, Held, Law, broken, hold};
use crate::model::Model;
use crate::model::operators::same_refusal;
use crate::model::phases::{ends_by_time, is_due, keeps_others_out};
use crate::model::rules::{ExpectedOutcome, Verdict};

/// What a caller may be told.
pub type Answer = Result<Outcome, SubmitError>;

/// Under what circumstances a command was decided.
#[derive(Debug, Clone, Copy)]
pub struct Circumstances {
    /// The time of the decision.
    pub now: Timestamp,
    /// Whether the clocks disagreed.
    pub clocks_disagree: bool,
    /// How many events one command may emit.
    pub events_max: usize,
}

/// Whether a caller may be told `told` where `allowed` is what the rules give.
pub fn is_allowed(told: &Answer, allowed: &[Answer]) -> bool {
    allowed.iter().any(|allowed| match (told, allowed) {
        (Err(SubmitError::Refused(told)), Err(SubmitError::Refused(allowed))) => {
            same_refusal(told, allowed)
        }
        (told, allowed) => told == allowed,
    })
}

impl Model {
    /// Judges what was journalled for a command, `None` for nothing, makes it
    /// part of the model and says what its caller may be told.
    ///
    /// # Errors
    /// The law that was broken.
    pub fn verify(
        &mut self,
        envelope: &Envelope,
        events: Option<&[Event]>,
        circumstances: Circumstances,
    ) -> Result<Vec<Answer>, Broken> {
        let now = circumstances.now;
        let verdict = self.verdict(envelope, now);
        match events {
            Some(events) => {
                let answer = self.follow(envelope, verdict, events, circumstances)?;
                Ok(vec![answer])
            }
            None => self.verify_silence(envelope, verdict, circumstances),
        }
    }

    /// Nothing was journalled: the rules must ask for nothing, or something
    /// must have stood against it.
    fn verify_silence(
        &self,
        envelope: &Envelope,
        verdict: Verdict,
        circumstances: Circumstances,
    ) -> Result<Vec<Answer>, Broken> {
        let now = circumstances.now;
        let tidied_max = if may_tidy(&envelope.command) {
            self.due(now)
        } else {
            0
        };
        let mut allowed = Vec::new();
        let needed = verdict.expected.events() + usize::from(verdict.remembered.is_some());
        if needed == 0 {
            allowed.push(verdict.expected.silent_answer());
        }
        let ends_by_time = tidied_max > 0 || verdict.expected.ends_by_time();
        if circumstances.clocks_disagree && ends_by_time {
            allowed.push(Err(SubmitError::ClocksDisagree));
        }
        if needed + tidied_max > circumstances.events_max {
            allowed.push(Err(SubmitError::TooLarge));
        }
        hold(!allowed.is_empty(), Law::RightAnswer, || {
            format!(
                "{:?} left nothing in the journal, but {:?}",
                envelope.command, verdict
            )
        })?;
        Ok(allowed)
    }

    fn follow(
        &mut self,
        envelope: &Envelope,
        verdict: Verdict,
        events: &[Event],
        circumstances: Circumstances,
    ) -> Result<Answer, Broken> {
        let Circumstances {
            now,
            clocks_disagree,
            ..
        } = circumstances;
        let told = || {
            let (command, expected) = (&envelope.command, &verdict.expected);
            format!("{command:?} at {}: {events:?}, but {expected:?}", now.0)
        };
        hold(
            events.len() <= circumstances.events_max,
            Law::RightAnswer,
            || format!("too many events: {}", told()),
        )?;
        let mut events_left: VecDeque<&Event> = events.iter().collect();
        let mut remembered = None;
        if let Some((given, key)) = &verdict.remembered {
            let first = events_left.pop_front();
            if let Some(Event::CommandAnswered { answered, .. }) = first {
                remembered = Some(*answered);
            }
            let expected = Event::CommandAnswered {
                id: given.id,
                key: Some(key.clone()),
                until: given.until,
                attempt: Some(given.attempt),
                answered: remembered.flatten(),
            };
            hold(first == Some(&expected), Law::OnceOnly, || {
                format!("the id is not remembered: {}", told())
            })?;
            self.apply(&expected)?;
        } else if let (Actor::Customer { .. }, Some(_)) = (&envelope.by, envelope.id) {
            // Repeated, or asked again by the same try.
            return broken(
                Law::OnceOnly,
                format!("a repeated command did something: {}", told()),
            );
        }

        let mut tidied = Tidied::default();
        let mut own: VecDeque<&Event> = VecDeque::new();
        for event in events_left {
            let lets_go = matches!(envelope.command, Command::ExpireDue(_));
            // What a carrier has let go has ended before.
            let has_ended = matches!(
                envelope.command,
                Command::SettleProvision(_) | Command::ForgetCarrier(_)
            );
            let ends_now = ends_by_time(event) && !has_ended;
            hold(!clocks_disagree || !ends_now, Law::Time, || {
                format!("something was ended while the clocks disagreed: {}", told())
            })?;
            let tidies = match event {
                Event::ProvisionChanged { .. } if lets_go => {
                    self.let_go_rightly(event, now)?;
                    tidied.ended += 1;
                    true
                }
                _ => may_tidy(&envelope.command) && self.tidy(event, now, &mut tidied)?,
            };
            if tidies {
                self.apply(event)?;
            } else if let ExpectedOutcome::Done(_) | ExpectedOutcome::Exactly(..) = verdict.expected
            {
                // Facts of its own may stand between tidying ones.
                own.push_back(event);
                self.apply(event)?;
            } else {
                own.push_back(event);
            }
        }
        let answer = self
            .close(verdict.expected.clone(), own, tidied, now)
            .map_err(|broken| Broken {
                what: format!("{}: {}", broken.what, told()),
                ..broken
            })?;
        let given = match &answer {
            Ok(outcome) => Answered::of(&Ok(outcome.clone())),
            Err(SubmitError::Refused(refusal)) => Answered::of(&Err(refusal.clone())),
            Err(_) => None,
        };
        let is_same = remembered.is_none_or(|remembered| remembered == given);
        hold(is_same, Law::RightAnswer, || {
            format!("remembered is {remembered:?}, told {given:?}: {}", told())
        })?;
        Ok(answer)
    }

    /// The facts of the command itself must be those that the model expects.
    fn close(
        &mut self,
        expected: ExpectedOutcome,
        mut own: VecDeque<&Event>,
        tidied: Tidied,
        now: Timestamp,
    ) -> Result<Answer, Broken> {
        let answer = match expected {
            ExpectedOutcome::Refused(refusal) => Err(SubmitError::Refused(refusal)),
            ExpectedOutcome::Existing(binding) => Ok(Outcome::Bound(binding)),
            ExpectedOutcome::Done(expected) => {
                let same = own.iter().copied().eq(expected.iter());
                hold(same, Law::RightAnswer, || {
                    format!("not what was asked, which is {expected:?}")
                })?;
                own.clear();
                Ok(Outcome::Done)
            }
            ExpectedOutcome::Exactly(expected, outcome) => {
                let same = own.iter().copied().eq(expected.iter());
                hold(same, Law::RightAnswer, || {
                    format!("not what was asked, which is {expected:?}")
                })?;
                own.clear();
                Ok(outcome)
            }
            ExpectedOutcome::Bound { binding, allowed } => {
                let Some(event @ Event::Bound(made)) = own.pop_front() else {
                    return broken(Law::RightAnswer, "nothing was bound");
                };
                self.verify_bound(&binding, &allowed, made, now)?;
                self.apply(event)?;
                Ok(Outcome::Bound(made.clone()))
            }
            ExpectedOutcome::Expired(work) => {
                hold(tidied.ended == work.count, Law::RightAnswer, || {
                    format!("{} ended, {} to be", tidied.ended, work.count)
                })?;
                Ok(Outcome::Worked(work))
            }
            ExpectedOutcome::Thawed(work) => {
                hold(tidied.thawed == work.count, Law::RightAnswer, || {
                    format!("{} thawed, {} to be", tidied.thawed, work.count)
                })?;
                Ok(Outcome::Worked(work))
            }
            ExpectedOutcome::Forgotten(work, last) => {
                let expected = last.map(|(before, id)| Event::CommandsForgotten {
                    before,
                    through: Some(id),
                });
                hold(own.pop_front() == expected.as_ref(), Law::OnceOnly, || {
                    format!("not what may be forgotten, which is {expected:?}")
                })?;
                if let Some(event) = expected {
                    self.apply(&event)?;
                }
                Ok(Outcome::Worked(work))
            }
            ExpectedOutcome::NewEpoch => {
                let Some(
                    event @ Event::EpochBegun {
                        epoch,
                        subs_id_floor,
                    },
                ) = own.pop_front()
                else {
                    return broken(Law::RightAnswer, "no epoch began");
                };
                hold(*epoch == self.epoch + 1, Law::RightAnswer, || {
                    format!("epoch {epoch} after {}", self.epoch)
                })?;
                hold(subs_id_floor.0 > self.last_subs_id, Law::IdsAscend, || {
                    format!("ids go on from {subs_id_floor} after {}", self.last_subs_id)
                })?;
                self.apply(event)?;
                Ok(Outcome::Done)
            }
        };
        hold(own.is_empty(), Law::RightAnswer, || {
            format!("{} facts too many", own.len())
        })?;
        Ok(answer)
    }

    fn verify_bound(
        &self,
        wanted: &Binding,
        allowed: &std::collections::BTreeSet<PhoneNumber>,
        made: &Binding,
        now: Timestamp,
    ) -> Held {
        hold(made.subs_id.0 > self.last_subs_id, Law::IdsAscend, || {
            format!("id {} after {}", made.subs_id, self.last_subs_id)
        })?;
        let id = self.next_id(now);
        let mut expected = Binding {
            subs_id: SubsId(id),
            x: made.x,
            ..wanted.clone()
        };
        if let Some(provision) = &mut expected.provision {
            provision.fence = id;
        }
        hold(*made == expected, Law::RightAnswer, || {
            format!("{made:?} is not {expected:?}")
        })?;
        let taken = self
            .in_the_way(made)
            .find(|other| keeps_others_out(other, now))
            .map(|other| other.subs_id);
        hold(taken.is_none(), Law::OneOwner, || {
            format!("what {} claims belongs to {taken:?}", made.subs_id)
        })?;
        hold(allowed.contains(&made.x), Law::RightAnswer, || {
            format!("{} was given; only {allowed:?} may be", made.x)
        })
    }

    /// Whether an event only tidies, and rightly.
    fn tidy(&self, event: &Event, now: Timestamp, tidied: &mut Tidied) -> Result<bool, Broken> {
        match event {
            Event::Ended {
                subs_id,
                x,
                cause: EndCause::Expired,
                at,
                cooling_until,
                idle_since,
                owner,
            } => {
                hold(*owner == self.owner_of(*x), Law::OwnOnly, || {
                    format!("the end of {subs_id} tells of owner {owner:?}")
                })?;
                let Some(binding) = self.bindings.get(subs_id).filter(|b| b.x == *x) else {
                    return broken(
                        Law::OverIsOver,
                        format!("{subs_id} ended, but is not there"),
                    );
                };
                hold(binding.expires_at <= now, Law::OverIsOver, || {
                    format!("{subs_id} ended before its time")
                })?;
                hold(binding.provision.is_none(), Law::CarrierHolds, || {
                    format!("{subs_id} ended, which a carrier may hold")
                })?;
                let expected = (
                    binding.expires_at,
                    self.rest(binding, binding.expires_at, now),
                    self.idle(*x, binding.expires_at),
                );
                hold(
                    (*at, *cooling_until, *idle_since) == expected,
                    Law::OverIsOver,
                    || format!("{event:?} should tell {expected:?}"),
                )?;
                tidied.ended += 1;
                Ok(true)
            }
            Event::NumberThawed { x } => {
                let cooling_until = self.numbers.get(x).map(|number| number.cooling_until);
                let cooled = cooling_until.is_some_and(|t| t > Timestamp(0) && t <= now);
                hold(cooled, Law::OverIsOver, || {
                    format!("{x} thawed, but cools until {cooling_until:?}")
                })?;
                tidied.thawed += 1;
                Ok(true)
            }
            _ => Ok(false),
        }
    }

    /// How many things could be tidied at `now`.
    fn due(&self, now: Timestamp) -> usize {
        let ended = self.bindings.values().filter(|b| is_due(b, now));
        let cooled = self
            .numbers
            .values()
            .filter(|n| n.cooling_until > Timestamp(0) && n.cooling_until <= now);
        ended.count() + cooled.count()
    }

    /// Makes an event part of the model.
    fn apply(&mut self, event: &Event) -> Held {
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
                self.commands.insert(*id, remembered);
            }
            Event::CommandsForgotten { before, through } => {
                let up_to = |id| through.is_some_and(|through| id <= through);
                self.commands.retain(|id, Remembered { until, .. }| {
                    *until > *before || (*until == *before && !up_to(*id))
                });
            }
            Event::AccountSet(account) => {
                self.accounts.insert(account.id.clone(), account.clone());
            }
            Event::KeySet(key) => {
                self.keys.insert(key.id.clone(), key.clone());
            }
            Event::KeyDeleted { id } => {
                self.keys.remove(id);
            }
            Event::UserSet(user) => {
                let place = (user.account.clone(), user.name.clone());
                self.users.insert(place, user.clone());
            }
            Event::UserDeleted { account, name } => {
                self.users.remove(&(account.clone(), name.clone()));
                self.keys
                    .retain(|_, key| key.account != *account || key.user.as_ref() != Some(name));
            }
            Event::PoolSet(pool) => {
                self.pools.insert(pool.key.clone(), pool.clone());
            }
            Event::TrunkSet(trunk) => {
                self.trunks.insert(trunk.name.clone(), (**trunk).clone());
            }
            Event::TrunkDeleted { name } => {
                self.trunks.remove(name);
            }
            Event::CarrierSet(carrier) => {
                self.carriers
                    .insert(carrier.name.clone(), (**carrier).clone());
            }
            Event::CarrierDeleted { name } => {
                self.carriers.remove(name);
            }
            Event::OperatorSet(operator) => {
                self.operators
                    .insert(operator.name.clone(), (**operator).clone());
            }
            Event::OperatorRemoved { name } => {
                self.operators.remove(name);
            }
            Event::FirstTokenRetired => self.is_first_token_retired = true,
            Event::FirstTokenRestored => self.is_first_token_retired = false,
            Event::EmergencyNumbersSet { numbers } => self.emergency.clone_from(numbers),
            Event::NumberSet(number) => {
                self.numbers.insert(number.x, number.clone());
            }
            Event::NumberReleased { x } => {
                hold(self.on(*x).next().is_none(), Law::RightAnswer, || {
                    format!("{x} was released with a binding on it")
                })?;
                self.numbers.remove(x);
            }
            Event::NumberLocked { x } => self.change_number(*x, |number| number.locked = true),
            Event::NumberUnlocked { x } => self.change_number(*x, |number| number.locked = false),
            Event::NumberThawed { x } => {
                self.change_number(*x, |number| number.cooling_until = Timestamp(0));
            }
            Event::Bound(binding) => {
                self.last_subs_id = self.last_subs_id.max(binding.subs_id.0);
                self.keep(binding);
                self.bindings.insert(binding.subs_id, (**binding).clone());
            }
            Event::BindingChanged(binding) => {
                let before = self.bindings.get(&binding.subs_id);
                let binding = Binding {
                    provision: before.and_then(|before| before.provision.clone()),
                    ..(**binding).clone()
                };
                self.bindings.insert(binding.subs_id, binding);
            }
            Event::ChangeProposed {
                binding,
                revision,
                fence,
            } => {
                self.last_subs_id = self.last_subs_id.max(*fence);
                self.change_provision(binding.subs_id, |provision| {
                    provision.phase = Phase::Changing;
                    (provision.revision, provision.fence) = (*revision, *fence);
                    provision.proposed = Some(binding.clone());
                });
            }
            Event::ProvisionChanged {
                subs_id,
                phase,
                revision,
                fence,
                held,
                ..
            } => {
                self.last_subs_id = self.last_subs_id.max(*fence);
                self.change_provision(*subs_id, |provision| {
                    provision.phase = *phase;
                    (provision.revision, provision.fence) = (*revision, *fence);
                    provision.held = *held;
                    if *phase == Phase::Confirmed {
                        provision.proposed = None;
                    }
                });
            }
            Event::ProvisionDropped { subs_id, .. } => {
                if let Some(binding) = self.bindings.get_mut(subs_id) {
                    binding.provision = None;
                }
            }
            Event::CarrierReconciled { name, epoch } => {
                if let Some(carrier) = self.carriers.get_mut(name) {
                    carrier.reconciled_epoch = *epoch;
                }
            }
            Event::OrphanReleasing { fence, .. } => {
                self.last_subs_id = self.last_subs_id.max(*fence);
            }
            Event::Ended {
                subs_id,
                x,
                cooling_until,
                idle_since,
                ..
            } => {
                self.bindings.remove(subs_id);
                self.change_number(*x, |number| {
                    number.cooling_until = *cooling_until;
                    number.idle_since = *idle_since;
                });
            }
            Event::EpochBegun {
                epoch,
                subs_id_floor,
            } => {
                self.epoch = *epoch;
                self.last_subs_id = self.last_subs_id.max(subs_id_floor.0);
            }
            Event::ImportAdvanced { name, rows } => {
                self.imports.insert(name.clone(), *rows);
            }
            Event::ImportEnded { name } => {
                self.imports.remove(name);
            }
            // An erasure takes nothing from what is in force.
            Event::Revealed { .. } | Event::Noted(_) | Event::PersonErased { .. } => {}
        }
        Ok(())
    }

    fn change_provision(&mut self, subs_id: SubsId, change: impl FnOnce(&mut Provision)) {
        let binding = self.bindings.get_mut(&subs_id);
        if let Some(provision) = binding.and_then(|binding| binding.provision.as_mut()) {
            change(provision);
        }
    }

    fn change_number(&mut self, x: PhoneNumber, change: impl FnOnce(&mut Number)) {
        if let Some(number) = self.numbers.get_mut(&x) {
            change(number);
        }
    }
}

/// What a command tidied on its way.
#[derive(Debug, Default)]
struct Tidied {
    ended: u32,
    thawed: u32,
}

impl ExpectedOutcome {
    /// Whether its facts say that something is over because its time has come.
    fn ends_by_time(&self) -> bool {
        match self {
            ExpectedOutcome::Done(events) | ExpectedOutcome::Exactly(events, _) => {
                events.iter().any(ends_by_time)
            }
            _ => false,
        }
    }

    /// How many events it needs.
    fn events(&self) -> usize {
        match self {
            ExpectedOutcome::Refused(_) | ExpectedOutcome::Existing(_) => 0,
            ExpectedOutcome::Done(events) | ExpectedOutcome::Exactly(events, _) => events.len(),
            ExpectedOutcome::Bound { .. } | ExpectedOutcome::NewEpoch => 1,
            ExpectedOutcome::Expired(work) | ExpectedOutcome::Thawed(work) => work.count as usize,
            ExpectedOutcome::Forgotten(_, last) => usize::from(last.is_some()),
        }
    }

    /// The answer, where no event is needed.
    fn silent_answer(&self) -> Answer {
        match self {
            ExpectedOutcome::Refused(refusal) => Err(SubmitError::Refused(refusal.clone())),
            ExpectedOutcome::Existing(binding) => Ok(Outcome::Bound(binding.clone())),
            ExpectedOutcome::Exactly(_, outcome) => Ok(outcome.clone()),
            ExpectedOutcome::Expired(work)
            | ExpectedOutcome::Thawed(work)
            | ExpectedOutcome::Forgotten(work, _) => Ok(Outcome::Worked(*work)),
            ExpectedOutcome::Done(_)
            | ExpectedOutcome::Bound { .. }
            | ExpectedOutcome::NewEpoch => Ok(Outcome::Done),
        }
    }
}

/// Which commands may record on their way what is over or has cooled.
fn may_tidy(command: &Command) -> bool {
    matches!(
        command,
        Command::Bind(_)
            | Command::Update(UpdateBinding { .. })
            | Command::ReleaseNumbers(ReleaseNumbers(_))
            | Command::ExpireDue(ExpireDue { .. })
            | Command::ThawDue(ThawDue { .. })
    )
}
