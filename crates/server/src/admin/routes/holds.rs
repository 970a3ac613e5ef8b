//! Holds: what is kept whatever the retention says.

use axum::Json;
use axum::extract::{Path, State};
use serde::Deserialize;
use serde_json::{Value, json};

use maskline_domain::{SubsId, Timestamp};
use maskline_store::records::hold::{CALL_ID_BYTES_MAX, HeldBy, Hold, REASON_BYTES_MAX};

use super::page::Page;
use super::{Answer, Filter, phone_number, retention};
use crate::admin::AdminError;
use crate::admin::auth::Operator;
use crate::admin::extract::{Body, Query};
use crate::admin::trace::{self, Asked};
use crate::admin::view::Visibility;
use crate::ledger::{HoldError, Ledger};

pub async fn list(
    State(ledger): State<Ledger>,
    operator: Operator,
    Query(filter): Query<Filter>,
) -> Answer {
    filter.only(&[])?;
    let holds = ledger
        .holds()
        .await
        .map_err(|error| AdminError::Internal(format!("holds: {error}")))?;
    let visibility = Visibility {
        reveal: filter.reveal,
    };
    let asked = Asked::for_("holds");
    trace::leave(&ledger, &operator, asked, filter.reveal, holds.len()).await?;
    let rows = holds.iter().map(|hold| shown(hold, visibility)).collect();
    Page { rows, next: None }.answer()
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HoldRequest {
    by: String,
    value: String,
    until: String,
    reason: String,
}

pub async fn add(
    State(ledger): State<Ledger>,
    operator: Operator,
    Body(request): Body<HoldRequest>,
) -> Answer {
    let by = held_by(&request.by, &request.value)?;
    let until = Timestamp::parse_china(&request.until).ok_or_else(|| {
        AdminError::Malformed("a time is written as yyyy-MM-dd HH:mm:ss, China time".to_owned())
    })?;
    if request.reason.is_empty() || request.reason.len() > REASON_BYTES_MAX {
        return Err(AdminError::Malformed(format!(
            "a reason has 1 to {REASON_BYTES_MAX} bytes"
        )));
    }
    let added = ledger
        .add_hold(operator.actor(), by, until, request.reason)
        .await;
    let id = added.map_err(|error| match error {
        HoldError::Over => AdminError::Malformed(error.to_string()),
        HoldError::TooMany => AdminError::Refused(error.to_string()),
        HoldError::Failed(error) => retention::refused(error),
    })?;
    Ok(Json(json!({ "id": id })))
}

pub async fn end(State(ledger): State<Ledger>, operator: Operator, Path(id): Path<u64>) -> Answer {
    let ended = ledger.end_hold(operator.actor(), id).await;
    match ended.map_err(retention::refused)? {
        true => Ok(Json(json!({}))),
        false => Err(AdminError::NotFound("hold")),
    }
}

fn held_by(by: &str, value: &str) -> Result<HeldBy, AdminError> {
    let malformed = |what: &str| Err(AdminError::Malformed(what.to_owned()));
    match by {
        "number" => Ok(HeldBy::Number(phone_number(value)?)),
        "x" => Ok(HeldBy::X(phone_number(value)?)),
        "binding" => match value.parse() {
            Ok(id) => Ok(HeldBy::Binding(SubsId(id))),
            Err(_) => malformed("the id of a binding is a number"),
        },
        "call" => match value {
            id if (1..=CALL_ID_BYTES_MAX).contains(&id.len()) => Ok(HeldBy::Call(id.to_owned())),
            _ => malformed("the id of a call has 1 to 100 bytes"),
        },
        _ => malformed("a hold is by number, x, binding or call"),
    }
}

fn shown(hold: &Hold, visibility: Visibility) -> Value {
    let value = match &hold.by {
        None => json!(null),
        Some(HeldBy::Number(number)) => json!(visibility.party(*number)),
        Some(HeldBy::X(x)) => json!(x.reveal()),
        Some(HeldBy::Binding(id)) => json!(id.to_string()),
        Some(HeldBy::Call(id)) => json!(id),
    };
    let reason = match visibility.reveal {
        true => hold.reason.clone(),
        false => trace::masked(&hold.reason),
    };
    json!({
        "id": hold.id,
        "by": hold.by.as_ref().map(HeldBy::name),
        "value": value,
        "until": hold.until.format_china(),
        "reason": reason,
        "added_at": hold.added_at.format_china(),
        "added_by": hold.added_by,
    })
}
