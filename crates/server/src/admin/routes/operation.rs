//! How the service is, what operators did, and what only the running service can do: erase a person,
//! trust the clock.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde::Deserialize;
use serde_json::{Value, json};

use maskline_domain::ops::NoteReveal;
use maskline_domain::{Note, PhoneNumber};
use maskline_journal::pipeline::Touch;
use maskline_store::records::audit;

use super::page::{self, Page};
use super::{Answer, Filter};
use crate::admin::auth::Operator;
use crate::admin::extract::{Body, Query};
use crate::admin::trace;
use crate::admin::{Admin, AdminError, view};
use crate::clocks;
use crate::ledger::Ledger;

/// The longest note of what was looked at, in bytes.
const NOTE_BYTES_MAX: usize = 200;

pub async fn status(State(admin): State<Arc<Admin>>) -> Answer {
    let counts = admin
        .ledger
        .read(Touch::None, |state, now| {
            json!({
                "accounts": state.accounts_len(),
                "keys": state.keys_len(),
                "pools": state.pools_len(),
                "numbers": state.numbers_len(),
                "bindings": state.bindings_len(),
                "epoch": state.epoch(),
                "time": now.format_china(),
            })
        })
        .await?;
    let mut shown = json!({
        "version": env!("CARGO_PKG_VERSION"),
        "ready": admin.readiness.is_ready(),
        "blocked_by": admin.readiness.blocked_by(),
        "up_s": admin.started.elapsed().as_secs(),
        "calls": admin.calls.live(),
        "draining": admin.calls.is_draining(),
    });
    view::extend(&mut shown, counts);
    let ledger = admin.ledger.status();
    shown["batch"] = json!(ledger.seq);
    shown["records_at_batch"] = json!(ledger.projected);
    Ok(Json(shown))
}

/// Takes no more calls until the process ends; everything else goes on.
pub async fn drain(State(admin): State<Arc<Admin>>, operator: Operator) -> Answer {
    let why = "draining: new calls are refused, those that stand go on";
    admin.readiness.block("drain", why);
    admin.calls.drain();
    let calls = admin.calls.live();
    let note = Note::Drained { calls };
    trace::note(&admin.ledger, &operator, note).await;
    Ok(Json(json!({ "calls": calls })))
}

/// What operators and jobs changed, the newest first; bindings have their own history.
pub async fn audit(State(ledger): State<Ledger>, Query(filter): Query<Filter>) -> Answer {
    filter.only(&[])?;
    let before = filter.after.as_deref().map(audit_key).transpose()?;
    let limit = filter.limit();
    let mut entries = audit::list(ledger.readers(), before, limit as u32 + 1)
        .await
        .map_err(|error| AdminError::Internal(format!("audit: {error}")))?;
    let is_more = entries.len() > limit;
    entries.truncate(limit);
    let last = entries.last().filter(|_| is_more);
    let next = last.map(|entry| format!("{}.{}", entry.place.seq, entry.place.event));
    let rows: Vec<Value> = entries
        .iter()
        .map(|entry| {
            json!({
                "batch": entry.place.seq,
                "at": entry.place.at.format_china(),
                "actor": entry.actor,
                "remark": entry.remark,
                // The word of this interface and of `maskline audit`: clients read it, so it stays.
                "deed": entry.action,
                "facts": entry.facts,
            })
        })
        .collect();
    Page { rows, next }.answer()
}

/// Where a page of the audit begins: a batch, and which of its events.
fn audit_key(text: &str) -> Result<(u64, u32), AdminError> {
    let (seq, event) = text.split_once('.').ok_or_else(page::no_key)?;
    seq.parse()
        .ok()
        .zip(event.parse().ok())
        .ok_or_else(page::no_key)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ErasureRequest {
    number: PhoneNumber,
}

/// Erases what is kept of a person in bindings that have ended, in history and in call records.
pub async fn erase(
    State(ledger): State<Ledger>,
    operator: Operator,
    Body(request): Body<ErasureRequest>,
) -> Answer {
    let erased = ledger
        .erase(operator.actor(), request.number)
        .await
        .map_err(|error| AdminError::Unavailable(error.to_string()))?;
    tracing::info!(
        bindings = erased.bindings,
        records = erased.records,
        "a person was erased"
    );
    Ok(Json(json!({
        "bindings": erased.bindings,
        "records": erased.records,
        "live": erased.live,
    })))
}

/// Confirms that the wall clock is right although it leapt.
pub async fn trust_clock(State(ledger): State<Ledger>, operator: Operator) -> Answer {
    ledger.trust_clock()?;
    let at = clocks::read().wall;
    trace::note(&ledger, &operator, Note::ClockTrusted { at }).await;
    tracing::warn!("an operator confirmed the wall clock");
    Ok(Json(json!({})))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reveal {
    what: String,
    /// How many rows are looked at; older programs do not tell.
    rows: Option<u64>,
}

/// Writes down that an operator looks at whole numbers elsewhere, as in the journal itself. What
/// could be a telephone number is written masked.
pub async fn note_reveal(
    State(ledger): State<Ledger>,
    operator: Operator,
    Body(note): Body<Reveal>,
) -> Answer {
    if note.what.is_empty() || note.what.len() > NOTE_BYTES_MAX {
        return Err(AdminError::Malformed(
            "a note has 1 to 200 bytes".to_owned(),
        ));
    }
    let (what, rows) = (trace::masked(&note.what), note.rows);
    ledger
        .submit(operator.envelope(NoteReveal { what, rows }))
        .await?;
    Ok(Json(json!({})))
}
