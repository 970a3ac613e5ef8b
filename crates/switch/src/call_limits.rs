//! How many calls stand on each X, and of each caller.

use super::Setup;
use maskline_domain::PhoneNumber;
use maskline_domain::call::CallLimit;
use maskline_domain::call::admission::Standing;
use std::collections::BTreeMap;

/// See the module. Bounded by the calls that live.
#[derive(Default)]
pub(super) struct CallLimits {
    on_x: BTreeMap<PhoneNumber, usize>,
    by_caller: BTreeMap<PhoneNumber, usize>,
}

impl CallLimits {
    /// Counts a call, and says which bound it breaks.
    pub fn enter(
        &mut self,
        x: PhoneNumber,
        caller: Option<PhoneNumber>,
        setup: &Setup,
    ) -> Option<CallLimit> {
        let standing = Standing {
            on_x: add(&mut self.on_x, x),
            by_caller: caller.map_or(0, |caller| add(&mut self.by_caller, caller)),
        };
        let most = Standing {
            on_x: setup.per_x_max,
            by_caller: setup.per_caller_max,
        };
        CallLimit::broken(standing, most)
    }

    /// Counts a call no more.
    pub fn leave(&mut self, x: PhoneNumber, caller: Option<PhoneNumber>) {
        take(&mut self.on_x, x);
        if let Some(caller) = caller {
            take(&mut self.by_caller, caller);
        }
    }

    pub fn is_empty(&self) -> bool {
        self.on_x.is_empty() && self.by_caller.is_empty()
    }
}

fn add(counts: &mut BTreeMap<PhoneNumber, usize>, number: PhoneNumber) -> usize {
    let count = counts.entry(number).or_default();
    *count += 1;
    *count
}

fn take(counts: &mut BTreeMap<PhoneNumber, usize>, number: PhoneNumber) {
    if let Some(count) = counts.get_mut(&number) {
        *count -= 1;
        if *count == 0 {
            counts.remove(&number);
        }
    }
}
