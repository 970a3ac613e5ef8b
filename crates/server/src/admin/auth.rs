//! Who asks: the operator whose token a request carries, and what they may do. What a client says of the person at
//! its keyboard is a remark beside that, which nothing proves.

use std::sync::Arc;

use axum::extract::{FromRequestParts, Request, State};
use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use maskline_domain::account::is_name;
use maskline_domain::operator::FIRST;
use maskline_domain::{Actor, Envelope, Role};
use maskline_journal::pipeline::Touch;

use super::credentials::hash_of;
use super::refusals::Peer;
use super::{Admin, AdminError};
use crate::ledger::ReadError;

/// The header in which a client names the person at the keyboard.
const REMARK: &str = "maskline-operator";

/// Lets a request pass that carries the token of an enabled operator, or the first one.
pub async fn require_token(
    State(admin): State<Arc<Admin>>,
    mut request: Request,
    next: Next,
) -> Response {
    let given = request
        .headers()
        .get(AUTHORIZATION)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.strip_prefix("Bearer "));
    let known = match given {
        Some(given) => owner_of(&admin, given).await,
        None => Ok(None),
    };
    match known {
        Ok(Some(operator)) => {
            request.extensions_mut().insert(operator);
            next.run(request).await
        }
        Ok(None) => {
            let peer = request.extensions().get::<Peer>().copied();
            admin.refused.note(peer, &admin.ledger);
            AdminError::Unauthorized.into_response()
        }
        Err(error) => AdminError::from(error).into_response(),
    }
}

/// Whose token that is. Looked up for each request, so that one that was taken back is refused at once.
async fn owner_of(admin: &Admin, given: &str) -> Result<Option<Operator>, ReadError> {
    let is_first = admin.token.is(given);
    let hash = hash_of(given);
    admin
        .ledger
        .read(Touch::None, move |state, _| {
            if is_first && !state.is_first_token_retired() {
                return Some(Operator::acting(FIRST, Role::Administrator));
            }
            let operator = state.operator_of(&hash).filter(|known| known.enabled)?;
            Some(Operator::acting(operator.name.as_str(), operator.role))
        })
        .await
}

/// Lets a request pass whose operator has this role, or one that may more.
pub async fn require_role(needed: Role, request: Request, next: Next) -> Response {
    let allowed = match request.extensions().get::<Operator>() {
        Some(operator) => operator.must_be(needed),
        None => Err(AdminError::Unauthorized),
    };
    match allowed {
        Ok(()) => next.run(request).await,
        Err(error) => error.into_response(),
    }
}

/// The operator who asks.
#[derive(Clone, Debug)]
pub struct Operator {
    name: Box<str>,
    role: Role,
    remark: Option<Box<str>>,
}

impl Operator {
    /// The operator, as the journal names them.
    pub fn actor(&self) -> Actor {
        Actor::Operator {
            name: self.name.clone(),
            remark: self.remark.clone(),
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

    /// An operator of that name, with that role.
    pub fn acting(name: &str, role: Role) -> Self {
        Self {
            name: name.into(),
            role,
            remark: None,
        }
    }

    /// Refuses who may less than this role may.
    ///
    /// # Errors
    /// Names the role.
    pub fn must_be(&self, needed: Role) -> Result<(), AdminError> {
        let is_enough = self.role >= needed;
        is_enough.then_some(()).ok_or(AdminError::Forbidden {
            needed,
            role: self.role,
        })
    }
}

impl<S: Sync> FromRequestParts<S> for Operator {
    type Rejection = AdminError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, AdminError> {
        let known = parts.extensions.get::<Self>().cloned();
        let known = known.ok_or(AdminError::Unauthorized)?;
        let Some(value) = parts.headers.get(REMARK) else {
            return Ok(known);
        };
        let remark = value.to_str().ok().filter(|name| is_name(name));
        let remark = remark.ok_or_else(|| {
            AdminError::Malformed(format!("{REMARK} is not the name of a person"))
        })?;
        Ok(Self {
            remark: Some(remark.into()),
            ..known
        })
    }
}
