//! Where messages must come from to be believed.
//!
//! Call-ID, tags and branches are known to everybody who saw the call's messages on their way, so they prove
//! nothing. What is said on a leg, and what answers a request of ours, must come from the same peer: from an
//! address that is its own ([`Peer::is_at`](super::Peer::is_at); session border controllers of a pair take
//! over from each other in mid-call, so not only the address of the first request), or from where a request of
//! ours within the dialog would go: the nearest hop of its `Record-Route`, or, where no proxy wants to stay on
//! the way, the `Contact` that the peer told us (RFC 3261 section 12.2.1.1). Of a peer behind NAT the `Contact`
//! counts for nothing.
//!
//! Datagrams and plain streams count alike, since long requests move from the one to the other (RFC 3261
//! section 18.1.1); what began within TLS is spoken within TLS alone. ACK and CANCEL cannot be challenged
//! (section 22.1), so they must also have every id of their INVITE (sections 9.2 and 17.2.3).
//!
//! Who is refused learns nothing of the call: a stranger gets 403 and another peer 481, whether it exists or not.

use super::leg_state::Origin;
use super::table::{Client, Server};
use super::{Endpoint, Event, Hint, Leg, LegId, Output, ServerId};
use crate::hop::{Hop, Transport};
use crate::message::{Essentials, Message, Method};
use std::net::IpAddr;

/// Whether what began by one transport may go on by another.
fn goes_on_by(began: Transport, now: Transport) -> bool {
    began != Transport::Tls || now == Transport::Tls
}

impl Leg {
    /// Whether requests of ours within the dialog with this tag of theirs go to this address.
    fn leads_to(&self, tag: Option<&[u8]>, address: IpAddr) -> bool {
        let dialog = self.dialog_with(tag);
        if self.origin.nat && !dialog.has_route() {
            return false;
        }
        dialog.next_hop(self.hop).address.ip() == address
    }
}

impl Endpoint {
    /// Whose leg it is that begins at this hop.
    pub(super) fn origin_at(&self, hop: Hop) -> Origin {
        let id = self.peer_at(hop);
        let peer = self.peers.iter().find(|peer| Some(peer.id) == id);
        Origin {
            peer: id,
            addresses: peer
                .map(|peer| peer.addresses().collect())
                .unwrap_or_default(),
            is_challenged: peer.is_some_and(|peer| peer.challenge.is_some()),
            nat: peer.is_some_and(|peer| peer.nat),
        }
    }

    /// Whether a message from there, with this tag of theirs, is believed on the leg.
    pub(super) fn may_speak(&self, leg: &Leg, tag: Option<&[u8]>, source: Hop) -> bool {
        let address = source.address.ip();
        let is_peer = || {
            let peer = self
                .peers
                .iter()
                .find(|peer| Some(peer.id) == leg.origin.peer);
            peer.is_some_and(|peer| peer.is_at(address))
        };
        goes_on_by(leg.hop.transport, source.transport)
            && (leg.hop.address.ip() == address
                || leg.origin.addresses.contains(&address)
                || is_peer()
                || leg.leads_to(tag, address))
    }

    /// Whether who sent the request of a transaction speaks from there too.
    fn speaks_for(&self, server: &Server, tag: Option<&[u8]>, source: Hop) -> bool {
        let is_same_peer = || {
            let peer = self.peer_at(source);
            peer.is_some() && peer == self.peer_at(server.to)
        };
        let is_on_leg = || {
            let leg = server.leg.and_then(|id| self.legs.get(&id));
            leg.is_some_and(|leg| self.may_speak(leg, tag, source))
        };
        goes_on_by(server.to.transport, source.transport)
            && (server.to.address.ip() == source.address.ip() || is_on_leg() || is_same_peer())
    }

    /// The transaction, if the request that names it comes from whom it belongs to.
    pub(super) fn server_for(
        &mut self,
        id: ServerId,
        essentials: &Essentials<'_>,
        source: Hop,
    ) -> Option<ServerId> {
        let server = self.servers.get(id)?;
        self.speaks_for(server, essentials.from.tag(), source)
            .then_some(id)
    }

    /// The same for the INVITE of an ACK or a CANCEL, which must have all its ids.
    pub(super) fn invite_for(
        &mut self,
        id: ServerId,
        essentials: &Essentials<'_>,
        method: Method,
        source: Hop,
    ) -> Option<ServerId> {
        let id = self.server_for(id, essentials, source)?;
        let ids = self.servers.get(id)?.ids.as_ref()?;
        ids.fit(essentials, method).then_some(id)
    }

    /// Whether a response from there can be that to a request of ours: whoever saw the request knows its
    /// branch.
    pub(super) fn may_answer(&self, client: &Client, tag: Option<&[u8]>, source: Hop) -> bool {
        let address = source.address.ip();
        let is_on_leg = || {
            let leg = client.leg.and_then(|id| self.legs.get(&id));
            leg.is_some_and(|leg| self.may_speak(leg, tag, source))
        };
        let is_peer = || {
            let id = self.peer_at(client.to);
            let peer = self.peers.iter().find(|peer| Some(peer.id) == id);
            peer.is_some_and(|peer| peer.is_at(address))
        };
        goes_on_by(client.to.transport, source.transport)
            && (client.to.address.ip() == address || is_on_leg() || is_peer())
    }

    /// A request about a call that does not exist, or that is none of its sender's business.
    pub(super) fn turn_away(&mut self, request: &Message, source: Hop) {
        let is_unknown = self.peer_at(source).is_none();
        if is_unknown {
            self.counts.unknown_sources += 1;
            let method = request.method().unwrap_or(Method::Unknown);
            self.event(Event::UnknownSource {
                from: source,
                method,
            });
        } else {
            self.counts.astray += 1;
        }
        if request.method() != Some(Method::Ack) {
            let status = if is_unknown { 403 } else { 481 };
            self.answer_at_once(request, source, status, Hint::None);
        }
    }

    /// A message on the leg was believed that only who got one of ours can have written: whoever is there may be
    /// asked as often as it takes. Behind NAT, what we ask next goes to where it came from, since the
    /// binding there may have changed (in the spirit of RFC 3581).
    pub(super) fn follow(&mut self, id: LegId, source: Hop) {
        let Some(leg) = self.legs.get_mut(&id) else {
            return;
        };
        let is_news = leg.hear(source);
        if leg.origin.nat {
            leg.hop = source;
            self.note_hops(id);
        }
        if is_news {
            self.event(Event::SourceVerified { leg: id });
        }
    }

    /// The connection to this hop is gone. What has not been answered yet is answered by another way: a
    /// connection to the address from which the request came and the port in its `Via` (RFC 3261 section
    /// 18.2.2). Where that is gone too the other side cannot hear our answer, and the call is over.
    pub(super) fn answer_elsewhere(&mut self, hop: Hop, now: crate::time::Time) {
        for (to, bytes) in self.servers.redirect(hop) {
            self.outputs.push_back(Output::Send { to, bytes });
        }
        let mut lost = Vec::new();
        for id in self.legs_by_hop.at(hop) {
            let Some(leg) = self.legs.get_mut(&id) else {
                continue;
            };
            match leg.elsewhere.take() {
                Some(to) => {
                    if let Some(bytes) = leg.redirect(hop, to) {
                        self.outputs.push_back(Output::Send { to, bytes });
                    }
                }
                None if leg.waits_for_ack_from(hop) => lost.push(id),
                None => {}
            }
            self.note_hops(id);
        }
        for id in lost {
            self.end_silent(id, None, now);
        }
    }
}
