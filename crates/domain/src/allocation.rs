//! Choosing an X: an explicit one, or a free one of the wanted city.
//!
//! Never a scan of the pool: a choice looks at a bounded number of numbers,
//! however full the pool is.

use crate::binding::{Binding, EndCause};
use crate::chance::Chance;
use crate::clock::Timestamp;
use crate::event::Event;
use crate::inventory::{At, City, Partition};
use crate::number::PhoneNumber;
use crate::overdue::{Refused, ended};
use crate::pool::{CityMatch, Pick, Pool};
use crate::product::Slot;
use crate::refusal::Refusal;
use crate::state::State;

/// How many numbers one choice looks at before it gives up, so that calls and other commands do not wait for it: half
/// of them in the wanted city, where another would do. A partition of up to half this size is searched in full, and a number
/// that carries nothing fits at once. In a larger one all of whose numbers are in use, giving up wrongly takes a party
/// that is bound to nearly every number: to 19 of 20, and it happens in one choice of 13.
const TRIES_MAX: usize = 100;

/// How many ended bindings or cooled numbers one choice tidies up, when nothing is free, besides what is in the way on
/// the number that it takes. The earliest come first, so that those that still cool are looked at after all that can
/// be given out.
const TIDIED_MAX: usize = 8;

/// What it costs in tries to look at one of these in vain, besides the try itself.
const PASSED_OVER_TRIES: usize = 2;

/// How many bindings that are over one bind on a wanted number records the ends of, besides those in its way.
const ENDS_MAX: usize = 8;

/// A number to bind, and what must be recorded first.
pub(crate) struct Chosen {
    pub x: PhoneNumber,
    pub before: Vec<Event>,
}

/// Checks that the wanted X can carry `proposed`.
pub(crate) fn take_explicit(
    state: &State,
    pool: &Pool,
    proposed: &Binding,
    now: Timestamp,
) -> Result<Chosen, Refused> {
    let at = state
        .inventory
        .find(proposed.x)
        .ok_or(Refusal::NumberUnknown)?;
    let number = state.inventory.number(at).ok_or(Refusal::NumberUnknown)?;
    if number.class.pool.as_ref() != Some(&pool.key) {
        let its_pool = number.class.pool.as_ref().and_then(|key| state.pool(key));
        let is_own = its_pool.is_some_and(|its| its.account == pool.account);
        // Which numbers others have is nobody's business: they are as good as not there.
        return Err(match is_own {
            true => Refusal::NumberElsewhere.into(),
            false => Refusal::NumberUnknown.into(),
        });
    }
    if number.locked {
        return Err(Refusal::NumberLocked.into());
    }
    let is_live = |&place: &u32| state.bindings.holds_slots(place, now);
    let live = state.places_on(at).filter(is_live).count();
    // Those in the way first: they must have ended.
    let in_the_way = proposed.slots().filter_map(|slot| state.slot_at(at, slot));
    let over = state.places_on(at).filter(|place| !is_live(place));
    let over = in_the_way
        .filter(|place| !is_live(place))
        .chain(over.take(ENDS_MAX));
    let mut before = Vec::new();
    let mut cooling_until = number.cooling_until;
    for binding in over.filter_map(|place| state.binding_at(place)) {
        let (event, until) = ended(pool, &binding, EndCause::Expired, binding.expires_at, now);
        cooling_until = cooling_until.max(until);
        if !before.contains(&event) {
            before.push(event);
        }
    }
    if cooling_until > now {
        return Err(Refused {
            refusal: Refusal::NumberFrozen,
            before,
        });
    }
    if let Some(refusal) = live_conflict(state, at, proposed, now) {
        return Err(Refused { refusal, before });
    }
    if live >= pool.product.bindings_per_x_max(pool.pairs_max) as usize {
        return Err(Refused {
            refusal: Refusal::NumberTaken,
            before,
        });
    }
    if cooling_until > Timestamp(0) {
        before.push(Event::NumberThawed { x: proposed.x });
    }
    Ok(Chosen {
        x: proposed.x,
        before,
    })
}

/// Takes a number that can carry `proposed`, whose X is not yet set.
pub(crate) fn choose(
    state: &State,
    pool: &Pool,
    proposed: &Binding,
    city: Option<&City>,
    now: Timestamp,
    chance: &mut Chance,
) -> Result<Chosen, Refused> {
    let mut search = Search {
        state,
        pool,
        proposed,
        now,
        bindings_max: pool.product.bindings_per_x_max(pool.pairs_max),
        tries_left: TRIES_MAX / 2,
        tidied: Vec::new(),
    };
    let wanted = city.and_then(|city| state.inventory.partition_in(&pool.key, city));
    if let Some(partition) = wanted
        && let Some(chosen) = search.in_partition(partition, chance)
    {
        return Ok(chosen);
    }
    if city.is_none() || pool.city_match == CityMatch::Loose {
        let bindings_max = search.bindings_max;
        let partitions: Vec<(&City, &Partition, usize)> = state
            .inventory
            .partitions_of(Some(&pool.key))
            .map(|(city, partition)| (city, partition, partition.free_count(bindings_max)))
            .collect();
        let total: usize = partitions.iter().map(|&(.., free)| free).sum();
        // Begin with the partition on which a number drawn from all of them lies,
        // then go round.
        let first = if total == 0 {
            0
        } else {
            let mut drawn = chance.below(total);
            partitions
                .iter()
                .position(|&(.., free)| {
                    let here = drawn < free;
                    drawn = drawn.saturating_sub(free);
                    here
                })
                .unwrap_or(0)
        };
        search.tries_left += TRIES_MAX / 2;
        for step in 0..partitions.len() {
            let (name, partition, _) = partitions[(first + step) % partitions.len()];
            if search.tries_left == 0 {
                break;
            }
            if Some(name) == city {
                continue;
            }
            if let Some(chosen) = search.in_partition(partition, chance) {
                return Ok(chosen);
            }
        }
    }
    Err(Refused {
        refusal: Refusal::NoNumberLeft,
        before: search.tidied,
    })
}

struct Search<'a> {
    state: &'a State,
    pool: &'a Pool,
    proposed: &'a Binding,
    now: Timestamp,
    /// How many bindings one X may carry.
    bindings_max: u32,
    tries_left: usize,
    /// What was found to be over or cooled while nothing was free.
    tidied: Vec<Event>,
}

impl Search<'_> {
    fn in_partition(&mut self, partition: &Partition, chance: &mut Chance) -> Option<Chosen> {
        self.among_free(partition, chance)
            .or_else(|| self.among_cooled(partition))
            .or_else(|| self.among_ended(partition))
    }

    fn among_free(&mut self, partition: &Partition, chance: &mut Chance) -> Option<Chosen> {
        let bindings_max = self.bindings_max;
        if self.pool.pick == Pick::LongestIdle {
            let inventory = &self.state.inventory;
            return self.first_fitting(inventory.longest_idle(partition, bindings_max));
        }
        let count = partition.free_count(bindings_max);
        if count == 0 {
            return None;
        }
        let drawn = chance.below(count);
        let unordered = partition.unordered_count(bindings_max);
        // Where the pool gave out the longest idle before, numbers still stand by their idle time. They have their
        // share of the draws, and go in that order.
        let idle_first = drawn >= unordered;
        if idle_first && let Some(chosen) = self.first_fitting(partition.by_idle(bindings_max)) {
            return Some(chosen);
        }
        // A small partition is looked through in full; on a large one every
        // try is a fresh draw, so that a run of taken numbers does
        // not use the tries up. The last tries are of the first numbers, which carry least.
        let in_full = unordered <= self.tries_left;
        for step in 0..unordered {
            let n = match (in_full, step, self.tries_left) {
                (true, ..) | (_, 0, _) => (drawn + step) % unordered,
                (.., left @ 1..=2) => 2 - left,
                _ => chance.below(unordered),
            };
            let inventory = &self.state.inventory;
            let at = inventory.nth_unordered(partition, n, bindings_max)?;
            if let Some(before) = self.try_number(at)? {
                return Some(self.chosen(at, before));
            }
        }
        if idle_first {
            return None;
        }
        self.first_fitting(partition.by_idle(bindings_max))
    }

    fn first_fitting(&mut self, candidates: impl Iterator<Item = At>) -> Option<Chosen> {
        for at in candidates {
            if let Some(before) = self.try_number(at)? {
                return Some(self.chosen(at, before));
            }
        }
        None
    }

    /// Numbers that have cooled but have not been put back yet.
    fn among_cooled(&mut self, partition: &Partition) -> Option<Chosen> {
        let state = self.state;
        for at in state.inventory.cooled_in(partition.id, self.now) {
            if self.has_looked_enough() {
                return None;
            }
            let x = state.inventory.x(at);
            if let Some(mut before) = self.try_given_out(at) {
                before.push(Event::NumberThawed { x });
                return Some(self.chosen(at, before));
            }
            self.passed_over(Event::NumberThawed { x });
        }
        None
    }

    /// Numbers whose binding is over but has not been swept yet.
    fn among_ended(&mut self, partition: &Partition) -> Option<Chosen> {
        let state = self.state;
        for place in state
            .inventory
            .expiring
            .in_partition(partition.id, self.now)
        {
            if self.has_looked_enough() {
                return None;
            }
            let (Some(binding), Some(at)) = (state.binding_at(place), state.bindings.x(place))
            else {
                continue;
            };
            // Its carrier must let it go first.
            if binding.provision.is_some() {
                self.tries_left = self.tries_left.saturating_sub(PASSED_OVER_TRIES);
                if self.tries_left == 0 {
                    return None;
                }
                continue;
            }
            let (event, cooling_until) = ended(
                self.pool,
                &binding,
                EndCause::Expired,
                binding.expires_at,
                self.now,
            );
            if cooling_until <= self.now
                && let Some(mut before) = self.try_given_out(at)
            {
                if !before.contains(&event) {
                    before.push(event);
                }
                if cooling_until > Timestamp(0) {
                    before.push(Event::NumberThawed { x: binding.x });
                }
                return Some(self.chosen(at, before));
            }
            self.passed_over(event);
        }
        None
    }

    /// Whether neither another number may be tried nor another one tidied.
    fn has_looked_enough(&self) -> bool {
        self.tries_left == 0 && self.tidied.len() >= TIDIED_MAX
    }

    /// As [`Self::try_number`], for a number that is not in the partition. Without tries left it fits nobody.
    fn try_given_out(&mut self, at: At) -> Option<Vec<Event>> {
        match self.tries_left > 0 && self.is_usable(at) {
            true => self.try_number(at).flatten(),
            false => None,
        }
    }

    /// Tidies up what could not be taken, unless that was done for enough, so that at least the next choice finds it:
    /// also when the tries are used up. To have looked at it costs as much as some tries.
    fn passed_over(&mut self, event: Event) {
        if self.tidied.len() < TIDIED_MAX {
            self.tidied.push(event);
        }
        self.tries_left = self.tries_left.saturating_sub(PASSED_OVER_TRIES);
    }

    /// Whether a number that is not in the partition could be: it is not locked, and
    /// below the cap without what is over. The cap may have been lowered.
    fn is_usable(&mut self, at: At) -> bool {
        let state = self.state;
        if state.inventory.is_locked(at) {
            return false;
        }
        let count = state.inventory.bindings_count(at);
        if count < self.bindings_max {
            return true;
        }
        // To look at all that a number carries takes as long as to try some others.
        self.tries_left = self.tries_left.saturating_sub(count as usize / 4);
        if self.tries_left == 0 {
            return false;
        }
        let is_live = |&place: &u32| state.bindings.holds_slots(place, self.now);
        state.places_on(at).filter(is_live).count() < self.bindings_max as usize
    }

    /// Whether a number can carry the binding, and what must be recorded
    /// first. The outer option is `None` when the tries are used up.
    fn try_number(&mut self, at: At) -> Option<Option<Vec<Event>>> {
        self.tries_left = self.tries_left.checked_sub(1)?;
        let x = self.state.inventory.x(at);
        if x == self.proposed.a || Some(x) == self.proposed.b {
            return Some(None);
        }
        if live_conflict(self.state, at, self.proposed, self.now).is_some() {
            return Some(None);
        }
        let before = self
            .proposed
            .slots()
            .filter_map(|slot| self.state.slot_at(at, slot))
            .filter_map(|place| self.state.binding_at(place))
            .map(|over| {
                ended(
                    self.pool,
                    &over,
                    EndCause::Expired,
                    over.expires_at,
                    self.now,
                )
                .0
            })
            .fold(Vec::new(), |mut events, event| {
                if !events.contains(&event) {
                    events.push(event);
                }
                events
            });
        Some(Some(before))
    }

    /// What was tidied on the way goes in front, unless choosing did it again.
    fn chosen(&mut self, at: At, before: Vec<Event>) -> Chosen {
        let mut events = std::mem::take(&mut self.tidied);
        for event in before {
            if !events.contains(&event) {
                events.push(event);
            }
        }
        Chosen {
            x: self.state.inventory.x(at),
            before: events,
        }
    }
}

/// Why `proposed` cannot hold its slots on the number at `at`, if it cannot.
/// Bindings that are over hold nothing.
pub(crate) fn live_conflict(
    state: &State,
    at: At,
    proposed: &Binding,
    now: Timestamp,
) -> Option<Refusal> {
    let mut refusal = None;
    for slot in proposed.slots() {
        let holder = state
            .slot_at(at, slot)
            .filter(|&place| state.bindings.holds_slots(place, now))
            .filter(|&place| state.bindings.id(place) != Some(proposed.subs_id));
        // A change that a carrier is asked for holds its slots too.
        let by_change = || match slot {
            Slot::Party(party) => {
                let x = state.inventory.x(at);
                (state.bindings).claimed_by_change(x, party, proposed.subs_id)
            }
            Slot::Anyone => None,
        };
        let Some(holder) = holder.or_else(by_change) else {
            continue;
        };
        let is_of_another = || {
            let holder = state.binding_at(holder);
            holder.is_some_and(|holder| holder.a != proposed.a)
        };
        if slot == Slot::Anyone && is_of_another() {
            refusal = Some(Refusal::NumberTaken);
        } else {
            return Some(Refusal::BindConflict);
        }
    }
    refusal
}
