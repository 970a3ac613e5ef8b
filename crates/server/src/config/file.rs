//! The settings file, and on which line of it each key stands.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Deserialize;
use toml::de::{DeTable, DeValue};
use toml::{Spanned, Table, Value};

use super::defaults;
use super::error::{ConfigError, ConfigErrors, Fault, Source};
use super::keys::{alone, join, overlay};
use super::settings::Settings;
use crate::mistakes::FILE_MISTAKES_MAX;
use crate::suggest;

/// The largest settings file that is read, in bytes.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// What a file says.
#[derive(Debug)]
pub(super) struct Read {
    /// The settings that can be.
    pub table: Table,
    /// The line of each key.
    pub lines: BTreeMap<String, usize>,
    /// Those that cannot be; they are not in the table.
    pub mistakes: Vec<ConfigError>,
}

/// The file as a table, and the line of each key in it. Every value is tried on its own, so that all
/// that is wrong is told at once.
///
/// # Errors
/// When it cannot be read or is no TOML; told with the lines.
pub(super) fn read(path: &Path, defaults: &Table) -> Result<Read, ConfigErrors> {
    let at = |line, key: String, reason: String| ConfigError {
        source: Source::File {
            path: path.to_owned(),
            line,
        },
        key,
        reason,
        fault: Fault::Mistake,
    };
    let text = std::fs::metadata(path)
        .and_then(|meta| {
            if meta.len() > FILE_BYTES_MAX {
                return Err(std::io::Error::other("the file is larger than 1 MiB"));
            }
            std::fs::read_to_string(path)
        })
        .map_err(|error| ConfigError {
            // It may be on a disk that is mounted later.
            fault: Fault::Surroundings,
            ..at(0, String::new(), format!("cannot be read: {error}"))
        })?;

    let (document, broken) = DeTable::parse_recoverable(&text);
    let broken = broken.iter().take(FILE_MISTAKES_MAX).map(|error| {
        let line = error.span().map_or(0, |span| line_of(&text, span.start));
        at(line, String::new(), error.message().to_owned())
    });
    ConfigErrors::none_of(broken.collect())?;
    let mut table = text
        .parse::<Table>()
        .map_err(|error| at(0, String::new(), error.message().to_owned()))?;

    let mut spans = BTreeMap::new();
    collect_starts("", document.get_ref(), &mut spans);
    let lines: BTreeMap<String, usize> = spans
        .into_iter()
        .map(|(key, start)| (key, line_of(&text, start)))
        .collect();
    let mut wrong = Vec::new();
    keep_what_can_be("", &mut table, defaults, &mut wrong);
    let mut mistakes: Vec<ConfigError> = wrong
        .into_iter()
        .map(|(key, reason)| at(lines.get(&key).copied().unwrap_or(0), key, reason))
        .collect();
    mistakes.sort_by_key(|mistake| match mistake.source {
        Source::File { line, .. } => line,
        _ => 0,
    });
    mistakes.truncate(FILE_MISTAKES_MAX);
    Ok(Read {
        table,
        lines,
        mistakes,
    })
}

/// Takes out of `table` what is no setting or has a value that it cannot have: key and reason.
fn keep_what_can_be(
    above: &str,
    table: &mut Table,
    defaults: &Table,
    wrong: &mut Vec<(String, String)>,
) {
    table.retain(|name, value| {
        let key = join(above, name);
        let reason = match (defaults.get(name), value) {
            (None, _) => unknown(name, defaults),
            // A table of names that are no settings, which by default has none.
            (Some(Value::Table(known)), Value::Table(inner)) if known.is_empty() => {
                keep_values_that_can_be(&key, inner, wrong);
                return true;
            }
            (Some(Value::Table(known)), Value::Table(inner)) => {
                keep_what_can_be(&key, inner, known, wrong);
                return true;
            }
            (Some(Value::Table(_)), value) => {
                format!(
                    "a section, written as [{key}], and not {}",
                    value.type_str()
                )
            }
            (Some(_), value) => match try_alone(&key, value) {
                Ok(()) => return true,
                Err(reason) => reason,
            },
        };
        wrong.push((key, reason));
        false
    });
}

/// The same for a table whose names are not settings; the names are judged by the rules.
fn keep_values_that_can_be(above: &str, table: &mut Table, wrong: &mut Vec<(String, String)>) {
    table.retain(|name, value| match try_alone(&join(above, name), value) {
        Ok(()) => true,
        Err(reason) => {
            wrong.push((join(above, name), reason));
            false
        }
    });
}

fn unknown(name: &str, known: &Table) -> String {
    let hint = suggest::hint(name, known.keys().map(String::as_str));
    let names: Vec<&str> = known.keys().map(String::as_str).collect();
    match hint.is_empty() {
        true => format!("unknown field `{name}`; known here: {}", names.join(", ")),
        false => format!("unknown field `{name}`{hint}"),
    }
}

/// Whether a value can stand at a key, beside the defaults of all others; the reason when it cannot.
pub(super) fn try_alone(key: &str, value: &Value) -> Result<(), String> {
    let mut whole = defaults::table().clone();
    overlay(&mut whole, alone(key, value.clone()));
    let Err(error) = Settings::deserialize(whole) else {
        return Ok(());
    };
    let reason = suggest::with_hint(error.message());
    Err(match value {
        Value::String(_) | Value::Float(_) => reason + &counted(key),
        _ => reason,
    })
}

/// How the number of a key is counted; names end in their unit.
pub(super) fn counted(key: &str) -> String {
    let units = [
        ("_ms", "milliseconds"),
        ("_per_s", "requests a second"),
        ("_s", "seconds"),
        ("_days", "days"),
        ("_mib", "MiB"),
        ("_bytes", "bytes"),
    ];
    let found = units.into_iter().find(|(ending, _)| key.ends_with(ending));
    found.map_or_else(String::new, |(_, unit)| {
        format!("; it is a whole number of {unit}, without quotes or unit")
    })
}

/// Where each `key = value` begins, tables included, by dotted key.
fn collect_starts(above: &str, table: &DeTable<'_>, starts: &mut BTreeMap<String, usize>) {
    for (name, value) in table {
        let key = join(above, name.get_ref());
        starts.insert(key.clone(), name.span().start);
        if let DeValue::Table(inner) = Spanned::get_ref(value) {
            collect_starts(&key, inner, starts);
        }
    }
}

fn line_of(text: &str, offset: usize) -> usize {
    1 + text.bytes().take(offset).filter(|b| *b == b'\n').count()
}
