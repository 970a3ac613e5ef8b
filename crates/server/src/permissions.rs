//! The names under which policies allow or deny actions: which patterns can match one, and which name has no
//! pool. The vendor's interface says which names there are; the operators' judges policies by them.

use std::sync::Arc;

use crate::suggest;

/// A name that policies can give to an action.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Permission {
    /// The whole name, as statements spell it: `dypls:BindAxn`.
    pub name: String,
    /// Whether the action is carried out and concerns no pool, so that only pools = `*` covers it.
    pub has_no_pool: bool,
}

/// All names of permissions. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Permissions {
    prefix: &'static str,
    known: Arc<[Permission]>,
}

impl Permissions {
    /// These are the names; each begins with `prefix`.
    pub fn new(prefix: &'static str, known: impl IntoIterator<Item = Permission>) -> Self {
        Self {
            prefix,
            known: known.into_iter().collect(),
        }
    }

    /// What is wrong with a pattern that no action can ever match; nothing if one can. Such a statement
    /// would be silent: a deny that never denies.
    #[must_use]
    pub fn mistake(&self, pattern: &str) -> Option<String> {
        let names = || self.known.iter().map(|permission| permission.name.as_str());
        let (start, is_open) = match pattern.strip_suffix('*') {
            Some(start) => (start, true),
            None => (pattern, false),
        };
        let fits = |name: &str| match is_open {
            true => name.starts_with(start),
            false => name == start,
        };
        if names().any(fits) {
            return None;
        }
        let action = start.split_once(':').map_or(start, |(_, action)| action);
        let wanted = format!("{}{action}", self.prefix);
        // Of an open pattern only the beginning is compared, with as many letters as it has.
        let length = wanted.chars().count();
        let candidates = names().map(|name| match is_open {
            true => name.chars().take(length).collect(),
            false => name.to_owned(),
        });
        let candidates: Vec<String> = candidates.collect();
        let near = suggest::nearest(&wanted, candidates.iter().map(String::as_str));
        let hint = near.map_or_else(String::new, |near| {
            format!("; did you mean {near}{}?", if is_open { "*" } else { "" })
        });
        Some(format!("no action is called {pattern}{hint}"))
    }

    /// Whether this names one action that has no pool, so that only pools = `*` covers it.
    #[must_use]
    pub fn has_no_pool(&self, pattern: &str) -> bool {
        let mut known = self.known.iter();
        known.any(|permission| permission.name == pattern && permission.has_no_pool)
    }
}
