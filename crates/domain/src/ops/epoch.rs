//! Beginning a new epoch after a restore.

use crate::binding::SubsId;
use crate::event::Event;
use crate::ops::{Circumstances, Decided};

/// Begin a new epoch after a restore.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BeginEpoch;

/// Ids given between the backup and the restore are not known any more, so
/// ids skip ahead by what an hour at full speed could have used beyond the
/// clock.
pub(super) fn begin(on: &Circumstances<'_>, BeginEpoch: &BeginEpoch) -> Decided<()> {
    let &Circumstances { state, now, .. } = on;
    const SKIPPED_MS: i64 = 3_600_000;
    let floor = state
        .next_subs_id(now)
        .max(SubsId::earliest_at(now.plus_millis(SKIPPED_MS)));
    let event = Event::EpochBegun {
        epoch: state.epoch() + 1,
        subs_id_floor: floor,
    };
    Ok((vec![event], ()))
}
