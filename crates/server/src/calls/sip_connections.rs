//! SIP over streams, beside the datagrams: who may connect, which connection a message takes, and the
//! bounds of it all.
//!
//! Each connection is a task of its own (`stream`); they and the loop of calls exchange `News` and
//! bytes. A message for a hop takes the connection that is there, whoever opened it; else one is made.
//! What cannot be sent is told at once, so that nobody waits for the answer. Nothing is kept for a
//! connection that is gone: over a stream it is the transaction's matter to try again, or the peer's.

mod share;
mod stream;

use super::unknown_sources::UnknownSources;
use crate::clocks;
use crate::tcp;
use crate::telemetry::SharedLogLimit;
use crate::tls::Tls;
use maskline_sip::hop::{Hop, Transport};
use share::Shares;
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Handle;
use tokio::sync::{Semaphore, mpsc, oneshot, watch};
use tokio::task::JoinSet;
use tokio_rustls::TlsConnector;

/// Messages that wait to be written to one connection. One that is so slow is closed.
const WRITES_MAX: usize = 256;
/// Messages of all connections that wait for the loop; when it is full the connections are not read.
const NEWS_MAX: usize = 1_024;
/// Connections that the kernel may hold for us until they are accepted.
const BACKLOG: u32 = 1_024;
/// How long a connection, its TLS included, may take to stand.
const OPENING_MAX: Duration = Duration::from_secs(10);
/// A connection on which nothing is read for so long is closed.
const IDLE_MAX: Duration = Duration::from_secs(1_800);
/// Tries to find a port that is free for datagrams and for streams, where any port will do.
const SAME_PORT_TRIES: usize = 16;
/// Room in the kernel for datagrams that wait, in bytes: a second of heavy load.
const RECEIVE_BUFFER_BYTES: usize = 4 << 20;

/// How many connections there may be, and how slow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Connections that peers opened at once. No peer may hold more than are left free, so one alone has
    /// half of them, and another finds room at any time. Beyond it new ones are closed unheard.
    pub incoming_max: usize,
    /// Connections that we opened at once: apart from the others, so that nobody can keep us from calling.
    pub outgoing_max: usize,
    /// From its first byte a message may take so long to arrive; then its connection is closed.
    pub message_max: Duration,
}

/// What was counted since the start, and how many connections stand.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Connections that peers opened and that stand.
    pub incoming: u64,
    /// Connections from addresses of no trunk, closed unheard.
    pub unknown_sources: u64,
    /// Connections of peers that held their share already, closed unheard.
    pub over_share: u64,
    /// Connections closed because a message took too long to arrive.
    pub late: u64,
    /// Connections whose TLS failed.
    pub tls: u64,
}

/// Opens the ports for datagrams and, if wanted, for plain streams: both at the same address (RFC 3261
/// section 18.2.1).
///
/// # Errors
/// When one of them cannot be bound.
pub fn open(listen: SocketAddr, with_tcp: bool) -> io::Result<(UdpSocket, Option<TcpListener>)> {
    let mut tries = 0;
    loop {
        let datagrams = bind_datagrams(listen)?;
        if !with_tcp {
            return Ok((datagrams, None));
        }
        tries += 1;
        match bind_streams(datagrams.local_addr()?) {
            Ok(streams) => return Ok((datagrams, Some(streams))),
            // Somebody has that port for streams: another is drawn.
            Err(error)
                if listen.port() == 0
                    && error.kind() == io::ErrorKind::AddrInUse
                    && tries < SAME_PORT_TRIES => {}
            Err(error) => return Err(error),
        }
    }
}

fn bind_datagrams(address: SocketAddr) -> io::Result<UdpSocket> {
    let socket = socket2::Socket::new(
        socket2::Domain::for_address(address),
        socket2::Type::DGRAM,
        Some(socket2::Protocol::UDP),
    )?;
    // The kernel may grant less; then bursts are lost sooner and repeated by the peers.
    socket.set_recv_buffer_size(RECEIVE_BUFFER_BYTES)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    Ok(socket.into())
}

/// Opens a port for streams.
///
/// # Errors
/// When it cannot be bound.
pub fn bind_streams(address: SocketAddr) -> io::Result<TcpListener> {
    tcp::listen(address, BACKLOG)
}

/// Why no TLS connection is made to anybody.
const NO_AUTHORITIES: &str = "TLS needs sip.server_authorities in the settings: without it no \
    certificate of a peer can be believed, so none is connected to";

/// What comes out of the connections.
pub enum ConnectionEvent {
    /// A message.
    Message(Hop, Vec<u8>),
    /// The connection to this hop is gone, or could not be made; what was on its way there is lost.
    Unreachable(Hop),
}

/// Nothing can be sent to a hop now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no connection can be made")]
pub struct NoConnection;

enum News {
    Opened(Hop, Connection),
    Message(Hop, Vec<u8>),
    /// The other side asks whether we are there.
    Ping(Hop),
    /// A connection is gone; why it was never made, if that is so.
    Closed(Hop, u64, Option<String>),
}

struct Connection {
    /// Tells it from another one with the same hop.
    id: u64,
    writes: mpsc::Sender<Arc<[u8]>>,
    /// The connection is closed when this goes.
    close: Option<oneshot::Sender<()>>,
}

/// All connections.
pub struct SipConnections {
    connections: BTreeMap<Hop, Connection>,
    tls: Option<Tls>,
    shared: Shared,
    news: mpsc::Receiver<News>,
    outgoing: Arc<Semaphore>,
    /// Which trunk each address belongs to; none until it is said for the first time.
    known: watch::Sender<Option<TrunkAddresses>>,
    names: BTreeMap<SocketAddr, Box<str>>,
    /// Where trunks are.
    watched: BTreeSet<SocketAddr>,
    /// Why no connection to a trunk was made when last tried.
    troubles: BTreeMap<Hop, String>,
    /// They end with this.
    _accepting: JoinSet<()>,
}

/// Which trunk an address belongs to.
type TrunkAddresses = BTreeMap<IpAddr, Arc<str>>;

/// What every connection needs.
#[derive(Clone)]
struct Shared {
    /// Where connections live: apart from the loop of calls, whose thread has no time for ciphers.
    runtime: Handle,
    news: mpsc::Sender<News>,
    last_id: Arc<AtomicU64>,
    message_max: Duration,
    shares: Arc<Shares>,
    tallies: Arc<Tallies>,
}

/// What is counted, and what was last said of it.
#[derive(Default)]
struct Tallies {
    unknown_sources: AtomicU64,
    over_share: AtomicU64,
    late: AtomicU64,
    tls: AtomicU64,
    share_told: SharedLogLimit,
    late_told: SharedLogLimit,
    tls_told: SharedLogLimit,
    accept_told: SharedLogLimit,
}

impl Tallies {
    /// A message of this hop never came to its end.
    fn count_late(&self, hop: Hop) {
        self.late.fetch_add(1, Ordering::Relaxed);
        if let Some(unsaid) = self.late_told.say() {
            tracing::warn!(%hop, unsaid, "a SIP connection is closed: a message on it took too long to arrive");
        }
    }
}

impl Shared {
    fn next_id(&self) -> u64 {
        self.last_id.fetch_add(1, Ordering::Relaxed)
    }
}

/// The two ends of a connection that is about to stand.
fn connection(id: u64) -> (Connection, stream::Ends) {
    let (writes, to_write) = mpsc::channel(WRITES_MAX);
    let (close, closed) = oneshot::channel();
    let connection = Connection {
        id,
        writes,
        close: Some(close),
    };
    (connection, stream::Ends { to_write, closed })
}

impl SipConnections {
    /// SipConnections that take connections from these listeners; without any they still make them. Connections
    /// live in the runtime around this call.
    pub fn new(
        tcp: Option<TcpListener>,
        tls_listener: Option<TcpListener>,
        tls: Option<Tls>,
        bounds: Bounds,
        unknown: UnknownSources,
    ) -> Self {
        let (sender, news) = mpsc::channel(NEWS_MAX);
        let shared = Shared {
            runtime: Handle::current(),
            news: sender,
            last_id: Arc::default(),
            message_max: bounds.message_max,
            shares: Arc::new(Shares::new(bounds.incoming_max)),
            tallies: Arc::default(),
        };
        let (known, knows) = watch::channel(None);
        let mut accepting = JoinSet::new();
        let listening = |listener, tls| StreamListener {
            listener,
            tls,
            known: knows.clone(),
            unknown: unknown.clone(),
            shared: shared.clone(),
        };
        if let Some(listener) = tcp {
            accepting.spawn(listening(listener, None).accept());
        }
        let takes = tls.clone().filter(|tls| tls.acceptor().is_some());
        if let (Some(listener), Some(tls)) = (tls_listener, takes) {
            accepting.spawn(listening(listener, Some(tls)).accept());
        }
        Self {
            connections: BTreeMap::new(),
            tls,
            shared,
            news,
            outgoing: Arc::new(Semaphore::new(bounds.outgoing_max)),
            known,
            names: BTreeMap::new(),
            watched: BTreeSet::new(),
            troubles: BTreeMap::new(),
            _accepting: accepting,
        }
    }

    /// From now on only these may connect, each address for the trunk of this name; connections that stand
    /// stay. Of several trunks at one address the first counts.
    pub fn know(&self, peers: impl Iterator<Item = (IpAddr, Arc<str>)>) {
        let mut known = TrunkAddresses::new();
        for (address, trunk) in peers {
            known.entry(address).or_insert(trunk);
        }
        self.known.send_replace(Some(known));
    }

    /// What was counted, and how many connections of peers stand.
    pub fn counts(&self) -> Counts {
        let tallies = &self.shared.tallies;
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        Counts {
            incoming: self.shared.shares.taken(),
            unknown_sources: read(&tallies.unknown_sources),
            over_share: read(&tallies.over_share),
            late: read(&tallies.late),
            tls: read(&tallies.tls),
        }
    }

    /// From now on the certificates of these peers must bear these names, instead of their addresses.
    pub fn name(&mut self, names: BTreeMap<SocketAddr, Box<str>>) {
        self.names = names;
    }

    /// From now on trunks are at these addresses; of others [`SipConnections::trouble`] remembers nothing.
    pub fn watch(&mut self, places: BTreeSet<SocketAddr>) {
        self.troubles.retain(|hop, _| places.contains(&hop.address));
        self.watched = places;
    }

    /// Why a trunk at this hop cannot be spoken to, in words for a person: that no connection was made when
    /// last tried, or that none can be.
    pub fn trouble(&self, hop: Hop) -> Option<String> {
        let has_none = hop.transport == Transport::Tls && self.connector().is_none();
        match has_none {
            true => Some(NO_AUTHORITIES.to_owned()),
            false => self.troubles.get(&hop).cloned(),
        }
    }

    fn connector(&self) -> Option<TlsConnector> {
        self.tls.as_ref().and_then(Tls::connector)
    }

    fn note_trouble(&mut self, hop: Hop, why: String) {
        if self.watched.contains(&hop.address) {
            self.troubles.insert(hop, why);
        }
    }

    /// Sends a message, over the connection that is there or a new one.
    ///
    /// # Errors
    /// When there are too many connections, or none can be made by this transport. A connection that fails
    /// later is told by [`SipConnections::next_event`].
    pub fn send(&mut self, to: Hop, bytes: Arc<[u8]>) -> Result<(), NoConnection> {
        if let Some(connection) = self.connections.get_mut(&to) {
            match connection.writes.try_send(bytes.clone()) {
                Ok(()) => return Ok(()),
                Err(mpsc::error::TrySendError::Full(_)) => {
                    if connection.close.take().is_some() {
                        let known = self.known.borrow();
                        let trunk = known.as_ref().and_then(|known| known.get(&to.address.ip()));
                        let trunk = trunk.map(AsRef::<str>::as_ref);
                        tracing::warn!(trunk, "a SIP connection takes nothing more and is closed");
                    }
                    return Err(NoConnection);
                }
                // It has just ended; its news is on its way.
                Err(mpsc::error::TrySendError::Closed(_)) => {}
            }
        }
        self.connect(to, bytes)
    }

    fn connect(&mut self, to: Hop, first: Arc<[u8]>) -> Result<(), NoConnection> {
        let Ok(permit) = self.outgoing.clone().try_acquire_owned() else {
            self.note_trouble(to, "too many connections".to_owned());
            return Err(NoConnection);
        };
        let connector = match to.transport {
            Transport::Tls => Some(self.connector().ok_or(NoConnection)?),
            Transport::Tcp | Transport::Udp => None,
        };
        let id = self.shared.next_id();
        let (connection, ends) = connection(id);
        // The queue is empty, so there is room.
        let _ = connection.writes.try_send(first);
        self.connections.insert(to, connection);
        let name = self.names.get(&to.address).cloned();
        let shared = self.shared.clone();
        self.shared.runtime.spawn(async move {
            let opening = async {
                let plain = TcpStream::connect(to.address).await?;
                plain.set_nodelay(true)?;
                stream::Stream::open(plain, connector.as_ref(), to.address.ip(), name).await
            };
            let failed = match tokio::time::timeout(OPENING_MAX, opening).await {
                Ok(Ok(stream)) => {
                    stream::serve(stream, to, ends, &shared).await;
                    None
                }
                Ok(Err(error)) => Some(format!("no connection to {to}: {error}")),
                Err(_) => Some(format!("no connection to {to} in time")),
            };
            if let Some(why) = &failed {
                tracing::debug!(why, "a SIP connection was not made");
            }
            // Told before the place is given up, or a send between the two would make one too many.
            let _ = shared.news.send(News::Closed(to, id, failed)).await;
            drop(permit);
        });
        Ok(())
    }

    /// The next thing that is heard. Nothing is lost when the future is dropped.
    pub async fn next_event(&mut self) -> ConnectionEvent {
        loop {
            // This has a sender itself, so the channel never ends.
            let Some(news) = self.news.recv().await else {
                return std::future::pending().await;
            };
            match news {
                News::Message(from, bytes) => {
                    self.troubles.remove(&from);
                    return ConnectionEvent::Message(from, bytes);
                }
                News::Ping(from) => {
                    if let Some(connection) = self.connections.get(&from) {
                        // One that cannot even take this is closed by the next message.
                        let pong = Arc::from(maskline_sip::stream::PONG);
                        let _ = connection.writes.try_send(pong);
                    }
                }
                News::Opened(hop, connection) => drop(self.connections.insert(hop, connection)),
                News::Closed(hop, id, failed) => {
                    if let Some(why) = failed {
                        self.note_trouble(hop, why);
                    }
                    if self
                        .connections
                        .get(&hop)
                        .is_some_and(|known| known.id == id)
                    {
                        self.connections.remove(&hop);
                        return ConnectionEvent::Unreachable(hop);
                    }
                }
            }
        }
    }
}

/// One listener.
struct StreamListener {
    listener: TcpListener,
    tls: Option<Tls>,
    known: watch::Receiver<Option<TrunkAddresses>>,
    unknown: UnknownSources,
    shared: Shared,
}

impl StreamListener {
    async fn accept(mut self) {
        // Whoever connects before the trunks are known waits in the kernel, or would be an unknown source.
        if self.known.wait_for(Option::is_some).await.is_err() {
            return;
        }
        let tallies = self.shared.tallies.clone();
        loop {
            let (plain, from) = tcp::accept(&self.listener, |error| {
                if let Some(unsaid) = tallies.accept_told.say() {
                    tracing::warn!(%error, unsaid, "a SIP connection was not accepted");
                }
            })
            .await;
            // Unknown sources cost nothing but this.
            let trunk = self
                .known
                .borrow()
                .as_ref()
                .and_then(|known| known.get(&from.ip()).cloned());
            let Some(trunk) = trunk else {
                tallies.unknown_sources.fetch_add(1, Ordering::Relaxed);
                let transport = match &self.tls {
                    Some(_) => Transport::Tls,
                    None => Transport::Tcp,
                };
                let wall = clocks::read().wall;
                (self.unknown).note(from.ip(), transport, "connection", wall);
                continue;
            };
            let Some(slot) = self.shared.shares.take(&trunk) else {
                tallies.over_share.fetch_add(1, Ordering::Relaxed);
                if let Some(unsaid) = tallies.share_told.say() {
                    tracing::warn!(%trunk, unsaid, "a SIP connection is refused: the trunk holds its share of them");
                }
                continue;
            };
            let shared = self.shared.clone();
            // Its certificate is the newest one.
            let (acceptor, transport) = match &self.tls {
                Some(tls) => (tls.acceptor(), Transport::Tls),
                None => (None, Transport::Tcp),
            };
            let hop = Hop::new(transport, from);
            tokio::spawn(async move {
                let opening = async {
                    plain.set_nodelay(true)?;
                    stream::Stream::accept(plain, acceptor.as_ref()).await
                };
                match tokio::time::timeout(OPENING_MAX, opening).await {
                    Ok(Ok(stream)) => greet(stream, hop, &shared).await,
                    Ok(Err(error)) => tell_tls(&shared, &trunk, &error),
                    Err(late) => tell_tls(&shared, &trunk, &late),
                }
                drop(slot);
            });
        }
    }
}

/// TLS with a peer failed or took too long.
fn tell_tls(shared: &Shared, trunk: &str, error: &dyn std::fmt::Display) {
    shared.tallies.tls.fetch_add(1, Ordering::Relaxed);
    if let Some(unsaid) = shared.tallies.tls_told.say() {
        tracing::warn!(trunk, %error, unsaid, "TLS with a trunk failed that connected to us");
    }
}

/// Serves a connection that a peer has opened, from its first byte to its end.
async fn greet(stream: stream::Stream, hop: Hop, shared: &Shared) {
    let id = shared.next_id();
    let (connection, ends) = connection(id);
    if shared
        .news
        .send(News::Opened(hop, connection))
        .await
        .is_ok()
    {
        stream::serve(stream, hop, ends, shared).await;
        let _ = shared.news.send(News::Closed(hop, id, None)).await;
    }
}

#[cfg(test)]
mod tests;
