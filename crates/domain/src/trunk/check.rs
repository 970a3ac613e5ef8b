//! What cannot be meant by a trunk.

use super::{IdentityOut, NumberForm, PeerAddress, Transport, Trunk};
use crate::account::is_name;
use crate::number::PhoneNumber;
use crate::refusal::AdminRefusal;
use maskline_host::is_host;

/// The most further source addresses of one trunk.
pub const SOURCES_MAX: usize = 64;
/// The most prefixes of mobiles at home.
pub const HOME_PREFIXES_MAX: usize = 4_096;
/// The most networks of media.
pub const MEDIA_NETWORKS_MAX: usize = 64;
/// The most codecs.
pub const CODECS_MAX: usize = 16;
/// The most carriers and pools whose X a trunk presents. A trunk for more pools names their carrier.
pub const PRESENTS_MAX: usize = 256;
/// The most beginnings of callees. Each call compares its callee with those of each trunk.
pub const ROUTES_MAX: usize = 512;

/// The longest name of a certificate, a registrar or a user, in bytes.
const TEXT_BYTES_MAX: usize = 253;

/// Whether a trunk can be meant as it is.
///
/// # Errors
/// The first value that cannot.
pub(crate) fn check(trunk: &Trunk) -> Result<(), AdminRefusal> {
    let rules: [(bool, &'static str, &'static str); 27] = [
        (
            is_name(trunk.name.as_str()),
            "trunk name",
            "1 to 64 letters, digits, '-', '_', '.' or '@'",
        ),
        (
            trunk.address().is_some(),
            "trunk peer",
            "an IP address and a port, such as 192.0.2.1:5060 or [2001:db8::1]:5060, or a host name with or \
             without a port, such as sip.carrier.example",
        ),
        (
            trunk.address().as_ref().is_none_or(is_somewhere),
            "trunk peer",
            "neither the address nor the port can be 0",
        ),
        (
            trunk.sources.len() <= SOURCES_MAX,
            "trunk sources",
            "at most 64 addresses",
        ),
        (
            trunk.sources.iter().all(|source| !source.is_unspecified()),
            "trunk sources",
            "0.0.0.0 and :: are nobody's address",
        ),
        (
            trunk.tls_name.is_none() || trunk.transport == Transport::Tls,
            "trunk tls_name",
            "only with transport = \"tls\"",
        ),
        (
            trunk.tls_name.as_deref().is_none_or(is_host),
            "trunk tls_name",
            "a host name or an IP address, without a port",
        ),
        (
            trunk.calls_max != Some(0) && trunk.calls_per_s_max != Some(0),
            "trunk limit",
            "at least 1, or none; a trunk without calls is a disabled one",
        ),
        (
            trunk
                .options_every_s
                .is_none_or(|s| (5..=3_600).contains(&s)),
            "trunk options_every_s",
            "5 to 3600 seconds, or none",
        ),
        (
            trunk.home_area.is_none_or(is_area_code),
            "trunk home_area",
            "an area code with its 0, such as 010 or 0571",
        ),
        (
            trunk.home_prefixes.len() <= HOME_PREFIXES_MAX,
            "trunk home_prefixes",
            "at most 4096",
        ),
        (
            trunk.home_prefixes.iter().copied().all(begins_mobiles),
            "trunk home_prefixes",
            "3 to 11 digits with which mobiles begin, such as 1390571",
        ),
        (
            trunk.home_prefixes.is_empty() || trunk.number_out == NumberForm::Zero,
            "trunk home_prefixes",
            "only with number_out = \"zero\"",
        ),
        (
            trunk.pilot.is_none()
                || trunk.identity_out != IdentityOut::From
                || trunk.diverted_by_pilot,
            "trunk pilot",
            "it takes the place of X in From, so identity_out must be another header",
        ),
        (
            trunk.pilot.is_some() || !trunk.diverted_by_pilot,
            "trunk diverted_by_pilot",
            "only with a pilot number",
        ),
        (
            trunk.codecs.len() <= CODECS_MAX,
            "trunk codecs",
            "at most 16",
        ),
        (
            trunk.codecs.iter().all(|codec| is_codec(codec)),
            "trunk codecs",
            "names as in SDP, in small letters, such as pcma",
        ),
        (
            trunk
                .sip_advertised
                .is_none_or(|address| !address.ip().is_unspecified()),
            "trunk sip_advertised",
            "peers must be told a real address",
        ),
        (
            trunk
                .rtp_advertised
                .is_none_or(|address| !address.is_unspecified()),
            "trunk rtp_advertised",
            "peers must be told a real address",
        ),
        (
            [&trunk.auth, &trunk.challenge]
                .into_iter()
                .flatten()
                .all(|credentials| {
                    is_user(&credentials.username) && !credentials.sealed_secret.is_empty()
                }),
            "trunk credentials",
            "a name of 1 to 253 printable characters without blanks or quotes, and a secret",
        ),
        (
            trunk.register.is_none() || trunk.auth.is_some(),
            "trunk registrar",
            "registering needs auth_username and auth_secret",
        ),
        (
            trunk.domain.as_deref().is_none_or(is_host),
            "trunk domain",
            "a host name or an IP address, without a port",
        ),
        (
            trunk.media_networks.len() <= MEDIA_NETWORKS_MAX,
            "trunk media_networks",
            "at most 64 networks",
        ),
        (
            trunk.presents.len() <= PRESENTS_MAX,
            "trunk presents",
            "at most 256 names",
        ),
        (
            trunk.presents.iter().all(|name| is_name(name)),
            "trunk presents",
            "names of carriers and keys of pools, such as unicom or FC12345",
        ),
        (
            trunk.routes.len() <= ROUTES_MAX,
            "trunk routes",
            "at most 512 beginnings of numbers",
        ),
        (
            trunk.routes.iter().copied().all(begins_callees),
            "trunk routes",
            "1 to 18 digits with which callees begin in national form, such as 1, 0571 or 95, without 0086 or 86",
        ),
    ];
    for (holds, what, why) in rules {
        if !holds {
            return Err(AdminRefusal::Malformed { what, why });
        }
    }
    let Some(register) = &trunk.register else {
        return Ok(());
    };
    if !is_host(&register.registrar) {
        return Err(AdminRefusal::Malformed {
            what: "trunk registrar",
            why: "a host name or an IP address, without a port",
        });
    }
    if !(60..=86_400).contains(&register.expires_s) {
        return Err(AdminRefusal::Malformed {
            what: "trunk register_expires_s",
            why: "60 to 86400 seconds",
        });
    }
    Ok(())
}

fn is_somewhere(peer: &PeerAddress) -> bool {
    match peer {
        PeerAddress::Socket(address) => !address.ip().is_unspecified() && address.port() != 0,
        PeerAddress::Name { port, .. } => *port != Some(0),
    }
}

/// What may stand in a quoted string without an escape (RFC 3261 section 25.1).
fn is_user(text: &str) -> bool {
    (1..=TEXT_BYTES_MAX).contains(&text.len())
        && text
            .bytes()
            .all(|b| b.is_ascii_graphic() && !matches!(b, b'"' | b'\\'))
}

fn is_codec(text: &str) -> bool {
    (1..=32).contains(&text.len())
        && text
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'-' | b'.'))
}

fn is_area_code(area: PhoneNumber) -> bool {
    let digits = area.reveal();
    matches!(digits.as_bytes(), [b'0', b'1', b'0'] | [b'0', b'2', _])
        || matches!(digits.as_bytes(), [b'0', b'3'..=b'9', _, _])
}

fn begins_mobiles(prefix: PhoneNumber) -> bool {
    let digits = prefix.reveal();
    matches!(digits.as_bytes(), [b'1', b'3'..=b'9', ..]) && (3..=11).contains(&digits.len())
}

/// Whether it is not one of the forms of the wire, in which no callee is kept: such a route would take nobody.
fn begins_callees(prefix: PhoneNumber) -> bool {
    let digits = prefix.reveal();
    !digits.is_empty() && !digits.starts_with("00") && !digits.starts_with("86")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trunk::{Credentials, Register, TrunkName};

    fn trunk(change: impl FnOnce(&mut Trunk)) -> Trunk {
        let mut trunk = Trunk::new(TrunkName::new("carrier"), "192.0.2.1:5060");
        change(&mut trunk);
        trunk
    }

    fn credentials(username: &str) -> Option<Credentials> {
        Some(Credentials {
            username: username.into(),
            sealed_secret: [1].into(),
        })
    }

    #[test]
    fn what_cannot_be_meant_is_refused_with_its_name_and_the_reason() {
        let number = |text: &str| PhoneNumber::parse(text).expect("digits");
        let rows: [(&str, Trunk); 33] = [
            ("trunk peer", trunk(|t| t.peer = "192.0.2.1".into())),
            ("trunk peer", trunk(|t| t.peer = "0.0.0.0:5060".into())),
            ("trunk peer", trunk(|t| t.peer = "192.0.2.1:0".into())),
            ("trunk peer", trunk(|t| t.peer = "sip.example:0".into())),
            ("trunk peer", trunk(|t| t.peer = "sip..example".into())),
            ("trunk domain", trunk(|t| t.domain = Some("a:5060".into()))),
            ("trunk domain", trunk(|t| t.domain = Some("::".into()))),
            ("trunk domain", trunk(|t| t.domain = Some("[::1]".into()))),
            (
                "trunk media_networks",
                trunk(|t| t.media_networks = vec![Default::default(); MEDIA_NETWORKS_MAX + 1]),
            ),
            (
                "trunk sources",
                trunk(|t| t.sources = vec![[0, 0, 0, 0].into()]),
            ),
            (
                "trunk sources",
                trunk(|t| t.sources = vec![[192, 0, 2, 1].into(); SOURCES_MAX + 1]),
            ),
            (
                "trunk tls_name",
                trunk(|t| t.tls_name = Some("sip.example".into())),
            ),
            (
                "trunk tls_name",
                trunk(|t| {
                    t.transport = Transport::Tls;
                    t.tls_name = Some("-a..example".into());
                }),
            ),
            ("trunk domain", trunk(|t| t.domain = Some("a_b".into()))),
            ("trunk limit", trunk(|t| t.calls_max = Some(0))),
            (
                "trunk options_every_s",
                trunk(|t| t.options_every_s = Some(1)),
            ),
            (
                "trunk home_area",
                trunk(|t| t.home_area = Some(number("571"))),
            ),
            (
                "trunk home_prefixes",
                trunk(|t| t.home_prefixes = vec![number("1390571")]),
            ),
            (
                "trunk home_prefixes",
                trunk(|t| {
                    t.number_out = NumberForm::Zero;
                    t.home_prefixes = vec![number("0571")];
                }),
            ),
            (
                "trunk diverted_by_pilot",
                trunk(|t| t.diverted_by_pilot = true),
            ),
            (
                "trunk pilot",
                trunk(|t| t.pilot = Some(number("057100000000"))),
            ),
            ("trunk codecs", trunk(|t| t.codecs = vec!["PCMA".into()])),
            ("trunk credentials", trunk(|t| t.auth = credentials("a b"))),
            (
                "trunk registrar",
                trunk(|t| {
                    t.register = Some(Register {
                        registrar: "sip.example".into(),
                        expires_s: 600,
                    });
                }),
            ),
            (
                "trunk register_expires_s",
                trunk(|t| {
                    t.auth = credentials("line");
                    t.register = Some(Register {
                        registrar: "sip.example".into(),
                        expires_s: 1,
                    });
                }),
            ),
            (
                "trunk rtp_advertised",
                trunk(|t| t.rtp_advertised = Some([0, 0, 0, 0].into())),
            ),
            (
                "trunk presents",
                trunk(|t| t.presents = vec!["unicom".into(); PRESENTS_MAX + 1]),
            ),
            (
                "trunk presents",
                trunk(|t| t.presents = vec!["china unicom".into()]),
            ),
            ("trunk presents", trunk(|t| t.presents = vec!["".into()])),
            (
                "trunk routes",
                trunk(|t| t.routes = vec![number("1"); ROUTES_MAX + 1]),
            ),
            (
                "trunk routes",
                trunk(|t| t.routes = vec![number("0086571")]),
            ),
            ("trunk routes", trunk(|t| t.routes = vec![number("86")])),
            (
                "trunk routes",
                trunk(|t| t.routes = vec![PhoneNumber::ERASED]),
            ),
        ];
        for (expected, trunk) in rows {
            match check(&trunk) {
                Err(AdminRefusal::Malformed { what, .. }) => assert_eq!(what, expected),
                other => panic!("{expected}: {other:?}"),
            }
        }
    }

    #[test]
    fn a_trunk_with_everything_is_taken() {
        let number = |text: &str| PhoneNumber::parse(text).expect("digits");
        let full = trunk(|t| {
            t.transport = Transport::Tls;
            t.tls_name = Some("sip.example".into());
            t.sources = vec![[192, 0, 2, 2].into()];
            t.calls_max = Some(30);
            t.options_every_s = Some(30);
            t.number_out = NumberForm::Zero;
            t.home_area = Some(number("010"));
            t.home_prefixes = vec![number("1390571")];
            t.identity_out = IdentityOut::Pai;
            t.diverted_by_pilot = true;
            t.pilot = Some(number("01000000000"));
            t.codecs = vec!["pcma".into(), "g729".into()];
            t.peer = "sip.example".into();
            t.domain = Some("2001:db8::5".into());
            t.media_networks = vec!["198.51.100.0/24".parse().expect("a network")];
            t.presents = vec!["unicom".into(), "FC12345".into()];
            t.routes = ["1", "0571", "95", "800"].map(number).to_vec();
            t.auth = credentials("line-1");
            t.challenge = credentials("carrier");
            t.register = Some(Register {
                registrar: "sip.example".into(),
                expires_s: 3_600,
            });
        });
        assert_eq!(check(&full), Ok(()));
    }
}
