//! Trunks.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use serde_json::{Value, json};

use maskline_domain::TrunkName;
use maskline_domain::ops::DeleteTrunk;
use maskline_journal::pipeline::Touch;
use maskline_sip::message::phrase;

use super::page::{self, Gathered};
use super::{Answer, Filter, documents};
use crate::admin::auth::Operator;
use crate::admin::document::{Document, WantedTrunk};
use crate::admin::extract::{Body, Query};
use crate::admin::{Admin, AdminError, Mode, view};
use crate::calls::CallsHandle;
use crate::ledger::Ledger;

pub async fn list(
    State(ledger): State<Ledger>,
    State(calls): State<CallsHandle>,
    Query(filter): Query<Filter>,
) -> Answer {
    filter.only(&[])?;
    let after = filter.after.as_deref().map(TrunkName::new);
    let found = page::gather(
        &ledger,
        Touch::Lists,
        Gathered::new(after, filter.limit()),
        |state, _, found| {
            let trunks = state.trunks_after(found.after().as_ref());
            found.take(trunks.map(|trunk| (trunk.name.clone(), Some(view::trunk(trunk)))));
        },
    );
    let mut page = found.await?.into_page(TrunkName::to_string);
    let rows = page.rows.into_iter().map(|row| with_health(&calls, row));
    page.rows = rows.collect();
    page.answer()
}

pub async fn show(
    State(ledger): State<Ledger>,
    State(calls): State<CallsHandle>,
    Path(name): Path<String>,
) -> Answer {
    let name = TrunkName::new(&name);
    let found = ledger
        .read(Touch::Lists, move |state, _| {
            state.trunk(&name).map(view::trunk)
        })
        .await?;
    let found = found.map(|row| Json(with_health(&calls, row)));
    found.ok_or(AdminError::NotFound("trunk"))
}

/// Adds how the trunk is: whether it answered when last asked (null if it is never asked), its
/// registration, where it is, and why calls cannot be sent to it.
fn with_health(calls: &CallsHandle, mut row: Value) -> Value {
    let name = row["name"].as_str().unwrap_or_default();
    let health = calls.trunk(name);
    let health = health.as_ref();
    let registration = health.and_then(|health| health.registration.as_ref());
    let expires_at = registration.and_then(|registration| registration.expires_at);
    let hops = health.map(|health| &health.hops[..]).unwrap_or_default();
    let facts = [
        (
            "reachable",
            json!(health.and_then(|health| health.reachable)),
        ),
        (
            "addresses",
            json!(
                hops.iter()
                    .map(|hop| hop.address.to_string())
                    .collect::<Vec<_>>()
            ),
        ),
        ("registration", json!(registration.map(|r| r.state))),
        (
            "registration_expires_at",
            json!(expires_at.map(|at| at.format_china())),
        ),
        (
            "registration_error",
            json!(registration.and_then(|r| r.error.as_deref())),
        ),
        (
            "trouble",
            json!(health.and_then(|health| health.trouble.as_deref())),
        ),
    ];
    for (name, fact) in facts {
        row[name] = fact;
    }
    row
}

/// Where SIP came from that belongs to no trunk, the latest first.
pub async fn unknown_sources(State(calls): State<CallsHandle>) -> Answer {
    let sources = calls.unknown_sources().list();
    let rows = sources.into_iter().map(|(address, source)| {
        json!({
            "address": address.to_string(),
            "transport": source.transport.as_param(),
            "asked": source.asked,
            "count": source.count,
            "first_at": source.first_at.format_china(),
            "last_at": source.last_at.format_china(),
        })
    });
    Ok(Json(rows.collect()))
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
    documents::one(&admin, &operator, document, Mode::default()).await
}

/// Asks an enabled trunk by OPTIONS, as the service would, and tells what came back.
pub async fn test(
    State(ledger): State<Ledger>,
    State(calls): State<CallsHandle>,
    Path(name): Path<String>,
) -> Answer {
    let wanted = TrunkName::new(&name);
    let found = ledger
        .read(Touch::Lists, move |state, _| {
            state.trunk(&wanted).map(|trunk| trunk.enabled)
        })
        .await?;
    match found {
        None => return Err(AdminError::NotFound("trunk")),
        Some(false) => {
            let reason = format!("trunk {name} is disabled; `maskline trunk enable {name}`");
            return Err(AdminError::Refused(reason));
        }
        Some(true) => {}
    }
    let answer = calls.test_trunk(&name).await.ok_or_else(|| {
        let reason = "the trunk is being tested already, its name or password cannot be used, or no calls \
                      are served; see `maskline trunk ls`";
        AdminError::Unavailable(reason.to_owned())
    })?;
    tracing::info!(trunk = name, status = answer.status, "a trunk was tested");
    Ok(Json(json!({
        "trunk": name,
        "address": answer.at.to_string(),
        "answered": answer.status.is_some(),
        "status": answer.status,
        "phrase": answer.status.map(phrase),
        "took_ms": answer.took_ms,
        "trouble": answer.trouble,
    })))
}

pub async fn delete(
    State(ledger): State<Ledger>,
    State(calls): State<CallsHandle>,
    operator: Operator,
    Path(name): Path<String>,
) -> Answer {
    let name = TrunkName::new(&name);
    ledger
        .submit(operator.envelope(DeleteTrunk { name }))
        .await?;
    calls.trunks_are_current().await;
    Ok(Json(json!({})))
}
