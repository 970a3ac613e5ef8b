//! What a batch in flight may have changed under a reader's eyes.

use std::collections::BTreeSet;

use maskline_domain::{Event, PhoneNumber};

/// What a read looks at, and so for what it must wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Touch {
    /// Nothing that could be undone matters.
    None,
    /// Accounts, keys, users, pools, trunks and lists; no X number.
    Lists,
    /// One X number, its bindings, and the lists consulted with it.
    Number(PhoneNumber),
    /// Anything.
    Scan,
}

/// How many numbers lie in a list. They are noted for each event and looked up for few reads, so that a look at so
/// many takes less than noting a few in a set.
const LISTED_MAX: usize = 256;

/// What the batch in flight, or one that is being gathered, has touched: at most as many numbers as it has events.
#[derive(Debug, Default)]
pub(crate) struct Touched {
    /// The first, in no order and perhaps twice.
    listed: Vec<PhoneNumber>,
    /// The others. Nothing ever goes through them one by one.
    others: BTreeSet<PhoneNumber>,
    lists: bool,
}

impl Touched {
    pub fn add(&mut self, event: &Event) {
        match event {
            // What routing and queries read by X.
            Event::NumberSet(_)
            | Event::NumberReleased { .. }
            | Event::NumberLocked { .. }
            | Event::NumberUnlocked { .. }
            | Event::NumberThawed { .. }
            | Event::Bound(_)
            | Event::BindingChanged(_)
            | Event::ChangeProposed { .. }
            | Event::ProvisionChanged { .. }
            | Event::ProvisionDropped { .. }
            | Event::Ended { .. } => event.x().into_iter().for_each(|x| self.note(x)),
            // What every request and every route reads.
            Event::AccountSet(_)
            | Event::KeySet(_)
            | Event::KeyDeleted { .. }
            | Event::UserSet(_)
            | Event::UserDeleted { .. }
            | Event::PoolSet(_)
            | Event::TrunkSet(_)
            | Event::TrunkDeleted { .. }
            | Event::CarrierSet(_)
            | Event::CarrierDeleted { .. }
            | Event::CarrierReconciled { .. }
            | Event::OperatorSet(_)
            | Event::OperatorRemoved { .. }
            | Event::FirstTokenRetired
            | Event::FirstTokenRestored
            | Event::EmergencyNumbersSet { .. } => self.lists = true,
            // What no read by X or by list shows.
            Event::CommandAnswered { .. }
            | Event::CommandsForgotten { .. }
            | Event::Revealed { .. }
            | Event::Noted(_)
            | Event::OrphanReleasing { .. }
            | Event::PersonErased { .. }
            | Event::ImportAdvanced { .. }
            | Event::ImportEnded { .. }
            | Event::EpochBegun { .. } => {}
        }
    }

    fn note(&mut self, x: PhoneNumber) {
        if self.listed.last() == Some(&x) {
            return;
        }
        if self.listed.len() < LISTED_MAX {
            self.listed.push(x);
        } else {
            self.others.insert(x);
        }
    }

    pub fn concerns(&self, touch: Touch) -> bool {
        match touch {
            Touch::None => false,
            Touch::Lists => self.lists,
            Touch::Number(x) => self.lists || self.listed.contains(&x) || self.others.contains(&x),
            Touch::Scan => true,
        }
    }
}
