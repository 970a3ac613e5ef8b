//! Trunks: the SIP connections to carriers, as the state knows them.
//!
//! Here is what can be said of one; `check` refuses what cannot be meant, `fit` says whether a call may leave by
//! a trunk, `choice` which of those it tries and in which order, `form` how numbers look on a trunk's wire, `peer`
//! how the place of a peer is written, and `weights` draws by weight.

mod check;
mod choice;
mod fit;
mod form;
mod peer;
mod weights;

use std::fmt;
use std::net::{IpAddr, SocketAddr};

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use crate::account::name_type;
use crate::number::PhoneNumber;

pub(crate) use check::check;
pub use check::{
    CODECS_MAX, HOME_PREFIXES_MAX, MEDIA_NETWORKS_MAX, PRESENTS_MAX, ROUTES_MAX, SOURCES_MAX,
};
pub use choice::{Candidate, Load, TRUNKS_TRIED_MAX, candidates, to_try};
pub use fit::{Misfit, Outbound, fits, nearest_misfit};
pub use form::{NumberForm, read};
pub use peer::PeerAddress;

name_type!(
    /// The name of a trunk.
    TrunkName
);

/// A link over which calls come in and go out.
///
/// A journal keeps trunks for ever: every field but the first three has a default, which is how a
/// trunk was before it could be said, and a field that an older program would overlook raises
/// [`Trunk::oldest_reader`]. For snapshots see [`Row`](crate::Row).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trunk {
    /// Its name, unique.
    pub name: TrunkName,
    /// Where the peer is, and where it sends from: an IP address and a port, or a host name that is looked up,
    /// with or without a port; see [`PeerAddress`].
    pub peer: String,
    /// Whether calls may use it.
    pub enabled: bool,
    /// How its messages travel.
    #[serde(default)]
    pub transport: Transport,
    /// Further addresses from which its requests come.
    #[serde(default)]
    pub sources: Vec<IpAddr>,
    /// The name that the peer's certificate must bear; its IP address where none is given.
    #[serde(default)]
    pub tls_name: Option<Box<str>>,
    /// Whether calls are sent to it. A number that is reached is told only to trunks that call it, so a
    /// link that only brings calls learns of nobody.
    #[serde(default = "yes")]
    pub outgoing: bool,
    /// Calls try trunks of a lower number first.
    #[serde(default)]
    pub priority: u16,
    /// Its share of the calls among those of the same priority. Those without one come last, by name.
    #[serde(default)]
    pub weight: u16,
    /// Calls at once, both directions together.
    #[serde(default)]
    pub calls_max: Option<u32>,
    /// New calls a second towards it.
    #[serde(default)]
    pub calls_per_s_max: Option<u32>,
    /// How often it is asked with OPTIONS whether it is there, in seconds; never if none is given.
    #[serde(default)]
    pub options_every_s: Option<u16>,
    /// How numbers are written towards it. Reading takes every form.
    #[serde(default)]
    pub number_out: NumberForm,
    /// The area code of its home, such as 0571: a landline that comes without one is of there.
    #[serde(default)]
    pub home_area: Option<PhoneNumber>,
    /// Mobiles that begin so are at home; with [`NumberForm::Zero`] the others get a 0.
    #[serde(default)]
    pub home_prefixes: Vec<PhoneNumber>,
    /// Which header says who calls.
    #[serde(default)]
    pub identity_in: IdentityIn,
    /// Whether what the peer asserts is believed; without it only `From` is read (RFC 3325).
    #[serde(default = "yes")]
    pub trusted: bool,
    /// Which header says towards it who calls, which is X.
    #[serde(default)]
    pub identity_out: IdentityOut,
    /// The line's own number: it stands in `From` where another header says who calls.
    #[serde(default)]
    pub pilot: Option<PhoneNumber>,
    /// Whether `Diversion` names the pilot number, for peers that let foreign numbers pass only in calls
    /// that their customer forwards.
    #[serde(default)]
    pub diverted_by_pilot: bool,
    /// What `Privacy` says towards it.
    #[serde(default)]
    pub privacy: Privacy,
    /// What becomes of calls that were forwarded to X. What they tell of it is never passed on.
    #[serde(default)]
    pub diversion: Diversion,
    /// The codecs that may be used, by their names in SDP, the best first; any if there are none.
    #[serde(default)]
    pub codecs: Vec<Box<str>>,
    /// What becomes of calls whose sides do not have G.711 in common.
    #[serde(default)]
    pub without_g711: WithoutG711,
    /// How its callers hear what we have to say.
    #[serde(default)]
    pub prompts: PromptPolicy,
    /// Whether the peer is behind NAT: media is sent to where the first packet came from.
    #[serde(default)]
    pub nat: bool,
    /// The address and port that this peer is told for signalling.
    #[serde(default)]
    pub sip_advertised: Option<SocketAddr>,
    /// The address that this peer is told for media.
    #[serde(default)]
    pub rtp_advertised: Option<IpAddr>,
    /// With what we answer when the peer asks who we are.
    #[serde(default)]
    pub auth: Option<Credentials>,
    /// What the peer must answer before its calls are taken.
    #[serde(default)]
    pub challenge: Option<Credentials>,
    /// Where we tell that we are here, if the peer wants it.
    #[serde(default)]
    pub register: Option<Register>,
    /// The SIP domain that the peer goes by, where it is not where its next hop is: a host name or an IP
    /// address. It stands in Request-URI, `To` and `From`, and in the address of record that is registered.
    #[serde(default)]
    pub domain: Option<Box<str>>,
    /// Networks in which the peer's media is; any if there are none.
    #[serde(default)]
    pub media_networks: Vec<IpNet>,
    /// Whose X it may show: names of carriers, each for all pools that name it, and keys of pools; at most
    /// [`PRESENTS_MAX`]. Any X if there are none.
    #[serde(default)]
    pub presents: Vec<Box<str>>,
    /// Which callees it takes: beginnings of their numbers in national form, such as 1, 0571 or 95; at most
    /// [`ROUTES_MAX`]. Any callee if there are none.
    #[serde(default)]
    pub routes: Vec<PhoneNumber>,
}

/// A name and a sealed password for digest authentication.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Credentials {
    /// The name.
    pub username: Box<str>,
    /// The password, sealed under a master key that the state never sees.
    pub sealed_secret: Box<[u8]>,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials")
            .field("username", &self.username)
            .finish_non_exhaustive()
    }
}

/// A registration with the peer, under the name of [`Trunk::auth`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Register {
    /// The domain that is registered with: a name or an address. REGISTER itself goes to the peer.
    pub registrar: Box<str>,
    /// How long a registration is to last, in seconds; the registrar may shorten it.
    pub expires_s: u32,
}

/// How messages travel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Transport {
    /// Datagrams.
    #[default]
    Udp,
    /// A connection.
    Tcp,
    /// A connection that nobody reads along.
    Tls,
}

/// Which header says who calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum IdentityIn {
    /// `P-Asserted-Identity` (RFC 3325); `From` if there is none.
    #[default]
    Pai,
    /// `Remote-Party-ID`; `From` if there is none.
    Rpid,
    /// `From`.
    From,
}

/// A header that can say who calls. `From` says it too where there is no pilot number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum IdentityOut {
    /// `From` alone.
    #[default]
    From,
    /// `P-Asserted-Identity` (RFC 3325).
    Pai,
    /// `P-Preferred-Identity` (RFC 3325).
    Ppi,
    /// `Remote-Party-ID`.
    Rpid,
}

/// What `Privacy` (RFC 3323) says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Privacy {
    /// The header is left out.
    #[default]
    Omit,
    /// `none`: X is to be shown.
    None,
    /// `id`: the peer knows X, the callee does not see it.
    Id,
}

/// What becomes of a call that was forwarded to X (`Diversion`, RFC 5806; `History-Info`, RFC 7044).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Diversion {
    /// It is taken like any other.
    #[default]
    Ignore,
    /// It is refused: nobody needs to forward to an X number, and loops begin so.
    Refuse,
}

/// What becomes of a call without G.711, which we can neither record nor speak into.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WithoutG711 {
    /// It is relayed without prompts and recording, and its record says so.
    #[default]
    Relay,
    /// It is refused with 488.
    Refuse,
}

/// How callers hear what we have to say about a call that is not connected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PromptPolicy {
    /// As early media, before the refusal.
    #[default]
    Early,
    /// After answering; for peers that carry no sound before.
    Answer,
    /// Not at all.
    None,
}

impl Trunk {
    /// An enabled trunk of which no more is said than where it is.
    pub fn new(name: TrunkName, peer: impl Into<String>) -> Self {
        Self {
            name,
            peer: peer.into(),
            enabled: true,
            transport: Transport::default(),
            sources: Vec::new(),
            tls_name: None,
            outgoing: yes(),
            priority: 0,
            weight: 0,
            calls_max: None,
            calls_per_s_max: None,
            options_every_s: None,
            number_out: NumberForm::default(),
            home_area: None,
            home_prefixes: Vec::new(),
            identity_in: IdentityIn::default(),
            trusted: yes(),
            identity_out: IdentityOut::default(),
            pilot: None,
            diverted_by_pilot: false,
            privacy: Privacy::default(),
            diversion: Diversion::default(),
            codecs: Vec::new(),
            without_g711: WithoutG711::default(),
            prompts: PromptPolicy::default(),
            nat: false,
            sip_advertised: None,
            rtp_advertised: None,
            auth: None,
            challenge: None,
            register: None,
            domain: None,
            media_networks: Vec::new(),
            presents: Vec::new(),
            routes: Vec::new(),
        }
    }

    /// Whether no more is said of it than a name, a place, and whether it is enabled: what the first
    /// form of a trunk could hold.
    pub fn is_plain(&self) -> bool {
        let plain = Self {
            enabled: self.enabled,
            ..Self::new(self.name.clone(), self.peer.as_str())
        };
        *self == plain
    }

    /// The oldest reader of a journal that does not overlook what is said of it: 1 where it is plain, 3 where
    /// it has a domain, media networks or a host name for a peer, 5 where it does not take every call, else 2.
    pub fn oldest_reader(&self) -> u32 {
        let has_name = matches!(self.address(), Some(PeerAddress::Name { .. }));
        match self {
            _ if !self.presents.is_empty() || !self.routes.is_empty() => 5,
            _ if has_name || self.domain.is_some() || !self.media_networks.is_empty() => 3,
            _ if self.is_plain() => 1,
            _ => 2,
        }
    }

    /// Where the peer is, read; none for a text that no new trunk may have.
    pub fn address(&self) -> Option<PeerAddress> {
        PeerAddress::parse(&self.peer)
    }

    /// Whether the peer's media may be at this address.
    pub fn has_media_at(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        let mut networks = self.media_networks.iter();
        self.media_networks.is_empty() || networks.any(|network| network.contains(&address))
    }

    /// A number as it is written towards this trunk.
    pub fn write(&self, number: PhoneNumber) -> String {
        self.number_out.write(number, &self.home_prefixes)
    }

    /// A number as it came from this trunk's wire, read into the national form; see [`read`].
    pub fn read(&self, text: &str) -> Option<PhoneNumber> {
        read(text, self.home_area)
    }
}

/// The default of [`Trunk::trusted`].
fn yes() -> bool {
    true
}
