//! Asking peers by OPTIONS whether they answer (RFC 3261 section 11.1): from time to time, and once for an operator.
//! `peer_tasks` sends it.

use super::peer_tasks::{Sequence, Task, Tested};
use super::table::TaskKind;
use super::{Endpoint, PeerId};
use crate::hop::Hop;
use crate::message::{Method, Name};
use crate::time::Time;
use crate::uri::host_text;
use std::sync::Arc;

impl Endpoint {
    /// Asks a peer by OPTIONS once, at the next time-out, which is at once, and where it was heard last.
    /// What comes of it is had by [`Endpoint::tested`]. False for a peer that is not known, or is being
    /// tested.
    pub fn test(&mut self, peer: PeerId) -> bool {
        let task = (peer, TaskKind::Test);
        let is_known = self.peers.iter().any(|known| known.id == peer);
        if !is_known || self.peer_tasks.work.contains_key(&task) {
            return false;
        }
        self.peer_tasks.tested.remove(&peer);
        let at = self.peer_tasks.reachable.get(&peer).map(|(_, at)| *at);
        let work = Task {
            at,
            ..self.fresh_task(0)
        };
        self.peer_tasks.work.insert(task, work);
        self.peer_tasks.schedule(task, Some(Time::default()));
        true
    }

    /// What came of a test, once.
    pub fn tested(&mut self, peer: PeerId) -> Option<Tested> {
        self.peer_tasks.tested.remove(&peer)
    }

    pub(super) fn write_probe(
        &self,
        hop: Hop,
        host: Option<&str>,
        via: &str,
        sequence: &Sequence,
    ) -> Arc<[u8]> {
        let target = match host {
            Some(host) => format!("sip:{host}"),
            None => format!("sip:{}", host_text(hop.address)),
        };
        let contact = self.contact(hop.into());
        let to = format!("<{target}>");
        let mut writer = sequence.request(Method::Options, &target, via, &contact, &to);
        writer
            .line(Name::Contact, &[contact.as_bytes()])
            .line(Name::Accept, &[b"application/sdp"]);
        writer.finish()
    }
}
