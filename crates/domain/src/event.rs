//! What happened: the facts that the journal keeps.
//!
//! Events carry results, never requests, so that [`crate::State::apply`] never
//! works a rule out again. Old events are replayed for ever: fields are added
//! with defaults, and a variant's meaning never changes.

use serde::{Deserialize, Serialize};

use crate::account::{AccessKey, AccessKeyId, Account, AccountId, User, UserName};
use crate::binding::{Binding, EndCause, Extras, Owner, Phase, SubsId};
use crate::carrier::{Carrier, CarrierName};
use crate::clock::Timestamp;
use crate::command::{Actor, Note};
use crate::command_id::{Answered, AttemptId, CommandId};
use crate::inventory::Number;
use crate::number::PhoneNumber;
use crate::operator::{Operator, OperatorName};
use crate::pool::Pool;
use crate::ring_config::RingConfig;
use crate::subject::{ErasedParts, Part, Subject};
use crate::trunk::{Trunk, TrunkName};

/// The newest form of events, and of the rows that snapshots keep of them, that this program understands.
/// Raise it with every event or field that an older program must not overlook, and let
/// [`Event::oldest_reader`] say so.
pub const READER: u32 = 9;

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
        /// The key that signed it; none of an operator's.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        key: Option<AccessKeyId>,
        /// When the id may be forgotten.
        until: Timestamp,
        /// Which try it was; older journals do not tell it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        attempt: Option<AttemptId>,
        /// What came of it, where a word is enough to say it again.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        answered: Option<Answered>,
    },
    /// Ids of commands were forgotten.
    CommandsForgotten {
        /// Those that could be forgotten before this moment,
        before: Timestamp,
        /// and of those that can be forgotten at it, the ones up to this id. Very many may share a moment.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        through: Option<CommandId>,
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
    /// A carrier was made or changed.
    CarrierSet(Box<Carrier>),
    /// A carrier was taken away.
    CarrierDeleted {
        /// Its name.
        name: CarrierName,
    },
    /// An operator was added, switched on or off, or got another token.
    OperatorSet(Box<Operator>),
    /// An operator was taken away.
    OperatorRemoved {
        /// The name.
        name: OperatorName,
    },
    /// The first token of the admin interface is worth nothing any more.
    FirstTokenRetired,
    /// It can be used again.
    FirstTokenRestored,
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
    /// A carrier is asked to hold a binding on other terms: this is how it would be. Until that is settled it is as it
    /// was, and holds the slots of both.
    ChangeProposed {
        /// The binding with the other terms.
        binding: Box<Binding>,
        /// Of the request to the carrier.
        revision: u32,
        /// Its fence.
        fence: u64,
    },
    /// How far a carrier knows of a binding has changed. Once it is confirmed, no change of it is left.
    ProvisionChanged {
        /// The binding.
        subs_id: SubsId,
        /// Its X.
        x: PhoneNumber,
        /// How far it knows of it now.
        phase: Phase,
        /// Of the newest request to the carrier.
        revision: u32,
        /// Its fence.
        fence: u64,
        /// The fence of the request by which the carrier holds what is confirmed.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        held: Option<u64>,
    },
    /// A binding was detached from its carrier, which is gone for good: it is as it was last confirmed, and no carrier must
    /// know of it any more.
    ProvisionDropped {
        /// The binding.
        subs_id: SubsId,
        /// Its X.
        x: PhoneNumber,
    },
    /// What a carrier holds was compared with what is bound.
    CarrierReconciled {
        /// The carrier.
        name: CarrierName,
        /// In which epoch.
        epoch: u32,
    },
    /// A carrier is told to hold a binding no more that is none of ours.
    OrphanReleasing {
        /// The carrier.
        carrier: CarrierName,
        /// What it calls the binding.
        subs_id: SubsId,
        /// The X; [`PhoneNumber::ERASED`] where the carrier named what is no number of ours.
        x: PhoneNumber,
        /// The fence of the request.
        fence: u64,
    },
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
    /// A person's data were erased: what lives on of the subjects goes with them. Names nobody.
    PersonErased {
        /// From how many bindings.
        bindings: u32,
        /// The subjects of the journal's values that were the person's; older journals do not tell them.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        subjects: Vec<Subject>,
        /// The same of the bindings as they were last, from which the history and whatever else keeps them follow.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        last: Vec<ErasedParts>,
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
/// that they can be erased while the chain of hashes stays whole. Those of one
/// [`Part`], or of several; what is not theirs, or not given, is not there.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Personal {
    /// A.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "digits")]
    pub a: Option<PhoneNumber>,
    /// B.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "digits")]
    pub b: Option<PhoneNumber>,
    /// The customer's own value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub out_id: Option<Box<str>>,
    /// The customer's order id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub out_order_id: Option<Box<str>>,
    /// Ring tones by scene.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ring_config: Option<RingConfig>,
    /// Key dialogue after the call.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dtmf_config: Option<Box<str>>,
    /// Speech recognition model.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub speech_model: Option<Box<str>>,
    /// The vendor's undocumented extra.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub extend: Option<Box<str>>,
    /// They are of a change that a carrier is asked for: the binding need not have become so.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub proposed: bool,
}

/// Numbers of persons are written as their digits in every format: whoever looks for what was kept of a number
/// finds it.
mod digits {
    use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

    use crate::number::PhoneNumber;

    pub(super) fn serialize<S: Serializer>(
        number: &Option<PhoneNumber>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        number.map(PhoneNumber::reveal).serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<PhoneNumber>, D::Error> {
        let digits = Option::<String>::deserialize(deserializer)?;
        let read = |digits: String| match digits.as_str() {
            "" => Ok(PhoneNumber::ERASED),
            digits => PhoneNumber::parse(digits).map_err(de::Error::custom),
        };
        digits.map(read).transpose()
    }
}

impl Personal {
    /// The values of these texts.
    fn of_texts(texts: Extras) -> Self {
        // Taken apart in full: a text that is not moved here would stand in the journal for ever.
        let Extras {
            out_id,
            out_order_id,
            ring_config,
            dtmf_config,
            speech_model,
            extend,
        } = texts;
        Self {
            a: None,
            b: None,
            out_id,
            out_order_id,
            ring_config,
            dtmf_config,
            speech_model,
            extend,
            proposed: false,
        }
    }

    /// Which part these are the values of; of several the first.
    pub fn part(&self) -> Part {
        match (self.a, self.b) {
            (Some(_), _) => Part::A,
            (None, Some(_)) => Part::B,
            (None, None) => Part::Texts,
        }
    }

    /// Whether a party in them is this person.
    pub fn names(&self, number: PhoneNumber) -> bool {
        [self.a, self.b].contains(&Some(number))
    }

    /// Puts what is here into its place in the binding, and leaves the rest as it is.
    fn put_into(self, binding: &mut Binding) {
        let Personal {
            a,
            b,
            out_id,
            out_order_id,
            ring_config,
            dtmf_config,
            speech_model,
            extend,
            proposed: _,
        } = self;
        fn put<T>(place: &mut Option<T>, value: Option<T>) {
            if value.is_some() {
                *place = value;
            }
        }
        binding.a = a.unwrap_or(binding.a);
        put(&mut binding.b, b);
        let texts = &mut binding.extras;
        put(&mut texts.out_id, out_id);
        put(&mut texts.out_order_id, out_order_id);
        put(&mut texts.ring_config, ring_config);
        put(&mut texts.dtmf_config, dtmf_config);
        put(&mut texts.speech_model, speech_model);
        put(&mut texts.extend, extend);
    }
}

impl Event {
    /// Parts the event from its personal values, in the order of [`Part`].
    pub fn split(mut self) -> (Event, Vec<(Part, Personal)>) {
        let mut parts: Vec<(Part, Personal)> = Vec::new();
        let proposed = matches!(self, Event::ChangeProposed { .. });
        if let Some(binding) = self.personal_mut() {
            // No event but the one that proposes a change has parties of it, and that one has them in its binding.
            if let Some(provision) = &mut binding.provision {
                provision.proposed = None;
            }
            let a = Some(std::mem::replace(&mut binding.a, PhoneNumber::ERASED));
            let of_a = Personal {
                a,
                ..Personal::default()
            };
            parts.push((Part::A, of_a));
            if let b @ Some(_) = binding.b.take() {
                let of_b = Personal {
                    b,
                    ..Personal::default()
                };
                parts.push((Part::B, of_b));
            }
            if !binding.extras.is_empty() {
                let texts = std::mem::take(&mut binding.extras);
                parts.push((Part::Texts, Personal::of_texts(texts)));
            }
        }
        (parts.iter_mut()).for_each(|(_, values)| values.proposed = proposed);
        (self, parts)
    }

    /// The binding whose values are personal.
    fn personal_mut(&mut self) -> Option<&mut Binding> {
        match self {
            Event::Bound(binding)
            | Event::BindingChanged(binding)
            | Event::ChangeProposed { binding, .. } => Some(binding),
            _ => None,
        }
    }

    /// Puts personal values back. What is missing was erased, or never given.
    pub fn join(mut self, personal: impl IntoIterator<Item = Personal>) -> Event {
        if let Some(binding) = self.personal_mut() {
            for values in personal {
                values.put_into(binding);
            }
        }
        self
    }

    /// Says of an event whose values of one part were erased that it had some: of B, whom not every binding has.
    #[must_use]
    pub fn without(mut self, part: Part) -> Event {
        if let Some(binding) = self.personal_mut() {
            binding.erase(part);
        }
        self
    }

    /// The oldest reader that does not overlook what the event says: 1 for the first form of the
    /// journal, 2 for imports, 3 for notes, 4 for erasures and ids of 128 bits, 5 for carriers, 6 for
    /// bindings that are detached from theirs; 7 is of batches whose personal values are sealed; 8 for
    /// retention, 9 for operators; for trunks see [`Trunk::oldest_reader`].
    pub fn oldest_reader(&self) -> u32 {
        match self {
            Event::AccountSet(account) if account.bindings_max.is_some() => 3,
            Event::TrunkSet(trunk) => trunk.oldest_reader(),
            Event::CarrierSet(_)
            | Event::CarrierDeleted { .. }
            | Event::ChangeProposed { .. }
            | Event::ProvisionChanged { .. }
            | Event::CarrierReconciled { .. }
            | Event::OrphanReleasing { .. } => 5,
            // Who overlooked one would let a token pass that was taken back.
            Event::OperatorSet(_)
            | Event::OperatorRemoved { .. }
            | Event::FirstTokenRetired
            | Event::FirstTokenRestored => 9,
            Event::Bound(binding) if binding.provision.is_some() => 5,
            Event::Ended {
                cause: EndCause::NotProvisioned,
                ..
            } => 5,
            Event::ProvisionDropped { .. } => 6,
            Event::PoolSet(pool) => pool.oldest_reader(),
            Event::ImportAdvanced { .. } | Event::ImportEnded { .. } => 2,
            Event::Noted(note) => note.oldest_reader(),
            Event::CommandAnswered { answered, .. } => answered.map_or(4, Answered::oldest_reader),
            Event::PersonErased { .. } => 4,
            _ => 1,
        }
    }

    /// The X number that the event concerns.
    pub fn x(&self) -> Option<PhoneNumber> {
        match self {
            Event::NumberSet(number) => Some(number.x),
            Event::Bound(binding)
            | Event::BindingChanged(binding)
            | Event::ChangeProposed { binding, .. } => Some(binding.x),
            Event::NumberReleased { x }
            | Event::NumberLocked { x }
            | Event::NumberUnlocked { x }
            | Event::NumberThawed { x }
            | Event::ProvisionChanged { x, .. }
            | Event::ProvisionDropped { x, .. }
            | Event::Ended { x, .. } => Some(*x),
            _ => None,
        }
    }

    /// The binding that the event concerns.
    pub fn subs_id(&self) -> Option<SubsId> {
        match self {
            Event::Bound(binding)
            | Event::BindingChanged(binding)
            | Event::ChangeProposed { binding, .. } => Some(binding.subs_id),
            Event::Ended { subs_id, .. }
            | Event::ProvisionChanged { subs_id, .. }
            | Event::ProvisionDropped { subs_id, .. } => Some(*subs_id),
            _ => None,
        }
    }
}
