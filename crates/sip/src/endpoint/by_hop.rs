//! What goes over each hop, so that a connection that breaks costs what goes over it and not a look at all
//! calls there are: whoever opens and closes many connections slows nobody down.

use super::{Endpoint, LegId};
use crate::hop::Hop;
use std::collections::{BTreeMap, BTreeSet};

/// Ids of one kind, by hop. At most as many entries as there are things of that kind, or twice as many for legs.
pub(super) struct ByHop<Id>(BTreeMap<Hop, BTreeSet<Id>>);

impl<Id> Default for ByHop<Id> {
    fn default() -> Self {
        Self(BTreeMap::new())
    }
}

impl<Id: Copy + Ord> ByHop<Id> {
    pub fn insert(&mut self, hop: Hop, id: Id) {
        self.0.entry(hop).or_default().insert(id);
    }

    pub fn remove(&mut self, hop: Hop, id: Id) {
        if let Some(ids) = self.0.get_mut(&hop) {
            ids.remove(&id);
            if ids.is_empty() {
                self.0.remove(&hop);
            }
        }
    }

    /// Those that go over this hop, in their order.
    pub fn at(&self, hop: Hop) -> Vec<Id> {
        let ids = self.0.get(&hop).into_iter().flatten();
        ids.copied().collect()
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Endpoint {
    /// A leg may have moved to other hops: that is noted.
    pub(super) fn note_hops(&mut self, id: LegId) {
        let Some(leg) = self.legs.get_mut(&id) else {
            return;
        };
        let now = leg.hops();
        let before = std::mem::replace(&mut leg.noted, now);
        if before != now {
            for hop in before.into_iter().flatten() {
                self.legs_by_hop.remove(hop, id);
            }
            for hop in now.into_iter().flatten() {
                self.legs_by_hop.insert(hop, id);
            }
        }
    }

    /// Whether everything that goes over this hop is noted: a look at all there is.
    pub(super) fn knows_all_at(&self, hop: Hop) -> bool {
        let (clients, legs) = (self.clients_by_hop.at(hop), self.legs_by_hop.at(hop));
        let over = self.clients.iter().filter(|(_, client)| client.to == hop);
        let at = self.legs.iter().filter(|(_, leg)| leg.is_answered_at(hop));
        over.map(|(key, _)| *key).eq(clients)
            && at.map(|(id, _)| *id).eq(legs)
            && self.servers.knows_all_at(hop)
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Config, Input, Output, Peer, PeerId};
    use super::*;
    use crate::time::Time;
    use std::net::SocketAddr;

    const CONNECTIONS: usize = 1_000;
    const CALLS_EACH: usize = 10;

    fn connection(which: usize) -> Hop {
        let port = u16::try_from(20_000 + which).expect("a port");
        Hop::tcp(SocketAddr::from(([127, 0, 0, 1], port)))
    }

    fn invite(which: usize, call: usize) -> String {
        format!(
            "INVITE sip:17000000001@127.0.0.1 SIP/2.0\r\n\
             Via: SIP/2.0/TCP 127.0.0.1:5070;branch=z9hG4bK{which}x{call}\r\n\
             Max-Forwards: 70\r\nFrom: <sip:a@127.0.0.1>;tag=a\r\nTo: <sip:x@127.0.0.1>\r\n\
             Call-ID: {which}x{call}\r\nCSeq: 1 INVITE\r\nContact: <sip:a@127.0.0.1:5070>\r\n\
             Content-Length: 0\r\n\r\n"
        )
    }

    #[test]
    fn closing_many_connections_looks_once_at_every_call() {
        let us = SocketAddr::from(([127, 0, 0, 1], 5060));
        let mut config = Config::new(us);
        config.legs_max = 2 * CONNECTIONS * CALLS_EACH;
        config.transactions_max = 2 * CONNECTIONS * CALLS_EACH;
        let peer = Peer::new(
            PeerId(1),
            Hop::tcp(SocketAddr::from(([127, 0, 0, 1], 5070))),
        );
        let mut endpoint = Endpoint::new(config, vec![peer], [7; 32]);
        let now = Time::from_millis(0);
        for which in 0..CONNECTIONS {
            for call in 0..CALLS_EACH {
                let bytes = invite(which, call);
                let input = Input::Datagram {
                    from: connection(which),
                    bytes: bytes.as_bytes(),
                };
                endpoint.handle_input(input, now);
                while endpoint.poll_output().is_some() {}
            }
        }
        assert_eq!(endpoint.legs(), CONNECTIONS * CALLS_EACH);

        let mut looked_at = 0;
        for which in 0..CONNECTIONS {
            let hop = connection(which);
            let legs = endpoint.legs_by_hop.at(hop).len();
            looked_at +=
                legs + endpoint.servers.at(hop).len() + endpoint.clients_by_hop.at(hop).len();
            endpoint.handle_input(Input::Unreachable(hop), now);
            while let Some(output) = endpoint.poll_output() {
                assert!(!matches!(output, Output::Event(_)), "they may come back");
            }
        }
        let there = endpoint.legs() + endpoint.transactions();
        assert_eq!(there, 2 * CONNECTIONS * CALLS_EACH);
        assert_eq!(looked_at, there);
    }
}
