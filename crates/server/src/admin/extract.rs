//! Bodies and queries, with our kind of error when they are not well formed.

use std::time::Duration;

use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::request::Parts;
use serde::de::DeserializeOwned;

use super::AdminError;
use crate::suggest;

/// How long a body may take to arrive; an extension of requests.
#[derive(Debug, Clone, Copy)]
pub struct BodyTimeout(pub Duration);

/// A JSON body.
pub struct Body<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Body<T> {
    type Rejection = AdminError;

    async fn from_request(request: Request, state: &S) -> Result<Self, AdminError> {
        let limit = request
            .extensions()
            .get::<BodyTimeout>()
            .map(|limit| limit.0);
        let body = axum::Json::from_request(request, state);
        let read = match limit {
            None => body.await,
            Some(limit) => tokio::time::timeout(limit, body)
                .await
                .map_err(|_| AdminError::BodyTimeout)?,
        };
        read.map(|body| Self(body.0))
            .map_err(|rejection| malformed(&rejection.body_text()))
    }
}

/// A query.
pub struct Query<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Query<T> {
    type Rejection = AdminError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, AdminError> {
        axum::extract::Query::from_request_parts(parts, state)
            .await
            .map(|query| Self(query.0))
            .map_err(|rejection| malformed(&rejection.body_text()))
    }
}

/// What the reader says, with the word that was probably meant.
fn malformed(text: &str) -> AdminError {
    let told = match text.rfind("unknown ") {
        Some(at) => format!("{}{}", &text[..at], suggest::with_hint(&text[at..])),
        None => text.to_owned(),
    };
    AdminError::Malformed(told)
}
