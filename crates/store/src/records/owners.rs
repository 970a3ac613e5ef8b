//! Whose bindings were that the journal tells of without their owner: those of
//! before events carried it.
//!
//! A binding's owner is the pool that its X was in, so the journal is read
//! with an eye on where numbers are. Where the journal begins after the first
//! batch, a number about which it tells nothing is where it is now; of one that
//! it tells something of later, nobody knows where it was before, and bindings
//! on it stay without an owner until then.

use std::collections::{BTreeMap, BTreeSet};

use maskline_domain::{AccountId, Event, Owner, PhoneNumber, PoolKey, State, SubsId};

use maskline_journal::Codec;
use maskline_journal::batch::Batch;
use maskline_journal::payload::{self, PayloadError};

/// Where numbers are, batch by batch. Hold one to the journal from its first
/// batch on: first every batch up to the one of which [`Owners::new`] had the
/// state to [`Owners::look_ahead`], unless the journal is whole, then batches to
/// [`Owners::follow`].
#[derive(Debug)]
pub struct Owners {
    /// The account of each pool; it never changes.
    accounts: BTreeMap<PoolKey, AccountId>,
    /// The pool of each number: at the end, until `begin` was called; then as
    /// far as the journal was followed. None where that is not known.
    places: BTreeMap<PhoneNumber, PoolKey>,
    /// Numbers of which the journal tells something.
    told: BTreeSet<PhoneNumber>,
}

impl Owners {
    /// Of a journal that begins with the first batch there was: where numbers
    /// were stands in it. By the state after the last batch that will be
    /// followed, or a later one.
    pub fn of_whole(state: &State) -> Self {
        let accounts = state
            .pools()
            .map(|pool| (pool.key.clone(), pool.account.clone()));
        Self {
            accounts: accounts.collect(),
            places: BTreeMap::new(),
            told: BTreeSet::new(),
        }
    }

    /// By the state after the last batch that will be looked at, which may be
    /// later than the last one that will be followed. Copies where each number
    /// is.
    pub fn new(state: &State) -> Self {
        let places = state
            .numbers()
            .filter_map(|number| Some((number.x, number.class.pool?)));
        Self {
            places: places.collect(),
            ..Self::of_whole(state)
        }
    }

    /// Notes of which numbers a batch tells.
    ///
    /// # Errors
    /// [`PayloadError`] when it cannot be read.
    pub fn look_ahead(&mut self, batch: &Batch, codec: &Codec) -> Result<(), PayloadError> {
        for event in events(batch, codec)? {
            match event {
                Event::NumberSet(number) => self.told.insert(number.x),
                Event::NumberReleased { x } => self.told.insert(x),
                _ => continue,
            };
        }
        Ok(())
    }

    /// Begins to follow the journal; `is_whole` says that it begins with the
    /// first batch there was.
    pub fn begin(&mut self, is_whole: bool) {
        let told = std::mem::take(&mut self.told);
        self.places.retain(|x, _| !is_whole && !told.contains(x));
    }

    /// The bindings that a batch tells were made, and whose they are, where it
    /// says so or that can be known.
    ///
    /// # Errors
    /// [`PayloadError`] when it cannot be read.
    pub fn follow(
        &mut self,
        batch: &Batch,
        codec: &Codec,
    ) -> Result<Vec<(SubsId, Owner)>, PayloadError> {
        let mut found = Vec::new();
        for event in events(batch, codec)? {
            match event {
                Event::NumberSet(number) => match number.class.pool {
                    Some(pool) => {
                        self.places.insert(number.x, pool);
                    }
                    None => {
                        self.places.remove(&number.x);
                    }
                },
                Event::NumberReleased { x } => {
                    self.places.remove(&x);
                }
                Event::Bound(binding) => {
                    let owner = binding.owner.or_else(|| self.owner(binding.x));
                    found.extend(owner.map(|owner| (binding.subs_id, owner)));
                }
                _ => {}
            }
        }
        Ok(found)
    }

    fn owner(&self, x: PhoneNumber) -> Option<Owner> {
        let pool = self.places.get(&x)?;
        Some(Owner {
            pool: pool.clone(),
            account: self.accounts.get(pool)?.clone(),
        })
    }
}

fn events(batch: &Batch, codec: &Codec) -> Result<impl Iterator<Item = Event>, PayloadError> {
    let entries = payload::open(batch, codec)?.entries;
    Ok(entries.into_iter().flat_map(|entry| entry.events))
}
