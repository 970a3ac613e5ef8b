//! Who is reached when somebody dials X.
//!
//! One rule: look up the slot of the caller; else the slot of anyone; else
//! there is no binding. Then expiry, what a carrier knows of it, restriction. [`explain`] is the same
//! function with its steps kept.

use std::fmt;

use crate::binding::{Binding, Phase, Restriction, SubsId};
use crate::carrier::CarrierName;
use crate::clock::Timestamp;
use crate::number::PhoneNumber;
use crate::pool::PoolKey;
use crate::product::{Caller, Destination, Role, Slot};
use crate::state::State;
use crate::tone::Scene;
use crate::trunk::Outbound;

/// The question who is reached: somebody dials an X number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RouteQuery {
    /// The caller; `None` when the number is withheld.
    pub caller: Option<PhoneNumber>,
    /// The number dialled.
    pub x: PhoneNumber,
}

/// What is to be done with the call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Route {
    /// Connect it.
    Connect(Box<Connection>),
    /// Refuse it.
    Refuse {
        /// Why.
        situation: Situation,
        /// The binding by which it was refused, if one was found; without how far a carrier knows of it.
        binding: Option<Box<Binding>>,
    },
}

impl Route {
    /// The binding, and who dials as far as ring tones differ by it; none where nobody is to hear one.
    pub fn scene(&self) -> Option<(&Binding, Scene)> {
        match self {
            Route::Connect(connection) => {
                let scene = match connection.caller_role {
                    Role::A => Scene::A,
                    Role::Other => Scene::Other,
                };
                Some((&connection.binding, scene))
            }
            Route::Refuse {
                situation: Situation::VacantNumber,
                binding,
            } => binding.as_deref().map(|binding| (binding, Scene::AAlone)),
            Route::Refuse { .. } => None,
        }
    }
}

/// A call that may go through.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Connection {
    /// The binding, as it was when the call arrived; without how far a carrier knows of it.
    pub binding: Binding,
    /// The carrier that holds the binding; none where none must.
    pub holder: Option<CarrierName>,
    /// The pool of X.
    pub pool: PoolKey,
    /// Who is called.
    pub callee: PhoneNumber,
    /// The caller's role in the binding.
    pub caller_role: Role,
    /// Ring time in seconds.
    pub ring_timeout_s: u16,
}

impl Connection {
    /// The carrier whose X it is: that which holds the binding, else that which the pool names. A pool may have come to
    /// name another one since, which knows nothing of the binding.
    pub fn carrier<'a>(&'a self, of_pool: Option<&'a CarrierName>) -> Option<&'a CarrierName> {
        self.holder.as_ref().or(of_pool)
    }

    /// What trunks are told apart by: the X that is shown, of a pool that names this carrier, and who is called.
    pub fn outbound<'a>(&'a self, of_pool: Option<&'a CarrierName>) -> Outbound<'a> {
        Outbound {
            pool: &self.pool,
            carrier: self.carrier(of_pool),
            callee: self.callee,
        }
    }
}

/// Why a call is not connected, before any second leg is tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Situation {
    /// X is not one of ours. Answered without a record.
    XUnknown,
    /// The caller is X itself.
    Loop,
    /// No binding is for this caller, or it is over.
    NoBinding,
    /// A dialled X and there is no default B.
    VacantNumber,
    /// The pool does not let A reach B (A号码回拨模式).
    CallBackOff,
    /// The binding forbids this direction.
    Restricted,
}

/// One thing that was looked at on the way to a route.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Whether X is known.
    X {
        /// The number.
        x: PhoneNumber,
        /// Its pool, if it is known and in one.
        pool: Option<PoolKey>,
    },
    /// Whether a slot is held.
    SlotTried {
        /// The slot.
        slot: Slot,
        /// The binding that holds it.
        held_by: Option<SubsId>,
    },
    /// Whether the binding is over.
    Expiry {
        /// Its end.
        expires_at: Timestamp,
        /// Whether that has come.
        over: bool,
    },
    /// Whether a carrier that must know of the binding does.
    Provision {
        /// The carrier.
        carrier: CarrierName,
        /// How far it knows of it.
        phase: Phase,
    },
    /// The caller's role in the binding.
    Caller(Role),
    /// What the binding forbids.
    Restriction {
        /// The restriction.
        restriction: Restriction,
        /// Whether it stops this caller.
        stops: bool,
    },
    /// Whether A may reach B in this pool.
    CallBack {
        /// The pool's setting.
        allowed: bool,
    },
    /// Whom the caller reaches.
    Callee(Option<PhoneNumber>),
}

/// A route, and every step to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Explanation {
    /// What was looked at, in order.
    pub steps: Vec<Step>,
    /// What would be done.
    pub route: Route,
}

/// What would be done with a call at `now`.
pub fn route(state: &State, query: &RouteQuery, now: Timestamp) -> Route {
    route_noting(state, query, now, &mut Notes(None))
}

/// The same, with the reasons.
pub fn explain(state: &State, query: &RouteQuery, now: Timestamp) -> Explanation {
    let mut steps = Vec::new();
    let route = route_noting(state, query, now, &mut Notes(Some(&mut steps)));
    Explanation { steps, route }
}

/// Where steps go, if anybody wants them.
struct Notes<'a>(Option<&'a mut Vec<Step>>);

impl Notes<'_> {
    fn add(&mut self, step: impl FnOnce() -> Step) {
        if let Some(steps) = &mut self.0 {
            steps.push(step());
        }
    }
}

fn route_noting(state: &State, query: &RouteQuery, now: Timestamp, notes: &mut Notes<'_>) -> Route {
    let refuse = |situation, binding: Option<Binding>| Route::Refuse {
        situation,
        binding: binding.map(Box::new),
    };
    let Some(dialled) = state.dialled(query.x) else {
        notes.add(|| Step::X {
            x: query.x,
            pool: None,
        });
        return refuse(Situation::XUnknown, None);
    };
    let pool = dialled.pool;
    notes.add(|| Step::X {
        x: query.x,
        pool: pool.map(|pool| pool.key.clone()),
    });
    if query.caller == Some(query.x) {
        return refuse(Situation::Loop, None);
    }
    let slots = [query.caller.map(Slot::Party), Some(Slot::Anyone)];
    let mut hit = None;
    for slot in slots.into_iter().flatten() {
        let held = state.slot_of(&dialled, slot);
        let held = held.and_then(|at| Some((at, state.unprovisioned_binding(at, pool)?)));
        notes.add(|| Step::SlotTried {
            slot,
            held_by: held.as_ref().map(|(_, binding)| binding.subs_id),
        });
        if let Some((at, binding)) = held {
            hit = Some((slot, at, binding));
            break;
        }
    }
    let (Some((slot, at, binding)), Some(pool)) = (hit, pool) else {
        return refuse(Situation::NoBinding, None);
    };
    let over = binding.is_over(now);
    notes.add(|| Step::Expiry {
        expires_at: binding.expires_at,
        over,
    });
    if over {
        return refuse(Situation::NoBinding, Some(binding));
    }
    let known_by = state.bindings.known_by(at);
    if let Some((carrier, phase)) = known_by {
        notes.add(|| Step::Provision {
            carrier: carrier.clone(),
            phase,
        });
        if !phase.routes() {
            return refuse(Situation::NoBinding, Some(binding));
        }
    }
    let role = binding.role_of(slot);
    notes.add(|| Step::Caller(role));
    let stops = matches!(
        (binding.restriction, role),
        (Restriction::AMayNotDial, Role::A) | (Restriction::OthersMayNotDial, Role::Other)
    );
    notes.add(|| Step::Restriction {
        restriction: binding.restriction,
        stops,
    });
    if stops {
        return refuse(Situation::Restricted, Some(binding));
    }
    let Destination { call_back, callee } = binding.product.destination(&Caller {
        role,
        a: binding.a,
        b: binding.b,
        a_call_back: pool.a_call_back,
    });
    if let Some(allowed) = call_back {
        notes.add(|| Step::CallBack { allowed });
        if !allowed {
            return refuse(Situation::CallBackOff, Some(binding));
        }
    }
    notes.add(|| Step::Callee(callee));
    match callee {
        Some(callee) => Route::Connect(Box::new(Connection {
            pool: pool.key.clone(),
            holder: known_by.map(|(carrier, _)| carrier.clone()),
            callee,
            caller_role: role,
            ring_timeout_s: binding
                .ring_timeout_s
                .filter(|&secs| secs > 0)
                .map_or(pool.ring_timeout_s, u16::from),
            binding,
        })),
        None => refuse(Situation::VacantNumber, Some(binding)),
    }
}

impl fmt::Display for Step {
    /// One sentence; numbers of people are masked.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Step::X { pool: None, .. } => f.write_str("X is in none of the pools."),
            Step::X {
                pool: Some(pool), ..
            } => write!(f, "X is in pool {pool}."),
            Step::SlotTried { slot, held_by } => {
                match slot {
                    Slot::Party(_) => f.write_str("The slot of this caller on X ")?,
                    Slot::Anyone => f.write_str("The slot of anyone on X ")?,
                }
                match held_by {
                    Some(id) => write!(f, "is held by binding {id}."),
                    None => f.write_str("is free."),
                }
            }
            Step::Expiry {
                expires_at,
                over: true,
            } => write!(f, "The binding has been over since {expires_at}."),
            Step::Expiry {
                expires_at,
                over: false,
            } => write!(f, "The binding is in force until {expires_at}."),
            Step::Provision { carrier, phase } => match phase {
                Phase::Reserved => {
                    write!(f, "The carrier {carrier} has not confirmed the binding.")
                }
                Phase::Releasing { .. } => {
                    write!(
                        f,
                        "The binding has ended, and the carrier {carrier} is told so."
                    )
                }
                Phase::Confirmed => write!(f, "The carrier {carrier} has agreed to the binding."),
                Phase::Changing => write!(
                    f,
                    "The carrier {carrier} has agreed to the binding, and is asked for a change that does not count yet."
                ),
                Phase::Renewing => {
                    write!(
                        f,
                        "The binding is in force, and the carrier {carrier} is told of it again."
                    )
                }
            },
            Step::Caller(Role::A) => f.write_str("The caller is A."),
            Step::Caller(Role::Other) => f.write_str("The caller is not A."),
            Step::Restriction { restriction, stops } => {
                match restriction {
                    Restriction::None => f.write_str("Nobody is restricted.")?,
                    Restriction::AMayNotDial => f.write_str("A may not dial X")?,
                    Restriction::OthersMayNotDial => f.write_str("Only A may dial X")?,
                }
                match (restriction, stops) {
                    (Restriction::None, _) => Ok(()),
                    (_, true) => f.write_str(", which stops this caller."),
                    (_, false) => f.write_str(", which does not concern this caller."),
                }
            }
            Step::CallBack { allowed: true } => f.write_str("The pool lets A reach B."),
            Step::CallBack { allowed: false } => f.write_str("The pool does not let A reach B."),
            Step::Callee(Some(callee)) => write!(f, "The call goes to {callee}."),
            Step::Callee(None) => f.write_str("There is no default B."),
        }
    }
}

impl fmt::Display for Situation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Situation::XUnknown => "the number is not one of ours",
            Situation::Loop => "the caller is X itself",
            Situation::NoBinding => "no binding is in force for this caller",
            Situation::VacantNumber => "A dialled X and there is no default B: vacant number",
            Situation::CallBackOff => "the pool does not let A reach B",
            Situation::Restricted => "the binding forbids this direction",
        })
    }
}
