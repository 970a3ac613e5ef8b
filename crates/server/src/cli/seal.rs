//! `maskline seal`.

use std::path::Path;

use clap::Subcommand;
use maskline_store::directory;
use serde_json::Value;

use super::{Client, Common, Failure, show};
use crate::admin::seal_status;

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Tell what is sealed under which key; also of a data directory, or a backup, of which no service runs
    Status,
}

pub fn run(common: &Common, command: &Command) -> Result<(), Failure> {
    let Command::Status = command;
    let told = Client::find(common).and_then(|client| client.get("/v1/seal"));
    let status = match told {
        Err(Failure::Unreachable(_)) if common.server.is_none() => {
            let settings = common.load()?.settings;
            super::block_on(read(Path::new(&settings.data)))?
        }
        told => told?,
    };
    match common.json {
        true => show::json(&status),
        false => show::line(text(&status).trim_end()),
    }
}

async fn read(data: &Path) -> Result<Value, Failure> {
    let failed = |error: &dyn std::fmt::Display| Failure::Failed(error.to_string());
    let readers = directory::readers(data, 1)
        .await
        .map_err(|error| failed(&error))?;
    let mut conn = readers.acquire().await.map_err(|error| failed(&error))?;
    seal_status::read(&mut conn)
        .await
        .map_err(|error| failed(&error))
}

fn text(status: &Value) -> String {
    let mut text = match status["key"].as_u64() {
        Some(key) => format!("what is written now is sealed under data key {key}\n"),
        None => "nothing is sealed: the directory is of an older program\n".to_owned(),
    };
    for key in status["keys"].as_array().into_iter().flatten() {
        text.push_str(&format!(
            "data key {} ({}): made {}, under master key {}, {} of {} uses reserved\n",
            key["id"],
            key["kind"].as_str().unwrap_or_default(),
            key["made_at"].as_str().unwrap_or_default(),
            key["master_key"].as_str().unwrap_or_default(),
            key["uses_reserved"],
            status["uses_max"],
        ));
    }
    for (name, field, unit) in [
        ("journal", "journal", "batch(es)"),
        ("snapshots", "snapshots", "part(s)"),
    ] {
        let rows = status[field].as_array().into_iter().flatten();
        let rows: Vec<String> = rows.map(|row| rows_text(row, unit)).collect();
        let rows = if rows.is_empty() {
            "nothing".to_owned()
        } else {
            rows.join("; ")
        };
        text.push_str(&format!("{name}: {rows}\n"));
    }
    text
}

fn rows_text(row: &Value, unit: &str) -> String {
    let how = match (row["form"].as_str(), row["key"].as_u64()) {
        (_, Some(key)) => format!("sealed under data key {key}"),
        (Some("clear"), None) => "NOT SEALED".to_owned(),
        (form, None) => form.unwrap_or_default().to_owned(),
    };
    format!(
        "{} {unit} {how} (of batch {} to {})",
        row["rows"], row["first"], row["last"]
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_is_not_sealed_is_told_apart() {
        let rows = |form: &str, key: Option<u32>| json!({"form": form, "key": key, "rows": 3, "first": 1, "last": 9});
        let status = json!({
            "key": 1,
            "uses_max": 100,
            "keys": [{"id": 1, "kind": "values", "made_at": "now", "master_key": "ab", "uses_reserved": 50}],
            "journal": [rows("without persons", None), rows("clear", None), rows("sealed", Some(1))],
            "snapshots": [],
        });
        assert_eq!(
            text(&status),
            "what is written now is sealed under data key 1\n\
             data key 1 (values): made now, under master key ab, 50 of 100 uses reserved\n\
             journal: 3 batch(es) without persons (of batch 1 to 9); 3 batch(es) NOT SEALED (of batch 1 to 9); \
             3 batch(es) sealed under data key 1 (of batch 1 to 9)\n\
             snapshots: nothing\n"
        );
    }
}
