//! What stands inside the headers that every message has.

use crate::params::{Params, host_port};
use crate::text;
use crate::uri::Uri;

/// One hop that a request took (RFC 3261 section 20.42).
#[derive(Clone, Copy)]
pub struct Via<'a> {
    /// `UDP`, `TCP` or `TLS`, as it was written.
    pub transport: &'a [u8],
    /// The host that the sender calls itself: a name or an address, IPv6 in brackets.
    pub host: &'a [u8],
    /// The port that goes with it.
    pub port: Option<u16>,
    /// `branch`, `rport` and others.
    pub params: Params<'a>,
}

impl<'a> Via<'a> {
    pub(crate) fn parse(value: &'a [u8]) -> Option<Self> {
        let semicolon = value
            .iter()
            .position(|&byte| byte == b';')
            .unwrap_or(value.len());
        let (head, params) = value.split_at(semicolon);
        // White space is allowed around the slashes: `SIP / 2.0 / UDP`.
        let mut slashes = head
            .iter()
            .enumerate()
            .filter(|(_, byte)| **byte == b'/')
            .map(|(at, _)| at);
        let (first, second) = (slashes.next()?, slashes.next()?);
        // Any version will do: a request of another one is still to be answered, with 505.
        if !text::trim(&head[..first]).eq_ignore_ascii_case(b"SIP") {
            return None;
        }
        let rest = text::trim(&head[second + 1..]);
        let gap = rest.iter().position(|&byte| text::is_space(byte))?;
        let (host, port) = host_port(text::trim(&rest[gap..]))?;
        Some(Self {
            transport: &rest[..gap],
            host,
            port,
            params: Params::new(params),
        })
    }

    /// The branch, if it follows RFC 3261 (that is, begins with the magic cookie).
    pub fn branch(&self) -> Option<&'a [u8]> {
        self.params
            .get("branch")
            .filter(|branch| branch.len() > 7 && branch[..7].eq_ignore_ascii_case(b"z9hG4bK"))
    }

    /// Whether the sender asks to be answered where the request came from (RFC 3581).
    pub fn wants_rport(&self) -> bool {
        self.params.get("rport").is_some()
    }
}

/// `From`, `To`, `Contact` and the like: perhaps a display name, a URI, parameters.
#[derive(Clone, Copy)]
pub struct NameAddr<'a> {
    /// The display name as it came, quotes included; it may be in any encoding.
    pub display: &'a [u8],
    /// The URI as it came, without angle brackets.
    pub uri: &'a [u8],
    /// The header's own parameters, such as `tag`.
    pub params: Params<'a>,
}

impl<'a> NameAddr<'a> {
    /// Reads one value; several in a line must be split before.
    pub fn parse(value: &'a [u8]) -> Option<Self> {
        if let Some(open) = text::find_outside(value, b'<', false) {
            let close = open + value[open..].iter().position(|&byte| byte == b'>')?;
            let rest = text::trim(&value[close + 1..]);
            if !matches!(rest.first(), None | Some(b';')) {
                return None;
            }
            let uri = text::trim(&value[open + 1..close]);
            let display = text::trim(&value[..open]);
            return (!uri.is_empty()).then_some(Self {
                display,
                uri,
                params: Params::new(rest),
            });
        }
        // Without brackets every parameter belongs to the header (RFC 3261 section 20).
        let semicolon = value
            .iter()
            .position(|&byte| byte == b';')
            .unwrap_or(value.len());
        let (uri, params) = value.split_at(semicolon);
        let uri = text::trim(uri);
        if !uri.contains(&b':') || uri.iter().any(|&byte| text::is_space(byte) || byte == b'"') {
            return None;
        }
        Some(Self {
            display: &[],
            uri,
            params: Params::new(params),
        })
    }

    /// The tag that names one side of a dialog; none where it is missing or empty.
    pub fn tag(&self) -> Option<&'a [u8]> {
        self.params.get("tag").filter(|tag| !tag.is_empty())
    }

    /// The URI, if it is one of a kind that we read.
    pub fn parsed_uri(&self) -> Option<Uri<'a>> {
        Uri::parse(self.uri)
    }
}

/// A request's place in its sequence.
#[derive(Clone, Copy)]
pub struct CSeq<'a> {
    /// Below 2^31 (RFC 3261 section 8.1.1.5).
    pub number: u32,
    /// The method as it was written.
    pub method: &'a [u8],
}

impl<'a> CSeq<'a> {
    pub(crate) fn parse(value: &'a [u8]) -> Option<Self> {
        let gap = value.iter().position(|&byte| text::is_space(byte))?;
        let number = text::number(&value[..gap]).filter(|number| *number < 1 << 31)?;
        let method = text::trim(&value[gap..]);
        (!method.iter().any(|&byte| text::is_space(byte))).then_some(Self { number, method })
    }
}
