//! What is older than it may be: what would go, and having it go.

use axum::Json;
use axum::extract::State;
use serde_json::{Value, json};

use maskline_domain::Timestamp;

use super::Answer;
use crate::admin::AdminError;
use crate::admin::auth::Operator;
use crate::clocks;
use crate::ledger::{Ledger, Line, RetentionError};

pub async fn show(State(ledger): State<Ledger>) -> Answer {
    let overview = ledger
        .retention_overview(clocks::read().wall)
        .await
        .map_err(refused)?;
    Ok(Json(json!({
        "since": overview.since.map(Timestamp::format_china),
        "holds": overview.holds,
        "journal_days": overview.journal_days,
        "items": overview.lines.iter().map(line).collect::<Value>(),
    })))
}

/// Has what is too old deleted from now on.
pub async fn start(State(ledger): State<Ledger>, operator: Operator) -> Answer {
    let rows = match ledger.retention_since() {
        Some(_) => 0,
        None => {
            let overview = ledger.retention_overview(clocks::read().wall).await;
            overview.map_err(refused)?.due()
        }
    };
    let is_new = ledger
        .start_retention(operator.actor(), rows)
        .await
        .map_err(refused)?;
    if is_new {
        tracing::info!(rows, "what is older than it may be is deleted from now on");
    }
    Ok(Json(json!({ "started": is_new, "rows": rows })))
}

fn line(line: &Line) -> Value {
    json!({
        "kind": line.kind.name(),
        "pool": line.pool,
        "keep": line.keep,
        "due": line.due,
        "at_least": line.at_least,
        "held": line.held,
        "waiting": line.waiting,
        "oldest": line.span.map(|(oldest, _)| oldest.format_china()),
        "newest": line.span.map(|(_, newest)| newest.format_china()),
        "next_at": line.next_at.map(Timestamp::format_china),
    })
}

pub(super) fn refused(error: RetentionError) -> AdminError {
    match error {
        RetentionError::Database(error) => AdminError::Unavailable(format!("the records: {error}")),
        RetentionError::Read(error) => error.into(),
        RetentionError::Submit(error) => error.into(),
    }
}
