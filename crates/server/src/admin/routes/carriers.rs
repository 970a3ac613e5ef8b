//! Carriers.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use serde_json::json;

use maskline_domain::CarrierName;
use maskline_domain::ops::DeleteCarrier;
use maskline_journal::pipeline::Touch;

use super::page::{self, Gathered};
use super::{Answer, Filter, documents};
use crate::admin::auth::Operator;
use crate::admin::document::{Document, WantedCarrier};
use crate::admin::extract::{Body, Query};
use crate::admin::{Admin, AdminError, Mode, view};
use crate::ledger::Ledger;

pub async fn list(State(ledger): State<Ledger>, Query(filter): Query<Filter>) -> Answer {
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
    found.await?.into_page(CarrierName::to_string).answer()
}

pub async fn show(State(ledger): State<Ledger>, Path(name): Path<String>) -> Answer {
    let name = CarrierName::new(&name);
    let found = ledger
        .read(Touch::Lists, move |state, _| {
            state.carrier(&name).map(view::carrier)
        })
        .await?;
    found.map(Json).ok_or(AdminError::NotFound("carrier"))
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
    State(ledger): State<Ledger>,
    operator: Operator,
    Path(name): Path<String>,
) -> Answer {
    let name = CarrierName::new(&name);
    let command = DeleteCarrier { name };
    ledger.submit(operator.envelope(command)).await?;
    Ok(Json(json!({})))
}
