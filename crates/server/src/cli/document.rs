//! Documents as files: read with every mistake, each at its line, and with the place of each entry, so that
//! what the service has against one is told there too.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value as Json;
use toml::de::{DeTable, DeValue};
use toml::{Spanned, Table, Value};

use crate::admin::document::Document;
use crate::mistakes::FILE_MISTAKES_MAX;
use crate::suggest;

/// The tables of a document with an entry each, and what an entry needs: with these it is whole.
const ENTRIES: [(&str, &[&str]); 7] = [
    ("account", &["id"]),
    ("user", &["account", "name"]),
    ("key", &["id"]),
    ("carrier", &["name"]),
    ("pool", &["key"]),
    ("numbers", &["city"]),
    ("trunk", &["name"]),
];
/// What else a document can say.
const OTHERS: [&str; 2] = ["emergency_numbers", "remove"];

/// A document, and where it stands.
#[derive(Debug)]
pub struct Written {
    /// What it says.
    pub document: Document,
    file: String,
    /// Empty for JSON.
    lines: LineNumbers,
}

impl Written {
    /// Reads TOML, or JSON if it begins with a brace.
    ///
    /// # Errors
    /// `FILE:LINE: …` for each mistake; of JSON for the first.
    pub fn read(file: &str, text: &str) -> Result<Self, String> {
        let (document, lines) = if text.trim_start().starts_with('{') {
            let document = serde_json::from_str(text).map_err(|error| {
                let reason = error.to_string();
                format!("{file}:{}: {}", error.line(), suggest::with_hint(&reason))
            })?;
            (document, BTreeMap::new())
        } else {
            read_toml(text).map_err(|mistakes| {
                let told = mistakes.iter().take(FILE_MISTAKES_MAX);
                let told = told.map(|(line, reason)| format!("{file}:{line}: {reason}"));
                let mut told: Vec<String> = told.collect();
                if mistakes.len() > FILE_MISTAKES_MAX {
                    told.push(format!(
                        "{file}: and {} more",
                        mistakes.len() - FILE_MISTAKES_MAX
                    ));
                }
                told.join("\n")
            })?
        };
        Ok(Self {
            document,
            file: file.to_owned(),
            lines,
        })
    }

    /// `FILE:LINE: ` of an entry as the service names it, or of a text that begins with what it is about,
    /// as in `trunk NAME: …`; `FILE: ` where no line is known.
    pub fn place(&self, named: &Json) -> String {
        let told = named.as_str().and_then(|text| self.entry_of(text));
        let (kind, index) = told.unwrap_or_else(|| {
            let kind = named["kind"].as_str().unwrap_or_default();
            (
                kind.to_owned(),
                named["index"].as_u64().unwrap_or(0) as usize,
            )
        });
        match self.lines.get(&(kind, index)) {
            Some(line) => format!("{}:{line}: ", self.file),
            None => format!("{}: ", self.file),
        }
    }
}

type Mistake = (usize, String);

/// The line of an entry, by table and place.
type LineNumbers = BTreeMap<(String, usize), usize>;

impl Written {
    fn entry_of(&self, text: &str) -> Option<(String, usize)> {
        let (what, _) = text.split_once(": ")?;
        let (kind, name) = what.split_once(' ')?;
        let document = &self.document;
        let index = match kind {
            "trunk" => document.trunks.iter().position(|trunk| trunk.name == name),
            "user" => document
                .users
                .iter()
                .position(|user| format!("{}/{}", user.account, user.name) == name),
            _ => None,
        };
        Some((kind.to_owned(), index?))
    }
}

fn read_toml(text: &str) -> Result<(Document, LineNumbers), Vec<Mistake>> {
    let line_at = |offset: usize| {
        1 + text.as_bytes()[..offset]
            .iter()
            .filter(|b| **b == b'\n')
            .count()
    };
    let (parsed, broken) = DeTable::parse_recoverable(text);
    if !broken.is_empty() {
        let told = broken.iter().map(|error| {
            let line = error.span().map_or(1, |span| line_at(span.start));
            (line, error.message().to_owned())
        });
        return Err(told.collect());
    }
    let table: Table = text
        .parse()
        .map_err(|error: toml::de::Error| vec![(1, error.message().to_owned())])?;
    let mut offsets = BTreeMap::new();
    collect_offsets("", parsed.get_ref(), &mut offsets);
    let line_of = |path: &str| offsets.get(path).map_or(1, |offset| line_at(*offset));

    let mut wrong: Vec<(String, String)> = Vec::new();
    for (name, value) in &table {
        match ENTRIES.iter().find(|(kind, _)| kind == name) {
            Some((_, needed)) => check_entries(name, needed, value, &mut wrong),
            None if OTHERS.contains(&name.as_str()) => check_other(name, value, &mut wrong),
            None => {
                let known: Vec<&str> = ENTRIES
                    .iter()
                    .map(|(kind, _)| *kind)
                    .chain(OTHERS)
                    .collect();
                let reason = suggest::among(name, &known);
                wrong.push((name.clone(), reason));
            }
        }
    }
    let mut mistakes: Vec<Mistake> = wrong
        .into_iter()
        .map(|(path, reason)| (line_of(&path), format!("{}: {reason}", shown(&path))))
        .collect();
    mistakes.sort();
    if !mistakes.is_empty() {
        return Err(mistakes);
    }
    let document = toml::from_str(text).map_err(|error| {
        let line = error.span().map_or(1, |span| line_at(span.start));
        vec![(line, suggest::with_hint(error.message()))]
    })?;
    let mut lines = BTreeMap::new();
    for (path, offset) in &offsets {
        if let Some((kind, place)) = path.split_once('.')
            && let Ok(index) = place.parse()
        {
            lines.insert((kind.to_owned(), index), line_at(*offset));
        }
    }
    for name in OTHERS {
        lines.insert((name.to_owned(), 0), line_of(name));
    }
    Ok((document, lines))
}

/// Tries each field of each entry on its own, beside what makes an entry whole.
fn check_entries(kind: &str, needed: &[&str], value: &Value, wrong: &mut Vec<(String, String)>) {
    let Value::Array(entries) = value else {
        wrong.push((
            kind.to_owned(),
            format!("entries are written as [[{kind}]]"),
        ));
        return;
    };
    for (index, entry) in entries.iter().enumerate() {
        let path = format!("{kind}.{index}");
        let Value::Table(entry) = entry else {
            wrong.push((path, format!("an entry is a table, written as [[{kind}]]")));
            continue;
        };
        let mut all_right = true;
        for (name, value) in entry {
            let with = |value: &Value| {
                let mut alone: Table = needed
                    .iter()
                    .map(|name| ((*name).to_owned(), Value::String("x".to_owned())))
                    .collect();
                alone.insert(name.clone(), value.clone());
                try_document(kind, Value::Array(vec![Value::Table(alone)]))
            };
            all_right &= check_value(&format!("{path}.{name}"), value, &with, wrong);
        }
        if all_right
            && let Err(reason) = try_document(kind, Value::Array(vec![entry.clone().into()]))
        {
            wrong.push((path, reason));
        }
    }
}

/// The list of emergency numbers, and what should be gone.
fn check_other(name: &str, value: &Value, wrong: &mut Vec<(String, String)>) {
    match value {
        Value::Table(fields) => {
            for (field, value) in fields {
                let with = |value: &Value| {
                    let alone = Table::from_iter([(field.clone(), value.clone())]);
                    try_document(name, Value::Table(alone))
                };
                check_value(&format!("{name}.{field}"), value, &with, wrong);
            }
        }
        value => {
            let with = |value: &Value| try_document(name, value.clone());
            check_value(name, value, &with, wrong);
        }
    }
}

/// Tries a value, and where a list is wrong each of its members; whether it is right.
fn check_value(
    path: &str,
    value: &Value,
    with: &dyn Fn(&Value) -> Result<(), String>,
    wrong: &mut Vec<(String, String)>,
) -> bool {
    let Err(reason) = with(value) else {
        return true;
    };
    let before = wrong.len();
    if let Value::Array(members) = value {
        for (index, member) in members.iter().enumerate() {
            if let Err(reason) = with(&Value::Array(vec![member.clone()])) {
                wrong.push((format!("{path}.{index}"), reason));
            }
        }
    }
    if wrong.len() == before {
        wrong.push((path.to_owned(), reason));
    }
    false
}

/// Whether a document can say this one thing.
fn try_document(name: &str, value: Value) -> Result<(), String> {
    let table = Table::from_iter([(name.to_owned(), value)]);
    match Document::deserialize(table) {
        Ok(_) => Ok(()),
        Err(error) => Err(suggest::with_hint(error.message())),
    }
}

/// Where each key and each member of a list begins, by dotted path.
fn collect_offsets(above: &str, table: &DeTable<'_>, offsets: &mut BTreeMap<String, usize>) {
    for (name, value) in table {
        let path = match above {
            "" => name.get_ref().to_string(),
            above => format!("{above}.{}", name.get_ref()),
        };
        offsets.insert(path.clone(), name.span().start);
        collect_within(&path, value, offsets);
    }
}

fn collect_within(path: &str, value: &Spanned<DeValue<'_>>, offsets: &mut BTreeMap<String, usize>) {
    match value.get_ref() {
        DeValue::Table(inner) => collect_offsets(path, inner, offsets),
        DeValue::Array(members) => {
            for (index, member) in members.iter().enumerate() {
                let path = format!("{path}.{index}");
                offsets.insert(path.clone(), member.span().start);
                collect_within(&path, member, offsets);
            }
        }
        _ => {}
    }
}

/// A path as people write it: without the places of entries and members.
fn shown(path: &str) -> String {
    let names = path
        .split('.')
        .filter(|name| name.parse::<usize>().is_err());
    names.collect::<Vec<_>>().join(".")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn documents_are_toml_or_json() {
        let toml = Written::read(
            "f",
            "[[account]]\nid = \"acme\"\nreal_name_verified = true\n",
        )
        .unwrap();
        let json = r#" {"account": [{"id": "acme", "real_name_verified": true}]}"#;
        let json = Written::read("f", json).unwrap();
        assert_eq!(toml.document, json.document);
        assert_eq!(toml.place(&json!({"kind": "account", "index": 0})), "f:1: ");
        assert_eq!(json.place(&json!({"kind": "account", "index": 0})), "f: ");
        let trunks = Written::read(
            "f",
            "\n[[trunk]]\nname = \"t\"\npeer = \"192.0.2.1:5060\"\n",
        )
        .unwrap();
        assert_eq!(trunks.place(&json!("trunk t: odd")), "f:2: ");
        assert_eq!(trunks.place(&json!("odd")), "f: ");
    }

    #[test]
    fn mistakes_are_told_with_their_line_and_what_was_meant() {
        for (text, told) in [
            (
                "[[account]]\nid = \"a\"\nstatus = \"rich\"\n",
                ":3: account.status: unknown variant `rich`",
            ),
            (
                "[[account]]\nid = \"a\"\nstatus = \"in_arrear\"\n",
                "did you mean in_arrears?",
            ),
            (
                "[[account]]\nid = \"a\"\nverified = true\n",
                ":3: account.verified: unknown field",
            ),
            (
                "[[account]]\nstatus = \"active\"\n",
                ":1: account: missing field `id`",
            ),
            (
                "[[acount]]\nid = \"a\"\n",
                ":1: acount: `acount` is none of",
            ),
            ("[[acount]]\nid = \"a\"\n", "did you mean account?"),
            (
                "[account]\nid = \"a\"\n",
                ":1: account: entries are written as [[account]]",
            ),
            (
                "[[pool]]\nkey = \"FC1\"\nproduct = \"axnn\"\n",
                "did you mean axn?",
            ),
            (
                "[[pool]]\nkey = \"FC1\"\ncooling = 3\n",
                "did you mean cooling_s?",
            ),
            (
                "[[pool]]\nkey = \"FC1\"\ncooling_s = \"3s\"\n",
                ":3: pool.cooling_s: invalid type",
            ),
            (
                "[[numbers]]\ncity = \"x\"\nlist = [\n  \"17000000001\",\n  \"1700 0002\",\n]\n",
                ":5: numbers.list: a number consists of digits only",
            ),
            (
                "[[user]]\naccount = \"a\"\nname = \"b\"\n[[user.statement]]\neffect = \"alow\"\nactions = [\"*\"]\n",
                "did you mean allow?",
            ),
            (
                "[remove]\nnumber = []\n",
                ":2: remove.number: unknown field `number`",
            ),
            (
                "emergency_numbers = [\"110\", \"x\"]\n",
                ":1: emergency_numbers: a number",
            ),
            ("{\"account\":\n [{}]}", ":2: missing field"),
            ("{\"acount\": []}", "did you mean account?"),
        ] {
            let error = Written::read("f", text).unwrap_err();
            assert!(error.contains(told), "{text}: {error}");
        }
    }

    #[test]
    fn all_mistakes_are_told_in_the_order_of_their_lines() {
        let text = "[[account]]\nid = 3\nstatus = \"rich\"\n[[pool]]\ncolour = 1\n[[trunks]]\nname = \"t\"\n";
        let told = Written::read("f", text).unwrap_err();
        let lines: Vec<&str> = told.lines().collect();
        assert_eq!(lines.len(), 4, "{told}");
        for (line, begin) in lines.iter().zip(["f:2: ", "f:3: ", "f:5: ", "f:6: "]) {
            assert!(line.starts_with(begin), "{told}");
        }
        let told = Written::read("f", "a = \n[[pool]\nb = ?\n").unwrap_err();
        assert!(told.lines().count() >= 2, "{told}");
    }
}
