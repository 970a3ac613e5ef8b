//! How answers are printed: columns and pairs for people, JSON for programs.

use std::io::Write;

use serde_json::Value;

use super::{Client, Failure};

/// Of a list within a row no more is printed; `show` has all of it.
const ITEMS_IN_CELL_MAX: usize = 4;

/// Prints a list: one line for a row, with the columns named. `columns` are heading and field.
pub fn rows(client: &Client, answer: &Value, columns: &[(&str, &str)]) -> Result<(), Failure> {
    if client.json {
        return json(answer);
    }
    let empty = Vec::new();
    let rows = answer
        .get("items")
        .unwrap_or(answer)
        .as_array()
        .unwrap_or(&empty);
    let headings = columns
        .iter()
        .map(|(heading, _)| (*heading).to_owned())
        .collect();
    let mut table: Vec<Vec<String>> = vec![headings];
    for row in rows {
        table.push(columns.iter().map(|(_, field)| cell(row, field)).collect());
    }
    let mut out = std::io::stdout().lock();
    write!(out, "{}", aligned(&table))?;
    if answer.get("more").and_then(Value::as_bool) == Some(true) {
        let next = answer["next"].as_str().unwrap_or_default();
        eprintln!(
            "(there are more: ask for fewer by a filter, for more with --limit, or go on with --after {next})"
        );
    }
    Ok(())
}

/// Prints one thing: a line for a field.
pub fn fields(client: &Client, answer: &Value) -> Result<(), Failure> {
    if client.json {
        return json(answer);
    }
    let Value::Object(fields) = answer else {
        return json(answer);
    };
    let table: Vec<Vec<String>> = fields
        .iter()
        .map(|(name, value)| vec![format!("{name}:"), text(value)])
        .collect();
    let mut out = std::io::stdout().lock();
    write!(out, "{}", aligned(&table))?;
    Ok(())
}

/// Prints JSON, indented.
pub fn json(answer: &Value) -> Result<(), Failure> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{answer:#}")?;
    Ok(())
}

/// Prints a line of text.
pub fn line(text: &str) -> Result<(), Failure> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{text}")?;
    Ok(())
}

/// Prints what a document changed, or would change.
pub fn changes(client: &Client, answer: &Value, dry_run: bool) -> Result<(), Failure> {
    if client.json {
        return json(answer);
    }
    let mut out = std::io::stdout().lock();
    let empty = Vec::new();
    let changes = answer["changes"].as_array().unwrap_or(&empty);
    for change in changes {
        write_change(&mut out, change)?;
    }
    for key in answer["new_keys"].as_array().unwrap_or(&empty) {
        writeln!(out, "AccessKeyId:     {}", text(&key["access_key_id"]))?;
        writeln!(
            out,
            "AccessKeySecret: {}   (shown this once)",
            text(&key["access_key_secret"])
        )?;
    }
    for warning in answer["warnings"].as_array().unwrap_or(&empty) {
        eprintln!("warning: {}", text(warning));
    }
    match (changes.len(), dry_run) {
        (0, _) => writeln!(out, "nothing to change")?,
        (count, true) => writeln!(out, "{count} change(s) would be made")?,
        (count, false) => writeln!(out, "{count} change(s) made")?,
    }
    Ok(())
}

/// Prints what changes about numbers that were there already.
pub fn number_changes(answer: &Value) -> Result<(), Failure> {
    let empty = Vec::new();
    let mut out = std::io::stdout().lock();
    for change in answer["changes"].as_array().unwrap_or(&empty) {
        if change["verb"] == "change" {
            write_change(&mut out, change)?;
        }
    }
    Ok(())
}

fn write_change(out: &mut impl Write, change: &Value) -> std::io::Result<()> {
    let sign = match change["verb"].as_str() {
        Some("create") => '+',
        Some("remove") => '-',
        _ => '~',
    };
    writeln!(out, "{sign} {}", text(&change["what"]))?;
    let empty = Vec::new();
    for field in change["fields"].as_array().unwrap_or(&empty) {
        let (name, before, after) = (text(&field[0]), text(&field[1]), text(&field[2]));
        if before.is_empty() {
            writeln!(out, "    {name} = {after}")?;
        } else {
            writeln!(out, "    {name}: {before} -> {after}")?;
        }
    }
    Ok(())
}

fn cell(row: &Value, field: &str) -> String {
    match row.get(field) {
        Some(Value::Array(items)) if items.len() > ITEMS_IN_CELL_MAX => {
            let first = items.iter().take(ITEMS_IN_CELL_MAX).map(text);
            let first: Vec<String> = first.collect();
            format!("{}, … ({})", first.join(", "), items.len())
        }
        value => value.map_or_else(String::new, text),
    }
}

fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => "-".to_owned(),
        Value::Bool(true) => "yes".to_owned(),
        Value::Bool(false) => "no".to_owned(),
        Value::Array(items) => items.iter().map(text).collect::<Vec<_>>().join(", "),
        other => other.to_string(),
    }
}

/// Columns as wide as their widest cell, two blanks between, none at the end. A Chinese character
/// takes two places.
fn aligned(table: &[Vec<String>]) -> String {
    let columns = table.iter().map(Vec::len).max().unwrap_or(0);
    let widths: Vec<usize> = (0..columns)
        .map(|at| {
            table
                .iter()
                .filter_map(|row| row.get(at))
                .map(|c| width(c))
                .max()
                .unwrap_or(0)
        })
        .collect();
    let mut printed = String::new();
    for row in table {
        let mut line = String::new();
        for (cell, widest) in row.iter().zip(&widths) {
            line.push_str(cell);
            line.push_str(&" ".repeat(widest - width(cell) + 2));
        }
        printed.push_str(line.trim_end());
        printed.push('\n');
    }
    printed
}

fn width(text: &str) -> usize {
    text.chars()
        .map(|c| if c < '\u{2e80}' { 1 } else { 2 })
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up_with_chinese_too() {
        let row = |cells: [&str; 2]| cells.map(str::to_owned).to_vec();
        let printed = aligned(&[row(["CITY", "FREE"]), row(["北京", "1"]), row(["x", "22"])]);
        assert_eq!(printed, "CITY  FREE\n北京  1\nx     22\n");
    }
}
