//! A trunk in a document, and how it becomes one of the state.

use std::net::IpAddr;
use std::str::FromStr;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use maskline_domain::trunk::{
    Credentials, Diversion, IdentityIn, IdentityOut, NumberForm, Privacy, PromptPolicy, Register,
    Transport, WithoutG711,
};
use maskline_domain::{PhoneNumber, Trunk, TrunkName};

use super::{take, take_text};
use crate::seal::{Sealer, Secret, TrunkSecret};

/// How long a registration lasts where nothing is said, in seconds.
const REGISTER_EXPIRES_S: u32 = 3_600;

/// The longest password, in bytes.
const SECRET_BYTES_MAX: usize = 128;

/// A trunk that should be there.
#[derive(Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WantedTrunk {
    /// Its name.
    pub name: String,
    /// The peer's address and port, or its host name; needed for a new trunk.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub peer: Option<String>,
    /// Whether calls may use it; they may use a new one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enabled: Option<bool>,
    /// How its messages travel; a new one speaks UDP.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub transport: Option<Transport>,
    /// Further addresses from which its requests come, the whole list.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sources: Option<Vec<IpAddr>>,
    /// The name that its certificate must bear; an empty text means its address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls_name: Option<String>,
    /// Whether calls are sent to it; they are to a new one. Without, it only brings them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub outgoing: Option<bool>,
    /// Calls try trunks of a lower number first; 0 in a new one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub priority: Option<u16>,
    /// Its share of the calls among those of the same priority; 0 in a new one, which comes last, by name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub weight: Option<u16>,
    /// Calls at once; 0 means no limit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub calls_max: Option<u32>,
    /// New calls a second towards it; 0 means no limit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub calls_per_s_max: Option<u32>,
    /// How often it is asked whether it is there, in seconds; 0 means never.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub options_every_s: Option<u16>,
    /// How numbers are written towards it; bare in a new one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub number_out: Option<NumberForm>,
    /// The area code of its home; an empty text takes it away.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub home_area: Option<String>,
    /// Beginnings of mobiles at home, the whole list.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub home_prefixes: Option<Vec<PhoneNumber>>,
    /// Which header says who calls; `pai` in a new one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub identity_in: Option<IdentityIn>,
    /// Whether what it asserts is believed; in a new one it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trusted: Option<bool>,
    /// Which header says towards it that X calls; `from` in a new one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub identity_out: Option<IdentityOut>,
    /// The number in `From` instead of X; an empty text takes it away.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pilot: Option<String>,
    /// Whether `Diversion` names the pilot number; not in a new one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub diverted_by_pilot: Option<bool>,
    /// What `Privacy` says towards it; a new one gets none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub privacy: Option<Privacy>,
    /// What becomes of calls that were forwarded to X; a new one's are taken.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub diversion: Option<Diversion>,
    /// The codecs that may be used, the whole list; empty means any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub codecs: Option<Vec<String>>,
    /// What becomes of calls without G.711; a new one's are relayed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub without_g711: Option<WithoutG711>,
    /// How its callers hear prompts; `early` in a new one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prompts: Option<PromptPolicy>,
    /// Whether the peer is behind NAT.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nat: Option<bool>,
    /// The address and port that it is told; an empty text takes it away.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sip_advertised: Option<String>,
    /// The address that it is told for media; an empty text takes it away.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rtp_advertised: Option<String>,
    /// With which name we answer its challenge; an empty text takes it away.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub auth_username: Option<String>,
    /// With which password. Kept sealed, never shown.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub auth_secret: Option<String>,
    /// With which name it must answer ours; an empty text takes it away.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub challenge_username: Option<String>,
    /// With which password. Kept sealed, never shown.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub challenge_secret: Option<String>,
    /// The domain that we register with; an empty text takes it away.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub registrar: Option<String>,
    /// How long a registration lasts, in seconds; 3600 where nothing is said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub register_expires_s: Option<u32>,
    /// The SIP domain that it goes by; an empty text takes it away.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub domain: Option<String>,
    /// The networks in which its media is, the whole list; empty means any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub media_networks: Option<Vec<String>>,
    /// Whose X it may show: names of carriers and keys of pools, the whole list; empty means any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub presents: Option<Vec<String>>,
    /// Which callees it takes: beginnings of their numbers, the whole list; empty means any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub routes: Option<Vec<PhoneNumber>>,
}

impl std::fmt::Debug for WantedTrunk {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("WantedTrunk")
            .field("name", &self.name)
            .field("peer", &self.peer)
            .field("enabled", &self.enabled)
            .finish_non_exhaustive()
    }
}

impl WantedTrunk {
    /// A trunk of which nothing but the name is said.
    pub fn named(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            ..Self::default()
        }
    }

    /// The trunk as it should be, given how it is. New passwords are sealed; one that is as it should
    /// be stays sealed as it is.
    ///
    /// # Errors
    /// What a new trunk lacks, or a text that is not what it should be.
    pub fn over(&self, before: Option<&Trunk>, sealer: &Sealer) -> Result<Trunk, String> {
        let name = TrunkName::new(&self.name);
        let mut trunk = match (before, &self.peer) {
            (Some(trunk), _) => trunk.clone(),
            (None, Some(peer)) => Trunk::new(name, peer.as_str()),
            (None, None) => return Err("it is not there, and a new trunk needs a peer".to_owned()),
        };
        take(&mut trunk.peer, self.peer.clone());
        take(&mut trunk.enabled, self.enabled);
        take(&mut trunk.transport, self.transport);
        take(&mut trunk.sources, self.sources.clone());
        take_text(&mut trunk.tls_name, self.tls_name.as_deref());
        take(&mut trunk.outgoing, self.outgoing);
        take(&mut trunk.priority, self.priority);
        take(&mut trunk.weight, self.weight);
        take_limit(&mut trunk.calls_max, self.calls_max);
        take_limit(&mut trunk.calls_per_s_max, self.calls_per_s_max);
        take_limit(&mut trunk.options_every_s, self.options_every_s);
        take(&mut trunk.number_out, self.number_out);
        take_number(&mut trunk.home_area, "home_area", self.home_area.as_deref())?;
        take(&mut trunk.home_prefixes, self.home_prefixes.clone());
        take(&mut trunk.identity_in, self.identity_in);
        take(&mut trunk.trusted, self.trusted);
        take(&mut trunk.identity_out, self.identity_out);
        take_number(&mut trunk.pilot, "pilot", self.pilot.as_deref())?;
        take(&mut trunk.diverted_by_pilot, self.diverted_by_pilot);
        take(&mut trunk.privacy, self.privacy);
        take(&mut trunk.diversion, self.diversion);
        if let Some(codecs) = &self.codecs {
            trunk.codecs = codecs.iter().map(|codec| codec.as_str().into()).collect();
        }
        take(&mut trunk.without_g711, self.without_g711);
        take(&mut trunk.prompts, self.prompts);
        take(&mut trunk.nat, self.nat);
        let address = "an IP address and a port, such as 192.0.2.1:5060";
        let advertised = self.sip_advertised.as_deref();
        take_parsed(
            &mut trunk.sip_advertised,
            "sip_advertised",
            advertised,
            address,
        )?;
        let advertised = self.rtp_advertised.as_deref();
        take_parsed(
            &mut trunk.rtp_advertised,
            "rtp_advertised",
            advertised,
            "an IP address",
        )?;
        trunk.auth = self.credentials(&trunk, TrunkSecret::Auth, sealer)?;
        trunk.challenge = self.credentials(&trunk, TrunkSecret::Challenge, sealer)?;
        self.take_register(&mut trunk)?;
        take_text(&mut trunk.domain, self.domain.as_deref());
        if let Some(networks) = &self.media_networks {
            let networks = networks.iter().map(|text| network(text));
            trunk.media_networks = networks.collect::<Result<_, _>>()?;
        }
        if let Some(names) = &self.presents {
            trunk.presents = names.iter().map(|name| name.as_str().into()).collect();
        }
        take(&mut trunk.routes, self.routes.clone());
        Ok(trunk)
    }

    fn credentials(
        &self,
        trunk: &Trunk,
        purpose: TrunkSecret,
        sealer: &Sealer,
    ) -> Result<Option<Credentials>, String> {
        let (before, username, secret) = match purpose {
            TrunkSecret::Auth => (&trunk.auth, &self.auth_username, &self.auth_secret),
            TrunkSecret::Challenge => (
                &trunk.challenge,
                &self.challenge_username,
                &self.challenge_secret,
            ),
        };
        let word = purpose.name();
        let username: Box<str> = match (username, before) {
            (Some(username), _) if username.is_empty() => {
                return match secret {
                    None => Ok(None),
                    Some(_) => Err(format!("{word}_secret has no name beside it")),
                };
            }
            (Some(username), _) => username.as_str().into(),
            (None, Some(before)) => before.username.clone(),
            (None, None) if secret.is_some() => {
                return Err(format!("{word}_secret has no {word}_username beside it"));
            }
            (None, None) => return Ok(None),
        };
        let sealed_secret = match (secret, before) {
            (None, Some(before)) => before.sealed_secret.clone(),
            (None, None) => return Err(format!("{word}_username has no {word}_secret beside it")),
            (Some(secret), before) => {
                if !is_password(secret) {
                    return Err(format!(
                        "{word}_secret has 1 to {SECRET_BYTES_MAX} printable characters without blanks"
                    ));
                }
                let secret = Secret::new(secret.clone().into_bytes());
                let is_kept = |kept: &Credentials| {
                    sealer.open_for_trunk(&trunk.name, purpose, &kept.sealed_secret)
                        == Ok(secret.clone())
                };
                match before.as_ref().filter(|kept| is_kept(kept)) {
                    Some(kept) => kept.sealed_secret.clone(),
                    None => sealer
                        .seal_for_trunk(&trunk.name, purpose, &secret)
                        .map_err(|error| error.to_string())?
                        .into(),
                }
            }
        };
        Ok(Some(Credentials {
            username,
            sealed_secret,
        }))
    }

    fn take_register(&self, trunk: &mut Trunk) -> Result<(), String> {
        match (&self.registrar, &mut trunk.register) {
            (Some(registrar), register) if registrar.is_empty() => *register = None,
            (Some(registrar), Some(register)) => register.registrar = registrar.as_str().into(),
            (Some(registrar), register @ None) => {
                *register = Some(Register {
                    registrar: registrar.as_str().into(),
                    expires_s: REGISTER_EXPIRES_S,
                });
            }
            (None, None) if self.register_expires_s.is_some() => {
                return Err("register_expires_s has no registrar beside it".to_owned());
            }
            (None, _) => {}
        }
        if let (Some(register), Some(expires_s)) = (&mut trunk.register, self.register_expires_s) {
            register.expires_s = expires_s;
        }
        Ok(())
    }
}

fn is_password(text: &str) -> bool {
    (1..=SECRET_BYTES_MAX).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic())
}

/// A network as it is written: CIDR, or one address alone.
fn network(text: &str) -> Result<IpNet, String> {
    if let Ok(address) = text.parse::<IpAddr>() {
        return Ok(IpNet::from(address));
    }
    let network: IpNet = text.parse().map_err(|_| {
        format!("media_networks: {text:?} is no network such as 198.51.100.0/24 or 2001:db8::/32")
    })?;
    if network.trunc() != network {
        return Err(format!(
            "media_networks: {text} is an address within a network; did you mean {}?",
            network.trunc()
        ));
    }
    Ok(network)
}

fn take_limit<T: Default + PartialEq>(into: &mut Option<T>, wanted: Option<T>) {
    if let Some(limit) = wanted {
        *into = (limit != T::default()).then_some(limit);
    }
}

fn take_number(
    into: &mut Option<PhoneNumber>,
    what: &str,
    wanted: Option<&str>,
) -> Result<(), String> {
    match wanted {
        None => {}
        Some("") => *into = None,
        Some(text) => {
            let number = PhoneNumber::parse(text).map_err(|error| format!("{what}: {error}"))?;
            *into = Some(number);
        }
    }
    Ok(())
}

fn take_parsed<T: FromStr>(
    into: &mut Option<T>,
    what: &str,
    wanted: Option<&str>,
    form: &str,
) -> Result<(), String> {
    match wanted {
        None => {}
        Some("") => *into = None,
        Some(text) => *into = Some(text.parse().map_err(|_| format!("{what} is {form}"))?),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seal::MasterKeys;

    fn sealer() -> Sealer {
        Sealer::new(&MasterKeys::parse(&hex::encode([9; 32])).expect("a key"))
    }

    fn wanted(text: &str) -> WantedTrunk {
        toml::from_str(&format!("name = \"carrier\"\n{text}")).expect("a trunk")
    }

    fn carrier(sealer: &Sealer) -> Trunk {
        wanted(
            "peer = \"192.0.2.1:5060\"\nauth_username = \"line\"\nauth_secret = \"pass\"\n\
             registrar = \"sip.example\"\ncalls_max = 30\npilot = \"057100000000\"\n\
             identity_out = \"pai\"\nnumber_out = \"+86\"\nrtp_advertised = \"192.0.2.9\"\n\
             domain = \"ims.example\"\nmedia_networks = [\"198.51.100.0/24\", \"2001:db8::7\"]\n\
             presents = [\"unicom\", \"FC12345\"]\nroutes = [\"1\", \"0571\"]",
        )
        .over(None, sealer)
        .expect("a trunk")
    }

    #[test]
    fn what_is_not_said_stays_and_what_is_empty_goes() {
        let sealer = sealer();
        let trunk = carrier(&sealer);
        assert_eq!(trunk.number_out, NumberForm::Plus);
        assert_eq!(trunk.domain.as_deref(), Some("ims.example"));
        let presented: Vec<&str> = trunk.presents.iter().map(AsRef::as_ref).collect();
        assert_eq!(presented, ["unicom", "FC12345"]);
        let routes: Vec<String> = trunk.routes.iter().map(|route| route.reveal()).collect();
        assert_eq!(routes, ["1", "0571"]);
        let media = |text: &str| trunk.has_media_at(text.parse().expect("an address"));
        assert!(media("198.51.100.77") && media("2001:db8::7") && media("::ffff:198.51.100.1"));
        assert!(!media("198.51.101.1") && !media("2001:db8::8"));
        let register = trunk.register.as_ref().expect("registers");
        assert_eq!(register.expires_s, REGISTER_EXPIRES_S);
        let same = wanted("").over(Some(&trunk), &sealer);
        assert_eq!(same.as_ref(), Ok(&trunk));
        let plain = wanted(
            "auth_username = \"\"\nregistrar = \"\"\ncalls_max = 0\npilot = \"\"\n\
             identity_out = \"from\"\nnumber_out = \"bare\"\nrtp_advertised = \"\"\n\
             domain = \"\"\nmedia_networks = []\npresents = []\nroutes = []",
        )
        .over(Some(&trunk), &sealer)
        .expect("a trunk");
        assert!(plain.is_plain(), "{plain:?}");
    }

    #[test]
    fn a_password_is_sealed_once_and_again_only_when_it_is_another() {
        let sealer = sealer();
        let trunk = carrier(&sealer);
        let auth = trunk.auth.clone().expect("credentials");
        let open = |sealed: &[u8]| sealer.open_for_trunk(&trunk.name, TrunkSecret::Auth, sealed);
        let text = open(&auth.sealed_secret).expect("ours");
        assert_eq!(text.expose(), b"pass");
        assert!(!format!("{:?}{trunk:?}", wanted("auth_secret = \"pass\"")).contains("pass"));
        let same = wanted("auth_secret = \"pass\"").over(Some(&trunk), &sealer);
        assert_eq!(same.as_ref(), Ok(&trunk));
        let other = wanted("auth_secret = \"word\"").over(Some(&trunk), &sealer);
        let other = other.expect("a trunk").auth.expect("credentials");
        assert_eq!(open(&other.sealed_secret).expect("ours").expose(), b"word");
        let renamed = wanted("auth_username = \"other\"").over(Some(&trunk), &sealer);
        let renamed = renamed.expect("a trunk").auth.expect("credentials");
        assert_eq!(renamed.sealed_secret, auth.sealed_secret);
    }

    #[test]
    fn half_a_thing_is_refused() {
        let sealer = sealer();
        for (text, why) in [
            ("", "needs a peer"),
            (
                "peer = \"192.0.2.1:5060\"\nauth_secret = \"x\"",
                "no auth_username",
            ),
            (
                "peer = \"192.0.2.1:5060\"\nauth_username = \"x\"",
                "no auth_secret",
            ),
            (
                "peer = \"192.0.2.1:5060\"\nchallenge_username = \"x\"\nchallenge_secret = \"a b\"",
                "challenge_secret has 1 to 128",
            ),
            (
                "peer = \"192.0.2.1:5060\"\nregister_expires_s = 60",
                "no registrar",
            ),
            (
                "peer = \"192.0.2.1:5060\"\nsip_advertised = \"here\"",
                "sip_advertised is",
            ),
            ("peer = \"192.0.2.1:5060\"\npilot = \"+86\"", "pilot: "),
            (
                "peer = \"192.0.2.1:5060\"\nmedia_networks = [\"198.51.100.0/33\"]",
                "no network such as",
            ),
            (
                "peer = \"192.0.2.1:5060\"\nmedia_networks = [\"198.51.100.7/24\"]",
                "did you mean 198.51.100.0/24",
            ),
        ] {
            let error = wanted(text).over(None, &sealer).expect_err(text);
            assert!(error.contains(why), "{text}: {error}");
        }
    }
}
