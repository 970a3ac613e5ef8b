//! The documents agree with the program.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use maskline_server::admin::document::Document;
use maskline_server::api::errors::Language;
use maskline_server::api::fault_numbers::{FAULT_NUMBERS, Fault, SLOW};
use maskline_server::config::Settings;
use toml::{Table, Value};

#[test]
fn the_example_of_a_document_says_all_that_one_can_say() {
    let text = read("docs/apply.example.toml");
    let mut document: Document = toml::from_str(&text).expect("a document");
    assert!(!document.accounts.is_empty() && !document.trunks.is_empty());
    // What stands there as a comment can be said too.
    let uncommented: String = text
        .lines()
        .map(|line| match line.strip_prefix("# ") {
            Some(rest) if rest.contains(" = ") && !rest.starts_with(char::is_uppercase) => {
                format!("{rest}\n")
            }
            _ => format!("{line}\n"),
        })
        .collect();
    document = toml::from_str(&uncommented).expect("a document, comments included");
    assert!(document.accounts[0].requests_per_s_max.is_some());
    assert!(document.pools[0].legacy_type.is_some());
    assert!(document.emergency_numbers.is_some());
    assert!(document.pools[0].carrier.is_some());
    assert!(document.pools[0].retention.is_some());
    // Certificates take many lines, and are described.
    let carrier = serde_json::to_value(&document.carriers[0]).expect("plain values");
    let members = carrier.as_object().expect("members").len();
    assert_eq!(members, 11, "the example leaves a member of a carrier out");
    // A member that is not said is left out.
    let trunk = serde_json::to_value(&document.trunks[0]).expect("plain values");
    let members = trunk.as_object().expect("members").len();
    assert_eq!(members, 38, "the example leaves a member of a trunk out");
}

/// Number and answer of each row, in order; in Chinese, with the text that is answered.
#[test]
fn the_pages_about_fault_numbers_list_all_of_them() {
    for (page, language) in [
        ("docs/fault-numbers.md", Language::English),
        ("docs/fault-numbers.zh-CN.md", Language::Chinese),
    ] {
        let text = read(page);
        let rows = text.lines().filter(|line| line.starts_with("| `179"));
        let told: Vec<Vec<&str>> = rows
            .map(|row| row.split('|').map(str::trim).skip(1).take(3).collect())
            .collect();
        assert_eq!(told.len(), FAULT_NUMBERS.len(), "{page}");
        for (row, (digits, fault)) in told.iter().zip(FAULT_NUMBERS) {
            assert_eq!(row[0], format!("`{digits}`"), "{page}");
            let (answer, text) = match fault {
                Fault::Code(code) => (format!("`{}`", code.code()), Some(code.message(language))),
                Fault::Slow => ("slow".to_owned(), None),
                Fault::LostBehind => ("lost behind".to_owned(), None),
                Fault::LostBefore => ("lost before".to_owned(), None),
            };
            assert_eq!(row[1], answer, "{page}: {digits}");
            assert!(text.is_none_or(|text| row[2] == text), "{page}: {digits}");
        }
        let seconds = format!("{} ", SLOW.as_secs());
        let slow = told.iter().find(|row| row[1] == "slow").expect("a row");
        assert!(slow[2].contains(&seconds), "{page}");
    }
}

#[test]
fn what_the_unit_and_the_image_set_are_settings() {
    let defaults = Table::try_from(Settings::default()).expect("a table");
    let known: BTreeSet<String> = keys(&defaults)
        .iter()
        .map(|key| format!("MASKLINE_{}", key.replace('.', "_").to_uppercase()))
        .chain(
            ["CONFIG", "MASTER_KEY", "ADMIN_URL", "TOKEN"].map(|name| format!("MASKLINE_{name}")),
        )
        .collect();
    for file in [
        "packaging/Dockerfile",
        "packaging/maskline.service",
        "docs/install.md",
        "docs/configuration.md",
    ] {
        for name in variables(&read(file)) {
            let prefix = [
                "MASKLINE_SERVICE_",
                "MASKLINE_PORT",
                "MASKLINE_TEST_",
                "MASKLINE_API_LISTEM",
            ];
            let excepted =
                prefix.iter().any(|prefix| name.starts_with(prefix)) || name == "MASKLINE_";
            assert!(excepted || known.contains(&name), "{file} names {name}");
        }
    }
}

/// The defaults are compiled in, so the image cannot be built without their file.
#[test]
fn the_image_is_built_with_the_defaults() {
    let defaults = "docs/maskline.example.toml";
    assert!(read("packaging/Dockerfile").contains(&format!("COPY {defaults} docs/")));
    assert!(read("packaging/Dockerfile.dockerignore").contains(&format!("!{defaults}")));
}

#[test]
fn configuration_names_every_section() {
    let text = read("docs/configuration.md") + &read("docs/maskline.example.toml");
    let defaults = Table::try_from(Settings::default()).expect("a table");
    for (name, value) in &defaults {
        if value.is_table() {
            assert!(text.contains(&format!("[{name}]")), "{name}");
        }
    }
}

#[test]
fn every_route_of_the_admin_api_is_described() {
    let source = read("crates/server/src/admin/routes.rs");
    let described = read("docs/admin-api.md");
    let routes: Vec<&str> = source
        .split('"')
        .filter(|text| text.starts_with("/v1/"))
        .collect();
    assert!(routes.len() > 15);
    for route in routes {
        let whole = [format!("{route}`"), format!("{route}?")];
        assert!(whole.iter().any(|text| described.contains(text)), "{route}");
    }
}

fn keys(table: &Table) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for (name, value) in table {
        match value {
            Value::Table(inner) => {
                found.extend(keys(inner).into_iter().map(|key| format!("{name}.{key}")));
            }
            _ => {
                found.insert(name.clone());
            }
        }
    }
    found
}

fn variables(text: &str) -> BTreeSet<String> {
    let is_part = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_';
    text.split(|c| !is_part(c))
        .filter(|word| word.starts_with("MASKLINE_"))
        .map(str::to_owned)
        .collect()
}

fn read(file: &str) -> String {
    let path = root().join(file);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .ancestors()
        .nth(2)
        .expect("a workspace")
        .to_owned()
}
