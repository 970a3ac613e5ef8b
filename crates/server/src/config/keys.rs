//! Tables by dotted keys, such as `api.listen`.

use toml::{Table, Value};

/// The value at a dotted key.
pub(super) fn look_up<'a>(table: &'a Table, key: &str) -> Option<&'a Value> {
    let (first, rest) = key.split_once('.').unwrap_or((key, ""));
    match table.get(first)? {
        Value::Table(inner) if !rest.is_empty() => look_up(inner, rest),
        value if rest.is_empty() => Some(value),
        _ => None,
    }
}

/// A table that holds nothing but a value at a dotted key.
pub(super) fn alone(key: &str, value: Value) -> Table {
    let (above, name) = key.rsplit_once('.').unwrap_or(("", key));
    let table = Table::from_iter([(name.to_owned(), value)]);
    match above {
        "" => table,
        above => alone(above, Value::Table(table)),
    }
}

/// Puts the values of `above` over those of `below`.
pub(super) fn overlay(below: &mut Table, above: Table) {
    for (key, value) in above {
        match (below.get_mut(&key), value) {
            (Some(Value::Table(below)), Value::Table(above)) => overlay(below, above),
            (_, value) => {
                below.insert(key, value);
            }
        }
    }
}

/// Every key that holds a single value, dotted.
pub(super) fn keys(table: &Table) -> Vec<String> {
    let mut found = Vec::new();
    for (name, value) in table {
        match value {
            Value::Table(inner) => {
                found.extend(keys(inner).into_iter().map(|key| join(name, &key)));
            }
            _ => found.push(name.clone()),
        }
    }
    found
}

/// The dotted key of a name within a section.
pub(super) fn join(above: &str, name: &str) -> String {
    if above.is_empty() {
        name.to_owned()
    } else {
        format!("{above}.{name}")
    }
}
