//! How trunks are.

use maskline_domain::Timestamp;
use maskline_sip::endpoint::RegistrationState;
use maskline_sip::hop::Hop;
use maskline_sip::message::phrase;

/// How one enabled trunk is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrunkHealth {
    /// Its name.
    pub name: String,
    /// Where it is, the place to try first at first.
    pub hops: Vec<Hop>,
    /// Whether it answered when last asked, and took our registration; none if it is never asked, or has
    /// not had the time.
    pub reachable: Option<bool>,
    /// Its registration, if there is to be one.
    pub registration: Option<Registration>,
    /// Why calls cannot be sent to it, in words for a person.
    pub trouble: Option<String>,
}

/// A registration with a trunk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Registration {
    /// `registered`, `refused`, `silent` (nobody answers) or `waiting` (for the first answer).
    pub state: &'static str,
    /// Until when it holds.
    pub expires_at: Option<Timestamp>,
    /// How the last attempt failed.
    pub error: Option<String>,
}

impl Registration {
    /// In the words of an operator; `wall` is the time of the tick `tick_ms`.
    pub fn new(state: RegistrationState, wall: Timestamp, tick_ms: u64) -> Self {
        let expires_at = state
            .until
            .filter(|until| until.as_millis() > tick_ms)
            .map(|until| {
                let left_ms = until.as_millis().saturating_sub(tick_ms);
                let at = wall.millis().saturating_add_unsigned(left_ms);
                // To the second, so that it stays the same from look to look.
                Timestamp(at.saturating_add(500) / 1_000 * 1_000)
            });
        let error = state.failed.map(|status| match state.is_refused {
            true => format!("{status} {}", phrase(status)),
            false => "no answer".to_owned(),
        });
        Self {
            state: match (expires_at, state.failed, state.is_refused) {
                (_, Some(_), true) => "refused",
                (Some(_), ..) => "registered",
                (None, Some(_), false) => "silent",
                (None, None, _) => "waiting",
            },
            expires_at,
            error,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use maskline_sip::time::Time;

    #[test]
    fn a_registration_is_told_in_words() {
        let state = |until, failed, is_refused| RegistrationState {
            until: (until > 0).then(|| Time::from_millis(until)),
            failed,
            is_refused,
        };
        let rows = [
            (state(0, None, false), ("waiting", None, None)),
            (
                state(61_000, None, false),
                ("registered", Some(160_000), None),
            ),
            (
                state(61_000, Some(408), false),
                ("registered", Some(160_000), Some("no answer")),
            ),
            // What has run out does not hold, though nobody said so yet.
            (
                state(900, Some(408), false),
                ("silent", None, Some("no answer")),
            ),
            (
                state(0, Some(503), false),
                ("silent", None, Some("no answer")),
            ),
            (
                state(0, Some(403), true),
                ("refused", None, Some("403 Forbidden")),
            ),
            (
                state(0, Some(423), true),
                ("refused", None, Some("423 Interval Too Brief")),
            ),
        ];
        for (state, (word, expires_at, error)) in rows {
            let told = Registration::new(state, Timestamp(100_000), 1_000);
            let at = told.expires_at.map(Timestamp::millis);
            assert_eq!(
                (told.state, at, told.error.as_deref()),
                (word, expires_at, error)
            );
        }
    }
}
