//! Ending a binding.

use crate::binding::{EndCause, SubsId};
use crate::number::PhoneNumber;
use crate::ops::provisions::releasing;
use crate::ops::{Circumstances, Decided, binding_in, pool_for};
use crate::overdue::ended;
use crate::pool::PoolRef;
use crate::refusal::Refusal;

/// End a binding; pool, id and X must belong together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unbind {
    /// The pool.
    pub pool: PoolRef,
    /// The binding.
    pub subs_id: SubsId,
    /// Its X.
    pub x: PhoneNumber,
}

/// A binding that is over is as unknown as one that never was (vendor page
/// "API错误码", isv.SUBS_NOT_EXIST: "whether the binding has ended").
pub(super) fn unbind(on: &Circumstances<'_>, asked: &Unbind) -> Decided<()> {
    let &Circumstances { state, now, .. } = on;
    let pool = pool_for(on, &asked.pool)?;
    let binding = binding_in(state, pool, asked.subs_id, asked.x)?;
    if binding.is_over(now) {
        return Err(Refusal::BindingUnknown.into());
    }
    let event = match binding.provision.as_deref() {
        None => ended(pool, &binding, EndCause::Unbound, now, now).0,
        // Nobody was told of it yet, or it has ended already.
        Some(provision) if !provision.phase.routes() => return Err(Refusal::BindingUnknown.into()),
        Some(provision) => releasing(on, &binding, provision, EndCause::Unbound, now),
    };
    Ok((vec![event], ()))
}
