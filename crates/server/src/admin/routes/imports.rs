//! How far imports have come.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use serde::Deserialize;
use serde_json::json;

use maskline_domain::ops::NoteImport;
use maskline_journal::pipeline::Touch;

use super::Answer;
use crate::admin::Admin;
use crate::admin::auth::Operator;
use crate::admin::extract::Body;

/// How far an import has come.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cursor {
    /// How many of its rows are in.
    rows: u64,
}

pub async fn show(State(admin): State<Arc<Admin>>, Path(name): Path<String>) -> Answer {
    let rows = admin
        .ledger
        .read(Touch::Lists, |state, _| state.import(&name).unwrap_or(0))
        .await?;
    Ok(Json(json!({ "rows": rows })))
}

pub async fn put(
    State(admin): State<Arc<Admin>>,
    operator: Operator,
    Path(name): Path<String>,
    Body(cursor): Body<Cursor>,
) -> Answer {
    note(&admin, &operator, name, Some(cursor.rows)).await
}

pub async fn end(
    State(admin): State<Arc<Admin>>,
    operator: Operator,
    Path(name): Path<String>,
) -> Answer {
    note(&admin, &operator, name, None).await
}

async fn note(admin: &Admin, operator: &Operator, name: String, rows: Option<u64>) -> Answer {
    let command = NoteImport {
        name: name.into(),
        rows,
    };
    admin.ledger.submit(operator.envelope(command)).await?;
    Ok(Json(json!({})))
}
