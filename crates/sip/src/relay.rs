//! What the relay of a call's media is told: where both sides are, what they take, and which ports it lends.

mod local;

pub use local::LocalMedia;

use crate::g711::Law;
use crate::sdp::{Direction, Payloads};
use ipnet::IpNet;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

/// What the caller is to be told as our address for media, where its trunk wants another than the usual.
/// The callee may be dialled by one trunk after the other, so that what it is told is decided later.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LeaseRequest {
    /// The caller's side.
    pub caller_advertised: Option<IpAddr>,
}

/// The two addresses at which the relay receives: RTP from the caller, RTP from the callee.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lease {
    /// What the caller is told.
    pub caller: SocketAddr,
    /// What the callee is told.
    pub callee: SocketAddr,
}

/// What may be sent to an address from which nothing has come yet, packets with their headers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unheard {
    /// In bytes.
    pub bytes: u32,
    /// From the first packet on, in milliseconds.
    pub ms: u32,
    /// Whether the signalling shows that who wants it is there. What anybody could have asked for counts to a
    /// smaller sum of all calls.
    pub is_source_verified: bool,
}

/// One side of a relay.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MediaEnd {
    /// Where its RTP must come from, and where it is sent.
    pub address: SocketAddr,
    /// Where it wants to receive RTCP, if not at the port above (RFC 3605).
    pub rtcp: Option<SocketAddr>,
    /// What its payload types mean.
    pub payloads: Payloads,
    /// The form of its sound. None is a codec that is passed on without being understood: then there are
    /// no prompts and no recording.
    pub law: Option<Law>,
    /// What this side says that it does. It is sent nothing if it does not receive.
    pub direction: Direction,
    /// Whether it may be sent comfort noise, since both sides have taken that.
    pub noise: bool,
    /// Whether its RTP may come from another address than the one it told: where it comes from first.
    pub nat: bool,
    /// Where it can be then, besides the address that it told: in these networks of its trunk,
    pub networks: Arc<[IpNet]>,
    /// or, by better right, where its signalling comes from.
    pub sources: Arc<[IpAddr]>,
    /// What it may be sent before it has been heard; anything where its trunk says that its media is there.
    pub unheard: Option<Unheard>,
    /// Counts its descriptions, and its answer to the call. With each one the address may be learnt anew.
    pub version: u32,
}

/// Both sides of a relay. A caller who only hears a prompt has nobody across.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MediaPath {
    /// The caller's.
    pub caller: Option<MediaEnd>,
    /// The callee's.
    pub callee: Option<MediaEnd>,
}

impl MediaPath {
    /// Whether one side keeps the other waiting, so that silence means little.
    pub fn is_held(&self) -> bool {
        let ends = [&self.caller, &self.callee];
        ends.into_iter()
            .flatten()
            .any(|end| end.direction != Direction::SendRecv)
    }
}

/// How often something is played.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Repeat {
    /// Once; its end is told.
    Once,
    /// Until it is stopped.
    Forever,
}

/// A recording that is to be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordingRequest {
    /// Its name. No number stands in it.
    pub file: String,
}
