//! What is wrong with a document, entry by entry.

use std::collections::BTreeSet;

use serde::Serialize;

use crate::admin::document::Document;

/// An entry of a document.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Entry {
    /// Its table, such as `pool`.
    pub kind: &'static str,
    /// Its place among those of its table, from 0.
    pub index: usize,
}

/// Why an entry cannot be applied.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, thiserror::Error)]
#[error("{what}: {reason}")]
pub struct PlanError {
    /// The entry, where there is one.
    pub entry: Option<Entry>,
    /// What it is about, such as `pool FC12345`.
    pub what: String,
    /// The reason.
    pub reason: String,
}

impl PlanError {
    /// A reason that stands against something.
    pub fn new(what: &str, reason: impl Into<String>) -> Self {
        Self {
            entry: None,
            what: what.to_owned(),
            reason: reason.into(),
        }
    }

    /// The same of this entry.
    pub(super) fn at(self, entry: Entry) -> Self {
        Self {
            entry: Some(self.entry.unwrap_or(entry)),
            ..self
        }
    }
}

/// Everything that is wrong with a document.
pub type Mistakes = crate::mistakes::Mistakes<PlanError>;

/// Entries with the name of an earlier one; the later would silently win.
pub(super) fn told_twice(document: &Document) -> Vec<PlanError> {
    let named = |kind, names: Vec<String>| {
        let mut seen = BTreeSet::new();
        let mut found = Vec::new();
        for (index, name) in names.into_iter().enumerate() {
            if !seen.insert(name.clone()) {
                let error =
                    PlanError::new(&format!("{kind} {name}"), "stands in the document twice");
                found.push(error.at(Entry { kind, index }));
            }
        }
        found
    };
    let accounts = document.accounts.iter().map(|account| account.id.clone());
    let users = document.users.iter();
    let users = users.map(|user| format!("{}/{}", user.account, user.name));
    [
        named("account", accounts.collect()),
        named("user", users.collect()),
        named(
            "key",
            document.keys.iter().map(|key| key.id.clone()).collect(),
        ),
        named(
            "carrier",
            document
                .carriers
                .iter()
                .map(|carrier| carrier.name.clone())
                .collect(),
        ),
        named(
            "pool",
            document.pools.iter().map(|pool| pool.key.clone()).collect(),
        ),
        named(
            "trunk",
            document
                .trunks
                .iter()
                .map(|trunk| trunk.name.clone())
                .collect(),
        ),
    ]
    .concat()
}
