//! What the shell sees of an endpoint: settings, inputs, outputs and events.

use crate::digest::Credentials;
use crate::hop::{Hop, Transport};
use crate::identity::Identity;
use crate::message::{Message, Method};
use crate::time::Time;
use crate::transaction::Timing;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

/// How an endpoint presents itself, and its bounds.
#[derive(Clone, Debug)]
pub struct Config {
    /// The address that others are to answer: it stands in our `Via` and `Contact`.
    pub advertised: SocketAddr,
    /// The same for streams, where it is another.
    pub advertised_tcp: Option<SocketAddr>,
    /// The same for TLS.
    pub advertised_tls: Option<SocketAddr>,
    /// T1, T2 and T4.
    pub timing: Timing,
    /// The most legs at once. Beyond it a new call gets 503.
    pub legs_max: usize,
    /// The most transactions of others at once. Beyond it a new call gets 503, and at twice as many
    /// every request.
    pub transactions_max: usize,
    /// The longest that a leg may go without a final answer; a last resort, the call's own limit is shorter.
    pub ring_max: Duration,
    /// What `Retry-After` says with a 503, in seconds.
    pub retry_after_s: u16,
    /// How long a call may go without being refreshed by one side (RFC 4028), in seconds, at least
    /// `min_se_s`; 0: we do not ask for it.
    pub session_expires_s: u32,
    /// The shortest such time that we agree to, in seconds, at least 90.
    pub min_se_s: u32,
    /// The realm of our own challenges.
    pub realm: String,
    /// The host names by which others ask for us. Credentials that answer a challenge of ours must be for one of
    /// them or for an address of ours; without any, for the host of the Request-URI or an address of ours.
    pub domains: Vec<String>,
}

impl Config {
    /// Usual bounds: 10,000 legs, 100,000 transactions, six minutes of ringing; calls refreshed each half hour.
    pub fn new(advertised: SocketAddr) -> Self {
        Self {
            advertised,
            advertised_tcp: None,
            advertised_tls: None,
            timing: Timing::default(),
            legs_max: 10_000,
            transactions_max: 100_000,
            ring_max: Duration::from_secs(360),
            retry_after_s: 5,
            session_expires_s: 1_800,
            min_se_s: 90,
            realm: "maskline".to_owned(),
            domains: Vec::new(),
        }
    }

    /// What others are told of us, by this transport.
    pub fn advertised_by(&self, transport: Transport) -> SocketAddr {
        let other = match transport {
            Transport::Udp => None,
            Transport::Tcp => self.advertised_tcp,
            Transport::Tls => self.advertised_tls,
        };
        other.unwrap_or(self.advertised)
    }
}

/// One leg, for as long as the endpoint lives; never used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LegId(pub(super) u64);

impl LegId {
    /// The number, for logs.
    pub fn as_u64(self) -> u64 {
        self.0
    }
}

/// Someone whose calls we take. What the number means is the shell's business.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PeerId(pub u32);

/// A peer and where its requests come from. One whose address and port fit is found first, then one
/// whose address fits, since many send from other ports than they listen on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer {
    /// Who.
    pub id: PeerId,
    /// From where, and where calls to it are sent.
    pub hop: Hop,
    /// Further places where it is, tried in this order where the first does not answer (RFC 3263
    /// section 4.3).
    pub fallbacks: Vec<Hop>,
    /// What stands as the host in the Request-URI of a probe, where it is not the address of the hop: a name
    /// or an address, IPv6 in brackets.
    pub host: Option<String>,
    /// Further addresses from which its requests come.
    pub sources: Vec<IpAddr>,
    /// Whether it is behind NAT, so that its `Via` and `Contact` tell addresses that only its own network
    /// knows: it is answered, and asked within a dialog, where its last message came from.
    pub nat: bool,
    /// What we answer when it asks who we are. Of two peers with the same hop those of the first count.
    pub credentials: Option<Credentials>,
    /// What it must answer before it may call, and before it may ask anything within a call.
    pub challenge: Option<Credentials>,
    /// Where we must have registered, for its calls to reach us.
    pub registration: Option<Registration>,
    /// How often it is asked whether it is there, in seconds; at least 5.
    pub probe_every_s: Option<u16>,
    /// The address that it is told of us over the transport of its hop, where it is not the usual one.
    pub advertised: Option<SocketAddr>,
}

impl Peer {
    /// The addresses that are its own: where calls to it are sent, and from where its requests come.
    pub fn addresses(&self) -> impl Iterator<Item = IpAddr> {
        let places = self.hops().map(|hop| hop.address.ip());
        places.chain(self.sources.iter().copied())
    }

    /// Whether an address is its own, at any port and by any transport.
    pub fn is_at(&self, address: IpAddr) -> bool {
        self.addresses().any(|own| own == address)
    }

    /// A peer that is known by its address alone.
    pub fn new(id: PeerId, hop: Hop) -> Self {
        Self {
            id,
            hop,
            fallbacks: Vec::new(),
            host: None,
            sources: Vec::new(),
            nat: false,
            credentials: None,
            challenge: None,
            registration: None,
            probe_every_s: None,
            advertised: None,
        }
    }

    /// Where it is, the place to try first at first.
    pub fn hops(&self) -> impl Iterator<Item = Hop> + '_ {
        [self.hop].into_iter().chain(self.fallbacks.iter().copied())
    }
}

/// A place in a registrar's list (RFC 3261 section 10). The REGISTER goes to the peer's hop.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Registration {
    /// The address of record, such as `sip:user@carrier.example`.
    pub address_of_record: String,
    /// The Request-URI of REGISTER, such as `sip:carrier.example`; the host of the address of record where
    /// none is given.
    pub registrar: Option<String>,
    /// The user part of our Contact: what the carrier then sends its calls to.
    pub contact_user: String,
    /// The lifetime that is asked for, in seconds: 60 to 86,400.
    pub expires_s: u32,
}

/// How a registration is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RegistrationState {
    /// Until when the registrar keeps us, on the clock that never jumps; none where it does not.
    pub until: Option<Time>,
    /// How the last attempt failed: the status of the registrar, 408 where nobody answered, 503 where there
    /// was no connection either. None after a success, and before the first has ended.
    pub failed: Option<u16>,
    /// Whether that was the registrar's own word, and not silence.
    pub is_refused: bool,
}

/// A call to be made. Nothing in it may come from the other party's messages.
#[derive(Clone)]
pub struct Dial {
    /// Where the INVITE is sent.
    pub hop: Hop,
    /// The Request-URI and `To`.
    pub target: String,
    /// Who we say is calling.
    pub identity: Identity,
    /// What is left of the caller's Max-Forwards.
    pub max_forwards: u8,
    /// The offer.
    pub sdp: Vec<u8>,
}

/// A final answer other than success.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// 300 to 699.
    pub status: u16,
    /// A Q.850 cause for the `Reason` header (RFC 3326, RFC 6432).
    pub cause: Option<u8>,
}

/// What is wrong with a description that is refused, for a `Warning` header (RFC 3261 section 20.43).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Warning {
    /// 301: its media is at an address of a kind that we do not have.
    AddressFormat,
    /// 399: media that is sent where it says would come back to the call.
    MediaLoop,
    /// 399: it names a host of which no address is known.
    Host,
}

impl Warning {
    /// The value of the header; `agent` is our host, and port if it is not the usual one.
    pub(super) fn value(self, agent: &str) -> String {
        match self {
            Self::AddressFormat => {
                format!("301 {agent} \"Incompatible network address formats\"")
            }
            Self::MediaLoop => format!("399 {agent} \"Media would come back to the call\""),
            Self::Host => format!("399 {agent} \"No address was found for the host name in c=\""),
        }
    }
}

/// What the endpoint is given.
pub enum Input<'a> {
    /// A datagram came, or a message that [`crate::stream::Framer`] cut out of a stream.
    Datagram {
        /// From where.
        from: Hop,
        /// What.
        bytes: &'a [u8],
    },
    /// [`super::Endpoint::poll_timeout`] has come.
    Timeout,
    /// Call someone on a leg that [`super::Endpoint::new_leg`] gave.
    Dial(LegId, Dial),
    /// Tell the caller about progress: 180 to 183, perhaps with early media. With SDP it is sent reliably
    /// where the caller can (RFC 3262); for an INVITE without SDP the SDP is our offer, and goes only reliably.
    Progress(LegId, u16, Option<Vec<u8>>),
    /// Answer the caller with this SDP: our answer, or our offer if the INVITE had none.
    Answer(LegId, Vec<u8>),
    /// Refuse the caller.
    Refuse(LegId, Refusal),
    /// The same, and say what is wrong with its media.
    RefuseFor(LegId, Refusal, Warning),
    /// Answer [`Event::Offered`] with this SDP: our answer, or our offer if theirs had none. Nothing happens
    /// after [`Event::OfferWithdrawn`].
    AcceptOffer(LegId, Vec<u8>),
    /// Decline [`Event::Offered`] with this status, 400 to 699; what was agreed before stays.
    RefuseOffer(LegId, u16),
    /// The same, and say what is wrong with it.
    RefuseOfferFor(LegId, u16, Warning),
    /// Offer a change of the media: by re-INVITE, or by UPDATE before the answer. What cannot be sent yet
    /// (no ACK yet, no UPDATE before the answer, a refresh under way) waits. While another offer is under
    /// way, ours or theirs, the reply is [`Event::OfferRefused`] with 491.
    Offer(LegId, Vec<u8>),
    /// Send INFO with this type and this body. At most eight may be without an answer; more are dropped.
    Info(LegId, Vec<u8>, Vec<u8>),
    /// End the leg whatever its state, giving a Q.850 cause if there is one.
    HangUp(LegId, Option<u8>),
    /// There is no connection to this hop and none can be made: what was sent there is lost.
    Unreachable(Hop),
}

/// What the endpoint wants done.
pub enum Output {
    /// Send this message.
    Send {
        /// To whom.
        to: Hop,
        /// What.
        bytes: Arc<[u8]>,
    },
    /// The call must hear of this.
    Event(Event),
}

/// What happened on a leg.
#[derive(Debug)]
pub enum Event {
    /// A peer calls. Nothing but 100 has been answered.
    Incoming {
        /// The new leg.
        leg: LegId,
        /// Who calls.
        peer: PeerId,
        /// The INVITE as it came.
        invite: Arc<Message>,
        /// Hops that the caller has left, at least 1.
        max_forwards: u8,
    },
    /// Who calls has shown that it is where its INVITE came from, and gets what we send there: by a connection,
    /// a password, or a message that has our tag. Anybody can write an address on a datagram. Told once, at the
    /// latest with [`Event::Confirmed`] if the peer itself confirms, and perhaps never: a proxy need not stay on
    /// the way.
    SourceVerified {
        /// The leg.
        leg: LegId,
    },
    /// Whoever was dialled has the INVITE (100): it is not lost. Told once.
    Trying {
        /// The leg.
        leg: LegId,
    },
    /// The called side is ringing, or has something to say before it answers.
    Progress {
        /// The leg.
        leg: LegId,
        /// 101 to 199.
        status: u16,
        /// Its SDP, if any: early media.
        sdp: Option<Box<[u8]>>,
    },
    /// The called side answered. It has been acknowledged.
    Answered {
        /// The leg.
        leg: LegId,
        /// Its SDP, that of its provisional response if the answer has none; none at all is its fault.
        sdp: Option<Box<[u8]>>,
    },
    /// The called side did not answer. The leg is over.
    Refused {
        /// The leg.
        leg: LegId,
        /// Its status; 408 if it stayed silent, 503 if we are full.
        status: u16,
        /// The Q.850 cause it gave.
        cause: Option<u8>,
        /// Whether the status is ours, since nobody answered.
        silent: bool,
    },
    /// The caller has our answer: both sides know that the call stands.
    Confirmed {
        /// The leg.
        leg: LegId,
        /// Its answer, if our SDP was the offer. None then is a fault of the other side.
        sdp: Option<Vec<u8>>,
    },
    /// The other side offers a change of the media, or asks us to offer. To be answered within 20 s by
    /// [`Input::AcceptOffer`] or [`Input::RefuseOffer`], or else it is withdrawn. A repetition of what it said
    /// before is no event.
    Offered {
        /// The leg.
        leg: LegId,
        /// Its offer; none: it wants ours, and its answer comes as [`Event::OfferAccepted`].
        sdp: Option<Vec<u8>>,
        /// Whether the request may take its time, since it is an INVITE. Others are to be answered at once where
        /// that can be (RFC 3311 section 5.2).
        can_wait: bool,
    },
    /// What was told by [`Event::Offered`] is over without our answer: the other side took it back, or the
    /// 20 s have passed. It has been refused, and what was agreed before stays.
    OfferWithdrawn {
        /// The leg.
        leg: LegId,
    },
    /// The other side answered our offer, or said something new in its answer to a refresh.
    OfferAccepted {
        /// The leg.
        leg: LegId,
        /// Its answer; empty if it took the offer without one.
        sdp: Vec<u8>,
    },
    /// Our offer was not taken; what was agreed before stays.
    OfferRefused {
        /// The leg.
        leg: LegId,
        /// Its status; 408 if it stayed silent, 488 if its ACK had no answer, 491 if offers cross.
        status: u16,
    },
    /// The other side sent INFO about keys. It has been answered.
    Info {
        /// The leg.
        leg: LegId,
        /// Without parameters, in lower case: `application/dtmf-relay` or `application/dtmf`.
        content_type: Vec<u8>,
        /// The body.
        body: Vec<u8>,
    },
    /// The caller gave up before an answer. The leg is over.
    Cancelled {
        /// The leg.
        leg: LegId,
        /// The Q.850 cause it gave.
        cause: Option<u8>,
    },
    /// The call was ended by the other side of this leg. The leg is over.
    Ended {
        /// The leg.
        leg: LegId,
        /// The Q.850 cause it gave.
        cause: Option<u8>,
        /// Whether it no longer spoke to us, so that we ended it: no ACK, no answer to a change of the media,
        /// no refresh.
        silent: bool,
    },
    /// A request from nobody we know was refused.
    UnknownSource {
        /// From where.
        from: Hop,
        /// What was asked.
        method: Method,
    },
    /// A peer answers again, or at another of its places, or no more; one that refuses our registration does
    /// not count as answering. Not told before the first probe or registration has ended.
    PeerState {
        /// Which peer.
        peer: PeerId,
        /// Whether calls to it make sense.
        reachable: bool,
        /// Where it was asked last.
        at: Hop,
    },
    /// A registration succeeded for the first time, or again, or was lost.
    Registered {
        /// With which peer.
        peer: PeerId,
        /// Its status: 200, or why not; 408 if it stayed silent.
        status: u16,
    },
}

impl Event {
    /// The leg on which it happened; none for what is of no leg.
    pub fn leg(&self) -> Option<LegId> {
        match self {
            Self::Incoming { leg, .. }
            | Self::SourceVerified { leg }
            | Self::Trying { leg }
            | Self::Progress { leg, .. }
            | Self::Answered { leg, .. }
            | Self::Refused { leg, .. }
            | Self::Confirmed { leg, .. }
            | Self::Offered { leg, .. }
            | Self::OfferWithdrawn { leg }
            | Self::OfferAccepted { leg, .. }
            | Self::OfferRefused { leg, .. }
            | Self::Info { leg, .. }
            | Self::Cancelled { leg, .. }
            | Self::Ended { leg, .. } => Some(*leg),
            Self::PeerState { .. } | Self::Registered { .. } | Self::UnknownSource { .. } => None,
        }
    }
}

/// What has been counted since the start: things that leave no other trace.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Datagrams that were not SIP.
    pub not_sip: u64,
    /// Requests that lacked something.
    pub malformed: u64,
    /// Requests from nobody we know.
    pub unknown_sources: u64,
    /// Requests of peers about calls that do not exist, or that are not theirs.
    pub astray: u64,
    /// New calls refused by the [`Screen`](super::Screen).
    pub screened: u64,
    /// Requests whose sender did not authenticate itself; those that were only asked to are left out.
    pub unauthenticated: u64,
    /// Responses to nothing we asked.
    pub stray_responses: u64,
    /// Requests turned away because we are full.
    pub overload: u64,
}
