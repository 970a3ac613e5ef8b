//! What each command does, a file for a verb.

mod access;
mod bind;
mod epoch;
mod expire;
mod forget;
mod imports;
mod lock;
mod numbers;
mod pools;
mod thaw;
mod trunks;
mod unbind;
mod update;

use crate::access::{Admission, PoolRef, admit};
use crate::binding::{Binding, SubsId};
use crate::clock::Timestamp;
use crate::command::{Actor, Command, Decision, Envelope, Outcome};
use crate::event::Event;
use crate::number::PhoneNumber;
use crate::pool::Pool;
use crate::refusal::Refusal;
use crate::state::State;

/// What a rule gives: facts and a good answer.
type Decided = Result<(Vec<Event>, Outcome), Refusal>;

/// Decides a command on a state, changing nothing.
///
/// `now` is not before [`State::now`]; `seed` is the only source of chance. A
/// command whose id is remembered is refused without any event; every other
/// command with an id leaves [`Event::CommandAnswered`], refused or not.
pub fn decide(state: &State, envelope: &Envelope, now: Timestamp, seed: u64) -> Decision {
    let mut events = Vec::new();
    if let (Some((id, until)), Actor::Customer { key, .. }) = (envelope.id, &envelope.by) {
        let refusal = if state.remembers(id, now) {
            Some(Refusal::CommandRepeated)
        } else if state.memory.is_full(key) {
            Some(Refusal::CommandsTooMany)
        } else {
            None
        };
        if let Some(refusal) = refusal {
            return Decision {
                events,
                answer: Err(refusal),
            };
        }
        events.push(Event::CommandAnswered {
            id,
            key: key.clone(),
            until,
        });
    }
    let decision = rule(state, envelope, now, seed);
    events.extend(decision.events);
    Decision {
        events,
        answer: decision.answer,
    }
}

fn rule(state: &State, envelope: &Envelope, now: Timestamp, seed: u64) -> Decision {
    let by = &envelope.by;
    let decided = match &envelope.command {
        Command::Bind(request) => return bind::bind(state, by, request, now, seed),
        Command::Unbind { pool, subs_id, x } => unbind::unbind(state, by, pool, *subs_id, *x, now),
        Command::Update {
            pool,
            subs_id,
            x,
            updates,
        } => update::update(state, by, pool, (*subs_id, *x), updates, now),
        Command::Lock { pool, x } => lock::set_locked(state, by, pool, *x, true),
        Command::Unlock { pool, x } => lock::set_locked(state, by, pool, *x, false),
        Command::SetAccount(account) => access::set_account(state, account),
        Command::CreateKey(key) => access::create_key(state, key),
        Command::SetKeyActive { id, active } => access::set_key_active(state, id, *active),
        Command::ResealKey { id, sealed_secret } => access::reseal_key(state, id, sealed_secret),
        Command::DeleteKey { id } => access::delete_key(state, id),
        Command::SetUser(user) => access::set_user(state, user),
        Command::DeleteUser { account, name } => access::delete_user(state, account, name),
        Command::SetPool(pool) => pools::set_pool(state, pool),
        Command::SetTrunk(trunk) => trunks::set_trunk(state, trunk),
        Command::DeleteTrunk { name } => trunks::delete_trunk(state, name),
        Command::SetEmergencyNumbers(list) => numbers::set_emergency(state, list),
        Command::AddNumbers(list) => numbers::add(state, list),
        Command::ReleaseNumbers(list) => numbers::release(state, list, now),
        Command::NoteImport { name, rows } => imports::note(state, name, *rows),
        Command::NoteReveal { what, rows } => Ok((
            vec![Event::Revealed {
                what: what.clone(),
                rows: *rows,
            }],
            Outcome::Done,
        )),
        Command::Note(note) => Ok((vec![Event::Noted(note.clone())], Outcome::Done)),
        Command::NoteErasure { bindings } => Ok((
            vec![Event::PersonErased {
                bindings: *bindings,
            }],
            Outcome::Done,
        )),
        Command::BeginEpoch => Ok(epoch::begin(state, now)),
        Command::ExpireDue { at_most } => Ok(expire::expire_due(state, *at_most, now)),
        Command::ThawDue { at_most } => Ok(thaw::thaw_due(state, *at_most, now)),
        Command::ForgetCommands { at_most } => Ok(forget::forget_commands(state, *at_most, now)),
    };
    match decided {
        Ok((events, outcome)) => Decision {
            events,
            answer: Ok(outcome),
        },
        Err(refusal) => Decision {
            events: Vec::new(),
            answer: Err(refusal),
        },
    }
}

/// The pool that `by` may use for its command. Operators and jobs use any.
fn pool_for<'a>(state: &'a State, by: &Actor, pool: &PoolRef) -> Result<&'a Pool, Refusal> {
    match by {
        Actor::Customer { key, permission } => {
            let Admission { pool, .. } = admit(state, key, permission, Some(pool), None)?;
            pool.ok_or(Refusal::PoolNotNamed)
        }
        Actor::Operator { .. } | Actor::Job { .. } => match pool {
            PoolRef::Key(key) => state.pool(key).ok_or(Refusal::PoolUnknown),
            PoolRef::LegacyType(_) => Err(Refusal::PoolNotNamed),
        },
    }
}

/// The binding that pool, id and X together name, over or not.
fn binding_in(
    state: &State,
    pool: &Pool,
    subs_id: SubsId,
    x: PhoneNumber,
) -> Result<Binding, Refusal> {
    let binding = state.binding(subs_id).ok_or(Refusal::BindingUnknown)?;
    let in_pool = state
        .number(binding.x)
        .is_some_and(|number| number.class.pool.as_ref() == Some(&pool.key));
    if binding.x != x || !in_pool {
        return Err(Refusal::BindingUnknown);
    }
    Ok(binding)
}

/// Whether a number may be A, B or a member of a group.
fn party(state: &State, number: PhoneNumber) -> Result<(), Refusal> {
    if number.is_party() && !state.emergency_numbers().contains(&number) {
        Ok(())
    } else {
        Err(Refusal::NumberIllegal)
    }
}

/// The end of a binding lies more than a minute ahead (vendor page "BindAxn":
/// "more than 1 minute later"); exactly a minute is too short.
fn expiration(expires_at: Timestamp, now: Timestamp) -> Result<(), Refusal> {
    const AHEAD_MS: i64 = 60_000;
    if expires_at > now.plus_millis(AHEAD_MS) {
        Ok(())
    } else {
        Err(Refusal::ExpirationIllegal)
    }
}
