//! What is remembered of credentials that others gave: nonces that were used, so that none is taken twice, and wrong
//! answers, so that a password cannot be guessed quickly.
//!
//! A right answer is never refused because of somebody else's wrong ones, so wrong ones are counted in two ways:
//!
//! - By who asked for the nonce, which stands in it and cannot be forged. An address and port, or a connection,
//!   that answers one nonce after the other wrongly is slowed down. Of each nonce only the first wrong answer
//!   counts here: whoever overhears one cannot use up the guesses of the carrier that asked for it.
//! - By the address that a wrong answer comes from: a nonce that was answered wrongly once is looked at again
//!   only while few came from there. Of an IPv6 address the first 64 bits count, since who has one has all of
//!   those that share them. A nonce that nobody has spoilt is looked at whatever came from that address.
//!
//! Only answers to nonces of ours count, which nobody reads who merely writes a foreign address on his datagrams.
//! An address and port that gave a right answer is counted by itself, and not slowed down for nonces that it
//! asked for.
//!
//! So another port or connection, of the same address too, is heard at once however much is guessed beside it: a
//! carrier that was never heard there cannot be told from a guesser before its answer was looked at. Who opens a
//! new one for each ten guesses is slowed down by that alone; and who spoils a nonce that he overheard makes its
//! owner ask for another, which is no refusal.

use crate::hop::Hop;
use crate::time::Time;
use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv6Addr};
use std::time::Duration;

/// How long a nonce of ours may be used.
pub(super) const NONCE_LIFE: Duration = Duration::from_secs(300);
/// The most nonces of ours whose count is remembered. Beyond it the oldest count as too old.
const NONCES_MAX: usize = 4_096;
/// Wrong answers that may come at once.
const GUESSES_MAX: u64 = 10;
/// After those, one each so often, in milliseconds.
const GUESS_EVERY_MS: u64 = 2_000;
/// Senders whose wrong answers are remembered; with more the oldest is forgotten.
const GUESSERS_MAX: usize = 1_024;
/// Senders that are remembered because they gave a right answer; with more the oldest is forgotten.
const TRUSTED_MAX: usize = 1_024;

/// See the module.
#[derive(Default)]
pub(super) struct AuthLimit {
    pub nonces: Nonces,
    pub guesses: Guesses,
}

/// The nonces of ours that were used, and how far each was counted.
#[derive(Default)]
pub(super) struct Nonces {
    used: BTreeMap<(u64, u64), u32>,
    /// Nonces up to this moment, in milliseconds, are not remembered any more.
    forgotten: u64,
}

impl Nonces {
    /// Whether a count of a nonce was not taken yet, as far as is remembered.
    pub fn is_new(&self, nonce: (u64, u64), count: u32) -> bool {
        let is_forgotten = self.forgotten >= nonce.0 && self.forgotten > 0;
        !is_forgotten && count > self.used.get(&nonce).copied().unwrap_or_default()
    }

    /// Takes a count for a nonce; false if it was taken before, or cannot be known to be new.
    pub fn take(&mut self, nonce: (u64, u64), count: u32, now: Time) -> bool {
        let oldest = now.as_millis().saturating_sub(millis(NONCE_LIFE));
        while self
            .used
            .first_key_value()
            .is_some_and(|((time, _), _)| *time < oldest)
        {
            self.used.pop_first();
        }
        if self.forgotten >= nonce.0 && self.forgotten > 0 {
            return false;
        }
        if let Some(last) = self.used.get_mut(&nonce) {
            let is_new = count > *last;
            *last = count.max(*last);
            return is_new;
        }
        if self.used.len() >= NONCES_MAX
            && let Some(((time, _), _)) = self.used.pop_first()
        {
            self.forgotten = self.forgotten.max(time);
            if time >= nonce.0 {
                return false;
            }
        }
        self.used.insert(nonce, count);
        count > 0
    }
}

/// Who is counted together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum GuessSource {
    /// A sender that has given a right answer before.
    Known(Hop),
    /// Everybody else at an address, or in an IPv6 network of 64 bits.
    Anyone(IpAddr),
    /// Who asked for nonces, by the mark in them.
    Nonces(u32),
}

/// Whether an answer is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Look {
    Now,
    /// Not with this nonce; with another it is.
    Spoilt,
    /// Not yet: who asked for the nonce has guessed too often.
    Later,
}

/// Wrong answers, by who gave them.
#[derive(Default)]
pub(super) struct Guesses {
    /// When the last of its wrong answers is forgotten, in milliseconds: each adds [`GUESS_EVERY_MS`].
    wrong: BTreeMap<GuessSource, u64>,
    /// When each gave its last right answer, in milliseconds.
    trusted: BTreeMap<Hop, u64>,
    /// Nonces that a wrong answer was given to: at most [`NONCES_MAX`], without the oldest ones.
    spoilt: BTreeSet<(u64, u64)>,
}

impl Guesses {
    /// Whether an answer from there is looked at now.
    pub fn look(&self, from: Hop, nonce: (u64, u64), now: Time) -> Look {
        if !self.trusted.contains_key(&from) && self.is_late(by_nonce(nonce), now) {
            return Look::Later;
        }
        match self.spoilt.contains(&nonce) && self.is_late(self.guesser(from), now) {
            true => Look::Spoilt,
            false => Look::Now,
        }
    }

    /// Whether so many wrong answers are counted that there is to be no other one now.
    fn is_late(&self, guesser: GuessSource, now: Time) -> bool {
        let forgotten = self.wrong.get(&guesser).copied().unwrap_or_default();
        forgotten.saturating_sub(now.as_millis()) > (GUESSES_MAX - 1) * GUESS_EVERY_MS
    }

    /// Counts an answer from there that was wrong.
    pub fn count_wrong(&mut self, from: Hop, nonce: (u64, u64), now: Time) {
        if self.spoilt.insert(nonce) {
            self.count(by_nonce(nonce), now);
        }
        if self.spoilt.len() > NONCES_MAX {
            self.spoilt.pop_first();
        }
        self.count(self.guesser(from), now);
    }

    fn count(&mut self, guesser: GuessSource, now: Time) {
        let now = now.as_millis();
        if self.wrong.len() >= GUESSERS_MAX && !self.wrong.contains_key(&guesser) {
            self.wrong.retain(|_, forgotten| *forgotten > now);
            if self.wrong.len() >= GUESSERS_MAX {
                let oldest = self.wrong.iter().min_by_key(|(_, forgotten)| **forgotten);
                let oldest = oldest.map(|(guesser, _)| *guesser);
                oldest.map(|oldest| self.wrong.remove(&oldest));
            }
        }
        let forgotten = self.wrong.entry(guesser).or_default();
        *forgotten = now.max(*forgotten) + GUESS_EVERY_MS;
    }

    /// An answer from there was right: wrong ones of others no longer slow it down.
    pub fn trust(&mut self, from: Hop, now: Time) {
        if self.trusted.len() >= TRUSTED_MAX && !self.trusted.contains_key(&from) {
            let oldest = self.trusted.iter().min_by_key(|(_, last)| **last);
            let oldest = oldest.map(|(hop, _)| *hop);
            oldest.map(|oldest| self.trusted.remove(&oldest));
        }
        self.trusted.insert(from, now.as_millis());
    }

    fn guesser(&self, from: Hop) -> GuessSource {
        match self.trusted.contains_key(&from) {
            true => GuessSource::Known(from),
            false => GuessSource::Anyone(network(from.address.ip())),
        }
    }
}

/// Who asked for a nonce: its mark is the lower half of what is random in it.
fn by_nonce((_, random): (u64, u64)) -> GuessSource {
    GuessSource::Nonces(random as u32)
}

/// The address, or of IPv6 the network that one customer has at least (RFC 6177 section 2).
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX)).into()
        }
        v4 @ IpAddr::V4(_) => v4,
    }
}

pub(super) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hop(text: &str) -> Hop {
        Hop::udp(text.parse().expect("a literal address"))
    }

    const NONCE: (u64, u64) = (1, 2);

    fn at(millis: u64) -> Time {
        Time::from_millis(millis)
    }

    #[test]
    fn guesses_at_one_nonce_are_slowed_down_and_forgotten() {
        let (mut guesses, from) = (Guesses::default(), hop("192.0.2.1:5060"));
        let mut looked_at = 0;
        // One guess each 10 ms, for a minute.
        for tick in 0..6_000 {
            if guesses.look(from, NONCE, at(tick * 10)) == Look::Now {
                looked_at += 1;
                guesses.count_wrong(from, NONCE, at(tick * 10));
            }
        }
        assert_eq!(looked_at, GUESSES_MAX + 60_000 / GUESS_EVERY_MS - 1);
        #[rustfmt::skip]
        let rows = [
            // Who answers which nonce, and when.
            ("192.0.2.1:7", NONCE, 59_000, Look::Spoilt),
            ("192.0.2.2:5060", NONCE, 59_000, Look::Now),
            ("192.0.2.1:5060", (1, 3), 59_000, Look::Now),
            ("192.0.2.1:5060", NONCE, 62_000, Look::Now),
        ];
        for (from, nonce, time, expected) in rows {
            assert_eq!(
                guesses.look(hop(from), nonce, at(time)),
                expected,
                "{from} at {time}"
            );
        }
    }

    #[test]
    fn guesses_at_nonces_of_ones_own_are_slowed_down() {
        let (mut guesses, from) = (Guesses::default(), hop("192.0.2.1:5060"));
        let asked_by = |mark: u32, number: u64| (number, number << 32 | u64::from(mark));
        let mut looked_at = 0;
        for tick in 0..6_000 {
            let nonce = asked_by(1, tick);
            if guesses.look(from, nonce, at(tick * 10)) == Look::Now {
                looked_at += 1;
                guesses.count_wrong(from, nonce, at(tick * 10));
            }
        }
        assert_eq!(looked_at, GUESSES_MAX + 60_000 / GUESS_EVERY_MS - 1);
        let (late, other) = (asked_by(1, 9_000), asked_by(2, 9_000));
        assert_eq!(guesses.look(from, late, at(59_999)), Look::Later);
        // Whoever sends the answer: the guesses are those of who asked.
        assert_eq!(
            guesses.look(hop("192.0.2.9:1"), late, at(59_999)),
            Look::Later
        );
        assert_eq!(guesses.look(from, other, at(59_999)), Look::Now);
        guesses.trust(from, at(59_999));
        assert_eq!(
            guesses.look(from, late, at(59_999)),
            Look::Now,
            "known by now"
        );
    }

    #[test]
    fn of_an_overheard_nonce_the_first_wrong_answer_counts_for_who_asked() {
        let mut guesses = Guesses::default();
        for port in 1..=200 {
            guesses.count_wrong(hop(&format!("192.0.2.1:{port}")), NONCE, at(0));
        }
        let own = (2, NONCE.1 | 1 << 32);
        assert_eq!(guesses.look(hop("192.0.2.1:5060"), own, at(0)), Look::Now);
    }

    #[test]
    fn addresses_that_one_customer_has_are_counted_together() {
        #[rustfmt::skip]
        let rows = [
            // Who guesses at a nonce, and who then answers it.
            ("192.0.2.1:1", "192.0.2.1:2", Look::Spoilt),
            ("192.0.2.1:1", "192.0.2.2:1", Look::Now),
            ("192.0.2.1:1", "[::ffff:192.0.2.1]:1", Look::Spoilt),
            ("[::ffff:192.0.2.1]:1", "[::ffff:192.0.2.2]:1", Look::Now),
            ("[2001:db8::1]:1", "[2001:db8::1]:2", Look::Spoilt),
            ("[2001:db8::1]:1", "[2001:db8::2]:1", Look::Spoilt),
            ("[2001:db8::1]:1", "[2001:db8::ffff:0:0:1]:1", Look::Spoilt),
            ("[2001:db8::1]:1", "[2001:db8:0:1::1]:1", Look::Now),
            ("[2001:db8:1:2:3:4:5:6]:1", "[2001:db8:1:2:ffff::]:1", Look::Spoilt),
            ("[2001:db8:1:2:3:4:5:6]:1", "[2001:db8:1:3:3:4:5:6]:1", Look::Now),
        ];
        for (guesser, other, expected) in rows {
            let mut guesses = Guesses::default();
            for _ in 0..GUESSES_MAX {
                guesses.count_wrong(hop(guesser), NONCE, at(0));
            }
            let looked = guesses.look(hop(other), NONCE, at(0));
            assert_eq!(looked, expected, "{guesser} and {other}");
        }
    }

    #[test]
    fn who_was_right_is_not_late_for_what_others_guess_at_its_address() {
        let (mut guesses, carrier) = (Guesses::default(), hop("192.0.2.1:5060"));
        guesses.trust(carrier, at(0));
        let other = hop("192.0.2.1:7");
        while guesses.look(other, NONCE, at(1)) == Look::Now {
            guesses.count_wrong(other, NONCE, at(1));
        }
        assert_eq!(guesses.look(carrier, NONCE, at(1)), Look::Now);
    }

    #[test]
    fn memory_of_guessers_has_a_bound() {
        let mut guesses = Guesses::default();
        for number in 0..5_000_u32 {
            let address = IpAddr::from(number.to_be_bytes());
            let from = Hop::udp((address, 5060).into());
            let time = u64::from(number);
            guesses.count_wrong(from, (time, time), at(time));
            guesses.trust(from, at(u64::from(number)));
        }
        assert!(guesses.wrong.len() <= GUESSERS_MAX);
        assert!(guesses.trusted.len() <= TRUSTED_MAX);
        assert!(guesses.spoilt.len() <= NONCES_MAX);
    }
}
