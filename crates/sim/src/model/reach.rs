//! Who is reached when somebody dials X: found by looking at every binding.

use maskline_domain::product::Role;
use maskline_domain::routing::{Connection, Route, RouteQuery, Situation};
use maskline_domain::{Binding, Restriction, Timestamp};

use crate::model::{Model, product};

impl Model {
    /// What is to be done with a call at `now`.
    pub fn route(&self, query: RouteQuery, now: Timestamp) -> Route {
        let refuse = |situation, binding: Option<&Binding>| Route::Refuse {
            situation,
            binding: binding.map(unprovisioned).map(Box::new),
        };
        if !self.numbers.contains_key(&query.x) {
            return refuse(Situation::XUnknown, None);
        }
        if query.caller == Some(query.x) {
            return refuse(Situation::Loop, None);
        }
        let (Some(pool), Some((binding, role))) =
            (self.pool_of(query.x), self.binding_for(query, now))
        else {
            return refuse(Situation::NoBinding, None);
        };
        match (binding.restriction, role) {
            (Restriction::AMayNotDial, Role::A) | (Restriction::OthersMayNotDial, Role::Other) => {
                return refuse(Situation::Restricted, Some(binding));
            }
            _ => {}
        }
        let heeds_call_back = product::heeds_call_back(binding.product);
        if heeds_call_back && role == Role::A && !pool.a_call_back {
            return refuse(Situation::CallBackOff, Some(binding));
        }
        let Some(callee) = product::other_side(binding, role) else {
            return refuse(Situation::VacantNumber, Some(binding));
        };
        let ring_timeout_s = match binding.ring_timeout_s {
            None | Some(0) => pool.ring_timeout_s,
            Some(secs) => u16::from(secs),
        };
        Route::Connect(Box::new(Connection {
            binding: unprovisioned(binding),
            holder: binding.provision.as_ref().map(|its| its.carrier.clone()),
            pool: pool.key.clone(),
            callee,
            caller_role: role,
            ring_timeout_s,
        }))
    }

    fn binding_for(&self, query: RouteQuery, now: Timestamp) -> Option<(&Binding, Role)> {
        self.live_on(query.x, now)
            .find_map(|binding| Some((binding, product::role(binding, query.caller)?)))
    }
}

/// A route does not tell how far a carrier knows of its binding.
fn unprovisioned(binding: &Binding) -> Binding {
    Binding {
        provision: None,
        ..binding.clone()
    }
}
