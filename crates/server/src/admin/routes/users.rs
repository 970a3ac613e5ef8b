//! Users of accounts.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use serde_json::{Value, json};

use maskline_domain::ops::DeleteUser;
use maskline_domain::{AccountId, UserName};
use maskline_journal::pipeline::Touch;

use super::{Answer, Filter, documents, there};
use crate::admin::auth::Operator;
use crate::admin::document::{Document, WantedUser};
use crate::admin::extract::{Body, Query};
use crate::admin::{Admin, Mode, view};
use crate::ledger::Ledger;

pub async fn list(State(ledger): State<Ledger>, Query(filter): Query<Filter>) -> Answer {
    filter.only(&["account"])?;
    there(&ledger, None, filter.account.as_deref()).await?;
    let rows: Value = ledger
        .read(Touch::Lists, move |state, _| {
            let wanted = filter.account.as_deref();
            state
                .users()
                .filter(|user| wanted.is_none_or(|account| user.account.as_str() == account))
                .map(view::user)
                .collect()
        })
        .await?;
    Ok(Json(rows))
}

pub async fn put(
    State(admin): State<Arc<Admin>>,
    operator: Operator,
    Path((account, name)): Path<(String, String)>,
    Body(mut wanted): Body<WantedUser>,
) -> Answer {
    wanted.account = account;
    wanted.name = name;
    let document = Document {
        users: vec![wanted],
        ..Document::default()
    };
    documents::one(&admin, &operator, document, Mode::default()).await
}

pub async fn delete(
    State(ledger): State<Ledger>,
    operator: Operator,
    Path((account, name)): Path<(String, String)>,
) -> Answer {
    let command = DeleteUser {
        account: AccountId::new(&account),
        name: UserName::new(&name),
    };
    ledger.submit(operator.envelope(command)).await?;
    Ok(Json(json!({})))
}
