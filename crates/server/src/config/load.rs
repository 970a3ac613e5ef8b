//! File, variables and flags become one [`Settings`].

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::Deserialize;
use toml::{Table, Value};

use super::error::{ConfigError, Source};
use super::file::{self, join};
use super::settings::Settings;

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
}

impl Inputs {
    /// The process's environment beside a file and flags. Variables that are not UTF-8 cannot be
    /// ours and are passed over.
    pub fn from_environment(
        file: Option<PathBuf>,
        flags: Vec<(&'static str, &'static str, String)>,
    ) -> Self {
        let variables = std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
            .filter(|(name, _)| name.starts_with(PREFIX))
            .collect();
        Self {
            file,
            variables,
            flags,
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
        }
    }
}

/// Reads and joins all layers.
///
/// # Errors
/// The first mistake found: a file that cannot be read or parsed, an unknown key or variable, a
/// value of the wrong kind or out of bounds, settings that contradict each other.
pub fn load(inputs: &Inputs) -> Result<Loaded, ConfigError> {
    let defaults = Table::try_from(Settings::default())
        .expect("settings are tables of text, numbers, booleans and lists");
    let mut merged = defaults.clone();
    let mut sources = BTreeMap::new();

    if let Some(path) = &inputs.file {
        let (table, lines) = file::read(path)?;
        overlay(&mut merged, table);
        sources.extend(lines.into_iter().map(|(key, line)| {
            let path = path.clone();
            (key, Source::File { path, line })
        }));
    }

    let names = variable_names(&defaults);
    for (name, text) in &inputs.variables {
        if OTHER_VARIABLES.contains(&name.as_str())
            || FOREIGN_PREFIXES.iter().any(|p| name.starts_with(p))
            || !name.starts_with(PREFIX)
        {
            continue;
        }
        let source = Source::Variable(name.clone());
        let Some(key) = names.get(name) else {
            return Err(ConfigError {
                source,
                key: String::new(),
                reason: format!("there is no such setting{}", nearest(name, names.keys())),
            });
        };
        set(&mut merged, &defaults, key, text, source, &mut sources)?;
    }

    for (flag, key, text) in &inputs.flags {
        set(
            &mut merged,
            &defaults,
            key,
            text,
            Source::Flag(flag),
            &mut sources,
        )?;
    }

    let settings = Settings::deserialize(merged).map_err(|error| ConfigError {
        source: Source::Default,
        key: String::new(),
        reason: error.message().to_owned(),
    })?;
    let loaded = Loaded { settings, sources };
    loaded
        .settings
        .check(|key| loaded.sources.contains_key(key))
        .map_err(|(key, reason)| loaded.refuse(key, reason))?;
    Ok(loaded)
}

fn overlay(below: &mut Table, above: Table) {
    for (key, value) in above {
        match (below.get_mut(&key), value) {
            (Some(Value::Table(below)), Value::Table(above)) => overlay(below, above),
            (_, value) => {
                below.insert(key, value);
            }
        }
    }
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
    };
    let kind = look_up(defaults, key).ok_or_else(|| refuse("there is no such setting".into()))?;
    let value = match kind {
        Value::String(_) => Value::String(text.to_owned()),
        Value::Integer(_) => Value::Integer(
            text.parse()
                .map_err(|_| refuse(format!("`{text}` is not a whole number")))?,
        ),
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
    let mut alone = value.clone();
    for name in key.rsplit('.') {
        alone = Value::Table(Table::from_iter([(name.to_owned(), alone)]));
    }
    Settings::deserialize(alone.clone()).map_err(|error| refuse(error.message().trim().into()))?;
    if let Value::Table(alone) = alone {
        overlay(merged, alone);
    }
    sources.insert(key.to_owned(), source);
    Ok(())
}

fn look_up<'a>(table: &'a Table, key: &str) -> Option<&'a Value> {
    let (first, rest) = key.split_once('.').unwrap_or((key, ""));
    match table.get(first)? {
        Value::Table(inner) if !rest.is_empty() => look_up(inner, rest),
        value if rest.is_empty() => Some(value),
        _ => None,
    }
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

/// Every key that holds a single value, dotted.
fn keys(table: &Table) -> Vec<String> {
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

/// "; did you mean …?" for the known name that shares the longest start with `name`.
fn nearest<'a>(name: &str, known: impl Iterator<Item = &'a String>) -> String {
    let shared = |other: &str| {
        name.bytes()
            .zip(other.bytes())
            .take_while(|(a, b)| a == b)
            .count()
    };
    known
        .max_by_key(|other| shared(other))
        .filter(|other| shared(other) > PREFIX.len() + 2)
        .map_or_else(String::new, |other| format!("; did you mean {other}?"))
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn later_layers_win() {
        let file = file(
            "data = \"/a\"\n[api]\nlisten = \"0.0.0.0:1\"\n[admin]\nlisten = \"0.0.0.0:3\"\n[sip]\nlisten = \"127.0.0.1:4\"\n",
        );
        let mut inputs = from_file(&file);
        inputs.variables = vec![
            ("MASKLINE_API_LISTEN".into(), "0.0.0.0:11".into()),
            ("MASKLINE_ADMIN_LISTEN".into(), "0.0.0.0:13".into()),
        ];
        inputs.flags = vec![("--api", "api.listen", "0.0.0.0:21".into())];
        let loaded = load(&inputs).expect("valid");
        let settings = &loaded.settings;
        assert_eq!(settings.data, "/a");
        assert_eq!(settings.api.listen.get().unwrap().port(), 21);
        assert_eq!(settings.admin.listen.port(), 13);
        assert_eq!(settings.sip.listen.port(), 4);
        assert_eq!(settings.rtp, crate::config::RtpSettings::default());
        assert_eq!(loaded.source("api.listen"), Source::Flag("--api"));
        assert_eq!(loaded.source("rtp.ports"), Source::Default);
    }

    #[test]
    fn file_mistakes_are_told_with_line_key_and_reason() {
        for (text, line, key, reason) in [
            ("data = 3\n", 1, "data", "expected a string"),
            (
                "\n[api]\nlisten = \"8080\"\n",
                3,
                "api.listen",
                "the colon is missing",
            ),
            (
                "[api]\n\n\nport = 1\n",
                4,
                "api.port",
                "unknown field `port`",
            ),
            ("[sups]\nlisten = 1\n", 1, "sups", "unknown field `sups`"),
            ("[rtp]\nports = \"1-2\"\n", 2, "rtp.ports", "below 1024"),
            (
                "[log]\nlevel = \"inof\"\n",
                2,
                "log.level",
                "not a log level",
            ),
            (
                "[log]\n\nformat = \"xml\"\n",
                3,
                "log.format",
                "unknown variant",
            ),
            ("a = \n", 1, "", "expected"),
            (
                "[jobs]\nbatch_max = 0\n",
                2,
                "jobs.batch_max",
                "not between 1",
            ),
            (
                "[jobs]\nbatch_max = -1\n",
                2,
                "jobs.batch_max",
                "invalid value",
            ),
            (
                "[api]\n# why\ncertificate = \"c.pem\"\n",
                3,
                "api.certificate",
                "private_key is missing",
            ),
            (
                "[api]\nhttps = \"127.0.0.1:1\"\n",
                2,
                "api.https",
                "needs api.certificate",
            ),
            (
                "[api]\nlisten = \"off\"\n",
                2,
                "api.listen",
                "there is no HTTPS",
            ),
            (
                "[api]\nerrors_page = \"errors-api.md\"\n",
                2,
                "api.errors_page",
                "begins with http://",
            ),
            (
                "[api]\nerrors_page = \"https://h/#top\"\n",
                2,
                "api.errors_page",
                "without a fragment",
            ),
            (
                "[sip]\ntls = \"127.0.0.1:5061\"\n",
                2,
                "sip.tls",
                "needs sip.certificate",
            ),
            (
                "[sip]\nprivate_key = \"k.pem\"\n",
                2,
                "sip.private_key",
                "certificate is missing",
            ),
            (
                "[sip]\nlisten = \"0.0.0.0:5060\"\n",
                2,
                "sip.listen",
                "set sip.advertised",
            ),
            (
                "[rtp]\nbind = \"::\"\n",
                2,
                "rtp.bind",
                "set rtp.advertised",
            ),
            (
                "[sip]\nadvertised = \"example.org\"\n",
                2,
                "sip.advertised",
                "invalid socket address",
            ),
            (
                "[calls]\nper_x_max = 0\n",
                2,
                "calls.per_x_max",
                "0 is not between 1 and",
            ),
            (
                "[prompts]\nlanguages = [\"english\", \"english\"]\n",
                2,
                "prompts.languages",
                "each once",
            ),
            (
                "[recording]\nnotice = \"callee\"\n",
                2,
                "recording.notice",
                "unknown variant",
            ),
            ("[process]\nnode = \"a b\"\n", 2, "process.node", "1 to 64"),
            (
                "[jobs]\nenabled = true\nenabled = false\n",
                3,
                "",
                "duplicate key",
            ),
        ] {
            let file = file(text);
            let error = load(&from_file(&file)).expect_err(text);
            assert_eq!(
                error.source,
                Source::File {
                    path: file.path().to_owned(),
                    line
                },
                "{text:?}: {error}"
            );
            assert_eq!(error.key, key, "{text:?}: {error}");
            assert!(error.reason.contains(reason), "{text:?}: {error}");
        }
    }

    #[test]
    fn plain_http_can_be_off_where_there_is_https() {
        for text in [
            "demo = true\n[api]\nlisten = \"off\"\n",
            "demo = true\n[api]\nlisten = \"\"\n",
            "[api]\nlisten = \"off\"\ncertificate = \"c.pem\"\nprivate_key = \"k.pem\"\n",
        ] {
            let file = file(text);
            let settings = load(&from_file(&file)).expect(text).settings;
            assert!(!settings.api.listen.is_set(), "{text}");
            assert!(settings.https().is_some(), "{text}");
        }
    }

    #[test]
    fn a_missing_file_is_an_error() {
        let inputs = Inputs {
            file: Some("/nonexistent/maskline.toml".into()),
            ..Inputs::default()
        };
        let error = load(&inputs).unwrap_err();
        assert!(
            error
                .to_string()
                .starts_with("/nonexistent/maskline.toml: cannot be read")
        );
    }

    #[test]
    fn wrong_variables_and_flags_are_told_by_name() {
        for (name, text, told) in [
            (
                "MASKLINE_API_LISTEM",
                "x",
                "did you mean MASKLINE_API_LISTEN?",
            ),
            ("MASKLINE_API_LISTEN", "x", "the colon is missing"),
            ("MASKLINE_JOBS_ENABLED", "maybe", "neither true nor false"),
            ("MASKLINE_JOBS_BATCH_MAX", "ten", "not a whole number"),
            ("MASKLINE_JOBS_BATCH_MAX", "-4", "invalid value"),
            ("MASKLINE_JOBS_BATCH_MAX", "0", "not between"),
        ] {
            let inputs = Inputs {
                variables: vec![(name.into(), text.into())],
                ..Inputs::default()
            };
            let error = load(&inputs).expect_err(name).to_string();
            assert!(error.starts_with(name) && error.contains(told), "{error}");
        }
        let inputs = Inputs {
            flags: vec![("--sip", "sip.listen", "x".into())],
            ..Inputs::default()
        };
        assert!(
            load(&inputs)
                .unwrap_err()
                .to_string()
                .starts_with("--sip: sip.listen: ")
        );
    }

    #[test]
    fn variables_of_others_are_left_alone() {
        let inputs = Inputs {
            variables: [
                "MASKLINE_SERVICE_HOST",
                "MASKLINE_PORT_8080_TCP",
                "MASKLINE_MASTER_KEY",
                "HOME",
            ]
            .map(|name| (name.to_owned(), "x".to_owned()))
            .to_vec(),
            ..Inputs::default()
        };
        assert_eq!(load(&inputs).unwrap().settings, Settings::default());
    }

    #[test]
    fn lists_and_switches_can_be_variables() {
        let inputs = Inputs {
            variables: vec![
                (
                    "MASKLINE_MASTER_KEY_COMMAND".into(),
                    "vault read  key".into(),
                ),
                ("MASKLINE_JOBS_ENABLED".into(), "false".into()),
                ("MASKLINE_API_CERTIFICATE".into(), String::new()),
            ],
            ..Inputs::default()
        };
        let settings = load(&inputs).unwrap().settings;
        assert_eq!(settings.master_key.command, ["vault", "read", "key"]);
        assert!(!settings.jobs.enabled);
        assert!(!settings.api.certificate.is_set());
    }

    fn file(text: &str) -> tempfile::NamedTempFile {
        let mut file = tempfile::NamedTempFile::new().expect("a temporary file");
        file.write_all(text.as_bytes())
            .expect("room for a small file");
        file
    }

    fn from_file(file: &tempfile::NamedTempFile) -> Inputs {
        Inputs {
            file: Some(file.path().to_owned()),
            ..Inputs::default()
        }
    }
}
