//! Where the media of a trunk can be, and with which addresses ours can exchange any.

use super::{Output, Setup, Switch, Unheard};
use crate::TrunkPeer;
use ipnet::IpNet;
use maskline_sip::hop::Transport;
use maskline_sip::relay::LocalMedia;
use std::net::IpAddr;
use std::sync::Arc;

/// How long a party that may be anybody is sent something before it is heard, in milliseconds.
const UNVERIFIED_MS: u32 = 10_000;
/// What a party is sent before it is heard that only the trunk's peer can be, or that has answered a call of
/// ours, in bytes: a minute of sound.
const VERIFIED_BYTES: u32 = 768 * 1_024;
/// And for how long, in milliseconds.
const VERIFIED_MS: u32 = 60_000;

impl Switch {
    /// Changes what is known of the addresses of our media, and hands it on if that is something new.
    pub(super) fn change_local_media(&mut self, change: impl FnOnce(&mut LocalMedia)) {
        let mut changed = LocalMedia::clone(&self.setup.local_media);
        change(&mut changed);
        if changed != *self.setup.local_media {
            self.setup.local_media = Arc::new(changed);
            let handed_on = Arc::clone(&self.setup.local_media);
            self.outputs.push_back(Output::LocalMedia(handed_on));
        }
    }
}

/// See the module.
#[derive(Clone, Debug)]
pub(super) struct Reach {
    /// Whether its media comes from elsewhere than it says.
    pub nat: bool,
    /// The trunk's networks for media; none if it says nothing of them.
    pub networks: Arc<[IpNet]>,
    /// From where its signalling comes; none without NAT, when nobody asks.
    pub sources: Arc<[IpAddr]>,
    unlisted: Unheard,
    verified: Unheard,
    local_media: Arc<LocalMedia>,
    advertised: Option<IpAddr>,
}

impl Reach {
    /// The side that calls by this trunk. A datagram may come from anybody, whatever it says of its sender; a
    /// connection, or one who knows a password, does not.
    pub fn of_caller(trunk: &TrunkPeer, setup: &Setup) -> Self {
        let is_source_verified =
            trunk.peer.hop.transport != Transport::Udp || trunk.peer.challenge.is_some();
        Self::new(trunk, setup, is_source_verified)
    }

    /// The side that is called by this trunk, and answers what only it has got.
    pub fn of_callee(trunk: &TrunkPeer, setup: &Setup) -> Self {
        Self::new(trunk, setup, true)
    }

    fn new(trunk: &TrunkPeer, setup: &Setup, is_source_verified: bool) -> Self {
        let verified = Unheard {
            bytes: VERIFIED_BYTES.max(setup.unheard_bytes_max),
            ms: VERIFIED_MS,
            is_source_verified: true,
        };
        let unverified = Unheard {
            bytes: setup.unheard_bytes_max,
            ms: UNVERIFIED_MS,
            is_source_verified: false,
        };
        let sources = match trunk.definition.nat {
            true => trunk.peer.addresses().collect(),
            false => [].into(),
        };
        Self {
            nat: trunk.definition.nat,
            networks: trunk.definition.media_networks.as_slice().into(),
            sources,
            unlisted: if is_source_verified {
                verified
            } else {
                unverified
            },
            verified,
            local_media: Arc::clone(&setup.local_media),
            advertised: trunk.definition.rtp_advertised,
        }
    }

    /// Its signalling is verified now. False if it was before.
    pub fn mark_verified(&mut self) -> bool {
        let is_news = !self.unlisted.is_source_verified;
        self.unlisted = self.verified;
        is_news
    }

    /// Whether our media can exchange anything with this address.
    pub fn can_speak_with(&self, ip: IpAddr) -> bool {
        self.local_media.can_speak_with(ip, self.advertised)
    }

    /// What this address may be sent before it has been heard. What is not where the trunk says that its
    /// media is gets nothing; where the trunk says nothing, a little.
    pub fn unheard(&self, ip: IpAddr) -> Option<Unheard> {
        if self.networks.is_empty() {
            return Some(self.unlisted);
        }
        let is_listed = self.networks.iter().any(|network| network.contains(&ip));
        let nothing = Unheard {
            bytes: 0,
            ms: 0,
            is_source_verified: self.unlisted.is_source_verified,
        };
        (!is_listed).then_some(nothing)
    }
}
