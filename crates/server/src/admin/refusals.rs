//! Requests without the right token: who tried, and how often. Each address is told of at once and
//! then at most once a minute, however often it tries.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use maskline_domain::{Actor, Command, Envelope, Note};
use parking_lot::Mutex;

use crate::writer::Ledger;

/// How long an address is not told of again.
const PAUSE: Duration = Duration::from_secs(60);
/// Addresses that are kept apart; all others are told of as one.
const ADDRESSES_MAX: usize = 64;
/// What those others are called.
const OTHERS: &str = "other addresses";
/// What a request is said to come from that came over no connection.
const UNKNOWN: &str = "unknown";

/// Where a request comes from. The server puts it into each request.
#[derive(Clone, Copy, Debug)]
pub struct Peer(pub IpAddr);

/// What was refused lately.
#[derive(Debug, Default)]
pub struct TokenRefusals(Arc<Mutex<Seen>>);

/// The addresses that were told of within the pause, and how often each was refused since.
#[derive(Debug, Default)]
struct Seen(BTreeMap<Box<str>, u64>);

impl Seen {
    /// Counts a refusal. Gives the name under which it is told of now, if it is; then
    /// [`Seen::take`] must be asked after the pause.
    fn count(&mut self, from: Box<str>) -> Option<Box<str>> {
        let is_known = self.0.contains_key(&from) || self.0.len() < ADDRESSES_MAX;
        let from = if is_known { from } else { OTHERS.into() };
        if let Some(untold) = self.0.get_mut(&from) {
            *untold += 1;
            return None;
        }
        self.0.insert(from.clone(), 0);
        Some(from)
    }

    /// What came during the pause, to be told now; an address of which nothing came is forgotten.
    fn take(&mut self, from: &str) -> u64 {
        let untold = self.0.get_mut(from).map_or(0, std::mem::take);
        if untold == 0 {
            self.0.remove(from);
        }
        untold
    }
}

impl TokenRefusals {
    /// Counts a refused request; leaves a line in the log and in the audit when it is time for one.
    pub fn note(&self, peer: Option<Peer>, ledger: &Ledger) {
        let from = peer.map_or_else(
            || UNKNOWN.into(),
            |Peer(address)| address.to_string().into(),
        );
        let Some(from) = self.0.lock().count(from) else {
            return;
        };
        let (seen, ledger) = (Arc::clone(&self.0), ledger.clone());
        tokio::spawn(async move {
            let mut count = 1;
            // Ends after a minute in which nothing came.
            while count > 0 {
                tell(&ledger, from.clone(), count).await;
                tokio::time::sleep(PAUSE).await;
                count = seen.lock().take(&from);
            }
        });
    }
}

async fn tell(ledger: &Ledger, from: Box<str>, count: u64) {
    tracing::warn!(%from, count, "admin requests without the right token were refused");
    let by = Actor::Job {
        name: "admin".into(),
    };
    let command = Command::Note(Note::TokenRefused { from, count });
    let note = Envelope {
        by,
        id: None,
        command,
    };
    if let Err(error) = ledger.submit(note).await {
        tracing::warn!(%error, "refused admin requests could not be noted in the journal");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_told_of_at_once_and_then_once_a_pause() {
        let mut seen = Seen::default();
        let from = || Box::<str>::from("192.0.2.1");
        assert_eq!(seen.count(from()), Some(from()));
        assert!((0..499).all(|_| seen.count(from()).is_none()));
        assert_eq!(seen.take(&from()), 499);
        assert_eq!(seen.count(from()), None, "told of just now");
        assert_eq!(seen.take(&from()), 1);
        assert_eq!(seen.take(&from()), 0);
        assert_eq!(seen.count(from()), Some(from()), "it was quiet for a pause");
    }

    #[test]
    fn many_addresses_are_told_of_as_one() {
        let mut seen = Seen::default();
        let told: Vec<Box<str>> = (0..1000)
            .filter_map(|n| seen.count(format!("2001:db8::{n:x}").into()))
            .collect();
        assert_eq!(told.len(), ADDRESSES_MAX + 1);
        assert_eq!(told.last().map(AsRef::as_ref), Some(OTHERS));
        assert_eq!(seen.0.len(), ADDRESSES_MAX + 1);
        assert_eq!(seen.take(OTHERS), 1000 - told.len() as u64);
    }
}
