//! Who asks: everybody with the token is an operator; the name they give is kept for the audit.

use std::sync::Arc;

use axum::extract::{FromRequestParts, Request, State};
use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use maskline_domain::account::is_name;
use maskline_domain::{Actor, Envelope};

use super::refusals::Peer;
use super::{Admin, AdminError};

/// The header in which a client names the person at the keyboard.
const OPERATOR: &str = "maskline-operator";
/// The name of who gives none.
const UNNAMED: &str = "admin";

/// Lets a request pass that carries the token.
pub async fn require_token(
    State(admin): State<Arc<Admin>>,
    request: Request,
    next: Next,
) -> Response {
    let given = request
        .headers()
        .get(AUTHORIZATION)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.strip_prefix("Bearer "));
    if given.is_some_and(|given| admin.token.is(given)) {
        next.run(request).await
    } else {
        let peer = request.extensions().get::<Peer>().copied();
        admin.refused.note(peer, &admin.ledger);
        AdminError::Unauthorized.into_response()
    }
}

/// The operator who asks.
#[derive(Clone, Debug)]
pub struct Operator(Box<str>);

impl Operator {
    /// The operator, as the journal names them.
    pub fn actor(&self) -> Actor {
        Actor::Operator {
            name: self.0.clone(),
        }
    }

    /// A command given by this operator.
    pub fn envelope<C>(&self, command: C) -> Envelope<C> {
        Envelope {
            by: self.actor(),
            id: None,
            command,
        }
    }

    /// An operator of that name.
    pub fn named(name: &str) -> Self {
        Self(name.into())
    }
}

impl<S: Sync> FromRequestParts<S> for Operator {
    type Rejection = AdminError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, AdminError> {
        match parts.headers.get(OPERATOR) {
            None => Ok(Self(UNNAMED.into())),
            Some(value) => value
                .to_str()
                .ok()
                .filter(|name| is_name(name))
                .map(|name| Self(name.into()))
                .ok_or_else(|| {
                    AdminError::Malformed(format!("{OPERATOR} is not the name of a person"))
                }),
        }
    }
}
