//! What is the vendor's about an HTTP exchange: bodies within bounds, and the headers of its gateway.
//!
//! Connections and heads of requests are the matter of [`crate::http_server`]; there is no framework
//! between, since CPU per request is a goal.

use std::future::Future;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::header::{CONNECTION, CONTENT_TYPE, HeaderName, HeaderValue};
use http::{HeaderMap, Request, Response, StatusCode, Version, request};
use http_body_util::{BodyExt, Full};
use hyper::body::{Body, Incoming};
use tokio::time::timeout;

use super::Reply;
use super::errors::GatewayError;
use crate::http_server::{self, Listeners, Messages, RequestSource, Unanswered};

/// The largest request head, in bytes; see [`http_server::Bounds::head_bytes_max`].
pub const HEAD_BYTES_MAX: usize = 96 * 1024;

/// Bounds of what customers ask.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// Those of every port.
    pub requests: http_server::Bounds,
    /// Largest request body, in bytes.
    pub body_bytes_max: usize,
    /// How long a request body may take to arrive.
    pub body_timeout: Duration,
}

/// How much of an oversized body is read and dropped, so that its sender gets to read the error
/// before the connection ends.
const DISCARDED_BYTES_MAX: usize = 1024 * 1024;

const MESSAGES: Messages = Messages {
    not_accepted: "cannot accept a connection",
    cut_off: "stopping with connections still open",
};

/// Serves until `stop` resolves and what was accepted is answered, or the drain time is over.
///
/// `handler` gets the head of each request and its body, or the error that reading the body gave.
pub async fn serve<H, F>(
    listeners: Listeners,
    bounds: Bounds,
    handler: H,
    stop: impl Future<Output = ()>,
) where
    H: Fn(request::Parts, Result<Bytes, GatewayError>) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Reply> + Send + 'static,
{
    let kept = kept(bounds.requests.head_timeout);
    let answer = move |request: Request<Incoming>, source: RequestSource| {
        let (handler, kept) = (handler.clone(), kept.clone());
        async move {
            let (head, body) = request.into_parts();
            let stays = wants_to_stay(&head);
            let body = match source.is_over_share {
                true => Err(GatewayError::Unavailable),
                false => read_body(body, &bounds).await,
            };
            let end = match (&body, stays) {
                (Err(_), _) => End::Close,
                (Ok(_), true) => End::Keep(kept),
                (Ok(_), false) => End::AsAsked,
            };
            response(handler(head, body).await, end)
        }
    };
    http_server::serve(listeners, bounds.requests, MESSAGES, answer, stop).await;
}

async fn read_body(body: Incoming, bounds: &Bounds) -> Result<Bytes, GatewayError> {
    if body.is_end_stream() {
        return Ok(Bytes::new());
    }
    match timeout(bounds.body_timeout, collect(body, bounds.body_bytes_max)).await {
        Ok(result) => result,
        Err(_) => Err(GatewayError::BodyTimeout),
    }
}

/// The whole body, or an error when it is longer than `bytes_max` or breaks off.
async fn collect(mut body: Incoming, bytes_max: usize) -> Result<Bytes, GatewayError> {
    let mut bytes = BytesMut::new();
    let mut discarded = 0;
    while let Some(frame) = body.frame().await {
        // A body that breaks off, or is wrongly chunked: nobody will read the answer.
        let Ok(data) = frame
            .map_err(|_| GatewayError::ParameterFormat)?
            .into_data()
        else {
            continue;
        };
        if discarded == 0 && bytes.len() + data.len() <= bytes_max {
            bytes.extend_from_slice(&data);
            continue;
        }
        discarded += data.len();
        if discarded > DISCARDED_BYTES_MAX {
            break;
        }
    }
    if discarded == 0 {
        Ok(bytes.freeze())
    } else {
        Err(GatewayError::TooLarge)
    }
}

/// How a connection goes on behind an answer.
enum End {
    /// It is open for another request; holds the value of `Keep-Alive`.
    Keep(HeaderValue),
    /// It ends, since the client wants no more.
    AsAsked,
    /// It ends, since the end of this request was not found.
    Close,
}

const KEEP_ALIVE: HeaderName = HeaderName::from_static("keep-alive");
const REQUEST_ID: HeaderName = HeaderName::from_static("x-acs-request-id");
const TRACE_ID: HeaderName = HeaderName::from_static("x-acs-trace-id");

/// How much sooner than we a client is told to give an idle connection up, so that no request meets a
/// connection that is just being closed.
const KEPT_LESS_S: u64 = 5;

/// The `Keep-Alive` of connections that may be idle so long, as the vendor's gateway sends it.
fn kept(idle_max: Duration) -> HeaderValue {
    let seconds = idle_max.as_secs().saturating_sub(KEPT_LESS_S).max(1);
    HeaderValue::try_from(format!("timeout={seconds}"))
        .expect("a word, a sign and digits are a header value")
}

/// Whether a client may send another request on the connection (RFC 9112 section 9.3).
fn wants_to_stay(head: &request::Parts) -> bool {
    match head.version {
        Version::HTTP_10 => has_option(&head.headers, "keep-alive"),
        _ => !has_option(&head.headers, "close"),
    }
}

fn has_option(headers: &HeaderMap, option: &str) -> bool {
    headers
        .get_all(CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(|own| own.trim().eq_ignore_ascii_case(option))
}

fn response(reply: Reply, end: End) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(reply.body)));
    if reply.is_lost {
        response.extensions_mut().insert(Unanswered);
    }
    *response.status_mut() =
        StatusCode::from_u16(reply.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(reply.content_type));
    // One is found from the other, so that the log need not hold both.
    let mut trace = reply.request_id.replace('-', "");
    trace.make_ascii_lowercase();
    for (name, id) in [(REQUEST_ID, reply.request_id), (TRACE_ID, trace)] {
        if let Ok(id) = HeaderValue::try_from(id) {
            headers.insert(name, id);
        }
    }
    match end {
        End::Keep(kept) => {
            headers.insert(KEEP_ALIVE, kept);
        }
        End::AsAsked => {}
        End::Close => {
            headers.insert(CONNECTION, HeaderValue::from_static("close"));
        }
    }
    response
}

#[cfg(test)]
mod tests;
