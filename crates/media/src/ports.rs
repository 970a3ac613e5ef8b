//! UDP ports for media: a bounded range, for each leg an even port for RTP and the odd one above it for its
//! RTCP (RFC 3550 section 11).
//!
//! Opening and closing sockets costs more than all the signalling in between, so those of a call that is
//! over rest for a while and are lent again, but only if nobody sent to them meanwhile: a phone that has
//! not heard of the end would be taken for one of the next call.

use parking_lot::Mutex;
use std::collections::{BTreeSet, VecDeque};
use std::io;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

/// How many ports are tried before a call is turned away; others on the machine may hold some.
const TRIES_MAX: usize = 64;
/// Pairs that rest at most; further ones are closed.
const RESTING_MAX: usize = 1_024;
/// How long a pair rests at least, and nothing comes, before it is lent again.
const REST_MIN: Duration = Duration::from_millis(250);
/// After so long, nobody seems to need it.
const REST_MAX: Duration = Duration::from_secs(2);
/// Pairs that are looked at for one call; then a free one is opened.
const LOOKS_MAX: usize = 4;
/// Late packets of a pair's last call that are thrown away; with so many it is closed.
const LATE_MAX: usize = 64;

/// The range, and which of its ports are lent or rest.
#[derive(Debug)]
pub struct Ports {
    bind: IpAddr,
    first: u16,
    last: u16,
    table: Mutex<PortTable>,
    resting: Mutex<VecDeque<(Instant, MediaSockets)>>,
}

#[derive(Debug)]
struct PortTable {
    /// Where to look next: a port just closed is opened again as late as possible, since late packets of
    /// its last call may still come.
    next: u16,
    held: BTreeSet<u16>,
}

/// Two bound sockets, whose ports go back when they are dropped.
#[derive(Debug)]
pub struct MediaSockets {
    /// For RTP, at the even port.
    pub rtp: UdpSocket,
    /// For RTCP, at the port above it.
    pub rtcp: UdpSocket,
    lease: PortLease,
}

/// A port that is noted as held.
#[derive(Debug)]
struct PortLease {
    port: u16,
    ports: Weak<Ports>,
}

impl Ports {
    /// The range `first` to `last`, both included, `first` even. The first port lent is one by chance: so
    /// that nobody guesses where the next call will be, and services that share a range, as in tests, do not
    /// all begin with the same ports.
    pub fn new(bind: IpAddr, first: u16, last: u16) -> Arc<Self> {
        let pairs = u32::from((last - first).div_ceil(2)).max(1);
        let chance = getrandom::u32().unwrap_or(0) % pairs;
        let begin = u16::try_from(chance).unwrap_or(0);
        Arc::new(Self {
            bind,
            first,
            last,
            table: Mutex::new(PortTable {
                next: first + 2 * begin,
                held: BTreeSet::new(),
            }),
            resting: Mutex::default(),
        })
    }

    /// A pair that has rested, or a free one. None when the range is used up.
    pub fn lend(self: &Arc<Self>) -> Option<MediaSockets> {
        self.wake(REST_MIN)
            .or_else(|| self.open())
            .or_else(|| self.wake(Duration::ZERO))
    }

    /// The pair that has rested longest, if that is so long and nothing came meanwhile. One that has not
    /// rested at all may be any.
    fn wake(&self, at_least: Duration) -> Option<MediaSockets> {
        for _ in 0..LOOKS_MAX {
            let has_rested = |(since, _): &mut (Instant, MediaSockets)| since.elapsed() >= at_least;
            let (_, sockets) = self.resting.lock().pop_front_if(has_rested)?;
            let late = empty(&sockets.rtp).max(empty(&sockets.rtcp));
            if late == 0 || (at_least.is_zero() && late < LATE_MAX) {
                return Some(sockets);
            }
            if late < LATE_MAX {
                sockets.give_back();
            }
        }
        None
    }

    fn open(self: &Arc<Self>) -> Option<MediaSockets> {
        for _ in 0..TRIES_MAX {
            let port = self.table.lock().take(self.first, self.last)?;
            let lease = PortLease {
                port,
                ports: Arc::downgrade(self),
            };
            match self
                .bind(port)
                .and_then(|rtp| Ok((rtp, self.bind(port + 1)?)))
            {
                Ok((rtp, rtcp)) => return Some(MediaSockets { rtp, rtcp, lease }),
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

    /// Closes pairs that nobody needed for a while. To be called now and then.
    pub fn tidy(&self) {
        let has_rested = |(since, _): &mut (Instant, MediaSockets)| since.elapsed() >= REST_MAX;
        // One by one, since what is dropped looks into the table.
        while self.resting.lock().pop_front_if(has_rested).is_some() {}
    }

    /// Pairs that are lent.
    pub fn lent(&self) -> usize {
        let resting = self.resting.lock().len();
        self.table.lock().held.len().saturating_sub(resting)
    }
}

/// Throws away what came late, and says how many packets that were, up to the bound.
fn empty(socket: &UdpSocket) -> usize {
    let late = (0..LATE_MAX).take_while(|_| socket.recv(&mut [0]).is_ok());
    late.count()
}

impl PortTable {
    fn take(&mut self, first: u16, last: u16) -> Option<u16> {
        let pairs = (usize::from(last) + 1).saturating_sub(first.into()) / 2;
        if self.held.len() >= pairs {
            return None;
        }
        for _ in 0..pairs {
            let port = self.next;
            self.next = if last - port < 3 { first } else { port + 2 };
            if self.held.insert(port) {
                return Some(port);
            }
        }
        None
    }
}

impl MediaSockets {
    /// The port for RTP.
    pub fn port(&self) -> u16 {
        self.lease.port
    }

    /// Gives the pair back, to rest or to be closed. Nobody waits for its sockets any more.
    pub fn give_back(self) {
        let Some(ports) = self.lease.ports.upgrade() else {
            return;
        };
        let mut resting = ports.resting.lock();
        if resting.len() < RESTING_MAX {
            resting.push_back((Instant::now(), self));
        }
    }
}

impl Drop for PortLease {
    fn drop(&mut self) {
        if let Some(ports) = self.ports.upgrade() {
            ports.table.lock().held.remove(&self.port);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

    #[test]
    fn ports_are_even_in_turn_and_run_out() {
        let mut table = PortTable {
            next: 20_000,
            held: BTreeSet::new(),
        };
        let taken: Vec<_> = (0..3).map(|_| table.take(20_000, 20_005)).collect();
        assert_eq!(taken, [Some(20_000), Some(20_002), Some(20_004)]);
        assert_eq!(table.take(20_000, 20_005), None);
        table.held.remove(&20_002);
        assert_eq!(table.take(20_000, 20_005), Some(20_002));
        let mut table = PortTable {
            next: 65_534,
            held: BTreeSet::new(),
        };
        assert_eq!(
            (table.take(65_534, 65_535), table.take(65_534, 65_535)),
            (Some(65_534), None)
        );
    }

    #[test]
    fn a_dropped_pair_gives_its_port_back_and_a_taken_one_is_passed_over() {
        let ports = Ports::new(HERE, 47_310, 47_329);
        let sockets = ports.lend().expect("one of ten pairs is free");
        assert_eq!(ports.lent(), 1);
        let port = sockets.port();
        drop(sockets);
        assert_eq!(ports.lent(), 0);
        let next = if port == 47_328 { 47_310 } else { port + 2 };
        let other = UdpSocket::bind((HERE, next + 1)).expect("a free port");
        let pairs: Vec<_> = std::iter::from_fn(|| ports.lend()).collect();
        assert!(pairs.iter().all(|pair| pair.port() != next));
        assert!(pairs.len() <= 9 && ports.lent() == pairs.len());
        drop(other);
    }

    #[test]
    fn a_pair_that_was_given_back_is_lent_again_without_what_came_late() {
        let ports = Ports::new(HERE, 47_330, 47_333);
        let [first, second] = [(); 2].map(|()| ports.lend().expect("one of two pairs is free"));
        let port = first.port();
        assert!(ports.lend().is_none());
        let late = UdpSocket::bind((HERE, 0)).expect("a free port");
        for _ in 0..3 {
            late.send_to(b"late", (HERE, port)).expect("sent");
        }
        first.give_back();
        assert_eq!(ports.lent(), 1);
        let again = ports.lend().expect("the last resort, rested or not");
        assert_eq!(again.port(), port);
        assert!(again.rtp.recv(&mut [0]).is_err(), "it is empty");
        assert_eq!(ports.lent(), 2);
        drop((second, again));
        assert_eq!(ports.lent(), 0);
    }

    #[test]
    fn a_pair_that_somebody_still_sends_to_is_not_lent() {
        let ports = Ports::new(HERE, 47_334, 47_337);
        let [loud, silent] = [(); 2].map(|()| ports.lend().expect("one of two pairs is free"));
        let sender = UdpSocket::bind((HERE, 0)).expect("a free port");
        sender.send_to(b"late", (HERE, loud.port())).expect("sent");
        let port = silent.port();
        loud.give_back();
        silent.give_back();
        let rested = Duration::from_nanos(1);
        let woken = ports.wake(rested).expect("one was silent");
        assert_eq!(woken.port(), port);
        assert_eq!(ports.lent(), 1);
        assert!(ports.wake(rested).is_some(), "the other was silent since");
    }

    #[test]
    fn a_pair_that_is_never_silent_is_closed() {
        let ports = Ports::new(HERE, 47_338, 47_339);
        let pair = ports.lend().expect("the only pair is free");
        let loud = UdpSocket::bind((HERE, 0)).expect("a free port");
        for _ in 0..LATE_MAX {
            loud.send_to(b"x", (HERE, pair.port())).expect("sent");
        }
        pair.give_back();
        assert!(ports.wake(Duration::ZERO).is_none());
        assert_eq!(ports.table.lock().held.len(), 0, "its port is free");
    }
}
