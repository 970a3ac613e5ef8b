//! File, variables and flags become one [`Settings`].

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::Deserialize;
use toml::{Table, Value};

use super::defaults;
use super::error::{ConfigError, ConfigErrors, Fault, Source};
use super::file::{self, try_alone};
use super::keys::{alone, keys, look_up, overlay};
use super::settings::Settings;
use crate::suggest;

/// Variables that start with our prefix but are not settings: read elsewhere, or put there by a
/// container platform for a service that happens to be called `maskline`.
const OTHER_VARIABLES: [&str; 4] = [
    "MASKLINE_CONFIG",
    "MASKLINE_MASTER_KEY",
    "MASKLINE_TOKEN",
    "MASKLINE_ADMIN_URL",
];
const FOREIGN_PREFIXES: [&str; 3] = ["MASKLINE_SERVICE_", "MASKLINE_PORT", "MASKLINE_TEST_"];
const PREFIX: &str = "MASKLINE_";

/// Where settings are taken from.
#[derive(Clone, Debug, Default)]
pub struct Inputs {
    /// The settings file, if any.
    pub file: Option<PathBuf>,
    /// The environment, or a part of it; names without our prefix are passed over.
    pub variables: Vec<(String, String)>,
    /// Flags that were given: the flag, the key it sets, the text.
    pub flags: Vec<(&'static str, &'static str, String)>,
    /// The actions that can have a limit of their own in `limits.actions`, by name.
    pub actions: Vec<&'static str>,
}

impl Inputs {
    /// The process's environment beside a file and flags, for an API with these `actions`. Variables
    /// that are not UTF-8 cannot be ours and are passed over.
    pub fn from_environment(
        file: Option<PathBuf>,
        flags: Vec<(&'static str, &'static str, String)>,
        actions: Vec<&'static str>,
    ) -> Self {
        let variables = std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
            .filter(|(name, _)| name.starts_with(PREFIX))
            .collect();
        Self {
            file,
            variables,
            flags,
            actions,
        }
    }
}

/// Settings, and where each given one came from.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// The settings.
    pub settings: Settings,
    sources: BTreeMap<String, Source>,
}

impl Loaded {
    /// Where the value of a key (`section.name`) came from.
    pub fn source(&self, key: &str) -> Source {
        self.sources.get(key).cloned().unwrap_or(Source::Default)
    }

    /// An error about a key whose value turned out not to work, told where it was written.
    pub fn refuse(&self, key: &str, reason: impl Into<String>) -> ConfigError {
        ConfigError {
            source: self.source(key),
            key: key.to_owned(),
            reason: reason.into(),
            fault: Fault::Mistake,
        }
    }

    /// The same where what the value names is not there or not free now, so that trying again may help.
    pub fn missing(&self, key: &str, reason: impl Into<String>) -> ConfigError {
        ConfigError {
            fault: Fault::Surroundings,
            ..self.refuse(key, reason)
        }
    }

    /// What is probably not meant, though it can be: each with the place where it was written.
    pub fn warnings(&self) -> Vec<ConfigError> {
        let warnings = self.settings.warnings().into_iter();
        warnings
            .map(|(key, reason)| self.refuse(&key, reason))
            .collect()
    }
}

/// Reads and joins all layers.
///
/// # Errors
/// Every mistake found: a file that cannot be read or parsed, unknown keys and variables, values of the
/// wrong kind or out of bounds, settings that contradict each other.
pub fn load(inputs: &Inputs) -> Result<Loaded, ConfigErrors> {
    let defaults = defaults::table();
    let mut merged = defaults.clone();
    let mut sources = BTreeMap::new();

    let mut mistakes = Vec::new();

    if let Some(path) = &inputs.file {
        let read = file::read(path, defaults)?;
        mistakes.extend(read.mistakes);
        overlay(&mut merged, read.table);
        sources.extend(read.lines.into_iter().map(|(key, line)| {
            let path = path.clone();
            (key, Source::File { path, line })
        }));
    }

    let names = variable_names(defaults);
    for (name, text) in &inputs.variables {
        if OTHER_VARIABLES.contains(&name.as_str())
            || FOREIGN_PREFIXES.iter().any(|p| name.starts_with(p))
            || !name.starts_with(PREFIX)
        {
            continue;
        }
        let source = Source::Variable(name.clone());
        let Some(key) = names.get(name) else {
            let hint = suggest::hint(name, names.keys().map(String::as_str));
            mistakes.push(ConfigError {
                source,
                key: String::new(),
                reason: format!("there is no such setting{hint}"),
                fault: Fault::Mistake,
            });
            continue;
        };
        let done = set(&mut merged, defaults, key, text, source, &mut sources);
        mistakes.extend(done.err());
    }

    for (flag, key, text) in &inputs.flags {
        let source = Source::Flag(flag);
        let done = set(&mut merged, defaults, key, text, source, &mut sources);
        mistakes.extend(done.err());
    }

    let settings = Settings::deserialize(merged).map_err(|error| ConfigError {
        source: Source::Default,
        key: String::new(),
        reason: error.message().to_owned(),
        fault: Fault::Mistake,
    })?;
    let loaded = Loaded { settings, sources };
    let broken = loaded
        .settings
        .check(|key| loaded.sources.contains_key(key), &inputs.actions);
    // A value that was refused above has its default here, of which nothing is to be said.
    for (key, reason) in broken {
        if mistakes.iter().all(|mistake| mistake.key != key) {
            mistakes.push(loaded.refuse(&key, reason));
        }
    }
    ConfigErrors::none_of(mistakes)?;
    Ok(loaded)
}

/// Sets one key from text, in the kind its default has, and checks it on its own.
fn set(
    merged: &mut Table,
    defaults: &Table,
    key: &str,
    text: &str,
    source: Source,
    sources: &mut BTreeMap<String, Source>,
) -> Result<(), ConfigError> {
    let refuse = |reason: String| ConfigError {
        source: source.clone(),
        key: key.to_owned(),
        reason,
        fault: Fault::Mistake,
    };
    let kind = look_up(defaults, key).ok_or_else(|| refuse("there is no such setting".into()))?;
    let value = match kind {
        Value::String(_) => Value::String(text.to_owned()),
        Value::Integer(_) => Value::Integer(text.parse().map_err(|_| {
            refuse(format!(
                "`{text}` is not a whole number{}",
                file::counted(key)
            ))
        })?),
        Value::Boolean(_) => Value::Boolean(match text {
            "true" | "1" | "yes" => true,
            "false" | "0" | "no" => false,
            _ => return Err(refuse(format!("`{text}` is neither true nor false"))),
        }),
        Value::Array(_) => Value::Array(
            text.split_whitespace()
                .map(|word| Value::String(word.to_owned()))
                .collect(),
        ),
        Value::Float(_) | Value::Datetime(_) | Value::Table(_) => {
            return Err(refuse("this setting can only stand in the file".into()));
        }
    };
    try_alone(key, &value).map_err(refuse)?;
    overlay(merged, alone(key, value));
    sources.insert(key.to_owned(), source);
    Ok(())
}

/// Each variable's name with the key it sets.
fn variable_names(defaults: &Table) -> BTreeMap<String, String> {
    keys(defaults)
        .into_iter()
        .map(|key| {
            let name = format!("{PREFIX}{}", key.replace('.', "_").to_ascii_uppercase());
            (name, key)
        })
        .collect()
}

#[cfg(test)]
mod tests;
