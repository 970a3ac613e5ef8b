//! Files of numbers: CSV, read as a whole with every mistake at its line before anything is sent.

use std::collections::HashMap;
use std::io::Read;
use std::path::Path;

use csv::{ByteRecord, ReaderBuilder, Trim};
use maskline_domain::PhoneNumber;
use maskline_domain::inventory::{NumberCarrier, NumberKind};
use maskline_domain::number::Form;
use serde::de::DeserializeOwned;

use crate::admin::plan::not_dialled;
use crate::mistakes::FILE_MISTAKES_MAX;
use crate::suggest;

/// The largest file, in bytes: some ten million rows.
const FILE_BYTES_MAX: u64 = 512 << 20;
/// The columns that a file can have; the first two it must.
const COLUMNS: [&str; 6] = ["number", "city", "province", "kind", "carrier", "certified"];
const NEEDED: usize = 2;

/// A line of the file.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// The X number.
    pub number: PhoneNumber,
    /// Home city.
    pub city: String,
    /// Home province, where it is said.
    pub province: Option<String>,
    /// Sort, where it is said.
    pub kind: Option<NumberKind>,
    /// Where it comes from, where it is said.
    pub carrier: Option<NumberCarrier>,
    /// Whether its registration is proved, where it is said.
    pub certified: Option<bool>,
}

/// Reads a file.
///
/// # Errors
/// `FILE:LINE: …` for each mistake.
pub fn read(file: &Path) -> Result<Vec<Row>, String> {
    let name = file.display().to_string();
    let wrong = |error: std::io::Error| format!("{name}: {error}");
    let opened = std::fs::File::open(file).map_err(wrong)?;
    if opened.metadata().map_err(wrong)?.len() > FILE_BYTES_MAX {
        return Err(format!("{name}: larger than 512 MiB; send it in parts"));
    }
    parse(&name, opened)
}

/// Reads rows; `name` stands before each mistake.
///
/// # Errors
/// See [`read`].
pub fn parse(name: &str, source: impl Read) -> Result<Vec<Row>, String> {
    let mut reader = ReaderBuilder::new()
        .trim(Trim::All)
        .flexible(true)
        .from_reader(source);
    let mut mistakes = Mistakes::default();
    let headers = reader
        .byte_headers()
        .map_err(|error| format!("{name}: {error}"))?
        .clone();
    let columns = columns(&headers, &mut mistakes);
    if mistakes.count > 0 {
        return Err(mistakes.told(name));
    }
    let mut rows = Vec::new();
    let mut seen: HashMap<PhoneNumber, u64> = HashMap::new();
    let mut record = ByteRecord::new();
    loop {
        match reader.read_byte_record(&mut record) {
            Ok(false) => break,
            Ok(true) => {}
            Err(error) => {
                let line = reader.position().line();
                mistakes.add(line, error.to_string());
                break;
            }
        }
        let line = record.position().map_or(0, csv::Position::line);
        if record.len() != headers.len() {
            let reason = format!(
                "{} fields where the first line has {}",
                record.len(),
                headers.len()
            );
            mistakes.add(line, reason);
            continue;
        }
        match row(&record, &columns) {
            Ok(row) => {
                if let Some(first) = seen.insert(row.number, line) {
                    let x = row.number.reveal();
                    mistakes.add(line, format!("number: {x} stands on line {first} already"));
                }
                rows.push(row);
            }
            Err(reasons) => reasons
                .into_iter()
                .for_each(|reason| mistakes.add(line, reason)),
        }
    }
    match mistakes.count {
        0 => Ok(rows),
        _ => Err(mistakes.told(name)),
    }
}

/// At which place of a row each column of ours stands.
fn columns(headers: &ByteRecord, mistakes: &mut Mistakes) -> [Option<usize>; COLUMNS.len()] {
    let mut places = [None; COLUMNS.len()];
    for (place, header) in headers.iter().enumerate() {
        let header = String::from_utf8_lossy(header);
        match COLUMNS.iter().position(|column| *column == header) {
            Some(column) if places[column].is_some() => {
                mistakes.add(1, format!("the column {header} stands twice"));
            }
            Some(column) => places[column] = Some(place),
            None => mistakes.add(1, format!("column {}", suggest::among(&header, &COLUMNS))),
        }
    }
    for (column, place) in COLUMNS.iter().zip(places).take(NEEDED) {
        if place.is_none() {
            mistakes.add(1, format!("the column {column} is missing"));
        }
    }
    places
}

/// One row; every field that is wrong is told.
fn row(record: &ByteRecord, columns: &[Option<usize>; COLUMNS.len()]) -> Result<Row, Vec<String>> {
    let mut wrong = Vec::new();
    let mut field = |column: usize| -> Option<String> {
        let bytes = record.get(columns[column]?)?;
        let Ok(text) = std::str::from_utf8(bytes) else {
            wrong.push(format!(
                "{}: not UTF-8; save the file as UTF-8",
                COLUMNS[column]
            ));
            return None;
        };
        (!text.is_empty()).then(|| text.to_owned())
    };
    let texts: [Option<String>; COLUMNS.len()] = std::array::from_fn(&mut field);
    let [number, city, province, kind, carrier, certified] = texts;
    let number = match number.as_deref().map(PhoneNumber::parse) {
        None => Err("number: missing".to_owned()),
        Some(Err(error)) => Err(format!("number: {error}")),
        Some(Ok(x)) if x.form() == Form::Other => {
            Err(format!("number: {}: {}", x.reveal(), not_dialled(x)))
        }
        Some(Ok(x)) => Ok(x),
    };
    let number = number.map_err(|reason| wrong.push(reason));
    if city.is_none() && wrong.iter().all(|reason| !reason.starts_with("city: ")) {
        wrong.push("city: missing".to_owned());
    }
    let kind: Option<NumberKind> = word("kind", kind.as_deref(), &mut wrong);
    let carrier: Option<NumberCarrier> = word("carrier", carrier.as_deref(), &mut wrong);
    let certified = match certified.as_deref() {
        None => None,
        Some("true") => Some(true),
        Some("false") => Some(false),
        Some(other) => {
            wrong.push(format!(
                "certified: {}",
                suggest::among(other, &["true", "false"])
            ));
            None
        }
    };
    match (number, city) {
        (Ok(number), Some(city)) if wrong.is_empty() => Ok(Row {
            number,
            city,
            province,
            kind,
            carrier,
            certified,
        }),
        _ => Err(wrong),
    }
}

/// A word of ours, as documents spell it.
fn word<T: DeserializeOwned>(
    column: &str,
    text: Option<&str>,
    wrong: &mut Vec<String>,
) -> Option<T> {
    let text = text?;
    serde_json::from_value(serde_json::Value::String(text.to_owned()))
        .map_err(|error| {
            wrong.push(format!(
                "{column}: {}",
                suggest::with_hint(&error.to_string())
            ))
        })
        .ok()
}

/// What is wrong, as far as it is told.
#[derive(Debug, Default)]
struct Mistakes {
    told: Vec<(u64, String)>,
    count: usize,
}

impl Mistakes {
    fn add(&mut self, line: u64, reason: String) {
        self.count += 1;
        if self.told.len() < FILE_MISTAKES_MAX {
            self.told.push((line, reason));
        }
    }

    fn told(self, name: &str) -> String {
        let more = self.count - self.told.len();
        let lines = self.told.into_iter();
        let mut lines: Vec<String> = lines
            .map(|(line, reason)| format!("{name}:{line}: {reason}"))
            .collect();
        if more > 0 {
            lines.push(format!("{name}: and {more} more"));
        }
        lines.join("\n")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mistakes_are_told_with_line_and_column() {
        let good = "17000000001,北京,unicom\n";
        for (text, told) in [
            (
                "number,city,carier\n17000000001,北京,unicom\n",
                "f:1: column `carier` is none of number, city",
            ),
            (
                "number,city,carier\n17000000001,北京,unicom\n",
                "did you mean carrier?",
            ),
            (
                "number,carrier\n17000000001,unicom\n",
                "f:1: the column city is missing",
            ),
            (
                "number,city,city\n17000000001,a,b\n",
                "f:1: the column city stands twice",
            ),
            ("17000000001,北京\n", "f:1: the column number is missing"),
            (
                "number,city\n17000000001,北京\n17000000001,杭州\n",
                "f:3: number: 17000000001 stands on line 2 already",
            ),
            (
                "number,city\n170000,北京\n",
                "f:2: number: 170000: 6 digits, and nobody can dial it",
            ),
            (
                "number,city\n1700 000,北京\n",
                "f:2: number: a number consists of digits only",
            ),
            ("number,city\n17000000001,\n", "f:2: city: missing"),
            ("number,city\n,北京\n", "f:2: number: missing"),
            (
                "number,city\n17000000001\n",
                "f:2: 1 fields where the first line has 2",
            ),
            (
                "number,city,carrier\n17000000001,北京,unicorn\n",
                "did you mean unicom?",
            ),
            (
                "number,city,kind\n17000000001,北京,service\n",
                "f:2: kind: unknown variant `service`",
            ),
            (
                "number,city,certified\n17000000001,北京,yes\n",
                "f:2: certified: `yes` is none of true, false",
            ),
        ] {
            let error = parse("f", text.as_bytes()).unwrap_err();
            assert!(error.contains(told), "{text}: {error}");
        }
        let error = parse("f", &b"number,city\n17000000001,\xb1\xb1\xbe\xa9\n"[..]).unwrap_err();
        assert_eq!(error, "f:2: city: not UTF-8; save the file as UTF-8");
        let rows = parse(
            "f",
            format!("\u{feff}number,city,carrier\r\n{good}").as_bytes(),
        )
        .unwrap();
        assert_eq!(rows.len(), 1);
        assert_eq!(rows[0].carrier, Some(NumberCarrier::Unicom));
    }

    #[test]
    fn all_mistakes_are_told_up_to_a_bound() {
        let text =
            "number,city,kind\nx,,service9\n110,北京,\n17000000001,北京,\n17000000001,北京,\n";
        let told = parse("f", text.as_bytes()).unwrap_err();
        let begins = [
            "f:2: number",
            "f:2: city",
            "f:2: kind",
            "f:3: number",
            "f:5: number",
        ];
        assert_eq!(told.lines().count(), begins.len(), "{told}");
        for (line, begin) in told.lines().zip(begins) {
            assert!(line.starts_with(begin), "{told}");
        }
        let many = format!("number,city\n{}", "x,y\n".repeat(80));
        let told = parse("f", many.as_bytes()).unwrap_err();
        assert_eq!(told.lines().count(), FILE_MISTAKES_MAX + 1);
        assert!(told.ends_with("f: and 30 more"), "{told}");
    }
}
