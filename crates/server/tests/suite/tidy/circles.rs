//! Modules of one crate that use each other in a circle: those beside each other below one parent, at every depth.
//!
//! Read from the paths that code names, tests left out. What a module brings in by `use` and others name as the
//! module's counts as that of where it stands.

use super::crates::DIRECTIONS;
use super::paths::{listed, paths};
use super::{sources, workspace};
use std::collections::{BTreeMap, BTreeSet};

/// The circles that are left: the crate, the parent of the modules, the modules in order. ARCHITECTURE.md says why.
const LEFT: [(&str, &str, &[&str]); 0] = [];

/// Each module of a crate by its names below the root, which has none, and its code.
type Modules = BTreeMap<Vec<String>, String>;

/// Modules in a circle: the crate, their parent, their names in order.
type Circle = (String, String, Vec<String>);

fn modules(room: &str) -> Modules {
    let root = workspace().join("crates").join(room).join("src");
    let mut found = Modules::new();
    for (path, text) in sources(&root) {
        let below = path.strip_prefix(&root).expect("it lies there");
        let names = below.with_extension("");
        let names = names.iter().filter_map(|name| name.to_str());
        let mut names: Vec<String> = names.map(str::to_owned).collect();
        names.retain(|name| name != "lib" && name != "main");
        if !names.iter().any(|name| name == "tests" || name == "bin") {
            let code = found.entry(names).or_default();
            code.push_str(&without_tests(&text));
        }
    }
    found
}

/// A source without comments and without what is compiled for tests alone.
pub(super) fn without_tests(text: &str) -> String {
    let mut kept = String::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        if line.trim().starts_with("//") {
            continue;
        }
        if line.trim() != "#[cfg(test)]" {
            kept.push_str(line);
            kept.push('\n');
            continue;
        }
        // The item behind it ends in its own line, or with a brace as far in as it begins.
        let mut item = lines
            .by_ref()
            .skip_while(|line| line.trim().starts_with("#["));
        let first = item.next().unwrap_or_default();
        let indent = &first[..first.len() - first.trim_start().len()];
        let end = format!("{indent}}}");
        if !first.ends_with(';') && !first.ends_with('}') {
            item.find(|line| line.starts_with(&end));
        }
    }
    kept
}

/// What a module brings in: each name with its path from the root of the crate on.
type Imports = BTreeMap<String, Vec<String>>;

/// What `use` brings into a module, that of its functions left out.
fn imports(module: &[String], code: &str) -> Imports {
    let mut found = Imports::new();
    for (at, word) in code.match_indices("use ") {
        let before = code[..at].rsplit('\n').next().unwrap_or_default();
        if !before.is_empty() && !before.starts_with("pub") {
            continue;
        }
        let tree = code[at + word.len()..].split(';').next();
        for path in listed(&format!("{{{}}}", tree.unwrap_or_default())) {
            let (path, called) = match path.split_once(" as ") {
                Some((path, called)) => (path, Some(called)),
                None => (path.as_str(), None),
            };
            let path = path.strip_suffix("::self").unwrap_or(path);
            let names: Vec<String> = path.split("::").map(str::to_owned).collect();
            let last = names[names.len() - 1].clone();
            let called = called.map_or(last, str::to_owned);
            found.insert(called, from_root(module, &names));
        }
    }
    found
}

/// A path that a module names, from the root of the crate on. One that begins with a crate of others then leads to
/// nothing but the module.
fn from_root(module: &[String], path: &[String]) -> Vec<String> {
    let supers = path.iter().take_while(|name| *name == "super").count();
    let (above, names) = match path[0].as_str() {
        "crate" => (0, &path[1..]),
        "self" => (module.len(), &path[1..]),
        _ => (module.len().saturating_sub(supers), &path[supers..]),
    };
    [&module[..above], names].concat()
}

/// How many modules may hand on a name. Names of others' crates are handed on by their module for ever.
const HOPS_MAX: usize = 8;

/// The module that has what a path from the root names: where a module on the way brings it in from another, that one.
fn home<'a>(
    mut path: Vec<String>,
    modules: &'a Modules,
    imports: &BTreeMap<&[String], Imports>,
) -> Option<&'a [String]> {
    let mut hops = 0;
    loop {
        // The longest part of it that is a module; behind that, items are named.
        let (module, _) = (0..=path.len())
            .rev()
            .find_map(|len| modules.get_key_value(&path[..len]))?;
        let item = path.get(module.len());
        match item.and_then(|name| imports.get(module.as_slice())?.get(name)) {
            Some(brought) if hops < HOPS_MAX => {
                path = [brought, &path[module.len() + 1..]].concat();
                hops += 1;
            }
            _ => return Some(module),
        }
    }
}

/// The modules that each module uses.
fn uses(modules: &Modules) -> BTreeSet<(&[String], &[String])> {
    let brought: BTreeMap<&[String], Imports> = modules
        .iter()
        .map(|(module, code)| (module.as_slice(), imports(module, code)))
        .collect();
    let mut found = BTreeSet::new();
    for (module, code) in modules {
        for (_, path) in paths(code, &["crate::", "super::", "self::"]) {
            let used = home(from_root(module, &path), modules, &brought);
            if let Some(used) = used
                && used != module
            {
                found.insert((module.as_slice(), used));
            }
        }
    }
    found
}

/// Every circle among the modules of a crate.
fn circles(room: &str, modules: &Modules) -> BTreeSet<Circle> {
    let uses = uses(modules);
    let parents: BTreeSet<&[String]> = modules
        .keys()
        .flat_map(|names| (0..names.len()).map(|len| &names[..len]))
        .collect();
    let mut found = BTreeSet::new();
    for parent in parents {
        let child = |names: &[String]| names.strip_prefix(parent)?.first().cloned();
        let mut reached: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for (from, to) in &uses {
            if let (Some(from), Some(to)) = (child(from), child(to))
                && from != to
            {
                reached.entry(from).or_default().insert(to);
            }
        }
        // Whoever is reached, and whom they reach, until nothing is new.
        loop {
            let before = reached.values().map(BTreeSet::len).sum::<usize>();
            let known = reached.clone();
            for to in reached.values_mut() {
                let further = to.iter().filter_map(|next| known.get(next)).flatten();
                let further: Vec<String> = further.cloned().collect();
                to.extend(further);
            }
            if before == reached.values().map(BTreeSet::len).sum::<usize>() {
                break;
            }
        }
        let reaches = |one: &String, other: &String| {
            let to = reached.get(one);
            to.is_some_and(|to| to.contains(other))
        };
        for one in reached.keys().filter(|one| reaches(one, one)) {
            let others = reached.keys();
            let circle = others.filter(|other| reaches(one, other) && reaches(other, one));
            let circle = circle.cloned().collect();
            found.insert((room.to_owned(), parent.join("::"), circle));
        }
    }
    found
}

#[test]
fn no_modules_use_each_other_in_a_circle_but_those_that_are_named() {
    let found: BTreeSet<Circle> = DIRECTIONS
        .iter()
        .flat_map(|(room, _)| circles(room, &modules(room)))
        .collect();
    let left = LEFT.into_iter().map(|(room, parent, names)| {
        let names = names.iter().map(|name| (*name).to_owned()).collect();
        (room.to_owned(), parent.to_owned(), names)
    });
    assert_eq!(found, left.collect());
}

#[test]
fn a_circle_is_found() {
    let row = |texts: &[(&str, &str)]| {
        let modules = texts.iter().map(|(path, text)| {
            let names = path.split("::").filter(|name| !name.is_empty());
            (names.map(str::to_owned).collect(), without_tests(text))
        });
        let found = circles("planted", &modules.collect());
        let found = found
            .into_iter()
            .map(|(_, parent, names)| format!("{parent}: {}", names.join(" ")));
        found.collect::<Vec<String>>().join("; ")
    };
    let planted: [(&[(&str, &str)], &str); 16] = [
        (
            &[("a", "use crate::b::B;"), ("b", "use crate::a::A;")],
            ": a b",
        ),
        (
            &[
                ("a", "use super::b::B;"),
                ("b", "use super::{c, d};"),
                ("c", "use crate::a;"),
                ("d", ""),
            ],
            ": a b c",
        ),
        (
            &[
                ("a", "use crate::{\n    b::{B, One as Two},\n    c,\n};"),
                ("b", "fn f() { crate::c::g() }"),
                ("c", "use crate::b;"),
            ],
            ": b c",
        ),
        (
            &[
                ("p", ""),
                ("p::a", "use super::b::B;"),
                ("p::b", "    fn f(a: super::a::A) {}"),
            ],
            "p: a b",
        ),
        (
            &[
                ("p", ""),
                ("p::a", "use crate::q;"),
                ("q", "use crate::p::a::A;"),
            ],
            ": p q",
        ),
        (
            &[
                ("p", ""),
                ("p::a::deep", "use super::super::b;"),
                ("p::a", ""),
                ("p::b", "use crate::p::a;"),
            ],
            "p: a b",
        ),
        (
            &[
                ("a", "use crate::b;"),
                ("b", "use crate::a;"),
                ("c", "use crate::d;"),
                ("d", "use crate::c;"),
            ],
            ": a b; : c d",
        ),
        // Names that their parent, or another module, has from elsewhere.
        (
            &[
                ("", "pub use a::A;\nmod a;\nmod b;"),
                ("a", "use crate::b::B;"),
                ("b", "use crate::A;"),
            ],
            ": a b",
        ),
        (
            &[
                (
                    "p",
                    "pub(crate) use self::{\n    a::{A as One, Two},\n    b::B,\n};",
                ),
                ("p::a", "fn f(b: super::B) {}"),
                ("p::b", "use super::One;"),
            ],
            "p: a b",
        ),
        (
            &[
                ("", "use c::deep;"),
                ("a", "use crate::deep::B;"),
                ("b", "use crate::a;"),
                ("c", ""),
                ("c::deep", "pub use crate::b::B;"),
            ],
            ": a b",
        ),
        (
            &[
                (
                    "",
                    "use std::fmt;\nuse time::time;\nfn f() {\n    use b::B;\n}",
                ),
                ("a", "use crate::{fmt, time};"),
                ("b", "use crate::a::A;"),
            ],
            "",
        ),
        // One direction, names of tests and of comments, names that merely end so.
        (&[("a", "use crate::b::B;"), ("b", "")], ""),
        (
            &[
                ("a", "use crate::b::B;"),
                (
                    "b",
                    "// use crate::a;\n#[cfg(test)]\nmod tests {\n    use crate::a;\n}\n",
                ),
            ],
            "",
        ),
        (
            &[
                ("a", "use crate::b::B;"),
                ("b", "#[cfg(test)]\nuse crate::a::A;\n"),
            ],
            "",
        ),
        (
            &[("a", "use crate::b::B;"), ("b", "use othercrate::a::A;")],
            "",
        ),
        // A parent and its own modules are one subject.
        (
            &[
                ("", "use p::a;"),
                ("p", "use self::a::A;"),
                ("p::a", "use super::B;"),
            ],
            "",
        ),
    ];
    for (texts, told) in planted {
        assert_eq!(row(texts), told, "{texts:?}");
    }
}
