//! One connection: messages cut out of what is read, and written as they come.

use super::{IDLE_MAX, News, Shared};
use maskline_sip::hop::Hop;
use maskline_sip::stream::{Frame, FrameError, Framer};
use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_rustls::{TlsAcceptor, TlsConnector, TlsStream};

/// Bytes read at once.
const READ_BYTES: usize = 8_192;
/// How long one message may take to be written.
const WRITE_MAX: Duration = Duration::from_secs(10);

/// What the loop holds of a connection, seen from the other side.
pub(super) struct Ends {
    pub to_write: mpsc::Receiver<Arc<[u8]>>,
    pub closed: oneshot::Receiver<()>,
}

/// A stream that stands, with TLS or without.
pub(super) enum Stream {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

impl Stream {
    /// Begins TLS if there is a connector. The peer's certificate must bear `name`, or its address.
    pub async fn open(
        plain: TcpStream,
        connector: Option<&TlsConnector>,
        peer: IpAddr,
        name: Option<Box<str>>,
    ) -> io::Result<Self> {
        let Some(connector) = connector else {
            return Ok(Self::Plain(plain));
        };
        let name = match name {
            Some(name) => ServerName::try_from(name.into_string()).map_err(io::Error::other)?,
            None => ServerName::from(peer),
        };
        let stream = connector.connect(name, plain).await?;
        Ok(Self::Tls(Box::new(stream.into())))
    }

    /// Waits for the peer's TLS if there is an acceptor.
    pub async fn accept(plain: TcpStream, acceptor: Option<&TlsAcceptor>) -> io::Result<Self> {
        let Some(acceptor) = acceptor else {
            return Ok(Self::Plain(plain));
        };
        let stream = acceptor.accept(plain).await?;
        Ok(Self::Tls(Box::new(stream.into())))
    }
}

#[derive(Debug, thiserror::Error)]
enum Ended {
    #[error("the peer closed it")]
    ByPeer,
    #[error("it was idle")]
    Idle,
    #[error("a message took too long to arrive")]
    Late,
    #[error("it took too long to write")]
    Slow,
    #[error("the calls are over")]
    ByUs,
    #[error(transparent)]
    Frame(#[from] FrameError),
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// Carries messages both ways until the connection ends.
pub(super) async fn serve(stream: Stream, hop: Hop, ends: Ends, shared: &Shared) {
    let ended = match stream {
        Stream::Plain(stream) => carry(stream, hop, ends, shared).await,
        Stream::Tls(stream) => carry(*stream, hop, ends, shared).await,
    };
    if matches!(ended, Ended::Late) {
        shared.tallies.count_late(hop);
    }
    tracing::debug!(%hop, %ended, "a SIP connection has ended");
}

async fn carry(
    stream: impl AsyncRead + AsyncWrite,
    hop: Hop,
    mut ends: Ends,
    shared: &Shared,
) -> Ended {
    let (reader, mut writer) = tokio::io::split(stream);
    let ended = tokio::select! {
        ended = read(reader, hop, shared) => ended,
        ended = write(&mut writer, &mut ends.to_write) => ended,
        _ = &mut ends.closed => Ended::Slow,
    };
    if matches!(
        ended,
        Ended::ByUs | Ended::Idle | Ended::Late | Ended::Frame(_)
    ) {
        // Politely; whether it arrives is no matter any more.
        let _ = tokio::time::timeout(WRITE_MAX, writer.shutdown()).await;
    }
    ended
}

async fn read(mut reader: impl AsyncRead + Unpin, hop: Hop, shared: &Shared) -> Ended {
    let mut framer = Framer::new();
    let mut bytes = vec![0; READ_BYTES];
    // When the message began of which a part is here.
    let mut begun: Option<Instant> = None;
    loop {
        let wait = match begun {
            None => IDLE_MAX,
            Some(since) => shared.message_max.saturating_sub(since.elapsed()),
        };
        let length = match tokio::time::timeout(wait, reader.read(&mut bytes)).await {
            Err(_) if begun.is_some() => return Ended::Late,
            Err(_) => return Ended::Idle,
            Ok(Err(error)) => return error.into(),
            Ok(Ok(0)) => return Ended::ByPeer,
            Ok(Ok(length)) => length,
        };
        framer.push(&bytes[..length]);
        loop {
            let found = match framer.next_frame() {
                Err(error) => return error.into(),
                Ok(None) => break,
                Ok(Some(Frame::Message(message))) => News::Message(hop, message),
                Ok(Some(Frame::Ping)) => News::Ping(hop),
            };
            if shared.news.send(found).await.is_err() {
                return Ended::ByUs;
            }
            // What is left is of another message, and the wait above was ours.
            begun = None;
        }
        begun = match framer.held() {
            0 => None,
            _ => begun.or_else(|| Some(Instant::now())),
        };
        // However busily a message trickles in, it has only its time.
        if begun.is_some_and(|since| since.elapsed() >= shared.message_max) {
            return Ended::Late;
        }
    }
}

async fn write(
    writer: &mut (impl AsyncWrite + Unpin),
    to_write: &mut mpsc::Receiver<Arc<[u8]>>,
) -> Ended {
    while let Some(bytes) = to_write.recv().await {
        let writing = async {
            writer.write_all(&bytes).await?;
            writer.flush().await
        };
        match tokio::time::timeout(WRITE_MAX, writing).await {
            Err(_) => return Ended::Slow,
            Ok(Err(error)) => return error.into(),
            Ok(Ok(())) => {}
        }
    }
    Ended::ByUs
}
