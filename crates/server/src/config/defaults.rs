//! The defaults: what the example file says.
//!
//! `docs/maskline.example.toml` is compiled into the program and read here, so that what operators are
//! shown is what the program does. One rule: in a line `#name = value`, without a blank behind the mark,
//! the mark is left out; every other line counts as TOML counts it. An empty text is the default of what
//! can be off. A setting that the file lacks, or holds beside those that there are, is found by the tests
//! below and by the first start.

use std::sync::LazyLock;

use serde::Deserialize;
use toml::{Table, Value};

use super::keys::look_up;
use super::settings::Settings;

/// The example file.
pub(super) const EXAMPLE: &str = include_str!("../../../../docs/maskline.example.toml");

/// Why the example cannot be wrong where the program runs.
const TESTED: &str = "the tests read the example file that is compiled in";

/// Every setting with its default, as a file would say it.
pub(super) fn table() -> &'static Table {
    static TABLE: LazyLock<Table> = LazyLock::new(|| shown(EXAMPLE).expect(TESTED));
    &TABLE
}

/// The default of a single value at a dotted key, as a flag would say it.
///
/// # Panics
/// When there is no such setting. A test builds every help text that shows a default.
pub fn default_text(key: &str) -> String {
    match look_up(table(), key) {
        Some(Value::String(text)) => text.clone(),
        Some(value) => value.to_string(),
        None => panic!("{key} is no setting"),
    }
}

impl Default for Settings {
    /// What the example file shows.
    fn default() -> Self {
        Self::deserialize(table().clone()).expect(TESTED)
    }
}

/// What an example file shows, its lines `#name = value` included.
///
/// # Errors
/// When it is no TOML then.
fn shown(example: &str) -> Result<Table, toml::de::Error> {
    let lines = example.lines().map(without_mark);
    lines
        .flat_map(|line| [line, "\n"])
        .collect::<String>()
        .parse()
}

/// `#name = value` is a setting left at its default; `# words` is a comment.
fn without_mark(line: &str) -> &str {
    match line.strip_prefix('#') {
        Some(rest) if rest.starts_with(|c: char| c.is_ascii_lowercase()) => rest,
        _ => line,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Inputs, load};

    #[test]
    #[should_panic(expected = "api.lisen is no setting")]
    fn a_default_of_no_setting_is_not_shown() {
        default_text("api.lisen");
    }

    /// What of an example is not as the settings want it; none if nothing is.
    fn disagreement(example: &str) -> Option<String> {
        let table = match shown(example) {
            Ok(table) => table,
            Err(error) => return Some(error.message().to_owned()),
        };
        let settings = match Settings::deserialize(table.clone()) {
            Ok(settings) => settings,
            Err(error) => return Some(error.message().to_owned()),
        };
        let broken = settings.check(|_| false, &[]);
        if let Some((key, reason)) = broken.into_iter().next() {
            return Some(format!("{key}: {reason}"));
        }
        // Written another way than the program would, a default would count as changed at each reload.
        let again = Table::try_from(settings).expect("tables of text, numbers, booleans and lists");
        (again != table).then(|| "not written as the program writes it".to_owned())
    }

    #[test]
    fn the_example_agrees_with_the_settings_and_what_does_not_is_found() {
        assert_eq!(disagreement(EXAMPLE), None);
        let planted = [
            ("#tcp = true\n", "", "missing field `tcp`"),
            ("#tcp = true\n", "# tcp = true\n", "missing field `tcp`"),
            ("[rtp]\n", "", "duplicate key"),
            ("[jobs]\n", "", "unknown field `batch_max`"),
            (
                "#tcp = true\n",
                "#tcp = true\n#sctp = true\n",
                "unknown field `sctp`",
            ),
            ("#demo = false\n", "#demo = \"no\"\n", "expected a boolean"),
            (
                "#per_x_max = 30\n",
                "#per_x_max = 0\n",
                "calls.per_x_max: 0 is not",
            ),
            ("#per_x_max = 30\n", "#per_x_max = -1\n", "invalid value"),
            ("#tls = \"\"\n", "#tls = \"off\"\n", "not written as"),
            ("#tls = \"\"\n", "#tls = \"x\"\n", "the colon is missing"),
            (
                "#level = \"info\"\n",
                "#level = \"inof\"\n",
                "not a log level",
            ),
            ("#level = \"info\"\n", "#level = info\n", "invalid float"),
            (
                "#level = \"info\"\n",
                "#level = \"info\"\n#level = \"warn\"\n",
                "duplicate key",
            ),
            ("[process]\n", "[proces]\n", "unknown field `proces`"),
            (
                "#listen = \"127.0.0.1:8081\"\n",
                "#listen = \"127.0.0.1:8080\"\n",
                "is wanted by",
            ),
        ];
        let mut unlike = Vec::new();
        for (line, instead, told) in planted {
            assert!(EXAMPLE.contains(line), "{line}");
            let found = disagreement(&EXAMPLE.replacen(line, instead, 1));
            if !found.as_ref().is_some_and(|found| found.contains(told)) {
                unlike.push((line, instead, found));
            }
        }
        assert_eq!(unlike, []);
    }

    #[test]
    fn the_example_as_it_is_changes_nothing() {
        let inputs = Inputs {
            file: Some(
                concat!(
                    env!("CARGO_MANIFEST_DIR"),
                    "/../../docs/maskline.example.toml"
                )
                .into(),
            ),
            ..Inputs::default()
        };
        let loaded = load(&inputs).expect("valid");
        assert_eq!(loaded.settings, Settings::default());
        assert_eq!(loaded.warnings(), []);
    }

    /// The address of the repository stands in the manifest, too.
    #[test]
    fn the_page_about_errors_is_that_of_this_repository() {
        let page = Settings::default().api.errors_page;
        let repository = env!("CARGO_PKG_REPOSITORY");
        assert_eq!(
            page.get().unwrap(),
            &format!("{repository}/blob/main/docs/errors-api.md")
        );
    }
}
