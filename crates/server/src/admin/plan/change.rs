//! A change as a person is told of it.

use serde::Serialize;
use serde_json::Value;

/// A change, for a person. No secret and no party's number is in it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Change {
    /// `create`, `change` or `remove`.
    pub verb: Verb,
    /// What is changed, such as `pool FC12345`.
    pub what: String,
    /// Fields: name, value before (empty for a new thing), value after.
    pub fields: Vec<(String, String, String)>,
}

impl Change {
    /// Leaves out what is as in every other one, but for its name. `usual` is such a one as it is shown.
    pub(super) fn leave_out_usual(&mut self, usual: &Value) {
        let is_usual = |name: &str, value: &str| {
            name != "name" && usual.get(name).map(text_of).as_deref() == Some(value)
        };
        self.fields
            .retain(|(name, _, value)| !is_usual(name, value));
    }
}

/// What happens to a thing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verb {
    /// It is made.
    Create,
    /// It is changed.
    Change,
    /// It is taken away.
    Remove,
}

/// The fields in which a thing will differ, read off its serialised forms. One that is shown only where it
/// is set may be gone.
pub(super) fn difference<T: Serialize>(what: String, before: Option<&T>, after: &T) -> Change {
    let shown = |thing: &T| match serde_json::to_value(thing) {
        Ok(Value::Object(fields)) => fields,
        _ => serde_json::Map::new(),
    };
    let old = before.map(shown).unwrap_or_default();
    let mut after = shown(after);
    for name in old.keys() {
        after.entry(name).or_insert(Value::Null);
    }
    let fields = after
        .into_iter()
        .filter(|(name, value)| old.get(name) != Some(value))
        .map(|(name, value)| {
            let before = old.get(&name).map_or_else(String::new, text_of);
            (name, before, text_of(&value))
        })
        .collect();
    Change {
        verb: if before.is_some() {
            Verb::Change
        } else {
            Verb::Create
        },
        what,
        fields,
    }
}

pub(super) fn text_of(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => "none".to_owned(),
        other => other.to_string(),
    }
}
