//! Users of accounts.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use serde_json::json;

use maskline_domain::ops::DeleteUser;
use maskline_domain::{AccountId, UserName};
use maskline_journal::pipeline::Touch;

use super::page::{self, Gathered};
use super::{Answer, Filter, documents, there};
use crate::admin::auth::Operator;
use crate::admin::document::{Document, WantedUser};
use crate::admin::extract::{Body, Query};
use crate::admin::{Admin, AdminError, Mode, view};
use crate::ledger::Ledger;

pub async fn list(State(ledger): State<Ledger>, Query(filter): Query<Filter>) -> Answer {
    filter.only(&["account"])?;
    there(&ledger, None, filter.account.as_deref()).await?;
    let account = filter.account.as_deref().map(AccountId::new);
    let after = match filter.after.as_deref().map(key_of).transpose()? {
        // Users of one account stand together, behind the name that nobody has.
        None => account.clone().map(|account| (account, UserName::new(""))),
        Some((of, _)) if account.as_ref().is_some_and(|account| of != *account) => {
            return Err(page::no_key());
        }
        after => after,
    };
    let found = page::gather(
        &ledger,
        Touch::Lists,
        Gathered::new(after, filter.limit()),
        |state, _, found| {
            let users = state
                .users_after(found.after().as_ref())
                .take_while(|user| account.as_ref().is_none_or(|id| user.account == *id));
            found.take(users.map(|user| {
                let key = (user.account.clone(), user.name.clone());
                (key, Some(view::user(user)))
            }));
        },
    );
    let found = found.await?;
    let text = |(account, name): &(AccountId, UserName)| format!("{account}/{name}");
    found.into_page(text).answer()
}

/// Where a page begins; no name has a slash.
fn key_of(text: &str) -> Result<(AccountId, UserName), AdminError> {
    let (account, name) = text.split_once('/').ok_or_else(page::no_key)?;
    Ok((AccountId::new(account), UserName::new(name)))
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
