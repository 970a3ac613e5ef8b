//! Nonces seen lately, so that a signed request is carried out once.
//!
//! A nonce may not return for about 31 minutes (a statement of the vendor's staff); here the scope
//! is one AccessKey. The table lives in memory. For changes there is a second, durable check: the
//! same hash is the id of the command, which the domain remembers through a crash.
//!
//! Only a hash of 64 bits is kept, in slots of four minutes that are dropped whole, so a nonce costs
//! some 10 to 20 bytes and forgetting costs nothing. Two different nonces share a hash once in about
//! 10^12 requests.
//!
//! The room is shared fairly: an account may hold no more than is still free. So one alone gets half of
//! the room, two get a third each, and however many have filled theirs, as much as each of them holds
//! is left for the next one. Nobody has to say beforehand how many accounts there will be.

use std::collections::{HashMap, HashSet, VecDeque};

use maskline_domain::{AccessKeyId, AccountId, Timestamp};
use parking_lot::Mutex;
use sha2::{Digest, Sha256};

/// How long one slot is filled.
const SLOT_MS: i64 = 4 * 60 * 1000;
/// The slot being filled and eight full ones: a nonce stays for 32 to 36 minutes.
const SLOTS: usize = 9;
/// Locks, so that growing one set delays few requests.
const SHARDS: usize = 64;

/// What the table says of a nonce.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Seen {
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

/// The hash of a nonce and its AccessKey: the first 8 bytes of SHA-256 over key, a zero byte and
/// nonce. It is also the id of the command that a change becomes.
#[must_use]
pub fn nonce_hash(key: &str, nonce: &str) -> u64 {
    let digest = Sha256::new()
        .chain_update(key)
        .chain_update([0])
        .chain_update(nonce)
        .finalize();
    let (head, _) = digest
        .split_first_chunk::<8>()
        .expect("SHA-256 has 32 bytes");
    u64::from_be_bytes(*head)
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
    /// Whether a nonce is remembered, by its [`nonce_hash`]. Remembers nothing.
    pub fn contains(&self, hash: u64, now: Timestamp) -> bool {
        let mut shard = self.shard(hash).lock();
        shard.advance(now);
        shard.iter().any(|slot| slot.contains(&hash))
    }

    /// Looks a nonce up by its [`nonce_hash`] and remembers it.
    pub fn remember(
        &self,
        account: &AccountId,
        key: &AccessKeyId,
        hash: u64,
        now: Timestamp,
        bounds: NonceBounds,
    ) -> Seen {
        let mut shard = self.shard(hash).lock();
        shard.advance(now);
        if shard.iter().any(|slot| slot.contains(&hash)) {
            return Seen::Before;
        }
        if let Err(full) = self.count(account, key, now, bounds) {
            return full;
        }
        shard.newest().insert(hash);
        Seen::New
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
        bounds: NonceBounds,
    ) -> Result<(), Seen> {
        let mut counts = self.counts.lock();
        counts.advance(now);
        let (mut of_key, mut of_account, mut total) = (0_u32, 0_u32, 0_u32);
        for slot in counts.iter() {
            of_key += slot.by_key.get(key).copied().unwrap_or(0);
            of_account += slot.by_account.get(account).copied().unwrap_or(0);
            total += slot.total;
        }
        if of_key >= bounds.per_key_max {
            return Err(Seen::KeyFull);
        }
        let free = bounds.total_max.saturating_sub(total);
        if free == 0 {
            return Err(Seen::Full);
        }
        if of_account >= bounds.per_account_max.min(free) {
            return Err(Seen::AccountFull);
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

/// The newest slots, in the order of time.
#[derive(Debug)]
struct Slots<T> {
    /// Which slot since 1970 the last one is.
    newest: i64,
    slots: VecDeque<T>,
}

impl<T: Default> Default for Slots<T> {
    fn default() -> Self {
        Self {
            newest: i64::MIN,
            slots: VecDeque::from([T::default()]),
        }
    }
}

impl<T: Default> Slots<T> {
    /// Begins the slot of `now`, dropping what is too old. A clock that steps back stays in the
    /// newest slot.
    fn advance(&mut self, now: Timestamp) {
        let slot = now.millis().div_euclid(SLOT_MS);
        if slot <= self.newest {
            return;
        }
        let steps = slot.saturating_sub(self.newest).min(SLOTS as i64);
        for _ in 0..steps {
            self.slots.push_back(T::default());
        }
        let surplus = self.slots.len().saturating_sub(SLOTS);
        self.slots.drain(..surplus);
        self.newest = slot;
    }

    fn newest(&mut self) -> &mut T {
        self.slots.back_mut().expect("there is always a slot")
    }

    fn iter(&self) -> impl Iterator<Item = &T> {
        self.slots.iter()
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

    fn key(name: &str) -> AccessKeyId {
        AccessKeyId::new(name)
    }

    impl Nonces {
        fn total(&self, now: Timestamp) -> u32 {
            let mut counts = self.counts.lock();
            counts.advance(now);
            counts.iter().map(|slot| slot.total).sum()
        }
    }

    fn moment(minute: i64) -> Timestamp {
        Timestamp(1_700_000_000_000 + minute * MINUTE_MS)
    }

    /// Each key is of the account with its first letter.
    fn remember(nonces: &Nonces, name: &str, nonce: &str, minute: i64) -> Seen {
        let (account, hash) = (AccountId::new(&name[..1]), nonce_hash(name, nonce));
        nonces.remember(&account, &key(name), hash, moment(minute), BOUNDS)
    }

    #[test]
    fn looking_remembers_nothing() {
        let nonces = Nonces::default();
        let hash = nonce_hash("k", "n");
        assert!(!nonces.contains(hash, moment(0)));
        assert_eq!(remember(&nonces, "k", "n", 0), Seen::New);
        assert!(nonces.contains(hash, moment(31)));
        assert!(!nonces.contains(hash, moment(40)));
    }

    #[test]
    fn a_nonce_is_refused_for_more_than_31_minutes_and_not_much_longer() {
        for start in 0..5 {
            let nonces = Nonces::default();
            assert_eq!(remember(&nonces, "k", "n", start), Seen::New);
            for minute in start..=start + 31 {
                assert_eq!(
                    remember(&nonces, "k", "n", minute),
                    Seen::Before,
                    "{minute}"
                );
            }
            assert_eq!(remember(&nonces, "k", "n", start + 37), Seen::New);
        }
    }

    #[test]
    fn a_long_silence_or_a_clock_stepping_back_forgets_nothing_too_early() {
        let nonces = Nonces::default();
        assert_eq!(remember(&nonces, "k", "old", 0), Seen::New);
        assert_eq!(remember(&nonces, "k", "new", 1_000), Seen::New);
        assert_eq!(remember(&nonces, "k", "new", 0), Seen::Before);
        assert_eq!(remember(&nonces, "k", "back", 0), Seen::New);
        assert_eq!(remember(&nonces, "k", "back", 20), Seen::Before);
        assert_eq!(remember(&nonces, "k", "old", 1_020), Seen::New);
    }

    #[test]
    fn keys_do_not_share_nonces() {
        let nonces = Nonces::default();
        assert_eq!(remember(&nonces, "a", "n", 0), Seen::New);
        assert_eq!(remember(&nonces, "b", "n", 0), Seen::New);
        assert_ne!(nonce_hash("ab", "c"), nonce_hash("a", "bc"));
    }

    #[test]
    fn bounds_hold_per_key_per_account_and_in_total_until_time_frees_room() {
        let nonces = Nonces::default();
        for nonce in ["1", "2", "3"] {
            assert_eq!(remember(&nonces, "a", nonce, 0), Seen::New);
        }
        assert_eq!(remember(&nonces, "a", "4", 0), Seen::KeyFull);
        assert_eq!(remember(&nonces, "a", "1", 0), Seen::Before);
        assert_eq!(remember(&nonces, "a2", "1", 0), Seen::New);
        assert_eq!(remember(&nonces, "a2", "2", 0), Seen::AccountFull);
        assert_eq!(remember(&nonces, "a3", "1", 0), Seen::AccountFull);
        // Of the four that are left each account may take as many as remain.
        for (account, expected) in [
            ("b", Seen::New),
            ("b", Seen::New),
            ("b", Seen::AccountFull),
            ("c", Seen::New),
            ("c", Seen::AccountFull),
            ("d", Seen::New),
            ("e", Seen::Full),
            ("a", Seen::KeyFull),
        ] {
            let nonce = nonces.total(moment(0)).to_string();
            assert_eq!(remember(&nonces, account, &nonce, 0), expected, "{account}");
        }
        assert_eq!(remember(&nonces, "c", "late", 40), Seen::New);
        assert_eq!(remember(&nonces, "a", "4", 40), Seen::New);
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
                nonces.remember(&account, &key("k"), next, moment(0), bounds) == Seen::New
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
        assert_eq!(nonce_hash("testid", "abc"), 0x8416c12fca0e5d5b);
    }
}
