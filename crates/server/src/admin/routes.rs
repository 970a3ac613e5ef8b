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
mod operators;
mod page;
mod pools;
mod retention;
mod sealing;
mod trunks;
mod users;

use std::sync::Arc;

use axum::extract::{DefaultBodyLimit, Request};
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::routing::MethodRouter;
use axum::{Extension, Json, Router};
use serde::Deserialize;
use serde_json::Value;

use maskline_domain::{AccountId, PhoneNumber, PoolKey, Role};
use maskline_journal::pipeline::Touch;

use super::auth::{require_role, require_token};
use super::extract::BodyTimeout;
use super::{Admin, AdminError};
use crate::ledger::Ledger;
use crate::suggest;

/// A handler's answer.
type Answer = Result<Json<Value>, AdminError>;

/// The table: for each path its methods, each with the role that it needs and what answers it.
macro_rules! routes {
    ($($path:literal { $($method:ident $role:ident $handler:path),+ })+) => {
        /// Every route: its path, and its methods in small letters, each with the role that it needs.
        pub const ROUTES: &[(&str, &[(&str, Role)])] =
            &[$(($path, &[$((stringify!($method), Role::$role)),+])),+];

        fn table() -> Router<Arc<Admin>> {
            Router::new()$(.route($path, MethodRouter::new()$(
                .merge(guarded(Role::$role, MethodRouter::new().$method($handler)))
            )+))+
        }
    };
}

/// What only operators with this role, or one that may more, get an answer of.
fn guarded(needed: Role, method: MethodRouter<Arc<Admin>>) -> MethodRouter<Arc<Admin>> {
    method.route_layer(from_fn(move |request: Request, next: Next| {
        require_role(needed, request, next)
    }))
}

routes! {
    "/v1/status" { get Viewer operation::status }
    "/v1/audit" { get Viewer operation::audit }
    "/v1/reveals" { post Operator operation::note_reveal }
    "/v1/operators" { get Viewer operators::list, post Administrator operators::create }
    "/v1/operators/{name}" { patch Administrator operators::set_enabled, delete Administrator operators::remove }
    "/v1/operators/{name}/rotate" { post Administrator operators::rotate }
    "/v1/first-token/retire" { post Administrator operators::retire_first }
    "/v1/erasures" { post Administrator operation::erase }
    "/v1/clock/trust" { post Operator operation::trust_clock }
    "/v1/apply" { post Operator documents::apply }
    "/v1/accounts" { get Viewer accounts::list }
    "/v1/accounts/{id}" { get Viewer accounts::show, put Administrator accounts::put }
    "/v1/users" { get Viewer users::list }
    "/v1/users/{account}/{name}" { put Administrator users::put, delete Administrator users::delete }
    "/v1/keys" { get Viewer keys::list, post Administrator keys::create }
    "/v1/keys/{id}" { patch Administrator keys::set_active, delete Administrator keys::delete }
    "/v1/reseal" { post Administrator keys::reseal }
    "/v1/carriers" { get Viewer carriers::list }
    "/v1/carriers/{name}" { get Viewer carriers::show, put Operator carriers::put, delete Operator carriers::delete }
    "/v1/carriers/{name}/reconcile" { post Operator carriers::reconcile }
    "/v1/pools" { get Viewer pools::list }
    "/v1/pools/{key}" { get Viewer pools::show, put Operator pools::put }
    "/v1/numbers" { get Viewer numbers::list }
    "/v1/numbers/{x}" { get Viewer numbers::show, patch Operator numbers::set_locked }
    "/v1/imports/{name}" { get Viewer imports::show, put Operator imports::put, delete Operator imports::end }
    "/v1/imports" { get Viewer imports::list }
    "/v1/trunks" { get Viewer trunks::list }
    "/v1/trunks/{name}" { get Viewer trunks::show, put Operator trunks::put, delete Operator trunks::delete }
    "/v1/strangers" { get Viewer trunks::unknown_sources }
    "/v1/trunks/{name}/test" { post Operator trunks::test }
    "/v1/bindings" { get Viewer bindings::list }
    "/v1/bindings/{subs_id}" { get Viewer bindings::show, delete Operator bindings::unbind }
    "/v1/calls" { get Viewer calls::list }
    "/v1/calls/live" { get Viewer calls::live }
    "/v1/drain" { post Operator operation::drain }
    "/v1/calls/{call_id}" { get Viewer calls::show }
    "/v1/explain" { get Viewer explain::explain }
    "/v1/explain/bind" { get Viewer explain_bind::explain }
    "/v1/retention" { get Viewer retention::show }
    "/v1/retention/start" { post Administrator retention::start }
    "/v1/holds" { get Viewer holds::list, post Administrator holds::add }
    "/v1/holds/{id}" { delete Administrator holds::end }
    "/v1/seal" { get Viewer sealing::status }
    "/v1/carriers/{name}/forget" { post Operator carriers::forget }
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
