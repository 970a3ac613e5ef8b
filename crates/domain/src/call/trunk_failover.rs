//! Trunk failover: which trunk is dialled next, and for how long one is waited for, until one takes the call or the
//! callee has been asked.

use super::ending::of_the_callee;
use super::{DialOptions, Moment, Plan, TRUNKS_TRIED_MAX};

/// How long a trunk may leave us without a word while another one is left, in seconds: then that one is tried.
const TRUNK_WAIT_S: u64 = 16;
/// The same, from the INVITE on, for a trunk that has said that it tries (100). It lives, so that it is not
/// silence that is waited out (RFC 3261 section 17.1.1.2) but the search for the callee, which takes seconds
/// in a telephone network. Without 100 a trunk would have lost the INVITE after as long (64 T1).
const TRUNK_TRYING_WAIT_S: u64 = 32;

/// One try to reach the callee, by one trunk.
#[derive(Clone, Copy, Debug)]
pub(super) struct Attempt {
    /// The trunk by which it is dialled, in the order of the candidates.
    pub trunk: usize,
    /// When ringing has been long enough, on the clock that never jumps.
    pub ring_end_ms: u64,
    /// When it was dialled, on the clock that never jumps.
    began_ms: u64,
    /// Whether the callee's side has shown itself: from then on its word counts and no other trunk is
    /// tried, or the callee would be rung twice.
    pub is_reached: bool,
    /// Whether it has said that it tries (100): its other places lead to the same callee, who may be rung
    /// already. They are for a place that says nothing, or 503 (RFC 3263 section 4.3).
    pub is_trying: bool,
}

/// How a trunk did not take the call.
#[derive(Clone, Copy, Debug)]
pub(super) struct TrunkRefusal {
    /// 300 to 699.
    pub status: u16,
    /// Its Q.850 cause.
    pub cause: Option<u8>,
    /// Whether nobody said so: the status is only ours.
    pub silent: bool,
}

impl Attempt {
    pub fn new(plan: Plan, trunk: usize, now: Moment) -> Self {
        let ring_ms = u64::from(plan.ring_timeout_s) * 1_000;
        Self {
            trunk,
            ring_end_ms: now.tick_ms.saturating_add(ring_ms),
            began_ms: now.tick_ms,
            is_reached: false,
            is_trying: false,
        }
    }

    /// Until when it is waited for: not beyond the time for ringing, and not in silence if another trunk is left.
    pub fn deadline_ms(&self, plan: Plan) -> u64 {
        let wait_s = match self.is_trying {
            true => TRUNK_TRYING_WAIT_S,
            false => TRUNK_WAIT_S,
        };
        match self.next_after_silence(plan) {
            Some(_) => {
                let silence_end_ms = self.began_ms.saturating_add(wait_s * 1_000);
                self.ring_end_ms.min(silence_end_ms)
            }
            None => self.ring_end_ms,
        }
    }

    /// The trunk that is tried once nothing more is expected of this one.
    pub fn next_after_silence(&self, plan: Plan) -> Option<usize> {
        let next = plan.next(self.trunk, !self.is_trying);
        next.filter(|_| !self.is_reached)
    }

    /// The trunk that is tried after this one did not take the call; none where the callee's own word counts.
    pub fn next_after_refusal(&self, plan: Plan, refusal: TrunkRefusal) -> Option<usize> {
        let TrunkRefusal {
            status,
            cause,
            silent,
        } = refusal;
        // Who says no at one place says no at the others.
        let next = plan.next(self.trunk, silent && !self.is_trying || status == 503);
        next.filter(|_| !self.is_reached && is_trunk_failure(status, cause))
    }

    /// The place at which nobody took the call, if this is only a further one of the same trunk: it is tried only
    /// then.
    pub fn silent_place(&self, plan: Plan) -> Option<usize> {
        let before = self.trunk.checked_sub(1);
        before.filter(|_| is_further(plan.further, self.trunk))
    }
}

impl Plan {
    /// What is tried after `trunk`: its further places too, or only another trunk.
    fn next(&self, trunk: usize, with_places: bool) -> Option<usize> {
        (trunk + 1..self.trunks).find(|&next| with_places || !is_further(self.further, next))
    }
}

impl DialOptions {
    /// How many of the trunks are tried, their further places counted.
    pub(super) fn tried(&self) -> usize {
        let mut trunks = 0;
        (0..self.trunks)
            .take_while(|&place| {
                trunks += usize::from(!is_further(self.further, place));
                trunks <= TRUNKS_TRIED_MAX
            })
            .count()
    }
}

/// Whether this is only a further place of the trunk before.
fn is_further(further: u16, trunk: usize) -> bool {
    u32::try_from(trunk).is_ok_and(|bit| further.checked_shr(bit).is_some_and(|bits| bits & 1 == 1))
}

/// Whether another trunk may fare better: this one is silent, wants something that we do not have, or
/// failed by itself. A cause that speaks of the callee (RFC 3326) means that the callee was asked.
fn is_trunk_failure(status: u16, cause: Option<u8>) -> bool {
    match status {
        408 | 401 | 407 | 300..=399 => true,
        500..=599 => cause.and_then(of_the_callee).is_none(),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_concerns_the_trunk_lets_another_be_tried() {
        let rows = [
            (408, None, true),
            (500, None, true),
            (503, None, true),
            (500, Some(41), true),
            (500, Some(17), false),
            (407, None, true),
            (302, None, true),
            (486, None, false),
            (603, None, false),
            (404, None, false),
            (480, None, false),
            (403, None, false),
            (488, None, false),
        ];
        for (status, cause, expected) in rows {
            assert_eq!(
                is_trunk_failure(status, cause),
                expected,
                "{status} {cause:?}"
            );
        }
    }
}
