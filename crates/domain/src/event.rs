//! What happened: the facts that the journal keeps.
//!
//! Events carry results, never requests, so that [`crate::State::apply`] never
//! works a rule out again. Old events are replayed for ever: fields are added
//! with defaults, and a variant's meaning never changes.

use serde::{Deserialize, Serialize};

use crate::account::{AccessKey, AccessKeyId, Account, AccountId, User, UserName};
use crate::binding::{Binding, EndCause, Owner, SubsId};
use crate::clock::Timestamp;
use crate::command::{Actor, CommandId, Note};
use crate::inventory::Number;
use crate::number::PhoneNumber;
use crate::pool::Pool;
use crate::trunk::{Trunk, TrunkName};

/// The newest form of events, and of the rows that snapshots keep of them, that this program understands.
/// Raise it with every event or field that an older program must not overlook, and let
/// [`Event::oldest_reader`] say so.
pub const READER: u32 = 3;

/// Everything that one command did, and who gave it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Who gave the command.
    pub by: Actor,
    /// What it did, in order.
    pub events: Vec<Event>,
}

/// One fact, in the past tense.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Event {
    /// A command was decided, so its id must not come again before `until`.
    CommandAnswered {
        /// The id.
        id: CommandId,
        /// The key that signed it.
        key: AccessKeyId,
        /// When the id may be forgotten.
        until: Timestamp,
    },
    /// Ids of commands were forgotten.
    CommandsForgotten {
        /// Those that could be forgotten by this moment.
        before: Timestamp,
    },
    /// An account was made or changed.
    AccountSet(Account),
    /// A key was made, switched on or off, or sealed anew.
    KeySet(AccessKey),
    /// A key was deleted.
    KeyDeleted {
        /// Its id.
        id: AccessKeyId,
    },
    /// A user was made or their statements changed.
    UserSet(User),
    /// A user was deleted, with their keys.
    UserDeleted {
        /// The account.
        account: AccountId,
        /// The user.
        name: UserName,
    },
    /// A pool was made or changed.
    PoolSet(Pool),
    /// A trunk was made or changed.
    TrunkSet(Box<Trunk>),
    /// A trunk was taken away.
    TrunkDeleted {
        /// Its name.
        name: TrunkName,
    },
    /// The list of numbers that may never be a party was replaced.
    EmergencyNumbersSet {
        /// The new list.
        numbers: Vec<PhoneNumber>,
    },
    /// An X number came into a pool or the stock, or its facts changed.
    NumberSet(Number),
    /// An X number left for good.
    NumberReleased {
        /// The number.
        x: PhoneNumber,
    },
    /// An X number was taken out of selection.
    NumberLocked {
        /// The number.
        x: PhoneNumber,
    },
    /// A locked X number was put back.
    NumberUnlocked {
        /// The number.
        x: PhoneNumber,
    },
    /// An X number had cooled.
    NumberThawed {
        /// The number.
        x: PhoneNumber,
    },
    /// A binding was made.
    Bound(Box<Binding>),
    /// A binding was changed; this is how it is now.
    BindingChanged(Box<Binding>),
    /// A binding ended.
    Ended {
        /// Its id.
        subs_id: SubsId,
        /// Its X.
        x: PhoneNumber,
        /// How.
        cause: EndCause,
        /// When: for an expired binding its expiry, not the sweep.
        at: Timestamp,
        /// What the number's cooling time is now (0: none).
        cooling_until: Timestamp,
        /// Since when the number is idle (0: not kept in this pool).
        idle_since: Timestamp,
        /// Whose it was; older journals do not tell it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        owner: Option<Owner>,
    },
    /// An operator looked at whole numbers. Changes nothing; kept for audit.
    Revealed {
        /// What was looked at.
        what: String,
        /// How many rows were shown; older journals do not tell it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        rows: Option<u64>,
    },
    /// Something else was written down. Changes nothing; kept for audit.
    Noted(Note),
    /// A person's data were erased. Changes nothing; kept for audit.
    PersonErased {
        /// From how many bindings.
        bindings: u32,
    },
    /// An import of many commands has come so far.
    ImportAdvanced {
        /// The import.
        name: Box<str>,
        /// How many of its rows are in.
        rows: u64,
    },
    /// An import is done, or was given up.
    ImportEnded {
        /// The import.
        name: Box<str>,
    },
    /// A backup was restored: ids skip ahead, so that none is given twice.
    EpochBegun {
        /// The number of this epoch.
        epoch: u32,
        /// No id below this one is given any more.
        subs_id_floor: SubsId,
    },
}

/// The values in an event that tell of a person, kept apart in the journal so
/// that they can be erased while the chain of hashes stays whole.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Personal {
    /// A.
    pub a: PhoneNumber,
    /// B.
    pub b: Option<PhoneNumber>,
    /// The customer's own value.
    pub out_id: Option<Box<str>>,
    /// The customer's order id.
    pub out_order_id: Option<Box<str>>,
}

impl Event {
    /// Parts the event from its personal values.
    pub fn split(mut self) -> (Event, Option<Personal>) {
        let personal = match &mut self {
            Event::Bound(binding) | Event::BindingChanged(binding) => Some(Personal {
                a: std::mem::replace(&mut binding.a, PhoneNumber::ERASED),
                b: binding.b.take(),
                out_id: binding.extras.out_id.take(),
                out_order_id: binding.extras.out_order_id.take(),
            }),
            _ => None,
        };
        (self, personal)
    }

    /// Puts personal values back. Without them the event tells of an erased
    /// person.
    pub fn join(mut self, personal: Option<Personal>) -> Event {
        if let (Event::Bound(binding) | Event::BindingChanged(binding), Some(personal)) =
            (&mut self, personal)
        {
            binding.a = personal.a;
            binding.b = personal.b;
            binding.extras.out_id = personal.out_id;
            binding.extras.out_order_id = personal.out_order_id;
        }
        self
    }

    /// The oldest reader that does not overlook what the event says: 1 for the first form of the
    /// journal, 2 for imports, 3 for notes; for trunks see [`Trunk::oldest_reader`].
    pub fn oldest_reader(&self) -> u32 {
        match self {
            Event::AccountSet(account) if account.bindings_max.is_some() => 3,
            Event::TrunkSet(trunk) => trunk.oldest_reader(),
            Event::ImportAdvanced { .. } | Event::ImportEnded { .. } => 2,
            Event::Noted(_) => 3,
            _ => 1,
        }
    }

    /// The X number that the event concerns.
    pub fn x(&self) -> Option<PhoneNumber> {
        match self {
            Event::NumberSet(number) => Some(number.x),
            Event::Bound(binding) | Event::BindingChanged(binding) => Some(binding.x),
            Event::NumberReleased { x }
            | Event::NumberLocked { x }
            | Event::NumberUnlocked { x }
            | Event::NumberThawed { x }
            | Event::Ended { x, .. } => Some(*x),
            _ => None,
        }
    }

    /// The binding that the event concerns.
    pub fn subs_id(&self) -> Option<SubsId> {
        match self {
            Event::Bound(binding) | Event::BindingChanged(binding) => Some(binding.subs_id),
            Event::Ended { subs_id, .. } => Some(*subs_id),
            _ => None,
        }
    }
}
