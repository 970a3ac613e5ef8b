//! What is sealed under which key.

use axum::Json;
use axum::extract::State;

use super::Answer;
use crate::admin::{AdminError, seal_status};
use crate::ledger::Ledger;

/// What of the data is sealed, and what not yet.
pub async fn status(State(ledger): State<Ledger>) -> Answer {
    let failed = |error: &dyn std::fmt::Display| AdminError::Internal(format!("sealing: {error}"));
    let mut conn = ledger
        .readers()
        .acquire()
        .await
        .map_err(|error| failed(&error))?;
    let status = seal_status::read(&mut conn).await;
    status.map(Json).map_err(|error| failed(&error))
}
