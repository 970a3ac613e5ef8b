//! Where a message goes or comes from: an address, and by what it is reached.

use crate::transaction::Reliability;
use std::fmt;
use std::net::SocketAddr;

/// What carries SIP. In the order of how hard it is to speak in somebody else's name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Transport {
    /// Datagrams; we repeat what is lost.
    #[default]
    Udp,
    /// A stream.
    Tcp,
    /// A stream within TLS.
    Tls,
}

impl Transport {
    /// As it stands in a `Via` (RFC 3261 section 20.42).
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Udp => "UDP",
            Self::Tcp => "TCP",
            Self::Tls => "TLS",
        }
    }

    /// As it stands in a URI, behind `;transport=`. `tls` is deprecated there and understood everywhere,
    /// while `sips` asks more of the other side than it may be able to keep.
    pub fn as_param(self) -> &'static str {
        match self {
            Self::Udp => "udp",
            Self::Tcp => "tcp",
            Self::Tls => "tls",
        }
    }

    /// The transport that a URI's `transport` parameter names, in any case; none for one we do not speak.
    pub fn from_param(text: &[u8]) -> Option<Self> {
        [Self::Udp, Self::Tcp, Self::Tls]
            .into_iter()
            .find(|known| known.as_param().as_bytes().eq_ignore_ascii_case(text))
    }

    /// Whether it is a stream, in which messages stand one behind another.
    pub fn is_stream(self) -> bool {
        self != Self::Udp
    }

    /// Whether it repeats what is lost.
    pub fn reliability(self) -> Reliability {
        match self {
            Self::Udp => Reliability::Unreliable,
            Self::Tcp | Self::Tls => Reliability::Reliable,
        }
    }

    /// Where it listens if nothing is said.
    pub fn usual_port(self) -> u16 {
        match self {
            Self::Udp | Self::Tcp => 5060,
            Self::Tls => 5061,
        }
    }
}

/// One end of a link. For a stream it names the connection: the far end's address and port.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Hop {
    /// By what.
    pub transport: Transport,
    /// Where.
    pub address: SocketAddr,
}

impl Hop {
    /// An address, by this transport.
    pub fn new(transport: Transport, address: SocketAddr) -> Self {
        Self { transport, address }
    }

    /// An address, by datagrams.
    pub fn udp(address: SocketAddr) -> Self {
        Self::new(Transport::Udp, address)
    }

    /// An address, by a stream.
    pub fn tcp(address: SocketAddr) -> Self {
        Self::new(Transport::Tcp, address)
    }

    /// An address, by a stream within TLS.
    pub fn tls(address: SocketAddr) -> Self {
        Self::new(Transport::Tls, address)
    }
}

impl fmt::Display for Hop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.transport.as_param(), self.address)
    }
}
