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
use crate::admin::plan::KnownNumbers;
use crate::admin::{self, Admin, Mode};

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Asked {
    /// Only tell what would change.
    dry_run: bool,
    /// Refuse numbers that are there already and would change.
    new_numbers_only: bool,
}

pub async fn apply(
    State(admin): State<Arc<Admin>>,
    operator: Operator,
    Query(asked): Query<Asked>,
    Body(document): Body<Document>,
) -> Answer {
    let mode = Mode {
        dry_run: asked.dry_run,
        known: match asked.new_numbers_only {
            true => KnownNumbers::Refused,
            false => KnownNumbers::Changed,
        },
    };
    one(&admin, &operator, document, mode).await
}

/// Applies a document and shows what it did.
pub async fn one(admin: &Admin, operator: &Operator, document: Document, mode: Mode) -> Answer {
    let of_carriers = !document.carriers.is_empty() || !document.remove.carriers.is_empty();
    let applied = admin::apply(admin, operator, document, mode).await;
    // Whoever binds after the answer is asked for where the carrier is now; some changes may be made in any case.
    if of_carriers && !mode.dry_run {
        admin.carriers.refresh().await;
    }
    Ok(Json(json!(applied?)))
}
