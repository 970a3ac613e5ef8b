//! What a bind would come to, without anything being bound: the very rules that decide it.

use crate::access::may_serve;
use crate::binding::Binding;
use crate::carrier::{CarrierKind, CarrierName};
use crate::clock::Timestamp;
use crate::command::{Actor, BindRequest, Outcome};
use crate::inventory::City;
use crate::number::{Party, PhoneNumber};
use crate::ops::{Envelope, decide};
use crate::pool::{Pool, PoolKey, PoolRef};
use crate::refusal::Refusal;
use crate::state::State;

/// What would be asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BindQuestion {
    /// The pool, by its key.
    pub pool: PoolKey,
    /// A; none for a number that has not the form of a party.
    pub a: Option<Party>,
    /// B, as A.
    pub b: Option<Option<Party>>,
    /// A wanted X.
    pub x: Option<PhoneNumber>,
    /// A wanted city.
    pub city: Option<City>,
    /// The end.
    pub expires_at: Timestamp,
    /// Carriers that cannot be asked now.
    pub carriers_down: Vec<CarrierName>,
}

/// What would come of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BindForecast {
    /// The pool, if it is there.
    pub pool: Option<Pool>,
    /// How many bindings its account has, and how many it may have, where there is a quota.
    pub quota: Option<(u32, u32)>,
    /// The carrier whose its numbers are.
    pub carrier: Option<CarrierForecast>,
    /// The binding that would be made, with the X that this seed draws; or the rule that refuses it.
    pub outcome: Result<Box<Binding>, Refusal>,
    /// The city of that X.
    pub city: Option<City>,
}

/// What the carrier of a pool has to do with a bind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CarrierForecast {
    /// Its name.
    pub name: CarrierName,
    /// How it is told of bindings.
    pub kind: CarrierKind,
    /// Whether what it holds has been compared with what is bound since the last restore. Before, nothing is bound.
    pub is_reconciled: bool,
}

/// Foretells a bind that comes at `now`, not before [`State::now`], by a key that may do everything. `seed` is the
/// only source of chance. Looks at as much as a bind does.
pub fn forecast(state: &State, question: &BindQuestion, now: Timestamp, seed: u64) -> BindForecast {
    let pool = state.pool(&question.pool);
    let account = pool.and_then(|pool| state.account(&pool.account));
    let quota = account.and_then(|account| {
        let max = account.bindings_max?;
        Some((state.bindings_of_account(&account.id), max))
    });
    let carrier = pool.and_then(|pool| state.carrier(pool.carrier.as_ref()?));
    let outcome = pool
        .ok_or(Refusal::PoolUnknown)
        .and_then(|pool| foretold(state, question, pool, now, seed));
    let city = outcome.as_ref().ok().and_then(|binding| {
        let number = state.number(binding.x)?;
        Some(number.class.city)
    });
    BindForecast {
        pool: pool.cloned(),
        quota,
        carrier: carrier.map(|carrier| CarrierForecast {
            name: carrier.name.clone(),
            kind: carrier.kind,
            is_reconciled: carrier.reconciled_epoch >= state.epoch(),
        }),
        outcome,
        city,
    }
}

fn foretold(
    state: &State,
    question: &BindQuestion,
    pool: &Pool,
    now: Timestamp,
    seed: u64,
) -> Result<Box<Binding>, Refusal> {
    may_serve(state, pool)?;
    // In the order in which a request is read.
    let a = question.a.ok_or(Refusal::NumberIllegal)?;
    let b = match question.b {
        None => None,
        Some(b) => Some(b.ok_or(Refusal::NumberIllegal)?),
    };
    let named = PoolRef::Key(pool.key.clone());
    let request = BindRequest {
        b,
        x: question.x,
        city: question.city.clone(),
        carriers_down: question.carriers_down.clone(),
        ..BindRequest::new(named, pool.product, a, question.expires_at)
    };
    // Whose key it is was looked at, and an operator needs none.
    let by = Actor::Operator {
        name: "explanation".into(),
        remark: None,
    };
    let envelope = Envelope {
        by,
        id: None,
        command: Box::new(request),
    };
    match decide(state, &envelope.untyped(), now, seed).answer? {
        Outcome::Bound(binding) => Ok(binding),
        _ => unreachable!("a bind that is not refused is a binding"),
    }
}
