//! Pools.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use serde_json::Value;

use maskline_domain::PoolKey;
use maskline_journal::pipeline::Touch;

use super::{Answer, Filter, documents, there};
use crate::admin::auth::Operator;
use crate::admin::document::{Document, WantedPool};
use crate::admin::extract::{Body, Query};
use crate::admin::{Admin, AdminError, Mode, view};
use crate::ledger::Ledger;

pub async fn list(State(ledger): State<Ledger>, Query(filter): Query<Filter>) -> Answer {
    filter.only(&["account"])?;
    there(&ledger, None, filter.account.as_deref()).await?;
    let rows: Value = ledger
        .read(Touch::Scan, move |state, _| {
            let wanted = filter.account.as_deref();
            state
                .pools()
                .filter(|pool| wanted.is_none_or(|account| pool.account.as_str() == account))
                .map(|pool| view::pool(state, pool))
                .collect()
        })
        .await?;
    Ok(Json(rows))
}

pub async fn show(State(ledger): State<Ledger>, Path(key): Path<String>) -> Answer {
    let key = PoolKey::new(&key);
    let found = ledger
        .read(Touch::Scan, move |state, _| {
            state.pool(&key).map(|pool| {
                let mut shown = view::pool(state, pool);
                shown["cities"] = view::cities(state, pool);
                shown
            })
        })
        .await?;
    found.map(Json).ok_or(AdminError::NotFound("pool"))
}

pub async fn put(
    State(admin): State<Arc<Admin>>,
    operator: Operator,
    Path(key): Path<String>,
    Body(mut wanted): Body<WantedPool>,
) -> Answer {
    wanted.key = key;
    let document = Document {
        pools: vec![wanted],
        ..Document::default()
    };
    documents::one(&admin, &operator, document, Mode::default()).await
}
