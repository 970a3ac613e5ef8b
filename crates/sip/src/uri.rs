//! SIP, SIPS and `tel:` addresses (RFC 3261 section 19.1, RFC 3966).

use crate::hop::{Hop, Transport};
use crate::params::{Params, host_address, host_port};
use std::net::{IpAddr, SocketAddr};

/// The kinds of URI that can name a telephone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// `sip:`
    Sip,
    /// `sips:`
    Sips,
    /// `tel:`
    Tel,
}

/// A URI read in place.
#[derive(Clone, Copy)]
pub struct Uri<'a> {
    /// Which kind.
    pub scheme: Scheme,
    /// The part before the `@`, without a password, escapes as they came; for `tel:` the number.
    pub user: Option<&'a [u8]>,
    /// A name or an address, IPv6 in brackets; empty for `tel:`.
    pub host: &'a [u8],
    /// The port that goes with it.
    pub port: Option<u16>,
    /// Parameters such as `user=phone`, `transport`, `lr`.
    pub params: Params<'a>,
}

impl<'a> Uri<'a> {
    /// Reads a URI. None for another scheme or where there is no host.
    pub fn parse(bytes: &'a [u8]) -> Option<Self> {
        let colon = bytes.iter().position(|&byte| byte == b':')?;
        let (scheme, rest) = (&bytes[..colon], &bytes[colon + 1..]);
        let scheme = match () {
            () if scheme.eq_ignore_ascii_case(b"sip") => Scheme::Sip,
            () if scheme.eq_ignore_ascii_case(b"sips") => Scheme::Sips,
            () if scheme.eq_ignore_ascii_case(b"tel") => Scheme::Tel,
            () => return None,
        };
        if scheme == Scheme::Tel {
            let (number, params) = rest.split_at(
                rest.iter()
                    .position(|&byte| byte == b';')
                    .unwrap_or(rest.len()),
            );
            let user = (!number.is_empty()).then_some(number)?;
            return Some(Self {
                scheme,
                user: Some(user),
                host: &[],
                port: None,
                params: Params::new(params),
            });
        }
        // A user part may hold `;` and `?`, but no `@`; so the first `@` ends it.
        let (user, rest) = match rest.iter().position(|&byte| byte == b'@') {
            Some(at) => (Some(&rest[..at]), &rest[at + 1..]),
            None => (None, rest),
        };
        let user = user.map(|user| {
            &user[..user
                .iter()
                .position(|&byte| byte == b':')
                .unwrap_or(user.len())]
        });
        let rest = &rest[..rest
            .iter()
            .position(|&byte| byte == b'?')
            .unwrap_or(rest.len())];
        let (host, params) = rest.split_at(
            rest.iter()
                .position(|&byte| byte == b';')
                .unwrap_or(rest.len()),
        );
        let (host, port) = host_port(host)?;
        Some(Self {
            scheme,
            user,
            host,
            port,
            params: Params::new(params),
        })
    }

    /// The telephone number in the user part: escapes undone, parameters and visual separators
    /// (RFC 3966 section 3) left out, a leading `+` kept. None unless only digits (and `*`, `#`) remain.
    pub fn number(&self) -> Option<String> {
        let user = self.user?;
        let user = &user[..user
            .iter()
            .position(|&byte| byte == b';')
            .unwrap_or(user.len())];
        let mut number = String::with_capacity(user.len());
        for byte in decoded(user) {
            match byte? {
                b'-' | b'.' | b'(' | b')' => {}
                b'+' if number.is_empty() => number.push('+'),
                digit @ (b'0'..=b'9' | b'*' | b'#') => number.push(char::from(digit)),
                _ => return None,
            }
        }
        number
            .bytes()
            .any(|byte| byte.is_ascii_digit())
            .then_some(number)
    }

    /// The user part without its parameters, escapes undone; none where there is no user, or an escape is broken.
    pub fn plain_user(&self) -> Option<Vec<u8>> {
        let user = self.user?;
        let end = user.iter().position(|&byte| byte == b';');
        decoded(&user[..end.unwrap_or(user.len())]).collect()
    }

    /// Where to send what is addressed to this URI, if its host is an address and not a name.
    pub fn address(&self) -> Option<SocketAddr> {
        let address = host_address(self.host)?;
        Some(SocketAddr::new(address, self.port.unwrap_or(5060)))
    }

    /// The same with the transport that the URI asks for (RFC 3263 section 4.1): `sips` means TLS; where
    /// nothing is said, or something that we do not speak, it stays `usual`, so that nobody is led out of
    /// a stream or out of TLS by leaving a word away.
    pub fn hop(&self, usual: Transport) -> Option<Hop> {
        let transport = match self.scheme {
            Scheme::Sips => Transport::Tls,
            Scheme::Sip | Scheme::Tel => self
                .params
                .get("transport")
                .and_then(Transport::from_param)
                .unwrap_or(usual),
        };
        let address = host_address(self.host)?;
        let port = self.port.unwrap_or(transport.usual_port());
        Some(Hop::new(transport, SocketAddr::new(address, port)))
    }
}

/// Undoes `%41` escapes; a broken escape gives none.
fn decoded(bytes: &[u8]) -> impl Iterator<Item = Option<u8>> {
    let mut rest = bytes;
    std::iter::from_fn(move || match rest {
        [] => None,
        [b'%', high, low, after @ ..] => {
            rest = after;
            let digit = |byte: u8| char::from(byte).to_digit(16);
            Some(
                digit(*high)
                    .zip(digit(*low))
                    .and_then(|(high, low)| u8::try_from(high * 16 + low).ok()),
            )
        }
        [b'%', ..] => {
            rest = &[];
            Some(None)
        }
        [byte, after @ ..] => {
            rest = after;
            Some(Some(*byte))
        }
    })
}

/// Writes `sip:user@host:port`. `user` must be a telephone number as [`Uri::number`] gives it; whatever
/// else it may hold is escaped.
pub fn sip_uri(user: &str, host: SocketAddr) -> String {
    sip_uri_at(user, &host_text(host))
}

/// The same where the host is a name, or an address as it stands in a URI: IPv6 in brackets, with or without
/// a port.
pub fn sip_uri_at(user: &str, host: &str) -> String {
    let mut uri = String::with_capacity(user.len() + host.len() + 8);
    uri.push_str("sip:");
    for byte in user.bytes() {
        match byte {
            b'0'..=b'9' | b'a'..=b'z' | b'A'..=b'Z' | b'+' | b'*' | b'-' | b'_' | b'.' => {
                uri.push(char::from(byte))
            }
            _ => uri.push_str(&format!("%{byte:02X}")),
        }
    }
    uri.push('@');
    uri.push_str(host);
    uri
}

/// `host:port` as it stands in a URI or a `Via`, IPv6 in brackets.
pub fn host_text(host: SocketAddr) -> String {
    match host.ip() {
        IpAddr::V4(address) => format!("{address}:{}", host.port()),
        IpAddr::V6(address) => format!("[{address}]:{}", host.port()),
    }
}

/// Whether a URI asks for headers, which a Request-URI must not (RFC 3261 section 19.1.1).
pub(crate) fn has_headers(uri: &[u8]) -> bool {
    // A user part may hold `?`.
    let after_user = uri
        .iter()
        .position(|&byte| byte == b'@')
        .map_or(0, |at| at + 1);
    uri[after_user..].contains(&b'?')
}

/// A URI that somebody gave us, as it may stand in a request line of ours: without the headers that it asks
/// for. None where that would break the line: white space (a folded header has some), brackets, quotes.
pub(crate) fn request_uri(uri: &[u8]) -> Option<&[u8]> {
    let breaks = |byte: &u8| *byte <= b' ' || matches!(byte, b'<' | b'>' | b'"' | 0x7f);
    if !uri.contains(&b':') || uri.iter().any(breaks) {
        return None;
    }
    let after_user = uri
        .iter()
        .position(|&byte| byte == b'@')
        .map_or(0, |at| at + 1);
    let headers = uri[after_user..].iter().position(|&byte| byte == b'?');
    Some(&uri[..headers.map_or(uri.len(), |at| after_user + at)])
}

/// Whether a `Route` URI has `lr`, so that the Request-URI stays what it is (RFC 3261 section 16.12).
pub(crate) fn is_loose(uri: &[u8]) -> bool {
    Uri::parse(uri).is_some_and(|uri| uri.params.get("lr").is_some())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text;

    #[test]
    fn a_uri_gives_its_number_and_address() {
        let rows: &[(&str, Option<&str>, Option<&str>)] = &[
            (
                "sip:13800000000@10.0.0.1:5080",
                Some("13800000000"),
                Some("10.0.0.1:5080"),
            ),
            (
                "sip:+8613800000000@10.0.0.1;user=phone",
                Some("+8613800000000"),
                Some("10.0.0.1:5060"),
            ),
            (
                "SIP:138-0000.0000@gw.example.com",
                Some("13800000000"),
                None,
            ),
            ("sip:%31%33%38@10.0.0.1", Some("138"), Some("10.0.0.1:5060")),
            (
                "sip:138;phone-context=+86@[2001:db8::1]:5062;lr?a=b",
                Some("138"),
                Some("[2001:db8::1]:5062"),
            ),
            (
                "sip:138:secret@10.0.0.1",
                Some("138"),
                Some("10.0.0.1:5060"),
            ),
            (
                "tel:+86-571-0000-0001;phone-context=x",
                Some("+8657100000001"),
                None,
            ),
            ("sip:anonymous@anonymous.invalid", None, None),
            ("sip:+@10.0.0.1", None, Some("10.0.0.1:5060")),
            ("sip:1%zz@10.0.0.1", None, Some("10.0.0.1:5060")),
            ("sip:10.0.0.1", None, Some("10.0.0.1:5060")),
        ];
        for (text, number, address) in rows {
            let uri = Uri::parse(text.as_bytes()).unwrap_or_else(|| panic!("{text} is not read"));
            assert_eq!(uri.number().as_deref(), *number, "{text}");
            assert_eq!(
                uri.address().map(|address| address.to_string()).as_deref(),
                *address,
                "{text}"
            );
        }
    }

    #[test]
    fn what_names_no_telephone_is_no_uri() {
        for text in [
            "",
            "sip:",
            "http://example.com",
            "sip:1@",
            "sip:1@host:99999",
            "tel:",
            "sip:a@[::1",
        ] {
            assert!(Uri::parse(text.as_bytes()).is_none(), "{text}");
        }
    }

    #[test]
    fn what_we_write_can_be_read_again() {
        let uri = sip_uri("+86 <1>", "192.0.2.1:5060".parse().expect("a literal"));
        assert_eq!(uri, "sip:+86%20%3C1%3E@192.0.2.1:5060");
        assert!(is_loose(b"sip:192.0.2.1;lr") && !is_loose(b"sip:192.0.2.1"));
    }

    #[test]
    fn trimming_a_list_keeps_quoted_commas() {
        let parts: Vec<&[u8]> = text::list(b"\"a, b\" <sip:x,y@h>;p, <sip:z@h> ,").collect();
        assert_eq!(parts, [b"\"a, b\" <sip:x,y@h>;p".as_slice(), b"<sip:z@h>"]);
    }
}
