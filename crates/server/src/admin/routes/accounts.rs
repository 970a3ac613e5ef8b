//! Accounts.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use serde_json::{Value, json};

use maskline_domain::{Account, AccountId, state};
use maskline_journal::pipeline::Touch;

use super::{Answer, documents};
use crate::admin::auth::Operator;
use crate::admin::document::{Document, WantedAccount};
use crate::admin::extract::Body;
use crate::admin::{Admin, AdminError, Mode};
use crate::ledger::Ledger;

pub async fn list(State(ledger): State<Ledger>) -> Answer {
    let rows = ledger
        .read(Touch::Lists, |state, _| {
            let rows = state.accounts().map(|account| view(state, account));
            json!(rows.collect::<Vec<_>>())
        })
        .await?;
    Ok(Json(rows))
}

pub async fn show(State(ledger): State<Ledger>, Path(id): Path<String>) -> Answer {
    let id = AccountId::new(&id);
    let found = ledger
        .read(Touch::Lists, move |state, _| {
            state.account(&id).map(|account| view(state, account))
        })
        .await?;
    found.map(Json).ok_or(AdminError::NotFound("account"))
}

/// An account, and how many bindings it has.
fn view(state: &state::State, account: &Account) -> Value {
    let mut shown = json!(account);
    shown["bindings"] = json!(state.bindings_of_account(&account.id));
    shown
}

pub async fn put(
    State(admin): State<Arc<Admin>>,
    operator: Operator,
    Path(id): Path<String>,
    Body(mut wanted): Body<WantedAccount>,
) -> Answer {
    wanted.id = id;
    let document = Document {
        accounts: vec![wanted],
        ..Document::default()
    };
    documents::one(&admin, &operator, document, Mode::default()).await
}
