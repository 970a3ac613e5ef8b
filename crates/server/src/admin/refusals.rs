//! Requests without the right token: who tried, and how often.
//!
//! Each address is told of at once; while it goes on, it is told of again after a minute, then after
//! two, four and so on up to an hour, each time with how many there were. Lines stay in the audit for
//! good, so those of all addresses together are bounded too: beyond [`LINES_AT_ONCE`] and then one
//! each [`LINE_EVERY`], what comes is told of as one, at most each [`OTHERS_PAUSE`].

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use maskline_domain::{Actor, Envelope, Note};
use parking_lot::Mutex;

use crate::ledger::Ledger;

/// How long an address is not told of again at first; each time it is told of it is twice as long.
const PAUSE_MIN: Duration = Duration::from_secs(60);
const PAUSE_MAX: Duration = Duration::from_secs(3_600);
/// Addresses that are kept apart; all others are told of as one.
const ADDRESSES_MAX: usize = 64;
/// Lines of single addresses that may be written at once.
const LINES_AT_ONCE: u64 = 32;
/// After those, one each so often: at most 288 a day.
const LINE_EVERY: Duration = Duration::from_secs(300);
/// What those others are called, who are told of at most 144 times a day.
const OTHERS: &str = "other addresses";
/// How long the others are not told of again.
const OTHERS_PAUSE: Duration = Duration::from_secs(600);
/// What a request is said to come from that came over no connection.
const UNKNOWN: &str = "unknown";

/// Where a request comes from. The server puts it into each request.
#[derive(Clone, Copy, Debug)]
pub struct Peer(pub IpAddr);

/// What was refused lately.
#[derive(Debug)]
pub struct TokenRefusals {
    seen: Arc<Mutex<RefusedAddresses>>,
    began: Instant,
}

impl Default for TokenRefusals {
    fn default() -> Self {
        let (seen, began) = (Arc::default(), Instant::now());
        Self { seen, began }
    }
}

/// A line that is to be written.
#[derive(Debug, PartialEq, Eq)]
struct Line {
    from: Box<str>,
    count: u64,
    /// When [`RefusedAddresses::again`] must be asked about it.
    pause: Duration,
}

/// An address that was told of.
#[derive(Debug)]
struct RefusedAddress {
    /// How often it was refused since.
    untold: u64,
    pause: Duration,
}

/// The addresses that were told of within their pauses. Times are since any one moment.
#[derive(Debug, Default)]
struct RefusedAddresses {
    known: BTreeMap<Box<str>, RefusedAddress>,
    /// When there will be as many lines to write as there can be: each moves it by [`LINE_EVERY`].
    full_at: Duration,
}

impl RefusedAddresses {
    /// Counts a refusal. Gives the line that tells of it now, if one does.
    fn count(&mut self, from: Box<str>, now: Duration) -> Option<Line> {
        if let Some(known) = self.known.get_mut(&from) {
            known.untold += 1;
            return None;
        }
        if self.known.len() < ADDRESSES_MAX && self.take_line(now) {
            return Some(self.tell(from, 1, PAUSE_MIN));
        }
        self.count_others(1)
    }

    /// What is told of an address after the pause of its last line; of one of which nothing came no
    /// more is known.
    fn again(&mut self, from: &str, now: Duration) -> Option<Line> {
        let RefusedAddress { untold, pause } = self.known.remove(from)?;
        if untold == 0 {
            return None;
        }
        if from == OTHERS {
            return Some(self.tell(from.into(), untold, OTHERS_PAUSE));
        }
        match self.take_line(now) {
            true => Some(self.tell(from.into(), untold, (pause * 2).min(PAUSE_MAX))),
            false => self.count_others(untold),
        }
    }

    fn count_others(&mut self, count: u64) -> Option<Line> {
        if let Some(others) = self.known.get_mut(OTHERS) {
            others.untold += count;
            return None;
        }
        Some(self.tell(OTHERS.into(), count, OTHERS_PAUSE))
    }

    fn tell(&mut self, from: Box<str>, count: u64, pause: Duration) -> Line {
        self.known
            .insert(from.clone(), RefusedAddress { untold: 0, pause });
        Line { from, count, pause }
    }

    /// Whether a line of one address may be written now; then it is counted.
    fn take_line(&mut self, now: Duration) -> bool {
        let full_at = self.full_at.max(now) + LINE_EVERY;
        let may = full_at <= now + LINE_EVERY * LINES_AT_ONCE as u32;
        if may {
            self.full_at = full_at;
        }
        may
    }
}

impl TokenRefusals {
    /// Counts a refused request; leaves a line in the log and in the audit when it is time for one.
    pub fn note(&self, peer: Option<Peer>, ledger: &Ledger) {
        let from = peer.map_or_else(
            || UNKNOWN.into(),
            |Peer(address)| address.to_string().into(),
        );
        let began = self.began;
        let Some(first) = self.seen.lock().count(from, began.elapsed()) else {
            return;
        };
        let (seen, ledger) = (Arc::clone(&self.seen), ledger.clone());
        tokio::spawn(async move {
            let mut next = Some(first);
            // Ends after a pause in which nothing came.
            while let Some(Line { from, count, pause }) = next {
                tell(&ledger, from.clone(), count).await;
                tokio::time::sleep(pause).await;
                next = seen.lock().again(&from, began.elapsed());
            }
        });
    }
}

async fn tell(ledger: &Ledger, from: Box<str>, count: u64) {
    tracing::warn!(%from, count, "admin requests without the right token were refused");
    let by = Actor::Job {
        name: "admin".into(),
    };
    let command = Note::TokenRefused { from, count };
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

    const MINUTE: Duration = Duration::from_secs(60);
    const DAY: Duration = Duration::from_secs(86_400);

    fn name(number: u64) -> Box<str> {
        format!("2001:db8::{number:x}").into()
    }

    /// Plays refusals: at each moment of `tick` all of `who` are refused once. The lines written.
    fn played(span: Duration, tick: Duration, who: impl Fn(u64) -> Vec<u64>) -> Vec<Line> {
        let (mut seen, mut lines, mut due) = (RefusedAddresses::default(), Vec::new(), Vec::new());
        let mut total = 0;
        for round in 0..(span.as_secs() / tick.as_secs()) {
            let now = tick * round as u32;
            let (ready, later): (Vec<_>, Vec<_>) = due.into_iter().partition(|(at, _)| *at <= now);
            due = later;
            let mut written: Vec<Line> = ready
                .into_iter()
                .filter_map(|(_, from): (_, Box<str>)| seen.again(&from, now))
                .collect();
            for number in who(round) {
                total += 1;
                written.extend(seen.count(name(number), now));
            }
            due.extend(
                written
                    .iter()
                    .map(|line| (now + line.pause, line.from.clone())),
            );
            lines.extend(written);
            assert!(seen.known.len() <= ADDRESSES_MAX + 1);
        }
        let untold: u64 = seen.known.values().map(|known| known.untold).sum();
        let told: u64 = lines.iter().map(|line| line.count).sum();
        assert_eq!(told + untold, total, "each is counted once");
        lines
    }

    #[test]
    fn an_address_is_told_of_at_once_and_then_ever_less_often() {
        let mut seen = RefusedAddresses::default();
        let first = seen.count(name(1), MINUTE).expect("a line");
        assert_eq!((first.count, first.pause), (1, PAUSE_MIN));
        assert!((0..499).all(|_| seen.count(name(1), MINUTE).is_none()));
        let second = seen.again(&name(1), MINUTE * 2).expect("a line");
        assert_eq!((second.count, second.pause), (499, PAUSE_MIN * 2));
        assert_eq!(seen.count(name(1), MINUTE * 3), None, "told of just now");
        assert_eq!(
            seen.again(&name(1), MINUTE * 4).map(|line| line.count),
            Some(1)
        );
        assert_eq!(
            seen.again(&name(1), MINUTE * 8),
            None,
            "it was quiet for a pause"
        );
        let anew = seen.count(name(1), MINUTE * 9).expect("a line");
        assert_eq!((anew.count, anew.pause), (1, PAUSE_MIN));
    }

    #[test]
    fn one_that_goes_on_for_a_day_is_told_of_by_its_name_some_thirty_times() {
        let lines = played(DAY, Duration::from_secs(1), |_| vec![7]);
        assert!(lines.iter().all(|line| line.from == name(7)));
        assert!((24..36).contains(&lines.len()), "{}", lines.len());
    }

    /// Who tries in a round.
    type Triers = fn(u64) -> Vec<u64>;

    #[test]
    fn however_many_try_the_lines_of_a_day_are_bounded() {
        let bound = LINES_AT_ONCE as usize + 288 + 144 + 1;
        let rows: [(&str, Triers); 5] = [
            ("64 that go on", |_| (0..64).collect()),
            ("65 that go on", |_| (0..65).collect()),
            ("a thousand that go on", |_| (0..1_000).collect()),
            ("a new one each ten seconds", |round| vec![round]),
            ("a hundred new ones each ten seconds", |round| {
                (round * 100..(round + 1) * 100).collect()
            }),
        ];
        for (row, who) in rows {
            let lines = played(DAY, Duration::from_secs(10), who).len();
            assert!(lines <= bound, "{row}: {lines}");
        }
    }

    #[test]
    fn many_addresses_are_told_of_as_one() {
        let mut seen = RefusedAddresses::default();
        let told: Vec<Line> = (0..1000)
            .filter_map(|number| seen.count(name(number), MINUTE))
            .collect();
        assert_eq!(told.len() as u64, LINES_AT_ONCE + 1);
        assert_eq!(told.last().map(|line| &*line.from), Some(OTHERS));
        let others = seen.again(OTHERS, MINUTE * 11).map(|line| line.count);
        assert_eq!(others, Some(1000 - told.len() as u64));
    }
}
