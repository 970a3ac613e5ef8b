//! Settings that change while the process runs: log level, limits, language, certificates.
//!
//! A reload is all or nothing. Everything is read and prepared first; only when every part is
//! content does anything change. A mistake anywhere leaves the running settings as they were.

use toml::{Table, Value};

use super::error::{ConfigError, ConfigErrors};
use super::keys::join;
use super::load::{Inputs, Loaded, load};
use super::settings::Settings;

/// From one list of settings, and sections as a whole, the list of their names and what takes them over.
macro_rules! reloadable {
    ($($section:ident $(. $key:ident)?),* $(,)?) => {
        /// Keys, and sections by their name alone, that a reload applies. The example file and the page about
        /// configuration name the same.
        const RELOADABLE: &[&str] = &[
            $(concat!(stringify!($section) $(, ".", stringify!($key))?)),*
        ];

        /// What is in force after a reload: the reloadable keys of the new settings, the rest as started.
        fn take_over(in_force: &mut Settings, new: &Settings) {
            $(in_force.$section$(.$key)?.clone_from(&new.$section$(.$key)?);)*
        }
    };
}

reloadable![
    log.level,
    limits,
    api.language,
    api.errors_page,
    api.fault_numbers,
    api.certificate,
    api.private_key,
    sip.certificate,
    sip.private_key,
    sip.client_authorities,
    sip.server_authorities,
];

/// A part that follows the settings: it prepares for those that are to be in force, in which all that waits
/// for a restart is as it was, or says why it cannot, and gives back what is left to do once all others agree.
/// That last step cannot fail.
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
        let mut loaded = load(&self.inputs)?;
        let differing = differing(&self.in_force, &loaded.settings);
        let mut next = self.in_force.clone();
        take_over(&mut next, &loaded.settings);
        loaded.settings = next;
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
        for key in differing {
            if is_reloadable(&key) {
                report.applied.push(key);
            } else {
                report.needs_restart.push(key);
            }
        }
        for apply in prepared {
            apply();
        }
        // A key that waits for a restart is named again at the next reload.
        self.in_force = loaded.settings;
        Ok(report)
    }
}

fn is_reloadable(key: &str) -> bool {
    let below = |name| key.strip_prefix(name);
    RELOADABLE
        .iter()
        .filter_map(below)
        .any(|rest| rest.is_empty() || rest.starts_with('.'))
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
        let key = join(above, name);
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

    /// A part that takes over all of its section would else bring in what the log says waits for a restart.
    #[test]
    fn parts_see_only_what_a_reload_may_change() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("maskline.toml");
        let mut reloader = start(&path, "");
        let seen = Arc::new(parking_lot::Mutex::new(None));
        let into = seen.clone();
        reloader.follow(Box::new(move |loaded| {
            *into.lock() = Some(loaded.settings.clone());
            Ok(Box::new(|| ()))
        }));
        let text = "[api]\nbody_max_bytes = 2048\nlanguage = \"english\"\n[calls]\ncalls_max = 7\n\
            [limits]\nclock_skew_s = 60\n";
        std::fs::write(&path, text).unwrap();
        let report = reloader.reload().expect("valid");
        assert_eq!(report.applied, ["api.language", "limits.clock_skew_s"]);
        assert_eq!(
            report.needs_restart,
            ["api.body_max_bytes", "calls.calls_max"]
        );
        assert_eq!(seen.lock().as_ref(), Some(reloader.in_force()));
    }

    /// A setting is called reloadable in the comment right above it, which several may share.
    #[test]
    fn the_example_file_calls_reloadable_what_is() {
        let mut section = String::new();
        let mut said = (String::new(), false);
        let mut wrong = Vec::new();
        let mut seen = 0;
        for line in super::super::defaults::EXAMPLE.lines() {
            let setting = line.strip_prefix('#').unwrap_or(line);
            if let Some(name) = line.strip_prefix('[') {
                section = format!("{}.", name.trim_end_matches(']'));
                said = (String::new(), false);
            } else if let Some((name, _)) = setting
                .split_once(" = ")
                .filter(|(name, _)| !name.is_empty() && !name.contains([' ', '#']))
            {
                said.1 = true;
                seen += 1;
                let key = format!("{section}{name}");
                if is_reloadable(&key) != said.0.to_lowercase().contains("reloadable") {
                    wrong.push(key);
                }
            } else {
                if said.1 || line.is_empty() {
                    said = (String::new(), false);
                }
                said.0.push_str(line);
            }
        }
        assert!(seen > 60, "{seen} settings");
        assert_eq!(wrong, Vec::<String>::new());
    }

    #[test]
    fn the_page_about_configuration_lists_what_is_reloadable() {
        let page = include_str!("../../../../docs/configuration.md");
        let told = page
            .split("reads everything again.")
            .nth(1)
            .and_then(|rest| rest.split("change at once").next())
            .expect("the sentence");
        let told: Vec<&str> = told.split('`').skip(1).step_by(2).collect();
        let held: Vec<String> = RELOADABLE
            .iter()
            .map(|key| match key.contains('.') {
                true => (*key).to_owned(),
                false => format!("[{key}]"),
            })
            .collect();
        assert_eq!(told, held);
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
