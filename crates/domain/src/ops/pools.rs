//! Pools.

use crate::event::Event;
use crate::ops::{Circumstances, Decided};
use crate::pool::Pool;
use crate::product::PAIRS_MAX;
use crate::refusal::AdminRefusal;

/// The longest cooling time: a year.
const COOLING_S_MAX: u32 = 366 * 24 * 3600;
/// The longest ring time.
const RING_TIMEOUT_S_MAX: u16 = 180;

/// Make or change a pool. Account and product of a pool never change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SetPool(pub Pool);

pub(super) fn set_pool(on: &Circumstances<'_>, SetPool(pool): &SetPool) -> Decided<()> {
    let state = on.state;
    let malformed = |what, why| Err(AdminRefusal::Malformed { what, why }.into());
    if !pool.key.is_well_formed() {
        return malformed("pool key", "FC and 1 to 30 hexadecimal digits");
    }
    if state.account(&pool.account).is_none() {
        return Err(AdminRefusal::NotFound { what: "account" }.into());
    }
    if pool.cooling_s > COOLING_S_MAX {
        return malformed("cooling time", "at most 366 days");
    }
    if !(1..=RING_TIMEOUT_S_MAX).contains(&pool.ring_timeout_s) {
        return malformed("ring time-out", "1 to 180 seconds");
    }
    if pool.legacy_type.as_ref().is_some_and(|t| t.len() > 64) {
        return malformed("legacy type", "at most 64 bytes");
    }
    if let Some(carrier) = &pool.carrier
        && state.carrier(carrier).is_none()
    {
        return Err(AdminRefusal::NotFound { what: "carrier" }.into());
    }
    let before = state.pool(&pool.key);
    // A pool of before may have more, of which its numbers carry as many as others; that it says so is no reason to
    // leave it as it is.
    let is_known = before.is_some_and(|before| before.pairs_max == pool.pairs_max);
    if !is_known && !(1..=PAIRS_MAX).contains(&pool.pairs_max) {
        return malformed("pairs per number", "1 to 200");
    }
    if let Some(before) = before {
        if before == pool {
            return Ok((Vec::new(), ()));
        }
        if before.account != pool.account || before.product != pool.product {
            return Err(AdminRefusal::Fixed {
                what: "pool",
                why: "its account and product are fixed",
            }
            .into());
        }
    }
    Ok((vec![Event::PoolSet(pool.clone())], ()))
}
