//! The commands, and what each does: a file for a verb, and a line in the table below.
//!
//! A command is a type of its own, which stands beside its rule and knows what comes of it
//! ([`TypedCommand::Outcome`]). [`Command`] is any of them, as they queue together; it, and the way from
//! a command to its rule, are made from the table.

mod access;
mod audit;
mod bind;
mod carriers;
mod epoch;
mod erase;
mod expire;
mod forget;
mod imports;
mod lock;
mod numbers;
mod operators;
mod pools;
mod provisions;
mod thaw;
mod trunks;
mod unbind;
mod update;

pub use self::access::{
    CreateKey, DeleteKey, DeleteUser, ResealKey, SetAccount, SetKeyActive, SetUser,
};
pub use self::audit::NoteReveal;
pub use self::carriers::{DeleteCarrier, SetCarrier};
pub use self::epoch::BeginEpoch;
pub use self::erase::{ERASED_MAX, ErasePerson};
pub use self::expire::ExpireDue;
pub use self::forget::ForgetCommands;
pub use self::imports::NoteImport;
pub use self::lock::{Lock, Unlock};
pub use self::numbers::{AddNumbers, ENDS_MAX, ReleaseNumbers, SetEmergencyNumbers};
pub use self::operators::{
    AddOperator, RemoveOperator, RestoreFirstToken, RetireFirstToken, RotateOperator,
    SetOperatorEnabled,
};
pub use self::pools::SetPool;
pub use self::provisions::{
    AbandonAsked, ForgetCarrier, NoteReconciled, ReleaseOrphan, RenewProvision, SettleProvision,
    Settlement,
};
pub use self::thaw::ThawDue;
pub use self::trunks::{DeleteTrunk, SetTrunk};
pub use self::unbind::Unbind;
pub use self::update::UpdateBinding;

use std::any::TypeId;
use std::cell::Cell;

use crate::access::{Admission, admit};
use crate::account::AccessKeyId;
use crate::binding::{Binding, SubsId};
use crate::clock::Timestamp;
use crate::command::{Actor, BindRequest, Fence, Note, Outcome, Updated, Work};
use crate::command_id::{Answered, CommandKey};
use crate::event::Event;
use crate::number::{Party, PhoneNumber};
use crate::overdue::Refused;
use crate::pool::{Pool, PoolRef};
use crate::refusal::Refusal;
use crate::state::State;

/// How many things a job does in one command, and how many numbers an operator adds in one, so that nobody waits long
/// for who holds the state. More is done by many commands, which can share a batch.
pub const AT_ONCE: u32 = 12;

/// A command that knows what comes of it.
pub trait TypedCommand: Into<Command> {
    /// What comes of it when it is not refused.
    type Outcome: Into<Outcome> + TryFrom<Outcome>;
}

/// Any command, of which only [`Outcome`] can be said.
impl TypedCommand for Command {
    type Outcome = Outcome;
}

/// Makes [`Command`] and the way to the rules from lines of `Name(type) -> outcome: rule;`.
macro_rules! commands {
    ($($(#[$meta:meta])* $name:ident($command:ty) -> $outcome:ty: $rule:path;)*) => {
        /// Any command.
        #[derive(Debug, Clone, PartialEq, Eq)]
        pub enum Command {
            $($(#[$meta])* $name($command),)*
        }

        $(
            impl From<$command> for Command {
                fn from(command: $command) -> Self {
                    Self::$name(command)
                }
            }

            impl TypedCommand for $command {
                type Outcome = $outcome;
            }
        )*

        impl Command {
            /// Whether nothing more can be said of it than that it was done.
            fn is_only_done(&self) -> bool {
                match self {
                    $(Command::$name(_) => TypeId::of::<$outcome>() == TypeId::of::<()>(),)*
                }
            }
        }

        fn rule(on: &Circumstances<'_>, command: &Command) -> Decision {
            match command {
                $(Command::$name(command) => {
                    let decided: Decided<$outcome> = $rule(on, command);
                    decision(decided)
                })*
            }
        }
    };
}

commands! {
    /// Make a binding.
    Bind(Box<BindRequest>) -> Box<Binding>: bind::bind;
    /// End a binding.
    Unbind(Unbind) -> (): unbind::unbind;
    /// Change a binding.
    Update(UpdateBinding) -> Updated: update::update;
    /// Take an X out of selection.
    Lock(Lock) -> (): lock::lock;
    /// Put an X back.
    Unlock(Unlock) -> (): lock::unlock;

    /// Make or change an account.
    SetAccount(SetAccount) -> (): access::set_account;
    /// Make a key.
    CreateKey(CreateKey) -> (): access::create_key;
    /// Switch a key on or off.
    SetKeyActive(SetKeyActive) -> (): access::set_key_active;
    /// Replace a key's sealed secret.
    ResealKey(ResealKey) -> (): access::reseal_key;
    /// Delete a key.
    DeleteKey(DeleteKey) -> (): access::delete_key;
    /// Make or change a user.
    SetUser(SetUser) -> (): access::set_user;
    /// Delete a user and their keys.
    DeleteUser(DeleteUser) -> (): access::delete_user;
    /// Make or change a pool.
    SetPool(SetPool) -> (): pools::set_pool;
    /// Make or change a trunk.
    SetTrunk(SetTrunk) -> (): trunks::set_trunk;
    /// Take a trunk away.
    DeleteTrunk(DeleteTrunk) -> (): trunks::delete_trunk;
    /// Make or change a carrier.
    SetCarrier(SetCarrier) -> (): carriers::set_carrier;
    /// Take a carrier away.
    DeleteCarrier(DeleteCarrier) -> (): carriers::delete_carrier;
    /// Replace the list of numbers that may never be a party.
    SetEmergencyNumbers(SetEmergencyNumbers) -> (): numbers::set_emergency;
    /// Add X numbers, or change their facts.
    AddNumbers(AddNumbers) -> (): numbers::add;
    /// Take X numbers away.
    ReleaseNumbers(ReleaseNumbers) -> (): numbers::release;

    /// Add an operator.
    AddOperator(AddOperator) -> (): operators::add;
    /// Give an operator another token.
    RotateOperator(RotateOperator) -> (): operators::rotate;
    /// Switch an operator on or off.
    SetOperatorEnabled(SetOperatorEnabled) -> (): operators::set_enabled;
    /// Take an operator away.
    RemoveOperator(RemoveOperator) -> (): operators::remove;
    /// Retire the first token.
    RetireFirstToken(RetireFirstToken) -> (): operators::retire_first;
    /// Let the first token be used again.
    RestoreFirstToken(RestoreFirstToken) -> (): operators::restore_first;

    /// Write down how far an import of many commands has come.
    NoteImport(NoteImport) -> (): imports::note;
    /// Write down that an operator looked at whole numbers.
    NoteReveal(NoteReveal) -> (): audit::note_reveal;
    /// Write down something else for the audit.
    Note(Note) -> (): audit::note;
    /// Erase a person from bindings that have ended.
    ErasePerson(ErasePerson) -> (): erase::erase_person;
    /// Begin a new epoch after a restore.
    BeginEpoch(BeginEpoch) -> (): epoch::begin;

    /// Settle a request to a carrier.
    SettleProvision(SettleProvision) -> (): provisions::settle;
    /// Give up the requests to a carrier for whose answers nobody waits any more.
    AbandonAsked(AbandonAsked) -> Work: provisions::abandon;
    /// Detach bindings from a carrier that is gone for good.
    ForgetCarrier(ForgetCarrier) -> Work: provisions::forget;
    /// Have a carrier told once more of a binding.
    RenewProvision(RenewProvision) -> (): provisions::renew;
    /// Have a carrier let go what is none of ours.
    ReleaseOrphan(ReleaseOrphan) -> Fence: provisions::release_orphan;
    /// Write down that what a carrier holds was compared.
    NoteReconciled(NoteReconciled) -> (): provisions::note_reconciled;

    /// Record the end of bindings that are over.
    ExpireDue(ExpireDue) -> Work: expire::expire_due;
    /// Put numbers that have cooled back.
    ThawDue(ThawDue) -> Work: thaw::thaw_due;
    /// Forget ids of commands that cannot come again.
    ForgetCommands(ForgetCommands) -> Work: forget::forget_commands;
}

/// A command with its sender and, if it came signed, the id under which it
/// must not come again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Envelope<C = Command> {
    /// Who gives it.
    pub by: Actor,
    /// By what it is known again.
    pub id: Option<CommandKey>,
    /// What is asked.
    pub command: C,
}

impl<C: TypedCommand> Envelope<C> {
    /// The same among all others.
    pub fn untyped(self) -> Envelope {
        Envelope {
            by: self.by,
            id: self.id,
            command: self.command.into(),
        }
    }
}

/// What came of a command: facts to be journalled, and the answer to be given
/// once they are durable.
///
/// A refusal may come with facts too: that the command was seen, and that
/// bindings it looked at were over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    /// What happened.
    pub events: Vec<Event>,
    /// What the sender is told.
    pub answer: Result<Outcome, Refusal>,
}

/// On what a rule decides.
struct Circumstances<'a> {
    state: &'a State,
    by: &'a Actor,
    /// Not before [`State::now`].
    now: Timestamp,
    /// The only source of chance.
    seed: u64,
    /// The next id of a binding or fence of a request that is drawn.
    next_id: Cell<u64>,
}

impl Circumstances<'_> {
    /// Draws an id or a fence: each is higher than all before.
    fn next_id(&self) -> u64 {
        let id = self.next_id.get();
        self.next_id.set(id + 1);
        id
    }
}

/// What a rule gives: facts and a good answer.
type Decided<O> = Result<(Vec<Event>, O), Refused>;

/// Decides a command on a state, changing nothing.
///
/// `now` is not before [`State::now`]; `seed` is the only source of chance. A
/// command whose id is remembered leaves no event: the same try of it is told
/// again what came of it, another one is refused. Every other command with an
/// id leaves [`Event::CommandAnswered`], refused or not.
pub fn decide(state: &State, envelope: &Envelope, now: Timestamp, seed: u64) -> Decision {
    let key = match &envelope.by {
        Actor::Customer { key, .. } => Some(key.clone()),
        Actor::Operator { .. } | Actor::Job { .. } => None,
    };
    if let Some(given) = envelope.id
        && let Some(answer) = known_answer(state, given, &key, &envelope.command, now)
    {
        let events = Vec::new();
        return Decision { events, answer };
    }
    let on = Circumstances {
        state,
        by: &envelope.by,
        now,
        seed,
        next_id: Cell::new(state.next_subs_id(now).0),
    };
    let Decision { events, answer } = rule(&on, &envelope.command);
    let Some(given) = envelope.id else {
        return Decision { events, answer };
    };
    let answered = Event::CommandAnswered {
        id: given.id,
        key,
        until: given.until,
        attempt: Some(given.attempt),
        answered: Answered::of(&answer),
    };
    let events = std::iter::once(answered).chain(events).collect();
    Decision { events, answer }
}

/// The answer to a command that is not decided: it was before, or cannot be remembered.
fn known_answer(
    state: &State,
    given: CommandKey,
    key: &Option<AccessKeyId>,
    command: &Command,
    now: Timestamp,
) -> Option<Result<Outcome, Refusal>> {
    let Some(before) = state.remembered(given.id, now) else {
        let is_full = state.memory.is_full(key);
        return is_full.then_some(Err(Refusal::CommandsTooMany));
    };
    if before.attempt != Some(given.attempt) {
        return Some(Err(Refusal::CommandRepeated));
    }
    // One that was refused in words has changed nothing, and is decided anew.
    match (before.answered?, command) {
        (Answered::Refused(code), _) => Refusal::by_code(code).map(Err),
        (Answered::Bound { subs_id, x }, Command::Bind(request)) => {
            let binding = state.binding(subs_id).filter(|binding| binding.x == x);
            // It has ended since; whoever asked is told what was made.
            let binding = binding.unwrap_or_else(|| {
                let term = now..request.expires_at;
                let a = request.a.number();
                Binding {
                    b: request.b.map(Party::number),
                    ..Binding::new(subs_id, request.product, x, a, term)
                }
            });
            Some(Ok(Outcome::Bound(Box::new(binding))))
        }
        (Answered::Done, command) if command.is_only_done() => Some(Ok(Outcome::Done)),
        (Answered::Done, Command::Update(_)) => Some(Ok(Outcome::Updated(Updated::AtOnce))),
        (Answered::Asked { subs_id, fence }, Command::Bind(_) | Command::Update(_)) => {
            Some(asked_before(state, subs_id, fence, command))
        }
        // Another command than the one that was decided.
        (Answered::Bound { .. } | Answered::Done | Answered::Asked { .. }, _) => {
            Some(Err(Refusal::CommandRepeated))
        }
    }
}

/// What came of a request for which a carrier was asked, as far as it is known. When it is not any more, whoever asks
/// is told that the carrier did not answer: an answer that all is well would need one that still holds it.
fn asked_before(
    state: &State,
    subs_id: SubsId,
    fence: u64,
    command: &Command,
) -> Result<Outcome, Refusal> {
    let binding = state.binding(subs_id).ok_or(Refusal::CarrierUnavailable)?;
    let provision = binding.provision.as_deref();
    let is_asked = provision.is_some_and(|its| its.fence == fence && its.phase.is_asked());
    // One that was detached from its carrier had been confirmed.
    let stands = provision.is_none_or(|its| its.phase.routes());
    match command {
        Command::Bind(_) if stands || is_asked => Ok(Outcome::Bound(Box::new(binding))),
        Command::Update(_) if is_asked => Ok(Outcome::Updated(Updated::Asked(Box::new(binding)))),
        _ => Err(Refusal::CarrierUnavailable),
    }
}

fn decision<O: Into<Outcome>>(decided: Decided<O>) -> Decision {
    match decided {
        Ok((events, outcome)) => Decision {
            events,
            answer: Ok(outcome.into()),
        },
        Err(Refused { refusal, before }) => Decision {
            events: before,
            answer: Err(refusal),
        },
    }
}

/// The pool that `by` may use for its command. Operators and jobs use any.
fn pool_for<'a>(on: &Circumstances<'a>, pool: &PoolRef) -> Result<&'a Pool, Refusal> {
    let state = on.state;
    match on.by {
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

/// The number of a party, which is none of the emergency numbers. That its form is right is in the type.
fn party(state: &State, party: Party) -> Result<PhoneNumber, Refusal> {
    let number = party.number();
    if state.emergency_numbers().contains(&number) {
        return Err(Refusal::NumberIllegal);
    }
    Ok(number)
}

/// A, B and X are different numbers, as far as they are given.
fn differ(a: PhoneNumber, b: Option<PhoneNumber>, x: Option<PhoneNumber>) -> Result<(), Refusal> {
    let equal = Some(a) == b || Some(a) == x || (b.is_some() && b == x);
    if equal {
        return Err(Refusal::NumbersEqual);
    }
    Ok(())
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
