//! The operator's interface: accounts, keys, users, pools, numbers, trunks, bindings, explanations.
//! HTTP with JSON and a token; the command line speaks to it.
//!
//! Everything that changes goes to the journal through the ledger. The numbers of parties show
//! themselves masked; a request that reveals them is written to the journal first, with the name of
//! who asked.

mod apply;
mod auth;
pub mod credentials;
pub mod document;
mod error;
mod extract;
pub mod first_token;
mod past;
pub mod plan;
mod refusals;
mod routes;
pub mod seal_status;
mod server;
mod trace;
mod view;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use crate::calls::CallsHandle;
use crate::carriers::Carriers;
use crate::ledger::Ledger;
use crate::permissions::Permissions;
use crate::seal::Sealer;
use crate::telemetry::Readiness;
use axum::extract::FromRef;
use maskline_domain::call::Notice;
use maskline_domain::{PhoneNumber, Refusal};

pub use apply::{Applied, Mode, apply};
pub use auth::Operator;
pub use credentials::AdminToken;
pub use error::AdminError;
pub use extract::BodyTimeout;
pub use refusals::TokenRefusals;
pub use routes::{ROUTES, router};
pub use server::{CONNECTIONS, serve};

/// See [`Admin::fault_of`].
pub type FaultOf = Box<dyn Fn(PhoneNumber) -> Option<FaultForecast> + Send + Sync>;

/// What a bind of a fault number would meet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FaultForecast {
    /// The code of the answer; none where no answer comes.
    pub code: Option<&'static str>,
    /// Whether the bind is done.
    pub binds: bool,
    /// What happens, in words.
    pub words: &'static str,
}

/// What the handlers work with. One that needs no more takes the ledger, or the calls, alone.
pub struct Admin {
    /// The state, and the way to change it.
    pub ledger: Ledger,
    /// Seals the secrets of new keys.
    pub sealer: Arc<Sealer>,
    /// The first token, by which a request is an administrator's until it is retired.
    pub token: AdminToken,
    /// The permissions that policies may name.
    pub permissions: Permissions,
    /// The code that a customer gets for a refusal of the rules, for explanations.
    pub code_of: fn(Refusal) -> &'static str,
    /// What a bind of this A meets on purpose, where fault numbers are on.
    pub fault_of: FaultOf,
    /// For `/v1/status`.
    pub readiness: Readiness,
    /// For `/v1/status`.
    pub started: Instant,
    /// The carriers that are told of bindings.
    pub carriers: Carriers,
    /// The calls that last, and for explanations the ring tones that callers can hear.
    pub calls: CallsHandle,
    /// Who is told that a call is recorded, for explanations.
    pub notice: Notice,
    /// The data directory, where the past is read.
    pub data: PathBuf,
    /// Held while the past is made present: one at a time, since it takes the memory of a start.
    pub past: tokio::sync::Mutex<()>,
    /// Requests that came without the token.
    pub refused: TokenRefusals,
}

impl FromRef<Arc<Admin>> for Ledger {
    fn from_ref(admin: &Arc<Admin>) -> Self {
        admin.ledger.clone()
    }
}

impl FromRef<Arc<Admin>> for Carriers {
    fn from_ref(admin: &Arc<Admin>) -> Self {
        admin.carriers.clone()
    }
}

impl FromRef<Arc<Admin>> for CallsHandle {
    fn from_ref(admin: &Arc<Admin>) -> Self {
        admin.calls.clone()
    }
}
