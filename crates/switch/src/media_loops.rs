//! Calls whose media comes back to themselves.
//!
//! A party may name one of our own ports as its address: that of another call, when a PBX connects two calls
//! of ours and has their media go past it, which is fine. If the way leads back to the call itself, every
//! packet in it goes round for ever; nobody needs such a call.

use super::{CallKey, Lease, MediaPath, Switch};
use maskline_domain::call::{Input as CallInput, MediaFault, Moment, Side};
use std::collections::BTreeMap;
use std::net::SocketAddr;

/// So many calls may lie one behind the other; what is longer is taken for a loop.
const CALLS_MAX: usize = 16;

/// Whose the lent ports are.
#[derive(Default)]
pub(super) struct MediaLoops {
    /// By the even port of each pair.
    ports: BTreeMap<u16, (CallKey, Side)>,
}

impl MediaLoops {
    /// A call has these ports now.
    pub fn enter(&mut self, key: CallKey, lease: &Lease) {
        for (address, side) in [(lease.caller, Side::Caller), (lease.callee, Side::Callee)] {
            self.ports.insert(address.port() & !1, (key, side));
        }
    }

    /// A call gives them back.
    pub fn leave(&mut self, key: CallKey, lease: &Lease) {
        for address in [lease.caller, lease.callee] {
            let port = address.port() & !1;
            if self
                .ports
                .get(&port)
                .is_some_and(|(owner, _)| *owner == key)
            {
                self.ports.remove(&port);
            }
        }
    }

    /// Whether nobody has any.
    pub fn is_empty(&self) -> bool {
        self.ports.is_empty()
    }
}

impl Switch {
    /// Whether media that this call sends to this address comes back to it.
    pub(super) fn leads_back(&self, key: CallKey, address: SocketAddr) -> bool {
        let mut at = address;
        for _ in 0..CALLS_MAX {
            let owner = match self.setup.local_media.is_media(at) {
                true => self.media_loops.ports.get(&(at.port() & !1)),
                false => None,
            };
            let Some((owner, side)) = owner.copied() else {
                return false;
            };
            if owner == key {
                return true;
            }
            let live = self.calls.get(&owner);
            let Some(next) = live.and_then(|live| live.media.told(side.other())) else {
                return false;
            };
            at = next;
        }
        true
    }

    /// Whether media of this call, as its sides have told so far, comes back to it.
    pub(super) fn has_media_loop(&self, key: CallKey) -> bool {
        let Some(live) = self.calls.get(&key) else {
            return false;
        };
        let mut told = Side::BOTH
            .into_iter()
            .filter_map(|side| live.media.told(side));
        told.any(|address| self.leads_back(key, address))
    }

    /// Has media go this way, unless it would come back.
    pub(super) fn relay_by(&mut self, key: CallKey, path: MediaPath) {
        let ends = [path.caller.as_ref(), path.callee.as_ref()];
        let comes_back = (ends.into_iter().flatten()).any(|end| self.leads_back(key, end.address));
        if comes_back {
            self.looped_calls.insert(key);
        } else {
            self.outputs.push_back(super::Output::Relay(key, path));
        }
    }

    /// Ends the calls whose media would have come back.
    pub(super) fn end_looped_calls(&mut self, now: Moment) {
        while let Some(key) = self.looped_calls.pop_first() {
            let refused = CallInput::MediaRefused(MediaFault::Unfit);
            self.give_to_call(key, refused, now);
        }
    }
}
