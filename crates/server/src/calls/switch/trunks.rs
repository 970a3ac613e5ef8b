//! The trunks: which are known, which of them answer, and which take one more call.

use super::{CallKey, Switch};
use crate::calls::Trunk;
use maskline_domain::call::Moment;
use maskline_domain::trunk::Full;
use maskline_sip::endpoint::{Input as SipInput, Peer, PeerId};

impl Switch {
    /// From now on these are the trunks.
    pub(super) fn set_trunks(&mut self, trunks: Vec<Trunk>) {
        let before: Vec<(bool, Peer)> = self
            .trunks
            .iter()
            .map(|known| (is_watched(known), known.peer.clone()))
            .collect();
        for known in &mut self.trunks {
            known.said.enabled = false;
        }
        for trunk in trunks {
            match self
                .trunks
                .iter_mut()
                .find(|known| known.said.name == trunk.said.name)
            {
                Some(known) => *known = trunk,
                None => self.trunks.push(trunk),
            }
        }
        // What was heard of a peer holds while it is asked at the same place.
        let trunks = &self.trunks;
        let is_same = |id: &PeerId| {
            let place = usize::try_from(id.0).unwrap_or(usize::MAX);
            trunks
                .get(place)
                .zip(before.get(place))
                .is_some_and(|(now, (was_watched, was))| {
                    is_watched(now) && *was_watched && now.peer.hop == was.hop
                })
        };
        self.answering.retain(|id, _| is_same(id));
        self.loads.retain(|name| {
            trunks
                .iter()
                .any(|trunk| trunk.said.enabled && trunk.said.name == *name)
        });
        self.endpoint.set_peers(self.peers());
    }

    /// Gives up what is registered, since nobody is called here any more.
    pub(super) fn leave(&mut self, now: Moment) {
        self.has_left = true;
        self.answering.clear();
        self.endpoint.set_peers(self.peers());
        self.sip(SipInput::Timeout, now);
    }

    fn peers(&self) -> Vec<Peer> {
        let said = |peer: &Peer| match self.has_left {
            true => Peer {
                registration: None,
                probe_every_s: None,
                ..peer.clone()
            },
            false => peer.clone(),
        };
        (0..)
            .zip(&self.trunks)
            .filter(|(_, trunk)| trunk.said.enabled)
            .map(|(id, trunk)| Peer {
                id: PeerId(id),
                ..said(&trunk.peer)
            })
            .collect()
    }

    pub(super) fn trunk_of(&self, peer: PeerId) -> Option<&Trunk> {
        self.trunks.get(usize::try_from(peer.0).ok()?)
    }

    /// A peer answers, or does so no more.
    pub(super) fn on_peer_state(&mut self, peer: PeerId, reachable: bool) {
        let before = self.answering.insert(peer, reachable);
        let Some(trunk) = self.trunk_of(peer) else {
            return;
        };
        let trunk = trunk.said.name.as_str();
        match (before, reachable) {
            (_, false) => tracing::info!(trunk, "a trunk does not answer and is tried last"),
            (Some(false), true) => tracing::info!(trunk, "a trunk answers again"),
            (_, true) => tracing::info!(trunk, "a trunk answers"),
        }
    }

    /// A registration has succeeded, or has been lost.
    pub(super) fn on_registered(&self, peer: PeerId, status: u16) {
        let Some(trunk) = self.trunk_of(peer) else {
            return;
        };
        let trunk = trunk.said.name.as_str();
        match status {
            200..=299 => tracing::info!(trunk, "registered with a trunk"),
            _ => tracing::info!(trunk, status, "not registered with a trunk"),
        }
    }

    /// The names of the trunks that are asked whether they are there, and what is known of them.
    pub fn reachable(&self) -> Vec<(String, bool)> {
        self.answering
            .iter()
            .filter_map(|(id, reachable)| {
                let trunk = self.trunk_of(*id)?;
                Some((trunk.said.name.to_string(), *reachable))
            })
            .collect()
    }

    /// The trunks that take one more call, those that do not answer at the end: they are tried when
    /// nobody else is left.
    pub(super) fn choose(&mut self, mut trunks: Vec<Trunk>, now: Moment) -> Vec<Trunk> {
        trunks.retain(|trunk| self.admit(trunk, now).is_ok());
        trunks.sort_by_key(|trunk| self.is_silent(trunk));
        trunks
    }

    /// Whether a trunk has room for one more call that is sent to it.
    pub(super) fn admit(&mut self, trunk: &Trunk, now: Moment) -> Result<(), Full> {
        let load = self.loads.of(&trunk.said.name, now.tick_ms);
        trunk.said.admits(load)
    }

    fn is_silent(&self, trunk: &Trunk) -> bool {
        let known = self
            .trunks
            .iter()
            .position(|known| known.said.name == trunk.said.name);
        let id = known.and_then(|at| u32::try_from(at).ok());
        id.is_some_and(|id| self.answering.get(&PeerId(id)) == Some(&false))
    }

    /// A call is no longer on the trunk by which its callee was dialled.
    pub(super) fn leave_trunk_out(&mut self, key: CallKey) {
        let live = self.calls.get_mut(&key);
        if let Some(trunk) = live.and_then(|live| live.trunk_out.take()) {
            self.loads.leave(&trunk);
        }
    }
}

/// Whether it is learnt of this trunk if it answers.
fn is_watched(trunk: &Trunk) -> bool {
    let peer = &trunk.peer;
    trunk.said.enabled && (peer.probe_every_s.is_some() || peer.registration.is_some())
}
