//! The HTTP and HTTPS ports of the customers and of the operators: bytes in, bytes out, everything bounded.
//!
//! HTTP/1.1 by `hyper`; who answers, gets each request with where it comes from. What the ports promise: a
//! request whose head has been read is answered, also while stopping; a client that is slow, silent or too
//! talkative costs one of a bounded number of connections for a bounded time.
//!
//! `hyper` itself answers what is not HTTP (400), a head that is too large (431) and a target of
//! more than 65,534 bytes (414), with an empty body, and closes the connection. Requests whose end
//! two readers could see at different places are refused so too; see `framing`. What `Host` says is
//! not looked at, so one with a scheme in it, as a client of the vendor sends, passes.

pub mod connections;
mod framing;
mod proxies;

use std::error::Error;
use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use http::{Request, Response};
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

use crate::tcp;
use crate::tls::Tls;
use connections::{Connection, Connections};
use framing::Strict;
pub use proxies::TrustedProxies;

/// What is negotiated within TLS (ALPN, RFC 7301).
pub const PROTOCOLS: &[&[u8]] = &[b"http/1.1"];

/// How long a TLS handshake may take, and what a proxy says before it.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// How long sent bytes may stay unacknowledged before the connection is dropped.
#[cfg(target_os = "linux")]
const SEND_TIMEOUT: Duration = Duration::from_secs(30);

/// Bounds of what is asked on the ports.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// Largest request head (request line and headers), in bytes; at least 8192. The number of
    /// headers is bounded to 100 by `hyper`.
    pub head_bytes_max: usize,
    /// How long a request head may take to arrive, and how long a connection may be idle.
    pub head_timeout: Duration,
    /// How long a stop waits for the last answers.
    pub drain_timeout: Duration,
}

/// What the log says of the ports.
#[derive(Debug, Clone, Copy)]
pub struct Messages {
    /// The system has no connection to give.
    pub not_accepted: &'static str,
    /// A stop has waited as long as it may.
    pub cut_off: &'static str,
}

/// An extension of a response that is not to be sent: the connection ends instead, as if the answer were lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("it is not answered")]
pub struct Unanswered;

/// The open ports of one interface.
pub struct Listeners {
    /// Plain HTTP.
    pub http: Option<TcpListener>,
    /// HTTPS with its certificate.
    pub https: Option<(TcpListener, Tls)>,
    /// The connections of both.
    pub connections: Arc<Connections>,
    /// The proxies that name their clients.
    pub proxies: Arc<TrustedProxies>,
}

/// Who asks, as far as the port knows.
#[derive(Debug, Clone, Copy)]
pub struct RequestSource {
    /// Where the connection comes from.
    pub peer: IpAddr,
    /// A proxy asks for a client that has as many requests under way already as it may have connections.
    pub is_over_share: bool,
}

/// Serves until `stop` resolves and what was accepted is answered, or the drain time is over.
///
/// `handler` gets each request, whose body is still to be read, and who asks.
pub async fn serve<H, F, B>(
    listeners: Listeners,
    bounds: Bounds,
    messages: Messages,
    handler: H,
    stop: impl Future<Output = ()>,
) where
    H: Fn(Request<Incoming>, RequestSource) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Response<B>> + Send + 'static,
    B: Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    let graceful = GracefulShutdown::new();
    let mut tasks = JoinSet::new();
    let Listeners {
        connections,
        proxies,
        http,
        https,
    } = listeners;
    let (https, tls) = https.unzip();

    let begin = |tasks: &mut JoinSet<()>, accepted: Accepted| {
        // Its certificate is the newest one. Where there is none, nothing is answered in the clear instead.
        let acceptor = match (accepted.is_secure, tls.as_ref().and_then(Tls::acceptor)) {
            (false, _) => None,
            (true, Some(acceptor)) => Some(acceptor),
            (true, None) => return,
        };
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
            peer: accepted.peer,
            proxies: is_proxy.then(|| proxies.clone()),
            connections: connections.clone(),
        };
        tasks.spawn(serving.run(accepted.stream, acceptor));
    };

    let failing = Failing::new(messages.not_accepted);
    let mut stop = pin!(stop);
    loop {
        let accepted = tokio::select! {
            biased;
            () = &mut stop => break,
            accepted = accept(http.as_ref(), https.as_ref(), &failing) => accepted,
        };
        failing.end();
        begin(&mut tasks, accepted);
        still_open(&mut tasks);
    }

    // Clients whose connection the kernel has taken already count as accepted.
    while let Ok(accepted) = timeout(
        Duration::ZERO,
        accept(http.as_ref(), https.as_ref(), &failing),
    )
    .await
    {
        begin(&mut tasks, accepted);
    }
    drop((http, https));
    let answered = graceful.shutdown();
    if let Some(connections) = drain(answered, bounds.drain_timeout, &mut tasks).await {
        tracing::warn!(connections, "{}", messages.cut_off);
    }
    tasks.shutdown().await;
}

/// Waits for the last answers, at most so long. When they take longer: how many connections are open still.
async fn drain(
    answered: impl Future<Output = ()>,
    wait_max: Duration,
    tasks: &mut JoinSet<()>,
) -> Option<usize> {
    let is_late = timeout(wait_max, answered).await.is_err();
    is_late.then(|| still_open(tasks))
}

/// How many connections have not ended; those that have are let go.
fn still_open(tasks: &mut JoinSet<()>) -> usize {
    while tasks.try_join_next().is_some() {}
    tasks.len()
}

/// Whether the system has no connections to give. That is told when it begins, not twenty times a second
/// while it lasts.
struct Failing {
    message: &'static str,
    is_told: AtomicBool,
}

impl Failing {
    fn new(message: &'static str) -> Self {
        Self {
            message,
            is_told: AtomicBool::new(false),
        }
    }

    fn tell(&self, error: &io::Error) {
        if !self.is_told.swap(true, Ordering::Relaxed) {
            tracing::warn!(%error, "{}", self.message);
        }
    }

    fn end(&self) {
        self.is_told.store(false, Ordering::Relaxed);
    }
}

/// A connection that the kernel has made.
struct Accepted {
    stream: TcpStream,
    peer: IpAddr,
    is_secure: bool,
}

/// Waits for a connection on either port.
async fn accept(
    http: Option<&TcpListener>,
    https: Option<&TcpListener>,
    failing: &Failing,
) -> Accepted {
    let ((stream, peer), is_secure) = tokio::select! {
        accepted = accept_on(http, failing) => (accepted, false),
        accepted = accept_on(https, failing) => (accepted, true),
    };
    Accepted {
        stream,
        peer: peer.ip(),
        is_secure,
    }
}

async fn accept_on(listener: Option<&TcpListener>, failing: &Failing) -> (TcpStream, SocketAddr) {
    match listener {
        Some(listener) => tcp::accept(listener, |error| failing.tell(error)).await,
        None => std::future::pending().await,
    }
}

/// One connection and what it needs to be served.
struct Serving<H> {
    bounds: Bounds,
    handler: H,
    watcher: Watcher,
    held: Arc<Connection>,
    peer: IpAddr,
    /// The proxies, if the peer is one of them.
    proxies: Option<Arc<TrustedProxies>>,
    connections: Arc<Connections>,
}

impl<H, F, B> Serving<H>
where
    H: Fn(Request<Incoming>, RequestSource) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Response<B>> + Send + 'static,
    B: Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
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
        if prepare(&stream).is_err() {
            return;
        }
        if let Some(proxies) = &self.proxies
            && proxies.proxy_protocol
        {
            let header = proxies::read_header(&mut stream);
            let Ok(Ok(client)) = timeout(HANDSHAKE_TIMEOUT, header).await else {
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
                if let Ok(Ok(stream)) = timeout(HANDSHAKE_TIMEOUT, tls.accept(stream)).await {
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
            peer,
            proxies,
            connections,
        } = self;
        let service = service_fn(move |request: Request<Incoming>| {
            let (handler, held) = (handler.clone(), held.clone());
            let (proxies, connections) = (proxies.clone(), connections.clone());
            async move {
                let Some(_busy) = held.busy() else {
                    // It is being closed to make room for another.
                    return std::future::pending().await;
                };
                let client = proxies.and_then(|proxies| proxies.forwarded_for(request.headers()));
                // Held while it is answered.
                let share = client.map(|client| connections.share(client.into()));
                let source = RequestSource {
                    peer,
                    is_over_share: matches!(share, Some(None)),
                };
                let response = handler(request, source).await;
                match response.extensions().get() {
                    Some(Unanswered) => Err(Unanswered),
                    None => Ok(response),
                }
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
fn prepare(stream: &TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    #[cfg(target_os = "linux")]
    socket2::SockRef::from(stream).set_tcp_user_timeout(Some(SEND_TIMEOUT))?;
    Ok(())
}

#[cfg(test)]
mod tests;
