//! Readers: callers who dial X numbers, and queries.

use maskline_domain::binding::Phase;
use maskline_domain::routing::{Route, RouteQuery, Situation, explain, route};
use maskline_domain::{AccessKeyId, Event, PhoneNumber, PoolKey, State, SubsId, Timestamp};
use maskline_journal::pipeline::Touch;

use crate::faults::Fault;
use crate::laws::{Held, Law, broken, hold};
use crate::model::Model;
use crate::model::phases::is_let_go;
use crate::world::World;

/// How many reads may wait for a batch.
const WAITING_MAX: usize = 32;

/// Something that is looked at.
#[derive(Debug, Clone)]
pub enum Read {
    /// Where a call goes.
    Route(RouteQuery),
    /// A binding, known with its X.
    Binding(SubsId, PhoneNumber),
    /// A number and the bindings on it.
    Number(PhoneNumber),
    /// A key, a pool and the list of emergency numbers.
    Lists(AccessKeyId, PoolKey),
    /// The ids of all bindings.
    Bindings,
}

impl Read {
    /// What the server says it will look at.
    fn touch(&self) -> Touch {
        match self {
            Read::Route(query) => Touch::Number(query.x),
            Read::Binding(_, x) | Read::Number(x) => Touch::Number(*x),
            Read::Lists(..) => Touch::Lists,
            Read::Bindings => Touch::Scan,
        }
    }
}

impl World {
    /// Reads now, or once the batch in flight is settled.
    pub(super) fn read(&mut self, read: Read) -> Held {
        let Some(machine) = &self.machine else {
            return Ok(());
        };
        if machine.must_wait(read.touch()) && !self.plants(Fault::ReadDoesNotWait) {
            self.tally.waited += 1;
            if self.reads.len() < WAITING_MAX {
                self.reads.push(read);
            }
            return Ok(());
        }
        self.look(&read)
    }

    /// Reads a number while a batch is being gathered. What that batch does is in no model yet, so who must wait does
    /// not look, whatever fault is planted.
    pub(super) fn read_meanwhile(&mut self) -> Held {
        let nth = self.tally.reads as usize % self.model.numbers.len().max(1);
        let (Some(&x), Some(machine)) = (self.model.numbers.keys().nth(nth), &self.machine) else {
            return Ok(());
        };
        let read = Read::Number(x);
        match machine.must_wait(read.touch()) {
            true => Ok(()),
            false => self.look(&read),
        }
    }

    /// The batch in flight is settled: reads go on or fail.
    pub(super) fn settle_reads(&mut self, durable: bool) -> Held {
        for read in std::mem::take(&mut self.reads) {
            if durable {
                self.read(read)?;
            }
        }
        Ok(())
    }

    fn look(&mut self, read: &Read) -> Held {
        let Some(machine) = &self.machine else {
            return Ok(());
        };
        let (state, now) = (machine.state(), machine.now(self.clocks));
        let expected_now = self.model_clock.to_read(self.clocks, self.newest());
        hold(now == expected_now, Law::Time, || {
            format!(
                "reads are told {}, the clocks give {}",
                now.0, expected_now.0
            )
        })?;
        let durable = self.durable();
        if let Read::Route(query) = read {
            let at = if self.plants(Fault::RouteEndsLate) {
                now.plus_millis(-1)
            } else {
                now
            };
            let found = match self.plants(Fault::RouteAfterReleasing) {
                true => route(&as_before_release(state, query.x), query, at),
                false => route(state, query, at),
            };
            self.verify_route(state, *query, &found, now)?;
            self.tally.routes += 1;
            self.tally.connected += u64::from(matches!(found, Route::Connect(_)));
            return Ok(());
        }
        if !same(read, state, durable) {
            // What is only in flight was seen, or something that is nowhere.
            let law = if self.gathering.is_some() || same(read, state, &self.model) {
                Law::DurableReads
            } else {
                Law::SameRows
            };
            return broken(law, format!("{read:?} sees what is not durable"));
        }
        if let Read::Number(x) = read {
            self.verify_past(durable, *x)?;
        }
        self.tally.reads += 1;
        Ok(())
    }

    /// What each customer may read of what was bound on X, by the rule that
    /// the server uses, is what was bound in the pool they name.
    fn verify_past(&self, durable: &Model, x: PhoneNumber) -> Held {
        for (id, made) in durable.made.iter().filter(|(_, made)| made.x == x) {
            for pool in durable.pools.values() {
                let owner = if self.plants(Fault::PastReadByOwnerOfX) {
                    durable.owner_of(x)
                } else {
                    made.told.clone()
                };
                let may = owner.is_some_and(|owner| owner.is(&pool.account, &pool.key));
                let was_theirs = made.owner.as_ref().is_some_and(|owner| {
                    (&owner.account, &owner.pool) == (&pool.account, &pool.key)
                });
                hold(may == was_theirs, Law::OwnOnly, || {
                    let (may, was) = (
                        if may { "may" } else { "may not" },
                        if was_theirs { "was" } else { "was not" },
                    );
                    format!("{} {may} read {id}, which {was} theirs", pool.key)
                })?;
            }
        }
        Ok(())
    }

    fn verify_route(
        &self,
        state: &State,
        query: RouteQuery,
        found: &Route,
        now: Timestamp,
    ) -> Held {
        let expected = self.durable().route(query, now);
        if !same_route(found, &expected) {
            let in_flight =
                || self.durable.is_some() && same_route(found, &self.model.route(query, now));
            // What is being gathered is in no model.
            let law = if self.gathering.is_some() || in_flight() {
                Law::DurableReads
            } else {
                Law::RightParty
            };
            return broken(
                law,
                format!("{query:?} leads to {found:?}, not {expected:?}"),
            );
        }
        // What is told to a person is what a call does.
        let explained = explain(state, &query, now);
        hold(
            same_route(&explained.route, &expected),
            Law::RightParty,
            || format!("{query:?} is explained as {:?}", explained.route),
        )
    }
}

/// The fault: a state in which what a carrier is told to let go is confirmed still.
fn as_before_release(state: &State, x: PhoneNumber) -> State {
    let mut state = state.clone();
    for binding in state.bindings_on(x).iter().filter(|b| is_let_go(b)) {
        if let Some(provision) = &binding.provision {
            state.apply(&Event::ProvisionChanged {
                subs_id: binding.subs_id,
                x,
                phase: Phase::Confirmed,
                revision: provision.revision,
                fence: provision.fence,
                held: provision.held,
            });
        }
    }
    state
}

/// Whether two routes do the same with the call. A call that finds no binding
/// may name one that is over.
fn same_route(one: &Route, other: &Route) -> bool {
    let finds_none = |route: &Route| {
        matches!(
            route,
            Route::Refuse {
                situation: Situation::NoBinding,
                ..
            }
        )
    };
    one == other || (finds_none(one) && finds_none(other))
}

/// Whether a read shows what the model has.
fn same(read: &Read, state: &State, model: &Model) -> bool {
    match read {
        Read::Route(_) => true,
        Read::Binding(id, _) => state.binding(*id).as_ref() == model.bindings.get(id),
        Read::Number(x) => {
            state.number(*x).as_ref() == model.numbers.get(x)
                && state.bindings_on(*x).iter().eq(model.on(*x))
        }
        Read::Lists(key, pool) => {
            state.key(key) == model.keys.get(key)
                && state.pool(pool) == model.pools.get(pool)
                && state.emergency_numbers() == model.emergency
                && state.accounts().eq(model.accounts.values())
                && state.users().eq(model.users.values())
                && state.trunks().eq(model.trunks.values())
                && state.carriers().eq(model.carriers.values())
        }
        Read::Bindings => {
            let mut ids: Vec<SubsId> = state.bindings().map(|binding| binding.subs_id).collect();
            ids.sort_unstable();
            ids.iter().eq(model.bindings.keys())
        }
    }
}
