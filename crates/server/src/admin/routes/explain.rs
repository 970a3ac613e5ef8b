//! What a call would do, rule by rule: the very functions that calls use.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde::Deserialize;
use serde_json::json;

use maskline_domain::call::{Question, predict, ring_tone};
use maskline_domain::clock::Timestamp;
use maskline_domain::routing::{Route, RouteQuery};
use maskline_domain::{Pool, TrunkName};
use maskline_journal::pipeline::Touch;

use super::{Answer, phone_number};
use crate::admin::auth::Operator;
use crate::admin::extract::Query;
use crate::admin::trace::{self, Asked as Trace};
use crate::admin::view::Visibility;
use crate::admin::{Admin, AdminError, past, view};

/// The most keys that a caller is taken to dial.
const KEYS_MAX: usize = 32;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Asked {
    caller: String,
    x: String,
    /// By which trunk the call comes.
    #[serde(default)]
    trunk: Option<String>,
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
    Query(asked): Query<Asked>,
) -> Answer {
    let caller = match asked.caller.as_str() {
        "-" => None,
        number => Some(phone_number(number)?),
    };
    let x = phone_number(&asked.x)?;
    let at = match &asked.at {
        None => None,
        Some(text) => Some(Timestamp::parse_china(text).ok_or_else(|| {
            AdminError::Malformed("a time is written as yyyy-MM-dd HH:mm:ss, China time".to_owned())
        })?),
    };
    let digits = asked.digits.as_deref().map(keys).transpose()?;
    let visibility = Visibility {
        reveal: asked.reveal,
    };
    let now = admin.ledger.read(Touch::None, |_, now| now).await?;
    let question = Question {
        query: RouteQuery { caller, x },
        trunk: asked.trunk.as_deref().map(TrunkName::new),
        notice: admin.notice,
    };
    // Files of tones are those of now, whatever moment is asked for.
    let tones = admin.calls.tones();
    let tone = move |route: &Route, pool: Option<&Pool>| {
        ring_tone::tone(route, pool, |code| tones.contains(&code))
    };
    let predicted = move |state: &_, at| predict(state, &question, &tone, at);
    let (explained, moment, by) = match at {
        // As it was: the bindings of that moment, out of the journal.
        Some(at) if at < now => {
            let _alone = admin.past.lock().await;
            match past::state_at(&admin.data, admin.ledger.codec(), at).await? {
                Some(state) => (
                    predicted(&state, at),
                    at,
                    ", by the bindings of that moment",
                ),
                None => {
                    let state = past::state_of(&admin.ledger, x, at, now).await?;
                    let by = ", by the bindings of that moment as they were at last, and all else as it is now";
                    (predicted(&state, at), at, by)
                }
            }
        }
        Some(at) => {
            let look = move |state: &_, _| predicted(state, at);
            let explained = admin.ledger.read(Touch::Number(x), look).await?;
            (explained, at, ", by the bindings of now")
        }
        None => {
            let look = move |state: &_, now| (predicted(state, now), now);
            let (explained, now) = admin.ledger.read(Touch::Number(x), look).await?;
            (explained, now, "")
        }
    };
    let predicted = explained.ok_or(AdminError::NotFound("enabled trunk"))?;
    let mut answer = view::explanation(&predicted, x, visibility);
    let trace = Trace::for_("explanation")
        .by("caller", caller)
        .on(&admin.ledger, Some(x))
        .await?
        .with("at", asked.at.as_deref())
        .with("trunk", asked.trunk.as_deref())
        // They may be the number of a person, dialled too late.
        .with("digits", digits.map(trace::masked).as_deref());
    trace::leave(&admin.ledger, &operator, trace, visibility.reveal, 1).await?;
    let caller = caller.map_or_else(|| "A withheld number".to_owned(), |n| visibility.party(n));
    answer["question"] = json!(format!("{caller} dials {} at {moment}{by}.", x.reveal()));
    if let (Some(_), Some(steps)) = (digits, answer["steps"].as_array_mut()) {
        steps.push(json!("Digits are not asked for: X is no extension number."));
    }
    Ok(Json(answer))
}

/// What a caller can dial after being asked.
fn keys(text: &str) -> Result<&str, AdminError> {
    let is_key = |c: char| c.is_ascii_digit() || "*#".contains(c);
    match (1..=KEYS_MAX).contains(&text.len()) && text.chars().all(is_key) {
        true => Ok(text),
        false => Err(AdminError::Malformed(format!(
            "digits are 1 to {KEYS_MAX} of 0 to 9, * and #"
        ))),
    }
}
