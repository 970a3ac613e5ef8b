//! How the place of a peer is written.

use maskline_host::is_host_name;
use std::net::SocketAddr;

/// Where a peer is, as it is written in [`Trunk::peer`](super::Trunk::peer).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PeerAddress {
    /// An address and a port, such as `192.0.2.1:5060` or `[2001:db8::1]:5060`.
    Socket(SocketAddr),
    /// A host name, such as `sip.carrier.example` or `sip.carrier.example:5070`. Without a port SRV records
    /// say where it is (RFC 3263 section 4.2), and where there are none it is at the usual port.
    Name {
        /// The name, in small letters.
        host: Box<str>,
        /// The port, if one is said.
        port: Option<u16>,
    },
}

impl PeerAddress {
    /// Reads the text of a peer; none if it is neither form. An address without a port is refused, since it
    /// is more often forgotten than meant.
    pub fn parse(text: &str) -> Option<Self> {
        if let Ok(address) = text.parse() {
            return Some(Self::Socket(address));
        }
        let (host, port) = match text.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (text, None),
        };
        let port = match port {
            None => None,
            // `parse` takes a sign.
            Some(digits) if !digits.bytes().all(|b| b.is_ascii_digit()) => return None,
            Some(digits) => Some(digits.parse().ok()?),
        };
        is_host_name(host).then(|| Self::Name {
            host: host.to_ascii_lowercase().into(),
            port,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peer_is_an_address_with_a_port_or_a_name() {
        let name = |host: &str, port| {
            Some(PeerAddress::Name {
                host: host.into(),
                port,
            })
        };
        let socket = |text: &str| text.parse().ok().map(PeerAddress::Socket);
        let long = "a".repeat(64);
        let rows = [
            ("192.0.2.1:5060", socket("192.0.2.1:5060")),
            ("[2001:db8::1]:5061", socket("[2001:db8::1]:5061")),
            ("sip.carrier.example", name("sip.carrier.example", None)),
            ("SIP.Carrier.Example", name("sip.carrier.example", None)),
            (
                "sip.carrier.example:5070",
                name("sip.carrier.example", Some(5070)),
            ),
            ("localhost:5060", name("localhost", Some(5060))),
            ("pbx", name("pbx", None)),
            ("3com.example", name("3com.example", None)),
            ("192.0.2.1", None),
            ("192.0.2.300:5060", None),
            ("192.0.2.300", None),
            ("2001:db8::1", None),
            ("[2001:db8::1]", None),
            ("sip.carrier.example:", None),
            ("sip.carrier.example:+5", None),
            ("sip.carrier.example:70000", None),
            ("sip..example", None),
            (".example", None),
            ("example.", None),
            ("-a.example", None),
            ("a_b.example", None),
            ("a b.example", None),
            ("sip:carrier.example", None),
            (long.as_str(), None),
            ("", None),
        ];
        for (text, expected) in rows {
            assert_eq!(PeerAddress::parse(text), expected, "{text}");
        }
    }
}
