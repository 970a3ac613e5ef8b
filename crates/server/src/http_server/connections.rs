//! Who holds the connections of a listener: a bound in all, and one for each source.
//!
//! A connection is *idle* while no request is being answered on it: before its first request, between
//! two, and while the head of one arrives. At a bound the connection that has been idle longest makes
//! room for the new one: of the same source at the source's bound, of all at the other. So a client that
//! opens connections and says nothing can take neither the listener nor its own address away from others.
//! Only when every connection is busy a new one is refused.
//!
//! A source is an IPv4 address, or the first 64 bits of an IPv6 address, which is what one customer of a
//! network is given at least (RFC 6177). Connections of trusted proxies have none until the proxy has
//! named the client.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;
use tokio::sync::Notify;

/// How long [`Connections::recent_refusals`] speaks of a connection that was refused or closed.
const RECENT: Duration = Duration::from_secs(60);

/// How many connections there may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// In all; at least 1.
    pub total_max: usize,
    /// Of one source; at least 1.
    pub per_source_max: usize,
}

/// Where connections come from.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Source(IpAddr);

impl From<IpAddr> for Source {
    fn from(address: IpAddr) -> Self {
        Self(match address.to_canonical() {
            IpAddr::V4(address) => IpAddr::V4(address),
            IpAddr::V6(address) => {
                let network = u128::from(address) & !u128::from(u64::MAX);
                IpAddr::V6(Ipv6Addr::from(network))
            }
        })
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            IpAddr::V4(address) => address.fmt(f),
            IpAddr::V6(network) => write!(f, "{network}/64"),
        }
    }
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The connections of one listener, and its bounds.
pub struct Connections {
    bounds: Bounds,
    table: Mutex<Table>,
    open: Gauge,
    closed_idle: Counter,
    refused: Counter,
}

#[derive(Default)]
struct Table {
    next: u64,
    entries: HashMap<u64, Entry>,
    /// The idle ones, those that became idle first in front.
    idle: BTreeMap<u64, u64>,
    by_source: HashMap<Source, OfSource>,
    trouble: Option<Trouble>,
}

struct Entry {
    source: Option<Source>,
    /// Its place among the idle ones.
    idle: Option<u64>,
    close: Arc<Notify>,
}

#[derive(Default)]
struct OfSource {
    count: usize,
    /// Places of its idle ones.
    idle: BTreeSet<u64>,
}

/// What was done at a bound, for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trouble {
    /// The source of the connection that was last closed or refused.
    pub source: Option<Source>,
    /// How many were closed or refused since somebody last asked.
    pub count: u64,
    at: Instant,
}

impl Connections {
    /// No connections yet.
    pub fn new(bounds: Bounds) -> Arc<Self> {
        Arc::new(Self {
            bounds,
            table: Mutex::default(),
            open: Gauge::default(),
            closed_idle: Counter::default(),
            refused: Counter::default(),
        })
    }

    /// Registers what is counted, under names that begin with `name`.
    pub fn register(&self, name: &str, registry: &mut Registry) {
        registry.register(
            format!("{name}_connections"),
            "Connections that are open",
            self.open.clone(),
        );
        registry.register(
            format!("{name}_connections_closed_idle"),
            "Idle connections closed at a bound, to make room for others",
            self.closed_idle.clone(),
        );
        registry.register(
            format!("{name}_connections_refused"),
            "Connections refused at a bound since all were busy",
            self.refused.clone(),
        );
    }

    /// Takes a connection in. None refuses it.
    pub fn admit(self: &Arc<Self>, source: Option<Source>) -> Option<Connection> {
        let mut table = self.table.lock();
        if table.entries.len() >= self.bounds.total_max {
            let longest_idle = table.idle.first_key_value().map(|(&place, _)| place);
            self.make_room(&mut table, longest_idle, source)?;
        }
        let id = table.next();
        let place = table.next();
        let close = Arc::new(Notify::new());
        let entry = Entry {
            source: None,
            idle: Some(place),
            close: close.clone(),
        };
        table.entries.insert(id, entry);
        table.idle.insert(place, id);
        self.open.set(table.entries.len() as i64);
        drop(table);
        let connection = Connection {
            all: self.clone(),
            id,
            close,
        };
        match source {
            Some(source) => connection.identify(source).then_some(connection),
            None => Some(connection),
        }
    }

    /// Counts a request of a client whose connection is a proxy's, while it is answered, as if it were a
    /// busy connection of its own. None refuses it: the client has as many as it may.
    pub fn share(self: &Arc<Self>, client: Source) -> Option<Share> {
        let mut table = self.table.lock();
        let of_source = table.by_source.entry(client).or_default();
        if of_source.count < self.bounds.per_source_max {
            of_source.count += 1;
            drop(table);
            return Some(Share {
                all: self.clone(),
                client,
            });
        }
        self.refused.inc();
        table.tell(Some(client));
        None
    }

    /// What was closed or refused since this was last asked, if that is no longer than a minute ago.
    pub fn recent_refusals(&self) -> Option<Trouble> {
        let mut table = self.table.lock();
        let trouble = table.trouble.as_mut()?;
        if trouble.at.elapsed() > RECENT {
            table.trouble = None;
            return None;
        }
        let told = trouble.clone();
        trouble.count = 0;
        Some(told)
    }

    /// The bounds.
    pub fn bounds(&self) -> Bounds {
        self.bounds
    }

    /// Closes the idle connection at a place. None where there is no such one, which refuses the new one,
    /// of `asking`.
    fn make_room(
        &self,
        table: &mut Table,
        place: Option<u64>,
        asking: Option<Source>,
    ) -> Option<()> {
        let id = place.and_then(|place| table.idle.get(&place).copied());
        let Some(closed) = id.and_then(|id| table.remove(id)) else {
            self.refused.inc();
            table.tell(asking);
            return None;
        };
        self.open.set(table.entries.len() as i64);
        closed.close.notify_one();
        self.closed_idle.inc();
        table.tell(closed.source);
        Some(())
    }
}

impl Table {
    fn next(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    fn remove(&mut self, id: u64) -> Option<Entry> {
        let entry = self.entries.remove(&id)?;
        if let Some(place) = entry.idle {
            self.idle.remove(&place);
        }
        if let Some(source) = entry.source {
            self.leave(source, entry.idle);
        }
        Some(entry)
    }

    /// One fewer of a source; `idle` is its place, if it was idle.
    fn leave(&mut self, source: Source, idle: Option<u64>) {
        if let Some(of_source) = self.by_source.get_mut(&source) {
            of_source.count -= 1;
            if let Some(place) = idle {
                of_source.idle.remove(&place);
            }
            if of_source.count == 0 {
                self.by_source.remove(&source);
            }
        }
    }

    fn set_idle(&mut self, id: u64, is_idle: bool) -> Option<()> {
        let place = self.next();
        let entry = self.entries.get_mut(&id)?;
        let before = std::mem::replace(&mut entry.idle, is_idle.then_some(place));
        let source = entry.source;
        if let Some(before) = before {
            self.idle.remove(&before);
        }
        if is_idle {
            self.idle.insert(place, id);
        }
        if let Some(of_source) = source.and_then(|source| self.by_source.get_mut(&source)) {
            if let Some(before) = before {
                of_source.idle.remove(&before);
            }
            if is_idle {
                of_source.idle.insert(place);
            }
        }
        Some(())
    }

    fn tell(&mut self, source: Option<Source>) {
        let before = self.trouble.as_ref().map_or(0, |trouble| trouble.count);
        self.trouble = Some(Trouble {
            source,
            count: before + 1,
            at: Instant::now(),
        });
    }
}

/// One connection that was taken in; dropping it makes its place free.
pub struct Connection {
    all: Arc<Connections>,
    id: u64,
    close: Arc<Notify>,
}

impl Connection {
    /// Says where the connection comes from. False refuses it: its source has as many as it may, all of
    /// them busy.
    pub fn identify(&self, source: Source) -> bool {
        let mut table = self.all.table.lock();
        let of_source = table.by_source.get(&source);
        if of_source.is_some_and(|found| found.count >= self.all.bounds.per_source_max) {
            let longest_idle = of_source.and_then(|found| found.idle.first().copied());
            let room = self.all.make_room(&mut table, longest_idle, Some(source));
            if room.is_none() {
                return false;
            }
        }
        let Some(entry) = table.entries.get_mut(&self.id) else {
            return false;
        };
        if entry.source.is_some() {
            return true;
        }
        entry.source = Some(source);
        let place = entry.idle;
        let of_source = table.by_source.entry(source).or_default();
        of_source.count += 1;
        of_source.idle.extend(place);
        true
    }

    /// Marks it busy until the mark is dropped. None: it was closed to make room for another, and what was
    /// asked on it is not to be done.
    pub fn busy(&self) -> Option<Busy> {
        self.all.table.lock().set_idle(self.id, false)?;
        Some(Busy {
            all: self.all.clone(),
            id: self.id,
        })
    }

    /// Resolves when it must be closed to make room for another.
    pub fn closed(&self) -> impl Future<Output = ()> + use<> {
        let close = self.close.clone();
        async move { close.notified().await }
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        let mut table = self.all.table.lock();
        table.remove(self.id);
        self.all.open.set(table.entries.len() as i64);
    }
}

/// A request is being answered.
pub struct Busy {
    all: Arc<Connections>,
    id: u64,
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.all.table.lock().set_idle(self.id, true);
    }
}

/// A request that came through a proxy is being answered; see [`Connections::share`].
pub struct Share {
    all: Arc<Connections>,
    client: Source,
}

impl Drop for Share {
    fn drop(&mut self) {
        self.all.table.lock().leave(self.client, None);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn connections(total_max: usize, per_source_max: usize) -> Arc<Connections> {
        Connections::new(Bounds {
            total_max,
            per_source_max,
        })
    }

    fn source(text: &str) -> Option<Source> {
        Some(text.parse::<IpAddr>().expect("an address").into())
    }

    async fn is_closed(connection: &Connection) -> bool {
        let closed = connection.closed();
        tokio::time::timeout(Duration::ZERO, closed).await.is_ok()
    }

    #[test]
    fn a_source_is_an_address_or_the_network_of_one_customer() {
        let rows = [
            ("192.0.2.1", "192.0.2.1"),
            ("::ffff:192.0.2.1", "192.0.2.1"),
            ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
            ("2001:db8:1:2::1", "2001:db8:1:2::/64"),
            ("::1", "::/64"),
        ];
        for (address, shown) in rows {
            assert_eq!(source(address).unwrap().to_string(), shown);
        }
    }

    #[tokio::test]
    async fn the_longest_idle_of_a_source_makes_room_for_its_next() {
        let all = connections(10, 2);
        let first = all.admit(source("192.0.2.1")).unwrap();
        let other = all.admit(source("192.0.2.2")).unwrap();
        let second = all.admit(source("192.0.2.1")).unwrap();
        let third = all.admit(source("192.0.2.1")).unwrap();
        assert!(is_closed(&first).await);
        assert!(first.busy().is_none(), "nothing is done on it any more");
        for connection in [&other, &second, &third] {
            assert!(!is_closed(connection).await);
        }
        assert_eq!(all.open.get(), 3);
        assert_eq!(all.closed_idle.get(), 1);
        let told = all.recent_refusals().unwrap();
        assert_eq!((told.source, told.count), (source("192.0.2.1"), 1));
        assert_eq!(all.recent_refusals().unwrap().count, 0);
    }

    #[tokio::test]
    async fn a_busy_connection_is_not_closed_and_a_source_of_busy_ones_is_refused() {
        let all = connections(10, 2);
        let busy: Vec<_> = (0..2)
            .map(|_| all.admit(source("192.0.2.1")).unwrap())
            .collect();
        let mut marks: Vec<_> = busy.iter().map(Connection::busy).collect();
        assert!(all.admit(source("192.0.2.1")).is_none());
        assert!(all.admit(source("192.0.2.2")).is_some(), "others may come");
        assert_eq!(all.refused.get(), 1);
        // The second one has been idle from now on, the first is still busy.
        marks.pop();
        let next = all.admit(source("192.0.2.1"));
        assert!(next.is_some());
        assert!(!is_closed(&busy[0]).await && is_closed(&busy[1]).await);
    }

    #[tokio::test]
    async fn at_the_bound_in_all_the_longest_idle_of_anyone_makes_room() {
        let all = connections(3, 3);
        let first = all.admit(source("192.0.2.1")).unwrap();
        let second = all.admit(source("192.0.2.2")).unwrap();
        let third = all.admit(None).unwrap();
        drop(first.busy());
        // The first was idle again only just now, so the second is older.
        let fourth = all.admit(source("192.0.2.4")).unwrap();
        assert!(is_closed(&second).await);
        let marks = [first.busy(), third.busy(), fourth.busy()];
        assert!(marks.iter().all(Option::is_some));
        assert!(all.admit(source("192.0.2.5")).is_none());
        drop(first);
        assert!(all.admit(source("192.0.2.5")).is_some());
    }

    #[test]
    fn requests_behind_a_proxy_are_counted_by_client_while_they_are_answered() {
        let all = connections(10, 2);
        let client = source("198.51.100.7").unwrap();
        let shares: Vec<_> = (0..3).map(|_| all.share(client)).collect();
        let granted: Vec<_> = shares.iter().map(Option::is_some).collect();
        assert_eq!(granted, [true, true, false]);
        assert!(all.share(source("198.51.100.8").unwrap()).is_some());
        assert_eq!(all.refused.get(), 1);
        drop(shares);
        assert!(all.share(client).is_some());
        assert!(all.table.lock().by_source.is_empty());
    }

    #[test]
    fn a_proxied_connection_is_counted_by_the_client_that_the_proxy_names() {
        let all = connections(10, 1);
        let proxied: Vec<_> = (0..3).map(|_| all.admit(None).unwrap()).collect();
        let client = source("198.51.100.7").unwrap();
        assert!(proxied[0].identify(client));
        let mark = proxied[0].busy();
        assert!(!proxied[1].identify(client));
        assert!(proxied[2].identify(source("198.51.100.8").unwrap()));
        drop(mark);
        drop(proxied);
        assert!(all.table.lock().by_source.is_empty());
        assert!(all.table.lock().idle.is_empty());
        assert_eq!(all.open.get(), 0);
    }
}
