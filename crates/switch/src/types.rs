//! What the shell sees of a switch: settings, inputs and outputs.

use maskline_domain::call::{CallKey, Notice, Reached, Side, Sound};
use maskline_domain::call_record::CallRecord;
use maskline_domain::routing::{Route, RouteQuery};
use maskline_domain::{AccountId, PoolKey, Timestamp, ToneCode, Trunk, TrunkName};
use maskline_sip::endpoint::Peer;
use maskline_sip::hop::Hop;
use maskline_sip::message::Method;
use maskline_sip::relay::LocalMedia;
use maskline_sip::relay::{Lease, LeaseRequest, MediaPath, RecordingRequest, Repeat, Unheard};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

/// A SIP link to a carrier: as an operator defined it, and as the endpoint knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrunkPeer {
    /// What the operator says of it.
    pub definition: Trunk,
    /// The same for SIP; its number is the switch's to give.
    pub peer: Peer,
}

/// What the state said about a call.
#[derive(Debug)]
pub struct Routing {
    /// What is to be done.
    pub route: Route,
    /// The pool of X.
    pub pool: Option<PoolKey>,
    /// The account that owns the pool.
    pub account: Option<AccountId>,
    /// By which trunks the second leg may be dialled, in the order in which they are tried.
    pub trunks: Vec<TrunkPeer>,
    /// The ring tone that its caller is to hear; one that can be played.
    pub tone: Option<ToneCode>,
}

/// What a server of names says of a host name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Resolution {
    /// It has these addresses, of which the first eight count.
    Found {
        /// In the order in which they are to be used; one at least.
        addresses: Vec<IpAddr>,
        /// For how long that holds, in milliseconds; from 5 to 300 s counts.
        holds_ms: u64,
    },
    /// It does not exist, or has no address.
    NoAddress,
    /// No server of names says so, or one way or the other, in time.
    Unanswered,
}

/// What the switch is given.
pub enum Input<'a> {
    /// A SIP message.
    Datagram {
        /// From where.
        from: Hop,
        /// What.
        bytes: &'a [u8],
    },
    /// There is no connection to this hop, and none can be made.
    Unreachable(Hop),
    /// The answer to [`Output::AskRoute`]; none if the state could not be read in time.
    Routed(CallKey, Option<Box<Routing>>),
    /// The answer to [`Output::OpenRow`]: whether the row is durable.
    RowOpened(CallKey, bool),
    /// The answer to [`Output::LeaseMedia`]; none if no port is free, or nobody can carry it.
    MediaLeased(CallKey, Option<Lease>),
    /// What was to be played once has been played, or cannot be.
    Played(CallKey, Side),
    /// This side pressed a key, which came as an RTP event (RFC 4733) and cannot go on as one.
    Digit(CallKey, Side, char),
    /// The relay of this call has heard nothing for too long, or there is none any more.
    MediaLost(CallKey),
    /// The answer to [`Output::Resolve`].
    Resolved(Box<str>, Resolution),
    /// [`super::Switch::poll_timeout`] has come.
    Timeout,
    /// The trunks from which calls are taken from now on.
    Trunks(Vec<TrunkPeer>),
    /// The machine's interfaces have these addresses now. Of use only where media is received at all of them.
    Interfaces(Vec<IpAddr>),
    /// Take no new calls from now on.
    Drain,
    /// End all calls.
    HangUpAll,
    /// Give up all registrations: nobody is to be called here any more. Calls that come nevertheless are
    /// answered as before.
    Leave,
}

/// What the switch wants done.
pub enum Output {
    /// Send this SIP message.
    Send {
        /// To whom.
        to: Hop,
        /// What.
        bytes: Arc<[u8]>,
    },
    /// A request from nobody we know was refused.
    UnknownSource(Hop, Method),
    /// Media of ours has these addresses from now on: another one leads here, by a trunk or an interface.
    LocalMedia(Arc<LocalMedia>),
    /// Something has changed about a trunk, which operators want to know.
    TrunkChanged(TrunkName, TrunkChange),
    /// Ask the state for the route.
    AskRoute(CallKey, RouteQuery),
    /// Make the open row durable, with what is owed for the milestones to which the call has come by it.
    OpenRow(CallKey, Box<CallRecord>, Vec<Reached>),
    /// A call that lasts has come to a milestone. Only if something is owed for it, this is written into its open row;
    /// see [`Setup::tells_milestones`].
    Reached(CallKey, Box<CallRecord>, Reached),
    /// Find two ports for media.
    LeaseMedia(CallKey, LeaseRequest),
    /// Look up the addresses of this host name, which a description has in the place of an address. It is one
    /// by `maskline_host::is_host_name_from_root`, in small letters. An answer that takes longer than
    /// [`LOOKUP_MS`](crate::LOOKUP_MS) is too late.
    Resolve(Box<str>),
    /// Relay between these two from now on.
    Relay(CallKey, MediaPath),
    /// This side may be sent so much before it has been heard, from now on.
    Unheard(CallKey, Side, Unheard),
    /// Play this to one side, in place of what comes from the other.
    Play(CallKey, Side, Sound, Repeat),
    /// Play no more to this side.
    StopPlaying(CallKey, Side),
    /// Record both sides from now on, until the end of the call.
    Record(CallKey, RecordingRequest),
    /// Send this key to one side as an RTP event (RFC 4733).
    SendDigit(CallKey, Side, char),
    /// The call is over. Stop its relay if it has one; close its record if it has one, with what is owed for the
    /// milestones to which the call has come by it. Whether there is a recording is not among them: that is known once
    /// the relay has stopped.
    Finish(CallKey, Option<Box<CallRecord>>, Vec<Reached>),
}

/// What can change about a trunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TrunkChange {
    /// It does not answer, and is tried last.
    Unreachable,
    /// It answers, at this place.
    Reachable(Hop),
    /// It answers after it did not.
    ReachableAgain(Hop),
    /// It answers at another place than before.
    Elsewhere(Hop),
    /// Our registration with it holds.
    Registered,
    /// Its registrar refuses us, with this status.
    RegistrationRefused(u16),
    /// Its registrar does not answer.
    RegistrarSilent,
}

/// What the switch starts with.
#[derive(Clone, Debug)]
pub struct Setup {
    /// The address that peers are told for signalling.
    pub advertised: SocketAddr,
    /// The same within TLS.
    pub advertised_tls: Option<SocketAddr>,
    /// The host names by which peers ask for us; see [`maskline_sip::endpoint::Config::domains`].
    pub domains: Vec<String>,
    /// The name of this node, for the records.
    pub node: String,
    /// The name of this run of the process, for the records.
    pub boot: String,
    /// The most calls at once.
    pub calls_max: usize,
    /// The most calls at once on one X. Numbers that forward to each other stop there, since the telephone
    /// network forgets how often a call was passed on.
    pub per_x_max: usize,
    /// The most calls at once by one caller.
    pub per_caller_max: usize,
    /// The longest call, in seconds.
    pub duration_max_s: u32,
    /// Who is told that a call is recorded.
    pub notice: Notice,
    /// Where media is received.
    pub local_media: Arc<LocalMedia>,
    /// What a party may be sent before anything has come from where its description says it is, if its trunk
    /// says nothing of its media and anybody could have sent its INVITE, in bytes.
    pub unheard_bytes_max: u32,
    /// Whether [`Output::Reached`] is wanted, which costs a copy of the record.
    pub tells_milestones: bool,
    /// A fresh secret.
    pub seed: [u8; 32],
}

/// The name of a recording within the directory of recordings, by the day in China on which the call was
/// answered: `2026-11-25/CALL-ID.wav`.
pub fn recording_file(answered_at: Timestamp, call_id: &str) -> String {
    let day: String = answered_at.format_china().chars().take(10).collect();
    format!("{day}/{call_id}.wav")
}
