//! `maskline number`.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use clap::Subcommand;
use maskline_domain::PhoneNumber;
use maskline_domain::inventory::{Carrier, NumberKind};
use serde_json::json;
use sha2::{Digest as _, Sha256};

use super::client::{part, query};
use super::{Client, Failure, show};
use crate::admin::document::{Document, Unwanted, WantedNumbers};

/// Rows of a file that are sent in one request. After each the service writes down how far the import
/// has come, so that one that was interrupted goes on where it stopped.
const ROWS_PER_REQUEST: usize = 5_000;

#[derive(Debug, Subcommand)]
pub enum Command {
    /// List X numbers
    Ls {
        /// Only those in this pool
        #[arg(long)]
        pool: Option<String>,
        /// Only those of this city
        #[arg(long)]
        city: Option<String>,
        /// Only those in this state: free, bound, locked or frozen
        #[arg(long)]
        status: Option<String>,
        /// No more than so many
        #[arg(long, default_value_t = 100)]
        limit: u32,
    },
    /// Show one X number and its bindings
    Show {
        /// The number
        x: String,
    },
    /// Add numbers, one by one or as a run
    Add(Add),
    /// Add the numbers of a CSV file, in bounded pieces; run again after an interruption, it goes on
    /// where it stopped
    ///
    /// The first line names the columns: number and city, and optionally province, kind
    /// (virtual_operator, carrier, service95), carrier (mobile, unicom, telecom) and certified
    /// (true, false).
    Import {
        /// The file
        file: PathBuf,
        /// The pool they go to; without one they go to the stock
        #[arg(long)]
        pool: Option<String>,
    },
    /// Take numbers away for good; none of them may be bound
    Release {
        /// The numbers
        #[arg(required = true)]
        x: Vec<String>,
    },
    /// Take a number out of selection; its bindings go on
    Lock {
        /// The number
        x: String,
    },
    /// Put a locked number back
    Unlock {
        /// The number
        x: String,
    },
}

#[derive(Debug, clap::Args)]
pub struct Add {
    /// The numbers
    x: Vec<String>,
    /// The first number of a run
    #[arg(long, requires = "count")]
    first: Option<String>,
    /// How many numbers the run has
    #[arg(long, requires = "first")]
    count: Option<u64>,
    /// The pool they go to; without one they go to the stock
    #[arg(long)]
    pool: Option<String>,
    /// Home city, such as 北京
    #[arg(long)]
    city: String,
    /// Home province [default: the city]
    #[arg(long)]
    province: Option<String>,
}

pub fn run(client: &Client, command: &Command) -> Result<(), Failure> {
    match command {
        Command::Ls {
            pool,
            city,
            status,
            limit,
        } => {
            let limit = limit.to_string();
            let query = query(&[
                ("pool", pool.as_deref()),
                ("city", city.as_deref()),
                ("status", status.as_deref()),
                ("limit", Some(&limit)),
            ]);
            show::rows(
                client,
                &client.get(&format!("/v1/numbers{query}"))?,
                &[
                    ("X", "x"),
                    ("POOL", "pool"),
                    ("CITY", "city"),
                    ("KIND", "kind"),
                    ("CARRIER", "carrier"),
                    ("STATUS", "status"),
                    ("BINDINGS", "bindings"),
                ],
            )
        }
        Command::Show { x } => {
            show::fields(client, &client.get(&format!("/v1/numbers/{}", part(x)))?)
        }
        Command::Add(add) => {
            let document = Document {
                numbers: vec![WantedNumbers {
                    pool: add.pool.clone(),
                    city: add.city.clone(),
                    province: add.province.clone(),
                    kind: None,
                    carrier: None,
                    certified: None,
                    list: numbers(&add.x)?,
                    first: add.first.as_deref().map(number).transpose()?,
                    count: add.count,
                }],
                ..Document::default()
            };
            show::changes(client, &client.apply(&document, false)?, false)
        }
        Command::Import { file, pool } => import(client, file, pool.as_deref()),
        Command::Release { x } => {
            let document = Document {
                remove: Unwanted {
                    numbers: numbers(x)?,
                    ..Unwanted::default()
                },
                ..Document::default()
            };
            show::changes(client, &client.apply(&document, false)?, false)
        }
        Command::Lock { x } => set_locked(client, x, true),
        Command::Unlock { x } => set_locked(client, x, false),
    }
}

fn set_locked(client: &Client, x: &str, locked: bool) -> Result<(), Failure> {
    client.patch(
        &format!("/v1/numbers/{}", part(x)),
        &json!({ "locked": locked }),
    )?;
    show::line(if locked { "locked" } else { "unlocked" })
}

/// Sends a file in pieces and tells how far it is.
fn import(client: &Client, file: &Path, pool: Option<&str>) -> Result<(), Failure> {
    let wrong = |error: csv::Error| Failure::Usage(format!("{}: {error}", file.display()));
    let mut reader = csv::ReaderBuilder::new()
        .trim(csv::Trim::All)
        .from_path(file)
        .map_err(wrong)?;
    let cursor = format!("/v1/imports/{}", name_of(file, pool)?);
    let done = client.get(&cursor)?["rows"].as_u64().unwrap_or(0) as usize;
    if done > 0 {
        eprintln!("going on after row {done}");
    }
    let mut rows = reader.deserialize::<Row>().skip(done);
    let (mut read, mut changes) = (done, 0);
    loop {
        let piece: Vec<Row> = rows
            .by_ref()
            .take(ROWS_PER_REQUEST)
            .collect::<Result<_, _>>()
            .map_err(wrong)?;
        if piece.is_empty() {
            break;
        }
        read += piece.len();
        let answer = client.apply(&document_of(piece, pool), false)?;
        changes += answer["numbers_changed"].as_u64().unwrap_or(0);
        client.put(&cursor, &json!({ "rows": read }))?;
        eprintln!("{read} rows read, {changes} numbers added or changed");
    }
    client.delete(&cursor)?;
    if client.json {
        return show::json(&json!({ "rows": read, "numbers_changed": changes }));
    }
    show::line(&format!("{read} rows, {changes} numbers added or changed"))
}

/// The name under which the service knows an import: the same file into the same pool.
fn name_of(file: &Path, pool: Option<&str>) -> Result<String, Failure> {
    let wrong = |error: io::Error| Failure::Usage(format!("{}: {error}", file.display()));
    let mut content = File::open(file).map_err(wrong)?;
    let mut digest = Sha256::new_with_prefix(pool.unwrap_or_default());
    digest.update([0]);
    io::copy(&mut content, &mut digest).map_err(wrong)?;
    Ok(hex::encode(&digest.finalize()[..16]))
}

/// A line of the file.
#[derive(Debug, Clone, serde::Deserialize)]
struct Row {
    number: PhoneNumber,
    city: String,
    #[serde(default)]
    province: Option<String>,
    #[serde(default)]
    kind: Option<NumberKind>,
    #[serde(default)]
    carrier: Option<Carrier>,
    #[serde(default)]
    certified: Option<bool>,
}

/// Rows that have everything but the number in common become one entry.
fn document_of(rows: Vec<Row>, pool: Option<&str>) -> Document {
    type Class = (
        String,
        Option<String>,
        Option<NumberKind>,
        Option<Carrier>,
        Option<bool>,
    );
    let mut classes: BTreeMap<Class, Vec<PhoneNumber>> = BTreeMap::new();
    for row in rows {
        let class = (row.city, row.province, row.kind, row.carrier, row.certified);
        classes.entry(class).or_default().push(row.number);
    }
    let numbers = classes
        .into_iter()
        .map(
            |((city, province, kind, carrier, certified), list)| WantedNumbers {
                pool: pool.map(str::to_owned),
                city,
                province,
                kind,
                carrier,
                certified,
                list,
                first: None,
                count: None,
            },
        )
        .collect();
    Document {
        numbers,
        ..Document::default()
    }
}

fn numbers(texts: &[String]) -> Result<Vec<PhoneNumber>, Failure> {
    texts.iter().map(|text| number(text)).collect()
}

fn number(text: &str) -> Result<PhoneNumber, Failure> {
    PhoneNumber::parse(text).map_err(|error| Failure::Usage(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_of_one_class_travel_together() {
        let text = "number,city,carrier\n17000000001,北京,unicom\n17000000002,杭州,\n17000000003,北京,unicom\n";
        let rows: Vec<Row> = csv::Reader::from_reader(text.as_bytes())
            .deserialize()
            .collect::<Result<_, _>>()
            .unwrap();
        let document = document_of(rows, Some("FC1"));
        assert_eq!(document.numbers.len(), 2);
        let counts: Vec<_> = document
            .numbers
            .iter()
            .map(|entry| entry.list.len())
            .collect();
        assert!(counts.contains(&1) && counts.contains(&2));
    }

    #[test]
    fn a_row_that_is_no_number_is_told_with_its_line() {
        let text = "number,city\n17000000001,北京\n1700 000,北京\n";
        let error = csv::Reader::from_reader(text.as_bytes())
            .deserialize::<Row>()
            .find_map(Result::err)
            .unwrap();
        assert!(error.to_string().contains("line: 3"), "{error}");
    }
}
