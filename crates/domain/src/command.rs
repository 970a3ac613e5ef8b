//! What commands have in common: who gives them, what they hold, and what comes of them. The commands
//! themselves stand in [`crate::ops`], each beside its rule.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::account::AccessKeyId;
use crate::binding::{Binding, Extras, Restriction};
use crate::carrier::CarrierName;
use crate::clock::Timestamp;
use crate::inventory::City;
use crate::number::{Party, PhoneNumber};
use crate::pool::PoolRef;
use crate::product::Product;
use crate::ring_config::RingConfig;

/// The most events that one command may emit.
pub const EVENTS_MAX: usize = 4096;

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
        /// Whose token it was; before there were operators of a name, who they said they were.
        name: Box<str>,
        /// Who they say they are, which nothing proves.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        remark: Option<Box<str>>,
    },
    /// The platform itself.
    Job {
        /// Which of its jobs.
        name: Box<str>,
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
    /// What is kept of an erased person is gone from everywhere.
    ErasureFinished {
        /// From how many bindings.
        bindings: u64,
        /// From how many rows: one of the history for each of them, and the call records.
        records: u64,
    },
    /// An operator had a carrier forgotten that is gone for good. Written down before anything is done about it.
    CarrierForgotten {
        /// The carrier.
        carrier: CarrierName,
        /// Of how many bindings it had to know then.
        bindings: u64,
    },
    /// An operator had what is older than the settings say deleted from now on.
    RetentionStarted {
        /// How many rows were to go then, as far as they were counted.
        rows: u64,
    },
    /// An operator had something kept whatever the retention says.
    HoldAdded {
        /// Its id.
        id: u64,
        /// By what rows are held: `number`, `x`, `binding` or `call`.
        by: Box<str>,
        /// Which one; a number masked.
        what: Box<str>,
        /// When it ends by itself.
        until: Timestamp,
    },
    /// A hold ended.
    HoldEnded {
        /// Its id.
        id: u64,
    },
    /// Requests to the admin interface were refused for want of the token.
    TokenRefused {
        /// The address that they came from.
        from: Box<str>,
        /// How many they were since this address was last told of.
        count: u64,
    },
}

impl Note {
    /// The oldest reader that knows it, as of an event.
    pub(crate) fn oldest_reader(&self) -> u32 {
        match self {
            Note::Searched { .. }
            | Note::Drained { .. }
            | Note::ClockTrusted { .. }
            | Note::TokenRefused { .. } => 3,
            Note::ErasureFinished { .. } => 4,
            Note::CarrierForgotten { .. } => 6,
            Note::RetentionStarted { .. } | Note::HoldAdded { .. } | Note::HoldEnded { .. } => 8,
        }
    }
}

/// What a customer asks of a new binding.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct BindRequest {
    /// The pool.
    pub pool: PoolRef,
    /// The product, which must be the pool's.
    pub product: Product,
    /// A.
    pub a: Party,
    /// B, or the default callee of A.
    pub b: Option<Party>,
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
    /// Carriers that cannot be asked now: no binding that one of them must know of is made.
    pub carriers_down: Vec<CarrierName>,
}

impl BindRequest {
    /// A wish with what each must have, and nothing that may be left out. Whoever wants more sets it:
    /// `BindRequest { x, ..BindRequest::new(…) }`.
    pub fn new(pool: PoolRef, product: Product, a: Party, expires_at: Timestamp) -> Self {
        Self {
            pool,
            product,
            a,
            b: None,
            x: None,
            city: None,
            expires_at,
            restriction: Restriction::default(),
            record: false,
            speech_recognition: false,
            ring_timeout_s: None,
            extras: Extras::default(),
            carriers_down: Vec::new(),
        }
    }
}

/// One change to a binding.
#[derive(Clone, PartialEq, Eq)]
pub enum Update {
    /// Another A.
    A(Party),
    /// Another B, or the first.
    B(Party),
    /// Another end.
    ExpiresAt(Timestamp),
    /// Who may not dial.
    Restriction(Restriction),
    /// Recording on or off.
    Record(bool),
    /// Another OutId.
    OutId(Option<Box<str>>),
    /// Ring tones.
    RingConfig(Option<RingConfig>),
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

/// What came of a command, whichever it was. Each command knows which of these it gives:
/// [`TypedCommand::Outcome`](crate::ops::TypedCommand::Outcome).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// This binding is in force: just made, or one with the same OutOrderId.
    Bound(Box<Binding>),
    /// It is as was asked.
    Done,
    /// A binding was changed, or its carrier is asked for it.
    Updated(Updated),
    /// A job did so much, and there may be more of it.
    Worked(Work),
    /// A request to a carrier has this fence.
    Drawn(Fence),
}

/// What came of a change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Updated {
    /// It is as was asked.
    AtOnce,
    /// The carrier of this binding is asked for it, and must answer first. The binding is as it was; what is asked is in
    /// its provision.
    Asked(Box<Binding>),
}

/// How much a job did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Work {
    /// How many things it did.
    pub count: u32,
    /// Whether more are due.
    pub more: bool,
}

/// An outcome of another command than the one that was given: a fault of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OtherOutcome;

/// The fence of a request to a carrier that was drawn for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fence(pub u64);

/// Between an outcome of one command and that of any.
macro_rules! outcome_of {
    ($($own:ty: $outcome:ident;)*) => {
        $(
            impl From<$own> for Outcome {
                fn from(own: $own) -> Self {
                    Self::$outcome(own)
                }
            }

            impl TryFrom<Outcome> for $own {
                type Error = OtherOutcome;

                fn try_from(outcome: Outcome) -> Result<Self, OtherOutcome> {
                    match outcome {
                        Outcome::$outcome(own) => Ok(own),
                        _ => Err(OtherOutcome),
                    }
                }
            }
        )*
    };
}

outcome_of! {
    Box<Binding>: Bound;
    Updated: Updated;
    Work: Worked;
    Fence: Drawn;
}

impl From<()> for Outcome {
    fn from((): ()) -> Self {
        Self::Done
    }
}

impl TryFrom<Outcome> for () {
    type Error = OtherOutcome;

    fn try_from(outcome: Outcome) -> Result<Self, OtherOutcome> {
        match outcome {
            Outcome::Done => Ok(()),
            _ => Err(OtherOutcome),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::binding::SubsId;

    #[test]
    fn only_its_own_outcome_is_taken_for_that_of_a_command() {
        let number = |digits| PhoneNumber::parse(digits).expect("digits");
        let binding = Box::new(Binding::new(
            SubsId(1),
            Product::Axn,
            number("17000000000"),
            number("15000000000"),
            Timestamp(0)..Timestamp(1),
        ));
        let work = Work {
            count: 1,
            more: true,
        };
        let outcomes = [
            (Outcome::from(binding.clone()), [true, false, false]),
            (Outcome::from(()), [false, true, false]),
            (Outcome::from(work), [false, false, true]),
        ];
        for (outcome, is_own) in outcomes {
            let taken = [
                Box::<Binding>::try_from(outcome.clone()) == Ok(binding.clone()),
                <()>::try_from(outcome.clone()) == Ok(()),
                Work::try_from(outcome.clone()) == Ok(work),
            ];
            assert_eq!(taken, is_own, "{outcome:?}");
        }
    }
}
