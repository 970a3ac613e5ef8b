//! The HTTP and HTTPS listeners: bytes in, bytes out, everything bounded.
//!
//! HTTP/1.1 by `hyper`, without a framework, since CPU per request is a goal. What the listeners
//! promise: a request whose head has been read is answered, also while stopping; a client that is
//! slow, silent or too talkative costs one of a bounded number of connections for a bounded time.
//!
//! `hyper` itself answers what is not HTTP (400), a head that is too large (431) and a target of
//! more than 65,534 bytes (414), with an empty body, and closes the connection. Requests whose end
//! two readers could see at different places are refused so too; see `crate::framing`. What `Host` says is
//! not looked at, so one with a scheme in it, as a client of the vendor sends, passes.

mod proxied;

use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::header::{CONNECTION, CONTENT_TYPE, HeaderName, HeaderValue};
use http::{HeaderMap, Request, Response, StatusCode, Version, request};
use http_body_util::{BodyExt, Full};
use hyper::body::{Body, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;

use super::Reply;
use super::errors::GatewayError;
use super::tls::Certificate;
use crate::connections::{Connection, Connections};
use crate::framing::Strict;
pub use proxied::TrustedProxies;

/// Bounds of the listeners.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// Largest request head (request line and headers), in bytes; at least 8192. The number of
    /// headers is bounded to 100 by `hyper`.
    pub head_bytes_max: usize,
    /// Largest request body, in bytes.
    pub body_bytes_max: usize,
    /// How long a request head may take to arrive, and how long a connection may be idle.
    pub head_timeout: Duration,
    /// How long a request body may take to arrive.
    pub body_timeout: Duration,
    /// How long a TLS handshake may take, and what a proxy says before it.
    pub handshake_timeout: Duration,
    /// How long sent bytes may stay unacknowledged before the connection is dropped.
    pub send_timeout: Duration,
    /// How long a stop waits for the last answers.
    pub drain_timeout: Duration,
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            head_bytes_max: 96 * 1024,
            body_bytes_max: 64 * 1024,
            head_timeout: Duration::from_secs(60),
            body_timeout: Duration::from_secs(10),
            handshake_timeout: Duration::from_secs(10),
            send_timeout: Duration::from_secs(30),
            drain_timeout: Duration::from_secs(10),
        }
    }
}

/// How much of an oversized body is read and dropped, so that its sender gets to read the error
/// before the connection ends.
const DISCARDED_BYTES_MAX: usize = 1024 * 1024;

/// How long accepting pauses when the system has no descriptor left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// The open ports.
pub struct Listeners {
    /// Plain HTTP.
    pub http: Option<TcpListener>,
    /// HTTPS with its certificate.
    pub https: Option<(TcpListener, Certificate)>,
    /// The connections of both.
    pub connections: Arc<Connections>,
    /// The proxies that name their clients.
    pub proxies: Arc<TrustedProxies>,
}

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
    let graceful = GracefulShutdown::new();
    let mut tasks = JoinSet::new();
    let tls = listeners
        .https
        .as_ref()
        .map(|(_, certificate)| TlsAcceptor::from(Arc::new(certificate.server_config())));
    let https = listeners.https.map(|(listener, _)| listener);
    let Listeners {
        connections,
        proxies,
        http,
        ..
    } = listeners;

    let begin = |tasks: &mut JoinSet<()>, accepted: Accepted| {
        let is_proxy = proxies.contains(accepted.peer);
        let source = (!is_proxy).then(|| accepted.peer.into());
        // One too many is closed at once; that is counted where it is refused.
        let Some(held) = connections.admit(source) else {
            return;
        };
        let serving = Serving {
            bounds,
            handler: handler.clone(),
            watcher: graceful.watcher(),
            held: Arc::new(held),
            proxies: is_proxy.then(|| proxies.clone()),
            connections: connections.clone(),
        };
        let tls = accepted.is_secure.then(|| tls.clone()).flatten();
        tasks.spawn(serving.run(accepted.stream, tls));
    };

    let mut is_failing = false;
    let mut stop = pin!(stop);
    loop {
        let accepted = tokio::select! {
            biased;
            () = &mut stop => break,
            accepted = accept(http.as_ref(), https.as_ref()) => accepted,
        };
        match accepted {
            Ok(accepted) => {
                is_failing = false;
                begin(&mut tasks, accepted);
            }
            Err(error) => {
                // Told when it begins, not twenty times a second while it lasts.
                if !std::mem::replace(&mut is_failing, true) {
                    tracing::warn!(%error, "cannot accept a connection");
                }
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
        while tasks.try_join_next().is_some() {}
    }

    // Clients whose connection the kernel has taken already count as accepted.
    while let Ok(Ok(accepted)) =
        timeout(Duration::ZERO, accept(http.as_ref(), https.as_ref())).await
    {
        begin(&mut tasks, accepted);
    }
    drop((http, https));
    if timeout(bounds.drain_timeout, graceful.shutdown())
        .await
        .is_err()
    {
        tracing::warn!(
            connections = tasks.len(),
            "stopping with connections still open"
        );
    }
    tasks.shutdown().await;
}

/// A connection that the kernel has made.
struct Accepted {
    stream: TcpStream,
    peer: IpAddr,
    is_secure: bool,
}

/// Waits for a connection on either port.
async fn accept(http: Option<&TcpListener>, https: Option<&TcpListener>) -> io::Result<Accepted> {
    let ((stream, peer), is_secure) = tokio::select! {
        accepted = accept_on(http) => (accepted?, false),
        accepted = accept_on(https) => (accepted?, true),
    };
    Ok(Accepted {
        stream,
        peer: peer.ip(),
        is_secure,
    })
}

async fn accept_on(listener: Option<&TcpListener>) -> io::Result<(TcpStream, SocketAddr)> {
    match listener {
        Some(listener) => listener.accept().await,
        None => std::future::pending().await,
    }
}

/// One connection and what it needs to be served.
struct Serving<H> {
    bounds: Bounds,
    handler: H,
    watcher: Watcher,
    held: Arc<Connection>,
    /// The proxies, if the peer is one of them.
    proxies: Option<Arc<TrustedProxies>>,
    connections: Arc<Connections>,
}

impl<H, F> Serving<H>
where
    H: Fn(request::Parts, Result<Bytes, GatewayError>) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Reply> + Send + 'static,
{
    /// Serves the connection until it ends, or must make room for another.
    async fn run(self, stream: TcpStream, tls: Option<TlsAcceptor>) {
        let closed = self.held.closed();
        tokio::select! {
            () = closed => {}
            () = self.exchange(stream, tls) => {}
        }
    }

    /// Errors end the connection and concern nobody else; what they say may hold bytes of the
    /// peer, so they are not logged.
    async fn exchange(mut self, mut stream: TcpStream, tls: Option<TlsAcceptor>) {
        if prepare(&stream, &self.bounds).is_err() {
            return;
        }
        if let Some(proxies) = &self.proxies
            && proxies.proxy_protocol
        {
            let header = proxied::read_header(&mut stream);
            let Ok(Ok(client)) = timeout(self.bounds.handshake_timeout, header).await else {
                return;
            };
            if client.is_some_and(|client| !self.held.identify(client.into())) {
                return;
            }
            // This connection is of one client; what its requests say of others is not looked at.
            self.proxies = None;
        }
        match tls {
            None => self.serve(stream).await,
            Some(tls) => {
                let handshake = timeout(self.bounds.handshake_timeout, tls.accept(stream));
                if let Ok(Ok(stream)) = handshake.await {
                    self.serve(stream).await;
                }
            }
        }
    }

    async fn serve(self, stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static) {
        let Self {
            bounds,
            handler,
            watcher,
            held,
            proxies,
            connections,
        } = self;
        let kept = kept(&bounds);
        let service = service_fn(move |request: Request<Incoming>| {
            let (handler, held, kept) = (handler.clone(), held.clone(), kept.clone());
            let (proxies, connections) = (proxies.clone(), connections.clone());
            async move {
                let Some(_busy) = held.busy() else {
                    // It is being closed to make room for another.
                    return std::future::pending().await;
                };
                let (head, body) = request.into_parts();
                let stays = wants_to_stay(&head);
                let client = proxies.and_then(|proxies| proxies.forwarded_for(&head.headers));
                let share = client.map(|client| connections.share(client.into()));
                let body = match &share {
                    Some(None) => Err(GatewayError::Unavailable),
                    _ => read_body(body, &bounds).await,
                };
                let end = match (&body, stays) {
                    (Err(_), _) => End::Close,
                    (Ok(_), true) => End::Keep(kept),
                    (Ok(_), false) => End::AsAsked,
                };
                let reply = handler(head, body).await;
                Ok::<_, Infallible>(response(reply, end))
            }
        });
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(bounds.head_timeout)
            .max_header_size(bounds.head_bytes_max)
            .max_buf_size(bounds.head_bytes_max.max(64 * 1024))
            .serve_connection(TokioIo::new(Strict::new(stream)), service);
        let _ = watcher.watch(connection).await;
    }
}

/// Small answers go out at once, and a peer that stops reading is given up.
fn prepare(stream: &TcpStream, bounds: &Bounds) -> io::Result<()> {
    stream.set_nodelay(true)?;
    #[cfg(target_os = "linux")]
    socket2::SockRef::from(stream).set_tcp_user_timeout(Some(bounds.send_timeout))?;
    #[cfg(not(target_os = "linux"))]
    let _ = bounds;
    Ok(())
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

/// The `Keep-Alive` of connections with these bounds, as the vendor's gateway sends it.
fn kept(bounds: &Bounds) -> HeaderValue {
    let seconds = bounds
        .head_timeout
        .as_secs()
        .saturating_sub(KEPT_LESS_S)
        .max(1);
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
