//! A binding as a row keeps it.

use std::fmt;

use serde::de::SeqAccess;
use serde::ser::SerializeSeq;
use serde::{Serialize, Serializer};

use super::kind::{Kind, next, rest_of};
use crate::binding::{Binding, Extras, Restriction, SubsId};
use crate::number::PhoneNumber;

/// A binding without its owner, whom the pool of its X tells.
#[derive(Clone, PartialEq, Eq)]
pub struct BindingRow(Binding);

const RECORD: u8 = 1;
const SPEECH: u8 = 2;

impl BindingRow {
    pub(in crate::state) fn subs_id(&self) -> SubsId {
        self.0.subs_id
    }

    pub(in crate::state) fn x(&self) -> PhoneNumber {
        self.0.x
    }

    /// The oldest reader that overlooks nothing in it.
    pub(super) fn oldest_reader(&self) -> u32 {
        match self.0.provision {
            Some(_) => 5,
            None => 1,
        }
    }

    /// The values that every binding has.
    const ALWAYS: usize = 6;
    /// Those that it may have.
    const SOMETIMES: usize = 11;

    /// How many of its values must be written: those behind are as usual.
    fn told(&self) -> usize {
        let Binding { extras, .. } = &self.0;
        let unusual: [bool; Self::SOMETIMES] = [
            self.0.b.is_some(),
            extras.out_id.is_some(),
            self.flags() != 0,
            self.0.ring_timeout_s.is_some(),
            self.0.restriction != Restriction::default(),
            extras.out_order_id.is_some(),
            extras.ring_config.is_some(),
            extras.dtmf_config.is_some(),
            extras.speech_model.is_some(),
            extras.extend.is_some(),
            self.0.provision.is_some(),
        ];
        let last = unusual.iter().rposition(|&unusual| unusual);
        Self::ALWAYS + last.map_or(0, |last| last + 1)
    }

    fn flags(&self) -> u8 {
        let record = if self.0.record { RECORD } else { 0 };
        let speech = if self.0.speech_recognition { SPEECH } else { 0 };
        record | speech
    }

    pub(super) fn read<'de, S: SeqAccess<'de>>(values: &mut S) -> Result<Self, S::Error> {
        let subs_id = next(values)?;
        let product = next(values)?;
        let x: PhoneNumber = next(values)?;
        let a: PhoneNumber = next(values)?;
        let created_at = next(values)?;
        let expires_at = next(values)?;
        let mut binding = Binding::new(subs_id, product, x, a, created_at..expires_at);
        binding.b = values.next_element()?.flatten();
        binding.extras.out_id = values.next_element()?.flatten();
        let flags: u8 = values.next_element()?.unwrap_or_default();
        binding.record = flags & RECORD != 0;
        binding.speech_recognition = flags & SPEECH != 0;
        binding.ring_timeout_s = values.next_element()?.flatten();
        binding.restriction = values.next_element()?.unwrap_or_default();
        binding.extras.out_order_id = values.next_element()?.flatten();
        binding.extras.ring_config = values.next_element()?.flatten();
        binding.extras.dtmf_config = values.next_element()?.flatten();
        binding.extras.speech_model = values.next_element()?.flatten();
        binding.extras.extend = values.next_element()?.flatten();
        binding.provision = values.next_element()?.flatten();
        rest_of(values)?;
        Ok(Self(binding))
    }
}

impl Serialize for BindingRow {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let flags = self.flags();
        // Taken apart in full: a field that no row kept would be lost with the next snapshot.
        let Binding {
            subs_id,
            product,
            x,
            a,
            b,
            created_at,
            expires_at,
            restriction,
            record: _,
            speech_recognition: _,
            ring_timeout_s,
            extras,
            owner: _,
            provision,
        } = &self.0;
        let Extras {
            out_id,
            out_order_id,
            ring_config,
            dtmf_config,
            speech_model,
            extend,
        } = extras;
        let told = self.told();
        let mut values = serializer.serialize_seq(Some(1 + told))?;
        values.serialize_element(&Kind::Binding)?;
        values.serialize_element(subs_id)?;
        values.serialize_element(product)?;
        values.serialize_element(x)?;
        values.serialize_element(a)?;
        values.serialize_element(created_at)?;
        values.serialize_element(expires_at)?;
        let mut told = told - Self::ALWAYS;
        // As many as are told, in an order that stays; a further one comes at the end.
        macro_rules! tell {
            ($($value:expr),+ $(,)?) => {
                $(if told > 0 {
                    values.serialize_element($value)?;
                    told -= 1;
                })+
            };
        }
        tell!(
            b,
            out_id,
            &flags,
            ring_timeout_s,
            restriction,
            out_order_id,
            ring_config,
            dtmf_config,
            speech_model,
            extend,
            provision,
        );
        debug_assert_eq!(told, 0, "every value that is told was written");
        values.end()
    }
}

impl fmt::Debug for BindingRow {
    /// As a [`Binding`] shows itself: masked.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl From<Binding> for BindingRow {
    fn from(binding: Binding) -> Self {
        Self(Binding {
            owner: None,
            ..binding
        })
    }
}

impl From<BindingRow> for Binding {
    fn from(row: BindingRow) -> Self {
        row.0
    }
}
