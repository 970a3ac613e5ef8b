//! A trunk as the operator describes it, turned into what the SIP endpoint takes: a peer, and who we say is
//! calling. The one place where both vocabularies meet.

use crate::numbers;
use maskline_domain::PhoneNumber;
use maskline_domain::trunk::{self, PeerAddress, Trunk};
use maskline_sip::digest::Credentials;
use maskline_sip::endpoint::{Peer, PeerId, Registration};
use maskline_sip::hop::{Hop, Transport};
use maskline_sip::identity::{Caller, Identity, IdentityIn, Privacy, Shown};
use maskline_sip::message::Message;
use maskline_sip::uri::{host_text, sip_uri_at};
use std::net::{Ipv6Addr, SocketAddr};

/// By what a trunk is reached.
pub fn transport(trunk: &Trunk) -> Transport {
    match trunk.transport {
        trunk::Transport::Udp => Transport::Udp,
        trunk::Transport::Tcp => Transport::Tcp,
        trunk::Transport::Tls => Transport::Tls,
    }
}

/// Where a trunk is that names an address; none for one that names a host.
pub fn hop(trunk: &Trunk) -> Option<Hop> {
    match trunk.address()? {
        PeerAddress::Socket(address) => Some(Hop::new(transport(trunk), address)),
        PeerAddress::Name { .. } => None,
    }
}

/// The name that a trunk's certificate must bear, where it is not its address (RFC 5922 section 4): what the
/// operator says, else the host that was looked up, for whoever answers the look-up is not believed.
pub fn tls_name(trunk: &Trunk) -> Option<Box<str>> {
    trunk.tls_name.clone().or_else(|| match trunk.address()? {
        PeerAddress::Name { host, .. } => Some(host),
        PeerAddress::Socket(_) => None,
    })
}

/// The host of URIs that are of this trunk's domain: what the operator says, else the name of its peer (RFC
/// 3263 section 4: what is looked up is the next hop, the URI stays). None where the address stands there.
pub fn host(trunk: &Trunk) -> Option<String> {
    if let Some(domain) = &trunk.domain {
        return Some(host_of(domain));
    }
    match trunk.address()? {
        PeerAddress::Name { host, port: None } => Some(host.into()),
        PeerAddress::Name {
            host,
            port: Some(port),
        } => Some(format!("{host}:{port}")),
        PeerAddress::Socket(_) => None,
    }
}

/// A domain as it stands in a URI.
fn host_of(domain: &str) -> String {
    match domain.parse::<Ipv6Addr>() {
        Ok(address) => format!("[{address}]"),
        Err(_) => domain.to_owned(),
    }
}

/// The Request-URI by which a number is called at this place of a trunk.
pub fn target(trunk: &Trunk, number: PhoneNumber, place: SocketAddr) -> String {
    let host = host(trunk).unwrap_or_else(|| host_text(place));
    sip_uri_at(&trunk.write(number), &host)
}

/// The passwords of a trunk in the clear, for those that it has.
#[derive(Clone, Debug, Default)]
pub struct Passwords {
    /// By which we prove ourselves to it.
    pub auth: Option<Credentials>,
    /// By which it proves itself to us.
    pub challenge: Option<Credentials>,
}

/// The trunk as a peer of the endpoint, at these places; none where there are none. Calls from it are taken
/// whether it is enabled or not: that is for the caller of this to decide. Without passwords it neither
/// registers nor proves itself, and whoever speaks from its address is believed.
pub fn peer(
    id: PeerId,
    trunk: &Trunk,
    places: &[SocketAddr],
    passwords: Passwords,
) -> Option<Peer> {
    let transport = transport(trunk);
    let mut hops = places.iter().map(|place| Hop::new(transport, *place));
    let first = hops.next()?;
    let user = passwords.auth.as_ref().map(|auth| auth.username.clone());
    let registration = trunk
        .register
        .as_ref()
        .zip(user)
        .map(|(register, user)| Registration {
            address_of_record: match &trunk.domain {
                Some(domain) => format!("sip:{user}@{}", host_of(domain)),
                None => format!("sip:{user}@{}", host_of(&register.registrar)),
            },
            registrar: Some(format!("sip:{}", host_of(&register.registrar))),
            contact_user: user,
            expires_s: register.expires_s,
        });
    Some(Peer {
        fallbacks: hops.collect(),
        host: host(trunk),
        sources: trunk.sources.clone(),
        nat: trunk.nat,
        probe_every_s: trunk.options_every_s,
        advertised: trunk.sip_advertised,
        credentials: passwords.auth,
        challenge: passwords.challenge,
        registration,
        ..Peer::new(id, first)
    })
}

/// Who we say is calling: X, where and how the trunk wants it. `own` is the host that we are for this peer;
/// a domain of the trunk takes its place.
pub fn identity(trunk: &Trunk, x: PhoneNumber, own: SocketAddr) -> Identity {
    let host = match &trunk.domain {
        Some(domain) => host_of(domain),
        None => host_text(own),
    };
    let uri = |number: PhoneNumber| sip_uri_at(&trunk.write(number), &host);
    Identity {
        number: uri(x),
        shown: match trunk.identity_out {
            trunk::IdentityOut::From => Shown::From,
            trunk::IdentityOut::Pai => Shown::AssertedIdentity,
            trunk::IdentityOut::Ppi => Shown::PreferredIdentity,
            trunk::IdentityOut::Rpid => Shown::RemotePartyId,
        },
        privacy: match trunk.privacy {
            trunk::Privacy::Omit => Privacy::Unsaid,
            trunk::Privacy::None => Privacy::None,
            trunk::Privacy::Id => Privacy::Id,
        },
        pilot: trunk.pilot.map(uri),
        diverted_by_pilot: trunk.diverted_by_pilot,
    }
}

/// Who calls over this trunk, read from the INVITE as the trunk says it.
pub fn caller(trunk: &Trunk, invite: &Message) -> Caller<PhoneNumber> {
    let source = match trunk.identity_in {
        _ if !trunk.trusted => IdentityIn::From,
        trunk::IdentityIn::Pai => IdentityIn::AssertedIdentity,
        trunk::IdentityIn::Rpid => IdentityIn::RemotePartyId,
        trunk::IdentityIn::From => IdentityIn::From,
    };
    maskline_sip::identity::caller(invite, source, trunk.trusted, |uri| {
        numbers::from_uri(uri, trunk.home_area)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use maskline_domain::TrunkName;

    fn trunk() -> Trunk {
        Trunk::new(TrunkName::new("carrier"), "192.0.2.1:5061")
    }

    fn credentials(username: &str, password: &str) -> Option<Credentials> {
        Some(Credentials {
            username: username.into(),
            password: password.into(),
        })
    }

    #[test]
    fn a_trunk_becomes_the_peer_it_describes() {
        let described = Trunk {
            transport: trunk::Transport::Tls,
            sources: vec!["192.0.2.9".parse().expect("an address")],
            options_every_s: Some(30),
            sip_advertised: "198.51.100.1:5061".parse().ok(),
            register: Some(trunk::Register {
                registrar: "carrier.example".into(),
                expires_s: 600,
            }),
            ..trunk()
        };
        let places = ["192.0.2.1:5061".parse().expect("an address")];
        let passwords = Passwords {
            auth: credentials("us", "ours"),
            challenge: credentials("them", "theirs"),
        };
        let made = peer(PeerId(3), &described, &places, passwords).expect("it has an address");
        assert_eq!(
            (made.id, made.hop.to_string()),
            (PeerId(3), "tls:192.0.2.1:5061".into())
        );
        assert_eq!(made.sources, described.sources);
        assert_eq!(made.advertised, described.sip_advertised);
        let password = |credentials: &Option<Credentials>| {
            credentials.as_ref().map(|found| found.password.clone())
        };
        assert_eq!(password(&made.credentials).as_deref(), Some("ours"));
        assert_eq!(password(&made.challenge).as_deref(), Some("theirs"));
        let registration = made.registration.expect("it registers");
        assert_eq!(registration.address_of_record, "sip:us@carrier.example");
        assert_eq!(made.probe_every_s, Some(30));

        let nowhere = Trunk::new(TrunkName::new("carrier"), "carrier.example");
        assert!(peer(PeerId(3), &nowhere, &[], Passwords::default()).is_none());
    }

    #[test]
    fn a_domain_stands_in_uris_and_what_is_looked_up_does_not() {
        let registering = |domain: Option<&str>, peer: &str| Trunk {
            domain: domain.map(Into::into),
            peer: peer.into(),
            options_every_s: Some(30),
            register: Some(trunk::Register {
                registrar: "reg.carrier.example".into(),
                expires_s: 600,
            }),
            ..trunk()
        };
        let place: SocketAddr = "192.0.2.1:5061".parse().expect("an address");
        let number = PhoneNumber::parse("13800000000").expect("digits");
        let own = "192.0.2.7:5060".parse().expect("an address");
        let rows = [
            // domain, peer; Request-URI, From, address of record, probed
            (
                (None, "192.0.2.1:5061"),
                (
                    "sip:13800000000@192.0.2.1:5061",
                    "sip:13800000000@192.0.2.7:5060",
                    "sip:us@reg.carrier.example",
                    None,
                ),
            ),
            (
                (Some("ims.example"), "192.0.2.1:5061"),
                (
                    "sip:13800000000@ims.example",
                    "sip:13800000000@ims.example",
                    "sip:us@ims.example",
                    Some("ims.example"),
                ),
            ),
            (
                (Some("2001:db8::5"), "192.0.2.1:5061"),
                (
                    "sip:13800000000@[2001:db8::5]",
                    "sip:13800000000@[2001:db8::5]",
                    "sip:us@[2001:db8::5]",
                    Some("[2001:db8::5]"),
                ),
            ),
            (
                (None, "sip.carrier.example"),
                (
                    "sip:13800000000@sip.carrier.example",
                    "sip:13800000000@192.0.2.7:5060",
                    "sip:us@reg.carrier.example",
                    Some("sip.carrier.example"),
                ),
            ),
            (
                (None, "sip.carrier.example:5070"),
                (
                    "sip:13800000000@sip.carrier.example:5070",
                    "sip:13800000000@192.0.2.7:5060",
                    "sip:us@reg.carrier.example",
                    Some("sip.carrier.example:5070"),
                ),
            ),
        ];
        for ((domain, at), (called, from, record, probed)) in rows {
            let trunk = registering(domain, at);
            assert_eq!(target(&trunk, number, place), called);
            assert_eq!(identity(&trunk, number, own).number, from);
            let passwords = Passwords {
                auth: credentials("us", "ours"),
                challenge: None,
            };
            let made = peer(PeerId(3), &trunk, &[place], passwords).expect("it has a place");
            assert_eq!(made.host.as_deref(), probed, "{called}");
            let registration = made.registration.expect("it registers");
            assert_eq!(registration.address_of_record, record);
            assert_eq!(
                registration.registrar.as_deref(),
                Some("sip:reg.carrier.example")
            );
        }
    }

    #[test]
    fn a_certificate_must_bear_the_name_that_was_looked_up() {
        let named = Trunk {
            peer: "sip.carrier.example:5061".into(),
            ..trunk()
        };
        assert_eq!(tls_name(&named).as_deref(), Some("sip.carrier.example"));
        let said = Trunk {
            tls_name: Some("other.example".into()),
            ..named
        };
        assert_eq!(tls_name(&said).as_deref(), Some("other.example"));
        assert_eq!(tls_name(&trunk()), None);
    }

    #[test]
    fn x_is_shown_as_the_trunk_wants() {
        let number = |digits| PhoneNumber::parse(digits).expect("digits");
        let own = "192.0.2.7:5060".parse().expect("an address");
        let pilot = Trunk {
            identity_out: trunk::IdentityOut::Pai,
            pilot: Some(number("057100000000")),
            privacy: trunk::Privacy::None,
            ..trunk()
        };
        let made = identity(&pilot, number("17000000001"), own);
        assert_eq!(made.number, "sip:17000000001@192.0.2.7:5060");
        assert_eq!(
            made.pilot.as_deref(),
            Some("sip:057100000000@192.0.2.7:5060")
        );
        assert_eq!(
            (made.shown, made.privacy),
            (Shown::AssertedIdentity, Privacy::None)
        );
    }

    fn invite(from: &str, extra: &str) -> Message {
        let text = format!("INVITE sip:1@h SIP/2.0\r\nFrom: {from};tag=1\r\n{extra}\r\n");
        Message::parse(text.as_bytes()).expect("a message")
    }

    const PAI: &str = "P-Asserted-Identity: \"x\" <sip:+8613900000000@h>, <tel:+8613900000001>\r\n";
    const RPID: &str = "Remote-Party-ID: <sip:013900000002@h>;party=calling;privacy=off\r\n";

    #[test]
    fn who_calls_is_read_from_the_header_of_the_trunk() {
        use trunk::IdentityIn::{From, Pai, Rpid};
        let named = "<sip:13800000000@h>";
        let anonymous = "\"Anonymous\" <sip:anonymous@anonymous.invalid>";
        let both = format!("{PAI}{RPID}");
        let private = format!("{PAI}Privacy: id\r\n");
        let shown = format!("{PAI}Privacy: none\r\n");
        let (both, private, shown) = (both.as_str(), private.as_str(), shown.as_str());
        let rows = [
            (named, "", Pai, true, Some("13800000000"), false),
            (named, both, Pai, true, Some("13900000000"), false),
            (named, both, Rpid, true, Some("13900000002"), false),
            (named, both, From, true, Some("13800000000"), false),
            // A peer that we do not trust may assert what it likes.
            (named, both, Pai, false, Some("13800000000"), false),
            (named, both, Rpid, false, Some("13800000000"), false),
            (named, RPID, Pai, true, Some("13800000000"), false),
            // Withheld: known to the network, or to nobody.
            (anonymous, "", Pai, true, None, true),
            (anonymous, PAI, Pai, true, Some("13900000000"), true),
            (anonymous, PAI, Pai, false, None, true),
            (named, private, Pai, true, Some("13900000000"), true),
            (named, shown, Pai, true, Some("13900000000"), false),
            (
                named,
                "Privacy: user;critical\r\n",
                From,
                true,
                Some("13800000000"),
                true,
            ),
        ];
        for (from, extra, header, trusted, number, withheld) in rows {
            let trunk = Trunk {
                identity_in: header,
                trusted,
                ..trunk()
            };
            let read = caller(&trunk, &invite(from, extra));
            let shown = read.number.map(PhoneNumber::reveal);
            assert_eq!(
                (shown.as_deref(), read.withheld),
                (number, withheld),
                "{from} {extra} {header:?} {trusted}"
            );
        }
    }

    #[test]
    fn a_caller_without_an_area_code_is_of_the_trunks_home() {
        let trunk = Trunk {
            home_area: PhoneNumber::parse("0571").ok(),
            ..trunk()
        };
        for from in [
            "<sip:88888888@h>",
            "<tel:88888888;phone-context=+86571>",
            "<sip:+8657188888888@h>",
        ] {
            let read = caller(&trunk, &invite(from, "")).number;
            assert_eq!(
                read.map(PhoneNumber::reveal).as_deref(),
                Some("057188888888")
            );
        }
    }
}
