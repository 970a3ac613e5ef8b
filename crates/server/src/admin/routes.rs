//! The admin API's table: a file for a noun, a line for a route.
//!
//! Making and changing goes through one door, a [`Document`](super::document::Document): `PUT` on a
//! thing is a document of one.

mod accounts;
mod bindings;
mod calls;
mod carriers;
mod documents;
mod explain;
mod explain_bind;
mod holds;
mod imports;
mod keys;
mod numbers;
mod operation;
mod page;
mod pools;
mod retention;
mod sealing;
mod trunks;
mod users;

use std::sync::Arc;

use axum::extract::DefaultBodyLimit;
use axum::middleware::from_fn_with_state;
use axum::routing::MethodRouter;
use axum::{Extension, Json, Router};
use serde::Deserialize;
use serde_json::Value;

use maskline_domain::{AccountId, PhoneNumber, PoolKey};
use maskline_journal::pipeline::Touch;

use super::auth::require_token;
use super::extract::BodyTimeout;
use super::{Admin, AdminError};
use crate::ledger::Ledger;
use crate::suggest;

/// A handler's answer.
type Answer = Result<Json<Value>, AdminError>;

/// The table: for each path its methods, each with what answers it.
macro_rules! routes {
    ($($path:literal { $($method:ident $handler:path),+ })+) => {
        /// Every route: its path, and its methods in small letters.
        pub const ROUTES: &[(&str, &[&str])] = &[$(($path, &[$(stringify!($method)),+])),+];

        fn table() -> Router<Arc<Admin>> {
            Router::new()$(.route($path, MethodRouter::new()$(.$method($handler))+))+
        }
    };
}

routes! {
    "/v1/status" { get operation::status }
    "/v1/audit" { get operation::audit }
    "/v1/reveals" { post operation::note_reveal }
    "/v1/erasures" { post operation::erase }
    "/v1/retention" { get retention::show }
    "/v1/retention/start" { post retention::start }
    "/v1/holds" { get holds::list, post holds::add }
    "/v1/holds/{id}" { delete holds::end }
    "/v1/clock/trust" { post operation::trust_clock }
    "/v1/apply" { post documents::apply }
    "/v1/accounts" { get accounts::list }
    "/v1/accounts/{id}" { get accounts::show, put accounts::put }
    "/v1/users" { get users::list }
    "/v1/users/{account}/{name}" { put users::put, delete users::delete }
    "/v1/keys" { get keys::list, post keys::create }
    "/v1/keys/{id}" { patch keys::set_active, delete keys::delete }
    "/v1/reseal" { post keys::reseal }
    "/v1/seal" { get sealing::status }
    "/v1/carriers" { get carriers::list }
    "/v1/carriers/{name}" { get carriers::show, put carriers::put, delete carriers::delete }
    "/v1/carriers/{name}/reconcile" { post carriers::reconcile }
    "/v1/carriers/{name}/forget" { post carriers::forget }
    "/v1/pools" { get pools::list }
    "/v1/pools/{key}" { get pools::show, put pools::put }
    "/v1/numbers" { get numbers::list }
    "/v1/numbers/{x}" { get numbers::show, patch numbers::set_locked }
    "/v1/imports/{name}" { get imports::show, put imports::put, delete imports::end }
    "/v1/imports" { get imports::list }
    "/v1/trunks" { get trunks::list }
    "/v1/trunks/{name}" { get trunks::show, put trunks::put, delete trunks::delete }
    "/v1/strangers" { get trunks::unknown_sources }
    "/v1/trunks/{name}/test" { post trunks::test }
    "/v1/bindings" { get bindings::list }
    "/v1/bindings/{subs_id}" { get bindings::show, delete bindings::unbind }
    "/v1/calls" { get calls::list }
    "/v1/calls/live" { get calls::live }
    "/v1/drain" { post operation::drain }
    "/v1/calls/{call_id}" { get calls::show }
    "/v1/explain" { get explain::explain }
    "/v1/explain/bind" { get explain_bind::explain }
}

/// All routes, each behind the token.
pub fn router(admin: Arc<Admin>, body_bytes_max: usize, body_timeout: BodyTimeout) -> Router {
    table()
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
    after: Option<String>,
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
        page::limit(self.limit)
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
            let pool = pool.filter(|pool| state.pool(&PoolKey::new(pool)).is_none());
            let account = account.filter(|id| state.account(&AccountId::new(id)).is_none());
            let pools = state.pools().map(|pool| pool.key.as_str());
            let accounts = state.accounts().map(|account| account.id.as_str());
            missing("pool", pool.as_deref(), pools)
                .or_else(|| missing("account", account.as_deref(), accounts))
        })
        .await?;
    missing.map_or(Ok(()), |reason| Err(AdminError::Malformed(reason)))
}

/// How many names are looked at for the one that was meant.
const NAMES_MAX: usize = 500;

fn missing<'a>(
    what: &str,
    wanted: Option<&str>,
    known: impl Iterator<Item = &'a str>,
) -> Option<String> {
    let wanted = wanted?;
    let hint = suggest::hint(wanted, known.take(NAMES_MAX));
    Some(format!("there is no {what} `{wanted}`{hint}"))
}

fn phone_number(text: &str) -> Result<PhoneNumber, AdminError> {
    PhoneNumber::parse(text).map_err(|error| AdminError::Malformed(error.to_string()))
}
