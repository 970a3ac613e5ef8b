//! Bindings that a command finds to be over on its way: how they end, and that they do so even where the command is
//! refused.

use crate::binding::{Binding, EndCause, Owner};
use crate::clock::Timestamp;
use crate::event::Event;
use crate::pool::{Pick, Pool};
use crate::refusal::Refusal;

/// The event that ends a binding, and until when its X cools (0: not at all).
pub(crate) fn ended(
    pool: &Pool,
    binding: &Binding,
    cause: EndCause,
    at: Timestamp,
    now: Timestamp,
) -> (Event, Timestamp) {
    // Nobody ever dialled a binding that never was in force.
    let cools = binding.product.cools() && cause != EndCause::NotProvisioned;
    let cooling_until = match (pool.cooling_s, cools) {
        (0, _) | (_, false) => Timestamp(0),
        (cooling_s, true) => {
            let until = at.plus_secs(i64::from(cooling_s)).ceil_secs();
            if until > now { until } else { Timestamp(0) }
        }
    };
    let idle_since = match pool.pick {
        Pick::LongestIdle => at.ceil_secs(),
        Pick::Random => Timestamp(0),
    };
    let event = Event::Ended {
        subs_id: binding.subs_id,
        x: binding.x,
        cause,
        at,
        cooling_until,
        idle_since,
        owner: Some(Owner::of(pool)),
    };
    (event, cooling_until)
}

/// A refusal, and what must be recorded all the same: bindings that were found to be over on the way.
#[derive(Debug)]
pub(crate) struct Refused {
    pub refusal: Refusal,
    pub before: Vec<Event>,
}

impl<R: Into<Refusal>> From<R> for Refused {
    fn from(refusal: R) -> Self {
        Self {
            refusal: refusal.into(),
            before: Vec::new(),
        }
    }
}
