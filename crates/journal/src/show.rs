//! The journal as text, for people.

use std::fmt::Write as _;

use maskline_domain::{Actor, Event, PhoneNumber};
use serde_json::Value;

use crate::batch::Batch;
use crate::codec::Codec;
use crate::payload::{self, PayloadError};

/// Fields that hold a telephone number, or several.
const NUMBERS: [&str; 4] = ["x", "a", "b", "numbers"];
/// The field that holds what a customer gave in free text, all of which may
/// name a person: of its members only the names are shown.
const FREE_TEXT: &str = "extras";
/// Fields that are never shown.
const SECRETS: [&str; 2] = ["sealed_secret", "token_hash"];

/// One batch: a line for itself, one for each command, one for each event.
/// Numbers are masked and customers' texts left out unless `reveal` is set.
///
/// # Errors
/// [`PayloadError`] when it cannot be read.
pub fn batch(batch: &Batch, codec: &Codec, reveal: bool) -> Result<String, PayloadError> {
    let opened = payload::open(batch, codec)?;
    let mut text = String::new();
    // Writing to a string cannot fail.
    let _ = writeln!(
        text,
        "batch {} at {} hash {:?}",
        batch.seq, opened.at, batch.hash
    );
    let mut place = 0;
    for entry in &opened.entries {
        let _ = writeln!(text, "  {}", actor(&entry.by));
        for event in &entry.events {
            let _ = writeln!(text, "    {}", line(event, reveal));
            let parts = opened.erased.iter().filter(|(of, _)| *of == place);
            let parts: Vec<&str> = parts.map(|&(_, part)| part.name()).collect();
            if !parts.is_empty() {
                let _ = writeln!(text, "      (erased: {})", parts.join(", "));
            }
            place += 1;
        }
    }
    Ok(text)
}

fn actor(by: &Actor) -> String {
    match by {
        Actor::Customer { key, permission } => format!("key {key} ({permission})"),
        Actor::Operator { name, remark } => match remark {
            None => format!("operator {name}"),
            Some(remark) => format!("operator {name} ({remark})"),
        },
        Actor::Job { name } => format!("job {name}"),
    }
}

fn line(event: &Event, reveal: bool) -> String {
    let mut value = serde_json::to_value(event).unwrap_or(Value::Null);
    conceal(&mut value, reveal);
    match value {
        Value::Object(object) => object
            .into_iter()
            .map(|(name, facts)| format!("{name} {facts}"))
            .collect(),
        Value::String(name) => name,
        other => other.to_string(),
    }
}

fn conceal(value: &mut Value, reveal: bool) {
    match value {
        Value::Object(object) => {
            object.retain(|name, value| !SECRETS.contains(&name.as_str()) && !value.is_null());
            for (name, value) in object.iter_mut() {
                if !reveal && NUMBERS.contains(&name.as_str()) {
                    mask(value);
                } else if !reveal && name == FREE_TEXT {
                    conceal(value, reveal);
                    let texts = value.as_object_mut().into_iter().flatten();
                    texts.for_each(|(_, text)| *text = Value::String("***".to_owned()));
                } else {
                    conceal(value, reveal);
                }
            }
        }
        Value::Array(values) => values.iter_mut().for_each(|value| conceal(value, reveal)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

fn mask(value: &mut Value) {
    match value {
        Value::String(digits) if digits.is_empty() => *digits = "erased".to_owned(),
        Value::String(digits) => {
            *digits = PhoneNumber::parse(digits)
                .map_or_else(|_| "***".to_owned(), |number| number.to_string());
        }
        Value::Array(values) => values.iter_mut().for_each(mask),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use maskline_domain::{AccessKey, AccessKeyId, AccountId, Timestamp};

    #[test]
    fn numbers_are_masked_unless_revealed() {
        let x = PhoneNumber::parse("17000000001").expect("digits");
        let numbers = vec![PhoneNumber::parse("13800001234").expect("digits")];
        let locked = Event::NumberLocked { x };
        let list = Event::EmergencyNumbersSet { numbers };
        assert_eq!(line(&locked, false), r#"number_locked {"x":"170******01"}"#);
        assert_eq!(line(&locked, true), r#"number_locked {"x":"17000000001"}"#);
        assert_eq!(
            line(&list, false),
            r#"emergency_numbers_set {"numbers":["138******34"]}"#
        );
    }

    #[test]
    fn secrets_never_show() {
        let key = Event::KeySet(AccessKey {
            id: AccessKeyId::new("LTAI1"),
            account: AccountId::new("acme"),
            user: None,
            sealed_secret: vec![201, 202, 203].into(),
            active: true,
            created_at: Timestamp(5),
        });
        for reveal in [false, true] {
            let line = line(&key, reveal);
            assert!(line.contains("LTAI1") && !line.contains("201"), "{line}");
        }
    }
}
