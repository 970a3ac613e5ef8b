//! By what a command is known again, and what is remembered of it.

use std::fmt;

use serde::de::{self, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::account::AccessKeyId;
use crate::binding::SubsId;
use crate::clock::Timestamp;
use crate::command::{Outcome, Updated};
use crate::number::PhoneNumber;
use crate::refusal::Refusal;

/// The id of a command, 128 bits: of a signed request the beginning of a hash of its key and nonce, drawn for an
/// operator's. Older programs kept the first 64 bits alone ([`CommandId::short`]).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CommandId(pub u128);

impl CommandId {
    /// An id of which only the first 64 bits are known.
    pub const fn short(head: u64) -> Self {
        Self((head as u128) << 64)
    }

    /// Its first 64 bits.
    pub const fn head(self) -> u64 {
        (self.0 >> 64) as u64
    }

    /// Whether a remembered id is this one, as far as it is known. Of 10^12 ids one may end with 64 zeros by chance,
    /// and then counts as known by its beginning.
    pub fn is_kept_as(self, kept: CommandId) -> bool {
        self == kept || (kept.0 as u64 == 0 && kept.head() == self.head())
    }
}

impl fmt::Display for CommandId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl fmt::Debug for CommandId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CommandId({self})")
    }
}

impl Serialize for CommandId {
    /// 32 hexadecimal digits in readable formats, 16 bytes in compact ones.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            serializer.collect_str(self)
        } else {
            serializer.serialize_bytes(&self.0.to_be_bytes())
        }
    }
}

impl<'de> Deserialize<'de> for CommandId {
    /// Also the integer of 64 bits that older programs wrote.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Any;
        impl Visitor<'_> for Any {
            type Value = CommandId;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("the id of a command")
            }

            fn visit_u64<E: de::Error>(self, head: u64) -> Result<CommandId, E> {
                Ok(CommandId::short(head))
            }

            fn visit_str<E: de::Error>(self, digits: &str) -> Result<CommandId, E> {
                let is_whole = digits.len() == 32 && digits.bytes().all(|b| b.is_ascii_hexdigit());
                let read = u128::from_str_radix(digits, 16).ok();
                read.filter(|_| is_whole)
                    .map(CommandId)
                    .ok_or_else(|| E::custom("an id has 32 hexadecimal digits"))
            }

            fn visit_bytes<E: de::Error>(self, bytes: &[u8]) -> Result<CommandId, E> {
                let bytes = bytes.try_into();
                let bytes = bytes.map_err(|_| E::custom("an id has 16 bytes"))?;
                Ok(CommandId(u128::from_be_bytes(bytes)))
            }
        }
        deserializer.deserialize_any(Any)
    }
}

/// One try of a node to have a command carried out: drawn when the request comes in, and the same when the node gives
/// the command again because it got no answer. Of 64 bits, since it only tells tries of one command apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct AttemptId(pub u64);

/// By what a command is known again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CommandKey {
    /// Its id.
    pub id: CommandId,
    /// Which try it is: another one under the same id is a repeat.
    pub attempt: AttemptId,
    /// Until when it must be remembered.
    pub until: Timestamp,
}

/// What came of a command, as much as whoever asks again needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Answered {
    /// It is as was asked.
    Done,
    /// This binding is in force.
    Bound {
        /// Its id.
        subs_id: SubsId,
        /// Its X.
        x: PhoneNumber,
    },
    /// A carrier was asked for it.
    Asked {
        /// The id of the binding.
        subs_id: SubsId,
        /// The fence of the request.
        fence: u64,
    },
    /// It was refused, for a reason of this code ([`Refusal::code`]).
    Refused(u8),
}

impl Answered {
    /// The oldest reader of [`READER`](crate::event::READER) that knows it.
    pub(crate) fn oldest_reader(self) -> u32 {
        match self {
            Self::Asked { .. } => 5,
            // Refusals of carriers.
            Self::Refused(30..) => 5,
            Self::Done | Self::Bound { .. } | Self::Refused(_) => 4,
        }
    }

    /// An answer as it is remembered; none for what only words or numbers can say.
    pub fn of(answer: &Result<Outcome, Refusal>) -> Option<Self> {
        match answer {
            Ok(Outcome::Done | Outcome::Updated(Updated::AtOnce)) => Some(Self::Done),
            Ok(Outcome::Bound(binding) | Outcome::Updated(Updated::Asked(binding))) => {
                let provision = binding.provision.as_deref();
                let asked = provision.filter(|provision| provision.phase.is_asked());
                Some(match asked {
                    Some(provision) => Self::Asked {
                        subs_id: binding.subs_id,
                        fence: provision.fence,
                    },
                    None => Self::Bound {
                        subs_id: binding.subs_id,
                        x: binding.x,
                    },
                })
            }
            Ok(Outcome::Worked(_) | Outcome::Drawn(_)) => None,
            Err(refusal) => refusal.code().map(Self::Refused),
        }
    }
}

/// What is remembered of a command besides its id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Remembered {
    /// The key that signed it; none of an operator's.
    pub key: Option<AccessKeyId>,
    /// When it may be forgotten.
    pub until: Timestamp,
    /// Which try it was; not known of those that older programs decided.
    pub attempt: Option<AttemptId>,
    /// What came of it, where a word is enough to say it again.
    pub answered: Option<Answered>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_reads_as_it_was_written_and_as_older_programs_wrote_it() {
        let id = CommandId(0x0123_4567_89ab_cdef_0011_2233_4455_6677);
        let json = serde_json::to_string(&id).expect("plain");
        assert_eq!(json, "\"0123456789abcdef0011223344556677\"");
        assert_eq!(serde_json::from_str::<CommandId>(&json).ok(), Some(id));
        for (text, head) in [("0", 0), ("7", 7), ("18446744073709551615", u64::MAX)] {
            let read = serde_json::from_str::<CommandId>(text);
            assert_eq!(read.ok(), Some(CommandId::short(head)), "{text}");
        }
        for broken in [
            "-1",
            "\"\"",
            "\"7\"",
            "\"+123456789abcdef0011223344556677\"",
            "null",
            "1.5",
        ] {
            assert!(
                serde_json::from_str::<CommandId>(broken).is_err(),
                "{broken}"
            );
        }
    }

    #[test]
    fn an_id_is_known_by_as_much_as_is_kept_of_it() {
        let id = CommandId(7 << 64 | 9);
        #[rustfmt::skip]
        let rows = [
            (id, true),
            (CommandId::short(7), true),
            (CommandId(7 << 64 | 8), false),
            (CommandId::short(8), false),
            (CommandId(9), false),
        ];
        for (kept, expected) in rows {
            assert_eq!(id.is_kept_as(kept), expected, "{kept}");
        }
        assert!(
            !CommandId::short(7).is_kept_as(id),
            "more is known of the one that is kept"
        );
    }
}
