//! The settings file, and on which line of it each key stands.

use std::collections::BTreeMap;
use std::path::Path;

use toml::de::{DeTable, DeValue};
use toml::{Spanned, Table};

use super::error::{ConfigError, Source};
use super::settings::Settings;

/// The largest settings file that is read, in bytes.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// The file as a table, and the line of each key in it.
///
/// # Errors
/// When it cannot be read or is no file of settings; told with its line.
pub(super) fn read(path: &Path) -> Result<(Table, BTreeMap<String, usize>), ConfigError> {
    let at = |line, key: String, reason: String| ConfigError {
        source: Source::File {
            path: path.to_owned(),
            line,
        },
        key,
        reason,
    };
    let text = std::fs::metadata(path)
        .and_then(|meta| {
            if meta.len() > FILE_BYTES_MAX {
                return Err(std::io::Error::other("the file is larger than 1 MiB"));
            }
            std::fs::read_to_string(path)
        })
        .map_err(|error| at(0, String::new(), format!("cannot be read: {error}")))?;

    let document = DeTable::parse(&text).map_err(|error| {
        let line = error.span().map_or(0, |span| line_of(&text, span.start));
        at(line, String::new(), error.message().to_owned())
    })?;
    let mut spans = BTreeMap::new();
    collect_spans("", document.get_ref(), &mut spans);

    if let Err(error) = toml::from_str::<Settings>(&text) {
        let span = error.span();
        let key = span
            .as_ref()
            .and_then(|span| {
                let inside = |(_, (start, end)): &(_, &(usize, usize))| {
                    *start <= span.start && span.end <= *end
                };
                // The innermost key whose text holds the place.
                spans
                    .iter()
                    .filter(inside)
                    .min_by_key(|(_, (start, end))| end - start)
            })
            .map_or_else(String::new, |(key, _)| key.clone());
        let line = span.map_or(0, |span| line_of(&text, span.start));
        return Err(at(line, key, error.message().trim().to_owned()));
    }
    let table = text
        .parse::<Table>()
        .map_err(|error| at(0, String::new(), error.message().to_owned()))?;
    let lines = spans
        .into_iter()
        .map(|(key, (start, _))| (key, line_of(&text, start)))
        .collect();
    Ok((table, lines))
}

/// The byte range of each `key = value`, tables included, by dotted key.
fn collect_spans(above: &str, table: &DeTable<'_>, spans: &mut BTreeMap<String, (usize, usize)>) {
    for (name, value) in table {
        let key = join(above, name.get_ref());
        let end = value.span().end.max(name.span().end);
        spans.insert(key.clone(), (name.span().start, end));
        if let DeValue::Table(inner) = Spanned::get_ref(value) {
            collect_spans(&key, inner, spans);
        }
    }
}

fn line_of(text: &str, offset: usize) -> usize {
    1 + text.bytes().take(offset).filter(|b| *b == b'\n').count()
}

/// The dotted key of a name within a section.
pub(super) fn join(above: &str, name: &str) -> String {
    if above.is_empty() {
        name.to_owned()
    } else {
        format!("{above}.{name}")
    }
}
