//! What a party is told by voice.

use super::{Reason, Side};
use crate::named_enum::named_enum;
use crate::tone::ToneCode;
use std::fmt;

named_enum! {
    /// A recording of ours.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
    pub enum Prompt {
        /// The number dialled does not exist (空号).
        VacantNumber = "vacant_number",
        /// The number dialled is not in use.
        NotInUse = "not_in_use",
        /// The call cannot be connected.
        CannotConnect = "cannot_connect",
        /// The party is busy.
        Busy = "busy",
        /// Nobody answers.
        NoAnswer = "no_answer",
        /// The party refuses the call.
        Refused = "refused",
        /// The party cannot be reached for now.
        Unreachable = "unreachable",
        /// The call will be recorded.
        RecordingNotice = "recording_notice",
        /// It rings.
        Ringback = "ringback",
    }
}

impl Prompt {
    /// What a caller is told when a call ends for this reason, if anything.
    pub fn of(reason: Reason) -> Option<Self> {
        match reason {
            Reason::VacantNumber | Reason::NoSuchNumber => Some(Self::VacantNumber),
            Reason::NoBinding => Some(Self::NotInUse),
            Reason::Blacklisted | Reason::CallBackOff | Reason::Restricted => {
                Some(Self::CannotConnect)
            }
            Reason::Busy => Some(Self::Busy),
            Reason::NoAnswer => Some(Self::NoAnswer),
            Reason::Declined => Some(Self::Refused),
            Reason::Unreachable | Reason::Failed => Some(Self::Unreachable),
            // One call too many is refused without a word: words take ports, which the bound is to save.
            Reason::XFull | Reason::CallerFull => None,
            Reason::XUnknown
            | Reason::Loop
            | Reason::NoCommonCodec
            | Reason::MediaUnresolved
            | Reason::CallerGaveUp
            | Reason::HungUp
            | Reason::MediaLost
            | Reason::DurationMax
            | Reason::Overload
            | Reason::Stopped
            | Reason::NotDurable => None,
        }
    }

    /// Whether the callee's network says the same by its early media, so that ours would come twice.
    pub fn is_theirs(reason: Reason) -> bool {
        matches!(
            reason,
            Reason::Busy
                | Reason::NoAnswer
                | Reason::Declined
                | Reason::NoSuchNumber
                | Reason::Failed
        )
    }
}

/// What is played to a party.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sound {
    /// A prompt.
    Prompt(Prompt),
    /// A ring tone.
    Tone(ToneCode),
}

impl From<Prompt> for Sound {
    fn from(prompt: Prompt) -> Self {
        Self::Prompt(prompt)
    }
}

impl fmt::Display for Sound {
    /// As it stands in a ladder.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Prompt(prompt) => f.write_str(prompt.name()),
            Self::Tone(code) => write!(f, "ring tone {code}"),
        }
    }
}

/// Who is told that a call is recorded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Notice {
    /// Nobody; then the operator tells people otherwise.
    #[default]
    None,
    /// The caller.
    Caller,
    /// Both parties.
    Both,
}

impl Notice {
    /// Who hears it.
    pub fn heard_by(self) -> &'static [Side] {
        match self {
            Self::None => &[],
            Self::Caller => &[Side::Caller],
            Self::Both => &Side::BOTH,
        }
    }
}
