//! What is sealed under which key, as an operator is told: by the admin interface, or read from a directory of which no
//! service runs. No key is needed for it.

use maskline_domain::Timestamp;
use maskline_sealing::{Kind, USES_MAX};
use maskline_store::data_key;
use maskline_store::db::{Connection, Error};
use maskline_store::sealed::{self, Form, Found};
use serde_json::{Value, json};

/// Reads it.
///
/// # Errors
/// Those of the database.
pub async fn read(conn: &mut Connection) -> Result<Value, Error> {
    let keys = data_key::list(conn).await?;
    let values = keys.iter().filter(|key| key.kind == Kind::Values);
    let current = values.map(|key| key.id.0).max();
    let shown: Vec<Value> = keys
        .iter()
        .map(|key| {
            json!({
                "id": key.id.0,
                "kind": key.kind.name(),
                "made_at": Timestamp(key.made_at).format_china(),
                "master_key": key.master,
                "uses_reserved": key.promised,
            })
        })
        .collect();
    let journal = sealed::in_journal(conn).await?;
    let snapshots = sealed::in_snapshots(conn).await?;
    Ok(json!({
        "sealed": current.is_some(),
        "key": current,
        "uses_max": USES_MAX,
        "keys": shown,
        "journal": rows(&journal),
        "snapshots": rows(&snapshots),
    }))
}

fn rows(found: &Found) -> Vec<Value> {
    let row = |(form, rows): (&Form, &sealed::Rows)| {
        let (name, key) = match form {
            Form::Empty => ("without persons", None),
            Form::Clear => ("clear", None),
            Form::Sealed(key) => ("sealed", Some(key.0)),
        };
        json!({
            "form": name,
            "key": key,
            "rows": rows.count,
            "first": rows.first,
            "last": rows.last,
        })
    };
    found.iter().map(row).collect()
}
