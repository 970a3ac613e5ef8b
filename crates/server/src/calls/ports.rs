//! UDP ports for media: a bounded range, an even port for each leg (RTP), the odd one above it kept free
//! for its RTCP (RFC 3550 section 11).

use parking_lot::Mutex;
use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use tokio::net::UdpSocket;

/// How many ports are tried before a call is turned away; others on the machine may hold some.
const TRIES_MAX: usize = 64;

/// The range, and which of its ports are lent.
#[derive(Debug)]
pub struct Ports {
    bind: IpAddr,
    first: u16,
    last: u16,
    book: Mutex<Book>,
}

#[derive(Debug)]
struct Book {
    /// Where to look next: a port just given back rests as long as possible, since late packets of its
    /// last call may still come.
    next: u16,
    lent: BTreeSet<u16>,
}

/// A bound socket, whose port goes back when it is dropped.
#[derive(Debug)]
pub struct MediaSocket {
    /// The socket.
    pub socket: UdpSocket,
    port: u16,
    ports: Arc<Ports>,
}

impl Ports {
    /// The range `first` to `last`, both included, `first` even.
    pub fn new(bind: IpAddr, first: u16, last: u16) -> Arc<Self> {
        Arc::new(Self {
            bind,
            first,
            last,
            book: Mutex::new(Book {
                next: first,
                lent: BTreeSet::new(),
            }),
        })
    }

    /// Binds a free port. None when the range is used up.
    pub fn lend(self: &Arc<Self>) -> Option<MediaSocket> {
        for _ in 0..TRIES_MAX {
            let port = self.book.lock().take(self.first, self.last)?;
            match std::net::UdpSocket::bind(SocketAddr::new(self.bind, port)).and_then(into_tokio) {
                Ok(socket) => {
                    return Some(MediaSocket {
                        socket,
                        port,
                        ports: Arc::clone(self),
                    });
                }
                Err(error) => {
                    tracing::debug!(port, %error, "a media port cannot be bound; trying the next");
                    self.book.lock().lent.remove(&port);
                }
            }
        }
        None
    }

    /// Ports that are lent.
    pub fn lent(&self) -> usize {
        self.book.lock().lent.len()
    }
}

fn into_tokio(socket: std::net::UdpSocket) -> std::io::Result<UdpSocket> {
    socket.set_nonblocking(true)?;
    UdpSocket::from_std(socket)
}

impl Book {
    fn take(&mut self, first: u16, last: u16) -> Option<u16> {
        let pairs = (usize::from(last) + 1 - usize::from(first)) / 2;
        if self.lent.len() >= pairs {
            return None;
        }
        for _ in 0..pairs {
            let port = self.next;
            self.next = if last - port < 3 { first } else { port + 2 };
            if self.lent.insert(port) {
                return Some(port);
            }
        }
        None
    }
}

impl MediaSocket {
    /// The port.
    pub fn port(&self) -> u16 {
        self.port
    }
}

impl Drop for MediaSocket {
    fn drop(&mut self) {
        self.ports.book.lock().lent.remove(&self.port);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_are_even_in_turn_and_run_out() {
        let mut book = Book {
            next: 20_000,
            lent: BTreeSet::new(),
        };
        let taken: Vec<_> = (0..3).map(|_| book.take(20_000, 20_005)).collect();
        assert_eq!(taken, [Some(20_000), Some(20_002), Some(20_004)]);
        assert_eq!(book.take(20_000, 20_005), None);
        book.lent.remove(&20_002);
        assert_eq!(book.take(20_000, 20_005), Some(20_002));
        let mut book = Book {
            next: 65_534,
            lent: BTreeSet::new(),
        };
        assert_eq!(
            (book.take(65_534, 65_535), book.take(65_534, 65_535)),
            (Some(65_534), None)
        );
    }

    #[tokio::test]
    async fn a_dropped_socket_gives_its_port_back() {
        let ports = Ports::new(IpAddr::from([127, 0, 0, 1]), 47_310, 47_329);
        let socket = ports.lend().expect("one of ten ports is free");
        assert_eq!(ports.lent(), 1);
        drop(socket);
        assert_eq!(ports.lent(), 0);
    }
}
