//! How a trunk wants to be spoken to, in the words of `sip`.

use crate::calls::Trunk;
use maskline_domain::PhoneNumber;
use maskline_domain::trunk::{self, IdentityOut};
use maskline_sip::endpoint::{Peer, PeerId};
use maskline_sip::hop::{Hop, Transport};
use maskline_sip::identity::{Identity, Privacy, Shown};
use maskline_sip::uri::sip_uri;
use std::net::SocketAddr;

/// Where its messages go.
pub(super) fn hop(trunk: &Trunk) -> Hop {
    let transport = match trunk.said.transport {
        trunk::Transport::Udp => Transport::Udp,
        trunk::Transport::Tcp => Transport::Tcp,
        trunk::Transport::Tls => Transport::Tls,
    };
    Hop {
        transport,
        address: trunk.peer,
    }
}

/// Whose calls are taken.
pub(super) fn peer(id: PeerId, trunk: &Trunk) -> Peer {
    Peer {
        probe_every_s: trunk.said.options_every_s,
        ..Peer::new(id, hop(trunk))
    }
}

/// Who is shown to the callee: X, at our address, in the header that the trunk names.
pub(super) fn identity(trunk: &Trunk, x: PhoneNumber, advertised: SocketAddr) -> Identity {
    let said = &trunk.said;
    let uri = |number| sip_uri(&said.write(number), advertised);
    Identity {
        shown: match said.identity_out {
            IdentityOut::From => Shown::From,
            IdentityOut::Pai => Shown::AssertedIdentity,
            IdentityOut::Ppi => Shown::PreferredIdentity,
            IdentityOut::Rpid => Shown::RemotePartyId,
        },
        privacy: match said.privacy {
            trunk::Privacy::Omit => Privacy::Unsaid,
            trunk::Privacy::None => Privacy::None,
            trunk::Privacy::Id => Privacy::Id,
        },
        pilot: said.pilot.map(uri),
        ..Identity::from(uri(x))
    }
}
