//! How far imports have come.

use axum::Json;
use axum::extract::{Path, State};
use serde::Deserialize;
use serde_json::json;

use maskline_domain::ops::NoteImport;
use maskline_journal::pipeline::Touch;

use super::page::{self, Gathered};
use super::{Answer, Filter};
use crate::admin::auth::Operator;
use crate::admin::extract::{Body, Query};
use crate::ledger::Ledger;

/// Imports are of no list that calls wait for, so that whoever goes on with one waits for all that is in flight: a
/// cursor that is undone would leave rows out.
const TOUCH: Touch = Touch::Scan;

/// How far an import has come.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cursor {
    /// How many of its rows are in.
    rows: u64,
}

/// Imports under way.
pub async fn list(State(ledger): State<Ledger>, Query(filter): Query<Filter>) -> Answer {
    filter.only(&[])?;
    let limit = filter.limit();
    let found = page::gather(
        &ledger,
        TOUCH,
        Gathered::new(filter.after, limit),
        |state, _, found| {
            let imports = state.imports_after(found.after().as_deref());
            found.take(imports.map(|(name, rows)| {
                (name.to_owned(), Some(json!({ "name": name, "rows": rows })))
            }));
        },
    );
    found.await?.into_page(String::clone).answer()
}

pub async fn show(State(ledger): State<Ledger>, Path(name): Path<String>) -> Answer {
    let rows = ledger
        .read(TOUCH, |state, _| state.import(&name).unwrap_or(0))
        .await?;
    Ok(Json(json!({ "rows": rows })))
}

pub async fn put(
    State(ledger): State<Ledger>,
    operator: Operator,
    Path(name): Path<String>,
    Body(cursor): Body<Cursor>,
) -> Answer {
    note(&ledger, &operator, name, Some(cursor.rows)).await
}

pub async fn end(
    State(ledger): State<Ledger>,
    operator: Operator,
    Path(name): Path<String>,
) -> Answer {
    note(&ledger, &operator, name, None).await
}

async fn note(ledger: &Ledger, operator: &Operator, name: String, rows: Option<u64>) -> Answer {
    let command = NoteImport {
        name: name.into(),
        rows,
    };
    ledger.submit(operator.envelope(command)).await?;
    Ok(Json(json!({})))
}
