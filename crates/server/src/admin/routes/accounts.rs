//! Accounts.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use serde_json::{Value, json};

use maskline_domain::{Account, AccountId, state};
use maskline_journal::pipeline::Touch;

use super::page::{self, Gathered};
use super::{Answer, Filter, documents};
use crate::admin::auth::Operator;
use crate::admin::document::{Document, WantedAccount};
use crate::admin::extract::{Body, Query};
use crate::admin::{Admin, AdminError, Mode};
use crate::ledger::Ledger;

pub async fn list(State(ledger): State<Ledger>, Query(filter): Query<Filter>) -> Answer {
    filter.only(&[])?;
    let after = filter.after.as_deref().map(AccountId::new);
    let found = page::gather(
        &ledger,
        Touch::Scan,
        Gathered::new(after, filter.limit()),
        |state, _, found| {
            let accounts = state.accounts_after(found.after().as_ref());
            found.take(accounts.map(|account| (account.id.clone(), Some(view(state, account)))));
        },
    );
    found.await?.into_page(AccountId::to_string).answer()
}

pub async fn show(State(ledger): State<Ledger>, Path(id): Path<String>) -> Answer {
    let id = AccountId::new(&id);
    let found = ledger
        .read(Touch::Scan, move |state, _| {
            state.account(&id).map(|account| view(state, account))
        })
        .await?;
    found.map(Json).ok_or(AdminError::NotFound("account"))
}

/// An account, and how many bindings it has, for which nothing may be in flight: bindings are no list.
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
