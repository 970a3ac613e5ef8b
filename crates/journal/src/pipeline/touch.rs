//! What a batch in flight may have changed under a reader's eyes.

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

/// What the batch in flight has touched. Small: at most as many numbers as the batch
/// has events. Numbers are noted for each event and looked up for few reads, so they
/// lie in no order and perhaps twice: a look at a thousand takes less than noting a
/// few in a set.
#[derive(Debug, Default)]
pub(crate) struct Touched {
    numbers: Vec<PhoneNumber>,
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
            | Event::Ended { .. } => self.numbers.extend(event.x()),
            // What every request and every route reads.
            Event::AccountSet(_)
            | Event::KeySet(_)
            | Event::KeyDeleted { .. }
            | Event::UserSet(_)
            | Event::UserDeleted { .. }
            | Event::PoolSet(_)
            | Event::TrunkSet(_)
            | Event::TrunkDeleted { .. }
            | Event::EmergencyNumbersSet { .. } => self.lists = true,
            // What no read by X or by list shows.
            Event::CommandAnswered { .. }
            | Event::CommandsForgotten { .. }
            | Event::Revealed { .. }
            | Event::Noted(_)
            | Event::PersonErased { .. }
            | Event::ImportAdvanced { .. }
            | Event::ImportEnded { .. }
            | Event::EpochBegun { .. } => {}
        }
    }

    pub fn concerns(&self, touch: Touch) -> bool {
        match touch {
            Touch::None => false,
            Touch::Lists => self.lists,
            Touch::Number(x) => self.lists || self.numbers.contains(&x),
            Touch::Scan => true,
        }
    }
}
