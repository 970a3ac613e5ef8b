//! Who is at an address, and who we are for whoever is there.

use super::{ClientKey, Endpoint, Peer, PeerId};
use crate::hop::{Hop, Transport};
use crate::uri::host_text;
use std::net::SocketAddr;

/// Where a message goes.
#[derive(Clone, Copy)]
pub(super) struct Way {
    /// The next hop.
    pub to: Hop,
    /// Where the peer is that the message is for: the hop of its leg. Their Contact may lead elsewhere, to an
    /// address that is no peer's, and what the peer is to be told of us holds there too.
    pub peer: Hop,
}

impl From<Hop> for Way {
    /// Straight to the peer.
    fn from(hop: Hop) -> Self {
        Self { to: hop, peer: hop }
    }
}

impl Endpoint {
    /// Who it is that a request came from. A peer may use a transport that is harder to forge than the one
    /// it is known by, never one that is easier.
    pub(super) fn peer_at(&self, source: Hop) -> Option<PeerId> {
        let is_there = |peer: &&Peer| {
            peer.is_at(source.address.ip()) && source.transport >= peer.hop.transport
        };
        let mut peers = self.peers.iter();
        let exact = peers.find(|peer| peer.hops().any(|hop| hop == source));
        exact
            .or_else(|| {
                let same = |peer: &&Peer| peer.hop.transport == source.transport;
                self.peers.iter().filter(is_there).find(same)
            })
            .or_else(|| self.peers.iter().find(is_there))
            .map(|peer| peer.id)
    }

    /// Whether who is there is behind NAT.
    pub(super) fn is_nat(&self, source: Hop) -> bool {
        // Most have no such peer.
        let mut behind = self.peers.iter().filter(|peer| peer.nat);
        behind.any(|peer| peer.is_at(source.address.ip()))
    }

    /// What whoever is at the end of a way is told of us.
    fn advertised_on(&self, way: Way) -> SocketAddr {
        let id = self.peer_at(way.peer);
        let peer = self.peers.iter().find(|peer| Some(peer.id) == id);
        peer.filter(|peer| peer.hop.transport == way.to.transport)
            .and_then(|peer| peer.advertised)
            .unwrap_or_else(|| self.config.advertised_by(way.to.transport))
    }

    pub(super) fn via(&self, branch: u128, way: Way) -> String {
        let host = host_text(self.advertised_on(way));
        let transport = way.to.transport.as_str();
        format!("SIP/2.0/{transport} {host};branch=z9hG4bK{branch:032x};rport")
    }

    pub(super) fn fresh_via(&mut self, way: Way) -> (ClientKey, String) {
        let branch = self.chance.next_u128();
        let key = ClientKey {
            branch,
            is_cancel: false,
        };
        (key, self.via(branch, way))
    }

    /// Where others are to send what they ask of us, by the transport that they use already.
    pub(super) fn contact(&self, way: Way) -> String {
        let host = host_text(self.advertised_on(way));
        match way.to.transport {
            Transport::Udp => format!("<sip:{host}>"),
            stream => format!("<sip:{host};transport={}>", stream.as_param()),
        }
    }
}
