//! UDP ports for media: a bounded range, for each leg an even port for RTP and the odd one above it for its
//! RTCP (RFC 3550 section 11).

use parking_lot::Mutex;
use std::collections::BTreeSet;
use std::io;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::sync::Arc;

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

/// Two bound sockets, whose ports go back when they are dropped.
#[derive(Debug)]
pub struct MediaSockets {
    /// For RTP, at the even port.
    pub rtp: UdpSocket,
    /// For RTCP, at the port above it.
    pub rtcp: UdpSocket,
    loan: Loan,
}

/// A port that is noted as lent.
#[derive(Debug)]
struct Loan {
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

    /// Binds a free pair. None when the range is used up.
    pub fn lend(self: &Arc<Self>) -> Option<MediaSockets> {
        for _ in 0..TRIES_MAX {
            let port = self.book.lock().take(self.first, self.last)?;
            let loan = Loan {
                port,
                ports: Arc::clone(self),
            };
            match self
                .bind(port)
                .and_then(|rtp| Ok((rtp, self.bind(port + 1)?)))
            {
                Ok((rtp, rtcp)) => return Some(MediaSockets { rtp, rtcp, loan }),
                Err(error) => {
                    tracing::debug!(port, %error, "a media port cannot be bound; trying the next");
                }
            }
        }
        None
    }

    fn bind(&self, port: u16) -> io::Result<UdpSocket> {
        let socket = UdpSocket::bind(SocketAddr::new(self.bind, port))?;
        socket.set_nonblocking(true)?;
        Ok(socket)
    }

    /// Pairs that are lent.
    pub fn lent(&self) -> usize {
        self.book.lock().lent.len()
    }
}

impl Book {
    fn take(&mut self, first: u16, last: u16) -> Option<u16> {
        let pairs = (usize::from(last) + 1).saturating_sub(first.into()) / 2;
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

impl MediaSockets {
    /// The port for RTP.
    pub fn port(&self) -> u16 {
        self.loan.port
    }
}

impl Drop for Loan {
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

    #[test]
    fn a_dropped_pair_gives_its_port_back_and_a_taken_one_is_passed_over() {
        let ports = Ports::new(IpAddr::from([127, 0, 0, 1]), 47_310, 47_329);
        let sockets = ports.lend().expect("one of ten pairs is free");
        assert_eq!(ports.lent(), 1);
        let port = sockets.port();
        drop(sockets);
        assert_eq!(ports.lent(), 0);
        let other = UdpSocket::bind(("127.0.0.1", port + 3)).expect("a free port");
        let pairs: Vec<_> = std::iter::from_fn(|| ports.lend()).collect();
        assert!(pairs.iter().all(|pair| pair.port() != port + 2));
        assert!(pairs.len() <= 9 && ports.lent() == pairs.len());
        drop(other);
    }
}
