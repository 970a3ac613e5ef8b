//! The customers' interface: the vendor's RPC gateway, from a signed HTTP request to an action.
//!
//! [`server`] reads bodies and writes answers; [`request`], [`params`] and [`signature`] read a request
//! and authenticate it;
//! [`gateway`] is the way of a request through its checks; [`actions`] is the table of what can be
//! asked; [`errors`], [`refusals`] and [`render`] say how answers look. Nothing here decides
//! business: reads look at the state through the ledger, changes are commands that the domain
//! decides.
//!
//! Requests and strings to sign hold telephone numbers. They are never logged.

pub mod actions;
pub mod errors;
pub mod fault_numbers;
pub mod gateway;
pub mod limits;
pub mod metrics;
pub mod nonces;
pub mod params;
pub mod permissions;
pub mod refusals;
pub mod render;
mod replies;
pub mod request;
pub mod server;
pub mod signature;
pub mod values;

use std::future::Future;
use std::sync::Arc;

pub use gateway::{Clock, Gateway, Settings};
pub use metrics::ApiMetrics;
pub use server::{Bounds, HEAD_BYTES_MAX};

use crate::http_server::Listeners;

/// An HTTP answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// The `RequestId` of the body, an upper-case UUID: the header `x-acs-request-id` and, as 32
    /// lower-case digits, `x-acs-trace-id`. The asynchronous Java core reads it from the header.
    pub request_id: String,
    /// The HTTP status.
    pub status: u16,
    /// The `Content-Type`; always there, since Java v1 throws without one.
    pub content_type: &'static str,
    /// The body.
    pub body: Vec<u8>,
    /// Whether it is lost on purpose: the connection ends instead.
    pub is_lost: bool,
}

/// Serves customers until `stop` resolves and what was accepted is answered; see [`server::serve`].
pub async fn serve(
    gateway: Arc<Gateway>,
    listeners: Listeners,
    bounds: Bounds,
    stop: impl Future<Output = ()>,
) {
    let handler = move |head, body| {
        let gateway = Arc::clone(&gateway);
        async move { gateway.answer(head, body).await }
    };
    server::serve(listeners, bounds, handler, stop).await;
}
