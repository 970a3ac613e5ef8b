//! What operators' commands must lead to.

use std::collections::BTreeSet;

use maskline_domain::ops::{
    AddNumbers, CreateKey, DeleteCarrier, DeleteKey, DeleteTrunk, DeleteUser, ErasePerson,
    NoteImport, NoteReveal, ReleaseNumbers, ResealKey, SetAccount, SetCarrier, SetEmergencyNumbers,
    SetKeyActive, SetPool, SetTrunk, SetUser,
};
use maskline_domain::{
    AccessKey, AdminRefusal, Carrier, Command, Event, Number, PhoneNumber, Refusal, SubsId,
    Timestamp,
};

use crate::model::Model;
use crate::model::rules::ExpectedOutcome;

const NOT_FOUND: AdminRefusal = AdminRefusal::NotFound { what: "" };
const EXISTS: AdminRefusal = AdminRefusal::Exists { what: "" };
const IN_USE: AdminRefusal = AdminRefusal::InUse { what: "" };
const FIXED: AdminRefusal = AdminRefusal::Fixed { what: "", why: "" };
const MALFORMED: AdminRefusal = AdminRefusal::Malformed { what: "", why: "" };
const TOO_MANY: AdminRefusal = AdminRefusal::TooMany { what: "", limit: 0 };

/// Whether two refusals say the same. Of operators' ones only the sort counts:
/// their words are for people.
pub fn same_refusal(one: &Refusal, other: &Refusal) -> bool {
    match (one, other) {
        (Refusal::Admin(one), Refusal::Admin(other)) => {
            std::mem::discriminant(one) == std::mem::discriminant(other)
        }
        _ => one == other,
    }
}

fn unless(bad: bool, refusal: AdminRefusal) -> Result<(), Refusal> {
    if bad { Err(refusal.into()) } else { Ok(()) }
}

fn done(events: Vec<Event>) -> Result<ExpectedOutcome, Refusal> {
    Ok(ExpectedOutcome::Done(events))
}

/// The event if something changed.
fn changed(is_so: bool, event: Event) -> Result<ExpectedOutcome, Refusal> {
    done(if is_so { vec![event] } else { Vec::new() })
}

impl Model {
    pub(super) fn rule_operator(
        &self,
        command: &Command,
        now: Timestamp,
    ) -> Result<ExpectedOutcome, Refusal> {
        match command {
            Command::SetAccount(SetAccount(account)) => {
                unless(!is_name(account.id.as_str()), MALFORMED)?;
                let is_new = self.accounts.get(&account.id) != Some(account);
                changed(is_new, Event::AccountSet(account.clone()))
            }
            Command::CreateKey(CreateKey(key)) => {
                unless(!is_name(key.id.as_str()), MALFORMED)?;
                unless(!(1..=512).contains(&key.sealed_secret.len()), MALFORMED)?;
                unless(self.keys.contains_key(&key.id), EXISTS)?;
                unless(!self.accounts.contains_key(&key.account), NOT_FOUND)?;
                if let Some(user) = &key.user {
                    let known = self
                        .users
                        .keys()
                        .any(|u| *u == (key.account.clone(), user.clone()));
                    unless(!known, NOT_FOUND)?;
                }
                done(vec![Event::KeySet(key.clone())])
            }
            Command::SetKeyActive(SetKeyActive { id, active }) => {
                let key = self.keys.get(id).ok_or(Refusal::Admin(NOT_FOUND))?;
                let after = AccessKey {
                    active: *active,
                    ..key.clone()
                };
                changed(after != *key, Event::KeySet(after))
            }
            Command::ResealKey(ResealKey { id, sealed_secret }) => {
                let key = self.keys.get(id).ok_or(Refusal::Admin(NOT_FOUND))?;
                done(vec![Event::KeySet(AccessKey {
                    sealed_secret: sealed_secret.clone(),
                    ..key.clone()
                })])
            }
            Command::DeleteKey(DeleteKey { id }) => {
                unless(!self.keys.contains_key(id), NOT_FOUND)?;
                done(vec![Event::KeyDeleted { id: id.clone() }])
            }
            Command::SetUser(SetUser(user)) => {
                unless(!is_name(user.name.as_str()), MALFORMED)?;
                unless(!self.accounts.contains_key(&user.account), NOT_FOUND)?;
                let place = (user.account.clone(), user.name.clone());
                let is_new = self.users.get(&place) != Some(user);
                changed(is_new, Event::UserSet(user.clone()))
            }
            Command::DeleteUser(DeleteUser { account, name }) => {
                let place = (account.clone(), name.clone());
                unless(!self.users.contains_key(&place), NOT_FOUND)?;
                done(vec![Event::UserDeleted {
                    account: account.clone(),
                    name: name.clone(),
                }])
            }
            Command::SetPool(SetPool(pool)) => {
                let digits = pool.key.as_str().strip_prefix("FC").unwrap_or("");
                let key_is_good =
                    (1..=30).contains(&digits.len()) && digits.chars().all(|c| c.is_ascii_digit());
                unless(!key_is_good, MALFORMED)?;
                unless(!self.accounts.contains_key(&pool.account), NOT_FOUND)?;
                unless(pool.cooling_s > 366 * 86_400, MALFORMED)?;
                unless(
                    pool.ring_timeout_s == 0 || pool.ring_timeout_s > 180,
                    MALFORMED,
                )?;
                let carrier = pool.carrier.as_ref();
                let is_known = carrier.is_none_or(|name| self.carriers.contains_key(name));
                unless(!is_known, NOT_FOUND)?;
                let before = self.pools.get(&pool.key);
                let is_other = before.is_none_or(|b| b.pairs_max != pool.pairs_max);
                let is_wrong = pool.pairs_max == 0 || pool.pairs_max > 200;
                unless(is_other && is_wrong, MALFORMED)?;
                if before == Some(pool) {
                    return done(Vec::new());
                }
                let other =
                    before.is_some_and(|b| b.account != pool.account || b.product != pool.product);
                unless(other, FIXED)?;
                done(vec![Event::PoolSet(pool.clone())])
            }
            Command::SetTrunk(SetTrunk(trunk)) => {
                unless(!is_name(trunk.name.as_str()), MALFORMED)?;
                unless(trunk.peer.contains(' '), MALFORMED)?;
                let is_new = self.trunks.get(&trunk.name) != Some(&**trunk);
                changed(is_new, Event::TrunkSet(trunk.clone()))
            }
            Command::DeleteTrunk(DeleteTrunk { name }) => {
                unless(!self.trunks.contains_key(name), NOT_FOUND)?;
                done(vec![Event::TrunkDeleted { name: name.clone() }])
            }
            Command::SetCarrier(SetCarrier(wanted)) => {
                unless(!is_name(wanted.name.as_str()), MALFORMED)?;
                let before = self.carriers.get(&wanted.name);
                let carrier = Carrier {
                    reconciled_epoch: before.map_or(0, |before| before.reconciled_epoch),
                    ..Carrier::clone(wanted)
                };
                let is_other = before.is_some_and(|before| before.kind != carrier.kind);
                unless(is_other && self.is_told_of_any(&carrier.name), FIXED)?;
                let is_new = before != Some(&carrier);
                changed(is_new, Event::CarrierSet(Box::new(carrier)))
            }
            Command::DeleteCarrier(DeleteCarrier { name }) => {
                unless(!self.carriers.contains_key(name), NOT_FOUND)?;
                let mut pools = self.pools.values();
                unless(
                    pools.any(|pool| pool.carrier.as_ref() == Some(name)),
                    IN_USE,
                )?;
                unless(self.is_told_of_any(name), IN_USE)?;
                done(vec![Event::CarrierDeleted { name: name.clone() }])
            }
            Command::SetEmergencyNumbers(SetEmergencyNumbers(numbers)) => {
                unless(numbers.len() > 1000, TOO_MANY)?;
                let sorted: BTreeSet<PhoneNumber> = numbers.iter().copied().collect();
                let numbers: Vec<PhoneNumber> = sorted.into_iter().collect();
                changed(
                    self.emergency != numbers,
                    Event::EmergencyNumbersSet { numbers },
                )
            }
            Command::AddNumbers(AddNumbers(numbers)) => self.rule_add(numbers),
            Command::ReleaseNumbers(ReleaseNumbers(numbers)) => self.rule_release(numbers, now),
            Command::NoteImport(NoteImport { name, rows: None }) => changed(
                self.imports.contains_key(name),
                Event::ImportEnded { name: name.clone() },
            ),
            Command::NoteImport(NoteImport {
                name,
                rows: Some(rows),
            }) => {
                let known = self.imports.get(name).copied();
                let (name, rows) = (name.clone(), *rows);
                changed(known < Some(rows), Event::ImportAdvanced { name, rows })
            }
            Command::NoteReveal(NoteReveal { what, rows }) => done(vec![Event::Revealed {
                what: what.clone(),
                rows: *rows,
            }]),
            Command::Note(note) => done(vec![Event::Noted(note.clone())]),
            Command::ErasePerson(ErasePerson { subjects, last }) => {
                let has_ended = |of: u64| !self.bindings.contains_key(&SubsId(of));
                let (mut subjects, mut last) = (subjects.clone(), last.clone());
                subjects.retain(|subject| has_ended(subject.of));
                last.retain(|erased| has_ended(erased.of));
                done(vec![Event::PersonErased {
                    bindings: last.len() as u32,
                    subjects,
                    last,
                }])
            }
            // The rest is ruled elsewhere; see `rules`.
            _ => done(Vec::new()),
        }
    }

    fn rule_add(&self, numbers: &[Number]) -> Result<ExpectedOutcome, Refusal> {
        unless(numbers.len() > 4096, TOO_MANY)?;
        let mut events = Vec::new();
        for (at, number) in numbers.iter().enumerate() {
            let city = number.class.city.as_str();
            unless(city.is_empty() || city.len() > 64, MALFORMED)?;
            if let Some(pool) = &number.class.pool {
                unless(!self.pools.contains_key(pool), NOT_FOUND)?;
            }
            let twice = numbers[..at].iter().any(|other| other.x == number.x);
            unless(twice, EXISTS)?;
            let mut after = Number {
                locked: false,
                cooling_until: Timestamp(0),
                idle_since: Timestamp(0),
                ..number.clone()
            };
            if let Some(before) = self.numbers.get(&number.x) {
                let moves = before.class.pool != number.class.pool;
                unless(moves && self.on(number.x).next().is_some(), IN_USE)?;
                after.locked = before.locked;
                after.cooling_until = before.cooling_until;
                after.idle_since = before.idle_since;
                if *before == after {
                    continue;
                }
            }
            events.push(Event::NumberSet(after));
        }
        done(events)
    }

    fn rule_release(
        &self,
        numbers: &[PhoneNumber],
        now: Timestamp,
    ) -> Result<ExpectedOutcome, Refusal> {
        unless(numbers.len() > 4096, TOO_MANY)?;
        let numbers: BTreeSet<PhoneNumber> = numbers.iter().copied().collect();
        for &x in &numbers {
            unless(!self.numbers.contains_key(&x), NOT_FOUND)?;
            unless(self.holding_on(x, now).next().is_some(), IN_USE)?;
            // Very many that are over are recorded by their job first.
            unless(self.on(x).count() > 8, IN_USE)?;
        }
        done(
            numbers
                .into_iter()
                .map(|x| Event::NumberReleased { x })
                .collect(),
        )
    }
}

fn is_name(text: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_.@".contains(c);
    (1..=64).contains(&text.len()) && text.chars().all(plain)
}
