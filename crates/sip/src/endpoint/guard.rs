//! What is remembered of proofs that others gave: nonces that were used, so that none is taken twice, and wrong
//! answers, so that a password cannot be guessed quickly.
//!
//! A right answer is never refused because of somebody else's wrong ones. Guesses are counted by the address that
//! they come from, and only those that answer a fresh nonce of ours, which nobody reads who merely writes a
//! foreign address on his datagrams. An address and port that gave a right answer is counted by itself, apart
//! from whatever else is at that address.
//!
//! When an address has used up its guesses, one answer to each nonce is looked at nevertheless. A carrier that
//! was never heard at this port cannot be told from a guesser before its answer was looked at, so either both
//! are or neither. A guess costs a round trip then, at an address of the trunk where our challenge is received;
//! and who spoils a nonce that he overheard makes its owner ask for another, which is no refusal.

use super::proof::{NONCE_LIFE, millis};
use crate::hop::Hop;
use crate::time::Time;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

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
pub(super) struct Guard {
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
enum Guesser {
    /// A sender that has given a right answer before.
    Known(Hop),
    /// Everybody else at an address.
    Anyone(IpAddr),
}

/// Wrong answers, by who gave them.
#[derive(Default)]
pub(super) struct Guesses {
    /// When the last of its wrong answers is forgotten, in milliseconds: each adds [`GUESS_EVERY_MS`].
    wrong: BTreeMap<Guesser, u64>,
    /// When each gave its last right answer, in milliseconds.
    trusted: BTreeMap<Hop, u64>,
    /// Nonces that a wrong answer was given to: at most [`NONCES_MAX`], without the oldest ones.
    spoilt: BTreeSet<(u64, u64)>,
}

impl Guesses {
    /// Whether an answer from there is looked at now.
    pub fn may_guess(&self, from: Hop, nonce: (u64, u64), now: Time) -> bool {
        if !self.spoilt.contains(&nonce) {
            return true;
        }
        let forgotten = self.wrong.get(&self.guesser(from)).copied();
        let ahead = forgotten
            .unwrap_or_default()
            .saturating_sub(now.as_millis());
        ahead <= (GUESSES_MAX - 1) * GUESS_EVERY_MS
    }

    /// An answer from there was wrong.
    pub fn was_wrong(&mut self, from: Hop, nonce: (u64, u64), now: Time) {
        self.spoilt.insert(nonce);
        if self.spoilt.len() > NONCES_MAX {
            self.spoilt.pop_first();
        }
        let guesser = self.guesser(from);
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

    /// An answer from there was right.
    pub fn was_right(&mut self, from: Hop, now: Time) {
        if self.trusted.len() >= TRUSTED_MAX && !self.trusted.contains_key(&from) {
            let oldest = self.trusted.iter().min_by_key(|(_, last)| **last);
            let oldest = oldest.map(|(hop, _)| *hop);
            oldest.map(|oldest| self.trusted.remove(&oldest));
        }
        self.trusted.insert(from, now.as_millis());
    }

    fn guesser(&self, from: Hop) -> Guesser {
        match self.trusted.contains_key(&from) {
            true => Guesser::Known(from),
            false => Guesser::Anyone(from.address.ip()),
        }
    }
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
    fn guesses_are_slowed_down_and_forgotten() {
        let (mut guesses, from) = (Guesses::default(), hop("192.0.2.1:5060"));
        let mut looked_at = 0;
        // One guess each 10 ms, for a minute.
        for tick in 0..6_000 {
            if guesses.may_guess(from, NONCE, at(tick * 10)) {
                looked_at += 1;
                guesses.was_wrong(from, NONCE, at(tick * 10));
            }
        }
        assert_eq!(looked_at, GUESSES_MAX + 60_000 / GUESS_EVERY_MS - 1);
        assert!(
            !guesses.may_guess(hop("192.0.2.1:7"), NONCE, at(59_000)),
            "another port"
        );
        assert!(guesses.may_guess(hop("192.0.2.2:5060"), NONCE, at(59_000)));
        assert!(guesses.may_guess(from, (1, 3), at(59_000)), "another nonce");
        assert!(guesses.may_guess(from, NONCE, at(62_000)));
    }

    #[test]
    fn who_was_right_is_not_late_for_what_others_guess_at_its_address() {
        let (mut guesses, carrier) = (Guesses::default(), hop("192.0.2.1:5060"));
        guesses.was_right(carrier, at(0));
        let other = hop("192.0.2.1:7");
        while guesses.may_guess(other, NONCE, at(1)) {
            guesses.was_wrong(other, NONCE, at(1));
        }
        assert!(guesses.may_guess(carrier, NONCE, at(1)));
    }

    #[test]
    fn memory_of_guessers_has_a_bound() {
        let mut guesses = Guesses::default();
        for number in 0..5_000_u32 {
            let address = IpAddr::from(number.to_be_bytes());
            let from = Hop::udp((address, 5060).into());
            let time = u64::from(number);
            guesses.was_wrong(from, (time, 1), at(time));
            guesses.was_right(from, at(u64::from(number)));
        }
        assert!(guesses.wrong.len() <= GUESSERS_MAX);
        assert!(guesses.trusted.len() <= TRUSTED_MAX);
        assert!(guesses.spoilt.len() <= NONCES_MAX);
    }
}
