//! The paths that code names.

/// The paths behind one of the roots, such as `crate::`, lists in braces taken apart: the line in which each begins,
/// and its names, that of the root among them. What it is called here is left out, and so is a `*`.
pub(super) fn paths(text: &str, roots: &[&str]) -> Vec<(usize, Vec<String>)> {
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let is_comment = |line: &str| line.trim_start().starts_with("//");
    let lines = text.lines();
    let code: Vec<&str> = lines
        .map(|line| if is_comment(line) { "" } else { line })
        .collect();
    let code = code.join("\n");
    let mut found = Vec::new();
    let (mut begin, mut line) = (0, 1);
    while let Some(at) = roots
        .iter()
        .filter_map(|root| code[begin..].find(root))
        .min()
    {
        let (before, path) = code[begin..].split_at(at);
        let is_whole = !before.ends_with(|c| is_name(c) || c == ':');
        let end = path.find(|c| !is_name(c) && c != ':');
        let (path, behind) = path.split_at(end.unwrap_or(path.len()));
        line += before.matches('\n').count();
        begin += at + path.len();
        if !is_whole {
            continue;
        }
        let tails = match behind.starts_with('{') {
            true => listed(behind),
            false => vec![String::new()],
        };
        found.extend(tails.into_iter().map(|tail| {
            let path = format!("{path}{}", tail.split(" as ").next().unwrap_or_default());
            let names = path.split("::").filter(|name| !["", "*"].contains(name));
            (line, names.map(str::to_owned).collect())
        }));
    }
    found
}

/// The paths of a list that a text begins with, lists within it taken apart, each with what it is called here:
/// `a::A as B`.
pub(super) fn listed(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut above: Vec<String> = Vec::new();
    let mut path = String::new();
    for c in text.chars() {
        match c {
            '{' => above.push(std::mem::take(&mut path)),
            ',' | '}' => {
                let name = path.trim();
                if !name.is_empty() {
                    found.push(format!("{}{name}", above.concat()));
                }
                path.clear();
                if c == '}' {
                    above.pop();
                    if above.is_empty() {
                        break;
                    }
                }
            }
            c if c.is_whitespace() && path.is_empty() => {}
            c => path.push(c),
        }
    }
    found
}
