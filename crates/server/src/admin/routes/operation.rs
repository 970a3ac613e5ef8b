//! How the service is, and notes for the audit.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde::Deserialize;
use serde_json::json;

use maskline_domain::Command;
use maskline_store::pipeline::Touch;

use super::Answer;
use crate::admin::auth::Operator;
use crate::admin::{Admin, AdminError};

/// The longest note of what was looked at, in bytes.
const NOTE_BYTES_MAX: usize = 200;

pub async fn status(State(admin): State<Arc<Admin>>) -> Answer {
    let counts = admin
        .ledger
        .read(Touch::None, |state, now| {
            json!({
                "accounts": state.accounts().count(),
                "keys": state.keys().count(),
                "pools": state.pools().count(),
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
    });
    if let (Some(shown), serde_json::Value::Object(counts)) = (shown.as_object_mut(), counts) {
        shown.extend(counts);
    }
    Ok(Json(shown))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Note {
    what: String,
}

/// Writes down that an operator looks at whole numbers elsewhere, as in the journal itself.
pub async fn note_reveal(
    State(admin): State<Arc<Admin>>,
    operator: Operator,
    Json(note): Json<Note>,
) -> Answer {
    if note.what.is_empty() || note.what.len() > NOTE_BYTES_MAX {
        return Err(AdminError::Malformed(
            "a note has 1 to 200 bytes".to_owned(),
        ));
    }
    let what = note.what;
    admin
        .ledger
        .submit(operator.envelope(Command::NoteReveal { what }))
        .await?;
    Ok(Json(json!({})))
}
