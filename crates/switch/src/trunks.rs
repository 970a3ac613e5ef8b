//! The trunks: which are known, which of them answer, and which take one more call.

mod health;

pub use health::{Registration, TrunkHealth};

use super::{CallKey, Output, Switch, TrunkChange, TrunkPeer};
use maskline_domain::call::Moment;
use maskline_domain::trunk::{Candidate, to_try};
use maskline_sip::endpoint::{Input as SipInput, Peer, PeerId, Tested};
use maskline_sip::hop::Hop;

/// The most places of one trunk that one call tries.
const PLACES_TRIED_MAX: usize = 3;
/// How long a place where nobody answered is tried after the others, in milliseconds.
const SILENT_MS: u64 = 60_000;
/// The most such places that are remembered.
const SILENT_MAX: usize = 1_024;

impl Switch {
    /// From now on these are the trunks.
    pub(super) fn set_trunks(&mut self, trunks: Vec<TrunkPeer>) {
        let before: Vec<bool> = self.trunks.iter().map(is_watched).collect();
        for known in &mut self.trunks {
            known.definition.enabled = false;
        }
        let advertised = (trunks.iter()).filter_map(|trunk| trunk.definition.rtp_advertised);
        self.change_local_media(|local| advertised.for_each(|ip| local.add(ip)));
        for trunk in trunks {
            match self
                .trunks
                .iter_mut()
                .find(|known| known.definition.name == trunk.definition.name)
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
                .any(|trunk| trunk.definition.enabled && trunk.definition.name == *name)
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

    /// Asks an enabled trunk by OPTIONS, once; false if there is none of this name, or it is being asked so.
    pub fn test(&mut self, name: &str, now: Moment) -> bool {
        let Some(peer) = self.peer_named(name) else {
            return false;
        };
        let is_asked = self.endpoint.test(peer);
        self.sip(SipInput::Timeout, now);
        is_asked
    }

    /// What came of it, once.
    pub fn tested(&mut self, name: &str) -> Option<Tested> {
        self.endpoint.tested(self.peer_named(name)?)
    }

    fn peer_named(&self, name: &str) -> Option<PeerId> {
        (0..)
            .map(PeerId)
            .zip(&self.trunks)
            .find(|(_, trunk)| trunk.definition.enabled && trunk.definition.name.as_str() == name)
            .map(|(id, _)| id)
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
            .filter(|(_, trunk)| trunk.definition.enabled)
            .map(|(id, trunk)| Peer {
                id: PeerId(id),
                ..said(&trunk.peer)
            })
            .collect()
    }

    pub(super) fn trunk_of(&self, peer: PeerId) -> Option<&TrunkPeer> {
        self.trunks.get(usize::try_from(peer.0).ok()?)
    }

    /// A peer answers, or does so no more.
    pub(super) fn on_peer_state(&mut self, peer: PeerId, reachable: bool, at: Hop) {
        let before = self.answering.insert(peer, (reachable, at));
        let Some(trunk) = self.trunk_of(peer) else {
            return;
        };
        let change = match (before, reachable) {
            (_, false) => TrunkChange::Unreachable,
            (Some((true, _)), true) => TrunkChange::Elsewhere(at),
            (Some((false, _)), true) => TrunkChange::ReachableAgain(at),
            (None, true) => TrunkChange::Reachable(at),
        };
        let name = trunk.definition.name.clone();
        self.outputs.push_back(Output::TrunkChanged(name, change));
    }

    /// A registration has succeeded, or has been lost.
    pub(super) fn on_registered(&mut self, peer: PeerId, status: u16) {
        let Some(trunk) = self.trunk_of(peer) else {
            return;
        };
        let state = self.endpoint.registration(peer).unwrap_or_default();
        let change = match (status, state.is_refused) {
            (200..=299, _) => TrunkChange::Registered,
            (_, true) => TrunkChange::RegistrationRefused(status),
            (_, false) => TrunkChange::RegistrarSilent,
        };
        let name = trunk.definition.name.clone();
        self.outputs.push_back(Output::TrunkChanged(name, change));
    }

    /// How the enabled trunks are.
    pub fn health(&self, now: Moment) -> Vec<TrunkHealth> {
        (0..)
            .map(PeerId)
            .zip(&self.trunks)
            .filter(|(_, trunk)| trunk.definition.enabled)
            .map(|(id, trunk)| {
                let registration = self.endpoint.registration(id);
                TrunkHealth {
                    name: trunk.definition.name.to_string(),
                    hops: trunk.peer.hops().collect(),
                    reachable: self.answering.get(&id).map(|(reachable, _)| *reachable),
                    registration: registration
                        .map(|state| Registration::new(state, now.wall, now.tick_ms)),
                    trouble: None,
                }
            })
            .collect()
    }

    /// The places at which a call tries trunks, in order, and which of them are further places of the trunk
    /// before, by bit. Of each candidate it is known whether its codecs fit.
    pub(super) fn choose(
        &mut self,
        candidates: Vec<(bool, TrunkPeer)>,
        now: Moment,
    ) -> (Vec<TrunkPeer>, u16) {
        let candidates = candidates.into_iter().map(|(fits, trunk)| {
            let prospect = Candidate {
                fits,
                has_room: self.has_room(&trunk, now),
                answers: !self.is_silent(&trunk),
            };
            (trunk, prospect)
        });
        let trunks = to_try(candidates.collect());
        self.places(trunks, now)
    }

    /// These trunks, each once for every place of it that is tried: first where it answered when it was
    /// last asked, last where nobody answered lately. Beside them which are further places of the one
    /// before, by bit.
    fn places(&self, trunks: Vec<TrunkPeer>, now: Moment) -> (Vec<TrunkPeer>, u16) {
        let (mut places, mut further) = (Vec::with_capacity(trunks.len()), 0);
        for trunk in trunks {
            let answered_at = self.answering_of(&trunk).and_then(|(reachable, at)| {
                // Where it does not answer anywhere, no place is better than another.
                reachable.then_some(at)
            });
            let mut hops: Vec<Hop> = trunk.peer.hops().collect();
            hops.sort_by_key(|hop| (self.is_silent_at(*hop, now), Some(*hop) != answered_at));
            for (tried, hop) in hops.into_iter().take(PLACES_TRIED_MAX).enumerate() {
                if tried > 0 {
                    further |= 1 << places.len();
                }
                let mut trunk = trunk.clone();
                trunk.peer.hop = hop;
                places.push(trunk);
            }
        }
        (places, further)
    }

    /// Nobody answered a call there: for a while other places are tried before it.
    pub(super) fn note_silent(&mut self, hop: Hop, now: Moment) {
        self.silent.retain(|_, until| *until > now.tick_ms);
        if self.silent.len() < SILENT_MAX {
            self.silent.insert(hop, now.tick_ms + SILENT_MS);
        }
    }

    fn is_silent_at(&self, hop: Hop, now: Moment) -> bool {
        self.silent
            .get(&hop)
            .is_some_and(|until| *until > now.tick_ms)
    }

    /// Whether a trunk has room for one more call that is sent to it.
    pub(super) fn has_room(&mut self, trunk: &TrunkPeer, now: Moment) -> bool {
        let load = self.loads.of(&trunk.definition.name, now.tick_ms);
        trunk.definition.admits(load)
    }

    fn is_silent(&self, trunk: &TrunkPeer) -> bool {
        matches!(self.answering_of(trunk), Some((false, _)))
    }

    /// Whether a trunk answered when it was last asked, and where.
    fn answering_of(&self, trunk: &TrunkPeer) -> Option<(bool, Hop)> {
        let known = self
            .trunks
            .iter()
            .position(|known| known.definition.name == trunk.definition.name)?;
        let id = u32::try_from(known).ok()?;
        self.answering.get(&PeerId(id)).copied()
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
fn is_watched(trunk: &TrunkPeer) -> bool {
    let peer = &trunk.peer;
    trunk.definition.enabled && (peer.probe_every_s.is_some() || peer.registration.is_some())
}
