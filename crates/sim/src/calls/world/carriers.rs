//! The carriers of a world: phones are behind one of them, at ports of its address.

use std::net::{Ipv4Addr, SocketAddr};

use maskline_domain::trunk::PromptPolicy;
use maskline_domain::{PhoneNumber, Trunk, TrunkName};
use maskline_sip::endpoint::{Peer, PeerId};
use maskline_switch::TrunkPeer;

use super::{CARRIER_PORT, hop_of};

/// A carrier and its trunk.
#[derive(Debug, Clone, Copy)]
pub(super) struct WorldCarrier {
    pub name: &'static str,
    pub address: Ipv4Addr,
    pub prompts: PromptPolicy,
    /// Whether calls are sent to it.
    pub is_called: bool,
    /// Whose X it may show; any if nobody is named.
    pub presents: &'static [&'static str],
    /// How the numbers of its callees begin.
    pub routes: &'static [&'static str],
}

/// Most callees can be reached over two of those that are called, with routes of one length or of several; a few
/// over none.
pub(super) const CARRIERS: [WorldCarrier; 4] = [
    WorldCarrier {
        name: "north",
        address: Ipv4Addr::new(198, 51, 100, 1),
        prompts: PromptPolicy::Early,
        is_called: false,
        presents: &[],
        routes: &[],
    },
    WorldCarrier {
        name: "west",
        address: Ipv4Addr::new(203, 0, 113, 1),
        prompts: PromptPolicy::Answer,
        is_called: true,
        presents: &["telecom", "FC3"],
        routes: &[
            "1390000000",
            "1390000001",
            "1390000002",
            "13900000030",
            "13900000031",
            "13900000032",
            "13900000033",
            "13900000034",
            "13900000035",
        ],
    },
    WorldCarrier {
        name: "east",
        address: Ipv4Addr::new(203, 0, 113, 2),
        prompts: PromptPolicy::None,
        is_called: true,
        presents: &["unicom", "FC3"],
        routes: &["139", "1390000001", "13900000020"],
    },
    WorldCarrier {
        name: "south",
        address: Ipv4Addr::new(198, 51, 100, 2),
        prompts: PromptPolicy::Early,
        is_called: true,
        presents: &[],
        routes: &[
            "13900000000",
            "13900000001",
            "1390000000",
            "1390000001",
            "1390000002",
            "13900000033",
            "13900000034",
        ],
    },
];

/// The carriers as the switch knows them, perhaps without one.
pub(super) fn trunks(without: Option<&str>) -> Vec<TrunkPeer> {
    CARRIERS
        .iter()
        .map(|carrier| TrunkPeer {
            definition: Trunk {
                enabled: without != Some(carrier.name),
                prompts: carrier.prompts,
                outgoing: carrier.is_called,
                weight: 1,
                presents: carrier.presents.iter().map(|it| (*it).into()).collect(),
                routes: carrier
                    .routes
                    .iter()
                    .filter_map(|it| PhoneNumber::parse(it).ok())
                    .collect(),
                ..Trunk::new(TrunkName::new(carrier.name), String::new())
            },
            peer: Peer::new(
                PeerId(0),
                hop_of(SocketAddr::new(carrier.address.into(), CARRIER_PORT)),
            ),
        })
        .collect()
}
