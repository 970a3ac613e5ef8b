//! Who asks when a proxy stands between: the client that a trusted proxy names.
//!
//! Two ways to be named, of which only what the settings say is read, and only from trusted proxies: the
//! PROXY protocol (versions 1 and 2, "The PROXY protocol" by HAProxy), which opens a connection, or
//! `X-Forwarded-For` in each request. Whatever anybody else says of themselves is not looked at.

use std::io;
use std::net::{IpAddr, SocketAddr};

use http::{HeaderMap, HeaderValue};
use ipnet::IpNet;
use ppp::v2::Addresses;
use tokio::io::{AsyncRead, AsyncReadExt};

/// The longest header of version 1 with its line end, in bytes (section 2.1 of the protocol).
const V1_BYTES_MAX: usize = 107;
/// The head of version 2: signature, command, family, length.
const V2_HEAD_BYTES: usize = 16;
/// What is read of the rest of version 2 at most: addresses and a few TLVs, in bytes.
const V2_REST_BYTES_MAX: usize = 2_048;
/// The longest chain of `X-Forwarded-For` that is looked at.
const HOPS_MAX: usize = 32;

/// The proxies that may name clients.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TrustedProxies {
    /// Where they connect from.
    pub networks: Vec<IpNet>,
    /// Whether they open each connection with the PROXY protocol. Else `X-Forwarded-For` names clients.
    pub proxy_protocol: bool,
}

impl TrustedProxies {
    /// Whether a peer is one of them.
    pub fn contains(&self, peer: IpAddr) -> bool {
        let peer = peer.to_canonical();
        self.networks.iter().any(|network| network.contains(&peer))
    }

    /// The client that `X-Forwarded-For` names: the last address that is not of a trusted proxy, since each
    /// proxy adds the one that it saw at the end. None: the proxy asks for itself.
    pub fn forwarded_for(&self, headers: &HeaderMap) -> Option<IpAddr> {
        let values: Vec<&[u8]> = headers
            .get_all("x-forwarded-for")
            .iter()
            .map(HeaderValue::as_bytes)
            .collect();
        values
            .iter()
            .rev()
            .flat_map(|value| value.rsplit(|&byte| byte == b','))
            .take(HOPS_MAX)
            .map(|hop| address(str::from_utf8(hop).ok()?.trim()))
            .take_while(Option::is_some)
            .flatten()
            .find(|&hop| !self.contains(hop))
    }
}

/// An address as proxies write it: bare, in brackets, or with a port.
fn address(text: &str) -> Option<IpAddr> {
    let bare = text
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'));
    bare.unwrap_or(text)
        .parse()
        .ok()
        .or_else(|| {
            text.parse()
                .ok()
                .map(|with_port: SocketAddr| with_port.ip())
        })
        .map(|address: IpAddr| address.to_canonical())
}

/// Reads the PROXY protocol at the beginning of a connection, and not a byte more. None: the proxy speaks
/// for itself (`LOCAL`, `UNKNOWN`), as its health checks do.
///
/// # Errors
/// When the connection ends within it, or it is not the protocol.
pub async fn read_header(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<Option<IpAddr>> {
    let mut bytes = vec![0; ppp::v2::PROTOCOL_PREFIX.len()];
    stream.read_exact(&mut bytes).await?;
    if bytes == ppp::v2::PROTOCOL_PREFIX {
        read_v2(stream, bytes).await
    } else {
        read_v1(stream, bytes).await
    }
}

async fn read_v1(
    stream: &mut (impl AsyncRead + Unpin),
    mut bytes: Vec<u8>,
) -> io::Result<Option<IpAddr>> {
    // The shortest header is longer than what has been read, so its end is still to come.
    while !bytes.ends_with(b"\r\n") {
        if bytes.len() >= V1_BYTES_MAX || !bytes.starts_with(b"PROXY ") {
            return Err(not_proxy());
        }
        bytes.push(stream.read_u8().await?);
    }
    let header = ppp::v1::Header::try_from(bytes.as_slice()).map_err(|_| not_proxy())?;
    Ok(match header.addresses {
        ppp::v1::Addresses::Unknown => None,
        ppp::v1::Addresses::Tcp4(found) => Some(found.source_address.into()),
        ppp::v1::Addresses::Tcp6(found) => Some(IpAddr::from(found.source_address).to_canonical()),
    })
}

async fn read_v2(
    stream: &mut (impl AsyncRead + Unpin),
    mut bytes: Vec<u8>,
) -> io::Result<Option<IpAddr>> {
    let signature = bytes.len();
    bytes.resize(V2_HEAD_BYTES, 0);
    stream.read_exact(&mut bytes[signature..]).await?;
    let rest = usize::from(u16::from_be_bytes([bytes[14], bytes[15]]));
    if rest > V2_REST_BYTES_MAX {
        return Err(not_proxy());
    }
    bytes.resize(V2_HEAD_BYTES + rest, 0);
    stream.read_exact(&mut bytes[V2_HEAD_BYTES..]).await?;
    let header = ppp::v2::Header::try_from(bytes.as_slice()).map_err(|_| not_proxy())?;
    if header.command == ppp::v2::Command::Local {
        return Ok(None);
    }
    Ok(match header.addresses {
        Addresses::IPv4(found) => Some(found.source_address.into()),
        Addresses::IPv6(found) => Some(IpAddr::from(found.source_address).to_canonical()),
        Addresses::Unspecified | Addresses::Unix(_) => None,
    })
}

fn not_proxy() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "not the PROXY protocol")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trusted() -> TrustedProxies {
        TrustedProxies {
            networks: ["10.0.0.0/8", "2001:db8:f::/48"]
                .map(|network| network.parse().expect("a network"))
                .into(),
            proxy_protocol: false,
        }
    }

    #[test]
    fn the_client_is_the_last_that_is_no_trusted_proxy() {
        let rows: [(&[&str], Option<&str>); 16] = [
            (&[], None),
            (&[""], None),
            (&["198.51.100.7"], Some("198.51.100.7")),
            (&["198.51.100.7, 10.1.2.3"], Some("198.51.100.7")),
            // What a client writes stands in front of what the proxies saw.
            (&["203.0.113.1, 198.51.100.7"], Some("198.51.100.7")),
            (&["10.0.0.1, 198.51.100.7,10.9.9.9"], Some("198.51.100.7")),
            (&["203.0.113.1", "198.51.100.7"], Some("198.51.100.7")),
            (&["198.51.100.7", "10.0.0.1"], Some("198.51.100.7")),
            (&["198.51.100.7:4711"], Some("198.51.100.7")),
            (&["[2001:db8::7]:4711"], Some("2001:db8::7")),
            (&["2001:db8::7, 2001:db8:f::1"], Some("2001:db8::7")),
            (&["::ffff:198.51.100.7"], Some("198.51.100.7")),
            (&["10.0.0.1, 10.0.0.2"], None),
            // What a client writes in front may be no text at all.
            (&["\u{ff}, 198.51.100.7"], Some("198.51.100.7")),
            (&["\u{ff}", "198.51.100.7"], Some("198.51.100.7")),
            // Behind something unreadable nothing can be believed.
            (&["198.51.100.7, unknown"], None),
        ];
        for (values, expected) in rows {
            let mut headers = HeaderMap::new();
            for value in values {
                let value = HeaderValue::from_bytes(value.as_bytes()).expect("a value");
                headers.append("x-forwarded-for", value);
            }
            let client = trusted().forwarded_for(&headers);
            assert_eq!(
                client,
                expected.map(|text| text.parse().unwrap()),
                "{values:?}"
            );
        }
    }

    #[test]
    fn a_proxy_is_known_by_its_network() {
        for (peer, is_trusted) in [
            ("10.255.0.1", true),
            ("::ffff:10.0.0.1", true),
            ("2001:db8:f:1::2", true),
            ("11.0.0.1", false),
            ("2001:db8:e::2", false),
        ] {
            assert_eq!(
                trusted().contains(peer.parse().unwrap()),
                is_trusted,
                "{peer}"
            );
        }
    }

    fn v2(command: u8, family: u8, rest: &[u8]) -> Vec<u8> {
        let mut bytes = ppp::v2::PROTOCOL_PREFIX.to_vec();
        bytes.extend([command, family]);
        bytes.extend((rest.len() as u16).to_be_bytes());
        bytes.extend(rest);
        bytes
    }

    #[tokio::test]
    async fn both_versions_are_read_to_their_end_and_no_further() {
        let four = [198, 51, 100, 7, 10, 0, 0, 1, 0x12, 0x34, 0x1f, 0x90];
        let mut six = [0; 36];
        six[..4].copy_from_slice(&[0x20, 0x01, 0x0d, 0xb8]);
        six[15] = 7;
        let with_tlv = [&four[..], &[4, 0, 2, 0xab, 0xcd]].concat();
        let rows: [(Vec<u8>, Option<&str>); 9] = [
            (
                b"PROXY TCP4 198.51.100.7 10.0.0.1 4660 8080\r\n".into(),
                Some("198.51.100.7"),
            ),
            (
                b"PROXY TCP6 2001:db8::7 2001:db8::1 4660 8080\r\n".into(),
                Some("2001:db8::7"),
            ),
            (
                b"PROXY TCP6 ::ffff:198.51.100.7 ::1 4660 8080\r\n".into(),
                Some("198.51.100.7"),
            ),
            (b"PROXY UNKNOWN\r\n".into(), None),
            (v2(0x21, 0x11, &four), Some("198.51.100.7")),
            (v2(0x21, 0x11, &with_tlv), Some("198.51.100.7")),
            (v2(0x21, 0x21, &six), Some("2001:db8::7")),
            (v2(0x20, 0x11, &four), None),
            (v2(0x20, 0x00, &[]), None),
        ];
        for (header, expected) in rows {
            let bytes = [&header[..], b"GET / HTTP/1.1"].concat();
            let mut stream = bytes.as_slice();
            let client = read_header(&mut stream).await.expect("a header");
            assert_eq!(
                client,
                expected.map(|text| text.parse().unwrap()),
                "{header:?}"
            );
            assert_eq!(stream, b"GET / HTTP/1.1");
        }
    }

    #[tokio::test]
    async fn what_is_not_the_protocol_is_refused() {
        let long = [b"PROXY TCP4 ".as_slice(), &[b'1'; 200], b"\r\n"].concat();
        let rows: [Vec<u8>; 10] = [
            b"GET / HTTP/1.1\r\n\r\n".into(),
            b"PROXY TCP4".into(),
            b"PROXY TCP4 198.51.100.7 10.0.0.1 4660\r\n".into(),
            b"PROXY TCP4 998.51.100.7 10.0.0.1 4660 8080\r\n".into(),
            b"proxy TCP4 198.51.100.7 10.0.0.1 4660 8080\r\n".into(),
            long,
            v2(0x31, 0x11, &[0; 12]),
            v2(0x21, 0x11, &[0; 11]),
            v2(0x21, 0x11, &[0; V2_REST_BYTES_MAX + 1]),
            ppp::v2::PROTOCOL_PREFIX.into(),
        ];
        for bytes in rows {
            let read = read_header(&mut bytes.as_slice()).await;
            assert!(read.is_err(), "{bytes:?}: {read:?}");
        }
    }
}
