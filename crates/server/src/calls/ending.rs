//! How a call ends: each situation with its SIP status and its Q.850 cause, in one table.
//!
//! Telephone practice, not the vendor, sets these; a cause that the callee's network gives passes
//! through, and otherwise RFC 3398 section 7.2.4.1 maps a status to a cause.

use maskline_domain::routing::Situation;

/// Why a call is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// X is not one of ours.
    XUnknown,
    /// The caller is X itself.
    Loop,
    /// No binding is in force for the caller.
    NoBinding,
    /// A dialled X and there is no default B.
    VacantNumber,
    /// The pool does not let A reach B.
    CallBackOff,
    /// The binding forbids this direction.
    Restricted,
    /// The callee is busy.
    Busy,
    /// The callee did not answer in time.
    NoAnswer,
    /// The callee refused.
    Declined,
    /// The callee's number does not exist.
    NoSuchNumber,
    /// No trunk took the call, or none answered.
    Unreachable,
    /// The two sides have no codec in common, or one of them offered none that we carry.
    NoCommonCodec,
    /// The callee's side failed otherwise.
    Failed,
    /// The caller gave up before an answer.
    CallerGaveUp,
    /// Somebody hung up after the answer.
    HungUp,
    /// Nothing was heard from either side for too long.
    MediaLost,
    /// The call reached the longest time allowed.
    DurationMax,
    /// We are full, or stopping.
    Overload,
    /// The process stopped while the call stood.
    Stopped,
    /// The call could not be recorded durably, or the route could not be read in time.
    NotDurable,
}

impl Reason {
    /// As it stands in the record, in one word.
    pub fn name(self) -> &'static str {
        match self {
            Self::XUnknown => "x_unknown",
            Self::Loop => "loop",
            Self::NoBinding => "no_binding",
            Self::VacantNumber => "vacant_number",
            Self::CallBackOff => "call_back_off",
            Self::Restricted => "restricted",
            Self::Busy => "busy",
            Self::NoAnswer => "no_answer",
            Self::Declined => "declined",
            Self::NoSuchNumber => "no_such_number",
            Self::Unreachable => "unreachable",
            Self::NoCommonCodec => "no_common_codec",
            Self::Failed => "failed",
            Self::CallerGaveUp => "caller_gave_up",
            Self::HungUp => "hung_up",
            Self::MediaLost => "media_lost",
            Self::DurationMax => "duration_max",
            Self::Overload => "overload",
            Self::Stopped => "stopped",
            Self::NotDurable => "not_durable",
        }
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
            Reason::Busy => (486, 17),
            Reason::NoAnswer => (480, 19),
            Reason::Declined => (603, 21),
            Reason::Unreachable => (502, 38),
            Reason::NoCommonCodec => (488, 65),
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

    /// The ending of a call that routing refuses.
    pub fn of_situation(situation: Situation) -> Self {
        Self::of(match situation {
            Situation::XUnknown => Reason::XUnknown,
            Situation::Loop => Reason::Loop,
            Situation::NoBinding => Reason::NoBinding,
            Situation::VacantNumber => Reason::VacantNumber,
            Situation::CallBackOff => Reason::CallBackOff,
            Situation::Restricted => Reason::Restricted,
        })
    }

    /// The ending of a call whose callee answered with a failure. What concerns only that trunk (a
    /// redirection, a demand for credentials, a fault of a server) reaches the caller as "unreachable".
    pub fn of_callee(status: u16, cause: Option<u8>) -> Self {
        let reason = match status {
            486 | 600 => Reason::Busy,
            603 => Reason::Declined,
            480 => Reason::NoAnswer,
            404 | 410 | 484 | 604 => Reason::NoSuchNumber,
            415 | 488 | 606 => Reason::NoCommonCodec,
            403 | 433 | 487 => Reason::Failed,
            _ => Reason::Unreachable,
        };
        let ending = Self::of(reason);
        let cause = cause.filter(|cause| (1..=127).contains(cause));
        Self {
            q850: cause.unwrap_or(ending.q850),
            ..ending
        }
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
}
