//! A binding, and the wish for one, are made by their constructors, so that a further field has its default in one
//! place. They are written out field by field only where a field that is forgotten would be lost: where they are
//! packed, and where what a customer asked for becomes a binding. There the compiler stops.

use super::{sources, workspace};
use std::collections::BTreeSet;
use std::fs;

/// Those places, below `crates`.
const WHOLE: [&str; 3] = [
    "domain/src/bindings.rs",
    "domain/src/ops/bind.rs",
    "domain/src/state/row/binding.rs",
];

/// The row of ARCHITECTURE.md that leads to them.
const ROW: &str = "| a further field of a binding";

/// The values and patterns of a source that name every field of a binding or of a wish for one: the rest is not left
/// to `..`. Each by the line in which it begins.
fn whole(text: &str) -> Vec<usize> {
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let is_comment = |line: &&str| line.trim_start().starts_with("//");
    let lines = text
        .lines()
        .map(|line| if is_comment(&line) { "" } else { line });
    let code = lines.collect::<Vec<_>>().join("\n");
    let mut found = Vec::new();
    for kind in ["Binding {", "BindRequest {"] {
        for (at, _) in code.match_indices(kind) {
            let before = &code[..at];
            let path = before.trim_end_matches(|c| is_name(c) || c == ':');
            // A case of an enum, and the end of a longer name, are something else.
            let path = &before[path.len()..];
            let is_other = !path.is_empty()
                && (!path.ends_with("::") || path.starts_with(|c: char| c.is_ascii_uppercase()));
            let is_item = ["struct ", "impl ", "for ", "-> ", "enum "];
            let is_item = is_item
                .iter()
                .any(|word| before[..at - path.len()].ends_with(word));
            if !is_other && !is_item && !leaves_rest(&code[at + kind.len()..]) {
                found.push(before.matches('\n').count() + 1);
            }
        }
    }
    found.sort_unstable();
    found
}

/// Whether the fields that a text begins with end in `..`, which stands for the rest, before their brace closes.
fn leaves_rest(text: &str) -> bool {
    let mut depth = 0_u32;
    let mut before = '{';
    for (at, c) in text.char_indices() {
        match c {
            '{' | '(' | '[' => depth += 1,
            '}' if depth == 0 => return false,
            '}' | ')' | ']' => depth = depth.saturating_sub(1),
            // A range in a value has something before it.
            '.' if depth == 0 && [',', '{'].contains(&before) => {
                return text[at..].starts_with("..");
            }
            _ => {}
        }
        if !c.is_whitespace() {
            before = c;
        }
    }
    false
}

#[test]
fn a_binding_is_written_out_only_where_a_field_would_be_lost() {
    let crates = workspace().join("crates");
    let mut found = BTreeSet::new();
    for (path, text) in sources(&crates) {
        let below = path.strip_prefix(&crates).expect("it lies there");
        // Below the sources here lie what is planted.
        let is_this = below.ends_with("tidy/whole_bindings.rs");
        if !is_this && !whole(&text).is_empty() {
            found.insert(below.display().to_string());
        }
    }
    let found: Vec<&str> = found.iter().map(String::as_str).collect();
    assert_eq!(found, WHOLE);
}

#[test]
fn the_page_leads_to_where_a_field_is_kept() {
    let page = fs::read_to_string(workspace().join("ARCHITECTURE.md")).expect("the page");
    let row = page.lines().find(|line| line.starts_with(ROW));
    let row = row.expect("the page has the row");
    for path in WHOLE.into_iter().chain(["domain/src/binding.rs"]) {
        assert!(row.contains(&format!("`{path}`")), "{path}");
    }
}

#[test]
fn one_that_is_written_out_is_found() {
    for planted in [
        "let made = Binding {\n    subs_id,\n    x,\n    a,\n};",
        "let made = maskline_domain::Binding { subs_id, x };",
        "Box::new(BindRequest { pool, product, a, b: None })",
        "let Binding { subs_id, owner: _ } = binding;",
        "Some(Binding {\n    extras: Extras { out_id, ..Extras::default() },\n    x,\n})",
        "let made = Binding { term: now..end, x };",
        "Self(crate::binding::Binding { x: [a, b][..1] })",
        "Command::Bind(Box::new(BindRequest {\n    // ..BindRequest::new(pool)\n    pool,\n}))",
        "fn of() -> Binding {\n    Binding { subs_id, x }\n}",
        "match binding { Binding { subs_id, x } => x }",
    ] {
        assert_eq!(whole(planted).len(), 1, "{planted}");
    }
    for fine in [
        "let made = Binding { b, ..Binding::new(id, product, x, a, term) };",
        "let wanted = BindRequest {\n    b,\n    ..BindRequest::new(pool, product, a, end)\n};",
        "let Binding { subs_id, x, .. } = binding;",
        "pub struct Binding {\n    pub x: PhoneNumber,\n}",
        "impl Binding {\n    fn a() {}\n}",
        "impl fmt::Debug for Binding {\n}",
        "fn of(x: PhoneNumber) -> Binding {\n    binding(x)\n}",
        "PlainBinding { x, a }",
        "Command::UpdateBinding { x, a }",
        "Step::Binding { x }",
        "// Binding { x, a }",
    ] {
        assert_eq!(whole(fine), [0; 0], "{fine}");
    }
}
