//! What may be asked of the state, and how it answers.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::access::PoolRef;
use crate::account::{AccessKey, AccessKeyId, Account, AccountId, User, UserName};
use crate::binding::{Binding, Extras, Restriction, SubsId};
use crate::clock::Timestamp;
use crate::event::Event;
use crate::inventory::{City, Number};
use crate::number::PhoneNumber;
use crate::pool::Pool;
use crate::product::Product;
use crate::refusal::Refusal;
use crate::trunk::{Trunk, TrunkName};

/// The most events that one command may emit.
pub const EVENTS_MAX: usize = 4096;

/// A short hash of the key and nonce of a signed request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct CommandId(pub u64);

/// Who gives a command.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Actor {
    /// A customer's program.
    Customer {
        /// The key that signed.
        key: AccessKeyId,
        /// The permission that is needed, such as `dypls:BindAxn`.
        permission: Box<str>,
    },
    /// An operator, over the admin interface.
    Operator {
        /// What is known of who it was.
        name: Box<str>,
    },
    /// The platform itself.
    Job {
        /// Which of its jobs.
        name: Box<str>,
    },
}

/// A command with its sender and, if it came signed, the id under which it
/// must not come again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Envelope {
    /// Who gives it.
    pub by: Actor,
    /// Its id, and until when that must be remembered.
    pub id: Option<(CommandId, Timestamp)>,
    /// What is asked.
    pub command: Command,
}

/// What may be asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// Make a binding.
    Bind(Box<BindRequest>),
    /// End a binding; pool, id and X must belong together.
    Unbind {
        /// The pool.
        pool: PoolRef,
        /// The binding.
        subs_id: SubsId,
        /// Its X.
        x: PhoneNumber,
    },
    /// Change a binding; pool, id and X must belong together.
    Update {
        /// The pool.
        pool: PoolRef,
        /// The binding.
        subs_id: SubsId,
        /// Its X.
        x: PhoneNumber,
        /// What to change, in order.
        updates: Vec<Update>,
    },
    /// Take an X out of selection.
    Lock {
        /// The pool.
        pool: PoolRef,
        /// The number.
        x: PhoneNumber,
    },
    /// Put an X back.
    Unlock {
        /// The pool.
        pool: PoolRef,
        /// The number.
        x: PhoneNumber,
    },

    /// Make or change an account.
    SetAccount(Account),
    /// Make a key. Its id must be new.
    CreateKey(AccessKey),
    /// Switch a key on or off.
    SetKeyActive {
        /// The key.
        id: AccessKeyId,
        /// On or off.
        active: bool,
    },
    /// Replace a key's sealed secret (rotation of the master key).
    ResealKey {
        /// The key.
        id: AccessKeyId,
        /// The secret, sealed anew.
        sealed_secret: Box<[u8]>,
    },
    /// Delete a key.
    DeleteKey {
        /// The key.
        id: AccessKeyId,
    },
    /// Make or change a user.
    SetUser(User),
    /// Delete a user and their keys.
    DeleteUser {
        /// The account.
        account: AccountId,
        /// The user.
        name: UserName,
    },
    /// Make or change a pool. Account and product of a pool never change.
    SetPool(Pool),
    /// Make or change a trunk.
    SetTrunk(Box<Trunk>),
    /// Take a trunk away.
    DeleteTrunk {
        /// The trunk.
        name: TrunkName,
    },
    /// Replace the list of numbers that may never be a party.
    SetEmergencyNumbers(Vec<PhoneNumber>),
    /// Add X numbers, or change their facts; at most [`EVENTS_MAX`].
    AddNumbers(Vec<Number>),
    /// Take X numbers away; at most [`EVENTS_MAX`], none of them bound.
    ReleaseNumbers(Vec<PhoneNumber>),
    /// Write down how far an import of many commands has come.
    NoteImport {
        /// The import.
        name: Box<str>,
        /// How many of its rows are in; none when all are.
        rows: Option<u64>,
    },
    /// Write down that an operator looked at whole numbers.
    NoteReveal {
        /// What was looked at.
        what: String,
        /// How many rows were shown, where that is known.
        rows: Option<u64>,
    },
    /// Write down something else for the audit.
    Note(Note),
    /// Write down that a person's data were erased.
    NoteErasure {
        /// From how many bindings.
        bindings: u32,
    },
    /// Begin a new epoch after a restore.
    BeginEpoch,

    /// Record the end of bindings that are over.
    ExpireDue {
        /// No more than so many.
        at_most: u32,
    },
    /// Put numbers that have cooled back.
    ThawDue {
        /// No more than so many.
        at_most: u32,
    },
    /// Forget ids of commands that cannot come again.
    ForgetCommands {
        /// No more than so many.
        at_most: u32,
    },
}

/// What is written down for the audit alone: it changes nothing. Numbers of
/// people stand in it masked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Note {
    /// An operator asked by a person's whole number, and was shown masked ones.
    Searched {
        /// What was asked.
        what: String,
        /// How many rows were shown.
        rows: u64,
    },
    /// An operator had new calls refused until the process ends.
    Drained {
        /// How many calls lasted still.
        calls: u64,
    },
    /// An operator confirmed the wall clock after a leap.
    ClockTrusted {
        /// The moment that it showed.
        at: Timestamp,
    },
    /// Requests to the admin interface were refused for want of the token.
    TokenRefused {
        /// The address that they came from.
        from: Box<str>,
        /// How many they were since this address was last told of.
        count: u64,
    },
}

/// What a customer asks of a new binding.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct BindRequest {
    /// The pool.
    pub pool: PoolRef,
    /// The product, which must be the pool's.
    pub product: Product,
    /// A.
    pub a: PhoneNumber,
    /// B, or the default callee of A.
    pub b: Option<PhoneNumber>,
    /// A wanted X; otherwise one is chosen.
    pub x: Option<PhoneNumber>,
    /// A wanted city.
    pub city: Option<City>,
    /// The end.
    pub expires_at: Timestamp,
    /// Who may not dial.
    pub restriction: Restriction,
    /// Whether to record calls.
    pub record: bool,
    /// Whether calls go through speech recognition.
    pub speech_recognition: bool,
    /// Ring time in seconds.
    pub ring_timeout_s: Option<u8>,
    /// The rest.
    pub extras: Extras,
}

/// One change to a binding.
#[derive(Clone, PartialEq, Eq)]
pub enum Update {
    /// Another A.
    A(PhoneNumber),
    /// Another B, or the first.
    B(PhoneNumber),
    /// Another end.
    ExpiresAt(Timestamp),
    /// Who may not dial.
    Restriction(Restriction),
    /// Recording on or off.
    Record(bool),
    /// Another OutId.
    OutId(Option<Box<str>>),
    /// Ring tones.
    RingConfig(Option<Box<str>>),
    /// Speech recognition on or off.
    SpeechRecognition(bool),
    /// Another model of speech recognition.
    SpeechModel(Option<Box<str>>),
}

impl fmt::Debug for Update {
    /// Numbers show masked; what may name a person does not show at all.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Update::A(number) => f.debug_tuple("A").field(number).finish(),
            Update::B(number) => f.debug_tuple("B").field(number).finish(),
            Update::ExpiresAt(at) => f.debug_tuple("ExpiresAt").field(at).finish(),
            Update::Restriction(which) => f.debug_tuple("Restriction").field(which).finish(),
            Update::Record(on) => f.debug_tuple("Record").field(on).finish(),
            Update::SpeechRecognition(on) => f.debug_tuple("SpeechRecognition").field(on).finish(),
            Update::OutId(_) => f.write_str("OutId(***)"),
            Update::RingConfig(_) => f.write_str("RingConfig(***)"),
            Update::SpeechModel(_) => f.write_str("SpeechModel(***)"),
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

/// A good answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// This binding is in force: just made, or one with the same OutOrderId.
    Bound(Box<Binding>),
    /// It is as was asked.
    Done,
    /// A job did so much, and there is more of it.
    Worked {
        /// How many things it did.
        count: u32,
        /// Whether more are due.
        more: bool,
    },
}
