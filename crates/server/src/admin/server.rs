//! The admin listener: HTTP/1.1, few connections, none of them for ever.
//!
//! Monitoring asks for health here, so connections that say nothing must not stop it: at the bound the one
//! that has been idle longest makes room; see [`crate::connections`].

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use http::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use tokio::net::TcpListener;
use tower::ServiceExt;

use super::refusals::Peer;
use crate::connections::{self, Connections};
use crate::framing::Strict;

/// Connections at once. Half of them may be of one address, such as that of a proxy for the console.
pub const CONNECTIONS: connections::Bounds = connections::Bounds {
    total_max: 256,
    per_source_max: 128,
};
/// How long a request's head may take, and how long a connection may be idle.
const HEAD_TIMEOUT: Duration = Duration::from_secs(30);
/// How long accepting pauses when the system has no descriptor left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// How long requests that were accepted may still take after a stop.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(5);

/// Serves until `stop` resolves, and then until what was accepted is answered.
pub async fn serve(
    listener: TcpListener,
    connections: Arc<Connections>,
    router: Router,
    stop: impl Future<Output = ()>,
) {
    let graceful = GracefulShutdown::new();
    let mut is_failing = false;
    let mut stop = std::pin::pin!(stop);
    loop {
        let accepted = tokio::select! {
            biased;
            () = &mut stop => break,
            accepted = listener.accept() => accepted,
        };
        let (stream, peer) = match accepted {
            Ok(accepted) => {
                is_failing = false;
                accepted
            }
            Err(error) => {
                // Told when it begins, not ten times a second while it lasts.
                if !std::mem::replace(&mut is_failing, true) {
                    tracing::warn!(%error, "cannot accept an admin connection");
                }
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        let Some(held) = connections.admit(Some(peer.ip().into())).map(Arc::new) else {
            continue;
        };
        let (router, closed, busy) = (router.clone(), held.closed(), held.clone());
        let service = service_fn(move |mut request: Request<Incoming>| {
            // A socket on `::` takes IPv4 too, as an IPv6 address that maps it.
            let peer = Peer(peer.ip().to_canonical());
            request.extensions_mut().insert(peer);
            let (router, held) = (router.clone(), busy.clone());
            async move {
                let Some(_busy) = held.busy() else {
                    // It is being closed to make room for another.
                    return std::future::pending().await;
                };
                let Ok(response) = router.oneshot(request.map(Body::new)).await;
                Ok::<_, Infallible>(response)
            }
        });
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEAD_TIMEOUT)
            .serve_connection(TokioIo::new(Strict::new(stream)), service);
        let connection = graceful.watch(connection);
        tokio::spawn(async move {
            let _held = held;
            tokio::select! {
                () = closed => {}
                ended = connection => {
                    if let Err(error) = ended {
                        tracing::debug!(%error, "an admin connection ended");
                    }
                }
            }
        });
    }
    drop(listener);
    if tokio::time::timeout(DRAIN_TIMEOUT, graceful.shutdown())
        .await
        .is_err()
    {
        tracing::warn!("admin requests were cut off at the end of their time");
    }
}
