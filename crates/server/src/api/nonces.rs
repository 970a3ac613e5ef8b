//! Nonces seen lately, so that a signed request is carried out once.
//!
//! A nonce may not return for about 31 minutes (a statement of the vendor's staff), nor for as long as the
//! time of its request could be right: a request whose time is ahead of ours by all that is allowed comes in
//! time until ours is ahead of it by as much. Here the scope is one AccessKey. The table lives in memory. For
//! changes there is a second, durable check: 128 bits of the same hash are the id of the command, which the domain
//! remembers through a crash.
//!
//! Only a hash of 64 bits is kept, in slots of an eighth of the span that are dropped whole, so a nonce costs
//! some 10 to 20 bytes and forgetting costs nothing. Two different nonces share a hash once in about
//! 10^12 requests.
//!
//! The room is shared fairly: an account may hold no more than is still free. So one alone gets half of
//! the room, two get a third each, and however many have filled theirs, as much as each of them holds
//! is left for the next one. Nobody has to say beforehand how many accounts there will be.

use std::collections::{HashMap, HashSet, VecDeque};

use maskline_domain::{AccessKeyId, AccountId, CommandId, Timestamp};
use parking_lot::Mutex;
use sha2::{Digest, Sha256};

/// How many full slots there are of one span, beside the one that is being filled: a nonce stays for a span
/// and up to an eighth more.
const SLOTS: i64 = 8;
/// Locks, so that growing one set delays few requests.
const SHARDS: usize = 64;

/// What the table says of a nonce.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NonceCheck {
    /// It is new and from now on remembered.
    New,
    /// It was used before.
    Before,
    /// The AccessKey has as many nonces remembered as it may.
    KeyFull,
    /// The AccessKeys of the account have as many remembered as they may: their bound, or as many as
    /// all accounts together leave free.
    AccountFull,
    /// All AccessKeys together have as many remembered as they may. It takes as many accounts as there
    /// is room for nonces.
    Full,
}

/// For how long nonces are remembered at least, in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NonceSpan(i64);

impl NonceSpan {
    /// What the vendor promises, rounded up.
    const MIN_MS: i64 = 32 * 60 * 1000;

    /// As long as a request can be repeated whose time may be so far from ours, either way, in milliseconds.
    #[must_use]
    pub fn for_clock_skew(skew_ms: i64) -> Self {
        // Until the end of the last millisecond.
        let repeatable_ms = skew_ms.saturating_mul(2).saturating_add(1);
        Self(repeatable_ms.max(Self::MIN_MS))
    }

    fn slot_ms(self) -> i64 {
        self.0 / SLOTS
    }
}

/// How many nonces are remembered at most.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NonceBounds {
    /// Of one AccessKey.
    pub per_key_max: u32,
    /// Of all AccessKeys of one account, so that one customer cannot take what all share.
    pub per_account_max: u32,
    /// Of all together; see the module for what one account may have of it.
    pub total_max: u32,
}

/// The hash of a nonce and its AccessKey: the first 16 bytes of SHA-256 over key, a zero byte and
/// nonce. It is the id of the command that a change becomes; the table keeps the first 8 of them.
#[must_use]
pub fn nonce_hash(key: &str, nonce: &str) -> CommandId {
    let digest = Sha256::new()
        .chain_update(key)
        .chain_update([0])
        .chain_update(nonce)
        .finalize();
    let (head, _) = digest
        .split_first_chunk::<16>()
        .expect("SHA-256 has 32 bytes");
    CommandId(u128::from_be_bytes(*head))
}

/// The table.
#[derive(Debug)]
pub struct Nonces {
    shards: Vec<Mutex<Slots<HashSet<u64>>>>,
    counts: Mutex<Slots<Counts>>,
}

impl Default for Nonces {
    fn default() -> Self {
        Self {
            shards: (0..SHARDS).map(|_| Mutex::default()).collect(),
            counts: Mutex::default(),
        }
    }
}

impl Nonces {
    /// Whether a nonce is remembered, by the head of its [`nonce_hash`]. Remembers nothing.
    pub fn contains(&self, hash: u64, now: Timestamp, span: NonceSpan) -> bool {
        let mut shard = self.shard(hash).lock();
        shard.advance(now, span);
        shard.iter().any(|slot| slot.contains(&hash))
    }

    /// Looks a nonce up by the head of its [`nonce_hash`] and remembers it.
    pub fn remember(
        &self,
        account: &AccountId,
        key: &AccessKeyId,
        hash: u64,
        now: Timestamp,
        span: NonceSpan,
        bounds: NonceBounds,
    ) -> NonceCheck {
        let mut shard = self.shard(hash).lock();
        shard.advance(now, span);
        if shard.iter().any(|slot| slot.contains(&hash)) {
            return NonceCheck::Before;
        }
        if let Err(full) = self.count(account, key, now, span, bounds) {
            return full;
        }
        shard.newest().insert(hash);
        NonceCheck::New
    }

    /// The hash is uniform, so any of its bits choose a shard.
    fn shard(&self, hash: u64) -> &Mutex<Slots<HashSet<u64>>> {
        &self.shards[hash as usize % SHARDS]
    }

    /// Counts one nonce more of `key`, unless that passes a bound.
    fn count(
        &self,
        account: &AccountId,
        key: &AccessKeyId,
        now: Timestamp,
        span: NonceSpan,
        bounds: NonceBounds,
    ) -> Result<(), NonceCheck> {
        let mut counts = self.counts.lock();
        counts.advance(now, span);
        let (mut of_key, mut of_account, mut total) = (0_u32, 0_u32, 0_u32);
        for slot in counts.iter() {
            of_key += slot.by_key.get(key).copied().unwrap_or(0);
            of_account += slot.by_account.get(account).copied().unwrap_or(0);
            total += slot.total;
        }
        if of_key >= bounds.per_key_max {
            return Err(NonceCheck::KeyFull);
        }
        let free = bounds.total_max.saturating_sub(total);
        if free == 0 {
            return Err(NonceCheck::Full);
        }
        if of_account >= bounds.per_account_max.min(free) {
            return Err(NonceCheck::AccountFull);
        }
        let newest = counts.newest();
        newest.total += 1;
        *newest.by_key.entry(key.clone()).or_insert(0) += 1;
        *newest.by_account.entry(account.clone()).or_insert(0) += 1;
        Ok(())
    }
}

/// How many nonces came in one slot.
#[derive(Debug, Default)]
struct Counts {
    total: u32,
    by_key: HashMap<AccessKeyId, u32>,
    by_account: HashMap<AccountId, u32>,
}

/// The newest slots, in the order of time. Each knows its end, so that the span may change; under one span they
/// end at its multiples, so all of them are dropped together.
#[derive(Debug)]
struct Slots<T> {
    slots: VecDeque<Slot<T>>,
    /// The latest time that was told, in milliseconds since 1970.
    latest_ms: i64,
}

#[derive(Debug, Default)]
struct Slot<T> {
    /// What it holds came before this time, in milliseconds since 1970.
    end_ms: i64,
    held: T,
}

impl<T: Default> Default for Slots<T> {
    fn default() -> Self {
        Self {
            slots: VecDeque::from([Slot::default()]),
            latest_ms: i64::MIN,
        }
    }
}

impl<T: Default> Slots<T> {
    /// Begins the slot of `now`, dropping what is older than a span. A clock that steps back stands still.
    fn advance(&mut self, now: Timestamp, span: NonceSpan) {
        self.latest_ms = self.latest_ms.max(now.millis());
        let now_ms = self.latest_ms;
        let end_ms = (now_ms.div_euclid(span.slot_ms()) + 1).saturating_mul(span.slot_ms());
        let newest = self.newest_slot();
        if now_ms < newest.end_ms {
            // Under a span that has become shorter it ends earlier.
            newest.end_ms = newest.end_ms.min(end_ms);
        } else {
            let held = T::default();
            self.slots.push_back(Slot { end_ms, held });
        }
        let is_old = |slot: &Slot<T>| slot.end_ms.saturating_add(span.0) <= now_ms;
        while self.slots.len() > 1 && self.slots.front().is_some_and(is_old) {
            self.slots.pop_front();
        }
    }

    fn newest_slot(&mut self) -> &mut Slot<T> {
        self.slots.back_mut().expect("there is always a slot")
    }

    fn newest(&mut self) -> &mut T {
        &mut self.newest_slot().held
    }

    fn iter(&self) -> impl Iterator<Item = &T> {
        self.slots.iter().map(|slot| &slot.held)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE_MS: i64 = 60_000;
    const BOUNDS: NonceBounds = NonceBounds {
        per_key_max: 3,
        per_account_max: 4,
        total_max: 8,
    };

    /// More than any test uses.
    const AMPLE: NonceBounds = NonceBounds {
        per_key_max: 1_000_000,
        per_account_max: 1_000_000,
        total_max: 1_000_000,
    };

    /// That of the default setting.
    const SPAN: NonceSpan = NonceSpan(NonceSpan::MIN_MS);

    fn key(name: &str) -> AccessKeyId {
        AccessKeyId::new(name)
    }

    impl Nonces {
        fn total(&self, now: Timestamp) -> u32 {
            let mut counts = self.counts.lock();
            counts.advance(now, SPAN);
            counts.iter().map(|slot| slot.total).sum()
        }
    }

    fn moment(minute: i64) -> Timestamp {
        Timestamp(1_700_000_000_000 + minute * MINUTE_MS)
    }

    /// Each key is of the account with its first letter.
    fn remember(nonces: &Nonces, name: &str, nonce: &str, minute: i64) -> NonceCheck {
        let hash = nonce_hash(name, nonce).head();
        let account = AccountId::new(&name[..1]);
        nonces.remember(&account, &key(name), hash, moment(minute), SPAN, BOUNDS)
    }

    #[test]
    fn looking_remembers_nothing() {
        let nonces = Nonces::default();
        let hash = nonce_hash("k", "n").head();
        assert!(!nonces.contains(hash, moment(0), SPAN));
        assert_eq!(remember(&nonces, "k", "n", 0), NonceCheck::New);
        assert!(nonces.contains(hash, moment(31), SPAN));
        assert!(!nonces.contains(hash, moment(40), SPAN));
    }

    #[test]
    fn a_nonce_is_refused_for_more_than_31_minutes_and_not_much_longer() {
        for start in 0..5 {
            let nonces = Nonces::default();
            assert_eq!(remember(&nonces, "k", "n", start), NonceCheck::New);
            for minute in start..=start + 31 {
                assert_eq!(
                    remember(&nonces, "k", "n", minute),
                    NonceCheck::Before,
                    "{minute}"
                );
            }
            assert_eq!(remember(&nonces, "k", "n", start + 37), NonceCheck::New);
        }
    }

    #[test]
    fn a_nonce_stays_for_twice_the_clock_skew_and_an_eighth_more_at_most() {
        // The setting in seconds, and the span in minutes.
        let rows = [
            (1, 32),
            (60, 32),
            (900, 32),
            (959, 32),
            (960, 33),
            (990, 34),
            (1_800, 61),
            (3_600, 121),
            (7_200, 241),
            (43_200, 1_441),
            (86_400, 2_881),
        ];
        for (skew_s, minutes) in rows {
            let span = NonceSpan::for_clock_skew(skew_s * 1_000);
            assert!(span.0 > 2 * skew_s * 1_000 && span.0 <= minutes * MINUTE_MS);
            for start in [0, 1, minutes / 3, minutes] {
                let nonces = Nonces::default();
                // Something comes all the time.
                let tick = |minute: i64, hash: u64| {
                    let (account, now) = (AccountId::new("a"), moment(minute));
                    let bounds = AMPLE;
                    nonces.remember(&account, &key("a"), hash, now, span, bounds)
                };
                for minute in 0..start {
                    tick(minute, 1_000 + minute as u64);
                }
                assert_eq!(tick(start, 1), NonceCheck::New);
                let last = start + span.0 / MINUTE_MS;
                for minute in start..=last {
                    assert_eq!(
                        tick(minute, 1),
                        NonceCheck::Before,
                        "{skew_s} {start} {minute}"
                    );
                    tick(minute, 1_000 + minute as u64);
                    let slots = nonces.counts.lock().slots.len();
                    assert!(slots <= SLOTS as usize + 2, "{skew_s}: {slots}");
                }
                let over = start + minutes + minutes / SLOTS + 2;
                assert_eq!(tick(over, 1), NonceCheck::New, "{skew_s} {start}");
            }
        }
    }

    #[test]
    fn a_span_that_changes_forgets_nothing_that_the_new_one_keeps() {
        let [short, long] = [900_000, 86_400_000].map(NonceSpan::for_clock_skew);
        let nonces = Nonces::default();
        let ask = |minute: i64, nonce: u64, span| {
            let (account, bounds) = (AccountId::new("a"), AMPLE);
            nonces.remember(&account, &key("a"), nonce, moment(minute), span, bounds)
        };
        // At which minute, which nonce, under which span, and whether it is still known.
        for (minute, nonce, span, seen) in [
            (0, 1, short, NonceCheck::New),
            (20, 2, short, NonceCheck::New),
            (30, 1, long, NonceCheck::Before),
            (50, 1, long, NonceCheck::Before),
            (2_000, 1, long, NonceCheck::Before),
            (2_000, 3, long, NonceCheck::New),
            (2_010, 3, short, NonceCheck::Before),
            (2_010, 1, short, NonceCheck::New),
            (2_010, 2, short, NonceCheck::New),
            (2_030, 3, short, NonceCheck::Before),
            (2_050, 3, short, NonceCheck::New),
            (2_051, 3, long, NonceCheck::Before),
            (4_900, 3, long, NonceCheck::Before),
            (5_700, 3, long, NonceCheck::New),
        ] {
            assert_eq!(ask(minute, nonce, span), seen, "{minute} {nonce}");
        }
    }

    #[test]
    fn a_long_silence_or_a_clock_stepping_back_forgets_nothing_too_early() {
        let nonces = Nonces::default();
        assert_eq!(remember(&nonces, "k", "old", 0), NonceCheck::New);
        assert_eq!(remember(&nonces, "k", "new", 1_000), NonceCheck::New);
        assert_eq!(remember(&nonces, "k", "new", 0), NonceCheck::Before);
        assert_eq!(remember(&nonces, "k", "back", 0), NonceCheck::New);
        assert_eq!(remember(&nonces, "k", "back", 20), NonceCheck::Before);
        assert_eq!(remember(&nonces, "k", "old", 1_020), NonceCheck::New);
    }

    #[test]
    fn keys_do_not_share_nonces() {
        let nonces = Nonces::default();
        assert_eq!(remember(&nonces, "a", "n", 0), NonceCheck::New);
        assert_eq!(remember(&nonces, "b", "n", 0), NonceCheck::New);
        assert_ne!(nonce_hash("ab", "c"), nonce_hash("a", "bc"));
    }

    #[test]
    fn bounds_hold_per_key_per_account_and_in_total_until_time_frees_room() {
        let nonces = Nonces::default();
        for nonce in ["1", "2", "3"] {
            assert_eq!(remember(&nonces, "a", nonce, 0), NonceCheck::New);
        }
        assert_eq!(remember(&nonces, "a", "4", 0), NonceCheck::KeyFull);
        assert_eq!(remember(&nonces, "a", "1", 0), NonceCheck::Before);
        assert_eq!(remember(&nonces, "a2", "1", 0), NonceCheck::New);
        assert_eq!(remember(&nonces, "a2", "2", 0), NonceCheck::AccountFull);
        assert_eq!(remember(&nonces, "a3", "1", 0), NonceCheck::AccountFull);
        // Of the four that are left each account may take as many as remain.
        for (account, expected) in [
            ("b", NonceCheck::New),
            ("b", NonceCheck::New),
            ("b", NonceCheck::AccountFull),
            ("c", NonceCheck::New),
            ("c", NonceCheck::AccountFull),
            ("d", NonceCheck::New),
            ("e", NonceCheck::Full),
            ("a", NonceCheck::KeyFull),
        ] {
            let nonce = nonces.total(moment(0)).to_string();
            assert_eq!(remember(&nonces, account, &nonce, 0), expected, "{account}");
        }
        assert_eq!(remember(&nonces, "c", "late", 40), NonceCheck::New);
        assert_eq!(remember(&nonces, "a", "4", 40), NonceCheck::New);
    }

    #[test]
    fn accounts_that_take_all_they_can_leave_room_for_the_next() {
        // How many accounts fill what they may, and how many nonces each then has of 1,200 at least.
        let rows = [
            (1, 600),
            (2, 400),
            (3, 300),
            (4, 240),
            (5, 200),
            (11, 100),
            (23, 50),
            (39, 30),
            (99, 12),
            (199, 6),
        ];
        let bounds = NonceBounds {
            per_key_max: 1_200,
            per_account_max: 1_200,
            total_max: 1_200,
        };
        for (accounts, share) in rows {
            let nonces = Nonces::default();
            let mut next = 0;
            let mut take = |account: &str| {
                next += 1;
                let account = AccountId::new(account);
                nonces.remember(&account, &key("k"), next, moment(0), SPAN, bounds)
                    == NonceCheck::New
            };
            // One after the other in turns, until nobody gets any more.
            let names: Vec<String> = (0..accounts).map(|n| format!("greedy-{n}")).collect();
            let mut held = vec![0; accounts];
            loop {
                let before: u32 = held.iter().sum();
                for (name, held) in names.iter().zip(&mut held) {
                    *held += u32::from(take(name));
                }
                if held.iter().sum::<u32>() == before {
                    break;
                }
            }
            assert!(
                held.iter().all(|&held| held >= share),
                "{accounts}: {held:?}"
            );
            let newcomer = (0..1_200).filter(|_| take("newcomer")).count();
            assert!(newcomer as u32 >= share / 2, "{accounts}: {newcomer}");
        }
    }

    /// First 8 bytes of `printf 'testid\0abc' | sha256sum`.
    #[test]
    fn the_hash_is_that_of_the_command_id() {
        assert_eq!(nonce_hash("testid", "abc").head(), 0x8416c12fca0e5d5b);
    }
}
