//! What a command must lead to, by the model's own rules.
//!
//! Written from the design and the vendor's pages, not from `domain`: which
//! refusal comes first, which X may be given, what is recorded.

use std::collections::BTreeSet;

use maskline_domain::account::Effect;
use maskline_domain::binding::Phase;
use maskline_domain::command::Updated;
use maskline_domain::ops::{
    BeginEpoch, ExpireDue, ForgetCommands, Lock, ThawDue, Unbind, Unlock, UpdateBinding,
};
use maskline_domain::pool::{CityMatch, Pick};
use maskline_domain::{
    AccessKeyId, AccountStatus, Actor, Answered, BindRequest, Binding, CarrierName, Command,
    CommandId, CommandKey, EndCause, Envelope, Event, Number, Outcome, Owner, Party, PhoneNumber,
    Pool, PoolRef, Refusal, SubsId, Timestamp, Update, Work,
};

use crate::model::Model;
use crate::model::phases::{
    carries_calls, is_changing, is_due, is_let_go, is_unbound, keeps_others_out, must_be_told,
};
use crate::model::product::{self, collide, room_on};

/// What must come of a command.
#[derive(Debug, Clone)]
pub struct Verdict {
    /// By what the command must be known again, and whose it is.
    pub remembered: Option<(CommandKey, AccessKeyId)>,
    /// What the command itself leads to.
    pub expected: ExpectedOutcome,
}

/// What a command itself leads to.
#[derive(Debug, Clone)]
pub enum ExpectedOutcome {
    /// No.
    Refused(Refusal),
    /// Yes, and exactly these facts.
    Done(Vec<Event>),
    /// Exactly these facts, and this answer.
    Exactly(Vec<Event>, Outcome),
    /// A new binding like this one, on one of these numbers.
    Bound {
        /// All of it but X and id.
        binding: Box<Binding>,
        /// Any of these.
        allowed: BTreeSet<PhoneNumber>,
    },
    /// The binding that is there already.
    Existing(Box<Binding>),
    /// So many bindings that are over are recorded as ended.
    Expired(Work),
    /// So many numbers that have cooled are put back.
    Thawed(Work),
    /// So many ids are forgotten: all whose time is before the moment.
    Forgotten(Work, Option<(Timestamp, CommandId)>),
    /// A new epoch.
    NewEpoch,
}

impl Model {
    /// What must come of `envelope` at `now`.
    pub fn verdict(&self, envelope: &Envelope, now: Timestamp) -> Verdict {
        let mut remembered = None;
        if let (Actor::Customer { key, .. }, Some(given)) = (&envelope.by, envelope.id) {
            if self.is_remembered(given.id, now) {
                let expected = self.known_outcome(given, &envelope.command, now);
                return Verdict {
                    remembered,
                    expected,
                };
            }
            remembered = Some((given, key.clone()));
        }
        let expected = self
            .rule(envelope, now)
            .unwrap_or_else(ExpectedOutcome::Refused);
        Verdict {
            remembered,
            expected,
        }
    }

    /// Whether an id may not come again at `now`.
    pub fn is_remembered(&self, id: CommandId, now: Timestamp) -> bool {
        self.commands
            .get(&id)
            .is_some_and(|remembered| remembered.until > now)
    }

    /// What must come of a command that was decided before: of the same try the same, of another one a refusal.
    fn known_outcome(
        &self,
        given: CommandKey,
        command: &Command,
        now: Timestamp,
    ) -> ExpectedOutcome {
        let before = self.commands.get(&given.id);
        let before = before.filter(|before| before.attempt == Some(given.attempt));
        match (before.and_then(|before| before.answered), command) {
            (Some(Answered::Done), Command::Update(_)) => {
                ExpectedOutcome::Exactly(Vec::new(), Updated::AtOnce.into())
            }
            (Some(Answered::Done), _) => ExpectedOutcome::Done(Vec::new()),
            (Some(Answered::Bound { subs_id, x }), Command::Bind(request)) => {
                let (a, term) = (request.a.number(), now..request.expires_at);
                let made = Binding {
                    b: request.b.map(Party::number),
                    ..Binding::new(subs_id, request.product, x, a, term)
                };
                let known = self.bindings.get(&subs_id).cloned();
                ExpectedOutcome::Existing(Box::new(known.unwrap_or(made)))
            }
            (Some(Answered::Asked { subs_id, fence }), Command::Bind(_) | Command::Update(_)) => {
                self.asked_before(subs_id, fence, command)
            }
            (Some(Answered::Refused(code)), _) => {
                ExpectedOutcome::Refused(Refusal::by_code(code).unwrap_or(Refusal::CommandRepeated))
            }
            _ => ExpectedOutcome::Refused(Refusal::CommandRepeated),
        }
    }

    fn rule(&self, envelope: &Envelope, now: Timestamp) -> Result<ExpectedOutcome, Refusal> {
        let by = &envelope.by;
        match &envelope.command {
            Command::Bind(request) => self.rule_bind(by, request, now),
            Command::Unbind(Unbind { pool, subs_id, x }) => {
                let binding = self.named(by, pool, *subs_id, *x)?;
                if binding.expires_at <= now || !carries_calls(binding) {
                    return Err(Refusal::BindingUnknown);
                }
                let event = match binding.provision.is_some() {
                    true => self.let_go(binding, EndCause::Unbound, now, self.next_id(now)),
                    false => self.end(binding, EndCause::Unbound, now, now),
                };
                Ok(ExpectedOutcome::Done(event.into_iter().collect()))
            }
            Command::Update(UpdateBinding {
                pool,
                subs_id,
                x,
                updates,
                carriers_down,
            }) => {
                let before = self.named(by, pool, *subs_id, *x)?;
                self.rule_update(before, updates, carriers_down, now)
            }
            Command::Lock(Lock { pool, x }) => self.rule_lock(by, pool, *x, true),
            Command::Unlock(Unlock { pool, x }) => self.rule_lock(by, pool, *x, false),
            Command::ExpireDue(ExpireDue { at_most }) => {
                let due = self.bindings.values().filter(|b| is_due(b, now));
                Ok(ExpectedOutcome::Expired(work(due.count(), *at_most)))
            }
            Command::ThawDue(ThawDue { at_most }) => {
                let due = self
                    .numbers
                    .values()
                    .filter(|n| n.cooling_until > Timestamp(0) && n.cooling_until <= now);
                Ok(ExpectedOutcome::Thawed(work(due.count(), *at_most)))
            }
            Command::ForgetCommands(ForgetCommands { at_most }) => {
                Ok(self.rule_forget(*at_most, now))
            }
            Command::BeginEpoch(BeginEpoch) => Ok(ExpectedOutcome::NewEpoch),
            Command::SettleProvision(asked) => self.rule_settle(*asked, now),
            Command::AbandonAsked(asked) => Ok(self.rule_abandon(asked, now)),
            Command::ForgetCarrier(asked) => self.rule_forget_carrier(asked, now),
            Command::RenewProvision(asked) => self.rule_renew(*asked, now),
            Command::ReleaseOrphan(asked) => self.rule_orphan(asked, now),
            Command::NoteReconciled(asked) => self.rule_reconciled(asked),
            other => self.rule_operator(other, now),
        }
    }

    // ---- who may ----

    fn pool_for(&self, by: &Actor, named: &PoolRef) -> Result<&Pool, Refusal> {
        let Actor::Customer { key, permission } = by else {
            return match named {
                PoolRef::Key(key) => self.pools.get(key).ok_or(Refusal::PoolUnknown),
                PoolRef::LegacyType(_) => Err(Refusal::PoolNotNamed),
            };
        };
        let key = match self.keys.get(key) {
            Some(key) if key.active => key,
            _ => return Err(Refusal::KeyInactive),
        };
        let found = match named {
            PoolRef::Key(key) => self.pools.get(key).ok_or(Refusal::PoolUnknown),
            PoolRef::LegacyType(kind) => self
                .pools
                .values()
                .find(|p| p.account == key.account && p.legacy_type.as_deref() == Some(&**kind))
                .ok_or(Refusal::PoolNotNamed),
        };
        if let Some(user) = &key.user {
            let pool_name = match (named, &found) {
                (PoolRef::Key(key), _) => Some(key.as_str()),
                (PoolRef::LegacyType(_), Ok(pool)) => Some(pool.key.as_str()),
                (PoolRef::LegacyType(_), Err(_)) => None,
            };
            let says = |effect: Effect| {
                let user = self.users.get(&(key.account.clone(), user.clone()));
                user.is_some_and(|user| {
                    user.statements.iter().any(|statement| {
                        statement.effect == effect
                            && statement.actions.iter().any(|p| fits(p, permission))
                            && statement.pools.iter().any(|p| match pool_name {
                                Some(name) => fits(p, name),
                                None => p == "*",
                            })
                    })
                })
            };
            if says(Effect::Deny) || !says(Effect::Allow) {
                return Err(Refusal::PermissionDenied);
            }
        }
        let account = self
            .accounts
            .get(&key.account)
            .ok_or(Refusal::AccountUnknown)?;
        match account.status {
            AccountStatus::Closed => return Err(Refusal::AccountUnknown),
            AccountStatus::Abnormal => return Err(Refusal::AccountAbnormal),
            AccountStatus::InArrears => return Err(Refusal::AccountInArrears),
            AccountStatus::Active => {}
        }
        for (is_so, refusal) in [
            (account.real_name_verified, Refusal::AccountAbnormal),
            (
                account.communications_opened,
                Refusal::CommunicationsNotOpened,
            ),
            (account.product_opened, Refusal::ProductNotOpened),
        ] {
            if !is_so {
                return Err(refusal);
            }
        }
        let pool = found?;
        if pool.account != account.id {
            return Err(Refusal::PoolForeign);
        }
        if !pool.open {
            return Err(Refusal::PoolClosed);
        }
        Ok(pool)
    }

    /// The binding that pool, id and X name together.
    fn named(
        &self,
        by: &Actor,
        pool: &PoolRef,
        subs_id: SubsId,
        x: PhoneNumber,
    ) -> Result<&Binding, Refusal> {
        let pool = self.pool_for(by, pool)?;
        self.bindings
            .get(&subs_id)
            .filter(|binding| binding.x == x)
            .filter(|_| self.pool_of(x).is_some_and(|its| its.key == pool.key))
            .ok_or(Refusal::BindingUnknown)
    }

    fn party(&self, party: Party) -> Result<PhoneNumber, Refusal> {
        let number = party.number();
        if self.emergency.contains(&number) {
            Err(Refusal::NumberIllegal)
        } else {
            Ok(number)
        }
    }

    // ---- bind ----

    fn rule_bind(
        &self,
        by: &Actor,
        ask: &BindRequest,
        now: Timestamp,
    ) -> Result<ExpectedOutcome, Refusal> {
        let pool = self.pool_for(by, &ask.pool)?;
        if ask.product != pool.product {
            return Err(Refusal::ProductMismatch);
        }
        let a = self.party(ask.a)?;
        let b = match ask.b {
            Some(b) => Some(self.party(b)?),
            None if product::needs_b(ask.product) => return Err(Refusal::BMissing),
            None => None,
        };
        let given: Vec<PhoneNumber> = [Some(a), b, ask.x].into_iter().flatten().collect();
        let different: BTreeSet<PhoneNumber> = given.iter().copied().collect();
        if different.len() < given.len() {
            return Err(Refusal::NumbersEqual);
        }
        more_than_a_minute_ahead(ask.expires_at, now)?;

        let x = ask.x.unwrap_or(PhoneNumber::ERASED);
        let wanted = Binding {
            b,
            restriction: ask.restriction,
            record: ask.record,
            speech_recognition: ask.speech_recognition,
            ring_timeout_s: ask.ring_timeout_s,
            extras: ask.extras.clone(),
            owner: Some(Owner {
                pool: pool.key.clone(),
                account: pool.account.clone(),
            }),
            ..Binding::new(SubsId(0), ask.product, x, a, now..ask.expires_at)
        };
        if let Some(same) = self.same_order(pool, ask, &wanted, now) {
            let provision = same.provision.as_ref();
            let is_uncertain = |phase| matches!(phase, Phase::Changing | Phase::Renewing);
            if provision.is_some_and(|provision| is_uncertain(provision.phase)) {
                return Err(Refusal::CarrierUnavailable);
            }
            return Ok(ExpectedOutcome::Existing(Box::new(same.clone())));
        }
        let quota = self
            .accounts
            .get(&pool.account)
            .and_then(|account| account.bindings_max);
        let in_force = self
            .bindings
            .values()
            .filter(|there| keeps_others_out(there, now))
            .filter(|there| {
                self.pool_of(there.x)
                    .is_some_and(|its| its.account == pool.account)
            })
            .count();
        if quota.is_some_and(|quota| in_force >= quota as usize) {
            return Err(Refusal::BindingsFull);
        }
        let allowed = match ask.x {
            Some(x) => {
                self.check_wanted(pool, x, &wanted, now)?;
                BTreeSet::from([x])
            }
            None => self.candidates(pool, ask, &wanted, now),
        };
        if allowed.is_empty() {
            return Err(Refusal::NoNumberLeft);
        }
        let provision = self.reserved(pool, &ask.carriers_down)?;
        let wanted = Binding {
            provision,
            ..wanted
        };
        Ok(ExpectedOutcome::Bound {
            binding: Box::new(wanted),
            allowed,
        })
    }

    /// A live binding of this pool with this OutOrderId on the same terms; the
    /// oldest of them.
    fn same_order(
        &self,
        pool: &Pool,
        ask: &BindRequest,
        wanted: &Binding,
        now: Timestamp,
    ) -> Option<&Binding> {
        if !pool.same_out_order_returns || ask.extras.out_order_id.is_none() {
            return None;
        }
        self.bindings.values().find(|there| {
            let as_wanted = Binding {
                subs_id: wanted.subs_id,
                created_at: wanted.created_at,
                x: wanted.x,
                provision: None,
                ..(*there).clone()
            };
            as_wanted == *wanted
                && there.expires_at > now
                && !is_let_go(there)
                && self.pool_of(there.x).is_some_and(|its| its.key == pool.key)
                && ask.x.is_none_or(|x| x == there.x)
        })
    }

    fn check_wanted(
        &self,
        pool: &Pool,
        x: PhoneNumber,
        wanted: &Binding,
        now: Timestamp,
    ) -> Result<(), Refusal> {
        let number = self.numbers.get(&x).ok_or(Refusal::NumberUnknown)?;
        if number.class.pool.as_ref() != Some(&pool.key) {
            return Err(match self.pool_of(x) {
                Some(its) if its.account == pool.account => Refusal::NumberElsewhere,
                _ => Refusal::NumberUnknown,
            });
        }
        if number.locked {
            return Err(Refusal::NumberLocked);
        }
        if self.rests(x, now) {
            return Err(Refusal::NumberFrozen);
        }
        let live: Vec<&Binding> = self.holding_on(x, now).collect();
        if live
            .iter()
            .any(|there| product::is_of_a_party(there, wanted))
        {
            return Err(Refusal::BindConflict);
        }
        if live.len() >= room_on(pool) {
            return Err(Refusal::NumberTaken);
        }
        Ok(())
    }

    /// Every X that may be given: of the wanted city if there is one, else of
    /// any where the pool is loose.
    fn candidates(
        &self,
        pool: &Pool,
        ask: &BindRequest,
        wanted: &Binding,
        now: Timestamp,
    ) -> BTreeSet<PhoneNumber> {
        let can_carry: Vec<&Number> = self
            .numbers
            .values()
            .filter(|number| number.class.pool.as_ref() == Some(&pool.key))
            .filter(|number| !number.locked && !self.rests(number.x, now))
            .filter(|number| number.x != wanted.a && Some(number.x) != wanted.b)
            .filter(|number| {
                let live: Vec<&Binding> = self.holding_on(number.x, now).collect();
                live.len() < room_on(pool) && !live.iter().any(|there| collide(there, wanted))
            })
            .collect();
        let in_city: Vec<&Number> = can_carry
            .iter()
            .copied()
            .filter(|number| Some(&number.class.city) == ask.city.as_ref())
            .collect();
        let from = match &ask.city {
            Some(_) if !in_city.is_empty() => in_city,
            Some(_) if pool.city_match == CityMatch::Strict => Vec::new(),
            Some(_) | None => can_carry,
        };
        match pool.pick {
            Pick::Random => from.iter().map(|number| number.x).collect(),
            Pick::LongestIdle => self.longest_idle(&from),
        }
    }

    /// Of each city's numbers that lie ready, those that have lain longest; and
    /// those that could be made ready, which nobody has put in order yet.
    fn longest_idle(&self, from: &[&Number]) -> BTreeSet<PhoneNumber> {
        let ready = |number: &&&Number| self.is_available(number);
        from.iter()
            .filter(|number| {
                let longest = from
                    .iter()
                    .filter(ready)
                    .filter(|other| other.class.city == number.class.city)
                    .map(|other| other.idle_since)
                    .min();
                !ready(number) || Some(number.idle_since) == longest
            })
            .map(|number| number.x)
            .collect()
    }

    // ---- the rest ----

    fn rule_update(
        &self,
        before: &Binding,
        updates: &[Update],
        carriers_down: &[CarrierName],
        now: Timestamp,
    ) -> Result<ExpectedOutcome, Refusal> {
        if before.expires_at <= now && !is_unbound(before) {
            return Err(Refusal::BindingOver);
        }
        if !carries_calls(before) {
            return Err(Refusal::BindingUnknown);
        }
        if is_changing(before) {
            return Err(Refusal::UpdateConflict);
        }
        let present = Binding {
            provision: None,
            ..before.clone()
        };
        let mut after = present.clone();
        for update in updates {
            match update {
                Update::A(a) => {
                    after.a = self.party(*a)?;
                }
                Update::B(b) => {
                    after.b = Some(self.party(*b)?);
                }
                Update::ExpiresAt(expires_at) => {
                    more_than_a_minute_ahead(*expires_at, now)?;
                    after.expires_at = *expires_at;
                }
                Update::Restriction(restriction) => after.restriction = *restriction,
                Update::Record(on) => after.record = *on,
                Update::OutId(text) => after.extras.out_id = text.clone(),
                Update::RingConfig(text) => after.extras.ring_config = text.clone(),
                Update::SpeechRecognition(on) => after.speech_recognition = *on,
                Update::SpeechModel(text) => after.extras.speech_model = text.clone(),
            }
        }
        if after == present {
            let told = |update: &Update| {
                matches!(update, Update::A(_) | Update::B(_) | Update::ExpiresAt(_))
            };
            let provision = before.provision.as_deref();
            return match provision.is_some_and(|its| its.phase != Phase::Confirmed) {
                true if updates.iter().any(told) => Err(Refusal::CarrierUnavailable),
                _ => Ok(ExpectedOutcome::Exactly(Vec::new(), Updated::AtOnce.into())),
            };
        }
        let parties: Vec<PhoneNumber> = std::iter::once(after.a).chain(after.b).collect();
        if parties.contains(&after.x) || after.b == Some(after.a) {
            return Err(Refusal::NumbersEqual);
        }
        let others = self.holding_on(after.x, now);
        if others
            .filter(|other| other.subs_id != after.subs_id)
            .any(|other| collide(other, &after))
        {
            return Err(Refusal::UpdateConflict);
        }
        if before.provision.is_some() && must_be_told(&present, &after) {
            return self.propose(before, after, carriers_down, now);
        }
        let changed = vec![Event::BindingChanged(Box::new(after))];
        Ok(ExpectedOutcome::Exactly(changed, Updated::AtOnce.into()))
    }

    fn rule_lock(
        &self,
        by: &Actor,
        pool: &PoolRef,
        x: PhoneNumber,
        locked: bool,
    ) -> Result<ExpectedOutcome, Refusal> {
        let pool = self.pool_for(by, pool)?;
        let number = self.numbers.get(&x).ok_or(Refusal::NumberUnknown)?;
        if number.class.pool.as_ref() != Some(&pool.key) {
            return Err(Refusal::NumberUnknown);
        }
        Ok(ExpectedOutcome::Done(if number.locked == locked {
            Vec::new()
        } else if locked {
            vec![Event::NumberLocked { x }]
        } else {
            vec![Event::NumberUnlocked { x }]
        }))
    }

    fn rule_forget(&self, at_most: u32, now: Timestamp) -> ExpectedOutcome {
        let mut due: Vec<(Timestamp, CommandId)> = self
            .commands
            .iter()
            .map(|(id, remembered)| (remembered.until, *id))
            .filter(|(until, _)| *until < now)
            .collect();
        due.sort_unstable();
        let work = work(due.len(), at_most);
        let last = work.count.checked_sub(1).map(|last| due[last as usize]);
        ExpectedOutcome::Forgotten(work, last)
    }

    /// The binding that must lose its claims before `binding` can have them:
    /// those on the same X that are over.
    pub fn in_the_way<'a>(
        &'a self,
        binding: &'a Binding,
    ) -> impl Iterator<Item = &'a Binding> + 'a {
        self.on(binding.x)
            .filter(|other| other.subs_id != binding.subs_id)
            .filter(move |other| collide(other, binding))
    }
}

pub(super) fn work(due: usize, at_most: u32) -> Work {
    let count = due.min(at_most as usize);
    Work {
        count: count as u32,
        more: due > count,
    }
}

fn more_than_a_minute_ahead(end: Timestamp, now: Timestamp) -> Result<(), Refusal> {
    if end.0 - now.0 > 60_000 {
        Ok(())
    } else {
        Err(Refusal::ExpirationIllegal)
    }
}

/// Whether the pattern of a statement, open where it ends with `*`, covers a text.
fn fits(pattern: &str, text: &str) -> bool {
    if let Some(beginning) = pattern.strip_suffix('*') {
        text.starts_with(beginning)
    } else {
        pattern == text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A mobile, a landline with its area code, or a service number.
    fn looks_like_a_party(digits: &str) -> bool {
        let second = digits.chars().nth(1).unwrap_or(' ');
        let length = digits.len();
        let mobile = length == 11 && digits.starts_with('1') && ('3'..='9').contains(&second);
        let big_city = digits.starts_with("010") || digits.starts_with("02");
        let other_city = digits.starts_with('0') && ('3'..='9').contains(&second);
        let landline = (big_city && (length == 10 || length == 11))
            || (other_city && (11..=12).contains(&length));
        let service = (digits.starts_with("95") && (5..=8).contains(&length))
            || (length == 10 && (digits.starts_with("400") || digits.starts_with("800")));
        mobile || landline || service
    }

    /// Commands hold parties whose form was judged at the door; the model judges it by its own words.
    #[test]
    fn the_model_and_the_door_agree_on_who_may_be_a_party() {
        let beginnings = [
            "", "0", "01", "010", "02", "021", "03", "0571", "09", "1", "10", "110", "119", "12",
            "13", "15", "17", "19", "2", "4", "40", "400", "401", "8", "80", "800", "801", "86",
            "9", "94", "95", "96",
        ];
        let mut counts = [0, 0];
        for beginning in beginnings {
            for length in 1..=14 {
                let digits = format!("{beginning:7<length$}");
                let is_party = looks_like_a_party(&digits);
                assert_eq!(Party::parse(&digits).is_some(), is_party, "{digits}");
                counts[usize::from(is_party)] += 1;
            }
        }
        assert!(counts.into_iter().all(|count| count >= 20), "{counts:?}");
    }
}
