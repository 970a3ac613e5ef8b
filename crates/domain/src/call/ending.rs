//! How a call ends: each situation with its SIP status and its Q.850 cause, in one table.
//!
//! Telephone practice, not the vendor, sets these; a cause that the callee's network gives passes
//! through, and otherwise RFC 3398 section 8.2.6.1 maps a status to a cause.

use super::MediaFault;
use crate::named_enum::named_enum;
use crate::routing::Situation;

named_enum! {
    /// Why a call is over.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub enum Reason {
        /// X is not one of ours.
        XUnknown = "x_unknown",
        /// The caller is X itself.
        Loop = "loop",
        /// No binding is in force for the caller.
        NoBinding = "no_binding",
        /// A dialled X and there is no default B.
        VacantNumber = "vacant_number",
        /// The pool does not let A reach B.
        CallBackOff = "call_back_off",
        /// The binding forbids this direction.
        Restricted = "restricted",
        /// The caller, or the pair, is blacklisted.
        Blacklisted = "blacklisted",
        /// Too many calls stand on this X: callers that forward to X end in a ring otherwise.
        XFull = "x_full",
        /// Too many calls of this caller stand.
        CallerFull = "caller_full",
        /// The callee is busy.
        Busy = "busy",
        /// The callee did not answer in time.
        NoAnswer = "no_answer",
        /// The callee refused.
        Declined = "declined",
        /// The callee's number does not exist.
        NoSuchNumber = "no_such_number",
        /// No trunk took the call, or none answered.
        Unreachable = "unreachable",
        /// The two sides have no codec in common, or one of them offered none that we carry.
        NoCommonCodec = "no_common_codec",
        /// A host name in the place of a media address was not looked up in time.
        MediaUnresolved = "media_unresolved",
        /// The callee's side failed otherwise.
        Failed = "failed",
        /// The caller gave up before an answer.
        CallerGaveUp = "caller_gave_up",
        /// Somebody hung up after the answer.
        HungUp = "hung_up",
        /// Nothing was heard from either side for too long.
        MediaLost = "media_lost",
        /// The call reached the longest time allowed.
        DurationMax = "duration_max",
        /// We are full, or stopping.
        Overload = "overload",
        /// The process stopped while the call stood.
        Stopped = "stopped",
        /// The call could not be recorded durably, or the route could not be read in time.
        NotDurable = "not_durable",
    }
}

impl Reason {
    /// Whether the description of a party is to blame, or a host that it names: who gets the refusal is told what is
    /// wrong with it.
    pub fn blames_media(self) -> bool {
        matches!(self, Self::NoCommonCodec | Self::MediaUnresolved)
    }
}

/// The end of a call as the other side hears of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ending {
    /// Why.
    pub reason: Reason,
    /// The SIP status; 200 for a call that was answered.
    pub status: u16,
    /// The Q.850 cause.
    pub q850: u8,
}

impl Ending {
    /// The ending that goes with a reason when nobody gave another.
    pub fn of(reason: Reason) -> Self {
        let (status, q850) = match reason {
            Reason::XUnknown | Reason::NoBinding | Reason::VacantNumber | Reason::NoSuchNumber => {
                (404, 1)
            }
            Reason::Loop => (482, 25),
            Reason::CallBackOff | Reason::Restricted => (403, 21),
            Reason::Busy | Reason::XFull | Reason::CallerFull => (486, 17),
            Reason::NoAnswer => (480, 19),
            Reason::Blacklisted | Reason::Declined => (603, 21),
            Reason::Unreachable => (502, 38),
            Reason::NoCommonCodec => (488, 65),
            Reason::MediaUnresolved => (503, 41),
            Reason::Failed => (480, 31),
            Reason::CallerGaveUp => (487, 16),
            Reason::HungUp => (200, 16),
            Reason::MediaLost => (200, 41),
            Reason::DurationMax => (200, 31),
            Reason::Overload => (503, 42),
            Reason::Stopped => (200, 41),
            Reason::NotDurable => (503, 41),
        };
        Self {
            reason,
            status,
            q850,
        }
    }

    /// The ending of a call whose callee answered with a failure. What concerns only that trunk (a
    /// redirection, a demand for credentials, a fault of a server) reaches the caller as "unreachable",
    /// unless the cause says that it is the callee after all.
    pub fn of_callee(status: u16, cause: Option<u8>) -> Self {
        let cause = cause.filter(|cause| (1..=127).contains(cause));
        let reason = match status {
            486 | 600 => Reason::Busy,
            603 => Reason::Declined,
            480 => Reason::NoAnswer,
            404 | 410 | 484 | 604 => Reason::NoSuchNumber,
            415 | 488 | 606 => Reason::NoCommonCodec,
            // The call has come round, or has gone through too many hands.
            482 | 483 => Reason::Loop,
            403 | 433 | 487 => Reason::Failed,
            500..=599 => cause.and_then(of_the_callee).unwrap_or(Reason::Unreachable),
            _ => Reason::Unreachable,
        };
        let ending = Self::of(reason);
        Self {
            q850: cause.unwrap_or(ending.q850),
            ..ending
        }
    }
}

impl From<MediaFault> for Reason {
    fn from(fault: MediaFault) -> Self {
        match fault {
            MediaFault::Unfit => Self::NoCommonCodec,
            MediaFault::Unresolved => Self::MediaUnresolved,
            MediaFault::NoPort => Self::Overload,
        }
    }
}

impl From<Situation> for Reason {
    fn from(situation: Situation) -> Self {
        match situation {
            Situation::XUnknown => Self::XUnknown,
            Situation::Loop => Self::Loop,
            Situation::NoBinding => Self::NoBinding,
            Situation::VacantNumber => Self::VacantNumber,
            Situation::CallBackOff => Self::CallBackOff,
            Situation::Restricted => Self::Restricted,
        }
    }
}

/// The causes of Q.850 that only the callee, or who knows its line, can give; the others are a network's.
pub(super) fn of_the_callee(cause: u8) -> Option<Reason> {
    match cause {
        1 | 22 | 28 => Some(Reason::NoSuchNumber),
        17 => Some(Reason::Busy),
        18..=20 => Some(Reason::NoAnswer),
        21 => Some(Reason::Declined),
        16 | 23 | 27 => Some(Reason::Failed),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_callee_says_reaches_the_caller_in_the_telephone_networks_words() {
        let rows = [
            (486, None, Reason::Busy, 486, 17),
            (600, None, Reason::Busy, 486, 17),
            (486, Some(34), Reason::Busy, 486, 34),
            (603, None, Reason::Declined, 603, 21),
            (480, None, Reason::NoAnswer, 480, 19),
            (480, Some(20), Reason::NoAnswer, 480, 20),
            (404, None, Reason::NoSuchNumber, 404, 1),
            (488, None, Reason::NoCommonCodec, 488, 65),
            (403, Some(21), Reason::Failed, 480, 21),
            (302, None, Reason::Unreachable, 502, 38),
            (407, None, Reason::Unreachable, 502, 38),
            (408, None, Reason::Unreachable, 502, 38),
            (503, Some(200), Reason::Unreachable, 502, 38),
            (500, Some(17), Reason::Busy, 486, 17),
            (502, Some(27), Reason::Failed, 480, 27),
            (500, Some(41), Reason::Unreachable, 502, 41),
            (483, None, Reason::Loop, 482, 25),
        ];
        for (status, cause, reason, ends_as, q850) in rows {
            let expected = Ending {
                reason,
                status: ends_as,
                q850,
            };
            assert_eq!(
                Ending::of_callee(status, cause),
                expected,
                "{status} {cause:?}"
            );
        }
    }

    #[test]
    fn only_two_reasons_blame_what_a_party_says_of_its_media() {
        for reason in Reason::ALL {
            let expected = matches!(reason.name(), "no_common_codec" | "media_unresolved");
            assert_eq!(reason.blames_media(), expected, "{}", reason.name());
        }
        for fault in [MediaFault::Unfit, MediaFault::Unresolved] {
            assert!(Reason::from(fault).blames_media(), "{fault:?}");
        }
        assert!(!Reason::from(MediaFault::NoPort).blames_media());
    }
}
