//! The forms in which snapshots keep a trunk, from the first to the one that holds whatever is said of it.

use std::net::{IpAddr, SocketAddr};

use serde::Deserialize;

use crate::event::READER;
use crate::number::PhoneNumber;
use crate::trunk::{
    Credentials, Diversion, IdentityIn, IdentityOut, NumberForm, Privacy, PromptPolicy, Register,
    Transport, Trunk, TrunkName, WithoutG711,
};

/// The first form of a trunk. What it can hold is kept in it, so that a state has the same digest
/// whichever release wrote it down.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct PlainTrunk {
    pub(super) name: TrunkName,
    peer: String,
    enabled: bool,
}

/// The second form of a trunk: every field that there was, in its place. Kept for the same reason.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct LinkTrunk {
    pub(super) name: TrunkName,
    peer: String,
    enabled: bool,
    transport: Transport,
    sources: Vec<IpAddr>,
    tls_name: Option<Box<str>>,
    outgoing: bool,
    priority: u16,
    weight: u16,
    calls_max: Option<u32>,
    calls_per_s_max: Option<u32>,
    options_every_s: Option<u16>,
    number_out: NumberForm,
    home_area: Option<PhoneNumber>,
    home_prefixes: Vec<PhoneNumber>,
    identity_in: IdentityIn,
    trusted: bool,
    identity_out: IdentityOut,
    pilot: Option<PhoneNumber>,
    diverted_by_pilot: bool,
    privacy: Privacy,
    diversion: Diversion,
    codecs: Vec<Box<str>>,
    without_g711: WithoutG711,
    prompts: PromptPolicy,
    nat: bool,
    sip_advertised: Option<SocketAddr>,
    rtp_advertised: Option<IpAddr>,
    auth: Option<Credentials>,
    challenge: Option<Credentials>,
    register: Option<Register>,
}

/// The form of every other trunk: a document that has names, so that it survives new fields.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "Written")]
pub struct TrunkDocument(pub(super) Box<Trunk>);

/// A [`TrunkDocument`] as it stands in a row.
#[derive(Deserialize)]
struct Written {
    /// The oldest reader that overlooks nothing in it; see [`Trunk::oldest_reader`].
    oldest_reader: u32,
    /// JSON, in which only stands what is not as in every trunk: a field of a later release changes
    /// nothing in the documents of those who do not use it, and so neither their digest.
    json: String,
}

impl TryFrom<Written> for TrunkDocument {
    type Error = String;

    fn try_from(written: Written) -> Result<Self, String> {
        if written.oldest_reader > READER {
            return Err("a trunk was written by a newer program".to_owned());
        }
        let trunk = serde_json::from_str(&written.json).map_err(|error| error.to_string())?;
        Ok(Self(Box::new(trunk)))
    }
}

impl From<PlainTrunk> for Trunk {
    fn from(plain: PlainTrunk) -> Self {
        Trunk {
            enabled: plain.enabled,
            ..Trunk::new(plain.name, plain.peer)
        }
    }
}

/// A trunk of its second form, field by field.
macro_rules! link_fields {
    ($($field:ident),* $(,)?) => {
        impl From<LinkTrunk> for Trunk {
            fn from(link: LinkTrunk) -> Self {
                Trunk { $($field: link.$field,)* ..Trunk::new(link.name, link.peer) }
            }
        }
    };
}

link_fields!(
    enabled,
    transport,
    sources,
    tls_name,
    outgoing,
    priority,
    weight,
    calls_max,
    calls_per_s_max,
    options_every_s,
    number_out,
    home_area,
    home_prefixes,
    identity_in,
    trusted,
    identity_out,
    pilot,
    diverted_by_pilot,
    privacy,
    diversion,
    codecs,
    without_g711,
    prompts,
    nat,
    sip_advertised,
    rtp_advertised,
    auth,
    challenge,
    register,
);
