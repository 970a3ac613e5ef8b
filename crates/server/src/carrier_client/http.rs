//! Carriers of kind `http`: JSON over HTTP/1.1, as `docs/carrier-protocol.md` has it.
//!
//! Neither redirects nor proxies of the environment are followed. Everything that comes is bounded. A connection is
//! used again only after an answer that repeats the `webhook-id` of its request: an answer that comes twice is
//! otherwise taken for that to the next request, which nobody has answered.

mod answer;
mod body;
mod connections;
mod signature;

use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::header::{ACCEPT, CONTENT_TYPE, HOST, HeaderName, USER_AGENT};
use hyper::{Method, StatusCode, Uri};
use maskline_domain::Carrier;
use maskline_domain::provisioning::{Answer, Request};
use tokio::time::timeout;

use self::connections::{Connections, Target};
use super::{Page, Seen};
use crate::clocks;
use crate::seal::{Sealer, Secret};

/// The largest answer to a request, in bytes.
const ANSWER_BYTES_MAX: usize = 64 << 10;
/// The largest page, in bytes.
const PAGE_BYTES_MAX: usize = 1 << 20;
/// The largest head of an answer, in bytes; hyper takes no less.
const HEAD_BYTES_MAX: usize = 16 << 10;

const WEBHOOK_ID: HeaderName = HeaderName::from_static("webhook-id");
const WEBHOOK_TIMESTAMP: HeaderName = HeaderName::from_static("webhook-timestamp");
const WEBHOOK_SIGNATURE: HeaderName = HeaderName::from_static("webhook-signature");

/// One carrier.
pub struct Http {
    uri: Uri,
    key: Secret,
    connections: Connections,
    request_timeout: Duration,
}

/// An answer as it came: status and body.
type Came = (StatusCode, Bytes);

impl Http {
    /// # Errors
    /// Why it cannot be asked.
    pub fn new(carrier: &Carrier, sealer: &Sealer) -> Result<Self, String> {
        let url = carrier.url.as_deref().ok_or("it has no url")?;
        let uri: Uri = url.parse().map_err(|error| format!("its url: {error}"))?;
        let sealed = carrier.sealed_secret.as_deref();
        let sealed = sealed.ok_or("it has no secret")?;
        let key = sealer
            .open_for_carrier(&carrier.name, sealed)
            .map_err(|error| format!("its secret: {error}"))?;
        let target = Target::new(&uri, carrier.ca.as_deref())?;
        let connect_timeout = Duration::from_millis(carrier.connect_timeout_ms.into());
        let connections = Connections::new(target, connect_timeout, carrier.concurrency.into());
        Ok(Self {
            uri,
            key,
            connections,
            request_timeout: Duration::from_millis(carrier.request_timeout_ms.into()),
        })
    }

    pub async fn ask(&self, request: &Request) -> (Answer, Seen) {
        let id = format!("{}-{}", request.subs_id, request.revision);
        match self
            .send(&id, body::of_request(request), ANSWER_BYTES_MAX)
            .await
        {
            Ok((status, body)) => answer::to_request(status, &body, request.fence),
            Err(failure) => failure,
        }
    }

    pub async fn query(&self, after: Option<&str>, limit: u16) -> Result<Page, (Answer, Seen)> {
        let mut random = [0; 16];
        if let Err(error) = getrandom::fill(&mut random) {
            let why = format!("no random bytes: {error}");
            return Err((Answer::Unavailable, Seen::new(&why)));
        }
        let id = format!("query-{}", hex::encode(random));
        let (status, body) = self
            .send(&id, body::of_query(after, limit), PAGE_BYTES_MAX)
            .await?;
        answer::page(status, &body, after, limit)
    }

    /// Sends a body and waits for the whole answer.
    async fn send(
        &self,
        id: &str,
        body: Vec<u8>,
        bytes_max: usize,
    ) -> Result<Came, (Answer, Seen)> {
        match timeout(self.request_timeout, self.exchange(id, body, bytes_max)).await {
            Ok(came) => came,
            Err(_) => {
                let ms = self.request_timeout.as_millis();
                Err(unavailable(&format!("no answer within {ms} ms")))
            }
        }
    }

    async fn exchange(
        &self,
        id: &str,
        body: Vec<u8>,
        bytes_max: usize,
    ) -> Result<Came, (Answer, Seen)> {
        let seconds = clocks::read().wall.millis().div_euclid(1_000);
        let signature = signature::sign(&self.key, id, seconds, &body);
        let path = self.uri.path_and_query().map_or("/", |path| path.as_str());
        let host = self.uri.authority().map_or("", |host| host.as_str());
        let request = hyper::Request::builder()
            .method(Method::POST)
            .uri(path)
            .header(HOST, host)
            .header(USER_AGENT, concat!("maskline/", env!("CARGO_PKG_VERSION")))
            .header(CONTENT_TYPE, "application/json; charset=utf-8")
            .header(ACCEPT, "application/json")
            .header(WEBHOOK_ID, id)
            .header(WEBHOOK_TIMESTAMP, seconds)
            .header(WEBHOOK_SIGNATURE, signature)
            .body(Full::new(Bytes::from(body)))
            .map_err(|error| unavailable(&format!("its url: {error}")))?;
        let (connection, came) = self.connections.send(request).await?;
        let (head, body) = came.into_parts();
        let repeated = head.headers.get(WEBHOOK_ID);
        let is_repeated = repeated.is_some_and(|repeated| repeated.as_bytes() == id.as_bytes());
        let is_anothers = if connection.was_used() {
            !is_repeated
        } else {
            repeated.is_some() && !is_repeated
        };
        if is_anothers && !head.status.is_server_error() {
            let seen = Seen::new("the answer belongs to another request: its webhook-id says so");
            return Err((Answer::Unclear, seen));
        }
        let body = Limited::new(body, bytes_max).collect().await;
        let body = body.map_err(|error| broken_off(&*error, bytes_max))?;
        if is_repeated {
            self.connections.keep(connection);
        }
        Ok((head.status, body.to_bytes()))
    }
}

fn unavailable(why: &str) -> (Answer, Seen) {
    (Answer::Unavailable, Seen::new(why))
}

fn broken_off(
    error: &(dyn std::error::Error + Send + Sync + 'static),
    bytes_max: usize,
) -> (Answer, Seen) {
    if error.is::<LengthLimitError>() {
        let seen = format!("the body is longer than {} KiB", bytes_max >> 10);
        return (Answer::Unclear, Seen::new(&seen));
    }
    unavailable(&format!("the answer broke off: {}", whole(error)))
}

/// An error with what it came from.
fn whole(error: &(dyn std::error::Error + 'static)) -> String {
    let mut told = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        told.push_str(&format!(": {error}"));
        cause = error.source();
    }
    told
}
