//! The trunks: which are known, which of them answer, and which take one more call.

use super::{CallKey, Switch};
use crate::calls::Trunk;
use crate::calls::health::{Registration, TrunkHealth};
use maskline_domain::call::Moment;
use maskline_domain::trunk::Full;
use maskline_sip::endpoint::{Input as SipInput, Peer, PeerId};
use maskline_sip::hop::Hop;
use maskline_sip::message::phrase;

impl Switch {
    /// From now on these are the trunks.
    pub(super) fn set_trunks(&mut self, trunks: Vec<Trunk>) {
        let before: Vec<bool> = self.trunks.iter().map(is_watched).collect();
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
                .is_some_and(|(now, was_watched)| is_watched(now) && *was_watched)
        };
        let is_there = |id: &PeerId, at: Hop| {
            let place = usize::try_from(id.0).unwrap_or(usize::MAX);
            let trunk = trunks.get(place);
            trunk.is_some_and(|trunk| trunk.peer.hops().any(|hop| hop == at))
        };
        self.answering
            .retain(|id, (_, at)| is_same(id) && is_there(id, *at));
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
    pub(super) fn on_peer_state(&mut self, peer: PeerId, reachable: bool, at: Hop) {
        let before = self.answering.insert(peer, (reachable, at));
        let Some(trunk) = self.trunk_of(peer) else {
            return;
        };
        let trunk = trunk.said.name.as_str();
        match (before, reachable) {
            (_, false) => tracing::warn!(trunk, "a trunk is not reachable and is tried last"),
            (Some((true, _)), true) => {
                tracing::info!(trunk, %at, "a trunk answers at another place")
            }
            (Some((false, _)), true) => tracing::info!(trunk, %at, "a trunk answers again"),
            (None, true) => tracing::info!(trunk, %at, "a trunk answers"),
        }
    }

    /// A registration has succeeded, or has been lost.
    pub(super) fn on_registered(&self, peer: PeerId, status: u16) {
        let Some(trunk) = self.trunk_of(peer) else {
            return;
        };
        let trunk = trunk.said.name.as_str();
        let state = self.endpoint.registration(peer).unwrap_or_default();
        match (status, state.is_refused) {
            (200..=299, _) => tracing::info!(trunk, "registered with a trunk"),
            (_, true) => {
                let why = phrase(status);
                tracing::warn!(trunk, status, why, "a trunk refuses our registration");
            }
            (_, false) => {
                tracing::warn!(
                    trunk,
                    "not registered with a trunk: its registrar does not answer"
                );
            }
        }
    }

    /// How the enabled trunks are.
    pub fn health(&self, now: Moment) -> Vec<TrunkHealth> {
        (0..)
            .map(PeerId)
            .zip(&self.trunks)
            .filter(|(_, trunk)| trunk.said.enabled)
            .map(|(id, trunk)| {
                let registration = self.endpoint.registration(id);
                TrunkHealth {
                    name: trunk.said.name.to_string(),
                    hops: trunk.peer.hops().collect(),
                    reachable: self.answering.get(&id).map(|(reachable, _)| *reachable),
                    registration: registration
                        .map(|state| Registration::new(state, now.wall, now.tick_ms)),
                    trouble: None,
                }
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
        let known = id.and_then(|id| self.answering.get(&PeerId(id)));
        matches!(known, Some((false, _)))
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
