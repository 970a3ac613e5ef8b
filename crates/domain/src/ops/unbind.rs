//! Ending a binding.

use crate::access::PoolRef;
use crate::allocation::ended;
use crate::binding::{EndCause, SubsId};
use crate::clock::Timestamp;
use crate::command::{Actor, Outcome};
use crate::number::PhoneNumber;
use crate::ops::{Decided, binding_in, pool_for};
use crate::refusal::Refusal;
use crate::state::State;

/// A binding that is over is as unknown as one that never was (vendor page
/// "API错误码", isv.SUBS_NOT_EXIST: "whether the binding has ended").
pub(super) fn unbind(
    state: &State,
    by: &Actor,
    pool: &PoolRef,
    subs_id: SubsId,
    x: PhoneNumber,
    now: Timestamp,
) -> Decided {
    let pool = pool_for(state, by, pool)?;
    let binding = binding_in(state, pool, subs_id, x)?;
    if binding.is_over(now) {
        return Err(Refusal::BindingUnknown);
    }
    let (event, _) = ended(pool, &binding, EndCause::Unbound, now, now);
    Ok((vec![event], Outcome::Done))
}
