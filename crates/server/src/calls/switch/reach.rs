//! Where the media of a trunk can be, and with which addresses ours can exchange any.

use super::{Setup, Unheard};
use crate::calls::Trunk;
use crate::calls::ours::Ours;
use ipnet::IpNet;
use maskline_sip::hop::Transport;
use std::net::IpAddr;
use std::sync::Arc;

/// How long a party that may be anybody is sent something before it is heard, in milliseconds.
const UNPROVEN_MS: u32 = 10_000;
/// What a party is sent before it is heard that only the trunk's peer can be, or that has answered a call of
/// ours, in bytes: a minute of sound.
const PROVEN_BYTES: u32 = 768 * 1_024;
/// And for how long, in milliseconds.
const PROVEN_MS: u32 = 60_000;

/// See the module.
#[derive(Clone, Debug)]
pub(super) struct Reach {
    /// Whether its media comes from elsewhere than it says.
    pub nat: bool,
    /// Where it can be then: the trunk's networks for media, and where its signalling comes from.
    pub networks: Arc<[IpNet]>,
    /// The trunk's networks for media; none if it says nothing of them.
    listed: Arc<[IpNet]>,
    unlisted: Unheard,
    ours: Arc<Ours>,
    told: Option<IpAddr>,
}

impl Reach {
    /// The side that calls by this trunk. A datagram may come from anybody, whatever it says of its sender; a
    /// connection, or one who knows a password, does not.
    pub fn of_caller(trunk: &Trunk, setup: &Setup) -> Self {
        let is_proven =
            trunk.peer.hop.transport != Transport::Udp || trunk.peer.challenge.is_some();
        let unproven = Unheard {
            bytes: setup.unheard_bytes_max,
            ms: UNPROVEN_MS,
        };
        let proven = Unheard {
            bytes: PROVEN_BYTES.max(setup.unheard_bytes_max),
            ms: PROVEN_MS,
        };
        Self::new(trunk, setup, if is_proven { proven } else { unproven })
    }

    /// The side that is called by this trunk, and answers what only it has got.
    pub fn of_callee(trunk: &Trunk, setup: &Setup) -> Self {
        let proven = Unheard {
            bytes: PROVEN_BYTES.max(setup.unheard_bytes_max),
            ms: PROVEN_MS,
        };
        Self::new(trunk, setup, proven)
    }

    fn new(trunk: &Trunk, setup: &Setup, unlisted: Unheard) -> Self {
        let listed: Arc<[IpNet]> = trunk.said.media_networks.as_slice().into();
        let networks = match trunk.said.nat {
            true => (listed.iter().copied())
                .chain(trunk.peer.addresses().map(IpNet::from))
                .collect(),
            false => Arc::clone(&listed),
        };
        Self {
            nat: trunk.said.nat,
            networks,
            listed,
            unlisted,
            ours: Arc::clone(&setup.ours),
            told: trunk.said.rtp_advertised,
        }
    }

    /// Whether our media can exchange anything with this address.
    pub fn can_speak_with(&self, ip: IpAddr) -> bool {
        self.ours.can_speak_with(ip, self.told)
    }

    /// What this address may be sent before it has been heard. What is not where the trunk says that its
    /// media is gets nothing; where the trunk says nothing, a little.
    pub fn unheard(&self, ip: IpAddr) -> Option<Unheard> {
        if self.listed.is_empty() {
            return Some(self.unlisted);
        }
        let is_listed = self.listed.iter().any(|network| network.contains(&ip));
        let nothing = Unheard { bytes: 0, ms: 0 };
        (!is_listed).then_some(nothing)
    }
}
