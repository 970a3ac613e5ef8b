//! Version 2 of rows, as the parts of a snapshot hold them.
//!
//! A row is an array: a number for its kind ([`Kind`]), and its values. Numbers and bindings, of which there are
//! millions, give their values by place; what is as usual at the end is left out, so that a value is added at the end
//! with a default and no new version, and who does not know it yet skips it. Of the other kinds the values have names.
//! What numbers have in common is a row of its own before the first of them in each part. Version 1 is
//! [`super::v1`].

use std::fmt;

use hashbrown::HashTable;
use serde::de::{Error, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::kind::{Kind, next, rest_of};
use super::{BindingRow, NumberRow, Row};
use crate::command_id::Remembered;
use crate::inventory::{NumberClass, hash_of};

/// A row as a part holds it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stored {
    /// What numbers have in common that come after it in its part. Classes count from 0 in each part.
    Class(NumberClass),
    /// A number.
    Number(NumberRow),
    /// Anything else; never a number.
    Row(Row),
}

/// The classes of one part: gives each its place while a part is written.
#[derive(Debug, Default)]
pub struct Classes {
    places: HashTable<(NumberClass, u32)>,
}

impl Classes {
    /// The rows that stand for a row: of a number before it its class, unless that stands in the part already.
    pub fn stored(&mut self, row: Row) -> (Option<Stored>, Stored) {
        let Row::Number(number) = row else {
            return (None, Stored::Row(row));
        };
        let class = &number.class;
        let hash = hash_of(class);
        if let Some((_, place)) = self.places.find(hash, |(other, _)| other == class) {
            return (None, Stored::Number(NumberRow::new(&number, *place)));
        }
        let place = self.places.len() as u32;
        let row = NumberRow::new(&number, place);
        self.places
            .insert_unique(hash, (class.clone(), place), |(class, _)| hash_of(class));
        (Some(Stored::Class(number.class)), Stored::Number(row))
    }
}

/// The rows of one part; none if a number is of a class that does not stand before it.
pub fn read(part: Vec<Stored>) -> Option<Vec<Row>> {
    let mut classes = Vec::new();
    let mut rows = Vec::with_capacity(part.len());
    for stored in part {
        match stored {
            Stored::Class(class) => classes.push(class),
            Stored::Number(row) => {
                let class = classes.get(row.class as usize)?;
                rows.push(Row::Number(row.with_class(class.clone())));
            }
            Stored::Row(row) => rows.push(row),
        }
    }
    Some(rows)
}

impl Serialize for Stored {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let row = match self {
            Stored::Class(class) => return (Kind::Class, class).serialize(serializer),
            Stored::Number(number) => return number.serialize(serializer),
            Stored::Row(row) => row,
        };
        match row {
            Row::Clock(clock) => (Kind::Clock, clock).serialize(serializer),
            Row::Emergency(numbers) => (Kind::Emergency, numbers).serialize(serializer),
            Row::Account(account) => (Kind::Account, account).serialize(serializer),
            Row::User(user) => (Kind::User, user).serialize(serializer),
            Row::Key(key) => (Kind::Key, key).serialize(serializer),
            Row::Pool(pool) => (Kind::Pool, pool).serialize(serializer),
            Row::Trunk(trunk) => (Kind::Trunk, trunk).serialize(serializer),
            Row::Carrier(carrier) => (Kind::Carrier, carrier).serialize(serializer),
            Row::Number(_) => Err(serde::ser::Error::custom("a number has its class by place")),
            Row::Binding(binding) => binding.serialize(serializer),
            Row::Command(id, remembered) => {
                let Remembered {
                    key,
                    until,
                    attempt,
                    answered,
                } = remembered;
                (Kind::Command, id, key, until, attempt, answered).serialize(serializer)
            }
            Row::Import { name, rows } => (Kind::Import, name, rows).serialize(serializer),
            Row::Operator(operator) => (Kind::Operator, operator).serialize(serializer),
            Row::FirstTokenRetired => (Kind::FirstTokenRetired,).serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for Stored {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(Values)
    }
}

struct Values;

impl<'de> Visitor<'de> for Values {
    type Value = Stored;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a row")
    }

    fn visit_seq<S: SeqAccess<'de>>(self, mut values: S) -> Result<Stored, S::Error> {
        let values = &mut values;
        let kind: u8 = next(values)?;
        // The most frequent ones first.
        if kind == Kind::Number as u8 {
            return NumberRow::read(values).map(Stored::Number);
        }
        if kind == Kind::Binding as u8 {
            let binding = BindingRow::read(values)?;
            return Ok(Stored::Row(Row::Binding(Box::new(binding))));
        }
        let row = match kind {
            kind if kind == Kind::Class as u8 => {
                let class = next(values)?;
                rest_of(values)?;
                return Ok(Stored::Class(class));
            }
            kind if kind == Kind::Clock as u8 => Row::Clock(next(values)?),
            kind if kind == Kind::Emergency as u8 => Row::Emergency(next(values)?),
            kind if kind == Kind::Account as u8 => Row::Account(next(values)?),
            kind if kind == Kind::User as u8 => Row::User(next(values)?),
            kind if kind == Kind::Key as u8 => Row::Key(next(values)?),
            kind if kind == Kind::Pool as u8 => Row::Pool(next(values)?),
            kind if kind == Kind::Trunk as u8 => Row::Trunk(next(values)?),
            kind if kind == Kind::Carrier as u8 => Row::Carrier(next(values)?),
            kind if kind == Kind::Command as u8 => {
                let id = next(values)?;
                let remembered = Remembered {
                    key: next(values)?,
                    until: next(values)?,
                    attempt: next(values)?,
                    answered: next(values)?,
                };
                Row::Command(id, remembered)
            }
            kind if kind == Kind::Import as u8 => Row::Import {
                name: next(values)?,
                rows: next(values)?,
            },
            kind if kind == Kind::Operator as u8 => Row::Operator(next(values)?),
            kind if kind == Kind::FirstTokenRetired as u8 => Row::FirstTokenRetired,
            _ => return Err(S::Error::custom("a row of a kind that is not known")),
        };
        rest_of(values)?;
        Ok(Stored::Row(row))
    }
}
