//! Messages that lie in files.

use std::path::{Path, PathBuf};

fn folder(kind: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/corpus")
        .join(kind)
}

/// The names of a folder's messages, in order.
pub fn names(kind: &str) -> Vec<String> {
    let entries = std::fs::read_dir(folder(kind)).expect("the corpus is there");
    let mut names: Vec<String> = entries
        .filter_map(|entry| {
            let path = entry.expect("it can be listed").path();
            Some(path.file_stem()?.to_str()?.to_owned())
        })
        .collect();
    names.sort_unstable();
    names
}

/// One message: line feeds become line breaks, `\x00` the byte, `@LENGTH@` the length of the body.
pub fn load(kind: &str, name: &str) -> Vec<u8> {
    let file = folder(kind).join(format!("{name}.sip"));
    let text = std::fs::read_to_string(&file).unwrap_or_else(|error| panic!("{file:?}: {error}"));
    let (head, body) = text.split_once("\n\n").unwrap_or((&text, ""));
    let body = bytes(body);
    let mut message = bytes(&head.replace("@LENGTH@", &body.len().to_string()));
    message.extend_from_slice(b"\r\n\r\n");
    message.extend_from_slice(&body);
    message
}

fn bytes(text: &str) -> Vec<u8> {
    let mut found = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, after @ ..] = rest {
        rest = after;
        match (first, after) {
            (b'\n', _) => found.extend_from_slice(b"\r\n"),
            (b'\\', [b'x', high, low, after @ ..])
                if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() =>
            {
                let digits = [*high, *low];
                let digits = std::str::from_utf8(&digits).expect("two digits");
                found.push(u8::from_str_radix(digits, 16).expect("two digits"));
                rest = after;
            }
            _ => found.push(*first),
        }
    }
    found
}
