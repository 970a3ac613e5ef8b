//! The admin port: few connections, none of them for ever.
//!
//! Monitoring asks for health here, so connections that say nothing must not stop it: at the bound the one
//! that has been idle longest makes room; see [`crate::http_server::connections`].

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use http::Request;
use hyper::body::Incoming;
use tokio::net::TcpListener;
use tower::ServiceExt;

use super::refusals::Peer;
use crate::http_server::connections::{self, Connections};
use crate::http_server::{self, Bounds, Listeners, Messages, RequestSource};

/// Connections at once. Half of them may be of one address, such as that of a proxy for the console.
pub const CONNECTIONS: connections::Bounds = connections::Bounds {
    total_max: 256,
    per_source_max: 128,
};

const BOUNDS: Bounds = Bounds {
    // As `hyper` bounds them by itself: a first buffer of 8 KiB, and 4 KiB for each of 100 headers.
    head_bytes_max: 408 * 1024,
    head_timeout: Duration::from_secs(30),
    drain_timeout: Duration::from_secs(5),
};

const MESSAGES: Messages = Messages {
    not_accepted: "cannot accept an admin connection",
    cut_off: "admin requests were cut off at the end of their time",
};

/// Serves until `stop` resolves, and then until what was accepted is answered.
pub async fn serve(
    listener: TcpListener,
    connections: Arc<Connections>,
    router: Router,
    stop: impl Future<Output = ()>,
) {
    let listeners = Listeners {
        http: Some(listener),
        https: None,
        connections,
        proxies: Arc::default(),
    };
    let handler = move |mut request: Request<Incoming>, source: RequestSource| {
        request.extensions_mut().insert(Peer(source.peer));
        let router = router.clone();
        async move {
            let Ok(response) = router.oneshot(request.map(Body::new)).await;
            response
        }
    };
    http_server::serve(listeners, BOUNDS, MESSAGES, handler, stop).await;
}
