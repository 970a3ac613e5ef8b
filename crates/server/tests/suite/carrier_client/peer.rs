//! A carrier that answers as a test writes it, byte by byte.

use maskline_server::tls::{Pem, Tls};
use parking_lot::Mutex;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;

/// A request as it came.
#[derive(Debug, Clone)]
pub struct Heard {
    /// First line and headers.
    pub head: String,
    pub body: Vec<u8>,
    /// Which connection it came over, from 0.
    pub connection: usize,
    /// Which request it is, from 0.
    pub place: usize,
}

impl Heard {
    pub fn header(&self, name: &str) -> Option<&str> {
        let lines = self.head.lines().skip(1);
        let mut pairs = lines.filter_map(|line| line.split_once(": "));
        pairs.find_map(|(known, value)| known.eq_ignore_ascii_case(name).then_some(value))
    }
}

/// What is done about a request.
pub enum Reply {
    /// Bytes, and the next request.
    Bytes(Vec<u8>),
    /// Bytes, and the end of the connection.
    Last(Vec<u8>),
    /// Bytes, and nothing more for ever.
    Stuck(Vec<u8>),
}

/// An answer with its length.
pub fn answer(status: &str, headers: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    format!("HTTP/1.1 {status}\r\nContent-Length: {length}\r\n{headers}\r\n{body}").into_bytes()
}

pub struct Peer {
    pub address: SocketAddr,
    heard: Arc<Mutex<Vec<Heard>>>,
    connections: Arc<AtomicUsize>,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for Peer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Peer {
    pub async fn new(script: impl Fn(&Heard) -> Reply + Send + Sync + 'static) -> Self {
        Self::with(None, script).await
    }

    /// With a certificate chain and its key, as PEM.
    pub async fn with(
        own: Option<(Vec<u8>, Vec<u8>)>,
        script: impl Fn(&Heard) -> Reply + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let heard = Arc::new(Mutex::new(Vec::new()));
        let connections = Arc::new(AtomicUsize::new(0));
        let tls = own.map(|own| {
            let pem = Pem {
                own: Some(own),
                ..Pem::default()
            };
            Tls::new(&pem).expect("usable").acceptor().expect("our own")
        });
        let (script, kept, count) = (Arc::new(script), heard.clone(), connections.clone());
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let connection = count.fetch_add(1, Ordering::SeqCst);
                let (script, kept, tls) = (script.clone(), kept.clone(), tls.clone());
                tokio::spawn(async move {
                    match tls {
                        None => serve(stream, connection, &*script, &kept).await,
                        Some(tls) => {
                            if let Ok(stream) = tls.accept(stream).await {
                                serve(stream, connection, &*script, &kept).await;
                            }
                        }
                    }
                });
            }
        });
        Self {
            address,
            heard,
            connections,
            task,
        }
    }

    pub fn heard(&self) -> Vec<Heard> {
        self.heard.lock().clone()
    }

    pub fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }
}

async fn serve(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    connection: usize,
    script: &(dyn Fn(&Heard) -> Reply + Send + Sync),
    kept: &Mutex<Vec<Heard>>,
) {
    while let Some((head, body)) = read(&mut stream).await {
        let heard = {
            let mut kept = kept.lock();
            let place = kept.len();
            kept.push(Heard {
                head,
                body,
                connection,
                place,
            });
            kept[place].clone()
        };
        let (bytes, goes_on) = match script(&heard) {
            Reply::Bytes(bytes) => (bytes, true),
            Reply::Last(bytes) => (bytes, false),
            Reply::Stuck(bytes) => {
                let _ = stream.write_all(&bytes).await;
                let _ = stream.flush().await;
                std::future::pending::<()>().await;
                return;
            }
        };
        if stream.write_all(&bytes).await.is_err() || stream.flush().await.is_err() {
            return;
        }
        if !goes_on {
            let _ = stream.shutdown().await;
            return;
        }
    }
}

async fn read(stream: &mut (impl AsyncRead + Unpin)) -> Option<(String, Vec<u8>)> {
    let mut bytes = Vec::new();
    loop {
        let end = bytes.windows(4).position(|four| four == b"\r\n\r\n");
        if let Some(end) = end {
            let head = String::from_utf8(bytes[..end].to_vec()).ok()?;
            let length = head.lines().find_map(|line| {
                let (name, value) = line.split_once(": ")?;
                (name.eq_ignore_ascii_case("content-length")).then(|| value.parse().ok())?
            });
            let mut body = bytes.split_off(end + 4);
            let wanted: usize = length.unwrap_or(0);
            while body.len() < wanted {
                if stream.read_buf(&mut body).await.ok()? == 0 {
                    return None;
                }
            }
            return Some((head, body));
        }
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    }
}
