//! How a refused request is answered: a status, a short word, and a reason for a person.

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::json;

use maskline_domain::{AdminRefusal, Refusal, Role};
use maskline_journal::pipeline::SubmitError;

use super::plan::Mistakes;
use crate::ledger::ReadError;

/// Why a request was not carried out.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AdminError {
    /// No token, or not the right one.
    #[error("the admin token is missing or wrong")]
    Unauthorized,
    /// The operator may not do it.
    #[error("this needs the role {}; the token has the role {}", needed.name(), role.name())]
    Forbidden {
        /// The role that may.
        needed: Role,
        /// The operator's.
        role: Role,
    },
    /// The request is not well formed.
    #[error("{0}")]
    Malformed(String),
    /// Its body did not arrive in time.
    #[error("the body took longer than admin.body_timeout_s to arrive")]
    BodyTimeout,
    /// What it names is not there.
    #[error("no such {0}")]
    NotFound(&'static str),
    /// A rule stands against it.
    #[error("{0}")]
    Refused(String),
    /// Rules stand against a document: all of them, each with its entry.
    #[error("{0}")]
    Mistakes(Mistakes),
    /// It cannot be done now; nothing or only a part of it was done.
    #[error("{0}")]
    Unavailable(String),
    /// A fault of ours.
    #[error("{0}")]
    Internal(String),
}

impl AdminError {
    fn status(&self) -> (StatusCode, &'static str) {
        match self {
            Self::Unauthorized => (StatusCode::UNAUTHORIZED, "unauthorized"),
            Self::Forbidden { .. } => (StatusCode::FORBIDDEN, "forbidden"),
            Self::Malformed(_) => (StatusCode::BAD_REQUEST, "malformed"),
            Self::BodyTimeout => (StatusCode::REQUEST_TIMEOUT, "timeout"),
            Self::NotFound(_) => (StatusCode::NOT_FOUND, "not_found"),
            Self::Refused(_) | Self::Mistakes(_) => (StatusCode::CONFLICT, "refused"),
            Self::Unavailable(_) => (StatusCode::SERVICE_UNAVAILABLE, "unavailable"),
            Self::Internal(_) => (StatusCode::INTERNAL_SERVER_ERROR, "internal"),
        }
    }
}

impl IntoResponse for AdminError {
    fn into_response(self) -> Response {
        let (status, error) = self.status();
        if let Self::Internal(reason) = &self {
            tracing::error!(reason, "an admin request failed");
        }
        let mut body = json!({ "error": error, "reason": self.to_string() });
        if let Self::Mistakes(mistakes) = &self {
            body["mistakes"] = mistakes.iter().map(|mistake| json!(mistake)).collect();
        }
        (status, Json(body)).into_response()
    }
}

impl From<Refusal> for AdminError {
    fn from(refusal: Refusal) -> Self {
        match &refusal {
            Refusal::Admin(AdminRefusal::NotFound { what }) => Self::NotFound(what),
            Refusal::Admin(AdminRefusal::Malformed { .. } | AdminRefusal::TooMany { .. }) => {
                Self::Malformed(refusal.to_string())
            }
            Refusal::PoolUnknown => Self::NotFound("pool"),
            Refusal::NumberUnknown => Self::NotFound("number"),
            Refusal::BindingUnknown => Self::NotFound("binding"),
            Refusal::CarrierUnavailable => Self::Unavailable(refusal.to_string()),
            _ => Self::Refused(refusal.to_string()),
        }
    }
}

impl From<SubmitError> for AdminError {
    fn from(error: SubmitError) -> Self {
        match error {
            SubmitError::Refused(refusal) => refusal.into(),
            SubmitError::TooLarge => Self::Malformed(error.to_string()),
            SubmitError::NotDurable
            | SubmitError::Busy
            | SubmitError::Deadline
            | SubmitError::ClocksDisagree
            | SubmitError::Closed => Self::Unavailable(error.to_string()),
        }
    }
}

impl From<ReadError> for AdminError {
    fn from(error: ReadError) -> Self {
        Self::Unavailable(error.to_string())
    }
}

impl From<Mistakes> for AdminError {
    fn from(mistakes: Mistakes) -> Self {
        Self::Mistakes(mistakes)
    }
}
