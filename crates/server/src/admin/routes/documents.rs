//! `POST /v1/apply`: the whole of a document.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde::Deserialize;
use serde_json::json;

use super::Answer;
use crate::admin::auth::Operator;
use crate::admin::document::Document;
use crate::admin::extract::{Body, Query};
use crate::admin::{self, Admin};

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Mode {
    dry_run: bool,
}

pub async fn apply(
    State(admin): State<Arc<Admin>>,
    operator: Operator,
    Query(mode): Query<Mode>,
    Body(document): Body<Document>,
) -> Answer {
    one(&admin, &operator, document, mode.dry_run).await
}

/// Applies a document and shows what it did.
pub async fn one(admin: &Admin, operator: &Operator, document: Document, dry_run: bool) -> Answer {
    Ok(Json(json!(
        admin::apply(admin, operator, document, dry_run).await?
    )))
}
