//! Settings that change while the process runs: log level, limits, language, certificates.
//!
//! A reload is all or nothing. Everything is read and prepared first; only when every part is
//! content does anything change. A mistake anywhere leaves the running settings as they were.

use toml::{Table, Value};

use super::error::{ConfigError, ConfigErrors};
use super::load::{Inputs, Loaded, load};
use super::settings::Settings;

/// Keys that a reload applies; a section ends in a dot.
const RELOADABLE: [&str; 10] = [
    "log.level",
    "limits.",
    "api.language",
    "api.errors_page",
    "api.certificate",
    "api.private_key",
    "sip.certificate",
    "sip.private_key",
    "sip.client_authorities",
    "sip.server_authorities",
];

/// A part that follows the settings: it prepares for new ones, or says why it cannot, and gives back
/// what is left to do once all others agree. That last step cannot fail.
pub type Part = Box<dyn Fn(&Loaded) -> Result<Box<dyn FnOnce() + Send>, ConfigError> + Send + Sync>;

/// What a reload did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reload {
    /// Keys whose new value is in force.
    pub applied: Vec<String>,
    /// Keys whose new value waits for a restart.
    pub needs_restart: Vec<String>,
}

/// Reads the settings again and hands them to the parts that follow them.
pub struct Reloader {
    inputs: Inputs,
    in_force: Settings,
    parts: Vec<Part>,
}

impl Reloader {
    /// `inputs` are read again on each reload: the file as it then is, variables and flags as they
    /// were at the start.
    pub fn new(inputs: Inputs, started_with: &Loaded) -> Self {
        Self {
            inputs,
            in_force: started_with.settings.clone(),
            parts: Vec::new(),
        }
    }

    /// The settings that are in force.
    pub fn in_force(&self) -> &Settings {
        &self.in_force
    }

    /// Adds a part that follows the settings.
    pub fn follow(&mut self, part: Part) {
        self.parts.push(part);
    }

    /// Reads everything again and applies what may change.
    ///
    /// # Errors
    /// Every mistake found; then nothing has changed.
    pub fn reload(&mut self) -> Result<Reload, ConfigErrors> {
        let loaded = load(&self.inputs)?;
        let mut prepared = Vec::new();
        let mut mistakes = Vec::new();
        for part in &self.parts {
            match part(&loaded) {
                Ok(apply) => prepared.push(apply),
                Err(mistake) => mistakes.push(mistake),
            }
        }
        ConfigErrors::none_of(mistakes)?;
        let mut report = Reload::default();
        for key in differing(&self.in_force, &loaded.settings) {
            if is_reloadable(&key) {
                report.applied.push(key);
            } else {
                report.needs_restart.push(key);
            }
        }
        for apply in prepared {
            apply();
        }
        self.take_over(loaded.settings);
        Ok(report)
    }

    /// Remembers what is in force: the reloadable keys of the new settings, the rest as started, so
    /// that a key that waits for a restart is named again at the next reload.
    fn take_over(&mut self, new: Settings) {
        self.in_force.log.level = new.log.level;
        self.in_force.limits = new.limits;
        self.in_force.api.language = new.api.language;
        self.in_force.api.errors_page = new.api.errors_page;
        self.in_force.api.certificate = new.api.certificate;
        self.in_force.api.private_key = new.api.private_key;
        self.in_force.sip.certificate = new.sip.certificate;
        self.in_force.sip.private_key = new.sip.private_key;
        self.in_force.sip.client_authorities = new.sip.client_authorities;
        self.in_force.sip.server_authorities = new.sip.server_authorities;
    }
}

fn is_reloadable(key: &str) -> bool {
    RELOADABLE
        .iter()
        .any(|name| key == *name || (name.ends_with('.') && key.starts_with(name)))
}

/// The dotted keys whose values differ.
fn differing(old: &Settings, new: &Settings) -> Vec<String> {
    let as_table = |settings: &Settings| {
        Table::try_from(settings).expect("settings are tables of text, numbers and lists")
    };
    let mut found = Vec::new();
    compare("", &as_table(old), &as_table(new), &mut found);
    found
}

fn compare(above: &str, old: &Table, new: &Table, found: &mut Vec<String>) {
    let mut names: Vec<&String> = old.keys().chain(new.keys()).collect();
    names.sort();
    names.dedup();
    for name in names {
        let key = if above.is_empty() {
            name.clone()
        } else {
            format!("{above}.{name}")
        };
        match (old.get(name), new.get(name)) {
            (Some(Value::Table(old)), Some(Value::Table(new))) => compare(&key, old, new, found),
            (old, new) if old != new => found.push(key),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    #[test]
    fn limits_change_and_addresses_wait_for_a_restart() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("maskline.toml");
        let mut reloader = start(&path, "[limits]\naccount_per_s = 1\n");
        assert_eq!(reloader.in_force().limits.account_per_s, 1);

        let text = "[limits]\naccount_per_s = 2\n[limits.actions]\nBindAxn = 7\n[api]\nlisten = \"127.0.0.1:1\"\n";
        std::fs::write(&path, text).unwrap();
        let report = reloader.reload().expect("valid");
        assert_eq!(
            report.applied,
            ["limits.account_per_s", "limits.actions.BindAxn"]
        );
        assert_eq!(report.needs_restart, ["api.listen"]);
        assert_eq!(reloader.in_force().limits.account_per_s, 2);
        assert_eq!(reloader.in_force().limits.actions["BindAxn"], 7);

        let again = reloader.reload().expect("valid");
        assert_eq!(again.applied, Vec::<String>::new());
        assert_eq!(again.needs_restart, ["api.listen"]);
    }

    #[test]
    fn a_bad_file_changes_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("maskline.toml");
        let mut reloader = start(&path, "[limits]\naccount_per_s = 1\n");
        for text in [
            "[limits]\naccount_per_s = 2\nnonsense = 1\n",
            "[limits]\naccount_per_s = 2\n[[",
            "",
        ] {
            std::fs::write(&path, text).unwrap();
            if text.is_empty() {
                std::fs::remove_file(&path).unwrap();
            }
            reloader.reload().expect_err(text);
            assert_eq!(reloader.in_force().limits.account_per_s, 1);
        }
    }

    #[test]
    fn one_part_that_refuses_stops_all_others() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("maskline.toml");
        let mut reloader = start(&path, "");
        let applied = Arc::new(AtomicU32::new(0));
        let count = applied.clone();
        reloader.follow(Box::new(move |_| {
            let count = count.clone();
            Ok(Box::new(move || {
                count.fetch_add(1, Ordering::SeqCst);
            }))
        }));
        reloader.reload().expect("content");
        assert_eq!(applied.load(Ordering::SeqCst), 1);

        reloader.follow(Box::new(|loaded| {
            Err(loaded.refuse("api.certificate", "not a certificate"))
        }));
        std::fs::write(&path, "[limits]\naccount_per_s = 2\n").unwrap();
        let error = reloader.reload().unwrap_err();
        assert_eq!(
            error.to_string(),
            "default: api.certificate: not a certificate"
        );
        assert_eq!(applied.load(Ordering::SeqCst), 1);
        assert_ne!(reloader.in_force().limits.account_per_s, 2);
    }

    fn start(path: &Path, text: &str) -> Reloader {
        std::fs::write(path, text).unwrap();
        let inputs = Inputs {
            file: Some(path.to_owned()),
            actions: vec!["BindAxn"],
            ..Inputs::default()
        };
        let loaded = load(&inputs).expect("valid");
        Reloader::new(inputs, &loaded)
    }
}
