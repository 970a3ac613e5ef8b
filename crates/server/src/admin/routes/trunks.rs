//! Trunks.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use serde_json::{Value, json};

use maskline_domain::{Command, TrunkName};
use maskline_store::pipeline::Touch;

use super::{Answer, documents};
use crate::admin::auth::Operator;
use crate::admin::document::{Document, WantedTrunk};
use crate::admin::extract::Body;
use crate::admin::{Admin, AdminError, view};

pub async fn list(State(admin): State<Arc<Admin>>) -> Answer {
    let rows = admin
        .ledger
        .read(Touch::Lists, |state, _| {
            state.trunks().map(view::trunk).collect::<Vec<Value>>()
        })
        .await?;
    let rows = rows.into_iter().map(|row| with_health(&admin, row));
    Ok(Json(rows.collect()))
}

pub async fn show(State(admin): State<Arc<Admin>>, Path(name): Path<String>) -> Answer {
    let name = TrunkName::new(&name);
    let found = admin
        .ledger
        .read(Touch::Lists, move |state, _| {
            state.trunk(&name).map(view::trunk)
        })
        .await?;
    let found = found.map(|row| Json(with_health(&admin, row)));
    found.ok_or(AdminError::NotFound("trunk"))
}

/// Adds whether the trunk answered when last asked; null if it is never asked.
fn with_health(admin: &Admin, mut row: Value) -> Value {
    let reachable = row["name"]
        .as_str()
        .and_then(|name| admin.calls.reachable(name));
    row["reachable"] = json!(reachable);
    row
}

pub async fn put(
    State(admin): State<Arc<Admin>>,
    operator: Operator,
    Path(name): Path<String>,
    Body(mut wanted): Body<WantedTrunk>,
) -> Answer {
    wanted.name = name;
    let document = Document {
        trunks: vec![wanted],
        ..Document::default()
    };
    documents::one(&admin, &operator, document, false).await
}

pub async fn delete(
    State(admin): State<Arc<Admin>>,
    operator: Operator,
    Path(name): Path<String>,
) -> Answer {
    let name = TrunkName::new(&name);
    admin
        .ledger
        .submit(operator.envelope(Command::DeleteTrunk { name }))
        .await?;
    Ok(Json(json!({})))
}
