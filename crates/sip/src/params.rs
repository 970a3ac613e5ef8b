//! What URIs and headers have in common: parameters, and a host with its port.

use crate::text;
use std::net::IpAddr;

/// Parameters behind a header value or a URI: `;name=value;flag`.
#[derive(Clone, Copy)]
pub struct Params<'a>(&'a [u8]);

impl<'a> Params<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// Each parameter's name and value, in order. A flag has no value.
    pub fn iter(&self) -> impl Iterator<Item = (&'a [u8], Option<&'a [u8]>)> + use<'a> {
        let mut rest = self.0;
        std::iter::from_fn(move || {
            loop {
                if rest.is_empty() {
                    return None;
                }
                let end = text::find_outside(rest, b';', true).unwrap_or(rest.len());
                let part = text::trim(&rest[..end]);
                rest = rest.get(end + 1..).unwrap_or(&[]);
                if part.is_empty() {
                    continue;
                }
                return Some(match part.iter().position(|&byte| byte == b'=') {
                    Some(equals) => (
                        text::trim(&part[..equals]),
                        Some(text::trim(&part[equals + 1..])),
                    ),
                    None => (part, None),
                });
            }
        })
    }

    /// The value of the first parameter of this name, in any case; empty for a flag.
    pub fn get(&self, name: &str) -> Option<&'a [u8]> {
        self.iter()
            .find(|(found, _)| found.eq_ignore_ascii_case(name.as_bytes()))
            .map(|(_, value)| value.unwrap_or_default())
    }
}

/// Splits `host:port`, with white space around the colon and IPv6 in brackets.
pub(crate) fn host_port(bytes: &[u8]) -> Option<(&[u8], Option<u16>)> {
    let host_end = if bytes.first() == Some(&b'[') {
        bytes.iter().position(|&byte| byte == b']')? + 1
    } else {
        bytes
            .iter()
            .position(|&byte| byte == b':')
            .unwrap_or(bytes.len())
    };
    let (host, rest) = bytes.split_at(host_end);
    let (host, rest) = (text::trim(host), text::trim(rest));
    if host.is_empty() || host.iter().any(|&byte| text::is_space(byte)) {
        return None;
    }
    match rest {
        [] => Some((host, None)),
        [b':', port @ ..] => Some((host, Some(text::number(text::trim(port))?))),
        _ => None,
    }
}

/// The address that a host stands for, if it is one and not a name.
pub(crate) fn host_address(host: &[u8]) -> Option<IpAddr> {
    let host = match host {
        [b'[', inner @ .., b']'] => inner,
        _ => host,
    };
    std::str::from_utf8(host).ok()?.parse().ok()
}
