//! Carriers.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use serde::Deserialize;
use serde_json::{Value, json};

use maskline_domain::ops::DeleteCarrier;
use maskline_domain::{CarrierName, Timestamp};
use maskline_journal::pipeline::Touch;

use super::page::{self, Gathered};
use super::{Answer, Filter, documents};
use crate::admin::auth::Operator;
use crate::admin::document::{Document, WantedCarrier};
use crate::admin::extract::{Body, Query};
use crate::admin::plan::carrier_users;
use crate::admin::{Admin, AdminError, Mode, view};
use crate::carriers::{Carriers, ForgetError, ReconcileError};
use crate::ledger::Ledger;

/// What is told of a carrier in whose pools nothing is bound since the data were restored.
const NOT_SINCE_RESTORE: &str = "not reconciled yet since the restore: binds are refused";

pub async fn list(
    State(ledger): State<Ledger>,
    State(carriers): State<Carriers>,
    Query(filter): Query<Filter>,
) -> Answer {
    filter.only(&[])?;
    let after = filter.after.as_deref().map(CarrierName::new);
    let found = page::gather(
        &ledger,
        Touch::Lists,
        Gathered::new(after, filter.limit()),
        |state, _, found| {
            let carriers = state.carriers_after(found.after().as_ref());
            found
                .take(carriers.map(|carrier| (carrier.name.clone(), Some(view::carrier(carrier)))));
        },
    );
    let mut page = found.await?.into_page(CarrierName::to_string);
    let rows = page.rows.into_iter();
    page.rows = rows.map(|row| with_health(&carriers, row)).collect();
    page.answer()
}

/// Adds how a carrier is asked at the moment; null for one that is told nothing.
fn with_health(carriers: &Carriers, mut row: Value) -> Value {
    let name = CarrierName::new(row["name"].as_str().unwrap_or_default());
    let health = carriers.health(&name);
    row["breaker"] = json!(health.map(|health| health.breaker));
    row["waiting"] = json!(health.map(|health| health.waiting));
    row["owed"] = json!(health.map(|health| health.owed));
    row["under_way"] = json!(health.map(|health| health.under_way));
    let compared = carriers.compared(&name);
    let at = compared.and_then(|compared| compared.at);
    row["reconciled_at"] = json!(at.map(Timestamp::format_china));
    let refuses = compared.is_some_and(|compared| !compared.is_since_restore);
    row["note"] = json!(refuses.then_some(NOT_SINCE_RESTORE));
    row
}

/// What a reconciliation may be told.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Wanted {
    dry_run: bool,
}

/// Compares what a carrier holds with what is bound, and mends the difference. May take as long as the carrier takes to
/// say all that it holds; goes on to its end though nobody waits for it.
pub async fn reconcile(
    State(carriers): State<Carriers>,
    operator: Operator,
    Path(name): Path<String>,
    Query(wanted): Query<Wanted>,
) -> Answer {
    let by = operator.actor();
    let name = CarrierName::new(&name);
    let running = tokio::spawn(async move { carriers.reconcile(&name, wanted.dry_run, by).await });
    let found = running
        .await
        .map_err(|error| AdminError::Internal(error.to_string()))?;
    match found {
        Ok(found) => Ok(Json(json!(found))),
        Err(ReconcileError::Unknown) => {
            Err(AdminError::NotFound("carrier that is told of bindings"))
        }
        Err(ReconcileError::UnderWay) => {
            Err(AdminError::Refused(ReconcileError::UnderWay.to_string()))
        }
        Err(ReconcileError::Submit(error)) => Err(error.into()),
        Err(error) => Err(AdminError::Unavailable(error.to_string())),
    }
}

/// What is wanted of a carrier that is gone for good.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Forgetting {
    force: bool,
}

/// Detaches all bindings from a carrier that is gone for good, or only says which there are; goes on to its end though
/// nobody waits for it.
pub async fn forget(
    State(carriers): State<Carriers>,
    operator: Operator,
    Path(name): Path<String>,
    Query(wanted): Query<Forgetting>,
) -> Answer {
    let by = operator.actor();
    let name = CarrierName::new(&name);
    let running = tokio::spawn(async move { carriers.forget(&name, wanted.force, by).await });
    let found = running
        .await
        .map_err(|error| AdminError::Internal(error.to_string()))?;
    match found {
        Ok(found) => Ok(Json(json!(found))),
        Err(ForgetError::Submit(error)) => Err(error.into()),
        Err(ForgetError::Read(error)) => Err(error.into()),
    }
}

pub async fn show(
    State(ledger): State<Ledger>,
    State(carriers): State<Carriers>,
    Path(name): Path<String>,
) -> Answer {
    let name = CarrierName::new(&name);
    let found = ledger
        .read(Touch::Lists, move |state, _| {
            state.carrier(&name).map(view::carrier)
        })
        .await?;
    let found = found.map(|row| Json(with_health(&carriers, row)));
    found.ok_or(AdminError::NotFound("carrier"))
}

pub async fn put(
    State(admin): State<Arc<Admin>>,
    operator: Operator,
    Path(name): Path<String>,
    Body(mut wanted): Body<WantedCarrier>,
) -> Answer {
    wanted.name = name;
    let document = Document {
        carriers: vec![wanted],
        ..Document::default()
    };
    documents::one(&admin, &operator, document, Mode::default()).await
}

pub async fn delete(
    State(admin): State<Arc<Admin>>,
    operator: Operator,
    Path(name): Path<String>,
) -> Answer {
    let name = CarrierName::new(&name);
    let look = |state: &maskline_domain::State, _| carrier_users(state, &name);
    if let Some(why) = admin.ledger.read(Touch::Lists, look).await? {
        return Err(AdminError::Refused(why));
    }
    let command = DeleteCarrier { name };
    admin.ledger.submit(operator.envelope(command)).await?;
    admin.carriers.refresh().await;
    Ok(Json(json!({})))
}
