//! Operators: who may use this interface, and the first token.

use axum::Json;
use axum::extract::{Path, State};
use serde::Deserialize;
use serde_json::json;

use maskline_domain::ops::{
    AddOperator, RemoveOperator, RetireFirstToken, RotateOperator, SetOperatorEnabled,
};
use maskline_domain::{OperatorName, Role};
use maskline_journal::pipeline::Touch;

use super::page::{self, Gathered};
use super::{Answer, Filter};
use crate::admin::auth::Operator;
use crate::admin::credentials::{hash_of, new_operator_token};
use crate::admin::extract::{Body, Query};
use crate::admin::{AdminError, view};
use crate::ledger::Ledger;

pub async fn list(State(ledger): State<Ledger>, Query(filter): Query<Filter>) -> Answer {
    filter.only(&[])?;
    let after = filter.after.as_deref().map(OperatorName::new);
    let found = page::gather(
        &ledger,
        Touch::Lists,
        Gathered::new(after, filter.limit()),
        |state, _, found| {
            let operators = state.operators_after(found.after().as_ref());
            found.take(operators.map(|known| (known.name.clone(), Some(view::operator(known)))));
        },
    );
    let page = found.await?.into_page(OperatorName::to_string);
    let is_retired = ledger
        .read(Touch::Lists, |state, _| state.is_first_token_retired())
        .await?;
    let mut shown = page.into_json();
    shown["first_token"] = json!(if is_retired { "retired" } else { "in use" });
    Ok(Json(shown))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewOperator {
    name: String,
    role: Role,
}

/// Answers the token, this once.
pub async fn create(
    State(ledger): State<Ledger>,
    operator: Operator,
    Body(wanted): Body<NewOperator>,
) -> Answer {
    let NewOperator { name, role } = wanted;
    let token = new_token()?;
    let command = AddOperator {
        name: OperatorName::new(&name),
        role,
        token_hash: hash_of(&token),
    };
    ledger.submit(operator.envelope(command)).await?;
    Ok(Json(json!({ "name": name, "role": role, "token": *token })))
}

/// Answers the new token, this once.
pub async fn rotate(
    State(ledger): State<Ledger>,
    operator: Operator,
    Path(name): Path<String>,
) -> Answer {
    let token = new_token()?;
    let command = RotateOperator {
        name: OperatorName::new(&name),
        token_hash: hash_of(&token),
    };
    ledger.submit(operator.envelope(command)).await?;
    Ok(Json(json!({ "name": name, "token": *token })))
}

fn new_token() -> Result<zeroize::Zeroizing<String>, AdminError> {
    new_operator_token().map_err(|error| AdminError::Internal(error.to_string()))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Switch {
    enabled: bool,
}

pub async fn set_enabled(
    State(ledger): State<Ledger>,
    operator: Operator,
    Path(name): Path<String>,
    Body(switch): Body<Switch>,
) -> Answer {
    let command = SetOperatorEnabled {
        name: OperatorName::new(&name),
        enabled: switch.enabled,
    };
    ledger.submit(operator.envelope(command)).await?;
    Ok(Json(json!({})))
}

pub async fn remove(
    State(ledger): State<Ledger>,
    operator: Operator,
    Path(name): Path<String>,
) -> Answer {
    let name = OperatorName::new(&name);
    let command = RemoveOperator { name };
    ledger.submit(operator.envelope(command)).await?;
    Ok(Json(json!({})))
}

pub async fn retire_first(State(ledger): State<Ledger>, operator: Operator) -> Answer {
    ledger.submit(operator.envelope(RetireFirstToken)).await?;
    tracing::warn!("the first token was retired");
    Ok(Json(json!({})))
}
