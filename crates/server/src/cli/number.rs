//! `maskline number`.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use clap::Subcommand;
use maskline_domain::PhoneNumber;
use maskline_domain::inventory::{NumberCarrier, NumberKind};
use serde_json::json;
use sha2::{Digest as _, Sha256};

use super::client::{Mode, part};
use super::number_file::Row;
use super::{Client, Failure, number_file, show};
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
        /// Only those behind this place: the `next` of a list before
        #[arg(long, value_name = "KEY")]
        after: Option<String>,
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
    /// The file is read as a whole first, and with a mistake anywhere nothing is added. The first
    /// line names the columns: number and city, and optionally province, kind (virtual_operator,
    /// carrier, service95), carrier (mobile, unicom, telecom) and certified (true, false).
    Import(Import),
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
pub struct Import {
    /// The file
    file: PathBuf,
    /// The pool they go to; without one they go to the stock
    #[arg(long)]
    pool: Option<String>,
    /// Change numbers that are there already: their pool, city and whatever else the file says
    #[arg(long)]
    r#move: bool,
    /// Show what would change, and change nothing
    #[arg(long)]
    dry_run: bool,
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
    /// Change numbers that are there already: their pool and city
    #[arg(long)]
    r#move: bool,
    /// Show what would change, and change nothing
    #[arg(long)]
    dry_run: bool,
}

pub fn run(client: &Client, command: &Command) -> Result<(), Failure> {
    match command {
        Command::Ls {
            pool,
            city,
            status,
            limit,
            after,
        } => {
            let filters = [
                ("pool", pool.as_deref()),
                ("city", city.as_deref()),
                ("status", status.as_deref()),
            ];
            show::rows(
                client,
                &client.list("/v1/numbers", &filters, after.as_deref(), Some(*limit))?,
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
            let mode = Mode {
                dry_run: add.dry_run,
                new_numbers_only: !add.r#move,
            };
            let answer = client.apply_as(&document, mode, &|_| String::new())?;
            show::changes(client, &answer, add.dry_run)
        }
        Command::Import(wanted) => import(client, wanted),
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

/// Reads the whole file, and only when nothing is wrong with it sends it in pieces and tells how far it is.
fn import(client: &Client, import: &Import) -> Result<(), Failure> {
    let (file, pool) = (import.file.as_path(), import.pool.as_deref());
    let rows = number_file::read(file).map_err(Failure::Usage)?;
    let cursor = format!("/v1/imports/{}", name_of(file, pool)?);
    // What is only looked at is looked at from the beginning.
    let done = match import.dry_run {
        true => 0,
        false => client.get(&cursor)?["rows"].as_u64().unwrap_or(0) as usize,
    };
    if done > 0 {
        eprintln!("going on after row {done}");
    }
    let mode = Mode {
        dry_run: import.dry_run,
        new_numbers_only: !import.r#move,
    };
    let name = file.display();
    let (mut read, mut added, mut changed) = (done.min(rows.len()), 0, 0);
    for piece in rows[read..].chunks(ROWS_PER_REQUEST) {
        let document = document_of(piece.to_vec(), pool);
        let answer = client.apply_as(&document, mode, &|_| format!("{name}: "))?;
        read += piece.len();
        let new = answer["numbers_added"].as_u64().unwrap_or(0);
        added += new;
        changed += answer["numbers_changed"]
            .as_u64()
            .unwrap_or(0)
            .saturating_sub(new);
        if !client.json {
            show::number_changes(&answer)?;
        }
        if !import.dry_run {
            client.put(&cursor, &json!({ "rows": read }))?;
            eprintln!("{read} rows read, {added} numbers added, {changed} changed");
        }
    }
    if !import.dry_run {
        client.delete(&cursor)?;
    }
    if client.json {
        return show::json(&json!({
            "rows": read,
            "numbers_added": added,
            "numbers_changed": changed,
            "dry_run": import.dry_run,
        }));
    }
    let would = if import.dry_run { "would be " } else { "" };
    show::line(&format!(
        "{read} rows, {added} numbers {would}added, {changed} {would}changed"
    ))
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

/// Rows that have everything but the number in common become one entry.
fn document_of(rows: Vec<Row>, pool: Option<&str>) -> Document {
    type Class = (
        String,
        Option<String>,
        Option<NumberKind>,
        Option<NumberCarrier>,
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
    PhoneNumber::parse(text).map_err(|error| Failure::Usage(format!("`{text}`: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_of_one_class_travel_together() {
        let text = "number,city,carrier\n17000000001,北京,unicom\n17000000002,杭州,\n17000000003,北京,unicom\n";
        let rows = number_file::parse("f", text.as_bytes()).unwrap();
        let document = document_of(rows, Some("FC1"));
        assert_eq!(document.numbers.len(), 2);
        let counts: Vec<_> = document
            .numbers
            .iter()
            .map(|entry| entry.list.len())
            .collect();
        assert!(counts.contains(&1) && counts.contains(&2));
    }
}
