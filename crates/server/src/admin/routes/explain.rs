//! What a call would do, rule by rule: the very function that calls use.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde::Deserialize;
use serde_json::json;

use maskline_domain::call::{Foreseen, Notice, Prospects, Terms, foreseen};
use maskline_domain::clock::Timestamp;
use maskline_domain::routing::{Dial, Explanation, explain as explain_route};
use maskline_domain::trunk::PromptPolicy;
use maskline_store::pipeline::Touch;

use super::{Answer, eyes, phone_number};
use crate::admin::auth::Operator;
use crate::admin::extract::Query;
use crate::admin::{Admin, AdminError, past, view};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Question {
    caller: String,
    x: String,
    #[serde(default)]
    at: Option<String>,
    #[serde(default)]
    digits: Option<String>,
    #[serde(default)]
    reveal: bool,
}

pub async fn explain(
    State(admin): State<Arc<Admin>>,
    operator: Operator,
    Query(question): Query<Question>,
) -> Answer {
    let caller = match question.caller.as_str() {
        "-" => None,
        number => Some(phone_number(number)?),
    };
    let x = phone_number(&question.x)?;
    let at = match &question.at {
        None => None,
        Some(text) => Some(Timestamp::parse_china(text).ok_or_else(|| {
            AdminError::Malformed("a time is written as yyyy-MM-dd HH:mm:ss, China time".to_owned())
        })?),
    };
    let eyes = eyes(&admin, &operator, question.reveal, "an explanation").await?;
    let now = admin.ledger.read(Touch::None, |_, now| now).await?;
    let dial = Dial { caller, x };
    let (explained, moment, by) = match at {
        // As it was: the bindings of that moment, out of the journal.
        Some(at) if at < now => {
            let _alone = admin.past.lock().await;
            let state = past::state_at(&admin.data, at).await?;
            let explained = look(&state, &dial, at);
            (explained, at, ", by the bindings of that moment")
        }
        Some(at) => {
            let look = move |state: &_, _| look(state, &dial, at);
            let explained = admin.ledger.read(Touch::Number(x), look).await?;
            (explained, at, ", by the bindings of now")
        }
        None => {
            let look = move |state: &_, now| (look(state, &dial, now), now);
            let (explained, now) = admin.ledger.read(Touch::Number(x), look).await?;
            (explained, now, "")
        }
    };
    let (explained, foreseen) = explained;
    let mut answer = view::explanation(&explained, &foreseen, x, eyes);
    let caller = caller.map_or_else(|| "A withheld number".to_owned(), |n| eyes.party(n));
    answer["question"] = json!(format!("{caller} dials {} at {moment}{by}.", x.reveal()));
    if let (Some(_), Some(steps)) = (&question.digits, answer["steps"].as_array_mut()) {
        steps.push(json!("Digits are not asked for: X is no extension number."));
    }
    Ok(Json(answer))
}

/// The route with its reasons, and what the caller would meet: as from a trunk with the usual settings, and
/// as if the trunks of the state took the call.
fn look(state: &maskline_domain::State, dial: &Dial, at: Timestamp) -> (Explanation, Foreseen) {
    let explained = explain_route(state, dial, at);
    let prospects = Prospects {
        trunks: state.trunks().filter(|trunk| trunk.enabled).count(),
        crowd: None,
    };
    let terms = Terms {
        duration_max_s: u32::MAX,
        prompts: PromptPolicy::default(),
        notice: Notice::None,
    };
    let foreseen = foreseen(&explained.route, prospects, &terms);
    (explained, foreseen)
}
