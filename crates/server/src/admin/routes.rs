//! The admin API's table: a file for a noun, a line for a route.
//!
//! Making and changing goes through one door, a [`Document`](super::document::Document): `PUT` on a
//! thing is a document of one.

mod accounts;
mod bindings;
mod calls;
mod documents;
mod explain;
mod imports;
mod keys;
mod numbers;
mod operation;
mod pools;
mod trunks;
mod users;

use std::sync::Arc;

use axum::extract::DefaultBodyLimit;
use axum::middleware::from_fn_with_state;
use axum::routing::{get, patch, post, put};
use axum::{Extension, Json, Router};
use serde::Deserialize;
use serde_json::{Value, json};

use maskline_domain::PhoneNumber;
use maskline_journal::pipeline::Touch;

use super::auth::require_token;
use super::extract::BodyTimeout;
use super::{Admin, AdminError};
use crate::ledger::Ledger;
use crate::suggest;

/// Rows of one answer.
const LIMIT_DEFAULT: usize = 100;
const LIMIT_MAX: usize = 10_000;

/// How many things a list looks at before it gives up: it holds the state while it looks.
const VISITED_MAX: usize = 200_000;

/// A handler's answer.
type Answer = Result<Json<Value>, AdminError>;

/// All routes, each behind the token.
pub fn router(admin: Arc<Admin>, body_bytes_max: usize, body_timeout: BodyTimeout) -> Router {
    Router::new()
        .route("/v1/status", get(operation::status))
        .route("/v1/audit", get(operation::audit))
        .route("/v1/reveals", post(operation::note_reveal))
        .route("/v1/erasures", post(operation::erase))
        .route("/v1/clock/trust", post(operation::trust_clock))
        .route("/v1/apply", post(documents::apply))
        .route("/v1/accounts", get(accounts::list))
        .route("/v1/accounts/{id}", get(accounts::show).put(accounts::put))
        .route("/v1/users", get(users::list))
        .route(
            "/v1/users/{account}/{name}",
            put(users::put).delete(users::delete),
        )
        .route("/v1/keys", get(keys::list).post(keys::create))
        .route(
            "/v1/keys/{id}",
            patch(keys::set_active).delete(keys::delete),
        )
        .route("/v1/reseal", post(keys::reseal))
        .route("/v1/pools", get(pools::list))
        .route("/v1/pools/{key}", get(pools::show).put(pools::put))
        .route("/v1/numbers", get(numbers::list))
        .route(
            "/v1/numbers/{x}",
            get(numbers::show).patch(numbers::set_locked),
        )
        .route(
            "/v1/imports/{name}",
            get(imports::show).put(imports::put).delete(imports::end),
        )
        .route("/v1/trunks", get(trunks::list))
        .route(
            "/v1/trunks/{name}",
            get(trunks::show).put(trunks::put).delete(trunks::delete),
        )
        .route("/v1/strangers", get(trunks::unknown_sources))
        .route("/v1/trunks/{name}/test", post(trunks::test))
        .route("/v1/bindings", get(bindings::list))
        .route(
            "/v1/bindings/{subs_id}",
            get(bindings::show).delete(bindings::unbind),
        )
        .route("/v1/calls", get(calls::list))
        .route("/v1/calls/live", get(calls::live))
        .route("/v1/drain", post(operation::drain))
        .route("/v1/calls/{call_id}", get(calls::show))
        .route("/v1/explain", get(explain::explain))
        .layer(DefaultBodyLimit::max(body_bytes_max))
        .layer(Extension(body_timeout))
        .layer(from_fn_with_state(admin.clone(), require_token))
        .with_state(admin)
}

/// What lists can be asked for.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Filter {
    account: Option<String>,
    pool: Option<String>,
    city: Option<String>,
    status: Option<String>,
    limit: Option<usize>,
    reveal: bool,
}

impl Filter {
    /// Refuses what this answer cannot be narrowed by: it would be passed over in silence.
    fn only(&self, known: &[&str]) -> Result<(), AdminError> {
        let given = [
            ("account", self.account.is_some()),
            ("pool", self.pool.is_some()),
            ("city", self.city.is_some()),
            ("status", self.status.is_some()),
        ];
        let wrong = given
            .into_iter()
            .find(|(name, given)| *given && !known.contains(name));
        match wrong {
            None => Ok(()),
            Some((name, _)) if known.is_empty() => Err(AdminError::Malformed(format!(
                "this cannot be asked for by {name}"
            ))),
            Some((name, _)) => Err(AdminError::Malformed(format!(
                "this list cannot be asked for by {name}: {}",
                suggest::among(name, known)
            ))),
        }
    }

    fn limit(&self) -> usize {
        self.limit.unwrap_or(LIMIT_DEFAULT).clamp(1, LIMIT_MAX)
    }
}

/// Refuses a word that is none of those that a filter knows.
fn one_of(what: &str, word: Option<&str>, known: &[&str]) -> Result<(), AdminError> {
    match word {
        Some(word) if !known.contains(&word) => Err(AdminError::Malformed(format!(
            "{what} {}",
            suggest::among(word, known)
        ))),
        _ => Ok(()),
    }
}

/// Refuses a pool or an account that is not there: a list of nothing would look like an answer.
async fn there(
    ledger: &Ledger,
    pool: Option<&str>,
    account: Option<&str>,
) -> Result<(), AdminError> {
    let (pool, account) = (pool.map(str::to_owned), account.map(str::to_owned));
    let missing = ledger
        .read(Touch::Lists, move |state, _| {
            let pools: Vec<&str> = state.pools().map(|pool| pool.key.as_str()).collect();
            let accounts: Vec<&str> = state
                .accounts()
                .map(|account| account.id.as_str())
                .collect();
            missing("pool", pool.as_deref(), &pools)
                .or_else(|| missing("account", account.as_deref(), &accounts))
        })
        .await?;
    missing.map_or(Ok(()), |reason| Err(AdminError::Malformed(reason)))
}

fn missing(what: &str, wanted: Option<&str>, known: &[&str]) -> Option<String> {
    let wanted = wanted?;
    if known.contains(&wanted) {
        return None;
    }
    let hint = suggest::hint(wanted, known.iter().copied());
    Some(format!("there is no {what} `{wanted}`{hint}"))
}

fn phone_number(text: &str) -> Result<PhoneNumber, AdminError> {
    PhoneNumber::parse(text).map_err(|error| AdminError::Malformed(error.to_string()))
}

/// A list that was found by looking through many things: rows, and whether there may be more.
#[derive(Default)]
struct Found {
    rows: Vec<Value>,
    more: bool,
}

impl Found {
    /// Takes what `show` makes of the items, up to a limit of rows and of items visited.
    fn among<T>(
        items: impl Iterator<Item = T>,
        limit: usize,
        mut show: impl FnMut(T) -> Option<Value>,
    ) -> Self {
        let mut rows = Vec::new();
        for (visited, item) in items.enumerate() {
            if visited == VISITED_MAX {
                return Self { rows, more: true };
            }
            let Some(row) = show(item) else { continue };
            if rows.len() == limit {
                return Self { rows, more: true };
            }
            rows.push(row);
        }
        Self { rows, more: false }
    }

    fn into_json(self) -> Json<Value> {
        Json(json!({ "items": self.rows, "more": self.more }))
    }
}
