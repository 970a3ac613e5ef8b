//! Where SIP comes from that belongs to no trunk: what operators look at when calls do not come.

use crate::telemetry::LogLimit;
use maskline_domain::Timestamp;
use maskline_sip::hop::Transport;
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

/// The most addresses that are remembered; the one that was silent longest gives way.
const SOURCES_MAX: usize = 256;

/// An address from which SIP came although no trunk has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownSource {
    /// By what.
    pub transport: Transport,
    /// How often.
    pub count: u64,
    /// When for the first time.
    pub first_at: Timestamp,
    /// When last.
    pub last_at: Timestamp,
    /// What was asked last: a method, or `connection`. Nothing else that came from there is kept.
    pub asked: &'static str,
}

#[derive(Default)]
struct Table {
    known: BTreeMap<IpAddr, UnknownSource>,
    /// How many came since the last line of the log.
    fresh: LogLimit,
    last: Option<(IpAddr, &'static str)>,
}

/// Those of late. Cheap to clone; all clones hold the same.
#[derive(Clone, Default)]
pub struct UnknownSources(Arc<Mutex<Table>>);

impl UnknownSources {
    /// A request came from there, or a connection.
    pub fn note(&self, from: IpAddr, transport: Transport, asked: &'static str, now: Timestamp) {
        let from = from.to_canonical();
        let mut table = self.0.lock();
        table.fresh.count(1);
        table.last = Some((from, asked));
        if let Some(source) = table.known.get_mut(&from) {
            source.count = source.count.saturating_add(1);
            source.last_at = now;
            (source.transport, source.asked) = (transport, asked);
            return;
        }
        if table.known.len() >= SOURCES_MAX {
            let oldest = table.known.iter().min_by_key(|(_, known)| known.last_at);
            if let Some(oldest) = oldest.map(|(address, _)| *address) {
                table.known.remove(&oldest);
            }
        }
        let source = UnknownSource {
            transport,
            count: 1,
            first_at: now,
            last_at: now,
            asked,
        };
        table.known.insert(from, source);
    }

    /// All that are remembered, the latest first.
    pub fn list(&self) -> Vec<(IpAddr, UnknownSource)> {
        let table = self.0.lock();
        let known = table.known.iter();
        let mut list: Vec<_> = known.map(|(from, known)| (*from, known.clone())).collect();
        list.sort_by_key(|(_, known)| std::cmp::Reverse(known.last_at));
        list
    }

    /// What is to be logged now: how many requests came since the last line, from where the last of them, and
    /// what it asked. At most once a minute.
    pub fn to_log(&self, now: Timestamp) -> Option<(u64, IpAddr, &'static str)> {
        let mut table = self.0.lock();
        let (from, asked) = table.last?;
        let now = Duration::from_millis(u64::try_from(now.millis()).unwrap_or_default());
        let count = table.fresh.take(now)?;
        Some((count, from, asked))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_sources_are_counted_by_address_and_bounded() {
        let sources = UnknownSources::default();
        let note = |address: &str, at| {
            let from = address.parse().expect("an address");
            sources.note(from, Transport::Udp, "OPTIONS", Timestamp(at));
        };
        note("192.0.2.1", 1);
        note("::ffff:192.0.2.1", 5);
        let list = sources.list();
        assert_eq!(list.len(), 1);
        let (from, source) = &list[0];
        assert_eq!(from.to_string(), "192.0.2.1");
        assert_eq!(
            (source.count, source.first_at, source.last_at),
            (2, Timestamp(1), Timestamp(5))
        );
        for n in 0..10_000_u32 {
            note(
                &std::net::Ipv4Addr::from(0x0a00_0000 + n).to_string(),
                i64::from(n) + 10,
            );
        }
        let list = sources.list();
        assert_eq!(list.len(), SOURCES_MAX);
        assert_eq!(list[0].0.to_string(), "10.0.39.15", "the last one");
    }

    #[test]
    fn unknown_sources_are_logged_once_a_minute() {
        let sources = UnknownSources::default();
        let from: IpAddr = [192, 0, 2, 1].into();
        assert_eq!(sources.to_log(Timestamp(0)), None);
        let note = |at| sources.note(from, Transport::Udp, "INVITE", Timestamp(at));
        note(1);
        assert_eq!(sources.to_log(Timestamp(2)), Some((1, from, "INVITE")));
        note(3);
        note(4);
        assert_eq!(sources.to_log(Timestamp(60_001)), None);
        assert_eq!(sources.to_log(Timestamp(60_002)), Some((2, from, "INVITE")));
        assert_eq!(sources.to_log(Timestamp(200_000)), None);
    }
}
