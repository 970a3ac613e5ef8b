//! Connections to one carrier: made, lent again, and closed.

use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::client::conn::http1::{Builder, SendRequest};
use hyper::{Request, Response, Uri};
use hyper_util::rt::TokioIo;
use maskline_domain::provisioning::Answer;
use parking_lot::Mutex;
use rustls_pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use super::{HEAD_BYTES_MAX, unavailable, whole};
use crate::carrier_client::Seen;
use crate::tls;

/// For how long a connection is kept without a request. Servers close idle ones, some after 5 seconds; a request that
/// meets this may be lost.
const IDLE_MAX: Duration = Duration::from_secs(4);

type Body = Full<Bytes>;

/// Where a carrier is, and how one speaks to it.
pub(super) struct Target {
    host: Box<str>,
    port: u16,
    tls: Option<(TlsConnector, ServerName<'static>)>,
}

impl Target {
    /// What a URL and certificates of authorities, as PEM text, lead to. Without certificates those of the system are
    /// taken, from the disk.
    ///
    /// # Errors
    /// Why it leads nowhere.
    pub(super) fn new(uri: &Uri, ca: Option<&str>) -> Result<Self, String> {
        let host = uri.host().ok_or("its url has no host")?;
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let is_tls = uri.scheme_str() == Some("https");
        let port = uri.port_u16().unwrap_or(if is_tls { 443 } else { 80 });
        let tls = if is_tls {
            let name = ServerName::try_from(host.to_owned())
                .map_err(|_| "the host of its url stands in no certificate".to_owned())?;
            let connector = tls::connector_to(ca.map(str::as_bytes))
                .map_err(|error| format!("its certificates: {error}"))?;
            Some((connector, name))
        } else {
            None
        };
        Ok(Self {
            host: host.into(),
            port,
            tls,
        })
    }
}

/// A connection that a request has gone over.
pub(super) struct Connection {
    sender: SendRequest<Body>,
    was_used: bool,
}

impl Connection {
    /// Whether an earlier request has gone over it, too.
    pub(super) fn was_used(&self) -> bool {
        self.was_used
    }
}

/// The connections to one carrier.
pub(super) struct Connections {
    target: Target,
    connect_timeout: Duration,
    idle_max: usize,
    /// The one that was used last comes last.
    idle: Mutex<Vec<(SendRequest<Body>, Instant)>>,
}

impl Connections {
    /// No connections yet; at most `idle_max` are kept without a request.
    pub(super) fn new(target: Target, connect_timeout: Duration, idle_max: usize) -> Self {
        Self {
            target,
            connect_timeout,
            idle_max,
            idle: Mutex::new(Vec::new()),
        }
    }

    /// Sends a request and waits for the head of its answer. A connection that was kept may have been closed by the
    /// other side: a request of which nothing was written goes over a new one, any other is not sent again.
    ///
    /// # Errors
    /// What it means that there is no answer.
    pub(super) async fn send(
        &self,
        request: Request<Body>,
    ) -> Result<(Connection, Response<Incoming>), (Answer, Seen)> {
        let mut request = request;
        if let Some(mut sender) = self.kept() {
            match sender.try_send_request(request).await {
                Ok(came) => {
                    let was_used = true;
                    return Ok((Connection { sender, was_used }, came));
                }
                Err(mut error) => match error.take_message() {
                    Some(unsent) => request = unsent,
                    None => return Err(no_answer(error.error())),
                },
            }
        }
        let mut sender = self.connect().await?;
        let came = sender.send_request(request).await;
        let came = came.map_err(|error| no_answer(&error))?;
        let was_used = false;
        Ok((Connection { sender, was_used }, came))
    }

    /// Keeps a connection whose answer is here whole.
    pub(super) fn keep(&self, connection: Connection) {
        let now = Instant::now();
        let mut idle = self.idle.lock();
        idle.retain(|(sender, since)| !sender.is_closed() && now - *since < IDLE_MAX);
        if idle.len() < self.idle_max {
            idle.push((connection.sender, now));
        }
    }

    fn kept(&self) -> Option<SendRequest<Body>> {
        let now = Instant::now();
        let mut idle = self.idle.lock();
        while let Some((sender, since)) = idle.pop() {
            if sender.is_ready() && now - since < IDLE_MAX {
                return Some(sender);
            }
        }
        None
    }

    async fn connect(&self) -> Result<SendRequest<Body>, (Answer, Seen)> {
        match timeout(self.connect_timeout, self.target.connect()).await {
            Ok(made) => made.map_err(|why| not_sent(&format!("no connection: {why}"))),
            Err(_) => {
                let ms = self.connect_timeout.as_millis();
                Err(not_sent(&format!("no connection within {ms} ms")))
            }
        }
    }
}

impl Target {
    async fn connect(&self) -> Result<SendRequest<Body>, String> {
        let stream = TcpStream::connect((&*self.host, self.port)).await;
        let stream = stream.map_err(|error| error.to_string())?;
        stream
            .set_nodelay(true)
            .map_err(|error| error.to_string())?;
        match &self.tls {
            None => speak(stream).await,
            Some((connector, name)) => {
                let stream = connector.connect(name.clone(), stream).await;
                speak(stream.map_err(|error| format!("TLS: {error}"))?).await
            }
        }
    }
}

/// Begins HTTP on a connection, which ends when its sender is dropped.
async fn speak<S>(stream: S) -> Result<SendRequest<Body>, String>
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let (sender, connection) = Builder::new()
        .max_buf_size(HEAD_BYTES_MAX)
        .handshake(TokioIo::new(stream))
        .await
        .map_err(|error| whole(&error))?;
    // What becomes of it is told by what is sent over it.
    tokio::spawn(async move {
        let _ = connection.await;
    });
    Ok(sender)
}

/// Nothing has gone out.
fn not_sent(why: &str) -> (Answer, Seen) {
    (Answer::NotSent, Seen::new(why))
}

/// No head of an answer: none at all, or one that is not HTTP.
fn no_answer(error: &hyper::Error) -> (Answer, Seen) {
    if error.is_parse() {
        let seen = Seen::new(&format!("the answer is not HTTP: {}", whole(error)));
        return (Answer::Unclear, seen);
    }
    unavailable(&format!("no answer: {}", whole(error)))
}
