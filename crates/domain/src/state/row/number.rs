//! A number as a row keeps it.

use serde::de::SeqAccess;
use serde::ser::SerializeSeq;
use serde::{Serialize, Serializer};

use super::kind::{Kind, next, rest_of};
use crate::clock::Timestamp;
use crate::inventory::{Number, NumberClass};
use crate::number::PhoneNumber;

/// A [`Number`] whose class stands in a row of its own before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NumberRow {
    /// Which of the classes of its part, by their order.
    pub class: u32,
    /// The digits.
    pub x: PhoneNumber,
    /// Taken out of selection by the customer.
    pub locked: bool,
    /// The first moment at which it may be given out again.
    pub cooling_until: Timestamp,
    /// When its last binding ended.
    pub idle_since: Timestamp,
}

impl NumberRow {
    pub(super) fn new(number: &Number, class: u32) -> Self {
        // Taken apart in full: a field that no row kept would be lost with the next snapshot.
        let Number {
            x,
            class: _,
            locked,
            cooling_until,
            idle_since,
        } = *number;
        Self {
            class,
            x,
            locked,
            cooling_until,
            idle_since,
        }
    }

    /// The number, given its class.
    pub fn with_class(self, class: NumberClass) -> Number {
        Number {
            x: self.x,
            class,
            locked: self.locked,
            cooling_until: self.cooling_until,
            idle_since: self.idle_since,
        }
    }

    /// How many of its values must be written: those behind are as usual.
    fn told(&self) -> usize {
        let unusual = [
            self.locked,
            self.cooling_until != Timestamp::default(),
            self.idle_since != Timestamp::default(),
        ];
        let last = unusual.iter().rposition(|&unusual| unusual);
        2 + last.map_or(0, |last| last + 1)
    }

    pub(super) fn read<'de, S: SeqAccess<'de>>(values: &mut S) -> Result<Self, S::Error> {
        let row = Self {
            class: next(values)?,
            x: next(values)?,
            locked: values.next_element()?.unwrap_or_default(),
            cooling_until: values.next_element()?.unwrap_or_default(),
            idle_since: values.next_element()?.unwrap_or_default(),
        };
        rest_of(values)?;
        Ok(row)
    }
}

impl Serialize for NumberRow {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let told = self.told();
        let mut values = serializer.serialize_seq(Some(1 + told))?;
        values.serialize_element(&Kind::Number)?;
        values.serialize_element(&self.class)?;
        values.serialize_element(&self.x)?;
        if told > 2 {
            values.serialize_element(&self.locked)?;
        }
        if told > 3 {
            values.serialize_element(&self.cooling_until)?;
        }
        if told > 4 {
            values.serialize_element(&self.idle_since)?;
        }
        values.end()
    }
}
