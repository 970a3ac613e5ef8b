//! What an answer means. It is definite only where it says exactly what the protocol has; an answer that contradicts
//! itself says nothing.

use std::collections::BTreeSet;

use hyper::StatusCode;
use maskline_domain::provisioning::{Answer, HeldThere};
use maskline_domain::{PhoneNumber, SubsId};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::carrier_client::{Page, Seen};

/// The longest cursor, in bytes.
const CURSOR_BYTES_MAX: usize = 256;
/// The first number that JSON numbers of others do not hold exactly (RFC 8259 section 6).
const FENCE_END: u64 = 1 << 53;

#[derive(Deserialize)]
struct Said {
    result: String,
    #[serde(default)]
    reason: Option<Value>,
    #[serde(default)]
    fence: Option<u64>,
}

#[derive(Deserialize)]
struct SaidPage {
    held: Vec<SaidHeld>,
    #[serde(default)]
    next: Option<String>,
}

#[derive(Deserialize)]
struct SaidHeld {
    x: String,
    subs_id: String,
    revision: u32,
    fence: u64,
}

/// What is likely wrong where an answer says nothing of the protocol.
fn hint(status: StatusCode) -> Option<&'static str> {
    match status {
        StatusCode::UNAUTHORIZED => Some(
            "the signature was refused: is the secret the same on both sides, and is each clock right?",
        ),
        StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED => {
            Some("nothing speaks the protocol there: is the path of the url right?")
        }
        status if status.is_redirection() => Some("a redirect, which is not followed"),
        _ => None,
    }
}

/// What an answer to a request with this fence means.
pub(super) fn to_request(status: StatusCode, body: &[u8], fence: u64) -> (Answer, Seen) {
    if status.is_server_error() {
        return seen(Answer::Unavailable, status, "");
    }
    if status.is_redirection() {
        return seen(Answer::Unclear, status, hint(status).unwrap_or_default());
    }
    let said: Said = match read(body) {
        Ok(said) => said,
        Err(why) => return seen(Answer::Unclear, status, hint(status).unwrap_or(&why)),
    };
    match (&*said.result, status) {
        ("ok", StatusCode::OK) => seen(Answer::Done, status, ""),
        ("refused", _) if status.is_client_error() => {
            let reason = said.reason.as_ref().and_then(Value::as_str);
            seen(
                Answer::Refused,
                status,
                reason.unwrap_or("without a reason"),
            )
        }
        ("stale", StatusCode::CONFLICT) => match said.fence {
            Some(newer) if newer > fence => seen(Answer::Stale, status, "stale"),
            Some(_) => seen(
                Answer::Unclear,
                status,
                "stale, but its fence is no newer one",
            ),
            None => seen(Answer::Unclear, status, "stale without a fence"),
        },
        ("ok" | "refused" | "stale", _) => {
            let why = format!("result {} does not go with it", said.result);
            seen(Answer::Unclear, status, &why)
        }
        _ => seen(Answer::Unclear, status, "an unknown result"),
    }
}

/// The page in an answer to a question for what is held behind `after`.
///
/// # Errors
/// What it means where there is none.
pub(super) fn page(
    status: StatusCode,
    body: &[u8],
    after: Option<&str>,
    limit: u16,
) -> Result<Page, (Answer, Seen)> {
    match to_request(status, body, 0) {
        (Answer::Done, _) => {}
        // Nothing is older than another in a question.
        (Answer::Stale, _) => return Err(seen(Answer::Unclear, status, "stale, to a query")),
        other => return Err(other),
    }
    let unclear = |why: &str| seen(Answer::Unclear, status, why);
    let said: SaidPage = read(body).map_err(|why| unclear(&why))?;
    if said.held.len() > usize::from(limit) {
        return Err(unclear("more bindings than were asked for"));
    }
    let mut known = BTreeSet::new();
    let mut held = Vec::with_capacity(said.held.len());
    for one in said.held {
        let found = SubsId::parse(&one.subs_id).zip(PhoneNumber::parse(&one.x).ok());
        let (subs_id, x) = found.ok_or_else(|| unclear("a binding with no id or no number"))?;
        if one.revision == 0 || one.fence >= FENCE_END {
            return Err(unclear("a binding with no revision or no fence"));
        }
        if !known.insert((x, subs_id)) {
            return Err(unclear("a binding stands there twice"));
        }
        held.push(HeldThere {
            x,
            subs_id,
            revision: one.revision,
            fence: one.fence,
        });
    }
    if let Some(next) = said.next.as_deref() {
        if !(1..=CURSOR_BYTES_MAX).contains(&next.len()) {
            return Err(unclear("the cursor is empty or too long"));
        }
        if after == Some(next) {
            return Err(unclear("the next page is the same one"));
        }
    }
    Ok(Page {
        held,
        next: said.next,
    })
}

/// Reads an object; serde would take a list for one, too.
fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, String> {
    if body.trim_ascii_start().first() != Some(&b'{') {
        return Err("the body is no JSON object".to_owned());
    }
    // Its message may quote what stands there; which line is enough.
    serde_json::from_slice(body).map_err(|error| {
        let why = match error.classify() {
            serde_json::error::Category::Data => {
                "a member that is missing, twice there or of another kind"
            }
            _ => "no JSON",
        };
        format!("{why} (line {}, column {})", error.line(), error.column())
    })
}

fn seen(answer: Answer, status: StatusCode, what: &str) -> (Answer, Seen) {
    (answer, Seen::of_status(status.as_u16(), what))
}
