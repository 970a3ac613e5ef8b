//! How trunks are, and who speaks SIP to us without being one: what operators look at when calls do not come.

use crate::telemetry::LogLimit;
use maskline_domain::Timestamp;
use maskline_sip::endpoint::RegistrationState;
use maskline_sip::hop::{Hop, Transport};
use maskline_sip::message::phrase;
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

/// The most addresses of strangers that are remembered; the one that was silent longest gives way.
const STRANGERS_MAX: usize = 256;

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

/// Somebody who asked without being a trunk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stranger {
    /// By what.
    pub transport: Transport,
    /// How often.
    pub count: u64,
    /// When for the first time.
    pub first_at: Timestamp,
    /// When last.
    pub last_at: Timestamp,
    /// What was asked last: a method, or `connection`. Nothing else that a stranger wrote is kept.
    pub asked: &'static str,
}

#[derive(Default)]
struct Table {
    known: BTreeMap<IpAddr, Stranger>,
    /// How many came since the last line of the log.
    fresh: LogLimit,
    last: Option<(IpAddr, &'static str)>,
}

/// See [`Stranger`]. Cheap to clone; all clones hold the same.
#[derive(Clone, Default)]
pub struct Strangers(Arc<Mutex<Table>>);

impl Strangers {
    /// Somebody asked.
    pub fn note(&self, from: IpAddr, transport: Transport, asked: &'static str, now: Timestamp) {
        let from = from.to_canonical();
        let mut table = self.0.lock();
        table.fresh.count(1);
        table.last = Some((from, asked));
        if let Some(stranger) = table.known.get_mut(&from) {
            stranger.count = stranger.count.saturating_add(1);
            stranger.last_at = now;
            (stranger.transport, stranger.asked) = (transport, asked);
            return;
        }
        if table.known.len() >= STRANGERS_MAX {
            let oldest = table.known.iter().min_by_key(|(_, known)| known.last_at);
            if let Some(oldest) = oldest.map(|(address, _)| *address) {
                table.known.remove(&oldest);
            }
        }
        let stranger = Stranger {
            transport,
            count: 1,
            first_at: now,
            last_at: now,
            asked,
        };
        table.known.insert(from, stranger);
    }

    /// Those who asked, who came last at first.
    pub fn list(&self) -> Vec<(IpAddr, Stranger)> {
        let table = self.0.lock();
        let known = table.known.iter();
        let mut list: Vec<_> = known.map(|(from, known)| (*from, known.clone())).collect();
        list.sort_by_key(|(_, known)| std::cmp::Reverse(known.last_at));
        list
    }

    /// What the log is to be told now: how many came since it was told last, who was the last of them, and
    /// what that one asked. At most once a minute.
    pub fn look(&self, now: Timestamp) -> Option<(u64, IpAddr, &'static str)> {
        let mut table = self.0.lock();
        let (from, asked) = table.last?;
        let now = Duration::from_millis(u64::try_from(now.millis()).unwrap_or_default());
        let count = table.fresh.take(now)?;
        Some((count, from, asked))
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

    #[test]
    fn strangers_are_counted_by_address_and_bounded() {
        let strangers = Strangers::default();
        let note = |address: &str, at| {
            let from = address.parse().expect("an address");
            strangers.note(from, Transport::Udp, "OPTIONS", Timestamp(at));
        };
        note("192.0.2.1", 1);
        note("::ffff:192.0.2.1", 5);
        let list = strangers.list();
        assert_eq!(list.len(), 1);
        let (from, stranger) = &list[0];
        assert_eq!(from.to_string(), "192.0.2.1");
        assert_eq!(
            (stranger.count, stranger.first_at, stranger.last_at),
            (2, Timestamp(1), Timestamp(5))
        );
        for n in 0..10_000_u32 {
            note(
                &std::net::Ipv4Addr::from(0x0a00_0000 + n).to_string(),
                i64::from(n) + 10,
            );
        }
        let list = strangers.list();
        assert_eq!(list.len(), STRANGERS_MAX);
        assert_eq!(list[0].0.to_string(), "10.0.39.15", "the last one");
    }

    #[test]
    fn the_log_is_told_of_strangers_once_a_minute() {
        let strangers = Strangers::default();
        let from: IpAddr = [192, 0, 2, 1].into();
        assert_eq!(strangers.look(Timestamp(0)), None);
        let note = |at| strangers.note(from, Transport::Udp, "INVITE", Timestamp(at));
        note(1);
        assert_eq!(strangers.look(Timestamp(2)), Some((1, from, "INVITE")));
        note(3);
        note(4);
        assert_eq!(strangers.look(Timestamp(60_001)), None);
        assert_eq!(strangers.look(Timestamp(60_002)), Some((2, from, "INVITE")));
        assert_eq!(strangers.look(Timestamp(200_000)), None);
    }
}
